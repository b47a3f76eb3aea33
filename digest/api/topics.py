"""Our own paths for the topic language: what a query finds and why, what it would have sent, whether it can be read."""

from typing import Any, Literal

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Query, Router, Schema
from pydantic import Field

from digest import reasons, search
from digest.api import errors, hub, lists, own
from digest.api import own_shapes as shapes
from digest.documents import documents, resolved
from digest.models import Paper
from digest.preview import preview
from subscriptions import clock
from subscriptions.query import Document, Hit, Match, matches, parse

router = Router(tags=["Paperboy's own"])
REFUSED = {**hub.REFUSED, 400: errors.QueryRefused}

#: Results that pages lead to, and places told of one paper.
MOST, PLACES = 1_000, 50


class Asked(Schema):
    q: str = Field(description="A query of the topic language.", examples=["robot* video -survey"])


class Searched(hub.Paging):
    q: str = Field(description="Words, or a query of the topic language.", examples=["robot* video -survey"])
    mode: Literal["both", "words", "meaning"] = Field("both", description="What to go by.")
    sort: Literal["relevance", "newest", "votes"] = Field("relevance", description="Which come first.")


@router.api_operation(hub.READ, "/api/v1/search", response={**REFUSED, 200: shapes.Results})
def find(request: HttpRequest, asked: Query[Searched]) -> HttpResponse:
    """Papers that words or a query find, each with why. What is no query is searched for as words; error says so."""
    results = search.find(asked.q, mode=asked.mode, sort=asked.sort, most=MOST)
    query = resolved(results.query) if results.query else None
    page = asked.page
    found = results.found[page.start : page.start + page.size]
    more = len(results.found) > page.start + page.size
    part = lists.of_keys([one.paper for one in found], more=more, today=clock.today())
    known = {paper.pk: (paper, document) for paper, document in zip(part.papers, documents(part.papers), strict=True)}
    rows = [(one, *known[one.paper]) for one in found if one.paper in known]
    response = JsonResponse(
        {
            "query": str(query) if query else None,
            "error": {"error": results.error.message, **errors.of_query(results.error)} if results.error else None,
            "total": len(results.found),
            "exact": results.exact,
            "results": [
                {
                    "tier": one.tier.name.lower(),
                    "score": one.score,
                    **_why(matches(query, document) if query else None, document),
                    "paper": own.shown(paper, part.featured.get(paper.pk)),
                }
                for one, paper, document in rows
            ],
        }
    )
    return lists.link_next(response, request, p=asked.p + 1) if part.more else response


def _why(match: Match | None, document: Document) -> dict[str, Any]:
    if match is None:
        return {"reasons": [], "places": []}
    return {
        "reasons": [{"what": reason.what, "where": reason.where} for reason in reasons.reasons(match, document)],
        "places": [_place(hit, document) for hit in match.hits if hit.end][:PLACES],
    }


def _place(hit: Hit, document: Document) -> dict[str, Any]:
    text = document.texts(hit.field)[hit.part]
    return {
        "field": hit.field,
        "part": hit.part,
        "start": hit.start,
        "end": hit.end,
        "text": text[hit.start : hit.end],
    }


@router.api_operation(hub.READ, "/api/v1/topics/preview", response={**REFUSED, 200: shapes.Preview})
def look_ahead(request: HttpRequest, asked: Query[Asked]) -> HttpResponse:
    """What a topic would have sent on each of the last fourteen days that had an edition."""
    query = resolved(parse(asked.q))
    found = preview(query, today=clock.today())
    keys = [key for _, papers in found.days for key in papers]
    names = dict(Paper.objects.filter(pk__among=keys).values_list("pk", "identifier"))
    return JsonResponse(
        {
            "query": str(query),
            "total": found.total,
            "days": [
                {"date": day.isoformat(), "count": len(papers), "papers": [names[key] for key in papers]}
                for day, papers in found.days
            ],
        }
    )


@router.api_operation(hub.READ, "/api/v1/topics/parse", response={**REFUSED, 200: shapes.Parsed})
def understand(request: HttpRequest, asked: Query[Asked]) -> HttpResponse:
    """Whether a query of the topic language can be read; 400 says where it cannot, and what was probably meant."""
    return JsonResponse({"query": str(parse(asked.q))})
