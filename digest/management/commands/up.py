"""`manage.py up`: everything on this machine, started together and stopped together."""

import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from digest import editions, intake
from digest.management import jobs
from digest.models import Edition
from digest.staff import roles
from subscriptions import clock

#: Seconds that the parts have to finish what they are at.
STOP_SECONDS = 35


class Command(BaseCommand):
    help = "Start web site, worker and beat, fetch today's listings, and stop all of it on Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        self.parts: dict[str, subprocess.Popen[bytes]] = {}
        _refuse_taken(settings.PORT)
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            self._prepare()
            self._start()
            self._first_look()
            self._watch()
        except KeyboardInterrupt:
            self.stdout.write("\nStopping …")
        finally:
            self._stop()
        self.stdout.write("Stopped. Everything is kept; the same command goes on from here.")

    # Before ---------------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        self._say("Preparing the database")
        call_command("migrate", verbosity=0, interactive=False)
        if not settings.DEBUG:
            call_command("collectstatic", verbosity=0, interactive=False)
        intake.prepare_sources()
        roles.prepare()
        self.password = _administrator() if settings.DEBUG else ""

    def _start(self) -> None:
        self._say("Starting the web site, a worker and beat")
        celery = [sys.executable, "-m", "celery", "-A", "digest.config", "--quiet"]
        quiet = ["--loglevel", "WARNING"]
        # Threads: a killed prefork child can hang on the file broker. Two of them, so that fetching holds up no letter.
        worker = ["worker", "--pool", "threads", "--concurrency", "2", "--without-gossip", "--without-mingle"]
        self._run("web site", [sys.executable, "manage.py", "serve"])
        self._run("worker", [*celery, *worker, *quiet])
        pidfile = f"--pidfile={settings.DIGEST_DATA_DIR / 'beat.pid'}"
        (settings.DIGEST_DATA_DIR / "beat.pid").unlink(missing_ok=True)
        self._run("beat", [*celery, "beat", pidfile, *quiet])

    def _run(self, name: str, command: list[str]) -> None:
        # A session of its own: Ctrl-C reaches this process alone, which then stops the parts in order.
        self.parts[name] = subprocess.Popen(command, cwd=settings.BASE_DIR, start_new_session=True)

    # While it runs --------------------------------------------------------------------------------------------------

    def _first_look(self) -> None:
        """Fetch at once, so that the front page has papers within a minute of the first start."""
        today = clock.today()
        pinned = " (pinned by DIGEST_TODAY)" if settings.DIGEST_TODAY else ""
        self._say(f"Fetching the listings of {today}{pinned}")
        try:
            self.stdout.write(jobs.fetch(today, force=True, tell=self.stdout.write))
        except CommandError as error:
            self.stdout.write(f"  {error}")
            self.stdout.write(
                "  No listing could be read: is this machine on the network? Paperboy tries again every half hour.\n"
                "  To look around without, run in another terminal: .venv/bin/python manage.py demo"
            )
        first = not Edition.objects.published().exists()
        for edition in editions.build_open(today, now=clock.now()):
            if first and edition.placements.filter(is_hidden=False).exists():
                # The first editions need not wait for the hour: somebody is looking at an empty page.
                editions.publish(edition.date, by="first start", now=clock.now())
        self._welcome()

    def _welcome(self) -> None:
        base = settings.DIGEST_BASE_URL
        newest = Edition.objects.published().order_by("-date").first()
        papers = f"{newest.placements.count():,} papers of {newest}" if newest else "no papers yet"
        lines = [("Site", f"{base}/  ({papers})")]
        if settings.DEBUG:
            lines += [
                ("Letters", f"{base}/outbox/"),
                ("Admin", f"{base}/admin/  (user admin, password {self.password})"),
            ]
        elif not get_user_model().objects.filter(is_staff=True).exists():
            lines.append(("Admin", f"{base}/admin/  (first: manage.py staff NAME --role administrator)"))
        self._say("Paperboy is running; Ctrl-C stops it")
        for name, value in lines:
            self.stdout.write(f"  {name:8} {value}")
        self.stdout.flush()

    def _watch(self) -> None:
        while True:
            for name, part in self.parts.items():
                if part.poll() is not None:
                    raise CommandError(f"The {name} ended by itself (exit {part.returncode}); what it said is above.")
            time.sleep(0.5)

    # After ----------------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        """Beat first, so that nothing new begins; the worker finishes what it is at."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for name in ("beat", "worker", "web site"):
            part = self.parts.get(name)
            if part and part.poll() is None:
                part.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for part in self.parts.values():
            try:
                part.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                part.kill()
                part.wait()

    def _say(self, text: str) -> None:
        self.stdout.write(self.style.MIGRATE_HEADING(f"== {text}"))
        self.stdout.flush()


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandError(f"Port {port} is taken. Choose another: PORT={port + 1} make run") from error


def _administrator() -> str:
    """The password of `admin`, made at the first start and kept beside the database; "" once it was changed."""
    users, file = get_user_model(), Path(settings.DIGEST_DATA_DIR / "admin-password")
    user = users.objects.filter(username="admin").first()
    if user is None:
        password = secrets.token_urlsafe(12)
        users.objects.create_superuser("admin", password=password)
        file.touch(mode=0o600)
        file.write_text(password)
        return password
    password = file.read_text().strip() if file.exists() else ""
    return password if password and user.check_password(password) else "as you set it"


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
