"""What a worker has begun and what was answered, in a file: the memory that survives the worker.

A row says only that a letter is among those being handed over. Between the server's 250 and the commit that settles the
row lies the hole in which other engines lose or repeat letters. Here each letter is written down when its content is
about to leave, and each answer when it comes, before anything else is done with it: two writes of some dozen bytes.
They reach the kernel, so they outlive a killed process; they are not forced to disk, so after a crash of the machine
the file is only believed in what it says, not in what it leaves out.

The worker holds a lock on the file for as long as it lives; whoever gets the lock knows that it is dead.
"""

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from digest.taken import Taken
from subscriptions.mail import Outcome, Verdict

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Remains:
    """What a dead worker's journal knows, by delivery and attempt."""

    worker: str
    transport: str = ""
    begun: set[tuple[int, int]] = field(default_factory=set)
    answered: dict[tuple[int, int], Verdict] = field(default_factory=dict)
    #: Whether a letter that is not in it was certainly not begun.
    is_whole: bool = False


class Journal:
    """A living worker's journal."""

    def __init__(self, folder: Path, worker: str, transport: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{worker}.journal"
        # It gets its name when it is locked: who found it before would take the worker for dead and remove it.
        new = folder / f"{worker}.new"
        self._file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        self._head = f"J {_boot()} {transport}\n".encode()
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self._write(self._head)
            new.rename(self.path)
        except OSError:
            self.close()
            new.unlink(missing_ok=True)
            raise

    def begin(self, row: Taken) -> None:
        self._write(b"B %d %d\n" % (row.delivery, row.attempts))

    def answer(self, row: Taken, verdict: Verdict) -> None:
        if verdict.outcome is Outcome.SENT and not verdict.reference:
            self._write(b"S %d %d\n" % (row.delivery, row.attempts))
            return
        more = json.dumps([verdict.outcome, verdict.reason, verdict.retry_after, verdict.reference])
        self._write(b"A %d %d %s\n" % (row.delivery, row.attempts, more.encode()))

    def clear(self) -> None:
        """Everything in it is in the database: begin anew. Its first line stays, so that it is whole at any moment."""
        os.ftruncate(self._file, len(self._head))

    def remove(self) -> None:
        """The worker has settled everything and given back what it held."""
        with suppress(FileNotFoundError):
            self.path.unlink()

    def close(self) -> None:
        os.close(self._file)

    def _write(self, line: bytes) -> None:
        """The whole line or nothing: on a disk that is full, the beginning of one may be written without an error."""
        written = os.write(self._file, line)
        if written < len(line):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))


def _boot() -> str:
    """Names the running time of this machine: the kernel's memory lasts no longer."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return "unknown"


def is_alive(folder: Path, worker: str) -> bool | None:
    """Whether a worker lives, for one that runs on this machine; None for one that left no journal here."""
    try:
        with _locked(folder / f"{worker}.journal") as is_dead:
            return not is_dead
    except FileNotFoundError:
        return None


def recover(folder: Path, settle: Callable[[Remains], None]) -> None:
    """Have the journal of every dead worker of this machine settled, and remove it."""
    for path in sorted(folder.glob("*.journal")):
        with suppress(FileNotFoundError), _locked(path) as is_dead:
            if is_dead and path.exists():  # nobody else was quicker
                settle(_read(path))
                path.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Whether the lock could be had; it is held meanwhile."""
    file = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield False
    else:
        yield True
    finally:
        os.close(file)


def _entry(line: bytes) -> tuple[tuple[int, int], Verdict | None]:
    """A letter and, if it was answered, how. Raises ValueError or IndexError for what is no whole line."""
    kind, delivery, attempt, *more = line.split(b" ", 3)
    key = int(delivery), int(attempt)
    if kind == b"B" and not more:
        return key, None
    if kind == b"S" and not more:
        return key, Verdict(Outcome.SENT)
    if kind != b"A":
        raise ValueError(f"{line!r} is no line of a journal")
    outcome, reason, retry_after, reference = json.loads(more[0])
    return key, Verdict(Outcome(outcome), reason, retry_after, reference)


def _read(path: Path) -> Remains:
    head, *lines = path.read_bytes().split(b"\n")
    words = head.decode("utf-8", "replace").split(" ")
    begun: set[tuple[int, int]] = set()
    answers: dict[tuple[int, int], Verdict] = {}
    is_whole = len(words) == 3 and words[0] == "J" and words[1] == _boot() != "unknown"
    for line in lines[:-1]:  # the last one is empty, or was being written
        try:
            key, verdict = _entry(line)
        except (ValueError, IndexError):  # a full disk or a crash of the machine: what the others say still holds
            is_whole = False
            continue
        begun.add(key)
        if verdict is not None:
            answers[key] = verdict
        else:  # begun again, as a person may have wished: the answer before was to another try
            answers.pop(key, None)
    return Remains(path.stem, words[-1] if len(words) == 3 else "", begun, answers, is_whole)
