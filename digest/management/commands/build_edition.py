from datetime import date

from digest.management import jobs
from digest.management.command import DayCommand


class Command(DayCommand):
    help = "Build or rebuild the draft edition of a day; what an editor did to it stays."

    def run(self, day: date, *, dry_run: bool) -> str:
        return jobs.build_edition(day)
