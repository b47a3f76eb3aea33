"""What a worker holds and has not begun: its batches, and which of their letters may leave when."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, KeysView, Sequence
from datetime import datetime, timedelta

from django.conf import settings

from digest.deliveries import ledger, rates
from digest.taken import Taken

#: Batches held at once; more than one only while letters of the first may not leave yet.
MOST = 20
#: How long batches are left for later whose letters a limit holds back.
PARKED = timedelta(seconds=20)


class Held:
    """Batches leased to a worker, each with its letters that wait.

    A batch stays until all its letters are settled: `taken` and `settled` count those that are under way.
    """

    def __init__(self, worker: str, *, clock: Callable[[], datetime]) -> None:
        self.worker, self.clock = worker, clock
        self._rows: dict[int, deque[Taken]] = {}
        self._unsettled: Counter[int] = Counter()
        #: Whether letters are left that no limit holds back.
        self.is_free_left = False

    @property
    def is_waiting(self) -> bool:
        return any(self._rows.values())

    @property
    def batches(self) -> KeysView[int]:
        return self._rows.keys()

    def claim(self, count: int, *, now: datetime) -> None:
        """Hold more batches until `count` letters may leave, or nothing is due any more."""
        while self._free() < count:
            if len(self._rows) >= MOST and not self._free():
                self._park(now)
            if len(self._rows) >= MOST or (batch := ledger.claim(self.worker, now=now)) is None:
                return
            self._rows[batch.pk] = deque(ledger.waiting(batch, now=now))
            self.release_empty()

    def choose(self, most: int) -> list[tuple[datetime, Taken]]:
        """Letters that may leave within the next half second, `most` of them, and when each may, in order of time."""
        rate, now = settings.DIGEST_MAIL_RATE, self.clock()
        if not rate:
            limited = self._limited(most, now, now + rates.AHEAD)
            rows = [*((now, row) for row in self._unlimited(most - len(limited))), *limited]
            self.is_free_left = self._free() > 0
            return rows
        most = min(most, int(rate * rates.AHEAD.total_seconds()) + 1, sum(map(len, self._rows.values())))
        moments = rates.reserve("mail", most, rate, clock=self.clock)
        if not moments:
            return []
        step = timedelta(seconds=1 / rate)
        limited = self._limited(len(moments), moments[0], moments[-1])
        free = self._unlimited(len(moments))
        rows = []
        for moment in moments:
            if limited and (not free or limited[0][0] < moment + step):
                slot, row = limited.pop(0)
                rows.append((max(moment, slot), row))
            elif free:
                rows.append((moment, free.pop(0)))
        for row in reversed([*(row for _, row in limited), *free]):
            self._rows[row.batch].appendleft(row)
        return sorted(rows, key=_moment)

    def again(self, rows: Sequence[Taken]) -> list[tuple[datetime, Taken]]:
        """New moments for letters that were not begun at theirs, in order of time."""
        rate, limits = settings.DIGEST_MAIL_RATE, settings.DIGEST_MAIL_DOMAIN_RATES
        if not rows:
            return []
        moments = {row.delivery: self.clock() for row in rows}
        if rate:
            moments = dict(zip(moments, self._reserve_all("mail", len(rows), rate), strict=True))
        domains: dict[str, list[Taken]] = {}
        for row in rows:
            if row.domain in limits:
                domains.setdefault(row.domain, []).append(row)
        for domain, some in domains.items():
            slots = self._reserve_all(f"mail {domain}", len(some), limits[domain])
            moments |= {row.delivery: max(moments[row.delivery], slot) for row, slot in zip(some, slots, strict=True)}
        return sorted(((moments[row.delivery], row) for row in rows), key=_moment)

    def _reserve_all(self, name: str, count: int, rate: float) -> list[datetime]:
        far = self.clock() + rates.LONGEST + timedelta(seconds=(count + 1) / rate)
        return rates.reserve(name, count, rate, clock=self.clock, until=far)

    def taken(self, rows: Iterable[Taken]) -> None:
        self._unsettled.update(row.batch for row in rows)

    def settled(self, rows: Iterable[Taken]) -> None:
        self._unsettled.subtract(row.batch for row in rows)

    def forget(self, batches: Iterable[int]) -> None:
        """Letters of these batches that wait are not ours to take any more."""
        for batch in batches:
            self._rows[batch].clear()

    def release_empty(self) -> None:
        """Give back the batches of which every letter was settled."""
        self._release([batch for batch, rows in self._rows.items() if not rows and not self._unsettled[batch]])

    def release_all(self) -> None:
        self._release(list(self._rows))

    def _park(self, now: datetime) -> None:
        """Leave batches for later of which only letters are left that a limit holds back."""
        idle = [batch for batch in list(self._rows)[: MOST // 2] if not self._unsettled[batch]]
        self._release(idle, not_before=now + PARKED)

    def _release(self, batches: Sequence[int], *, not_before: datetime | None = None) -> None:
        if batches:
            ledger.release(batches, self.worker, now=self.clock(), not_before=not_before)
            for batch in batches:
                del self._rows[batch]

    def _limited(self, most: int, since: datetime, until: datetime) -> list[tuple[datetime, Taken]]:
        """Letters to domains with a limit of their own, with the moments reserved for them, in order of time."""
        limits = settings.DIGEST_MAIL_DOMAIN_RATES
        waiting: dict[str, list[Taken]] = {}
        for row in self._all() if limits else ():
            if row.domain in limits:
                waiting.setdefault(row.domain, []).append(row)
        rows: list[tuple[datetime, Taken]] = []
        for domain, some in waiting.items():
            count = min(len(some), most - len(rows))
            slots = rates.reserve(
                f"mail {domain}", count, limits[domain], clock=self.clock, since=since, until=until
            )  # fmt: skip
            rows += zip(slots, some, strict=False)
        for _, row in rows:
            self._rows[row.batch].remove(row)
        return sorted(rows, key=_moment)

    def _free(self) -> int:
        """How many letters are held that no limit of a domain holds back."""
        limits = settings.DIGEST_MAIL_DOMAIN_RATES
        if not limits:
            return sum(map(len, self._rows.values()))
        return sum(row.domain not in limits for row in self._all())

    def _unlimited(self, most: int) -> list[Taken]:
        limits = settings.DIGEST_MAIL_DOMAIN_RATES
        rows: list[Taken] = []
        for queue in self._rows.values():
            stay: list[Taken] = []
            while queue and len(rows) < most:
                row = queue.popleft()
                (stay if limits and row.domain in limits else rows).append(row)
            queue.extendleft(reversed(stay))
        return rows

    def _all(self) -> Iterator[Taken]:
        for queue in self._rows.values():
            yield from queue


def _moment(pair: tuple[datetime, Taken]) -> datetime:
    return pair[0]
