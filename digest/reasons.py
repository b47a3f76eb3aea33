"""Why a paper is in a letter, in words: which terms, in which fields, with the paper's own spelling."""

from datetime import date
from functools import lru_cache
from textwrap import shorten
from typing import NamedTuple

from subscriptions.query import Document, Label, Match, Near, Term
from subscriptions.query.match import fields_of, holds
from subscriptions.query.tree import Leaf

FIELD_NAMES = {
    "title": "in the title",
    "keyword": "in the keywords",
    "abstract": "in the abstract",
    "author": "among the authors",
    "org": "in the organization",
}
LABEL_NAMES = {"cat": "category", "source": "listed by", "id": "id", "has": "with"}
#: Reasons after these say little more, and the line is to be read at a glance.
MOST = 4
#: Characters of a text that a topic is about.
LONGEST_QUOTATION = 60


class Reason(NamedTuple):
    """`what` stands out, `where` follows it: **world models** in the title."""

    what: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.what} {self.where}".rstrip()


#: A topic that only says what a paper is not.
LEFT_OUT = Reason("nothing you left out")


def reasons(match: Match, paper: Document) -> list[Reason]:
    """The reasons of a match, those of the most telling fields first for each term."""
    leaves = dict.fromkeys(hit.leaf for hit in match.hits)
    found = [reason for leaf in leaves if (reason := of_leaf(leaf, paper))]
    return list(dict.fromkeys(found))[:MOST] or [LEFT_OUT]


def of_leaf(leaf: Leaf, paper: Document) -> Reason | None:
    """Where a paper has what one leaf of a query asks for; None where it has not."""
    if isinstance(leaf, Term):
        found = [(name, place) for name in fields_of(leaf) if (place := paper.fields[name].first(leaf))]
        if not found:
            return None
        name, place = found[0]
        part, start, end = paper.fields[name].span(place)
        return Reason(" ".join(paper.texts(name)[part][start:end].split()), _where(tuple(name for name, _ in found)))
    if not holds(leaf, paper):
        return None
    if isinstance(leaf, Label):
        return Reason(f"{LABEL_NAMES[leaf.field]} {_spelled(leaf, paper)}")
    if isinstance(leaf, Near):
        return Reason("close in meaning", f"to {leaf.value if leaf.field == 'like' else _quoted(leaf.value)}")
    if leaf.field in ("year", "date"):
        return Reason(f"of {paper.day.isoformat() if isinstance(paper.day, date) else 'its day'}")
    value = paper.numbers[leaf.field] or 0
    name = leaf.field[:-1] if value == 1 else leaf.field
    return Reason(f"{value:,} {name}")


def _quoted(text: str) -> str:
    return f"“{shorten(text, LONGEST_QUOTATION, placeholder='…')}”"


def _spelled(label: Label, paper: Document) -> str:
    """The paper's own spelling of a category or source, which the query holds folded."""
    values = {"cat": paper.categories, "source": paper.sources, "id": (paper.identifier,)}.get(label.field, ())
    exact = (value for value in values if value.lower() == label.value)
    inside = (value for value in values if value.lower().startswith(label.value + "."))
    return next(exact, None) or next(inside, None) or label.value


@lru_cache(maxsize=1_000)
def _where(fields: tuple[str, ...]) -> str:
    """ "in the title and abstract", not "in the title and in the abstract"."""
    first, *more = (FIELD_NAMES[field] for field in fields)
    rest = [name.removeprefix("in the ") for name in more]
    return ", ".join([first, *rest[:-1]]) + (f" and {rest[-1]}" if rest else "")
