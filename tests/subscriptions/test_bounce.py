"""What mail to the bounce address says. A pair is a mail and, beside it, what must be read from it (null: nothing)."""

import json
import re
import time
from dataclasses import asdict
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subscriptions import bounce
from subscriptions.bounce import Kind

DOMAIN = "papers.example.org"
TO = "bounces+k3v9-a1b2c3@papers.example.org"
MAILS = sorted((Path(__file__).resolve().parents[1] / "data" / "bounces").glob("*.eml"))


def read(raw):
    return bounce.read(raw, domain=DOMAIN)


def report(*fields):
    """A delivery report with these fields of one recipient."""
    head = f"From: MAILER-DAEMON@mx.example.net\nTo: {TO}\nContent-Type: message/delivery-status"
    return "\n".join((head, "", "Reporting-MTA: dns; mx.example.net", "", *fields)).encode()


def told(text, *, sender="MAILER-DAEMON@mx.example.net", subject="Undelivered Mail", more=""):
    """A mail in plain text."""
    return f"Return-Path: <>\nFrom: {sender}\nTo: {TO}\nSubject: {subject}\n{more}\n{text}\n".encode()


def as_json(found):
    return found and {name: value for name, value in asdict(found).items() if value}


@pytest.mark.parametrize("mail", MAILS, ids=lambda mail: mail.stem)
def test_a_mail_is_read_as_expected(mail):
    expected = json.loads(mail.with_suffix(".expected.json").read_text(encoding="utf-8"))

    assert as_json(read(mail.read_bytes())) == expected


@pytest.mark.parametrize(
    ("status", "reply", "kind"),
    [
        ("5.1.1", "", Kind.HARD),
        ("5.1.2", "550 5.1.2 Bad destination system", Kind.HARD),
        ("5.1.6", "550 moved", Kind.HARD),
        ("5.1.10", "556 null MX", Kind.HARD),
        ("5.1.0", "550 rejected", Kind.HARD),
        ("5.1.0", "550 refused as spam", Kind.POLICY),
        ("5.1.7", "550 bad sender", Kind.POLICY),
        ("5.1.8", "550 bad sender's domain", Kind.POLICY),
        ("5.2.0", "", Kind.SOFT),
        ("5.2.1", "550 not now", Kind.SOFT),
        ("5.2.1", "550 This account is disabled", Kind.HARD),
        ("5.2.2", "552 user unknown or full", Kind.SOFT),
        ("4.2.2", "452 try again", Kind.SOFT),
        ("5.2.3", "552 too long", Kind.SOFT),
        ("5.3.0", "553 No such user here", Kind.HARD),
        ("5.3.0", "", Kind.SOFT),
        ("5.3.4", "552 size exceeds policy of spam", Kind.SOFT),
        ("5.4.1", "550 Recipient address rejected: Access denied", Kind.SOFT),
        ("5.4.4", "", Kind.HARD),
        ("5.4.6", "554 mail loop", Kind.SOFT),
        ("5.4.310", "550 DNS domain gone.example does not exist", Kind.HARD),
        ("5.5.0", "550 Requested action not taken: mailbox unavailable", Kind.HARD),
        ("5.5.0", "550 mailbox temporarily unavailable", Kind.SOFT),
        ("5.5.2", "500 what?", Kind.SOFT),
        ("5.6.1", "554 blocked as spam", Kind.SOFT),
        ("5.7.1", "550 user unknown", Kind.POLICY),
        ("5.7.515", "", Kind.POLICY),
        ("4.7.0", "421 too many messages", Kind.POLICY),
        ("4.7.1", "451 greylisted", Kind.SOFT),
        ("4.4.1", "connection timed out", Kind.SOFT),
        ("4.1.1", "450 no such user", Kind.SOFT),
        ("5.0.0", "550 user unknown", Kind.HARD),
        ("5.0.0", "550 5.7.26 unauthenticated", Kind.POLICY),
        ("5.0.0", "550 No", Kind.SOFT),
        ("", "550 5.1.1 nobody", Kind.HARD),
        ("", "550 There is no such user", Kind.HARD),
        ("", "556 takes no mail", Kind.HARD),
        ("", "450 mailbox unavailable", Kind.SOFT),
        ("", "535 Authentication failed", Kind.POLICY),
        ("", "553 not permitted", Kind.POLICY),
        ("", "552 no room", Kind.SOFT),
        ("", "No", Kind.UNKNOWN),
        ("2.0.0", "250 all is well", Kind.UNKNOWN),
    ],
)
def test_a_failure_means_what_its_code_and_its_words_say(status, reply, kind):
    found = read(report("Action: failed", f"Status: {status}", f"Diagnostic-Code: smtp; {reply}"))

    assert found.kind is kind


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("failed", Kind.HARD),
        ("Delayed", Kind.DELAYED),
        ("delivered", Kind.DELIVERED),
        ("relayed (to elsewhere)", Kind.DELIVERED),
        ("EXPANDED", Kind.DELIVERED),
        ("", Kind.HARD),
        ("nonsense", Kind.HARD),
    ],
)
def test_the_action_of_a_report_comes_before_its_status(action, kind):
    assert read(report(f"Action: {action}", "Status: 5.1.1")).kind is kind


@pytest.mark.parametrize(
    ("fields", "recipient"),
    [
        (("Final-Recipient: rfc822; ada@example.net",), "ada@example.net"),
        (("Final-Recipient: rfc822;<Ada@Example.net>",), "Ada@Example.net"),
        (("Final-Recipient: rfc822; b@example.net", "Original-Recipient: rfc822; a@example.net"), "a@example.net"),
        (("Final-Recipient: rfc822; b@example.net", "Original-Recipient: x; nobody"), "b@example.net"),
        (("Final-Recipient: local; |/usr/bin/sort",), ""),
        (("Final-Recipient: rfc822;\n\tada@example.net",), "ada@example.net"),
        ((r"Final-Recipient: utf-8; \x{72D7}@example.net",), "狗@example.net"),
        ((r"Final-Recipient: utf-8; \x{D800}@example.net",), ""),
        ((r"Final-Recipient: utf-8; \x{110000}@example.net",), r"\x{110000}@example.net"),
        (("Final-Recipient: rfc822; " + "a" * 300 + "@example.net",), ""),
    ],
)
def test_the_recipient_is_an_address_or_nothing(fields, recipient):
    assert read(report("Action: failed", "Status: 5.1.1", *fields)).recipient == recipient


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        (f"To: {TO}", "k3v9-a1b2c3"),
        (f"To: Paperboy <{TO}>, x@example.net", "k3v9-a1b2c3"),
        (f"To: {TO.upper()}", "k3v9-a1b2c3"),
        (f"To: x@example.net\nTo: {TO}", "k3v9-a1b2c3"),
        (f"To: bounces+four@{DOMAIN}\nEnvelope-To: bounces+three@{DOMAIN}", "three"),
        (f"Envelope-To: bounces+three@{DOMAIN}\nX-Original-To: bounces+two@{DOMAIN}", "two"),
        (f"X-Original-To: bounces+two@{DOMAIN}\nDelivered-To: bounces+one@{DOMAIN}", "one"),
        (f"To: bounces+four@{DOMAIN}\nDelivered-To: mailbox@{DOMAIN}", "four"),
        (f"Cc: {TO}\nReply-To: {TO}\nReturn-Path: {TO}", ""),
        (f"To: {TO}.evil.example", ""),
        (f"To: {TO}-x", ""),
        (f"To: x{TO}", ""),
        (f"To: x.{TO}", ""),
        (f"To: bounces+@{DOMAIN}", ""),
        (f"To: bounces+a_b@{DOMAIN}", ""),
        (f"To: bounces+{'a' * 65}@{DOMAIN}", ""),
        (f"To: bounce\u017f+abc@{DOMAIN}", ""),
        (f"To: bounces+\u017fab@{DOMAIN}", ""),
        ("To: bounces+abc@papersXexample.org", ""),
        ("", ""),
    ],
)
def test_the_name_is_that_of_an_address_at_our_domain_alone(headers, name):
    raw = f"From: MAILER-DAEMON@mx.example.net\n{headers}\n\n<a@example.net>: 550 5.1.1 user unknown\n"

    assert read(raw.encode()).name == name


@pytest.mark.parametrize(
    ("returned", "message_id"),
    [
        ("Message-ID: <d.1@papers.example.org>", "<d.1@papers.example.org>"),
        ("message-id:\n <d.1@papers.example.org>", "<d.1@papers.example.org>"),
        ("Message-ID: <other@relay.example>\nX-Delivery-ID: 9f1c", "<d.9f1c@papers.example.org>"),
        ("Message-ID: <other@relay.example>", "<other@relay.example>"),
        ("X-Message-ID: <other@relay.example>", ""),
        ("Message-ID: none", ""),
    ],
)
def test_the_returned_headers_tell_the_letter_but_never_the_name(returned, message_id):
    found = read(f"From: MAILER-DAEMON\n\n550 5.1.1 nobody\n\n--- Original message ---\n\n{returned}\n".encode())

    assert (found.name, found.message_id) == ("", message_id)


@pytest.mark.parametrize(
    "subject",
    [
        "Automatic reply: papers",
        "AutoReply",
        "[Auto-Reply] papers",
        "Out of Office: papers",
        "Re: Out of the office",
        "OOO until Monday",
        "Vacation reply",
        "Automatische Antwort: papers",
        "AW: Abwesenheitsnotiz",
        "Réponse automatique : papers",
        "Absence du bureau",
        "Respuesta automática: papers",
        "Fuera de la oficina",
        "Risposta automatica: papers",
        "Fuori sede",
        "Resposta automática: papers",
        "Automatisch antwoord: papers",
        "Autosvar: papers",
        "Automatiskt svar: papers",
        "Odpowiedź automatyczna: papers",
        "Автоматический ответ: papers",
        "自動返信: papers",
        "自动回复: papers",
    ],
)
def test_an_auto_reply_is_known_by_its_subject_whatever_it_quotes(subject):
    found = read(told("<ada@example.net>: 550 5.1.1 user unknown", sender="ada@example.net", subject=subject))

    assert (found.kind, found.detail) == (Kind.AUTO_REPLY, subject)


@pytest.mark.parametrize(
    "mark",
    [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: Auto-Replied; owner-email=ada@example.net",
        "Auto-Submitted: auto-notified",
        "X-Autoreply: yes",
        "X-Autorespond: papers",
        "Precedence: Auto_Reply",
    ],
)
def test_an_auto_reply_is_known_by_its_marks_whatever_it_quotes(mark):
    raw = told("<ada@example.net>: 550 5.1.1", sender="ada@example.net", subject="Re: papers", more=f"{mark}\n")

    assert read(raw).kind is Kind.AUTO_REPLY


def test_the_mark_of_an_auto_reply_on_a_bounce_does_not_make_it_one():
    assert read(told("<ada@example.net>: 550 5.1.1", more="Auto-Submitted: auto-replied\n")).kind is Kind.HARD


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n\n\n",
        b"Hello",
        told("550 5.1.1 user unknown", sender="ada@example.net", subject="Re: 7 papers"),
        told("550 5.1.1 user unknown", sender="Peter Postmaster <peter@example.net>", subject="Question"),
        told("What is a failed delivery?", sender="ada@example.net", subject="Failed delivery"),
        told("Thanks", sender="ada@example.net", subject="Re: papers", more="Auto-Submitted: no\nPrecedence: bulk\n"),
    ],
)
def test_what_a_person_wrote_says_nothing(raw):
    assert read(raw) is None


def test_a_bounce_of_a_server_with_a_name_of_its_own_is_known_by_its_subject_and_its_empty_return_path():
    assert read(told("To ada@example.net: 550 5.1.1", sender="mail@relay.example.org")).kind is Kind.HARD


@pytest.mark.parametrize("mark", ["--- Below this line is a copy of the message.", "Return-Path: <x@example.net>"])
def test_the_words_of_our_own_letter_say_nothing_of_its_fate(mark):
    letter = "Subject: 7 papers\n\nUser unknown: a mailbox full of spam, blocked by a reputation of 5.7.1\n"

    assert read(told(f"<ada@example.net>:\nIt did not work.\n\n{mark}\n{letter}")).kind is Kind.UNKNOWN


def test_words_far_from_the_recipient_say_nothing():
    assert read(told(f"<ada@example.net>: It did not work.\n{'x ' * 2_000}\nuser unknown")).kind is Kind.UNKNOWN


def test_a_detail_is_one_line_that_hides_nothing():
    reply = "550 5.1.1 no\x00body\x1b[1m \u202ehere\u2028\ud7ff " + "x" * 400
    found = read(report("Action: failed", "Status: 5.1.1", f"Diagnostic-Code: smtp; {reply}"))

    assert found.detail.startswith("550 5.1.1 no body [1m here")
    assert len(found.detail) == bounce.LONGEST_DETAIL


@pytest.mark.parametrize("charset", ["nonsense", "hex", "unicode_escape", "iso-8859-99", "utf-7", "punycode", "\0"])
def test_a_charset_that_is_none_is_read_as_utf_8(charset):
    raw = told(r"<ada@example.net>: 550 5.1.1 für \N", more=f"Content-Type: text/plain; charset={charset}\n")

    assert read(raw).detail == r"<ada@example.net>: 550 5.1.1 für \N"


def nested(depth):
    levels = (f"Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n" for level in range(depth))
    return f"From: MAILER-DAEMON@mx.example.net\nTo: {TO}\n".encode() + "".join(levels).encode()


def test_a_report_is_found_some_levels_down():
    assert read(nested(10) + b"Content-Type: message/delivery-status\n\nStatus: 5.1.1\n").kind is Kind.HARD


FLOOD = 10_000_000
SERVER = f"From: MAILER-DAEMON@mx.example.net\nTo: {TO}\n".encode()


@pytest.mark.parametrize(
    "raw",
    [
        nested(2_000) + b"x\n" * 500_000,
        nested(39) + b"--b5 x\n" * 150_000,
        nested(39) + b"\n--b5" + b" " * FLOOD,
        SERVER + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\n550 5.1.1\n" * 100_000,
        SERVER + b"Content-Type: text/html\n\n" + b"<" * FLOOD,
        SERVER + b"Content-Type: text/html\n\n" + b"<style" * 200_000,
        SERVER + b"Content-Transfer-Encoding: base64\n\n" + b"A==" * 400_000,
        SERVER + b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=" * FLOOD,
        SERVER + b"Content-Type: message/delivery-status\n\n" + b"Status: 5.0.0\n\n" * 70_000,
        SERVER + b"X:" + b"\n " * 500_000,
        SERVER + b"\n" + b"user " * 200_000,
        SERVER + b"\n" + b"exceed" * 200_000,
        SERVER + b"\n" + b"a@" * 500_000,
        SERVER + b"\n" + b"a" * FLOOD,
        SERVER + b"\n" + b"message-id:\n" * 100_000,
        SERVER + b"\n" + b"-" * FLOOD,
        SERVER + b"\n" * FLOOD,
        SERVER + b"\r" * FLOOD,
        SERVER + b"\n" + b"\0" * FLOOD,
        b"Delivered-To: bounces+\n" * 50_000,
        b"Content-Type: multipart/mixed; " + b'";' * 500_000,
        b"Content-Type: multipart/mixed; " + b'boundary="' * 100_000,
        b"Subject: " + b"=?utf-8?q?" * 100_000,
        b"\0" * FLOOD,
        b"\xff" * FLOOD,
    ],
    ids=range(25),
)
def test_what_is_too_large_or_too_deep_is_read_at_once(raw):
    start = time.process_time()

    check(raw)

    assert time.process_time() - start < 1


def check(raw):
    """Any bytes give nothing, or a bounce whose texts are what they say."""
    found = read(raw)
    if found is None:
        return
    assert isinstance(found.kind, Kind)
    assert re.fullmatch(r"[a-z0-9-]{0,64}", found.name, re.ASCII)
    assert re.fullmatch(r"(?:[245]\.\d{1,3}\.\d{1,3})?", found.status, re.ASCII)
    assert not found.recipient or re.fullmatch(r"\S+@\S+", found.recipient)
    assert not found.message_id or re.fullmatch(r"<[^<>\s]+>", found.message_id)
    assert len(found.detail) <= bounce.LONGEST_DETAIL
    assert all(text.isprintable() for text in (found.recipient, found.message_id, found.detail))
    assert found == read(raw)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read(raw):
    check(raw)
    check(SERVER + b"\n" + raw)
    check(report("Action: failed") + b"\nDiagnostic-Code: " + raw)


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_a_mail_with_wrong_bytes_is_read(data):
    raw = bytearray(data.draw(st.sampled_from(MAILS)).read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=10))
    check(bytes(raw))


def test_a_thousand_mails_of_torn_lines_are_read():
    random = Random(2606)
    lines = [line for mail in MAILS for line in mail.read_bytes().splitlines(keepends=True)]
    for _ in range(1_000):
        check(b"".join(random.choices(lines, k=random.randint(1, 40))))
