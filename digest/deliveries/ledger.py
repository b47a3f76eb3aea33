"""The ledger in bulk: rows written, claimed, taken and settled by the hundred, in one statement or two each.

A delivery changes hands by its batch. Whoever holds the batch's lease takes its letters, some at a time: taking commits
that they are being handed over and checks, in the same statement, that their readers still want them.

Who changes which letters wait locks their batches first and the letters after, always in this order: so a batch that
changes hands and a worker that does not know it yet never pass each other by.
"""

import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Exists, F, Min, OuterRef, Q

from digest.models import Batch, Delivery, Run
from digest.taken import COLUMNS, Sections, Taken
from subscriptions.mail import Outcome, Verdict
from subscriptions.models import Subscriber

#: Deliveries of a batch.
SIZE = 500
LEASE = timedelta(minutes=3)
#: Waits after a definite "not now"; a quarter more or less each, so that letters do not come back together.
WAITS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4))
LEFT = "unsubscribed, paused or suppressed before it was sent"
Status = Delivery.Status


class Owed(NamedTuple):
    """What differs between the rows of one batch."""

    subscriber: int
    email: str
    sections: Sections
    papers_count: int
    excluded_because: str


def write(rows: Sequence[Owed], *, run: Run, day: date, due_at: datetime, now: datetime) -> Counter[str]:
    """Write the rows of one run and day in batches of SIZE; part of the caller's transaction."""
    counts: Counter[str] = Counter()
    for at in range(0, len(rows), SIZE):
        some = rows[at : at + SIZE]
        excluded = sum(1 for row in some if row.excluded_because)
        waits = due_at if excluded < len(some) else None
        batch = Batch.objects.create(run=run, size=len(some), next_try_at=waits, created_at=now)
        _insert(some, batch=batch, edition=run.edition_id, day=day, due_at=due_at, now=now)
        counts += Counter({Status.QUEUED: len(some) - excluded, Status.EXCLUDED: excluded})
    return counts


_VARYING = ("subscriber_id", "email", "sections", "papers_count", "status", "reason", "settled_at")
_FIXED = ("batch_id", "edition_id", "day", "due_at", "next_try_at", "created_at", "attempts", "transport", "reference")


def _insert(
    rows: Sequence[Owed], *, batch: Batch, edition: int, day: date, due_at: datetime, now: datetime
) -> None:  # fmt: skip
    """By COPY on PostgreSQL, some five times as fast as INSERT; by one prepared statement elsewhere."""
    fixed = _prepared(batch_id=batch.pk, edition_id=edition, day=day, due_at=due_at, next_try_at=due_at, created_at=now,
                      attempts=0, transport="", reference="")  # fmt: skip
    (settled,) = _prepared(settled_at=now)
    dumps = json.JSONEncoder(separators=(",", ":")).encode
    values = [
        (
            row.subscriber,
            row.email,
            dumps(row.sections),
            row.papers_count,
            "excluded" if row.excluded_because else "queued",
            row.excluded_because,
            settled if row.excluded_because else None,
        )
        for row in rows
    ]
    names = ", ".join([*_VARYING, *_FIXED])
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            end = "\t".join(map(_copied, fixed))
            with cursor.copy(f"COPY digest_delivery ({names}) FROM STDIN") as copy:
                copy.write("".join(["\t".join([*map(_copied, value), end]) + "\n" for value in values]))
        else:
            marks = ", ".join(["%s"] * (len(_VARYING) + len(_FIXED)))
            rows_of_values = [(*value, *fixed) for value in values]
            cursor.executemany(f"INSERT INTO digest_delivery ({names}) VALUES ({marks})", rows_of_values)  # noqa: S608


def _copied(value: Any) -> str:
    """A value in the text format of PostgreSQL's COPY."""
    if value is None:
        return "\\N"
    text = str(value)
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _prepared(**values: Any) -> list[Any]:
    """Values as this database stores them."""
    fields = {field.attname: field for field in Delivery._meta.concrete_fields}
    return [fields[name].get_db_prep_save(value, connection) for name, value in values.items()]


def claim(worker: str, *, now: datetime) -> Batch | None:
    """Lease the batch that has waited longest to a worker."""
    batch = _claim(worker, now=now)
    if batch is not None:  # apart: who changes a run locks it before its batches
        Run.objects.filter(pk=batch.run_id).update(claimed_at=now)
    return batch


@transaction.atomic
def _claim(worker: str, *, now: datetime) -> Batch | None:
    due = Batch.objects.due(now).order_by("next_try_at", "pk")
    if connection.features.has_select_for_update_skip_locked:
        due = due.select_for_update(skip_locked=True, of=("self",))
    batch = due.first()
    if batch is None:
        return None
    batch.claimed_by, batch.lease_until = worker, now + LEASE
    batch.save(update_fields=["claimed_by", "lease_until"])
    return batch


@transaction.atomic
def renew(worker: str, *, now: datetime) -> None:
    held = lock(Batch.objects.filter(claimed_by=worker).values_list("pk", flat=True), worker)
    Batch.objects.filter(pk__among=held).update(lease_until=now + LEASE)


def going(worker: str) -> set[int]:
    """The batches that a worker still holds and whose letters may leave."""
    held = Batch.objects.filter(claimed_by=worker, run__state=Run.State.GOING)
    return set(held.values_list("pk", flat=True))


def waiting(batch: Batch, *, now: datetime) -> list[Taken]:
    """The letters of a held batch that are due, in order."""
    rows = Delivery.objects.waiting().filter(batch=batch, next_try_at__lte=now).order_by("next_try_at", "pk")
    # All of a batch were created with it, and reading a moment for each takes a while.
    return [Taken._make((*row, batch.created_at)) for row in rows.values_list(*COLUMNS[:-1])]


@transaction.atomic
def take(rows: Sequence[Taken], *, worker: str, now: datetime, today: date) -> list[Taken]:
    """Commit that these letters are being handed over. Whoever left since they were queued is excluded, unsent.

    Letters of batches that are another's by now, as this worker slept through its lease, are left alone.
    """
    mine = lock({row.batch for row in rows}, worker)
    keys = [row.delivery for row in rows if row.batch in mine]
    wanted = Delivery.objects.waiting().filter(pk__among=keys)
    count = wanted.filter(_consents(today)).update(status=Status.SENDING, attempts=F("attempts") + 1)
    if count < len(keys):
        wanted.update(status=Status.EXCLUDED, reason=LEFT, settled_at=now)
    taken = Delivery.objects.filter(pk__among=keys, status=Status.SENDING)
    attempts = dict(taken.values_list("pk", "attempts"))
    return [row._replace(attempts=attempts[row.delivery]) for row in rows if row.delivery in attempts]


def lock(batches: Iterable[int], worker: str) -> set[int]:
    """Hold these batches until the transaction ends; returns those that are this worker's."""
    rows = Batch.objects.filter(pk__among=list(batches)).order_by("pk").select_for_update()
    return {batch for batch, holder in rows.values_list("pk", "claimed_by") if holder == worker}


def exclude_leavers(deliveries: Sequence[int], *, now: datetime, today: date) -> set[int]:
    """Exclude those of these taken letters whose readers have left; returns them."""
    mine = Delivery.objects.filter(pk__among=deliveries, status=Status.SENDING)
    if not mine.exclude(_consents(today)).update(status=Status.EXCLUDED, reason=LEFT, settled_at=now):
        return set()
    return set(deliveries) - set(mine.values_list("pk", flat=True))


def settle(
    verdicts: Sequence[tuple[Taken, Verdict]], *, worker: str, transport: str, now: datetime
) -> Counter[str]:  # fmt: skip
    """Write what was answered. A row that was given up as uncertain meanwhile takes the better knowledge."""
    counts: Counter[str] = Counter()
    plain = [row.delivery for row, verdict in verdicts if _is_plain(verdict)]
    if plain:
        _open(plain).update(status=Status.SENT, reason="", settled_at=now, transport=transport)
        counts[Status.SENT] += len(plain)
    changes = [
        (row.batch, _settled(row, verdict, transport=transport, now=now))
        for row, verdict in verdicts
        if not _is_plain(verdict)
    ]
    if changes:
        _settle(changes, worker=worker, now=now)
        counts.update(str(change.status) for _, change in changes)
    return counts


@transaction.atomic
def _settle(changes: Sequence[tuple[int, Delivery]], *, worker: str, now: datetime) -> None:
    waiting = {batch for batch, change in changes if change.status in _WAITING}
    final = {change.pk for _, change in changes if change.status not in _WAITING}
    mine = lock(waiting, worker)
    rows = _open(change.pk for _, change in changes)
    there = set(rows.filter(_is_ours(mine) | Q(pk__among=final)).values_list("pk", flat=True))
    Delivery.objects.bulk_update([change for _, change in changes if change.pk in there], _SETTLED, batch_size=100)
    reopen(waiting, now=now)


_WAITING = (Status.QUEUED, Status.DEFERRED)
_SETTLED = ["status", "reason", "settled_at", "transport", "reference", "next_try_at", "attempts"]


def _is_plain(verdict: Verdict) -> bool:
    return verdict.outcome is Outcome.SENT and not verdict.reference


def _is_ours(mine: Iterable[int]) -> Q:
    """Letters that may wait again: of a batch that is another's by now, those that were given up, which nobody has."""
    return Q(batch__among=mine) | Q(status=Status.UNCERTAIN)


def _open(keys: Iterable[int]) -> Any:
    return Delivery.objects.filter(pk__among=keys, status__in=[Status.SENDING, Status.UNCERTAIN])


def _settled(row: Taken, verdict: Verdict, *, transport: str, now: datetime) -> Delivery:
    """The columns of a row that a verdict changes."""
    change = Delivery(pk=row.delivery, reason=verdict.reason[:500], settled_at=None, transport=transport,
                      reference=verdict.reference[:200], next_try_at=now, attempts=row.attempts)  # fmt: skip
    if verdict.outcome is Outcome.DEFERRED and row.attempts <= len(WAITS):
        change.status = Status.DEFERRED
        wait = max(WAITS[row.attempts - 1].total_seconds(), verdict.retry_after or 0)
        change.next_try_at = now + timedelta(seconds=wait * random.uniform(0.75, 1.25))  # noqa: S311
    elif verdict.outcome is Outcome.TROUBLE:
        change.status, change.attempts = Status.QUEUED, row.attempts - 1
    else:
        final = {Outcome.SENT: Status.SENT, Outcome.UNCERTAIN: Status.UNCERTAIN}
        change.status, change.settled_at = final.get(verdict.outcome, Status.FAILED), now
    return change


@transaction.atomic
def untake(rows: Iterable[Taken], *, worker: str, now: datetime) -> int:
    """Put letters back that were taken and never begun; the attempt does not count."""
    batches = {row.delivery: row.batch for row in rows}
    mine = lock(batches.values(), worker)
    back = _open(batches).filter(_is_ours(mine))
    count = back.update(status=Status.QUEUED, attempts=F("attempts") - 1, reason="", settled_at=None)
    reopen(batches.values(), now=now)
    return int(count)


def give_up(deliveries: Iterable[int], *, reason: str, now: datetime) -> int:
    """Nobody can tell what became of these."""
    rows = Delivery.objects.filter(pk__among=deliveries, status=Status.SENDING)
    return rows.update(status=Status.UNCERTAIN, reason=reason, settled_at=now)


@transaction.atomic
def release(
    batches: Iterable[int], worker: str, *, now: datetime, not_before: datetime | None = None
) -> None:  # fmt: skip
    """Give batches back. Each is due again when the first of its letters is, and `not_before` at the earliest."""
    mine = lock(batches, worker)
    _exclude_cancelled(mine, now=now)
    for batch in Batch.objects.filter(pk__among=mine):
        first = Delivery.objects.waiting().filter(batch=batch).aggregate(first=Min("next_try_at"))["first"]
        batch.next_try_at = max(filter(None, [first, not_before])) if first else None
        batch.claimed_by, batch.lease_until = "", None
        batch.save(update_fields=["next_try_at", "claimed_by", "lease_until"])


@transaction.atomic
def reopen(batches: Iterable[int], *, now: datetime) -> None:
    """Letters of these batches wait again. Who holds one finds out when giving it back; of the others, nobody else
    would look after them."""
    free = lock(batches, "")
    _exclude_cancelled(free, now=now)
    Batch.objects.filter(pk__among=free).update(next_try_at=now)


def _exclude_cancelled(batches: Iterable[int], *, now: datetime) -> None:
    """Letters that were under way when their run was cancelled do not wait for another try. The batches are locked."""
    for batch in Batch.objects.filter(pk__among=batches, run__state=Run.State.CANCELLED).select_related("run"):
        waiting = Delivery.objects.waiting().filter(batch=batch)
        waiting.update(status=Status.EXCLUDED, reason=cancelled_by(batch.run.changed_by), settled_at=now)


def cancelled_by(who: str) -> str:
    return f"cancelled by {who}"[:500]


def _consents(today: date) -> Exists:
    return Exists(Subscriber.objects.readable(today).filter(pk=OuterRef("subscriber")))
