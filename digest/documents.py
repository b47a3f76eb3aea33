"""Papers as the topic language sees them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from digest.models import Listing, Paper
from subscriptions.query import Document

CHUNK = 1_000


def documents(papers: Iterable[Paper]) -> list[Document]:
    """One document for each paper, in the same order; one query for every thousand papers."""
    papers = list(papers)
    return [document for at in range(0, len(papers), CHUNK) for document in _chunk(papers[at : at + CHUNK])]


def _chunk(papers: list[Paper]) -> Iterator[Document]:
    sources: dict[int, set[str]] = defaultdict(set)
    rows = Listing.objects.filter(paper__in=[paper.pk for paper in papers])
    for key, name in rows.values_list("paper_id", "source__name").distinct():
        sources[key].add(name)
    for paper in papers:
        yield document(paper, sources[paper.pk])


def document(paper: Paper, sources: Iterable[str]) -> Document:
    organization = paper.organization or {}
    properties = {"code": paper.code_url, "project": paper.project_url, "summary": paper.ai_summary,
                  "thumbnail": paper.thumbnail_url}  # fmt: skip
    return Document(
        identifier=paper.identifier,
        title=paper.title,
        abstract=paper.abstract,
        authors=tuple(paper.visible_authors),
        organizations=tuple(dict.fromkeys(filter(None, [organization.get("fullname"), organization.get("name")]))),
        keywords=tuple(paper.keywords),
        categories=tuple(paper.categories),
        sources=tuple(sorted(sources)),
        properties=frozenset(name for name, value in properties.items() if value),
        votes=paper.votes or 0,
        stars=paper.stars or 0,
        comments=paper.comments or 0,
        day=(paper.published_at or paper.created_at).date(),
    )
