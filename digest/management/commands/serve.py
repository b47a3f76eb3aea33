from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connections
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

#: Milliseconds for the head of a request, and for which a connection may be idle.
HEAD = 15_000
#: Bytes of a request's head, and connections of each worker.
HEAD_SIZE, CONNECTIONS = 65_536, 1_024
#: Seconds that requests have to finish when the site stops; `up` waits longer.
STOP = 25


class Command(BaseCommand):
    help = "Serve the web site."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--threads", type=int, help="Of each process; DIGEST_WEB_THREADS is the default.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["threads"]:
            settings.DIGEST_WEB_THREADS = options["threads"]
        server = Granian(
            "digest.config.rsgi:application",
            address=options["host"],
            port=settings.PORT,
            interface=Interfaces.RSGI,
            loop=Loops.asyncio,
            workers=settings.DIGEST_WEB_WORKERS,
            backlog=CONNECTIONS,
            backpressure=CONNECTIONS,
            http=HTTPModes.http1,
            websockets=False,
            http1_settings=HTTP1Settings(header_read_timeout=HEAD, max_buffer_size=HEAD_SIZE),
            # Its lines go where ours go, through the same filter.
            log_level=LogLevels.warning,
            log_dictconfig={"loggers": {"_granian": {"propagate": True}}},
            respawn_failed_workers=True,
            workers_kill_timeout=STOP,
        )
        # Workers are forked: none may speak over a connection of this process.
        connections.close_all()
        self.stdout.write(f"Serving on http://{options['host']}:{settings.PORT}")
        self.stdout.flush()
        server.serve()
