"""Text to query. Every error has a place in the text and, where there is one, the text that was probably meant."""

import difflib
import re
import unicodedata
from calendar import monthrange
from datetime import date
from functools import lru_cache

from subscriptions.query.tokens import FIELDS, OPERATORS, Token, tokens
from subscriptions.query.tree import (
    LABEL_FIELDS,
    NAME_FIELDS,
    NEAR_FIELDS,
    RANGE_FIELDS,
    WORD_FIELDS,
    Label,
    Near,
    Query,
    Range,
    Term,
    all_of,
    any_of,
    none_of,
)
from subscriptions.query.words import words

LONGEST = 2_000
MOST_TERMS = 200
DEEPEST = 30
SHORTEST_PREFIX = 2
MOST_NUMBER = 10**9
_LAST_DAY = date.max.toordinal()
PROPERTIES = ("code", "project", "summary", "thumbnail")

_WORDS = frozenset({"chunk", "quoted"})
_BEGINNINGS = _WORDS | {"open", "field", "NOT", "minus", "range"}
_AFTER_AND = frozenset({"OR", "close", "end"})
_PLAIN = re.compile(r"[^\W_]+(?: [^\W_]+)*")
_BARE_ID = re.compile(r"\d{4}\.\d{4,5}(?:v\d+)?", re.ASCII)
#: A comparison that somebody wrote without its colon.
_NO_COLON = re.compile(rf"(?P<field>{'|'.join(RANGE_FIELDS)})(?P<rest>[<>]=?.+|=.+)", re.IGNORECASE)
_ID = re.compile(
    r"(?:arxiv:)?(?P<id>\d{4}\.\d{4,5}|[a-z-]+(?:\.[a-z]{2})?/\d{7}|[\w.-]+?)(?:v\d+)*", re.IGNORECASE | re.ASCII
)


class QueryError(ValueError):
    """A query that cannot be read. `position` and `length` count characters of the text as it was given.

    `suggestion` is a whole query to try instead, or "" where none suggests itself.
    """

    def __init__(self, message: str, *, position: int = 0, length: int = 0, suggestion: str = "") -> None:
        super().__init__(message)
        self.message, self.position, self.length, self.suggestion = message, position, length, suggestion


def parse(text: str) -> Query:
    """Read a query of the topic language. Raises QueryError."""
    if len(text) > LONGEST:
        raise QueryError(
            f"A query may have {LONGEST:,} characters; this one has {len(text):,}. Make two topics of it.",
            position=LONGEST,
            length=len(text) - LONGEST,
        )
    if _PLAIN.fullmatch(text) and OPERATORS.isdisjoint(said := text.split(" ")):
        # What most people write; it needs no grammar, and there may be a hundred thousand of them.
        terms = [leaf for word in said if (leaf := _leaf(word, ""))]
        if len(terms) == len(said) <= MOST_TERMS:
            return all_of(terms)
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str, *, advising: bool = True) -> None:
        self.text = text
        self.advising = advising
        self.tokens = tokens(text)
        self.place = 0
        self.terms = 0

    # The grammar --------------------------------------------------------------------------------------------------

    def whole(self) -> Query:
        if unclosed := next((token for token in self.tokens if token.kind == "unclosed"), None):
            suggestion = self.text.rstrip() + '"'
            raise self.error("This quotation mark is never closed.", unclosed, suggestion=suggestion)
        if self.peek().kind == "end":
            raise QueryError("The query is empty: write the words you want to find, such as robot video.")
        query = self.either(field="", depth=0)
        if self.peek().kind != "end":  # nothing but a closing parenthesis ends a query early
            raise self.error("This parenthesis closes nothing.", self.peek(), without=True)
        return query

    def either(self, *, field: str, depth: int) -> Query:
        parts = [self.both(field=field, depth=depth)]
        while self.take("OR"):
            parts.append(self.both(field=field, depth=depth))
        return parts[0] if len(parts) == 1 else any_of(parts)

    def both(self, *, field: str, depth: int) -> Query:
        parts = [self.part(field=field, depth=depth)]
        while self.tokens[self.place].kind not in _AFTER_AND:
            self.take("AND")
            parts.append(self.part(field=field, depth=depth))
        return parts[0] if len(parts) == 1 else all_of(parts)

    def part(self, *, field: str, depth: int) -> Query:
        token = self.next()
        if token.kind in _WORDS:
            return self.term(token, field=field)
        if depth > DEEPEST:
            raise self.error(f"Parentheses and NOTs go more than {DEEPEST} deep: write it flatter.", token)
        if token.kind in {"NOT", "minus"}:
            return none_of(self.part(field=field, depth=depth + 1))
        if token.kind == "open":
            return self.group(token, field=field, depth=depth)
        if token.kind == "field":
            if field:
                raise self.error(f"{token.text}: cannot stand inside the parentheses of {field}:.", token)
            return self.fielded(token, depth=depth)
        return self.term(token, field=field)

    def group(self, opening: Token, *, field: str, depth: int) -> Query:
        if self.peek().kind == "close":
            raise self.error("There is nothing between these parentheses.", opening, to=self.peek(), without=True)
        query = self.either(field=field, depth=depth + 1)
        if not self.take("close"):
            raise self.error("This parenthesis is never closed.", opening, suggestion=self.text.rstrip() + ")")
        return query

    def fielded(self, token: Token, *, depth: int) -> Query:
        name = FIELDS.get(token.text.lower())
        if name is None:
            raise self.unknown(token)
        value = self.peek()
        if name in {"id", "like"} and value.kind == "field" and FIELDS.get(value.text.lower()) == "id":  # arXiv:2606.…
            self.place += 1
            value = self.peek()
        if value.kind in {"end", "close", "AND", "OR", "NOT", "minus", "field"}:
            raise self.error(f"{name}: needs something after it, such as {_EXAMPLES[name]}.", token)
        self.place += 1
        if value.kind == "open":
            if name not in WORD_FIELDS:
                raise self.error(f"{name}: takes one value, such as {_EXAMPLES[name]}, and no parentheses.", value)
            return self.group(value, field=name, depth=depth)
        if name in RANGE_FIELDS:
            return self.count(value, self.range(value, field=name))
        if name in NEAR_FIELDS:
            return self.count(value, self.near(value, name))
        return self.count(value, self.label(value, name)) if name in LABEL_FIELDS else self.term(value, field=name)

    # Leaves -------------------------------------------------------------------------------------------------------

    def term(self, token: Token, *, field: str) -> Query:
        if token.kind == "range":
            raise self.error("A comparison needs a field before it, such as votes:>=20.", token)
        leaf = _leaf(token.text, field)
        return self.count(token, leaf) if leaf else self.no_term(token, field=field)

    def no_term(self, token: Token, *, field: str) -> Query:
        """Say what is wrong with a token that is no term; a bare id is one of another kind."""
        if not field and _BARE_ID.fullmatch(token.text):
            return self.count(token, self.label(token, "id"))
        if not field and (found := _NO_COLON.fullmatch(token.text)):
            meant = f"{found['field']}:{found['rest']}"
            raise self.error(f"A comparison needs a colon: {meant}", token, put=meant)
        if not any(words(token.text)):
            raise self.error(f"There is no word in {token.text}.", token, without=True)
        if "*" in token.text.rstrip("*"):
            raise self.error("The star stands at the end of a word: transform* finds transformer.", token)
        raise self.error(f"A star needs {SHORTEST_PREFIX} letters or more before it.", token)

    def label(self, token: Token, field: str) -> Label:
        if token.kind == "range":
            raise self.error(f"{field}: is not compared: write {_EXAMPLES[field]}.", token, without=True)
        value = token.text.strip('"').strip()
        if field == "id":
            return Label(field, self.identifier(token, value))
        value = re.sub(r"[*.\s]+$", "", value.lower())
        if field == "source":
            value = {"hf": "huggingface"}.get(value, value)
        if field == "has" and value not in PROPERTIES:
            raise self.error(f"has: takes one of {', '.join(PROPERTIES)}.", token, near=(value, PROPERTIES))
        if not value:
            raise self.error(f"{field}: needs something after it, such as {_EXAMPLES[field]}.", token)
        return Label(field, value)

    def near(self, token: Token, field: str) -> Near:
        if token.kind == "range":
            raise self.error(f"{field}: is not compared: write {_EXAMPLES[field]}.", token, without=True)
        value = unicodedata.normalize("NFC", re.sub(r"[*\s]+$", "", " ".join(token.text.strip('"').split())))
        if field == "like":
            return Near(field, self.identifier(token, value))
        if not any(words(value)):
            raise self.error(f"There is no word in {token.text}.", token, without=True)
        return Near(field, value)

    def identifier(self, token: Token, value: str) -> str:
        match = _ID.fullmatch(value)
        if not match:
            raise self.error(f"{value} is no id of a paper, such as {_EXAMPLES['id']}.", token)
        return match["id"].lower()

    def range(self, token: Token, *, field: str) -> Range:
        operator, number = "", token
        if token.kind == "range":
            operator, number = token.text.strip(), self.next()
        low, dots, high = number.text.strip('"').partition("..")
        lowest = self.bounds(number, low, field)[0]
        highest = self.bounds(number, high if dots else low, field)[1]
        if dots and operator:
            raise self.error("Write either a comparison or a range, not both.", token, to=number)
        if lowest > highest:
            raise self.error("This range ends before it begins.", number, put=f"{high}..{low}")
        if operator == "<" and lowest <= (1 if field == "date" else 0):
            raise self.error("Nothing is less than that.", token, to=number)
        table: dict[str, tuple[int | None, int | None]] = {
            ">": (min(highest + 1, _LAST_DAY if field == "date" else MOST_NUMBER), None),
            ">=": (lowest, None),
            "<": (None, lowest - 1),
            "<=": (None, highest),
        }
        return Range(field, *table.get(operator, (lowest, highest)))

    def bounds(self, token: Token, text: str, field: str) -> tuple[int, int]:
        """The first and last value that `text` means: a month of `date:` has many, a number one."""
        try:
            if field != "date":
                value = int(text) if text.isascii() else -1
                if not 0 <= value <= MOST_NUMBER:
                    raise ValueError
                return value, value
            parts = [int(part) for part in text.split("-")]
            if 0 in parts:
                raise ValueError
            year, month, day = parts + [0] * (3 - len(parts))
            first, last = date(year, month or 1, day or 1), date(year, month or 12, day or 1)
            last = last if day else last.replace(day=monthrange(last.year, last.month)[1])
            return first.toordinal(), last.toordinal()
        except (ValueError, OverflowError) as error:
            kind = "a day, month or year" if field == "date" else "a number"
            raise self.error(f"{field}: takes {kind}, such as {_EXAMPLES[field]}, not {text!r}.", token) from error

    def count(self, token: Token, leaf: Query) -> Query:
        self.terms += 1
        if self.terms > MOST_TERMS:
            raise self.error(f"A query may have {MOST_TERMS} terms. Make two topics of it.", token)
        return leaf

    # Tokens and errors ----------------------------------------------------------------------------------------------

    def peek(self) -> Token:
        return self.tokens[self.place]

    def take(self, kind: str) -> bool:
        self.place += (taken := self.tokens[self.place].kind == kind)
        return taken

    def next(self) -> Token:
        """The token that a term, a group or a NOT begins with."""
        token = self.tokens[self.place]
        if token.kind in _BEGINNINGS:
            self.place += 1
            return token
        before = self.tokens[self.place - 1] if self.place else None
        if token.kind == "end":
            assert before is not None  # an empty text is refused before
            if before.kind == "open":
                raise self.error("This parenthesis is never closed.", before, without=True)
            raise self.error(f"Something must follow {before.text}.", before, without=True)
        if token.kind in {"AND", "OR"}:
            raise self.error(f"{token.text} needs a word before it; to find the word itself write "
                             f'"{token.text.lower()}".', token, without=True)  # fmt: skip
        reason = f"Something must follow {before.text}." if before else "This parenthesis closes nothing."
        raise self.error(reason, before or token, without=True)

    def unknown(self, token: Token) -> QueryError:
        near = difflib.get_close_matches(token.text.lower(), FIELDS, n=1)
        if near:
            return self.error(f"There is no field {token.text}: (did you mean {near[0]}:?).", token, put=f"{near[0]}:")
        known = " ".join(f"{name}:" for name in (*WORD_FIELDS, *LABEL_FIELDS, *RANGE_FIELDS, *NEAR_FIELDS))
        rest = re.match(r'[^\s()"]*', self.text[token.end :])
        end = token.end + (rest.end() if rest else 0)
        whole = Token("chunk", self.text[token.start : end], token.start, end)
        return self.error(
            f"There is no field {token.text}: (fields are {known}). To find a colon's words, quote them.",
            whole,
            put='"{}"'.format(whole.text.replace(":", " ").strip()),
        )

    def error(
        self,
        message: str,
        token: Token,
        *,
        to: Token | None = None,
        without: bool = False,
        put: str = "",
        near: tuple[str, tuple[str, ...]] | None = None,
        suggestion: str = "",
    ) -> QueryError:
        """An error at `token` (as far as `to`), suggesting the text without it, or with something in its place."""
        end = (to or token).end
        if near and (close := difflib.get_close_matches(near[0], near[1], n=1)):
            put = close[0]
        if put or without:
            suggestion = self.text[: token.start] + put + self.text[end:]
        suggestion = re.sub(r"\s+", " ", suggestion).strip()
        if not (self.advising and _reads(suggestion)):
            suggestion = ""
        return QueryError(message, position=token.start, length=end - token.start, suggestion=suggestion)


@lru_cache(maxsize=100_000)
def _leaf(text: str, field: str) -> Term | None:
    """The term a token stands for; None for one that is no term. People use the same words over and over."""
    quoted = text.startswith('"')
    if not quoted and not field and (_BARE_ID.fullmatch(text) or _NO_COLON.fullmatch(text)):
        return None
    text = unicodedata.normalize("NFC", text)  # as papers are: an accent on its own would part a word
    found = tuple(word.exact for word in words(text))
    prefix = not quoted and text.endswith("*")
    starred = not quoted and "*" in text.rstrip("*")
    if not found or starred or (prefix and len(found[-1]) < SHORTEST_PREFIX):
        return None
    return Term(found, field, quoted, prefix)


def _reads(text: str) -> bool:
    """A suggestion that cannot be read itself is none."""
    try:
        return 0 < len(text) <= LONGEST and bool(_Parser(text, advising=False).whole())
    except QueryError:
        return False


_EXAMPLES = {
    "title": 'title:"world model"',
    "abstract": "abstract:benchmark",
    "keyword": "keyword:distillation",
    "author": 'author:"Ada Lovelace"',
    "org": "org:inria",
    "cat": "cat:cs.CL",
    "source": "source:huggingface",
    "id": "id:2606.01234",
    "has": "has:code",
    "votes": "votes:>=20",
    "stars": "stars:>100",
    "comments": "comments:>=3",
    "year": "year:2026",
    "date": "date:>=2026-06-01",
    "like": "like:2606.01234",
    "about": 'about:"robots that learn from video"',
}
assert _EXAMPLES.keys() == {*WORD_FIELDS, *LABEL_FIELDS, *RANGE_FIELDS, *NEAR_FIELDS}
assert set(NAME_FIELDS) <= set(WORD_FIELDS)
