"""Invented papers, and queries about them, for Hypothesis: a small vocabulary, so that much is found."""

from datetime import date
from typing import Any

from hypothesis import strategies as st

from subscriptions.query import And, Document, Label, Not, Or, Query, Range, Term
from subscriptions.query.tree import WORD_FIELDS, all_of, any_of, none_of
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
FIRST_DAY, LAST_DAY = date(2025, 11, 1), date(2026, 6, 30)


def texts(longest: int) -> st.SearchStrategy[str]:
    pair = st.sampled_from(SEPARATORS).flatmap(lambda sign: st.sampled_from(SPELLED).map(lambda word: word + sign))
    return st.lists(pair, max_size=longest).map("".join)


def some(values: tuple[str, ...], most: int = 3) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=most, unique=True).map(tuple)


numbers = st.integers(0, 12) | st.sampled_from((20, 100, 101))
documents = st.builds(
    Document,
    identifier=st.sampled_from([f"2606.9000{last}" for last in range(10)]),
    title=texts(6),
    abstract=texts(10),
    authors=some(NAMES),
    organizations=some(NAMES, 1),
    keywords=st.lists(texts(2), max_size=2).map(tuple),
    categories=some(CATEGORIES),
    sources=some(SOURCES),
    properties=some(PROPERTIES).map(frozenset),
    votes=numbers,
    stars=numbers,
    comments=numbers,
    day=st.none() | st.dates(FIRST_DAY, LAST_DAY),
)


def _term(wanted: list[str], field: str, kind: str, cut: int) -> Term:
    if kind == "prefix":
        wanted = [*wanted[:-1], wanted[-1][: max(2, cut)]]
        kind = kind if len(wanted[-1]) > 1 else ""
    return Term(tuple(wanted), field, quoted=kind == "quoted", prefix=kind == "prefix")


def _range(field: str, ends: list[int], shape: str) -> Range:
    low, high = sorted(ends)
    return Range(field, None if shape == "up to" else low, None if shape == "from" else high)


fields = st.sampled_from(("", "", "", *WORD_FIELDS))
folded = st.lists(st.sampled_from(FOLDED), min_size=1, max_size=3)
terms = st.builds(_term, folded, fields, st.sampled_from(("", "", "quoted", "prefix")), st.integers(2, 6))
labels = (
    st.builds(Label, st.just("cat"), st.sampled_from(("cs", "cs.cl", "math", "math.ag", "q-bio", "econ", "hep-th")))
    | st.builds(Label, st.just("source"), st.sampled_from((*SOURCES, "-odd", "//odd", "odd: one")))
    | st.builds(Label, st.just("id"), st.sampled_from(("2606.90001", "2606.90002", "math/0606001", "web.0a1b2c3d")))
    | st.builds(Label, st.just("has"), st.sampled_from(PROPERTIES))
)
_shapes = st.sampled_from(("from", "up to", "within"))
_days = st.dates(FIRST_DAY, LAST_DAY).map(date.toordinal) | st.sampled_from((1, date.max.toordinal()))
ranges = (
    st.builds(_range, st.sampled_from(("votes", "stars", "comments")), st.lists(numbers, min_size=2, max_size=2), _shapes)
    | st.builds(_range, st.just("year"), st.lists(st.integers(2024, 2027), min_size=2, max_size=2), _shapes)
    | st.builds(_range, st.just("date"), st.lists(_days, min_size=2, max_size=2), _shapes)
)
leaves: st.SearchStrategy[Query] = terms | terms | terms | labels | ranges


def _grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Query]:
    several = st.lists(inner, min_size=2, max_size=3)
    return several.map(all_of) | several.map(any_of) | inner.map(none_of)


#: Trees in the normal form in which `parse` gives them.
trees: st.SearchStrategy[Query] = st.recursive(leaves, _grown, max_leaves=8)


def plain_words(query: Query) -> list[str]:
    """Every word of the query's terms."""
    match query:
        case And(parts) | Or(parts):
            return [word for part in parts for word in plain_words(part)]
        case Not(part):
            return plain_words(part)
        case Term():
            return list(query.words)
        case _:
            return []
