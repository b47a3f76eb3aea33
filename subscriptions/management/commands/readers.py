import sys
from argparse import ArgumentParser
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from subscriptions import clock, roster, sheet
from subscriptions.models import Subscriber
from subscriptions.roster import Outcome

#: Readers that are read at a time.
CHUNK = 2_000


class Command(BaseCommand):
    help = (
        "Move lists of readers in and out as CSV. The first line names the columns: address, and if you like topics, "
        "cadence, hour, time_zone, language and others that an export has. Who has left or is suppressed here stays "
        "so; who had everything erased is not known any more, and must be struck from old lists."
    )
    requires_migrations_checks = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        way = parser.add_mutually_exclusive_group(required=True)
        way.add_argument("--import", dest="list", type=Path, metavar="FILE", help="take in the readers of a list")
        way.add_argument("--export", type=Path, metavar="FILE", help="write all readers, - for standard output")
        parser.add_argument("--consent", default="", metavar="WORDS", help="how and when they agreed; it is recorded")
        parser.add_argument("--dry-run", action="store_true", help="say what would happen and store nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["list"]:
                self._take_in(options["list"], options["consent"], store=not options["dry_run"])
            else:
                self._write(options["export"])
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error

    def _take_in(self, path: Path, said: str, *, store: bool) -> None:
        if not said.strip():
            raise CommandError(
                "Nobody may be mailed who has not agreed. Say how and when they did: "
                '--consent "signed up at the reading group, May 2026". Others can sign up on your page.'
            )
        with (
            path.open("rb") as file,
            tqdm(total=path.stat().st_size, unit="B", unit_scale=True, disable=None, leave=False) as bar,
        ):
            counts = self._told(file, said, store=store, bar=bar)
        summary = ", ".join(f"{counts[outcome]:,} {outcome}" for outcome in Outcome)
        self.stdout.write(f"{'' if store else 'Dry run, nothing was stored. '}{counts.total():,} lines: {summary}.")

    def _told(self, file: BinaryIO, said: str, *, store: bool, bar: Any) -> Counter[Outcome]:
        counts: Counter[Outcome] = Counter()
        try:
            for told in roster.take_in(file, said=said, now=clock.now(), store=store, seen=bar.update):
                counts[told.outcome] += 1
                if told.outcome is not Outcome.ADDED:
                    self.stdout.write(_printable(f"line {told.line}: {told.address}: {told.why or told.outcome}"))
        except sheet.Unreadable as error:
            raise CommandError(str(error)) from error
        return counts

    def _write(self, path: Path) -> None:
        readers = Subscriber.objects.order_by("pk").prefetch_related("subscriptions").iterator(chunk_size=CHUNK)
        lines = roster.lines(readers)
        if str(path) == "-":
            with suppress(BrokenPipeError):  # whoever reads it has seen enough
                sys.stdout.writelines(lines)
            return
        with path.open("w", encoding="utf-8", newline="") as file:
            file.writelines(lines)
        self.stdout.write(f"{Subscriber.objects.count():,} readers written to {path}.")


def _printable(text: str) -> str:
    """A list may hold anything, and a terminal obeys much."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
