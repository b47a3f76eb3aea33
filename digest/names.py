"""The opaque name of a delivery: in its Message-ID, its envelope sender, and what mail services are told.

A function of the row, the same on every attempt: the primary key and 80 bits of an HMAC, so that nobody makes one up.
Lower case and short enough for the local part of an address (RFC 5321 section 4.5.3.1.1).
"""

import hashlib
import hmac
import re
from functools import lru_cache

from django.conf import settings

_NAME = re.compile(r"([0-9a-f]{1,16})-([0-9a-f]{20})")


def name_of(delivery: int) -> str:
    return f"{delivery:x}-{_mark(settings.SECRET_KEY, delivery)}"


def delivery_of(name: str) -> int | None:
    """The primary key a name was made for, with today's key or an older one; None for any other text."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    delivery = int(found[1], 16)
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return delivery if any([hmac.compare_digest(_mark(key, delivery), found[2]) for key in keys]) else None  # noqa: C419


def _mark(key: str, delivery: int) -> str:
    mac = _keyed(key).copy()
    mac.update(b"%d" % delivery)
    return mac.hexdigest()[:20]


@lru_cache(maxsize=8)
def _keyed(key: str) -> hmac.HMAC:
    return hmac.new(key.encode(), b"paperboy delivery ", hashlib.sha256)
