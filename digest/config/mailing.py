"""EMAIL_URL: one address that says which way letters leave."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from environs import FileAwareEnv

#: Anymail's backends by name, and the settings each cannot work without (anymail.dev, "Supported ESPs").
ESPS = {
    "amazon_ses": (),
    "brevo": ("API_KEY",),
    "mailersend": ("API_TOKEN",),
    "mailgun": ("API_KEY",),
    "mailjet": ("API_KEY", "SECRET_KEY"),
    "mandrill": ("API_KEY",),
    "postal": ("API_KEY", "API_URL"),
    "postmark": ("SERVER_TOKEN",),
    "resend": ("API_KEY",),
    "scaleway": ("SECRET_KEY", "PROJECT_ID"),
    "sendgrid": ("API_KEY",),
    "sparkpost": ("API_KEY",),
    "unisender_go": ("API_KEY", "API_URL"),
}
#: Settings some ESPs take besides, all optional.
OPTIONAL = (
    "API_URL", "SENDER_DOMAIN", "MESSAGE_STREAM", "SUBACCOUNT", "REGION", "CONFIGURATION_SET_NAME",
    "WEBHOOK_SIGNING_KEY", "WEBHOOK_KEY", "SIGNING_SECRET", "TRACKING_WEBHOOK_VERIFICATION_KEY",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way out, from one address."""

    backend: str
    host: str = ""
    port: int = 25
    user: str = ""
    password: str = field(default="", repr=False)
    ssl: bool = False
    starttls: bool = False
    anymail: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def options(self) -> dict[str, Any]:
        """For Django's `get_connection`; ESPs find theirs in Anymail's settings."""
        if not self.host:
            return {}
        return {"host": self.host, "port": self.port, "username": self.user, "password": self.password,
                "use_ssl": self.ssl, "use_tls": self.starttls}  # fmt: skip


def rates_from(pairs: list[str]) -> dict[str, float]:
    """ "gmail.com=10" and the like: messages a second by recipient domain. Raises ValueError."""
    rates = {}
    for pair in filter(None, (pair.strip() for pair in pairs)):
        domain, _, value = pair.partition("=")
        rates[domain.strip().lower()] = float(value)
    if any(rate <= 0 for rate in rates.values()) or "" in rates:
        raise ValueError("each is a domain and a rate above 0, such as gmail.com=10")
    return rates


def from_url(url: str, *, env: FileAwareEnv) -> Way:
    """Raises ValueError with one line that says what to set."""
    scheme = url.partition(":")[0].lower().replace("-", "_")
    if scheme == "outbox":
        return Way(backend="subscriptions.outbox.EmailBackend")
    if scheme in {"smtp", "smtps", "smtp+tls"}:
        return _smtp(url)
    if scheme in ESPS:
        return _esp(scheme, env)
    known = ", ".join(["outbox:", "smtp://", "smtps://", *(f"{name}:" for name in ESPS)])
    raise ValueError(f"EMAIL_URL does not begin with a known way to send. Known are {known}.")


def _smtp(url: str) -> Way:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError as error:
        raise ValueError("EMAIL_URL has a port that is no number.") from error
    if not parts.hostname:
        raise ValueError("EMAIL_URL needs a host: smtp://user:password@mail.example.org:587")
    if "%" not in url and any(mark in (parts.password or "") for mark in "?#"):
        raise ValueError("EMAIL_URL: write special characters of the password as %XX.")
    ssl = parts.scheme == "smtps"
    # Port 587 is submission (RFC 6409): its servers take a password only after STARTTLS.
    port = port or (465 if ssl else 587 if parts.username else 25)
    return Way(
        backend="subscriptions.smtp.EmailBackend",
        host=parts.hostname,
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        ssl=ssl,
        starttls=not ssl and (parts.scheme == "smtp+tls" or port == 587),
    )


def _esp(name: str, env: FileAwareEnv) -> Way:
    prefix = name.upper()
    settings = {f"{prefix}_{key}": env.str(f"{prefix}_{key}", "") for key in {*ESPS[name], *OPTIONAL}}
    missing = [f"{prefix}_{key}" for key in ESPS[name] if not settings[f"{prefix}_{key}"]]
    if missing:
        raise ValueError(f"EMAIL_URL={name}: needs {' and '.join(sorted(missing))} in the environment.")
    given: dict[str, Any] = {key: value for key, value in settings.items() if value}
    if name == "amazon_ses":
        given |= _ses(region=given.pop("AMAZON_SES_REGION", ""))
    return Way(backend=f"anymail.backends.{name}.EmailBackend", anymail=given)


def _ses(*, region: str) -> dict[str, Any]:
    """boto3 would ask again by itself after a lost answer, and send a letter three times."""
    from botocore.config import Config  # noqa: PLC0415  slow to load, and only this service needs it

    config = Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=30)
    session = {"AMAZON_SES_SESSION_PARAMS": {"region_name": region}} if region else {}
    return {"AMAZON_SES_CLIENT_PARAMS": {"config": config}, **session}
