"""What is heard of letters after they left: written down at once, acted upon soon, each only once.

Mail services report by webhook, plain SMTP by its answers and by mail that comes back. Whoever reports names the
delivery by its signed name; anything else is not about a letter of ours.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Count, F, Q, QuerySet

from digest import alarms
from digest.deliveries.ledger import Status
from digest.models import Delivery, DeliveryEvent
from digest.names import delivery_of
from digest.taken import Taken
from subscriptions import consent, standing
from subscriptions.mail import Outcome, Verdict
from subscriptions.models import Suppression

logger = logging.getLogger(__name__)

Kind = DeliveryEvent.Kind
Heard = DeliveryEvent.Verdict
CHUNK = 500
#: Letters of one reader that a judgement looks back on.
HISTORY = 14
#: Refusals while sending come from the reader's own server, so more of them are believed: one letter in so many.
REFUSED_ONE_IN, REFUSED_LEAST = 5, 50
#: The service of what a server answered while we were sending.
SMTP = "smtp"
ALARM = "flood of bounces"
_TO_DO = (Heard.WAITING, Heard.APPROVED)
_BAD = (Kind.HARD, Kind.SOFT, Kind.COMPLAINT)
_OF_STANDING = {
    Kind.HARD: standing.Kind.HARD,
    Kind.SOFT: standing.Kind.SOFT,
    Kind.COMPLAINT: standing.Kind.COMPLAINT,
    Kind.DELIVERED: standing.Kind.DELIVERED,
    Kind.AUTO_REPLY: standing.Kind.AUTO_REPLY,
    Kind.POLICY: standing.Kind.POLICY,
}


def hear(
    *, service: str, kind: str, name: str, event_id: str, email: str = "", detail: str = "", at: datetime
) -> bool:  # fmt: skip
    """Write an event down, and do no more, as services give up after seconds. False for one that is not about a letter
    of ours; hearing the same event again changes nothing."""
    delivery = delivery_of(name)
    if delivery is None:
        return False
    row = DeliveryEvent(delivery_id=delivery, kind=kind, at=at, service=service, event_id=event_id[:200],
                        email=email[:254], detail=detail[:500])  # fmt: skip
    try:
        with transaction.atomic():
            DeliveryEvent.objects.bulk_create([row], ignore_conflicts=True)
    except IntegrityError:  # the delivery has been deleted since
        return False
    return True


def hear_answers(verdicts: Iterable[tuple[Taken, Verdict]], *, attempts: int, now: datetime) -> None:
    """Write down what servers answered for good while we were sending: `attempts` tries are all there are."""
    rows = []
    for row, verdict in verdicts:
        if verdict.outcome is Outcome.FAILED and verdict.status.startswith("5.1."):
            kind = Kind.HARD
        elif verdict.outcome is Outcome.DEFERRED and row.attempts > attempts and not verdict.is_refusal_of_us:
            kind = Kind.SOFT
        else:
            continue
        event = f"{row.delivery} {row.attempts}"
        rows.append(DeliveryEvent(delivery_id=row.delivery, kind=kind, at=now, service=SMTP, event_id=event,
                                  email=row.email, detail=verdict.reason[:500]))  # fmt: skip
    DeliveryEvent.objects.bulk_create(rows, batch_size=CHUNK, ignore_conflicts=True)


def apply(*, now: datetime) -> Counter[str]:
    """Act on what was heard since: settle uncertain letters, suppress, unsubscribe. Holds a flood back for a person."""
    counts: Counter[str] = Counter()
    _hold_back_floods(now=now)
    while rows := list(_waiting()[:CHUNK]):
        for event in rows:
            with transaction.atomic():
                locked = DeliveryEvent.objects.select_for_update().filter(pk=event.pk, verdict__in=_TO_DO)
                if locked.exists():
                    verdict = _act(event, now=now)
                    locked.update(verdict=verdict)
                    counts[verdict] += 1
    return counts


def release_quarantine(*, accept: bool) -> int:
    """A person has looked: act on the events that were held back, or leave them."""
    rows = DeliveryEvent.objects.filter(verdict=Heard.QUARANTINED)
    alarms.clear_alarm(ALARM, by="a person")
    return rows.update(verdict=Heard.APPROVED if accept else Heard.IGNORED)


def _waiting() -> QuerySet[DeliveryEvent]:
    rows = DeliveryEvent.objects.filter(verdict__in=_TO_DO).select_related("delivery")
    return rows.order_by("pk")


def _hold_back_floods(*, now: datetime) -> None:
    """Too many bad reports at once say more about the reporter than about the readers."""
    recent = DeliveryEvent.objects.filter(kind__in=_BAD, at__gt=now - timedelta(days=1), verdict=Heard.WAITING)
    for service, number in recent.values_list("service").annotate(Count("pk")).order_by("service"):
        mine = recent.filter(service=service)
        editions = mine.values("delivery__edition").distinct()
        sent = Delivery.objects.filter(edition__in=editions, status__in=[Status.SENT, Status.FAILED]).count()
        if service == SMTP:
            is_flood = number >= REFUSED_LEAST and number * REFUSED_ONE_IN > sent
        else:
            is_flood = standing.flooded(list(mine.values_list("at", flat=True)), sent=sent, now=now)
        if is_flood:
            mine.update(verdict=Heard.QUARANTINED)
            text = f"{service} reported {number:,} bounces and complaints on {sent:,} letters; they wait for a person."
            alarms.raise_alarm(ALARM, text, now=now)


def _act(event: DeliveryEvent, *, now: datetime) -> str:
    delivery = event.delivery
    if event.email and event.email.casefold() != delivery.email.casefold():
        logger.warning("%s reports on %s, whom letter %s was not sent to", event.service, event.kind, delivery.pk)
        return Heard.IGNORED
    _settle(delivery, event, now=now)
    if delivery.subscriber_id is None:
        return Heard.APPLIED
    if event.kind == Kind.UNSUBSCRIBED:
        consent.unsubscribe(delivery.subscriber_id, now=now, visit=consent.Visit(), detail=f"told by {event.service}")
    elif event.kind in _BAD:
        _judge(delivery.subscriber_id, event, now=now)
    return Heard.APPLIED


def _settle(delivery: Delivery, event: DeliveryEvent, *, now: datetime) -> None:
    """A report is what an uncertain letter waits for; the others keep their status."""
    status = {
        Kind.DELIVERED: Status.SENT, Kind.COMPLAINT: Status.SENT, Kind.AUTO_REPLY: Status.SENT,
        Kind.UNSUBSCRIBED: Status.SENT, Kind.HARD: Status.FAILED, Kind.SOFT: Status.FAILED, Kind.POLICY: Status.FAILED,
    }.get(Kind(event.kind))  # fmt: skip
    if status is not None:
        reason = "" if status == Status.SENT else f"{event.get_kind_display()}, told by {event.service}"
        uncertain = Delivery.objects.filter(pk=delivery.pk, status=Status.UNCERTAIN)
        uncertain.update(status=status, reason=reason, settled_at=now)


def _judge(subscriber: int, event: DeliveryEvent, *, now: datetime) -> None:
    judgement = standing.judge(_history(subscriber, event))
    if judgement.state is standing.State.FINE:
        return
    cause = {
        Kind.HARD: Suppression.Cause.BOUNCED, Kind.COMPLAINT: Suppression.Cause.COMPLAINED,
    }.get(Kind(event.kind), Suppression.Cause.SUSPENDED)  # fmt: skip
    consent.suppress(subscriber, f"{judgement.reason}: {event.detail}"[:200], now=now, cause=cause)


def _history(subscriber: int, event: DeliveryEvent) -> Sequence[standing.Event]:
    """The last letters of a reader and what was heard of each, since the last fresh consent, in order of time."""
    rows = Delivery.objects.filter(subscriber=subscriber).filter(
        Q(subscriber__confirmed_at=None) | Q(created_at__gte=F("subscriber__confirmed_at"))
    )
    letters = list(rows.order_by("-day", "-pk").values_list("pk", "day", "status")[:HISTORY])
    heard: dict[int, list[standing.Kind]] = {}
    events = DeliveryEvent.objects.filter(delivery__in=[pk for pk, _, _ in letters]).order_by("at", "pk")
    events = events.filter(Q(verdict=Heard.APPLIED) | Q(pk=event.pk))
    for delivery, kind in events.values_list("delivery_id", "kind"):
        if of_standing := _OF_STANDING.get(Kind(kind)):
            heard.setdefault(delivery, []).append(of_standing)
    history: list[standing.Event] = []
    for pk, day, status in reversed(letters):
        if status in {Status.SENT, Status.UNCERTAIN}:
            history.append(standing.Event(day, standing.Kind.SENT))
        history += [standing.Event(day, kind) for kind in heard.get(pk, [])]
    return history
