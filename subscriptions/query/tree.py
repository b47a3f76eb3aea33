"""A query as a tree of frozen values, each of which prints itself in the topic language."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

#: Fields of words, in the order in which they tell best what a paper is about.
WORD_FIELDS = ("title", "keyword", "abstract", "author", "org")
#: Where a word without a field is looked for.
DEFAULT_FIELDS = ("title", "keyword", "abstract")
#: Fields whose words are names, never plurals.
NAME_FIELDS = ("author", "org")
LABEL_FIELDS = ("cat", "source", "id", "has")
RANGE_FIELDS = ("votes", "stars", "comments", "year", "date")
#: Fields of meaning: close to a paper, or to a text.
NEAR_FIELDS = ("like", "about")


@dataclass(frozen=True, slots=True)
class Term:
    """Words that must stand side by side in one field; several without quotes are a compound such as vision-language.

    `words` are folded (`words.fold`); `field` "" means DEFAULT_FIELDS; `prefix` opens the end of the last word.
    """

    words: tuple[str, ...]
    field: str = ""
    quoted: bool = False
    prefix: bool = False
    _hash: int = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.words, self.field, self.quoted, self.prefix)))

    def __hash__(self) -> int:  # terms are looked up by the million
        return self._hash

    def __str__(self) -> str:
        text = f'"{" ".join(self.words)}"' if self.quoted else "-".join(self.words) + "*" * self.prefix
        return f"{self.field}:{text}" if self.field else text


@dataclass(frozen=True, slots=True)
class Label:
    """A category, source, id or property; `cat:cs` holds for cs.CL as well."""

    field: str
    value: str

    def __str__(self) -> str:
        plain = self.value[:1].isalnum() and all(sign.isalnum() or sign in "._/-" for sign in self.value)
        return f"{self.field}:{self.value}" if plain else f'{self.field}:"{self.value}"'


@dataclass(frozen=True, slots=True)
class Range:
    """A number within bounds, both included; dates are proleptic ordinals (`date.toordinal`). None is no bound."""

    field: str
    low: int | None
    high: int | None

    def __str__(self) -> str:
        low, high = self._show(self.low), self._show(self.high)
        if self.low == self.high:
            return f"{self.field}:{low}"
        if self.high is None:
            return f"{self.field}:>={low}"
        return f"{self.field}:<={high}" if self.low is None else f"{self.field}:{low}..{high}"

    def _show(self, value: int | None) -> str:
        if value is None:
            return ""
        return date.fromordinal(value).isoformat() if self.field == "date" else str(value)


@dataclass(frozen=True, slots=True)
class Near:
    """Close in meaning to a paper (`like`, its id) or to a text (`about`).

    `query.meaning` fills in the vector to be close to (int8) and the least product that is close; before that, and
    where there is no such paper, a leaf never holds. Both are no part of what the query says.
    """

    field: str
    value: str
    vector: bytes = dataclasses.field(default=b"", repr=False, compare=False)
    least: int = dataclasses.field(default=0, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.field}:{self.value}" if self.field == "like" else f'{self.field}:"{self.value}"'


@dataclass(frozen=True, slots=True)
class Not:
    part: "Query"

    def __str__(self) -> str:
        return f"NOT ({self.part})" if isinstance(self.part, And | Or) else f"NOT {self.part}"


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple["Query", ...]

    def __str__(self) -> str:
        return " ".join(f"({part})" if isinstance(part, Or) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple["Query", ...]

    def __str__(self) -> str:
        return " OR ".join(str(part) for part in self.parts)


Leaf: TypeAlias = Term | Label | Range | Near
Query: TypeAlias = Leaf | Not | And | Or


def all_of(parts: Iterable[Query]) -> Query:
    """AND in its one normal form: no AND directly inside, never a single part."""
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, And) else (part,))]
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def any_of(parts: Iterable[Query]) -> Query:
    """OR in its one normal form."""
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, Or) else (part,))]
    return flat[0] if len(flat) == 1 else Or(tuple(flat))


def none_of(part: Query) -> Query:
    """NOT in its one normal form: two of them cancel out."""
    return part.part if isinstance(part, Not) else Not(part)
