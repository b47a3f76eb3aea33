"""The only way out for mail: one letter, one address, one verdict.

Anymail's ESPs, SMTP and the local outbox all sit behind Django's email API. What each of them answers or raises is
mapped here, once, to what to do next.
"""

import re
import smtplib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self

import requests
from anymail.exceptions import (
    AnymailAPIError,
    AnymailConfigurationError,
    AnymailError,
    AnymailRecipientsRefused,
)
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.validators import validate_email

from subscriptions.smtp import Phase

#: Letters over one connection before it is opened anew; servers close what stays open for long.
PER_CONNECTION = 100
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}]+")


class Outcome(StrEnum):
    SENT = "sent"
    #: A definite "not now" for this recipient: try again later.
    DEFERRED = "deferred"
    #: A definite "no" for this recipient.
    FAILED = "failed"
    #: Handed over without an answer. Trying again could send twice.
    UNCERTAIN = "uncertain"
    #: Nothing was sent and the recipient is not the reason: stop, and tell the operator.
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: Outcome
    reason: str = ""
    #: Seconds the server asked us to wait.
    retry_after: float | None = None
    #: The mail service's own id of the message.
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message as a value. `html` "" makes it plain text. Header values may hold anything; they are cleaned."""

    to: str
    subject: str
    text: str
    html: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def message(self) -> EmailMultiAlternatives:
        """Raises ValueError or ValidationError where it cannot be written, or is not to one address."""
        validate_email(self.to)
        message = EmailMultiAlternatives(
            subject=one_line(self.subject),
            body=self.text,
            from_email=settings.DEFAULT_FROM_EMAIL,
            to=[self.to],
            headers={name: one_line(value) for name, value in self.headers.items()},
        )
        if self.html:
            message.attach_alternative(self.html, "text/html")
        return message


def one_line(text: str) -> str:
    """Text fit for a header: no line breaks, no control characters."""
    return _CONTROLS.sub(" ", text).strip()


class Post:
    """A kept connection to whatever EMAIL_URL names. Never raises for what a mail server or service does."""

    def __init__(self) -> None:
        self.name = str(settings.EMAIL_BACKEND).split(".")[-2]
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
        except ValidationError as error:
            return Verdict(Outcome.FAILED, f"This is not one address: {' '.join(error.messages)}")
        except (ValueError, UnicodeError, IndexError) as error:
            return Verdict(Outcome.FAILED, f"The letter could not be written: {error}")
        try:
            connection = self._open()
        except (OSError, AnymailError) as error:
            self.close()
            return Verdict(Outcome.TROUBLE, f"No connection to the mail server: {_words(error)}")
        try:
            connection.send_messages([message])
        except AnymailError as error:
            return _anymail_verdict(error)
        except (smtplib.SMTPException, OSError) as error:
            phase = getattr(connection, "phase", Phase.DOT)
            self.close()
            return _smtp_verdict(error, phase)
        self._sent += 1
        return _status(message, letter.to)

    def close(self) -> None:
        connection, self._connection, self._sent = self._connection, None, 0
        if connection is not None:
            with suppress(smtplib.SMTPException, OSError):  # what was sent was answered; a rude goodbye changes nothing
                connection.close()

    def _open(self) -> BaseEmailBackend:
        if self._sent >= PER_CONNECTION:
            self.close()
        if self._connection is None:
            self._connection = get_connection()
            self._connection.open()
        return self._connection


def _status(message: EmailMultiAlternatives, to: str) -> Verdict:
    """The verdict on a message that was accepted as a whole; ESPs may still refuse its one recipient."""
    status = getattr(message, "anymail_status", None)
    if status is None:
        return Verdict(Outcome.SENT)
    recipient = status.recipients.get(to)
    answer = recipient.status if recipient else None
    reference = str(recipient.message_id or "") if recipient else ""
    if answer in {"sent", "queued"}:
        return Verdict(Outcome.SENT, reference=reference)
    if answer in {"invalid", "rejected", "failed"}:
        return Verdict(Outcome.FAILED, f"The mail service answered: {answer}", reference=reference)
    return Verdict(Outcome.UNCERTAIN, "The mail service did not say what became of it", reference=reference)


def _anymail_verdict(error: AnymailError) -> Verdict:
    reason = _words(error)
    if isinstance(error, AnymailRecipientsRefused):
        return Verdict(Outcome.FAILED, reason)
    if isinstance(error, AnymailConfigurationError):
        return Verdict(Outcome.TROUBLE, reason)
    if isinstance(error, AnymailAPIError):
        return _http_verdict(error, reason)
    return Verdict(Outcome.FAILED, reason)  # the message itself is something this ESP cannot take


def _http_verdict(error: AnymailAPIError, reason: str) -> Verdict:
    code = getattr(error, "status_code", None)
    if code is None:
        before = isinstance(error, requests.exceptions.ConnectTimeout) or _never_connected(error)
        return Verdict(Outcome.TROUBLE if before else Outcome.UNCERTAIN, reason)
    if code in {401, 403}:
        return Verdict(Outcome.TROUBLE, reason)
    if code in {429, 500, 502, 503}:
        return Verdict(Outcome.DEFERRED, reason, retry_after=_retry_after(error))
    if code == 504 or 200 <= code < 300:
        return Verdict(Outcome.UNCERTAIN, reason)
    return Verdict(Outcome.FAILED, reason)


def _never_connected(error: BaseException) -> bool:
    """Whether a requests error came before any byte of the request left."""
    seen: BaseException | None = error
    while seen is not None:
        if type(seen).__name__ in {"NewConnectionError", "NameResolutionError"} or "NewConnectionError" in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _retry_after(error: AnymailAPIError) -> float | None:
    response = getattr(error, "response", None)
    value = response.headers.get("Retry-After", "") if response is not None else ""
    return float(value) if value.isdigit() else None


def _smtp_verdict(error: Exception, phase: Phase) -> Verdict:
    """Who refused what: the sender's troubles stop the run, a recipient's touch one letter."""
    reason = _words(error)
    code, text = _reply(error)
    if isinstance(error, smtplib.SMTPSenderRefused | smtplib.SMTPAuthenticationError | smtplib.SMTPNotSupportedError):
        return Verdict(Outcome.TROUBLE, reason)
    if code and (code == 421 or "5.7." in text):
        # 421 closes the connection; 5.7.x is policy against us (RFC 3463), whatever the phase.
        return Verdict(Outcome.TROUBLE, reason)
    if code and 400 <= code < 600:
        transient = code < 500 or (phase is not Phase.DOT and phase is not Phase.RCPT)
        return Verdict(Outcome.DEFERRED if transient else Outcome.FAILED, reason)
    if phase is Phase.DOT:
        return Verdict(Outcome.UNCERTAIN, f"No answer after the message was handed over: {reason}")
    return Verdict(Outcome.TROUBLE if phase in {Phase.CONNECT, Phase.MAIL} else Outcome.DEFERRED, reason)


def _reply(error: Exception) -> tuple[int, str]:
    """Code and text of the server's reply, 0 where there was none."""
    code: int
    text: bytes | str
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
    elif isinstance(error, smtplib.SMTPResponseException):
        code, text = error.smtp_code, error.smtp_error
    else:
        return 0, ""
    return code, text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _words(error: Exception) -> str:
    code, text = _reply(error)
    said = f"{code} {text}" if code else f"{type(error).__name__}: {error}"
    return one_line(said)[:450]
