"""A paper's own page."""

import re
from datetime import date
from urllib.parse import quote, urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.safestring import mark_safe
from django.utils.translation import gettext

from digest import archive, cards, keeping, plots, prose, search
from digest.models import Paper
from digest.sources.identifiers import arxiv_id
from digest.views.page import Missing, address, page, sign_up
from subscriptions import clock
from subscriptions.languages import number

#: What identifiers are made of; anything else is not looked up.
_PLAUSIBLE = re.compile(r"[\w./-]{1,64}", re.ASCII)
#: Names that stand open.
AUTHORS = 20
MOST_LISTINGS, MOST_EDITIONS, MOST_OBSERVATIONS = 40, 20, 500
DESCRIPTION = 200


@page
@keeping.kept()
def paper(request: HttpRequest, text: str) -> HttpResponse:
    """What is known of a paper. An id with a version, or an address at arXiv, leads to the id without."""
    known = arxiv_id(text)
    identifier = known[0] if known else text
    found = archive.paper(identifier) if _PLAUSIBLE.fullmatch(identifier) else None
    if found is None:
        raise Missing(
            gettext("No paper “%(id)s” has been listed here. Search for words of its title instead.")
            % {"id": text[:80]}
        )
    if identifier != text:
        return redirect("paper", identifier)
    return render(request, "digest/paper.html", _context(found, clock.today()))


def _context(found: Paper, today: date) -> dict[str, object]:
    card = cards.of_papers([found], {})[0]
    path = reverse("paper", args=[found.identifier])
    names = [{"name": name, "url": _search("author", name)} for name in found.visible_authors]
    organization = cards.organization(found)
    placements = archive.shown(date.min, today).filter(paper=found).select_related("edition").order_by("-edition__date")
    editions = list(placements[:MOST_EDITIONS])
    observed = found.observations.exclude(votes=None).order_by("-at").values_list("at", "votes")[:MOST_OBSERVATIONS]
    return {
        "paper": found,
        "card": card,
        "authors": names[:AUTHORS],
        "more_authors": names[AUTHORS:],
        "organization": {"name": organization, "url": _search("org", organization)} if organization else None,
        "keywords": [{"name": word, "url": _search("keyword", word)} for word in found.keywords],
        "categories": [{"name": name, "url": address(reverse("papers"), q=f"cat:{name}")} for name in found.categories],
        "links": _links(found, card),
        "doi_url": f"https://doi.org/{quote(found.doi, safe='/()')}" if found.doi else "",
        "license_url": prose.link(found.license_url),
        "listings": found.listings.select_related("source").order_by("-day", "source")[:MOST_LISTINGS],
        "editions": editions,
        "notes": [mark_safe(prose.markdown(row.note)) for row in editions if row.note],
        "plot": plots.votes([(at, votes or 0) for at, votes in observed]),
        "abstract": [mark_safe(part) for part in cards.abstract(found).split("\n\n") if part],
        "is_sample": found.is_sample,
        "similar": _similar(found, today),
        "like": sign_up(f"like:{found.identifier}"),
        "today": today,
        "title": found.title,
        "description": _shortened(found.ai_summary or found.abstract) or card.byline,
        "canonical": path,
    }


def _similar(found: Paper, today: date) -> list[cards.Card]:
    keys = search.similar(found)
    return cards.of_papers(archive.in_order(keys), archive.featured(keys, today=today))


def _links(found: Paper, card: cards.Card) -> list[dict[str, str]]:
    """Where else the paper is, by what readers call it."""
    url = prose.link(found.url)
    there = "arXiv" if cards.is_arxiv(found) else (urlsplit(url).hostname or "").removeprefix("www.")
    discussion = f"https://huggingface.co/papers/{found.identifier}" if found.discussion_id else ""
    rows = [
        (gettext("Page at %(site)s") % {"site": there}, url),
        ("PDF", card.pdf),
        (gettext("Code") + (f" ★ {number(found.stars)}" if found.stars else ""), card.code),
        (gettext("Project page"), card.project),
        (gettext("Discussion at Hugging Face"), discussion),
    ]
    return [{"name": name, "url": url} for name, url in rows if url]


def _search(field: str, words: str) -> str:
    """The address of the search for a name or keyword."""
    said = words.replace('"', " ").strip()
    return address(reverse("papers"), q=f'{field}:"{said}"')


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= DESCRIPTION else text[:DESCRIPTION].rsplit(" ", 1)[0] + " …"
