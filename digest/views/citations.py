"""A paper's citation, to be saved."""

import re

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import content_disposition_header

from digest import archive, cards, citations, keeping
from digest.models import Paper
from digest.sources.identifiers import arxiv_id
from digest.views.page import Missing, page

#: What identifiers are made of; anything else is not looked up.
_PLAUSIBLE = re.compile(r"[\w./-]{1,64}", re.ASCII)
_FORMATS = {
    "bib": (citations.bibtex, "application/x-bibtex"),
    "ris": (citations.ris, "application/x-research-info-systems"),
}


@page
@keeping.kept()
def cite(request: HttpRequest, identifier: str, form: str) -> HttpResponse:
    """`form` is bib or ris. An id with a version leads to the id without."""
    known = arxiv_id(identifier)
    if known and known[0] != identifier:
        return redirect("cite", known[0], form)
    found = archive.paper(identifier) if _PLAUSIBLE.fullmatch(identifier) else None
    if found is None:
        raise Missing(f"No paper “{identifier[:80]}” has been listed here, so there is nothing to cite.")
    write, kind = _FORMATS[form]
    response = HttpResponse(write(_work(found)), content_type=f"{kind}; charset=utf-8")
    response["Content-Disposition"] = content_disposition_header(True, f"{identifier.replace('/', '-')}.{form}")
    return response


def _work(paper: Paper) -> citations.Work:
    is_arxiv = cards.is_arxiv(paper)
    return citations.Work(
        title=paper.title,
        authors=tuple(paper.visible_authors),
        day=(paper.published_at or paper.created_at).date(),
        url=paper.url,
        abstract=paper.abstract,
        keywords=tuple(paper.keywords),
        arxiv=paper.identifier if is_arxiv else "",
        category=paper.categories[0] if paper.categories else "",
        doi=paper.doi,
        journal=paper.journal_ref,
    )
