"""The record of consent as a table for spreadsheets (RFC 4180), for an operator who has to show it."""

import csv
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from subscriptions import mime
from subscriptions.models import Consent
from subscriptions.records import wording

FIELDS = ("subscriber__email", "event", "at", "topics", "cadence", "detail", "why", "comment", "form_url", "ip",
          "user_agent", "text_version")  # fmt: skip
COLUMNS = ("address", "event", "at", "topics", "cadence", "detail", "why", "comment", "form", "ip", "browser",
           "version", "wording")  # fmt: skip
CHUNK = 2_000
#: What makes a spreadsheet take a cell for a formula.
FORMULA = frozenset("=+-@\t\r\n＝＋－＠")


class _Line:
    """Where the csv module writes: gives each line back."""

    def write(self, line: str) -> str:
        return line


def lines(rows: QuerySet[Consent]) -> Iterator[str]:
    """The lines one after the other, read as they are asked for; the first one names the columns."""
    to = writer()
    yield to.writerow(COLUMNS)
    for row in rows.order_by("pk").values_list(*FIELDS).iterator(chunk_size=CHUNK):
        yield to.writerow([cell(value) for value in (*row, wording(row[-1]))])


def writer() -> Any:
    """A csv.writer whose `writerow` returns the line."""
    return csv.writer(_Line())


def cell(value: object) -> str:
    """A value as one line of text, with an apostrophe before it where it would be taken for a formula."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    raw = json.dumps(value, ensure_ascii=False) if isinstance(value, list) else str(value)
    text = mime.one_line(raw)
    return f"'{text}" if FORMULA.intersection(raw[:1] + text[:1]) or _is_guarded(text) else text


def plain(text: str) -> str:
    """What was written as a cell."""
    text = text.strip().replace("\0", "")
    return text[1:] if _is_guarded(text) else text


def _is_guarded(text: str) -> bool:
    return text[:1] == "'" and text.lstrip("'")[:1] in FORMULA
