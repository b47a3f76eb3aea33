"""The newest edition with the sign-up form, and the editions of other days."""

from datetime import date

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from digest import archive, prose
from digest.models import Edition, Listing, Placement
from subscriptions import clock
from subscriptions.forms import SignUp

PER_PAGE = 50


@require_safe
def front(request: HttpRequest) -> HttpResponse:
    """The newest published edition, under the invitation to have it in one's inbox."""
    return _page(request, archive.newest(clock.today()), is_front=True)


@require_safe
def edition(request: HttpRequest, day: date) -> HttpResponse:
    found = archive.edition(day, today=clock.today())
    if found is None:
        raise Http404(f"There is no edition of {day}.")
    return _page(request, found, is_front=False)


def _page(request: HttpRequest, found: Edition | None, *, is_front: bool) -> HttpResponse:
    """A page of one edition; five queries, however many papers it has."""
    today = clock.today()
    context: dict[str, object] = {"edition": found, "is_front": is_front, "form": SignUp(), "today": today}
    if found:
        page = Paginator(archive.of_edition(found), PER_PAGE).get_page(request.GET.get("p"))
        context |= {
            "page": page,
            "cards": _cards(list(page.object_list)),
            "intro": prose.markdown(found.intro),
            "previous": archive.before(found.date, today=today),
            "next": archive.after(found.date, today=today),
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
