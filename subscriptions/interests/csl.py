"""CSL-JSON, as Zotero exports it: a list of works, or an object that holds one under `items`."""

import json
import re
from typing import Any

from subscriptions.interests.reference import Reference, Unreadable
from subscriptions.sentences import Sentence


def read(text: str) -> tuple[list[Reference], list[Sentence]]:
    """The works, and what was not understood. Raises Unreadable."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(Sentence("This begins like JSON, and is none. Export the library once more.")) from error
    rows = value.get("items", [value]) if isinstance(value, dict) else value
    works: list[Reference] = []
    left_out: list[Sentence] = []
    for number, row in enumerate(rows if isinstance(rows, list) else [], start=1):
        if isinstance(row, dict) and isinstance(row.get("title", ""), str):
            works.append(Reference(row.get("title", ""), _names(row.get("author")), _words(row)))
        else:
            left_out.append(Sentence("Entry %(number)s is no work.", number=number))
    return works, left_out


def _names(value: Any) -> tuple[str, ...]:
    rows = [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
    parts = [[row.get("given"), row.get("non-dropping-particle"), row.get("family")] for row in rows]
    names = [" ".join(part for part in some if isinstance(part, str)) for some in parts]
    return tuple(" ".join(name.split()) for name in names if name.strip())


def _words(row: dict[str, Any]) -> tuple[str, ...]:
    """Keywords as one text with commas, as a list, or as Zotero's tags."""
    value = row.get("keyword", row.get("keywords", row.get("tags", "")))
    if isinstance(value, str):
        value = re.split(r"[;,]", value)
    rows = value if isinstance(value, list) else []
    words = [row.get("tag") if isinstance(row, dict) else row for row in rows]
    return tuple(word.strip() for word in words if isinstance(word, str) and word.strip())
