"""A paper as reference managers read it: BibTeX and RIS, in Unicode."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from digest import prose

MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_SUFFIXES = frozenset("jr jr. sr sr. ii iii iv".split())
_GROUPS = re.compile(
    r"\b(?:authors?|collaboration|committee|community|consortium|council|foundation|group|initiative|institute|labs?"
    r"|laboratory|organi[sz]ation|project|task ?force|team|university|and|et al)\b|[&:/@\d]",
    re.IGNORECASE,
)
_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\textbraceleft{}", "}": r"\textbraceright{}", "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}", **{sign: "\\" + sign for sign in "%&$#_"},
}  # fmt: skip
_SPECIALS = re.compile(r"[\\{}~^%&$#_]")
#: Letters that Unicode does not take apart into a Latin one and its mark.
_LATIN = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D",
     "ð": "d", "þ": "th", "Þ": "Th", "ı": "i"}
)  # fmt: skip
#: A word between its punctuation: BibTeX must see the colon before a subtitle.
_CORE = re.compile(r"^(\W*)(.*?)(\W*)$")
_SMALL_WORDS = frozenset(
    "a an and are as at be by can do does for from how if in into is it its not of on or our the their to toward"
    " towards via we what when where which who why with without you your".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is cited. `arxiv` is the id without version, empty for what is not at arXiv."""

    title: str
    authors: tuple[str, ...]
    day: date
    url: str
    abstract: str = ""
    keywords: tuple[str, ...] = ()
    arxiv: str = ""
    category: str = ""
    doi: str = ""
    journal: str = ""


def bibtex(work: Work) -> str:
    """One entry; the title's capitals are kept where a style would lower them."""
    fields = {
        "author": " and ".join(_bibtex_name(name) for name in _authors(work)),
        "title": _title(prose.tidy(work.title)),
        "journal": _escaped(prose.tidy(work.journal)),
        "year": f"{work.day.year}",
        "month": MONTHS[work.day.month - 1],
        "eprint": _verbatim(work.arxiv),
        "archivePrefix": "arXiv" if work.arxiv else "",
        "primaryClass": _verbatim(work.category) if work.arxiv else "",
        "doi": _verbatim(work.doi),
        "url": _verbatim(work.url),
        "keywords": _escaped(", ".join(map(prose.tidy, work.keywords))),
        "abstract": _escaped(prose.tidy(work.abstract)),
    }
    kind = "article" if fields["journal"] else "misc"
    lines = [f"  {name} = {value if name == 'month' else f'{{{value}}}'}" for name, value in fields.items() if value]
    return f"@{kind}{{{key(work)},\n" + ",\n".join(lines) + "\n}\n"


def ris(work: Work) -> str:
    """One record; its lines end as RIS has them."""
    journal = prose.tidy(work.journal)
    rows = [
        ("TY", "JOUR" if journal else "UNPB"),
        *(("AU", _ris_name(name)) for name in _authors(work)),
        ("TI", prose.tidy(work.title)),
        ("T2", journal),
        ("PY", f"{work.day.year}"),
        ("DA", f"{work.day:%Y/%m/%d}"),
        ("PB", "arXiv" if work.arxiv else ""),
        ("AN", f"arXiv:{work.arxiv}" if work.arxiv else ""),
        ("DO", prose.tidy(work.doi)),
        ("UR", prose.tidy(work.url)),
        *(("KW", prose.tidy(word)) for word in work.keywords),
        ("AB", prose.tidy(work.abstract)),
    ]
    return "".join(f"{tag}  - {value}\r\n" for tag, value in rows if value) + "ER  - \r\n"


def key(work: Work) -> str:
    """First author's family name, year, first word that says something: Fold2026World."""
    first = next((_ascii(name.family) for name in map(_parted, _authors(work)) if _ascii(name.family)), "Paper")
    words = (_ascii(word) for word in re.split(r"[\W_]+", work.title))
    word = next((word for word in words if word and word.lower() not in _SMALL_WORDS), "")
    return f"{first[:1].upper()}{first[1:]}{work.day.year}{word[:1].upper()}{word[1:]}"


class _Name(NamedTuple):
    """A name in its parts; of a group, or of somebody with one name, there is a family name alone."""

    family: str
    suffix: str = ""
    given: str = ""
    is_group: bool = False


def _authors(work: Work) -> Iterator[str]:
    return filter(None, map(prose.tidy, work.authors))


def _parted(name: str) -> _Name:
    """Jan van der Berg → van der Berg, Jan; the particles are the words in lower case before the last one."""
    if _GROUPS.search(name):
        return _Name(name, is_group=True)
    before, comma, after = (part.strip() for part in name.partition(","))
    if comma and before and after and after.lower() not in _SUFFIXES:
        return _Name(before, given=after.replace(",", " ").strip())
    words, suffix = before.split() if comma else name.split(), after if comma else ""
    if len(words) > 2 and words[-1].lower() in _SUFFIXES:
        suffix = words.pop()
    start = next((at for at, word in enumerate(words[:-1]) if at and word[0].islower()), len(words) - 1)
    return _Name(" ".join(words[start:]), suffix, " ".join(words[:start]))


def _bibtex_name(name: str) -> str:
    parts = _parted(name)
    family = _escaped(parts.family)
    if parts.is_group or (not parts.given and (" " in family or family.lower() == "others")):
        return f"{{{family}}}"
    return ", ".join(filter(None, [family, _escaped(parts.suffix), _escaped(parts.given)]))


def _ris_name(name: str) -> str:
    """A comma parts the family name from the rest, so a group's name has none."""
    parts = _parted(name)
    if parts.is_group:
        return name.replace(",", "")
    return ", ".join(filter(None, [parts.family, parts.given, parts.suffix]))


def _title(title: str) -> str:
    """Capitals in braces: inside words, and at the beginning of names where other words have none there."""
    words = title.split(" ")
    rest = [word for word in words[1:] if len(word) > 3 and word[0].isalpha()]
    has_names = sum(word[0].isupper() for word in rest) * 2 < len(rest)
    return " ".join(_kept(word, is_name=has_names and at > 0) for at, word in enumerate(words))


def _kept(word: str, *, is_name: bool) -> str:
    before, core, after = _CORE.findall(word)[0]
    letters = [sign for sign in core if sign.isalpha()]
    if any(sign.isupper() for sign in (letters if is_name else letters[1:])):
        return f"{_escaped(before)}{{{_escaped(core)}}}{_escaped(after)}"
    return _escaped(word)


def _escaped(text: str) -> str:
    """Text without TeX's signs; braces are written out, as BibTeX counts those after a backslash too."""
    return _SPECIALS.sub(lambda found: _SPECIAL[found[0]], text)


def _verbatim(text: str) -> str:
    """An address or a number, in which nothing is escaped; what would end the field is percent-encoded."""
    return re.sub(r'[\s{}\\"]', lambda found: f"%{ord(found[0]):02X}", prose.tidy(text))


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.translate(_LATIN))
    return "".join(sign for sign in plain if sign.isascii() and sign.isalnum())
