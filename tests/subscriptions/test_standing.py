"""The policy on bounces: scripted histories, an obvious judge to compare with, and the breaker."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subscriptions import bounce
from subscriptions.standing import Event, Kind, Standing, State, flooded, judge

MONDAY = date(2026, 6, 1)
NOON = datetime(2026, 6, 2, 12, 0, tzinfo=UTC)
FINE, SUSPENDED, SUPPRESSED = State.FINE, State.SUSPENDED, State.SUPPRESSED
KINDS = {
    "s": Kind.SENT,
    "d": Kind.DELIVERED,
    "B": Kind.SOFT,
    "H": Kind.HARD,
    "C": Kind.COMPLAINT,
    "a": Kind.AUTO_REPLY,
    "p": Kind.POLICY,
}


def history(script):
    """Days from Monday on, separated by spaces, with what each brought; a run of dashes is that many quiet days."""
    events, day = [], MONDAY
    for word in script.split():
        events += [Event(day, KINDS[letter]) for letter in word if letter != "-"]
        day += timedelta(days=len(word) if word[0] == "-" else 1)
    return events


#: What days brought, and how the address stands.
HISTORIES = [
    # Nothing is wrong.
    ("", FINE),
    ("s", FINE),
    ("s s s s s s s", FINE),
    ("d d d", FINE),
    # A hard bounce or a complaint suppresses at the first, for good.
    ("H", SUPPRESSED),
    ("C", SUPPRESSED),
    ("s s s H", SUPPRESSED),
    ("d d d C", SUPPRESSED),
    ("H d d d d d", SUPPRESSED),
    ("C ------- d s", SUPPRESSED),
    ("B B H", SUPPRESSED),
    ("B B B H", SUPPRESSED),
    ("sH", SUPPRESSED),
    ("dC", SUPPRESSED),
    # Three soft bounces in the last five sends suspend.
    ("B", FINE),
    ("B B", FINE),
    ("B B B", SUSPENDED),
    ("B s B s B", SUSPENDED),
    ("B s s s B B", FINE),
    ("s B B B", SUSPENDED),
    ("B B B s s", SUSPENDED),
    ("B B B s s s", FINE),
    ("s s s s B B", FINE),
    ("B s B B", SUSPENDED),
    # They count once a day, and a day with one is bad, whatever else left.
    ("BBB", FINE),
    ("BBBBB BB", FINE),
    ("sB Bs sBs", SUSPENDED),
    # Sends are days with a letter, however far apart.
    ("B ------ B ------ B", SUSPENDED),
    ("B ------ s ------ s ------ s ------ B ------ B", FINE),
    # What is no bounce never counts, and is no send.
    ("a a a a a a", FINE),
    ("p p p p p p", FINE),
    ("B a B p B", SUSPENDED),
    ("B B B a p a p a", SUSPENDED),
    ("Ba Bp a", FINE),
    # A delivered letter makes good what was before it.
    ("B B B d", FINE),
    ("B B d B B", FINE),
    ("B B d B B B", SUSPENDED),
    ("B B Bd", FINE),
    ("B B dB", FINE),
    ("B d B d B d B", FINE),
    # A score of five in seven days suspends; by then three of the last five sends were bad, too.
    ("B B s B s B B", SUSPENDED),
    ("B B B B B B B", SUSPENDED),
    ("B B B -- B B", SUSPENDED),
]


@pytest.mark.parametrize(("script", "state"), HISTORIES)
def test_w18_an_address_stands_as_its_history_says(script, state):
    standing = judge(history(script))

    assert standing.state is state
    assert bool(standing.reason) is (state is not FINE)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("s H C", "Hard bounce on 2026-06-02: there is no such mailbox"),
        ("s C H", "Complaint on 2026-06-02: a letter was reported as unwanted"),
        ("B B s B", "Soft bounces on 3 of the last 4 sends, to 2026-06-04"),
        ("s s B B s B B", "Soft bounces on 4 of the last 5 sends, to 2026-06-07"),
        ("B B s B s B B", "Soft bounces on 5 of the 7 days to 2026-06-07"),
        ("B B B -- B -- B", "Soft bounces on 5 of the last 5 sends, to 2026-06-09"),
    ],
)
def test_a_reason_says_what_counted_and_until_when(script, reason):
    assert judge(history(script)).reason == reason


def obvious(events):
    """The policy as it is said, day by day and without haste."""
    for event in events:
        if event.kind in {Kind.HARD, Kind.COMPLAINT}:
            return SUPPRESSED
    sends = sorted({event.day for event in events if event.kind in {Kind.SENT, Kind.DELIVERED, Kind.SOFT}})
    delivered = [at for at, event in enumerate(events) if event.kind is Kind.DELIVERED]
    since = events[delivered[-1] + 1 :] if delivered else events
    soft = {event.day for event in since if event.kind is Kind.SOFT}
    few = len(soft.intersection(sends[-5:])) < 3
    week = {sends[-1] - timedelta(days=days) for days in range(7)} if sends else set()
    return FINE if few and len(soft & week) < 5 else SUSPENDED


steps = st.tuples(st.integers(0, 3), st.sampled_from([*Kind, *[Kind.SOFT] * 6, *[Kind.SENT] * 3]))
soft_steps = st.tuples(st.integers(0, 3), st.sampled_from([Kind.SENT, Kind.SOFT, Kind.SOFT, Kind.POLICY]))


@st.composite
def histories(draw):
    day, events = MONDAY, []
    for gap, kind in draw(st.lists(draw(st.sampled_from([steps, soft_steps])), max_size=25)):
        day += timedelta(days=gap)
        events.append(Event(day, kind))
    return events


@settings(max_examples=500)
@given(histories())
def test_the_judge_agrees_with_an_obvious_one(events):
    assert judge(events).state is obvious(events)


@given(histories())
def test_what_is_no_bounce_changes_nothing(events):
    bare = [event for event in events if event.kind not in {Kind.AUTO_REPLY, Kind.POLICY}]

    assert judge(events) == judge(bare)


@given(histories())
def test_a_second_soft_bounce_of_a_day_changes_nothing(events):
    twice = [event for event in events for _ in range(2 if event.kind is Kind.SOFT else 1)]

    assert judge(events) == judge(twice)


@given(histories())
def test_a_delivered_letter_leaves_nothing_but_a_suppression(events):
    standing = judge([*events, Event(date(2027, 1, 1), Kind.DELIVERED)])

    assert standing.state is SUPPRESSED or standing == Standing(FINE)


@given(histories(), histories())
def test_a_suppression_stays_as_it_was(events, later):
    standing = judge([*events, Event(MONDAY, Kind.HARD)])

    assert judge([*events, Event(MONDAY, Kind.HARD), *later]) == standing


def test_both_modules_call_a_bounce_by_the_same_name():
    assert {kind.name: kind for kind in Kind if kind is not Kind.SENT}.items() <= {
        kind.name: kind for kind in bounce.Kind
    }.items()


def ago(count, *, seconds=0):
    return [NOON - timedelta(seconds=seconds)] * count


@pytest.mark.parametrize(
    ("bounces", "sent", "expected"),
    [
        ([], 0, False),
        ([], 10_000, False),
        # More than 50 within ten minutes, of however many.
        (ago(50), 100_000, False),
        (ago(51), 100_000, True),
        (ago(51, seconds=599), 100_000, True),
        (ago(51, seconds=600), 100_000, False),
        (ago(50) + ago(1, seconds=600), 100_000, False),
        (ago(30, seconds=1) + ago(21, seconds=300), 100_000, True),
        # More than 5 %, whenever they came.
        (ago(10, seconds=7_200), 200, False),
        (ago(11, seconds=7_200), 200, True),
        (ago(50, seconds=7_200), 1_000, False),
        (ago(51, seconds=7_200), 1_000, True),
        # Ten bounces at least, before there is a share to speak of.
        (ago(1), 1, False),
        (ago(4), 20, False),
        (ago(9), 9, False),
        (ago(10), 10, True),
        (ago(10), 199, True),
        # Bounces of what was never sent.
        (ago(9), 0, False),
        (ago(10), 0, True),
        # What is still to come does not count.
        (ago(500, seconds=-1), 100, False),
        (ago(11) + ago(500, seconds=-1), 220, False),
    ],
)
def test_w16_a_flood_of_bounces_is_known(bounces, sent, expected):
    assert flooded(bounces, sent=sent, now=NOON) is expected
