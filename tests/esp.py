"""Doubles of mail services: the API that Anymail 15.2 sends to, and the webhooks by which a service reports back.

A `Double` is a real HTTP server on this machine. It checks who asks and what is sent, keeps what it accepts, and can be
told to answer with a `Fault`. `Esp.event` makes the request that the service's webhook would make.
"""

import base64
import hashlib
import hmac
import json
import socket
import sys
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from email import message_from_bytes, policy
from email.utils import parseaddr
from enum import StrEnum
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

#: The domain that the services know as ours.
DOMAIN = "papers.example.org"
KEY = "key-of-the-tests"
HOOK_SECRET = "hooks:secret-of-the-tests"
SIGNING_KEY = "signing-key-of-the-tests"


class Fault(StrEnum):
    """What a double does instead of accepting and saying so."""

    BAD_MESSAGE = "refuses this message"
    BAD_RECIPIENT = "refuses this recipient"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    BUSY = "429"
    BROKEN = "500"
    BAD_GATEWAY = "502"
    UNAVAILABLE = "503"
    #: The gateway gave up; the service behind it has the message.
    GATEWAY_TIMEOUT = "504"
    #: Accepted, but the answer cannot be read.
    GARBLED = "2xx that cannot be read"
    #: "Not so fast" and "you may not send at all", in the words and with the status that this service uses for them.
    THROTTLED = "throttles in its own way"
    SUSPENDED = "suspends the account in its own way"
    SILENT = "accepts and never answers"
    LOST = "accepts and hangs up"
    DROPPED = "reads and hangs up without accepting"
    UNREAD = "hangs up without reading"


_STATUS = {
    Fault.UNAUTHORIZED: 401,
    Fault.FORBIDDEN: 403,
    Fault.BUSY: 429,
    Fault.BROKEN: 500,
    Fault.BAD_GATEWAY: 502,
    Fault.UNAVAILABLE: 503,
}
_WORDS = {400: "Bad request", 401: "Unauthorized", 403: "Forbidden", 404: "Not found", 429: "Too many requests",
          500: "Internal error"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A message that a service has. `headers` are those it was told besides From, To and Subject."""

    reference: str
    sender: str
    to: str
    subject: str
    headers: Mapping[str, str]
    text: str
    html: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: Any
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A webhook's request. `event_id` is how the service tells this event from others, None where it does not."""

    path: str
    body: bytes
    headers: Mapping[str, str]
    event_id: str | None

    @property
    def content_type(self) -> str:
        return self.headers["Content-Type"]

    def without_secret(self) -> "Hook":
        return replace(self, headers={name: value for name, value in self.headers.items() if name != "Authorization"})

    def with_wrong_secret(self) -> "Hook":
        return replace(self, headers={**self.headers, "Authorization": _basic("hooks:guess")})


@dataclass(frozen=True, slots=True)
class _Event:
    kind: str
    reference: str
    recipient: str
    metadata: Mapping[str, str]
    at: datetime
    event_id: str


class Unfit(Exception):
    """The message is not one that a service would take, or not one that we ever mean to send."""


# The server ----------------------------------------------------------------------------------------------------------


class Double:
    """One service. `accepted` holds what it has; `fault` is what it does until told otherwise."""

    def __init__(self, esp: "Esp") -> None:
        self.esp = esp
        self.accepted: list[Accepted] = []
        self.requests = 0
        self.fault: Fault | None = None
        self.retry_after = "120"
        self._port = 0
        self._server: _Server | None = None
        self._stopped = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}{self.esp.base}"

    def settings(self, *, read_timeout: float = 10) -> dict[str, Any]:
        """Django's settings for sending to this double."""
        return self.esp.settings(self.url, connect_timeout=2, read_timeout=read_timeout)

    def start(self) -> None:
        """On the port it had before, if there was one."""
        self._stopped.clear()
        self._server = _Server(self, self._port)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """From now on connections are refused. Raises what went wrong in the double itself."""
        server, self._server = self._server, None
        if server is None:
            return
        self._stopped.set()
        server.shutdown()
        server.server_close()
        server.hang_up()
        if server.errors:
            raise server.errors[0]

    def answer(self, request: Request) -> Answer | None:
        """None hangs up."""
        self.requests += 1
        esp, fault = self.esp, self.fault
        if fault is Fault.DROPPED:
            return None
        if refusal := esp.refusal(request):
            return refusal
        try:
            letter = esp.read(request)
        except Unfit as error:
            return esp.bad_message(str(error))
        if refusal := self._refusal(fault, letter):
            return refusal
        self.accepted.append(letter)
        if fault is Fault.SILENT:
            self._stopped.wait(30)
        if fault in {Fault.SILENT, Fault.LOST}:
            return None
        if fault is Fault.GATEWAY_TIMEOUT:
            return _page(504)
        if fault is Fault.GARBLED:
            return Answer(200, "<!doctype html>Welcome")
        return esp.taken(letter)

    def _refusal(self, fault: Fault | None, letter: Accepted) -> Answer | None:
        esp = self.esp
        match fault:
            case Fault.BAD_MESSAGE:
                return esp.bad_message("This message is not acceptable")
            case Fault.BAD_RECIPIENT:
                return esp.bad_recipient(letter.to)
            case Fault.THROTTLED:
                return esp.throttled()
            case Fault.SUSPENDED:
                return esp.suspended()
            case Fault.BAD_GATEWAY | Fault.UNAVAILABLE:
                return _page(_STATUS[fault], {"Retry-After": self.retry_after})
            case Fault.UNAUTHORIZED | Fault.FORBIDDEN | Fault.BUSY | Fault.BROKEN:
                answer = esp.error(_STATUS[fault], _WORDS[_STATUS[fault]])
                wait = {"Retry-After": self.retry_after} if fault is Fault.BUSY else {}
                return replace(answer, headers={**answer.headers, **wait})
        return None


def installed(package: str) -> bool:
    return find_spec(package) is not None


@contextmanager
def double(esp: "Esp") -> Iterator[Double]:
    service = Double(esp)
    service.start()
    try:
        yield service
    finally:
        service.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, service: Double, port: int) -> None:
        self.service = service
        self.errors: list[BaseException] = []
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return self.service.fault is not Fault.UNREAD

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, ConnectionError):
            self.errors.append(error)

    def hang_up(self) -> None:
        for connection in list(self._open):
            self.shutdown_request(connection)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.server.service.answer(Request(self.command, self.path, self.headers, body))
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body.encode())))
        self.end_headers()
        self.wfile.write(answer.body.encode())


# The services --------------------------------------------------------------------------------------------------------


class Esp:
    """What one service asks, answers and reports. `kinds` are the events it has, by our names."""

    name: str
    #: Path of the API, as in the default that Anymail knows.
    base = "/"
    kinds: tuple[str, ...] = ("delivered", "bounced", "bounced softly", "deferred", "complained", "unsubscribed")

    def __repr__(self) -> str:
        return self.name

    @property
    def backend(self) -> str:
        return f"anymail.backends.{self.name}.EmailBackend"

    def settings(self, url: str, *, connect_timeout: float, read_timeout: float) -> dict[str, Any]:
        prefix = self.name.upper()
        anymail = {f"{prefix}_API_URL": url, **self.keys(), "REQUESTS_TIMEOUT": (connect_timeout, read_timeout)}
        return {"EMAIL_BACKEND": self.backend, "ANYMAIL": anymail}

    def keys(self) -> dict[str, Any]:
        return {f"{self.name.upper()}_API_KEY": KEY}

    # Sending

    def refusal(self, request: Request) -> Answer | None:
        """The answer to whoever is not us, or asks for what is not there."""
        raise NotImplementedError

    def read(self, request: Request) -> Accepted:
        """Raises Unfit."""
        raise NotImplementedError

    def taken(self, letter: Accepted) -> Answer:
        raise NotImplementedError

    def error(self, status: int, words: str) -> Answer:
        raise NotImplementedError

    def bad_message(self, words: str) -> Answer:
        return self.error(400, words)

    def bad_recipient(self, to: str) -> Answer:
        return self.bad_message(f"{to} is not a valid address")

    def throttled(self) -> Answer:
        return self.error(429, _WORDS[429])

    def suspended(self) -> Answer:
        return self.error(403, "Your account may not send")

    # Reporting

    @property
    def hook_path(self) -> str:
        return f"/anymail/{self.name}/tracking/"

    def hook_settings(self) -> dict[str, str]:
        """For ANYMAIL, besides WEBHOOK_SECRET."""
        return {}

    def event(
        self,
        kind: str,
        *,
        reference: str,
        recipient: str,
        metadata: Mapping[str, str],
        at: datetime,
        event_id: str = "",
    ) -> Hook:
        """The webhook's request. `reference` is the service's own id of the message, as it gave it when sending."""
        return self._event(_Event(kind, reference, recipient, metadata, at, event_id or uuid.uuid4().hex))

    def _event(self, event: _Event) -> Hook:
        raise NotImplementedError

    def with_wrong_signature(self, hook: Hook) -> Hook:
        raise NotImplementedError

    def _hook(self, payload: Any, event_id: str | None, **headers: str) -> Hook:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        every = {"Content-Type": "application/json", "Authorization": _basic(HOOK_SECRET), **names}
        return Hook(path=self.hook_path, body=json.dumps(payload).encode(), headers=every, event_id=event_id)


class AmazonSes(Esp):
    """SES v2 SendEmail with raw content (docs.aws.amazon.com/ses/latest/APIReference-V2); events by SNS."""

    # On the way out SES replaces Message-ID and Date: "Amazon SES header fields" in its guide.
    name = "amazon_ses"
    secret = "secret-key-of-the-tests"

    def settings(self, url: str, *, connect_timeout: float, read_timeout: float) -> dict[str, Any]:
        # boto3 by itself asks three times, also where only the answer was lost: the reader would get three letters.
        config = {
            "connect_timeout": connect_timeout,
            "read_timeout": read_timeout,
            "retries": {"total_max_attempts": 1},
        }
        client = {"endpoint_url": url, "config": config}
        return {"EMAIL_BACKEND": self.backend, "ANYMAIL": {**self.keys(), "AMAZON_SES_CLIENT_PARAMS": client}}

    def keys(self) -> dict[str, Any]:
        session = {"aws_access_key_id": KEY, "aws_secret_access_key": self.secret, "region_name": "eu-west-1"}
        return {"AMAZON_SES_SESSION_PARAMS": session}

    def refusal(self, request: Request) -> Answer | None:
        if request.path != "/v2/email/outbound-emails":
            return self._error(404, "UnknownOperationException", "")
        given = request.headers["Authorization"] or ""
        if f"Credential={KEY}/" not in given:
            return self._error(
                403, "UnrecognizedClientException", "The security token included in the request is invalid."
            )
        if not given.endswith(f"Signature={_signature_v4(request, self.secret)}"):
            return self._error(403, "InvalidSignatureException", "The request signature we calculated does not match")
        return None

    def read(self, request: Request) -> Accepted:
        asked = json.loads(request.body)
        destination = asked["Destination"]
        sent = base64.b64decode(asked["Content"]["Raw"]["Data"])
        if not sent.isascii():
            raise Unfit("SES wants messages in seven bits")
        raw = message_from_bytes(sent, policy=policy.default)
        headers = {name: str(value).strip() for name, value in raw.items()}
        if headers.pop("To", "") != "".join(destination["ToAddresses"]):
            raise Unfit("The To header is not the recipient")
        plain, html = raw.get_body(("plain",)), raw.get_body(("html",))
        return _accepted(
            reference=str(uuid.uuid4()),
            sender=headers.pop("From", ""),
            to=destination["ToAddresses"],
            copies=[*destination.get("CcAddresses", []), *destination.get("BccAddresses", [])],
            subject=headers.pop("Subject", ""),
            text=plain.get_content() if plain else "",
            html=html.get_content() if html else "",
            metadata=json.loads(headers.pop("X-Metadata", "{}")),
            headers=headers,
        )

    def taken(self, letter: Accepted) -> Answer:
        return Answer(200, json.dumps({"MessageId": letter.reference}))

    def error(self, status: int, words: str) -> Answer:
        kinds = {400: "BadRequestException", 401: "UnrecognizedClientException", 403: "AccessDeniedException",
                 429: "TooManyRequestsException", 500: "InternalFailure"}  # fmt: skip
        return self._error(status, kinds[status], words)

    def bad_message(self, words: str) -> Answer:
        return self._error(400, "MessageRejected", words)

    def suspended(self) -> Answer:
        return self._error(400, "SendingPausedException", "Email sending for this account is paused")

    def _error(self, status: int, kind: str, words: str) -> Answer:
        return Answer(status, json.dumps({"message": words}), {"x-amzn-ErrorType": kind})

    def _event(self, event: _Event) -> Hook:
        to = event.recipient
        bounced = [{"emailAddress": to, "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 user unknown"}]
        name, key, detail = {
            "delivered": ("Delivery", "delivery", {"recipients": [to], "smtpResponse": "250 2.0.0 OK"}),
            "bounced": ("Bounce", "bounce", {"bounceType": "Permanent", "bounceSubType": "General",
                                             "bouncedRecipients": bounced}),
            "bounced softly": ("Bounce", "bounce", {"bounceType": "Transient", "bounceSubType": "MailboxFull",
                                                    "bouncedRecipients": bounced}),
            "deferred": ("DeliveryDelay", "deliveryDelay", {"delayType": "TransientCommunicationFailure",
                                                            "delayedRecipients": bounced}),
            "complained": ("Complaint", "complaint", {"complainedRecipients": [{"emailAddress": to}],
                                                      "complaintFeedbackType": "abuse", "userAgent": "Loop/1.0"}),
            "unsubscribed": ("Subscription", "subscription", {"source": "UnsubscribeHeader"}),
        }[event.kind]  # fmt: skip
        headers = [{"name": "To", "value": to}, {"name": "X-Metadata", "value": json.dumps(dict(event.metadata))}]
        mail = {"messageId": event.reference, "timestamp": _iso(event.at), "source": f"digest@{DOMAIN}",
                "destination": [to], "headers": headers}  # fmt: skip
        topic = "arn:aws:sns:eu-west-1:123456789012:paperboy"
        envelope = {"Type": "Notification", "MessageId": event.event_id, "TopicArn": topic, "Timestamp": _iso(event.at),
                    "Message": json.dumps({"eventType": name, "mail": mail, key: detail}),
                    "SignatureVersion": "1", "Signature": "bm90IGxvb2tlZCBhdA=="}  # fmt: skip
        return self._hook(
            envelope,
            event.event_id,
            Content_Type="text/plain; charset=UTF-8",
            x_amz_sns_message_type="Notification",
            x_amz_sns_message_id=event.event_id,
            x_amz_sns_topic_arn=topic,
        )

    def with_wrong_signature(self, hook: Hook) -> Hook:
        return replace(hook, body=hook.body.replace(b"bm90IGxvb2tlZCBhdA==", b"Zm9yZ2Vk"))


class Mailgun(Esp):
    """POST /v3/DOMAIN/messages (documentation.mailgun.com/docs/mailgun/api-reference)."""

    name = "mailgun"
    base = "/v3/"
    # A permanent failure is one event, a temporary one is told at each attempt.
    kinds = ("delivered", "bounced", "deferred", "complained", "unsubscribed")

    def refusal(self, request: Request) -> Answer | None:
        if request.headers["Authorization"] != _basic(f"api:{KEY}"):
            return Answer(401, "Forbidden", {"Content-Type": "text/plain"})
        if request.path != f"/v3/{DOMAIN}/messages":
            return self.error(404, "Domain not found: " + request.path.split("/")[2])
        return None

    def read(self, request: Request) -> Accepted:
        asked = parse_qs(request.body.decode(), keep_blank_values=True)
        one = {name: values[0] for name, values in asked.items()}
        if many := [name for name, values in asked.items() if len(values) > 1]:
            raise Unfit(f"{many} more than once")
        headers = {name[2:]: value for name, value in one.items() if name.startswith("h:")}
        return _accepted(
            reference=headers.get("Message-Id", ""),
            sender=one.get("from", ""),
            to=one.get("to", "").split(","),
            copies=[one[name] for name in ("cc", "bcc") if name in one],
            subject=one.get("subject", ""),
            headers=headers,
            text=one.get("text", ""),
            html=one.get("html", ""),
            metadata={name[2:]: value for name, value in one.items() if name.startswith("v:")},
        )

    def taken(self, letter: Accepted) -> Answer:
        return Answer(200, json.dumps({"id": letter.reference, "message": "Queued. Thank you."}))

    def error(self, status: int, words: str) -> Answer:
        return Answer(status, json.dumps({"message": words}))

    def bad_recipient(self, to: str) -> Answer:
        return self.error(400, "'to' parameter is not a valid address. please check documentation")

    def throttled(self) -> Answer:
        until = "Tue, 02 Jun 2026 09:00:00 UTC"
        return self.error(
            420, f"Domain {DOMAIN} is not allowed to send: recipient limit exceeded, try again after {until}"
        )

    def suspended(self) -> Answer:
        return self.error(403, f"Domain {DOMAIN} is not allowed to send: Please activate your Mailgun account.")

    def hook_settings(self) -> dict[str, str]:
        return {"MAILGUN_WEBHOOK_SIGNING_KEY": SIGNING_KEY}

    def _event(self, event: _Event) -> Hook:
        refused = {"code": 550, "message": "5.1.1 user unknown", "description": ""}
        delayed = {"code": 452, "message": "4.2.2 mailbox full", "description": "", "retry-seconds": 600}
        kinds: dict[str, dict[str, Any]] = {
            "delivered": {"event": "delivered", "delivery-status": {"code": 250, "message": "OK", "description": ""}},
            "bounced": {"event": "failed", "severity": "permanent", "reason": "bounce", "delivery-status": refused},
            "deferred": {"event": "failed", "severity": "temporary", "reason": "generic", "delivery-status": delayed},
            "complained": {"event": "complained"},
            "unsubscribed": {"event": "unsubscribed"},
        }
        data = {
            **kinds[event.kind],
            "id": "day-" + uuid.uuid4().hex,
            "timestamp": event.at.timestamp(),
            "recipient": event.recipient,
            "message": {"headers": {"message-id": event.reference.strip("<>"), "to": event.recipient}},
            "user-variables": dict(event.metadata),
            "tags": [],
        }
        token, moment = event.event_id, str(int(event.at.timestamp()))
        signature = _hmac(SIGNING_KEY.encode(), f"{moment}{token}".encode()).hex()
        signed = {"token": token, "timestamp": moment, "signature": signature}
        return self._hook({"signature": signed, "event-data": data}, token)

    def with_wrong_signature(self, hook: Hook) -> Hook:
        payload = json.loads(hook.body)
        payload["signature"]["signature"] = _hmac(b"guess", b"").hex()
        return replace(hook, body=json.dumps(payload).encode())


class Postmark(Esp):
    """POST /email (postmarkapp.com/developer/api/email-api). Errors are 422 with a code of their own."""

    # On the way out Postmark replaces Message-ID, unless there is a header X-PM-KeepID: true.
    name = "postmark"

    def keys(self) -> dict[str, Any]:
        return {"POSTMARK_SERVER_TOKEN": KEY}

    def refusal(self, request: Request) -> Answer | None:
        if request.headers["X-Postmark-Server-Token"] != KEY:
            return self._error(401, 10, "Request does not contain a valid Server token.")
        if request.path != "/email":
            return self._error(404, 0, _WORDS[404])
        return None

    def read(self, request: Request) -> Accepted:
        asked = json.loads(request.body)
        return _accepted(
            reference=str(uuid.uuid4()),
            sender=asked.get("From", ""),
            to=asked.get("To", "").split(","),
            copies=[asked[name] for name in ("Cc", "Bcc") if asked.get(name)],
            subject=asked.get("Subject", ""),
            headers=_pairs(asked.get("Headers", []), "Name", "Value"),
            text=asked.get("TextBody", ""),
            html=asked.get("HtmlBody", ""),
            metadata=asked.get("Metadata", {}),
        )

    def taken(self, letter: Accepted) -> Answer:
        said = {"To": letter.to, "SubmittedAt": "2026-06-02T08:00:00.0000000Z", "MessageID": letter.reference,
                "ErrorCode": 0, "Message": "OK"}  # fmt: skip
        return Answer(200, json.dumps(said))

    def error(self, status: int, words: str) -> Answer:
        return self._error(status, {401: 10, 403: 0, 429: 429, 500: 0}[status], words)

    def bad_message(self, words: str) -> Answer:
        return self._error(422, 300, words)

    def bad_recipient(self, to: str) -> Answer:
        words = (
            f"You tried to send to recipient(s) that have been marked as inactive. Found inactive addresses: "
            f"{to.lower()}. Inactive recipients are ones that have generated a hard bounce, a spam complaint, or a "
            f"manual suppression."
        )
        return self._error(422, 406, words)

    def suspended(self) -> Answer:
        return self._error(422, 413, "Your account may not send: it is under review.")

    def _error(self, status: int, code: int, words: str) -> Answer:
        return Answer(status, json.dumps({"ErrorCode": code, "Message": words}))

    def _event(self, event: _Event) -> Hook:
        number = event.event_id if event.event_id.isdigit() else str(int(event.event_id, 16) % 10**10)
        to, at = event.recipient, _iso(event.at)
        bounce = {"ID": int(number), "Email": to, "BouncedAt": at, "Details": "550 5.1.1 user unknown"}
        kinds: dict[str, dict[str, Any]] = {
            "delivered": {"RecordType": "Delivery", "Recipient": to, "DeliveredAt": at, "Details": "OK"},
            "bounced": {"RecordType": "Bounce", "Type": "HardBounce", "TypeCode": 1, "Inactive": True, **bounce},
            "bounced softly": {"RecordType": "Bounce", "Type": "SoftBounce", "TypeCode": 4096, "Inactive": False,
                               **bounce},
            "deferred": {"RecordType": "Bounce", "Type": "Transient", "TypeCode": 2, "Inactive": False, **bounce},
            "complained": {"RecordType": "SpamComplaint", "Type": "SpamComplaint", "TypeCode": 512, **bounce},
            "unsubscribed": {"RecordType": "SubscriptionChange", "Recipient": to, "ChangedAt": at,
                             "Origin": "Recipient", "SuppressSending": True, "SuppressionReason": "ManualSuppression"},
        }  # fmt: skip
        said = kinds[event.kind]
        payload = {"MessageID": event.reference, "ServerID": 23, "MessageStream": "outbound", "Tag": "",
                   "Metadata": dict(event.metadata), **said}  # fmt: skip
        return self._hook(payload, number if "ID" in said else None)


class SendGrid(Esp):
    """POST /v3/mail/send (twilio.com/docs/sendgrid/api-reference/mail-send). A letter taken is a 202 without a body."""

    # Anymail no longer supports SendGrid (its issue 432); the backend and the webhook are still there in 15.2.
    name = "sendgrid"
    base = "/v3/"

    def refusal(self, request: Request) -> Answer | None:
        if request.headers["Authorization"] != f"Bearer {KEY}":
            return self.error(401, "The provided authorization grant is invalid, expired, or revoked")
        if request.path != "/v3/mail/send":
            return self.error(404, _WORDS[404])
        return None

    def read(self, request: Request) -> Accepted:
        asked = json.loads(request.body)
        if len(asked["personalizations"]) != 1:
            raise Unfit("One message for many")
        person = asked["personalizations"][0]
        bodies = _pairs(asked["content"], "type", "value")
        metadata = {**asked.get("custom_args", {}), **person.get("custom_args", {})}
        return _accepted(
            reference=metadata.pop("anymail_id"),  # what the events will carry; the answer has another
            sender=asked["from"]["email"],
            to=[each["email"] for each in person["to"]],
            copies=[each["email"] for name in ("cc", "bcc") for each in person.get(name, [])],
            subject=asked.get("subject", ""),
            headers=asked.get("headers", {}),
            text=bodies.get("text/plain", ""),
            html=bodies.get("text/html", ""),
            metadata=metadata,
        )

    def taken(self, letter: Accepted) -> Answer:
        return Answer(202, "", {"X-Message-Id": uuid.uuid4().hex})

    def error(self, status: int, words: str) -> Answer:
        return Answer(status, json.dumps({"errors": [{"message": words, "field": None, "help": None}]}))

    def throttled(self) -> Answer:
        moment = str(int(datetime.fromisoformat("2026-06-02T08:01:00Z").timestamp()))
        return replace(self.error(429, "too many requests"), headers={"X-RateLimit-Reset": moment})

    def suspended(self) -> Answer:
        return self.error(401, "Maximum credits exceeded")

    def hook_settings(self) -> dict[str, str]:
        key = _signer()
        return {"SENDGRID_TRACKING_WEBHOOK_VERIFICATION_KEY": key.public} if key else {}

    def _event(self, event: _Event) -> Hook:
        refused = {"reason": "550 5.1.1 user unknown", "status": "5.1.1"}
        said = {
            "delivered": {"event": "delivered", "response": "250 OK"},
            "bounced": {"event": "bounce", "type": "bounce", "bounce_classification": "Invalid Address", **refused},
            "bounced softly": {"event": "bounce", "type": "blocked", "bounce_classification": "Reputation", **refused},
            "deferred": {"event": "deferred", "response": "452 4.2.2 mailbox full", "attempt": "1"},
            "complained": {"event": "spamreport"},
            "unsubscribed": {"event": "unsubscribe"},
        }[event.kind]
        payload = {**event.metadata, "anymail_id": event.reference, "sg_event_id": event.event_id,
                   "sg_message_id": "14c5d75ce93.filter", "email": event.recipient,
                   "timestamp": int(event.at.timestamp()), **said}  # fmt: skip
        return self._signed(self._hook([payload], event.event_id), event.at)

    def batch(self, hooks: Iterable[Hook], *, at: datetime) -> Hook:
        """The events of several requests in one, as this service really sends them."""
        return self._signed(self._hook([event for hook in hooks for event in json.loads(hook.body)], None), at)

    def with_wrong_signature(self, hook: Hook) -> Hook:
        return replace(hook, body=hook.body.replace(b"@", b"@not."))

    def _signed(self, hook: Hook, at: datetime) -> Hook:
        key = _signer()
        if key is None:
            return hook
        prefix, moment = "X-Twilio-Email-Event-Webhook-", str(int(at.timestamp()))
        headers = {f"{prefix}Timestamp": moment, f"{prefix}Signature": key.sign(moment.encode() + hook.body)}
        return replace(hook, headers={**hook.headers, **headers})


class Brevo(Esp):
    """POST /v3/smtp/email (developers.brevo.com/reference/sendtransacemail). HTML is a must."""

    name = "brevo"
    base = "/v3/"

    def refusal(self, request: Request) -> Answer | None:
        if request.headers["api-key"] != KEY:
            return self._error(401, "unauthorized", "Key not found")
        if request.path != "/v3/smtp/email":
            return self._error(404, "document_not_found", _WORDS[404])
        return None

    def read(self, request: Request) -> Accepted:
        asked = json.loads(request.body)
        if not asked.get("htmlContent"):
            raise Unfit("htmlContent is missing")
        headers = asked.get("headers", {})
        return _accepted(
            reference=f"<{uuid.uuid4().hex}@smtp-relay.mailin.fr>",
            sender=asked.get("sender", {}).get("email", ""),
            to=[each["email"] for each in asked["to"]],
            copies=[each["email"] for name in ("cc", "bcc") for each in asked.get(name, [])],
            subject=asked.get("subject", ""),
            metadata=json.loads(headers.pop("X-Mailin-custom", "{}")),
            headers=headers,
            text=asked.get("textContent", ""),
            html=asked.get("htmlContent", ""),
        )

    def taken(self, letter: Accepted) -> Answer:
        return Answer(201, json.dumps({"messageId": letter.reference}))

    def error(self, status: int, words: str) -> Answer:
        codes = {400: "invalid_parameter", 401: "unauthorized", 403: "permission_denied", 429: "too_many_requests",
                 500: "internal_error"}  # fmt: skip
        return self._error(status, codes[status], words)

    def bad_recipient(self, to: str) -> Answer:
        return self.error(400, "email is not valid in to")

    def throttled(self) -> Answer:
        return replace(self.error(429, _WORDS[429]), headers={"x-sib-ratelimit-reset": "17"})

    def suspended(self) -> Answer:
        return self._error(402, "not_enough_credits", "Unable to send: you have no credits left")

    def _error(self, status: int, code: str, words: str) -> Answer:
        return Answer(status, json.dumps({"code": code, "message": words}))

    def _event(self, event: _Event) -> Hook:
        name, reason = {
            "delivered": ("delivered", ""),
            "bounced": ("hard_bounce", "550 5.1.1 user unknown"),
            "bounced softly": ("soft_bounce", "452 4.2.2 mailbox full"),
            "deferred": ("deferred", "452 4.2.2 mailbox full"),
            "complained": ("spam", ""),
            "unsubscribed": ("unsubscribed", ""),  # so in Brevo's reference; Anymail waits for "unsubscribe"
        }[event.kind]
        payload = {"event": name, "email": event.recipient, "id": 999, "message-id": event.reference,
                   "reason": reason, "ts_epoch": int(event.at.timestamp() * 1000),
                   "X-Mailin-custom": json.dumps(dict(event.metadata))}  # fmt: skip
        return self._hook(payload, None)


class Resend(Esp):
    """POST /emails (resend.com/docs/api-reference/emails/send-email); webhooks signed as Svix does."""

    name = "resend"
    kinds = ("delivered", "bounced", "bounced softly", "deferred", "complained")

    def refusal(self, request: Request) -> Answer | None:
        given = request.headers["Authorization"] or ""
        if not given.startswith("Bearer "):
            return self._error(401, "missing_api_key", "Missing API key in the authorization header.")
        if given != f"Bearer {KEY}":
            return self._error(403, "invalid_api_key", "API key is invalid.")
        if request.path != "/emails":
            return self._error(404, "not_found", "The requested endpoint does not exist.")
        return None

    def read(self, request: Request) -> Accepted:
        asked = json.loads(request.body)
        headers = asked.get("headers", {})
        return _accepted(
            reference=str(uuid.uuid4()),
            sender=asked.get("from", ""),
            to=asked["to"],
            copies=[*asked.get("cc", []), *asked.get("bcc", [])],
            subject=asked.get("subject", ""),
            metadata=json.loads(headers.pop("X-Metadata", "{}")),
            headers=headers,
            text=asked.get("text", ""),
            html=asked.get("html", ""),
        )

    def taken(self, letter: Accepted) -> Answer:
        return Answer(200, json.dumps({"id": letter.reference}))

    def error(self, status: int, words: str) -> Answer:
        names = {401: "restricted_api_key", 403: "validation_error", 429: "rate_limit_exceeded",
                 500: "internal_server_error"}  # fmt: skip
        return self._error(status, names[status], words)

    def bad_message(self, words: str) -> Answer:
        return self._error(422, "validation_error", words)

    def bad_recipient(self, to: str) -> Answer:
        return self.bad_message("Invalid `to` field. The email address needs to follow the `email@example.com` format.")

    def throttled(self) -> Answer:
        return replace(self.error(429, _WORDS[429]), headers={"retry-after": "1", "ratelimit-reset": "1"})

    def suspended(self) -> Answer:
        return self.error(403, f"The {DOMAIN} domain is not verified.")

    def _error(self, status: int, name: str, words: str) -> Answer:
        return Answer(status, json.dumps({"statusCode": status, "name": name, "message": words}))

    def hook_settings(self) -> dict[str, str]:
        return {"RESEND_SIGNING_SECRET": _SVIX_SECRET} if installed("svix") else {}

    def _event(self, event: _Event) -> Hook:
        hard = {"type": "Permanent", "subType": "General",
                "message": "The recipient's email provider sent a hard bounce message."}  # fmt: skip
        soft = {"type": "Transient", "subType": "MailboxFull",
                "message": "The recipient's email provider sent a bounce message: the inbox was full."}  # fmt: skip
        name, detail = {
            "delivered": ("email.delivered", {}),
            "bounced": ("email.bounced", {"bounce": hard}),
            "bounced softly": ("email.bounced", {"bounce": soft}),
            "deferred": ("email.delivery_delayed", {}),
            "complained": ("email.complained", {}),
        }[event.kind]
        headers = [{"name": "X-Metadata", "value": json.dumps(dict(event.metadata))}]
        data = {"email_id": event.reference, "from": f"digest@{DOMAIN}", "to": [event.recipient], "subject": "",
                "created_at": _iso(event.at), "headers": headers, **detail}  # fmt: skip
        hook = self._hook({"type": name, "created_at": _iso(event.at), "data": data}, event.event_id)
        moment = str(int(event.at.timestamp()))
        key = base64.b64decode(_SVIX_SECRET.removeprefix("whsec_"))
        signature = base64.b64encode(_hmac(key, f"{event.event_id}.{moment}.".encode() + hook.body)).decode()
        svix = {"svix-id": event.event_id, "svix-timestamp": moment, "svix-signature": f"v1,{signature}"}
        return replace(hook, headers={**hook.headers, **svix})

    def with_wrong_signature(self, hook: Hook) -> Hook:
        forged = "v1," + base64.b64encode(_hmac(b"guess", hook.body)).decode()
        return replace(hook, headers={**hook.headers, "svix-signature": forged})


SES, MAILGUN, POSTMARK, SENDGRID, BREVO, RESEND = AmazonSes(), Mailgun(), Postmark(), SendGrid(), Brevo(), Resend()
ESPS = (SES, MAILGUN, POSTMARK, SENDGRID, BREVO, RESEND)

# What they share -----------------------------------------------------------------------------------------------------

_SVIX_SECRET = "whsec_" + base64.b64encode(SIGNING_KEY.encode()).decode()


def _accepted(
    *,
    reference: str,
    sender: str,
    to: list[str],
    copies: list[str],
    subject: str,
    headers: Mapping[str, str],
    text: str,
    html: str,
    metadata: Mapping[str, Any],
) -> Accepted:
    """Raises Unfit. No service asks for a Message-ID; we do, as a letter is found again by it."""
    names = {name.lower() for name in headers}
    address = parseaddr(to[0])[1] if len(to) == 1 else ""
    if "@" not in address or copies:
        raise Unfit(f"Not one recipient: {[*to, *copies]}")
    if hidden := names & {"to", "cc", "bcc", "from", "subject"}:
        raise Unfit(f"Not for custom headers: {sorted(hidden)}")
    if not parseaddr(sender)[1].endswith(f"@{DOMAIN}"):
        raise Unfit(f"Not a sender that is ours: {sender}")
    if not subject or not (text or html):
        raise Unfit("No subject or no body")
    if "message-id" not in names:
        raise Unfit("No Message-ID")
    return Accepted(
        reference=reference,
        sender=parseaddr(sender)[1],
        to=address,
        subject=subject,
        headers=dict(headers),
        text=text,
        html=html,
        metadata=dict(metadata),
    )


def _pairs(rows: list[dict[str, str]], name: str, value: str) -> dict[str, str]:
    found = {row[name]: row[value] for row in rows}
    if len(found) != len(rows):
        raise Unfit(f"Twice the same: {[row[name] for row in rows]}")
    return found


def _page(status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """What a gateway in front of the service says."""
    return Answer(status, f"<html><h1>{status}</h1></html>", {"Content-Type": "text/html", **(headers or {})})


def _basic(user_and_password: str) -> str:
    return "Basic " + base64.b64encode(user_and_password.encode()).decode()


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()


def _signature_v4(request: Request, secret: str) -> str:
    """AWS Signature Version 4 of a request without a query (docs.aws.amazon.com, "Create a signed API request")."""
    given = dict(part.strip().split("=", 1) for part in request.headers["Authorization"].split(" ", 1)[1].split(","))
    scope = given["Credential"].split("/", 1)[1]
    names = given["SignedHeaders"].split(";")
    lines = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in names)
    body = hashlib.sha256(request.body).hexdigest()
    path = quote(urlsplit(request.path).path)
    canonical = "\n".join([request.method, path, "", lines, given["SignedHeaders"], body])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part.encode())
    return _hmac(key, f"AWS4-HMAC-SHA256\n{request.headers['X-Amz-Date']}\n{scope}\n{digest}".encode()).hex()


#: Imported where it is used: it may be missing.
_CRYPTO = "cryptography.hazmat.primitives"


@dataclass(frozen=True, slots=True)
class _Signer:
    private: Any
    public: str

    def sign(self, text: bytes) -> str:
        ec, hashes = import_module(f"{_CRYPTO}.asymmetric.ec"), import_module(f"{_CRYPTO}.hashes")
        return base64.b64encode(self.private.sign(text, ec.ECDSA(hashes.SHA256()))).decode()


@cache
def _signer() -> _Signer | None:
    """SendGrid's key pair. None without `cryptography`: then Anymail could not check a signature either."""
    if not installed("cryptography"):
        return None
    ec, forms = import_module(f"{_CRYPTO}.asymmetric.ec"), import_module(f"{_CRYPTO}.serialization")
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(forms.Encoding.DER, forms.PublicFormat.SubjectPublicKeyInfo)
    return _Signer(private, base64.b64encode(public).decode())
