"""The pages of the site, kept in memory and given out before Django is asked.

A kept page is the answer to one address in one language. It holds until papers, editions or the day change, which the
database is asked for at most every CHECK seconds, so that a hit costs no query. Only what `digest.keeping` marks is
kept, and only as an answer to somebody of whom nothing is known: no cookie, no password.
"""

import gzip
import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import date
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from django.db import DatabaseError, close_old_connections

from digest import keeping, stamps
from digest.config import asking
from digest.config.asking import Environ, Key
from subscriptions import clock

Headers = list[tuple[str, str]]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]

#: Seconds between questions for what has changed, and after which everybody waits for the answer.
CHECK, LATE = 2.0, 5.0
#: Of the memory, what addresses that anybody may make up can take: they drive out only each other.
MADE_UP = 0.25
#: What a 304 must repeat (RFC 9110, 15.4.5).
REPEATED = {"cache-control", "content-location", "expires", "vary"}
#: How headers begin that are for the one who asks, beside a page for everybody.
OWN = "ratelimit"
log = logging.getLogger(__name__)


class Answer(NamedTuple):
    status: str
    headers: Headers
    body: bytes


class Label(NamedTuple):
    """What a page was made from."""

    stamps: stamps.Stamps
    day: date


class News:
    """What was changed last."""

    def __init__(self) -> None:
        self._label: Label | None = None
        self._asked_at = float("-inf")
        self._asking = threading.Lock()

    def known(self, now: float) -> Label | None:
        """The label, unless it is time to ask for it again."""
        return self._label if now - self._asked_at < CHECK else None

    def label(self, now: float) -> Label | None:
        """The label, asked for where it is time; None while the database has never answered."""
        if label := self.known(now):
            return label
        # One asks; others go on with what is known while that is not old.
        if not self._asking.acquire(blocking=now - self._asked_at > LATE):
            return self._label
        try:
            if now - self._asked_at >= CHECK:
                self._ask()
            return self._label
        finally:
            self._asking.release()

    def _ask(self) -> None:
        try:
            close_old_connections()
            self._label = Label(stamps.read(), clock.today())
        except DatabaseError as error:
            # Nobody can change anything meanwhile: what is kept goes on being read.
            log.warning("The database does not say what has changed: %s", error)
        self._asked_at = time.monotonic()


class Page:
    """One answer, as it is and compressed, with all headers ready."""

    __slots__ = ("etag", "label", "modified", "packed", "plain", "same", "size", "until")

    def __init__(self, headers: Headers, body: bytes, *, label: Label | None, until: float) -> None:
        given = {name.lower(): value for name, value in headers}
        # Weak: the compressed and the plain answer are two forms of one page (RFC 9110, 8.8.1).
        self.etag = f'W/"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
        self.modified = _seconds(given.get("last-modified", ""))
        self.label, self.until = label, until
        names = [name.strip() for name in given.get("vary", "").split(",")]
        names = [name for name in names if name and name.lower() != "accept-encoding"]
        common = [pair for pair in headers if pair[0].lower() not in {"vary", "content-length", "etag"}]
        common += [("Vary", ", ".join([*names, "Accept-Encoding"])), ("ETag", self.etag)]
        self.plain = Answer("200 OK", [*common, ("Content-Length", str(len(body)))], body)
        packed = gzip.compress(body, 6, mtime=0) if _compresses(given.get("content-type", "")) else body
        self.packed = self.plain
        if len(packed) < len(body):
            own = [("Content-Encoding", "gzip"), ("Content-Length", str(len(packed)))]
            self.packed = Answer("200 OK", [*common, *own], packed)
        repeated = [pair for pair in common if pair[0].lower() in REPEATED or pair[0] == "ETag"]
        self.same = Answer("304 Not Modified", repeated, b"")
        self.size = 4096 + len(body) + (len(packed) if self.packed is not self.plain else 0)

    def answer(self, environ: Environ) -> Answer:
        if self._is_known(environ):
            return self.same
        found = self.packed if asking.accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")) else self.plain
        return found._replace(body=b"") if environ["REQUEST_METHOD"] == "HEAD" else found

    def _is_known(self, environ: Environ) -> bool:
        """Whether whoever asks has this page already (RFC 9110, 13.1)."""
        if (tags := environ.get("HTTP_IF_NONE_MATCH")) is not None:
            return self.etag[2:] in tags or tags.strip() == "*"
        if self.modified is None or "HTTP_IF_MODIFIED_SINCE" not in environ:
            return False
        since = _seconds(environ["HTTP_IF_MODIFIED_SINCE"])
        return since is not None and since >= self.modified


class Store:
    """Pages by their keys, the ones longest unused given up first. Bounded by bytes."""

    def __init__(self, limit: float) -> None:
        self.limit, self.size = limit, 0
        self._pages: OrderedDict[Key, Page] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Page | None:
        with self._lock:
            if page := self._pages.get(key):
                self._pages.move_to_end(key)
            return page

    def put(self, key: Key, page: Page) -> None:
        self.drop(key)
        # One page is never most of what there is.
        if page.size > self.limit / 8:
            return
        with self._lock:
            self._pages[key] = page
            self.size += page.size
            while self.size > self.limit:
                _, oldest = self._pages.popitem(last=False)
                self.size -= oldest.size

    def drop(self, key: Key) -> None:
        with self._lock:
            if page := self._pages.pop(key, None):
                self.size -= page.size

    def __len__(self) -> int:
        return len(self._pages)


class Pages:
    """A WSGI application before another, which it asks for what it has not kept."""

    def __init__(self, application: Application, *, megabytes: float) -> None:
        self.application = application
        self.news = News()
        self.usual, self.made_up = (Store(megabytes * share * 2**20) for share in (1 - MADE_UP, MADE_UP))
        self._making: set[Key] = set()

    def _store(self, key: Key) -> Store:
        return self.usual if asking.is_usual(key) else self.made_up

    def look(self, environ: Environ) -> Answer | None:
        """A kept answer, without a query and without waiting; None where the application has to be called."""
        now = time.monotonic()
        label = self.news.known(now)
        if label is None or (key := asking.key_of(environ)) is None:
            return None
        page = self._store(key).get(key)
        return page.answer(environ) if page and page.label == label and now < page.until else None

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        key = asking.key_of(environ)
        if key is None:
            return self.application(environ, start_response)
        now = time.monotonic()
        label = self.news.label(now)
        page = self._store(key).get(key)
        if page:
            is_fresh = page.label == label and now < page.until
            # While one makes a page anew, others get the old one.
            if is_fresh or key in self._making:
                return _send(page.answer(environ), start_response)
        self._making.add(key)
        try:
            return self._make(key, label, environ, start_response)
        finally:
            self._making.discard(key)

    def _make(self, key: Key, label: Label | None, environ: Environ, start_response: Start) -> Iterable[bytes]:
        store = self._store(key)
        started: list[tuple[Any, ...]] = []
        parts = self.application(environ, lambda *started_with: started.append(started_with))
        status, headers = started[-1][:2]
        seconds = environ.get(keeping.KEY)
        if seconds is None or not _is_for_everybody(status, headers):
            if status.startswith("5") and (old := store.get(key)) and old.label == label:
                # It is merely older than its view would like.
                read(parts)
                return _send(old.answer(environ), start_response)
            store.drop(key)
            start_response(status, _private(headers) if seconds is not None else headers, *started[-1][2:])
            return parts
        body = read(parts)
        own = [pair for pair in headers if pair[0].lower().startswith(OWN)]
        common = [pair for pair in headers if pair not in own]
        page = Page(common, body, label=label, until=time.monotonic() + seconds)
        if label and environ["REQUEST_METHOD"] == "GET" and asking.is_anybody(environ):
            store.put(key, page)
        answer = page.answer(environ)
        return _send(answer._replace(headers=answer.headers + own), start_response)


def read(parts: Iterable[bytes]) -> bytes:
    """All of an answer. Closing it is how Django hears that the request has ended."""
    try:
        return b"".join(parts)
    finally:
        if close := getattr(parts, "close", None):
            close()


def _send(answer: Answer, start_response: Start) -> list[bytes]:
    start_response(answer.status, answer.headers)
    return [answer.body]


def _is_for_everybody(status: str, headers: Headers) -> bool:
    """Whether an answer that its view lets be kept turned out to be one that may be."""
    given: dict[str, str] = {}
    for name, value in headers:
        given[name.lower()] = f"{given[name.lower()]}, {value}" if name.lower() in given else value
    control = {part.strip() for part in given.get("cache-control", "").lower().split(",")}
    varies = {part.strip() for part in given.get("vary", "").lower().split(",")} - {""}
    known = {"accept-encoding", "accept-language"}
    return (
        status.startswith("200 ")
        and "public" in control
        and not control & {"private", "no-store"}
        and not given.keys() & {"set-cookie", "content-encoding", "content-range"}
        and varies <= known
    )


def _private(headers: Headers) -> Headers:
    """The headers of an answer that turned out to be for one reader, so that nobody on the way keeps it either."""
    return [("Cache-Control", "private, no-cache") if pair[1].startswith("public") else pair for pair in headers]


def _compresses(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind.endswith(("json", "xml", "yaml", "javascript"))


def _seconds(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
