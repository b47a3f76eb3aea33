"""One work of somebody's library, as far as topics can be made of it."""

from dataclasses import dataclass


class Unreadable(ValueError):
    """A file of which nothing can be read; the text, a Sentence, says what to do."""


@dataclass(frozen=True, slots=True)
class Reference:
    title: str
    authors: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
