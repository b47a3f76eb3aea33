"""Rows for tests, with what a test does not care about filled in. All papers are invented."""

from datetime import UTC, date, datetime, timedelta
from itertools import count

from digest import stamps
from digest.models import Announce, Edition, Listing, Paper, Placement, Source
from digest.sources.entry import Author, Entry
from subscriptions.models import Subscriber, Subscription
from subscriptions.throttle import mailbox_of

DAY = date(2026, 6, 2)
NOW = datetime(2026, 6, 2, 8, 0, tzinfo=UTC)
_numbers = count(1)


def entry(number=None, **values):
    number = number or 90000 + next(_numbers)
    identifier = values.pop("identifier", f"2606.{number}")
    return Entry(
        **{
            "identifier": identifier,
            "url": f"https://arxiv.org/abs/{identifier}",
            "title": f"Invented paper {number}",
            "abstract": "Nothing is claimed here.",
            "authors": (Author(name="Ada Example"),),
            **values,
        }
    )


def source(name="huggingface", **values):
    kind = {"huggingface": "huggingface"}.get(name, "arxiv" if name.startswith("arxiv.") else "feed")
    defaults = {
        "label": name,
        "kind": kind,
        "category": name.removeprefix("arxiv.") if kind == "arxiv" else "",
        "url": "https://feeds.example.org/atom" if kind == "feed" else "",
    }
    return Source.objects.get_or_create(name=name, defaults={**defaults, **values})[0]


def paper(title="", *, day=DAY, by="huggingface", announce="new", **values):
    """A paper that a source has listed."""
    number = 90000 + next(_numbers)
    values = {
        "identifier": f"2606.{number}",
        "url": f"https://arxiv.org/abs/2606.{number}",
        "abstract": "Nothing is claimed here.",
        "text_from": Paper.TextFrom.ARXIV,
        "authors": [{"name": "Ada Example", "hidden": False}],
        "categories": ["cs.CL"],
        "created_at": NOW,
        "votes": 1,
        **values,
    }
    made = Paper.objects.create(title=title or f"Invented paper {number}", **values)
    Listing.objects.create(paper=made, source=source(by), day=day, announce=announce, first_seen_at=NOW)
    stamps.bump("papers")
    return made


def edition(papers=(), *, day=DAY, published=True, **values):
    """An edition with papers in the order given."""
    status = (
        {"status": "published", "published_at": NOW - timedelta(hours=2), "published_by": "clock"} if published else {}
    )
    made = Edition.objects.create(date=day, built_at=NOW, **{**status, **values})
    for rank, one in enumerate(papers, start=1):
        Placement.objects.create(
            edition=made, paper=one, rank=rank, score=100 - rank, announce=Announce.NEW, listed_date=day
        )
    return made


def subscriber(email="", *, topics=(), **values):
    """A confirmed subscriber; topics are queries, or (name, query)."""
    email = email or f"reader{next(_numbers)}@example.net"
    made = Subscriber.objects.create(
        **{
            "email": email,
            "mailbox": mailbox_of(email),
            "status": "active",
            "status_changed_at": NOW,
            "created_at": NOW,
            "confirmed_at": NOW,
            **values,
        }
    )
    for position, topic in enumerate(topics):
        label, query = topic if isinstance(topic, tuple) else (topic, topic)
        Subscription.objects.create(subscriber=made, label=label, query=query, position=position, created_at=NOW)
    return made
