"""Searching."""

from collections.abc import Mapping
from http import HTTPStatus
from itertools import groupby
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from digest import archive, cards, keeping, narrow, search
from digest.cards import Card
from digest.models import Source
from digest.search import Found, Results, Tier
from digest.sources.identifiers import arxiv_id
from digest.views import days
from digest.views.page import Missing, address, as_topic, asked, canonical, page, part, sign_up, told
from subscriptions import clock
from subscriptions.languages import number, translated
from subscriptions.query import QueryError

PER_PAGE = 30
#: Papers of a search at most.
MOST = 1_000
MODES = {"both": _("words and meaning"), "words": _("words alone"), "meaning": _("meaning alone")}
SORTS = {"relevance": _("best first"), "newest": _("newest first"), "votes": _("most votes first")}
#: Characters of an address that somebody typed into the search box.
LONGEST_ADDRESS = 200


@page
@keeping.kept(60)
def papers(request: HttpRequest) -> HttpResponse:
    """The newest edition, or what `?q=` finds."""
    return _results(request) if "q" in request.GET else days.newest(request)


def _results(request: HttpRequest) -> HttpResponse:
    """The papers that `?q=` finds; what is chosen beside it is written into it first."""
    text = asked(request)
    mode, sort = _choice(request, "mode", MODES), _choice(request, "sort", SORTS)
    path = reverse("papers")
    said: dict[str, Any] = {"mode": mode if mode != "both" else None, "sort": sort if sort != "relevance" else None}
    if set(narrow.FIELDS) & request.GET.keys():
        try:
            return redirect(address(path, q=narrow.narrowed(text, request.GET.dict()), **said))
        except ValueError as error:
            raise Missing(translated(error.args[0]), status=HTTPStatus.BAD_REQUEST) from error
    if (known := _known(text)) is not None:
        return redirect("paper", known)
    context: dict[str, Any] = {"q": text, "mode": mode, "sort": sort, "modes": MODES, "sorts": SORTS,
               "today": clock.today(),
               "sources": Source.objects.order_by("label", "pk").values_list("name", "label")}  # fmt: skip
    try:
        found = search.find(text, mode=mode, sort=sort, most=MOST) if text else None
    except QueryError as error:
        refused = {**context, "error": told(error), "title": gettext("Search")}
        return render(request, "digest/search.html", refused, status=HTTPStatus.BAD_REQUEST)
    if found:
        context |= _found(request, found, canonical_path=canonical(path, q=text, **said))
    return render(request, "digest/search.html", {"title": _title(text), **context})


def _title(text: str) -> str:
    return gettext("Search: %(words)s") % {"words": text[:100]} if text else gettext("Search")


def _choice(request: HttpRequest, name: str, known: Mapping[str, object]) -> str:
    """What was chosen, the first choice where nothing was."""
    said = request.GET.get(name) or next(iter(known))
    if said not in known:
        raise Missing(
            gettext("%(name)s takes one of %(known)s.") % {"name": name, "known": ", ".join(known)},
            status=HTTPStatus.BAD_REQUEST,
        )
    return said


def _known(text: str) -> str | None:
    """The identifier of a paper whose address or arXiv: id was typed."""
    if len(text) > LONGEST_ADDRESS or " " in text or not any(sign in text for sign in "/:"):
        return None
    found = arxiv_id(text)
    return found[0] if found and archive.paper(found[0]) else None


def _found(request: HttpRequest, found: Results, *, canonical_path: str) -> dict[str, object]:
    shown = part(request, found.found, PER_PAGE)
    by_key: dict[int, Found] = {row.paper: row for row in shown.object_list}
    listed = archive.in_order(by_key)
    rows = [by_key[paper.pk] for paper in listed]
    featured = archive.featured(list(by_key), today=clock.today())
    made = cards.of_found(listed, featured, found.query) if found.query else cards.of_papers(listed, featured)
    topic = as_topic(found.text, found.query)
    return {
        "results": found,
        "error": told(found.error) if found.error else None,
        "page": shown,
        "parts": _parts(rows, made, shown.start_index()),
        "said": _said(found),
        "canonical": canonical_path,
        "topic": topic,
        "sign_up": sign_up(topic),
        "preview": address(reverse("preview"), q=topic),
    }


def _said(found: Results) -> str:
    """How much was found, in words."""
    exact, close = found.exact, len(found.found) - found.exact
    if exact == MOST:
        return gettext("%(count)s papers or more match these words; these are the best of them.") % {
            "count": number(MOST)
        }
    counts = {"count": number(exact), "close": number(close)}
    if exact and not close:
        return ngettext("%(count)s paper matches these words.", "%(count)s papers match these words.", exact) % counts
    if exact:
        matching = ngettext("%(count)s paper matches these words", "%(count)s papers match these words", exact)
        more = ngettext("%(close)s more is close", "%(close)s more are close", close)
        return f"{matching}; {more}." % counts
    if close:
        return (
            ngettext(
                "No paper matches all of it; %(close)s is close.",
                "No paper matches all of it; %(close)s are close.",
                close,
            )
            % counts
        )
    return gettext("No paper matches, and none is close. Try fewer words, or other ones.")


def _parts(rows: list[Found], made: list[Card], start: int) -> list[dict[str, object]]:
    """The papers that the query means exactly, then those that are close."""
    pairs = enumerate(zip(rows, made, strict=True), start=start)
    parts: list[dict[str, object]] = []
    for is_close, members in groupby(pairs, key=lambda pair: pair[1][0].tier < Tier.WORDS):
        numbers, shown = zip(*[(number, card) for number, (_, card) in members], strict=True)
        parts.append({"is_close": is_close, "cards": shown, "start": numbers[0]})
    return parts
