"""Letters of mathematics in another style: browsers know none of MathML's old styles, but Unicode has the letters."""

import re
import unicodedata
from itertools import chain

_RANGES = chain(range(0x2102, 0x2135), range(0x1D400, 0x1D800))
_KIND = re.compile(r"(?:MATHEMATICAL )?(.+?) (?:CAPITAL|SMALL|DIGIT) .+")
#: Unicode's names of styles, where they are not MathML's
_NAMES = {"BLACK-LETTER": "fraktur", "BOLD ITALIC": "bold-italic", "SANS-SERIF BOLD": "bold-sans-serif",
          "SANS-SERIF ITALIC": "sans-serif-italic"}  # fmt: skip


def _alphabets() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for character in map(chr, _RANGES):
        kind = _KIND.fullmatch(unicodedata.name(character, ""))
        plain = unicodedata.normalize("NFKC", character)
        if kind and plain != character:
            found.setdefault(_NAMES.get(kind[1], kind[1].lower()), {})[plain] = character
    return found


_ALPHABETS = _alphabets()


def styled(text: str, style: str) -> str:
    """`text` in a style as MathML's `mathvariant` names it; a character that has no such form stays."""
    table = _ALPHABETS.get(style, {})
    return "".join(table.get(character, character) for character in text)
