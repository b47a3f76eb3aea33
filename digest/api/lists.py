"""Which papers a list asks for, in which order, and one page of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

from django.conf import settings
from django.core.cache import cache
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from redis.exceptions import RedisError

from digest import archive, stamps
from digest.models import Listing, Paper, Placement
from digest.periods import Period

Kept = TypeVar("Kept")

#: Further pages hold nothing anywhere.
LAST_PAGE = 10**9


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: number from 0, `size` of them."""

    number: int
    size: int

    @property
    def start(self) -> int:
        return min(self.number, LAST_PAGE) * self.size


@dataclass(frozen=True, slots=True)
class Part:
    """The papers of a page, each with the day it was featured, and whether there are more."""

    papers: list[Paper]
    featured: dict[int, date]
    more: bool


def newest(page: Page, *, today: date) -> Part:
    """Of all that was ever shown, each paper on its first day; newest day first, and there most votes first."""
    counts: dict[date, int] = kept(f"debuts:{today}", lambda: archive.debuts(today))
    wanted, start = page.size + 1, page.start
    found: list[tuple[int, date]] = []
    for day, count in counts.items():
        if start < count:
            found += archive.ordered(archive.debut(day), archive.VOTES)[start : start + wanted - len(found)]
        start = max(0, start - count)
        if len(found) == wanted:
            break
    return _part(found, page)


def of_period(page: Page, period: Period, *, today: date, trending: bool, submitter: str) -> Part:
    """Of a day, week or month: most votes first, or in the order of its editions."""
    order = archive.PLACES if trending else archive.VOTES
    return _ordered(archive.shown(period.first, min(period.last, today)), order, page, submitter)


def of_submitter(page: Page, submitter: str, *, today: date) -> Part:
    """Of one person, newest first."""
    return _ordered(archive.shown(date.min, today), archive.DAYS, page, submitter)


def _ordered(placements: QuerySet[Placement], order: tuple[str, ...], page: Page, submitter: str) -> Part:
    if submitter:
        placements = placements.filter(paper__in=_submitted(submitter))
    return _part(list(archive.ordered(placements, order)[page.start : page.start + page.size + 1]), page)


def trending(page: Page, *, today: date, now: datetime, submitter: str) -> Part:
    """What trends, best first."""
    keys: list[int] = kept(f"trending:{today}", lambda: archive.trending(today, now=now))
    if submitter:
        theirs = set(_submitted(submitter).filter(paper__in=keys).values_list("paper", flat=True))
        keys = [key for key in keys if key in theirs]
    part = keys[page.start : page.start + page.size]
    return of_keys(part, more=len(keys) > page.start + page.size, today=today)


def of_keys(keys: list[int], *, more: bool, today: date) -> Part:
    """These papers, in this order."""
    return Part(archive.in_order(keys), archive.featured(keys, today=today), more)


def _submitted(submitter: str) -> QuerySet[Listing, Any]:
    return Listing.objects.filter(submitter__name=submitter).order_by().values("paper")


def _part(rows: list[tuple[int, date]], page: Page) -> Part:
    featured = dict(rows[: page.size])
    return Part(archive.in_order(featured), featured, len(rows) > page.size)


def submitters(papers: list[int], *, wanted: str = "") -> dict[int, dict[str, Any]]:
    """Who submitted each of these papers first, or `wanted` where that one did."""
    rows = Listing.objects.filter(paper__in=papers, submitter__isnull=False).order_by("-day", "-pk")
    found: dict[int, dict[str, Any]] = {}
    for paper, submitter in rows.values_list("paper_id", "submitter"):
        if submitter and not (wanted and found.get(paper, {}).get("name") == wanted):
            found[paper] = submitter
    return found


def kept(name: str, make: Callable[[], Kept]) -> Kept:
    """What `make` returns, from a copy as long as neither papers nor editions have changed."""
    key = f"api:{name}:{'.'.join(map(str, stamps.read()))}"
    try:
        copy: Kept | None = cache.get(key)
        if copy is None:
            copy = make()
            cache.set(key, copy, timeout=3600)
    except (RedisError, OSError):
        return make()
    return copy


def link_next(response: HttpResponse, request: HttpRequest, **changed: object) -> HttpResponse:
    """Say where the next page is."""
    query = request.GET.copy()
    for name, value in changed.items():
        query[name] = str(value)
    response["Link"] = f'<{settings.DIGEST_BASE_URL}{request.path}?{query.urlencode()}>; rel="next"'
    return response
