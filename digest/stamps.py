"""Counters of change: whoever changes papers or editions bumps theirs, whoever keeps copies compares.

A counter is bumped in the transaction that changes, so that nobody sees the new number beside the old rows.
"""

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
