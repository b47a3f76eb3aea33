"""The oracle itself: nothing that other tests conclude is better than what is proved here."""

import shutil
import smtplib
import socket
import ssl
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sink import Figures, Rule, Sink, compare

LETTER = b"Message-ID: <d.1@papers.example.org>\r\nX-Delivery-ID: d.1\r\nSubject: Papers\r\n\r\nText\r\n"
ENVELOPE = ("MAIL FROM:<us@example.org>", "RCPT TO:<reader@example.net>", "DATA")


class Client:
    """Says what it is told, byte by byte; smtplib is too well-behaved for some of this."""

    def __init__(self, sink, hello="EHLO tests"):
        self.socket = socket.create_connection(("127.0.0.1", sink.port), timeout=5)
        self.replies = self.socket.makefile("rb")
        if hello:
            assert [self.reply(), *self.ask(hello)] == ["220", "250"]

    def say(self, *lines):
        """All in one packet."""
        self.socket.sendall(b"".join(line if isinstance(line, bytes) else line.encode() + b"\r\n" for line in lines))

    def reply(self):
        """The code of one whole reply; "" where the server closed."""
        while (line := self.replies.readline())[3:4] == b"-":
            pass
        return line[:3].decode()

    def ask(self, *lines, answers=None):
        self.say(*lines)
        return [self.reply() for _ in range(answers or len(lines))]

    def send(self, content=LETTER, to="reader@example.net"):
        """One letter, without waiting before the content; the answers to the envelope and the dot."""
        answers = self.ask("MAIL FROM:<us@example.org>", f"RCPT TO:<{to}>", "DATA")
        return [*answers, *self.ask(content + b".\r\n")] if answers[-1] == "354" else answers

    def is_told_nothing(self, seconds):
        self.socket.settimeout(seconds)
        with pytest.raises(TimeoutError):
            self.socket.recv(1)
        return True


@contextmanager
def talking(sink, hello="EHLO tests"):
    client = Client(sink, hello)
    try:
        yield client
    finally:
        client.replies.close()
        client.socket.close()


def until(true, seconds=5):
    deadline = time.monotonic() + seconds
    while not (result := true()):
        assert time.monotonic() < deadline, "It never came to pass"
        time.sleep(0.005)
    return result


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with Sink(tmp_path_factory.mktemp("sink"), keep=True) as sink:
        yield sink


@pytest.fixture
def sink(running):
    """Without rules, and with an empty log; counts are of all the tests before, too."""
    running.rules()
    running.file.write_bytes(b"")
    for file in running.kept.iterdir():
        file.unlink()
    return running


@pytest.fixture
def violations(sink):
    """How many there were since the test began."""
    before = sink.counts()["violations"]["count"]
    return lambda: sink.counts()["violations"]["count"] - before


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    if not (openssl := shutil.which("openssl")):
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("certificate")
    files = {"certificate": folder / "certificate.pem", "key": folder / "key.pem"}
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-out", files["certificate"], "-keyout", files["key"]],
        check=True, capture_output=True,
    )  # fmt: skip
    return files


def trusting(certificate):
    context = ssl.create_default_context(cafile=certificate["certificate"])
    context.check_hostname = False
    return context


# The log


def test_the_line_is_in_the_log_before_the_250_arrives(sink):
    with talking(sink) as client:
        client.ask(*ENVELOPE)
        sink.rules(latency=1)
        client.say(LETTER + b".\r\n")
        until(sink.log, 0.8)
        assert client.is_told_nothing(0.05)


def test_a_line_says_what_was_accepted(sink):
    before = time.time()
    with talking(sink) as client:
        client.ask("MAIL FROM:<us@example.org>", "RCPT TO:<a@example.net>", "RCPT TO:<b@example.net>", "DATA")
        client.ask(LETTER + b".\r\n")
    (line,) = sink.log()
    assert before <= line.pop("at") <= time.time()
    assert line.pop("connection") == sink.counts()["connections_ever"]
    assert line == {
        "id": "<d.1@papers.example.org>", "delivery": "d.1", "mail_from": "us@example.org", "size": len(LETTER),
        "rcpt": ["a@example.net", "b@example.net"], "verdict": "accepted",
    }  # fmt: skip


def test_a_folded_header_is_read_and_one_in_the_body_is_not(sink):
    with talking(sink) as client:
        client.send(b"message-id:\r\n <folded@example.org>\r\nSubject: x\r\n\r\nX-Delivery-ID: body\r\n")
        client.send(b"\r\nX-Delivery-ID: body\r\n")
    assert [(line["id"], line["delivery"]) for line in sink.log()] == [("<folded@example.org>", ""), ("", "")]


def test_accepted_letters_are_kept_as_they_were_before_dots_were_doubled(sink):
    with talking(sink) as client:
        client.send(b"..\r\n..two\r\n\r\nend\r\n")
        client.send(b"")
        client.send(LETTER)
    assert sink.messages() == [b".\r\n.two\r\n\r\nend\r\n", b"", LETTER]


def test_it_stops_at_once_whoever_is_connected(tmp_path, capfd):
    with Sink(tmp_path, [{"phase": "mail", "delay": 60}, {"phase": "ehlo", "match": "slow", "drip": 60}]) as sink:
        with talking(sink) as waiting, talking(sink) as slow, talking(sink):
            waiting.say(ENVELOPE[0])
            slow.say("EHLO slow")
            until(lambda: sink.counts()["bytes"] > len("EHLO tests\r\n") * 4)
            began = time.monotonic()
            sink.stop()
        assert (sink.process.returncode, capfd.readouterr()) == (0, ("", ""))
        assert time.monotonic() - began < 1


def test_the_log_outlives_a_kill_and_the_server_comes_back_on_its_port(tmp_path):
    with Sink(tmp_path, [{"phase": "data", "reply": "451 4.3.0 not today"}], keep=True) as sink:
        port = sink.port
        sink.rules()
        with talking(sink) as client:
            client.send()
            sink.kill()
            assert client.reply() == ""
        with pytest.raises(ConnectionRefusedError):
            Client(sink)
        sink.start_again()
        with talking(sink) as client:
            client.send()
            sink.stop()
        assert sink.process.returncode == 0
        assert (sink.port, len(sink.log()), len(sink.messages())) == (port, 2, 2)


# Commands


def test_pipelined_commands_are_answered_in_order(sink, violations):
    sink.rules({"phase": "rcpt", "match": "^nobody@", "reply": "550 5.1.1 unknown"})
    envelope = ("MAIL FROM:<us@example.org>", "RCPT TO:<nobody@example.net>", "RCPT TO:<reader@example.net>", "DATA")
    with talking(sink) as client:
        assert client.ask(*envelope) == ["250", "550", "250", "354"]
        assert client.ask(LETTER + b".\r\n", *envelope) == ["250", "250", "550", "250", "354"]
        assert client.ask(LETTER + b".\r\n", "QUIT") == ["250", "221"]
    assert [line["rcpt"] for line in sink.log()] == [["reader@example.net"]] * 2
    assert violations() == 0


def test_data_without_a_recipient_is_refused(sink):
    sink.rules({"phase": "rcpt", "reply": "450 4.2.1 later"})
    with talking(sink) as client:
        assert client.ask("DATA", *ENVELOPE) == ["503", "250", "450", "554"]
        assert client.ask("MAIL FROM:<us@example.org>", "RSET", "MAIL FROM:<us@example.org>") == ["503", "250", "250"]


def test_commands_out_of_order_are_refused(sink):
    with talking(sink, hello="") as client:
        assert [client.reply(), *client.ask(ENVELOPE[0])] == ["220", "503"]
        assert [client.ask(line)[0] for line in ("EHLO t", "RCPT TO:<a@b>", "MAIL FROM us", "STARTTLS", "AUTH PLAIN",
                                                 "NOOP", "WHAT", "HELO t")] == [
            "250", "503", "501", "503", "503", "250", "500", "250"]  # fmt: skip


def test_only_what_is_configured_is_offered(tmp_path):
    with Sink(tmp_path, extensions=["8BITMIME"]) as sink, smtplib.SMTP("127.0.0.1", sink.port, timeout=5) as client:
        client.ehlo()
        assert set(client.esmtp_features) == {"8bitmime"}


def test_a_good_client_commits_no_violation(sink, violations):
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=5) as client:
        assert client.sendmail("us@example.org", ["reader@example.net"], LETTER) == {}
        assert set(client.esmtp_features) == {"pipelining", "8bitmime", "smtputf8", "size", "enhancedstatuscodes"}
    assert sink.messages() == [LETTER]
    assert violations() == 0


# Rules


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "dot", "ehlo"])
def test_a_rule_answers_in_its_phase_and_is_counted(sink, phase):
    before = sink.counts()["refused"].get(phase, 0)
    sink.rules({"phase": phase, "reply": "452 4.3.1 full"})
    with talking(sink, hello="") as client:
        said = [client.reply(), *client.ask("EHLO tests")]
        if phase != "ehlo":
            said += client.ask(*ENVELOPE[: ["mail", "rcpt", "data", "dot"].index(phase) + 1])
        if phase == "dot":
            said += client.ask(LETTER + b".\r\n")
    assert said.index("452") == len(said) - 1
    assert sink.counts()["refused"][phase] == before + 1
    assert sink.log() == []


def test_a_reply_of_several_lines_is_one_reply(sink):
    sink.rules({"phase": "mail", "reply": "550-5.7.26 first\n550 5.7.26 second"})
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=5) as client, pytest.raises(smtplib.SMTPSenderRefused) as refused:
        client.sendmail("us@example.org", ["reader@example.net"], LETTER)
    assert refused.value.smtp_error == b"5.7.26 first\n5.7.26 second"


def test_percentages_meet_the_same_recipients_each_time():
    readers = [f"reader-{n}@example.net" for n in range(2000)]
    once, again, other = (Rule("rcpt", percent=30, lot=lot) for lot in ("0 0", "0 0", "0 1"))
    met = [{reader for reader in readers if rule.meets(reader)} for rule in (once, again, other)]
    assert met[0] == met[1] != met[2]
    assert 540 < len(met[0]) < 660
    assert 120 < len(met[0] & met[2]) < 240, "rules draw their lots apart"


def test_percentages_hold_on_the_wire_for_each_rule_apart(sink):
    readers = [f"RCPT TO:<reader-{n}@example.net>" for n in range(200)]
    rules = [{"phase": "rcpt", "percent": 30, "reply": reply} for reply in ("450 4.2.1 later", "550 5.1.1 unknown")]
    with talking(sink) as client:

        def answers(seed):
            sink.rules(*rules, seed=seed)
            return client.ask("RSET", "MAIL FROM:<us@example.org>", *readers)

        first, again, other = answers(1), answers(1), answers(2)
    assert first == again != other
    assert 35 < first.count("450") < 85
    assert 20 < first.count("550") < 65, "30 % of those the first rule left"


def test_random_percentages_meet_others_each_time_and_the_same_on_a_rerun():
    first, rerun = (Rule("rcpt", percent=50, random=True, lot="0 0") for _ in range(2))
    met = [first.meets("reader@example.net") for _ in range(200)]
    assert met == [rerun.meets("reader@example.net") for _ in range(200)]
    assert 70 < sum(met) < 130


def test_each_recipient_is_met_as_many_times_as_the_rule_says(sink):
    sink.rules({"phase": "rcpt", "reply": "450 4.2.1 later", "times": 2})
    with talking(sink) as client:
        assert client.ask(ENVELOPE[0], *["RCPT TO:<a@b>"] * 3, *["RCPT TO:<c@d>"] * 3) == [
            "250", "450", "450", "250", "450", "450", "250"]  # fmt: skip


def test_a_rule_may_meet_the_first_few_only(sink):
    sink.rules({"phase": "rcpt", "reply": "450 4.2.1 later", "first": 2})
    with talking(sink) as client:
        assert client.ask(ENVELOPE[0], *(f"RCPT TO:<{n}@b>" for n in range(4))) == ["250", "450", "450", "250", "250"]


def test_a_rule_may_begin_after_some_letters(sink):
    sink.rules({"phase": "mail", "reply": "451 4.3.0 no more", "after": sink.counts()["accepted"] + 2})
    with talking(sink) as client:
        assert [client.send()[0] for _ in range(3)] == ["250", "250", "451"]


def test_rules_change_while_a_connection_is_open(sink):
    with talking(sink) as client:
        assert client.send()[-1] == "250"
        sink.rules({"phase": "mail", "reply": "421 4.3.2 going down"})
        assert client.ask("MAIL FROM:<us@example.org>", answers=2) == ["421", ""]


@pytest.mark.parametrize("rule", [{"phase": "tea"}, {"phase": "rcpt", "percentage": 3}, {"phase": "rcpt", "match": "("},
                                  {"phase": "dot", "after_dot": "shrug"}])  # fmt: skip
def test_a_rule_that_is_none_changes_nothing(sink, rule):
    with pytest.raises(ValueError, match=r"Error|error"):
        sink.rules(rule)
    with talking(sink) as client:
        assert client.send()[-1] == "250"


# Time


def test_a_pipelined_group_waits_for_one_latency_together(sink):
    with talking(sink) as client:
        sink.rules(latency=0.2)
        began = time.monotonic()
        assert client.ask(*ENVELOPE) == ["250", "250", "354"]
        assert 0.2 <= time.monotonic() - began < 0.39
        sink.rules(latency=0.1)
        assert client.ask(LETTER + b".\r\n", *ENVELOPE) == ["250", "250", "250", "354"]


def test_replies_keep_their_order_when_the_latency_falls(sink):
    with talking(sink) as client:
        sink.rules({"phase": "rcpt", "reply": "550 5.1.1 unknown"}, latency=0.1)
        client.say(ENVELOPE[0])
        time.sleep(0.02)
        sink.rules({"phase": "rcpt", "reply": "550 5.1.1 unknown"})
        assert client.ask(ENVELOPE[1], "QUIT", answers=3) == ["250", "550", "221"]


def test_a_reply_may_be_delayed_and_what_follows_waits_for_it(sink):
    sink.rules({"phase": "rcpt", "delay": 0.2}, {"phase": "rcpt", "reply": "550 5.1.1 never reached"})
    with talking(sink) as client:
        began = time.monotonic()
        assert client.ask(*ENVELOPE) == ["250", "250", "354"]
        assert 0.2 <= time.monotonic() - began < 1


def test_a_reply_may_come_byte_by_byte(sink):
    sink.rules({"phase": "mail", "reply": "250 2.1.0 slow", "drip": 0.01})
    with talking(sink) as client:
        began = time.monotonic()
        client.say(ENVELOPE[0])
        assert len(client.socket.recv(100)) < 10
        client.reply()
        assert time.monotonic() - began >= 0.01 * len("250 2.1.0 slow\r")


# Ends


@pytest.mark.parametrize(("phase", "said"), [("mail", 0), ("rcpt", 1), ("data", 2)])
def test_a_connection_is_dropped_without_a_reply(sink, phase, said):
    before = sink.counts()["dropped"]
    sink.rules({"phase": phase, "drop": True})
    with talking(sink) as client:
        assert client.ask(*ENVELOPE, answers=4) == ["250", "250", "354"][:said] + [""] * (4 - said)
    assert sink.counts()["dropped"] == before + 1


@pytest.mark.parametrize(("rule", "verdict"), [
    ({"after_dot": "drop-accepted"}, "accepted"), ({"after_dot": "drop-lost"}, "dropped"), ({"drop": True}, "dropped"),
    ({"reply": "451 4.3.0 no"}, "451"), ({"reply": "554 5.7.1 spam"}, "554"),
])  # fmt: skip
def test_the_log_says_what_became_of_a_letter_after_its_dot(sink, rule, verdict):
    sink.rules({"phase": "dot", **rule})
    with talking(sink) as client:
        answers = client.send()
    assert answers == ["250", "250", "354", verdict if verdict.isdigit() else ""]
    assert [line["verdict"] for line in sink.log(every=True)] == [verdict]
    assert len(sink.log()) == len(sink.messages()) == (verdict == "accepted")


@pytest.mark.parametrize(("rule", "accepted"), [({"after_dot": "hang-accepted"}, 1), ({"after_dot": "hang-lost"}, 0)])
def test_a_server_may_take_a_letter_and_never_answer(sink, rule, accepted):
    sink.rules({"phase": "dot", **rule})
    with talking(sink) as client:
        client.ask(*ENVELOPE)
        client.say(LETTER + b".\r\n")
        assert client.is_told_nothing(0.1)
        client.say("NOOP")
        assert client.is_told_nothing(0.05)
    assert len(sink.log()) == accepted
    until(lambda: sink.counts()["connections"] == 0)


def test_a_letter_is_taken_though_its_client_did_not_stay(sink):
    sink.rules({"phase": "dot", "delay": 0.1})
    with talking(sink) as client:
        client.ask(*ENVELOPE)
        client.say(LETTER + b".\r\n")
    assert sink.log() == []
    assert until(sink.log, 1)[0]["verdict"] == "accepted"


def test_too_many_connections_are_turned_away(sink):
    sink.rules(max_connections=2)
    with talking(sink), talking(sink):
        assert sink.counts()["connections"] == 2
        with talking(sink, hello="") as third:
            assert [third.reply(), third.reply()] == ["421", ""]
    until(lambda: sink.counts()["connections"] == 0)
    with talking(sink) as client:
        assert client.send()[-1] == "250"


def test_a_greeting_may_refuse(sink):
    sink.rules({"phase": "connect", "reply": "554 5.3.2 not here", "first": 1})
    with talking(sink, hello="") as client:
        assert [client.reply(), client.reply()] == ["554", ""]
    with talking(sink) as client:
        assert client.send()[-1] == "250"


def test_clients_that_die_leave_nothing_behind(sink):
    files = Path(f"/proc/{sink.process.pid}/fd")
    before = len(list(files.iterdir())) if files.exists() else 0
    for number in range(300):
        with talking(sink, hello="") as client:
            if number % 3:
                client.say("EHLO tests", *ENVELOPE, b"half a let")
            if number % 2:  # closed by a reset, with replies unread
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    until(lambda: sink.counts()["connections"] == 0)
    if files.exists():
        until(lambda: len(list(files.iterdir())) <= before)
    assert sink.log(every=True) == []


# Violations


@pytest.mark.parametrize(
    "smuggled", [b"\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\n\n.\r\r\n"]
)
def test_nothing_but_cr_lf_dot_cr_lf_ends_a_letter(sink, violations, smuggled):
    content = b"Subject: x\r\n\r\nbody" + smuggled + b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.net>\r\n"
    with talking(sink) as client:
        assert client.send(content) == ["250", "250", "354", "250"]
        assert client.ask("NOOP") == ["250"]
    assert [line["mail_from"] for line in sink.log()] == ["us@example.org"]
    assert violations() == 1


@pytest.mark.parametrize(("content", "count"), [
    (b"bare\nLF\r\n", 1), (b"bare\rCR\r\n", 1), (b"x" * 999 + b"\r\n", 1), (b"x" * 998 + b"\r\n", 0),
    (b"." + b"." + b"x" * 997 + b"\r\n", 0),
])  # fmt: skip
def test_what_may_not_be_in_a_letter_is_counted(sink, violations, content, count):
    with talking(sink) as client:
        client.send(content)
    assert violations() == count


@pytest.mark.parametrize("latency", [0, 0.1])
def test_content_before_the_354_is_counted(sink, violations, latency):
    with talking(sink) as client:
        sink.rules(latency=latency)
        client.ask(*ENVELOPE[:2])
        if latency:
            client.say("DATA")
            time.sleep(0.03)
            client.say(LETTER + b".\r\n")
        else:
            client.say("DATA", LETTER + b".\r\n")
        assert [client.reply(), client.reply()] == ["354", "250"]
    assert violations() == 1


def test_what_comes_while_a_reply_is_delayed_is_counted_but_for_quit(sink, violations):
    sink.rules({"phase": "data", "delay": 0.1})
    with talking(sink) as client:
        client.say(*ENVELOPE)
        time.sleep(0.03)
        client.say(LETTER + b".\r\n")
        assert [client.reply() for _ in range(4)] == ["250", "250", "354", "250"]
    assert violations() == 1
    sink.rules({"phase": "ehlo", "delay": 0.1})
    with talking(sink, hello="") as client:
        assert client.reply() == "220"
        client.say("EHLO tests")
        time.sleep(0.03)
        assert client.ask("QUIT", answers=2) == ["250", "221"]
    assert violations() == 1


def test_pipelining_is_counted_where_it_is_not_offered(tmp_path):
    with Sink(tmp_path, extensions=[]) as sink, talking(sink) as client:
        assert [client.ask(line)[0] for line in ENVELOPE] == ["250", "250", "354"]
        assert client.ask(LETTER + b".\r\n") == ["250"]
        assert sink.counts()["violations"] == {"count": 0, "first": []}
        assert client.ask(*ENVELOPE[:2]) == ["250", "250"]
        assert sink.counts()["violations"] == {
            "count": 1, "first": ["connection 1: sent before the reply to MAIL"]
        }  # fmt: skip


def test_of_many_violations_the_first_twenty_are_told(tmp_path):
    with Sink(tmp_path) as sink:
        with talking(sink) as client:
            client.ask(*["bare\nLF"] * 30)
        violations = sink.counts()["violations"]
    assert violations == {"count": 30, "first": ["connection 1: bare CR or LF in a command"] * 20}


# Secrets


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.parametrize("mechanism", ["auth_plain", "auth_login"])
def test_a_client_may_speak_tls_and_log_in(tmp_path, certificate, tls, mechanism):
    with Sink(tmp_path, auth="ada:secret", tls=tls, latency=0.005, **certificate) as sink:
        assert sink.url == f"{'smtps' if tls == 'implicit' else 'smtp+tls'}://ada:secret@127.0.0.1:{sink.port}"
        if tls == "implicit":
            client = smtplib.SMTP_SSL("127.0.0.1", sink.port, timeout=5, context=trusting(certificate))
        else:
            client = smtplib.SMTP("127.0.0.1", sink.port, timeout=5)
        with client:
            client.ehlo()
            assert client.has_extn("starttls") == (tls == "starttls")
            if tls == "starttls":
                client.starttls(context=trusting(certificate))
                client.ehlo()
                assert not client.has_extn("starttls")
            assert client.mail("us@example.org")[0] == 530
            client.user, client.password = "ada", "secret"
            assert client.auth(mechanism.removeprefix("auth_").upper(), getattr(client, mechanism))[0] == 235
            assert client.sendmail("us@example.org", ["reader@example.net"], LETTER * 500) == {}
        assert [line["size"] for line in sink.log()] == [len(LETTER) * 500]
        assert sink.counts()["violations"]["count"] == 0


def test_a_wrong_password_is_refused_and_a_right_one_where_the_rule_says_so(tmp_path):
    with Sink(tmp_path, auth="ada:secret") as sink, smtplib.SMTP("127.0.0.1", sink.port, timeout=5) as client:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("ada", "guess")
        sink.rules({"phase": "auth", "reply": "535 5.7.8 locked"})
        with pytest.raises(smtplib.SMTPAuthenticationError, match="locked"):
            client.login("ada", "secret")
        sink.rules()
        assert client.login("ada", "secret")[0] == 235


def test_what_is_said_in_the_clear_before_tls_is_forgotten(tmp_path, certificate):
    with Sink(tmp_path, tls="starttls", **certificate) as sink, talking(sink) as client:
        assert client.ask("STARTTLS", "MAIL FROM:<evil@example.org>", answers=1) == ["220"]
        with trusting(certificate).wrap_socket(client.socket) as secret:
            secret.sendall(b"EHLO tests\r\n")
            assert secret.recv(1000).startswith(b"250-")
            secret.sendall(b"RCPT TO:<reader@example.net>\r\n")
            assert secret.recv(1000).startswith(b"503")
        assert sink.counts()["violations"]["count"] == 1


# Figures


def test_what_was_due_is_compared_with_what_was_accepted():
    log = [{"delivery": name, "verdict": verdict} for name, verdict in [
        ("a", "accepted"), ("b", "451"), ("b", "accepted"), ("b", "accepted"), ("c", "dropped"), ("z", "accepted"),
        ("", "accepted"),
    ]]  # fmt: skip
    assert compare(["a", "b", "c", "d"], log) == Figures(
        accepted=3, duplicated=1, missing=("c", "d"), strange=("z",)
    )  # fmt: skip
    assert compare(["a"], []) == Figures(accepted=0, duplicated=0, missing=("a",), strange=())
