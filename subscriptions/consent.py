"""The subscription's life: asked for, confirmed, changed, ended. Every step leaves a Consent row."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from subscriptions import suppression, throttle
from subscriptions.models import MOST_TOPICS, Consent, Notice, Subscriber, Subscription

#: The wording under the sign-up form; a new wording gets a new name, so that each record says what was agreed to.
TEXT_VERSION = "2026-11"
CONFIRM_WITHIN = timedelta(hours=72)
FORGET_AFTER = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Where a request came from, as far as it may be trusted."""

    ip: str | None = None
    user_agent: str = ""
    form_url: str = ""


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    query: str


class Expired(Exception):
    """A confirmation that came too late, or after the address had unsubscribed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """The columns of Subscriber that its owner may change."""

    values: Mapping[str, Any] = field(default_factory=dict)

    ALLOWED = frozenset(
        {
            "cadence", "send_days", "send_hour", "time_zone", "max_papers", "wants_trending", "wants_cross_lists",
            "wants_replacements", "wants_empty", "format",
        }
    )  # fmt: skip

    def __post_init__(self) -> None:
        if unknown := set(self.values) - self.ALLOWED:
            raise ValueError(f"Not for a subscriber to change: {', '.join(sorted(unknown))}")


@transaction.atomic
def subscribe(email: str, topics: Sequence[Topic], *, now: datetime, visit: Visit) -> Notice | None:
    """Record a request and owe a confirmation letter to the address, known or not.

    Returns None where a cap holds or the address is suppressed; the visitor is told the same in every case.
    """
    mailbox = throttle.mailbox_of(email)
    if not (throttle.may_ask(visit.ip, now=now) and throttle.may_mail(mailbox, Notice.Kind.CONFIRM, now=now)):
        return None
    subscriber = _subscriber(email, mailbox, now=now)
    if _is_barred(subscriber):
        return None
    if subscriber.status in {Subscriber.Status.ACTIVE, Subscriber.Status.PAUSED} and not topics:
        return _owe(subscriber, Notice.Kind.KNOWN, consent=None, now=now)
    asked = [[topic.name, topic.query] for topic in topics[:MOST_TOPICS]]
    consent = _record(subscriber, Consent.Event.REQUESTED, now=now, visit=visit, topics=asked)
    return _owe(subscriber, Notice.Kind.CONFIRM, consent=consent, now=now)


def requested(consent_id: int) -> list[Topic]:
    """The topics of a request. Raises Expired where there is no such request any more."""
    request = Consent.objects.filter(pk=consent_id, event=Consent.Event.REQUESTED).first()
    if request is None:
        raise Expired
    return [Topic(*topic) for topic in request.topics]


@transaction.atomic
def confirm(consent_id: int, *, now: datetime, visit: Visit) -> Subscriber:
    """Activate an address and add the topics that were asked for. Doing it again changes nothing.

    Raises Expired after CONFIRM_WITHIN, and when the address has unsubscribed since it asked.
    """
    request = Consent.objects.select_related("subscriber").filter(pk=consent_id, event=Consent.Event.REQUESTED).first()
    if request is None:
        raise Expired
    subscriber = Subscriber.objects.select_for_update().get(pk=request.subscriber_id)
    if Consent.objects.filter(request=request, event=Consent.Event.CONFIRMED).exists():
        return subscriber
    ended = Consent.objects.filter(
        subscriber=subscriber, pk__gt=request.pk, event__in=[Consent.Event.UNSUBSCRIBED, Consent.Event.SUPPRESSED]
    )
    if now - request.at > CONFIRM_WITHIN or ended.exists() or _is_barred(subscriber):
        raise Expired
    if subscriber.status not in {Subscriber.Status.ACTIVE, Subscriber.Status.PAUSED}:
        suppression.lift(subscriber.email)  # its owner wants our mail, and has just got some
        subscriber.confirmed_at = now
        _set_status(subscriber, Subscriber.Status.ACTIVE, "", now=now)
    add_topics(subscriber, [Topic(*topic) for topic in request.topics], now=now)
    _record(subscriber, Consent.Event.CONFIRMED, now=now, visit=visit, request=request, topics=request.topics)
    return subscriber


@transaction.atomic
def request_link(subscriber: Subscriber, *, now: datetime) -> Notice | None:
    """Owe a letter with a fresh link to the manage page, within the caps."""
    if subscriber.status not in {Subscriber.Status.ACTIVE, Subscriber.Status.PAUSED}:
        return None
    if not throttle.may_mail(subscriber.mailbox, Notice.Kind.MANAGE, now=now):
        return None
    return _owe(subscriber, Notice.Kind.MANAGE, consent=None, now=now)


@transaction.atomic
def change(subscriber: Subscriber, preferences: Preferences, *, now: datetime, visit: Visit) -> None:
    """Save preferences and record what changed."""
    stored = Subscriber.objects.select_for_update().get(pk=subscriber.pk)
    changed = [name for name, value in preferences.values.items() if getattr(stored, name) != value]
    for name in changed:
        setattr(stored, name, preferences.values[name])
    if changed:
        stored.save(update_fields=changed)
        _record(subscriber, Consent.Event.CHANGED, now=now, visit=visit, detail=", ".join(changed))


@transaction.atomic
def replace_topics(subscriber: Subscriber, topics: Sequence[Topic], *, now: datetime, visit: Visit) -> None:
    """Make `topics`, in this order, the subscriber's topics; those that stay keep what they had learned and set."""
    kept = {topic.label.lower(): topic for topic in subscriber.subscriptions.all()}
    before = [[topic.label, topic.query] for topic in sorted(kept.values(), key=lambda topic: topic.position)]
    for position, topic in enumerate(topics[:MOST_TOPICS]):
        row = kept.pop(topic.name.lower(), None) or Subscription(subscriber=subscriber, created_at=now)
        row.label, row.query, row.position = topic.name, topic.query, position
        row.save()
    Subscription.objects.filter(pk__in=[row.pk for row in kept.values()]).delete()
    after = [[topic.name, topic.query] for topic in topics]
    if after != before:
        _record(subscriber, Consent.Event.CHANGED, now=now, visit=visit, topics=after, detail="topics")


def add_topics(subscriber: Subscriber, topics: Iterable[Topic], *, now: datetime) -> None:
    """Add topics; one of a name that is there already takes the new query."""
    known = {row.label.lower(): row for row in subscriber.subscriptions.all()}
    position = subscriber.subscriptions.aggregate(last=Max("position"))["last"] or 0
    for topic in topics:
        row = known.get(topic.name.lower())
        if row is None and len(known) < MOST_TOPICS:
            position += 1
            row = Subscription(subscriber=subscriber, label=topic.name, position=position, created_at=now)
        if row is not None:
            row.query = topic.query
            row.save()
            known[topic.name.lower()] = row


@transaction.atomic
def pause(subscriber: Subscriber, until: Any, *, now: datetime, visit: Visit) -> None:
    """Send nothing until a day; None resumes at once."""
    paused = Subscriber.Status.PAUSED if until else Subscriber.Status.ACTIVE
    if subscriber.status not in {Subscriber.Status.ACTIVE, Subscriber.Status.PAUSED}:
        return
    subscriber.paused_until = until
    subscriber.save(update_fields=["paused_until"])
    _set_status(subscriber, paused, "", now=now)
    _record(
        subscriber, Consent.Event.CHANGED, now=now, visit=visit, detail=f"paused until {until}" if until else "resumed"
    )


@transaction.atomic
def unsubscribe(subscriber_id: int, *, now: datetime, visit: Visit, detail: str = "") -> None:
    """End all mail to a subscriber, for the very next letter. Doing it again changes nothing but the record."""
    subscriber = Subscriber.objects.select_for_update().filter(pk=subscriber_id).first()
    if subscriber is None:
        return
    if subscriber.status != Subscriber.Status.SUPPRESSED:
        _set_status(subscriber, Subscriber.Status.UNSUBSCRIBED, detail, now=now)
    _record(subscriber, Consent.Event.UNSUBSCRIBED, now=now, visit=visit, detail=detail)


@transaction.atomic
def suppress(subscriber_id: int, reason: str, *, now: datetime, cause: str = suppression.Cause.BY_HAND) -> None:
    """Mail this address no more: it bounced, or its owner complained."""
    subscriber = Subscriber.objects.select_for_update().filter(pk=subscriber_id).first()
    if subscriber is None:
        return
    suppression.add(subscriber.email, cause, detail=reason, now=now)
    if subscriber.status == Subscriber.Status.SUPPRESSED:
        return
    _set_status(subscriber, Subscriber.Status.SUPPRESSED, reason, now=now)
    _record(subscriber, Consent.Event.SUPPRESSED, now=now, visit=Visit(), detail=reason)


def forget_unconfirmed(*, now: datetime) -> int:
    """Delete addresses that asked and never confirmed; returns how many."""
    forgotten = Subscriber.objects.filter(status=Subscriber.Status.PENDING, status_changed_at__lt=now - FORGET_AFTER)
    count = forgotten.count()
    forgotten.delete()
    return count


def _subscriber(email: str, mailbox: str, *, now: datetime) -> Subscriber:
    known = Subscriber.objects.filter(email__iexact=email).first()
    if known:
        if known.status == Subscriber.Status.PENDING:
            known.status_changed_at = now
            known.save(update_fields=["status_changed_at"])
        return known
    return Subscriber.objects.create(
        email=email, mailbox=mailbox, status_changed_at=now, created_at=now, time_zone=settings.DIGEST_TIME_ZONE
    )


def _is_barred(subscriber: Subscriber) -> bool:
    """Whether not even its owner can bring the address back by asking: it does not exist, or somebody here said so."""
    found = suppression.find(subscriber.email)
    return found.cause not in suppression.MENDABLE if found else subscriber.status == Subscriber.Status.SUPPRESSED


def _set_status(subscriber: Subscriber, status: str, reason: str, *, now: datetime) -> None:
    subscriber.status, subscriber.status_reason, subscriber.status_changed_at = status, reason[:200], now
    subscriber.save(update_fields=["status", "status_reason", "status_changed_at", "confirmed_at"])


def _record(subscriber: Subscriber, event: str, *, now: datetime, visit: Visit, **more: Any) -> Consent:
    more["detail"] = str(more.get("detail", ""))[:300]
    return Consent.objects.create(
        subscriber=subscriber,
        event=event,
        at=now,
        ip=visit.ip,
        user_agent=visit.user_agent[:300],
        form_url=visit.form_url[:200],
        text_version=TEXT_VERSION,
        **more,
    )


def _owe(subscriber: Subscriber, kind: str, *, consent: Consent | None, now: datetime) -> Notice:
    return Notice.objects.create(
        subscriber=subscriber,
        consent=consent,
        kind=kind,
        mailbox=subscriber.mailbox,
        created_at=now,
        next_try_at=now,
    )
