"""The web application for granian: the WSGI application, and before it what one process needs against slow clients.

Granian's own WSGI gives every request a thread at once, which then waits for the rest of the body: as many slow clients
as threads stop everybody. Here bodies are read without a thread, kept pages are answered without one, and a thread is
busy only while Django is. Granian also lets `X_Forwarded_For` stand for `X-Forwarded-For`, and the environment of the
process for headers; neither is so here. (RSGI 1.6, granian's documentation.)
"""

import asyncio
import io
import logging
import os
import signal
import sys
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any

from django.conf import settings

from digest.config import wsgi
from digest.config.asking import Environ
from digest.config.pages import Answer, Headers, read

#: What a body may have, and all bodies that are being read at once; bytes.
BODY, BODIES = 10 * 2**20, 64 * 2**20
#: Seconds for a body to arrive, and for a client to take a piece of what is streamed.
PATIENCE = 30
#: What only an operator's own proxy may say.
FORWARDED = ("forwarded", "x-forwarded-", "x-real-ip")
log = logging.getLogger(__name__)


class Refused(Exception):
    """A request that is not passed on."""

    def __init__(self, status: int, words: str) -> None:
        self.status, self.words = status, words


class Application:
    """One worker process."""

    def __init__(self) -> None:
        self.arriving = 0

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.pool = ThreadPoolExecutor(settings.DIGEST_WEB_THREADS, thread_name_prefix="web")
        self._leave_with_the_parent(loop, os.getppid())

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.pool.shutdown()

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        environ = environ_of(scope)
        if answer := wsgi.application.look(environ):
            _answer(proto, answer, is_head=scope.method == "HEAD")
            return
        loop = asyncio.get_running_loop()
        try:
            body = await self._body(environ, proto)
        except Refused as refused:
            headers = [("content-type", "text/plain; charset=utf-8"), ("connection", "close")]
            proto.response_bytes(refused.status, headers, refused.words.encode())
            return
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body)) if body else ""
        await loop.run_in_executor(self.pool, _call, environ, proto, loop)

    async def _body(self, environ: Environ, proto: Any) -> bytes:
        """What a request brings. Raises Refused where it is too much or comes too slowly."""
        if not (environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ):
            return b""
        body = bytearray()
        try:
            async with asyncio.timeout(PATIENCE):
                async for chunk in proto:
                    body += chunk
                    self.arriving += len(chunk)
                    if len(body) > BODY:
                        raise Refused(413, f"This is more than the {BODY // 2**20} MB that can be taken.")
                    if self.arriving > BODIES:
                        raise Refused(503, "Too much is being sent at the moment. Please try again in a minute.")
        except TimeoutError as error:
            raise Refused(408, "This came too slowly. Please try again.") from error
        finally:
            self.arriving -= len(body)
        return bytes(body)

    def _leave_with_the_parent(self, loop: asyncio.AbstractEventLoop, parent: int) -> None:
        """Whose parent was killed has nobody left to stop it."""
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            loop.call_later(1, self._leave_with_the_parent, loop, parent)


# In a thread --------------------------------------------------------------------------------------------------------


def _call(environ: Environ, proto: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Ask the WSGI application and give its answer."""
    started: list[tuple[Any, ...]] = []
    try:
        parts = wsgi.application(environ, lambda *started_with: started.append(started_with))
    except Exception:
        log.exception("%s %s", environ["REQUEST_METHOD"], environ["PATH_INFO"])
        proto.response_bytes(500, [], b"")
        return
    status, headers = started[-1][:2]
    is_head = environ["REQUEST_METHOD"] == "HEAD"
    # What says how long it is is not long; the rest is lines that are made while they are sent.
    if is_head or any(name.lower() == "content-length" for name, _ in headers):
        _answer(proto, Answer(status, headers, read(parts)), is_head=is_head)
    else:
        _stream(proto, status, headers, parts, loop)


def _answer(proto: Any, answer: Answer, *, is_head: bool) -> None:
    status = int(answer.status[:3])
    if is_head or status in {204, 304}:
        proto.response_empty(status, answer.headers)
    else:
        proto.response_bytes(status, answer.headers, answer.body)


def _stream(proto: Any, status: str, headers: Headers, parts: Iterable[bytes], loop: asyncio.AbstractEventLoop) -> None:
    transport = proto.response_stream(int(status[:3]), headers)

    async def send(part: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            await transport.send_bytes(part)

    try:
        for part in parts:
            sent: Future[None] = asyncio.run_coroutine_threadsafe(send(part), loop)
            sent.result()
    except (TimeoutError, RuntimeError):
        log.info("Somebody left before the end of %s", headers)
    finally:
        if close := getattr(parts, "close", None):
            close()


# Of requests --------------------------------------------------------------------------------------------------------


def environ_of(scope: Any) -> Environ:
    """A request as WSGI has it (PEP 3333), without headers that nobody trustworthy has sent."""
    server, _, port = scope.server.rpartition(":")
    environ: Environ = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path if scope.path.isascii() else scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": server,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope.headers.items():
        if key := _key(name):
            if key in environ:
                value = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"
            environ[key] = value
    return environ


@lru_cache(maxsize=512)
def _key(name: str) -> str:
    """The environ's name of a header, or "" for one that is left out."""
    # WSGI would take x_forwarded_for for x-forwarded-for.
    if "_" in name or len(name) > 100 or (name.startswith(FORWARDED) and not settings.DIGEST_BEHIND_PROXY):
        return ""
    key = name.upper().replace("-", "_")
    return key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"


application = Application()
