"""Fetching from servers that lie, stall, lead astray or never end. All of them listen on this machine."""

import contextlib
import gzip
import itertools
import pickle
import shutil
import socket
import ssl
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from digest import connecting, fetching
from digest.fetching import Answer, Fetcher, FetchError, Limits

Script = Callable[[socket.socket, str], None]
CALM = Limits(connect_seconds=5, read_seconds=5, total_seconds=5)
QUICK = Limits(connect_seconds=0.2, read_seconds=0.2, total_seconds=0.3)
PUBLIC = "93.184.216.34"


class Server:
    """Answers every request by a script, one connection after the other, and keeps count of both."""

    def __init__(self, script: Script, *, keep_alive: bool, tls: ssl.SSLContext | None) -> None:
        self._script = script
        self._keep_alive = keep_alive
        self._tls = tls
        self._closing = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.requests: list[str] = []
        self.idle = threading.Event()
        self.idle.set()
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def url(self, path: str = "/") -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        self._closing = True
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, contextlib.suppress(OSError):
                if self._closing:
                    return
                self.connections += 1
                self.idle.clear()
                connection.settimeout(5)
                self._talk(self._tls.wrap_socket(connection, server_side=True) if self._tls else connection)
            self.idle.set()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            while request := _read_request(connection):
                self.requests.append(request)
                self._script(connection, request)
                if not self._keep_alive:
                    return


def _read_request(connection: socket.socket) -> str:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return ""
        received += piece
    return received.decode("latin-1")


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every address this process tries to connect to; only this machine can be reached."""
    addresses: list[str] = []
    connect = socket.socket.connect

    def record(self: socket.socket, address: Any) -> None:
        addresses.append(address[0])
        if address[0] != "127.0.0.1":
            raise ConnectionRefusedError("there is no network in tests")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", record)
    return addresses


class Serve(Protocol):
    def __call__(
        self, script: Script | bytes, *, keep_alive: bool = False, tls: ssl.SSLContext | None = None
    ) -> Server: ...


@pytest.fixture
def serve(dialled: list[str]) -> Iterator[Serve]:
    """Starts servers; bytes are a script that always says the same."""
    servers: list[Server] = []

    def start(script: Script | bytes, *, keep_alive: bool = False, tls: ssl.SSLContext | None = None) -> Server:
        say = script if callable(script) else lambda connection, _: connection.sendall(script)
        servers.append(Server(say, keep_alive=keep_alive, tls=tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def http(status: str, *headers: str, body: bytes = b"", length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body) if length is None else length}", "", ""]
    return "\r\n".join(lines).encode() + body


def chunked(*pieces: bytes, headers: str = "") -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{headers}\r\n".encode() + body


def fetch(server: Server, path: str = "/", *, limits: Limits = CALM, **asked: str) -> Answer:
    with Fetcher(user_agent="Test", allow=frozenset({("127.0.0.1", server.port)}), limits=limits) as fetcher:
        return fetcher.get(server.url(path), **asked)


def failure(url: str | Server, **options: Any) -> FetchError:
    """The error of one fetch; a server is allowed to be where it is, everything else is not."""
    given: dict[str, Any] = {"user_agent": "Test", "limits": CALM} | options
    if isinstance(url, Server):
        given["allow"] = frozenset({("127.0.0.1", url.port)})
        url = url.url()
    with pytest.raises(FetchError) as caught, Fetcher(**given) as fetcher:
        fetcher.get(url)
    return caught.value


def names(**addresses: list[str]) -> Callable[..., list[tuple[Any, ...]]]:
    """A resolver that gives one list of addresses for every name, or the lists of one name in turn."""
    turns = {name: itertools.cycle(found) for name, found in addresses.items()}

    def resolve(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        found = next(turns[host.split(".", maxsplit=1)[0]])
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found.split()]

    return resolve


# What is asked, and what comes back


def test_an_answer_carries_the_body_the_validators_and_the_type(serve: Serve) -> None:
    server = serve(http("200 OK", 'ETag: W/"a1"', "Last-Modified: then", "Content-Type: text/xml", body=b"<feed/>"))

    answer = fetch(server, "/atom?x=1#part", accept="application/atom+xml")

    assert answer == Answer(
        status=200,
        body=b"<feed/>",
        etag='W/"a1"',
        modified="then",
        url=server.url("/atom?x=1"),
        moved_to="",
        content_type="text/xml",
    )
    request = server.requests[0].lower()
    assert request.startswith("get /atom?x=1 http/1.1\r\n")
    assert f"host: 127.0.0.1:{server.port}\r\n" in request
    assert "user-agent: test\r\n" in request
    assert "accept: application/atom+xml\r\n" in request
    assert "accept-encoding: gzip\r\n" in request


def test_an_unchanged_page_costs_a_304_and_keeps_its_validators(serve: Serve) -> None:
    server = serve(b"HTTP/1.1 304 Not Modified\r\n\r\n")

    answer = fetch(server, etag='"a1"', modified="Mon, 01 Jun 2026 00:00:00 GMT")

    assert (answer.status, answer.body, answer.etag) == (304, b"", '"a1"')
    assert answer.modified == "Mon, 01 Jun 2026 00:00:00 GMT"
    assert 'if-none-match: "a1"\r\n' in server.requests[0].lower()
    assert "if-modified-since: mon, 01 jun 2026" in server.requests[0].lower()


def test_a_304_nobody_asked_for_is_an_error(serve: Serve) -> None:
    error = failure(serve(b"HTTP/1.1 304 Not Modified\r\n\r\n"))

    assert (error.kind, error.status) == ("status", 304)


def test_a_new_answer_does_not_inherit_the_old_validators(serve: Serve) -> None:
    answer = fetch(serve(http("200 OK", body=b"new")), etag='"old"', modified="then")

    assert (answer.etag, answer.modified) == ("", "")


def test_a_validator_that_cannot_be_kept_is_dropped(serve: Serve) -> None:
    answer = fetch(serve(http("200 OK", f'ETag: "{"x" * 600}"', "Last-Modified: caf\u00e9")))

    assert (answer.etag, answer.modified) == ("", "")


@pytest.mark.parametrize("answer", [http("200 OK", body=b"ok"), b"HTTP/1.1 304 Not Modified\r\n\r\n", http("404 None")])
def test_one_connection_serves_one_job(answer: bytes, serve: Serve) -> None:
    server = serve(answer, keep_alive=True)

    with Fetcher(user_agent="Test", allow=frozenset({("127.0.0.1", server.port)}), limits=CALM) as fetcher:
        for page in range(3):
            with contextlib.suppress(FetchError):
                fetcher.get(server.url(f"/{page}"), etag='"a1"')

    assert len(server.requests) == 3
    assert server.connections == 1


def test_only_one_connection_is_open_at_a_time(serve: Serve) -> None:
    first, second = (serve(http("200 OK"), keep_alive=True) for _ in range(2))
    allow = frozenset({("127.0.0.1", first.port), ("127.0.0.1", second.port)})

    with Fetcher(user_agent="Test", allow=allow, limits=CALM) as fetcher:
        fetcher.get(first.url())
        fetcher.get(second.url())
        assert first.idle.wait(2)
        assert not second.idle.is_set()


def test_proxies_of_the_environment_are_not_used(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, server = serve(http("200 OK", body=b"proxy")), serve(http("200 OK", body=b"server"))
    monkeypatch.setenv("HTTP_PROXY", proxy.url())
    monkeypatch.setenv("ALL_PROXY", proxy.url())

    assert fetch(server).body == b"server"
    assert proxy.connections == 0


OTHER_SCHEMES = [
    "file:///etc/passwd",
    "gopher://example.org/1",
    "ftp://example.org/x",
    "javascript:alert(1)",
    "data:,x",
]
MISSHAPEN = ["http://", "http:///x", "http://[::1", "http://a\x00b/", "http://0177.0.0.1/", "http://" + "x" * 70_000]
PASSWORDS = ["http://user:secret@example.org/", "https://secret@example.org/"]
PORTS = ["http://example.org:99999/", "http://example.org:0/", "http://example.org:-1/"]


@pytest.mark.parametrize("url", ["", "//x", "example.org", "http:80", *OTHER_SCHEMES, *MISSHAPEN, *PASSWORDS, *PORTS])
def test_an_address_that_is_not_a_plain_web_address_is_refused(url: str, dialled: list[str]) -> None:
    error = failure(url)

    assert error.kind == "address"
    assert "secret" not in str(error)
    assert dialled == []


# Inside and outside


LOOPBACK = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "127\u30020\u30020\u30021",
    "0",
    "[::1]",
    "[::]",
]
MAPPED = ["[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]"]
TUNNELS = ["[2002:7f00:1::]", "[2002:a00:1::1]", "[2001:0:7f00:1::1]"]
PRIVATE = ["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "[fd00::1]", "[fe80::1]", "[fec0::1]"]
RESERVED = ["224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "[ff02::1]", "[2001:db8::1]"]
METADATA = ["169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16", "[fd00:ec2::254]"]


@pytest.mark.parametrize("host", [*LOOPBACK, *MAPPED, *TUNNELS, *PRIVATE, *RESERVED, *METADATA])
def test_nothing_inside_is_ever_dialled(host: str, dialled: list[str]) -> None:
    error = failure(f"http://{host}/")

    assert error.kind == "blocked"
    assert dialled == []


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_public_addresses_are_public(address: str) -> None:
    assert connecting.is_public(address)


def test_one_private_address_among_public_ones_blocks_the_name(dialled: list[str]) -> None:
    error = failure("http://papers.example/", resolve=names(papers=[f"{PUBLIC} 10.0.0.7"]))

    assert error.kind == "blocked"
    assert str(error) == "papers.example leads to 10.0.0.7, which is not a public address"
    assert dialled == []


def test_a_name_that_turns_private_after_the_check_gains_nothing(dialled: list[str]) -> None:
    rebinding = names(papers=[PUBLIC, "127.0.0.1", "127.0.0.1"])

    error = failure("http://papers.example/", resolve=rebinding)

    assert error.kind == "refused"
    assert dialled == [PUBLIC]


def test_every_checked_address_is_tried_in_turn(dialled: list[str]) -> None:
    error = failure("http://papers.example/", resolve=names(papers=[f"{PUBLIC} 1.1.1.1 {PUBLIC}"]))

    assert error.kind == "refused"
    assert dialled == [PUBLIC, "1.1.1.1"]


def test_only_the_allowed_port_of_an_allowed_host_may_be_inside(serve: Serve, dialled: list[str]) -> None:
    allowed, other = serve(http("200 OK", body=b"ok")), serve(http("200 OK", body=b"secret"))

    error = failure(other.url(), allow=frozenset({("127.0.0.1", allowed.port)}))

    assert error.kind == "blocked"
    assert fetch(allowed).body == b"ok"
    assert (other.connections, len(dialled)) == (0, 1)


def test_a_name_may_be_allowed_to_lead_inside(serve: Serve) -> None:
    server = serve(http("200 OK", body=b"ok"))
    allow = frozenset({("papers.example", server.port)})

    with Fetcher(user_agent="Test", allow=allow, resolve=names(papers=["127.0.0.1"])) as fetcher:
        assert fetcher.get(f"http://Papers.Example:{server.port}/").body == b"ok"


@pytest.mark.parametrize("name", ["nowhere.example", "a..b", "x" * 70, ".papers.example"])
def test_a_name_that_does_not_exist_is_refused(name: str, dialled: list[str]) -> None:
    def resolve(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        if host == "nowhere.example":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        host.encode("idna")
        return []

    error = failure(f"http://{name}/", resolve=resolve)

    assert error.kind == "refused"
    assert dialled == []


# Redirects


def test_a_permanent_move_is_reported(serve: Serve) -> None:
    def script(connection: socket.socket, request: str) -> None:
        hops = {"/a": ("301 Moved", "/b"), "/b": ("308 Moved", "c?d=\u00e9#e")}
        status, location = hops.get(request.split()[1], ("", ""))
        connection.sendall(http(status, f"Location: {location}") if status else http("200 OK", body=b"here"))

    server = serve(script)
    answer = fetch(server, "/a")

    assert answer.body == b"here"
    assert answer.url == answer.moved_to == server.url("/c?d=%C3%A9")


@pytest.mark.parametrize(
    ("first", "second"), [("301", "302"), ("302", "301"), ("303", "308"), ("308", "303"), ("307", "307")]
)
def test_a_move_with_a_temporary_step_is_not_permanent(first: str, second: str, serve: Serve) -> None:
    def script(connection: socket.socket, request: str) -> None:
        hops = {"/a": (first, "/b"), "/b": (second, "/c")}
        status, location = hops.get(request.split()[1], ("200", ""))
        connection.sendall(http(f"{status} OK", f"Location: {location}"))

    server = serve(script)
    answer = fetch(server, "/a")

    assert (answer.url, answer.moved_to) == (server.url("/c"), "")


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest/meta-data/", "http://0x7f000001/", "//[::1]/"])
def test_a_redirect_leads_nowhere_inside(target: str, serve: Serve, dialled: list[str]) -> None:
    error = failure(serve(http("302 Found", f"Location: {target}")))

    assert error.kind == "blocked"
    assert dialled == ["127.0.0.1"]


@pytest.mark.parametrize("target", ["http://", "http://[::1", "//example.org:0", *OTHER_SCHEMES, *PASSWORDS, *PORTS])
def test_a_redirect_leads_only_to_plain_web_addresses(target: str, serve: Serve, dialled: list[str]) -> None:
    error = failure(serve(http("301 Moved", f"Location: {target}")))

    assert error.kind == "redirect"
    assert "secret" not in str(error)
    assert dialled == ["127.0.0.1"]


def test_a_redirect_in_a_circle_ends(serve: Serve) -> None:
    server = serve(lambda c, r: c.sendall(http("302 Found", "Location: /b" if " /a " in r else "Location: /a")))

    error = failure(server)

    assert error.kind == "redirect"
    assert "circle" in str(error)
    assert len(server.requests) == 3


def test_redirects_end_after_five_hops(serve: Serve) -> None:
    count = itertools.count()
    server = serve(lambda connection, _: connection.sendall(http("302 Found", f"Location: /{next(count)}")))

    error = failure(server)

    assert error.kind == "redirect"
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    "status", ["201 Created", "204 No Content", "206 Partial", "300 Choices", "302 Found", "999 No"]
)
def test_any_other_status_is_an_error(status: str, serve: Serve) -> None:
    error = failure(serve(http(status)))

    assert (error.kind, error.status) == ("status", int(status[:3]))


# Errors of the server


def test_an_error_page_is_an_error_with_an_excerpt(serve: Serve) -> None:
    page = b"<html>\0Rate exceeded.\xff" + b"x" * 20_000
    error = failure(serve(http("503 Service Unavailable", "Content-Type: text/html", body=page)))

    assert (error.kind, error.status) == ("status", 503)
    assert str(error).endswith("answered 503 Service Unavailable")
    assert error.excerpt.startswith("<html>\ufffdRate exceeded.\ufffdxxx")
    assert len(error.excerpt) == 2_000


@pytest.mark.parametrize(
    "answer",
    [
        http("400 Bad Request", body=b"short", length=500),
        http("400 Bad Request", "Content-Encoding: br", body=b"short"),
        http("400 Bad Request", "Content-Encoding: gzip", body=b"not gzip"),
        http("400 Bad Request", "Content-Encoding: gzip", body=gzip.compress(b"feed", mtime=0)[:-4]),
        http("400 Bad Request", length=2**31),
    ],
)
def test_a_bad_error_page_does_not_hide_the_status(answer: bytes, serve: Serve) -> None:
    error = failure(serve(answer))

    assert (error.kind, error.status) == ("status", 400)


def test_the_excerpt_of_a_packed_bomb_stays_small(serve: Serve) -> None:
    error = failure(serve(http("500 Oops", "Content-Encoding: gzip", body=gzip.compress(b"x" * 2**22))))

    assert error.excerpt == "x" * 2_000


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (["Retry-After: 120"], 120.0),
        (["Date: Tue, 02 Jun 2026 00:00:00 GMT", "Retry-After: Tue, 02 Jun 2026 00:10:00 GMT"], 600.0),
        (["Date: Tue, 02 Jun 2026 00:00:00 GMT", "Retry-After: Mon, 01 Jun 2026 00:00:00 -0000"], 0.0),
        (["Retry-After: Tue, 02 Jun 2026 00:10:00 GMT"], None),
        (['RateLimit: "api";r=0;t=7', 'RateLimit-Policy: "fixed window";"api";q=500;w=300'], 7.0),
        (['RateLimit: "api";r=0;t=7', "Retry-After: 9"], 9.0),
        (['RateLimit: "api";r=0;t=7, "page"; r=0; t=30'], 30.0),
        (["Retry-After: soon"], None),
        (["Retry-After: -5"], None),
        (["Retry-After: " + "9" * 5_000], None),
        (["Retry-After: Tue, 99 Jun 99999 99:99:99 +9999", "Date: x"], None),
        ([], None),
    ],
)
def test_a_busy_server_says_when_to_come_back(headers: list[str], seconds: float | None, serve: Serve) -> None:
    assert failure(serve(http("429 Too Many Requests", *headers))).retry_after == seconds


def test_the_rate_limit_of_a_missing_page_asks_for_no_wait(serve: Serve) -> None:
    assert failure(serve(http("404 Not Found", 'RateLimit: "api";r=499;t=120'))).retry_after is None


def test_an_error_survives_the_way_between_processes(serve: Serve) -> None:
    error = failure(serve(http("429 Slow down", "Retry-After: 3", body=b"wait")))

    copy = pickle.loads(pickle.dumps(error))

    assert (str(copy), copy.__dict__) == (str(error), error.__dict__)


# Broken answers

PACKED = gzip.compress(b"<feed>" + bytes(range(256)) * 20 + b"</feed>")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(http("200 OK", body=b"<feed><entry>", length=500), id="shorter than announced"),
        pytest.param(chunked(b"<feed>", b"<entry>"), id="chunks without an end"),
        pytest.param(chunked(b"<feed>") + b"fff\r\n<en", id="cut within a chunk"),
        pytest.param(chunked(b"<feed>") + b"xyz\r\n", id="a chunk of no size"),
        pytest.param(http("200 OK", "Content-Encoding: gzip", body=PACKED[:-12]), id="gzip cut short"),
        pytest.param(http("200 OK", "Content-Encoding: gzip", body=PACKED[:5]), id="gzip cut in its header"),
        pytest.param(http("200 OK", body=PACKED[:-4]), id="unannounced gzip cut short"),
        pytest.param(http("200 OK", "Content-Encoding: gzip", body=PACKED[:99] + b"!" + PACKED[100:]), id="damaged"),
        pytest.param(http("200 OK", "Content-Encoding: gzip", body=b"<feed/>"), id="not gzip at all"),
        pytest.param(http("200 OK", "Content-Encoding: br", body=b"<feed/>"), id="brotli"),
        pytest.param(http("200 OK", "Content-Encoding: deflate", body=b"<feed/>"), id="deflate"),
        pytest.param(http("200 OK", "Content-Encoding: gzip, gzip", body=PACKED), id="packed twice"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", id="unknown transfer"),
        pytest.param(http("200 OK", "Content-Length: 7", body=b"<feed/>!"), id="two lengths"),
        pytest.param(http("200 OK", body=b"", length=-1), id="negative length"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"SSH-2.0-OpenSSH_9.9\r\n", id="not HTTP"),
        pytest.param(b"<html>Welcome</html>", id="only a page"),
        pytest.param(b"\x00\xff" * 50, id="bytes"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000, id="a header without end"),
        pytest.param(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", id="a header without colon"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n", id="a header with NUL"),
        pytest.param(b"HTTP/1.1 000 OK\r\n\r\n", id="no status"),
    ],
)
def test_a_broken_answer_is_never_taken_for_a_whole_one(answer: bytes, serve: Serve) -> None:
    error = failure(serve(answer))

    assert error.kind == "broken"
    assert len(str(error)) < 200


def test_a_broken_answer_does_not_spoil_the_next_one(serve: Serve) -> None:
    answers = iter([http("200 OK", body=b"cut", length=99), http("200 OK", body=b"whole")])
    server = serve(lambda connection, _: connection.sendall(next(answers)))

    with Fetcher(user_agent="Test", allow=frozenset({("127.0.0.1", server.port)}), limits=CALM) as fetcher:
        with pytest.raises(FetchError):
            fetcher.get(server.url())
        assert fetcher.get(server.url()).body == b"whole"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(http("200 OK", "Content-Encoding: gzip", body=gzip.compress(b"<feed/>", mtime=0)), id="announced"),
        pytest.param(
            http("200 OK", "Content-Encoding: X-GZIP", body=gzip.compress(b"<feed/>", mtime=0)), id="old name"
        ),
        pytest.param(http("200 OK", body=gzip.compress(b"<feed/>", mtime=0)), id="unannounced"),
        pytest.param(
            http("200 OK", body=gzip.compress(b"<fe", mtime=0) + gzip.compress(b"ed/>", mtime=0) + bytes(9)),
            id="members",
        ),
        pytest.param(chunked(*(bytes([b]) for b in gzip.compress(b"<feed/>", mtime=0)), b""), id="byte by byte"),
        pytest.param(http("200 OK", "Content-Encoding: identity", body=b"<feed/>"), id="plain"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\n<feed/>", id="until the connection closes"),
    ],
)
def test_bodies_are_unpacked(answer: bytes, serve: Serve) -> None:
    assert fetch(serve(answer)).body == b"<feed/>"


@pytest.mark.parametrize("body", [b"", b"\x1f", b"x"])
def test_tiny_bodies_are_bodies(body: bytes, serve: Serve) -> None:
    assert fetch(serve(http("200 OK", body=body))).body == body


# Too much


def test_a_body_announced_too_big_is_not_read(serve: Serve) -> None:
    error = failure(serve(http("200 OK", length=2**31)))

    assert error.kind == "too_big"
    assert "announces 2,147,483,648 bytes" in str(error)


def _endlessly(head: bytes) -> Script:
    def script(connection: socket.socket, _: str) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(b"10000\r\n" + bytes(2**16) + b"\r\n")

    return script


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("head", [CHUNKED, b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_body_without_end_is_cut_within_bounded_memory(head: bytes, serve: Serve) -> None:
    error, grown = _measured(serve(_endlessly(head)))

    assert error.kind == "too_big"
    assert grown < Limits().body_bytes + 20 * 2**20


@pytest.mark.parametrize("header", ["Content-Encoding: gzip", "X-Packed: unannounced"])
def test_a_gzip_bomb_is_cut_within_bounded_memory(header: str, serve: Serve) -> None:
    bomb = gzip.compress(bytes(64 * 2**20), 9)
    assert len(bomb) * 1_000 < 66 * 2**20

    error, grown = _measured(serve(http("200 OK", header, body=bomb)))

    assert error.kind == "too_big"
    assert grown < Limits().body_bytes + 20 * 2**20


def _measured(server: Server) -> tuple[FetchError, int]:
    tracemalloc.start()
    try:
        error = failure(server, limits=Limits())
        return error, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_body_of_exactly_the_limit_is_taken(serve: Serve) -> None:
    limits = Limits(body_bytes=1_000)

    assert len(fetch(serve(http("200 OK", body=b"x" * 1_000)), limits=limits).body) == 1_000
    assert failure(serve(chunked(b"x" * 1_001, b"")), limits=limits).kind == "too_big"


def test_packed_bytes_count_too(serve: Serve) -> None:
    empty_members = gzip.compress(b"", mtime=0) * 100

    assert failure(serve(chunked(empty_members, b"")), limits=Limits(body_bytes=1_000)).kind == "too_big"


# Too slow


def _dripping(head: bytes, drop: bytes) -> Script:
    def script(connection: socket.socket, _: str) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(drop)
            time.sleep(0.05)

    return script


EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(_dripping(http("200 OK", length=1_000), b"x"), id="body"),
        pytest.param(_dripping(CHUNKED, b"1\r\nx\r\n"), id="chunks"),
        pytest.param(_dripping(CHUNKED, b"0"), id="chunk size"),
        pytest.param(_dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x"), id="header"),
        pytest.param(_dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), id="promises"),
        pytest.param(
            _dripping(http("200 OK", body=gzip.compress(b"", mtime=0)[:10], length=999), EMPTY_BLOCK), id="gzip"
        ),
    ],
)
def test_dripping_gains_no_time(script: Script, serve: Serve) -> None:
    started = time.monotonic()
    error = failure(serve(script), limits=QUICK)

    assert str(error) == "no complete answer within 0.3 seconds"
    assert error.kind == "timeout"
    assert time.monotonic() - started < 2


def test_redirects_share_one_time_limit(serve: Serve) -> None:
    count = itertools.count()

    def script(connection: socket.socket, _: str) -> None:
        time.sleep(0.1)
        connection.sendall(http("302 Found", f"Location: /{next(count)}"))

    error = failure(serve(script), limits=QUICK)

    assert error.kind == "timeout"
    assert "within 0.3 seconds" in str(error)


def test_silence_ends(serve: Serve) -> None:
    error = failure(serve(lambda connection, _: time.sleep(0.3)), limits=replace(CALM, read_seconds=0.1))

    assert error.kind == "timeout"
    assert "said nothing for 0.1 seconds" in str(error)


def test_the_next_fetch_has_its_own_time(serve: Serve) -> None:
    def script(connection: socket.socket, _: str) -> None:
        time.sleep(0.2)
        connection.sendall(http("200 OK", body=b"ok"))

    server, limits = serve(script), replace(CALM, total_seconds=0.5)
    with Fetcher(user_agent="Test", allow=frozenset({("127.0.0.1", server.port)}), limits=limits) as fetcher:
        assert [fetcher.get(server.url()).body for _ in range(3)] == [b"ok"] * 3


def test_a_server_that_takes_no_connection_ends(dialled: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as waiting:
        for _ in range(3):
            caller = waiting.enter_context(socket.socket())
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                caller.connect(listener.getsockname())

        port = listener.getsockname()[1]
        started = time.monotonic()
        error = failure(f"http://127.0.0.1:{port}/", allow=frozenset({("127.0.0.1", port)}), limits=QUICK)

    assert str(error) == f"127.0.0.1 does not answer on port {port}"
    assert error.kind == "timeout"
    assert time.monotonic() - started < 2


def test_a_closed_port_is_refused(dialled: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    error = failure(f"http://127.0.0.1:{port}/", allow=frozenset({("127.0.0.1", port)}))

    assert error.kind == "refused"


def test_a_slow_name_server_gains_no_time(dialled: list[str]) -> None:
    answered = threading.Event()

    def resolve(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        answered.wait(5)
        return []

    started = time.monotonic()
    error = failure("http://papers.example/", resolve=resolve, limits=QUICK)
    answered.set()

    assert str(error) == "the name papers.example could not be looked up in time"
    assert error.kind == "timeout"
    assert time.monotonic() - started < 2


def test_time_is_what_the_clock_says(serve: Serve) -> None:
    clock = itertools.count(step=50.0)

    error = failure(serve(http("200 OK", body=b"ok")), limits=Limits(), clock=lambda: next(clock))

    assert str(error) == "no complete answer within 60 seconds"


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for papers.example and its key, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    file = tmp_path_factory.mktemp("tls") / "papers.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    name = ["-subj", "/CN=papers.example", "-addext", "subjectAltName=DNS:papers.example"]
    command = ["openssl", "req", "-x509", *curve, *name, "-keyout", str(file), "-out", str(file.with_suffix(".crt"))]
    subprocess.run(command, check=True, capture_output=True)
    file.write_bytes(file.read_bytes() + file.with_suffix(".crt").read_bytes())
    return file


@pytest.fixture
def inside(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def trusting(certificate: Path, *ports: int) -> Fetcher:
    """A fetcher that trusts the certificate, for two names of this machine."""
    return Fetcher(
        user_agent="Test",
        limits=CALM,
        allow=frozenset(itertools.product(["papers.example", "other.example"], ports)),
        resolve=names(papers=["127.0.0.1"], other=["127.0.0.1"]),
        tls=ssl.create_default_context(cafile=str(certificate.with_suffix(".crt"))),
    )


def test_the_certificate_must_be_for_the_name_not_the_address(
    certificate: Path, inside: ssl.SSLContext, serve: Serve
) -> None:
    asked: list[str | None] = []
    inside.sni_callback = lambda _, host, __: asked.append(host)
    server = serve(http("200 OK", body=b"safe"), tls=inside)

    with trusting(certificate, server.port) as fetcher:
        assert fetcher.get(f"https://papers.example:{server.port}/").body == b"safe"
        with pytest.raises(FetchError, match=r"not valid for 'other\.example'") as caught:
            fetcher.get(f"https://other.example:{server.port}/")

    assert caught.value.kind == "tls"
    assert asked == ["papers.example", "other.example"]
    assert len(server.requests) == 1


def test_a_certificate_of_nobody_is_refused(inside: ssl.SSLContext, serve: Serve) -> None:
    assert failure(serve(http("200 OK"), tls=inside)).kind == "tls"


def test_a_permanent_move_from_https_to_http_is_followed_but_not_remembered(
    certificate: Path, inside: ssl.SSLContext, serve: Serve
) -> None:
    plain = serve(http("200 OK", body=b"here"))
    target = f"http://papers.example:{plain.port}/"
    secure = serve(http("301 Moved", f"Location: {target}"), tls=inside)

    with trusting(certificate, plain.port, secure.port) as fetcher:
        answer = fetcher.get(f"https://papers.example:{secure.port}/")

    assert (answer.body, answer.url, answer.moved_to) == (b"here", target, "")


@pytest.mark.parametrize("limits", [replace(CALM, connect_seconds=0.1), replace(CALM, total_seconds=0.1)])
def test_a_server_that_stalls_the_handshake_ends(limits: Limits, dialled: list[str]) -> None:
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        error = failure(f"https://127.0.0.1:{port}/", allow=frozenset({("127.0.0.1", port)}), limits=limits)

    assert error.kind == "timeout"
    assert time.monotonic() - started < 2


def test_a_server_that_speaks_no_tls_is_told_apart(dialled: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def greet() -> None:
            with listener.accept()[0] as connection:
                connection.sendall(b"220 mail.example ESMTP\r\n")
                connection.recv(65536)

        thread = threading.Thread(target=greet)
        thread.start()
        error = failure(f"https://127.0.0.1:{port}/", allow=frozenset({("127.0.0.1", port)}))
        thread.join()

    assert error.kind == "tls"


def test_limits_are_the_promised_ones() -> None:
    assert fetching.Limits() == Limits(
        connect_seconds=10, read_seconds=20, total_seconds=60, body_bytes=15_728_640, hops=5
    )
