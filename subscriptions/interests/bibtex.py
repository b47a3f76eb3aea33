"""BibTeX, as far as topics need it: entries, their fields, and braces that may be nested."""

import re

from subscriptions.interests.reference import Reference
from subscriptions.sentences import Sentence

_ENTRY = re.compile(r"@(\w+)\s*([{(])")
_FIELD = re.compile(r"[\s,]*([\w-]+)\s*=\s*")
_NEXT = re.compile(r"\n[ \t]*@\w+[ \t]*[{(]")
_SIGN = re.compile(r"\\.|[{})]|\n[ \t]*@\w+[ \t]*[{(]", re.DOTALL)
_SKIPPED = frozenset({"comment", "string", "preamble"})
_ACCENTS = {"`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", '"': "\u0308", "=": "\u0304", ".": "\u0307",
            "c": "\u0327", "v": "\u030c", "u": "\u0306", "H": "\u030b", "r": "\u030a", "k": "\u0328"}  # fmt: skip
_ACCENT = re.compile(r"\{?\\(?:([`'^~\"=.])\s*\{?\\?(\w)\}?|([cvuHrk])\s*(?:\{(\w)\}|\s(\w)))\}?")
_LETTERS = {r"\ss": "ß", r"\o": "ø", r"\O": "Ø", r"\l": "ł", r"\L": "Ł", r"\ae": "æ", r"\aa": "å", r"\AA": "Å"}
_LETTER = re.compile(r"\\(?:ss|o|O|l|L|ae|aa|AA)(?![A-Za-z])")


def read(text: str) -> tuple[list[Reference], list[Sentence]]:
    """The works, and what was not understood."""
    works: list[Reference] = []
    left_out: list[Sentence] = []
    at = 0
    while found := _ENTRY.search(text, at):
        kind = found[1].lower()
        end = _end(text, found.end(), "}" if found[2] == "{" else ")")
        if end < 0:
            entry = text[found.start() : found.start() + 60].strip()
            left_out.append(Sentence("An entry is never closed: %(entry)s", entry=entry))
            following = _NEXT.search(text, found.end())
            if following is None:
                break
            at = following.start()
            continue
        if kind not in _SKIPPED:
            key, _, body = text[found.end() : end].partition(",")
            fields = _fields(body)
            if fields:
                works.append(_reference(fields))
            else:
                left_out.append(Sentence("The entry %(key)s has no fields.", key=key.strip()[:60]))
        at = end + 1
    return works, left_out


def _end(text: str, at: int, sign: str) -> int:
    """Where the entry that begins at `at` is closed; -1 where the next begins before."""
    depth = 0
    for place in _SIGN.finditer(text, at):
        match place[0]:
            case "{":
                depth += 1
            case "}" if depth:
                depth -= 1
            case found if found == sign and not depth:
                return place.start()
            case found if found.startswith("\n"):
                return -1
    return -1


def _fields(body: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    at = 0
    while found := _FIELD.match(body, at):
        value, at = _value(body, found.end())
        fields.setdefault(found[1].lower(), value)
    return fields


def _value(body: str, at: int) -> tuple[str, int]:
    """A value in braces, in quotation marks, or bare; and where it ends."""
    opened = body[at : at + 1]
    if opened not in {"{", '"'}:
        end = re.compile(r"[,\n]|$").search(body, at)
        assert end is not None
        return body[at : end.start()].strip(), end.start()
    depth = 0
    for place in re.compile(r'\\.|[{}"]', re.DOTALL).finditer(body, at + 1):
        sign = place[0]
        if not depth and sign == ("}" if opened == "{" else '"'):
            return body[at + 1 : place.start()], place.end()
        depth += (sign == "{") - (sign == "}")
    return body[at + 1 :], len(body)


def _reference(fields: dict[str, str]) -> Reference:
    names = [_name(name) for name in " ".join(fields.get("author", "").split()).split(" and ")]
    keywords = fields.get("keywords", fields.get("keyword", ""))
    words = [_plain(word) for word in re.split(r"[;,]", keywords)]
    return Reference(_plain(fields.get("title", "")), tuple(filter(None, names)), tuple(filter(None, words)))


def _name(text: str) -> str:
    last, comma, first = _plain(text).partition(",")
    name = f"{first.rpartition(',')[2].strip()} {last.strip()}".strip() if comma else last.strip()
    return "" if name.lower() == "others" else name


def _plain(text: str) -> str:
    """Without TeX's braces; accents become letters."""
    text = _ACCENT.sub(lambda one: (one[2] or one[4] or one[5]) + _ACCENTS[one[1] or one[3]], text)
    text = _LETTER.sub(lambda one: _LETTERS[one[0]], text)
    return " ".join(re.sub(r"\\(?=[&%$#_])|[{}]", "", text).split())
