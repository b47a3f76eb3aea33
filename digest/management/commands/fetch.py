from argparse import ArgumentParser
from datetime import date
from typing import Any

from digest.management import jobs
from digest.management.command import DayCommand


class Command(DayCommand):
    help = "Read the day's listings from every source."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--force", action="store_true", help="ask sources too that are to be left alone for a while"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.force = options["force"]
        super().handle(*args, **options)

    def run(self, day: date, *, dry_run: bool) -> str:
        return jobs.fetch(day, force=self.force, tell=self.stdout.write)
