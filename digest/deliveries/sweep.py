"""What a dead worker left: settled from its journal where that is at hand, given up as uncertain where it is not."""

from collections import Counter
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from digest.deliveries import journal, ledger
from digest.deliveries.journal import Remains
from digest.deliveries.ledger import Status
from digest.models import Batch, Delivery, DeliveryEvent
from digest.taken import COLUMNS, Taken

#: Letters of erased readers that one tick looks after.
FORGET = 10_000
ERASED = "its reader is erased"
NOBODY_KNOWS = "the worker ended while handing it over"


def recover(*, now: datetime) -> Counter[str]:
    """Settle what dead workers of this machine have written down."""
    counts: Counter[str] = Counter()

    def settle(remains: Remains) -> None:
        counts.update(_settle(remains, now=now))

    if settings.DIGEST_JOURNAL_DIR.is_dir():
        journal.recover(settings.DIGEST_JOURNAL_DIR, settle)
    return counts


def sweep(*, now: datetime) -> Counter[str]:
    """Recover, and give up on workers elsewhere whose leases ran out: what they had taken is uncertain."""
    counts = recover(now=now)
    for batch in Batch.objects.held().filter(lease_until__lte=now).order_by("pk"):
        if not journal.is_alive(settings.DIGEST_JOURNAL_DIR, batch.claimed_by):
            counts += _abandon(batch.pk, batch.claimed_by, now=now)
    return counts


def forget() -> int:
    """Take addresses, topics and what was said of them out of settled letters whose readers are erased.

    The rows stay, for the reckoning. Returns how many there were.
    """
    settled = [Status.SENT, Status.FAILED, Status.UNCERTAIN, Status.EXCLUDED]
    gone = Delivery.objects.filter(subscriber=None, status__in=settled).exclude(email="")
    keys = list(gone.values_list("pk", flat=True)[:FORGET])
    with transaction.atomic():
        DeliveryEvent.objects.filter(delivery__among=keys).update(email="", detail="")
        rows = Delivery.objects.filter(pk__among=keys)
        rows.exclude(reason="").update(reason=ERASED)
        rows.update(email="", sections=[])
    return len(keys)


@transaction.atomic
def _abandon(batch: int, worker: str, *, now: datetime) -> Counter[str]:
    ledger.lock([batch], worker)
    if not Batch.objects.filter(pk=batch, claimed_by=worker, lease_until__lte=now).exists():
        return Counter()  # it came back meanwhile
    sending = Delivery.objects.filter(batch=batch, status=Status.SENDING).values_list("pk", flat=True)
    lost = ledger.give_up(list(sending), reason=NOBODY_KNOWS, now=now)
    ledger.release([batch], worker, now=now)
    return Counter({Status.UNCERTAIN: lost})


@transaction.atomic
def _settle(remains: Remains, *, now: datetime) -> Counter[str]:
    """Letters answered are settled so; those begun without an answer are uncertain; the others were never begun."""
    batches = Batch.objects.filter(claimed_by=remains.worker).values_list("pk", flat=True)
    held = ledger.lock(batches, remains.worker)
    keys = {delivery for delivery, _ in remains.begun}
    given_up = Delivery.objects.filter(pk__among=keys, status=Status.UNCERTAIN)
    sending = Delivery.objects.filter(batch__among=held, status=Status.SENDING)
    rows = {row.delivery: row for row in [*_taken(given_up), *_taken(sending)]}
    answered = [
        (row, remains.answered[row.delivery, row.attempts])
        for row in rows.values()
        if (row.delivery, row.attempts) in remains.answered
    ]
    counts = ledger.settle(answered, worker=remains.worker, transport=remains.transport, now=now)
    told = {row.delivery for row, _ in answered}
    silent = [row for row in rows.values() if row.delivery not in told and row.batch in held]
    begun = {row.delivery for row in silent if (row.delivery, row.attempts) in remains.begun or not remains.is_whole}
    counts[Status.UNCERTAIN] += ledger.give_up(begun, reason=NOBODY_KNOWS, now=now)
    back = [row for row in silent if row.delivery not in begun]
    counts[Status.QUEUED] += ledger.untake(back, worker=remains.worker, now=now)
    ledger.release(held, remains.worker, now=now)
    return counts


def _taken(rows: QuerySet[Delivery]) -> list[Taken]:
    return [Taken(*row) for row in rows.values_list(*COLUMNS)]
