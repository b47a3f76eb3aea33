"""Every letter that reaches a server, read byte by byte: the rows M1 to M9 on hundreds of fuzzed readers and papers."""

import binascii
import os
import re
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from random import Random

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from digest import names
from digest.deliveries import ledger
from digest.deliveries.queue import queue
from digest.deliveries.send import send_due
from digest.explain import Explainer
from digest.letter import HTML_BYTES, Press
from digest.models import Delivery, Edition
from digest.names import delivery_of, name_of
from digest.reasons import reasons
from subscriptions.query import Document, matches, parse
from tests import make
from tests.make import DAY, NOW
from tests.sink import Sink
from tests.subscriptions import queries

MANY = 5_000 if os.environ.get("PAPERBOY_NIGHTLY") else 500

#: What sources, readers and editors write, by mistake or not.
EVIL = (
    "\r\nBcc: all@example.net", "\nX-Evil: 1\n\nbody", "\r.\r\n", "\n.\n", "\r\n.\r\nMAIL FROM:<evil@example.org>\r\n",
    ".", "..dots", "\x0b\x0c\x1c\x85", "\u2028X-Evil: 2\u2029", "{{7*7}}", "{% debug %}", "{{settings.SECRET_KEY}}",
    "${7*7}", "#{7*7}", "%(name)s %s %n", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "</td></table>", "<!--", "&lt;b&gt;", "&amp;", "=?utf-8?q?=0d=0aBcc:_x?=", "=\r\n", "=0D=0A",
    "--=_paperboy_=_3f9a61c27d5e4b08",
    "\ue000reason\ue001", "\ue000sections\ue001", "\ue000x\ue001", "TOKEN", "機械学習", "naïve Poincaré", "\u202eevil",
    "👩‍👩‍👧", "x" * 300,
    "deep\xa0learning", "\xa0", "\u3000", "a, b; c", '"quoted"', "'", "\\", "$E=mc^2$", "  spaces  ", "\t",
)  # fmt: skip
#: What must never be alive in HTML.
TAGS = {"script", "svg", "img", "iframe", "object", "embed", "form", "math"}


# A parser that forgives nothing -------------------------------------------------------------------------------------


@dataclass
class Read:
    headers: dict[str, str]
    text: str
    html: str
    html_bytes: int
    data: bytes


def read(data):
    """A letter in the one shape we write. Anything else is an error."""
    assert data.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", data)
    lines = data.split(b"\r\n")
    assert lines[-1] == b""
    assert max(map(len, lines)) <= 998
    assert not [line for line in lines if line.startswith(b".")]
    head, body = data.split(b"\r\n\r\n", 1)
    headers = _headers(head)
    kind = headers["Content-Type"]
    if kind == "text/plain; charset=utf-8":
        return Read(headers, _body(headers, body), "", 0, data)
    found = re.fullmatch(r'multipart/alternative; boundary="([^"]+)"', kind)
    boundary = found[1].encode()
    assert body.startswith(b"--" + boundary + b"\r\n")
    first, second, last = (b"\r\n" + body).split(b"\r\n--" + boundary)[1:]
    assert last == b"--\r\n"
    parts = []
    for part, subtype in ((first, "plain"), (second, "html")):
        part_head, part_body = part.removeprefix(b"\r\n").split(b"\r\n\r\n", 1)
        part_headers = _headers(part_head)
        assert set(part_headers) == {"Content-Type", "Content-Transfer-Encoding"}
        assert part_headers["Content-Type"] == f"text/{subtype}; charset=utf-8"
        parts.append(_body(part_headers, part_body))
    return Read(headers, *parts, len(part_body), data)


def _headers(head):
    headers = {}
    for line in re.sub(rb"\r\n[ \t]+", b" ", head).decode().split("\r\n"):
        name, value = re.fullmatch(r"([A-Za-z][A-Za-z0-9-]*): ?(.*)", line).groups()
        assert name.lower() not in map(str.lower, headers), f"{name} twice"
        headers[name] = value
    return headers


def _body(headers, data):
    assert headers["Content-Transfer-Encoding"] == "quoted-printable"
    for line in data.split(b"\r\n"):
        assert len(line) <= 78
        assert not line.endswith((b" ", b"\t"))
        assert re.fullmatch(rb"(?:[\t\x20-\x3c\x3e-\x7e]|=[0-9A-F]{2})*=?", line), line
    return binascii.a2b_qp(data).decode().replace("\r\n", "\n")


class Active(HTMLParser):
    """Collects what could run or load something, and where links lead."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.found, self.links, self.open = [], [], Counter()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.open[tag] += 1
        if tag in TAGS:
            self.found.append(tag)
        for name, value in attributes:
            if name.startswith("on"):
                self.found.append(name)
            if name in ("href", "src"):
                self.links.append(value)

    def handle_endtag(self, tag):
        self.open[tag] -= 1


# Many letters -------------------------------------------------------------------------------------------------------


def text_from(random, most=4):
    words = ["robot", "models", "of", "soup", "learning", "éclair"]
    return " ".join(random.choice([random.choice(EVIL), *words]) for _ in range(random.randint(1, most)))


def stored(text):
    """What a database keeps: PostgreSQL takes no NUL. Sources are cleaned of more, which is not relied on here."""
    return text.replace("\0", "")


def papers(random, count):
    return [
        make.paper(
            stored(f"Robot {number} {text_from(random)}")[:500],
            abstract=stored(text_from(random, 60)),
            ai_summary=stored(text_from(random, 20)) if random.random() < 0.3 else "",
            authors=[{"name": stored(text_from(random)), "hidden": False} for _ in range(random.randint(0, 8))],
            organization={"fullname": stored(text_from(random)), "name": "x"} if random.random() < 0.3 else None,
            keywords=[stored(text_from(random, 2))],
            votes=random.randint(0, 50),
            stars=random.randint(0, 5_000),
            code_url="https://code.example.org/x" if random.random() < 0.3 else "",
        )
        for number in range(count)
    ]


TAILS = ("", "+tag", ".x", "_", "{{7*7}}", "%s", "#{7}")
DOMAINS = ("example.net", "Example.ORG", "bücher.example", "机器人.example", "xn--bcher-kva.example")
TOPICS = ("robot", "learning", "votes:>10", "soup", "-soup")


def readers(random, count):
    return [
        make.subscriber(
            f"fuzzed{number}{random.choice(TAILS)}@{random.choice(DOMAINS)}",
            topics=[
                (f"{stored(text_from(random, 3))[:76]} {topic}", random.choice(TOPICS))
                for topic in range(random.randint(0, 4))
            ],
            format=random.choice(["html", "html", "html", "text"]),
            max_papers=random.choice([1, 5, 20, 100]),
            wants_empty=True,
        )
        for number in range(count)
    ]  # fmt: skip


@pytest.fixture
def smtp(settings, tmp_path):
    settings.DIGEST_JOURNAL_DIR = tmp_path / "journal"
    settings.DIGEST_BOUNCE_DOMAIN = "bounces.example.org"
    settings.EMAIL_BACKEND = "subscriptions.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_USE_TLS, settings.EMAIL_USE_SSL = "127.0.0.1", False, False
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    with Sink(tmp_path, keep=True) as sink:
        settings.EMAIL_PORT = sink.port
        yield sink


@pytest.mark.django_db
def test_m1_to_m9_on_every_letter_that_leaves(smtp, settings):
    random = Random(7)
    edition = make.edition(papers(random, 60), intro=f"Good *morning* {' '.join(EVIL[:20])}")
    edition.placements.filter(rank__lte=5).update(note="Read {{7*7}} <script>x</script> \ue000reason\ue001 **this**")
    everybody = readers(random, MANY)

    queue(now=NOW, today=DAY, by_hand=True)
    result = send_due(clock=lambda: NOW, today=DAY)

    rows = {row.pk: row for row in Delivery.objects.select_related("subscriber")}
    assert result.trouble == ""
    assert Counter(row.status for row in rows.values()) == {"sent": MANY}, Counter(row.reason for row in rows.values())
    letters = [read(data) for data in smtp.messages()]
    assert smtp.counts()["violations"]["count"] == 0
    log = smtp.log()
    addresses = {reader.email for reader in everybody}
    seen = Counter()
    for letter, line in zip(letters, log, strict=True):
        row = rows[delivery_of(letter.headers["X-Delivery-ID"])]
        seen[row.pk] += 1
        check_headers(letter, row, line, settings)
        check_bodies(letter, row)
        check_privacy(letter, row, addresses)
        check_templates(letter, settings)
    assert set(seen) == set(rows)
    assert set(seen.values()) == {1}
    assert len({letter.headers["Message-ID"] for letter in letters}) == MANY


def check_headers(letter, row, line, settings):
    """M1, M6, M8: each header once, and none that nobody wrote."""
    assert set(letter.headers) == {
        "From", "Date", "MIME-Version", "To", "Subject", "Message-ID", "List-Unsubscribe",
        "List-Unsubscribe-Post", "List-Id", "List-Archive", "Feedback-ID", "Auto-Submitted", "Precedence",
        "X-Delivery-ID", "Content-Type",
        *(["Content-Transfer-Encoding"] if row.subscriber.format == "text" else []),
    }  # fmt: skip
    headers = letter.headers
    name = name_of(row.pk)
    assert headers["Message-ID"] == f"<d.{name}@{settings.DIGEST_DOMAIN}>"
    assert re.fullmatch(r"<http://papers\.example\.org/u/[\w.:-]+>", headers["List-Unsubscribe"])
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert re.fullmatch(r".*<daily\.papers\.example\.org>", headers["List-Id"])
    assert re.fullmatch(r"20260602:daily:paperboy:paperboy", headers["Feedback-ID"])
    assert headers["Auto-Submitted"] == "auto-generated"
    assert parsedate_to_datetime(headers["Date"]) == NOW
    assert headers["From"].endswith(f"<digest@{settings.DIGEST_DOMAIN}>")
    assert line["rcpt"] == [headers["To"]]
    assert line["mail_from"] == f"bounces+{name}@bounces.example.org"
    local, _, domain = row.email.rpartition("@")
    assert headers["To"] == f"{local}@{domain if domain.isascii() else domain.encode('idna').decode()}"
    subject = str(make_header(decode_header(headers["Subject"])))
    count = row.papers_count
    assert subject.startswith(f"{count or 'No'} paper{'' if count == 1 else 's'} for Tue 2 June")
    assert subject.isprintable() or re.search("[\xa0\u3000\u202e\ue000\ue001\u200d]", subject)
    message = message_from_bytes(letter.data, policy=policy.SMTP)
    assert not message.defects
    assert message.keys() == list(headers)


def check_bodies(letter, row):
    """M3, M4, M7: what a letter holds, and how much."""
    unsubscribe = letter.headers["List-Unsubscribe"].strip("<>")
    assert letter.html_bytes <= HTML_BYTES
    assert unsubscribe in letter.text
    assert len(letter.text) > 200
    if row.subscriber.format == "html":
        page = Active(letter.html)
        assert page.found == []
        assert unsubscribe in page.links
        assert not [link for link in page.links if not link.startswith(("http://", "https://", "mailto:"))]
        assert page.open["table"] == page.open["td"] == page.open["tr"] == page.open["p"] == page.open["a"] == 0
        assert letter.html.rstrip().endswith("</html>")
    assert letter.text.count("https://arxiv.org/abs/") == row.papers_count


def check_privacy(letter, row, addresses):
    """M5: one reader, and no trace of another."""
    assert letter.headers["To"].count("@") == 1
    everything = f"{letter.text}\n{letter.html}\n{letter.headers}"
    there = set(re.findall(r"fuzzed\d+[^\s@]*@[^\s@>\"']+", everything))
    assert there <= {letter.headers["To"], row.email}
    assert not {address for address in there if address in addresses} - {row.email}


def check_templates(letter, settings):
    """M9: what looks like a template appears as it was written."""
    everything = letter.text + letter.html
    assert settings.SECRET_KEY not in everything
    assert "SafeString" not in everything
    assert "Press object" not in everything


# The largest --------------------------------------------------------------------------------------------------------


def press(edition):
    batch = ledger.claim("w", now=NOW)
    taken = ledger.take(ledger.waiting(batch, now=NOW), worker="w", now=NOW, today=DAY)
    made = Press(Edition.objects.get(pk=edition.pk))
    made.prepare(row.sections for row in taken)
    return made, taken


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("word", "topics"),
    [("robot", 1), ("Überläufer", 20), ("机器人", 20), ("\U0001f916", 1), ("<&>\"'", 20), ("=", 1), (".", 1)],
)
def test_m3_the_largest_letter_fits(word, topics):
    many = [make.paper(f"Robot {number} {f'{word} ' * 60}"[:480], abstract=f"{word} " * 400,
                       authors=[{"name": f"{word} {n}", "hidden": False} for n in range(5)], votes=5)
            for number in range(100)]  # fmt: skip
    edition = make.edition(many)
    edition.placements.update(note=f"**{word}** " * 50)
    make.subscriber(
        topics=[((f"{word} {number} " * 10)[:80], f"robot -x{number}") for number in range(topics)], max_papers=100
    )
    queue(now=NOW, today=DAY)

    made, (row,) = press(edition)
    letter = read(made.write(row).as_bytes(now=NOW))

    assert letter.html_bytes <= HTML_BYTES
    assert row.papers_count == 100
    assert letter.text.count("https://arxiv.org/abs/") == 100
    assert re.search(r"and \d+ more on the web page", letter.html)


LONG = ("机器 " * 6_000, "word " * 5_000, "* x\n" * 5_000, "<" * 20_000, "[a](https://b.example) " * 900)


@pytest.mark.django_db
@pytest.mark.parametrize("intro", LONG, ids=["chinese", "words", "list", "angles", "links"])
def test_m3_a_long_introduction_leaves_room_for_the_way_out(intro):
    edition = make.edition([make.paper("Robots")], intro=intro)
    make.subscriber(topics=["robot"])
    queue(now=NOW, today=DAY)

    made, (row,) = press(edition)
    letter = read(made.write(row).as_bytes(now=NOW))

    assert letter.html_bytes <= HTML_BYTES
    assert "Robots" in letter.html
    assert letter.headers["List-Unsubscribe"].strip("<>") in letter.html


@pytest.mark.django_db
@pytest.mark.parametrize("place", ["title", "abstract", "ai_summary", "note", "intro", "label", "author"])
@pytest.mark.parametrize("word", ["reason", "sections", "x", "unsubscribe_url"])
def test_m9_nobodys_text_is_taken_for_a_place_to_fill(place, word):
    """Anybody can upload a paper; nobody can have a reader's links put into it, or stop the letters."""
    mark = f"\ue000{word}\ue001"
    text = f"Robots {mark} here"
    values = {place: text} if place in ("abstract", "ai_summary") else {}
    if place == "author":
        values = {"authors": [{"name": text, "hidden": False}]}
    paper = make.paper(text if place == "title" else "Robots", **values)
    edition = make.edition([paper], intro=text if place == "intro" else "")
    edition.placements.update(note=text if place == "note" else "")
    make.subscriber(topics=[(text if place == "label" else "Robots", "robot")])
    queue(now=NOW, today=DAY)

    made, (row,) = press(edition)
    letter = read(made.write(row).as_bytes(now=NOW))

    assert mark in letter.text
    assert mark in letter.html


@pytest.mark.django_db
def test_m1_the_message_is_the_same_on_every_attempt():
    edition = make.edition([make.paper("Robots")])
    make.subscriber(topics=["robot"])
    queue(now=NOW, today=DAY)
    made, (row,) = press(edition)

    first = read(made.write(row).as_bytes(now=NOW))
    again = read(Press(Edition.objects.get()).write(row._replace(attempts=3)).as_bytes(now=NOW + timedelta(days=1)))

    assert first.headers["Message-ID"] == again.headers["Message-ID"]
    assert first.headers["X-Delivery-ID"] == again.headers["X-Delivery-ID"]


# Names --------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 2**63 - 1))
def test_a_name_leads_back_to_its_delivery(delivery):
    name = name_of(delivery)

    assert delivery_of(name) == delivery
    assert len(f"bounces+{name}") <= 64
    assert re.fullmatch(r"[0-9a-f-]+", name)


def test_a_name_of_an_older_key_still_leads_back(settings):
    old = name_of(7)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new" * 20, [settings.SECRET_KEY]

    assert name_of(7) != old
    assert delivery_of(old) == delivery_of(name_of(7)) == 7
    settings.SECRET_KEY_FALLBACKS = []
    assert delivery_of(old) is None


@given(st.integers(1, 2**40), st.data())
def test_a_forged_name_is_refused(delivery, data):
    number, mark = name_of(delivery).split("-")
    at = data.draw(st.integers(0, len(mark) - 1))
    other = data.draw(st.sampled_from("0123456789abcdef".replace(mark[at], "")))
    forged = [
        f"{number}-{mark[:at]}{other}{mark[at + 1 :]}", f"{delivery + 1:x}-{mark}", f"{number}-{mark}\n",
        f" {number}-{mark}",
        f"{number}-{mark[:-1]}", f"{number}-{mark}0", f"{number}{mark}", f"-{mark}", f"{number}-",
        f"{number.upper()}-{mark.upper()}A",
    ]  # fmt: skip

    assert [delivery_of(name) for name in forged] == [None] * len(forged)


@given(st.text(max_size=60))
def test_any_other_text_is_no_name(text):
    assert delivery_of(text) is None


@pytest.mark.parametrize(
    "text", ["٣-" + "0" * 20, "1-" + "٠" * 20, "f" * 16 + "-" + "0" * 20, "f" * 400 + "-" + "0" * 20]
)
def test_digits_of_other_scripts_and_huge_numbers_are_no_names(text):
    assert delivery_of(text) is None


def test_names_are_not_those_of_a_neighbour():
    assert len({name_of(number).split("-")[1] for number in range(2_000)}) == 2_000
    assert names.delivery_of("1-" + name_of(2).split("-")[1]) is None


# Reasons ------------------------------------------------------------------------------------------------------------


@given(st.lists(queries.trees, min_size=1, max_size=8), queries.documents)
@hypothesis_settings(max_examples=300)
def test_the_explainer_gives_the_reasons_of_the_matcher(trees, document):
    explainer = Explainer(document)
    for tree in trees:
        query = str(tree)
        match = matches(parse(query), document)
        found = explainer.reasons(query)
        if match:
            assert found == reasons(match, document)
        else:
            assert [reason.what for reason in found] == ["matched when the edition was made"]


def test_the_explainer_keeps_many_topics_apart():
    document = Document("2606.90001", title="World models for robots")
    explainer = Explainer(document)

    told = [explainer.encoded(f"robots -x{number}").text for number in range(400)]
    again = [explainer.encoded(f"robots -x{number}").text for number in range(400)]

    assert told == again
    assert set(told) == {b"robots in the title=\r\n"}
