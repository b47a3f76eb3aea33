"""The parts behind the site, stopped one at a time; and many who guess at once."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, closing, suppress

import pytest
from django.db import connection, connections

from digest.models import Try
from digest.staff import gate
from tests.faults.system import NIGHTLY, ROOT, record
from tests.make import NOW
from tests.test_settings import ENVIRONMENT

#: Seconds within which a stopped part is to be named.
SOON = 15


@pytest.mark.django_db(transaction=True)
def test_w19_many_who_guess_at_the_same_moment_get_ten_tries_together():
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer at a time, and a database in memory one thread")
    let_in, barrier = [], threading.Barrier(20)

    def guess():
        barrier.wait()
        with suppress(gate.Refused):
            let_in.append(gate.enter("ada", "192.0.2.1", now=NOW))
        connections.close_all()

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # The third and later ones must wait, so no more than three pass in one moment.
    assert len(let_in) == Try.objects.count() == gate.PATIENCE


@pytest.mark.nightly
@pytest.mark.skipif(not NIGHTLY, reason="PAPERBOY_NIGHTLY=1 runs it")
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_w24_each_stopped_part_is_named_within_fifteen_seconds(tmp_path):
    with ExitStack() as stack:
        redis_port, mail_port, port = (_free() for _ in range(3))
        environment = ENVIRONMENT | {
            "DIGEST_DATA_DIR": str(tmp_path), "DIGEST_ENV_FILE": os.devnull, "DEBUG": "1", "PORT": str(port),
            "SECRET_KEY": "x" * 50, "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "EMAIL_URL": f"smtp://127.0.0.1:{mail_port}",
        }  # fmt: skip

        def start(*command):
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            stack.callback(_end, process)
            return process

        def redis():
            return start("redis-server", "--port", str(redis_port), "--save", "", "--dir", str(tmp_path))

        def mail():
            return start(sys.executable, "-m", "aiosmtpd", "-n", "-l", f"127.0.0.1:{mail_port}")

        def beat():
            return start(sys.executable, "-m", "celery", "-A", "digest.config", "beat", "--pidfile=")

        parts = {"redis": redis(), "smtp": mail()}
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
        site = start(sys.executable, "manage.py", "serve")
        parts["scheduler"] = beat()
        again = {"redis": redis, "smtp": mail, "scheduler": beat}
        _until(port, [], 60)
        _heard(tmp_path / "paperboy.sqlite3")
        waits = []
        for name in ("scheduler", "redis", "smtp"):
            _end(parts[name])
            waits.append(_until(port, [name], SOON))
            assert waits[-1] <= SOON, name
            assert _ask(port, "live")[0] == 200
            again[name]()
            _until(port, [], 60)
        database = tmp_path / "paperboy.sqlite3"
        database.rename(tmp_path / "away")
        database.mkdir()
        waits.append(_until(port, ["database"], SOON))
        assert waits[-1] <= SOON
        assert _ask(port, "live")[0] == 200
        assert site.poll() is None
        record("W24", letters=len(waits), seconds=max(waits))


def _free():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def _end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _heard(database):
    """Beat has begun: it has left a first sign of life."""
    for _ in range(240):
        with closing(sqlite3.connect(database)) as rows:
            if rows.execute("SELECT 1 FROM digest_stamp WHERE name = 'beat'").fetchone():
                return
        time.sleep(0.25)
    raise AssertionError("beat leaves no sign of life")


def _ask(port, page):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/{page}", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def _until(port, failing, seconds):
    """Seconds until exactly these parts are named."""
    began, last = time.monotonic(), None
    while time.monotonic() - began < seconds:
        with suppress(OSError):
            last = _ask(port, "ready")[1].get("failing", [])
            if last == failing:
                return time.monotonic() - began
        time.sleep(0.25)
    raise AssertionError(f"{failing} not named within {seconds} s: {last}")
