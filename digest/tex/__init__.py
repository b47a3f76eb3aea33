"""TeX as authors write it in titles and abstracts → readable Unicode.

One pass over tokens with a bounded depth; pylatexenc supplies the symbols. Its own walker is not used: it recurses
without bound, logs, keeps `x^2` as it stands, and outside mathematics eats `R&D`.
"""

import re

from digest.tex.macros import Macros
from digest.tex.tokens import TOKEN

#: the longest `$…$` that is taken for mathematics
MATH_LENGTH = 1500
_CLOSERS = {"$": "$", "$$": "$$", r"\(": r"\)", r"\[": r"\]"}
_WORD = re.compile(r"[A-Za-z]{2,}")


def text(source: str) -> str:
    """`source` with its mathematics, accents and markup written in Unicode; white space is not mended."""
    parts = _parts(source)
    read: list[str] = []
    for index, (math, part) in enumerate(parts):
        after = parts[index + 1][1][:1] if index + 1 < len(parts) else ""
        read.append(Macros(part, math=math, before="".join(read[-1:])[-1:], after=after).read())
    return "".join(read)


def _parts(source: str) -> list[tuple[bool, str]]:
    """Cut into (is mathematics, text without its delimiters)."""
    marks = [found.span() for found in TOKEN.finditer(source) if found[0] in _CLOSERS or found[0] in (r"\)", r"\]")]
    following = _next_alike(source, marks)
    parts: list[tuple[bool, str]] = []
    at = index = 0
    while index < len(marks):
        start, after_opener = marks[index]
        closer = following[index]
        if closer is None or not _is_math(source, after_opener, *marks[closer], opener=source[start:after_opener]):
            index += 1
            continue
        parts += [(False, source[at:start]), (True, source[after_opener : marks[closer][0]])]
        at, index = marks[closer][1], closer + 1
    return [*parts, (False, source[at:])]


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
