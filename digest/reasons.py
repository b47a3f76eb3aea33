"""Why a paper is in a letter, in words: which terms, in which fields, with the paper's own spelling."""

from datetime import date
from functools import lru_cache
from textwrap import shorten
from typing import NamedTuple

from subscriptions.query import Document, Label, Match, Near, Term
from subscriptions.query.match import fields_of, holds
from subscriptions.query.tree import Leaf
from subscriptions.sentences import Sentence

#: How a field is called, and how behind another: "in the title and abstract".
FIELD_NAMES = {
    "title": (Sentence("in the title"), Sentence("title")),
    "keyword": (Sentence("in the keywords"), Sentence("keywords")),
    "abstract": (Sentence("in the abstract"), Sentence("abstract")),
    "author": (Sentence("among the authors"), Sentence("among the authors")),
    "org": (Sentence("in the organization"), Sentence("organization")),
}
PROPERTY_NAMES = {
    "code": Sentence("with code"),
    "project": Sentence("with project"),
    "summary": Sentence("with summary"),
    "thumbnail": Sentence("with thumbnail"),
}
ONE = {"votes": Sentence("1 vote"), "stars": Sentence("1 star"), "comments": Sentence("1 comment")}
#: Reasons after these say little more, and the line is to be read at a glance.
MOST = 4
#: Characters of a text that a topic is about.
LONGEST_QUOTATION = 60


class Reason(NamedTuple):
    """`what` stands out, `where` follows it: **world models** in the title. Both may be a Sentence."""

    what: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.what} {self.where}".rstrip()


#: A topic that only says what a paper is not.
LEFT_OUT = Reason(Sentence("nothing you left out"))


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
        return Reason(_of_label(leaf.field, leaf.value if leaf.field == "has" else _spelled(leaf, paper)))
    if isinstance(leaf, Near):
        other = leaf.value if leaf.field == "like" else _quoted(leaf.value)
        return Reason(Sentence("close in meaning"), Sentence("to %(other)s", other=other))
    if leaf.field in ("year", "date"):
        day = paper.day.isoformat() if isinstance(paper.day, date) else Sentence("its day")
        return Reason(Sentence("of %(day)s", day=day))
    return Reason(_of_number(leaf.field, paper.numbers[leaf.field] or 0))


def _quoted(text: str) -> Sentence:
    return Sentence("“%(text)s”", text=shorten(text, LONGEST_QUOTATION, placeholder="…"))


def _spelled(label: Label, paper: Document) -> str:
    """The paper's own spelling of a category or source, which the query holds folded."""
    values = {"cat": paper.categories, "source": paper.sources, "id": (paper.identifier,)}.get(label.field, ())
    exact = (value for value in values if value.lower() == label.value)
    inside = (value for value in values if value.lower().startswith(label.value + "."))
    return next(exact, None) or next(inside, None) or label.value


@lru_cache(maxsize=10_000)
def _of_label(field: str, name: str) -> Sentence:
    match field:
        case "has":
            return PROPERTY_NAMES[name]
        case "cat":
            return Sentence("category %(name)s", name=name)
        case "source":
            return Sentence("listed by %(name)s", name=name)
    return Sentence("id %(name)s", name=name)


@lru_cache(maxsize=10_000)
def _of_number(field: str, count: int) -> Sentence:
    if count == 1:
        return ONE[field]
    match field:
        case "votes":
            return Sentence("%(count)s votes", count=count)
        case "stars":
            return Sentence("%(count)s stars", count=count)
    return Sentence("%(count)s comments", count=count)


@lru_cache(maxsize=1_000)
def _where(fields: tuple[str, ...]) -> Sentence:
    """ "in the title and abstract", not "in the title and in the abstract"."""
    said = FIELD_NAMES[fields[0]][0]
    rest = [FIELD_NAMES[field][1] for field in fields[1:]]
    for name in rest[:-1]:
        said = Sentence("%(said)s, %(more)s", said=said, more=name)
    return Sentence("%(said)s and %(more)s", said=said, more=rest[-1]) if rest else said
