"""The bytes of a letter, read by somebody else's parser and by one that forgives nothing."""

import binascii
import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import parseaddr, parsedate_to_datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from subscriptions.mime import Letter, Unwritable, decode, encode, one_line

NOW = datetime(2026, 6, 2, 8, 0, tzinfo=UTC)
FOLDED = re.compile(rb"\r\n[ \t]")
#: What attackers write: line ends of all kinds, ends of letters, boundaries, encoded words, soft breaks.
EVIL = (
    "\r\n", "\n", "\r", "\0", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029",
    "\r\nBcc: all@example.net", "\nX-Evil: 1", "\r\n\r\nbody", "\n.\n", "\r\n.\r\n", "\r.\r", "\n.\r\n", "\r\n.\n",
    ".", "..", "=", "=\r\n", "=0D=0A",
    "=?utf-8?q?=0d=0aBcc:_x?=", "--=_paperboy_=_3f9a61c27d5e4b08", "\r\n--=_paperboy_=_3f9a61c27d5e4b08--\r\n",
    "MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\n", " ", "\t", "x" * 80, "é" * 40, "机器人",
    "\U0001f600", "\u202e", "<", ">", '"', "a@example.net,", "{{7*7}}", "%s%n", "\ufeff", "\xa0", "x" * 1000,
)  # fmt: skip
pieces = st.one_of(st.sampled_from(EVIL), st.text(max_size=30))
texts = st.lists(pieces, max_size=12).map("".join)
any_text = st.one_of(texts, st.text(st.characters(codec=None), max_size=60))


def cleaned(text):
    """What `encode` says it does: controls and surrogates become spaces, line ends become line feeds."""
    text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]", " ", text)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def letter(**values):
    return Letter.of(**{"to": "reader@example.net", "subject": "Papers", "text": "Hello", "headers": {}, **values})


def headers_of(data):
    """Names and unfolded values, strictly: each line a name, a colon and a value, or the rest of one."""
    head, _, body = data.partition(b"\r\n\r\n")
    found = []
    for line in FOLDED.sub(lambda match: match[0][2:], head).split(b"\r\n"):
        name, colon, value = line.partition(b": ")
        assert colon, line
        assert re.fullmatch(rb"[A-Za-z][A-Za-z0-9-]*", name), line
        found.append((name.decode(), value.decode()))
    return found, body


def check(data, *, is_ascii=True):
    """RFC 5322 and 5321, as far as they can be seen in the bytes."""
    assert data.endswith(b"\r\n")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", data)
    lines = data.split(b"\r\n")
    assert not [line for line in lines if line.startswith(b".")]
    assert max(map(len, lines)) <= 998
    assert data.isascii() == is_ascii
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", data)
    head, body = data.split(b"\r\n\r\n", 1)
    assert max((len(line) for line in body.split(b"\r\n")), default=0) <= 76
    assert not [line for line in head.split(b"\r\n") if not line.strip()], (
        "a line of spaces only ends some parsers' headers"
    )
    found, _ = headers_of(data)
    names = [name.lower() for name, _ in found]
    assert len(names) == len(set(names)), names
    return dict(found)


# Bodies -------------------------------------------------------------------------------------------------------------


@given(any_text)
def test_what_is_encoded_is_decoded_again(text):
    assert decode([encode(text)]) == cleaned(text)


@given(st.lists(any_text, max_size=5))
def test_pieces_joined_are_what_they_are_alone(some):
    assert decode([encode(text) for text in some]) == "".join(decode([encode(text)]) for text in some)


@given(st.lists(any_text, max_size=5))
def test_encoded_text_is_fit_for_every_relay(some):
    data = b"".join(encode(text) for text in some)

    assert data.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", data)
    lines = data.split(b"\r\n")
    assert lines[-1] == b""
    assert max(map(len, lines)) <= 76
    assert not [line for line in lines if line.startswith(b".") or line.endswith((b" ", b"\t"))]
    assert b"=_" not in data


@given(any_text)
def test_other_decoders_read_the_same(text):
    """Trailing white space of a line is a transport's to add or remove (RFC 2045 section 6.7): none may be ours."""
    data = encode(text)
    padded = data.replace(b"\r\n", b" \t\r\n")
    stripped = re.sub(rb"[ \t]+(?=\r\n)", b"", padded)

    assert stripped == data
    assert binascii.a2b_qp(data).decode().replace("\r\n", "\n") == cleaned(text)


@pytest.mark.parametrize("end", ["", " ", "\t", " \n", "\t\n", ".", "é", ". \nx"])
@pytest.mark.parametrize("sign", ["x", "é", "=", ".", " "])
def test_no_encoded_line_is_longer_than_76(sign, end):
    """RFC 2045 section 6.7; binascii forgets what a space at the end of a line becomes."""
    for width in range(60, 90):
        text = "x" * (width % 7) + sign * width + end
        data = encode(text)

        assert decode([data]) == text
        assert max(map(len, data.split(b"\r\n"))) <= 76
        assert not re.search(rb"^\.", data, re.MULTILINE)


@pytest.mark.parametrize("text", ["." * 5000, ".\n" * 2000, "é." * 3000, " " * 5000, "=" * 5000])
def test_long_runs_are_encoded_too(text):
    data = encode(text)

    assert decode([data]) == text
    assert not re.search(rb"^\.", data, re.MULTILINE)


@given(any_text, any_text)
def test_both_bodies_arrive(text, html):
    assume(html)
    data = letter(text=text, html=html).as_bytes(now=NOW)

    check(data)
    message = message_from_bytes(data, policy=policy.SMTP)
    assert not message.defects
    parts = list(message.iter_parts())
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    for part, given_text in zip(parts, [text, html], strict=True):
        assert not part.defects
        got = part.get_payload(decode=True).decode().replace("\r\n", "\n")
        assert got == cleaned(given_text)


@given(any_text)
def test_a_letter_of_text_alone_is_text(text):
    data = letter(text=text).as_bytes(now=NOW)

    check(data)
    message = message_from_bytes(data, policy=policy.SMTP)
    assert message.get_content_type() == "text/plain"
    assert message.get_payload(decode=True).decode().replace("\r\n", "\n") == cleaned(text)


# Headers ------------------------------------------------------------------------------------------------------------


def shown(value):
    """A header as readers see it."""
    return str(make_header(decode_header(value)))


@given(any_text, any_text)
def test_m6_nothing_in_a_header_makes_another(subject, other):
    made = letter(subject=subject, headers={"List-Id": other, "X-Delivery-ID": "7"})
    try:
        data = made.as_bytes(now=NOW)
    except Unwritable:
        assert max(map(len, f"{subject} {other}".split(" "))) > 900 or re.search("[\ud800-\udfff]", subject + other)
        return

    found = check(data)
    assert set(found) == {
        "From", "Date", "MIME-Version", "To", "Subject", "List-Id", "X-Delivery-ID", "Content-Type",
        "Content-Transfer-Encoding",
    }  # fmt: skip
    message = message_from_bytes(data, policy=policy.SMTP)
    assert message.keys() == list(found)
    assert message["X-Delivery-ID"] == "7"


@given(texts)
def test_readers_see_the_subject_that_was_written(subject):
    assume(max(map(len, subject.split(" "))) <= 800)
    data = letter(subject=subject).as_bytes(now=NOW)

    found, _ = headers_of(data)
    assert shown(dict(found)["Subject"]).split() == one_line(subject).split()


@pytest.mark.parametrize("evil", EVIL, ids=ascii)
@pytest.mark.parametrize("place", ["subject", "header", "common", "from", "to"])
def test_m6_line_ends_in_any_field_stay_there(evil, place, settings):
    text = f"Paper{evil}boy"
    values, common = {}, ()
    match place:
        case "subject":
            values = {"subject": text}
        case "header":
            values = {"headers": {"List-Id": text}}
        case "common":
            common = (("List-Id", text),)
        case "from":
            quoted = text.replace('"', "")
            settings.DEFAULT_FROM_EMAIL = f'"{quoted}" <digest@papers.example.org>'
        case "to":
            values = {"to": f"reader{evil}@example.net"}
    made = letter(**values)
    made = Letter(to=made.to, subject=made.subject, text=made.text, headers=made.headers, common=common)
    try:
        data = made.as_bytes(now=NOW)
    except Unwritable:
        assert place == "to" or len(evil) > 900
        return
    if place == "from" and len(evil) > 900:
        return  # nobody is called so

    found = check(data)
    assert len(found) <= 8
    assert "Bcc" not in found
    if place == "from":
        message = message_from_bytes(data, policy=policy.SMTP)
        assert [address.addr_spec for address in message["From"].addresses] == ["digest@papers.example.org"]


@pytest.mark.parametrize(
    "value",
    ["x " * 700, "x" + " " * 2000 + "y", "x" * 890, " ".join("y" * n for n in range(1, 120)), "é " * 700, "é" * 3000,
     "é" + "x" * 1000, "x" * 70 + " " * 40 + "z" * 70 + " end"],
)  # fmt: skip
def test_long_headers_are_folded_within_the_limits(value):
    data = letter(subject=value).as_bytes(now=NOW)

    found = check(data)
    assert shown(found["Subject"]).split() == value.split()


def test_a_word_that_fits_no_line_is_unwritable():
    with pytest.raises(Unwritable, match="1000"):
        letter(subject="x" * 1000).as_bytes(now=NOW)


def test_links_in_headers_are_never_broken():
    link = "<https://papers.example.org/u/" + "x" * 300 + ">"

    data = letter(headers={"List-Unsubscribe": f"{link}, {link}"}).as_bytes(now=NOW)

    assert data.count(link.encode()) == 2
    check(data)


@pytest.mark.parametrize(
    "name",
    ["Paperboy", "Käse & Söhne", "Doe, Jane", 'The "Daily"', "a.b", "机器人日报",
     "Кафедра математической логики и теории алгоритмов — ежедневный дайджест статей для всех"],
)  # fmt: skip
def test_m1_the_sender_is_one_address_whatever_the_name(name, settings):
    quoted = '"' + name.replace('"', '\\"') + '"'
    settings.DEFAULT_FROM_EMAIL = f"{quoted} <digest@papers.example.org>"

    data = letter().as_bytes(now=NOW)

    check(data)
    (address,) = message_from_bytes(data, policy=policy.SMTP)["From"].addresses
    assert address.addr_spec == "digest@papers.example.org"
    # Python's parser leaves the space between two encoded words of a name, which RFC 2047 says is none.
    assert parseaddr(shown(dict(headers_of(data)[0])["From"]))[0] == name


@pytest.mark.parametrize(
    "name", ["Smith, Doe & Co.", 'The "Daily"', "a: b; c", "x <y@z>", "back\\slash", "Papers", "a (b)"]
)
def test_m1_a_name_in_ascii_is_words_or_one_quoted_string(name):
    """RFC 5322's phrase: a comma or colon of a list's title would be read as grammar."""
    found = check(letter(headers={"List-Id": f"{name} <daily.papers.example.org>"}).as_bytes(now=NOW))

    title = found["List-Id"].removesuffix(" <daily.papers.example.org>")
    assert parseaddr(f"{title} <a@b>") == (name, "a@b")
    assert title.startswith('"') == (name != "Papers")


def test_m1_a_name_beyond_ascii_is_encoded_throughout():
    """Between encoded words stand none with commas, quotation marks or parentheses in them (RFC 2047 section 5)."""
    name = 'Käse, "the" (best) & =?utf-8?q?x?= ' * 3
    list_id = check(letter(headers={"List-Id": f"{name} <daily.papers.example.org>"}).as_bytes(now=NOW))["List-Id"]

    *words, _ = list_id.split(" ")
    assert all(re.fullmatch(r"=\?utf-8\?[bq]\?[A-Za-z0-9+/=_!*-]+\?=", word) for word in words)
    assert max(map(len, words)) <= 75
    assert shown(" ".join(words)).split() == name.split()


def test_m1_a_subject_in_angle_brackets_is_no_identifier():
    subject = "é <=?utf-8?q?Bcc:?=>"

    assert shown(check(letter(subject=subject).as_bytes(now=NOW))["Subject"]) == subject


def test_m1_a_list_is_named_by_its_id_whatever_its_title():
    """RFC 2919: the identifier itself is never encoded."""
    data = letter(headers={"List-Id": "Käse täglich für alle, die es früh mögen <daily.papers.example.org>"})

    found = check(data.as_bytes(now=NOW))
    assert found["List-Id"].endswith(" <daily.papers.example.org>")


def test_the_date_is_the_moment_given():
    found = check(letter().as_bytes(now=NOW))

    assert parsedate_to_datetime(found["Date"]) == NOW


def test_the_same_letter_is_the_same_bytes():
    assert letter(html="<p>x").as_bytes(now=NOW) == letter(html="<p>x").as_bytes(now=NOW)


# One address --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "to",
    ["", "reader", "@example.net", "reader@", "a@example.net, b@example.net", "a@example.net b@example.net",
     "a@example.net\r\nBcc: b@example.net", "a@example.net\n", "A <a@example.net>", "a@b@example.net", "a@example.net;",
     '"\x01"@example.net', '"\x7f"@example.net', '"\\\t"@example.net',
     "a\0@example.net", "a@exa\u2028mple.net", "<a@example.net>", "a@-example.net", "a@" + "é" * 63 + ".example",
     ".a@b.example",
     "a" * 400 + "@example.net", "a@example.net>\r\nRCPT TO:<b@example.net"],
)  # fmt: skip
def test_m5_anything_but_one_address_is_unwritable(to):
    with pytest.raises(Unwritable):
        letter(to=to).as_bytes(now=NOW)
    with pytest.raises(Unwritable):
        letter(to=to).message()


@given(any_text)
def test_m5_no_text_becomes_two_addresses(text):
    for to in (text, f"{text}@example.net", f"a@{text}.example", f'"{text}"@example.net'):
        try:
            data = letter(to=to).as_bytes(now=NOW)
        except Unwritable:
            continue
        found = dict(headers_of(data)[0])
        assert set(found) == {
            "From",
            "Date",
            "MIME-Version",
            "To",
            "Subject",
            "Content-Type",
            "Content-Transfer-Encoding",
        }
        assert found["To"].count("@") == 1 + text.count("@")
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", data)


def test_m8_a_domain_beyond_ascii_is_written_in_ascii():
    found = check(letter(to="reader@bücher.example").as_bytes(now=NOW))

    assert found["To"] == "reader@xn--bcher-kva.example"


def test_m8_a_sharp_s_is_not_two():
    """IDNA 2003 made straße.de of one who meant strasse.de, who is somebody else."""
    made = letter(to="reader@straße.example")

    assert check(made.as_bytes(now=NOW))["To"] == "reader@xn--strae-oqa.example"
    assert made.message().message()["To"] == "reader@xn--strae-oqa.example"


# Smuggling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n.\n", "\r\n.\r\n", "\r.\r\n", "\n.\r\n", "\r\n.\n", "\r\n.\r", "\r.\r", "\0.\r\n"])
@pytest.mark.parametrize("kind", ["text", "html"])
def test_m7_no_text_ends_a_letter(end, kind):
    evil = (
        f"before{end}MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nSubject: x\r\n\r\nx{end}"
    )

    data = letter(**{kind: evil}).as_bytes(now=NOW)

    check(data)
    assert not re.search(rb"[\r\n]\.", data)


# For other ways out -------------------------------------------------------------------------------------------------


@given(texts, texts, texts)
def test_the_message_for_other_backends_says_the_same(subject, text, html):
    assume(max(map(len, subject.split(" "))) <= 800)
    made = letter(subject=subject, text=text, html=html, headers={"X-Delivery-ID": "7"})

    message = made.message()

    assert message.to == ["reader@example.net"]
    assert not message.cc
    assert not message.bcc
    assert message.subject == one_line(subject)
    assert message.body == cleaned(text)
    assert [content for content, _ in message.alternatives] == ([cleaned(html)] if html else [])
    assert message.metadata == {"delivery": "7"}
