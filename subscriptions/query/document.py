"""What a query can see of a paper, and its words in the form in which terms look for them."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from subscriptions.query.tree import NAME_FIELDS, WORD_FIELDS, Term
from subscriptions.query.words import stem, words

#: Parts of a compound that are joined at most; longer chains are words that somebody strung together.
LONGEST_COMPOUND = 4


@dataclass(frozen=True, eq=False)
class Document:
    """A paper as the topic language sees it. Unknown numbers are 0, an unknown day is None.

    `vector` is what the paper means, as `query.meaning` describes it; empty where that is not known.
    """

    identifier: str
    title: str = ""
    abstract: str = ""
    authors: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    properties: frozenset[str] = frozenset()
    votes: int = 0
    stars: int = 0
    comments: int = 0
    day: date | None = None
    vector: bytes = b""

    def texts(self, field: str) -> tuple[str, ...]:
        """The texts of a field of words: one for title and abstract, one each for authors and the like."""
        return {
            "title": (self.title,),
            "abstract": (self.abstract,),
            "author": self.authors,
            "org": self.organizations,
            "keyword": self.keywords,
        }[field]

    @cached_property
    def fields(self) -> dict[str, "Field"]:
        return {name: Field(self.texts(name), names=name in NAME_FIELDS) for name in WORD_FIELDS}

    @cached_property
    def labels(self) -> dict[str, frozenset[str]]:
        """Every value by which a label holds, folded: a category stands for its archive too."""
        return {
            "cat": frozenset(_with_parents(self.categories)),
            "source": frozenset(_with_parents(self.sources)),
            "id": frozenset({self.identifier.lower()}),
            "has": self.properties,
        }

    @cached_property
    def numbers(self) -> dict[str, int | None]:
        return {
            "votes": self.votes,
            "stars": self.stars,
            "comments": self.comments,
            "year": self.day.year if self.day else None,
            "date": self.day.toordinal() if self.day else None,
        }


def _with_parents(values: tuple[str, ...]) -> Iterator[str]:
    for value in values:
        parts = value.lower().split(".")
        yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))


@dataclass(frozen=True, slots=True)
class Place:
    """A run of `count` words from word number `first` of a field on."""

    first: int
    count: int


def _order(place: Place) -> tuple[int, int]:
    return place.first, place.count


class Field:
    """The words of one field. Word numbers leave a gap between texts, so that no phrase spans two authors.

    There are some thousand words for each paper of an edition, so they are kept as plain strings and numbers: a place
    is word number × 8 + count, until somebody asks for it.
    """

    def __init__(self, texts: tuple[str, ...], *, names: bool) -> None:
        self.names = names
        #: folded words, "" for a gap; where each begins and ends, in which text
        self.words: list[str] = []
        self._starts, self._ends, self._text_of = array("I"), array("I"), array("I")
        #: form → places, for quoted words and for others: those find plurals and joined compounds too
        self.exact: dict[str, list[int]] = {}
        self.loose: dict[str, list[int]] = {}
        for number, text in enumerate(texts):
            chain: list[str] = []
            for word in words(text):
                chain = [*chain[1 - LONGEST_COMPOUND :], word.exact] if word.hyphen else [word.exact]
                self._add(chain)
                self._note(word.exact, word.start, word.end, number)
            self._note("", 0, 0, number)

    def _note(self, word: str, start: int, end: int, text: int) -> None:
        self.words.append(word)
        self._starts.append(start)
        self._ends.append(end)
        self._text_of.append(text)

    def _add(self, chain: list[str]) -> None:
        """Enter the last word of a chain of hyphens, alone and joined to those before it."""
        here = len(self.words)
        self.exact.setdefault(chain[-1], []).append(here << 3 | 1)
        joined = self.form(chain[-1])
        self.loose.setdefault(joined, []).append(here << 3 | 1)
        for count, before in enumerate(reversed(chain[:-1]), start=2):
            joined = before + joined
            self.loose.setdefault(joined, []).append((here + 1 - count) << 3 | count)

    def form(self, word: str) -> str:
        """The form in which a folded word of a query without quotes is looked for here."""
        return word if self.names else stem(word)

    def find(self, term: Term) -> list[Place]:
        """All places where a term stands, in the order of the text."""
        if term.quoted:
            return self._run(term.words, self.exact, exact=True)
        if term.prefix:
            return self._prefixed(term)
        *before, last = term.words
        found = _places(self.loose.get("".join(before) + self.form(last), []))
        if not before:
            return found
        return sorted({*found, *self._run(term.words, self.loose, exact=False)}, key=_order)

    def first(self, term: Term) -> Place | None:
        """The first of the places where a term stands."""
        if len(term.words) > 1 or term.prefix:
            return next(iter(self.find(term)), None)
        (word,) = term.words
        codes = self.exact.get(word) if term.quoted else self.loose.get(self.form(word))
        return Place(codes[0] >> 3, codes[0] & 7) if codes else None

    def _run(self, wanted: tuple[str, ...], table: dict[str, list[int]], *, exact: bool) -> list[Place]:
        first = wanted[0] if exact else self.form(wanted[0])
        return [
            Place(place.first, len(wanted))
            for place in _places(table.get(first, []))
            if place.count == 1 and self._follows(wanted, place.first, exact=exact)
        ]

    def _follows(self, wanted: tuple[str, ...], first: int, *, exact: bool, prefix: bool = False) -> bool:
        there = self.words[first : first + len(wanted)]
        if len(there) < len(wanted) or "" in there:
            return False
        if prefix and not there.pop().startswith(wanted[-1]):
            return False
        return all(
            word == want if exact else self.form(word) == self.form(want)
            for word, want in zip(there, wanted, strict=False)
        )

    def _prefixed(self, term: Term) -> list[Place]:
        opening, count = "".join(term.words), len(term.words)
        forms = self._forms[bisect_left(self._forms, opening) : bisect_left(self._forms, opening + "\U0010ffff")]
        codes = {code for form in forms for table in (self.exact, self.loose) for code in table.get(form, ())}
        found = set(_places(codes))
        if count > 1:
            starts = range(len(self.words) - count)
            found |= {Place(at, count) for at in starts if self._follows(term.words, at, exact=False, prefix=True)}
        return sorted(found, key=_order)

    @cached_property
    def _forms(self) -> list[str]:
        return sorted({*self.exact, *self.loose})

    def span(self, place: Place) -> tuple[int, int, int]:
        """Where a place is in characters: number of the text, start, end."""
        return self._text_of[place.first], self._starts[place.first], self._ends[place.first + place.count - 1]


def _places(codes: Iterable[int]) -> list[Place]:
    return [Place(code >> 3, code & 7) for code in codes]
