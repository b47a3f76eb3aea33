"""EMAIL_URL: one address that says which way letters leave."""

from dataclasses import dataclass, field
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
    "sparkpost": ("API_KEY",),
    "unisender_go": ("API_KEY", "API_URL"),
}
#: Settings some ESPs take besides, all optional.
OPTIONAL = ("API_URL", "SENDER_DOMAIN", "MESSAGE_STREAM", "SUBACCOUNT", "REGION", "CONFIGURATION_SET_NAME")


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    backend: str
    host: str = ""
    port: int = 25
    user: str = ""
    password: str = field(default="", repr=False)
    ssl: bool = False
    starttls: bool = False
    anymail: dict[str, str] = field(default_factory=dict, repr=False)


def from_url(url: str, *, env: FileAwareEnv) -> Post:
    """Raises ValueError with one line that says what to set."""
    scheme = url.partition(":")[0].lower().replace("-", "_")
    if scheme == "outbox":
        return Post(backend="subscriptions.outbox.EmailBackend")
    if scheme in {"smtp", "smtps", "smtp+tls"}:
        return _smtp(url)
    if scheme in ESPS:
        return _esp(scheme, env)
    known = ", ".join(["outbox:", "smtp://", "smtps://", *(f"{name}:" for name in ESPS)])
    raise ValueError(f"EMAIL_URL does not begin with a known way to send. Known are {known}.")


def _smtp(url: str) -> Post:
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
    return Post(
        backend="subscriptions.smtp.EmailBackend",
        host=parts.hostname,
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        ssl=ssl,
        starttls=not ssl and (parts.scheme == "smtp+tls" or port == 587),
    )


def _esp(name: str, env: FileAwareEnv) -> Post:
    prefix = name.upper()
    settings = {f"{prefix}_{key}": env.str(f"{prefix}_{key}", "") for key in {*ESPS[name], *OPTIONAL}}
    missing = [f"{prefix}_{key}" for key in ESPS[name] if not settings[f"{prefix}_{key}"]]
    if missing:
        raise ValueError(f"EMAIL_URL={name}: needs {' and '.join(sorted(missing))} in the environment.")
    return Post(
        backend=f"anymail.backends.{name}.EmailBackend",
        anymail={key: value for key, value in settings.items() if value},
    )
