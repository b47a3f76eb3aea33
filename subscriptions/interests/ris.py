"""RIS: a tag of two signs, two blanks, a dash, a blank, the value; `ER` ends a work."""

import re

from subscriptions.interests.reference import Reference
from subscriptions.sentences import Sentence

_LINE = re.compile(r"([A-Z][A-Z0-9]) {1,2}- ?(.*)")


def read(text: str) -> tuple[list[Reference], list[Sentence]]:
    """The works, and what was not understood."""
    works: list[Reference] = []
    left_out: list[Sentence] = []
    title = ""
    authors: list[str] = []
    keywords: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        found = _LINE.fullmatch(line.strip("\ufeff").rstrip())
        if not found:
            if line.strip() and (not keywords or line[:1].strip()):
                left_out.append(
                    Sentence("Line %(number)s is no line of RIS: %(line)s", number=number, line=line.strip()[:60])
                )
            continue
        tag, value = found[1], found[2].strip()
        if tag in {"TI", "T1"}:
            title = title or value
        elif tag in {"AU", "A1", "A2"} and value:
            authors.append(_turned(value))
        elif tag == "KW":
            keywords += [word.strip() for word in re.split(r"[;,]", value) if word.strip()]
        elif tag == "ER":
            works.append(Reference(title, tuple(authors), tuple(keywords)))
            title, authors, keywords = "", [], []
    if title or authors or keywords:
        left_out.append(Sentence("The last work has no end (ER): %(title)s", title=title[:60]))
    return works, left_out


def _turned(name: str) -> str:
    """`Lovelace, Ada` as people write it."""
    last, comma, first = name.partition(",")
    return f"{first.split(',')[0].strip()} {last.strip()}".strip() if comma else name
