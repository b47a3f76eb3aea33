"""What a request asks for: which page, in which language, in which form."""

from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.http import parse_cookie

from digest.config import languages
from digest.config.languages import LONGEST

Environ = dict[str, Any]


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
    # Whoever is signed in is asked for by Django itself, whatever the page; no longer address is looked up.
    if settings.SESSION_COOKIE_NAME in cookies or len(path) + len(query) > LONGEST:
        return None
    scheme = environ["wsgi.url_scheme"]
    if settings.DIGEST_BEHIND_PROXY:
        scheme += environ.get("HTTP_X_FORWARDED_PROTO", "")
    host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    language = languages.of(path, cookies, environ.get("HTTP_ACCEPT_LANGUAGE", ""))
    return Key(host, scheme, path, query, language)


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
