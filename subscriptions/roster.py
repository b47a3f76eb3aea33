"""Lists of readers, moved in with the consent that they gave elsewhere, and out again.

What somebody decided here beats every list: who has left, or is suppressed, stays so.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import BinaryIO, NamedTuple

from django.conf import settings
from django.db import DatabaseError, DataError, IntegrityError, transaction

from subscriptions import consent, sheet, suppression, table
from subscriptions.models import Consent, Subscriber, Subscription
from subscriptions.records import Visit, row_of
from subscriptions.sheet import Entry, Wrong
from subscriptions.throttle import mailbox_of

#: Records that are stored together: so many, or of so many bytes.
BATCH, BATCH_BYTES = 1_000, 2_000_000
Status = Subscriber.Status
#: What a list says of those who want no letters.
_OVER = frozenset({Status.UNSUBSCRIBED, Status.SUPPRESSED})


class Outcome(StrEnum):
    ADDED = "added"
    KNOWN = "known already"
    LEFT = "has left"
    SUPPRESSED = "suppressed"
    REFUSED = "refused"


class Told(NamedTuple):
    """What became of a record, by its first line; `why` says more where there is more to say."""

    line: int
    address: str
    outcome: Outcome
    why: str = ""


def take_in(
    file: BinaryIO, *, said: str, now: datetime, store: bool = True, seen: Callable[[int], object] = lambda size: None
) -> Iterator[Told]:
    """Make every record a reader, who has agreed to letters as `said` says; tell of each what became of it.

    Records are stored a thousand at a time, so that an import that was cut off can be run again. `seen` hears how many
    bytes were read. Raises sheet.Unreadable, before anything is stored, for a file that is no list.
    """
    tried: set[int] = set()
    for some in _batches(sheet.read(file, seen)):
        entries = [one for one in some if isinstance(one, Entry)]
        told = _settle(entries, said=said, now=now) if store else _tried(entries, tried)
        for one in some:
            yield Told(one.line, one.address, Outcome.REFUSED, one.why) if isinstance(one, Wrong) else told[one.line]


def lines(readers: Iterable[Subscriber]) -> Iterator[str]:
    """The lines of a list that `take_in` reads again, the first one with the names of the columns.

    Subscriptions are best prefetched.
    """
    writer = table.writer()
    yield writer.writerow(sheet.COLUMNS)
    for reader in readers:
        yield writer.writerow(map(table.cell, sheet.row(reader)))


def _batches(records: Iterable[Entry | Wrong]) -> Iterator[list[Entry | Wrong]]:
    some: list[Entry | Wrong] = []
    size = 0
    for one in records:
        some.append(one)
        size += one.size if isinstance(one, Entry) else 0
        if len(some) == BATCH or size >= BATCH_BYTES:
            yield some
            some, size = [], 0
    yield some


def _tried(entries: list[Entry], tried: set[int]) -> dict[int, Told]:
    """What would become of them. `tried` remembers, by hash, who would have been added."""
    with transaction.atomic():
        told, _ = _judged(entries)
    for entry in entries:
        key = hash(entry.email.lower())
        if told[entry.line].outcome is Outcome.ADDED and key in tried:
            told[entry.line] = Told(entry.line, entry.email, Outcome.KNOWN)
        tried.add(key)
    return told


def _settle(entries: list[Entry], *, said: str, now: datetime) -> dict[int, Told]:
    """Store a batch; where the database refuses it, because somebody signs up meanwhile, one record after the other."""
    try:
        with transaction.atomic():
            return _stored(entries, said=said, now=now)
    except (IntegrityError, DataError):
        return {line: told for entry in entries for line, told in _alone(entry, said=said, now=now).items()}


def _alone(entry: Entry, *, said: str, now: datetime) -> dict[int, Told]:
    try:
        with transaction.atomic():
            return _stored([entry], said=said, now=now)
    except DatabaseError as error:
        return {entry.line: Told(entry.line, entry.email, Outcome.REFUSED, f"It cannot be stored: {error}")}


def _judged(entries: list[Entry]) -> tuple[dict[int, Told], dict[str, Subscriber]]:
    """What becomes of each record, by its line; and the readers there are already, by mailbox, locked."""
    suppressed = suppression.among(entry.email for entry in entries)
    mailboxes = {mailbox_of(entry.email) for entry in entries}
    known: dict[str, Subscriber] = {}
    for reader in Subscriber.objects.select_for_update().filter(mailbox__in=mailboxes).order_by("pk"):
        # Of several addresses of one mailbox, one that ended its letters decides, then one that gets them.
        known[reader.mailbox] = max(known.get(reader.mailbox, reader), reader, key=_weight)
    told: dict[int, Told] = {}
    taken: set[str] = set()
    leaving = {mailbox_of(entry.email) for entry in entries if entry.status in _OVER}
    for entry in entries:
        mailbox = mailbox_of(entry.email)
        outcome, why = _outcome(entry, known.get(mailbox), is_suppressed=entry.email in suppressed)
        if outcome is Outcome.ADDED and (mailbox in leaving or mailbox in taken):
            outcome = Outcome.LEFT if mailbox in leaving else Outcome.KNOWN
        taken.add(mailbox)
        told[entry.line] = Told(entry.line, entry.email, outcome, why)
    return told, known


def _weight(reader: Subscriber) -> int:
    return 2 if reader.status in _OVER else int(reader.status in consent.READABLE)


def _outcome(entry: Entry, reader: Subscriber | None, *, is_suppressed: bool) -> tuple[Outcome, str]:
    if is_suppressed or (reader and reader.status == Status.SUPPRESSED):
        return Outcome.SUPPRESSED, ""
    if reader and reader.status == Status.UNSUBSCRIBED:
        return Outcome.LEFT, ""
    if entry.status == Status.PENDING:
        return Outcome.REFUSED, "The list says that it has not been confirmed: let them sign up."
    if entry.status in _OVER:
        if reader and reader.status in consent.READABLE:
            return Outcome.KNOWN, f"The list says {entry.status}; here it gets letters, and goes on getting them."
        return Outcome(Outcome.LEFT if entry.status == Status.UNSUBSCRIBED else Outcome.SUPPRESSED), ""
    return (Outcome.KNOWN, "") if reader and reader.status in consent.READABLE else (Outcome.ADDED, "")


def _stored(entries: list[Entry], *, said: str, now: datetime) -> dict[int, Told]:
    told, known = _judged(entries)
    wanted = {
        mailbox_of(entry.email): entry
        for entry in reversed(entries)
        if told[entry.line].outcome is Outcome.ADDED or _is_gone(entry, told[entry.line], known)
    }
    pairs = [(entry, _reader(entry, known.get(mailbox), now=now)) for mailbox, entry in wanted.items()]
    waiting = [reader for _, reader in pairs if reader.pk]
    Subscriber.objects.bulk_create([reader for _, reader in pairs if reader.pk is None])
    for reader in waiting:
        reader.save()
        reader.subscriptions.all().delete()
    Subscription.objects.bulk_create(
        Subscription(subscriber=reader, label=topic.name, query=topic.query, position=position, created_at=now,
                     is_muted=topic.muted, max_papers=topic.most or None)
        for entry, reader in pairs
        for position, topic in enumerate(entry.topics)
    )  # fmt: skip
    Consent.objects.bulk_create(_agreed(entry, reader, said=said, now=now) for entry, reader in pairs)
    for entry in wanted.values():
        if entry.status == Status.SUPPRESSED:
            suppression.add(entry.email, suppression.Cause.BY_HAND, detail="imported", now=now)
    return told


def _is_gone(entry: Entry, told: Told, known: Mapping[str, Subscriber]) -> bool:
    """Whether only the list knows that somebody wants no letters: that is worth knowing here too."""
    is_over = told.outcome in {Outcome.LEFT, Outcome.SUPPRESSED} and entry.status in _OVER
    return is_over and mailbox_of(entry.email) not in known


def _reader(entry: Entry, waiting: Subscriber | None, *, now: datetime) -> Subscriber:
    """The reader as the list has it; one who had not confirmed yet agrees by it."""
    reader = waiting or Subscriber(created_at=now, time_zone=settings.DIGEST_TIME_ZONE)
    for name, value in entry.values.items():
        setattr(reader, name, value)
    reader.email, reader.mailbox = entry.email, mailbox_of(entry.email)
    reader.status, reader.status_reason, reader.status_changed_at = entry.status, "imported", now
    if entry.status in consent.READABLE:
        reader.confirmed_at = now
    if entry.status != Status.PAUSED:
        reader.paused_until = None
    elif reader.paused_until is None:
        reader.status = Status.ACTIVE
    return reader


def _agreed(entry: Entry, reader: Subscriber, *, said: str, now: datetime) -> Consent:
    topics = [[topic.name, topic.query] for topic in entry.topics]
    event = Consent.Event.CONFIRMED if entry.status in consent.READABLE else Consent.Event.UNSUBSCRIBED
    return row_of(reader, event, now=now, visit=Visit(), detail=f"imported: {said}", topics=topics,
                  cadence=reader.cadence, text_version="")  # fmt: skip
