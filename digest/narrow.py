"""What people choose in the fields beside the search box, written in the topic language."""

import re
from collections.abc import Mapping
from datetime import date

from subscriptions.query import Or, QueryError, parse
from subscriptions.sentences import Sentence

FIELDS = ("since", "until", "category", "source", "votes", "code")
_NAME = re.compile(r"[\w][\w.-]{0,63}")
MOST_VOTES = 10**9


def narrowed(text: str, chosen: Mapping[str, str]) -> str:
    """The query with what was chosen added to it. Raises ValueError, with a Sentence, for what is no choice."""
    terms = [term for term in _terms({name: chosen.get(name, "").strip() for name in FIELDS}) if term]
    if terms and _has_or(text):
        text = f"({text})"
    return " ".join(filter(None, [text.strip(), *(term for term in terms if term not in text.split())]))


def _terms(chosen: dict[str, str]) -> list[str]:
    since, until = _day(chosen["since"]), _day(chosen["until"])
    if since and until and since > until:
        raise ValueError(Sentence("The first day must not come after the last."))
    days = f"{since}..{until}" if since and until else f">={since}" if since else f"<={until}" if until else ""
    return [
        days and f"date:{days}",
        _name("cat", chosen["category"], Sentence("A category is written like cs.CL or cs.")),
        _name("source", chosen["source"], Sentence("A source is written like huggingface or arxiv.cs.CL.")),
        _votes(chosen["votes"]),
        "has:code" if chosen["code"] else "",
    ]


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError as error:
        raise ValueError(Sentence("A day is written like 2026-06-02.")) from error


def _name(field: str, text: str, otherwise: Sentence) -> str:
    if text and not _NAME.fullmatch(text):
        raise ValueError(otherwise)
    return text and f"{field}:{text}"


def _votes(text: str) -> str:
    if not text:
        return ""
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise ValueError(Sentence("Votes are a number from 0 to %(most)s.", most=MOST_VOTES - 1))
    return f"votes:>={int(text)}" if int(text) else ""


def _has_or(text: str) -> bool:
    """Whether a query must stand in parentheses beside another word."""
    try:
        return isinstance(parse(text), Or)
    except QueryError:
        return False
