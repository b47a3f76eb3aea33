"""The steps of the delivery benchmark that need Paperboy itself, each in a process of its own."""

import json
import random
import sys
import time

import django

django.setup()

from datetime import UTC, datetime, timedelta  # noqa: E402
from datetime import time as time_of_day  # noqa: E402

from django.core.mail import EmailMultiAlternatives, get_connection  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from digest import tasks  # noqa: E402
from digest.deliveries import ledger  # noqa: E402
from digest.deliveries.queue import queue  # noqa: E402
from digest.letter import Press  # noqa: E402
from digest.models import Batch, Delivery, Edition  # noqa: E402
from subscriptions import clock  # noqa: E402
from subscriptions.mime import decode  # noqa: E402
from subscriptions.models import Subscriber, Subscription  # noqa: E402
from tests.benchmarks import filling  # noqa: E402

PAPERS, SAMPLE = 500, 300
LEDGER = "digest_delivery, digest_deliveryevent, digest_batch, digest_run, digest_readership, digest_carriage"


def fill(subscribers):
    random.seed(20260602)
    call_command("migrate", verbosity=0)
    papers = filling.edition(PAPERS)
    midnight = datetime.combine(clock.today(), time_of_day.min, UTC)
    Edition.objects.update(date=clock.today(), published_at=midnight - timedelta(hours=2))
    topics = filling.subscribers(subscribers, papers)
    Subscriber.objects.update(send_hour=0)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")
    distinct = Subscription.objects.values("query").distinct().count()
    sizes = [len(letter.as_bytes(now=clock.now())) for letter in some_letters(SAMPLE)]
    return {"topics": topics, "distinct": distinct, "papers": PAPERS, "bytes": sum(sizes) // len(sizes)}


def some_letters(count):
    """Letters as they will be sent, of a ledger that is emptied again."""
    empty()
    now, today = clock.now(), clock.today()
    Subscriber.objects.filter(pk__gt=count).update(status="pending")
    queue(now=now, today=today, by_hand=True)
    letters = []
    while batch := ledger.claim("sample", now=now):
        taken = ledger.take(ledger.waiting(batch, now=now), worker="sample", now=now, today=today)
        press = Press(Edition.objects.get())
        press.prepare(row.sections for row in taken)
        letters += [press.write(row) for row in taken]
    empty()
    Subscriber.objects.update(status="active")
    return letters


def empty():
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {LEDGER} CASCADE")
        cursor.execute("VACUUM (ANALYZE) digest_delivery, subscriptions_subscriber")
        cursor.execute("CHECKPOINT")


def warm():
    """Every worker has answered a tick."""
    for _ in range(4):
        tasks.sweep.delay()
    time.sleep(6)


def queued():
    """Asked of the batches: counting the letters themselves would take time from what is measured."""
    return Batch.objects.aggregate(size=django.db.models.Sum("size"))["size"] or 0


def run(letters):
    start = time.perf_counter()
    tasks.deliver.delay()
    while queued() < letters or Batch.objects.exclude(next_try_at=None, claimed_by="").exists():
        time.sleep(0.25)
    seconds = time.perf_counter() - start
    counts = dict(Delivery.objects.values_list("status").annotate(number=django.db.models.Count("pk")))
    if counts != {"sent": letters}:
        sys.exit(f"Not all letters were sent: {counts}")
    return seconds


def stock(count):
    """Django's own way: a message built for each letter and its SMTP backend, on one kept connection, no ledger."""
    letters = (some_letters(min(count, SAMPLE)) * (count // SAMPLE + 1))[:count]
    bodies = [(letter.to, letter.subject, decode(letter.text), decode(letter.html)) for letter in letters]
    start, cpu = time.perf_counter(), time.process_time()
    with get_connection("django.core.mail.backends.smtp.EmailBackend") as way:
        for to, subject, text, html in bodies:
            message = EmailMultiAlternatives(subject, text, to=[to], connection=way)
            message.attach_alternative(html, "text/html")
            message.send()
    return time.perf_counter() - start, (time.process_time() - cpu) / count * 1000


if __name__ == "__main__":
    step, *arguments = sys.argv[1:]
    print(json.dumps(globals()[step](*map(int, arguments))))
