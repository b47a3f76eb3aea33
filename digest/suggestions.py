"""Topics that people may mean by what they have typed so far: keywords, categories and authors of recent papers."""

from collections import Counter
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

from digest import archive, stamps
from digest.models import Paper
from digest.stamps import Stamps
from subscriptions.query.tokens import OPERATORS
from subscriptions.query.words import words

#: Days whose papers are looked through, papers of them, and suggestions at a time.
DAYS, MOST_PAPERS, MOST = 30, 5_000, 10
#: Papers that a keyword or name must be of to be suggested.
FEWEST = 2


class Suggestion(NamedTuple):
    """`words` are folded; `topic` is written in the topic language."""

    words: str
    topic: str


def suggest(typed: str, *, today: date) -> list[str]:
    """Topics that begin with what was typed, or of which a word does; the most frequent first."""
    opening = _folded(typed)
    if not opening:
        return []
    known = _known(stamps.read(), today)
    first = [one.topic for one in known if one.words.startswith(opening)]
    inside = [one.topic for one in known if f" {opening}" in one.words]
    return list(dict.fromkeys([*first, *inside]))[:MOST]


@lru_cache(maxsize=1)
def _known(stamp: Stamps, today: date) -> tuple[Suggestion, ...]:
    """All there are, the most frequent first; found anew when papers or editions change."""
    shown = archive.shown(today - timedelta(days=DAYS - 1), today).order_by("-edition__date", "rank")
    keys = list(dict.fromkeys(shown.values_list("paper_id", flat=True)[:MOST_PAPERS]))
    keywords, categories, authors = Counter[str](), Counter[str](), Counter[str]()
    for paper in (
        Paper.objects.filter(pk__among=keys).only("keywords", "categories", "authors").iterator(chunk_size=500)
    ):
        keywords.update({word.lower() for word in paper.keywords})
        categories.update(paper.categories)
        authors.update(paper.visible_authors)
    found = [
        *((count, word, _quoted(word)) for word, count in keywords.items() if count >= FEWEST),
        *((count, name, f"cat:{name}") for name, count in categories.items()),
        *((count, name, f"author:{_quoted(name)}") for name, count in authors.items() if count >= FEWEST),
    ]
    found.sort(key=lambda one: (-one[0], one[1]))
    return tuple(Suggestion(folded, topic) for _, name, topic in found if (folded := _folded(name)))


def _folded(text: str) -> str:
    return " ".join(word.exact for word in words(text))


def _quoted(name: str) -> str:
    """A name as a term of the topic language, quoted where it is more than a word, or an operator."""
    plain = name.replace('"', " ").strip()
    return plain if plain.isalnum() and plain not in OPERATORS else f'"{plain}"'
