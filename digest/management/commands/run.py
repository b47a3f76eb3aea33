from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from digest.deliveries import export, report, runs
from digest.models import Run
from digest.prose import count
from subscriptions import clock

BY = "command"


class Command(BaseCommand):
    help = "How the letters of an edition do; and a person's hand on them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "date", type=date.fromisoformat, nargs="?", help="the edition's day; the newest if left out"
        )
        hand = parser.add_mutually_exclusive_group()
        hand.add_argument("--pause", action="store_true", help="let nothing more leave")
        hand.add_argument("--resume", action="store_true", help="go on")
        hand.add_argument("--cancel", action="store_true", help="give up the letters that still wait")
        hand.add_argument("--retry", action="store_true", help="try failed and deferred letters again, now")
        hand.add_argument("--resend-uncertain", action="store_true", help="send again what may have arrived")
        hand.add_argument("--arrived", action="store_true", help="write down that uncertain letters arrived")
        hand.add_argument("--lost", action="store_true", help="write down that uncertain letters did not arrive")
        hand.add_argument("--believe-bounces", action="store_true", help="act on the reports that were held back")
        hand.add_argument("--export", metavar="FILE", help="write a line for each letter as CSV; - is standard output")
        hand.add_argument("--ignore-bounces", action="store_true", help="leave the reports that were held back")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["believe_bounces"] or options["ignore_bounces"]:
            number = report.release_quarantine(accept=options["believe_bounces"])
            self.stdout.write(
                f"{count(number, 'report')} {'will be acted on' if options['believe_bounces'] else 'left'}."
            )
            return
        found = Run.objects.select_related("edition").order_by("-edition__date")
        run = (found.filter(edition__date=options["date"]) if options["date"] else found).first()
        if run is None:
            raise CommandError(
                "There are no letters of that edition." if options["date"] else "There are no letters yet."
            )
        if options["export"]:
            self._export(run, options["export"])
            return
        try:
            self._act(run, options)
        except runs.NotPossible as error:
            raise CommandError(str(error)) from error
        run.refresh_from_db()
        self._tell(run)

    def _act(self, run: Run, options: dict[str, Any]) -> None:
        now = clock.now()
        if options["pause"]:
            runs.pause(run, by=BY, now=now)
        elif options["resume"]:
            runs.resume(run, by=BY, now=now)
        elif options["cancel"]:
            runs.cancel(run, by=BY, now=now)
        elif options["retry"]:
            self.stdout.write(f"{count(runs.retry(run, by=BY, now=now), 'letter')} will be tried again.")
        elif options["resend_uncertain"]:
            self.stdout.write(f"{count(runs.resend_uncertain(run, by=BY, now=now), 'letter')} will be sent again.")
        elif options["arrived"] or options["lost"]:
            number = runs.settle_uncertain(run, arrived=options["arrived"], by=BY, now=now)
            self.stdout.write(f"{count(number, 'letter')} settled.")

    def _export(self, run: Run, file: str) -> None:
        if file == "-":
            for line in export.lines(run):
                self.stdout.write(line, ending="")
            return
        try:
            with Path(file).open("w", encoding="utf-8", newline="") as out:
                out.writelines(export.lines(run))
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}") from error
        self.stdout.write(f"The {run} are in {file}.")

    def _tell(self, run: Run) -> None:
        stands = runs.progress(run, now=clock.now())
        why = f": {run.reason}" if run.reason else ""
        self.stdout.write(f"{str(run).capitalize()}: {run.get_state_display()}{why}")
        self.stdout.write(f"{stands.candidates:,} candidates, {stands.settled:,} settled, {stands.waiting:,} waiting")
        for status, number in sorted(stands.counts.items()):
            self.stdout.write(f"  {number:>9,} {status}")
        for status, reason, number in stands.reasons:
            self.stdout.write(f"  {number:>9,} {status}: {reason}")
        if stands.done_at and stands.waiting:
            self.stdout.write(f"At {stands.rate:,.0f} a minute, done by {stands.done_at:%Y-%m-%d %H:%M} UTC.")
        elif stands.waiting_until:
            self.stdout.write(f"The next ones leave at {stands.waiting_until:%Y-%m-%d %H:%M:%S} UTC.")
