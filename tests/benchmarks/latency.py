"""How much of a slow way is used: letters a second over so many connections, beside connections / latency.

`python -m tests.benchmarks.latency`, and a table of `make bench-delivery`. Every reply of the mail server (`slow.py`)
comes LATENCY after its command. PostgreSQL, the ledger and rendering are real, in one process that sends. Measured is
`send_due` from its start to its last settled letter, opening the connections included; the papers' texts were rendered
by a first tick of WARM letters, as in a worker that has sent of this edition before.
"""

import json
import subprocess
import sys
import time
from contextlib import contextmanager

from tests.benchmarks import delivery

LATENCY, SECONDS = 0.05, 10
CONNECTIONS = (4, 16, 64)
WARM = 200
#: Letters sent to the mail server without latency, to see how many it can take.
ABLE = 10_000


def main():
    import psycopg

    with psycopg.connect(delivery.DATABASE, autocommit=True, connect_timeout=10) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {delivery.NAME} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {delivery.NAME}")
    letters = {count: round(count / LATENCY * SECONDS) for count in CONNECTIONS}
    with _server(latency=0) as port:
        filled = delivery.inside("fill", port, sum(letters.values()) + len(letters) * WARM)
        able = ABLE / delivery.raw(port, ABLE, filled["bytes"])
    print(f"\n{LATENCY * 1000:.0f} ms of latency, {filled['bytes']:,} bytes a letter; without latency the mail server "
          f"takes {able:,.0f} a second")  # fmt: skip
    print(f"{'letters':>9}{'connections':>13}{'seconds':>9}{'a second':>10}{'ideal':>8}{'ratio':>7}{'CPU s/1000':>12}")
    with _server(latency=LATENCY) as port:
        _inside("owe", port)
        for count, number in letters.items():
            seconds, cpu = _inside("send", port, number, connections=count)
            ideal, reached = count / LATENCY, number / seconds
            print(f"{number:>9,}{count:>13}{seconds:>9.1f}{reached:>10,.0f}{ideal:>8,.0f}{reached / ideal:>7.2f}"
                  f"{cpu / number * 1000:>12.2f}", flush=True)  # fmt: skip


@contextmanager
def _server(*, latency):
    command = [sys.executable, "-m", "tests.benchmarks.slow", str(latency)]
    process = subprocess.Popen(command, cwd=delivery.ROOT, stdout=subprocess.PIPE)
    try:
        with process.stdout as out:
            yield int(out.readline())
    finally:
        process.kill()
        process.wait()


def _inside(step, port, *arguments, connections=delivery.CONNECTIONS):
    """A step of this file in a process with the benchmark's settings; what it printed, as JSON."""
    environment = {**delivery.environment(port), "DIGEST_MAIL_CONNECTIONS": str(connections)}
    command = [sys.executable, "-m", "tests.benchmarks.latency", step, *map(str, arguments)]
    done = subprocess.run(command, cwd=delivery.ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{step} failed: {done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def owe():
    """Queue every reader's letter."""
    from digest.deliveries.queue import queue
    from subscriptions import clock

    queue(now=clock.now(), today=clock.today(), by_hand=True)


def send(letters):
    """Seconds and CPU seconds for so many letters of the ledger."""
    from digest.deliveries.send import send_due
    from digest.letter import Presses
    from subscriptions import clock

    presses = Presses()
    send_due(clock=clock.now, today=clock.today(), limit=WARM, presses=presses)
    start, cpu = time.perf_counter(), time.process_time()
    done = send_due(clock=clock.now, today=clock.today(), limit=letters, presses=presses)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    if done.trouble or done.counts != {"sent": letters}:
        sys.exit(f"Not all letters were sent: {done}")
    return seconds, cpu


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        import django

        django.setup()
        step, *arguments = sys.argv[1:]
        print(json.dumps(globals()[step](*map(int, arguments))))
