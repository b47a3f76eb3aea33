"""Invented papers, and queries about them: a small vocabulary, so that much is found.

`tree` and `document` grow from any source of randomness: by the thousand from `random.Random`, or as the Hypothesis
strategies `trees` and `documents`, which shrink.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from random import Random

from hypothesis import strategies as st

from subscriptions.query import Document, Label, Near, Query, Range, Term, parse
from subscriptions.query.meaning import Point, resolve
from subscriptions.query.tree import RANGE_FIELDS, WORD_FIELDS, all_of, any_of, none_of
from subscriptions.query.words import words

#: Words that are near one another: plurals, compounds in both spellings, accents, one inside another.
SPELLED = (
    "fusion diffusion model models Models GPU GPUs pre-training pretraining Pre–Training training train analysis "
    "analyses class classes vision language vision-language visionlanguage state-of-the-art art Poincaré poincare "
    "C++ C# R2 transformer transformers's bias biases 3D naïve world 机器人 AND or not"
).split()
SEPARATORS = (" ", " ", " ", " ", "-", ", ", ". ", "/", "\n", " — ", "'s ")
FOLDED = tuple(dict.fromkeys(word.exact for text in SPELLED for word in words(text)))
NAMES = ("Ada Lovelace", "Émilie du Châtelet", "Jean-Paul Models", "Lucas Robles", "Lin Wei", "Models, Inc.")
CATEGORIES = ("cs.CL", "cs.CV", "cs.AI", "math.AG", "q-bio.NC", "econ")
SOURCES = ("arxiv", "huggingface", "my blog")
PROPERTIES = ("code", "project", "summary", "thumbnail")
IDENTIFIERS = ("2606.90001", "2606.90002", "2606.90003", "math/0606001", "web.0a1b2c3d")
LABELS = {
    "cat": ("cs", "cs.cl", "math", "math.ag", "q-bio", "econ", "hep-th"),
    "source": (*SOURCES, "-odd", "//odd", "odd: one"),
    "id": IDENTIFIERS,
    "has": PROPERTIES,
}
NUMBERS = (0, 0, 1, 2, 3, 5, 20, 100, 101)
#: Vectors of a few small components, so that some are close and some are not.
DIMENSIONS = 4
NEAR = {"like": IDENTIFIERS, "about": ("robots that learn", "Poincaré's models", "a -b OR c", "世界")}
FIRST_DAY, DAYS = date(2025, 11, 1), 240


def document(random: Random) -> Document:
    """An invented paper."""
    votes, stars, comments = (random.choice(NUMBERS) for _ in range(3))
    return Document(
        identifier=random.choice(IDENTIFIERS),
        title=_text(random, 6),
        abstract=_text(random, 10),
        authors=_some(random, NAMES),
        organizations=_some(random, NAMES, 1),
        keywords=tuple(_text(random, 2) for _ in range(random.randint(0, 2))),
        categories=_some(random, CATEGORIES),
        sources=_some(random, SOURCES),
        properties=frozenset(_some(random, PROPERTIES)),
        votes=votes,
        stars=stars,
        comments=comments,
        day=_day(random) if random.randint(0, 9) else None,
        vector=_vector(random) if random.randint(0, 9) else b"",
    )


def _text(random: Random, longest: int) -> str:
    return "".join(random.choice(SPELLED) + random.choice(SEPARATORS) for _ in range(random.randint(0, longest)))


def _vector(random: Random) -> bytes:
    return bytes(random.choice((0, 1, 90, 127, 129, 200)) for _ in range(DIMENSIONS))


def point_of(leaf: Near) -> Point | None:
    """What a leaf is close to: the same whoever asks; nothing for one of them."""
    if leaf.value == IDENTIFIERS[-1]:
        return None
    random = Random(str(leaf))
    return Point(_vector(random), random.choice((0.01, 0.1, 0.3)))


def read(text: str) -> Query:
    """The query that a text is, resolved."""
    return resolve(parse(text), point_of)


def _some(random: Random, values: Sequence[str], most: int = 3) -> tuple[str, ...]:
    return tuple(dict.fromkeys(random.choice(values) for _ in range(random.randint(0, most))))


def _day(random: Random) -> date:
    return FIRST_DAY + timedelta(days=random.randint(0, DAYS))


def tree(random: Random, depth: int = 4) -> Query:
    """A query in the normal form in which `parse` gives it."""
    shape = random.randint(0, 9) if depth else 0
    if shape < 4:
        return leaf(random)
    if shape < 6:
        return none_of(tree(random, depth - 1))
    join = all_of if shape < 8 else any_of
    return join(tree(random, depth - 1) for _ in range(random.randint(2, 3)))


def leaf(random: Random) -> Query:
    match random.randint(0, 10):
        case 10:
            field = random.choice(list(NEAR))
            return resolve(Near(field, random.choice(NEAR[field])), point_of)
        case 0 | 1:
            field = random.choice(list(LABELS))
            return Label(field, random.choice(LABELS[field]))
        case 2:
            return _range(random)
        case _:
            return term(random)


def term(random: Random) -> Term:
    wanted = [random.choice(FOLDED) for _ in range(random.choice((1, 1, 2, 3)))]
    if random.randint(0, 3) == 0:
        wanted = [word.exact for word in words(random.choice(SPELLED))]
    field = random.choice(("", "", "", *WORD_FIELDS))
    kind = random.choice(("", "", "quoted", "prefix"))
    if kind == "prefix":
        wanted[-1] = wanted[-1][: random.randint(2, 6)].rstrip("+#")
    return Term(tuple(wanted), field, quoted=kind == "quoted", prefix=kind == "prefix" and len(wanted[-1]) > 1)


def _range(random: Random) -> Range:
    field = random.choice(RANGE_FIELDS)
    ends: list[int] = []
    for _ in range(2):
        day = _day(random)
        ends.append({"year": day.year, "date": day.toordinal()}.get(field, random.choice(NUMBERS)))
    low, high = sorted(ends)
    shape = random.randint(0, 2)
    return Range(field, None if shape == 1 else low, None if shape == 2 else high)


_random = st.randoms(use_true_random=False)
trees: st.SearchStrategy[Query] = st.builds(tree, _random)
documents: st.SearchStrategy[Document] = st.builds(document, _random)
