"""The second factor: a code of an authenticator (RFC 6238), or one of ten recovery codes.

Recovery codes are kept as hashes. A code works once: the device remembers the step it saw last.
"""

import base64
import hashlib
import secrets
from collections.abc import Sequence

import segno
from django.contrib.auth.models import User
from django.core import signing
from django.db import transaction
from django.utils.safestring import SafeString, mark_safe
from django_otp.models import Device
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

CODES = 10
#: Seconds in which an authenticator is to be set up.
OFFER = 3600


def has_one(user: User) -> bool:
    return bool(TOTPDevice.objects.filter(user_id=user.pk, confirmed=True).exists())


def offer(user: User) -> str:
    """A new secret, signed, for a form to carry: nothing is stored before its first code was right."""
    return signing.dumps([user.pk, secrets.token_hex(20)], salt="paperboy.factor")


def secret_of(offered: str, user: User) -> str | None:
    """The secret in hexadecimal, where it was offered to this user within the hour."""
    try:
        owner, key = signing.loads(offered, salt="paperboy.factor", max_age=OFFER)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return key if owner == user.pk else None


def typed(key: str) -> str:
    """The secret as a person types it, in groups of four."""
    text = base64.b32encode(bytes.fromhex(key)).decode()
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def picture(key: str, user: User) -> SafeString:
    """The QR code as SVG, black on white whatever the theme; made here, nobody else is asked."""
    address = TOTPDevice(user=user, key=key).config_url
    svg = segno.make(address, error="m").svg_inline(
        scale=5, dark="#000", light="#fff", title="QR code for an authenticator"
    )
    return mark_safe(svg)


def set_up(user: User, key: str, code: str) -> tuple[TOTPDevice, list[str]] | None:
    """The new device and its recovery codes, which are never shown again; None where the code is wrong.

    What the user had before is gone.
    """
    totp = TOTP(bytes.fromhex(key))
    if not (_is_code(code) and totp.verify(int(_tidy(code)), 1)):
        return None
    with transaction.atomic():
        reset(user)
        device = TOTPDevice.objects.create(user=user, key=key, name="authenticator", last_t=totp.t(), drift=totp.drift)
        codes = [_new_code() for _ in range(CODES)]
        spare = StaticDevice.objects.create(user=user, name="recovery codes")
        StaticToken.objects.bulk_create([StaticToken(device=spare, token=_hashed(one)) for one in codes])
    return device, codes


def check(user: User, code: str) -> Device | None:
    """The device whose code it is. The code is used up."""
    devices: Sequence[type[Device]] = [TOTPDevice] if _is_code(code) else [StaticDevice]
    token = _tidy(code) if _is_code(code) else _hashed(code)
    with transaction.atomic():
        for kind in devices:
            for device in kind.objects.select_for_update().filter(user_id=user.pk, confirmed=True).order_by("pk"):
                if device.verify_token(token):
                    return device
    return None


def codes_left(user: User) -> int:
    return int(StaticToken.objects.filter(device__user_id=user.pk).count())


def reset(user: User) -> None:
    """Take every device away: the next sign-in sets a new one up."""
    TOTPDevice.objects.filter(user_id=user.pk).delete()
    StaticDevice.objects.filter(user_id=user.pk).delete()


def _tidy(code: str) -> str:
    return "".join(code.split()).replace("-", "").lower()


def _is_code(code: str) -> bool:
    tidy = _tidy(code)
    return len(tidy) == 6 and tidy.isascii() and tidy.isdigit()


def _new_code() -> str:
    text = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, 16, 4))


def _hashed(code: str) -> str:
    """Sixteen signs are what the table holds; a code has eighty random bits, so a fast hash is enough."""
    return hashlib.sha256(_tidy(code).encode("utf-8", "replace")).hexdigest()[:16]
