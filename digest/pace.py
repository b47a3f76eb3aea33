"""The shared limiter: one request at a time to a server that asks for it, with a pause after each, over all workers.

Turns are rows, so that any number of processes and machines on one database keep arXiv's terms together.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from digest.models import Pace

#: Longer than any request may take.
LEASE = timedelta(seconds=90)
#: Whoever waits longer than this gives up until the next tick.
PATIENCE = timedelta(minutes=4)
STEP_SECONDS = 0.25
#: Nobody calls for a rest this long: a moment further ahead was written by a clock that has been set back since.
LONGEST = timedelta(days=1)


class NoTurn(Exception):
    """The server is to be left alone for longer than anybody should wait."""


@dataclass(frozen=True, slots=True)
class Time:
    """The clock and the way to let it go on, given from outside."""

    now: Callable[[], datetime]
    sleep: Callable[[float], None]


@contextmanager
def turn(name: str, pause: timedelta, time: Time) -> Iterator[None]:
    """Wait for one's turn, hold it, and let the next one come `pause` after its end. Raises NoTurn."""
    holder = uuid.uuid4().hex
    _wait(name, holder, time)
    try:
        yield
    finally:
        after = time.now() + pause
        mine = Pace.objects.filter(name=name, holder=holder)
        # Somebody may have called a longer rest meanwhile: keep it.
        mine.filter(Q(free_at__lt=after) | Q(free_at__gt=after + LONGEST)).update(free_at=after)
        mine.update(holder="", lease_until=None)


def rest(name: str, until: datetime) -> None:
    """Leave a server alone until a moment."""
    Pace.objects.update_or_create(name=name, defaults={"free_at": until})


def _wait(name: str, holder: str, time: Time) -> None:
    start = time.now()
    Pace.objects.get_or_create(name=name, defaults={"free_at": start})
    while True:
        now = time.now()
        free = Pace.objects.filter(Q(lease_until=None) | Q(lease_until__lt=now), name=name).filter(
            Q(free_at__lte=now) | Q(free_at__gt=now + LONGEST)
        )
        if free.update(holder=holder, lease_until=now + LEASE):
            return
        row = Pace.objects.get(name=name)
        if row.free_at - now > PATIENCE or now - start > PATIENCE:
            raise NoTurn(f"{name} is left alone until {row.free_at:%H:%M} UTC.")
        time.sleep(STEP_SECONDS)
