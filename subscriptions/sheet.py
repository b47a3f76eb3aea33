"""A list of readers as CSV (RFC 4180): its records, each of them an Entry or what is wrong with it.

A list is read record by record, so that its length costs no memory, and one that is broken costs nothing but itself.
"""

import csv
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from django.conf import settings
from django.core.exceptions import ValidationError

from subscriptions import mail, mime, table
from subscriptions.forms import LONGEST_NAME, ZONES, TopicsField, readable
from subscriptions.models import EVERY_DAY, MOST_TOPICS, Subscriber
from subscriptions.topics import Topic

#: What other programs call the address.
ADDRESSES = ("address", "email", "e-mail", "email address", "e-mail address", "email_address", "mail")
STATUSES = ("active", "paused", "unsubscribed", "suppressed", "pending")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: Numbers of a record, by column: the least and the most.
NUMBERS = {"hour": (0, 23), "max_papers": (1, 100), "min_votes": (0, 1_000_000)}
SWITCHES = ("wants_trending", "wants_cross_lists", "wants_replacements", "wants_empty")
#: Bytes of a record, and lines of it.
LONGEST, MOST_LINES = 250_000, 120
#: How packed files, spreadsheets and text in two-byte signs begin.
PACKED = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd", b"\xd0\xcf\x11\xe0", b"%PDF")
WIDE = (b"\xff\xfe", b"\xfe\xff")
_ZONES = frozenset(ZONES)


class Unreadable(ValueError):
    """A file that is no list of readers; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """`values` are columns of Subscriber that the list names; `status` is one of STATUSES."""

    line: int
    email: str
    status: str = "active"
    topics: tuple[Topic, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    size: int = 0


class Wrong(NamedTuple):
    """A record that is none: its first line, counted from 1, what stands for its address, and why."""

    line: int
    address: str
    why: str


def read(file: BinaryIO, seen: Callable[[int], object] = lambda size: None) -> Iterator[Entry | Wrong]:
    """Raises Unreadable for a file that is no list. `seen` hears how many bytes were read."""
    head = file.readline(LONGEST)
    if head.startswith(WIDE):
        raise Unreadable("Save the list as CSV in UTF-8: this file has two bytes for each sign.")
    if head.startswith(PACKED) or b"\0" in head:
        raise Unreadable("This is no CSV. Unpack the file, or export the list as CSV.")
    seen(len(head))
    names, delimiter = _columns(_text(head.removeprefix(b"\xef\xbb\xbf")))
    for number, raw in _records(_lines(file, seen), delimiter):
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


def _records(lines: Iterator[bytes], delimiter: str) -> Iterator[tuple[int, bytes]]:
    """The number of the first line and the bytes of each record, which has several lines where a value has.

    A quotation mark that opens no such value was a mistake, and costs its own line.
    """
    ahead: deque[bytes] = deque()
    number = 2
    while line := ahead.popleft() if ahead else next(lines, b""):
        first, record = number, line
        number += 1
        if line.count(b'"') % 2:
            ahead.extend(islice(lines, MOST_LINES - len(ahead)))
            more = _rest(line, ahead, delimiter)
            record += b"".join(ahead.popleft() for _ in range(more))
            number += more
        yield first, record


def _rest(line: bytes, ahead: Iterable[bytes], delimiter: str) -> int:
    """How many of the next lines belong to a record that this line begins with an open quotation mark."""
    whole = line
    for count, more in enumerate(ahead, start=1):
        whole += more
        if len(whole) > LONGEST:
            return 0
        if more.count(b'"') % 2:
            with suppress(csv.Error):
                return count if _fields(_text(whole), delimiter) else 0
            return 0
    return 0


def _lines(file: BinaryIO, seen: Callable[[int], object]) -> Iterator[bytes]:
    """The lines of a file; one that is too long is LONGEST + 1 bytes of another."""
    while line := file.readline(LONGEST + 1):
        size = len(line)
        rest = line
        while len(rest) > LONGEST and not rest.endswith(b"\n"):
            rest = file.readline(LONGEST + 1)
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


def _entry(line: int, raw: bytes, names: list[str], delimiter: str) -> Entry | Wrong:
    address = ""
    try:
        if len(raw) > LONGEST:
            raise ValueError(f"The record has more than {LONGEST:,} bytes.")
        if raw.count(b'"') % 2:
            raise csv.Error
        fields = _fields(_text(raw), delimiter)
        if len(fields) > len(names):
            raise ValueError(f"There are {len(fields)} values for {len(names)} columns.")
        cells = {name: table.plain(value) for name, value in zip(names, fields, strict=False)}
        address = mime.one_line(cells.get("address", ""))[:254]
        status = _choice(cells, "status", STATUSES) or "active"
        return Entry(line, _address(address), status, _topics(cells.get("topics", "")), _values(cells), len(raw))
    except csv.Error:
        return Wrong(line, address, "Its quotation marks are not closed, or stand inside a value.")
    except (ValidationError, ValueError, mail.Unwritable) as error:
        said = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
        return Wrong(line, address, mime.one_line(said)[:500])


def _address(text: str) -> str:
    """As it is written: like one that was typed at sign-up."""
    mail.one_address(text)
    if not text.rpartition("@")[0].isascii():
        raise ValueError("Addresses with letters beyond ASCII before the @ have to sign up themselves.")
    return text


def _topics(text: str) -> tuple[Topic, ...]:
    """[[name, query, at most, muted], …] as lists that we wrote have them, else as people write them at sign-up."""
    if not text.startswith(("[[", "[]")):
        return tuple(TopicsField(required=False, max_length=LONGEST).clean(text))
    try:
        rows = [_topic(*row) for row in json.loads(text)]
    except (AttributeError, ValueError, TypeError, RecursionError) as error:
        raise ValueError("topics are written like robots, world models; or as [[name, query], …].") from error
    if len(rows) > MOST_TOPICS or not all(topic.name for topic in rows):
        raise ValueError(f"There are up to {MOST_TOPICS} topics, each with a name.")
    for topic in rows:
        readable(topic.query)
    return tuple({topic.name.casefold(): topic for topic in rows}.values())


def _topic(name: str, query: str, most: int = 0, muted: bool = False) -> Topic:
    if not (name.isprintable() and query.isprintable() and 0 <= most <= 100):
        raise ValueError(name)
    return Topic(name.strip()[:LONGEST_NAME], query, bool(muted), most)


def _values(cells: Mapping[str, str]) -> dict[str, Any]:
    """Columns of Subscriber, where the list says something. Raises ValueError for a value that is none."""
    values: dict[str, Any] = {
        "cadence": _choice(cells, "cadence", Subscriber.Cadence.values),
        "format": _choice(cells, "format", Subscriber.Format.values),
        "language": _choice(cells, "language", [code for code, _ in settings.LANGUAGES]),
    }
    zone = cells.get("time_zone", "")
    if zone and zone not in _ZONES and zone != settings.DIGEST_TIME_ZONE:
        raise ValueError(f"time_zone is a name like Europe/Paris, not {zone[:40]!r}.")
    values["time_zone"] = zone
    for name, (least, most) in NUMBERS.items():
        values["send_hour" if name == "hour" else name] = _number(cells, name, least, most)
    for name in SWITCHES:
        values[name] = {"yes": True, "no": False, "": None}[_choice(cells, name, ("yes", "no"))]
    values["send_days"] = _days(cells.get("days", ""))
    until = cells.get("paused_until", "")
    values["paused_until"] = date.fromisoformat(until) if until else None
    return {name: value for name, value in values.items() if value not in ("", None)}


def _choice(cells: Mapping[str, str], name: str, known: Any) -> str:
    said = cells.get(name, "").lower()
    if said and said not in known:
        raise ValueError(f"{name} is one of {', '.join(known)}, not {said[:40]!r}.")
    return said


def _number(cells: Mapping[str, str], name: str, least: int, most: int) -> int | None:
    said = cells.get(name, "")
    if not said:
        return None
    if not (said.isascii() and said.isdecimal() and len(said) < 10 and least <= int(said) <= most):
        raise ValueError(f"{name} is a number from {least} to {most}, not {said[:40]!r}.")
    return int(said)


def _days(text: str) -> int | None:
    said = text.lower().split()
    if unknown := set(said) - set(DAYS):
        raise ValueError(f"days are written like {' '.join(DAYS[:3])}, not {min(unknown)[:40]!r}.")
    return sum(1 << DAYS.index(day) for day in set(said)) or None


# Out ----------------------------------------------------------------------------------------------------------------


COLUMNS = ("address", "topics", "cadence", "days", "hour", "time_zone", "language", "format", "max_papers", "min_votes",
           *SWITCHES, "status", "paused_until", "confirmed_at")  # fmt: skip


def row(reader: Subscriber) -> list[object]:
    """The values of a reader in the order of COLUMNS."""
    topics = sorted(reader.subscriptions.all(), key=lambda one: (one.position, one.pk))
    said = [[one.label, one.query, one.max_papers or 0, one.is_muted] for one in topics]
    bits = reader.send_days
    days = "" if bits == EVERY_DAY else " ".join(day for at, day in enumerate(DAYS) if bits >> at & 1)
    switches = ["yes" if getattr(reader, name) else "no" for name in SWITCHES]
    return [reader.email, said, reader.cadence, days, reader.send_hour, reader.time_zone, reader.language,
            reader.format, reader.max_papers, reader.min_votes, *switches, reader.status, reader.paused_until,
            reader.confirmed_at]  # fmt: skip
