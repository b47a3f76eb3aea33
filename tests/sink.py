"""A scripted SMTP server in a process of its own: the oracle of which letters really left.

Every letter it accepts is a line in its log before the 250 leaves, so whatever is killed next, none is missing there.
Run it with `python -m tests.sink --port 0 --log FILE`, or in a test with `Sink`.
"""

import argparse
import asyncio
import json
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from base64 import b64decode
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

PHASES = ("connect", "ehlo", "auth", "mail", "rcpt", "data", "dot")
AFTER_DOT = ("", "drop-accepted", "drop-lost", "hang-accepted", "hang-lost")
EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE", "ENHANCEDSTATUSCODES")
#: A client must wait for the reply to these even where it may pipeline (RFC 2920 section 3.1).
ALONE = {"EHLO", "HELO", "AUTH", "STARTTLS", "DATA", "NOOP", "QUIT"}
HEADER = r"\r\n{}:(?:[ \t]|\r\n[ \t])*([^\r\n]*)"

Json = dict[str, Any]


@dataclass
class Rule:
    """What happens in one phase, before the usual or instead of it; of several rules the first that applies decides.

    It meets `percent` of the recipients, the same ones each time unless `random`; each of them `times` at most, all
    together `first` times, and nobody before `after` letters were accepted. Before RCPT no recipient is known:
    percentages are of occurrences there, and `times` is of each sender (MAIL) or of all.
    """

    phase: str
    match: str = ""
    percent: float = 100
    random: bool = False
    times: int = sys.maxsize
    first: int = sys.maxsize
    after: int = 0
    reply: str = ""
    delay: float = 0
    drip: float = 0
    drop: bool = False
    hang: bool = False
    after_dot: str = ""
    lot: str = ""

    def __post_init__(self) -> None:
        if self.phase not in PHASES or self.after_dot not in AFTER_DOT:
            raise ValueError(f"Phases are {PHASES}, what may be after the dot is {AFTER_DOT}; not so in {self}.")
        self.drop |= self.after_dot.startswith("drop")
        self.hang |= self.after_dot.startswith("hang")
        self.pattern, self.seen, self.met = re.compile(self.match), 0, Counter[str]()

    def meets(self, who: str) -> bool:
        if not self.pattern.search(who) or self.met[who] >= self.times or self.met["in all"] >= self.first:
            return False
        self.seen += 1
        is_chance = self.random or self.phase not in {"rcpt", "data", "dot"}
        if random.Random(f"{self.lot} {who} {self.seen if is_chance else ''}").random() * 100 >= self.percent:
            return False
        self.met.update([who, "in all"])
        return True


class Server:
    """What all connections share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.follow(**json.loads(options.rules))
        self.log = Path(options.log).open("ab", buffering=0)  # noqa: SIM115  open for as long as the process lives
        self.keep = Path(options.keep) if options.keep else None
        self.kept = len(list(self.keep.iterdir())) if self.keep else 0
        self.extensions = options.extensions.split() + ["AUTH PLAIN LOGIN"] * bool(options.auth)
        self.auth, self.tls, self.context = options.auth, options.tls, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self.tls:
            self.context.load_cert_chain(options.certificate, options.key)
        names = "connections connections_ever connections_most accepted dropped hung bytes answers".split()
        self.counts: Json = {**dict.fromkeys(names, 0), "refused": Counter(), "violations": {"count": 0, "first": []}}

    def follow(
        self, rules: Iterable[Json] = (), latency: float = 0, max_connections: int = sys.maxsize, seed: int = 0
    ) -> None:
        """From now on. A lot of its own for each rule, or one's 5 % of recipients would lie within another's 30 %."""
        self.rules = [Rule(**rule, lot=f"{seed} {number}") for number, rule in enumerate(rules)]
        self.latency, self.max_connections = latency, max_connections

    def rule(self, phase: str, who: str) -> Rule:
        near = (rule for rule in self.rules if rule.phase == phase and self.counts["accepted"] >= rule.after)
        return next((rule for rule in near if rule.meets(who)), Rule(phase))

    def record(self, letter: Json, message: bytes, verdict: str) -> None:
        """The line is with the kernel when this returns: it outlives the process, though not the machine."""
        if verdict == "accepted" and self.keep:
            self.kept += 1
            (self.keep / f"{self.kept}.eml").write_bytes(message)
        self.log.write(
            json.dumps({"at": time.time(), **letter, "size": len(message), "verdict": verdict}).encode() + b"\n"
        )
        self.counts["accepted"] += verdict == "accepted"

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One JSON object a line in, the counts or an error out."""
        with suppress(ConnectionError):
            async for line in reader:
                answer = self.counts
                try:
                    if "rules" in (asked := json.loads(line)):
                        self.follow(**asked["rules"])
                except (ValueError, TypeError, re.error) as error:
                    answer = {"error": f"{type(error).__name__}: {error}"}
                writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()


class Conversation:
    """With one client. Replies wait in `queue` for their time; commands are taken meanwhile."""

    def __init__(self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.counts, self.reader, self.writer = server, server.counts, reader, writer
        self.loop, self.buffer, self.offers_tls = asyncio.get_running_loop(), bytearray(), server.tls == "starttls"
        self.queue: deque[tuple[float, bytes]] = deque()
        self.last, self.must_wait, self.came_at = "nothing", True, self.loop.time()
        self.is_greeted = self.is_trusted = self.pipelines = False
        self.sender: str | None = None
        self.recipients: list[str] = []

    async def hold(self) -> None:
        self.counts["connections"] += 1
        self.counts["connections_ever"] = self.number = self.counts["connections_ever"] + 1
        self.counts["connections_most"] = max(self.counts["connections_most"], self.counts["connections"])
        is_full = self.counts["connections"] > self.server.max_connections
        with suppress(EOFError, OSError):
            if await self._phase("connect", "", "421 4.7.0 Too many" if is_full else "220 sink.example.org ESMTP"):
                while True:
                    await self._obey((await self._until(b"\r\n")).decode("utf-8", "backslashreplace"))
        while self.queue and not self.writer.is_closing():  # noqa: ASYNC110  once, not worth an event for each reply
            await asyncio.sleep(self.queue[0][0] - self.loop.time())
        self.counts["connections"] -= 1
        self.writer.close()

    async def _until(self, end: bytes) -> bytes:
        """What comes up to and without `end`. Raises EOFError when nothing more does."""
        searched = 0
        while (place := self.buffer.find(end, searched)) < 0:
            searched = max(0, len(self.buffer) - len(end) + 1)
            if not (came := await self.reader.read(2**18)):
                raise EOFError
            # QUIT may come at any time: a client that gives up says it before it goes.
            if self.queue and self.must_wait and not came.upper().startswith(b"QUIT"):
                self._violation(f"sent before the reply to {self.last}")
            self.came_at = self.loop.time()
            self.counts["bytes"] += len(came)
            self.buffer += came
        found = bytes(self.buffer[:place])
        del self.buffer[: place + len(end)]
        return found

    def _took(self, what: str) -> None:
        self.last, self.must_wait = what, what in ALONE or not self.pipelines
        if self.buffer and self.must_wait:
            self._violation(f"sent before the reply to {what}")

    def _violation(self, what: str) -> None:
        violations = self.counts["violations"]
        violations["count"] += 1
        violations["first"] = [*violations["first"], f"connection {self.number}: {what}"][:20]

    def _reply(self, text: str, drip: float = 0) -> None:
        data = text.replace("\n", "\r\n").encode() + b"\r\n"
        for place, piece in enumerate([bytes([byte]) for byte in data] if drip else [data]):
            due = self.came_at + self.server.latency + place * drip
            if not self.queue:
                self.loop.call_at(due, self._write)
            self.queue.append((due, piece))
        if text.startswith("421"):
            raise EOFError

    def _write(self) -> None:
        """What is due: replies to commands that came together leave together, and count as one answer."""
        out = b""
        while self.queue and self.queue[0][0] <= self.loop.time():
            out += self.queue.popleft()[1]
        self.writer.write(out)
        self.counts["answers"] += bool(out)
        if self.queue and not self.writer.is_closing():
            self.loop.call_at(self.queue[0][0], self._write)

    async def _phase(self, phase: str, who: str, usual: str) -> bool:
        """Answer as a rule says or as usual; True unless the answer is a refusal."""
        rule = self.server.rule(phase, who)
        reply = rule.reply or usual
        if rule.delay:
            await asyncio.sleep(rule.delay)
            self.came_at = self.loop.time()
        if phase == "dot":  # even if the client did not stay for the answer: the dot hands the letter over
            verdict = "accepted" if reply.startswith("2") else reply[:3]
            if rule.drop or rule.hang:
                verdict = "accepted" if rule.after_dot.endswith("accepted") else "dropped"
            self.server.record(self.letter, self.message, verdict)
        self.counts["dropped"] += rule.drop
        self.counts["hung"] += rule.hang
        while rule.hang and await self.reader.read(2**18):
            pass
        if rule.drop or rule.hang:
            raise EOFError
        if is_refused := reply[0] in "45":
            self.counts["refused"][phase] += 1
        self._reply(reply, rule.drip)
        return not is_refused

    async def _obey(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        verb, addresses = verb.upper(), re.findall(r"(?i)(?:FROM|TO):\s*<([^<>]*)>", rest)
        self._took(verb)
        match verb:
            case _ if "\r" in line or "\n" in line:
                self._violation("bare CR or LF in a command")
                self._reply("500 5.5.2 Syntax error")
            case "EHLO" | "HELO":
                offers = [*self.server.extensions, *["STARTTLS"] * self.offers_tls] if verb == "EHLO" else []
                *lines, last = ["sink.example.org", *offers]
                if await self._phase("ehlo", rest, "\n".join([*(f"250-{line}" for line in lines), f"250 {last}"])):
                    self.is_greeted, self.pipelines, self.sender = True, "PIPELINING" in offers, None
            case "STARTTLS" if self.offers_tls:
                await asyncio.sleep(self.server.latency)
                self.writer.write(b"220 2.0.0 Go on\r\n")  # at once: what the client says next is start_tls's to read
                self.buffer.clear()  # what came in the clear does not count as said in secret (RFC 3207 section 5)
                await self.writer.start_tls(self.server.context)
                self.offers_tls = self.is_greeted = False
            case "AUTH" if self.server.auth and self.is_greeted and not self.is_trusted:
                await self._log_in(*rest.split())
            case "MAIL" | "RCPT" if not addresses:
                self._reply("501 5.5.4 Syntax: FROM:<address> or TO:<address>")
            case "MAIL" if self.server.auth and not self.is_trusted:
                self._reply("530 5.7.0 Authentication required")
            case "MAIL" if self.is_greeted and self.sender is None:
                if await self._phase("mail", addresses[0], "250 2.1.0 Ok"):
                    self.sender, self.recipients = addresses[0], []
            case "RCPT" if self.sender is not None:
                if await self._phase("rcpt", addresses[0], "250 2.1.5 Ok"):
                    self.recipients.append(addresses[0])
            case "DATA" if self.sender is not None and self.recipients:
                if await self._phase("data", ",".join(self.recipients), "354 Go on"):
                    await self._content()
            case "DATA" if self.sender is not None:
                self._reply("554 5.5.1 No valid recipients")
            case "STARTTLS" | "AUTH" | "MAIL" | "RCPT" | "DATA":
                self._reply("503 5.5.1 Not now")
            case "RSET" | "NOOP":
                self.sender = None if verb == "RSET" else self.sender
                self._reply("250 2.0.0 Ok")
            case "QUIT":
                self._reply("221 2.0.0 Bye")
                raise EOFError
            case _:
                self._reply("500 5.5.1 Unknown command")

    async def _log_in(self, mechanism: str = "", *answers: str) -> None:
        prompts = {"PLAIN": [""], "LOGIN": ["VXNlcm5hbWU6", "UGFzc3dvcmQ6"]}.get(mechanism.upper(), [])
        for prompt in prompts[len(answers) :]:
            self._reply(f"334 {prompt}")
            answers += ((await self._until(b"\r\n")).decode("ascii", "replace"),)
            self._took("AUTH")
        given = []
        with suppress(ValueError):
            given = b"\0".join(map(b64decode, answers)).decode().split("\0")[-2:]
        is_right = bool(prompts) and ":".join(given) == self.server.auth
        self.is_trusted = await self._phase("auth", "", "235 2.7.0 Welcome" if is_right else "535 5.7.8 Wrong password")

    async def _content(self) -> None:
        """Take a letter up to its final dot, which is CR LF . CR LF and nothing else."""
        self.buffer[:0] = b"\r\n"  # DATA's own line end, so that a dot on the first line is found like any other
        content = await self._until(b"\r\n.\r\n") + b"\r\n"
        self._took("the final dot")
        self.message = message = content.replace(b"\r\n.", b"\r\n")[2:]
        head = content[: content.find(b"\r\n\r\n") + 2 or None].decode("latin-1")
        headers = (re.findall(HEADER.format(name), head, re.IGNORECASE) for name in ("Message-ID", "X-Delivery-ID"))
        names = {name: (found or [""])[0] for name, found in zip(("id", "delivery"), headers, strict=True)}
        self.letter = {**names, "rcpt": self.recipients, "mail_from": self.sender, "connection": self.number}
        lines = message.split(b"\r\n")
        if message.count(b"\n") >= len(lines) or message.count(b"\r") >= len(lines):
            self._violation("bare CR or LF in content")
        if max(map(len, lines)) > 998:
            self._violation("a line of more than 998 octets")
        self.sender = None
        await self._phase("dot", ",".join(self.recipients), "250 2.0.0 Ok")


async def serve(options: argparse.Namespace) -> None:
    server = Server(options)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, os._exit, 0)  # the log has no buffer to empty
    context = server.context if server.tls == "implicit" else None
    smtp = await asyncio.start_server(
        lambda *streams: Conversation(server, *streams).hold(), "127.0.0.1", options.port, ssl=context, backlog=1024
    )
    control = await asyncio.start_server(server.control, "127.0.0.1", options.control, limit=2**20)
    ports = [listening.sockets[0].getsockname()[1] for listening in (smtp, control)]
    print(json.dumps({"port": ports[0], "control": ports[1]}), flush=True)
    await smtp.serve_forever()


class Sink:
    """The server for a test, from `with` to its end. Its log outlives `kill` and `stop`, its counts do not.

    `auth` is "user:password", and then required; `certificate` and `key` are files, for `tls` "starttls" or "implicit".
    """

    def __init__(
        self, folder: Path, rules: Iterable[Json] = (), *, extensions: Iterable[str] = EXTENSIONS,
        auth: str = "", tls: str = "", certificate: object = "", key: object = "", keep: bool = False, **script: float,
    ) -> None:  # fmt: skip
        self.file, self.kept, self.port = folder / "sink.log", folder / "kept", 0
        self.kept.mkdir(parents=True, exist_ok=True)
        self.script = {"rules": list(rules), **script}
        self.options = {"auth": auth, "tls": tls, "certificate": certificate, "key": key, "log": self.file,
                        "extensions": " ".join(extensions), "keep": self.kept if keep else ""}  # fmt: skip
        self.scheme = {"": "smtp", "starttls": "smtp+tls", "implicit": "smtps"}[tls] + "://" + (auth and f"{auth}@")

    def __enter__(self) -> Self:
        self.start_again()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start_again(self) -> None:
        options = {**self.options, "port": self.port, "rules": json.dumps(self.script)}
        command = [sys.executable, "-m", "tests.sink", *(f"--{name}={value}" for name, value in options.items())]
        self.process = subprocess.Popen(command, cwd=Path(__file__).parent.parent, stdout=subprocess.PIPE)
        assert self.process.stdout
        with self.process.stdout as out:
            ready = json.loads(out.readline())
        self.port, self.control = ready["port"], ready["control"]
        self.url = f"{self.scheme}127.0.0.1:{self.port}"

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(10)

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def rules(self, *rules: Json, **script: float) -> None:
        """These instead of the ones before; `latency`, `max_connections` and `seed` likewise."""
        self.script = {"rules": list(rules), **script}
        self.counts(rules=self.script)

    def counts(self, **question: Any) -> Json:
        with socket.create_connection(("127.0.0.1", self.control), timeout=10) as line, line.makefile("rw") as words:
            print(json.dumps(question), file=words, flush=True)
            answer: Json = json.loads(words.readline())
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer

    def log(self, *, every: bool = False) -> list[Json]:
        """The lines of letters accepted, or `every` line: those refused or dropped after the dot too."""
        lines = [json.loads(line) for line in self.file.read_text().splitlines()]
        return [line for line in lines if every or line["verdict"] == "accepted"]

    def messages(self) -> list[bytes]:
        """With `keep`: the accepted letters as they were before dots were doubled."""
        return [file.read_bytes() for file in sorted(self.kept.iterdir(), key=lambda file: int(file.stem))]


@dataclass(frozen=True, slots=True)
class Figures:
    accepted: int  # distinct deliveries
    duplicated: int  # lines beyond those
    missing: tuple[str, ...]
    strange: tuple[str, ...]


def compare(due: Iterable[str], log: Iterable[Json]) -> Figures:
    """Deliveries due, by their X-Delivery-ID, against what was accepted; letters without one are no deliveries."""
    names = [line["delivery"] for line in log if line["verdict"] == "accepted" and line["delivery"]]
    due, got = set(due), set(names)
    return Figures(len(got), len(names) - len(got), tuple(sorted(due - got)), tuple(sorted(got - due)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    defaults = {"port": 0, "control": 0, "rules": "{}", "extensions": " ".join(EXTENSIONS)}
    for name in ("port", "control", "log", "rules", "keep", "extensions", "auth", "tls", "certificate", "key"):
        parser.add_argument(f"--{name}", type=type(defaults.get(name, "")), default=defaults.get(name, ""))
    asyncio.run(serve(parser.parse_args()))
