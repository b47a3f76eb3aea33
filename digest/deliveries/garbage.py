"""Work on rows by the ten thousand, none of them in a circle and all soon gone: looking for garbage among them takes a
fifth of the time and finds none."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def left_alone() -> Iterator[None]:
    """Without the garbage collector; what counts its references goes as ever."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
