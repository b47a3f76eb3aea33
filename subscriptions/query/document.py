"""What a query can see of a paper, and its words in the form in which terms look for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from subscriptions.query.tree import NAME_FIELDS, WORD_FIELDS, Term
from subscriptions.query.words import Word, stem, words

#: Parts of a compound that are joined at most; longer chains are words that somebody strung together.
LONGEST_COMPOUND = 4


@dataclass(frozen=True, eq=False)
class Document:
    """A paper as the topic language sees it. Unknown numbers are 0, an unknown day is None."""

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
    """The words of one field. Word numbers leave a gap between texts, so that no phrase spans two authors."""

    def __init__(self, texts: tuple[str, ...], *, names: bool) -> None:
        self.names = names
        self.words: list[Word | None] = []
        self.text_of: list[int] = []
        #: form → places, for quoted words and for others: those find plurals and joined compounds too
        self.exact: dict[str, list[Place]] = {}
        self.loose: dict[str, list[Place]] = {}
        for number, text in enumerate(texts):
            chain: list[Word] = []
            for word in words(text):
                chain = [*chain[1 - LONGEST_COMPOUND :], word] if word.hyphen else [word]
                self._add(word, chain, number)
            self.words.append(None)
            self.text_of.append(number)

    def _add(self, word: Word, chain: list[Word], text: int) -> None:
        here = len(self.words)
        self.words.append(word)
        self.text_of.append(text)
        self.exact.setdefault(word.exact, []).append(Place(here, 1))
        last = self.form(word.exact)
        self.loose.setdefault(last, []).append(Place(here, 1))
        joined = last
        for count, before in enumerate(reversed(chain[:-1]), start=2):
            joined = before.exact + joined
            self.loose.setdefault(joined, []).append(Place(here + 1 - count, count))

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
        found = self.loose.get("".join(before) + self.form(last), [])
        if not before:
            return found
        return sorted({*found, *self._run(term.words, self.loose, exact=False)}, key=_order)

    def _run(self, wanted: tuple[str, ...], table: dict[str, list[Place]], *, exact: bool) -> list[Place]:
        first = wanted[0] if exact else self.form(wanted[0])
        return [
            Place(place.first, len(wanted))
            for place in table.get(first, [])
            if place.count == 1 and self._follows(wanted, place.first, exact=exact)
        ]

    def _follows(self, wanted: tuple[str, ...], first: int, *, exact: bool, prefix: bool = False) -> bool:
        if first + len(wanted) > len(self.words):
            return False
        for number, want in enumerate(wanted):
            word = self.words[first + number]
            if word is None:
                return False
            if prefix and number == len(wanted) - 1:
                if not word.exact.startswith(want):
                    return False
            elif (word.exact != want) if exact else (self.form(word.exact) != self.form(want)):
                return False
        return True

    def _prefixed(self, term: Term) -> list[Place]:
        opening, count = "".join(term.words), len(term.words)
        found = {place for form, places in self.exact.items() if form.startswith(opening) for place in places}
        found |= {place for form, places in self.loose.items() if form.startswith(opening) for place in places}
        if count > 1:
            starts = range(len(self.words) - count)
            found |= {Place(at, count) for at in starts if self._follows(term.words, at, exact=False, prefix=True)}
        return sorted(found, key=_order)

    def span(self, place: Place) -> tuple[int, int, int]:
        """Where a place is in characters: number of the text, start, end."""
        first, last = self.words[place.first], self.words[place.first + place.count - 1]
        assert first is not None and last is not None
        return self.text_of[place.first], first.start, last.end
