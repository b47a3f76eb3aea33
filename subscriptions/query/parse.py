"""Text to query. Every error has a place in the text and, where there is one, the text that was probably meant."""

import difflib
import re
import unicodedata
from calendar import monthrange
from datetime import date
from functools import lru_cache

from subscriptions.query import refusals
from subscriptions.query.refusals import EXAMPLES, QueryError
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
from subscriptions.sentences import Sentence

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


def parse(text: str) -> Query:
    """Read a query of the topic language. Raises QueryError."""
    if len(text) > LONGEST:
        raise QueryError(
            Sentence(
                "A query may have %(most)s characters; this one has %(count)s. Make two topics of it.",
                most=LONGEST,
                count=len(text),
            ),
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
            raise self.error(Sentence("This quotation mark is never closed."), unclosed, suggestion=suggestion)
        if self.peek().kind == "end":
            raise QueryError(Sentence("The query is empty: write the words you want to find, such as robot video."))
        query = self.either(field="", depth=0)
        if self.peek().kind != "end":  # nothing but a closing parenthesis ends a query early
            raise self.error(Sentence("This parenthesis closes nothing."), self.peek(), without=True)
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
            raise self.error(
                Sentence("Parentheses and NOTs go more than %(most)s deep: write it flatter.", most=DEEPEST), token
            )
        if token.kind in {"NOT", "minus"}:
            return none_of(self.part(field=field, depth=depth + 1))
        if token.kind == "open":
            return self.group(token, field=field, depth=depth)
        if token.kind == "field":
            if field:
                raise self.error(
                    Sentence(
                        "%(inner)s: cannot stand inside the parentheses of %(outer)s:.", inner=token.text, outer=field
                    ),
                    token,
                )
            return self.fielded(token, depth=depth)
        return self.term(token, field=field)

    def group(self, opening: Token, *, field: str, depth: int) -> Query:
        if self.peek().kind == "close":
            raise self.error(
                Sentence("There is nothing between these parentheses."), opening, to=self.peek(), without=True
            )
        query = self.either(field=field, depth=depth + 1)
        if not self.take("close"):
            raise self.error(
                Sentence("This parenthesis is never closed."), opening, suggestion=self.text.rstrip() + ")"
            )
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
            raise self.error(refusals.needs(name), token)
        self.place += 1
        if value.kind == "open":
            if name not in WORD_FIELDS:
                raise self.error(
                    Sentence(
                        "%(field)s: takes one value, such as %(example)s, and no parentheses.",
                        field=name,
                        example=EXAMPLES[name],
                    ),
                    value,
                )
            return self.group(value, field=name, depth=depth)
        if name in RANGE_FIELDS:
            return self.count(value, self.range(value, field=name))
        if name in NEAR_FIELDS:
            return self.count(value, self.near(value, name))
        return self.count(value, self.label(value, name)) if name in LABEL_FIELDS else self.term(value, field=name)

    # Leaves -------------------------------------------------------------------------------------------------------

    def term(self, token: Token, *, field: str) -> Query:
        if token.kind == "range":
            raise self.error(Sentence("A comparison needs a field before it, such as votes:>=20."), token)
        leaf = _leaf(token.text, field)
        return self.count(token, leaf) if leaf else self.no_term(token, field=field)

    def no_term(self, token: Token, *, field: str) -> Query:
        """Say what is wrong with a token that is no term; a bare id is one of another kind."""
        if not field and _BARE_ID.fullmatch(token.text):
            return self.count(token, self.label(token, "id"))
        if not field and (found := _NO_COLON.fullmatch(token.text)):
            meant = f"{found['field']}:{found['rest']}"
            raise self.error(Sentence("A comparison needs a colon: %(meant)s", meant=meant), token, put=meant)
        if not any(words(token.text)):
            raise self.error(refusals.no_word(token), token, without=True)
        if "*" in token.text.rstrip("*"):
            raise self.error(Sentence("The star stands at the end of a word: transform* finds transformer."), token)
        raise self.error(Sentence("A star needs %(least)s letters or more before it.", least=SHORTEST_PREFIX), token)

    def label(self, token: Token, field: str) -> Label:
        if token.kind == "range":
            raise self.error(refusals.not_compared(field), token, without=True)
        value = token.text.strip('"').strip()
        if field == "id":
            return Label(field, self.identifier(token, value))
        value = re.sub(r"[*.\s]+$", "", value.lower())
        if field == "source":
            value = {"hf": "huggingface"}.get(value, value)
        if field == "has" and value not in PROPERTIES:
            raise self.error(
                Sentence("has: takes one of %(known)s.", known=", ".join(PROPERTIES)), token, near=(value, PROPERTIES)
            )
        if not value:
            raise self.error(refusals.needs(field), token)
        return Label(field, value)

    def near(self, token: Token, field: str) -> Near:
        if token.kind == "range":
            raise self.error(refusals.not_compared(field), token, without=True)
        value = unicodedata.normalize("NFC", re.sub(r"[*\s]+$", "", " ".join(token.text.strip('"').split())))
        if field == "like":
            return Near(field, self.identifier(token, value))
        if not any(words(value)):
            raise self.error(refusals.no_word(token), token, without=True)
        return Near(field, value)

    def identifier(self, token: Token, value: str) -> str:
        match = _ID.fullmatch(value)
        if not match:
            raise self.error(
                Sentence("%(value)s is no id of a paper, such as %(example)s.", value=value, example=EXAMPLES["id"]),
                token,
            )
        return match["id"].lower()

    def range(self, token: Token, *, field: str) -> Range:
        operator, number = "", token
        if token.kind == "range":
            operator, number = token.text.strip(), self.next()
        low, dots, high = number.text.strip('"').partition("..")
        lowest = self.bounds(number, low, field)[0]
        highest = self.bounds(number, high if dots else low, field)[1]
        if dots and operator:
            raise self.error(Sentence("Write either a comparison or a range, not both."), token, to=number)
        if lowest > highest:
            raise self.error(Sentence("This range ends before it begins."), number, put=f"{high}..{low}")
        if operator == "<" and lowest <= (1 if field == "date" else 0):
            raise self.error(Sentence("Nothing is less than that."), token, to=number)
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
            kind = Sentence("a day, month or year") if field == "date" else Sentence("a number")
            message = Sentence(
                "%(field)s: takes %(kind)s, such as %(example)s, not %(value)s.",
                field=field,
                kind=kind,
                example=EXAMPLES[field],
                value=repr(text),
            )
            raise self.error(message, token) from error

    def count(self, token: Token, leaf: Query) -> Query:
        self.terms += 1
        if self.terms > MOST_TERMS:
            raise self.error(
                Sentence("A query may have %(most)s terms. Make two topics of it.", most=MOST_TERMS), token
            )
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
                raise self.error(Sentence("This parenthesis is never closed."), before, without=True)
            raise self.error(refusals.must_follow(before), before, without=True)
        if token.kind in {"AND", "OR"}:
            message = Sentence(
                '%(operator)s needs a word before it; to find the word itself write "%(word)s".',
                operator=token.text,
                word=token.text.lower(),
            )
            raise self.error(message, token, without=True)
        reason = refusals.must_follow(before) if before else Sentence("This parenthesis closes nothing.")
        raise self.error(reason, before or token, without=True)

    def unknown(self, token: Token) -> QueryError:
        near = difflib.get_close_matches(token.text.lower(), FIELDS, n=1)
        if near:
            message = Sentence(
                "There is no field %(field)s: (did you mean %(near)s:?).", field=token.text, near=near[0]
            )
            return self.error(message, token, put=f"{near[0]}:")
        known = " ".join(f"{name}:" for name in (*WORD_FIELDS, *LABEL_FIELDS, *RANGE_FIELDS, *NEAR_FIELDS))
        rest = re.match(r'[^\s()"]*', self.text[token.end :])
        end = token.end + (rest.end() if rest else 0)
        whole = Token("chunk", self.text[token.start : end], token.start, end)
        return self.error(
            Sentence(
                "There is no field %(field)s: (fields are %(known)s). To find a colon's words, quote them.",
                field=token.text,
                known=known,
            ),
            whole,
            put='"{}"'.format(whole.text.replace(":", " ").strip()),
        )

    def error(
        self,
        message: Sentence,
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


assert set(NAME_FIELDS) <= set(WORD_FIELDS)
