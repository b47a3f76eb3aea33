"""The web site as `manage.py serve` serves it, over real connections."""

import gzip
import os
import re
import signal
import socket
import time
from contextlib import ExitStack, suppress

import httpx
import pytest

from tests.processes.listings import DAY
from tests.processes.test_whole import environment, manage, page, processes, running, until

__all__ = ["environment"]
PAGE = f"/papers/date/{DAY}"


@pytest.fixture
def site(environment):
    """Two workers with a sample day; yields the process and its address."""
    environment |= {"DIGEST_WEB_WORKERS": "2", "DIGEST_WEB_THREADS": "2"}
    manage(environment, "migrate", "-v0")
    manage(environment, "demo")
    base = f"http://127.0.0.1:{environment['PORT']}"
    with running(environment, "manage.py", "serve") as process:
        until(lambda: page(base, "/health/live"), "the site answers")
        yield process, base, environment


def connect(base):
    return socket.create_connection(("127.0.0.1", httpx.URL(base).port), timeout=10)


def half_a_post(base):
    """A connection over which the rest of a body is still to come."""
    line = connect(base)
    line.sendall(b"POST /subscribe HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 20\r\n\r\nemail=")
    return line


def test_pages_come_compressed_and_once(site):
    _, base, _ = site
    plain = httpx.get(base + PAGE, headers={"Accept-Encoding": "identity"})
    with httpx.stream("GET", base + PAGE, headers={"Accept-Encoding": "gzip"}) as packed:
        raw = b"".join(packed.iter_raw())
    etag = packed.headers["etag"]
    same = httpx.get(base + PAGE, headers={"If-None-Match": etag})
    head = httpx.head(base + PAGE, headers={"Accept-Encoding": "gzip"})

    assert gzip.decompress(raw) == plain.content
    assert (same.status_code, same.content) == (304, b"")
    assert head.headers["content-length"] == str(len(raw)) == packed.headers["content-length"]
    assert {plain.headers["etag"], same.headers["etag"], head.headers["etag"]} == {etag}


def test_slow_clients_stop_nobody(site):
    """Far more of them than threads, with half a head or half a body."""
    _, base, _ = site
    with ExitStack() as slow:
        for _ in range(40):
            slow.enter_context(half_a_post(base))
            slow.enter_context(connect(base)).sendall(b"GET / HTTP/1.1\r\nHost:")
        for path in (PAGE, "/health/ready", "/"):
            for _ in range(10):
                assert httpx.get(base + path, timeout=5).status_code == 200


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_requests_finish(site, how):
    process, base, environment = site
    with half_a_post(base) as line:
        time.sleep(0.5)
        process.send_signal(how)
        time.sleep(1)
        with suppress(OSError):
            connect(base).close()
        line.sendall(b"a%40example.net")
        answer = line.recv(1000)

    assert answer.startswith(b"HTTP/1.1 400")
    assert process.wait(20) == 0
    assert processes(environment["DIGEST_DATA_DIR"]) == []


def test_nothing_is_left_of_a_site_that_was_killed(site):
    process, _, environment = site
    process.kill()

    until(lambda: not processes(environment["DIGEST_DATA_DIR"]), "its workers have ended", 10)


def test_a_worker_that_was_killed_is_replaced(site):
    process, base, _ = site
    workers = _children(process.pid)
    assert len(workers) == 2

    os.kill(workers[0], signal.SIGKILL)

    until(lambda: len(set(_children(process.pid)) - set(workers)) == 1, "there is a new one", 20)
    assert httpx.get(base + PAGE).status_code == 200


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:  # noqa: PTH123  a file of the kernel's
        return [int(word) for word in file.read().split()]


def test_heads_without_end_are_refused(site):
    _, base, _ = site
    with connect(base) as line:
        with suppress(OSError):
            for _ in range(200):
                line.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 10_000 if _ == 0 else b"x" * 10_000)
        try:
            answer = line.recv(1000)
        except OSError:
            answer = b""

    assert not answer or re.match(rb"HTTP/1.1 (400|431)", answer)


def test_no_line_of_the_log_holds_a_token(site):
    process, base, _ = site
    httpx.get(base + "/u/1.secret.token")
    httpx.get(base + "/manage/1.secret.token?x=/u/1.secret.token")

    assert "secret" not in process.log.read_text()


def test_an_editors_change_reaches_every_worker(site):
    _, base, environment = site
    clients = [httpx.Client() for _ in range(8)]
    for client in clients:
        client.get(base + PAGE)
    change = (
        "from digest.models import Edition; from digest import stamps; Edition.objects.update(intro='Good-morning');"
    )
    manage(environment, "shell", "-v0", "-c", change + "stamps.bump('editions')")

    time.sleep(2.1)

    assert all("Good-morning" in client.get(base + PAGE).text for client in clients)
    for client in clients:
        client.close()
