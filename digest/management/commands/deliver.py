from datetime import date

from digest.management import jobs
from digest.management.command import DayCommand


class Command(DayCommand):
    help = (
        "Queue and send the digests that are due now, as beat does every minute. With --date, that day is due for "
        "everyone whose cadence has it, whatever their hour."
    )

    def run(self, day: date, *, dry_run: bool) -> str:
        with self.progress("Composing", "readers") as queued, self.progress("Sending", "letters") as sent:
            return jobs.deliver(day, by_hand=self.given is not None, dry_run=dry_run, queued=queued, sent=sent)
