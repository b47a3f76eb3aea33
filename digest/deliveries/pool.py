"""One worker's letters: from the batches it holds to the carrier, and from the carrier's verdicts to the ledger."""

from collections import Counter, deque
from collections.abc import Callable, Collection
from datetime import date, datetime, timedelta
from typing import TypeVar

from django.conf import settings
from django.db import DatabaseError

from digest.deliveries import ledger, report
from digest.deliveries.held import Held
from digest.deliveries.journal import Journal
from digest.letter import Press, Presses
from digest.taken import Taken
from subscriptions.mail import Job, Outcome, Unwritable, Verdict

#: Letters taken at a time: as many as leave in about SLICE_TIME, so that who unsubscribes meanwhile gets none.
SMALLEST, LARGEST = 10, 500
SLICE_TIME = timedelta(seconds=0.25)
#: A letter taken longer ago is not begun before its reader's consent was looked at again.
FRESH = timedelta(seconds=0.5)
#: Seconds after its moment at which a letter with a limit gets a new one.
LATE = 0.05
#: Verdicts are committed this often, or when so many have come.
SETTLE_EVERY, SETTLE_COUNT = timedelta(seconds=0.2), 400
#: How often a worker asks whether its runs are paused, and prolongs its leases.
LOOK_EVERY, RENEW_EVERY = timedelta(seconds=1), timedelta(seconds=30)
#: Letters between two moments at which everything is settled and the journal begun anew.
JOURNAL = 20_000
#: Refusals of us in a row, each of one letter, after which it is the sending that is stopped.
REFUSALS = 12

Value = TypeVar("Value")


class Pool:
    """Letters of a worker, as a carrier wants them (`subscriptions.mail.Jobs`)."""

    patience = 0.1

    def __init__(
        self, worker: str, journal: Journal, *, transport: str, clock: Callable[[], datetime], today: date,
        is_probe: bool = False, limit: int | None = None, until: datetime | None = None,
        is_stopping: Callable[[], bool] = lambda: False, progress: Callable[[int], object] = lambda count: None,
        presses: Presses | None = None,
    ) -> None:  # fmt: skip
        self.presses = presses or Presses()
        self.worker, self.journal, self.transport = worker, journal, transport
        self.clock, self.today, self.limit, self.until = clock, today, limit, until
        self.is_stopping, self.progress = is_stopping, progress
        #: Whether one letter goes alone first, to see how the way is.
        self.is_probe = is_probe
        self.counts: Counter[str] = Counter()
        #: Why the sending stopped: what the mail server refused, or did not do.
        self.trouble: Verdict | None = None
        self.refusals = 0
        self.broken: DatabaseError | None = None
        self._held = Held(worker, clock=clock)
        self._ready: deque[tuple[datetime, Taken]] = deque()
        #: Those that the limit of their domain holds back for a moment; they wait apart, and nobody waits behind them.
        self._timed: deque[tuple[datetime, Taken]] = deque()
        self._back: deque[tuple[Job, Taken]] = deque()
        self._out: dict[int, Taken] = {}
        self._verdicts: list[tuple[Taken, Verdict]] = []
        self._presses: dict[tuple[int, str], Press] = {}  # those of the letters that are ready
        self._slice, self._given, self._since_clear = SMALLEST, 0, 0
        now = clock()
        self._sliced_at = self._taken_at = self._refilled_at = now
        self._settled_at = self._looked_at = self._renewed_at = now

    # What a carrier asks -------------------------------------------------------------------------------------------

    def next(self) -> Job | float | None:
        while True:
            if self.trouble or self.broken or self.is_stopping():
                return None
            if (self.is_probe or self._since_clear >= JOURNAL) and self._out:
                return self.patience
            if not (self._ready or self._timed or self._back):
                pause = self._guarded(self._refill)
                if pause != 0:
                    return pause
                continue
            now = self.clock()
            if now - self._taken_at > FRESH:
                self._guarded(self._look_again)
                continue
            if self._back:
                job, row = self._back.popleft()
                self._out[job.key] = row
                return job
            is_timed = not self._ready or (self._timed and self._timed[0][0] <= now)
            first = self._timed if is_timed else self._ready
            wait = (first[0][0] - now).total_seconds()
            if wait > 0 and self._may_overtake(now):
                self._guarded(self._refill)
                continue
            if wait > 0:
                return min(wait, FRESH.total_seconds())
            if wait < -LATE and (settings.DIGEST_MAIL_RATE or is_timed):
                self._guarded(self._postpone)
                continue
            _, row = first.popleft()
            if (written := self._write(row)) is not None:
                self._out[row.delivery] = row
                return written

    def begin(self, job: Job) -> None:
        self.journal.begin(self._out[job.key])

    def done(self, job: Job, verdict: Verdict) -> None:
        row = self._out.pop(job.key)
        self.journal.answer(row, verdict)
        self._verdicts.append((row, verdict))
        self._since_clear += 1
        if verdict.outcome is Outcome.SENT:
            self.refusals, self.is_probe = 0, False
        elif verdict.is_refusal_of_us:
            self.refusals += 1
        if verdict.outcome is Outcome.TROUBLE or self.refusals >= REFUSALS:
            self.trouble = verdict

    def put_back(self, job: Job) -> None:
        self._back.append((job, self._out.pop(job.key)))

    def tick(self) -> None:
        if not self.broken:
            self._guarded(self._tick)

    def finish(self) -> None:
        """Settle everything and give back what was not begun; the carrier has stopped.

        Raises the DatabaseError that stopped it: then the journal is left to be settled when the database is back.
        """
        if self.broken:
            raise self.broken
        now = self.clock()
        self._settle(now)
        assert not self._out
        ledger.untake(self._waiting(), worker=self.worker, now=now)
        self._held.release_all()
        self._ready.clear()
        self._timed.clear()
        self._back.clear()

    def _guarded(self, act: Callable[[], Value]) -> Value | None:
        """Without the database no letter is begun any more; those under way are heard, and the journal has them."""
        try:
            return act()
        except DatabaseError as error:
            self.broken = error
            return None

    def _tick(self) -> None:
        now = self.clock()
        if len(self._verdicts) >= SETTLE_COUNT or now - self._settled_at >= SETTLE_EVERY:
            self._settle(now)
        if not timedelta(0) <= now - self._looked_at < LOOK_EVERY:
            self._look(now)

    # Taking --------------------------------------------------------------------------------------------------------

    def _refill(self) -> float | None:
        """Take the next letters. Returns 0 where there are some, else the seconds until there may be, or None."""
        now = self.clock()
        self._refilled_at, self._held.is_free_left = now, False
        if (self.limit is not None and self._given >= self.limit) or (self.until and now >= self.until):
            return None
        self._fit_slice(now)
        self._held.claim(self._slice, now=now)
        most = self._slice if self.limit is None else min(self._slice, self.limit - self._given)
        chosen = self._held.choose(most)
        if not chosen:
            return self.patience if self._held.is_waiting else None
        moments = {row.delivery: moment for moment, row in chosen}
        taken = ledger.take([row for _, row in chosen], worker=self.worker, now=now, today=self.today)
        self._held.taken(taken)
        for press, first in {row.press: row for row in taken}.items():
            self._presses[press] = self.presses.of(first, now=now)
            self._presses[press].prepare(row.sections for row in taken if row.press == press)
        if not self._waiting():
            self._taken_at = now
        limits = {} if settings.DIGEST_MAIL_RATE else settings.DIGEST_MAIL_DOMAIN_RATES
        for row in taken:
            queue = self._timed if limits and row.domain in limits else self._ready
            queue.append((moments[row.delivery], row))
        self._given += len(taken)
        self._sliced_at = now
        gone = len(chosen) - len(taken)
        self.counts[ledger.Status.EXCLUDED] += gone
        self.progress(gone)
        return 0.0

    def _postpone(self) -> None:
        """The moments that were reserved are over: all at once, these letters would break their limits."""
        queues = [self._ready, self._timed] if settings.DIGEST_MAIL_RATE else [self._timed]
        for queue in queues:
            rows = [row for _, row in queue]
            queue.clear()
            queue.extend(self._held.again(rows))

    def _may_overtake(self, now: datetime) -> bool:
        """Whether there may be letters that need not wait for those that a limit holds back."""
        if settings.DIGEST_MAIL_RATE:
            return False
        return self._held.is_free_left or now - self._refilled_at >= timedelta(seconds=self.patience)

    def _waiting(self) -> list[Taken]:
        """Letters taken and not with the carrier."""
        return [*(row for _, row in self._ready), *(row for _, row in self._timed), *(row for _, row in self._back)]

    def _look_again(self) -> None:
        """Whoever left since their letter was taken gets none, however slow the way is."""
        self._taken_at = now = self.clock()
        if not timedelta(0) <= now - self._looked_at < LOOK_EVERY:  # it slept, and its batches may be another's
            self._look(now)
        rows = self._waiting()
        gone = ledger.exclude_leavers([row.delivery for row in rows], now=now, today=self.today)
        self._drop([row for row in rows if row.delivery in gone])

    def _drop(self, rows: Collection[Taken]) -> None:
        """These are not ours to send any more."""
        gone = {row.delivery for row in rows}
        self._held.settled(rows)
        self._ready = deque(pair for pair in self._ready if pair[1].delivery not in gone)
        self._timed = deque(pair for pair in self._timed if pair[1].delivery not in gone)
        self._back = deque(pair for pair in self._back if pair[1].delivery not in gone)

    def _fit_slice(self, now: datetime) -> None:
        took = now - self._sliced_at
        if took < SLICE_TIME:
            self._slice = min(LARGEST, self._slice * 2)
        elif took > 2 * SLICE_TIME:
            self._slice = max(SMALLEST, self._slice // 2)

    # Writing and settling ------------------------------------------------------------------------------------------

    def _write(self, row: Taken) -> Job | None:
        """The letter; one that cannot be written fails alone."""
        try:
            letter = self._presses[row.press].write(row)
            return Job(row.delivery, letter, letter.as_bytes(now=self.clock()))
        except (Unwritable, LookupError, TypeError, ValueError) as error:
            reason = f"The letter could not be written: {type(error).__name__}: {error}"
            self._verdicts.append((row, Verdict(Outcome.FAILED, reason)))
            return None

    def _settle(self, now: datetime) -> None:
        self._settled_at = now
        verdicts, self._verdicts = self._verdicts, []
        if verdicts:
            self.counts += ledger.settle(verdicts, worker=self.worker, transport=self.transport, now=now)
            report.hear_answers(verdicts, attempts=len(ledger.WAITS), now=now)
            self.progress(len(verdicts))
            self._held.settled(row for row, _ in verdicts)
        if not self._out and self._since_clear:
            self.journal.clear()
            self._since_clear = 0
        self._held.release_empty()

    def _look(self, now: datetime) -> None:
        """Let go of batches whose run was paused, or that somebody took for dead."""
        self._looked_at = now
        if not self._held.batches:
            return
        going = ledger.going(self.worker)
        if abs(now - self._renewed_at) >= RENEW_EVERY:
            ledger.renew(self.worker, now=now)
            self._renewed_at = now
        lost = self._held.batches - going
        if lost:
            self._held.forget(lost)
            back = [row for row in self._waiting() if row.batch in lost]
            ledger.untake(back, worker=self.worker, now=now)
            self._drop(back)
        self._held.release_empty()
