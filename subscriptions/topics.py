"""A reader's topics: added, replaced, left."""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from subscriptions.models import MOST_TOPICS, Consent, Subscriber, Subscription
from subscriptions.records import Visit, record

#: Characters of a topic's mark in a link: enough to tell a reader's topics apart.
MARK = 10


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as its reader wants it. `most` papers of it stand in a letter, 0 for no limit of its own."""

    name: str
    query: str
    muted: bool = False
    most: int = 0


def of(subscriber: Subscriber) -> list[Topic]:
    """In the reader's own order."""
    rows = subscriber.subscriptions.order_by("position", "pk")
    return [Topic(row.label, row.query, row.is_muted, row.max_papers or 0) for row in rows]


@transaction.atomic
def replace(subscriber: Subscriber, topics: Sequence[Topic], *, now: datetime, visit: Visit) -> None:
    """Make `topics`, in this order, the subscriber's topics; names tell which of them stay the same."""
    before = of(subscriber)
    kept = {row.label.casefold(): row for row in subscriber.subscriptions.all()}
    for position, topic in enumerate(topics[:MOST_TOPICS]):
        row = kept.pop(topic.name.casefold(), None) or Subscription(subscriber=subscriber, created_at=now)
        row.label, row.query, row.position = topic.name, topic.query, position
        row.is_muted, row.max_papers = topic.muted, topic.most or None
        row.save()
    Subscription.objects.filter(pk__in=[row.pk for row in kept.values()]).delete()
    if list(topics) != before:
        _changed(subscriber, topics, now=now, visit=visit)


@transaction.atomic
def append(subscriber: Subscriber, topics: Iterable[Topic], *, now: datetime, visit: Visit) -> int:
    """Add topics behind the others, as `add` does, and record it; returns how many there were no room for."""
    before = of(subscriber)
    wanted = list(topics)
    left_out = add(subscriber, wanted, now=now)
    after = of(subscriber)
    if after != before:
        _changed(subscriber, after, now=now, visit=visit)
    return left_out


def add(subscriber: Subscriber, topics: Iterable[Topic], *, now: datetime) -> int:
    """Add topics; one of a name that is there already takes the new query. Returns how many found no room."""
    known = {row.label.casefold(): row for row in subscriber.subscriptions.all()}
    last = subscriber.subscriptions.aggregate(last=Max("position"))["last"]
    position = -1 if last is None else last
    left_out = 0
    for topic in topics:
        row = known.get(topic.name.casefold())
        if row is None and len(known) >= MOST_TOPICS:
            left_out += 1
            continue
        if row is None:
            position += 1
            row = Subscription(subscriber=subscriber, label=topic.name, position=position, created_at=now)
        row.query = topic.query
        row.save()
        known[topic.name.casefold()] = row
    return left_out


def marks(name: str) -> list[str]:
    """What stands for a topic in links, for as long as it is called so: by today's key first, then by the older ones.

    Nobody else can tell a name from it, nor try names.
    """
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [
        hmac.new(b"paperboy topic " + key.encode(), name.encode(), hashlib.sha256).hexdigest()[:MARK] for key in keys
    ]


def marked(subscriber_id: int, wanted: str) -> Subscription | None:
    """The reader's topic that a mark stands for; None once it is gone, or called something else."""
    rows = Subscription.objects.filter(subscriber=subscriber_id).order_by("pk")
    return next((row for row in rows if wanted in marks(row.label)), None)


@transaction.atomic
def leave(subscription_id: int, *, now: datetime, visit: Visit, why: str = "", comment: str = "") -> None:
    """End one topic. Doing it again, or for a topic that is gone, changes nothing."""
    row = Subscription.objects.select_related("subscriber").filter(pk=subscription_id).first()
    if row is None:
        return
    subscriber = row.subscriber
    row.delete()
    detail = f"left the topic {row.label}"
    after = [[topic.name, topic.query] for topic in of(subscriber)]
    record(
        subscriber, Consent.Event.CHANGED, now=now, visit=visit, topics=after, detail=detail, why=why, comment=comment
    )


def _changed(subscriber: Subscriber, topics: Sequence[Topic], *, now: datetime, visit: Visit) -> None:
    after = [[topic.name, topic.query] for topic in topics]
    record(subscriber, Consent.Event.CHANGED, now=now, visit=visit, topics=after, detail="topics")
