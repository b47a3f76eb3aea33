"""A run, the letters of one edition: how it goes, and a person's hand on it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Max, Min, Q, QuerySet, Sum

from digest import alarms
from digest.deliveries import ledger
from digest.deliveries.ledger import Status
from digest.models import Batch, Delivery, DeliveryEvent, Edition, Run

State = Run.State
#: Letters settled within this long say how fast a run is going.
RECENT = timedelta(minutes=2)
MOST_REASONS = 12
CHUNK = 1_000


class NotPossible(Exception):
    """A wish that the state of a run does not allow. The message says why."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands. `rate` is letters a minute, lately; `done_at` an honest guess, None where there is none."""

    candidates: int
    counts: dict[str, int]
    reasons: list[tuple[str, str, int]]
    waiting_until: datetime | None
    rate: float
    done_at: datetime | None

    @property
    def waiting(self) -> int:
        return sum(self.counts.get(status, 0) for status in (Status.QUEUED, Status.DEFERRED, Status.SENDING))

    @property
    def settled(self) -> int:
        return self.candidates - self.waiting


def of(edition: Edition, *, now: datetime) -> Run:
    return Run.objects.get_or_create(edition=edition, defaults={"changed_at": now})[0]


def progress(run: Run, *, now: datetime) -> Progress:
    rows = Delivery.objects.filter(batch__run=run).order_by()
    counts = dict(rows.values_list("status").annotate(Count("pk")))
    reasons = rows.exclude(reason="").values_list("status", "reason").annotate(number=Count("pk"))
    batches = Batch.objects.filter(run=run)
    candidates = batches.aggregate(size=Sum("size"))["size"] or 0
    later = rows.filter(status__in=[Status.QUEUED, Status.DEFERRED])
    bounds = later.aggregate(first=Min("next_try_at"), last=Max("next_try_at"))
    recent = rows.filter(status=Status.SENT, settled_at__gt=now - RECENT).count()
    rate = recent / RECENT.total_seconds() * 60
    done_at = None
    due = later.filter(next_try_at__lte=now).count()
    if run.state == State.GOING and (rate or not due) and bounds["last"]:
        at_this_rate = now + timedelta(minutes=due / rate) if due else now
        done_at = max(at_this_rate, bounds["last"])
    return Progress(
        candidates,
        counts,
        [(status, reason, number) for status, reason, number in reasons.order_by("-number", "reason")[:MOST_REASONS]],
        bounds["first"] if bounds["first"] and bounds["first"] > now else None,
        rate,
        done_at,
    )


@transaction.atomic
def change(run: Run, state: str, *, by: str, now: datetime, reason: str = "") -> Run:
    """Pause, resume or cancel. Workers notice within a second; what is being handed over at that moment is finished.

    Raises NotPossible for a run that was cancelled.
    """
    run = Run.objects.select_for_update().get(pk=run.pk)
    if run.state == State.CANCELLED and state != State.CANCELLED:
        raise NotPossible(f"The {run} were cancelled and cannot be resumed.")
    run.state, run.reason, run.changed_by, run.changed_at = state, reason[:500], by, now
    if state == State.GOING:
        run.claimed_at = now  # somebody has looked: its letters count as taken up again
    run.save()
    if state == State.CANCELLED:
        batches = Batch.objects.filter(run=run)
        ledger.lock(batches.values_list("pk", flat=True), "")
        batches.update(next_try_at=None)
        waiting = Delivery.objects.waiting().filter(batch__run=run)
        waiting.update(status=Status.EXCLUDED, reason=ledger.cancelled_by(by), settled_at=now)
    if state == State.GOING:
        alarms.clear_alarm(_alarm(run), by=by)
    return run


def pause(run: Run, *, by: str, now: datetime) -> Run:
    return change(run, State.PAUSED, by=by, now=now, reason="paused by hand")


def resume(run: Run, *, by: str, now: datetime) -> Run:
    return change(run, State.GOING, by=by, now=now)


def cancel(run: Run, *, by: str, now: datetime) -> Run:
    return change(run, State.CANCELLED, by=by, now=now, reason="cancelled by hand")


def stop_all(reason: str, *, now: datetime) -> int:
    """We are refused: every run that still has letters waits for a person."""
    owing = Batch.objects.filter(next_try_at__isnull=False).values("run")
    stopped = list(Run.objects.select_for_update().filter(state=State.GOING, pk__in=owing).select_related("edition"))
    for run in stopped:
        change(run, State.STOPPED, by="clock", now=now, reason=reason)
        alarms.raise_alarm(_alarm(run), f"The {run} are stopped, because we are refused: {reason}", now=now)
    return len(stopped)


@transaction.atomic
def stop_stale(*, now: datetime) -> int:
    """Letters that nobody has taken up for DIGEST_RESUME_HOURS wait for a person.

    A database restored from a backup says of letters that have left since that they wait, and nothing in it tells.
    """
    then = now - timedelta(hours=settings.DIGEST_RESUME_HOURS)
    overdue = Batch.objects.due(now).filter(next_try_at__lte=then, created_at__lte=then).values("run")
    rows = Run.objects.select_for_update(of=("self",)).filter(Q(claimed_at=None) | Q(claimed_at__lte=then))
    stale = list(rows.filter(state=State.GOING, pk__in=overdue).select_related("edition").order_by("pk"))
    for run in stale:
        why = f"nobody has sent any for {settings.DIGEST_RESUME_HOURS} hours"
        change(run, State.STOPPED, by="clock", now=now, reason=why)
        alarms.raise_alarm(
            _alarm(run),
            f"The {run} are stopped, because {why}. If the database was restored from a backup, some have left "
            "already: look into the mail server's log, then resume them or cancel them.",
            now=now,
        )
    return len(stale)


def retry(run: Run, *, by: str, now: datetime) -> int:
    """Try failed letters again, and deferred ones at once; for those that are not sent for certain."""
    rows = Delivery.objects.filter(status__in=[Status.FAILED, Status.DEFERRED])
    return _again(run, rows, by=by, now=now, detail="tried again")


def resend_uncertain(run: Run, *, by: str, now: datetime) -> int:
    """Send what may have arrived already a second time, as a person has decided."""
    rows = Delivery.objects.filter(status=Status.UNCERTAIN)
    return _again(run, rows, by=by, now=now, detail="sent again though it may have arrived")


@transaction.atomic
def settle_uncertain(run: Run, *, arrived: bool, by: str, now: datetime) -> int:
    """Write down what a person has found out, in the relay's log perhaps."""
    rows = Delivery.objects.filter(batch__run=run, status=Status.UNCERTAIN).order_by("pk")
    keys = list(rows.select_for_update(of=("self",)).values_list("pk", flat=True))
    status, word = (Status.SENT, "arrived") if arrived else (Status.FAILED, "did not arrive")
    _note(keys, by=by, now=now, detail=word)
    return Delivery.objects.filter(pk__among=keys).update(
        status=status, reason=f"{word}, said {by}"[:500], settled_at=now
    )


@transaction.atomic
def _again(run: Run, rows: QuerySet[Delivery], *, by: str, now: datetime, detail: str) -> int:
    """Which letters they are is asked again when they are locked: one may be on its way or settled meanwhile."""
    rows = rows.filter(subscriber__isnull=False).order_by("pk")
    batches = set(rows.filter(batch__run=run).values_list("batch", flat=True))
    ledger.reopen(batches, now=now)
    if Run.objects.filter(pk=run.pk, state=State.CANCELLED).exists():
        raise NotPossible(f"The {run} were cancelled.")
    keys = list(rows.filter(batch__among=batches).select_for_update().values_list("pk", flat=True))
    _note(keys, by=by, now=now, detail=detail)
    Delivery.objects.filter(pk__among=keys).update(status=Status.QUEUED, next_try_at=now, attempts=0, settled_at=None)
    return len(keys)


def _note(keys: Iterable[int], *, by: str, now: datetime, detail: str) -> None:
    DeliveryEvent.objects.bulk_create(
        [
            DeliveryEvent(delivery_id=key, kind=DeliveryEvent.Kind.BY_HAND, at=now, service=by[:32],
                          event_id=f"{key} {now.timestamp()}", detail=detail,
                          verdict=DeliveryEvent.Verdict.APPLIED)
            for key in keys
        ],
        batch_size=CHUNK,
    )  # fmt: skip


def reckon(*, since: datetime, now: datetime) -> list[str]:
    """Whether every candidate is accounted for, batch by batch; an alarm for each run where one is not."""
    found: list[str] = []
    for run in Run.objects.filter(batches__created_at__gte=since).select_related("edition").distinct().order_by("pk"):
        wrong = _discrepancies(run)
        if wrong:
            text = f"The {run} do not add up: {'; '.join(wrong[:5])}"
            alarms.raise_alarm(f"reckoning {run.edition}", text, now=now)
            found.append(text)
        else:
            alarms.clear_alarm(f"reckoning {run.edition}")
    return found


def _discrepancies(run: Run) -> list[str]:
    there: dict[int, Counter[str]] = {}
    rows = Delivery.objects.filter(batch__run=run).order_by()
    for batch, status, number in rows.values_list("batch", "status").annotate(Count("pk")):
        there.setdefault(batch, Counter())[status] += number
    wrong = []
    for batch in Batch.objects.filter(run=run).order_by("pk"):
        counts = there.get(batch.pk, Counter())
        if counts.total() != batch.size:
            wrong.append(f"batch {batch.pk} was {batch.size} letters and is {counts.total()}")
        if counts[Status.SENDING] and not batch.claimed_by:
            wrong.append(f"batch {batch.pk} has {counts[Status.SENDING]} letters being handed over by nobody")
        if (counts[Status.QUEUED] or counts[Status.DEFERRED]) and batch.next_try_at is None and not batch.claimed_by:
            wrong.append(f"batch {batch.pk} has letters waiting for nothing")
    return wrong


def _alarm(run: Run) -> str:
    return f"run {run.edition}"
