"""What leaves over the wire, told by the sink: nothing is lost, nothing leaves twice, every letter has its verdict."""

import socket
import ssl
import subprocess
import threading
import time
from collections import Counter, deque
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

import pytest

from subscriptions import wire
from subscriptions.jobs import Job
from subscriptions.mime import Letter
from subscriptions.verdicts import Outcome
from subscriptions.wire import Server, Wire
from tests.sink import EXTENSIONS, Sink

NOW = datetime(2026, 6, 2, 8, 0, tzinfo=UTC)
SENT, DEFERRED, FAILED, UNCERTAIN, TROUBLE = (
    Outcome.SENT, Outcome.DEFERRED, Outcome.FAILED, Outcome.UNCERTAIN, Outcome.TROUBLE,
)  # fmt: skip
ONE_BY_ONE = [name for name in EXTENSIONS if name != "PIPELINING"]


class Letters:
    """Jobs that insist on order: given, begun, settled once; or given, put back, given again."""

    patience = 0.02

    def __init__(self, jobs, *, tries=1, every=lambda letters: None):
        self.waiting, self.every, self.tries = deque(jobs), every, tries
        self.state = {job.key: "waiting" for job in self.waiting}
        self.verdicts = {}
        self.begun, self.put_back_count, self.ticks = Counter(), 0, 0

    def next(self):
        if not self.waiting:
            return None
        job = self.waiting.popleft()
        self._move(job, ["waiting"], "given")
        return job

    def begin(self, job):
        self._move(job, ["given"], "begun")
        self.begun[job.key] += 1

    def done(self, job, verdict):
        self._move(job, ["given", "begun"], "settled")
        self.verdicts.setdefault(job.key, []).append(verdict)
        if verdict.outcome in (DEFERRED, TROUBLE) and len(self.verdicts[job.key]) < self.tries:
            self._move(job, ["settled"], "waiting")
            self.waiting.append(job)

    def put_back(self, job):
        self._move(job, ["given"], "waiting")
        self.waiting.appendleft(job)
        self.put_back_count += 1

    def tick(self):
        self.ticks += 1
        self.every(self)

    def _move(self, job, before, after):
        assert self.state[job.key] in before, (job.key, self.state[job.key], after)
        self.state[job.key] = after

    def keys(self, *outcomes):
        return {key for key, verdicts in self.verdicts.items() if verdicts[-1].outcome in outcomes}

    @property
    def outcomes(self):
        return [self.verdicts[key][-1].outcome for key in sorted(self.verdicts)]


def job(key, to="", *, sender="", size=200):
    letter = Letter.of(
        to=to or f"reader{key}@example.net",
        subject="Papers",
        text="x" * size,
        headers={"X-Delivery-ID": str(key)},
    )
    letter = replace(letter, bounces_to=sender)
    return Job(key, letter, letter.as_bytes(now=NOW))


def jobs(count, **values):
    return [job(key, **values) for key in range(1, count + 1)]


@contextmanager
def wired(server, connections):
    if not isinstance(server, Server):
        server = Server(host="127.0.0.1", port=server.port)
    carrier = Wire(server, connections)
    try:
        yield carrier
    finally:
        carrier.close()
        carrier._openers.shutdown(wait=True)


def carry(server, letters, connections=1):
    with wired(server, connections) as carrier:
        carrier.run(letters)
    return letters


def left(sink):
    """How often each letter was accepted."""
    return Counter(int(line["delivery"] or 0) for line in sink.log())


def conserved(sink, letters):
    """Every letter is settled, what left is what was sent, and what is uncertain left once or not at all."""
    assert set(letters.state.values()) <= {"settled"}
    assert not letters.waiting
    gone = left(sink)
    assert not {key: count for key, count in gone.items() if count > 1}
    uncertain = letters.keys(UNCERTAIN)
    assert letters.keys(SENT) == set(gone) - uncertain
    assert all(line["size"] > 100 and len(line["rcpt"]) == 1 for line in sink.log())
    return uncertain


@pytest.fixture(scope="module", params=["pipelining", "one by one"])
def running(request, tmp_path_factory):
    extensions = EXTENSIONS if request.param == "pipelining" else ONE_BY_ONE
    with Sink(tmp_path_factory.mktemp("sink"), extensions=extensions) as sink:
        yield sink


@pytest.fixture(scope="module")
def pipelining(tmp_path_factory):
    with Sink(tmp_path_factory.mktemp("pipelining")) as sink:
        yield sink


@contextmanager
def _fresh(sink):
    sink.rules()
    before = sink.counts()["violations"]["count"]
    sink.file.write_bytes(b"")
    yield sink
    violations = sink.counts()["violations"]
    assert violations["count"] == before, violations


@pytest.fixture
def sink(running):
    """Without rules and with an empty log; says at the end that nobody broke the protocol."""
    with _fresh(running) as fresh:
        yield fresh


@pytest.fixture
def fast(pipelining):
    with _fresh(pipelining) as fresh:
        yield fresh


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(wire, "ENVELOPE", 0.1)
    monkeypatch.setattr(wire, "CONTENT", 0.1)
    monkeypatch.setattr(wire, "CONNECT", 0.2)
    monkeypatch.setattr(wire, "CONNECT_IN_ALL", 0.3)


# Verdicts (mail.md 7.3) ---------------------------------------------------------------------------------------------

FAULTS = [
    ("mail", {"reply": "451 4.3.0 later"}, TROUBLE, False),
    ("mail", {"reply": "550 5.7.26 not you"}, TROUBLE, True),
    ("mail", {"reply": "503 5.5.1 order"}, TROUBLE, False),
    ("mail", {"reply": "421 4.3.2 going down"}, TROUBLE, False),
    ("mail", {"drop": True}, TROUBLE, False),
    ("mail", {"hang": True}, TROUBLE, False),
    ("mail", {"reply": "what is this"}, TROUBLE, False),
    ("rcpt", {"reply": "450 4.2.1 later"}, DEFERRED, False),
    ("rcpt", {"reply": "450-4.2.1 later\n450 4.2.1 really"}, DEFERRED, False),
    ("rcpt", {"reply": "550 5.1.1 nobody"}, FAILED, False),
    ("rcpt", {"reply": "550 5.7.1 policy"}, DEFERRED, True),
    ("rcpt", {"reply": "421 4.7.0 slow down"}, TROUBLE, False),
    ("rcpt", {"drop": True}, DEFERRED, False),
    ("rcpt", {"hang": True}, DEFERRED, False),
    ("rcpt", {"reply": "what is this"}, DEFERRED, False),
    ("data", {"reply": "451 4.3.0 later"}, DEFERRED, False),
    ("data", {"reply": "554 5.5.1 no"}, DEFERRED, False),
    ("data", {"reply": "550 5.7.1 policy"}, DEFERRED, True),
    ("data", {"reply": "421 4.3.2 going down"}, TROUBLE, False),
    ("data", {"drop": True}, DEFERRED, False),
    ("data", {"hang": True}, DEFERRED, False),
    ("data", {"reply": "what is this"}, DEFERRED, False),
    ("dot", {"reply": "451 4.3.0 later"}, DEFERRED, False),
    ("dot", {"reply": "554 5.6.0 ugly"}, FAILED, False),
    ("dot", {"reply": "554 5.7.1 spam"}, DEFERRED, True),
    ("dot", {"reply": "421 4.3.2 going down"}, TROUBLE, False),
    ("dot", {"after_dot": "drop-accepted"}, UNCERTAIN, False),
    ("dot", {"after_dot": "drop-lost"}, UNCERTAIN, False),
    ("dot", {"after_dot": "hang-accepted"}, UNCERTAIN, False),
    ("dot", {"after_dot": "hang-lost"}, UNCERTAIN, False),
    ("dot", {"reply": "what is this"}, UNCERTAIN, False),
    ("dot", {"reply": "²²² fine"}, UNCERTAIN, False),
    ("dot", {"reply": "250-2.0.0 Ok\n250 queued as 12", "drip": 0.001}, SENT, False),
    ("dot", {"reply": "250 2.0.0 Ok \x0b\x0c\x85\u2028 queued"}, SENT, False),
    ("mail", {"reply": "250-2.1.0 Ok\n250-and\n250 so on", "drip": 0.001}, SENT, False),
    ("rcpt", {"reply": "251 2.1.5 will forward", "drip": 0.001}, SENT, False),
    ("data", {"reply": "354-Go on\n354 then", "drip": 0.001}, SENT, False),
]  # fmt: skip


def conserved_or_garbled(sink, letters, phase, fault):
    """A server that takes a letter and talks nonsense has it, as the verdict allows."""
    gone, uncertain = left(sink), letters.keys(UNCERTAIN)
    assert letters.keys(SENT) <= set(gone)
    assert set(gone) <= letters.keys(SENT) | uncertain, (phase, fault)
    assert not {key: count for key, count in gone.items() if count > 1}


@pytest.mark.parametrize(("phase", "fault", "outcome", "of_us"), FAULTS, ids=str)
def test_each_fault_gives_the_verdict_that_is_safe_and_touches_no_other_letter(
    sink, impatient, phase, fault, outcome, of_us
):
    """The first letter of a connection, one behind another, and one in the middle."""
    sink.rules({"phase": phase, "match": "^hit", **fault})
    hits = {1, 4, 5, 9}
    mine = [
        job(key, f"hit{key}@example.net" if key in hits else "", sender=f"hit{key}@us.example" if key in hits else "")
        for key in range(1, 13)
    ]

    letters = carry(sink, Letters(mine), 1 if phase == "dot" else 4)

    given = {key: letters.verdicts[key][0] for key in hits}
    assert {verdict.outcome for verdict in given.values()} == {outcome}, given
    assert {verdict.is_refusal_of_us for verdict in given.values()} == {of_us}, given
    assert all(verdict.reason for verdict in given.values()) or outcome is SENT
    assert letters.keys(SENT) >= set(range(1, 13)) - hits
    assert all(len(verdicts) == 1 for verdicts in letters.verdicts.values())
    conserved_or_garbled(sink, letters, phase, fault)


@pytest.mark.parametrize(
    "fault",
    [{"reply": "421 4.7.0 too many"}, {"reply": "554 5.3.2 not here"}, {"drop": True}, {"hang": True},
     {"reply": "what"}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("phase", ["connect", "ehlo"])
def test_a_server_that_does_not_greet_is_trouble_in_bounded_time(sink, impatient, phase, fault):
    if (phase, fault.get("reply")) == ("ehlo", "what"):
        pytest.skip("smtplib takes a greeting by HELO for want of a better one")
    sink.rules({"phase": phase, **fault})
    began = time.monotonic()

    letters = carry(sink, Letters(jobs(3)), 2)

    assert letters.outcomes == [TROUBLE] * 3
    assert time.monotonic() - began < 3
    assert letters.begun.total() == 0


# Nobody's letter ----------------------------------------------------------------------------------------------------


class Scripted:
    """A server of one's own: each connection is answered by the function, line by line; it keeps all it was told."""

    def __init__(self, answer, greeting=b"220 here\r\n"):
        self.answer, self.greeting, self.told = answer, greeting, []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=[connection], daemon=True).start()

    def _talk(self, connection):
        told = []
        self.told.append(told)
        with connection, connection.makefile("rb") as lines:
            try:
                connection.sendall(self.greeting)
                for line in lines:
                    told.append(line)
                    if (reply := self.answer(told)) is None:
                        return
                    connection.sendall(reply)
            except OSError:
                return

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.server.close()


def usual(told, **other):
    """What a server with PIPELINING says to the last line; `other` by verb."""
    line = told[-1]
    verb = line.split(b" ")[0].strip().upper().decode("latin-1")
    is_content = any(one.strip().upper() == b"DATA" for one in told) and STATE.get(id(told))
    if is_content:
        if line == b".\r\n":
            STATE[id(told)] = False
            return other.get("dot", b"250 2.0.0 Ok\r\n")
        return b""
    if verb == "EHLO":
        return b"250-here\r\n250 PIPELINING\r\n"
    if verb == "DATA":
        reply = other.get("DATA", b"354 go on\r\n")
        STATE[id(told)] = reply.startswith(b"354")
        return reply
    return other.get(verb, b"250 2.0.0 Ok\r\n")


STATE: dict[int, bool] = {}


def test_a_recipient_refused_gets_no_letter_though_the_server_wants_one():
    """RFC 2920 section 3.1: DATA may be answered 354 though nobody is to get it."""
    refuse = b"550 5.1.1 nobody\r\n"
    with Scripted(lambda told: usual(told, RCPT=refuse if b"hit" in told[-1] else b"250 ok\r\n")) as server:
        letters = carry(server, Letters([job(1), job(2, "hit@example.net"), job(3)]))

    assert letters.outcomes == [SENT, FAILED, SENT]
    (told,) = server.told
    refused = told.index(b"RCPT TO:<hit@example.net>\r\n")
    assert told[refused + 1 : refused + 3] == [b"DATA\r\n", b".\r\n"]


def test_recipients_refused_cost_no_connection_where_the_server_then_expects_no_letter():
    """Exim says 503 to DATA when it took no recipient."""

    def answer(told):
        is_refused = len(told) > 1 and told[-2].startswith(b"RCPT TO:<hit")
        refusal = b"550 5.1.1 nobody\r\n" if b"hit" in told[-1] else b"250 ok\r\n"
        return usual(told, RCPT=refusal, **({"DATA": b"503 no valid RCPT before DATA\r\n"} if is_refused else {}))

    with Scripted(answer) as server:
        letters = carry(server, Letters([job(key, f"hit{key}@example.net" if key % 2 else "") for key in range(6)]))

    assert letters.outcomes == [SENT, FAILED] * 3
    (told,) = server.told
    assert sum(line.startswith(b"RCPT") for line in told) == 6


@pytest.mark.parametrize(
    ("early", "outcome"),
    [(b"552 5.3.4 big", DEFERRED), (b"452 4.3.1 full", DEFERRED), (b"421 4.3.2 bye", TROUBLE), (b"250 ok", DEFERRED)],
)
def test_an_answer_before_the_content_has_left_is_no_answer_to_the_next_letter(early, outcome):
    """The server goes on to read, and takes the rest of the content for commands."""
    answered = []

    def answer(told):
        line = told[-1]
        if STATE.get(id(told)) and line == b"x" * 75 + b"=\r\n" and not answered:
            answered.append(True)
            STATE[id(told)] = False
            return early + b"\r\n"
        if STATE.get(id(told)) or line.split(b" ")[0].strip() in {b"ehlo", b"EHLO", b"MAIL", b"RCPT", b"DATA", b"RSET"}:
            return usual(told)
        return b"500 5.5.2 what is this\r\n"

    with Scripted(answer) as server:
        letters = carry(server, Letters([job(1, size=20_000_000), job(2), job(3)]))

    assert letters.outcomes == [outcome, SENT, SENT]


def test_a_letter_that_could_not_be_written_down_did_not_leave(fast):
    """The disk of the journal is full."""

    class Full(Letters):
        def begin(self, job):
            raise OSError("No space left on device")

    letters = Full(jobs(2))
    with pytest.raises(OSError, match="No space"):
        carry(fast, letters)

    assert set(letters.state.values()) == {"waiting"}
    assert fast.log(every=True) == []


def test_a_recipient_answered_unintelligibly_gets_no_empty_letter(fast):
    """The server may have taken the recipient: a lone dot would hand an empty letter over."""
    fast.rules({"phase": "rcpt", "reply": "what is this"})

    carry(fast, Letters(jobs(1)))

    assert fast.log(every=True) == []


# Connections --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("connections", [1, 4])
def test_letters_go_over_kept_connections(sink, connections):
    before = sink.counts()["connections_ever"]

    letters = carry(sink, Letters(jobs(60)), connections)

    assert set(letters.outcomes) == {SENT}
    assert conserved(sink, letters) == set()
    assert sink.counts()["connections_ever"] - before <= connections


def test_a_server_that_takes_a_few_letters_a_connection_gets_them_all(sink):
    sink.rules({"phase": "mail", "reply": "421 4.7.0 enough", "percent": 20, "random": True})

    letters = carry(sink, Letters(jobs(100), tries=30), 3)

    assert set(letters.outcomes) == {SENT}
    conserved(sink, letters)


@pytest.mark.parametrize("said", [b"", b"421 4.4.2 idle\r\n"])
def test_a_kept_connection_closed_by_the_server_is_no_trouble(said):
    """The server hangs up after each letter, before or after the next envelope came."""
    done = []

    def answer(told):
        if done and done[-1] == id(told):
            return None
        if told[-1] == b".\r\n" and STATE.get(id(told)):
            done.append(id(told))
            STATE[id(told)] = False
            return b"250 2.0.0 Ok\r\n" + said
        return usual(told)

    with Scripted(answer) as server:
        letters = carry(server, Letters(jobs(5)), 1)

    assert letters.outcomes == [SENT] * 5
    assert len(server.told) == 5


def test_a_server_that_closes_after_a_refusal_is_no_trouble_for_the_next_letter():
    """As many do after too many bad recipients."""
    gone = set()

    def answer(told):
        if id(told) in gone:
            return None
        reply = usual(told, RCPT=b"550 5.1.1 nobody\r\n", DATA=b"503 5.5.1 nobody\r\n")
        if told[-1].startswith(b"DATA"):
            gone.add(id(told))
        return reply

    with Scripted(answer) as server:
        letters = carry(server, Letters(jobs(4)), 1)

    assert letters.outcomes == [FAILED] * 4


def test_s24_a_letter_that_waited_for_a_connection_is_asked_for_anew(sink):
    """Its reader may have left meanwhile; opening may take half a minute."""

    class Leaving(Letters):
        def put_back(self, given):
            self._move(given, ["given"], "left")

    sink.rules({"phase": "connect", "delay": 0.05})

    letters = carry(sink, Leaving(jobs(4)), 1)

    assert (letters.state[1], letters.keys(SENT)) == ("left", {2, 3, 4})
    assert set(left(sink)) == {2, 3, 4}


def test_a_connection_is_opened_anew_after_so_many_letters(sink, monkeypatch):
    monkeypatch.setattr(wire, "PER_CONNECTION", 7)
    before = sink.counts()["connections_ever"]

    letters = carry(sink, Letters(jobs(50)), 1)

    assert set(letters.outcomes) == {SENT}
    conserved(sink, letters)
    assert sink.counts()["connections_ever"] - before == 8


def test_an_idle_connection_is_closed(sink, monkeypatch):
    monkeypatch.setattr(wire, "IDLE", 0.05)
    late = job(2)
    open_before = []

    class Slow(Letters):
        def next(self):
            given = super().next()
            if given is late and time.monotonic() < until:
                self.put_back(given)
                return 0.02
            return given

    until = time.monotonic() + 0.3
    with wired(sink, 1) as carrier:
        letters = Slow([job(1), late], every=lambda letters: open_before.append(carrier.open))
        carrier.run(letters)

    assert letters.outcomes == [SENT, SENT]
    assert 0 in open_before[5:]
    conserved(sink, letters)


def test_more_connections_than_a_server_allows_are_no_trouble_while_some_are_open(fast):
    fast.rules(max_connections=2)

    letters = carry(fast, Letters(jobs(200)), 4)

    assert letters.keys(TROUBLE) == set()
    conserved(fast, letters)


# Round trips --------------------------------------------------------------------------------------------------------


def _round_trips(sink, count):
    """How often the server answered, on one connection; with latency, what came together is answered together."""
    sink.rules(latency=0.002)
    before = sink.counts()["answers"]
    letters = carry(sink, Letters(jobs(count)))
    assert set(letters.outcomes) == {SENT}
    return sink.counts()["answers"] - before


@pytest.mark.parametrize(("extensions", "trips"), [(EXTENSIONS, 1), (ONE_BY_ONE, 4)])
def test_a_letter_takes_one_round_trip_where_the_server_pipelines_and_four_where_it_does_not(
    tmp_path, extensions, trips
):
    """Opening and closing take some more, so that twice the letters tell what one takes."""
    with Sink(tmp_path, extensions=extensions) as sink:
        few, many = (_round_trips(sink, count) for count in (10, 60))

    assert (many - few) / 50 == pytest.approx(trips, abs=0.05)


# After the dot ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("kind", ["drop-accepted", "drop-lost"])
def test_s17_drops_after_the_final_dot_are_uncertain_and_nothing_else_is(sink, connections, kind):
    sink.rules({"phase": "dot", "after_dot": kind, "percent": 5})

    letters = carry(sink, Letters(jobs(150), tries=5), connections)

    injected = {int(line["delivery"]) for line in sink.log(every=True) if line["verdict"] == "dropped"}
    uncertain = conserved(sink, letters)
    if kind == "drop-lost":
        assert uncertain == injected
    assert letters.keys(SENT) == set(range(1, 151)) - uncertain
    assert len(uncertain) == len(set(left(sink)) & uncertain if kind == "drop-accepted" else injected) > 0


# Dead ends ----------------------------------------------------------------------------------------------------------


def test_s18_a_refused_port_is_trouble():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    letters = carry(Server(host="127.0.0.1", port=port), Letters(jobs(3)), 2)

    assert letters.outcomes == [TROUBLE] * 3


def test_s18_a_black_hole_is_trouble_in_bounded_time(impatient):
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        filling = []
        for _ in range(3):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(hole.getsockname())
            filling.append(one)
        began = time.monotonic()

        letters = carry(Server(host="127.0.0.1", port=hole.getsockname()[1]), Letters(jobs(2)), 2)

        assert letters.outcomes == [TROUBLE] * 2
        assert time.monotonic() - began < 2
        for one in filling:
            one.close()


def test_s18_a_server_that_drips_is_given_up(impatient):
    with Scripted(usual, greeting=b"2") as server:
        letters = carry(server, Letters(jobs(1)))

    assert letters.outcomes == [TROUBLE]


def test_an_answer_without_an_end_is_given_up(monkeypatch):
    monkeypatch.setattr(wire, "LONGEST_REPLY", 1_000)
    with Scripted(lambda told: usual(told, MAIL=b"250-" + b"x" * 5_000)) as server:
        letters = carry(server, Letters(jobs(1)))

    assert letters.outcomes == [TROUBLE]


# Secrets ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    files = {"certificate": folder / "certificate.pem", "key": folder / "key.pem"}
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-out", files["certificate"],
         "-keyout", files["key"]],
        check=True, capture_output=True,
    )  # fmt: skip
    return files


@pytest.fixture
def trusted(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate["certificate"]))
    return certificate


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_letters_go_over_tls_with_a_password(tmp_path, trusted, tls):
    with Sink(tmp_path, auth="ada:secret", tls=tls, **trusted) as sink:
        server = Server(
            host="localhost", port=sink.port, user="ada", password="secret",
            ssl=tls == "implicit", starttls=tls == "starttls",
        )  # fmt: skip
        letters = carry(server, Letters(jobs(40, size=60_000)), 3)
        assert sink.counts()["violations"]["count"] == 0

    assert letters.outcomes == [SENT] * 40
    conserved(sink, letters)


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_wrong_certificate_is_trouble(tmp_path, certificate, tls, host):
    """Nobody vouches for it; or it is somebody else's."""
    with Sink(tmp_path, tls=tls, **certificate) as sink:
        server = Server(host=host, port=sink.port, ssl=tls == "implicit", starttls=tls == "starttls")
        letters = carry(server, Letters(jobs(1)))

    assert letters.outcomes == [TROUBLE]
    assert "certificate" in letters.verdicts[1][0].reason


def test_a_name_that_is_not_in_the_certificate_is_trouble(tmp_path, trusted):
    with Sink(tmp_path, tls="implicit", **trusted) as sink:
        letters = carry(Server(host="127.0.0.1", port=sink.port, ssl=True), Letters(jobs(1)))

    assert letters.outcomes == [TROUBLE]


def test_a_server_without_starttls_gets_no_letter_in_the_clear(fast):
    letters = carry(Server(host="127.0.0.1", port=fast.port, starttls=True), Letters(jobs(1)))

    assert letters.outcomes == [TROUBLE]
    assert fast.log(every=True) == []


def test_s15_a_wrong_password_is_a_refusal_of_us(tmp_path):
    with Sink(tmp_path, auth="ada:secret") as sink:
        letters = carry(Server(host="127.0.0.1", port=sink.port, user="ada", password="guess"), Letters(jobs(1)))

    (verdict,) = letters.verdicts[1]
    assert (verdict.outcome, verdict.is_refusal_of_us) == (TROUBLE, True)
    assert verdict.reason.startswith("535")


@pytest.mark.parametrize("after", [0, 1, 5, 17])
def test_a_tls_write_cut_anywhere_leaves_no_doubt_about_the_dot(tmp_path, trusted, after, monkeypatch):
    """One send is one TLS record: what is left to write never holds a dot that the server could read."""
    longest = []
    send = ssl.SSLSocket.send

    def seen(self, data, *rest):
        longest.append(len(data))
        return send(self, data, *rest)

    monkeypatch.setattr(ssl.SSLSocket, "send", seen)
    with Sink(tmp_path, tls="implicit", **trusted) as sink:
        server = Server(host="localhost", port=sink.port, ssl=True)
        carry(server, Letters(jobs(2, size=100_000 + after)))

    assert max(longest) <= 16_384


# Addresses ----------------------------------------------------------------------------------------------------------


def beyond(key, local):
    """A letter to an address beyond ASCII, which `Letter` does not write yet."""
    made = job(key)
    return Job(key, replace(made.letter, to=f"{local}@example.net"), made.content)


@pytest.mark.parametrize("extensions", [EXTENSIONS, [name for name in EXTENSIONS if name != "SMTPUTF8"]])
def test_m8_a_local_part_beyond_ascii_needs_smtputf8(tmp_path, extensions):
    mine = [job(1), beyond(2, "grüße"), job(3), beyond(4, "机器人")]
    with Sink(tmp_path, extensions=extensions) as sink:
        letters = carry(sink, Letters(mine))

    takes = "SMTPUTF8" in extensions
    assert letters.outcomes == [SENT, SENT if takes else FAILED, SENT, SENT if takes else FAILED]
    assert [line["rcpt"] for line in sink.log()][1:2] == [["grüße@example.net"] if takes else ["reader3@example.net"]]


def test_m8_a_run_of_addresses_that_cannot_be_carried_opens_one_connection(tmp_path):
    with Sink(tmp_path, extensions=["PIPELINING"]) as sink:
        letters = carry(sink, Letters([beyond(key, "grüße") for key in range(1, 6)]))
        assert sink.counts()["connections_ever"] == 1

    assert letters.outcomes == [FAILED] * 5


def test_m8_domains_are_written_in_ascii(fast, settings):
    settings.DEFAULT_FROM_EMAIL = "Papers <digest@käse.example.org>"

    letters = carry(fast, Letters([job(1, "reader@bücher.example.net")]))

    assert letters.outcomes == [SENT]
    (line,) = fast.log()
    assert line["rcpt"] == ["reader@xn--bcher-kva.example.net"]
    assert line["mail_from"] == "digest@xn--kse-qla.example.org"


# Being stopped ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "when"), [(KeyboardInterrupt, 1), (ValueError, 2), (KeyboardInterrupt, 5), (ValueError, 9)]
)
def test_s3_whoever_stops_the_worker_knows_of_every_letter(sink, error, when):
    sink.rules(latency=0.01)

    def stop(letters):
        if letters.ticks == when:
            raise error

    letters = Letters(jobs(40), every=stop)
    with wired(sink, 3) as carrier:
        with pytest.raises(error):
            carrier.run(letters)
        begun = letters.begun.copy()

    time.sleep(0.03)
    assert letters.begun == begun
    assert set(letters.state.values()) <= {"settled", "waiting"}
    gone = left(sink)
    assert letters.keys(SENT) <= set(gone) <= letters.keys(SENT, UNCERTAIN)
    assert set(letters.outcomes) <= {SENT, UNCERTAIN}
    assert all(letters.state[key] == "settled" for key in begun)


def test_what_was_stopped_can_be_taken_up_again(sink):
    sink.rules(latency=0.01)

    def stop(letters):
        if letters.ticks in (6, 15, 22):
            raise KeyboardInterrupt

    letters = Letters(jobs(50), every=stop)
    with wired(sink, 3) as carrier:
        while letters.waiting:
            try:
                carrier.run(letters)
            except KeyboardInterrupt:
                continue

    assert len(letters.keys(UNCERTAIN)) <= 9
    conserved(sink, letters)


# Everything at once -------------------------------------------------------------------------------------------------


def _weather(random):
    """Some rules, any of them."""
    rules = [
        {"phase": "mail", "reply": "421 4.3.2 enough", "percent": 3},
        {"phase": "mail", "drop": True, "percent": 3},
        {"phase": "connect", "reply": "421 4.7.0 too many", "percent": 30},
        {"phase": "ehlo", "drop": True, "percent": 20},
        {"phase": "rcpt", "reply": "450 4.2.1 later", "percent": 10, "random": True},
        {"phase": "rcpt", "reply": "550 5.1.1 nobody", "percent": 4},
        {"phase": "rcpt", "drop": True, "percent": 3, "random": True},
        {"phase": "rcpt", "reply": "450-4\n450 4.2.1 later", "drip": 0.0005, "percent": 3, "random": True},
        {"phase": "data", "reply": "451 4.3.0 later", "percent": 5, "random": True},
        {"phase": "data", "drop": True, "percent": 3, "random": True},
        {"phase": "dot", "reply": "451 4.3.0 later", "percent": 5, "random": True},
        {"phase": "dot", "reply": "554 5.6.0 ugly", "percent": 2, "random": True},
        {"phase": "dot", "reply": "421 4.3.2 down", "percent": 3, "random": True},
        {"phase": "dot", "after_dot": "drop-accepted", "percent": 2, "random": True},
        {"phase": "dot", "after_dot": "drop-lost", "percent": 2, "random": True},
        {"phase": "dot", "after_dot": "hang-accepted", "percent": 1, "random": True},
        {"phase": "dot", "delay": 0.01, "percent": 10, "random": True},
        {"phase": "dot", "reply": "250-2.0.0\n250 Ok", "drip": 0.0005, "percent": 5, "random": True},
    ]
    return random.sample(rules, random.randint(0, 5)), {"latency": random.choice([0, 0, 0.002])}


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_weather_each_letter_leaves_once(sink, seed, monkeypatch):
    monkeypatch.setattr(wire, "PER_CONNECTION", 20)
    monkeypatch.setattr(wire, "ENVELOPE", 0.15)
    monkeypatch.setattr(wire, "CONTENT", 0.15)
    random = Random(seed)

    def change(letters):
        if letters.ticks % 10 == 0:
            rules, script = _weather(random)
            sink.rules(*rules, **script)

    mine = [job(key, size=random.choice([50, 500, 30_000])) for key in range(1, 301)]
    letters = carry(sink, Letters(mine, tries=200, every=change), 6)

    assert letters.begun.total() >= 290
    conserved(sink, letters)
    assert letters.keys(SENT, UNCERTAIN, FAILED) == set(range(1, 301))
