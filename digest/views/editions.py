"""The archive: every edition there was, a year on a page."""

import re

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext

from digest import archive, keeping
from digest.models import Announce
from digest.views.page import Missing, canonical, page
from subscriptions import clock


@page
@keeping.kept()
def editions(request: HttpRequest) -> HttpResponse:
    """The editions of the year that `?year=` names, else of the newest."""
    found = archive.published(clock.today())
    years = [day.year for day in found.order_by().dates("date", "year", order="DESC")]
    asked = request.GET.get("year") or str(years[0] if years else 0)
    year = int(asked) if re.fullmatch(r"\d{4}", asked, re.ASCII) else 0
    if years and year not in years:
        raise Missing(
            gettext("There is no edition of %(year)s. There are some of %(years)s.")
            % {"year": asked[:20], "years": ", ".join(map(str, years))}
        )
    seen = Q(placements__is_hidden=False) & ~Q(placements__announce=Announce.REPLACE)
    rows = found.filter(date__year=year).annotate(papers=Count("placements", filter=seen)) if years else []
    context = {
        "editions": rows,
        "years": years,
        "year": year,
        "title": gettext("Editions of %(year)s") % {"year": year} if years else gettext("Editions"),
        "description": gettext("Every day's papers, by month."),
        "canonical": canonical(reverse("editions"), year=year if year != max(years, default=0) else None),
    }
    return render(request, "digest/editions.html", context)
