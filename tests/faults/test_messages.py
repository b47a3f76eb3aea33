"""Messages as they arrive, one test for each row M of the matrix.

Hundreds of readers and papers with the worst names there are (thousands at night) are queued and sent as on any day;
the mail server's bytes are read by `tests.strict`, which forgives nothing.
"""

import csv
import re
import shutil
import smtplib
import subprocess
from collections import Counter
from contextlib import contextmanager
from datetime import timedelta
from email.headerregistry import Address
from random import Random
from time import perf_counter
from types import SimpleNamespace

import dkim
import pytest
from aiosmtpd.controller import Controller
from django.conf import settings as now_set
from django.core.management import call_command
from django.db import connection, transaction
from django.test import override_settings
from django.urls import resolve

from digest.deliveries import export
from digest.deliveries.queue import queue
from digest.deliveries.send import send_due
from digest.letter import HTML_BYTES, authors_line
from digest.models import Delivery, Edition, Paper, Run
from digest.names import delivery_of, name_of
from subscriptions import clock, notices
from subscriptions.models import Consent, Notice, Subscriber
from subscriptions.query import QueryError, parse
from tests import make, strict
from tests.faults.system import NIGHTLY, figures, free_port, record
from tests.make import DAY, NOW
from tests.sink import Sink

MANY = 5_000 if NIGHTLY else 400
LATER = NOW + timedelta(minutes=5)
#: Every twentieth letter is refused for now and goes out a second time.
TRY_AGAIN = {"phase": "dot", "percent": 5, "times": 1, "reply": "451 4.3.0 Try again later"}

#: What looks like a template of one kind or another.
TEMPLATES = ("{{7*7}}", "{% debug %}", "{{settings.SECRET_KEY}}", "${7*7}", "#{7*7}", "<%=7*7%>", "%(name)s", "{name}")
#: Ends of a letter, for servers that are not strict about line ends.
ENVELOPE = "MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\nSubject: x\r\n\r\nx"
SMUGGLED = ("\n.\n", "\r.\r", "\r\n.\r\n", "\r.\r\n", "\n.\r\n", "\r\n.\n", f"\r\n.\r\n{ENVELOPE}\r\n.\r\n")
#: What sources, readers and editors write, by mistake or not.
EVIL = (
    *TEMPLATES, *SMUGGLED, "\r\nBcc: all@example.org", "\nX-Evil: 1\n\nbody", "\r\n\r\n", "\0", "\0\r\n",
    "\x0b\x0c\x1c\x85", "\u2028X-Evil: 2\u2029", ".", "..dots", "\n..\n", "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>', "</td></table>", "<!--", "-->", "<![CDATA[",
    "&lt;b&gt;", "&amp;", "&#0;", "=", "=\r\n", "=0D=0A", "=?utf-8?q?=0d=0aBcc:_x?=", "=?utf-8?b?DQpCY2M6IHg=?=",
    "--=_paperboy_=_3f9a61c27d5e4b08", "\r\n--=_paperboy_=_3f9a61c27d5e4b08--\r\n", "\ue000reason\ue001",
    "\ue000sections\ue001", "TOKEN", "機械学習", "naïve Poincaré", "\u202eevil\u202c", "\u2066\u2069", "\ufeff",
    "\u200b", "e\u0301\u0301\u0301", "\U0001f469\u200d\U0001f467", "\U0001f3f4\U000e0067\U000e007f", "\ud800",
    "x\udfffy", "x" * 300, "é" * 120, "\xa0", "\u3000", "a, b; c", '"quoted"', "'", "\\", "\\r\\n", "$E=mc^2$",
    "  spaces  ", "\t", "[a](javascript:alert(1))", "`", "*", "# x", "- ", "\n\n    x",
)  # fmt: skip

TAILS = ("", "+tag", ".x", "_", "{{7*7}}", "%s", "#{7}", "'", "=", "=?utf-8?q?x?=", "-" * 40)
DOMAINS = ("example.net", "Example.ORG", "bücher.example", "机器人.example", "straße.example", "אבג.example",
           "xn--bcher-kva.example", f"{'a' * 63}.example", "a.b.c.d.e.example")  # fmt: skip
#: Addresses that no mail can be written to: whoever comes by another door than ours might have one.
IMPOSSIBLE = ("{}жук@example.net", "{}@☃.example", '"{}\x01"@example.net', "{}@example.net\r\nBcc: all@example.org",
              "{}@example.net, x@example.org", "{} x@example.net")  # fmt: skip
NAME = 'Paper, "boy" & <Söhne>; {{7*7}} =?utf-8?q?x?= 日報 👩‍🔬'
HEADERS = {
    "From", "Date", "MIME-Version", "To", "Subject", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post",
    "List-Id", "List-Archive", "Feedback-ID", "Auto-Submitted", "Precedence", "X-Delivery-ID", "Content-Type",
}  # fmt: skip


# Many letters -------------------------------------------------------------------------------------------------------


@contextmanager
def smtp(folder, *rules, **values):
    """Mail leaves by SMTP to a sink that keeps it; `values` are settings besides."""
    with Sink(folder, rules, keep=True) as sink, override_settings(
        DIGEST_JOURNAL_DIR=folder / "journal",
        DIGEST_BOUNCE_DOMAIN="bounces.example.org",
        DIGEST_BASE_URL="https://papers.example.org",
        EMAIL_BACKEND="subscriptions.smtp.EmailBackend",
        EMAIL_HOST="127.0.0.1", EMAIL_PORT=sink.port, EMAIL_USE_TLS=False, EMAIL_USE_SSL=False,
        EMAIL_HOST_USER="", EMAIL_HOST_PASSWORD="", **values,
    ):  # fmt: skip
        yield sink


class Fuzz:
    """Text of the worst kind; the same from run to run."""

    def __init__(self, seed):
        self.random = Random(seed)

    def text(self, most=4):
        random = self.random
        plain = ("robot", "models", "of", "soup", "éclair")
        kinds = [lambda: random.choice(EVIL), lambda: random.choice(plain), self._any]
        words = [random.choice(kinds)() for _ in range(random.randint(1, most))]
        return random.choice([" ", " ", ""]).join(words)

    def _any(self):
        """A few characters from anywhere in Unicode."""
        return "".join(chr(self.random.choice([self.random.randrange(0x3000), self.random.randrange(0x110000)]))
                       for _ in range(self.random.randint(1, 6)))  # fmt: skip

    def column(self, most=4):
        """What a text column can hold: no database takes a surrogate, and PostgreSQL no NUL."""
        text = re.sub("[\ud800-\udfff]", "?", self.text(most))
        return text.replace("\0", "?") if connection.vendor == "postgresql" else text

    def json(self, most=4):
        """What a JSON column can hold: SQLite's anything, PostgreSQL's what its text can."""
        return self.column(most) if connection.vendor == "postgresql" else self.text(most)

    def maybe(self, value, chance=0.3):
        return value if self.random.random() < chance else type(value)()


def write_papers(fuzz, count):
    return [
        make.paper(
            f"Robot case{number} {fuzz.column()}"[:500],
            abstract=fuzz.column(60),
            ai_summary=fuzz.maybe(fuzz.column(20)),
            authors=[{"name": fuzz.json(), "hidden": False} for _ in range(fuzz.random.randint(0, 8))],
            organization=fuzz.maybe({"fullname": fuzz.json(), "name": "x"}) or None,
            keywords=[fuzz.json(2)],
            votes=fuzz.random.randint(0, 50),
            stars=fuzz.random.randint(0, 5_000),
            code_url=fuzz.maybe("https://code.example.org/x"),
        )
        for number in range(count)
    ]


def sign_everybody_up(fuzz, count):
    """Reader n is given paper n by a topic of theirs; one in twenty gets the largest digest, one in thirty nothing."""
    pick = fuzz.random.choice
    for number in range(count):
        name = f"fuzzed{number}"
        email = pick(IMPOSSIBLE).format(name) if number % 30 == 7 else f"{name}{pick(TAILS)}@{pick(DOMAINS)}"
        topics = [(_label(fuzz, 0), _query(fuzz, f"case{number}"))]
        topics += [
            (_label(fuzz, at), pick(["robot", "soup", "votes:>10", "éclair"])) for at in range(1, pick([1, 2, 5]))
        ]
        if number % 20 == 3:
            topics = [(_label(fuzz, at), "robot" if at else "robot OR soup") for at in range(pick([1, 20]))]
        make.subscriber(
            email,
            topics=topics,
            format=pick(["html", "html", "html", "text"]),
            max_papers=100 if number % 20 == 3 else pick([1, 5, 20]),
            wants_empty=True,
        )


def _label(fuzz, at):
    return f"{at} {fuzz.column(3)}"[:80]


def _query(fuzz, word):
    hostile = f'{word} OR "{fuzz.column(2)}"'[:500]
    try:
        parse(hostile)
    except QueryError:
        return word
    return hostile


class Arrived:
    """All of a day, as plain values: letters, the mail server's lines and rows by delivery, papers by key."""

    def __init__(self):
        self.letters, self.lines, self.rows, self.papers = {}, {}, {}, {}
        self.log, self.violations, self.found, self.seconds = [], {}, None, 0

    def each(self):
        for key, letter in self.letters.items():
            yield letter, self.rows[key], self.lines[key]


@pytest.fixture(scope="module")
def arrived(django_db_setup, django_db_blocker, tmp_path_factory):
    """One hostile day, queued, sent, and read at the mail server; the database is as it was afterwards."""
    names = {"DIGEST_NAME": NAME, "DEFAULT_FROM_EMAIL": str(Address(NAME, "digest", now_set.DIGEST_DOMAIN)),
             "DIGEST_POSTAL_ADDRESS": f"1 Road {TEMPLATES[0]} <b>"}  # fmt: skip
    with (
        django_db_blocker.unblock(),
        transaction.atomic(),
        smtp(tmp_path_factory.mktemp("m"), TRY_AGAIN, **names) as sink,
    ):
        day = _send_a_day(sink)
        transaction.set_rollback(True)
    return day


def _send_a_day(sink):
    fuzz = Fuzz(7)
    edition = make.edition(write_papers(fuzz, MANY), intro=f"Good *morning* {' '.join(map(_storable, EVIL[:40]))}",
                           warnings=[fuzz.json(), *map(_storable, TEMPLATES)])  # fmt: skip
    note = f"Read {' '.join(TEMPLATES)} <script>x</script> \ue000reason\ue001 **this**"
    edition.placements.filter(rank__lte=40).update(note=note)
    sign_everybody_up(fuzz, MANY)

    start = perf_counter()
    queue(now=NOW, today=DAY, by_hand=True)
    first = send_due(clock=lambda: NOW, today=DAY)
    again = send_due(clock=lambda: LATER, today=DAY)
    day = Arrived()
    day.seconds = perf_counter() - start
    assert (first.trouble, again.trouble) == ("", "")

    day.violations, day.log = sink.counts()["violations"], sink.log(every=True)
    rows = Delivery.objects.values(
        "pk", "email", "status", "reason", "attempts", "sections", "papers_count", "subscriber__format"
    )
    day.rows = {row["pk"]: SimpleNamespace(**row) for row in rows}
    for paper in Paper.objects.all():
        whose = paper.organization or {}
        day.papers[paper.pk] = SimpleNamespace(
            title=paper.title, authors=authors_line(paper), whose=whose.get("fullname", "")
        )
    day.found = figures([(name_of(pk), row.status) for pk, row in day.rows.items()], day.log)
    for data, line in zip(sink.messages(), sink.log(), strict=True):
        letter = strict.read(data)
        key = delivery_of(letter.headers["X-Delivery-ID"])
        assert key not in day.letters
        day.letters[key], day.lines[key] = letter, line
    return day


def _storable(text):
    return re.sub("[\0\ud800-\udfff]", "?", text)


def passed(row, day, note=""):
    found = day.found
    record(
        row, letters=found.accepted, lost=found.lost, duplicated=found.duplicated, uncertain=found.uncertain, note=note
    )
    assert (found.lost, found.duplicated, found.uncertain, found.drift) == (0, 0, 0, 0)
    assert len(day.letters) == found.accepted > 0.9 * MANY


# M1 to M9: what arrived ---------------------------------------------------------------------------------------------


def test_m1_every_header_once_and_the_same_name_on_a_second_try(arrived):
    domain = now_set.DIGEST_DOMAIN
    for letter, row, line in arrived.each():
        name, headers = name_of(row.pk), letter.headers
        only_text = row.subscriber__format == "text"
        assert set(headers) == HEADERS | ({"Content-Transfer-Encoding"} if only_text else set())
        assert headers["X-Delivery-ID"] == name
        assert strict.name_of_message(headers["Message-ID"]) == f"d.{name}@{domain}"
        assert strict.address_of(headers["From"]) == f"digest@{domain}"
        assert strict.squashed(letter.shown["From"]) == strict.squashed(f"{NAME} <digest@{domain}>")
        (link,) = strict.links_of(headers["List-Unsubscribe"])
        assert re.fullmatch(r"https://papers\.example\.org/u/[\w.:-]+", link)
        assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert strict.list_of(headers["List-Id"]) == f"daily.{domain}"
        assert strict.squashed(letter.shown["List-Id"]) == strict.squashed(f"{NAME} daily digest <daily.{domain}>")
        (archive,) = strict.links_of(headers["List-Archive"])
        assert resolve(archive.removeprefix("https://papers.example.org")).url_name == "edition"
        assert headers["Feedback-ID"] == f"20260602:daily:paperboy:{now_set.DIGEST_FEEDBACK_SENDER}"
        assert (headers["Auto-Submitted"], headers["Precedence"]) == ("auto-generated", "bulk")
        assert strict.moment_of(headers["Date"]) == (NOW if row.attempts == 1 else LATER)
        assert line["mail_from"] == f"bounces+{name}@bounces.example.org"
        assert resolve(link.removeprefix("https://papers.example.org")).url_name == "unsubscribe"
    refused = {line["delivery"]: line["id"] for line in arrived.log if line["verdict"] == "451"}
    tried_again = [line for line in arrived.log if line["verdict"] == "accepted" and line["delivery"] in refused]
    assert len(tried_again) == len(refused) > 5
    assert all(line["id"] == refused[line["delivery"]] for line in tried_again)
    assert len({letter.headers["Message-ID"] for letter in arrived.letters.values()}) == len(arrived.letters)
    passed("M1", arrived, note=f"{len(refused)} of them on a second try; queued and sent in {arrived.seconds:.1f} s")


def test_m3_no_letter_and_no_line_is_too_long(arrived):
    html = max(letter.html_bytes for letter in arrived.letters.values())
    line = max(len(line) for letter in arrived.letters.values() for line in letter.data.split(b"\r\n"))
    papers = max(row.papers_count for row in arrived.rows.values())

    assert html <= HTML_BYTES <= 90_000
    assert line <= 998
    assert papers == 100
    passed("M3", arrived, note=f"at most {papers} papers, {html:,} bytes of HTML, a line of {line} octets")


def test_m4_the_text_part_is_a_letter_with_a_way_out(arrived):
    for letter, row, _ in arrived.each():
        (link,) = strict.links_of(letter.headers["List-Unsubscribe"])
        assert link in letter.text.split()
        assert len(letter.text) > 200
        assert letter.text.count("https://arxiv.org/abs/") >= row.papers_count > 0
        if letter.html:
            page = strict.Page(letter.html)
            assert link in page.links
    passed("M4", arrived)


def test_m5_no_letter_tells_of_another_reader(arrived):
    """Any address of any reader has its number in it, however it may be written or cut."""
    for letter, row, line in arrived.each():
        own = re.match(r'"?fuzzed(\d+)', row.email)[1]
        assert set(re.findall(r"fuzzed(\d+)", letter.everything)) == {own}
        local, _, domain = row.email.rpartition("@")
        assert letter.headers["To"].rpartition("@")[0] == local
        assert letter.headers["To"].rpartition("@")[2].isascii()
        assert domain.isascii() == (letter.headers["To"].rpartition("@")[2] == domain)
        assert line["rcpt"] == [letter.headers["To"]]
        assert strict.ADDRESS.fullmatch(letter.headers["To"])
    passed("M5", arrived, note="0 leaks")


def test_m6_line_ends_and_nulls_make_no_header_and_stop_nobody(arrived):
    """The strict reader has seen each header once already; here are the letters nobody may write, and all others."""
    impossible = {row.email for row in arrived.rows.values() if row.status == "failed"}
    assert len(arrived.rows) == MANY
    assert {row.status for row in arrived.rows.values()} == {"sent", "failed"}
    assert len(impossible) == len(range(7, MANY, 30))
    for row in arrived.rows.values():
        assert (row.status == "failed") == (int(re.match(r'"?fuzzed(\d+)', row.email)[1]) % 30 == 7)
        assert row.status == "sent" or re.search("not one address|cannot be written in ASCII", row.reason)
    for letter in arrived.letters.values():
        assert not re.search("(?im)^(bcc|x-evil|cc):", letter.data.decode().partition("\r\n\r\n")[0])
        assert letter.shown["Subject"].startswith(
            ("1 paper for Tue 2 June", *(f"{n} papers for Tue 2 June" for n in range(2, 101)))
        )
    passed("M6", arrived, note=f"{len(impossible)} readers with impossible addresses failed, each for itself")


def test_m7_smuggled_ends_arrive_as_text(arrived):
    """Where a reader's text ends a letter, the text arrives; and no way to read the bytes makes two letters of one."""
    ended = 0
    for letter, row, line in arrived.each():
        assert not re.search(rb"[\r\n]\.[\r\n]|[\r\n]\.", letter.data)
        assert len(line["rcpt"]) == 1
        ends = [label for label, _, _ in row.sections if re.search(r"[\r\n]\.[\r\n]", label)]
        assert "\n.\n" in letter.text or not ends
        ended += bool(ends)
    assert arrived.violations["count"] == 0, arrived.violations
    assert {line["verdict"] for line in arrived.log} == {"accepted", "451"}
    assert not [line for line in arrived.log if "victim" in str(line["rcpt"]) or "evil" in str(line["mail_from"])]
    assert ended > 10
    passed("M7", arrived, note=f"{ended} letters have the end of a letter in a topic's name")


def test_m9_what_looks_like_a_template_stands_there_as_it_was_written(arrived):
    """Every label, title and name is in the letter, character for character but for white space and controls."""
    seen = Counter()
    for letter, row, _ in arrived.each():
        page = strict.Page(letter.html)
        assert page.found == []
        assert not [link for link in page.links if not link.startswith(("http://", "https://", "mailto:"))]
        assert set(page.open.values()) == {0}
        is_whole = "more on the web page of the day" not in letter.html
        for text in [letter.text, *([page.text] if letter.html else [])]:
            shown = strict.squashed(text)
            assert strict.squashed(now_set.SECRET_KEY) not in shown
            assert strict.squashed(f"1 Road {TEMPLATES[0]} <b>") in shown
            for words in _written(arrived, row) if is_whole or text is letter.text else ():
                assert strict.squashed(words) in shown, words
                seen.update(template for template in TEMPLATES if template in words)
    assert set(seen) == set(TEMPLATES)
    assert min(seen.values()) > 50
    passed("M9", arrived, note=f"{seen.total():,} times")


def _written(day, row):
    """What people wrote, of all that a letter holds."""
    for label, _, papers in row.sections:
        yield label
        for key in papers:
            paper = day.papers[key]
            yield from (paper.title, paper.authors, paper.whose)


@pytest.mark.django_db
@pytest.mark.parametrize("template", TEMPLATES)
def test_m9_an_editors_words_are_no_template(template, tmp_path):
    edition = make.edition([make.paper("Robots")], intro=f"Intro {template}", warnings=[f"Warning {template}"])
    edition.placements.update(note=f"Note {template}")
    make.subscriber(topics=["robot"])
    with smtp(tmp_path) as sink:
        queue(now=NOW, today=DAY)
        start = perf_counter()
        send_due(clock=lambda: NOW, today=DAY)
        seconds = perf_counter() - start
        letter = strict.read(*sink.messages())

    for text in (letter.text, strict.Page(letter.html).text):
        assert all(f"{place} {template}" in text for place in ("Intro", "Warning", "Note"))
    assert seconds <= 2
    assert len(letter.data) <= 10**6


# M2: signed on the way ----------------------------------------------------------------------------------------------

#: What a relay signs; those that are named twice cannot be added to either.
SIGNED = ("From", "From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "List-Id",
          "List-Unsubscribe", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Unsubscribe-Post")  # fmt: skip


class SigningRelay:
    """Signs each letter it is given and hands it on, as the last server of one's own does."""

    def __init__(self, key, domain, port):
        self.key, self.domain, self.port = key, domain, port

    async def handle_DATA(self, server, session, envelope):
        content = envelope.content
        fields = [name.encode() for name in SIGNED]
        header = dkim.sign(content, b"test", self.domain.encode(), self.key, include_headers=fields,
                           canonicalize=(b"relaxed", b"simple"))  # fmt: skip
        with smtplib.SMTP("127.0.0.1", self.port) as onwards:
            onwards.sendmail(envelope.mail_from, envelope.rcpt_tos, header + content)
        return "250 2.0.0 Signed"


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """A key for this once: the private half as a relay has it, the public one as DNS has it."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a key with")
    file = tmp_path_factory.mktemp("key") / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", file, "2048"], check=True, capture_output=True)
    public = subprocess.run(["openssl", "rsa", "-in", file, "-pubout"], check=True, capture_output=True).stdout
    words = b"".join(line for line in public.splitlines() if not line.startswith(b"-"))
    return SimpleNamespace(private=file.read_bytes(), record=b"v=DKIM1; k=rsa; p=" + words)


def is_signed(message, key):
    asked = []

    def dns(name, timeout=5):
        asked.append(name)
        return key.record

    signed = dkim.verify(message, dnsfunc=dns)
    assert asked in ([], [f"test._domainkey.{now_set.DIGEST_DOMAIN}.".encode()])
    return signed


#: What somebody on the way could do, and does not get away with.
ALTERED = {
    "another way out": lambda data: data.replace(b"List-Unsubscribe: <https://papers", b"List-Unsubscribe: <https://evil.papers"),
    "no one-click": lambda data: data.replace(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n", b""),
    "a second way out": lambda data: b"List-Unsubscribe: <https://evil.example.org/>\r\n" + data,
    "a second one-click": lambda data: b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" + data,
    "another sender": lambda data: data.replace(b"<digest@", b"<digest2@", 1),
    "another subject": lambda data: data.replace(b"\r\nSubject: ", b"\r\nSubject: Re: "),
    "another body": lambda data: data.replace(b"You get this", b"You got this", 1),
    "a byte more": lambda data: data + b"x\r\n",
}  # fmt: skip


@pytest.mark.django_db
def test_m2_a_relays_signature_covers_the_way_out(key, tmp_path):
    count = 1_000 if NIGHTLY else 40
    fuzz = Fuzz(2)
    make.edition(write_papers(fuzz, 30), intro=_storable(" ".join(EVIL)))
    for number in range(count):
        make.subscriber(f"fuzzed{number}@{fuzz.random.choice(DOMAINS)}", format=fuzz.random.choice(["html", "text"]),
                        topics=[(_label(fuzz, at), "robot") for at in range(3)])  # fmt: skip
    name = str(Address(NAME, "digest", now_set.DIGEST_DOMAIN))
    with smtp(tmp_path, DIGEST_NAME=NAME, DEFAULT_FROM_EMAIL=name) as sink:
        relay = SigningRelay(key.private, now_set.DIGEST_DOMAIN, sink.port)
        controller = Controller(relay, hostname="127.0.0.1", port=free_port())
        controller.start()
        try:
            with override_settings(EMAIL_PORT=controller.port):
                queue(now=NOW, today=DAY, by_hand=True)
                assert send_due(clock=lambda: NOW, today=DAY).counts == {"sent": count}
        finally:
            controller.stop()
        messages, log = sink.messages(), sink.log()

    for message in messages:
        assert message.startswith(b"DKIM-Signature:")
        assert is_signed(message, key)
        signature = strict.headers_of(message.partition(b"\r\n\r\n")[0])["DKIM-Signature"]
        covered = re.search(r"h=([^;]+);", signature)[1].replace(" ", "").split(":")
        assert {"list-unsubscribe", "list-unsubscribe-post", "from", "list-id"} <= set(map(str.lower, covered))
        assert f"d={now_set.DIGEST_DOMAIN};" in signature.replace(" ", "")
    for what, alter in ALTERED.items():
        altered = alter(messages[0])
        assert altered != messages[0], what
        assert not is_signed(altered, key), what
    found = figures([(name_of(pk), status) for pk, status in Delivery.objects.values_list("pk", "status")], log)
    record("M2", letters=found.accepted, lost=found.lost, duplicated=found.duplicated, uncertain=found.uncertain,
           note=f"{len(messages)} verified, {len(ALTERED)} alterations found")  # fmt: skip
    assert len(messages) == found.accepted == count


# M8: addresses beyond ASCII -----------------------------------------------------------------------------------------

TAKEN = {
    "reader@bücher.example": "reader@xn--bcher-kva.example",
    "reader@BÜCHER.example": "reader@xn--bcher-kva.example",
    "reader@straße.example": "reader@xn--strae-oqa.example",
    "reader@机器人.example": "reader@xn--gmqz0qc7o.example",
    "reader@אבג.example": "reader@xn--4dbcd.example",
    "reader@xn--bcher-kva.example": "reader@xn--bcher-kva.example",
    "o'reader+x=y@example.net": "o'reader+x=y@example.net",
}
REFUSED = ("жук@example.net", "жук@почта.example", "jürgen@bücher.example", "reader@☃.example", '"\x01"@example.net',
           "reader@example.net\r\nBcc: all@example.org", "reader@exa\u2028mple.net", "reader@-.example",
           "reader@bücher..example", f"reader@{'ü' * 64}.example")  # fmt: skip


@pytest.mark.django_db
def test_m8_addresses_are_taken_whole_or_refused_at_the_door(client, tmp_path, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr("subscriptions.tasks.soon", lambda: None)
    monkeypatch.setattr("subscriptions.throttle.may_ask", lambda *who, **when: True)
    with smtp(tmp_path) as sink:
        for address in REFUSED:
            answer = client.post("/subscribe", {"email": address, "topics": "", "website": ""})
            assert answer.status_code == 400, address
            assert "errorlist" in answer.content.decode(), address
        assert not Subscriber.objects.exists()
        assert not Consent.objects.exists()
        for address in TAKEN:
            Subscriber.objects.all().delete()  # two spellings of one mailbox are meant to be one reader
            answer = client.post("/subscribe", {"email": address, "topics": "robot", "website": ""})
            assert answer.status_code == 302, address
            notices.send_due(now=NOW)
            assert Notice.objects.get().status == "sent", Notice.objects.get().reason
            Subscriber.objects.update(status="active", confirmed_at=NOW)
            Delivery.objects.all().delete()
            if not Edition.objects.exists():
                make.edition([make.paper("Robots")])
            queue(now=NOW, today=DAY)
            assert send_due(clock=lambda: NOW, today=DAY).counts == {"sent": 1}
        log, messages = sink.log(), sink.messages()

    expected = [written for written in TAKEN.values() for _ in ("the confirmation", "the digest")]
    assert [line["rcpt"] for line in log] == [[written] for written in expected]
    heads = [strict.headers_of(message.partition(b"\r\n\r\n")[0]) for message in messages]
    assert [head["To"] for head in heads] == expected
    record("M8", letters=len(log), note=f"{len(TAKEN)} addresses taken, {len(REFUSED)} refused at sign-up")


# M10: a run as a table ----------------------------------------------------------------------------------------------

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", " =", "\t=", "\r\n+", "＝", "")
TRIGGERS = "=+-@\t\r\n＝＋－＠"


@pytest.mark.django_db
def test_m10_no_cell_is_a_formula(tmp_path, capsys):
    count, fuzz = MANY, Fuzz(10)
    edition = make.edition([make.paper("Robots")])
    for number in range(count):
        make.subscriber(f"{STARTS[number % 4]}reader{number}@example.net")
    queue(now=NOW, today=DAY, by_hand=True)
    rows = list(Delivery.objects.order_by("pk"))
    for row in rows:
        words = [fuzz.random.choice(STARTS) + fuzz.column() for _ in range(3)]
        row.reason, row.transport, row.reference = (f"{start}cmd|'/c calc'!A0"[:60] for start in words)
    Delivery.objects.bulk_update(rows, ["reason", "transport", "reference"], batch_size=500)

    call_command("run", str(DAY), "--export", str(tmp_path / "run.csv"))
    call_command("run", str(DAY), "--export", "-")

    data = (tmp_path / "run.csv").read_bytes()
    said = capsys.readouterr().out
    assert said.partition("\n")[2] == data.decode()
    assert data.count(b"\r\n") == count + 1
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", data)
    head, *table = csv.reader(data.decode().splitlines(), strict=True)
    assert tuple(head) == export.COLUMNS
    assert len(table) == count
    neutralised = 0
    for row, cells in zip(rows, table, strict=True):
        assert len(cells) == len(head)
        assert not [cell for cell in cells if cell and cell[0] in TRIGGERS]
        for value, cell in zip(
            (row.email, row.reason, row.transport, row.reference), (cells[0], cells[2], *cells[6:]), strict=True
        ):
            is_formula = value.strip()[:1] in {*TRIGGERS} or value[:1] in {*TRIGGERS}
            assert strict.squashed(cell) == "'" * is_formula + strict.squashed(value)
            neutralised += is_formula
    record("M10", letters=count, note=f"{neutralised:,} cells neutralised")
    assert Run.objects.get().edition == edition
