"""A run as a table for spreadsheets (RFC 4180): one line for each delivery."""

import csv
from collections.abc import Iterator
from datetime import datetime

from digest.models import Delivery, Run
from subscriptions import mail

COLUMNS = ("address", "status", "reason", "attempts", "due", "settled", "transport", "reference")
CHUNK = 2_000
#: What makes a spreadsheet take a cell for a formula: addresses begin so, and mail servers say what they like.
FORMULA = frozenset("=+-@\t\r\n＝＋－＠")


class _Line:
    """Where the csv module writes: gives each line back."""

    def write(self, line: str) -> str:
        return line


def lines(run: Run) -> Iterator[str]:
    """The lines one after the other, read as they are asked for; the first one names the columns."""
    writer = csv.writer(_Line())
    yield writer.writerow(COLUMNS)
    rows = Delivery.objects.filter(batch__run=run).order_by("pk")
    fields = ("email", "status", "reason", "attempts", "due_at", "settled_at", "transport", "reference")
    for row in rows.values_list(*fields).iterator(chunk_size=CHUNK):
        yield writer.writerow([cell(value) for value in row])


def cell(value: object) -> str:
    """A value as one line of text, with an apostrophe before it where it would be taken for a formula."""
    if value is None:
        return ""
    raw = value.isoformat(timespec="seconds") if isinstance(value, datetime) else str(value)
    text = mail.one_line(raw)
    return f"'{text}" if FORMULA.intersection(raw[:1] + text[:1]) else text
