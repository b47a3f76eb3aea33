"""The only way in from the network: one GET at a time, from servers that are all taken for hostile.

Addresses are checked when connecting (`connecting`), so neither a redirect nor a changing DNS answer leads inside;
time, size, redirects and unpacking all have an end; and whatever a server does comes back as a FetchError.
"""

import contextlib
import email.utils
import http.client
import io
import itertools
import re
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, Self

import httpcore
import httpx

from digest.connecting import CheckedBackend, Deadline, FetchError, Kind, Resolve

__all__ = ["Answer", "FetchError", "Fetcher", "Kind", "Limits"]

EXCERPT_CHARACTERS = 2_000
_VALIDATOR_CHARACTERS = 500
_STEP_BYTES = 64 * 1024
_KEEP_ALIVE_SECONDS = 15.0
_BROKEN = (httpcore.NetworkError, httpcore.ProtocolError, zlib.error)
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's number for "gzip, any window"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server said: 200 with a body, or 304 when what we have is still good."""

    status: int
    body: bytes  # unpacked; empty for 304
    etag: str  # the two validators to send next time, "" where there is none
    modified: str
    url: str  # where the answer came from, after redirects
    moved_to: str  # the same, if there were redirects, all permanent, and none from https to http; else ""
    content_type: str  # as sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much patience one fetch gets."""

    connect_seconds: float = 10  # to look up the name; to reach one address; to agree on TLS
    read_seconds: float = 20  # of silence
    total_seconds: float = 60  # for everything, redirects included
    body_bytes: int = 15 * 2**20  # as sent, and again unpacked
    hops: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hop:
    to: httpx.URL
    permanent: bool


class Fetcher:
    """Fetches for one job, over one connection at a time; a context manager, not to be shared between threads.

    `allow` names the (host, port) pairs that may be inside, also when a redirect leads there: host in lower case,
    IPv6 without brackets. `clock` counts seconds and never goes back; `resolve` is called like `socket.getaddrinfo`;
    `tls` replaces the usual trust in certificates. Proxies, cookies and .netrc are never used.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        allow: frozenset[tuple[str, int]] = frozenset(),
        limits: Limits = Limits(),
        clock: Callable[[], float] = time.monotonic,
        resolve: Resolve = socket.getaddrinfo,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "gzip"}
        self._limits = limits
        self._deadline = Deadline(limits.total_seconds, clock)
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls,
            max_connections=1,
            keepalive_expiry=_KEEP_ALIVE_SECONDS,
            network_backend=CheckedBackend(allow=allow, resolve=resolve, deadline=self._deadline),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.close()

    def get(self, url: str, *, etag: str = "", modified: str = "", accept: str = "*/*") -> Answer:
        """Ask for `url`, following redirects; raises FetchError and nothing else, whatever the server does.

        With the validators of the last answer, a page that has not changed is a 304 without a body.
        """
        self._deadline.restart()
        headers = self._headers | {"Accept": accept}
        headers |= {"If-None-Match": etag} if etag else {}
        headers |= {"If-Modified-Since": modified} if modified else {}
        here = _parse(url)
        seen = {here}
        permanent = True
        while isinstance(found := self._ask(here, headers), _Hop):
            permanent = permanent and found.permanent and (here.scheme, found.to.scheme) != ("https", "http")
            here = found.to
            if here in seen:
                raise FetchError("redirect", f"{_name(here)} redirects in a circle")
            seen.add(here)
            if len(seen) > self._limits.hops + 1:
                raise FetchError("redirect", f"more than {self._limits.hops} redirects, the last to {_name(here)}")
        return replace(found, moved_to=str(here) if permanent and len(seen) > 1 else "")

    def _ask(self, url: httpx.URL, headers: dict[str, str]) -> Answer | _Hop:
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        silence = self._limits.read_seconds
        timeout = {"connect": self._limits.connect_seconds, "read": silence, "write": silence}
        try:
            sent = list(({"Host": _name(url)} | headers).items())
            with self._pool.stream("GET", target, headers=sent, extensions={"timeout": timeout}) as response:
                return self._judge(response, url, headers)
        except httpcore.TimeoutException as error:
            self._deadline.cut()  # says so if it was the whole that took too long
            raise FetchError("timeout", f"{_name(url)} said nothing for {silence:g} seconds") from error
        except _BROKEN as error:
            raise FetchError("broken", f"the answer of {_name(url)} is cut short, damaged or not HTTP") from error

    def _judge(self, response: httpcore.Response, url: httpx.URL, sent: dict[str, str]) -> Answer | _Hop:
        headers = httpx.Headers(response.headers)
        location = headers.get("Location", "")
        if response.status in (301, 302, 303, 307, 308) and location:
            return _Hop(to=_parse(location, base=url), permanent=response.status in (301, 308))
        kept = sent if response.status == 304 else {}
        if response.status != 200 and not {"If-None-Match", "If-Modified-Since"} & kept.keys():
            raise _refusal(response, headers, url)
        return Answer(
            status=response.status,
            body=self._body(response, headers, url),
            etag=_validator(headers, "ETag") or kept.get("If-None-Match", ""),
            modified=_validator(headers, "Last-Modified") or kept.get("If-Modified-Since", ""),
            url=str(url),
            moved_to="",
            content_type=headers.get("Content-Type", ""),
        )

    def _body(self, response: httpcore.Response, headers: httpx.Headers, url: httpx.URL) -> bytes:
        if response.status == 304:
            return response.read()  # none by definition, but the connection is free only when it was looked for
        cap = self._limits.body_bytes
        announced = int(headers.get("Content-Length", "0"))
        if announced > cap:
            raise FetchError("too_big", f"{_name(url)} announces {announced:,} bytes, more than {cap:,}")
        raw = _capped(response.iter_stream(), cap)
        body = io.BytesIO()  # keeps one copy, where joining a list would need two
        for piece in _capped(_unpacked(raw, gzipped=_is_gzipped(headers, url)), cap):
            body.write(piece)
        return body.getvalue()


def _name(url: httpx.URL) -> str:
    return url.netloc.decode("ascii")


def _parse(text: str, *, base: httpx.URL | None = None) -> httpx.URL:
    kind: Literal["address", "redirect"] = "redirect" if base else "address"
    subject = f"the redirect from {_name(base)}" if base else "the address"
    try:
        url = (base.join(text) if base else httpx.URL(text)).copy_with(fragment=None)
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchError(kind, f"{subject} is not a URL") from error
    if url.scheme not in ("http", "https"):
        raise FetchError(kind, f"{subject} does not begin with http:// or https://")
    if not url.raw_host:
        raise FetchError(kind, f"{subject} names no host")
    if url.port is not None and not 0 < url.port < 2**16:
        raise FetchError(kind, f"{subject} has an impossible port")
    if url.userinfo:
        raise FetchError(kind, f"{subject} has a user name or password in it")
    return url


def _is_gzipped(headers: httpx.Headers, url: httpx.URL) -> bool:
    coding: str = headers.get("Content-Encoding", "").strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip"):
        raise FetchError("broken", f"{_name(url)} packs its answer as {coding[:40]!r}, only gzip can be read")
    return coding.endswith("gzip")


def _capped(pieces: Iterable[bytes], cap: int) -> Iterator[bytes]:
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > cap:
            raise FetchError("too_big", f"the answer is larger than {cap:,} bytes")
        yield piece


def _unpacked(pieces: Iterable[bytes], *, gzipped: bool) -> Iterator[bytes]:
    """Undo gzip (RFC 1952), announced or not, in steps so small that a bomb meets the cap before it unfolds."""
    source = iter(pieces)
    start = b""
    while len(start) < len(_GZIP_MAGIC) and (piece := next(source, None)) is not None:
        start += piece
    source = itertools.chain([start], source)
    if not start or not (gzipped or start.startswith(_GZIP_MAGIC)):
        yield from source
        return
    member = zlib.decompressobj(_GZIP_WINDOW)
    for packed in source:
        while packed:
            if member.eof:
                if not packed.startswith(_GZIP_MAGIC[:1]):
                    break  # padding after the last member
                member = zlib.decompressobj(_GZIP_WINDOW)
            yield member.decompress(packed, _STEP_BYTES)
            packed = member.unconsumed_tail or member.unused_data
    if not member.eof:
        raise FetchError("broken", "the answer was cut short inside its gzip packing")


def _validator(headers: httpx.Headers, name: str) -> str:
    """A validator only if it can be kept and sent back as it is."""
    value: str = headers.get(name, "")
    return value if value.isascii() and len(value) <= _VALIDATOR_CHARACTERS else ""


def _refusal(response: httpcore.Response, headers: httpx.Headers, url: httpx.URL) -> FetchError:
    page = bytearray()
    with contextlib.suppress(FetchError, httpcore.TimeoutException, *_BROKEN):  # the status matters, not its page
        for piece in _unpacked(response.iter_stream(), gzipped=_is_gzipped(headers, url)):
            page += piece
            if len(page) >= 4 * EXCERPT_CHARACTERS:
                break
    phrase = http.client.responses.get(response.status, "an unknown status")
    return FetchError(
        "status",
        f"{_name(url)} answered {response.status} {phrase}",
        status=response.status,
        retry_after=_retry_after(headers, response.status),
        excerpt=page.decode("utf-8", "replace").replace("\0", "\ufffd")[:EXCERPT_CHARACTERS],
    )


def _retry_after(headers: httpx.Headers, status: int) -> float | None:
    """Seconds to wait, from Retry-After (RFC 9110, 10.2.3), else from the RateLimit of a 429 or 503.

    A date is measured against the server's own Date, so that our clock does not matter.
    """
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    until, now = _date(value), _date(headers.get("Date", ""))
    if until and now:
        return max(0.0, (until - now).total_seconds())
    waits = re.findall(r";\s*t=([0-9]{1,9})", headers.get("RateLimit", "")) if status in (429, 503) else []
    return max(map(float, waits), default=None)


def _date(value: str) -> datetime | None:
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
