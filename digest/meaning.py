"""What a text means: a model that turns texts into vectors, loaded when it is first needed, never from the network."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import ClassVar, Protocol

import numpy as np
from django.conf import settings
from django.utils.module_loading import import_string
from numpy.typing import NDArray

from subscriptions.query import Near
from subscriptions.query.meaning import Point, whole
from subscriptions.query.words import words

#: Characters of a text that are read; abstracts have two thousand.
LONGEST = 20_000
_KINDS = {"wordllama": "digest.meaning.WordLlama"}
_loading = Lock()


class Model(Protocol):
    """A model. Whoever changes what it gives changes its name: vectors of another name are made anew."""

    name: ClassVar[str]
    #: The least cosine at which a paper is about a text, and like another paper.
    about: ClassVar[float]
    like: ClassVar[float]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 (texts, dimensions), each row of length 1, or 0 for a text without a word.

        Called by several threads at once. A text's vector does not depend on the texts beside it.
        """


class WordLlama:
    """The mean of a text's tokens in WordLlama's table, which comes with its package (MIT; 256 dimensions).

    Tokens of folded words without plurals find a paper by its title more often than text as it was written (recall of
    the first: 65 % for 60 %). Taking out the direction that all papers share adds a point, and makes one threshold fit
    texts of different kinds.

    Thresholds are such that, of 8,800 papers of Hugging Face, eighteen interests of three to eight words meant about
    one in a hundred (half of them between 0.3 and 2), and a paper was like about one in three hundred others.
    """

    name: ClassVar[str] = "wordllama-256"
    about: ClassVar[float] = 0.38
    like: ClassVar[float] = 0.55
    #: What papers have in common, in our words.
    common: ClassVar[str] = (
        "We propose a novel method and show that large language models, vision language models and diffusion models "
        "perform better with it. Experiments on several benchmarks and datasets demonstrate that our approach improves "
        "the performance of existing models and outperforms baselines. In this paper we introduce a framework for "
        "training, reasoning and generation with multimodal data: text, images, video. We study how models, agents and "
        "LLMs can be trained, evaluated and scaled efficiently. Our results reveal limitations of existing methods; we "
        "release code, data and models to support future research. Recent advances, however, face challenges on "
        "complex tasks and real-world tasks, where high quality data, learning and understanding are required."
    )

    def __init__(self) -> None:
        import wordllama  # noqa: PLC0415  it takes a quarter of a second, and most processes need no meaning

        # Without a folder its loader misses the tokenizer in its own package, and asks the network for it.
        folder = Path(wordllama.__file__).parent
        loaded = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
        self._table: NDArray[np.float32] = loaded.embedding
        self._tokenizer = loaded.tokenizer
        self._tokenizer.no_padding()
        self._shared = _units(self._means([self.common]))[0]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = _units(self._means(texts))
        return _units(vectors - np.outer(vectors @ self._shared, self._shared)).astype(np.float32)

    def _means(self, texts: Sequence[str]) -> NDArray[np.float64]:
        plain = [" ".join(word.stem for word in words(text[:LONGEST])) for text in texts]
        found = self._tokenizer.encode_batch(plain, add_special_tokens=False)
        rows = [self._table[tokens.ids].sum(axis=0, dtype=np.float64) for tokens in found]
        return np.array(rows).reshape(len(texts), self._table.shape[1])


def _units(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 1e-9, lengths, np.inf)


def kind() -> type[Model] | None:
    """The class of the model that DIGEST_MEANING names; None where it is off. Raises ImportError."""
    name: str = settings.DIGEST_MEANING
    if name == "off":
        return None
    found: type[Model] = import_string(_KINDS.get(name, name))
    return found


def name() -> str:
    """What vectors are made by now; "" where nothing makes any."""
    chosen = kind()
    return chosen.name if chosen else ""


def vectors(texts: Sequence[str]) -> list[bytes]:
    """The vector of each text, as `query.meaning` keeps them; empty ones where meaning is off."""
    chosen = kind()
    if chosen is None or not texts:
        return [b""] * len(texts)
    return [row.tobytes() for row in whole(_ready(chosen).embed(texts))]


def point(leaf: Near, vector: bytes) -> Point | None:
    """What a leaf asks to be close to, given the vector of its paper or text."""
    chosen = kind()
    if chosen is None or not vector:
        return None
    return Point(vector, chosen.like if leaf.field == "like" else chosen.about)


def of_text(text: str) -> bytes:
    """The vector of a text that may be asked for over and over; empty where meaning is off."""
    chosen = kind()
    return _of_text(chosen, text) if chosen else b""


@lru_cache(maxsize=10_000)
def _of_text(chosen: type[Model], text: str) -> bytes:
    vector: bytes = whole(_ready(chosen).embed([text])).tobytes()
    return vector


def _ready(chosen: type[Model]) -> Model:
    with _loading:  # or two threads would load it
        return _load(chosen)


@lru_cache(maxsize=1)
def _load(chosen: type[Model]) -> Model:
    return chosen()
