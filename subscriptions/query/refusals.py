"""What is wrong with a query that cannot be read, in words that help."""

from subscriptions.query.tokens import Token
from subscriptions.query.tree import LABEL_FIELDS, NEAR_FIELDS, RANGE_FIELDS, WORD_FIELDS
from subscriptions.sentences import Sentence

EXAMPLES = {
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
assert EXAMPLES.keys() == {*WORD_FIELDS, *LABEL_FIELDS, *RANGE_FIELDS, *NEAR_FIELDS}


class QueryError(ValueError):
    """A query that cannot be read. `position` and `length` count characters of the text as it was given.

    `suggestion` is a whole query to try instead, or "" where none suggests itself.
    """

    def __init__(self, message: Sentence, *, position: int = 0, length: int = 0, suggestion: str = "") -> None:
        super().__init__(message)
        self.message, self.position, self.length, self.suggestion = message, position, length, suggestion


def needs(field: str) -> Sentence:
    return Sentence("%(field)s: needs something after it, such as %(example)s.", field=field, example=EXAMPLES[field])


def not_compared(field: str) -> Sentence:
    return Sentence("%(field)s: is not compared: write %(example)s.", field=field, example=EXAMPLES[field])


def must_follow(token: Token) -> Sentence:
    return Sentence("Something must follow %(what)s.", what=token.text)


def no_word(token: Token) -> Sentence:
    return Sentence("There is no word in %(text)s.", text=token.text)
