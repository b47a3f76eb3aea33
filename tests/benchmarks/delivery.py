"""From subscribers in PostgreSQL to the last 250 of Postfix's `smtp-sink`, beside `smtp-source` with as many bytes.

`make bench-delivery` or `python -m tests.benchmarks.delivery [subscribers …]`. Everything is real: PostgreSQL with its
ledger committed, Redis, Celery workers, matching, composing, rendering. It needs Postfix's smtp-sink and smtp-source
(Debian's package `postfix`), PostgreSQL and Redis (TEST_DATABASE_URL, TEST_REDIS_URL). Django's stock path and the
peer, django-post_office, send fewer letters, as they take many times as long; their figures are scaled up.
The tables of `latency.py` and `webhooks.py` follow; each is also run by its own name.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parents[2]
DATABASE = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/14")
NAME = "paperboy_bench"
SIZES = (25_000, 50_000, 100_000, 200_000)
SESSIONS, CONNECTIONS, SAMPLE = 8, 4, 1_000
TICK = os.sysconf("SC_CLK_TCK")


def tool(name):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/lib/postfix/sbin")
    if found is None:
        sys.exit(f"This benchmark needs {name}, from Debian's package postfix: apt-get install postfix")
    return found


def database(name):
    return urlunsplit(urlsplit(DATABASE)._replace(path=f"/{name}"))


def environment(port):
    return {
        "PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/tmp"), "PYTHONPATH": str(ROOT),
        "DIGEST_ENV_FILE": os.devnull, "DIGEST_DATA_DIR": str(ROOT / "var" / "bench"), "DEBUG": "0",
        "SECRET_KEY": "of the benchmark, 50 characters and more, for nothing else",
        "DATABASE_URL": database(NAME), "REDIS_URL": REDIS, "EMAIL_URL": f"smtp://127.0.0.1:{port}",
        "DIGEST_BASE_URL": "http://papers.example.org", "DIGEST_MAIL_CONNECTIONS": str(CONNECTIONS),
        "DJANGO_SETTINGS_MODULE": "digest.config.settings", "DIGEST_LOG_LEVEL": "ERROR",
        **({"PAPERBOY_RECORDED": os.environ["PAPERBOY_RECORDED"]} if "PAPERBOY_RECORDED" in os.environ else {}),
    }  # fmt: skip


@contextmanager
def sink():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    as_nobody = ["-u", "nobody"] if os.getuid() == 0 else []
    process = subprocess.Popen([tool("smtp-sink"), *as_nobody, f"127.0.0.1:{port}", "1000"], stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


def inside(step, port, *arguments):
    """A step of this file in a process with the benchmark's settings; what it printed, as JSON."""
    command = [sys.executable, "-m", "tests.benchmarks.delivery_steps", step, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment(port), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{step} failed: {done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def raw(port, letters, size):
    command = [tool("smtp-source"), "-d", "-s", str(SESSIONS), "-l", str(size), "-m", str(letters),
               "-f", "digest@example.org", "-t", "reader@example.net", f"127.0.0.1:{port}"]  # fmt: skip
    start = time.perf_counter()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def family(pid):
    """A process and those below it."""
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(words[1]), []).append(int(stat.parent.name))
    found, queue = [], [pid]
    while queue:
        found.append(queue.pop())
        queue += children.get(found[-1], [])
    return found


def used(pid):
    """CPU seconds and proportional memory in MB of a process and those below it."""
    cpu = memory = 0.0
    for one in family(pid):
        try:
            words = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        cpu += (int(words[11]) + int(words[12])) / TICK
        memory += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024
    return cpu, memory


def ours(port, letters, processes):
    """Seconds, CPU seconds and peak MB from the tick to the last settled letter."""
    inside("empty", port)
    subprocess.run(["redis-cli", "-u", REDIS, "flushdb"], check=True, stdout=subprocess.DEVNULL)
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "digest.config", "worker", "-c", str(processes), "-l", "error",
         "--without-gossip", "--without-mingle", "--without-heartbeat"],
        cwd=ROOT, env=environment(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        inside("warm", port)
        before, _ = used(worker.pid)
        watcher = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.delivery_steps", "run", str(letters)],
            cwd=ROOT, env=environment(port), stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        peak = 0.0
        while watcher.poll() is None:
            peak = max(peak, used(worker.pid)[1])
            time.sleep(2)  # looking takes time from what is measured
        seconds = json.loads(watcher.communicate()[0].splitlines()[-1])
        cpu = used(worker.pid)[0] - before
    finally:
        worker.terminate()
        worker.wait(60)
    return seconds, cpu, peak


def peer(port, size):
    """django-post_office, as its documentation shows it, in an environment of its own."""
    folder = ROOT / "var" / "bench" / "peer"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "django-post_office==3.10.1"], check=True)
    done = subprocess.run([str(python), str(Path(__file__).with_name("peer.py")), str(port), str(size), str(SAMPLE)],
                          capture_output=True, text=True, check=False)  # fmt: skip
    return json.loads(done.stdout) if done.returncode == 0 else None


def main(sizes):
    for name in ("smtp-sink", "smtp-source"):
        tool(name)
    import psycopg

    rows = []
    with sink() as port:
        for letters in sizes:
            with psycopg.connect(DATABASE, autocommit=True, connect_timeout=10) as connection:
                connection.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
                connection.execute(f"CREATE DATABASE {NAME}")
            filled = inside("fill", port, letters)
            print(f"{letters:,} subscribers, {filled['topics']:,} topics ({filled['distinct']:,} distinct), "
                  f"{filled['papers']} papers, {filled['bytes']:,} bytes a letter", file=sys.stderr)  # fmt: skip
            base = raw(port, letters, filled["bytes"])
            rows.append((letters, "smtp-source, 8 sessions", base, base, None, None))
            for processes in (2, 1):
                seconds, cpu, peak = ours(port, letters, processes)
                rows.append((letters, f"Paperboy, {processes} worker process{'es' * (processes > 1)}", seconds, base,
                             cpu / letters * 1000, peak))  # fmt: skip
            if letters == sizes[-1]:
                scale = letters / SAMPLE
                seconds, cpu = inside("stock", port, SAMPLE)
                rows.append((letters, f"Django's stock path ({SAMPLE:,} sent)", seconds * scale, base, cpu, None))
                if (figures := peer(port, filled["bytes"])) is not None:
                    seconds, cpu = figures
                    rows.append((letters, f"django-post_office ({SAMPLE:,} sent)", seconds * scale, base, cpu, None))
                else:
                    print("django-post_office could not be installed or run", file=sys.stderr)
            show(rows[-5:] if letters == sizes[-1] else rows[-3:])


def show(rows):
    print(f"{'letters':>9}  {'':34}{'seconds':>9}{'× raw':>8}{'a second':>10}{'CPU s/1000':>12}{'peak MB':>9}")
    for letters, what, seconds, base, cpu, peak in rows:
        print(f"{letters:>9,}  {what:34}{seconds:>9.1f}{seconds / base:>8.2f}{letters / seconds:>10,.0f}"
              f"{'' if cpu is None else f'{cpu:.2f}':>12}{'' if peak is None else f'{peak:.0f}':>9}",
              flush=True)  # fmt: skip


if __name__ == "__main__":
    from tests.benchmarks import latency, webhooks  # they read this module's settings

    main([int(size) for size in sys.argv[1:]] or list(SIZES))
    latency.main()
    webhooks.main()
