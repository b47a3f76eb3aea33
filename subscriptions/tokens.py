"""Signed links: each for one scope, each for as long as that scope allows.

A token is its values and an HMAC-SHA256 over scope and values, keyed by SECRET_KEY; keys in SECRET_KEY_FALLBACKS are
accepted too, so that links in old letters outlive a rotation. Signatures are compared in constant time.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from django.core import signing


class Scope(StrEnum):
    CONFIRM = "confirm"
    UNSUBSCRIBE = "unsubscribe"
    #: May have a manage link sent to its own address; stands in every letter, so it opens nothing itself.
    LINK = "link"
    MANAGE = "manage"
    #: What an opened manage page works with.
    SESSION = "session"


#: How long a link of a scope works; unsubscribing works for as long as letters exist.
LIFE: dict[Scope, timedelta | None] = {
    Scope.CONFIRM: timedelta(hours=72),
    Scope.UNSUBSCRIBE: None,
    Scope.LINK: None,
    Scope.MANAGE: timedelta(minutes=15),
    Scope.SESSION: timedelta(hours=2),
}
LONGEST = 200


class TokenError(ValueError):
    """A token that is wrong, of another scope or too old; the three look alike on purpose."""


def issue(scope: Scope, value: int, *, now: datetime) -> str:
    """A token for one row's primary key."""
    return _signer(scope).sign(f"{value:x}.{int(now.timestamp()):x}")


def read(token: str, scope: Scope, *, now: datetime) -> int:
    """The primary key a token was issued for. Raises TokenError."""
    try:
        if len(token) > LONGEST:
            raise TokenError
        value, issued = _signer(scope).unsign(token).split(".")
        issued_at = datetime.fromtimestamp(int(issued, 16), UTC)
        life = LIFE[scope]
        if life is not None and now - issued_at > life:
            raise TokenError
        return int(value, 16)
    except (signing.BadSignature, ValueError) as error:
        raise TokenError("This link does not work any more.") from error


def _signer(scope: Scope) -> signing.Signer:
    return signing.Signer(salt=f"paperboy.{scope}", sep=".")
