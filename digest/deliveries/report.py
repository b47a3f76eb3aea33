"""What is heard of letters after they left: written down at once, acted upon soon, each only once.

Mail services report by webhook, plain SMTP by its answers and by mail that comes back. Whoever reports names the
delivery by its signed name; anything else is not about a letter of ours.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Count, F, Q, Window
from django.db.models.functions import RowNumber

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
#: From bad to not so bad.
_BAD = (Kind.HARD, Kind.COMPLAINT, Kind.SOFT)
_CAUSES = {
    Kind.HARD: Suppression.Cause.BOUNCED,
    Kind.COMPLAINT: Suppression.Cause.COMPLAINED,
    Kind.SOFT: Suppression.Cause.SUSPENDED,
}
#: What an event makes of a letter that is uncertain.
_STATUS = {
    Kind.DELIVERED: Status.SENT,
    Kind.COMPLAINT: Status.SENT,
    Kind.AUTO_REPLY: Status.SENT,
    Kind.UNSUBSCRIBED: Status.SENT,
    Kind.HARD: Status.FAILED,
    Kind.SOFT: Status.FAILED,
    Kind.POLICY: Status.FAILED,
}
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
    while some := _apply_some(now=now):
        counts += some
    return counts


@transaction.atomic
def _apply_some(*, now: datetime) -> Counter[str]:
    """Act on the next CHUNK of events, together: each query is for all of them, but for the readers it touches."""
    waiting = DeliveryEvent.objects.filter(verdict__in=_TO_DO).select_related("delivery").defer("delivery__sections")
    rows = waiting.select_for_update(of=("self",)).order_by("pk")[:CHUNK]
    ours, others = list[DeliveryEvent](), list[DeliveryEvent]()
    for event in rows:
        (ours if _is_ours(event) else others).append(event)
    for verdict, events in ((Heard.APPLIED, ours), (Heard.IGNORED, others)):
        DeliveryEvent.objects.filter(pk__among=[event.pk for event in events]).update(verdict=verdict)
    _settle(ours, now=now)
    _unsubscribe((event for event in ours if event.kind == Kind.UNSUBSCRIBED), now=now)
    _judge((event for event in ours if event.kind in _BAD), now=now)
    return +Counter({str(Heard.APPLIED): len(ours), str(Heard.IGNORED): len(others)})


def release_quarantine(*, accept: bool) -> int:
    """A person has looked: act on the events that were held back, or leave them."""
    rows = DeliveryEvent.objects.filter(verdict=Heard.QUARANTINED)
    alarms.clear_alarm(ALARM, by="a person")
    return rows.update(verdict=Heard.APPROVED if accept else Heard.IGNORED)


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


def _is_ours(event: DeliveryEvent) -> bool:
    """Whether it is about the address that its letter was sent to."""
    if not event.email or event.email.casefold() == event.delivery.email.casefold():
        return True
    logger.warning("%s reports on %s, whom letter %s was not sent to", event.service, event.kind, event.delivery_id)
    return False


def _settle(events: Iterable[DeliveryEvent], *, now: datetime) -> None:
    """A report is what an uncertain letter waits for, and the first one settles it; the others keep their status."""
    told: dict[int, tuple[Status, str]] = {}
    for event in events:
        if (status := _STATUS.get(Kind(event.kind))) is not None:
            reason = "" if status == Status.SENT else f"{event.get_kind_display()}, told by {event.service}"
            told.setdefault(event.delivery_id, (status, reason))
    for what in sorted(set(told.values())):
        letters = [delivery for delivery, said in told.items() if said == what]
        status, reason = what
        uncertain = Delivery.objects.filter(pk__among=letters, status=Status.UNCERTAIN)
        uncertain.update(status=status, reason=reason, settled_at=now)


def _unsubscribe(events: Iterable[DeliveryEvent], *, now: datetime) -> None:
    for event in events:
        if (reader := event.delivery.subscriber_id) is not None:
            consent.unsubscribe(reader, now=now, visit=consent.Visit(), detail=f"told by {event.service}")


def _judge(events: Iterable[DeliveryEvent], *, now: datetime) -> None:
    """Suppress the readers who may not be mailed any more, each for the worst that was heard now."""
    worst: dict[int, DeliveryEvent] = {}
    for event in sorted(events, key=lambda event: _BAD.index(Kind(event.kind))):
        if (reader := event.delivery.subscriber_id) is not None:
            worst.setdefault(reader, event)
    histories = _histories(worst)
    for reader, event in sorted(worst.items()):
        judgement = standing.judge(histories[reader])
        if judgement.state is not standing.State.FINE:
            reason = f"{judgement.reason}: {event.detail}"[:200]
            consent.suppress(reader, reason, now=now, cause=_CAUSES[Kind(event.kind)])


def _histories(readers: Iterable[int]) -> Mapping[int, list[standing.Event]]:
    """The last letters of each reader and what was heard of each, since the last fresh consent, in order of time."""
    rows = Delivery.objects.filter(subscriber__among=readers).filter(
        Q(subscriber__confirmed_at=None) | Q(created_at__gte=F("subscriber__confirmed_at"))
    )
    place = Window(RowNumber(), partition_by="subscriber", order_by=[F("day").desc(), F("pk").desc()])
    last = rows.annotate(place=place).filter(place__lte=HISTORY).order_by("subscriber", "day", "pk")
    letters = list(last.values_list("pk", "subscriber", "day", "status"))
    heard: dict[int, list[standing.Kind]] = {}
    events = DeliveryEvent.objects.filter(delivery__among=[pk for pk, *_ in letters], verdict=Heard.APPLIED)
    for delivery, kind in events.order_by("at", "pk").values_list("delivery", "kind"):
        if of_standing := _OF_STANDING.get(Kind(kind)):
            heard.setdefault(delivery, []).append(of_standing)
    histories: dict[int, list[standing.Event]] = {reader: [] for reader in readers}
    for pk, reader, day, status in letters:
        if status in {Status.SENT, Status.UNCERTAIN}:
            histories[reader].append(standing.Event(day, standing.Kind.SENT))
        histories[reader] += [standing.Event(day, kind) for kind in heard.get(pk, [])]
    return histories
