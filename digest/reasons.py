"""Why a paper is in a letter, in words: which terms, in which fields, with the paper's own spelling."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from subscriptions.query import Document, Hit, Label, Match, Range, Term, matches

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


@dataclass(frozen=True, slots=True)
class Reason:
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


def of_leaf(leaf: Term | Label | Range, paper: Document) -> Reason | None:
    """Where a paper has what one leaf of a query asks for; None where it has not."""
    match = matches(leaf, paper)
    return _reason(leaf, list(match.hits), paper) if match else None


def _reason(leaf: Term | Label | Range, hits: list[Hit], paper: Document) -> Reason:
    if isinstance(leaf, Term):
        first = hits[0]
        spelled = " ".join(paper.texts(first.field)[first.part][first.start : first.end].split())
        return Reason(spelled, _join(FIELD_NAMES[field] for field in dict.fromkeys(hit.field for hit in hits)))
    if isinstance(leaf, Label):
        return Reason(f"{LABEL_NAMES[leaf.field]} {_spelled(leaf, paper)}")
    if leaf.field in ("year", "date"):
        return Reason(f"of {paper.day.isoformat() if isinstance(paper.day, date) else 'its day'}")
    value = paper.numbers[leaf.field] or 0
    name = leaf.field[:-1] if value == 1 else leaf.field
    return Reason(f"{value:,} {name}")


def _spelled(label: Label, paper: Document) -> str:
    """The paper's own spelling of a category or source, which the query holds folded."""
    values = {"cat": paper.categories, "source": paper.sources, "id": (paper.identifier,)}.get(label.field, ())
    exact = (value for value in values if value.lower() == label.value)
    inside = (value for value in values if value.lower().startswith(label.value + "."))
    return next(exact, None) or next(inside, None) or label.value


def _join(names: Iterable[str]) -> str:
    """ "in the title and abstract", not "in the title and in the abstract"."""
    names = list(names)
    if len(names) == 1:
        return names[0]
    rest = [name.removeprefix("in the ") for name in names[1:]]
    return ", ".join([names[0], *rest[:-1]]) + f" and {rest[-1]}"
