"""Prose: text as sources and editors write it → readable Unicode, plain text or safe HTML."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from html import escape, unescape
from urllib.parse import urlsplit

import nh3
from markdown import Markdown

from digest import tex
from digest.tex.mathml import formula

#: longer than any abstract: beyond it TeX is left as it stands
TEX_LENGTH = 50_000
#: longer than any note of an editor
NOTE_LENGTH = 20_000
#: python-markdown's time grows with the square of open brackets: a note with more of them has no links
NOTE_BRACKETS = 400
URL_LENGTH = 2_000
#: formulas of one text that are shown as mathematics; those that follow are read in Unicode
FORMULAS = 200

_UNWANTED = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f\x80-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_TEX_SIGNS = re.compile(r"[\\$^_{~`]|--|''")

_GREEK = "alpha|beta|gamma|delta|epsilon|theta|lambda|mu|pi|rho|sigma|tau|phi|chi|psi|omega|Delta|Sigma|Omega|Phi|Psi"
#: Hugging Face drops the backslashes and dollar signs of titles. What can only be TeX gets its backslash back;
#: words that are also English ("star", "log", "times") do so only where no sentence has them.
_HALF_STRIPPED = (
    (
        r"(?<![\\A-Za-z])(math(?:cal|bb|bf|rm|sf|tt|it|frak|scr)|text(?:bf|it|tt|sc|sf|rm)|boldsymbol|operatorname|d?frac"
        r"|sqrt|emph)(?=\{)",
        r"\\\1",
    ),
    (
        r"(?<![\\\w/.-])(nabla|[lr]ceil|[lr]floor|[lr]angle|leq|geq|neq|infty|varepsilon|(?:left|right)arrow)"
        r"(?![A-Za-z/.-]*[A-Za-z/])",
        r"\\\1{}",
    ),
    (r"(?<=\^)(?:\{\s*(star|circ|ast|top|dagger|prime|infty)\s*\}|(star|circ|top|dagger|prime)\b)", r"{\\\1\2}"),
    (rf"(?<![\\\w/.-])({_GREEK})(?=_\{{|_\d\b|\^)", r"\\\1"),
    (r"(?<=\d)times(?![A-Za-z])", "×"),
    (r"(?<![\\\w])(sim|approx)(?=\d[\d.,]*(?:[kKMBTx%×]|times)?(?![A-Za-z\d]))", r"\\\1{}"),
)
_MENDS = tuple((re.compile(pattern), replacement) for pattern, replacement in _HALF_STRIPPED)
_FENCE_GAPS = re.compile("(?<=[⌈⌊]) | (?=[⌉⌋])")
#: stands for a formula while the text around it is read
_FORMULA = "\ue000"
_GLUED = re.compile(f"([({{\\[“‘\"'/–-]{{0,3}}){_FORMULA}([.,:;!?)}}\\]”’\"'/–-]{{0,3}})")
#: numbers and percentages are words: they look and copy best as text
_PLAIN_FORMULA = re.compile(r"[\s0-9.,:+−–~∼≈<>≤≥±×%°/$()-]*")
_SINGLE_QUOTES = re.compile(r"(?<![\w`])`([^`'\n]{1,80})'(?![\w'])")

#: what ends a line of plain text, and what ends a paragraph
_LINES = frozenset("br dd dt li tr".split())
_BLOCKS = frozenset(
    "address article aside blockquote details div dl fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr"
    " main nav ol p pre section summary table ul".split()
)
_DROPPED = frozenset("iframe math noscript object script style svg template textarea title".split())
_TAG = re.compile(r"""<!--|<[!?][^<>]*>|<(/?)([A-Za-z][A-Za-z0-9:-]*)((?:[^<>"']|"[^"]*"|'[^']*')*+)>""")
_ANCHOR = re.compile(r'<a href="([^"]*)"[^>]*>(.*?)</a>', re.DOTALL)
_DEAD_ANCHOR = re.compile(r'<a rel="[^"]*">(.*?)</a>', re.DOTALL)
_NOTE_TAGS = frozenset("p a em strong code pre ul ol li blockquote h3 h4 h5 h6 br".split())


def tidy(text: str, *, paragraphs: bool = False) -> str:
    """`text` without control and direction characters, in NFC, its white space collapsed; TeX stays.

    With `paragraphs`, blank lines stay as one blank line.
    """
    text = unicodedata.normalize("NFC", _UNWANTED.sub("", text))
    parts = _PARAGRAPH.split(text.replace("\r\n", "\n").replace("\r", "\n")) if paragraphs else [text]
    return "\n\n".join(part for part in (" ".join(part.split()) for part in parts) if part)


def readable(text: str, *, paragraphs: bool = False) -> str:
    """A title or an abstract with its TeX written in Unicode; the result is plain text, to be escaped in HTML."""
    return _read(text, tex.text, paragraphs=paragraphs)


def mathematics(text: str, *, paragraphs: bool = False) -> str:
    """A title or an abstract as safe HTML: its formulas in MathML, everything else as `readable` has it.

    A formula that is a mere number, or cannot be shown, stays readable text. Blank lines stay blank lines.
    """
    if _FORMULA in text:
        return escape(readable(text, paragraphs=paragraphs), quote=False)
    formulas: list[tuple[str, ...]] = []

    def read(source: str) -> str:
        return "".join(_read_or_kept(part, formulas) for part in tex.parts(source))

    words = escape(_read(text, read, paragraphs=paragraphs), quote=False)
    following = iter(formulas)
    return _GLUED.sub(lambda found: _glued(found[1], next(following), found[2]), words)


def _read_or_kept(part: tex.Part, formulas: list[tuple[str, ...]]) -> str:
    """A part's reading, or the sign that stands for a formula that was added to `formulas`."""
    if not part.is_math or len(formulas) >= FORMULAS or _PLAIN_FORMULA.fullmatch(part.reading):
        return part.reading
    shown = formula(part.source.strip(), block=part.is_block)
    if not shown:
        return part.reading
    formulas.append(shown)
    return _FORMULA


def _glued(before: str, shown: tuple[str, ...], after: str) -> str:
    """A formula with the brackets and points that touch it: browsers would let a line end between them."""
    pieces = list(shown)
    if 'display="block"' in pieces[-1]:
        point = f"<mtext>{after}</mtext>" if after else ""
        return before + pieces[-1].removesuffix("</math>") + point + "</math>"
    pieces[0] = before + pieces[0]
    pieces[-1] += after
    held = {0} if before else set()
    held |= {len(pieces) - 1} if after else set()
    return "".join(f'<span class="whole">{piece}</span>' if at in held else piece for at, piece in enumerate(pieces))


def _read(text: str, reading: Callable[[str], str], *, paragraphs: bool) -> str:
    text = tidy(text, paragraphs=paragraphs)
    if len(text) > TEX_LENGTH or not (_TEX_SIGNS.search(text) or _half_stripped(text)):
        return text
    for pattern, replacement in _MENDS:
        text = pattern.sub(replacement, text)
    text = tidy(_SINGLE_QUOTES.sub(r"‘\1’", reading(text)), paragraphs=paragraphs)
    return _FENCE_GAPS.sub("", text)


def marked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Readable text as safe HTML, with `<mark>` around each (start, end) of it; those that overlap or touch are one."""
    html: list[str] = []
    at = 0
    for start, end in _merged(spans, len(text)):
        html += [escape(text[at:start], quote=False), "<mark>", escape(text[start:end], quote=False), "</mark>"]
        at = end
    return "".join([*html, escape(text[at:], quote=False)])


def _merged(spans: Iterable[tuple[int, int]], length: int) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted((max(start, 0), min(end, length)) for start, end in spans):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            start, end = merged[-1][0], max(end, merged.pop()[1])
        merged.append((start, end))
    return merged


def _half_stripped(text: str) -> bool:
    return any(pattern.search(text) for pattern, _ in _MENDS)


def name(text: str) -> str:
    """An author's name, its TeX accents decoded."""
    return readable(text)


def link(url: str) -> str:
    """`url` where it is http or https, has a host and carries no credentials; else nothing."""
    url = url.strip()
    if len(url) > URL_LENGTH or _UNWANTED.search(url) or re.search(r"[\s\\<>\"]", url):
        return ""
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return ""
    return url if is_web and "@" not in parts.netloc else ""


def plain(html: str, *, bullet: str = "") -> str:
    """The text of HTML, for reading and never for showing as HTML: blocks become lines, entities characters.

    What scripts, styles and their like hold is left out; `bullet` begins each item of a list. Linear in time,
    which an HTML tree is not for deeply nested tags.
    """
    text = "".join(_pieces(html.replace("\r\n", "\n").replace("\n", " "), bullet))
    lines = (" ".join(line.split()) for line in _UNWANTED.sub("", unescape(text)).split("\n"))
    return unicodedata.normalize("NFC", re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip())


def _pieces(html: str, bullet: str) -> Iterator[str]:
    at = 0
    while tag := _TAG.search(html, at):
        yield html[at : tag.start()]
        at, element = tag.end(), (tag[2] or "").lower()
        if tag[0] == "<!--":
            end = html.find("-->", at)
            at = end + 3 if end >= 0 else len(html)
        elif element in _DROPPED and not tag[1] and not tag[3].endswith("/"):
            closing = re.compile(f"</{element}\\b", re.IGNORECASE).search(html, at)
            at = closing.start() if closing else len(html)
        elif element == "li" and not tag[1]:
            yield "\n" + bullet
        elif element in _LINES and not tag[1]:
            yield "\n"
        elif element in _BLOCKS:
            yield "\n\n"
        elif element in ("td", "th"):
            yield " "
    yield html[at:]


def markdown(text: str) -> str:
    """An editor's Markdown as safe HTML; headings begin at h3."""
    html = nh3.clean(
        _rendered(text),
        tags=set(_NOTE_TAGS),
        clean_content_tags={"script", "style"},
        attributes={"a": {"href"}},
        attribute_filter=_safe_attribute,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer",
    )
    return _DEAD_ANCHOR.sub(r"\1", html).strip()


def markdown_text(text: str) -> str:
    """An editor's Markdown as plain text, each address in parentheses after its words."""
    return plain(_ANCHOR.sub(_shown_link, markdown(text)), bullet="- ")


def _rendered(text: str) -> str:
    shift = {"toc": {"baselevel": 3, "marker": ""}}
    renderer = Markdown(extensions=["fenced_code", "sane_lists", "toc"], extension_configs=shift)
    # Tags an editor types are shown as typed.
    renderer.preprocessors.deregister("html_block")
    renderer.inlinePatterns.deregister("html")
    source = _UNWANTED.sub("", text)[:NOTE_LENGTH]
    try:
        return renderer.convert(source if source.count("[") <= NOTE_BRACKETS else source.replace("[", "&#91;"))
    except RecursionError:
        return f"<p>{escape(source)}</p>"


def _safe_attribute(tag: str, attribute: str, value: str) -> str | None:
    if attribute != "href" or re.fullmatch(r"mailto:[^\s<>\"@]+@[^\s<>\"@]+", value, re.IGNORECASE):
        return value
    return link(value) or None


def _shown_link(anchor: re.Match[str]) -> str:
    url, words = anchor[1].removeprefix("mailto:"), anchor[2]
    return words if url in words else f"{words} ({url})"


def count(number: int, what: str) -> str:
    """ "1 paper", "2 papers", "1,204 entries", for those who run the site: readers are told in their language."""
    plural = what[:-1] + "ies" if what.endswith("y") else what + "s"
    return f"{number:,} {what if number == 1 else plural}"
