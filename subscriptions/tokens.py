"""Signed links: each for one scope, each for as long as that scope allows.

A token is its values and an HMAC-SHA256 over scope and values, keyed by SECRET_KEY; keys in SECRET_KEY_FALLBACKS are
accepted too, so that links in old letters outlive a rotation. Signatures are compared in constant time.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from django.conf import settings
from django.core import signing


class Scope(StrEnum):
    CONFIRM = "confirm"
    #: Ends all letters, or one topic.
    UNSUBSCRIBE = "unsubscribe"
    #: A mailbox agrees to a change of address.
    MOVE_FROM = "move from"
    MOVE_TO = "move to"
    #: A form that was shown; the value is a random number.
    FORM = "form"
    #: May have a manage link sent to its own address; stands in every letter, so it opens nothing itself.
    LINK = "link"
    MANAGE = "manage"
    #: Export, erase, change the address: as short-lived as the mailed link it comes from.
    ACCOUNT = "account"
    #: What an opened manage page works with.
    SESSION = "session"
    #: Says more or less of a paper; stands in every letter.
    FEEDBACK = "feedback"
    #: Shows one letter again; the value is the delivery's.
    LETTER = "letter"
    #: A reader's topics as a feed, for as long as letters come too.
    FEED = "feed"


#: How long a link of a scope works; unsubscribing works for as long as letters exist.
LIFE: dict[Scope, timedelta | None] = {
    Scope.CONFIRM: timedelta(hours=72),
    Scope.UNSUBSCRIBE: None,
    Scope.MOVE_FROM: timedelta(hours=72),
    Scope.MOVE_TO: timedelta(hours=72),
    Scope.FORM: timedelta(hours=1),
    Scope.LINK: None,
    Scope.MANAGE: timedelta(minutes=15),
    Scope.ACCOUNT: timedelta(minutes=15),
    Scope.SESSION: timedelta(hours=2),
    Scope.FEEDBACK: None,
    Scope.LETTER: None,
    Scope.FEED: None,
}
LONGEST = 200
#: A token in other text.
PATTERN = re.compile(r"(?a)\b[0-9a-f]{1,16}\.[0-9a-f]{1,12}\.[\w-]{43}(?![\w-])")


class TokenError(ValueError):
    """A token that is wrong, of another scope or too old; the three look alike on purpose."""


class TooOld(TokenError):
    """A genuine token of the right scope whose time is over."""

    def __init__(self, value: int) -> None:
        super().__init__("This link does not work any more.")
        self.value = value


@dataclass(frozen=True, slots=True)
class Opened:
    value: int
    issued_at: datetime


def issue(scope: Scope, value: int, *, now: datetime) -> str:
    """A token for one row's primary key."""
    plain = f"{value:x}.{int(now.timestamp()):x}"
    mac = _keyed(settings.SECRET_KEY, scope).copy()
    mac.update(plain.encode())
    return f"{plain}.{signing.b64_encode(mac.digest()).decode()}"


@lru_cache(maxsize=32)
def _keyed(key: str, scope: Scope) -> hmac.HMAC:
    """The signature of Django's Signer, begun: letters need three each, and making the key anew is most of the work."""
    derived = hashlib.sha256(f"paperboy.{scope}signer".encode() + key.encode()).digest()
    return hmac.new(derived, digestmod=hashlib.sha256)


def read(token: str, scope: Scope, *, now: datetime) -> int:
    """The primary key a token was issued for. Raises TooOld for a genuine one, TokenError for any other."""
    return opened(token, scope, now=now).value


def opened(token: str, scope: Scope, *, now: datetime) -> Opened:
    """What a token holds. Raises as `read` does."""
    try:
        if len(token) > LONGEST:
            raise TokenError
        value, issued = _signer(scope).unsign(token).split(".")
        found = Opened(int(value, 16), datetime.fromtimestamp(int(issued, 16), UTC))
    except (signing.BadSignature, ValueError) as error:
        raise TokenError("This link does not work any more.") from error
    life = LIFE[scope]
    if life is not None and now - found.issued_at > life:
        raise TooOld(found.value)
    return found


def _signer(scope: Scope) -> signing.Signer:
    return signing.Signer(salt=f"paperboy.{scope}", sep=".")
