"""What every answer of the API has in common: limits, copies that are still good, JSON errors, no cookies."""

import functools
from collections.abc import Callable
from hashlib import blake2b
from http import HTTPStatus
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.views.decorators.csrf import csrf_exempt

from digest import keeping, stamps
from digest.api import errors, limits
from subscriptions import callers, clock

#: Copies that this code did not make may look otherwise.
_SHAPE = blake2b(
    b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py"))), digest_size=16
).digest()
_ALLOWED = ["GET", "HEAD"]

View = Callable[..., HttpResponse]


def gate(view: View, *, limit: str = "api") -> View:
    """A view that counts requests against `limit` and answers 304 where nothing changed since the caller's copy."""

    @csrf_exempt
    @functools.wraps(view)
    def gated(request: HttpRequest, **named: Any) -> HttpResponse:
        turn = limits.take(limit, callers.address(request), now=clock.now())
        if turn and not turn.allowed:
            message = f"More than {turn.most} requests in {turn.window} seconds: ask again in {turn.reset} seconds."
            response = errors.answer(HTTPStatus.TOO_MANY_REQUESTS, message)
        else:
            response = _answer(view, request, named)
        for name, value in (turn.headers if turn else {}).items():
            response[name] = value
        return response

    return gated


def _answer(view: View, request: HttpRequest, named: dict[str, Any]) -> HttpResponse:
    if request.method not in _ALLOWED:
        response = errors.answer(HTTPStatus.METHOD_NOT_ALLOWED, "This API is read with GET; there is nothing to write.")
        response["Allow"] = ", ".join(_ALLOWED)
        return response
    if "%00" in request.get_full_path():  # no database stores it, and PostgreSQL does not even compare it
        return errors.answer(HTTPStatus.BAD_REQUEST, "There is a NUL character in this address: leave it out.")
    tag = _tag(request)
    response = get_conditional_response(request, etag=tag) or view(request, **named)
    if response.status_code in {HTTPStatus.OK, HTTPStatus.NOT_MODIFIED}:
        response["ETag"] = tag
        response["Cache-Control"] = "public, max-age=60"
        request.META[keeping.KEY] = 60
        patch_vary_headers(response, ["Accept-Encoding"])
    return response


def _tag(request: HttpRequest) -> str:
    """Weak, for compression changes the bytes: what was asked, the day, and how often papers and editions changed."""
    parts = (request.get_full_path(), clock.today().isoformat(), *map(str, stamps.read()))
    digest = blake2b("\n".join(parts).encode(), digest_size=16, key=_SHAPE).hexdigest()
    return f'W/"{digest}"'
