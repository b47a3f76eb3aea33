"""Whose request it is, as far as one can know."""

from ipaddress import IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest


def address(request: HttpRequest) -> str | None:
    """Where a request comes from. A forwarded address counts only behind the operator's own proxy: its last."""
    found = _read(request.META.get("REMOTE_ADDR", ""))
    if settings.DIGEST_BEHIND_PROXY and (forwarded := request.headers.get("X-Forwarded-For")):
        return _read(forwarded.split(",")[-1]) or found
    return found


def _read(text: str) -> str | None:
    try:
        found = ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or IPv6Address(int(found))  # an IPv6 address without its zone
    return str(found)
