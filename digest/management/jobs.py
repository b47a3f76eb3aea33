"""The four jobs of a day, for their own commands and for `daily`, which does one after the other."""

import time
from collections.abc import Callable
from datetime import date

from django.core.management.base import CommandError

from digest import editions, intake, pace
from digest.deliveries.queue import queue
from digest.deliveries.send import send_due
from digest.models import Edition, Fetch
from digest.prose import count
from subscriptions import clock

Tell = Callable[[str], object]
Progress = Callable[[int], object]


def fetch(day: date, *, force: bool, tell: Tell) -> str:
    """Read the day's listings, telling how each source did. Raises CommandError where every source failed."""
    intake.prepare_sources()

    def report(row: Fetch) -> None:
        if row.outcome in {Fetch.Outcome.READ, Fetch.Outcome.STALE, Fetch.Outcome.FAILED} or row.day == day:
            new = f", {row.new_listings:,} new" if row.entries else ""
            message = f" ({row.message})" if row.message else ""
            what = f"{row.get_outcome_display()}, {count(row.entries, 'paper')}{new}{message}"
            tell(f"  {row.source.label}, {row.day}: {what}")

    rows = intake.fetch(
        day,
        today=clock.today(),
        time=pace.Time(clock.now, time.sleep),
        sources=intake.enabled(),
        force=force,
        report=report,
    )
    failed = [row for row in rows if row.outcome == Fetch.Outcome.FAILED]
    if rows and len(failed) == len(rows):
        raise CommandError(f"No source could be read. The last one said: {failed[-1].message}")
    papers, listings = sum(row.new_papers for row in rows), sum(row.new_listings for row in rows)
    trouble = f", {count(len(failed), 'request')} failed" if failed else ""
    return f"Fetched {day}: {count(papers, 'new paper')}, {count(listings, 'new listing')}{trouble}."


def build_edition(day: date) -> str:
    edition = editions.build(day, now=clock.now())
    if edition is None:
        return f"No edition of {day}: no source listed a new paper."
    papers = edition.placements.count()
    notes = "".join(f" Note: {warning}" for warning in edition.warnings)
    state = "is published and stays as it is" if edition.status == Edition.Status.PUBLISHED else "is a draft"
    return f"The edition of {day} {state}, with {count(papers, 'paper')}.{notes}"


def publish(day: date) -> str:
    try:
        edition = editions.publish(day, by="command", now=clock.now())
    except editions.NotToPublish as error:
        return str(error)
    return f"The edition of {day} is published (by {edition.published_by}, {edition.published_at:%Y-%m-%d %H:%M} UTC)."


def deliver(day: date, *, by_hand: bool, dry_run: bool, queued: Progress, sent: Progress) -> str:
    """Queue who is due and send; `by_hand` takes `day` as due for everyone whose cadence has it, whatever the hour."""
    made = queue(now=clock.now(), today=day, by_hand=by_hand, progress=queued)
    waiting = f"{count(made.queued, 'letter')} queued, {count(made.excluded, 'reader')} without a matching paper"
    if dry_run:
        return f"{waiting}."
    result = send_due(clock=clock.now, today=clock.today(), progress=sent)
    counts = ", ".join(f"{number:,} {status}" for status, number in sorted(result.counts.items())) or "nothing to send"
    if result.trouble:
        raise CommandError(f"{waiting}; {counts}; then the mail server refused us: {result.trouble}")
    return f"{waiting}; {counts}."
