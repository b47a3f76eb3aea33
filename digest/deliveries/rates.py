"""Messages a second, agreed on by all workers: each reserves the moments at which it may send.

One row for the whole and one for each domain with a limit, in `Pace`. `free_at` is the moment of the next message: a
worker that wants n of them moves it by n intervals and sends at exactly those moments (the virtual scheduling algorithm
of ITU-T I.371, with no burst), so that no window of a second holds more than the limit, whoever sends.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction

from digest.models import Pace

#: How far ahead moments are reserved; short, so that little is lost with a worker that dies.
AHEAD = timedelta(seconds=0.5)
#: A moment further ahead than this was written by a clock that has been set back since.
LONGEST = timedelta(minutes=10)


@transaction.atomic
def reserve(
    name: str, count: int, rate: float, *, clock: Callable[[], datetime],
    since: datetime | None = None, until: datetime | None = None,
) -> list[datetime]:  # fmt: skip
    """Up to `count` moments within AHEAD at which a message may leave, `rate` a second in all; maybe none.

    With `since` and `until`, those between them.
    """
    Pace.objects.get_or_create(name=name, defaults={"free_at": clock()})
    row = Pace.objects.select_for_update().get(name=name)
    now = clock()  # after waiting for the row, not before
    step = timedelta(seconds=1 / rate)
    first = row.free_at if now < row.free_at <= now + AHEAD + max(LONGEST, step) else now
    first, until = max(first, since or first), until or now + AHEAD
    moments: list[datetime] = []
    while len(moments) < count and first <= until:
        moments.append(first)
        first += step
    if moments:
        row.free_at = first
        row.save(update_fields=["free_at"])
    return moments
