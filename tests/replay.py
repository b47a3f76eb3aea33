"""The replay server of the recordings, run in this process so that a test can change what it answers as it goes."""

import gzip
import importlib.util
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.recorded import ROOT, need


class Replay:
    """`today`, `faults` ("NAME:PATH-PREFIX") and `strict` may change between requests; `asked` counts them."""

    def __init__(self, serve: Any, folder: Path) -> None:
        replay = self
        self.recorded = serve.Recorded(folder, "")
        self.over = threading.Event()
        self.monotonic: Callable[[], float] = time.monotonic
        #: (path, status, seconds) of each answer that was sent in full
        self.asked: list[tuple[str, int, float]] = []
        serve.time = SimpleNamespace(time=time.time, monotonic=self._seconds, sleep=self.over.wait)
        serve.print = lambda *words, **options: None

        class Handler(serve.Handler):
            recorded = self.recorded

            def answer(self, status: int, body: Any, kind: str, **headers: str) -> None:
                replay.asked.append((self.path, status, replay.monotonic()))
                super().answer(status, body, kind, **headers)

            def fault(self, name: str, url: Any) -> bool:
                if name != "gzipbomb":
                    return bool(super().fault(name, url))
                self.answer(200, _bomb(), "application/json", Content_Encoding="gzip")
                return True

        self.serve, self.handler = serve, Handler
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *request: None  # type: ignore[method-assign]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def _seconds(self) -> float:
        return self.monotonic()

    def reset(self, today: object, *faults: str, strict: bool = False) -> None:
        self.recorded.today = str(today)
        self.handler.faults, self.handler.strict = list(faults), strict
        self.serve.Handler.last_arxiv = float("-inf")
        self.monotonic = time.monotonic
        self.asked.clear()

    @property
    def today(self) -> str:
        return str(self.recorded.today)

    @today.setter
    def today(self, day: object) -> None:
        self.recorded.today = str(day)

    @property
    def faults(self) -> list[str]:
        return self.handler.faults

    @faults.setter
    def faults(self, faults: list[str]) -> None:
        self.handler.faults = faults


@cache
def _bomb() -> bytes:
    """A sixteenth of the server's own, which takes seconds to pack."""
    return gzip.compress(b" " * 2**26)


@contextmanager
def running() -> Iterator[Replay]:
    """Start the server on a free port; skips the test where the recordings or the server are absent."""
    folder = need("hf_daily").parent
    places = [folder.parent / "replay" / "serve.py", ROOT.parent / "shared" / "replay" / "serve.py"]
    file = next((place for place in places if place.exists()), None)
    if file is None:
        pytest.skip("the replay server is not beside the recordings")
    spec = importlib.util.spec_from_file_location("replay_server", file)
    assert spec and spec.loader
    serve = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(serve)
    replay = Replay(serve, folder)
    replay.thread.start()
    try:
        yield replay
    finally:
        replay.over.set()
        replay.server.shutdown()
        replay.server.server_close()
        replay.thread.join()
