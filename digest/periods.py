"""Days, ISO weeks and months as Hugging Face's addresses write them: 2026-06-02, 2026-W23, 2026-06."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from subscriptions.sentences import Sentence

#: Years that anybody may ask for; beyond them date arithmetic ends.
YEARS = range(1990, 2100)


class Kind(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Period:
    """The days from `first` to `last`, both included."""

    kind: Kind
    first: date
    last: date

    def __str__(self) -> str:
        match self.kind:
            case Kind.WEEK:
                year, week, _ = self.first.isocalendar()
                return f"{year}-W{week:02}"
            case Kind.MONTH:
                return f"{self.first:%Y-%m}"
            case _:
                return self.first.isoformat()

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    @property
    def before(self) -> "Period":
        return of(self.kind, self.first - timedelta(days=1))

    @property
    def after(self) -> "Period":
        return of(self.kind, self.last + timedelta(days=1))


def of(kind: Kind, day: date) -> Period:
    """The period of a kind that a day is in."""
    match kind:
        case Kind.WEEK:
            first = day - timedelta(days=day.weekday())
            return Period(kind, first, first + timedelta(days=6))
        case Kind.MONTH:
            first = day.replace(day=1)
            return Period(kind, first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1))
        case _:
            return Period(kind, day, day)


#: How a period is written, and what is said of what is none.
_FORMS = {
    Kind.DAY: (
        re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII),
        Sentence("There is no such day: write it like 2026-06-02."),
    ),
    Kind.WEEK: (
        re.compile(r"(\d{4})-W(\d\d)", re.ASCII),
        Sentence("There is no such week: write it like 2026-W23."),
    ),
    Kind.MONTH: (
        re.compile(r"(\d{4})-(\d\d)", re.ASCII),
        Sentence("There is no such month: write it like 2026-06."),
    ),
}


def parse(kind: Kind, text: str) -> Period:
    """Read a period. Raises ValueError, with a Sentence, for one that does not exist."""
    form, otherwise = _FORMS[kind]
    match = form.fullmatch(text)
    try:
        if match and int(match[1]) in YEARS:
            return of(kind, _first(kind, *map(int, match.groups())))
    except ValueError:
        pass
    raise ValueError(otherwise)


def _first(kind: Kind, year: int, number: int, day: int = 1) -> date:
    return date.fromisocalendar(year, number, 1) if kind is Kind.WEEK else date(year, number, day)
