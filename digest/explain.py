"""Why one paper is in many letters: each word of a topic is looked up and put into words once for a paper.

The words are those of the language that is active when a reason is first asked for.

The same as `reasons.reasons(matches(query, paper), paper)`, encoded for mail; a letter has dozens of reasons, and of a
hundred thousand letters nearly all share their words.
"""

from collections.abc import Callable
from functools import lru_cache
from html import escape
from typing import NamedTuple

from digest.cards import worded
from digest.reasons import LEFT_OUT, MOST, Reason, of_leaf
from subscriptions.mail import encode
from subscriptions.query import And, Document, Not, Or, Query, QueryError, parse
from subscriptions.query.tree import Leaf
from subscriptions.sentences import Sentence

_COMMA = encode(", ")
_TRENDING = Reason(Sentence("trending today"))
#: A vote less, or a new version, and the paper matches no more: the topic alone is the reason then.
_NO_MORE = Reason(Sentence("matched when the edition was made"))


class Encoded(NamedTuple):
    html: bytes
    text: bytes


class Explainer:
    """The reasons of one paper. `resolve` says what queries of meaning ask for; without it they never hold."""

    def __init__(self, paper: Document, resolve: Callable[[Query], Query] = lambda query: query) -> None:
        self.paper, self._resolve = paper, resolve
        self._leaves: dict[Query, Reason | None] = {}
        self._reasons: dict[Reason, Encoded] = {}

    def encoded(self, query: str) -> Encoded:
        """The reasons for a topic in a line, as HTML and as text."""
        found = [self._encode(reason) for reason in self.reasons(query)]
        if len(found) == 1:
            return found[0]
        return Encoded(_COMMA.join([html for html, _ in found]), _COMMA.join([text for _, text in found]))

    def reasons(self, query: str) -> list[Reason]:
        """The reasons for a topic, "" for the trending section."""
        if not query:
            return [_TRENDING]
        parsed = _parsed(query)
        found = self._why(self._resolve(parsed)) if parsed is not None else None
        if found is None:
            return [_NO_MORE]
        return list(dict.fromkeys(found))[:MOST] if found else [LEFT_OUT]

    def _encode(self, reason: Reason) -> Encoded:
        both = self._reasons.get(reason)
        if both is None:
            said = worded(reason)
            plain = reason in (_TRENDING, _NO_MORE)
            html = escape(said.what) if plain else f"<strong>{escape(said.what)}</strong> {escape(said.where)}".rstrip()
            both = self._reasons[reason] = Encoded(encode(html), encode(str(said)))
        return both

    def _why(self, query: Query) -> list[Reason] | None:
        """The reasons of a query that holds, in its order; None for one that does not."""
        if isinstance(query, And):
            found: list[Reason] = []
            for part in query.parts:
                more = self._why(part)
                if more is None:
                    return None
                found += more
            return found
        if isinstance(query, Or):
            holding = [more for part in query.parts if (more := self._why(part)) is not None]
            return [reason for more in holding for reason in more] if holding else None
        if isinstance(query, Not):
            return None if self._why(query.part) is not None else self._why_not(query.part)
        leaf = self._leaf(query)
        return None if leaf is None else [leaf]

    def _why_not(self, query: Query) -> list[Reason]:
        """Why a query does not hold: the NOTs inside it that are false are reasons in turn."""
        match query:
            case And(parts) | Or(parts):
                return [reason for part in parts if self._why(part) is None for reason in self._why_not(part)]
            case Not(inner):
                return self._why(inner) or []
        return []

    def _leaf(self, leaf: Leaf) -> Reason | None:
        try:
            return self._leaves[leaf]
        except KeyError:
            reason = self._leaves[leaf] = of_leaf(leaf, self.paper)
            return reason


@lru_cache(maxsize=10_000)
def _parsed(query: str) -> Query | None:
    try:
        return parse(query)
    except QueryError:
        return None
