"""Which papers of an index a query means: exactly those of which `query.matches` says yes."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import reduce

import numpy as np

from digest.index import NOWHERE, UNKNOWN, Index, Mask, Places
from subscriptions.query import And, Label, Near, Not, Or, Query, QueryError, Range, Term
from subscriptions.query.match import fields_of
from subscriptions.query.tree import NAME_FIELDS, WORD_FIELDS, Leaf
from subscriptions.query.words import stem
from subscriptions.sentences import Sentence

#: Words that the stars of one query may stand for, and places that it may look at; beyond them it is refused.
MOST_FORMS, MOST_PLACES = 50_000, 40_000_000


def mask(index: Index, query: Query) -> Mask:
    """bool (P): the papers that a resolved query means. Raises QueryError where its stars stand for too much."""
    return _Evaluation(index).mask(query)


class _Evaluation:
    """One query being asked."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.forms = self.looked = 0
        self._leaves: dict[Leaf, Mask] = {}

    def mask(self, query: Query) -> Mask:
        match query:
            case And(parts):
                return reduce(np.logical_and, map(self.mask, parts))
            case Or(parts):
                return reduce(np.logical_or, map(self.mask, parts))
            case Not(part):
                return ~self.mask(part)
            case Near():
                return self.index.close(query.vector) >= query.least if query.vector else self._nothing()
            case _:
                if (found := self._leaves.get(query)) is None:
                    found = self._leaves[query] = self._leaf(query)
                return found

    def _nothing(self) -> Mask:
        return np.zeros(self.index.count, np.bool_)

    def _leaf(self, leaf: Term | Label | Range) -> Mask:
        mask = self._nothing()
        match leaf:
            case Label(field, value):
                mask[self.index.labels.get((field, value), [])] = True
            case Range(field, low, high):
                values = self.index.numbers[field]
                mask = values != UNKNOWN
                if low is not None:
                    mask &= values >= low
                if high is not None:
                    mask &= values <= high
            case Term():
                for names in (False, True):
                    fields = [WORD_FIELDS.index(name) for name in fields_of(leaf) if (name in NAME_FIELDS) == names]
                    if fields:
                        places = self._term(leaf, names=names)
                        mask[self.index.papers(places[np.isin(self.index.field[places], fields)])] = True
        return mask

    def _term(self, term: Term, *, names: bool) -> Places:
        """Where a term begins, in fields of names or in the others."""
        if term.quoted:
            return self._run([self.index.number(word) for word in term.words])
        *before, last = term.words
        alike = [self.index.alike(word, names=names) for word in term.words]
        if term.prefix:
            opening = "".join(term.words)
            run = [*alike[:-1], self._opened(last, names=names, stems=False)] if before else []
            numbers, forms = self._opened(opening, names=names, stems=True), self._compounds(opening)
        else:
            form = "".join(before) + (last if names else stem(last))
            run = alike if before else []
            numbers, forms = self.index.number(form) if names else self.index.with_stem(form), [form]
        found = [self._places(numbers), *(self.index.compounds.get((form, names), NOWHERE) for form in forms)]
        return np.concatenate([*found, self._run(run)])

    def _run(self, wanted: list[list[int]]) -> Places:
        """Where words stand side by side, each one of those wanted in its turn."""
        if not wanted or not all(wanted):
            return NOWHERE
        places = self._places(wanted[0])
        for step, numbers in enumerate(wanted[1:], start=1):
            places = places[places + step < len(self.index.words)]
            places = places[np.isin(self.index.words[places + step], numbers)]
        return places

    def _places(self, numbers: Sequence[int]) -> Places:
        found = self.index.places(numbers)
        self.looked += len(found)
        if self.looked > MOST_PLACES:
            raise QueryError(Sentence("This query looks at too many words at once: make two queries of it."))
        return found

    def _opened(self, opening: str, *, names: bool, stems: bool) -> list[int]:
        """The words that begin so, and with `stems` those whose stems do."""
        plain, stemmed, _ = self.index.ordered
        found = {number for word in _from(plain, opening) for number in self.index.number(word)}
        if stems and not names:
            found.update(number for form in _from(stemmed, opening) for number in self.index.with_stem(form))
        self._count(opening, len(found))
        return sorted(found)

    def _compounds(self, opening: str) -> list[str]:
        found = list(_from(self.index.ordered[2], opening))
        self._count(opening, len(found))
        return found

    def _count(self, opening: str, forms: int) -> None:
        self.forms += forms
        if self.forms > MOST_FORMS:
            raise QueryError(
                Sentence("%(opening)s* stands for too many words: write more letters before the star.", opening=opening)
            )


def _from(ordered: list[str], opening: str) -> Iterator[str]:
    yield from ordered[bisect_left(ordered, opening) : bisect_left(ordered, opening + "\U0010ffff")]
