"""A letter's own words in its language: its subject, its summary, its day.

That language is not the one that is active. To change it for each letter would take longer than all the rest of the
letter, so the words are kept; there are few of them.
"""

from datetime import date
from functools import lru_cache
from typing import NamedTuple

from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext, override

from digest.taken import Taken
from subscriptions.mail import encode, one_line

SUBJECT_CHARACTERS = 78


def subject(row: Taken) -> str:
    """Count and date first, then topics while there is room: "7 papers for Tue 2 June: robots, tiny models"."""
    start = _start(row.papers_count, row.day, row.language)
    labels = [one_line(label) for label, _, _ in row.sections if label] or [words(row.language).subject]
    shown = ""
    for label in labels:
        longer = f"{shown}, {label}" if shown else f"{words(row.language).colon} {label}"
        if len(start) + len(longer) > SUBJECT_CHARACTERS:
            break
        shown = longer
    return start + shown


def summary(row: Taken) -> str:
    """The line that mail programs show beside the subject."""
    said, nothing = _summary(row.papers_count, row.language)
    if not row.sections:
        return nothing
    trending = words(row.language).counted
    return said + ", ".join([f"{len(papers)} {label or trending}" for label, _, papers in row.sections])


@lru_cache(maxsize=64)
def heading(day: date, language: str) -> bytes:
    """The day as it stands over the letter, encoded."""
    with override(language):
        return encode(date_format(day, gettext("l, j F Y")))


class Words(NamedTuple):
    """Of the trending papers: what stands over the section, in the subject, and beside its number. And a colon."""

    title: str
    subject: str
    counted: str
    colon: str


@lru_cache(maxsize=8)
def words(language: str) -> Words:
    with override(language):
        return Words(gettext("Trending today"), gettext("trending today"), gettext("trending"), gettext(":"))


@lru_cache(maxsize=1_000)
def _start(count: int, day: date, language: str) -> str:
    with override(language):
        said = {"papers": _papers(count), "day": date_format(day, gettext("D j F"))}
        return gettext("%(papers)s for %(day)s") % said


@lru_cache(maxsize=1_000)
def _summary(count: int, language: str) -> tuple[str, str]:
    """What begins it, and what is all where there is nothing."""
    with override(language):
        return gettext("%(papers)s: ") % {"papers": _papers(count)}, gettext("No paper matched your topics.")


def _papers(count: int) -> str:
    if not count:
        return gettext("No papers")
    return ngettext("%(count)s paper", "%(count)s papers", count) % {"count": count}
