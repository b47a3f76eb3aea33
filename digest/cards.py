"""What pages show of a paper: a card in a list.

However many papers a page has, their cards take the same number of queries.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext

from digest import marks, prose, thumbnails
from digest.documents import documents, resolved
from digest.models import Announce, Listing, Paper, Placement
from digest.reasons import Reason, reasons
from subscriptions.languages import translated
from subscriptions.query import Document, Query, matches

#: Names on a card; of more authors the first two are named.
NAMES = 4
#: Words of an abstract that stand open; the others unfold.
OPEN_WORDS = 45
#: Characters of what stands open of a paper that was searched for, and those before the first marked word.
EXCERPT, BEFORE = 320, 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """`title`, `gist`, `abstract` and `note` are safe HTML; addresses are of the web, or empty."""

    paper: Paper
    title: SafeString
    byline: str
    #: what stands open: the AI summary, or how the abstract begins; then `abstract` unfolds
    gist: SafeString
    is_ai: bool
    abstract: SafeString
    note: SafeString
    sources: tuple[str, ...]
    published: date | None
    is_cross: bool = False
    #: on another day than the page's
    listed: date | None = None
    featured: date | None = None
    code: str = ""
    project: str = ""
    pdf: str = ""
    #: width, height and version of its picture
    thumbnail: tuple[int, int, str] | None = None
    #: why it was found, where it was asked for
    reasons: tuple[Reason, ...] = ()


def of_edition(rows: Sequence[Placement], *, day: date) -> list[Card]:
    """The cards of an edition's placements."""
    keys = [row.paper_id for row in rows]
    sources, pictures = _sources(keys), thumbnails.sizes(keys)
    cards = [
        _card(
            row.paper,
            sources[row.paper_id],
            note=row.note,
            is_cross=row.announce == Announce.CROSS,
            listed=row.listed_date if row.listed_date != day else None,
        )
        for row in rows
    ]
    return [replace(card, thumbnail=pictures.get(card.paper.pk)) for card in cards]


def of_papers(papers: Sequence[Paper], featured: Mapping[int, date]) -> list[Card]:
    """The cards of papers, with the day of the edition each was featured in."""
    keys = [paper.pk for paper in papers]
    sources, pictures = _sources(keys), thumbnails.sizes(keys)
    cards = [_card(paper, sources[paper.pk], featured=featured.get(paper.pk)) for paper in papers]
    return [replace(card, thumbnail=pictures.get(card.paper.pk)) for card in cards]


def of_found(papers: Sequence[Paper], featured: Mapping[int, date], query: Query) -> list[Card]:
    """The cards of papers that a query found: its words marked, and why each was found that it means exactly."""
    query = resolved(query)
    found = zip(of_papers(papers, featured), documents(papers), strict=True)
    return [_marked(card, document, query) for card, document in found]


def title(paper: Paper) -> SafeString:
    """The title as HTML, its formulas in MathML."""
    return mark_safe(prose.mathematics(paper.title_tex or paper.title))


def abstract(paper: Paper) -> SafeString:
    """The abstract as HTML, its formulas in MathML, and blank lines between its paragraphs."""
    return mark_safe(prose.mathematics(paper.abstract_tex or paper.abstract, paragraphs=True))


def byline(names: Sequence[str], organization: str) -> str:
    """Who wrote it, in a line however many they are."""
    who = (
        ", ".join(names)
        if len(names) <= NAMES
        else gettext("%(first)s, %(second)s et al. · %(count)s authors")
        % {"first": names[0], "second": names[1], "count": len(names)}
    )
    return " · ".join(filter(None, [who, organization]))


def organization(paper: Paper) -> str:
    known = paper.organization or {}
    return str(known.get("fullname") or known.get("name") or "")


def pdf(paper: Paper) -> str:
    """The address of a paper's PDF at arXiv."""
    return f"https://arxiv.org/pdf/{paper.identifier}" if is_arxiv(paper) else ""


def is_arxiv(paper: Paper) -> bool:
    return paper.identifier[:1].isdigit() or "/" in paper.identifier


def _card(
    paper: Paper,
    sources: tuple[str, ...],
    *,
    note: str = "",
    is_cross: bool = False,
    listed: date | None = None,
    featured: date | None = None,
) -> Card:
    words = paper.abstract.split()
    is_long = len(words) > OPEN_WORDS
    if paper.ai_summary:
        gist = mark_safe(prose.mathematics(paper.ai_summary))
    elif is_long:
        gist = escape(" ".join(words[:OPEN_WORDS]) + " …")
    else:
        gist = abstract(paper)
    return Card(
        paper=paper,
        title=title(paper),
        byline=byline(paper.visible_authors, organization(paper)),
        gist=gist,
        is_ai=bool(paper.ai_summary),
        abstract=abstract(paper) if is_long or paper.ai_summary else mark_safe(""),
        note=mark_safe(prose.markdown(note)),
        sources=sources,
        published=paper.published_at.date() if paper.published_at else None,
        is_cross=is_cross,
        listed=listed,
        featured=featured,
        code=prose.link(paper.code_url),
        project=prose.link(paper.project_url),
        pdf=pdf(paper),
    )


def _marked(card: Card, document: Document, query: Query) -> Card:
    spans = marks.spans(query, document)
    text, match = document.abstract, matches(query, document)
    is_shown = bool(spans["abstract"]) or not card.is_ai
    part = marks.excerpt(text, spans["abstract"], before=BEFORE, size=EXCERPT)
    return replace(
        card,
        title=_in_text(document.title, spans["title"]) if spans["title"] else card.title,
        gist=_in_text(*part) if is_shown else card.gist,
        is_ai=not is_shown,
        abstract=_in_text(text, spans["abstract"]) if part[0] != text or not is_shown else mark_safe(""),
        reasons=tuple(worded(reason) for reason in reasons(match, document)) if match else (),
    )


def worded(reason: Reason) -> Reason:
    """A reason in the active language."""
    return Reason(translated(reason.what), translated(reason.where))


def _in_text(text: str, spans: marks.Spans) -> SafeString:
    return mark_safe(prose.marked(text, spans))


def _sources(papers: Iterable[int]) -> Mapping[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = defaultdict(tuple)
    rows = Listing.objects.filter(paper__in=list(papers)).order_by("source_id")
    for paper, label in rows.values_list("paper_id", "source__label").distinct():
        found[paper] += (label,)
    return found
