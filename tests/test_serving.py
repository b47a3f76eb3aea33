"""One process of the web site, and what it makes of requests."""

import asyncio
from types import SimpleNamespace

import pytest

from digest.config import rsgi


class Protocol:
    """Granian's side of one request: what comes in, and what was answered."""

    def __init__(self, *chunks, wait=0.0):
        self.chunks, self.wait = chunks, wait
        self.status, self.headers, self.body = None, None, b""

    async def __aiter__(self):
        for chunk in self.chunks:
            await asyncio.sleep(self.wait)
            yield chunk

    def response_empty(self, status, headers):
        self.status, self.headers = status, headers

    def response_bytes(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def response_stream(self, status, headers):
        self.status, self.headers = status, headers
        return self

    async def send_bytes(self, part):
        await asyncio.sleep(self.wait)
        self.body += part


def scope(*headers, method="GET", path="/", query=""):
    return SimpleNamespace(
        proto="http", method=method, path=path, query_string=query, http_version="1.1", scheme="http",
        server="127.0.0.1:8000", client="192.0.2.1:4711",
        headers=SimpleNamespace(items=lambda: [("host", "papers.example.org"), *headers]),
    )  # fmt: skip


@pytest.fixture
def application():
    """A worker that the test ends."""
    made = rsgi.Application()
    loop = asyncio.new_event_loop()
    made.__rsgi_init__(loop)

    def ask(scope, protocol):
        loop.run_until_complete(made.__rsgi__(scope, protocol))
        return protocol

    made.ask = ask
    yield made
    made.__rsgi_del__(loop)
    loop.close()


@pytest.fixture
def wsgi(monkeypatch):
    """What stands behind the worker: it is called with the environ, and answers what the test says."""

    class Behind:
        kept = None
        parts, headers = [b"answer"], [("Content-Length", "6")]

        def look(self, environ):
            return self.kept

        def __call__(self, environ, start_response):
            self.environ = environ
            self.body = environ["wsgi.input"].read()
            start_response("200 OK", self.headers)
            return self.parts

    behind = Behind()
    monkeypatch.setattr(rsgi.wsgi, "application", behind)
    return behind


@pytest.mark.parametrize("behind", [True, False])
def test_only_a_trusted_proxy_says_who_asks(settings, behind):
    settings.DIGEST_BEHIND_PROXY = behind
    rsgi._key.cache_clear()

    environ = rsgi.environ_of(
        scope(
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-for", "198.51.100.2"),
            ("x_forwarded_for", "203.0.113.1"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=203.0.113.2"),
        )
    )

    assert environ["REMOTE_ADDR"] == "192.0.2.1"
    assert environ.get("HTTP_X_FORWARDED_FOR") == ("198.51.100.1,198.51.100.2" if behind else None)
    assert environ.get("HTTP_X_FORWARDED_PROTO") == ("https" if behind else None)
    assert ("HTTP_FORWARDED" in environ) is behind
    rsgi._key.cache_clear()


def test_a_request_reaches_django_whole(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.org")

    environ = rsgi.environ_of(
        scope(("cookie", "a=b"), ("cookie", "c=d"), ("content-type", "text/plain"), ("accept", "a"), ("accept", "b"),
              path="/papers/é", query="q=%C3%A9")
    )  # fmt: skip

    assert environ["HTTP_COOKIE"] == "a=b; c=d"
    assert environ["HTTP_ACCEPT"] == "a,b"
    assert environ["CONTENT_TYPE"] == "text/plain"
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/papers/é"
    assert environ["QUERY_STRING"] == "q=%C3%A9"
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("127.0.0.1", "8000")
    assert "HTTP_PROXY" not in environ


def test_a_body_arrives_whole_however_it_is_parted(application, wsgi):
    protocol = application.ask(scope(("transfer-encoding", "chunked"), method="POST"), Protocol(b"ab", b"", b"cd"))

    assert (wsgi.body, wsgi.environ["CONTENT_LENGTH"]) == (b"abcd", "4")
    assert (protocol.status, protocol.body) == (200, b"answer")
    assert application.arriving == 0


def test_a_body_that_is_too_large_is_refused(application, wsgi):
    chunk = b"x" * 2**20
    protocol = application.ask(scope(("content-length", "1"), method="POST"), Protocol(*[chunk] * 11))

    assert protocol.status == 413
    assert b"10 MB" in protocol.body
    assert ("connection", "close") in protocol.headers
    assert application.arriving == 0


def test_a_body_that_comes_too_slowly_is_refused(application, wsgi, monkeypatch):
    monkeypatch.setattr(rsgi, "PATIENCE", 0.05)

    protocol = application.ask(scope(("content-length", "2"), method="POST"), Protocol(b"a", b"b", wait=1))

    assert protocol.status == 408
    assert application.arriving == 0


def test_more_bodies_than_memory_are_refused(application, wsgi):
    application.arriving = rsgi.BODIES

    protocol = application.ask(scope(("content-length", "1"), method="POST"), Protocol(b"a"))

    assert protocol.status == 503
    assert application.arriving == rsgi.BODIES


def test_a_kept_page_is_answered_without_a_thread(application, wsgi):
    wsgi.kept = rsgi.Answer("200 OK", [("ETag", "x")], b"kept")
    application.pool.shutdown()

    assert application.ask(scope(), Protocol()).body == b"kept"
    head = application.ask(scope(method="HEAD"), Protocol())
    assert (head.status, head.body, head.headers) == (200, b"", [("ETag", "x")])


def test_long_answers_are_sent_while_they_are_made(application, wsgi):
    closed = []

    def lines():
        try:
            yield b"a\n"
            yield b"b\n"
        finally:
            closed.append(True)

    wsgi.parts, wsgi.headers = lines(), [("Content-Type", "text/csv")]

    assert application.ask(scope(), Protocol()).body == b"a\nb\n"
    assert closed == [True]


def test_who_takes_a_long_answer_too_slowly_is_left(application, wsgi, monkeypatch):
    monkeypatch.setattr(rsgi, "PATIENCE", 0.05)
    wsgi.parts, wsgi.headers = (b"line" for _ in range(1000)), []

    assert application.ask(scope(), Protocol(wait=1)).body == b""
    assert next(wsgi.parts, None) is None


def test_a_fault_is_a_500_and_is_logged(application, monkeypatch, caplog):
    class Broken:
        def look(self, environ):
            return None

        def __call__(self, environ, start_response):
            raise ValueError("broken")

    monkeypatch.setattr(rsgi.wsgi, "application", Broken())

    assert application.ask(scope(), Protocol()).status == 500
    assert "broken" in caplog.text
