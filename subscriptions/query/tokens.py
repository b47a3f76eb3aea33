"""Text to tokens: words, quotations, fields, operators and signs, each with its place."""

import re
from typing import NamedTuple

from subscriptions.query.tree import LABEL_FIELDS, RANGE_FIELDS, WORD_FIELDS

#: What people write for a field; arXiv's own short names are among them.
FIELDS = {name: name for name in (*WORD_FIELDS, *LABEL_FIELDS, *RANGE_FIELDS)} | {
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
    text = text.translate(_QUOTES)
    found = []
    for match in _TOKEN.finditer(text):
        kind = str(match.lastgroup)
        token = Token(kind, match[kind], match.start(kind), match.end())
        if kind == "chunk":
            if token.text in OPERATORS:
                token = token._replace(kind=token.text)
        elif kind == "field":
            name = token.text.rstrip().removesuffix(":")
            # "Widgets: a survey" holds no field
            known = not token.text[-1].isspace() or name.lower() in FIELDS
            token = token._replace(kind="field" if known else "chunk", text=name if known else token.text)
        found.append(token)
    found.append(Token("end", "", len(text), len(text)))
    return found
