"""What mail servers and services do, and what is made of it; each plays its part on a real socket."""

import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from subscriptions import mail, outbox
from subscriptions.mail import Letter, Outcome, Post

LETTER = Letter.of(to="reader@example.net", subject="Seven papers", text="Text", html="<p>HTML</p>",
                headers={"Message-ID": "<d.1@papers.example.org>"})  # fmt: skip


@contextmanager
def smtp_server(*, at="", answer=""):
    """A mail server that is fine until `at` (greet, mail, rcpt, data or dot), and then answers so, or hangs up."""
    server = socket.create_server(("127.0.0.1", 0))
    seen = []

    def reply(connection, phase, usual):
        if phase == at:
            if not answer:
                raise ConnectionAbortedError
            usual = answer
        connection.sendall(usual.encode() + b"\r\n")

    def talk(connection):
        reply(connection, "greet", "220 here")
        lines = connection.makefile("rb")
        for raw in lines:
            verb = raw[:4].decode().upper()
            if verb == "QUIT":
                connection.sendall(b"221 bye\r\n")
                return
            if verb == "DATA":
                reply(connection, "data", "354 go on")
                if at == "data":
                    continue
                body = b""
                while not body.endswith(b"\r\n.\r\n"):
                    body += lines.readline()
                seen.append(body)
                reply(connection, "dot", "250 taken")
                continue
            phase = {"MAIL": "mail", "RCPT": "rcpt"}.get(verb, "other")
            reply(connection, phase, "250 fine")

    def run():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                try:
                    talk(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1], seen
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


@pytest.fixture
def smtp(settings):
    def use(port):
        settings.EMAIL_BACKEND = "subscriptions.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.EMAIL_TIMEOUT = 5

    return use


@pytest.mark.parametrize(
    ("at", "answer", "outcome"),
    [
        ("", "", Outcome.SENT),
        ("greet", "421 too many of you", Outcome.TROUBLE),
        ("greet", "", Outcome.TROUBLE),
        ("mail", "550 5.7.26 not you", Outcome.TROUBLE),
        ("mail", "", Outcome.TROUBLE),
        ("rcpt", "450 4.2.1 later", Outcome.DEFERRED),
        ("rcpt", "550 5.1.1 nobody", Outcome.FAILED),
        ("rcpt", "550 5.7.1 policy", Outcome.DEFERRED),
        ("rcpt", "", Outcome.DEFERRED),
        ("data", "451 4.3.0 later", Outcome.DEFERRED),
        ("data", "", Outcome.DEFERRED),
        ("dot", "451 4.3.0 later", Outcome.DEFERRED),
        ("dot", "554 5.6.0 ugly", Outcome.FAILED),
        ("dot", "", Outcome.UNCERTAIN),
        ("dot", "what", Outcome.UNCERTAIN),
    ],
)
def test_each_answer_of_a_mail_server_becomes_the_verdict_that_is_safe(smtp, at, answer, outcome):
    with smtp_server(at=at, answer=answer) as (port, seen), Post() as post:
        smtp(port)
        verdict = post.send(LETTER)

    assert verdict.outcome is outcome, verdict
    assert len(seen) == (at in ("", "dot"))
    assert verdict.reason or outcome is Outcome.SENT


def test_nobody_at_the_port_is_trouble_and_not_the_recipients_fault(smtp):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    smtp(port)

    with Post() as post:
        assert post.send(LETTER).outcome is Outcome.TROUBLE


def test_a_connection_that_broke_is_opened_anew_for_the_next_letter(smtp):
    with smtp_server(at="rcpt", answer="") as (port, _), Post() as post:
        smtp(port)
        assert [post.send(LETTER).outcome for _ in range(2)] == [Outcome.DEFERRED, Outcome.DEFERRED]


def test_one_connection_carries_many_letters(smtp):
    with smtp_server() as (port, seen), Post() as post:
        smtp(port)
        assert {post.send(LETTER).outcome for _ in range(5)} == {Outcome.SENT}
    assert len(seen) == 5


# An ESP -------------------------------------------------------------------------------------------------------------


@contextmanager
def service(status, body, **headers):
    """A mail service's API that gives one answer; None hangs up after the request."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            if status is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def sent(code=0, message="OK"):
    return json.dumps({"To": LETTER.to, "MessageID": "m-1", "ErrorCode": code, "Message": message})


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, sent(), Outcome.SENT),
        (
            422,
            sent(406, f"It was tried. Found inactive addresses: {LETTER.to}. Inactive recipients bounce."),
            Outcome.FAILED,
        ),
        (422, sent(300, "invalid email"), Outcome.FAILED),
        (401, "{}", Outcome.TROUBLE),
        (403, "{}", Outcome.TROUBLE),
        (429, "{}", Outcome.DEFERRED),
        (500, "oops", Outcome.DEFERRED),
        (503, "oops", Outcome.DEFERRED),
        (504, "oops", Outcome.UNCERTAIN),
        (200, "no json", Outcome.UNCERTAIN),
        (None, "", Outcome.UNCERTAIN),
    ],
)
def test_each_answer_of_a_mail_service_becomes_the_verdict_that_is_safe(settings, status, body, outcome):
    with service(status, body, Retry_After="120") as url, Post() as post:
        settings.EMAIL_BACKEND = "anymail.backends.postmark.EmailBackend"
        settings.ANYMAIL = {"POSTMARK_SERVER_TOKEN": "t", "POSTMARK_API_URL": url}
        verdict = post.send(LETTER)

    assert verdict.outcome is outcome, verdict
    if outcome is Outcome.SENT:
        assert verdict.reference == "m-1"
    if status in (429, 503):
        assert verdict.retry_after == 120


def test_a_service_that_cannot_be_reached_is_trouble(settings):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings.EMAIL_BACKEND = "anymail.backends.postmark.EmailBackend"
    settings.ANYMAIL = {"POSTMARK_SERVER_TOKEN": "t", "POSTMARK_API_URL": f"http://127.0.0.1:{port}/"}

    with Post() as post:
        assert post.send(LETTER).outcome is Outcome.TROUBLE


# The letter itself --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["\r\nBcc: all@example.net", "\nX: y", "\x00", "\x85", "\u2028Bcc: x", "a\r\n\r\nbody"])
def test_nothing_in_a_header_can_make_another(bad):
    letter = Letter.of(to="reader@example.net", subject=f"Papers {bad}", text="x", headers={"List-Id": f"a {bad} <b>"})
    with Post() as post:
        assert post.send(letter).outcome is Outcome.SENT

    (got,) = outbox.letters(most=9)
    assert got.message["Bcc"] is None
    assert got.message["X"] is None
    assert got.body("plain").strip() == "x"


@pytest.mark.parametrize("to", ["", "no address", "a@b\r\nBcc: c@example.net", "a@example.net, b@example.net"])
def test_what_is_not_one_address_fails_alone_or_goes_to_nobody_else(to):
    with Post() as post:
        verdict = post.send(Letter.of(to=to, subject="x", text="x"))
        assert post.send(LETTER).outcome is Outcome.SENT

    assert verdict.outcome is Outcome.FAILED
    assert [letter.to for letter in outbox.letters(most=9)] == [LETTER.to]


def test_names_of_the_verdicts_are_those_the_ledger_knows():
    assert {str(outcome) for outcome in mail.Outcome} == {"sent", "deferred", "failed", "uncertain", "trouble"}
