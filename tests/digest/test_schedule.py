"""Years of days in zones whose clocks jump, against clocks that are walked minute by minute."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from digest.schedule import Habit, before, due, on, sends_on

START, DAYS = date(2025, 1, 1), 800
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
ALL_DAYS = [START + DAY * count for count in range(DAYS)]
#: Zones of all kinds, an hour wanted that their clocks skip or repeat, and minutes between ticks that meet every hour.
ZONES = [
    ("UTC", 6, 60),
    ("Europe/Berlin", 2, 60),
    ("America/New_York", 1, 60),
    ("America/New_York", 2, 60),
    ("Australia/Lord_Howe", 1, 30),
    ("Australia/Lord_Howe", 2, 30),
    ("Asia/Kathmandu", 0, 15),
    ("America/St_Johns", 23, 30),
    ("Pacific/Chatham", 2, 15),
    ("America/Santiago", 0, 60),
    ("America/Santiago", 23, 60),
    ("Pacific/Kiritimati", 12, 60),
]


def habit(cadence="daily", *, days=0b1111111, hour=7, zone="UTC"):
    return Habit(cadence, days, hour, zone)


def written(wanted, ticks):
    """The letters of a subscriber, each with its tick, if a ledger knows the days that were written already."""
    ledger = {}
    for now in ticks:
        letter = due(wanted, now)
        if letter and letter.day not in ledger:
            ledger[letter.day] = now, letter
    return ledger


def ticks(minutes):
    """From the day before, for it is tomorrow in Kiribati, to the day after."""
    first = datetime(START.year, START.month, START.day, tzinfo=UTC) - DAY
    return (first + timedelta(minutes=minutes * count) for count in range((DAYS + 2) * 24 * 60 // minutes))


@pytest.mark.parametrize(("zone", "hour", "minutes"), ZONES)
def test_each_day_has_one_letter_at_the_wanted_hour_of_the_readers_own_clock(zone, hour, minutes):
    wanted, clock = habit(hour=hour, zone=zone), ZoneInfo(zone)

    ledger = written(wanted, ticks(minutes))

    assert [day for day in ledger if START <= day < START + DAY * DAYS] == ALL_DAYS
    skipped = []
    for day in ALL_DAYS:
        now, letter = ledger[day]
        local = now.astimezone(clock)
        assert letter.at == now
        assert local.date() == letter.day == day
        assert letter.since == day - DAY
        assert letter.since_at == on(wanted, letter.since).at < letter.at
        assert due(wanted, now - MINUTE) is None or due(wanted, now - MINUTE).day == day - DAY
        if (local.hour, local.minute) != (hour, 0):
            skipped.append(day)
            assert (local - timedelta(hours=1)).hour == hour or local.minute
    assert len(skipped) <= 3


def walked(zone, hour, day):
    """The first minute at which a clock on the wall shows the day, and the hour or a later one.

    Chatham's clocks go from 02:45 to 03:45: three o'clock has passed before it was there, and is kept as four.
    """
    now, clock = datetime(day.year, day.month, day.day, tzinfo=UTC) - DAY, ZoneInfo(zone)
    while (local := now.astimezone(clock)).date() < day or local.hour < hour:
        now += MINUTE
    return now + 15 * MINUTE if (zone, hour, local.minute) == ("Pacific/Chatham", 3, 45) else now


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/Berlin", date(2026, 3, 29)),
        ("Europe/Berlin", date(2026, 10, 25)),
        ("America/New_York", date(2026, 3, 8)),
        ("America/New_York", date(2026, 11, 1)),
        ("Australia/Lord_Howe", date(2026, 4, 5)),
        ("Australia/Lord_Howe", date(2026, 10, 4)),
        ("America/Santiago", date(2025, 4, 5)),
        ("America/Santiago", date(2025, 9, 7)),
        ("Pacific/Chatham", date(2026, 4, 5)),
        ("Pacific/Chatham", date(2026, 9, 27)),
        ("Asia/Kathmandu", date(2026, 6, 2)),
    ],
)
def test_a_letter_is_due_from_the_minute_at_which_the_clock_shows_its_hour(zone, day):
    for hour in (0, 1, 2, 3, 4, 23):
        wanted, expected = habit(hour=hour, zone=zone), walked(zone, hour, day)

        assert due(wanted, expected).at == on(wanted, day).at == expected
        assert due(wanted, expected).day == day
        assert (due(wanted, expected - MINUTE) or on(wanted, day - DAY)).day == day - DAY


@pytest.mark.parametrize(
    ("zone", "hour", "day", "at"),
    [
        ("Europe/Berlin", 7, date(2026, 6, 2), "2026-06-02T05:00"),
        ("Europe/Berlin", 2, date(2026, 3, 29), "2026-03-29T01:00"),  # skipped: 03:00 in summer
        ("Europe/Berlin", 2, date(2026, 10, 25), "2026-10-25T00:00"),  # twice: the first, in summer
        ("America/New_York", 2, date(2026, 3, 8), "2026-03-08T07:00"),
        ("America/New_York", 1, date(2026, 11, 1), "2026-11-01T05:00"),
        ("Australia/Lord_Howe", 2, date(2026, 10, 4), "2026-10-03T15:30"),  # half an hour is skipped: 02:30
        ("Australia/Lord_Howe", 1, date(2026, 4, 5), "2026-04-04T14:00"),
        ("Asia/Kathmandu", 7, date(2026, 6, 2), "2026-06-02T01:15"),
        ("Pacific/Kiritimati", 7, date(2026, 6, 2), "2026-06-01T17:00"),
    ],
)
def test_a_letters_moment_is_known_for_any_day(zone, hour, day, at):
    assert on(habit(hour=hour, zone=zone), day).at == datetime.fromisoformat(at).replace(tzinfo=UTC)


CADENCES = [
    ("daily", 0, lambda day: True),
    ("weekdays", 0, lambda day: day.isoweekday() <= 5),
    ("weekly", 0b0000001, lambda day: day.isoweekday() == 1),
    ("weekly", 0b1000000, lambda day: day.isoweekday() == 7),
    ("weekly", 0b0010100, lambda day: day.isoweekday() == 3),
    ("weekly", 0, lambda day: day.isoweekday() == 1),
    ("monthly", 0, lambda day: day.day == 1),
    ("chosen", 0b0010010, lambda day: day.isoweekday() in (2, 5)),
    ("chosen", 0b1000000, lambda day: day.isoweekday() == 7),
    ("chosen", 0b1111111, lambda day: True),
    ("chosen", 0, lambda day: False),
]


@pytest.mark.parametrize(("cadence", "days", "sends"), CADENCES)
def test_every_cadence_writes_once_on_each_of_its_days_and_tells_of_the_days_since(cadence, days, sends):
    wanted = habit(cadence, days=days, hour=6, zone="Europe/Berlin")

    ledger = written(wanted, ticks(240))

    expected = [day for day in ALL_DAYS if sends(day)]
    assert [day for day in ledger if START <= day < START + DAY * DAYS] == expected
    for earlier, later in pairwise(expected):
        assert ledger[later][1].since == before(wanted, later) == earlier
        assert ledger[later][1].since_at == ledger[earlier][1].at
    assert all(sends_on(wanted, day) == sends(day) for day in ALL_DAYS)


@pytest.mark.parametrize(
    ("cadence", "days", "day", "earlier"),
    [
        ("daily", 0, date(2026, 6, 2), date(2026, 6, 1)),
        ("weekdays", 0, date(2026, 6, 1), date(2026, 5, 29)),
        ("weekly", 0b10, date(2026, 6, 2), date(2026, 5, 26)),
        ("weekly", 0b10, date(2026, 6, 3), date(2026, 6, 2)),
        ("monthly", 0, date(2026, 6, 1), date(2026, 5, 1)),
        ("monthly", 0, date(2026, 3, 1), date(2026, 2, 1)),
        ("monthly", 0, date(2026, 1, 1), date(2025, 12, 1)),
        ("monthly", 0, date(2026, 6, 2), date(2026, 6, 1)),
        ("chosen", 0b0010010, date(2026, 6, 2), date(2026, 5, 29)),
        ("chosen", 0, date(2026, 6, 2), date(2026, 5, 26)),
    ],
)
def test_the_day_before_is_the_sending_day_before(cadence, days, day, earlier):
    assert before(habit(cadence, days=days), day) == earlier


def test_a_late_run_still_catches_a_letter_until_the_readers_midnight():
    wanted = habit(hour=7, zone="Asia/Kathmandu")

    assert due(wanted, datetime(2026, 6, 2, 18, 14, tzinfo=UTC)).day == date(2026, 6, 2)
    assert due(wanted, datetime(2026, 6, 2, 18, 15, tzinfo=UTC)) is None
