"""Who is owed a digest now, and which: one Delivery row for each, written before anything is sent."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

import numpy as np
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from numpy.typing import NDArray

from digest import compose, feedback, schedule
from digest.deliveries import garbage, ledger, runs
from digest.documents import Points, documents
from digest.models import Announce, Delivery, Edition, Pace, Paper, Placement, Readership, Run
from digest.schedule import Due, Habit
from subscriptions.matching import Matcher, Matches
from subscriptions.models import Subscriber, Subscription
from subscriptions.query import Query, QueryError, parse

#: Subscribers composed and written at a time; bounds memory and the length of a transaction. The first blocks are
#: smaller, each twice the one before, so that sending begins at once.
FIRST_BLOCK, BLOCK = 500, 5_000
#: An edition that was missed and is published late still reaches readers for this many days.
LATE_DAYS = 3
#: One published longer than this after a reader's hour waits for the reader's next letter: readers far east of the
#: editions' zone would otherwise get every letter in their afternoon.
WAIT = timedelta(hours=4)
_KINDS = ((True, True), (True, False), (False, True), (False, False))


@dataclass(frozen=True, slots=True)
class Queued:
    """What a run wrote: letters queued, and readers without one, by reason."""

    queued: int = 0
    excluded: int = 0


def queue(
    *, now: datetime, today: date, by_hand: bool = False, progress: Callable[[int], object] = lambda count: None
) -> Queued:
    """Queue a digest for everyone who is due. Doing it again queues nothing twice.

    `by_hand` takes `today` as everybody's day, whatever their hour, as the command does for a day of the past.
    """
    counts: Counter[str] = Counter()
    with garbage.left_alone():
        for (due, editions), habits in _due(now=now, today=today, by_hand=by_hand).items():
            run: _Run | None = None  # dear to make, and mostly nobody is waiting for it
            for block in _blocks(habits, due, editions[-1], today=today):
                run = run or _Run(due, editions, now=now)
                counts += run.write(block)
                progress(len(block))
    return Queued(counts[Delivery.Status.QUEUED], counts[Delivery.Status.EXCLUDED])


_Group = tuple[Due, tuple[Edition, ...]]


def _due(*, now: datetime, today: date, by_hand: bool) -> dict[_Group, list[Habit]]:
    """The habits that are due, by the letter they lead to; a few dozen however many subscribers there are."""
    rows = Subscriber.objects.readable(today).order_by()
    habits = [Habit(*row) for row in rows.values_list("cadence", "send_days", "send_hour", "time_zone").distinct()]
    recent = Edition.objects.published().filter(date__gte=today - timedelta(days=40))
    published = list(recent.exclude(run__state=Run.State.CANCELLED).order_by("date"))
    groups: dict[_Group, list[Habit]] = defaultdict(list)
    for habit in sorted(habits, key=str):
        if by_hand:
            due = schedule.on(habit, today) if schedule.sends_on(habit, today) else None
        else:
            due = schedule.due(habit, now)
        if due and (editions := tuple(_editions(published, due, late=not by_hand))):
            moment = now if by_hand else due.at
            groups[Due(due.day, moment, due.since, due.since_at if not by_hand else now), editions].append(habit)
    return groups


def _editions(published: list[Edition], due: Due, *, late: bool) -> Iterator[Edition]:
    """The editions since the letter before, and those of the days before it that were published only after it."""
    for edition in published:
        assert edition.published_at is not None
        new = edition.date > due.since
        if late:
            missed = edition.date > due.since - timedelta(days=LATE_DAYS) and edition.published_at > due.since_at
            new = (new or missed) and edition.published_at <= due.at + WAIT
        if new and edition.date <= due.day:
            yield edition


def _blocks(habits: list[Habit], due: Due, newest: Edition, *, today: date) -> Iterator[list[int]]:
    """Primary keys of those who are due and have no delivery yet, in order."""
    wanted = Q()
    zones: dict[tuple[str, int, int], list[str]] = defaultdict(list)
    for habit in habits:
        zones[habit.cadence, habit.days, habit.hour].append(habit.zone)
    for (cadence, days, hour), names in zones.items():
        wanted |= Q(cadence=cadence, send_days=days, send_hour=hour, time_zone__in=names)
    there = Delivery.objects.filter(Q(day=due.day) | Q(edition=newest), subscriber=OuterRef("pk"))
    waiting = Subscriber.objects.readable(today).filter(wanted, ~Exists(there)).order_by("pk")
    last, size = 0, FIRST_BLOCK
    while block := list(waiting.filter(pk__gt=last).values_list("pk", flat=True)[:size]):
        yield block
        last, size = block[-1], min(BLOCK, 2 * size)


class _Reader(NamedTuple):
    """What composing needs to know of a subscriber: rows come by the thousand, so no model is made of them."""

    pk: int
    email: str
    max_papers: int
    min_votes: int
    wants_trending: bool
    wants_cross_lists: bool
    wants_replacements: bool
    wants_empty: bool


class _Run:
    """The candidates of one letter day, asked by block after block of subscribers."""

    def __init__(self, due: Due, editions: tuple[Edition, ...], *, now: datetime) -> None:
        self.due, self.edition, self.now = due, editions[-1], now
        self.run = runs.of(self.edition, now=now)
        announce = _candidates(editions)
        self.papers = list(announce)
        rows = _in_bulk(self.papers)
        self.matcher = Matcher(documents(rows[key] for key in self.papers))
        self.points = Points()
        self.tastes = feedback.Tastes([paper.vector for paper in self.matcher.papers])
        self.votes = np.array([rows[key].votes or 0 for key in self.papers], np.int32)
        self.visible = _visible([announce[key] for key in self.papers])
        #: query text → row of the matches, None for one that cannot be read
        self.rows: dict[str, int | None] = {}
        self.matches = Matches.none()

    @transaction.atomic
    def write(self, block: list[int]) -> Counter[str]:
        """Compose and store the deliveries of a block of subscribers, all or none."""
        # One run composes at a time: another could otherwise choose a paper that this one is about to give.
        Pace.objects.get_or_create(name="queue", defaults={"free_at": self.now})
        Pace.objects.select_for_update().get(name="queue")
        there = set(_delivered(block, self.due.day, self.edition))
        subscribers = [row for row in _subscribers(block) if row.pk not in there]
        digests = self._compose(subscribers)
        owed = [_owed(row, digest) for row, digest in zip(subscribers, digests, strict=True)]
        counts = ledger.write(owed, run=self.run, day=self.due.day, due_at=self.due.at, now=self.now)
        self._remember(subscribers, digests)
        return counts

    def _compose(self, subscribers: list[_Reader]) -> list[compose.Digest]:
        number = {row.pk: at for at, row in enumerate(subscribers)}
        topics = self._topics(list(number))
        readers = compose.Readers(
            most=np.array([row.max_papers for row in subscribers], np.int32),
            votes=np.array([row.min_votes for row in subscribers], np.int32),
            trending=np.array([row.wants_trending for row in subscribers], np.bool_),
            kind=np.array(
                [_KINDS.index((row.wants_cross_lists, row.wants_replacements)) for row in subscribers], np.int8
            ),
            reader=np.array([number[topic[0]] for topic in topics], np.int32),
            query=np.array([topic[3] for topic in topics], np.int32),
            cap=np.array([topic[4] for topic in topics], np.int32),
        )
        choice = compose.choose(
            readers,
            compose.Candidates(visible=self.visible, votes=self.votes),
            self.matches,
            self._sent(np.array(list(number), np.int64)),
            self.tastes.of(list(number)),
        )
        return compose.digests(
            choice,
            len(subscribers),
            labels=[topic[1] for topic in topics],
            queries=[topic[2] for topic in topics],
            papers=self.papers,
        )

    def _topics(self, keys: list[int]) -> list[tuple[int, str, str, int, int]]:
        """(subscriber, label, query, row of the matches, cap), ordered by subscriber and position."""
        rows = Subscription.objects.filter(_among("subscriber", keys), is_muted=False)
        rows = rows.order_by("subscriber", "position", "pk")
        here = set(keys)
        topics = [row for row in rows.values_list("subscriber_id", "label", "query", "max_papers") if row[0] in here]
        self._evaluate({query for _, _, query, _ in topics} - self.rows.keys())
        return [
            (subscriber, label, query, row, cap or compose.NO_CAP)
            for subscriber, label, query, cap in topics
            if (row := self.rows[query]) is not None
        ]

    def _evaluate(self, texts: set[str]) -> None:
        """Read and match the queries that no block had before. What was stored and cannot be read finds nothing."""
        queries: list[Query] = []
        first = len(self.matches.starts) - 1
        for text in sorted(texts):
            try:
                queries.append(parse(text))
                self.rows[text] = first + len(queries) - 1
            except QueryError:
                self.rows[text] = None
        self.matches += compose.best_first(self.matcher.match(self.points.all_resolved(queries)), len(self.papers))

    def _sent(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """reader × P + paper for every candidate that one of these subscribers was given before; sorted."""
        place = {key: at for at, key in enumerate(self.papers)}
        found = []
        for at in range(0, len(self.papers), 500):
            rows = Readership.objects.of(self.papers[at : at + 500]).values_list("paper_id", "subscribers")
            rows = rows.exclude(day=self.due.day)  # whoever stands there has this day's letter, and gets no other
            for paper, packed in rows.iterator(chunk_size=500):
                readers = np.frombuffer(packed, "<u4").astype(np.int64)
                reader = np.searchsorted(keys, readers)
                reader = reader[keys[np.minimum(reader, len(keys) - 1)] == readers] if len(keys) else reader[:0]
                found.append(reader * len(self.papers) + place[paper])
        return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)

    def _remember(self, subscribers: list[_Reader], digests: list[compose.Digest]) -> None:
        """Write down who got which paper, in the same transaction."""
        readers: dict[int, list[int]] = defaultdict(list)
        for row, digest in zip(subscribers, digests, strict=True):
            for paper in digest.papers:
                readers[paper].append(row.pk)
        Readership.objects.bulk_create(
            [
                Readership(paper_id=paper, day=self.due.day, subscribers=np.array(keys, "<u4").tobytes())
                for paper, keys in sorted(readers.items())
            ],
            batch_size=500,
        )


def _owed(row: _Reader, digest: compose.Digest) -> ledger.Owed:
    sections = [(part.label, part.query, list(part.papers)) for part in digest.sections]
    because = "" if sections or row.wants_empty else "no paper matched"
    return ledger.Owed(row.pk, row.email, sections, len(digest.papers), because)


def _candidates(editions: tuple[Edition, ...]) -> dict[int, Announce]:
    """The papers of the editions, best first: pinned ones, then by their best score; one edition in its own order."""
    rows = Placement.objects.filter(edition__in=editions, is_hidden=False).order_by("rank", "-edition__date", "pk")
    if len(editions) == 1:
        return {paper: Announce(announce) for paper, announce in rows.values_list("paper_id", "announce")}
    best: dict[int, tuple[int, float, int, Announce]] = {}
    for paper, place, score, announce in rows.values_list("paper_id", "place", "score", "announce"):
        mine = (place or 10**9, -score, paper, Announce(announce))
        best[paper] = min(best.get(paper, mine), mine, key=lambda row: row[:3])
    return {paper: announce for _, _, paper, announce in sorted(best.values(), key=lambda row: row[:3])}


def _visible(announce: list[Announce]) -> NDArray[np.bool_]:
    """bool (kinds of reader, papers)."""
    hidden = {Announce.CROSS: 0, Announce.REPLACE: 1}
    wants = [[kind[hidden[what]] if what in hidden else True for what in announce] for kind in _KINDS]
    return np.array(wants, np.bool_).reshape(len(_KINDS), len(announce))


def _delivered(block: list[int], day: date, edition: Edition) -> QuerySet[Delivery, int]:
    rows = Delivery.objects.filter(Q(day=day) | Q(edition=edition), _among("subscriber", block))
    return rows.values_list("subscriber_id", flat=True)


def _subscribers(block: list[int]) -> list[_Reader]:
    rows = Subscriber.objects.filter(_among("pk", block)).order_by("pk")
    here = set(block)
    return [_Reader(*row) for row in rows.values_list(*_Reader._fields) if row[0] in here]


def _among(field: str, keys: list[int]) -> Q:
    """Rows of these keys, ascending, and perhaps some between: a range is read faster than thousands of keys."""
    if keys and keys[-1] - keys[0] < 2 * len(keys):
        return Q(**{f"{field}__gte": keys[0], f"{field}__lte": keys[-1]})
    return Q(**{f"{field}__in": keys})


def _in_bulk(keys: list[int]) -> dict[int, Paper]:
    found: dict[int, Paper] = {}
    for at in range(0, len(keys), 500):
        found |= Paper.objects.in_bulk(keys[at : at + 500])
    return found
