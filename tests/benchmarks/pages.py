"""The published day from memory, beside nginx that gives out the same bytes as a file: `make bench-pages`.

`wrk` asks both in turn, with 32 connections, for the page as browsers ask for it, compressed, and uncompressed; medians
of ROUNDS. Each has two workers; client and servers share the machine. Needs Debian's packages nginx-light and wrk.
"""

import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
PAPERS, ROUNDS, SECONDS, CONNECTIONS = 50, 3, 6, 32
DAY = "/papers/date/2026-06-02"
NGINX = """
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    default_type "text/html; charset=utf-8";
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        root {folder}/root;
        gzip_static on;
        keepalive_requests 100000000;
    }}
}}
"""


def tool(name):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        sys.exit(f"This benchmark needs {name}: apt-get install nginx-light wrk")
    return found


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def until_answers(address):
    for _ in range(200):
        try:
            return httpx.get(address)
        except httpx.TransportError:
            time.sleep(0.1)
    sys.exit(f"Nothing answers at {address}.")


@contextmanager
def running(*command, **environment):
    process = subprocess.Popen(command, cwd=ROOT, env=environment or None, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def wrk(address, coding):
    """Requests a second, and the 50th and 99th percentile in milliseconds."""
    command = [
        tool("wrk"),
        "-t2",
        f"-c{CONNECTIONS}",
        f"-d{SECONDS}s",
        "--latency",
        "-H",
        f"Accept-Encoding: {coding}",
        address,
    ]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in text, text
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    return rate, *(milliseconds(re.search(rf"{percent}%\s+(\S+)", text)[1]) for percent in (50, 99))


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(\w+)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def memory_of(parent):
    """MB of a process and its children."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:
            continue
        pid, above = int(status.parent.name), int(re.search(r"PPid:\s+(\d+)", text)[1])
        if parent in (pid, above) and (size := re.search(r"VmRSS:\s+(\d+)", text)):
            total += int(size[1]) / 1024
    return total


def main():
    tool("nginx"), tool("wrk")
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        environment = {
            "PATH": os.environ["PATH"], "HOME": name, "DIGEST_ENV_FILE": os.devnull,
            "DIGEST_DATA_DIR": str(folder / "var"),
            "SECRET_KEY": "of the benchmark, 50 characters and more, for nothing else", "DEBUG": "0", "PORT": str(port),
            "DIGEST_WEB_WORKERS": "2", "DIGEST_LOG_LEVEL": "ERROR", "DJANGO_SETTINGS_MODULE": "digest.config.settings",
            "PYTHONPATH": str(ROOT), "DIGEST_BASE_URL": f"http://127.0.0.1:{port}",
        }  # fmt: skip
        for command in (
            ["manage.py", "migrate"],
            ["manage.py", "collectstatic", "--noinput"],
            ["-m", __spec__.name, "fill"],
        ):
            subprocess.run([sys.executable, *command, *(["-v0"] if "manage.py" in command else [])], cwd=ROOT,
                           env=environment, check=True)  # fmt: skip
        ours = f"http://127.0.0.1:{port}{DAY}"
        with running(sys.executable, "manage.py", "serve", **environment) as site:
            until_answers(ours)
            fresh = httpx.get(f"{ours}?p=1&fresh=1").elapsed.total_seconds() * 1000
            compare(ours, folder, site)
            print(f"A fresh page: {fresh:.0f} ms. Memory of ours: {memory_of(site.pid):.0f} MB in 3 processes.")


def compare(ours, folder, site):
    plain, packed = (httpx_raw(ours, coding) for coding in ("identity", "gzip"))
    other = free_port()
    (folder / "root" / "papers" / "date").mkdir(parents=True)
    (folder / f"root{DAY}").write_bytes(plain)
    (folder / f"root{DAY}.gz").write_bytes(packed)
    folder.chmod(0o755)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=other))
    theirs = f"http://127.0.0.1:{other}{DAY}"
    with running(tool("nginx"), "-c", str(config), "-g", "daemon off;"):
        assert until_answers(theirs).content == plain
        assert httpx_raw(theirs, "gzip") == packed
        print(f"A day of {PAPERS} papers, {len(plain):,} bytes, {len(packed):,} compressed; {CONNECTIONS} connections")
        print(f"{'':36}{'a second':>10}{'× nginx':>10}{'p50 ms':>9}{'p99 ms':>9}")
        for coding, what in (("gzip", "compressed"), ("identity", "as it is")):
            wrk(ours, coding)  # both workers have it
            rows = {"nginx, the file": [], "Paperboy, from memory": []}
            for _ in range(ROUNDS):
                rows["nginx, the file"].append(wrk(theirs, coding))
                rows["Paperboy, from memory"].append(wrk(ours, coding))
            base = statistics.median(rate for rate, *_ in rows["nginx, the file"])
            for name, each in rows.items():
                rate, half, most = (statistics.median(column) for column in zip(*each, strict=True))
                print(
                    f"{f'{name}, {what}':28.45}".ljust(40)[:40]
                    + f"{rate:>10,.0f}{f'1/{base / rate:.1f}':>10}{half:>9.2f}{most:>9.2f}"
                )


def httpx_raw(address, coding):
    with httpx.stream("GET", address, headers={"Accept-Encoding": coding}) as response:
        return b"".join(response.iter_raw())


def fill():
    import django

    django.setup()
    from tests.benchmarks import filling

    filling.edition(PAPERS)


if __name__ == "__main__":
    fill() if sys.argv[1:] == ["fill"] else main()
