"""What a topic would have found on each of the last days, as the letters of those days would have had it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from digest import archive, search
from subscriptions.query import Query

DAYS = 14


@dataclass(frozen=True, slots=True)
class Preview:
    """`days` are those with an edition, each with the primary keys of its papers in the order of the edition."""

    days: Sequence[tuple[date, list[int]]]

    @property
    def total(self) -> int:
        return sum(len(papers) for _, papers in self.days)

    @property
    def per_day(self) -> float:
        """Papers on a day with an edition, on average."""
        return self.total / len(self.days) if self.days else 0.0


def preview(query: Query, *, today: date, days: int = DAYS) -> Preview:
    """The papers that a query means in the editions of the last days, `today` included.

    As letters are by default: with cross-lists, without new versions, no paper twice, by the votes of now.
    """
    first = today - timedelta(days=days - 1)
    meant = search.exact(query)
    found: dict[date, list[int]] = {
        day: []
        for day in archive.published(today).filter(date__gte=first).order_by("date").values_list("date", flat=True)
    }
    given: set[int] = set()
    rows = archive.shown(first, today).order_by("edition__date", "rank", "pk").values_list("edition__date", "paper_id")
    for day, paper in rows.iterator(chunk_size=10_000):
        if paper in meant and paper not in given:
            given.add(paper)
            found[day].append(paper)
    return Preview(list(found.items()))
