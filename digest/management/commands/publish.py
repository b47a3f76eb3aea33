from datetime import date

from digest.management import jobs
from digest.management.command import DayCommand


class Command(DayCommand):
    help = "Publish the edition of a day now, without waiting for the clock."

    def run(self, day: date, *, dry_run: bool) -> str:
        return jobs.publish(day)
