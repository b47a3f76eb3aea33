"""Whose request it is, as far as one can know."""

from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest


def address(request: HttpRequest) -> str | None:
    """Where a request comes from. A forwarded address counts only behind the operator's own proxy: its last."""
    found = _read(request.META.get("REMOTE_ADDR", ""))
    if settings.DIGEST_BEHIND_PROXY and (forwarded := request.headers.get("X-Forwarded-For")):
        return _read(forwarded.split(",")[-1]) or found
    return found


def household(address: str | None) -> str:
    """Who counts as one: an IPv4 address, or the IPv6 /64 around one, which a single household is given."""
    known = _read(address or "")
    if known is None:
        return "unknown"
    return str(ip_network((known, 64), strict=False)) if ":" in known else known


def _read(text: str) -> str | None:
    try:
        found = ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or IPv6Address(int(found))  # an IPv6 address without its zone
    return str(found)
