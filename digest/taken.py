"""A letter that is being handed over, as the ledger gives it and the press writes it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple, TypeAlias

#: A digest as it is stored: [label, query, [paper, …]] for each section.
Sections: TypeAlias = Sequence[tuple[str, str, list[int]]]


class Taken(NamedTuple):
    """All that is needed to write one letter; rows come by the thousand, so no model is made of them."""

    delivery: int
    batch: int
    edition: int
    subscriber: int
    email: str
    day: date
    sections: Sections
    papers_count: int
    #: Times that it was handed over, with this one once it is taken.
    attempts: int
    format: str
    language: str
    created_at: datetime

    @property
    def press(self) -> tuple[int, str]:
        """What letters have in common that one press writes: edition and language."""
        return self.edition, self.language

    @property
    def domain(self) -> str:
        return self.email.rpartition("@")[2].lower()


#: The columns of Delivery for it, in order.
COLUMNS = ("pk", "batch_id", "edition_id", "subscriber_id", "email", "day", "sections", "papers_count", "attempts",
           "subscriber__format", "subscriber__language", "created_at")  # fmt: skip
