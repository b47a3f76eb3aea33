"""Sending what is queued: claim a batch, hand each letter over once, settle it with what was answered."""

import random
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef

from digest.letter import Press
from digest.models import Delivery
from subscriptions import mail
from subscriptions.mail import Outcome, Verdict
from subscriptions.models import Subscriber

BATCH = 50
LEASE = timedelta(minutes=3)
#: Waits after a definite "not now"; a quarter more or less each, so that letters do not come back together.
WAITS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4))
#: How long everything is left alone when the mail server would not talk to us.
TROUBLE_WAIT = timedelta(minutes=1)
CHANGED = ["status", "reason", "next_try_at", "settled_at", "attempts", "claimed_by", "lease_until", "transport"]
LEFT = "unsubscribed, paused or suppressed before it was sent"
Status = Delivery.Status


@dataclass(frozen=True, slots=True)
class Sent:
    """How a run of sending ended: rows by their new status, and why it stopped early, if it did."""

    counts: Counter[str]
    trouble: str = ""


def send_due(
    *, clock: Callable[[], datetime], today: date, limit: int | None = None,
    progress: Callable[[int], object] = lambda count: None,
) -> Sent:  # fmt: skip
    """Send all that is due, batch by batch, until nothing is, `limit` rows are done, or the mail server refuses us."""
    counts: Counter[str] = Counter()
    worker = uuid.uuid4().hex
    presses: dict[int, Press] = {}
    with mail.Post() as post:
        while limit is None or sum(counts.values()) < limit:
            claimed = claim(worker, now=clock(), today=today)
            if not claimed:
                return Sent(counts)
            for edition in {row.edition_id: row.edition for row in claimed}.values():
                if edition.pk not in presses:
                    presses[edition.pk] = Press(edition)
                presses[edition.pk].prepare(row for row in claimed if row.edition_id == edition.pk)
            for row in claimed:
                trouble = _send(row, presses[row.edition_id], post, clock=clock, today=today)
                counts[row.status] += 1
                progress(1)
                if trouble:
                    release(worker, now=clock(), reason=trouble)
                    return Sent(counts, trouble)
    return Sent(counts)


@transaction.atomic
def claim(worker: str, *, now: datetime, today: date) -> list[Delivery]:
    """Lease a batch of due rows to a worker. Whoever left since it was queued is excluded here, unsent."""
    due = Delivery.objects.due(now).order_by("next_try_at", "pk")
    if connection.features.has_select_for_update_skip_locked:
        due = due.select_for_update(skip_locked=True, of=("self",))
    while keys := list(due.values_list("pk", flat=True)[:BATCH]):
        rows = Delivery.objects.filter(pk__in=keys)
        rows.exclude(_consents(today)).update(status=Status.EXCLUDED, reason=LEFT, settled_at=now)
        rows.filter(_consents(today)).update(
            status=Status.CLAIMED, claimed_by=worker, lease_until=now + LEASE, attempts=F("attempts") + 1
        )
        mine = Delivery.objects.filter(pk__in=keys, status=Status.CLAIMED, claimed_by=worker)
        if claimed := list(mine.select_related("subscriber", "edition").order_by("next_try_at", "pk")):
            return claimed
    return []


def release(worker: str, *, now: datetime, reason: str) -> int:
    """Give back what a worker holds and has not begun to send; the attempt does not count."""
    return Delivery.objects.filter(status=Status.CLAIMED, claimed_by=worker).update(
        status=Status.QUEUED,
        claimed_by="",
        lease_until=None,
        attempts=F("attempts") - 1,
        next_try_at=now + TROUBLE_WAIT,
        reason=reason[:500],
    )


def sweep(*, now: datetime) -> Counter[str]:
    """Settle what a dead worker left: rows not begun are queued again, rows being handed over are uncertain."""
    expired = Delivery.objects.expired(now)
    again = expired.filter(status=Status.CLAIMED).update(status=Status.QUEUED, claimed_by="", lease_until=None)
    lost = expired.filter(status=Status.SENDING).update(
        status=Status.UNCERTAIN,
        reason="the worker ended while handing it over",
        settled_at=now,
        claimed_by="",
        lease_until=None,
    )
    return Counter({Status.QUEUED: again, Status.UNCERTAIN: lost})


def _send(row: Delivery, press: Press, post: mail.Post, *, clock: Callable[[], datetime], today: date) -> str:
    """Send one claimed row and settle it; returns why the run must stop, or ""."""
    if not _begin(row, now=clock(), today=today):
        row.refresh_from_db(fields=["status"])
        return ""
    assert row.subscriber is not None
    try:
        letter = press.write(row, row.subscriber)
    except (LookupError, TypeError, ValueError) as error:
        verdict = Verdict(Outcome.FAILED, f"The letter could not be written: {type(error).__name__}: {error}")
    else:
        verdict = post.send(letter)
    _settle(row, verdict, transport=post.name, now=clock())
    return verdict.reason if verdict.outcome is Outcome.TROUBLE else ""


def _begin(row: Delivery, *, now: datetime, today: date) -> bool:
    """Commit that this row is being handed over, if its lease and its reader's consent still hold."""
    mine = Delivery.objects.filter(pk=row.pk, status=Status.CLAIMED, claimed_by=row.claimed_by)
    if mine.filter(_consents(today)).update(status=Status.SENDING, lease_until=now + LEASE):
        return True
    mine.update(
        status=Status.EXCLUDED,
        reason=LEFT,
        settled_at=now,
        claimed_by="",
        lease_until=None,
    )
    return False


def _settle(row: Delivery, verdict: Verdict, *, transport: str, now: datetime) -> None:
    """Write the verdict, unless the row is no longer ours."""
    holder = row.claimed_by
    row.transport, row.claimed_by, row.lease_until = transport, "", None
    row.reason = verdict.reason[:500]
    if verdict.outcome is Outcome.DEFERRED and row.attempts <= len(WAITS):
        row.status = Status.DEFERRED
        wait = max(WAITS[row.attempts - 1].total_seconds(), verdict.retry_after or 0)
        row.next_try_at = now + timedelta(seconds=wait * random.uniform(0.75, 1.25))  # noqa: S311
    elif verdict.outcome is Outcome.TROUBLE:
        row.status, row.attempts, row.next_try_at = Status.QUEUED, row.attempts - 1, now + TROUBLE_WAIT
    else:
        final = {Outcome.SENT: Status.SENT, Outcome.UNCERTAIN: Status.UNCERTAIN}
        row.status, row.settled_at = final.get(verdict.outcome, Status.FAILED), now
    changes = {name: getattr(row, name) for name in CHANGED}
    Delivery.objects.filter(pk=row.pk, status=Status.SENDING, claimed_by=holder).update(**changes)


def _consents(today: date) -> Exists:
    return Exists(Subscriber.objects.readable(today).filter(pk=OuterRef("subscriber")))
