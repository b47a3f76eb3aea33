"""What staff did: written down with what was before and after, secrets left out, and told as CSV."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest

from digest.models import Act
from subscriptions import callers

#: Never written down, whatever they hold.
SECRET = re.compile(r"password|secret|token|validators|session", re.IGNORECASE)
ADDRESS = re.compile(r"([^\s@<\"'])[^\s@<\"']*@")
LONGEST = 500

Values = dict[str, Any]


def record(request: HttpRequest | None, action: str, obj: Model | None = None, *, now: datetime, **more: Any) -> None:
    """Write one act down. `more`: who, detail, changes, for what request and object do not say."""
    who = more.pop("who", "") or (str(getattr(request, "user", "")) if request else "")
    named = {} if obj is None else {"kind": obj._meta.label_lower, "key": str(obj.pk)[:64], "name": masked(obj)[:200]}
    more["detail"] = masked(more.get("detail", ""))[:300]
    address = callers.address(request) if request else None
    Act.objects.create(at=now, who=who[:150], address=_valid(address), action=action, **named, **more)


def masked(value: Any) -> str:
    """An address shows its first sign and its domain."""
    return ADDRESS.sub(r"\1…@", str(value))


def changes_between(before: Values, after: Values) -> dict[str, list[str]]:
    """By field: what it was and what it is. Secrets say only that they have changed."""
    return {
        name: ["…", "…"] if SECRET.search(name) else [_shown(before.get(name)), _shown(after.get(name))]
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }


def values_of(rows: QuerySet[Any]) -> dict[Any, Values]:
    """The fields of rows as stored, by primary key."""
    names = [field.attname for field in rows.model._meta.concrete_fields]
    return {getattr(row, rows.model._meta.pk.attname): {name: getattr(row, name) for name in names} for row in rows}


def lines(acts: Iterable[Act]) -> Iterator[str]:
    """CSV, a line at a time."""
    names = ["at", "who", "address", "action", "kind", "key", "name", "detail", "changes"]
    yield _line(names)
    for act in acts:
        yield _line([act.at.isoformat(), *(getattr(act, name) for name in names[1:])])


def _line(values: Iterable[Any]) -> str:
    """A spreadsheet takes a text that begins so for a formula: an apostrophe stops it."""
    texts = ["" if value is None else str(value) for value in values]
    out = io.StringIO()
    csv.writer(out).writerow([f"'{text}" if text[:1] in set("=+-@\t\r") else text for text in texts])
    return out.getvalue()


def linked(obj: Model) -> Values:
    """The many-to-many fields, by the names of what they lead to."""
    return {
        field.name: sorted(str(one) for one in getattr(obj, field.name).all())
        for field in obj._meta.many_to_many
    }  # fmt: skip


def _shown(value: Any) -> str:
    text = masked("" if value is None else value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _valid(address: str | None) -> str | None:
    try:
        return str(ip_address(address or ""))
    except ValueError:
        return None
