"""What passes between who owes letters and who carries them."""

from dataclasses import dataclass
from typing import Protocol

from subscriptions.mime import Letter
from subscriptions.verdicts import Verdict


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One letter to carry; `key` is its owner's name for it."""

    key: int
    letter: Letter
    #: The whole message as `Letter.as_bytes` makes it: it ends with a line break, and no line begins with a dot.
    content: bytes

    @property
    def to(self) -> str:
        return self.letter.to

    @property
    def sender(self) -> str:
        return self.letter.envelope_sender


class Jobs(Protocol):
    """Letters to carry, taken one by one."""

    #: Seconds after which `tick` wants to be called at the latest.
    patience: float

    def next(self) -> Job | float | None:
        """The next letter; or the seconds until there may be one; or None where there is none left."""

    def begin(self, job: Job) -> None:
        """The letter is about to be handed over: whatever happens now, only an answer can tell."""

    def done(self, job: Job, verdict: Verdict) -> None:
        """What came of it."""

    def put_back(self, job: Job) -> None:
        """The letter was not begun and its connection is gone: give it to another."""

    def tick(self) -> None:
        """Called often, between letters."""
