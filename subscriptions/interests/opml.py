"""OPML: lists of feeds. arXiv's feeds are categories; no other feed says what it is about."""

import re
from xml.parsers import expat

from subscriptions.interests.reference import Unreadable
from subscriptions.sentences import Sentence

DEEPEST = 50
_CATEGORY = re.compile(
    r"https?://(?:rss|export)\.arxiv\.org/(?:rss|atom)/(?P<names>[a-zA-Z.+-]{2,400})(?:\?.*)?", re.ASCII
)


def read(text: str) -> tuple[list[tuple[str, str]], list[Sentence]]:
    """(name, query) of the feeds that are arXiv's, and the others. Raises Unreadable.

    A document type is refused as a whole: OPML needs none, and entities that hold each other fill any memory.
    """
    topics: list[tuple[str, str]] = []
    left_out: list[Sentence] = []
    depth = 0

    def start(name: str, values: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise Unreadable(Sentence("The outlines are nested too deep for a list of feeds."))
        address = values.get("xmlUrl", "")
        if name.lower() != "outline" or not address:
            return
        label = " ".join((values.get("title") or values.get("text") or address).split())
        if found := _CATEGORY.fullmatch(address):
            topics.extend((f"arXiv {each}", f"cat:{each}") for each in found["names"].split("+") if each)
        else:
            left_out.append(Sentence("%(feed)s: only feeds of arXiv say what they are about.", feed=label[:80]))

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*values: object) -> None:
        raise Unreadable(Sentence("The file declares a document type; remove that line, or export it once more."))

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler, parser.StartDoctypeDeclHandler = start, end, refuse
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        raise Unreadable(
            Sentence(
                "This is no OPML: %(error)s in line %(line)s.", error=expat.ErrorString(error.code), line=error.lineno
            )
        ) from error
    return topics, left_out
