"""Hugging Face's paths, for its clients as they are."""

from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import P, PathEx, Query, Router, Schema
from pydantic import Field

from digest import archive, periods
from digest.api import errors, lists, markdown, shapes, wire
from digest.api.lists import Page, Part
from digest.models import Paper
from digest.periods import Kind, Period
from digest.search import find as find_papers
from digest.sources.identifiers import arxiv_id
from subscriptions import clock

router = Router(tags=["Hugging Face's paths"])
READ = ["GET", "HEAD"]
REFUSED = {400: errors.Error, 429: errors.Error}
UNKNOWN = {**REFUSED, 404: errors.Error}
MOST, MOST_FOUND = 100, 120

Limit = Annotated[int, Field(ge=1, description="Papers on a page; more than 100 are as if 100 were asked.")]

Identifier = PathEx[
    str, P(description="arXiv id, with or without version, or web.… for papers known by their address alone.")
]


class Paging(Schema):
    p: int = Field(0, ge=0, description="Number of the page, from 0; past the end a list is empty.")
    limit: Limit = 50

    @property
    def page(self) -> Page:
        return Page(self.p, min(self.limit, MOST))


class Daily(Paging):
    date: str | None = Field(None, description="Featured on this day.", examples=["2026-06-02"])
    week: str | None = Field(None, description="Featured in this ISO week.", examples=["2026-W23"])
    month: str | None = Field(None, description="Featured in this month.", examples=["2026-06"])
    submitter: str = Field("", max_length=200, description="Submitted by the user of this name.")
    sort: Literal["publishedAt", "trending"] = Field(
        "publishedAt",
        description="publishedAt: newest first, and most votes first within a day, week or month that was asked for. "
        "trending: what is trending, or the editor's order of the day that was asked for.",
    )


@router.api_operation(READ, "/api/daily_papers", response={200: list[shapes.HubItem], **REFUSED}, by_alias=True)
def daily_papers(request: HttpRequest, asked: Query[Daily]) -> HttpResponse:
    """The papers that were featured. The header Link leads on while there are more."""
    today = clock.today()
    period, trending, page = _period(asked), asked.sort == "trending", asked.page
    if period:
        part = lists.of_period(page, period, today=today, trending=trending, submitter=asked.submitter)
    elif trending:
        part = lists.trending(page, today=today, now=clock.now(), submitter=asked.submitter)
    elif asked.submitter:
        part = lists.of_submitter(page, asked.submitter, today=today)
    else:
        part = lists.newest(page, today=today)
    response = JsonResponse(items(part, submitter=asked.submitter), safe=False)
    return lists.link_next(response, request, p=asked.p + 1) if part.more else response


def _period(asked: Daily) -> Period | None:
    """The days that all of date, week and month have in common; None where none is given."""
    given = [
        _read(kind, text)
        for kind, text in ((Kind.DAY, asked.date), (Kind.WEEK, asked.week), (Kind.MONTH, asked.month))
        if text is not None
    ]
    if not given:
        return None
    return Period(given[0].kind, max(one.first for one in given), min(one.last for one in given))


def _read(kind: Kind, text: str) -> Period:
    try:
        period = periods.parse(kind, text)
    except ValueError as error:
        raise errors.Refused(str(error), error="Invalid date") from error
    if period.first > clock.today():
        message = f"{period} is still to come: here it is {clock.today()}."
        raise errors.Refused(message, error="Invalid date")
    return period


def items(part: Part, *, submitter: str = "") -> list[dict[str, Any]]:
    """A page in Hugging Face's words."""
    submitters = lists.submitters([paper.pk for paper in part.papers], wanted=submitter)
    return [
        wire.item(paper, featured=part.featured.get(paper.pk), submitter=submitters.get(paper.pk))
        for paper in part.papers
    ]


class Search(Schema):
    q: str = Field("", max_length=250, description="Words, or a query of the topic language.", examples=["robot video"])
    limit: Annotated[int, Field(ge=1, description="Papers at most; more than 120 are as if 120 were asked.")] = 50


@router.api_operation(
    READ,
    "/api/papers/search",
    response={200: list[shapes.HubItem], **REFUSED, 400: errors.QueryRefused},
    by_alias=True,
)
def search(request: HttpRequest, asked: Query[Search]) -> HttpResponse:
    """The papers that words or a query find, best first; without either, the newest."""
    today, most = clock.today(), min(asked.limit, MOST_FOUND)
    if not asked.q.strip():
        return JsonResponse(items(lists.newest(Page(0, most), today=today)), safe=False)
    keys = [one.paper for one in find_papers(asked.q, most=most).found]
    return JsonResponse(items(lists.of_keys(keys, more=False, today=today)), safe=False)


class Indexed(Schema):
    cursor: str = Field("", max_length=20, description="Where the page before this one ended; the header Link has it.")
    limit: Limit = 50


@router.api_operation(READ, "/api/papers", response={200: list[shapes.HubItem], **REFUSED}, by_alias=True)
def papers(request: HttpRequest, asked: Query[Indexed]) -> HttpResponse:
    """Every paper that is known, featured or not, the last to become known first."""
    rows = archive.known().order_by("-pk")
    if asked.cursor:
        if not (asked.cursor.isascii() and asked.cursor.isdigit()):
            raise errors.Refused("cursor takes what the `Link` of the page before says, and nothing else.")
        rows = rows.filter(pk__lt=min(int(asked.cursor), 2**63 - 1))
    most = min(asked.limit, MOST)
    keys = list(rows.values_list("pk", flat=True)[: most + 1])
    part = lists.of_keys(keys[:most], more=len(keys) > most, today=clock.today())
    response = JsonResponse(items(part), safe=False)
    return lists.link_next(response, request, cursor=keys[most - 1]) if part.more else response


@router.api_operation(
    READ, "/api/papers/{path:identifier}", response={200: shapes.HubPaperAlone, **UNKNOWN}, by_alias=True
)
def paper(request: HttpRequest, identifier: Identifier) -> HttpResponse:
    """One paper, featured or not."""
    found = find(identifier)
    part = lists.of_keys([found.pk], more=False, today=clock.today())
    submitter = lists.submitters([found.pk]).get(found.pk)
    return JsonResponse(wire.flat(found, featured=part.featured.get(found.pk), submitter=submitter))


@router.api_operation(READ, "/api/arxiv/{path:identifier}/repos", response={200: shapes.Repos, **UNKNOWN})
def repos(request: HttpRequest, identifier: Identifier) -> HttpResponse:
    """Models, datasets and Spaces of a paper: Paperboy knows of none."""
    find(identifier)
    return JsonResponse({"models": [], "datasets": [], "spaces": []})


@router.api_operation(
    READ,
    "/papers/{path:identifier}.md",
    response={200: None, **UNKNOWN},
    openapi_extra={"responses": {200: {"content": {"text/markdown": {"schema": {"type": "string"}}}}}},
)
def read(request: HttpRequest, identifier: Identifier) -> HttpResponse:
    """One paper as a Markdown document."""
    return HttpResponse(markdown.document(find(identifier)), content_type="text/markdown; charset=utf-8")


def find(identifier: str) -> Paper:
    """A paper by its identifier, in any spelling of an arXiv id and with any version. Raises Refused with 404."""
    known = arxiv_id(identifier)
    paper = archive.paper(known[0] if known else identifier)
    if paper is None:
        raise errors.not_found(f"There is no paper {identifier[:100]} here.")
    return paper
