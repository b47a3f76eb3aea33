"""Ticks that beat sends: each asks the database what is owed, so that a tick lost or heard twice does no harm."""

import time
from datetime import date

from celery import shared_task

from digest import editions, intake, pace
from digest.deliveries.queue import queue
from digest.deliveries.send import send_due
from digest.deliveries.send import sweep as sweep_deliveries
from digest.models import Source
from subscriptions import clock

#: Letters a tick sends at most; the next tick, on any worker, goes on.
PER_TICK = 2_000


@shared_task
def fetch(*, day: str | None = None, source: int | None = None) -> None:
    """Read today's listings (or `day`'s), from every source or from one that an editor wants at once."""
    intake.prepare_sources()
    today = clock.today()
    sources = Source.objects.filter(pk=source) if source else intake.enabled()
    which = date.fromisoformat(day) if day else today
    intake.fetch(which, today=today, time=pace.Time(clock.now, time.sleep), sources=sources, force=bool(source))


@shared_task
def build_edition() -> None:
    editions.build_open(clock.today(), now=clock.now())


@shared_task
def publish() -> None:
    editions.publish_due(clock.today(), now=clock.now())


@shared_task
def deliver() -> None:
    queue(now=clock.now(), today=clock.today())
    send_due(clock=clock.now, today=clock.today(), limit=PER_TICK)


@shared_task
def sweep() -> None:
    sweep_deliveries(now=clock.now())
