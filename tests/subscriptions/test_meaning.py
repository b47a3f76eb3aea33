"""What is close in meaning, in whole numbers."""

from math import isclose

import numpy as np
import pytest

from subscriptions.matching import KEYWORD, Matcher
from subscriptions.query import Document, Near, matches, meaning, parse
from subscriptions.query.meaning import MOST_DIMENSIONS, SCALE, Point, least, product, resolve, whole


def unit(count, dimensions, seed=2606):
    """float32 (count, dimensions) of length 1."""
    vectors = np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def paper(vector):
    return Document("2606.90001", vector=vector)


def test_the_product_of_whole_numbers_is_the_cosine_scaled():
    vectors = unit(40, 256)
    ready = [row.tobytes() for row in whole(vectors)]

    for one, left in zip(vectors, ready, strict=True):
        for other, right in zip(vectors, ready, strict=True):
            assert isclose(product(left, right) / SCALE**2, float(one @ other), abs_tol=0.01)


def test_float32_holds_every_product_whatever_the_order_of_adding():
    worst = np.full(MOST_DIMENSIONS, 127, np.int8).tobytes()
    left = np.frombuffer(worst, np.int8).astype(np.float32)

    assert product(worst, worst) == int(left @ left) == int(sum(left[::-1] * left)) <= 2**24


def test_what_is_exactly_at_the_threshold_is_close_for_both_matchers():
    for number, row in enumerate(whole(unit(200, 256))):
        leaf = Near("about", str(number), row.tobytes(), product(row.tobytes(), row.tobytes()))
        just_too_far = Near("about", str(number), row.tobytes(), leaf.least + 1)
        document = paper(row.tobytes())

        assert matches(leaf, document)
        assert not matches(just_too_far, document)
        found = Matcher([document]).match([leaf, just_too_far])
        assert found.starts.tolist() == [0, 1, 1]
        assert found.tier.tolist() == [KEYWORD]


@pytest.mark.parametrize("vector", [b"", bytes(2), bytes([127, 0, 0])])
def test_a_paper_without_a_vector_of_that_kind_is_close_to_nothing(vector):
    leaf = Near("about", "robots", bytes([127, 0]), least(0))

    assert not matches(leaf, paper(vector))
    assert Matcher([paper(vector), paper(bytes([1, 0]))]).match([leaf]).papers.tolist() == [1]


def test_a_leaf_that_was_not_resolved_never_holds():
    query = parse("about:robots OR like:2606.90001")

    assert not matches(query, paper(bytes([127, 0])))
    assert Matcher([paper(bytes([127, 0]))]).match([query]).papers.tolist() == []


def test_resolving_fills_in_every_leaf_that_is_known_and_changes_nothing_else():
    query = parse("robots (about:cats OR -like:2606.90001) NOT (cat:cs like:2606.90002)")
    known = {"cats": Point(b"c", 0.5), "2606.90001": Point(b"p", 0.25)}

    resolved = resolve(query, lambda leaf: known.get(leaf.value))

    assert resolved == query
    assert str(resolved) == str(query)
    found = {leaf.value: (leaf.vector, leaf.least) for leaf in meaning.nears(resolved)}
    assert found == {"cats": (b"c", 32_258), "2606.90001": (b"p", 16_129), "2606.90002": (b"", 0)}
