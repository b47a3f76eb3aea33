"""The only way out for mail: letters in, one verdict each.

A `Post` hands over one letter at a time, for notices. A `Carrier` takes many: the wire for SMTP, several posts at once
for everything else.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.conf import settings

from subscriptions.crew import Crew
from subscriptions.jobs import Job, Jobs
from subscriptions.mime import Letter, Unwritable, encode, one_address, one_line
from subscriptions.post import Post
from subscriptions.verdicts import Outcome, Verdict
from subscriptions.wire import Server, Wire

__all__ = ["Carrier", "Job", "Jobs", "Letter", "Outcome", "Post", "Transport", "Unwritable", "Verdict", "encode",
           "one_address", "one_line", "transports"]  # fmt: skip

SMTP = "subscriptions.smtp.EmailBackend"


@dataclass(frozen=True, slots=True)
class Transport:
    """One way out. `name` tells it from others in the ledger; `options` are for Django's `get_connection`."""

    name: str
    backend: str
    options: dict[str, Any] = field(default_factory=dict, repr=False)

    @contextmanager
    def carrier(self) -> Iterator["Carrier"]:
        """Kept connections for many letters."""
        connections = settings.DIGEST_MAIL_CONNECTIONS
        if self.backend == SMTP:
            carrier: Carrier = Wire(self._server(), connections)
        else:
            carrier = Crew([Post(self.backend, **self.options) for _ in range(connections)])
        try:
            yield carrier
        finally:
            carrier.close()

    def _server(self) -> Server:
        value = {"host": settings.EMAIL_HOST, "port": settings.EMAIL_PORT, "username": settings.EMAIL_HOST_USER,
                 "password": settings.EMAIL_HOST_PASSWORD, "use_ssl": settings.EMAIL_USE_SSL,
                 "use_tls": settings.EMAIL_USE_TLS, **self.options}  # fmt: skip
        return Server(
            host=value["host"],
            port=value["port"],
            user=value["username"],
            password=value["password"],
            ssl=value["use_ssl"],
            starttls=value["use_tls"],
            name=settings.DIGEST_DOMAIN,
        )


def transports() -> list[Transport]:
    """The way that EMAIL_URL names, and the one that takes over while it is down, if there is one."""
    first = Transport(_name(settings.EMAIL_BACKEND), settings.EMAIL_BACKEND)
    second = settings.DIGEST_SECOND_TRANSPORT
    if second is None:
        return [first]
    name = _name(second.backend)
    return [first, Transport(f"{name}-2" if name == first.name else name, second.backend, second.options)]


def _name(backend: str) -> str:
    return str(backend).split(".")[-2]


class Carrier(Protocol):
    def run(self, jobs: Jobs) -> None:
        """Carry letters until `jobs` has none left. Every job it gave was settled or put back when this returns."""

    def close(self) -> None: ...
