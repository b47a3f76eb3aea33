"""Everything as it really runs: processes of its own, a broker, beat's clock, mail that leaves."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
import redis
from aiosmtpd.controller import Controller

from tests.processes.listings import DAY, TITLES, serving

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 100


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(true, what, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := true():
            return result
        time.sleep(0.2)
    raise AssertionError(f"It never came to pass that {what}")


@pytest.fixture
def environment(tmp_path):
    """The environment of a start on an empty machine, with listings of invented papers."""
    port = free_port()
    with serving() as listings:
        yield {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONUNBUFFERED": "1",
            "DIGEST_ENV_FILE": os.devnull,
            "DIGEST_DATA_DIR": str(tmp_path / "var"),
            "DIGEST_HF_ENDPOINT": listings,
            "DIGEST_ARXIV_FEED_URL": listings,
            "DIGEST_ARXIV_CATEGORIES": "cs.CL",
            "DIGEST_TODAY": DAY,
            "DEBUG": "1",
            "PORT": str(port),
        }


def manage(environment, *arguments):
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def running(environment, *command):
    """A process whose output is kept; ends it if the test did not."""
    log = Path(environment["HOME"]) / f"log-{time.monotonic_ns()}"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment, stdout=file, stderr=file, start_new_session=True
        )
    process.log = log
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(45)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def page(base, path="/"):
    try:
        return httpx.get(base + path, timeout=5, follow_redirects=True).text
    except httpx.HTTPError:
        return ""


def submit(base, path, **data):
    """Fill in a page's form as a browser would, without a cookie."""
    with httpx.Client(timeout=10, follow_redirects=True) as client:
        client.get(base + path).raise_for_status()
        action = "/subscribe" if path == "/" else path
        answer = client.post(base + action, data=data)
        assert not client.cookies
        return answer


def confirm_path(text):
    return re.search(r"(/confirm/\S+)", text)[1]


def outbox(environment):
    letters = sorted(
        (Path(environment["DIGEST_DATA_DIR"]) / "outbox").glob("*.eml"), key=lambda file: file.stat().st_mtime_ns
    )
    return [message_from_bytes(file.read_bytes(), policy=policy.default) for file in letters]


def text_of(letter):
    return letter.get_body(("plain",)).get_content()


def processes(data_dir):
    """Our processes that still run: those whose environment names this data folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str(data_dir).encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def test_one_command_runs_everything_on_embedded_defaults_and_stops_it_cleanly(environment):
    base = f"http://127.0.0.1:{environment['PORT']}"
    with running(environment, "manage.py", "up") as up:
        until(lambda: TITLES[0] in page(base), "the front page has papers", 60)
        until(lambda: "password" in up.log.read_text(), "the addresses are printed")

        # The worker is real: it sends the confirmation that the web process owes.
        submit(base, "/", email="reader@example.net", topics="Robots = robot", website="")
        letter = until(lambda: outbox(environment), "the confirmation is in the outbox")[0]
        assert "Please confirm" in letter["Subject"]
        submit(base, confirm_path(text_of(letter)))

        assert "1 letter queued" in manage(environment, "daily", "--date", DAY)
        digest = until(
            lambda: [one for one in outbox(environment) if "paper" in one["Subject"]], "the digest is there"
        )[0]
        assert "Robots: Robots in the title" in text_of(digest)
        assert TITLES[0] in page(base, "/outbox/") + text_of(digest)
        assert "Drones That Read Footnotes" in text_of(digest)

        up.send_signal(signal.SIGINT)
        assert up.wait(45) == 0, up.log.read_text()
    assert "Stopped." in up.log.read_text()
    assert processes(environment["DIGEST_DATA_DIR"]) == []

    sent = len(outbox(environment))
    with running(environment, "manage.py", "up") as up:
        until(lambda: TITLES[0] in page(base), "the front page is there again", 60)
        until(lambda: "password" in up.log.read_text(), "the addresses are printed")
        assert "0 letters queued" in manage(environment, "daily", "--date", DAY)
        assert len(outbox(environment)) == sent
        up.send_signal(signal.SIGINT)
        assert up.wait(45) == 0


def test_a_task_outlives_a_restart_of_the_embedded_broker(environment):
    manage(environment, "migrate", "-v0")
    ask = "from subscriptions import tasks; tasks.send_notices.delay()"
    subscribe = (
        "from subscriptions import clock, consent;"
        "consent.subscribe('reader@example.net', consent.Wish(), now=clock.now(), visit=consent.Visit())"
    )
    manage(environment, "shell", "-v0", "-c", subscribe)
    manage(environment, "shell", "-v0", "-c", ask)

    with running(environment, "-m", "celery", "-A", "digest.config", "worker", "--pool", "threads", "--without-mingle"):
        until(lambda: outbox(environment), "the worker that came later did the task")


def test_a_machine_without_a_network_says_so_and_has_a_sample_day(environment):
    environment |= {"DIGEST_HF_ENDPOINT": f"http://127.0.0.1:{free_port()}", "DIGEST_ARXIV_CATEGORIES": ""}
    base = f"http://127.0.0.1:{environment['PORT']}"
    with running(environment, "manage.py", "up") as up:
        until(lambda: "manage.py demo" in up.log.read_text(), "the way out is told")
        assert "No papers yet" in until(lambda: page(base), "the site answers")
        manage(environment, "demo")
        until(lambda: "these papers are invented" in page(base), "the page that was kept is made anew")


def test_a_port_that_is_taken_is_told_before_anything_starts(environment):
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(environment["PORT"])))
        other.listen()
        command = [sys.executable, "manage.py", "up"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert f"Port {environment['PORT']} is taken. Choose another" in done.stderr


# PostgreSQL, Redis, SMTP --------------------------------------------------------------------------------------------


class Inbox:
    """A mail server that keeps what it is given."""

    def __init__(self):
        self.letters = []

    async def handle_DATA(self, server, session, envelope):
        self.letters.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default)))
        return "250 OK"


@pytest.fixture
def services(environment):
    """A database, a Redis and a mail server of this test's own, where there are any."""
    database, broker = os.environ.get("TEST_DATABASE_URL"), os.environ.get("TEST_REDIS_URL")
    if not (database and broker):
        pytest.skip("no PostgreSQL and Redis: TEST_DATABASE_URL and TEST_REDIS_URL are not set")
    name = f"paperboy_whole_{os.getpid()}"
    inbox = Inbox()
    mail = Controller(inbox, hostname="127.0.0.1", port=free_port())
    with ExitStack() as stack:
        admin = stack.enter_context(psycopg.connect(database, autocommit=True))
        admin.execute(f"CREATE DATABASE {name}")
        stack.callback(admin.execute, f"DROP DATABASE {name} WITH (FORCE)")
        client = stack.enter_context(redis.Redis.from_url(broker))
        client.flushdb()
        stack.callback(client.flushdb)
        mail.start()
        stack.callback(mail.stop)
        environment |= {
            "DATABASE_URL": urlsplit(database)._replace(path=f"/{name}").geturl(),
            "REDIS_URL": broker,
            "EMAIL_URL": f"smtp://127.0.0.1:{mail.port}",
            "SECRET_KEY": "this test's own, fifty characters and more, for its links",
        }
        yield inbox


@pytest.mark.services
def test_the_same_runs_on_postgresql_redis_and_smtp_with_worker_and_beat_apart(environment, services):
    base = f"http://127.0.0.1:{environment['PORT']}"
    celery = ["-m", "celery", "-A", "digest.config"]
    manage(environment, "migrate", "-v0")
    with (
        running(environment, "manage.py", "serve"),
        running(environment, *celery, "worker", "--concurrency", "2"),
        running(environment, *celery, "beat", "--pidfile="),
    ):
        until(lambda: page(base, "/health/ready"), "the site answers")
        submit(base, "/", email="reader@example.net", topics="Robots = robot", website="")
        recipients, letter = until(lambda: services.letters, "the worker sent the confirmation")[0]
        assert recipients == ["reader@example.net"]
        submit(base, confirm_path(text_of(letter)))
        # The reader's hour is the present one, so that beat's next minute is the reader's.
        hour = (
            "from subscriptions import clock; from subscriptions.models import Subscriber;"
            "Subscriber.objects.update(send_hour=clock.now().hour)"
        )
        manage(environment, "shell", "-v0", "-c", hour)
        for job in ("fetch", "build_edition", "publish"):
            manage(environment, job)

        until(lambda: len(services.letters) > 1, "beat's tick delivered the digest")
        recipients, digest = services.letters[1]
        assert recipients == ["reader@example.net"]
        assert digest["To"] == "reader@example.net"
        assert "Robots: Robots in the title" in text_of(digest)
        assert "0 letters queued" in manage(environment, "daily", "--date", DAY)
    assert len(services.letters) == 2
