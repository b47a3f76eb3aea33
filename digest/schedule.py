"""When whose letter is due: cadence, hour and zone to a day and a moment."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

WEEKDAYS = 0b0011111


@dataclass(frozen=True, slots=True)
class Habit:
    """How a subscriber wants to be written to. Bit 0 of `days` is Monday; many subscribers share a habit."""

    cadence: str
    days: int
    hour: int
    zone: str


@dataclass(frozen=True, slots=True)
class Due:
    """A letter is due for `day`, the reader's own date, from the moment `at` on.

    It tells of editions dated after `since`, the day of the letter before; `since_at` is when that one was due.
    """

    day: date
    at: datetime
    since: date
    since_at: datetime


def due(habit: Habit, now: datetime) -> Due | None:
    """The letter that is due now, if any: from its hour until the reader's midnight, so a late run still catches it."""
    day = now.astimezone(ZoneInfo(habit.zone)).date()
    if not sends_on(habit, day) or now < _moment(habit, day):
        return None
    return on(habit, day)


def on(habit: Habit, day: date) -> Due:
    """The letter of a day, whatever the time."""
    since = before(habit, day)
    return Due(day, _moment(habit, day), since, _moment(habit, since))


def sends_on(habit: Habit, day: date) -> bool:
    match habit.cadence:
        case "weekdays":
            return bool(WEEKDAYS >> day.weekday() & 1)
        case "chosen":
            return bool(habit.days >> day.weekday() & 1)
        case "weekly":
            return day.weekday() == _first(habit.days)
        case "monthly":
            return day.day == 1
        case _:
            return True


def before(habit: Habit, day: date) -> date:
    """The last day before `day` on which a letter was due."""
    back = (day - timedelta(days=count) for count in range(1, 32))
    return next((other for other in back if sends_on(habit, other)), day - timedelta(days=7))


def _first(days: int) -> int:
    return (days & -days).bit_length() - 1 if days else 0


def _moment(habit: Habit, day: date) -> datetime:
    """An hour that the clocks skip is the hour after; one that they repeat is its first.

    In UTC, because the moment of such an hour equals none of another zone (PEP 495).
    """
    return datetime.combine(day, time(habit.hour), ZoneInfo(habit.zone)).astimezone(UTC)
