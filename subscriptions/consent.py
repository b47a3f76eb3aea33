"""The subscription's life: asked for, confirmed, changed, ended. Every step leaves a Consent row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Value
from django.db.models.functions import Lower

from subscriptions import bounce, suppression, throttle, tokens, topics
from subscriptions.models import MOST_TOPICS, Consent, Notice, Subscriber
from subscriptions.records import ENGLISH, TEXT_VERSION, Visit, owe, record, set_status
from subscriptions.tokens import Scope, TokenError
from subscriptions.topics import Topic

__all__ = [
    "CONFIRM_WITHIN", "FORGET_AFTER", "TEXT_VERSION", "Expired", "Preferences", "Topic", "Visit", "Wish", "ask_again",
    "change", "confirm", "find", "forget_unconfirmed", "is_barred", "pause", "request_link", "requested",
    "subscribe", "suppress", "unsubscribe", "unsubscribe_by_mail",
]  # fmt: skip

CONFIRM_WITHIN = timedelta(hours=72)
FORGET_AFTER = timedelta(days=7)
#: Records of leaving that one address may fill in a day; links to leave work for ever, and for whoever holds one.
MOST_REASONS = 5
READABLE = frozenset({Subscriber.Status.ACTIVE, Subscriber.Status.PAUSED})


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for beside letters as such."""

    topics: tuple[Topic, ...] = ()
    cadence: str = ""
    #: Of a new address only; an address that is known has its own.
    time_zone: str = ""
    language: str = ENGLISH


class Expired(Exception):
    """A confirmation that came too late, or after the address had unsubscribed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """The columns of Subscriber that its owner may change."""

    values: Mapping[str, Any] = field(default_factory=dict)

    ALLOWED = frozenset(
        {
            "cadence", "send_days", "send_hour", "time_zone", "max_papers", "min_votes", "wants_trending",
            "wants_cross_lists", "wants_replacements", "wants_empty", "format", "language",
        }
    )  # fmt: skip

    def __post_init__(self) -> None:
        if unknown := set(self.values) - self.ALLOWED:
            raise ValueError(f"Not for a subscriber to change: {', '.join(sorted(unknown))}")


@transaction.atomic
def subscribe(email: str, wish: Wish, *, now: datetime, visit: Visit, wait: timedelta = timedelta(0)) -> Notice | None:
    """Record a request and owe a letter to the address, known or not; it leaves after `wait`.

    Returns None where a cap holds or the address is suppressed; the visitor is told the same in every case.
    """
    mailbox = throttle.mailbox_of(email)
    if not (throttle.may_ask(visit.ip, now=now) and throttle.may_mail(mailbox, Notice.Kind.CONFIRM, now=now)):
        return None
    subscriber = _subscriber(email, mailbox, wish, now=now)
    if is_barred(subscriber):
        return None
    asked = [[topic.name, topic.query] for topic in wish.topics[:MOST_TOPICS]]
    request = record(subscriber, Consent.Event.REQUESTED, now=now, visit=visit, topics=asked, cadence=wish.cadence)
    has_news = bool(asked) or wish.cadence not in {"", subscriber.cadence}
    kind = Notice.Kind.KNOWN if subscriber.status in READABLE and not has_news else Notice.Kind.CONFIRM
    return owe(subscriber, kind, consent=request, now=now, wait=wait)


@transaction.atomic
def ask_again(consent_id: int, *, now: datetime, visit: Visit) -> Notice | None:
    """Make a request anew whose confirmation came too late, within the caps. None where it cannot be made."""
    old = _request(consent_id)
    if old is None or _has_ended(old) or is_barred(old.subscriber):
        return None
    mailbox = old.subscriber.mailbox
    if not (throttle.may_ask(visit.ip, now=now) and throttle.may_mail(mailbox, Notice.Kind.CONFIRM, now=now)):
        return None
    request = record(
        old.subscriber, Consent.Event.REQUESTED, now=now, visit=visit, topics=old.topics, cadence=old.cadence
    )
    if old.subscriber.status == Subscriber.Status.PENDING:
        set_status(old.subscriber, Subscriber.Status.PENDING, "", now=now)
    return owe(old.subscriber, Notice.Kind.CONFIRM, consent=request, now=now)


def requested(consent_id: int) -> Wish:
    """What a request asks for. Raises Expired where there is no such request any more."""
    request = _request(consent_id)
    if request is None:
        raise Expired
    return Wish(tuple(Topic(*topic) for topic in request.topics), request.cadence)


@transaction.atomic
def confirm(consent_id: int, *, now: datetime, visit: Visit) -> Subscriber:
    """Activate an address and do what was asked for. Doing it again changes nothing.

    Raises Expired after CONFIRM_WITHIN, and when the address has unsubscribed since it asked.
    """
    request = _request(consent_id)
    if request is None:
        raise Expired
    subscriber = Subscriber.objects.select_for_update().get(pk=request.subscriber_id)
    if Consent.objects.filter(request=request, event=Consent.Event.CONFIRMED).exists():
        if subscriber.status not in READABLE:
            raise Expired
        return subscriber
    if now - request.at > CONFIRM_WITHIN or _has_ended(request) or is_barred(subscriber):
        raise Expired
    if subscriber.status not in READABLE:
        suppression.lift(subscriber.email)  # its owner wants our mail, and has just got some
        subscriber.confirmed_at = now
        set_status(subscriber, Subscriber.Status.ACTIVE, "", now=now)
    if request.cadence:
        subscriber.cadence = request.cadence
        subscriber.save(update_fields=["cadence"])
    topics.add(subscriber, [Topic(*topic) for topic in request.topics], now=now)
    record(
        subscriber, Consent.Event.CONFIRMED, now=now, visit=visit, request=request, topics=request.topics,
        cadence=request.cadence,
    )  # fmt: skip
    return subscriber


@transaction.atomic
def request_link(subscriber: Subscriber, *, now: datetime) -> Notice | None:
    """Owe a letter with a fresh link to the manage page, within the caps."""
    if subscriber.status not in READABLE:
        return None
    if not throttle.may_mail(subscriber.mailbox, Notice.Kind.MANAGE, now=now):
        return None
    return owe(subscriber, Notice.Kind.MANAGE, now=now)


@transaction.atomic
def change(subscriber: Subscriber, preferences: Preferences, *, now: datetime, visit: Visit) -> None:
    """Save preferences and record what changed."""
    stored = Subscriber.objects.select_for_update().get(pk=subscriber.pk)
    changed = [name for name, value in preferences.values.items() if getattr(stored, name) != value]
    for name in changed:
        setattr(stored, name, preferences.values[name])
    if changed:
        stored.save(update_fields=changed)
        record(
            subscriber, Consent.Event.CHANGED, now=now, visit=visit, detail=", ".join(changed), cadence=stored.cadence
        )


@transaction.atomic
def pause(subscriber: Subscriber, until: date | None, *, now: datetime, visit: Visit) -> None:
    """Send nothing until a day; None resumes at once."""
    stored = Subscriber.objects.select_for_update().get(pk=subscriber.pk)
    if stored.status not in READABLE or stored.paused_until == until:
        return
    stored.paused_until = until
    stored.save(update_fields=["paused_until"])
    set_status(stored, Subscriber.Status.PAUSED if until else Subscriber.Status.ACTIVE, "", now=now)
    detail = f"paused until {until}" if until else "resumed"
    record(stored, Consent.Event.CHANGED, now=now, visit=visit, detail=detail)


@transaction.atomic
def unsubscribe(
    subscriber_id: int, *, now: datetime, visit: Visit, detail: str = "", why: str = "", comment: str = ""
) -> None:
    """End all mail to a subscriber, for the very next letter. Doing it again changes nothing.

    A reason that comes afterwards is recorded too, as often as MOST_REASONS in a day.
    """
    subscriber = Subscriber.objects.select_for_update().filter(pk=subscriber_id).first()
    if subscriber is None:
        return
    if subscriber.status in {Subscriber.Status.UNSUBSCRIBED, Subscriber.Status.SUPPRESSED}:
        left = Consent.objects.filter(subscriber=subscriber, event=Consent.Event.UNSUBSCRIBED)
        if left.exists() and not (why or comment):
            return
        if left.filter(at__gt=now - timedelta(days=1))[:MOST_REASONS].count() >= MOST_REASONS:
            return
    else:
        set_status(subscriber, Subscriber.Status.UNSUBSCRIBED, detail, now=now)
    record(subscriber, Consent.Event.UNSUBSCRIBED, now=now, visit=visit, detail=detail, why=why, comment=comment)


def unsubscribe_by_mail(raw: bytes, *, now: datetime) -> bool:
    """Unsubscribe whoever's link to leave is in the subject of a mail, whoever sent it. False where there is none."""
    for found in tokens.PATTERN.finditer(bounce.subject(raw)):
        try:
            subscriber_id = tokens.read(found[0], Scope.UNSUBSCRIBE, now=now)
        except TokenError:
            continue
        unsubscribe(subscriber_id, now=now, visit=Visit(), detail="mail")
        return True
    return False


@transaction.atomic
def suppress(subscriber_id: int, reason: str, *, now: datetime, cause: str = suppression.Cause.BY_HAND) -> None:
    """Mail this address no more: it bounced, or its owner complained."""
    subscriber = Subscriber.objects.select_for_update().filter(pk=subscriber_id).first()
    if subscriber is None:
        return
    suppression.add(subscriber.email, cause, detail=reason, now=now)
    if subscriber.status == Subscriber.Status.SUPPRESSED:
        return
    set_status(subscriber, Subscriber.Status.SUPPRESSED, reason, now=now)
    record(subscriber, Consent.Event.SUPPRESSED, now=now, visit=Visit(), detail=reason)


def forget_unconfirmed(*, now: datetime) -> int:
    """Delete addresses that asked and never confirmed; returns how many."""
    forgotten = Subscriber.objects.filter(status=Subscriber.Status.PENDING, status_changed_at__lt=now - FORGET_AFTER)
    count = forgotten.count()
    forgotten.delete()
    return count


def find(email: str) -> Subscriber | None:
    """The subscriber of an address, whatever its case."""
    return Subscriber.objects.alias(lower=Lower("email")).filter(lower=Lower(Value(email))).first()


def is_barred(subscriber: Subscriber) -> bool:
    """Whether not even its owner can bring the address back by asking: it does not exist, or somebody here said so."""
    found = suppression.find(subscriber.email)
    return found.cause not in suppression.MENDABLE if found else subscriber.status == Subscriber.Status.SUPPRESSED


def _subscriber(email: str, mailbox: str, wish: Wish, *, now: datetime) -> Subscriber:
    known = find(email)
    if known is None:
        try:
            with transaction.atomic():
                return Subscriber.objects.create(
                    email=email,
                    mailbox=mailbox,
                    status_changed_at=now,
                    created_at=now,
                    time_zone=wish.time_zone or settings.DIGEST_TIME_ZONE,
                    language=wish.language,
                )
        except IntegrityError:  # somebody else was quicker
            known = find(email)
            assert known is not None
    if known.status == Subscriber.Status.PENDING:
        set_status(known, Subscriber.Status.PENDING, "", now=now)
    return known


def _request(consent_id: int) -> Consent | None:
    requests = Consent.objects.filter(pk=consent_id, event=Consent.Event.REQUESTED)
    return requests.select_related("subscriber").first()


def _has_ended(request: Consent) -> bool:
    """Whether the address has left, or was suppressed, since it asked."""
    ends = [Consent.Event.UNSUBSCRIBED, Consent.Event.SUPPRESSED]
    return Consent.objects.filter(subscriber=request.subscriber_id, pk__gt=request.pk, event__in=ends).exists()
