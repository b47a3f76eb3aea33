from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from digest import analysis, editions, papers
from digest.management import sample
from digest.models import Edition, Paper, Source
from subscriptions import clock


class Command(BaseCommand):
    help = "Show an invented sample day, marked as such on every page; a real edition of today takes its place."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        today, now = clock.today(), clock.now()
        edition = Edition.objects.filter(date=today).first()
        if edition and not edition.is_sample:
            self.stdout.write(f"There is a real edition of {today} already; nothing was invented.")
            return
        source, _ = Source.objects.get_or_create(
            name="sample",
            defaults={"label": "invented", "url": "https://example.org/", "is_enabled": False},
        )
        entries = sample.entries()
        papers.record(source, today, entries, now=now)
        Paper.objects.filter(identifier__in=[entry.identifier for entry in entries]).update(is_sample=True)
        analysis.refresh_missing()
        editions.build(today, now=now, sample=True)
        editions.publish(today, by="demo", now=now)
        self.stdout.write(
            f"An invented edition of {today} with {len(entries)} papers stands on the front page. "
            f"`manage.py deliver --date {today}` sends it to who has subscribed."
        )
