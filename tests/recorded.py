"""Recorded listings: real answers, kept outside the repository, for tests that run only where they are."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


def recorded_folder() -> Path | None:
    """The folder of recordings: PAPERBOY_RECORDED, else `../shared/recorded` beside the repository."""
    named = os.environ.get("PAPERBOY_RECORDED")
    folder = Path(named) if named else ROOT.parent / "shared" / "recorded"
    return folder if folder.is_dir() else None


def need(name: str) -> Path:
    """A recorded file or folder; skips the test where it is absent."""
    folder = recorded_folder()
    if folder is None or not (folder / name).exists():
        pytest.skip(f"the recording {name} is not here; set PAPERBOY_RECORDED to its folder")
    return folder / name


def lines(name: str) -> Iterator[dict[str, Any]]:
    """The objects of a recorded file with one JSON object a line."""
    with gzip.open(need(name), "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)
