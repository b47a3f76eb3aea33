"""A million readers with a past of three million letters: how long queueing and claiming take, and by what plans.

`python -m tests.faults.million` in the environment of a System; prints JSON on its last line.
"""

import json
import time
from datetime import UTC, datetime, timedelta

READERS = 1_000_000
RUNS = 3
CLAIMS = 300
#: One run of the past: every reader's letter, in batches of 500 as Paperboy writes them.
LETTERS = """
INSERT INTO digest_delivery (subscriber_id, email, batch_id, edition_id, day, due_at, next_try_at, created_at, sections,
    papers_count, status, reason, attempts, transport, reference, settled_at)
SELECT n, 'reader' || n || '@example.net', %s + (n - 1) / 500, %s, %s, %s, %s, %s, '[]', 0, 'sent', '', 1, 'main', '',
    %s
FROM generate_series(1, %s) n
"""


def past(now):
    from django.db import connection

    from digest.deliveries import ledger
    from digest.models import Batch, Run
    from tests import make

    for number in range(1, RUNS + 1):
        then = now - timedelta(days=9 * number)
        edition = make.edition(day=then.date(), published_at=then)
        run = Run.objects.create(edition=edition, changed_at=then)
        batches = Batch.objects.bulk_create(
            [Batch(run=run, size=ledger.SIZE, created_at=then) for _ in range(READERS // ledger.SIZE)], batch_size=2_000
        )
        with connection.cursor() as cursor:
            values = [batches[0].pk, edition.pk, then.date(), then, then, then, then, READERS]
            cursor.execute(LETTERS, values)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def scans(queries):
    """The large tables that these queries read from end to end."""
    tables = ("digest_delivery", "digest_batch")
    return sorted({table for query in queries for table in tables if f"Seq Scan on {table}" in query.explain()})


def main():
    from digest.deliveries import ledger
    from digest.deliveries.queue import queue
    from digest.models import Batch, Delivery

    now = datetime.now(UTC)
    past(now)
    start = time.perf_counter()
    queued = queue(now=now, today=now.date()).queued
    seconds = time.perf_counter() - start

    claims, takes = [], []
    for number in range(CLAIMS):
        start = time.perf_counter()
        batch = ledger.claim(f"worker {number}", now=now)
        claims.append(time.perf_counter() - start)
        start = time.perf_counter()
        waiting = ledger.waiting(batch, now=now)
        takes.append(time.perf_counter() - start)
        assert len(waiting) == ledger.SIZE
    due = Batch.objects.due(now).order_by("next_try_at", "pk")[:1]
    mine = Delivery.objects.filter(batch=batch).waiting()
    print(json.dumps({"queued": queued, "queue": seconds, "claim": p95(claims), "take": p95(takes),
                      "scans": scans([due, mine])}))  # fmt: skip


def p95(seconds):
    """In milliseconds."""
    return sorted(seconds)[int(0.95 * len(seconds))] * 1000


if __name__ == "__main__":
    import django

    django.setup()
    main()
