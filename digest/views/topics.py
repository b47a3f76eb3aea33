"""What a topic would have found, before it is anybody's."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext

from digest import archive, cards, keeping, plots, search, suggestions
from digest.preview import DAYS
from digest.preview import preview as preview_of
from digest.views.page import address, as_topic, asked, page, sign_up, told
from subscriptions import clock
from subscriptions.languages import number, translated
from subscriptions.query import QueryError

#: Papers shown; the numbers count all of them.
MOST = 60
#: Characters of what somebody is typing that are looked for.
LONGEST_TYPED = 60


@page
@keeping.kept(60)
def preview(request: HttpRequest) -> HttpResponse:
    """What the topic `?q=` would have found on each of the last days."""
    text = asked(request)
    context: dict[str, object] = {"q": text, "days": DAYS, "title": gettext("What a topic would have found"),
                                  "today": clock.today()}  # fmt: skip
    try:
        query = search.understood(text)
    except QueryError as error:
        return render(request, "digest/preview.html", {**context, "error": told(error)}, status=HTTPStatus.BAD_REQUEST)
    found = preview_of(query, today=clock.today())
    newest = [(day, key) for day, papers in reversed(found.days) for key in papers][:MOST]
    featured = {key: day for day, key in newest}
    context |= {
        "preview": found,
        "rate": _rate(found.per_day),
        "plot": plots.bars([(date_format(day, gettext("D j M")), len(keys)) for day, keys in found.days]),
        "cards": cards.of_found(archive.in_order(featured), featured, query),
        "sign_up": sign_up(as_topic(text, query)),
        "search": address(reverse("papers"), q=text),
        "canonical": address(reverse("preview"), q=text),
    }
    return render(request, "digest/preview.html", context)


@page
@keeping.kept(60)
def rate(request: HttpRequest) -> HttpResponse:
    """About how much the topic `?q=` would have found, or what is wrong with it, in words as JSON."""
    try:
        query = search.understood(asked(request))
    except QueryError as error:
        return JsonResponse({"said": translated(error.message)}, status=HTTPStatus.BAD_REQUEST)
    found = preview_of(query, today=clock.today())
    return JsonResponse({"said": _rate(found.per_day) if found.days else ""})


@page
@keeping.kept(60)
def suggest(request: HttpRequest) -> HttpResponse:
    """Topics for what `?q=` begins, as a JSON list."""
    typed = request.GET.get("q", "")[:LONGEST_TYPED]
    return JsonResponse(suggestions.suggest(typed, today=clock.today()), safe=False)


def _rate(per_day: float) -> str:
    """ "About 4 papers a day", "About 2 papers a week"."""
    if per_day >= 1 or not per_day:
        count = round(per_day)
        return ngettext("About %(count)s paper a day", "About %(count)s papers a day", count) % {"count": number(count)}
    count = max(1, round(per_day * 5))
    return ngettext("About %(count)s paper a week", "About %(count)s papers a week", count) % {"count": number(count)}
