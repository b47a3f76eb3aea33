"""How many events a second are heard from mail services, and acted upon.

`python -m tests.benchmarks.webhooks`, and a table of `make bench-delivery`. Requests as Postmark, Mailgun, Brevo (an
event each) and SendGrid (BATCH events each) send them, with a password or signed, go over loopback to the site that
`manage.py serve` serves, on PostgreSQL, over THREADS kept connections as fast as they are answered; TWICE of the
requests go out again, as after an answer that was lost. Then `report.apply` acts on what was heard, and every event,
letter and reader is counted. Client, server and database share the machine.
"""

import http.client
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta

from tests import esp
from tests.benchmarks import delivery

SECONDS, THREADS, BATCH = 10, 8, 100
#: Letters, and events made ready, one of each; more than can be heard in time.
LETTERS = {"single": 20_000, "batches": 60_000}
TWICE, UNCERTAIN = 0.1, 0.05
#: Of a thousand events. Bad ones cost most to act upon; so few of them, over so many hours, are no flood.
OF_A_THOUSAND = {"delivered": 960, "deferred": 15, "bounced": 15, "bounced softly": 5, "complained": 3,
                 "unsubscribed": 2}  # fmt: skip
HOURS = 12
WAYS = {
    "single": ("Postmark, Mailgun, Brevo, one event each", (esp.POSTMARK, esp.MAILGUN, esp.BREVO), 1),
    "batches": (f"SendGrid, {BATCH} events each", (esp.SENDGRID,), BATCH),
}


@dataclass(frozen=True, slots=True)
class Post:
    """One request, and what is in it: each letter with our double's word for the event."""

    hook: esp.Hook
    events: tuple[tuple[int, str], ...]


def main():
    import psycopg

    print(f"\n{'':44}{'heard a second':>15}{'p95 ms':>8}{'applied a second':>18}{'events':>9}{'twice':>8}")
    for way, (what, _, _) in WAYS.items():
        with psycopg.connect(delivery.DATABASE, autocommit=True, connect_timeout=10) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {delivery.NAME} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {delivery.NAME}")
        command = [sys.executable, "-m", "tests.benchmarks.webhooks", way]
        done = subprocess.run(
            command, cwd=delivery.ROOT, env=_environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{way} failed: {done.stderr[-3000:]}")
        row = json.loads(done.stdout.splitlines()[-1])
        print(f"{what:44}{row['heard']:>15,.0f}{row['p95'] * 1000:>8.0f}{row['applied']:>18,.0f}{row['events']:>9,}"
              f"{row['twice']:>8,}", flush=True)  # fmt: skip


def _environment():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {
        **delivery.environment(9), "PORT": str(port), "DIGEST_WEBHOOK_SECRET": esp.HOOK_SECRET,
        "EMAIL_URL": "mailgun:", "MAILGUN_API_KEY": esp.KEY, **esp.MAILGUN.hook_settings(),
        "EMAIL_FALLBACK_URL": "sendgrid:", "SENDGRID_API_KEY": esp.KEY,
    }  # fmt: skip


# In a process with the benchmark's settings -------------------------------------------------------------------------


def measure(way):
    """One row of the table. Stops with a word where an event was lost or counted twice."""
    from digest.deliveries import report
    from digest.models import DeliveryEvent
    from subscriptions import clock

    random.seed(20260602)
    _, services, batch = WAYS[way]
    _fill(LETTERS[way])
    posts = _posts(services, batch, LETTERS[way], now=clock.now())
    with _serving() as port:
        answers, seconds = _send(port, posts)
    if refused := Counter(status for _, status, _ in answers if status != 200):
        sys.exit(f"Not every request was taken: {refused}")
    heard = dict(event for post, _, _ in answers for event in post.events)
    count = sum(len(post.events) for post, _, _ in answers)
    if DeliveryEvent.objects.count() != len(heard):
        sys.exit(f"{len(heard):,} events were answered, {DeliveryEvent.objects.count():,} are written down")
    start = time.perf_counter()
    verdicts = report.apply(now=clock.now())
    applying = time.perf_counter() - start
    if verdicts != {"applied": len(heard)}:
        sys.exit(f"Not every event was acted upon: {verdicts} of {len(heard):,}")
    _check(heard)
    took = sorted(took for _, _, took in answers)
    return {"heard": count / seconds, "p95": took[int(len(took) * 0.95)], "applied": len(heard) / applying,
            "events": len(heard), "twice": count - len(heard)}  # fmt: skip


def _fill(count):
    """Readers with a letter each, of which some are uncertain."""
    from django.core.management import call_command
    from django.db import connection

    from digest.models import Batch, Delivery, Run
    from subscriptions import clock
    from subscriptions.models import Subscriber
    from tests import make
    from tests.benchmarks import filling

    call_command("migrate", verbosity=0)
    now = clock.now() - timedelta(hours=HOURS + 1)
    edition = make.edition(day=now.date())
    batch = Batch.objects.create(run=Run.objects.create(edition=edition, changed_at=now), size=count, created_at=now)
    filling.copy(Subscriber, (
        Subscriber(pk=n, email=_address(n), mailbox=_address(n), status="active", status_changed_at=now,
                   created_at=now, confirmed_at=now)
        for n in range(1, count + 1)
    ))  # fmt: skip
    filling.copy(Delivery, (
        Delivery(pk=n, subscriber_id=n, day=now.date(), edition=edition, batch=batch, email=_address(n), due_at=now,
                 next_try_at=now, attempts=1, created_at=now, settled_at=now, **_status(n))
        for n in range(1, count + 1)
    ))  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")


def _address(n):
    return f"reader{n}@example{n % 40}.net"


def _status(n):
    return {"status": "uncertain", "reason": "no answer"} if n % round(1 / UNCERTAIN) == 0 else {"status": "sent"}


def _posts(services, batch, count, *, now):
    """A request for each so many letters, and some of them again a little later."""
    from digest.names import name_of

    posts = []
    for number, first in enumerate(range(1, count + 1, batch)):
        service = services[number % len(services)]
        events, hooks = [], []
        for letter in range(first, min(first + batch, count + 1)):
            words, weights = zip(*[pair for pair in OF_A_THOUSAND.items() if pair[0] in service.kinds], strict=True)
            (word,) = random.choices(words, weights)
            at = now - timedelta(seconds=random.uniform(0, HOURS * 3600))
            hooks.append(service.event(word, reference=f"m-{letter}", recipient=_address(letter),
                                       metadata={"delivery": name_of(letter)}, at=at))  # fmt: skip
            events.append((letter, word))
        posts.append(Post(hooks[0] if batch == 1 else service.batch(hooks, at=now), tuple(events)))
        if number >= 50 and random.random() < TWICE:
            posts.append(posts[-random.randint(2, 50)])
    return posts


@contextmanager
def _serving():
    """The site, until it is not needed any more."""
    port = int(os.environ["PORT"])
    key = esp.SENDGRID.hook_settings()
    process = subprocess.Popen([sys.executable, "-W", "ignore", "manage.py", "serve"], cwd=delivery.ROOT,
                               env={**os.environ, **key}, stdout=subprocess.DEVNULL)  # fmt: skip
    try:
        while process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _send(port, posts):
    """(request, status, seconds it took) of each that was sent in time, and the seconds of them all."""
    queue, answers = iter(posts), []
    lock, start = threading.Lock(), time.perf_counter()

    def client():
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as line:
            while (began := time.perf_counter()) - start < SECONDS:
                with lock:
                    post = next(queue, None)
                if post is None:
                    return
                line.request("POST", post.hook.path, post.hook.body, dict(post.hook.headers))
                answer = line.getresponse()
                answer.read()
                answers.append((post, answer.status, time.perf_counter() - began))

    threads = [threading.Thread(target=client) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers, time.perf_counter() - start


def _check(heard):
    """Every letter and every reader is as the one event about it says, and was touched once."""
    from django.db.models import Count

    from digest.models import Delivery
    from subscriptions.models import Consent, Subscriber, Suppression

    words = Counter(heard.values())
    bad = words["bounced"] + words["complained"]
    uncertain = {letter for letter in heard if _status(letter)["status"] == "uncertain"}
    kept = {letter for letter in uncertain if heard[letter] == "deferred"}
    failed = {letter for letter in uncertain if heard[letter] in {"bounced", "bounced softly"}}
    left = set(Delivery.objects.filter(status="uncertain", pk__in=list(heard)).values_list("pk", flat=True))
    found = {
        "uncertain": (left, kept),
        "failed": (set(Delivery.objects.filter(status="failed").values_list("pk", flat=True)), failed),
        "suppressed": (Subscriber.objects.filter(status="suppressed").count(), bad),
        "unsubscribed": (Subscriber.objects.filter(status="unsubscribed").count(), words["unsubscribed"]),
        "on the list": (Suppression.objects.count(), bad),
        "recorded": (dict(Consent.objects.values_list("event").annotate(Count("pk"))),
                     {"suppressed": bad, "unsubscribed": words["unsubscribed"]}),
    }  # fmt: skip
    if wrong := {name: pair for name, pair in found.items() if pair[0] != pair[1]}:
        sys.exit(f"Not as it was told (found, expected): {wrong}")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        import django

        django.setup()
        print(json.dumps(measure(sys.argv[1])))
