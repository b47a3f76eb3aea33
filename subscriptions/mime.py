"""A letter as a value, and its bytes.

Bodies are quoted-printable from the start (RFC 2045): pieces encoded by themselves can be joined, so that what many
letters share is encoded once. Such a letter is 7-bit, has no long lines and no bare line break, and passes every relay
unchanged, with the DKIM signature it got.
"""

import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import HeaderParseError
from email.header import Header
from email.utils import format_datetime, parseaddr
from functools import lru_cache
from typing import Self

import idna
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}]+")
_BAD_IN_BODIES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
#: Ends a line of the encoded text, and none of the text itself.
SOFT_BREAK = b"=\r\n"
_DOT = re.compile(rb"^\.", re.MULTILINE)
#: What may stand of a line longer than RFC 2045's 76: binascii writes some where a line ends with a space.
_TOO_LONG = re.compile(rb"^(?=[^\r\n]{77})([^\r\n]{60,75})(?<!=)(?<!=[0-9A-F])", re.MULTILINE)
#: Text that is its own quoted-printable form, in one line.
_ONE_LINE = re.compile(r"[!-\-/-<>-~](?:[ -<>-~]{0,68}[!-<>-~])?", re.ASCII)
#: The addresses that nearly all are: nothing is wrong with any of them.
_USUAL = re.compile(
    r"[A-Za-z0-9_%+-]+(?:\.[A-Za-z0-9_%+-]+)*@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)
#: Header lines are folded by us where they would pass this, by whole words (RFC 5322 section 2.2.3).
LINE = 76
LONGEST_WORD = 900
#: RFC 2047 section 2.
LONGEST_ENCODED_WORD = 75


class Unwritable(ValueError):
    """A letter that cannot be written, or is not to one address. The message says why."""


def encode(text: str) -> bytes:
    """Text as quoted-printable that may be joined to other pieces: it begins and ends at the start of a line.

    No line of it begins with a dot, so SMTP needs none doubled (RFC 5321 section 4.5.2).
    """
    if _ONE_LINE.fullmatch(text):
        return text.encode() + SOFT_BREAK
    if not text:
        return b""
    clean = _BAD_IN_BODIES.sub(" ", text) if _BAD_IN_BODIES.search(text) else text
    lines = clean.replace("\r\n", "\n").replace("\r", "\n")
    encoded = binascii.b2a_qp(lines.encode(), istext=True).replace(b"\n", b"\r\n")
    if not encoded.endswith(b"\r\n"):
        encoded += SOFT_BREAK
    encoded = _TOO_LONG.sub(rb"\1" + SOFT_BREAK, encoded)
    while _DOT.search(encoded):
        encoded = _DOT.sub(b"=2E" + SOFT_BREAK, encoded)
    return encoded


def decode(pieces: Iterable[bytes]) -> str:
    return binascii.a2b_qp(b"".join(pieces)).decode().replace("\r\n", "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message to one address. Bodies are pieces made by `encode`; no HTML makes it plain text.

    Header values may hold anything; they are cleaned. `common` are those that many letters share. `bounces_to`: the
    envelope sender, "" for the From address.
    """

    to: str
    subject: str
    text: Sequence[bytes]
    html: Sequence[bytes] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    common: tuple[tuple[str, str], ...] = ()
    bounces_to: str = ""

    @classmethod
    def of(cls, *, to: str, subject: str, text: str, html: str = "", headers: Mapping[str, str] | None = None) -> Self:
        """A letter that shares nothing with others."""
        return cls(to=to, subject=subject, text=[encode(text)], html=[encode(html)] if html else (),
                   headers=headers or {})  # fmt: skip

    @property
    def envelope_sender(self) -> str:
        return self.bounces_to or sender_address()

    def as_bytes(self, *, now: datetime) -> bytes:
        """The whole message, lines ended by CRLF; none begins with a dot. Raises Unwritable."""
        lines = [
            _start(settings.DEFAULT_FROM_EMAIL, now.replace(microsecond=0), self.common),
            _to(self.to),
            _header("Subject", self.subject),
            *[_header(name, value) for name, value in self.headers.items()],
        ]
        # Only a local part beyond ASCII leaves anything but ASCII here, and only SMTPUTF8 (RFC 6531) carries that.
        head = "".join(lines).encode()
        if not self.html:
            return b"".join([head, _PLAIN, *self.text])
        # No quoted-printable text holds "=_", so the boundary may be the same in all letters.
        return b"".join([head, _ALTERNATIVE, _PLAIN, *self.text, _NEXT, _HTML, *self.html, _END])

    def message(self) -> EmailMultiAlternatives:
        """The same for Django's mail backends, which encode anew; ESPs see to bounces themselves. Raises Unwritable."""
        message = EmailMultiAlternatives(
            subject=one_line(self.subject),
            body=decode(self.text),
            from_email=settings.DEFAULT_FROM_EMAIL,
            to=[one_address(self.to)],  # Django's own IDNA is of 2003
            headers={name: _value(name, value) for name, value in [*self.common, *self.headers.items()]},
        )
        if name := self.headers.get("X-Delivery-ID"):
            message.metadata = {"delivery": name}  # type: ignore[attr-defined]  # what Anymail's ESPs tell back
        if self.html:
            message.attach_alternative(decode(self.html), "text/html")
        return message


_BOUNDARY = b"=_paperboy_=_3f9a61c27d5e4b08"
_KIND = b"Content-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
_PLAIN, _HTML = _KIND % b"plain", _KIND % b"html"
_ALTERNATIVE = b'Content-Type: multipart/alternative; boundary="%s"\r\n\r\n--%s\r\n' % (_BOUNDARY, _BOUNDARY)
_NEXT, _END = b"\r\n--%s\r\n" % _BOUNDARY, b"\r\n--%s--\r\n" % _BOUNDARY


def one_line(text: str) -> str:
    """Text fit for a header: no line breaks, no control characters."""
    return _CONTROLS.sub(" ", text).strip() if not text.isprintable() else text.strip()


def _value(name: str, value: str) -> str:
    """A header value in ASCII."""
    if name == "List-Id" and (found := _ID.fullmatch(one_line(value))):
        return f"{phrase(found[1])} {found[2]}"
    return _plain(value)


#: A list's title, and its identifier, which is never encoded (RFC 2919).
_ID = re.compile(r"(.+) (<[!-;=?-~]+>)")


def phrase(text: str) -> str:
    """A name as headers have it: plain words, one quoted string, or encoded words throughout (RFC 5322, RFC 2047)."""
    text = one_line(text)
    if not text.isascii() or "=?" in text:
        return _encoded(text)
    return text if _ATOMS.fullmatch(text) else '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


_ATOMS = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?: [\w!#$%&'*+/=?^`{|}~-]+)*", re.ASCII)


def _plain(value: str) -> str:
    """Text in ASCII: runs of words beyond it become encoded words (RFC 2047), anything else stays."""
    value = one_line(value)
    if value.isascii() and "=?" not in value:
        return value
    return _BEYOND.sub(lambda found: _encoded(found[0]), value)


_WORD = r"[^ ]*(?:[^\x00-\x7f]|=\?)[^ ]*"
#: Words with a character beyond ASCII or what looks like an encoded word, and the spaces between them.
_BEYOND = re.compile(rf"{_WORD}(?: +{_WORD})*")


def _encoded(text: str) -> str:
    try:
        return Header(text, "utf-8", maxlinelen=LONGEST_ENCODED_WORD).encode().replace("\n", "")
    except (UnicodeError, HeaderParseError) as error:
        raise Unwritable(f"A header cannot be written: {error}") from error


def sender_address() -> str:
    return _address_in(settings.DEFAULT_FROM_EMAIL)


@lru_cache(maxsize=8)
def _address_in(value: str) -> str:
    return envelope_address(parseaddr(value)[1])


def envelope_address(address: str) -> str:
    """An address as SMTP wants it: the domain in ASCII (RFC 5890), the local part as it is."""
    local, _, domain = address.rpartition("@")
    return address if domain.isascii() else f"{local}@{_domain(domain)}"


def _header(name: str, value: str) -> str:
    line = f"{name}: {value if name != 'List-Id' and _is_plain(value) else _value(name, value)}"
    return f"{line}\r\n" if len(line) <= LINE else f"{_fold(line)}\r\n"


def _is_plain(value: str) -> bool:
    """Whether a header value needs no more than a space before it."""
    return (
        value.isascii()
        and value.isprintable()
        and "=?" not in value
        and "  " not in value
        and bool(value)
        and value[0] != " " != value[-1]
    )


def _fold(line: str) -> str:
    """Long lines broken before words; a word is never broken, so that links stay whole. Words end at 900 characters."""
    if line.count(" ") == 1 and len(line) <= LONGEST_WORD:
        return line
    folded, length = [], 0
    for number, word in enumerate(line.split()):
        if len(word) > LONGEST_WORD:
            raise Unwritable(f"A word of {len(word)} characters does not fit a header line.")
        if number > 1 and length + 1 + len(word) > LINE:
            folded.append("\r\n")
            length = 0
        folded.append(f" {word}" if number else word)
        length += len(word) + 1
    return "".join(folded)


@lru_cache(maxsize=64)
def _start(sender: str, now: datetime, common: tuple[tuple[str, str], ...]) -> str:
    """The headers that letters of the same second share."""
    lines = [_from(sender), f"Date: {format_datetime(now)}\r\n", "MIME-Version: 1.0\r\n"]
    return "".join(lines + [_header(name, value) for name, value in common])


def _from(value: str) -> str:
    name, address = parseaddr(one_line(value))
    address = envelope_address(address)
    return f"{_fold(f'From: {phrase(name)} <{address}>' if name else f'From: {address}')}\r\n"


def _to(address: str) -> str:
    return f"To: {one_address(address)}\r\n"


def one_address(address: str) -> str:
    """An address that letters can be written to, its domain in ASCII. Raises Unwritable for anything else."""
    if len(address) <= 254 and _USUAL.fullmatch(address):
        return address
    try:
        validate_email(address)
    except ValidationError as error:
        raise Unwritable(f"This is not one address: {' '.join(error.messages)}") from error
    if _CONTROLS.search(address):  # Django lets them stand between quotation marks, RFC 5321 does not
        raise Unwritable("This is not one address: it has control characters.")
    return envelope_address(address)


def ascii_domain(address: str) -> str:
    """The one form of an address that may be written in two, if it has one; any other text as it is."""
    try:
        return envelope_address(address)
    except Unwritable:
        return address


@lru_cache(maxsize=10_000)
def _domain(domain: str) -> str:
    try:
        # Python's own codec is of 2003: it writes straße.de as strasse.de, which is somebody else's.
        return domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except UnicodeError as error:
        raise Unwritable(f"The domain {domain} cannot be written in ASCII: {error}") from error
