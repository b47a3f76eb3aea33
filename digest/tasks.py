"""Ticks that beat sends: each asks the database what is owed, so that a tick lost or heard twice does no harm."""

import time
from datetime import date, timedelta

from celery import shared_task
from django.conf import settings

from digest import alarms, analysis, editions, intake, pace, thumbnails
from digest.deliveries import report as reports
from digest.deliveries import runs
from digest.deliveries.queue import queue
from digest.deliveries.send import send_due, ways_are_open
from digest.deliveries.sweep import forget as forget_addresses
from digest.deliveries.sweep import sweep as sweep_deliveries
from digest.letter import Presses
from digest.models import Batch, Source
from subscriptions import clock

#: Seconds that one task sends at most; less than a worker is given to end.
SLICE = 20
#: Batches that are worth another worker.
BATCHES_EACH = 4
#: Seconds after which a tick nobody took is worthless: the next one finds in the database what is owed.
EXPIRES = 55
#: What this process has rendered, for its next tick.
PRESSES = Presses()


@shared_task
def fetch(*, day: str | None = None, source: int | None = None) -> None:
    """Read today's listings (or `day`'s), from every source or from one that an editor wants at once."""
    intake.prepare_sources()
    today = clock.today()
    sources = Source.objects.filter(pk=source) if source else intake.enabled()
    which = date.fromisoformat(day) if day else today
    intake.fetch(which, today=today, time=pace.Time(clock.now, time.sleep), sources=sources, force=bool(source))


@shared_task
def analyse() -> None:
    """Read the words and meanings of papers that were never read, or by another model."""
    analysis.refresh_missing()


@shared_task
def fetch_thumbnails() -> None:
    thumbnails.fetch_due(clock.today(), time=pace.Time(clock.now, time.sleep))


@shared_task
def build_edition() -> None:
    editions.build_open(clock.today(), now=clock.now())


@shared_task
def publish() -> None:
    editions.publish_due(clock.today(), now=clock.now())


@shared_task
def deliver() -> None:
    """Queue who is due, and have as many workers send as there are batches for them."""
    queue(now=clock.now(), today=clock.today(), progress=lambda count: _send_in_parallel())
    _send_in_parallel()


@shared_task
def send() -> None:
    """Send for a while; what is left then is another tick's, so that a worker that is asked to end may do so soon."""
    send_due(clock=clock.now, today=clock.today(), seconds=SLICE, presses=PRESSES)
    if Batch.objects.due(clock.now()).exists() and ways_are_open(now=clock.now()):
        send.apply_async(expires=EXPIRES)


@shared_task
def sweep() -> None:
    sweep_deliveries(now=clock.now())


@shared_task
def report() -> None:
    reports.apply(now=clock.now())


@shared_task
def reckon() -> None:
    runs.reckon(since=clock.now() - timedelta(days=3), now=clock.now())
    alarms.watch_sign_up(now=clock.now())


@shared_task
def forget() -> None:
    forget_addresses()


def _send_in_parallel() -> None:
    """One task for each few batches that are due; a worker that finds nothing left ends at once."""
    due = Batch.objects.due(clock.now()).count()
    for _ in range(min(-(-due // BATCHES_EACH), settings.DIGEST_SENDERS)):
        send.apply_async(expires=EXPIRES)
