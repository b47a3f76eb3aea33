"""A reader of letters that forgives nothing: RFC 5322, 2045 to 2047, 2369 and 2919, as far as letters go.

It knows one shape of message, text alone or text beside HTML, both quoted-printable, and takes anything else for an
error: what no lenient parser has to guess, no two of them guess differently.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser

LONGEST_LINE, LONGEST_QP_LINE, LONGEST_WORD = 998, 76, 75
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOT_ATOM = rf"{_ATEXT}(?:\.{_ATEXT})*"
_QUOTED = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"'
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
ADDRESS = re.compile(rf"(?:{_DOT_ATOM}|{_QUOTED})@(?:{_HOST}|\[[0-9A-Fa-f.:]+\])")
_ENCODED = re.compile(r"=\?utf-8\?([bqBQ])\?([!->@-~]*)\?=")
#: In a name fewer characters may stand as they are (RFC 2047 section 5).
_Q_IN_NAMES = re.compile(r"(?:[A-Za-z0-9!*+/_-]|=[0-9A-F]{2})*")
_Q_IN_TEXT = re.compile(r"(?:[!-<>@-~]|=[0-9A-F]{2})*")
_QP_LINE = re.compile(rb"(?:[\t\x20-\x3c\x3e-\x7e]|=[0-9A-F]{2})*=?")
_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4}"
    r" \d{2}:\d{2}:\d{2} [+-]\d{4}"
)
#: Headers whose value is a name before something in angle brackets.
_NAMED = ("From", "List-Id")
#: What must never be alive in HTML.
_ACTIVE = {"script", "svg", "img", "iframe", "object", "embed", "form", "math", "base", "link"}


@dataclass
class Read:
    """A letter; `headers` are unfolded and as they were sent, `shown` are their words decoded."""

    headers: dict[str, str]
    shown: dict[str, str]
    text: str
    html: str
    html_bytes: int
    data: bytes

    @property
    def everything(self):
        return "\n".join([*self.shown.values(), self.text, self.html, self.data.decode()])


def read(data):
    """The letter in these bytes. Raises AssertionError for any other shape."""
    assert data.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", data)
    assert data.endswith(b"\r\n")
    lines = data.split(b"\r\n")
    assert max(map(len, lines)) <= LONGEST_LINE
    assert not [line for line in lines if line.startswith(b".")]
    head, body = data.split(b"\r\n\r\n", 1)
    headers = headers_of(head)
    shown = {name: _shown(name, value) for name, value in headers.items()}
    assert headers["MIME-Version"] == "1.0"
    if headers["Content-Type"] == "text/plain; charset=utf-8":
        return Read(headers, shown, decoded(headers["Content-Transfer-Encoding"], body), "", 0, data)
    assert "Content-Transfer-Encoding" not in headers
    found = re.fullmatch(r'multipart/alternative; boundary="([\w\'()+,./:=? -]{0,69}[\w\'()+,./:=?-])"',
                         headers["Content-Type"], re.ASCII)  # fmt: skip
    boundary = b"--" + found[1].encode()
    # Only lines that are boundaries may look like one.
    assert [line for line in body.split(b"\r\n") if line.startswith(boundary)] == [boundary, boundary, boundary + b"--"]
    before, first, second, after = (b"\r\n" + body).split(b"\r\n" + boundary)
    assert (before, after) == (b"", b"--\r\n")
    text, _ = _part(first, "plain")
    html, size = _part(second, "html")
    return Read(headers, shown, text, html, size, data)


def _part(part, subtype):
    head, body = part.removeprefix(b"\r\n").split(b"\r\n\r\n", 1)
    headers = headers_of(head)
    assert set(headers) == {"Content-Type", "Content-Transfer-Encoding"}
    assert headers["Content-Type"] == f"text/{subtype}; charset=utf-8"
    return decoded(headers["Content-Transfer-Encoding"], body), len(body)


def headers_of(head):
    """Names and unfolded values: each once, each line a name, a colon and a value, or the rest of one."""
    for line in head.split(b"\r\n"):
        assert line.strip(), "a line of spaces alone ends the headers of some parsers"
    headers = {}
    for line in re.sub(rb"\r\n(?=[ \t])", b"", head).decode("ascii").split("\r\n"):
        name, value = re.fullmatch(r"([A-Za-z][A-Za-z0-9-]*): ?(\S.*|)", line).groups()
        assert name.lower() not in map(str.lower, headers), f"{name} twice"
        headers[name] = value
    return headers


def decoded(encoding, data):
    """The text of a quoted-printable body (RFC 2045 section 6.7)."""
    assert encoding == "quoted-printable"
    for line in data.split(b"\r\n"):
        assert len(line) <= LONGEST_QP_LINE, line
        assert not line.endswith((b" ", b"\t")), line
        assert _QP_LINE.fullmatch(line), line
    text = binascii.a2b_qp(data).decode().replace("\r\n", "\n")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)
    return text


def _shown(name, value):
    """A value with its encoded words decoded, each valid by itself; nothing else looks like one."""
    if name in _NAMED:
        found = re.fullmatch(r"(?:(.+) )?(<[!-~]+>)", value)
        if found is None:  # an address alone
            assert ADDRESS.fullmatch(value), value
            return value
        return f"{_name(found[1] or '')} {found[2]}".strip()
    if name != "Subject":
        assert "=?" not in value or ADDRESS.fullmatch(value), value
        return value
    return _words(value, _Q_IN_TEXT)


def _name(phrase):
    """RFC 5322's phrase: one quoted string, or atoms and encoded words."""
    if phrase.startswith('"'):
        assert re.fullmatch(_QUOTED, phrase), phrase
        assert "=?" not in phrase
        return re.sub(r"\\(.)", r"\1", phrase[1:-1])
    for word in filter(None, phrase.split(" ")):
        assert _ENCODED.fullmatch(word) or re.fullmatch(_ATEXT, word), phrase
    return _words(phrase, _Q_IN_NAMES)


def _words(value, q):
    out, after_encoded = "", False
    for word in re.split(r"([ \t]+)", value):
        if found := _ENCODED.fullmatch(word):
            assert len(word) <= LONGEST_WORD, word
            if after_encoded:
                out = out.rstrip(" \t")  # the space between two of them is none
            out += _decoded_word(found, q)
        else:
            assert "=?" not in word, value
            out += word
        after_encoded = bool(found) or (after_encoded and not word.strip())
    return out


def _decoded_word(found, q):
    if found[1] in "bB":
        return base64.b64decode(found[2], validate=True).decode()
    assert q.fullmatch(found[2]), found[0]
    return binascii.a2b_qp(found[2].replace("_", " ").encode(), header=False).decode()


# What single headers must be ----------------------------------------------------------------------------------------


def address_of(value):
    """The one address of From."""
    address = re.fullmatch(r"(?:.+ )?<([^<>]+)>|([^<>]+)", value)
    return (address[1] or address[2]) if ADDRESS.fullmatch(address[1] or address[2]) else None


def links_of(value):
    """The links of a List- header (RFC 2369): each in angle brackets, commas between."""
    assert re.fullmatch(r"<[!-;=?-~]+>(?:, <[!-;=?-~]+>)*", value), value
    return re.findall(r"<([^<>]+)>", value)


def list_of(value):
    """The identifier of a List-Id (RFC 2919)."""
    found = re.search(rf"<({_DOT_ATOM})>$", value)
    assert found, value
    assert "." in found[1]
    return found[1]


def name_of_message(value):
    """What stands in a Message-ID."""
    found = re.fullmatch(rf"<({_DOT_ATOM}@{_DOT_ATOM})>", value)
    assert found, value
    return found[1]


def moment_of(value) -> datetime:
    assert _DATE.fullmatch(value), value
    return parsedate_to_datetime(value)


# What a body holds --------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What of a page could run or load something, where its links lead, what can be read, and tags left open."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.found, self.links, self.words, self.open = [], [], [], dict.fromkeys(("table", "td", "tr", "p", "a"), 0)
        self.feed(html)
        self.close()

    @property
    def text(self):
        return "".join(self.words)

    def handle_starttag(self, tag, attributes):
        if tag in self.open:
            self.open[tag] += 1
        if tag in _ACTIVE:
            self.found.append(tag)
        for name, value in attributes:
            if name.startswith("on") or name in ("http-equiv", "srcdoc", "formaction"):
                self.found.append(name)
            if name in ("href", "src"):
                self.links.append(value)

    def handle_endtag(self, tag):
        if tag in self.open:
            self.open[tag] -= 1

    def handle_data(self, data):
        self.words.append(data)


def squashed(text):
    """Text without white space, controls and what no letter can hold: what is left must be read as it was written."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+", "", text)
