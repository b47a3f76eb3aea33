"""What readers said of papers → how far each paper of today moves up or down for them.

A reader's taste is a linear model over meanings: the mean of the vectors of papers they want more of, less that of
papers they want less of (Rocchio, "Relevance feedback in information retrieval", 1971). It orders what topics have
found and what is trending; it finds nothing and hides nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: How far a paper may move up or down, in parts of all ranks, for a reader who has said much; as a title outweighs an
#: abstract, so a taste does.
REACH = 1
#: Opinions after which a taste moves papers half as far as it ever may.
HALF = 2
#: Standard deviations of a day's papers that count as utterly to a reader's taste, or not at all.
WIDE = 2
#: A standard deviation of dot products below which a taste does not tell papers apart; vectors are some 254 long.
FLAT = 600
#: Readers whose papers are weighed at a time; bounds memory beside the result.
BLOCK = 2_000


@dataclass(frozen=True, slots=True)
class Opinions:
    """What R readers said, N opinions ordered by reader.

    reader: int32 (N) ascending, 0 to R-1. vector: int8 (N, d), of the paper. more: bool (N), else less.
    """

    count: int
    reader: NDArray[np.int32]
    vector: NDArray[np.int8]
    more: NDArray[np.bool_]


def shifts(opinions: Opinions, papers: NDArray[np.int8]) -> NDArray[np.int32]:
    """Ranks by which each of P papers falls behind for each reader: int32 (R, P), from 0 to 2 × REACH × P.

    papers: int8 (P, d). A reader who said nothing has REACH × P everywhere.
    """
    most = REACH * len(papers)
    found = np.full((opinions.count, len(papers)), round(most), np.int32)
    if not len(opinions.reader) or not len(papers):
        return found
    # Whole numbers in float64 are exact in any order: a reader's letter does not depend on who else reads.
    meanings = papers.astype(np.float64)
    meanings = meanings * len(papers) - meanings.sum(axis=0)
    for first in range(0, opinions.count, BLOCK):
        last = min(first + BLOCK, opinions.count)
        here = slice(*np.searchsorted(opinions.reader, (first, last)))
        reader, vector, more = opinions.reader[here] - first, opinions.vector[here], opinions.more[here]
        likes, liked = _sums(reader[more], vector[more], last - first)
        dislikes, disliked = _sums(reader[~more], vector[~more], last - first)
        leaning = (likes * disliked - dislikes * liked) @ meanings.T
        leaning /= liked * disliked * len(papers)
        leaning /= np.maximum(leaning.std(axis=1, keepdims=True), FLAT)
        said = np.bincount(reader, minlength=last - first)[:, None]
        leaning = np.clip(leaning / WIDE, -1, 1) * (said / (said + HALF))
        found[first:last] = np.rint(most - leaning * most)
    return found


def _sums(
    reader: NDArray[np.int32], vector: NDArray[np.int8], count: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Each reader's vectors added up, float64 (count, d), and their number, int64 (count, 1), 1 where there is none."""
    sums = np.zeros((count, vector.shape[1]))
    if len(reader):
        there, first = np.unique(reader, return_index=True)
        sums[there] = np.add.reduceat(vector, first, axis=0, dtype=np.int32)
    return sums, np.maximum(np.bincount(reader, minlength=count), 1)[:, None]
