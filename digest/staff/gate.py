"""How often anybody may try to sign in: by account and by network, for passwords and codes together.

Whoever tries takes a ticket first, so that tries at the same time cannot all pass. Names are counted whether or not
there is such an account, so that a refusal tells nothing of it.
"""

import hashlib
import logging
import unicodedata
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from digest.models import Stamp, Try
from subscriptions import callers

logger = logging.getLogger(__name__)
#: Tries of an account, or from an address, in a while.
MOST, WHILE = 10, timedelta(minutes=15)
#: From this try on, each waits twice as long as the one before: 2, 4, 8 … seconds.
PATIENCE = 3


class Refused(Exception):
    """Too many tries. `seconds` says how long to wait; the right password would have been refused too."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many tries. Try again in {_spoken(seconds)}.")
        self.seconds = seconds


def enter(account: str, address: str | None, *, now: datetime) -> tuple[Try, bool]:
    """A ticket for one try, and whether it is the last for a while. Raises Refused, which counts as no try."""
    with transaction.atomic():
        _one_at_a_time()
        Try.objects.filter(at__lte=now - WHILE).delete()
        ticket = Try(account=_hashed(account), network=callers.household(address), at=now)
        counts = [_wait(rows, now) for rows in (_of_account(ticket), _of_network(ticket))]
        if wait := max(seconds for seconds, _ in counts):
            raise Refused(wait)
        ticket.save()
    last = any(tries + 1 == MOST for _, tries in counts)
    if last:
        logger.warning("Sign-in is locked for %s after %s tries; the last came from %s", WHILE, MOST, ticket.network)
    return ticket, last


def passed(ticket: Try) -> None:
    """The try was right; others that were wrong still count."""
    ticket.delete()


def forget(account: str, address: str | None) -> None:
    """Somebody has signed in: their own slips from there count no more."""
    Try.objects.filter(account=_hashed(account), network=callers.household(address)).delete()


def unlock(account: str) -> int:
    """Let an account try again at once."""
    return Try.objects.filter(account=_hashed(account)).delete()[0]


def _of_account(ticket: Try) -> QuerySet[Try]:
    return Try.objects.filter(account=ticket.account)


def _of_network(ticket: Try) -> QuerySet[Try]:
    return Try.objects.filter(network=ticket.network)


def _wait(rows: QuerySet[Try], now: datetime) -> tuple[int, int]:
    """Seconds until the next try, and the tries that count."""
    times = list(rows.order_by("-at", "-pk").values_list("at", flat=True)[:MOST])
    if len(times) >= MOST:
        until = times[-1] + WHILE
    elif len(times) >= PATIENCE:
        until = times[0] + timedelta(seconds=2 ** (len(times) - PATIENCE + 1))
    else:
        until = now
    left = (until - now).total_seconds()
    return (max(1, round(left + 0.5)) if left > 0 else 0), len(times)


def _one_at_a_time() -> None:
    """Hold the others back until this transaction ends: two counts at once would both miss the other's try."""
    Stamp.objects.bulk_create([Stamp(name="sign-in")], ignore_conflicts=True)
    Stamp.objects.select_for_update().get(name="sign-in")


def _hashed(account: str) -> str:
    """Not the name itself: people type passwords there. Alike as Django compares names, and in any case."""
    name = unicodedata.normalize("NFKC", account).strip().casefold()
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()


def _spoken(seconds: int) -> str:
    minutes = -(-seconds // 60)
    return f"{seconds} seconds" if seconds < 60 else "a minute" if minutes == 1 else f"{minutes} minutes"
