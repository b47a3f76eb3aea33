"""What the commands of the daily job have in common: a day, a dry run, a progress bar, a summary line."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from tqdm import tqdm

from subscriptions import clock


class DayCommand(BaseCommand):
    """`manage.py NAME [--date DAY] [--dry-run]`; `run` does the work and returns the summary line."""

    requires_migrations_checks = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--date", type=_day, metavar="YYYY-MM-DD", help="the day to work on; today if left out")
        parser.add_argument("--dry-run", action="store_true", help="say what would happen and store nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        day: date = options["date"] or clock.today()
        if day > clock.today():
            raise CommandError(f"{day} is still to come; today is {clock.today()}.")
        self.quiet = options["verbosity"] == 0
        self.given: date | None = options["date"]
        if options["dry_run"]:
            with transaction.atomic():
                summary = self.run(day, dry_run=True)
                transaction.set_rollback(True)
            self.stdout.write(f"Dry run, nothing was stored or sent. {summary}")
        else:
            self.stdout.write(self.run(day, dry_run=False))

    def run(self, day: date, *, dry_run: bool) -> str:
        raise NotImplementedError

    @contextmanager
    def progress(self, what: str, unit: str) -> Iterator[Callable[[int], Any]]:
        """A bar on the terminal; silent in a file or a pipe."""
        with tqdm(desc=what, unit=f" {unit}", disable=True if self.quiet else None, leave=False) as bar:
            yield bar.update


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"it takes a day like 2026-06-02, not {text!r}") from error
