"""One letter at a time through Django's email API, behind which Anymail's ESPs, SMTP and the local outbox sit."""

import smtplib
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from anymail.exceptions import AnymailError
from botocore.exceptions import BotoCoreError
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.html import escape

from subscriptions.mime import Letter
from subscriptions.verdicts import Outcome, Phase, Verdict, raised, reported, words

#: Letters over one connection before it is opened anew; servers close what stays open for long.
PER_CONNECTION = 100


class Post:
    """A kept connection to one transport. Never raises for what a mail server or service does."""

    def __init__(self, backend: str | None = None, **options: Any) -> None:
        """`backend` and `options` as for Django's `get_connection`; by default what EMAIL_URL names."""
        self.backend, self.options = backend, options
        self._connection: BaseEmailBackend | None = None
        self._sent = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, letter: Letter) -> Verdict:
        """Hand one letter over and say what came of it."""
        try:
            message = letter.message()
            message.message()
            if not letter.html and str(self.backend or settings.EMAIL_BACKEND).endswith("brevo.EmailBackend"):
                # Brevo takes no letter without HTML.
                message.attach_alternative(f"<pre>{escape(message.body)}</pre>", "text/html")
        except (ValueError, UnicodeError, IndexError) as error:
            return Verdict(Outcome.FAILED, f"The letter could not be written: {error}")
        try:
            connection = self._open()
        except (ImproperlyConfigured, BotoCoreError) as error:
            return Verdict(Outcome.TROUBLE, words(error), is_refusal_of_us=True)
        except (smtplib.SMTPException, OSError, AnymailError) as error:
            self.close()
            refused = raised(error, Phase.CONNECT).is_refusal_of_us
            return Verdict(
                Outcome.TROUBLE, f"No connection to the mail server: {words(error)}", is_refusal_of_us=refused
            )
        try:
            connection.send_messages([message])
        except (smtplib.SMTPException, OSError, AnymailError) as error:
            phase = getattr(connection, "phase", Phase.DOT)
            if not isinstance(error, AnymailError):
                self.close()  # Django keeps a dead connection and would use it again
            return raised(error, phase)
        self._sent += 1
        return reported(message, letter.to)

    def close(self) -> None:
        connection, self._connection, self._sent = self._connection, None, 0
        if connection is not None:
            with suppress(smtplib.SMTPException, OSError):  # what was sent was answered; a rude goodbye changes nothing
                connection.close()

    def _open(self) -> BaseEmailBackend:
        if self._sent >= PER_CONNECTION:
            self.close()
        if self._connection is None:
            self._connection = get_connection(self.backend, **self.options)
            self._connection.open()
        return self._connection
