"""Our own paths, for what Hugging Face has no word for: editions, and all that is known of a paper."""

from datetime import date
from typing import Any

from django.conf import settings
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from ninja import P, PathEx, Query, Router

from digest import archive, periods, prose
from digest.api import errors, hub, lists, wire
from digest.api import own_shapes as shapes
from digest.models import Edition, Listing, Observation, Paper, Placement
from digest.periods import Kind
from subscriptions import clock

router = Router(tags=["Paperboy's own"])

#: Observations of one paper at most, the newest.
OBSERVATIONS = 500


Day = PathEx[str, P(description="Of the edition, such as 2026-06-02.")]


@router.api_operation(hub.READ, "/api/v1/editions", response={200: list[shapes.EditionInList], **hub.REFUSED})
def editions(request: HttpRequest, asked: Query[hub.Paging]) -> HttpResponse:
    """The published editions, newest first."""
    page = asked.page
    rows = list(archive.published(clock.today())[page.start : page.start + page.size + 1])
    counts = dict(
        archive.shown(date.min, date.max)
        .filter(edition__in=[edition.pk for edition in rows])
        .values_list("edition")
        .annotate(Count("pk"))
        .order_by()
    )
    response = JsonResponse([_edition(edition, counts.get(edition.pk, 0)) for edition in rows[: page.size]], safe=False)
    return lists.link_next(response, request, p=asked.p + 1) if len(rows) > page.size else response


@router.api_operation(hub.READ, "/api/v1/editions/{day}", response={200: shapes.Edition, **hub.UNKNOWN})
def edition(request: HttpRequest, day: Day, asked: Query[hub.Paging]) -> HttpResponse:
    """One edition, its placements in the order of its editor, a page of them at a time."""
    try:
        period = periods.parse(Kind.DAY, day)
    except ValueError as error:
        raise errors.Refused(str(error), error="Invalid date") from error
    found = archive.edition(period.first, today=clock.today())
    if found is None:
        raise errors.not_found(f"There is no edition of {period}.")
    page, rows = asked.page, archive.of_edition(found)
    placements = list(rows[page.start : page.start + page.size + 1])
    shown = placements[: page.size]
    featured = archive.featured([row.paper_id for row in shown], today=clock.today())
    held = [_placement(row, featured.get(row.paper_id)) for row in shown]
    response = JsonResponse({**_edition(found, rows.count()), "placements": held})
    return lists.link_next(response, request, p=asked.p + 1) if len(placements) > page.size else response


@router.api_operation(hub.READ, "/api/v1/papers/{path:identifier}", response={200: shapes.WholePaper, **hub.UNKNOWN})
def whole_paper(request: HttpRequest, identifier: hub.Identifier) -> HttpResponse:
    """One paper with everything that was seen of it."""
    found = hub.find(identifier)
    today = clock.today()
    listings = Listing.objects.filter(paper=found).select_related("source").order_by("day", "source__name")
    observations = Observation.objects.filter(paper=found).order_by("-at")[:OBSERVATIONS]
    places = archive.shown(date.min, today).filter(paper=found).order_by("edition__date")
    return JsonResponse(
        {
            **shown(found, archive.featured([found.pk], today=today).get(found.pk)),
            "listings": [_listing(row) for row in listings],
            "observations": [
                {"at": wire.moment(row.at), "votes": row.votes, "comments": row.comments, "stars": row.stars}
                for row in reversed(observations)
            ],
            "editions": [
                {"date": day.isoformat(), "rank": rank} for day, rank in places.values_list("edition__date", "rank")
            ],
        }
    )


def shown(paper: Paper, featured: date | None) -> dict[str, Any]:
    organization = paper.organization or {}
    names = ("identifier", "version", "url", "title", "abstract", "categories", "keywords", "ai_summary", "code_url",
             "project_url", "thumbnail_url", "media_urls", "doi", "journal_ref", "license_url", "votes", "comments",
             "stars", "is_sample")  # fmt: skip
    return {
        **{name: getattr(paper, name) for name in names},
        "title_tex": paper.title_tex or paper.title,
        "abstract_tex": paper.abstract_tex or paper.abstract,
        "authors": paper.visible_authors,
        "organization": {name: organization.get(name) or "" for name in ("name", "fullname", "avatar_url")}
        if organization.get("name")
        else None,
        "published_at": wire.moment(paper.published_at) if paper.published_at else None,
        "featured": featured.isoformat() if featured else None,
    }


def _edition(edition: Edition, papers: int) -> dict[str, Any]:
    assert edition.published_at  # as published ones have, by their constraint
    return {
        "date": edition.date.isoformat(),
        "url": settings.DIGEST_BASE_URL + reverse("edition", args=[edition.date]),
        "published_at": wire.moment(edition.published_at),
        "papers": papers,
        "intro": _words(edition.intro),
        "warnings": edition.warnings,
        "is_sample": edition.is_sample,
    }


def _placement(row: Placement, featured: date | None) -> dict[str, Any]:
    return {
        "rank": row.rank,
        "score": row.score,
        "is_pinned": row.place is not None,
        "announce": row.announce,
        "listed": row.listed_date.isoformat(),
        "note": _words(row.note),
        "paper": shown(row.paper, featured),
    }


def _listing(row: Listing) -> dict[str, Any]:
    return {
        "source": row.source.name,
        "label": row.source.label,
        "day": row.day.isoformat(),
        "announce": row.announce,
        "submitter": row.submitter.get("name") if row.submitter else None,
    }


def _words(text: str) -> dict[str, str]:
    return {"markdown": text, "html": prose.markdown(text)}
