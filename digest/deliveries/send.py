"""Sending what is due: one worker, its journal, and the way that is open."""

import logging
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import transaction

from digest import alarms
from digest.deliveries import garbage, runs
from digest.deliveries.journal import Journal
from digest.deliveries.ledger import Status
from digest.deliveries.pool import Pool
from digest.deliveries.sweep import recover
from digest.letter import Presses
from digest.models import Batch, Carriage
from subscriptions import mail
from subscriptions.mail import Outcome, Transport, Verdict

logger = logging.getLogger(__name__)

#: Seconds that a way is left alone after it was down for the first, second, … time in a row.
RESTS = (10, 20, 30, 30, 60, 60, 120, 120, 300)
#: Times in a row that a way may be down before somebody is told.
TOLD_AFTER = 3
#: Tries in a row that ended with a refusal of us, by password, sender or policy, after which a person has to look.
STOPPED_AFTER = 3


@dataclass(frozen=True, slots=True)
class Sent:
    """How a run of sending ended: letters by what became of them, and why it stopped early, if it did."""

    counts: Counter[str]
    trouble: str = ""


def send_due(
    *, clock: Callable[[], datetime], today: date, limit: int | None = None, seconds: float | None = None,
    is_stopping: Callable[[], bool] = lambda: False, progress: Callable[[int], object] = lambda count: None,
    presses: Presses | None = None,
) -> Sent:  # fmt: skip
    """Send all that is due, until nothing is, `limit` letters or `seconds` are over, or no way is open.

    `presses` keep what they rendered from call to call.
    """
    recover(now=clock())
    runs.stop_stale(now=clock())
    counts: Counter[str] = Counter()
    if not Batch.objects.due(clock()).exists():  # often others were quicker, and getting ready takes a while
        return Sent(counts)
    until = clock() + timedelta(seconds=seconds) if seconds else None
    trouble = ""
    for transport in mail.transports():
        carriage, _ = Carriage.objects.get_or_create(name=transport.name)
        if _rests(carriage, now=clock()):
            trouble = (
                trouble or f"{transport.name} is left alone until {carriage.rest_until:%H:%M:%S} UTC: {carriage.reason}"
            )
            continue
        pool = _run(
            transport, clock=clock, today=today, is_probe=bool(carriage.failures), until=until,
            limit=None if limit is None else limit - (counts.total() - counts[Status.QUEUED]),
            is_stopping=is_stopping, progress=progress, presses=presses,
        )  # fmt: skip
        counts += pool.counts
        if pool.trouble is None:
            if carriage.failures and counts:
                _is_open_again(transport)
            return Sent(counts)
        trouble = pool.trouble.reason
        _is_down(transport, pool.trouble, now=clock())
    return Sent(counts, trouble)


def ways_are_open(*, now: datetime) -> bool:
    """Whether any way of sending is not to be left alone now."""
    rows = Carriage.objects.in_bulk([transport.name for transport in mail.transports()])
    return len(rows) < len(mail.transports()) or any(not _rests(row, now=now) for row in rows.values())


def _run(
    transport: Transport, *, clock: Callable[[], datetime], today: date, is_probe: bool, until: datetime | None,
    limit: int | None, is_stopping: Callable[[], bool], progress: Callable[[int], object], presses: Presses | None,
) -> Pool:  # fmt: skip
    worker = uuid.uuid4().hex
    journal = Journal(settings.DIGEST_JOURNAL_DIR, worker, transport.name)
    try:
        pool = Pool(worker, journal, transport=transport.name, clock=clock, today=today, is_probe=is_probe, until=until,
                    limit=limit, is_stopping=is_stopping, progress=progress, presses=presses)  # fmt: skip
        with transport.carrier() as carrier, garbage.left_alone():
            carrier.run(pool)
        pool.finish()
        journal.remove()
    finally:
        journal.close()  # what it still holds is settled by whoever finds it next
    return pool


def _rests(carriage: Carriage, *, now: datetime) -> bool:
    """A rest longer than any we call for was written by a clock that has been set back since."""
    until = carriage.rest_until
    return until is not None and now < until <= now + timedelta(seconds=2 * RESTS[-1])


@transaction.atomic
def _is_down(transport: Transport, verdict: Verdict, *, now: datetime) -> None:
    row = Carriage.objects.select_for_update().get(name=transport.name)
    row.failures += 1
    if not verdict.is_refusal_of_us:
        row.refusals = 0
    elif verdict.outcome is Outcome.TROUBLE:
        row.refusals += 1
    else:  # letter after letter was refused: that has been tried often enough
        row.refusals = STOPPED_AFTER
    # A refusal is soon told from an accident, and each try is one letter more that the server saw refused.
    rest = RESTS[0] if verdict.is_refusal_of_us else RESTS[min(row.failures, len(RESTS)) - 1]
    row.rest_until = now + timedelta(seconds=rest)
    row.reason = verdict.reason[:500]
    row.save()
    logger.warning("%s is down: %s", transport.name, verdict.reason)
    if row.refusals >= STOPPED_AFTER:
        alarms.raise_alarm(f"way {transport.name}", f"{transport.name} refuses us: {verdict.reason}", now=now)
        if transport == mail.transports()[-1]:
            runs.stop_all(verdict.reason, now=now)
            row.refusals = 0  # whoever resumes has mended something
            row.save(update_fields=["refusals"])
    elif row.failures >= TOLD_AFTER:
        alarms.raise_alarm(f"way {transport.name}", f"{transport.name} is down: {verdict.reason}", now=now)


def _is_open_again(transport: Transport) -> None:
    Carriage.objects.filter(name=transport.name).update(failures=0, refusals=0, rest_until=None, reason="")
    alarms.clear_alarm(f"way {transport.name}")
