"""Signs that a form was shown and that a browser has worked for it: each counts once, and not for long.

The proof of work speaks ALTCHA's open protocol: find the number whose SHA-256 with a salt is given. The salt carries
the time at which it ends and closes with "&", so that no digit of the number can be taken for one of the time.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction

from subscriptions import tokens
from subscriptions.models import Spent
from subscriptions.tokens import Scope, TokenError

PROOF_LIFE = timedelta(minutes=10)
#: The number is below this: a phone needs a second or so.
MOST_WORK = 50_000
#: A form that comes back sooner was not filled in by a person.
YOUNGEST = timedelta(seconds=2)
LONGEST = 1_000
_SALT = re.compile(r"[0-9a-f]{24}\?expires=(\d{1,12})&", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NUMBER = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)


def challenge(*, now: datetime) -> dict[str, object]:
    """Work for a browser, as ALTCHA's widgets read it."""
    salt = f"{secrets.token_hex(12)}?expires={int((now + PROOF_LIFE).timestamp())}&"
    wanted = _hash(salt, secrets.randbelow(MOST_WORK))
    return {
        "algorithm": "SHA-256",
        "challenge": wanted,
        "maxnumber": MOST_WORK,
        "salt": salt,
        "signature": _signature(wanted, settings.SECRET_KEY),
    }


def accept(payload: str, *, now: datetime) -> bool:
    """Whether this is a proof that was not used before. It is used up by this."""
    try:
        if len(payload) > LONGEST:
            return False
        value = json.loads(base64.b64decode(payload, validate=True))
        wanted, salt, number, signature = (value[key] for key in ("challenge", "salt", "number", "signature"))
    except (binascii.Error, ValueError, KeyError, TypeError, RecursionError):
        return False
    if not (_HEX.fullmatch(str(wanted)) and _HEX.fullmatch(str(signature)) and _NUMBER.fullmatch(str(number))):
        return False
    ends = _SALT.fullmatch(str(salt))
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    if ends is None or not any(_equal(signature, _signature(wanted, key)) for key in keys):
        return False
    until = datetime.fromtimestamp(int(ends[1]), UTC)
    if not now <= until <= now + PROOF_LIFE or not _equal(wanted, _hash(salt, int(number))):
        return False
    return _spend(wanted, until)


def form(*, now: datetime) -> str:
    """A token for a form that is shown now. Pages that caches keep carry none: theirs comes by a script."""
    return tokens.issue(Scope.FORM, secrets.randbits(64), now=now)


def accept_form(token: str, *, now: datetime) -> bool:
    """Whether this form was shown some seconds ago, not an hour, and is sent for the first time. It is used up."""
    try:
        opened = tokens.opened(token, Scope.FORM, now=now)
    except TokenError:
        return False
    if now - opened.issued_at < YOUNGEST:
        return False
    return _spend(f"form {opened.value:x}", opened.issued_at + timedelta(hours=1))


def forget(*, now: datetime) -> None:
    """Delete what would not be accepted any more."""
    Spent.objects.filter(until__lt=now).delete()


def _spend(key: str, until: datetime) -> bool:
    try:
        with transaction.atomic():
            Spent.objects.create(key=key, until=until)
    except IntegrityError:
        return False
    return True


def _hash(salt: str, number: int) -> str:
    return hashlib.sha256(f"{salt}{number}".encode()).hexdigest()


def _signature(wanted: str, key: str) -> str:
    return hmac.new(b"paperboy proof " + key.encode(), wanted.encode(), hashlib.sha256).hexdigest()


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
