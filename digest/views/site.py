"""For programs that look for pages: which there are, and which are nobody's affair."""

from xml.sax.saxutils import escape

from django.conf import settings
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext

from digest import archive, keeping
from digest.models import Paper
from digest.views.page import Missing, page
from subscriptions import clock

#: Addresses in one file (sitemaps.org allows fifty thousand).
MOST = 40_000
_NOT = ("/admin/", "/manage/", "/account/", "/confirm/", "/move-from/", "/move-to/", "/u/", "/link/",
        "/letters/", "/feedback/", "/taste/", "/feeds/mine/", "/topics/", "/subscribe", "/outbox/",
        "/papers?")  # fmt: skip


@page
@keeping.kept()
def robots(request: HttpRequest) -> HttpResponse:
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in _NOT), f"Sitemap: {_whole(reverse('sitemap'))}", ""]
    return HttpResponse("\n".join(lines), content_type="text/plain; charset=utf-8")


@page
@keeping.kept()
def sitemap(request: HttpRequest) -> HttpResponse:
    """The index: a file of editions, and files of papers, each with so many of them."""
    parts = range(-(-(Paper.objects.aggregate(last=Max("pk"))["last"] or 0) // MOST))
    names = [
        reverse("sitemap_part", args=["editions"]),
        *(reverse("sitemap_part", args=[f"papers-{n}"]) for n in parts),
    ]
    return _xml("sitemapindex", "sitemap", [(_whole(name), "") for name in names])


@page
@keeping.kept()
def sitemap_part(request: HttpRequest, name: str) -> HttpResponse:
    today = clock.today()
    if name == "editions":
        editions = archive.published(today).values_list("date", "published_at")[:MOST]
        found = [(_whole(reverse("edition", args=[str(day)])), at.date().isoformat()) for day, at in editions if at]
        return _xml("urlset", "url", [(_whole(reverse("trending")), today.isoformat()), *found])
    kind, _, number = name.partition("-")
    if kind != "papers" or not number.isdecimal() or len(number) > 6:
        raise Missing(gettext("There is no such part of the sitemap; its index names them all."))
    first = int(number) * MOST
    papers = Paper.objects.filter(pk__gt=first, pk__lte=first + MOST, is_sample=False).order_by("pk")
    rows = papers.values_list("identifier", "changed_at").iterator(chunk_size=10_000)
    return _xml("urlset", "url", [(_whole(reverse("paper", args=[key])), at.date().isoformat()) for key, at in rows])


def _whole(path: str) -> str:
    return settings.DIGEST_BASE_URL + path


def _xml(root: str, each: str, rows: list[tuple[str, str]]) -> HttpResponse:
    lines = [
        f"<{each}><loc>{escape(url)}</loc>{f'<lastmod>{day}</lastmod>' if day else ''}</{each}>" for url, day in rows
    ]
    text = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<{root} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">',
        *lines,
        f"</{root}>",
    ]
    return HttpResponse("\n".join(text), content_type="application/xml; charset=utf-8")
