"""May this address get letters: the policy on bounces as one function of what is known about it, and the breaker.

`judge` reads a history in order of time, from the last fresh consent or the last time a curator lifted a suspension.
Its words:

send        a day on which a letter left: one with SENT, DELIVERED or SOFT. Two letters on a day are one send.
soft day    a send with a SOFT that no later DELIVERED made good. Two bounces on a day are one.
reset       DELIVERED, on the day itself or later, makes good every soft day before it. Those days stay sends. SENT
            makes nothing good: that nothing was heard is no proof.
score       the soft days among the 7 days that end with the last send.

| heard                                                  | standing                           |
|--------------------------------------------------------|------------------------------------|
| HARD or COMPLAINT, ever; nothing later makes them good | suppressed, for the first of them  |
| score 5, or 3 soft days among the last 5 sends         | suspended                          |
| AUTO_REPLY, POLICY                                     | never counts, is no send           |

Three sends may be all there are. As a soft day is a send, a score of 5 has 3 of the last 5 sends in it: it never
suspends alone, it is only the stronger reason to give.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

#: So many soft days among so many sends suspend.
MOST_SOFT = 3
LAST_SENDS = 5
#: So do so many soft days in so many days.
MOST_SCORE = 5
SCORE_DAYS = 7

#: More bounces than this in the window stop the counting, whatever was sent.
FLOOD = 50
FLOOD_WINDOW = timedelta(minutes=10)
#: So does one bounce in fewer than so many letters, once there are enough bounces to speak of a share.
FLOOD_ONE_IN = 20
FLOOD_LEAST = 10


class Kind(StrEnum):
    """What a day brought. The names are those of `bounce.Kind` where both have one."""

    #: A letter left, and nothing bad was heard.
    SENT = "sent"
    DELIVERED = "delivered"
    SOFT = "soft"
    HARD = "hard"
    COMPLAINT = "complaint"
    AUTO_REPLY = "auto_reply"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Event:
    day: date
    kind: Kind


class State(StrEnum):
    FINE = "fine"
    #: No letters until a curator lifts it.
    SUSPENDED = "suspended"
    #: No letters ever, but by a fresh double opt-in.
    SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True)
class Standing:
    """`reason` is for a curator to read; "" where all is fine."""

    state: State
    reason: str = ""


def judge(history: Sequence[Event]) -> Standing:
    """Say how an address stands after its history, in order of time. An empty history is fine."""
    sends: dict[date, None] = {}
    soft: set[date] = set()
    for event in history:
        match event.kind:
            case Kind.HARD:
                return Standing(State.SUPPRESSED, f"Hard bounce on {event.day}: there is no such mailbox")
            case Kind.COMPLAINT:
                return Standing(State.SUPPRESSED, f"Complaint on {event.day}: a letter was reported as unwanted")
            case Kind.SOFT:
                sends[event.day] = None
                soft.add(event.day)
            case Kind.DELIVERED:
                sends[event.day] = None
                soft.clear()
            case Kind.SENT:
                sends[event.day] = None
            case Kind.AUTO_REPLY | Kind.POLICY:
                pass
    return _soft(list(sends), soft)


def _soft(sends: list[date], soft: set[date]) -> Standing:
    """The rules on soft days. `sends` is in order of time and holds every day of `soft`."""
    last = sends[-LAST_SENDS:]
    score = sum((last[-1] - day).days < SCORE_DAYS for day in soft)
    if score >= MOST_SCORE:
        return Standing(State.SUSPENDED, f"Soft bounces on {score} of the {SCORE_DAYS} days to {last[-1]}")
    count = sum(day in soft for day in last)
    if count >= MOST_SOFT:
        return Standing(State.SUSPENDED, f"Soft bounces on {count} of the last {len(last)} sends, to {last[-1]}")
    return Standing(State.FINE)


def flooded(bounces: Sequence[datetime], *, sent: int, now: datetime) -> bool:
    """Whether so much bounced that we rather than the readers must be the cause: quarantine it, suppress nobody.

    `bounces` are the times of the bounces of the runs concerned, in any order, and `sent` counts the letters of these
    runs. A flood is more than 50 in the 10 minutes that end at `now`, or more than 5 % of `sent` whenever they came;
    for the share there must be 10 at least, so that four bounces of a list of twenty are still four bounces. Times
    after `now` do not count. All times know their zones.
    """
    past = [at for at in bounces if at <= now]
    recent = sum(now - at < FLOOD_WINDOW for at in past)
    return recent > FLOOD or (len(past) >= FLOOD_LEAST and len(past) * FLOOD_ONE_IN > sent)
