"""Where the words that somebody asked for stand in a paper, for marking them."""

from collections.abc import Iterator
from typing import TypeAlias

from subscriptions.query import And, Document, Or, Query, Term, matches

#: Characters [start, end) of a text.
Spans: TypeAlias = list[tuple[int, int]]
#: Marks of a text at most; more do not help to find anything.
MOST = 200


def spans(query: Query, paper: Document) -> dict[str, Spans]:
    """The places in title and abstract: of what made the query match, else of any of its words."""
    found: dict[str, Spans] = {"title": [], "abstract": []}
    match = matches(query, paper)
    if match:
        for hit in match.hits:
            if hit.field in found and hit.end and len(found[hit.field]) < MOST:
                found[hit.field].append((hit.start, hit.end))
        return found
    for term in _terms(query):
        for name, places in found.items():
            if not term.field or term.field == name:
                field = paper.fields[name]
                places += [field.span(place)[1:] for place in field.find(term)[: MOST - len(places)]]
    return found


def excerpt(text: str, spans: Spans, *, before: int, size: int) -> tuple[str, Spans]:
    """A part of a text with its first span in it, cut between words, and the spans that lie in the part."""
    if len(text) <= size:
        return text, spans
    first = min(spans, default=(0, 0))[0]
    start = first - before
    start = 0 if start <= 0 else text.find(" ", start, first) + 1 or first
    end = start + size
    end = len(text) if end >= len(text) else max(text.rfind(" ", start, end), start + size // 2)
    opening = "… " if start else ""
    move = len(opening) - start
    inside = [(low + move, high + move) for low, high in spans if start <= low and high <= end]
    return f"{opening}{text[start:end]}{' …' if end < len(text) else ''}", inside


def _terms(query: Query) -> Iterator[Term]:
    """The words a query asks for; those it excludes are not among them."""
    match query:
        case And(parts) | Or(parts):
            for part in parts:
                yield from _terms(part)
        case Term():
            yield query
