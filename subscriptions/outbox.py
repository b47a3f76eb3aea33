"""The local outbox: every letter a file, for a first look at Paperboy without a mail server."""

import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage as StandardMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

_NAME = re.compile(r"[\w.-]+\.eml")


class EmailBackend(BaseEmailBackend):
    def open(self) -> bool:
        settings.DIGEST_OUTBOX_DIR.mkdir(parents=True, exist_ok=True)
        return True

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            # Django's messages know `linesep`; the stubs only know the standard library's.
            self._write(message.message().as_bytes(linesep="\r\n"))  # type: ignore[call-arg]
        return len(email_messages)

    def _write(self, content: bytes) -> None:
        """Whole or not at all: a reader of the folder never sees half a letter."""
        folder: Path = settings.DIGEST_OUTBOX_DIR
        with tempfile.NamedTemporaryFile(dir=folder, prefix="letter-", suffix=".part", delete=False) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(file.name.removesuffix(".part") + ".eml")


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter in the outbox, as its reader's mail program would show it."""

    name: str
    message: StandardMessage

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def to(self) -> str:
        return str(self.message["To"])

    @property
    def date(self) -> str:
        return parsedate_to_datetime(str(self.message["Date"])).strftime("%Y-%m-%d %H:%M")

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [(name, str(value)) for name, value in self.message.items()]

    def body(self, kind: str) -> str:
        """The text or html part; "" where there is none."""
        part = self.message.get_body(preferencelist=(kind,))
        return str(part.get_content()) if part else ""


def letters(most: int) -> list[Letter]:
    """The newest letters first."""
    folder: Path = settings.DIGEST_OUTBOX_DIR
    files = sorted(folder.glob("*.eml"), key=lambda file: (file.stat().st_mtime_ns, file.name), reverse=True)
    return [_read(file) for file in files[:most]]


def letter(name: str) -> Letter | None:
    file = settings.DIGEST_OUTBOX_DIR / name
    return _read(file) if _NAME.fullmatch(name) and file.is_file() else None


def _read(file: Path) -> Letter:
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert isinstance(message, StandardMessage)
    return Letter(file.name, message)
