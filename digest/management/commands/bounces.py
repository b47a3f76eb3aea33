import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from digest import webhooks
from digest.prose import count

MOST_BYTES = 1_000_000


class Command(BaseCommand):
    help = (
        "Read mail that came back, or that asks to leave: one message from standard input, as a mail server pipes it, "
        "or every message of a maildir, which is emptied by that. Point the addresses bounces+…@DIGEST_BOUNCE_DOMAIN "
        "and DIGEST_LEAVE_ADDRESS there."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--maildir", type=Path, metavar="FOLDER", help="read and remove every message in it")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["maildir"] is None:
            self._tell(1, webhooks.read_mail(sys.stdin.buffer.read(MOST_BYTES), service="mail"))
            return
        folder: Path = options["maildir"]
        if not (folder / "new").is_dir():
            raise CommandError(f"{folder} is no maildir: it has no folder named new.")
        files = [file for part in ("new", "cur") for file in sorted((folder / part).glob("*")) if file.is_file()]
        about_us = 0
        for file in files:
            with file.open("rb") as mail:
                about_us += webhooks.read_mail(mail.read(MOST_BYTES), service="mail")
            file.unlink()
        self._tell(len(files), about_us)

    def _tell(self, read: int, about_us: int) -> None:
        self.stdout.write(f"{count(read, 'message')} read, {about_us:,} of them for us.")
