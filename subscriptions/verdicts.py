"""What a mail server or service answered, mapped once to what to do next.

Whom a refusal concerns decides: the recipient's touch one letter, those of *us* stop the sending. How far a letter had
got decides the rest: before the final dot it is safe to try again, after it only an answer tells (RFC 1047).
"""

import smtplib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

import requests
from anymail.exceptions import (
    AnymailAPIError,
    AnymailError,
    AnymailRecipientsRefused,
)
from django.core.mail import EmailMultiAlternatives

from subscriptions.mime import one_line


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


class Phase(StrEnum):
    CONNECT = "connect"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    #: The final dot was handed over: the server may have the message.
    DOT = "dot"


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: Outcome
    reason: str = ""
    #: Seconds the server asked us to wait.
    retry_after: float | None = None
    #: The mail service's own id of the message.
    reference: str = ""
    #: Whether we were refused, by password, sender or policy, and not the recipient or the moment.
    is_refusal_of_us: bool = False
    #: Enhanced status code of a definite answer (RFC 3463), such as 5.1.1.
    status: str = ""


SENT = Verdict(Outcome.SENT)


def answered(code: int, text: str, phase: Phase) -> Verdict:
    """The verdict on a reply of an SMTP server that is no success."""
    reason = one_line(f"{code} {text}")[:450]
    status = enhanced(text)
    policy = status.startswith("5.7.") or "5.7." in text
    if not 400 <= code < 600:
        if phase is Phase.DOT:
            return Verdict(Outcome.UNCERTAIN, f"The answer cannot be read: {reason}")
        return Verdict(Outcome.TROUBLE if phase in _OURS else Outcome.DEFERRED, reason)
    if code == 421:  # the connection closes, whatever the phase
        return Verdict(Outcome.TROUBLE, reason, status=status)
    if phase in _OURS:
        refused = code >= 500 and code != _OUT_OF_STEP
        return Verdict(Outcome.TROUBLE, reason, is_refusal_of_us=refused, status=status)
    if policy:  # RFC 3463: security or policy. One letter waits; many in a row stop the sending.
        return Verdict(Outcome.DEFERRED, reason, is_refusal_of_us=True, status=status)
    transient = code < 500 or phase is Phase.DATA
    return Verdict(Outcome.DEFERRED if transient else Outcome.FAILED, reason, status=status)


#: A command the server did not expect: something went wrong between us, and a new connection mends it.
_OUT_OF_STEP = 503
_OURS = frozenset({Phase.CONNECT, Phase.MAIL})


def lost(phase: Phase, why: str) -> Verdict:
    """The verdict where the connection broke or nobody answered."""
    if phase is Phase.DOT:
        return Verdict(Outcome.UNCERTAIN, f"No answer after the message was handed over: {why}"[:450])
    return Verdict(Outcome.TROUBLE if phase in _OURS else Outcome.DEFERRED, why[:450])


def raised(error: Exception, phase: Phase) -> Verdict:
    """The verdict on what smtplib or Anymail raised."""
    if isinstance(error, AnymailError):
        return _anymail(error)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        if phase is Phase.MAIL:  # an address that only SMTPUTF8 can carry
            return Verdict(Outcome.FAILED, words(error))
        return Verdict(Outcome.TROUBLE, words(error), is_refusal_of_us=True)
    if isinstance(error, smtplib.SMTPSenderRefused | smtplib.SMTPAuthenticationError):
        phase = Phase.MAIL
    code, text = _reply(error)
    return answered(code, text, phase) if code else lost(phase, words(error))


def reported(message: EmailMultiAlternatives, to: str) -> Verdict:
    """The verdict on a message that was accepted as a whole; ESPs may still refuse its one recipient."""
    status = getattr(message, "anymail_status", None)
    if status is None:
        return SENT
    # There is only one; some file the answer under another spelling of the address.
    told = (recipient for recipient in status.recipients.values() if recipient.status not in {None, "unknown"})
    recipient = next(told, status.recipients.get(to))
    answer = recipient.status if recipient else None
    reference = str(recipient.message_id or "") if recipient else ""
    if answer in {"sent", "queued"}:
        return Verdict(Outcome.SENT, reference=reference)
    if answer in {"invalid", "rejected", "failed"}:
        return Verdict(Outcome.FAILED, f"The mail service answered: {answer}", reference=reference)
    return Verdict(Outcome.UNCERTAIN, "The mail service did not say what became of it", reference=reference)


def words(error: Exception) -> str:
    code, text = _reply(error)
    said = f"{code} {text}" if code else f"{type(error).__name__}: {error}"
    return one_line(said)[:450]


def enhanced(text: str) -> str:
    """The enhanced status code at the beginning of a reply, or ""."""
    first = text.split(maxsplit=1)[0] if text.split() else ""
    parts = first.split(".")
    return first if len(parts) == 3 and all(part.isdigit() and len(part) <= 3 for part in parts) else ""


def _anymail(error: AnymailError) -> Verdict:
    reason = words(error)
    if isinstance(error, AnymailRecipientsRefused):
        return Verdict(Outcome.FAILED, reason)
    if isinstance(error, AnymailAPIError):
        return _http(error, reason)
    return Verdict(Outcome.FAILED, reason)  # the message itself is something this ESP cannot take


#: Answers that say "this message" (the others of 4xx say "this account"), and those that say "not now".
_MESSAGE = frozenset({400, 406, 413, 422})
_LATER = frozenset({420, 425, 429, 500, 502, 503, 521, 523, 529, 530})
#: Somebody on the way gave up waiting: the message may have been taken.
_UNKNOWN = frozenset({408, 504, 520, 522, 524, 525, 526, 527})
#: Postmark says 422 for everything; these of its codes are about the message or its recipient.
_POSTMARK_MESSAGE = frozenset({300, 406})


def _http(error: AnymailAPIError, reason: str) -> Verdict:
    code, headers, body = _answer(error)
    if code is None:
        before = isinstance(error, requests.exceptions.ConnectTimeout) or _never_connected(error)
        return Verdict(Outcome.TROUBLE if before else Outcome.UNCERTAIN, reason)
    if code in _LATER:
        return Verdict(Outcome.DEFERRED, reason, retry_after=_retry_after(headers))
    if code in _UNKNOWN or 200 <= code < 300:
        return Verdict(Outcome.UNCERTAIN, reason)
    of_postmark = body.get("ErrorCode")
    if code in _MESSAGE and (of_postmark is None or of_postmark in _POSTMARK_MESSAGE):
        return Verdict(Outcome.FAILED, reason)
    return Verdict(Outcome.TROUBLE, reason, is_refusal_of_us=True)


#: What Amazon calls its refusals of a message; its other refusals with 400 are about the account.
_SES_MESSAGE = frozenset({"MessageRejected", "BadRequestException", "InvalidParameterValue"})


def _answer(error: AnymailAPIError) -> tuple[int | None, Mapping[str, str], Mapping[str, Any]]:
    """Status, headers and body of an answer, however the ESP's library gives it; status None where there was none."""
    response = getattr(error, "response", None)
    for seen in _chain(error):  # boto3 keeps a dictionary on its own exception
        if isinstance(response, dict):
            break
        response = getattr(seen, "response", response)
    if isinstance(response, dict):
        meta = response.get("ResponseMetadata", {})
        status = meta.get("HTTPStatusCode")
        if status == 400 and response.get("Error", {}).get("Code") not in _SES_MESSAGE:
            status = 403
        return status, meta.get("HTTPHeaders", {}), {}
    if response is None:
        return getattr(error, "status_code", None), {}, {}
    try:
        body = response.json()
    except ValueError:
        body = {}
    return response.status_code, response.headers, body if isinstance(body, dict) else {}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


_BEFORE = frozenset(
    {"NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "EndpointConnectionError", "SSLError",
     "SSLCertVerificationError"}
)  # fmt: skip


def _never_connected(error: BaseException) -> bool:
    """Whether an error came before any byte of the request left."""
    return any(
        type(seen).__name__ in _BEFORE or "NewConnectionError" in str(seen) or "SSLError" in str(seen)
        for seen in _chain(error)
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait (RFC 9110 section 10.2.3), or until a named limit is over; None for what cannot be read."""
    lower = {name.lower(): value for name, value in headers.items()}
    value = lower.get("retry-after") or lower.get("x-sib-ratelimit-reset") or ""
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        here = parsedate_to_datetime(lower.get("date", "")).timestamp()
        reset = lower.get("x-ratelimit-reset", "")
        until = float(reset) if reset and not value else parsedate_to_datetime(value).timestamp()
    except ValueError:
        return None
    return max(0.0, until - here)


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
