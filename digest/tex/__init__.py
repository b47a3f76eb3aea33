"""TeX as authors write it in titles and abstracts → readable Unicode.

One pass over tokens with a bounded depth; pylatexenc supplies the symbols. Its own walker is not used: it recurses
without bound, logs, keeps `x^2` as it stands, and outside mathematics eats `R&D`.
"""

import re
from dataclasses import dataclass

from digest.tex.macros import Macros
from digest.tex.tokens import TOKEN

#: the longest `$…$` that is taken for mathematics
MATH_LENGTH = 1500
_CLOSERS = {"$": "$", "$$": "$$", r"\(": r"\)", r"\[": r"\]"}
_WORD = re.compile(r"[A-Za-z]{2,}")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a text: words, or one formula without its delimiters."""

    source: str
    reading: str  # in Unicode
    is_math: bool
    is_block: bool = False  # a formula that stands on a line of its own


def text(source: str) -> str:
    """`source` with its mathematics, accents and markup written in Unicode; white space is not mended."""
    return "".join(part.reading for part in parts(source))


def parts(source: str) -> list[Part]:
    """`source` cut into words and formulas, in their order."""
    cut = _cut(source)
    read: list[Part] = []
    for index, (opener, part) in enumerate(cut):
        before = read[-1].reading[-1:] if read else ""
        after = cut[index + 1][1][:1] if index + 1 < len(cut) else ""
        reading = Macros(part, math=bool(opener), before=before, after=after).read()
        read.append(Part(part, reading, is_math=bool(opener), is_block=opener in ("$$", r"\[")))
    return read


def _cut(source: str) -> list[tuple[str, str]]:
    """Cut into (what opens mathematics, or nothing; text without its delimiters)."""
    marks = [found.span() for found in TOKEN.finditer(source) if found[0] in _CLOSERS or found[0] in (r"\)", r"\]")]
    following = _next_alike(source, marks)
    parts: list[tuple[str, str]] = []
    at = index = 0
    while index < len(marks):
        start, after_opener = marks[index]
        opener = source[start:after_opener]
        closer = following[index]
        if closer is None or not _is_math(source, after_opener, *marks[closer], opener=opener):
            index += 1
            continue
        parts += [("", source[at:start]), (opener, source[after_opener : marks[closer][0]])]
        at, index = marks[closer][1], closer + 1
    return [*parts, ("", source[at:])]


def _next_alike(source: str, marks: list[tuple[int, int]]) -> list[int | None]:
    """For each mark the index of the next one that could close it."""
    nearest: dict[str, int] = {}
    following: list[int | None] = [None] * len(marks)
    for index in range(len(marks) - 1, -1, -1):
        mark = source[slice(*marks[index])]
        following[index] = nearest.get(_CLOSERS.get(mark, ""))
        nearest[mark] = index
    return following


def _is_math(source: str, start: int, end: int, after: int, *, opener: str) -> bool:
    """Whether source[start:end] is mathematics and not the words between two prices."""
    if not 0 < end - start <= MATH_LENGTH:
        return False
    inside = source[start:end]
    if not inside.strip() or re.search(r"\n\s*\n", inside):
        return False
    if opener != "$":
        return True
    if not any(character.isalnum() or character.isspace() for character in inside):
        return True
    digit_follows = source[after : after + 1].isdigit()
    if re.search(r"[\\^_]", inside):
        return not (digit_follows and inside[-1].isspace())
    if inside[0].isspace() or inside[-1].isspace() or digit_follows:
        return False
    words = len(_WORD.findall(inside))
    return words < 3 and not (words and inside[0].isdigit() and " " in inside)
