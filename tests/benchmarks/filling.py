"""A public site's database, filled by COPY: one edition, subscribers, and topics as popular as words are in titles."""

import random
from itertools import islice

from django.db import connection

from digest.models import Listing, Paper, Placement
from subscriptions.models import Subscriber, Subscription
from subscriptions.query.words import words
from tests import make, recorded
from tests.make import DAY, NOW

#: Topics that many share, as a site would suggest them; the others are the readers' own.
SHARED = 3_000
OWN = 0.15
FEWEST, MOST = 5, 10
MAX_PAPERS = 14


def texts(count):
    """(title, abstract, categories) of real papers, or of invented ones with words as common as in real text."""
    if recorded.recorded_folder():
        for paper in islice(recorded.lines("arxiv_listing.jsonl.gz"), count):
            yield paper["title"], paper["summary"], paper["categories"]
        return
    vocabulary = ["".join(random.choices("abcdefghijklmnoprstuvw", k=random.randint(4, 11))) for _ in range(8_000)]
    weights = [1 / rank for rank in range(1, len(vocabulary) + 1)]
    for _ in range(count):
        pick = random.choices(vocabulary, weights, k=190)
        yield " ".join(pick[:10]).title(), " ".join(pick[10:]), [random.choice(["cs.CL", "cs.CV", "cs.AI"])]


def edition(count):
    """The papers of a published edition."""
    source = make.source("arxiv.cs.CL")
    papers = Paper.objects.bulk_create(
        Paper(identifier=f"2606.{n:05}", url=f"https://arxiv.org/abs/2606.{n:05}", title=title[:300], abstract=abstract,
              text_from=3, categories=categories, created_at=NOW, votes=random.randrange(60),
              authors=[{"name": f"Ada Example {n}", "hidden": False}, {"name": "Bela Beispiel", "hidden": False}])
        for n, (title, abstract, categories) in enumerate(texts(count), start=90_000)
    )  # fmt: skip
    Listing.objects.bulk_create(Listing(paper=paper, source=source, day=DAY, first_seen_at=NOW) for paper in papers)
    made = make.edition()
    Placement.objects.bulk_create(
        Placement(edition=made, paper=paper, rank=rank, score=1 / rank, listed_date=DAY)
        for rank, paper in enumerate(papers, start=1)
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


def subscribers(count, papers):
    """`count` confirmed readers with FEWEST to MOST topics each; returns the number of topics."""
    common = [word.exact for paper in papers for word in words(paper.title) if len(word.exact) > 3]
    shared = [topic(common) for _ in range(SHARED)]
    weights = [1 / rank for rank in range(1, SHARED + 1)]
    bounds = list(_running(weights))

    def query():
        if random.random() < OWN:
            return topic(common)
        return random.choices(shared, cum_weights=bounds)[0]

    readers = (
        Subscriber(pk=n, email=f"reader{n}@example{n % 40}.net", mailbox=f"reader{n}@example{n % 40}.net",
                   status="active", status_changed_at=NOW, created_at=NOW, max_papers=MAX_PAPERS)
        for n in range(1, count + 1)
    )  # fmt: skip
    topics = 0

    def rows():
        nonlocal topics
        for reader in range(1, count + 1):
            for position in range(random.randint(FEWEST, MOST)):
                topics += 1
                yield Subscription(pk=topics, subscriber_id=reader, label=f"Topic {position}", query=query(),
                                   position=position, created_at=NOW)  # fmt: skip

    copy(Subscriber, readers)
    copy(Subscription, rows())
    return topics


def _running(weights):
    total = 0.0
    for weight in weights:
        total += weight
        yield total


def copy(model, instances):
    """Rows with their primary keys given, as fast as the database takes them."""
    if connection.vendor != "postgresql":
        model.objects.bulk_create(instances, batch_size=5_000)
        return
    fields = model._meta.concrete_fields
    names = ", ".join(field.column for field in fields)
    with connection.cursor() as cursor, cursor.copy(f"COPY {model._meta.db_table} ({names}) FROM STDIN") as out:
        for instance in instances:
            out.write_row([field.get_db_prep_save(getattr(instance, field.attname), connection) for field in fields])
