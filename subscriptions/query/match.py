"""Does a query mean this paper, and why: the plain matcher, which says where it found what.

`subscriptions.matching` gives the same yes and no for many queries and papers at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from subscriptions.query.document import Document
from subscriptions.query.meaning import is_close
from subscriptions.query.tree import DEFAULT_FIELDS, And, Label, Leaf, Near, Not, Or, Query, Range, Term


@dataclass(frozen=True, slots=True)
class Hit:
    """A leaf of the query that holds, and where.

    For words: the text number `part` of `field`, characters [start, end). Of other leaves start and end are 0.
    """

    leaf: Leaf
    field: str
    part: int = 0
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Match:
    """Why a query means a paper; `hits` is empty where the reason is only what the paper is not."""

    hits: tuple[Hit, ...]


def matches(query: Query, paper: Document) -> Match | None:
    """Say why `query` means `paper`, or None if it does not. Hits stand in the order of the query, then of the text."""
    if not holds(query, paper):
        return None
    return Match(tuple(dict.fromkeys(_why(query, paper))))


def holds(query: Query, paper: Document) -> bool:
    match query:
        case And(parts):
            return all(holds(part, paper) for part in parts)
        case Or(parts):
            return any(holds(part, paper) for part in parts)
        case Not(part):
            return not holds(part, paper)
        case Term():
            return any(paper.fields[name].find(query) for name in fields_of(query))
        case Label(field, value):
            return value in paper.labels[field]
        case Range():
            return within(query, paper)
        case Near():
            return is_close(query, paper.vector)


def fields_of(term: Term) -> tuple[str, ...]:
    return (term.field,) if term.field else DEFAULT_FIELDS


def within(query: Range, paper: Document) -> bool:
    """An unknown day is in no range."""
    value = paper.numbers[query.field]
    if value is None:
        return False
    return (query.low is None or value >= query.low) and (query.high is None or value <= query.high)


def _why(query: Query, paper: Document) -> Iterator[Hit]:
    """The hits of a query that holds. What stands under NOT, or in a branch that fails, is no reason."""
    match query:
        case And(parts) | Or(parts):
            for part in parts:
                if holds(part, paper):
                    yield from _why(part, paper)
        case Not(inner):
            yield from _why_not(inner, paper)
        case Term():
            for name in fields_of(query):
                for place in paper.fields[name].find(query):
                    yield Hit(query, name, *paper.fields[name].span(place))
        case _:
            yield Hit(query, query.field)


def _why_not(query: Query, paper: Document) -> Iterator[Hit]:
    """Why a query does not hold: the NOTs inside it that are false are reasons in turn."""
    match query:
        case And(parts) | Or(parts):
            for part in parts:
                if not holds(part, paper):
                    yield from _why_not(part, paper)
        case Not(inner):
            yield from _why(inner, paper)
        case _:
            pass
