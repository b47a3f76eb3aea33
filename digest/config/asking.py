"""What a request asks for: which page, in which language, in which form."""

from functools import lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.http import parse_cookie
from django.utils.translation import get_language_from_request

Environ = dict[str, Any]
#: No longer address is looked up, and no longer header is understood.
LONGEST = 2048


class Key(NamedTuple):
    """What an answer may depend on. Nothing else of a request reaches a page that is kept."""

    host: str
    scheme: str
    path: str
    query: str
    language: str


def key_of(environ: Environ) -> Key | None:
    """The key of the page that is asked for, or None where it can be none that is kept."""
    if environ["REQUEST_METHOD"] not in {"GET", "HEAD"} or environ.get("CONTENT_LENGTH") not in {None, "", "0"}:
        return None
    cookies = environ.get("HTTP_COOKIE", "")
    path, query = environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "")
    # Whoever is signed in is asked for by Django itself, whatever the page.
    if settings.SESSION_COOKIE_NAME in cookies or len(path) + len(query) > LONGEST:
        return None
    scheme = environ["wsgi.url_scheme"]
    if settings.DIGEST_BEHIND_PROXY:
        scheme += environ.get("HTTP_X_FORWARDED_PROTO", "")
    host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    return Key(host, scheme, path, query, _language(cookies, environ.get("HTTP_ACCEPT_LANGUAGE", "")))


def is_usual(key: Key) -> bool:
    """Whether this is an address of the site as it links to it, of which there are only so many."""
    return not key.query and key.host in _hosts()


@lru_cache(maxsize=1)
def _hosts() -> frozenset[str]:
    names = [*settings.ALLOWED_HOSTS, *(f"{name}:{settings.PORT}" for name in settings.ALLOWED_HOSTS)]
    return frozenset([urlsplit(settings.DIGEST_BASE_URL).netloc, *names])


def is_anybody(environ: Environ) -> bool:
    """Whether nothing is known of who asks, so that the answer can hold nothing about them."""
    return not (environ.get("HTTP_AUTHORIZATION") or _without_language(environ.get("HTTP_COOKIE", "")))


def _without_language(cookies: str) -> bool:
    return bool(cookies) and bool(parse_cookie(cookies).keys() - {settings.LANGUAGE_COOKIE_NAME})


def _language(cookies: str, accepted: str) -> str:
    """The language that Django's LocaleMiddleware will choose; "" where it is not there to choose."""
    if not chooses_language():
        return ""
    chosen = parse_cookie(cookies).get(settings.LANGUAGE_COOKIE_NAME, "") if cookies else ""
    return _negotiated(chosen[:20], accepted if len(accepted) <= LONGEST else "")


def chooses_language() -> bool:
    return "django.middleware.locale.LocaleMiddleware" in settings.MIDDLEWARE


@lru_cache(maxsize=512)
def _negotiated(chosen: str, accepted: str) -> str:
    cookies = {settings.LANGUAGE_COOKIE_NAME: chosen} if chosen else {}
    request = SimpleNamespace(COOKIES=cookies, META={"HTTP_ACCEPT_LANGUAGE": accepted})
    return get_language_from_request(request)  # type: ignore[arg-type]


def accepts_gzip(header: str) -> bool:
    return len(header) <= LONGEST and _accepts_gzip(header)


@lru_cache(maxsize=512)
def _accepts_gzip(header: str) -> bool:
    """Whether Accept-Encoding names gzip with a weight above 0 (RFC 9110, 12.5.3)."""
    weights = {}
    for coding in header.lower().split(","):
        name, _, parameter = coding.partition(";")
        try:
            weights[name.strip()] = float(parameter.replace(" ", "").removeprefix("q=") or 1)
        except ValueError:
            weights[name.strip()] = 0.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0
