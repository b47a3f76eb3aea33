"""50,000 subscribers with 5 topics each and an edition of 500 papers: from rows to digests, and into the ledger."""

import os
import random
import resource
import sys
import time
from contextlib import contextmanager
from itertools import islice

from tests import environment  # a database of its own, named before Django reads its settings

os.environ["DJANGO_SETTINGS_MODULE"] = "digest.config.settings"
import django

django.setup()

from django.core.management import call_command  # noqa: E402

from digest.deliveries import garbage, queue  # noqa: E402
from digest.documents import documents  # noqa: E402
from digest.models import Delivery, Edition, Listing, Paper, Placement  # noqa: E402
from subscriptions.models import Subscriber, Subscription  # noqa: E402
from subscriptions.query import matches, parse  # noqa: E402
from subscriptions.query.words import words  # noqa: E402
from tests import make, recorded  # noqa: E402
from tests.make import DAY, NOW  # noqa: E402

PAPERS, TOPICS, SAMPLE = 500, 5, 100
random.seed(20260602)
rows: list[tuple[str, float, float]] = []


@contextmanager
def measured(what):
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows.append((what, seconds, memory))


def texts():
    """(title, abstract, categories) of real papers, or of invented ones with words as common as in real text."""
    if recorded.recorded_folder():
        for paper in islice(recorded.lines("arxiv_listing.jsonl.gz"), PAPERS):
            yield paper["title"], paper["summary"], paper["categories"]
        return
    vocabulary = ["".join(random.choices("abcdefghijklmnoprstuvw", k=random.randint(4, 11))) for _ in range(8_000)]
    weights = [1 / rank for rank in range(1, len(vocabulary) + 1)]
    for _ in range(PAPERS):
        pick = random.choices(vocabulary, weights, k=190)
        yield " ".join(pick[:10]).title(), " ".join(pick[10:]), [random.choice(["cs.CL", "cs.CV", "cs.AI"])]


def fill(subscribers):
    source = make.source("arxiv.cs.CL")
    papers = Paper.objects.bulk_create(
        Paper(identifier=f"2606.{n:05}", url=f"https://arxiv.org/abs/2606.{n:05}", title=title[:300], abstract=abstract,
              text_from=3, categories=categories, created_at=NOW, votes=random.randrange(60))
        for n, (title, abstract, categories) in enumerate(texts(), start=90_000)
    )  # fmt: skip
    Listing.objects.bulk_create(Listing(paper=paper, source=source, day=DAY, first_seen_at=NOW) for paper in papers)
    edition = make.edition()
    Placement.objects.bulk_create(
        Placement(edition=edition, paper=paper, rank=rank, score=1 / rank, listed_date=DAY)
        for rank, paper in enumerate(papers, start=1)
    )
    common = [word.exact for paper in papers for word in words(paper.title) if len(word.exact) > 3]
    readers = Subscriber.objects.bulk_create(
        (
            Subscriber(email=f"r{n}@example.net", mailbox=f"r{n}@example.net", status="active", status_changed_at=NOW,
                       created_at=NOW)
            for n in range(subscribers)
        ),
        batch_size=2_000,
    )  # fmt: skip
    Subscription.objects.bulk_create(
        (
            Subscription(subscriber=reader, label=f"Topic {n}", query=topic(common), position=n, created_at=NOW)
            for reader in readers
            for n in range(TOPICS)
        ),
        batch_size=5_000,
    )
    return papers


def topic(common):
    """A query as people write them; words are as popular as they are in titles."""
    kind, word = random.random(), lambda: random.choice(common)
    if kind < 0.30:
        return word()
    if kind < 0.60:
        return f"{word()} {word()}"
    if kind < 0.75:
        return f'"{word()} {word()}" OR {word()}'
    if kind < 0.90:
        return f"({word()} OR {word()}) -{word()} cat:cs.CL"
    return f"title:{word()} OR {word()}* votes:>=20"


def plain(papers):
    """One subscriber after the other, one topic after the other, one paper after the other."""
    ready = documents(papers)
    found = 0
    for reader in Subscriber.objects.order_by("pk")[:SAMPLE]:
        for row in reader.subscriptions.order_by("position"):
            query = parse(row.query)
            found += sum(matches(query, paper) is not None for paper in ready)
    return found


def main(subscribers):
    call_command("migrate", verbosity=0)
    papers = fill(subscribers)
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    distinct = Subscription.objects.values("query").distinct().count()
    with measured("read the papers of the edition"):
        run = queue._Run(_due(), (Edition.objects.get(),), now=NOW)
    pairs = 0
    with measured("match and compose"):
        for start in range(0, subscribers, queue.BLOCK):
            block = list(Subscriber.objects.order_by("pk").values_list("pk", flat=True)[start : start + queue.BLOCK])
            with garbage.left_alone():
                pairs += sum(len(digest.papers) for digest in run._compose(queue._subscribers(block)))
    del run
    with measured("the same, into the ledger"):
        queue.queue(now=NOW, today=DAY, by_hand=True)
    with measured(f"plain loop, {SAMPLE} subscribers"):
        plain(papers)
    report(subscribers, distinct, pairs, base)


def _due():
    from digest.schedule import Habit, on

    return on(Habit("daily", 127, 7, "UTC"), DAY)


def report(subscribers, distinct, pairs, base):
    ours = rows[0][1] + rows[1][1]
    print(f"{subscribers:,} subscribers × {TOPICS} topics ({distinct:,} distinct queries), {PAPERS} papers, "
          f"{pairs:,} papers given, {Delivery.objects.count():,} deliveries")  # fmt: skip
    print(f"{'':44}{'seconds':>10}{'ratio':>10}{'peak MB':>10}")
    for what, seconds, memory in rows[:3]:
        print(f"{what:44}{seconds:>10.2f}{seconds / ours:>10.2f}{memory:>10.0f}")
    print(f"{'match and compose in all':44}{ours:>10.2f}{1:>10.2f}{rows[1][2]:>10.0f}")
    whole = rows[3][1] * subscribers / SAMPLE
    print(f"{f'plain loop, {SAMPLE} subscribers, scaled up':44}{whole:>10.0f}{whole / ours:>10.0f}")
    print(f"(the benchmark itself, before it began: {base:.0f} MB)")


if __name__ == "__main__":
    print(f"(data in {environment.folder})", file=sys.stderr)
    main(int(sys.argv[1]))
