"""The pages: today's edition with the sign-up form, and the editions of other days."""

from datetime import date

from django.core.paginator import Paginator
from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from digest import prose
from digest.alarms import open_alarms
from digest.models import Announce, Edition, Listing, Placement
from subscriptions import clock
from subscriptions.forms import SignUp

PER_PAGE = 50


@require_safe
def front(request: HttpRequest) -> HttpResponse:
    """The newest published edition, under the invitation to have it in one's inbox."""
    newest = Edition.objects.published().filter(date__lte=clock.today()).order_by("-date").first()
    return _page(request, newest, is_front=True)


@require_safe
def edition(request: HttpRequest, day: date) -> HttpResponse:
    found = Edition.objects.published().filter(date=day).first()
    if found is None:
        raise Http404(f"There is no edition of {day}.")
    return _page(request, found, is_front=False)


def _page(request: HttpRequest, found: Edition | None, *, is_front: bool) -> HttpResponse:
    """A page of one edition; five queries, however many papers it has."""
    context: dict[str, object] = {"edition": found, "is_front": is_front, "form": SignUp(), "today": clock.today()}
    if found:
        placements = Placement.objects.filter(edition=found, is_hidden=False).exclude(announce=Announce.REPLACE)
        pages = Paginator(placements.select_related("paper").order_by("rank", "pk"), PER_PAGE)
        page = pages.get_page(request.GET.get("p"))
        context |= {
            "page": page,
            "cards": _cards(list(page.object_list)),
            "intro": prose.markdown(found.intro),
            "previous": Edition.objects.published().filter(date__lt=found.date).order_by("-date").first(),
            "next": Edition.objects.published().filter(date__gt=found.date).order_by("date").first(),
        }
    return render(request, "digest/edition.html", context)


def _cards(placements: list[Placement]) -> list[dict[str, object]]:
    sources: dict[int, list[str]] = {}
    rows = Listing.objects.filter(paper__in=[row.paper_id for row in placements]).order_by("source_id")
    for paper, label in rows.values_list("paper_id", "source__label").distinct():
        sources.setdefault(paper, []).append(label)
    return [
        {
            "placement": row,
            "paper": row.paper,
            "sources": sources.get(row.paper_id, []),
            "note": prose.markdown(row.note),
        }
        for row in placements
    ]


@require_safe
def live(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"live": True})


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Whether the database answers; 503 with what is wrong where it does not."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return JsonResponse({"ready": False, "database": type(error).__name__}, status=503)
    return JsonResponse({"ready": True, "alarms": [alarm.name for alarm in open_alarms()]})
