"""Text to tokens: words, quotations, fields, operators and signs, each with its place."""

import re
from typing import NamedTuple

from subscriptions.query.tree import LABEL_FIELDS, NEAR_FIELDS, RANGE_FIELDS, WORD_FIELDS

#: What people write for a field; arXiv's own short names are among them.
FIELDS = {name: name for name in (*WORD_FIELDS, *LABEL_FIELDS, *RANGE_FIELDS, *NEAR_FIELDS)} | {
    "ti": "title",
    "abs": "abstract",
    "au": "author",
    "authors": "author",
    "organization": "org",
    "category": "cat",
    "keywords": "keyword",
    "arxiv": "id",
    "upvotes": "votes",
}

_TOKEN = re.compile(
    r"""\s*+(?:(?P<open>\() | (?P<close>\))
      | (?P<field>[^\W\d_]+:(?!//)\s*)
      | (?P<minus>-)(?=[^\s\-)])
      | (?P<quoted>"[^"]*")
      | (?P<unclosed>")
      | (?P<range>(?:[<>]=?|=)\s*)(?=[\w-])
      | (?P<chunk>[^\s()"]+))""",
    re.VERBOSE,
)
OPERATORS = frozenset({"AND", "OR", "NOT"})
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»", '"'))


class Token(NamedTuple):
    """`kind` is open, close, field, minus, quoted, unclosed, range, chunk, AND, OR, NOT or end."""

    kind: str
    text: str
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """The tokens of a text and an end. Quotation marks of every hand count as straight ones."""
    if not text.isascii():
        text = text.translate(_QUOTES)
    found = []
    for match in _TOKEN.finditer(text):
        kind = str(match.lastgroup)
        said = match[kind]
        if kind == "chunk":
            if said in OPERATORS:
                kind = said
            found.append(Token(kind, said, match.start("chunk"), match.end()))
        elif kind == "field":
            name = said.rstrip().removesuffix(":")
            # "Widgets: a survey" holds no field
            known = not said[-1].isspace() or name.lower() in FIELDS
            kind, said = ("field", name) if known else ("chunk", said)
            found.append(Token(kind, said, match.start("field"), match.end()))
        else:
            found.append(Token(kind, said, match.start(kind), match.end()))
    found.append(Token("end", "", len(text), len(text)))
    return found
