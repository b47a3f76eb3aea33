from argparse import ArgumentParser
from typing import Any

import waitress
from django.conf import settings
from django.core.management.base import BaseCommand
from django.core.wsgi import get_wsgi_application


class Command(BaseCommand):
    help = "Serve the web site."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--threads", type=int, default=8)

    def handle(self, *args: Any, **options: Any) -> None:
        waitress.serve(
            get_wsgi_application(),
            host=options["host"],
            port=settings.PORT,
            threads=options["threads"],
            ident="paperboy",
            # Waitress takes X-Forwarded-… away unless told; who may be believed is DIGEST_BEHIND_PROXY's to say.
            clear_untrusted_proxy_headers=not settings.DIGEST_BEHIND_PROXY,
        )
