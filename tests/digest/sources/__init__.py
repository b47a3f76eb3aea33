"""Tests of the sources. A pair is an answer and, beside it, what must be read from it (`.expected.json`)."""

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from digest.sources.entry import Entry, Parsed

DATA = Path(__file__).resolve().parents[2] / "data"
_NOTHING = asdict(Entry(identifier="", url="", title=""))


def pairs(folder: str, suffix: str) -> list[Path]:
    """The answers of a folder that have an expectation beside them."""
    return sorted(path for path in (DATA / folder).glob(f"*{suffix}") if expectation(path).exists())


def expectation(path: Path) -> Path:
    return path.with_name(path.name.rsplit(".", 1)[0] + ".expected.json")


def expected(path: Path) -> Any:
    return json.loads(expectation(path).read_text(encoding="utf-8"))


def as_json(parsed: Parsed) -> Any:
    """What was parsed as JSON values; of an entry only the fields that hold something."""
    entries = [
        {key: value for key, value in asdict(entry).items() if value != _NOTHING[key]} for entry in parsed.entries
    ]
    whole = {"total": parsed.total, "skipped": parsed.skipped, "entries": entries}
    return json.loads(json.dumps(whole, default=_isoformat))


def _isoformat(value: object) -> str:
    assert isinstance(value, date)
    return value.isoformat()
