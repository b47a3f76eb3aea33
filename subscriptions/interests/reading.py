"""Which kind a file is, and its references or words as topics."""

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from subscriptions.builder import any_of, quoted, term
from subscriptions.interests import bibtex, csl, opml, ris
from subscriptions.interests.reference import Reference, Unreadable
from subscriptions.query import QueryError, parse
from subscriptions.sentences import Sentence

LARGEST = 2_000_000
MOST_TOPICS = 60
#: Of a library: the keywords used most, and the authors with so many works in it.
MOST_KEYWORDS, MOST_AUTHORS, AUTHOR_WORKS = 30, 20, 3
LONGEST_NAME = 80
MOST_LEFT_OUT = 100
MOST_LINES, LONGEST_LINE = 1_000, 2_000


@dataclass(frozen=True, slots=True)
class Interests:
    """`topics` are (name, query), each readable. `left_out` are lines that say what was not understood, and why."""

    kind: Sentence
    topics: tuple[tuple[str, str], ...]
    left_out: tuple[Sentence, ...]


def read(content: bytes) -> Interests:
    """Raises Unreadable for a file that is too large, or broken as a whole."""
    if len(content) > LARGEST:
        raise Unreadable(
            Sentence(
                "The file has %(size)s bytes; %(most)s can be read. Export a part of it.",
                size=len(content),
                most=LARGEST,
            )
        )
    text = _decoded(content)
    start = text.lstrip()[:2_000]
    if start.startswith("<"):
        feeds, left_out = opml.read(text)
        return _interests(Sentence("OPML"), feeds, left_out)
    if start.startswith(("[", "{")):
        return _library("CSL-JSON", csl.read(text))
    if re.search(r"^[ \t]*@\w+[ \t]*[{(]", text, re.MULTILINE):
        return _library("BibTeX", bibtex.read(text))
    if re.match(r"TY {1,2}- ", start):
        return _library("RIS", ris.read(text))
    return _keywords(text)


def _decoded(content: bytes) -> str:
    """UTF-8, UTF-16 with its mark, or the old encoding of Windows, in which every text can be read."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = content.decode("utf-16", "replace")
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("cp1252", "replace")
    if "\0" in text:
        raise Unreadable(Sentence("This is no text. Export the library as BibTeX, RIS or CSL-JSON."))
    return text


def _keywords(text: str) -> Interests:
    """One topic a line or between commas: a query of the topic language as it stands, else a phrase."""
    found: list[tuple[str, str]] = []
    left_out: list[Sentence] = []
    lines = text.splitlines()
    if len(lines) > MOST_LINES:
        left_out.append(
            Sentence("%(count)s lines after the first %(most)s.", count=len(lines) - MOST_LINES, most=MOST_LINES)
        )
    for line in lines[:MOST_LINES]:
        name, equals, query = line.partition(" = ")
        parts = [(name.strip(), query.strip())] if equals else [("", part) for part in _parts(line[:LONGEST_LINE])]
        for name, query in parts:
            try:
                parse(query)
            except QueryError as error:
                if equals or not _is_plain(query):
                    left_out.append(_refused(query[:80], error.message))
                    continue
                query = quoted(query)
            found.append((name or query, query))
    return _interests(Sentence("a list of keywords"), found, left_out)


def _parts(line: str) -> list[str]:
    line = line.strip().lstrip("-*•· ").strip()
    is_query = any(sign in line for sign in '"():')
    return [line] if line and is_query else [part.strip() for part in re.split(r"[,;\t]", line) if part.strip()]


def _is_plain(text: str) -> bool:
    return any(sign.isalnum() for sign in text) and not any(sign in text for sign in '":()*')


def _library(kind: str, found: tuple[Sequence[Reference], Sequence[Sentence]]) -> Interests:
    """What a library is about: its keywords, the authors who come often, and its arXiv papers as examples."""
    references, left_out = found
    keywords = Counter(word for one in references for word in dict.fromkeys(map(_folded, one.keywords)))
    spelling = {_folded(word): word for one in reversed(references) for word in one.keywords}
    authors = Counter(name for one in references for name in dict.fromkeys(one.authors))
    regular = [name for name, count in authors.most_common(MOST_AUTHORS) if count >= AUTHOR_WORKS]
    topics = [(spelling[word], term(spelling[word])) for word, _ in keywords.most_common(MOST_KEYWORDS)]
    if regular:
        topics.append(("Authors in my library", any_of(f"author:{quoted(name)}" for name in regular)))
    silent = len(references) - sum(bool(one.keywords) for one in references)
    more = list(left_out)
    if silent:
        more.append(
            Sentence(
                "%(silent)s of %(count)s works have no keywords; what they are about cannot be told from them.",
                silent=silent,
                count=len(references),
            )
        )
    if len(keywords) > MOST_KEYWORDS:
        more.append(
            Sentence("%(count)s keywords that come less often than the others.", count=len(keywords) - MOST_KEYWORDS)
        )
    if len(references) == 1:
        return _interests(Sentence("%(kind)s with 1 work", kind=kind), topics, more)
    return _interests(Sentence("%(kind)s with %(count)s works", kind=kind, count=len(references)), topics, more)


def _refused(what: str, why: Sentence) -> Sentence:
    return Sentence("%(what)s: %(why)s", what=what, why=why)


def _folded(word: str) -> str:
    return " ".join(word.split()).casefold()


def _interests(kind: Sentence, topics: Iterable[tuple[str, str]], left_out: Sequence[Sentence]) -> Interests:
    """Each name once; what the topic language does not read, and what is too much, is left out and named."""
    kept: dict[str, tuple[str, str]] = {}
    out = list(left_out)
    for name, query in topics:
        name = " ".join(name.split())[:LONGEST_NAME]
        try:
            parse(query)
        except QueryError as error:
            out.append(_refused(name or query[:80], error.message))
            continue
        if len(kept) >= MOST_TOPICS and name.casefold() not in kept:
            out.append(_refused(name, Sentence("%(most)s topics are enough for one file.", most=MOST_TOPICS)))
            continue
        kept.setdefault(name.casefold(), (name, query))
    if len(out) > MOST_LEFT_OUT:
        out = [*out[:MOST_LEFT_OUT], Sentence("… and %(count)s more.", count=len(out) - MOST_LEFT_OUT)]
    return Interests(kind, tuple(kept.values()), tuple(out))
