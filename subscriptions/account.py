"""What a reader may do with everything that is known of them: take it along, move it, erase it."""

from datetime import datetime, timedelta
from typing import Any

from django.core import serializers
from django.db import transaction
from django.db.models import Model

from subscriptions import consent, suppression, throttle
from subscriptions.consent import READABLE, Expired
from subscriptions.models import Consent, Move, Notice, Subscriber
from subscriptions.records import Visit, owe, record, wording

MOVE_WITHIN = timedelta(hours=72)


def export(subscriber: Subscriber) -> dict[str, Any]:
    """Every row about a subscriber, as values for JSON: its own, and those of all tables that point to it."""
    versions = subscriber.consents.order_by().values_list("text_version", flat=True).distinct()
    wordings = {version: wording(version) for version in versions}
    rows: dict[str, Any] = {"subscriber": _values(subscriber), "suppression": None, "wordings": wordings}
    if found := suppression.find(subscriber.email):
        rows["suppression"] = _values(found)
    for relation in subscriber._meta.related_objects:
        name = str(relation.get_accessor_name())
        related = relation.related_model._default_manager.filter(**{relation.field.name: subscriber})
        rows[name] = [_values(row) for row in related.order_by("pk")]
    return rows


def _values(row: Model) -> dict[str, Any]:
    (found,) = serializers.serialize("python", [row])
    return {"id": found["pk"], **found["fields"]}


@transaction.atomic
def erase(subscriber_id: int) -> None:
    """Delete a subscriber and every row about it. Where its address is suppressed, the hash stays: it says "never"."""
    for subscriber in Subscriber.objects.filter(pk=subscriber_id):
        suppression.forget_words(subscriber.email)
        subscriber.delete()


@transaction.atomic
def ask_to_move(subscriber: Subscriber, email: str, *, now: datetime, visit: Visit) -> Move | None:
    """Owe a letter to the old mailbox and one to the new; the address changes when both have agreed.

    None where a cap holds. Who asks is told the same whatever the new address is to us.
    """
    mailbox = throttle.mailbox_of(email)
    if subscriber.status not in READABLE or not throttle.may_mail(subscriber.mailbox, Notice.Kind.MOVE_FROM, now=now):
        return None
    move = Move.objects.create(subscriber=subscriber, email=email, asked_at=now)
    record(subscriber, Consent.Event.REQUESTED, now=now, visit=visit, detail="another address")
    owe(subscriber, Notice.Kind.MOVE_FROM, move=move, now=now)
    other = consent.find(email)
    if other is not None and other.pk != subscriber.pk and other.status in READABLE:
        if throttle.may_mail(mailbox, Notice.Kind.KNOWN, now=now):
            owe(other, Notice.Kind.KNOWN, now=now)
    elif _may_become(email, other) and throttle.may_mail(mailbox, Notice.Kind.MOVE_TO, now=now):
        owe(subscriber, Notice.Kind.MOVE_TO, move=move, mailbox=mailbox, now=now)
    return move


def move_of(move_id: int, *, now: datetime) -> Move:
    """A move that may still be agreed to, or is done. Raises Expired for any other."""
    move = Move.objects.select_related("subscriber").filter(pk=move_id).first()
    if move is None or now - move.asked_at > MOVE_WITHIN or move.subscriber.status not in READABLE:
        raise Expired
    if Move.objects.filter(subscriber=move.subscriber_id, pk__gt=move.pk).exists():
        raise Expired  # another address was asked for since
    return move


@transaction.atomic
def agree(move_id: int, *, is_old: bool, now: datetime, visit: Visit) -> Move:
    """One mailbox agrees to a move, and it is done if the other has agreed before. Doing it again changes nothing.

    Raises Expired.
    """
    Move.objects.select_for_update().filter(pk=move_id).first()
    move = move_of(move_id, now=now)
    side = "old_agreed_at" if is_old else "new_agreed_at"
    if move.done_at or getattr(move, side):
        return move
    setattr(move, side, now)
    if move.old_agreed_at and move.new_agreed_at:
        _do(move, now=now, visit=visit)
    move.save()
    return move


def _do(move: Move, *, now: datetime, visit: Visit) -> None:
    subscriber = Subscriber.objects.select_for_update().get(pk=move.subscriber_id)
    other = consent.find(move.email)
    if not _may_become(move.email, other, besides=subscriber.pk):
        raise Expired
    if other is not None and other.pk != subscriber.pk:
        Consent.objects.filter(subscriber=other).update(subscriber=subscriber)  # the record of that mailbox goes on
        other.delete()
    suppression.lift(move.email)  # its owner wants our mail, and has just got some
    before, subscriber.email, subscriber.mailbox = subscriber.email, move.email, throttle.mailbox_of(move.email)
    subscriber.save(update_fields=["email", "mailbox"])
    move.subscriber, move.done_at = subscriber, now
    record(subscriber, Consent.Event.MOVED, now=now, visit=visit, detail=f"from {before}")


def _may_become(email: str, other: Subscriber | None, besides: int | None = None) -> bool:
    """Whether an address is free for somebody who moves: nobody reads there, and nobody said never."""
    barred = suppression.find(email)
    if barred is not None and barred.cause not in suppression.MENDABLE:
        return False
    if other is None or other.pk == besides:
        return True
    return other.status in {Subscriber.Status.PENDING, Subscriber.Status.UNSUBSCRIBED}
