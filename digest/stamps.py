"""Counters of change: whoever changes papers or editions bumps theirs, whoever keeps copies compares.

A counter is bumped in the transaction that changes, so that nobody sees the new number beside the old rows.
"""

from datetime import UTC, datetime
from typing import NamedTuple

from django.db.models import F

from digest.models import Stamp


class Stamps(NamedTuple):
    papers: int = 0
    editions: int = 0


def bump(name: str) -> None:
    """Say that `papers` or `editions` have changed. Call it last: the counter stays locked until the commit."""
    if not Stamp.objects.filter(name=name).update(value=F("value") + 1):
        Stamp.objects.bulk_create([Stamp(name=name)], ignore_conflicts=True)
        Stamp.objects.filter(name=name).update(value=F("value") + 1)


def read() -> Stamps:
    return Stamps(**dict(Stamp.objects.filter(name__in=Stamps._fields).values_list("name", "value")))


def mark(name: str, *, now: datetime) -> None:
    """Write down when something happened last, to the second."""
    Stamp.objects.bulk_create(
        [Stamp(name=name, value=int(now.timestamp()))],
        update_conflicts=True, unique_fields=["name"], update_fields=["value"],
    )  # fmt: skip


def marked(name: str) -> datetime | None:
    """When it happened last, if ever."""
    value = Stamp.objects.filter(name=name).values_list("value", flat=True).first()
    return None if value is None else datetime.fromtimestamp(value, UTC)
