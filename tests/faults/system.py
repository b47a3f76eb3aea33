"""A whole system to be broken: a database, a Redis, a mail server and workers of its own.

`System` starts them and compares, afterwards, the mail server's log with the ledger. Databases are named
paperboy_faults_PID and dropped at the end; every process ended here was started here.
"""

import fcntl
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from celery import Celery
from kombu.exceptions import OperationalError

from tests.sink import Sink, compare

ROOT = Path(__file__).resolve().parent.parent.parent
SERVER = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
NIGHTLY = os.environ.get("PAPERBOY_NIGHTLY") == "1"
#: Kept connections of each process that sends; as many letters may be uncertain for each that is killed.
CONNECTIONS = 4
PAPERS = 20


# What came of it ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Figures:
    """The sink's log against the ledger, in letters.

    `lost` is owed, not accepted, and not seen to be missing. `drift` is what ledger and log disagree on, letters that
    are uncertain set aside. `arrived` is how many of the uncertain ones the sink has.
    """

    due: int
    accepted: int
    duplicated: int
    lost: int
    uncertain: int
    arrived: int
    drift: int
    undelivered: int
    statuses: dict[str, int]


def figures(rows, log):
    """`rows` are (name of the delivery, status) of all that was queued; `log` are the sink's lines."""
    status = dict(rows)
    due = {name for name, state in rows if state != "excluded"}
    found = compare(due, log)
    assert not found.strange, f"accepted and not owed: {found.strange[:5]}"
    got = due - set(found.missing)
    seen = {"failed", "deferred", "queued", "uncertain"}
    uncertain = {name for name in due if status[name] == "uncertain"}
    sent = {name for name in due if status[name] == "sent"}
    return Figures(
        due=len(due),
        accepted=found.accepted,
        duplicated=found.duplicated,
        lost=sum(status[name] not in seen for name in due - got),
        uncertain=len(uncertain),
        arrived=len(uncertain & got),
        drift=len(sent ^ (got - uncertain)),
        undelivered=len(due - got),
        statuses=dict(Counter(status.values())),
    )


def record(row, *, lost=0, duplicated=0, uncertain=0, allowed=0, seconds=None, simulated=False, letters=None, note=""):
    """Write down what a row came to, for the table of `python -m tests.faults`. `seconds` are those to recover."""
    values = {"row": row, "lost": lost, "duplicated": duplicated, "uncertain": uncertain, "allowed": allowed,
              "seconds": seconds, "simulated": simulated, "letters": letters, "note": note,
              "test": _test()}  # fmt: skip
    print(values)
    if file := os.environ.get("PAPERBOY_FAULTS"):
        with Path(file).open("a") as out:
            out.write(json.dumps(values) + "\n")


def _test():
    return os.environ.get("PYTEST_CURRENT_TEST", "").split(" ")[0]


# Services -----------------------------------------------------------------------------------------------------------


def need_services():
    """Skip, saying so, where there is no PostgreSQL or no Redis."""
    try:
        psycopg.connect(SERVER, connect_timeout=3).close()
    except psycopg.Error as error:
        pytest.skip(f"no PostgreSQL at {urlsplit(SERVER).hostname}: {error}".strip())
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def until(true, what, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := true():
            return result
        time.sleep(0.05)
    raise AssertionError(f"It never came to pass that {what}")


class Redis:
    """A broker that may be killed and started again on its port."""

    def __init__(self, folder, *options):
        self.folder, self.options, self.port = folder, options, free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process = None

    def start(self):
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                   "--dir", str(self.folder), *self.options]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self._answers, "Redis answers")

    def _answers(self):
        with suppress(redis.RedisError), self.client() as client:
            return client.ping()
        return False

    def client(self):
        return redis.Redis(port=self.port, socket_timeout=5)

    def stop(self, how=signal.SIGKILL):
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(10)
            self.process = None


# Databases ----------------------------------------------------------------------------------------------------------


def admin(statement):
    with psycopg.connect(SERVER, autocommit=True) as server:
        server.execute(statement)


def address(name):
    return urlsplit(SERVER)._replace(path=f"/{name}").geturl()


@contextmanager
def database(name, like=""):
    admin(f"CREATE DATABASE {name}" + (f" TEMPLATE {like}" if like else ""))
    try:
        yield
    finally:
        admin(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


class SmallDisk:
    """A PostgreSQL server of its own on a disk that can be filled up."""

    def __init__(self, folder, programs, size):
        self.folder, self.programs, self.size, self.port = folder, programs, size, free_port()
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def run(self, program, *arguments):
        subprocess.run([self.programs / program, *arguments], check=True, user="postgres", cwd="/", timeout=60,
                       stdout=subprocess.DEVNULL)  # fmt: skip

    def fill_up(self):
        with suppress(OSError), (self.folder / "ballast").open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    def make_room(self):
        (self.folder / "ballast").unlink()


@contextmanager
def small_disk_server(folder, size="400m"):
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
    if programs is None or os.getuid() != 0:
        pytest.skip("a PostgreSQL on a small disk needs its programs and root")
    place = Path(tempfile.mkdtemp(prefix="paperboy-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "tmpfs", place]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        place.rmdir()
        pytest.skip("no small disk can be mounted here")
    disk = SmallDisk(place, programs, size)
    try:
        disk.run("initdb", "-D", place / "data", "-A", "trust", "-U", "postgres", "--no-sync")
        options = f"-p {disk.port} -k {place} -c max_wal_size=64MB -c listen_addresses=127.0.0.1"
        disk.run("pg_ctl", "-D", place / "data", "-o", options, "-l", place / "log", "-w", "start")
        yield disk
    finally:
        with suppress(subprocess.SubprocessError):
            disk.run("pg_ctl", "-D", place / "data", "-m", "immediate", "stop")
        subprocess.run(["umount", place], check=False)
        place.rmdir()


class Templates:
    """Databases with so many readers of one edition, each made once a session and copied for every test."""

    def __init__(self, folder):
        self.folder, self.made, self.stack = folder, {}, ExitStack()

    def of(self, size):
        if size not in self.made:
            name = f"paperboy_faults_{os.getpid()}_{size}"
            self.stack.enter_context(database(name))
            environment = surroundings(self.folder, DATABASE_URL=address(name))
            command = [sys.executable, "-m", "tests.faults.system", str(size)]
            subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=1_200)
            self.made[size] = name
        return self.made[size]

    def close(self):
        self.stack.close()


def fill(size):
    """`size` readers to whom one edition of today is owed, short letters with one paper or two."""
    from django.core.management import call_command
    from django.core.management.color import no_style
    from django.db import connection

    from digest.models import Listing, Paper, Placement
    from subscriptions.models import Subscriber, Subscription
    from tests import make
    from tests.benchmarks.filling import copy

    call_command("migrate", verbosity=0)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    day, before = midnight.date(), midnight - timedelta(hours=2)
    source = make.source("arxiv.cs.CL")
    papers = Paper.objects.bulk_create(
        Paper(identifier=f"2606.{n}", url=f"https://arxiv.org/abs/2606.{n}", title=f"{word} and invented paper {n}",
              abstract="Nothing is claimed here.", text_from=3, categories=["cs.CL"], created_at=before, votes=1,
              authors=[{"name": "Ada Example", "hidden": False}])
        for n, word in enumerate(["Robots", "Soup"] * (PAPERS // 2), start=90_000)
    )  # fmt: skip
    Listing.objects.bulk_create(Listing(paper=paper, source=source, day=day, first_seen_at=before) for paper in papers)
    edition = make.edition(day=day, published_at=before)
    Placement.objects.bulk_create(
        Placement(edition=edition, paper=paper, rank=rank, score=1 / rank, listed_date=day)
        for rank, paper in enumerate(papers, start=1)
    )
    copy(Subscriber, readers(size, send_hour=0, max_papers=2, created_at=before, status_changed_at=before))
    copy(
        Subscription,
        (
            Subscription(pk=n, subscriber_id=n, label="Robots", query="robot" if n % 2 else "soup OR robot",
                         created_at=before)
            for n in range(1, size + 1)
        ),
    )  # fmt: skip
    # Keys were given: whoever signs up gets the next one.
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [Subscriber, Subscription]):
            cursor.execute(statement)


def readers(size, **values):
    from subscriptions.models import Subscriber
    from tests.make import NOW

    fixed = {"status": "active", "status_changed_at": NOW, "created_at": NOW, "time_zone": "UTC",
             "wants_trending": False, **values}  # fmt: skip
    for n in range(1, size + 1):
        email = f"reader{n}@example{n % 7}.net"
        yield Subscriber(pk=n, email=email, mailbox=email, **fixed)


def surroundings(folder, **values):
    """The environment of a real site's processes, and nothing of ours."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "digest.config.settings",
        "DIGEST_ENV_FILE": os.devnull,
        "DIGEST_DATA_DIR": str(folder / "var"),
        "DIGEST_MAIL_CONNECTIONS": str(CONNECTIONS),
        "SECRET_KEY": "tests only, 50 characters and more, nothing depends on it",
        "DEBUG": "0",
        **values,
    }


# Processes ----------------------------------------------------------------------------------------------------------


class Process:
    """One of ours, in a session of its own; what it says is kept."""

    def __init__(self, folder, environment, *command, root=ROOT):
        self.log = folder / f"log-{time.monotonic_ns()}"
        with self.log.open("wb") as out:
            self.popen = subprocess.Popen(
                [sys.executable, *command], cwd=root, env=environment, stdout=out, stderr=out, start_new_session=True
            )
        self.pid = self.popen.pid

    def said(self):
        return self.log.read_text(errors="replace")

    def children(self):
        return [pid for pid, parent in _parents() if parent == self.pid]

    def senders(self):
        """The children that hold a journal open: they are sending."""
        return [pid for pid in self.children() if _is_sending(pid)]

    def end(self, patience=45):
        """As a deploy does; returns the seconds it took."""
        start = time.monotonic()
        self.popen.send_signal(signal.SIGTERM)
        self.popen.wait(patience)
        return time.monotonic() - start

    def kill(self):
        """The process and all its children, at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait(10)

    def clean_up(self):
        if self.popen.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self.end(30)
        self.kill()


def _parents():
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            words = stat.read_text().rpartition(")")[2].split()
            if words[0] != "Z":
                yield int(stat.parent.name), int(words[1])


def _is_sending(pid):
    with suppress(OSError):
        return any(file.readlink().name.endswith(".journal") for file in Path(f"/proc/{pid}/fd").iterdir())
    return False


def memory_of(pid):
    """MB of resident memory, and open files."""
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = int(status.partition("VmRSS:")[2].split()[0])
    return kilobytes / 1024, len(list(Path(f"/proc/{pid}/fd").iterdir()))


# The whole ----------------------------------------------------------------------------------------------------------


class System:
    """`with System(...)`: everything but the workers runs. `settings` are for their environment."""

    def __init__(self, templates, folder, *, size, rules=(), redis_options=(), settings=None, **script):
        self.templates, self.folder, self.size = templates, folder, size
        self.redis = Redis(folder, *redis_options)
        self.sink = Sink(folder, rules, **script)
        self.name = f"paperboy_faults_{os.getpid()}"
        self.settings = settings or {}
        self.processes, self.stack = [], ExitStack()

    def __enter__(self):
        with ExitStack() as stack:
            stack.enter_context(_alone())
            like = self.templates.of(self.size)
            stack.enter_context(database(self.name, like))
            stack.callback(self.redis.stop)
            self.redis.start()
            stack.enter_context(self.sink)
            self.app = Celery("ticks", broker=self.redis.url, set_as_current=False)
            stack.callback(self.app.close)
            stack.callback(lambda: [process.clean_up() for process in self.processes])
            self.stack = stack.pop_all()
        self.url = address(self.name)
        self.environment = surroundings(
            self.folder, DATABASE_URL=self.url, REDIS_URL=self.redis.url, EMAIL_URL=self.sink.url, **self.settings
        )
        return self

    def __exit__(self, kind, error, trace):
        if error is not None and kind is not None:
            print(*(process.said()[-40_000:] for process in self.processes), sep="\n---\n")
        self.stack.close()

    def start(self, *command, root=ROOT, **environment):
        process = Process(self.folder, {**self.environment, **environment}, *command, root=root)
        self.processes.append(process)
        return process

    def worker(self, concurrency=2, *options, wait=True, root=ROOT, **environment):
        name = f"worker{len(self.processes)}@faults"
        worker = self.start(
            "-m", "celery", "-A", "digest.config", "worker", "-n", name, "-P", "prefork", "-c", str(concurrency),
            "--without-gossip", "--without-mingle", "--loglevel", "INFO", *options, root=root, **environment,
        )  # fmt: skip
        if wait:
            until(lambda: " ready." in worker.said() or worker.popen.poll() is not None, "the worker is ready")
            assert worker.popen.poll() is None, worker.said()
        return worker

    def serve(self):
        """The web site; returns its address."""
        port = free_port()
        self.start("manage.py", "serve", PORT=str(port), DEBUG="1")
        base = f"http://127.0.0.1:{port}"
        until(lambda: _answers(port), "the site answers")
        return base

    # While it runs ---------------------------------------------------------------------------------------------------

    def tick(self, *names):
        """Beat's minute, whenever a test wants it. False where the broker does not answer."""
        try:
            for name in names or ("sweep", "deliver"):
                self.app.send_task(name if "." in name else f"digest.tasks.{name}", expires=55, retry=False)
        except (OperationalError, redis.RedisError, OSError):
            self.app.pool.force_close_all()
            return False
        return True

    def query(self, statement, *values):
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def statuses(self):
        return dict(self.query("SELECT status, count(*) FROM digest_delivery GROUP BY status"))

    def is_settled(self):
        """All are queued, and none of them waits or is held."""
        counts = self.statuses()
        is_open = counts.keys() & {"queued", "sending", "deferred"}
        return sum(counts.values()) == self.size and not is_open and not self._held()

    def _held(self):
        return self.query("SELECT count(*) FROM digest_batch WHERE claimed_by <> ''")[0][0]

    def is_sending(self):
        return bool(self._held())

    def is_sent_to(self, email):
        return f'"{email}"' in self.sink.file.read_text()

    def cut_connections(self):
        admin(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.name}'")

    @contextmanager
    def database_down(self):
        """Nobody gets a connection, as while a server starts again."""
        admin(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS false")
        try:
            self.cut_connections()
            yield
        finally:
            admin(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS true")

    @contextmanager
    def kept_rows(self):
        """Nothing that is updated makes room for another row while this lasts: every write needs some of the disk."""
        with psycopg.connect(self.url) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            connection.execute("SELECT count(*) FROM digest_delivery")
            yield

    def go(self, *, every=2.0, patience=60.0, meanwhile=lambda: None, is_done=None, tasks=()):
        """Tick and look until all is settled; returns the seconds it took. `meanwhile` is called ever so often.

        `every` is the seconds between ticks, 0 for none at all.
        """
        start = time.monotonic()
        ticked = looked = float("-inf")
        while (now := time.monotonic()) < start + patience:
            if every and now - ticked >= every:
                self.tick(*tasks)
                ticked = now
            meanwhile()
            if now - looked >= 0.2:
                looked = now
                with suppress(psycopg.Error):
                    if (is_done or self.is_settled)():
                        return time.monotonic() - start
            time.sleep(0.005)
        raise AssertionError(f"not settled after {patience} s: {self.statuses()}, {self._held()} batches held")

    def accepted(self):
        """Letters the sink has taken since it was started."""
        return self.sink.counts()["accepted"]

    def figures(self):
        from digest.names import name_of

        rows = self.query("SELECT id, status FROM digest_delivery")
        assert len(rows) == self.size, f"{len(rows)} deliveries for {self.size} readers"
        return figures([(name_of(key), status) for key, status in rows], self.sink.log())


def version_before(folder):
    """The project as it was before its newest migration; skips where history does not say."""
    git = partial(subprocess.run, cwd=ROOT, capture_output=True, check=False)
    newest = git(["git", "rev-list", "-1", "HEAD", "--", "*/migrations/*"]).stdout.decode().strip()
    archive = git(["git", "archive", f"{newest}^"])
    if not newest or archive.returncode:
        pytest.skip("the version before the newest migration is not in this copy's history")
    place = folder / "before"
    place.mkdir()
    subprocess.run(["tar", "-x"], cwd=place, input=archive.stdout, check=True)
    return place


class Kills:
    """Kills one sending child at each of `count` random moments, spread over the letters of a run."""

    def __init__(self, system, worker, count, *, seed):
        self.system, self.worker, self.random = system, worker, random.Random(seed)
        self.left = sorted(self.random.uniform(0.01, 0.93) * system.size for _ in range(count))
        self.done = 0
        self.last = 0.0

    def __call__(self):
        """To be called all the time; a kill waits until somebody sends."""
        if not self.left or self.system.accepted() < self.left[0]:
            return
        if self.random.random() < 0.5:  # as soon as the log grows, or at any other moment
            before = self.system.sink.file.stat().st_size
            deadline = time.monotonic() + 0.2
            while self.system.sink.file.stat().st_size == before and time.monotonic() < deadline:
                pass
        else:
            time.sleep(self.random.uniform(0, 0.05))
        senders = self.worker.senders()
        if senders:
            with suppress(ProcessLookupError):
                os.kill(self.random.choice(senders), signal.SIGKILL)
                self.left.pop(0)
                self.done += 1
                self.last = time.monotonic()


def _answers(port):
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def _alone():
    """Two such systems at once would measure each other."""
    with (Path(tempfile.gettempdir()) / "paperboy_faults.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    import django

    django.setup()
    fill(int(sys.argv[1]))
