from datetime import date

from digest.management import jobs
from digest.management.command import DayCommand


class Command(DayCommand):
    help = "Do the whole job of a day: fetch, build_edition, publish, deliver to everyone whose cadence has the day."

    def run(self, day: date, *, dry_run: bool) -> str:
        self.stdout.write(jobs.fetch(day, force=True, tell=self.stdout.write))
        self.stdout.write(jobs.build_edition(day))
        self.stdout.write(jobs.publish(day))
        with self.progress("Composing", "readers") as queued, self.progress("Sending", "letters") as sent:
            return f"Delivered {day}: " + jobs.deliver(day, by_hand=True, dry_run=dry_run, queued=queued, sent=sent)
