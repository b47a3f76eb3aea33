"""Whose request it is, as far as one can know."""

from django.conf import settings
from django.http import HttpRequest


def address(request: HttpRequest) -> str | None:
    """Where a request comes from. A forwarded address counts only behind the operator's own proxy: its last."""
    if settings.DIGEST_BEHIND_PROXY and (forwarded := request.headers.get("X-Forwarded-For")):
        return forwarded.split(",")[-1].strip()
    return request.META.get("REMOTE_ADDR") or None
