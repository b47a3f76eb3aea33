"""The list of addresses that are not to be mailed, kept by hash: it beats every import and outlives the address."""

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from django.conf import settings

from subscriptions import mime
from subscriptions.models import Suppression

Cause = Suppression.Cause
#: Causes that the owner of the mailbox can end, by asking again and confirming from it.
MENDABLE = frozenset({Cause.COMPLAINED, Cause.SUSPENDED})


def add(email: str, cause: str, *, detail: str, now: datetime) -> None:
    """Put an address on the list. The first cause stays, unless the new one is harder to mend."""
    row, is_new = Suppression.objects.get_or_create(
        address_hash=_hashes(email)[0], defaults={"cause": cause, "detail": detail[:300], "at": now}
    )
    if not is_new and row.cause in MENDABLE and cause not in MENDABLE:
        Suppression.objects.filter(pk=row.pk).update(cause=cause, detail=detail[:300], at=now)


def find(email: str) -> Suppression | None:
    return Suppression.objects.filter(address_hash__in=_hashes(email)).order_by("pk").first()


def among(emails: Iterable[str]) -> set[str]:
    """Those of some addresses that are on the list."""
    by_hash: dict[str, set[str]] = defaultdict(set)
    for email in emails:
        for digest in _hashes(email):
            by_hash[digest].add(email)
    rows = Suppression.objects.filter(address_hash__in=by_hash)
    return {email for digest in rows.values_list("address_hash", flat=True) for email in by_hash[digest]}


def lift(email: str) -> None:
    """Take an address off the list."""
    Suppression.objects.filter(address_hash__in=_hashes(email)).delete()


def forget_words(email: str) -> None:
    """Keep that an address is on the list, and nothing that was said of it."""
    Suppression.objects.filter(address_hash__in=_hashes(email)).update(detail="")


def _hashes(email: str) -> list[str]:
    """By today's key first, then by the older ones."""
    address = mime.ascii_domain(email.strip().casefold()).encode()
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [hmac.new(b"paperboy suppression " + key.encode(), address, hashlib.sha256).hexdigest() for key in keys]
