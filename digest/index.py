"""All papers in arrays: where each word stands among a hundred thousand of them, and how well each fits some words.

A paper's five fields of words stand one after another in one long array of word numbers, field after field and paper
after paper; a gap ends each text, so that no phrase spans two. Beside it stand the places of each word in order
(an inverted index), the compounds that hyphens join, labels, numbers and vectors.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from Stemmer import Stemmer

from subscriptions.query import Document
from subscriptions.query.document import LONGEST_COMPOUND
from subscriptions.query.tree import NAME_FIELDS, RANGE_FIELDS, WORD_FIELDS
from subscriptions.query.words import stem, words

#: Word numbers that are no words: what parts texts, and what parts fields.
GAP, END = 0, 1
#: What a word weighs in each field, in the order of WORD_FIELDS, where papers are ordered by words.
WEIGHTS = (3.0, 2.0, 1.0, 0.0, 0.0)
#: BM25's saturation and length normalisation (Robertson and Zaragoza, 2009).
K1, B = 1.2, 0.75
#: A day that is not known is in no range.
UNKNOWN = -1

Mask: TypeAlias = NDArray[np.bool_]
Places: TypeAlias = NDArray[np.int64]
#: No place at all.
NOWHERE: Places = np.zeros(0, np.int64)


def pack(paper: Document) -> bytes:
    """A paper's words in one text: a line for each field, a bar between texts, a hyphen before what one joins."""
    lines = [
        " | ".join(
            " ".join(("-" if word.hyphen else "") + word.exact for word in words(text)) for text in paper.texts(field)
        )
        for field in WORD_FIELDS
    ]
    return "\n".join(lines).encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Row:
    """A paper as the index takes it in; `labels` and `numbers` are a Document's.

    `packed` (see `pack`) and `vector` are looked at only where the index before has another version of the paper.
    """

    key: int
    version: str
    packed: bytes
    vector: bytes
    labels: Mapping[str, Iterable[str]]
    numbers: Mapping[str, int | None]


class Vocabulary:
    """Numbers of words; they stay the same for as long as the process lives."""

    def __init__(self) -> None:
        self.numbers: defaultdict[str, int] = defaultdict(lambda: len(self.numbers))
        self.numbers["|"], self.numbers["\n"] = GAP, END

    def read(self, packed: bytes) -> NDArray[np.uint32]:
        """The word numbers of a packed paper, END after each field."""
        text = packed.decode("utf-8").replace("\n", " \n ") + " \n"
        # Not split(): it would take the END of a field for white space.
        found = map(self.numbers.__getitem__, filter(None, text.split(" ")))
        return np.fromiter(found, np.uint32)


class Index:
    """Papers 0 to P-1, those of `rows`. Immutable once made; `before` lends what did not change."""

    def __init__(self, rows: Sequence[Row], vocabulary: Vocabulary, before: "Index | None" = None) -> None:
        self.keys = np.array([row.key for row in rows], np.int64)
        self.versions = [row.version for row in rows]
        self.vocabulary = vocabulary
        known = before.place if before else {}
        tokens: list[NDArray[np.uint32]] = []
        vectors: list[bytes] = []
        for row in rows:
            at = known.get(row.key)
            if before is not None and at is not None and before.versions[at] == row.version:
                tokens.append(before.tokens[before.starts[at] : before.starts[at + 1]])
                vectors.append(before.raw_vectors[at])
            else:
                tokens.append(vocabulary.read(row.packed))
                vectors.append(row.vector)
        self.raw_vectors: list[bytes] = vectors
        #: where each paper's words begin (P + 1), and the words of all
        self.starts: NDArray[np.int64] = np.cumsum([0, *map(len, tokens)], dtype=np.int64)
        self.tokens: NDArray[np.uint32] = np.concatenate(tokens) if tokens else np.zeros(0, np.uint32)
        self._read_words()
        self._read_facts(rows)

    @property
    def count(self) -> int:
        return len(self.keys)

    @cached_property
    def place(self) -> dict[int, int]:
        """The number of each paper by its key."""
        return {key: at for at, key in enumerate(self.keys.tolist())}

    # Made once -------------------------------------------------------------------------------------------------------

    def _read_words(self) -> None:
        texts = list(self.vocabulary.numbers)
        joined = np.fromiter((text[0] == "-" for text in texts), np.bool_, len(texts))
        plain = np.arange(len(texts), dtype=np.uint32)
        for number in np.flatnonzero(joined):
            plain[number] = self.vocabulary.numbers[texts[number][1:]]
        self.texts = list(self.vocabulary.numbers)  # with those that only hyphens had shown until now
        hyphen = joined[self.tokens]
        self.words = plain[self.tokens]
        self.field = (np.cumsum(self.words == END, dtype=np.int64) % len(WORD_FIELDS)).astype(np.uint8)
        self.order = np.argsort(self.words, kind="stable").astype(np.uint32)
        self.first = np.searchsorted(self.words[self.order], np.arange(len(self.texts) + 1))
        self._join(hyphen)

    def _join(self, hyphen: Mask) -> None:
        """The compounds: for each form of the joined words the places where one begins."""
        names = np.isin(self.field, [WORD_FIELDS.index(name) for name in NAME_FIELDS])
        found: dict[tuple[str, bool], list[Places]] = defaultdict(list)
        ends = np.flatnonzero(hyphen)
        for count in range(2, LONGEST_COMPOUND + 1):
            parts = np.stack([self.words[ends - back] for back in range(count - 1, -1, -1)], axis=1)
            kinds, which = np.unique(np.column_stack([parts, names[ends]]), axis=0, return_inverse=True)
            places = np.argsort(which.ravel(), kind="stable")
            bounds = np.searchsorted(which.ravel()[places], np.arange(len(kinds) + 1))
            for at, (*numbers, is_name) in enumerate(kinds.tolist()):
                *start, last = [self.texts[number] for number in numbers]
                form = "".join(start) + (last if is_name else stem(last))
                found[form, bool(is_name)].append(ends[places[bounds[at] : bounds[at + 1]]] - (count - 1))
            ends = ends[hyphen[ends - (count - 1)]]
        self.compounds = {form: np.concatenate(places) for form, places in found.items()}

    def _read_facts(self, rows: Sequence[Row]) -> None:
        labels: dict[tuple[str, str], list[int]] = defaultdict(list)
        for at, row in enumerate(rows):
            for field, values in row.labels.items():
                for value in values:
                    labels[field, value].append(at)
        self.labels = {label: np.array(papers, np.int64) for label, papers in labels.items()}
        self.numbers = {
            field: np.array([UNKNOWN if row.numbers[field] is None else row.numbers[field] for row in rows], np.int64)
            for field in RANGE_FIELDS
        }
        size = max(map(len, self.raw_vectors), default=0)
        whole = b"".join(vector if len(vector) == size else bytes(size) for vector in self.raw_vectors)
        self.vectors = np.frombuffer(whole, np.int8).reshape(self.count, size).astype(np.float32)

    @cached_property
    def _stems(self) -> dict[str, list[int]]:
        """The words of each stem."""
        found: dict[str, list[int]] = defaultdict(list)
        for number, text in enumerate(self.texts):
            if text[0] not in "-|\n":
                found[stem(text)].append(number)
        return found

    @cached_property
    def _snowball(self) -> dict[str, list[int]]:
        """The words of each stem of Snowball's English stemmer, which takes far more for one word than topics do."""
        stemmer, found = Stemmer("english"), defaultdict[str, list[int]](list)
        for number, text in enumerate(self.texts):
            if text[0] not in "-|\n":
                found[stemmer.stemWord(text)].append(number)
        return found

    @cached_property
    def ordered(self) -> tuple[list[str], list[str], list[str]]:
        """Words, stems, and forms of compounds, in order."""
        plain = sorted(text for text in self.texts if text[0] not in "-|\n")
        return plain, sorted(self._stems), sorted({form for form, _ in self.compounds})

    def warm(self) -> "Index":
        """Have ready what the first searches would have to wait for."""
        _ = self._stems, self._snowball, self.ordered, self._lengths, self.place
        return self

    # Where things are ------------------------------------------------------------------------------------------------

    def close(self, vector: bytes) -> NDArray[np.float32]:
        """float32 (P): products of the papers' vectors with one; 0 where there is none."""
        if not vector or len(vector) != self.vectors.shape[1]:
            return np.zeros(self.count, np.float32)
        product: NDArray[np.float32] = self.vectors @ np.frombuffer(vector, np.int8).astype(np.float32)
        return product

    def papers(self, places: Places) -> NDArray[np.int64]:
        """The paper of each place."""
        return np.searchsorted(self.starts, places, side="right") - 1

    def places(self, numbers: Iterable[int]) -> Places:
        """Where words stand."""
        found = [self.order[self.first[number] : self.first[number + 1]] for number in numbers]
        return np.concatenate(found).astype(np.int64) if found else NOWHERE

    def number(self, word: str) -> list[int]:
        """The number of a word, if there is one."""
        # Not `[word]`: asking must not make one.
        found = self.vocabulary.numbers.get(word)
        return [found] if found is not None and END < found < len(self.texts) else []

    def with_stem(self, form: str) -> list[int]:
        return self._stems.get(form, [])

    def alike(self, word: str, *, names: bool) -> list[int]:
        """The words that a word without quotes finds: itself among names, else its plurals too."""
        return self.number(word) if names else self.with_stem(stem(word))

    # How well papers fit ---------------------------------------------------------------------------------------------

    @cached_property
    def _lengths(self) -> NDArray[np.float64]:
        """Words of each paper, as they weigh, against the average."""
        weights = np.array(WEIGHTS)[self.field] * (self.words > END)
        total = np.add.reduceat(weights, self.starts[:-1]) if len(weights) else np.zeros(self.count)
        return total / max(total.mean(), 1e-9) if len(total) else total

    def scores(self, asked: Iterable[str]) -> NDArray[np.float64]:
        """BM25 of each paper for folded words, float64 (P).

        Each word counts twice: with its plurals and compounds, as topics find it, and with all of its Snowball stem.
        """
        total = np.zeros(self.count)
        stemmer, weights = Stemmer("english"), np.array(WEIGHTS)  # a stemmer for all threads would mix them up
        for word in dict.fromkeys(asked):
            joined = self.compounds.get((stem(word), False), NOWHERE)
            for numbers in (self.with_stem(stem(word)), self._snowball.get(stemmer.stemWord(word), [])):
                places = np.concatenate([self.places(numbers), joined])
                times = np.bincount(self.papers(places), weights[self.field[places]], minlength=self.count)
                has = int(np.count_nonzero(times))
                idf = np.log1p((self.count - has + 0.5) / (has + 0.5))
                total += idf * times * (K1 + 1) / (times + K1 * (1 - B + B * self._lengths))
        return total
