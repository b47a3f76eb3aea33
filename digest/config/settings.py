"""Every setting, read from the environment here and nowhere else; the README's table lists them all.

`.env` in the project's folder is read if present, the environment wins over it, and `NAME_FILE` names a file that
holds the value of a secret. A wrong or dangerous combination ends the start with one line.
"""

import os
import re
import secrets
import sys
from datetime import date, time
from email.headerregistry import Address
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from celery.schedules import crontab
from environs import EnvError, FileAwareEnv

from digest.config import mailing

BASE_DIR = Path(__file__).resolve().parent.parent.parent


def refuse(reason: str) -> NoReturn:
    raise SystemExit(f"paperboy: {reason}")


env = FileAwareEnv()
env.read_env(env.str("DIGEST_ENV_FILE", str(BASE_DIR / ".env")), recurse=False)


def read(kind: str, name: str, default: Any) -> Any:
    try:
        return getattr(env, kind)(name, default)
    except (EnvError, ValueError) as error:
        refuse(f"{name} cannot be read: {error}")


# Where things are ---------------------------------------------------------------------------------------------------

PORT: int = read("int", "PORT", 8000)
DIGEST_BASE_URL: str = read("str", "DIGEST_BASE_URL", f"http://127.0.0.1:{PORT}").rstrip("/")
DATABASE_URL: str = read("str", "DATABASE_URL", "")
REDIS_URL: str = read("str", "REDIS_URL", "")
EMAIL_URL: str = read("str", "EMAIL_URL", "outbox:")
EMAIL_FALLBACK_URL: str = read("str", "EMAIL_FALLBACK_URL", "")
SECRET_KEY: str = read("str", "SECRET_KEY", "")
DIGEST_DATA_DIR = Path(read("str", "DIGEST_DATA_DIR", str(BASE_DIR / "var"))).resolve()

try:
    DIGEST_DATA_DIR.mkdir(parents=True, exist_ok=True)
except OSError as error:
    refuse(f"DIGEST_DATA_DIR cannot be made: {error}. Name a folder that may be written to.")

#: On by itself only while everything is embedded, so that nobody runs a public site with it by forgetting it.
DEBUG: bool = read("bool", "DEBUG", not (SECRET_KEY or DATABASE_URL or REDIS_URL or EMAIL_URL != "outbox:"))


def generated_secret() -> str:
    """A key of this copy's own, so that links in letters work after a restart. DEBUG only."""
    file = DIGEST_DATA_DIR / "secret-key"
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(48))
    return file.read_text().strip()


if not SECRET_KEY:
    if not DEBUG:
        refuse(
            "SECRET_KEY is not set and DEBUG is off. Set SECRET_KEY (or SECRET_KEY_FILE) to 50 or more random "
            "characters, or DEBUG=1 for a trial on your own machine."
        )
    SECRET_KEY = generated_secret()
#: Older keys that links in letters already sent were signed with.
SECRET_KEY_FALLBACKS: list[str] = read("list", "SECRET_KEY_FALLBACKS", [])

base = urlsplit(DIGEST_BASE_URL)
if base.scheme not in {"http", "https"} or not base.hostname:
    refuse(f"DIGEST_BASE_URL must be like https://papers.example.org, not {DIGEST_BASE_URL!r}.")
#: The domain of Message-ID, List-Id and of the default sender.
DIGEST_DOMAIN: str = read("str", "DIGEST_DOMAIN", base.hostname)

# Papers -------------------------------------------------------------------------------------------------------------

DIGEST_HF_ENDPOINT: str = read("str", "DIGEST_HF_ENDPOINT", "https://huggingface.co").rstrip("/")
DIGEST_ARXIV_FEED_URL: str = read("str", "DIGEST_ARXIV_FEED_URL", "https://rss.arxiv.org").rstrip("/")
DIGEST_ARXIV_QUERY_URL: str = read("str", "DIGEST_ARXIV_QUERY_URL", "https://export.arxiv.org/api/query")
DIGEST_ARXIV_CATEGORIES: list[str] = [
    name.strip()
    for name in read("list", "DIGEST_ARXIV_CATEGORIES", ["cs.AI", "cs.CL", "cs.CV", "cs.LG", "cs.RO"])
    if name.strip()
]
#: Days without an announcement besides weekends; empty means the list shipped with this version.
DIGEST_ARXIV_HOLIDAYS: list[date] = read("list", "DIGEST_ARXIV_HOLIDAYS", [])
DIGEST_CONTACT: str = read("str", "DIGEST_CONTACT", "")
#: Days on which a listed paper may enter an edition, and for which its votes are read again.
DIGEST_EDITION_DAYS: int = read("int", "DIGEST_EDITION_DAYS", 3)
DIGEST_REFRESH_DAYS: int = read("int", "DIGEST_REFRESH_DAYS", 7)
DIGEST_TIME_ZONE: str = read("str", "DIGEST_TIME_ZONE", "UTC")
DIGEST_PUBLISH_AT: time = read("time", "DIGEST_PUBLISH_AT", time(6, 0))
#: Hours that publishing by the clock waits for a source that is late.
DIGEST_PUBLISH_GRACE_HOURS: int = read("int", "DIGEST_PUBLISH_GRACE_HOURS", 2)
#: Whether papers' pictures are fetched and shown; readers' browsers get them from here.
DIGEST_THUMBNAILS: bool = read("bool", "DIGEST_THUMBNAILS", True)
DIGEST_TODAY: date | None = read("date", "DIGEST_TODAY", None)

try:
    ZoneInfo(DIGEST_TIME_ZONE)
except (KeyError, ValueError, OSError):
    refuse(f"DIGEST_TIME_ZONE must name a zone such as Europe/Paris, not {DIGEST_TIME_ZONE!r}.")
try:
    DIGEST_ARXIV_HOLIDAYS = [date.fromisoformat(str(day)) for day in DIGEST_ARXIV_HOLIDAYS]
except ValueError as error:
    refuse(f"DIGEST_ARXIV_HOLIDAYS takes days like 2026-11-26, with commas between: {error}.")
#: What tells what texts mean: wordllama, off, or the dotted name of a class like digest.meaning.WordLlama.
DIGEST_MEANING: str = read("str", "DIGEST_MEANING", "wordllama")
if DIGEST_MEANING not in {"wordllama", "off"} and "." not in DIGEST_MEANING:
    refuse(f"DIGEST_MEANING must be wordllama, off, or the dotted name of a class, not {DIGEST_MEANING!r}.")
if DIGEST_TODAY and not DEBUG:
    refuse("DIGEST_TODAY is for replays and demonstrations: unset it, or set DEBUG=1.")
if not 1 <= DIGEST_EDITION_DAYS <= DIGEST_REFRESH_DAYS <= 30:
    refuse("DIGEST_EDITION_DAYS must be at least 1 and at most DIGEST_REFRESH_DAYS, which is at most 30.")

# Letters ------------------------------------------------------------------------------------------------------------

DIGEST_NAME: str = read("str", "DIGEST_NAME", "Paperboy")
if any(sign < " " for sign in DIGEST_NAME):
    refuse("DIGEST_NAME must be one line, without control characters.")
DIGEST_FROM: str = read("str", "DIGEST_FROM", str(Address(DIGEST_NAME, "digest", DIGEST_DOMAIN)))
#: Gmail's sender id: 5 to 15 characters, the same for ever.
DIGEST_FEEDBACK_SENDER: str = read("str", "DIGEST_FEEDBACK_SENDER", "paperboy")
#: Printed at the foot of every letter, as the law of many countries asks of bulk mail.
DIGEST_POSTAL_ADDRESS: str = read("str", "DIGEST_POSTAL_ADDRESS", "")
DIGEST_OUTBOX_DIR = DIGEST_DATA_DIR / "outbox"
#: What the workers of this machine have begun; must outlive them, so it is no temporary folder.
DIGEST_JOURNAL_DIR = DIGEST_DATA_DIR / "journal"

try:
    post = mailing.from_url(EMAIL_URL, env=env)
    second = mailing.from_url(EMAIL_FALLBACK_URL, env=env) if EMAIL_FALLBACK_URL else None
except ValueError as error:
    refuse(str(error))
EMAIL_BACKEND = post.backend
EMAIL_HOST, EMAIL_PORT = post.host, post.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = post.user, post.password
EMAIL_USE_SSL, EMAIL_USE_TLS = post.ssl, post.starttls
EMAIL_TIMEOUT = 20
#: What takes over while the first way is down.
DIGEST_SECOND_TRANSPORT = second
#: Kept connections of each process that sends.
DIGEST_MAIL_CONNECTIONS: int = read("int", "DIGEST_MAIL_CONNECTIONS", 4)
#: Tasks that send at the same time at most, over all workers.
DIGEST_SENDERS: int = read("int", "DIGEST_SENDERS", 8)
#: Letters that nobody has taken up for so long wait for a person: the database may have been restored from a backup.
DIGEST_RESUME_HOURS: float = read("float", "DIGEST_RESUME_HOURS", 6)
#: The domain whose addresses bounces+NAME@ come back to Paperboy; empty: bounces go to the sender's address.
DIGEST_BOUNCE_DOMAIN: str = read("str", "DIGEST_BOUNCE_DOMAIN", "")
#: Where mail asks to leave, and is read by Paperboy as bounces are; empty: letters name the link alone.
DIGEST_LEAVE_ADDRESS: str = read("str", "DIGEST_LEAVE_ADDRESS", "")
if DIGEST_LEAVE_ADDRESS and not re.fullmatch(r"(?a)[\w.+-]{1,64}@[\w-]+(\.[\w-]+)+", DIGEST_LEAVE_ADDRESS):
    refuse("DIGEST_LEAVE_ADDRESS takes one plain address, such as leave@papers.example.org.")
#: Domains that no confirmation goes to; DIGEST_REFUSED_DOMAINS_FILE may name a list of throw-away ones.
DIGEST_REFUSED_DOMAINS = frozenset(re.split(r"[\s,]+", read("str", "DIGEST_REFUSED_DOMAINS", "").lower())) - {""}
#: Ask the name server, before a confirmation leaves, whether its domain takes mail.
DIGEST_CHECK_MX: bool = read("bool", "DIGEST_CHECK_MX", False)
#: Messages a second over all workers, 0 for no limit; and by recipient domain.
DIGEST_MAIL_RATE: float = read("float", "DIGEST_MAIL_RATE", 0.0)
try:
    DIGEST_MAIL_DOMAIN_RATES = mailing.rates_from(read("list", "DIGEST_MAIL_DOMAIN_RATES", []))
except ValueError as error:
    refuse(f"DIGEST_MAIL_DOMAIN_RATES cannot be read: {error}")
if DIGEST_MAIL_RATE < 0 or not 1 <= DIGEST_MAIL_CONNECTIONS <= 100:
    refuse("DIGEST_MAIL_RATE must be 0 or more, DIGEST_MAIL_CONNECTIONS 1 to 100.")
ANYMAIL: dict[str, Any] = {**post.anymail, **(second.anymail if second else {}), "REQUESTS_TIMEOUT": (10, 30)}
#: What mail services report is taken with one of these alone, each user:password.
if DIGEST_WEBHOOK_SECRET := read("list", "DIGEST_WEBHOOK_SECRET", []):
    ANYMAIL["WEBHOOK_SECRET"] = DIGEST_WEBHOOK_SECRET
    if not all(":" in secret for secret in DIGEST_WEBHOOK_SECRET):
        refuse("DIGEST_WEBHOOK_SECRET takes user:password, with commas between several.")
#: A report longer than this is refused before it is read.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
DEFAULT_FROM_EMAIL = SERVER_EMAIL = DIGEST_FROM
if not 5 <= len(DIGEST_FEEDBACK_SENDER) <= 15:
    refuse("DIGEST_FEEDBACK_SENDER must have 5 to 15 characters.")

# Django -------------------------------------------------------------------------------------------------------------

#: This machine's own names are always allowed: health checks ask by them, and no link is ever made from a Host header.
ALLOWED_HOSTS: list[str] = [base.hostname, "localhost", "127.0.0.1", *read("list", "ALLOWED_HOSTS", [])]
CSRF_TRUSTED_ORIGINS = [f"{base.scheme}://{base.netloc}"]
SECURE = base.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
#: Sessions are staff's: kept to the desk, and over after twelve idle hours.
SESSION_COOKIE_PATH = "/admin/"
SESSION_COOKIE_AGE = 12 * 3600
#: Whether staff need a second factor. Somebody who has set one up is asked for it in any case.
DIGEST_STAFF_TWO_FACTOR: bool = read("bool", "DIGEST_STAFF_TWO_FACTOR", not DEBUG)
OTP_TOTP_ISSUER = DIGEST_NAME
# One limit on tries counts passwords and codes together: digest.staff.gate.
OTP_TOTP_THROTTLE_FACTOR = OTP_STATIC_THROTTLE_FACTOR = 0
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = False
# Links with tokens are told to nobody else. Not "no-referrer": with it browsers send `Origin: null`, which the
# protection against forged posts must refuse.
SECURE_REFERRER_POLICY = "same-origin"
#: A proxy in front names the visitor's own scheme and address; without one, whoever asks could make them up.
DIGEST_BEHIND_PROXY: bool = read("bool", "DIGEST_BEHIND_PROXY", False)
if DIGEST_BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = SECURE
    SECURE_REDIRECT_EXEMPT = [r"^health/"]
X_FRAME_OPTIONS = "DENY"


def rate(name: str, text: str) -> tuple[int, int]:
    """How many requests in how many seconds; 0 requests: any number."""
    found = re.fullmatch(r"(\d{1,9})/([1-9]\d{0,5})", "0/1" if text == "0" else text, re.ASCII)
    if not found:
        refuse(f"{name} must be like 500/300, requests in seconds, or 0 for no limit, not {text!r}.")
    return int(found[1]), int(found[2])


#: Requests that one address may make of the API, and among them of what searches.
DIGEST_API_RATE = rate("DIGEST_API_RATE", read("str", "DIGEST_API_RATE", "500/300"))
DIGEST_SEARCH_RATE = rate("DIGEST_SEARCH_RATE", read("str", "DIGEST_SEARCH_RATE", "50/300"))

INSTALLED_APPS = [
    "digest",
    "subscriptions",
    "digest.config.apps.DeskConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "anymail",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "digest.config.site.forbid",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "digest.config.languages.speak",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "digest.config.urls"
WSGI_APPLICATION = "digest.config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "digest.config.site.site",
            ],
            "builtins": ["django.templatetags.i18n", "django.templatetags.l10n"],
        },
    }
]
#: Processes and threads of the web site, and what each process keeps of its pages.
DIGEST_WEB_WORKERS: int = read("int", "DIGEST_WEB_WORKERS", 1 if DEBUG else min(4, os.cpu_count() or 1))
DIGEST_WEB_THREADS: int = read("int", "DIGEST_WEB_THREADS", 8)
DIGEST_PAGE_CACHE_MB: int = read("int", "DIGEST_PAGE_CACHE_MB", 64)
if DIGEST_WEB_WORKERS < 1 or DIGEST_WEB_THREADS < 1 or DIGEST_PAGE_CACHE_MB < 0:
    refuse("DIGEST_WEB_WORKERS and DIGEST_WEB_THREADS must be 1 or more, DIGEST_PAGE_CACHE_MB 0 or more.")

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static"
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEBUG
if not DEBUG:
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
#: Each in its own words; their sentences are in locale/.
LANGUAGES = [("en", "English"), ("fr", "français")]
LOCALE_PATHS = [Path(__file__).parent / "locale"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

if DATABASE_URL:
    try:
        DATABASES = {"default": {**env.dj_db_url("DATABASE_URL"), "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}}
        DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 10)
    except (EnvError, ValueError) as error:
        refuse(f"DATABASE_URL cannot be read: {error}")
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DIGEST_DATA_DIR / "paperboy.sqlite3",
            "OPTIONS": {
                "timeout": 30,
                # A write transaction takes the lock when it begins: two writers wait instead of failing halfway.
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON",
            },
        }
    }
if REDIS_URL:
    # A cache that does not answer is soon done without.
    patience = {"socket_timeout": 2, "socket_connect_timeout": 2}
    CACHES: dict[str, Any] = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "OPTIONS": patience,
        }
    }
else:
    # Room for who has asked how often: at Django's 300 entries, strangers would push each other out.
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "OPTIONS": {"MAX_ENTRIES": 20_000},
        }
    }

LOG_LEVEL: str = read("str", "DIGEST_LOG_LEVEL", "INFO").upper()
if LOG_LEVEL not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
    refuse("DIGEST_LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"tokens": {"()": "digest.config.logs.HideTokens"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": sys.stderr, "filters": ["tokens"]}
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    # httpx tells every URL it asks for; what came of a fetch stands in the Fetch rows. kombu misses a host's name in a
    # broker that has none.
    "loggers": {
        "django": {"level": LOG_LEVEL},  # without the handler of its own, which hides nothing
        "httpx": {"level": "WARNING"},
        "kombu.connection": {"level": "ERROR"},
    },
}

# Celery -------------------------------------------------------------------------------------------------------------

CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SOFT_TIME_LIMIT = 540
CELERY_TASK_TIME_LIMIT = 600
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 30
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
DIGEST_BROKER_DIR = DIGEST_DATA_DIR / "broker"
if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {"visibility_timeout": 900}
else:
    # Tasks are files, so that they outlive a restart. Every process of `manage.py up` shares the folder.
    CELERY_BROKER_URL = "filesystem://"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(DIGEST_BROKER_DIR / "tasks"),
        "data_folder_out": str(DIGEST_BROKER_DIR / "tasks"),
        "control_folder": str(DIGEST_BROKER_DIR / "control"),
        "polling_interval": 0.2,
    }
    for folder in ("tasks", "control"):
        (DIGEST_BROKER_DIR / folder).mkdir(parents=True, exist_ok=True)
CELERY_BEAT_SCHEDULER = "digest.config.beat:Scheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
CELERY_BEAT_SCHEDULE_FILENAME = str(DIGEST_DATA_DIR / "beat-schedule")


def every(task: str, schedule: crontab, seconds: int) -> dict[str, Any]:
    """A tick nobody took within `seconds` is worthless: the next one finds in the database what is owed."""
    return {"task": task, "schedule": schedule, "options": {"expires": seconds}}


CELERY_BEAT_SCHEDULE = {
    "fetch": every("digest.tasks.fetch", crontab(minute="7,37"), 1700),
    "analyse": every("digest.tasks.analyse", crontab(minute="*/10"), 590),
    "build": every("digest.tasks.build_edition", crontab(minute="12,42"), 1700),
    "thumbnails": every("digest.tasks.fetch_thumbnails", crontab(minute="4-59/5"), 290),
    "publish": every("digest.tasks.publish", crontab(minute="*/5"), 290),
    "deliver": every("digest.tasks.deliver", crontab(), 55),
    "sweep": every("digest.tasks.sweep", crontab(), 55),
    "report": every("digest.tasks.report", crontab(), 55),
    "reckon": every("digest.tasks.reckon", crontab(minute="*/5"), 290),
    "forget_addresses": every("digest.tasks.forget", crontab(minute=25), 3500),
    "notices": every("subscriptions.tasks.send_notices", crontab(), 55),
    "forget": every("subscriptions.tasks.forget", crontab(minute=20), 3500),
}
