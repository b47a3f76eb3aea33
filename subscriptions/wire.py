"""SMTP as fast as the wire: several kept connections, one selector loop, the envelope pipelined (RFC 2920).

With PIPELINING the content of one letter and the envelope of the next leave together, so that a letter takes one round
trip. Opening a connection (greeting, TLS, password) is smtplib's work, in a thread of its own.
"""

import selectors
import smtplib
import socket
import ssl
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from subscriptions.jobs import Job, Jobs
from subscriptions.mime import Unwritable, envelope_address
from subscriptions.verdicts import SENT, Outcome, Phase, Verdict, answered, lost, raised

#: Letters over one connection before it is opened anew; servers close what stays open for long.
PER_CONNECTION = 1_000
#: Seconds between two looks at connections that do not answer, are idle or were opened.
LOOK_EVERY = 0.02
#: Seconds a connection may be idle before it is closed.
IDLE = 60.0
#: Seconds to open a connection, for each answer of its opening, and for it in all.
CONNECT, CONNECT_IN_ALL = 10.0, 30.0
#: Seconds for the answers to an envelope, and for a content to leave and be answered.
ENVELOPE, CONTENT = 30.0, 60.0
#: Seconds that a connection is not tried again which the server would not open beside the others.
BARRED = 30.0
#: First digits of replies; the reply before a server closes, and to a command that it did not expect.
SUCCESS, GO_ON, REFUSALS, CLOSING, OUT_OF_STEP = 2, 3, (4, 5), 421, 503
#: What is answered of an envelope, in this order.
_ENVELOPE = (Phase.MAIL, Phase.RCPT, Phase.DATA)
#: A TLS record: what is not written of more than one may have left all the same.
RECORD = 16_384
#: A reply line longer than this is none (RFC 5321 section 4.5.3.1.5 says 512).
LONGEST_REPLY = 64_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    ssl: bool = False
    starttls: bool = False
    name: str = "localhost"


class _Line:
    """One connection: what was written and waits to leave, what is waited for, and for which letter."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: nothing of a connection that is gone is left to be mixed up with the next."""
        self.opening: Future[smtplib.SMTP] | None = None
        self.client: smtplib.SMTP | None = None
        self.socket: socket.socket | None = None
        self.deadline = self.used_at = 0.0
        self.pipelines = self.takes_utf8 = False
        self.awaited: deque[Phase | None] = deque()  # None: an answer nobody acts on
        self.later: deque[tuple[Phase, bytes]] = deque()  # commands held back where nothing is pipelined
        self.writing: list[bytes | memoryview] = []
        self.reading = b""
        self.job: Job | None = None  # whose content is being taken
        self.next: Job | None = None  # whose envelope is being answered
        self.refusal: Verdict | None = None
        self.refused_at = Phase.MAIL
        self.sent = 0
        self.barred_until = 0.0
        self.must_reset = self.events = 0

    @property
    def is_busy(self) -> bool:
        return bool(self.job or self.next or self.awaited or self.writing)

    @property
    def unwritten(self) -> int:
        return sum(map(len, self.writing))


class Wire:
    """Takes letters from `Jobs` and gives each its verdict; `run` returns when there are no more."""

    def __init__(self, server: Server, connections: int) -> None:
        self.server = server
        self.lines = [_Line() for _ in range(connections)]
        self._looked_at = 0.0
        self._selector = selectors.DefaultSelector()
        self._openers = ThreadPoolExecutor(max_workers=connections, thread_name_prefix="smtp")
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def close(self) -> None:
        for line in self.lines:
            self._hang_up(line, politely=True)
        self._openers.shutdown(wait=False, cancel_futures=True)
        self._selector.close()
        self._waker.close()
        self._woken.close()

    @property
    def open(self) -> int:
        return sum(line.socket is not None for line in self.lines)

    def run(self, jobs: Jobs) -> None:
        """Send until `jobs` has none left. Every job it gave was settled or put back when this returns."""
        try:
            while True:
                wait = self._feed(jobs)
                if wait is None and not any(line.is_busy or line.opening for line in self.lines):
                    return
                self._turn(jobs, wait)
                jobs.tick()
        except BaseException:
            for line in self.lines:
                self._lose(line, jobs, "the worker was stopped", is_ours=True)
            raise

    # Giving work ---------------------------------------------------------------------------------------------------

    def _feed(self, jobs: Jobs) -> float | None:
        """Give letters to connections that are free; returns how long until there may be more, None for never."""
        now = time.monotonic()
        free = [line for line in self.lines if not (line.is_busy or line.opening or line.barred_until > now)]
        for line in free:
            if line.sent >= PER_CONNECTION:
                self._hang_up(line, politely=True)
        for line in sorted(free, key=_is_closed):  # open ones first
            given = self._put_envelope(line, jobs)
            if not isinstance(given, Job):
                return given
            self._flush(line, jobs)
        return jobs.patience

    def _put_envelope(self, line: _Line, jobs: Jobs) -> Job | float | None:
        """Take the next letter, if there is one now, and put its envelope behind what leaves already."""
        while isinstance(job := jobs.next(), Job):
            if line.socket is None:
                line.next = job
                self._start_opening(line)
                return job
            if (unfit := self._unfit(line, job)) is not None:
                jobs.done(job, unfit)
                continue
            self._write_envelope(line, job)
            return job
        return job

    def _unfit(self, line: _Line, job: Job) -> Verdict | None:
        if not (job.to.isascii() or line.takes_utf8) and not envelope_address(job.to).isascii():
            return Verdict(Outcome.FAILED, "The mail server takes no addresses beyond ASCII (SMTPUTF8).")
        return None

    def _write_envelope(self, line: _Line, job: Job) -> None:
        line.next, line.refusal = job, None
        to, utf8 = job.to, ""
        if not to.isascii():
            with suppress(Unwritable):
                to = envelope_address(to)
            utf8 = "" if to.isascii() else " SMTPUTF8"
        line.deadline = max(line.deadline, time.monotonic() + ENVELOPE)
        mail, rcpt = f"MAIL FROM:<{job.sender}>{utf8}\r\n", f"RCPT TO:<{to}>\r\n"
        if line.pipelines and not line.must_reset:
            line.awaited += _ENVELOPE
            line.writing.append(f"{mail}{rcpt}DATA\r\n".encode())
            return
        if line.must_reset:
            line.later.append((Phase.CONNECT, b"RSET\r\n"))
            line.must_reset = False
        line.later += ((Phase.MAIL, mail.encode()), (Phase.RCPT, rcpt.encode()), (Phase.DATA, b"DATA\r\n"))
        self._write_commands(line)

    def _write_commands(self, line: _Line) -> None:
        """All commands at once where the server pipelines, one for each answer where it does not."""
        out = []
        while line.later and (line.pipelines or not line.awaited):
            phase, command = line.later.popleft()
            line.awaited.append(None if phase is Phase.CONNECT else phase)
            out.append(command)
        line.writing += out

    def _write_content(self, line: _Line, jobs: Jobs) -> None:
        """The letter itself, and with it the envelope of the next one."""
        job = line.next
        assert job is not None
        jobs.begin(job)
        line.job, line.next = job, None
        line.awaited.append(Phase.DOT)
        line.deadline = time.monotonic() + CONTENT
        line.writing = [job.content, b".\r\n"]
        if line.pipelines and line.sent + 1 < PER_CONNECTION:
            self._put_envelope(line, jobs)
        self._flush(line, jobs)

    # Opening and closing -------------------------------------------------------------------------------------------

    def _start_opening(self, line: _Line) -> None:
        line.client = _client(self.server)
        line.deadline = time.monotonic() + CONNECT_IN_ALL
        line.opening = self._openers.submit(_open, line.client, self.server)
        line.opening.add_done_callback(self._wake)

    def _wake(self, _: object) -> None:
        with suppress(OSError):
            self._waker.send(b".")

    def _opened(self, line: _Line, jobs: Jobs) -> None:
        opening, line.opening = line.opening, None
        assert opening is not None
        assert line.next is not None
        job = line.next
        error = opening.exception()
        if error is not None:
            self._hang_up(line)
            verdict = raised(error if isinstance(error, Exception) else OSError(str(error)), Phase.CONNECT)
            if not verdict.is_refusal_of_us and any(other.socket or other.opening for other in self.lines):
                # The server takes no more connections than the others, perhaps; the last one to fail will tell.
                line.barred_until = time.monotonic() + BARRED
                jobs.put_back(job)
            else:
                jobs.done(job, verdict)
            return
        client = opening.result()
        assert client.sock is not None
        line.socket, line.sent = client.sock, 0
        line.socket.setblocking(False)
        with suppress(OSError):
            line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.pipelines, line.takes_utf8 = client.has_extn("pipelining"), client.has_extn("smtputf8")
        line.events, line.used_at = 0, time.monotonic()
        line.next = None
        jobs.put_back(job)  # its reader may have left meanwhile: whoever gave it looks again
        self._put_envelope(line, jobs)
        self._flush(line, jobs)

    def _hang_up(self, line: _Line, *, politely: bool = False) -> None:
        """Close and forget; what it was doing must have been settled."""
        client, handle = line.client, line.socket or (line.client.sock if line.client else None)
        if line.socket is not None and line.events:
            self._selector.unregister(line.socket)
        if line.opening:
            line.opening.cancel()
        with suppress(OSError, ValueError):
            if handle is not None and politely and line.socket is not None and not line.is_busy:
                line.socket.setblocking(False)
                line.socket.send(b"QUIT\r\n")
            elif handle is not None and line.socket is None:
                handle.shutdown(socket.SHUT_RDWR)  # ends the thread that is opening it
        with suppress(OSError):
            if client is not None:
                client.close()
        line.forget()

    def _lose(self, line: _Line, jobs: Jobs, why: str, *, is_ours: bool = False) -> None:
        """The connection is gone: the letter handed over is uncertain, or was not; the one behind it never began.

        Servers close what they find idle or spent, so a loss on a connection that carried letters says nothing about
        the next one: it is put back, and a new connection tells.
        """
        job, behind = line.job, line.next
        refusal, dot_left = line.refusal, self._has_left(line)
        phase = next((phase for phase in line.awaited if phase), Phase.CONNECT)
        spared = refusal is None and (is_ours or line.sent > 0)
        self._hang_up(line)
        if job is not None:
            jobs.done(job, lost(Phase.DOT if dot_left else Phase.DATA, why))
            if behind is not None:
                jobs.put_back(behind)
        elif behind is not None and spared:
            jobs.put_back(behind)
        elif behind is not None:
            jobs.done(behind, refusal or lost(phase, why))

    def _has_left(self, line: _Line) -> bool:
        """Whether the content that was begun may have left, with its dot. Bytes of the next envelope come after it, so
        with that many left it may."""
        return not line.writing or (line.next is not None and line.unwritten < _longest(line.next))

    # Reading and writing -------------------------------------------------------------------------------------------

    def _turn(self, jobs: Jobs, wait: float | None) -> None:
        """Wait for the network, `wait` seconds at most, and do what came."""
        timeout = jobs.patience if not wait else min(wait, jobs.patience)
        for key, events in self._selector.select(timeout):
            if key.fileobj is self._woken:
                with suppress(OSError):
                    self._woken.recv(4096)
                self._looked_at = 0.0
                continue
            line: _Line = key.data
            if events & selectors.EVENT_WRITE and line.socket is not None:
                self._flush(line, jobs)
            if events & selectors.EVENT_READ and line.socket is not None:
                self._read(line, jobs)
        now = time.monotonic()
        if now - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = now
        for line in self.lines:
            if line.opening and line.opening.done():
                self._opened(line, jobs)
            elif (line.is_busy or line.opening) and now > line.deadline:
                self._lose(line, jobs, "no answer in time")
            elif line.socket is not None and not line.is_busy and now - line.used_at > IDLE:
                self._hang_up(line, politely=True)

    def _watch(self, line: _Line) -> None:
        """Ask the selector for what this line waits for."""
        assert line.socket is not None
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if line.writing else 0)
        if wanted == line.events:
            return
        if line.events:
            self._selector.modify(line.socket, wanted, line)
        else:
            self._selector.register(line.socket, wanted, line)
        line.events = wanted

    def _flush(self, line: _Line, jobs: Jobs) -> None:
        """Write what the network takes now, and watch for the rest and for answers."""
        if line.socket is None:
            return
        try:
            while line.writing:
                if isinstance(line.socket, ssl.SSLSocket):  # it takes one piece at a time, and a record at the most
                    line.writing = [memoryview(b"".join(line.writing))]
                    sent = line.socket.send(line.writing[0][:RECORD])
                else:
                    sent = line.socket.sendmsg(line.writing)
                line.writing = _left(line.writing, sent)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except OSError as error:
            # What the server said before it closed decides, if it said anything.
            self._read(line, jobs)
            if line.socket is not None:
                self._lose(line, jobs, f"{type(error).__name__}: {error}")
            return
        self._watch(line)

    def _read(self, line: _Line, jobs: Jobs) -> None:
        assert line.socket is not None
        here = line.socket
        while line.socket is here:
            try:
                more = here.recv(65_536)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                self._lose(line, jobs, f"{type(error).__name__}: {error}")
                return
            line.reading += more
            self._answers(line, jobs)
            if line.socket is not here:
                return
            if not more:
                self._lose(line, jobs, "the server closed the connection")
                return
            if len(more) < 65_536 and not isinstance(here, ssl.SSLSocket):
                return

    def _answers(self, line: _Line, jobs: Jobs) -> None:
        """Act on every whole reply that has come."""
        here = line.socket
        while (end := _end_of_reply(line.reading)) is not None:
            reply, line.reading = line.reading[:end], line.reading[end:]
            code = _code(reply)
            if not line.awaited:
                self._lose(line, jobs, f"the server said {code} {_words(reply)} of its own accord")
                return
            phase = line.awaited.popleft()
            if phase is not None:
                self._answer(line, jobs, phase, code, reply)
                if line.socket is not here:
                    return
            if line.later:
                self._write_commands(line)
                self._flush(line, jobs)
        if len(line.reading) > LONGEST_REPLY:
            self._lose(line, jobs, "the server's answer has no end")

    def _answer(self, line: _Line, jobs: Jobs, phase: Phase, code: int, reply: bytes) -> None:
        """By the first digit of the code, as RFC 5321 section 4.2.1 asks."""
        kind = code // 100
        if phase is Phase.DOT:
            self._answer_dot(line, jobs, code, reply)
        elif phase is Phase.DATA and kind == GO_ON:
            self._answer_data(line, jobs)
        elif phase is not Phase.DATA and kind == SUCCESS:
            pass
        elif code in {CLOSING, OUT_OF_STEP} and line.sent and line.refusal is None:
            # After a refusal both say no more than that: nobody is left to send to.
            self._lose(line, jobs, f"{code} {_words(reply)}")
        elif kind not in REFUSALS:  # what the server thinks now is anybody's guess
            line.refusal = line.refusal or answered(code, _words(reply), phase)
            self._lose(line, jobs, f"the server said {code} {_words(reply)}")
        else:
            if line.refusal is None:
                line.refusal, line.refused_at = answered(code, _words(reply), phase), phase
            if phase is Phase.DATA or not line.pipelines:  # without pipelining the rest of the envelope is pointless
                line.later.clear()
                line.must_reset = True
                self._refused(line, jobs)

    def _answer_data(self, line: _Line, jobs: Jobs) -> None:
        if line.refusal is None:
            self._write_content(line, jobs)
        elif line.refused_at is Phase.RCPT:
            # There is nobody to send to, and the server wants the message all the same (RFC 2920 section 3.1).
            line.awaited.append(None)
            line.writing = [b".\r\n"]
            self._refused(line, jobs)
            self._flush(line, jobs)
        else:  # a lone dot might reach a reader as an empty letter: only hanging up is certain
            self._lose(line, jobs, "the server wants a message whose sender it refused")

    def _answer_dot(self, line: _Line, jobs: Jobs, code: int, reply: bytes) -> None:
        job, line.job = line.job, None
        line.used_at = time.monotonic()
        if job is None:
            return
        line.sent += 1
        # An answer may come early: then the rest of the content would be taken for commands.
        phase = Phase.DOT if self._has_left(line) else Phase.DATA
        is_sent = code // 100 == SUCCESS and phase is Phase.DOT
        jobs.done(job, SENT if is_sent else answered(code, _words(reply), phase))
        if code == CLOSING or phase is Phase.DATA:
            self._lose(line, jobs, f"{code} {_words(reply)}")

    def _refused(self, line: _Line, jobs: Jobs) -> None:
        job, verdict = line.next, line.refusal
        line.next = line.refusal = None
        assert job is not None
        assert verdict is not None
        line.used_at = time.monotonic()
        line.sent += 1
        jobs.done(job, verdict)
        if verdict.reason.startswith("421"):
            self._lose(line, jobs, verdict.reason)


def _is_closed(line: _Line) -> bool:
    return line.socket is None


def _longest(job: Job) -> int:
    """An upper bound of the bytes of an envelope, with a reset before it."""
    return len(job.sender.encode()) + len(job.to.encode()) * 4 + 100


def _client(server: Server) -> smtplib.SMTP:
    if server.ssl:
        return smtplib.SMTP_SSL(timeout=CONNECT, local_hostname=server.name, context=ssl.create_default_context())
    return smtplib.SMTP(timeout=CONNECT, local_hostname=server.name)


def _open(client: smtplib.SMTP, server: Server) -> smtplib.SMTP:
    # smtplib wants the name for TLS, and takes it only together with connecting at once.
    client._host = server.host  # type: ignore[attr-defined]
    code, text = client.connect(server.host, server.port)
    if code != 220:
        raise smtplib.SMTPConnectError(code, text)
    client.ehlo_or_helo_if_needed()
    if server.starttls:
        client.starttls(context=ssl.create_default_context())
        client.ehlo()
    if server.user:
        client.login(server.user, server.password)
    return client


def _left(pieces: list[bytes | memoryview], sent: int) -> list[bytes | memoryview]:
    """What is left of pieces of which so many bytes were written."""
    for at, piece in enumerate(pieces):
        if sent < len(piece):
            return [memoryview(piece)[sent:], *pieces[at + 1 :]]
        sent -= len(piece)
    return []


def _code(reply: bytes) -> int:
    """The code of a whole reply, of one line or several (RFC 5321 section 4.2.1); -1 for what is none."""
    code = reply[reply.rfind(b"\n", 0, -1) + 1 :][:3]
    return int(code) if len(code) == 3 and code.isdigit() else -1


def _words(reply: bytes) -> str:
    lines = reply.rstrip(b"\r\n").split(b"\n")
    return " ".join(part[4:].strip().decode("utf-8", "replace") for part in lines)


def _end_of_reply(data: bytes) -> int | None:
    at = 0
    while (newline := data.find(b"\n", at)) >= 0:
        if data[at + 3 : at + 4] != b"-":
            return newline + 1
        at = newline + 1
    return None
