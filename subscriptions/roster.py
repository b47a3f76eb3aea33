"""Lists of readers as CSV: moved in with the consent that they gave elsewhere, and out again.

A list is read line by line, so that its length costs no memory and a line that is broken costs nothing but itself. What
somebody decided here beats every list: who has left, or is suppressed, stays so.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from subscriptions import consent, mail, suppression, table, topics
from subscriptions.forms import LONGEST_NAME, ZONES, TopicsField, readable
from subscriptions.models import MOST_TOPICS, Consent, Subscriber, Subscription
from subscriptions.records import Visit, row_of, set_status
from subscriptions.throttle import mailbox_of
from subscriptions.topics import Topic

COLUMNS = ("address", "topics", "cadence", "hour", "time_zone", "language", "status", "confirmed_at")
#: What other programs call the address.
ADDRESSES = ("address", "email", "e-mail", "email address", "e-mail address", "email_address", "mail")
#: Bytes of a line; lines that are stored together.
LONGEST, BATCH = 20_000, 1_000
#: How packed files, spreadsheets and text in two-byte signs begin.
PACKED = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd", b"\xd0\xcf\x11\xe0", b"%PDF")
WIDE = (b"\xff\xfe", b"\xfe\xff")
_ZONES = frozenset(ZONES)
_READS = frozenset({"", Subscriber.Status.ACTIVE, Subscriber.Status.PAUSED})


class Unreadable(ValueError):
    """A file that is no list of readers; the text says what to do."""


class Outcome(StrEnum):
    ADDED = "added"
    KNOWN = "known already"
    LEFT = "has left"
    SUPPRESSED = "suppressed"
    REFUSED = "refused"


class Told(NamedTuple):
    """What became of a line, counted from 1; `why` says what is wrong with one that was refused."""

    line: int
    address: str
    outcome: Outcome
    why: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    line: int
    email: str
    topics: tuple[Topic, ...]
    #: Columns of Subscriber.
    values: Mapping[str, Any]


# In -----------------------------------------------------------------------------------------------------------------


def take_in(
    file: BinaryIO, *, said: str, now: datetime, store: bool = True, seen: Callable[[int], object] = lambda size: None
) -> Iterator[Told]:
    """Make every line a reader, who has agreed to letters as `said` says; tell of each line what became of it.

    Lines are stored a thousand at a time, so that an import that was cut off can be run again. `seen` hears how many
    bytes were read. Raises Unreadable, before anything is stored, for a file that is no list.
    """
    lines = _lines(file, seen)
    while some := list(islice(lines, BATCH)):
        entries = [one for one in some if isinstance(one, Entry)]
        with transaction.atomic():
            outcomes = _outcomes(entries)
            if store:
                _store([one for one in entries if outcomes[one.line] is Outcome.ADDED], said=said, now=now)
        for one in some:
            yield Told(one.line, one.email, outcomes[one.line]) if isinstance(one, Entry) else one


def _outcomes(entries: list[Entry]) -> dict[int, Outcome]:
    """By line."""
    suppressed = suppression.among(entry.email for entry in entries)
    known = {one.email.lower(): one for one in consent.find_all([entry.email for entry in entries])}
    found: dict[int, Outcome] = {}
    for entry in entries:
        reader = known.get(entry.email.lower())
        if entry.values["status"] not in _READS:
            found[entry.line] = Outcome.LEFT
        elif entry.email.casefold() in suppressed:
            found[entry.line] = Outcome.SUPPRESSED
        elif reader is None:
            found[entry.line] = Outcome.ADDED
            known[entry.email.lower()] = Subscriber(email=entry.email, status=Subscriber.Status.ACTIVE)
        elif reader.status == Subscriber.Status.PENDING:
            found[entry.line] = Outcome.ADDED
            reader.status = Subscriber.Status.ACTIVE
        else:
            found[entry.line] = Outcome.KNOWN if reader.status in consent.READABLE else Outcome.LEFT
    return found


def _store(entries: list[Entry], *, said: str, now: datetime) -> None:
    waiting = {one.email.lower(): one for one in consent.find_all([entry.email for entry in entries])}
    readers = [waiting.get(entry.email.lower()) or _subscriber(entry, now=now) for entry in entries]
    Subscriber.objects.bulk_create([reader for reader in readers if reader.pk is None])
    rows = []
    for reader, entry in zip(readers, entries, strict=True):
        if reader.status == Subscriber.Status.PENDING:
            reader.confirmed_at = now
            set_status(reader, Subscriber.Status.ACTIVE, "", now=now)
            topics.add(reader, entry.topics, now=now)
            continue
        rows += [
            Subscription(subscriber=reader, label=topic.name, query=topic.query, position=position, created_at=now)
            for position, topic in enumerate(entry.topics)
        ]
    Subscription.objects.bulk_create(rows)
    Consent.objects.bulk_create(
        row_of(
            reader,
            Consent.Event.CONFIRMED,
            now=now,
            visit=Visit(),
            detail=f"imported: {said}",
            topics=[[topic.name, topic.query] for topic in entry.topics],
            cadence=reader.cadence,
            text_version="",
        )
        for reader, entry in zip(readers, entries, strict=True)
    )


def _subscriber(entry: Entry, *, now: datetime) -> Subscriber:
    values = {name: value for name, value in entry.values.items() if name != "status"}
    return Subscriber(
        email=entry.email,
        mailbox=mailbox_of(entry.email),
        status=Subscriber.Status.ACTIVE,
        status_changed_at=now,
        created_at=now,
        confirmed_at=now,
        **values,
    )


# Lines --------------------------------------------------------------------------------------------------------------


def _lines(file: BinaryIO, seen: Callable[[int], object]) -> Iterator[Entry | Told]:
    head = file.readline(LONGEST)
    if head.startswith(WIDE):
        raise Unreadable("Save the list as CSV in UTF-8: this file has two bytes for each sign.")
    if head.startswith(PACKED) or b"\0" in head:
        raise Unreadable("This is no CSV. Unpack the file, or export the list as CSV.")
    seen(len(head))
    names, delimiter = _columns(_text(head.removeprefix(b"\xef\xbb\xbf")))
    for number, raw in enumerate(_raw(file, seen), start=2):
        if raw.strip():
            yield _entry(number, raw, names, delimiter)


def _columns(head: str) -> tuple[list[str], str]:
    delimiter = max(",;\t", key=head.count)
    try:
        names = [name.strip().lower() for name in _fields(head, delimiter)]
    except csv.Error:
        names = []
    names = ["address" if name in ADDRESSES else name for name in names]
    if names.count("address") != 1:
        raise Unreadable("The first line must name the columns, and one of them must be address, as in: address,topics")
    return names, delimiter


def _raw(file: BinaryIO, seen: Callable[[int], object]) -> Iterator[bytes]:
    """Lines, each up to LONGEST bytes: of a longer one that many, and the rest is passed over."""
    while line := file.readline(LONGEST):
        size, rest = len(line), line
        while len(rest) == LONGEST and not rest.endswith(b"\n"):
            rest = file.readline(LONGEST)
            size += len(rest)
        seen(size)
        yield line if size <= LONGEST else b"x" * (LONGEST + 1)


def _text(raw: bytes) -> str:
    """UTF-8, or the old encoding of Windows, in which every line can be read."""
    try:
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace").rstrip("\r\n")


def _fields(text: str, delimiter: str) -> list[str]:
    return next(csv.reader([text], delimiter=delimiter, strict=True), [])


def _entry(number: int, raw: bytes, names: list[str], delimiter: str) -> Entry | Told:
    address = ""
    try:
        if len(raw) > LONGEST:
            raise ValueError(f"The line has more than {LONGEST:,} bytes.")
        fields = _fields(_text(raw), delimiter)
        if len(fields) > len(names):
            raise ValueError(f"There are {len(fields)} values for {len(names)} columns.")
        cells = {name: _cell(field) for name, field in zip(names, fields, strict=False)}
        address = cells["address"][:254]
        email = mail.one_address(cells["address"])
        return Entry(number, email, _topics(cells.get("topics", "")), _values(cells))
    except csv.Error:
        return Told(number, address, Outcome.REFUSED, "Its quotation marks are not closed, or stand inside a value.")
    except (ValidationError, ValueError, mail.Unwritable) as error:
        said = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
        return Told(number, address, Outcome.REFUSED, said)


def _cell(text: str) -> str:
    """A value without the apostrophe that keeps spreadsheets from taking it for a formula."""
    text = text.strip().replace("\0", "")
    return text[1:] if text[:1] == "'" and text[1:2] in table.FORMULA else text


def _topics(text: str) -> tuple[Topic, ...]:
    """[[name, query], …] as `lines` writes them, else as people write them at sign-up."""
    if not text.startswith(("[[", "[]")):
        return tuple(TopicsField(required=False, max_length=LONGEST).clean(text))
    try:
        rows = [(str(name).strip()[:LONGEST_NAME], str(query)) for name, query in json.loads(text)]
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError("topics are written like robots, world models; or as [[name, query], …].") from error
    found = [Topic(name, readable(query)) for name, query in rows]
    if len(found) > MOST_TOPICS or not all(topic.name for topic in found):
        raise ValueError(f"There are up to {MOST_TOPICS} topics, each with a name.")
    return tuple({topic.name.lower(): topic for topic in found}.values())


def _values(cells: Mapping[str, str]) -> dict[str, Any]:
    """Columns of Subscriber. Raises ValueError for a value that is none."""
    cadence = cells.get("cadence") or Subscriber.Cadence.DAILY
    if cadence not in Subscriber.Cadence.values:
        raise ValueError(f"cadence is one of {', '.join(Subscriber.Cadence.values)}, not {cadence[:40]!r}.")
    zone = cells.get("time_zone") or settings.DIGEST_TIME_ZONE
    if zone not in _ZONES:
        raise ValueError(f"time_zone is a name like Europe/Paris, not {zone[:40]!r}.")
    hour = cells.get("hour") or "7"
    if hour not in _HOURS:
        raise ValueError(f"hour is a number from 0 to 23, not {hour[:40]!r}.")
    language = cells.get("language") or settings.LANGUAGE_CODE
    if language not in dict(settings.LANGUAGES):
        raise ValueError(f"language is one of {', '.join(dict(settings.LANGUAGES))}, not {language[:40]!r}.")
    return {"cadence": cadence, "time_zone": zone, "send_hour": int(hour), "language": language,
            "status": cells.get("status", "").lower()}  # fmt: skip


_HOURS = frozenset(str(hour) for hour in range(24)) | {f"{hour:02}" for hour in range(10)}


# Out ----------------------------------------------------------------------------------------------------------------


def lines(readers: Iterable[Subscriber]) -> Iterator[str]:
    """The lines of a list that `take_in` reads again, the first one with the names of the columns.

    Subscriptions are best prefetched.
    """
    writer = table.writer()
    yield writer.writerow(COLUMNS)
    for reader in readers:
        rows = sorted(reader.subscriptions.all(), key=lambda row: (row.position, row.pk))
        said = [[row.label, row.query] for row in rows]
        yield writer.writerow(
            table.cell(value)
            for value in (reader.email, said, reader.cadence, reader.send_hour, reader.time_zone, reader.language,
                          reader.status, reader.confirmed_at)
        )  # fmt: skip
