"""XML from strangers: refuse what makes parsers slow, then read feeds with feedparser."""

import codecs
import io
import re
from datetime import UTC, datetime
from typing import Any
from xml.parsers import expat
from xml.sax import SAXException

import feedparser  # type: ignore[import-untyped,unused-ignore]

from digest.sources.entry import SourceError

#: elements inside each other; feeds need about a dozen
DEPTH = 200

_ENTITY = re.compile(r"<!\s*ENTITY", re.IGNORECASE)
_DECLARED = re.compile(r"""\ufeff?\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
_EBCDIC = b"\x4c\x6f\xa7\x94"
_UNICODE = (
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF8, "utf-8"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0\0\0", "utf-32-le"),
    (b"\0<\0?", "utf-16-be"),
    (b"<\0?\0", "utf-16-le"),
)
#: character sets in which ASCII text is itself; others (UTF-7, EBCDIC, escapes) could hide declarations
_PLAIN_CHARSETS = re.compile(
    r"utf-8|ascii|iso8859-\d+|cp125\d|cp437|cp85\d|cp866|cp874|cp932|cp949|koi8-[rut]|mac-\w+|gbk?|gb2312|gb18030"
    r"|big5(hkscs)?|euc_?\w+|shift_?jis\w*|tis-620"
)
_WIDE_CHARSETS = re.compile(r"utf-?(16|32)(-?[bl]e)?")
_CLOSERS = {"<!--": "-->", "<![CDATA[": "]]>", "<?": "?>"}
_OPENER = re.compile(r"<!--|<!\[CDATA\[|<\?")
_TAG = re.compile(r"<(/?)([A-Za-z_][\w:.-]*)[^<>]*>")
#: in one tag; feedparser's time grows with their square
ATTRIBUTES = 500
#: what is not well-formed is read by guessing, which takes long for each "<"
LOOSE_TAGS = 100_000
#: tags of HTML that authors leave open
_LAX = frozenset("area br col dd dt embed hr img input li link meta option p source td th tr wbr".split())


def guard(body: bytes) -> None:
    """Raise SourceError for entity declarations, deep nesting and character sets that could hide them.

    A bare DOCTYPE passes, and so does XML that is not well-formed. Nothing is fetched and nothing expanded.
    """
    text_encoding = _encoding(body)
    try:
        _walk(body)
    except expat.ExpatError:
        _scan(body.decode(text_encoding, "replace"))


def read(body: bytes) -> Any:
    """feedparser's result for a guarded body, HTML in it as it stands.

    Raises SourceError for an empty body, an HTML page, hostile XML, and what is no feed at all.
    """
    if not body.strip(b" \t\r\n\0"):
        raise SourceError("an empty answer came instead of a feed")
    guard(body)
    if re.match(r"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype\s+)?html\b", _head(body), re.IGNORECASE | re.DOTALL):
        raise SourceError("an HTML page came instead of a feed")
    # Only a stream: a string or bytes would be opened as a file or fetched as a URL.
    result = feedparser.parse(io.BytesIO(body), sanitize_html=False, resolve_relative_uris=False)
    if not result.version and not result.entries:
        raise SourceError("something that is no feed came instead of a feed")
    return result


def is_well_formed(result: Any) -> bool:
    """Whether feedparser read the whole body as XML; an overridden character set is no fault."""
    return not (result.bozo and isinstance(result.bozo_exception, SAXException))


def moment(entry: Any, *keys: str) -> datetime | None:
    """The first possible one of feedparser's UTC times under these keys."""
    for key in keys:
        # Past FeedParserDict's own get, which stands in one key for another and warns that it does.
        parsed = dict.get(entry, key)
        if parsed is not None and (at := _datetime(parsed)):
            return at
    return None


def _datetime(parsed: tuple[int, ...]) -> datetime | None:
    year, month, day, hour, minute, second = parsed[:6]
    try:
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None


def _encoding(body: bytes) -> str:
    """The character set of the body; raises SourceError for one in which ASCII is not itself."""
    if body.startswith(_EBCDIC):
        raise SourceError("a feed in the character set EBCDIC came, which is not read")
    marked = next((encoding for mark, encoding in _UNICODE if body.startswith(mark)), "")
    declared = _DECLARED.match(body[:4000].decode(marked or "latin-1", "replace"))
    try:
        encoding = codecs.lookup(declared[1]).name if declared else "utf-8"
    except LookupError:
        return marked or "utf-8"
    if _WIDE_CHARSETS.fullmatch(encoding):
        return marked or "utf-8"
    if not _PLAIN_CHARSETS.fullmatch(encoding):
        raise SourceError(f"a feed in the character set {encoding} came, which is not read")
    return marked or encoding


def _head(body: bytes) -> str:
    return body[:4000].decode(_encoding(body), "replace").lstrip("\ufeff")


def _walk(body: bytes) -> None:
    """Go through well-formed XML; exact where `_scan` can only guess."""
    depth = 0

    def opened(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if len(attributes) > ATTRIBUTES:
            raise SourceError(f"a feed with more than {ATTRIBUTES} attributes in one tag came")
        if depth > DEPTH:
            raise SourceError(f"a feed nested more than {DEPTH} deep came")

    def closed(name: str) -> None:
        nonlocal depth
        depth -= 1

    def declared(*declaration: object) -> None:
        raise SourceError("a feed that declares entities came")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.EntityDeclHandler = opened, closed, declared
    parser.Parse(body, True)


def _scan(text: str) -> None:
    """Look for the same faults in what is not well-formed, where feedparser falls back to guessing."""
    if _ENTITY.search(text):
        raise SourceError("a feed that declares entities came")
    if text.count("<") > LOOSE_TAGS or text.count("&") > 4 * LOOSE_TAGS or re.search(r"<[^<>]{100000}", text):
        raise SourceError("a broken feed with too many or too long tags came")
    depth = 0
    for closes, name in _TAG.findall(_visible(text)):
        if name.lower() not in _LAX:
            depth = max(0, depth - 1) if closes else depth + 1
        if depth > DEPTH:
            raise SourceError(f"a feed nested more than {DEPTH} deep came")


def _visible(text: str) -> str:
    """`text` without comments, CDATA sections and processing instructions that end."""
    parts: list[str] = []
    at = start = 0
    endless: set[str] = set()
    while opener := _OPENER.search(text, start):
        start = opener.end()
        end = -1 if opener[0] in endless else text.find(_CLOSERS[opener[0]], start)
        if end < 0:
            endless.add(opener[0])
            continue
        parts.append(text[at : opener.start()])
        at = start = end + len(_CLOSERS[opener[0]])
    return "".join([*parts, text[at:]])
