from datetime import date

from django.core.management.base import CommandError

from digest.management import jobs
from digest.management.command import DayCommand
from digest.models import Listing


class Command(DayCommand):
    help = "Do the whole job of a day: fetch, build_edition, publish, deliver to everyone whose cadence has the day."

    def run(self, day: date, *, dry_run: bool) -> str:
        try:
            self.stdout.write(jobs.fetch(day, force=True, tell=self.stdout.write))
        except CommandError as error:
            if not Listing.objects.filter(day=day).exists():
                raise
            self.stderr.write(f"{error}\nGoing on with what was listed before.")
        self.stdout.write(jobs.build_edition(day))
        self.stdout.write(jobs.publish(day))
        with self.progress("Composing", "readers") as queued, self.progress("Sending", "letters") as sent:
            return f"Delivered {day}: " + jobs.deliver(day, by_hand=True, dry_run=dry_run, queued=queued, sent=sent)
