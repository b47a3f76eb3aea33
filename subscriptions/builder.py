"""The topic language written for people who would rather not: a few plain wishes become one query."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_PARTS = re.compile(r'"([^"]*)"|([^\s"]+)')
#: What needs no quotation marks; without them a word is found in its other forms too.
_PLAIN = re.compile(r"[^\W_]+(?:-[^\W_]+)*\*?")
_CATEGORY = re.compile(r"[\w.*-]+", re.ASCII)
#: What the topic language takes for quotation marks.
_MARKS = str.maketrans(dict.fromkeys("“”„‟«»", '"'))
_OPERATORS = frozenset({"AND", "OR", "NOT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a topic should hold. Words are as people type them: `robot, world models` or `robot "world models"`."""

    every: str = ""
    some: str = ""
    none: str = ""
    authors: str = ""
    categories: str = ""
    votes: int = 0
    has_code: bool = False
    about: str = ""


def query(parts: Parts) -> str:
    """The query of these parts, "" where nothing is asked for. Whether it can be read, `parse` says."""
    pieces = [
        *map(term, split(parts.every)),
        any_of(map(term, split(parts.some))),
        any_of(f"author:{quoted(name)}" for name in by_commas(parts.authors)),
        any_of(f"cat:{name}" for name in _CATEGORY.findall(parts.categories)),
        f"about:{quoted(parts.about)}" if parts.about.strip() else "",
        f"votes:>={parts.votes}" if parts.votes else "",
        "has:code" if parts.has_code else "",
        *(f"-{term(word)}" for word in split(parts.none)),
    ]
    return " ".join(piece for piece in pieces if piece)


def split(text: str) -> list[str]:
    """Words and phrases: commas part them where there are some, else spaces outside quotation marks do."""
    text = text.translate(_MARKS)
    if "," in text:
        return by_commas(text)
    return [" ".join((phrase or word).split()) for phrase, word in _PARTS.findall(text) if phrase.strip() or word]


def by_commas(text: str) -> list[str]:
    return [piece for part in re.split(r"[,;\n]", text) if (piece := _bare(part))]


def term(words: str) -> str:
    return words if _PLAIN.fullmatch(words) and words.upper() not in _OPERATORS else quoted(words)


def quoted(words: str) -> str:
    return f'"{_bare(words)}"'


def _bare(words: str) -> str:
    return " ".join(words.translate(_MARKS).replace('"', " ").split())


def any_of(terms: Iterable[str]) -> str:
    found = list(dict.fromkeys(terms))
    return f"({' OR '.join(found)})" if len(found) > 1 else "".join(found)
