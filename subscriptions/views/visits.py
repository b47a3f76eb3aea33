"""Who asks, from where, and what becomes of links that do not work."""

import functools
from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods
from redis.exceptions import RedisError

from subscriptions import callers, consent
from subscriptions.records import network_of
from subscriptions.tokens import TokenError

#: Links that do not work which one network may try, and in how many seconds.
MOST_WRONG, GUESSING_SECONDS = 100, 600
View = Callable[..., HttpResponse]


def visit(request: HttpRequest) -> consent.Visit:
    """Who asks."""
    user_agent = request.headers.get("User-Agent", "")
    # The page's pattern, not its address: that may hold a link that opens something.
    page = f"/{request.resolver_match.route}" if request.resolver_match else request.path
    language = get_language() or settings.LANGUAGE_CODE
    return consent.Visit(ip=callers.address(request), user_agent=user_agent, form_url=page, language=language)


def by_link(view: View) -> View:
    """A page that a signed link opens: kept by nobody, the same for every link that does not work.

    The link is all the authority there is, so there is no cookie that another site could ride on; posts that come from
    another site are refused all the same.
    """

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: str, **kwargs: str) -> HttpResponse:
        if request.method == "POST" and _is_foreign(request):
            return render(request, "subscriptions/foreign.html", status=HTTPStatus.FORBIDDEN)
        return _working(view, request, *args, **kwargs)

    return csrf_exempt(never_cache(require_http_methods(["GET", "HEAD", "POST"])(wrapped)))


def one_click(view: View) -> View:
    """The same for leaving, which mail services post from anywhere (RFC 8058)."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: str, **kwargs: str) -> HttpResponse:
        return _working(view, request, *args, **kwargs)

    return csrf_exempt(never_cache(require_http_methods(["GET", "HEAD", "POST"])(wrapped)))


def _working(view: View, request: HttpRequest, *args: str, **kwargs: str) -> HttpResponse:
    try:
        return view(request, *args, **kwargs)
    except (TokenError, consent.Expired):
        status = HTTPStatus.TOO_MANY_REQUESTS if _is_guessing(request) else HTTPStatus.NOT_FOUND
        return render(request, "subscriptions/broken_link.html", status=status)


def _is_guessing(request: HttpRequest) -> bool:
    """Whether one network tries link after link. A link that works works all the same."""
    key = f"wrong-links:{network_of(visit(request).ip)}"
    try:
        return not cache.add(key, 1, GUESSING_SECONDS) and cache.incr(key) > MOST_WRONG
    except (ValueError, RedisError):  # it ended between the two, or nobody counts at present
        return False


def _is_foreign(request: HttpRequest) -> bool:
    """Whether the browser says that another site sends this."""
    origin = request.headers.get("Origin")
    own = {f"{request.scheme}://{request.get_host()}", *settings.CSRF_TRUSTED_ORIGINS}
    return request.headers.get("Sec-Fetch-Site") == "cross-site" or (origin is not None and origin not in own)
