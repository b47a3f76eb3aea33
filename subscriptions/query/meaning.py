"""Closeness in meaning, in whole numbers.

What a text means is a vector of length 1, kept as one int8 for each component: SCALE times the component, rounded, and
clipped where it is above a half. The product of two such vectors is about SCALE² times their cosine. It and every sum
on the way to it stay below 2²⁴, so that float32 holds each exactly and any order of adding gives the same: all
matchers on all machines agree on what is close.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from subscriptions.query.tree import And, Near, Not, Or, Query

SCALE = 254
#: Components of a vector at most, for which the above holds whatever they are.
MOST_DIMENSIONS = 2**24 // 127**2


class Point(NamedTuple):
    """What a leaf asks to be close to (a vector as int8 bytes), and the least cosine that is close."""

    vector: bytes
    threshold: float


def whole(vectors: NDArray[np.float32]) -> NDArray[np.int8]:
    """float32 (n, d) of length 1 → int8 (n, d)."""
    return np.clip(np.rint(vectors * SCALE), -127, 127).astype(np.int8)


def least(threshold: float) -> int:
    """The least product of two vectors whose cosine is `threshold`; above 0, so that no vector is close to nothing."""
    return max(1, ceil(threshold * SCALE**2))


def product(one: bytes, other: bytes) -> int:
    """The product of two vectors."""
    left, right = (np.frombuffer(vector, np.int8).astype(np.int32) for vector in (one, other))
    return int(left @ right)


def is_close(leaf: Near, vector: bytes) -> bool:
    """Whether a paper is as close as a leaf asks; a leaf that was not resolved, or a paper without a vector, is not."""
    if not leaf.vector or len(leaf.vector) != len(vector):
        return False
    return product(leaf.vector, vector) >= leaf.least


def nears(query: Query) -> Iterator[Near]:
    """The leaves of a query that ask for meaning."""
    match query:
        case And(parts) | Or(parts):
            for part in parts:
                yield from nears(part)
        case Not(part):
            yield from nears(part)
        case Near():
            yield query


def resolve(query: Query, point_of: Callable[[Near], Point | None]) -> Query:
    """The same query, its leaves of meaning given what they are close to. Those `point_of` does not know never hold."""
    match query:
        case And(parts):
            return And(tuple(resolve(part, point_of) for part in parts))
        case Or(parts):
            return Or(tuple(resolve(part, point_of) for part in parts))
        case Not(part):
            return Not(resolve(part, point_of))
        case Near():
            point = point_of(query)
            return replace(query, vector=point.vector, least=least(point.threshold)) if point else query
        case _:
            return query
