"""What was published: an edition, the papers of a span of days, and what is trending.

Pages, feeds and the API all read from here, so that they show the same papers in the same order. A paper is featured
on the day of the first published edition that shows it. Hidden papers and mere new versions are not shown.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import date, datetime, timedelta
from typing import cast

from django.db.models import Exists, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from digest import ranking
from digest.models import Announce, Edition, Listing, Observation, Paper, Placement

#: Days that a paper may trend for.
TRENDING_DAYS = 14
#: Papers of the trending page at most.
TRENDING_MOST = 100


def published(today: date) -> QuerySet[Edition]:
    """Editions that readers may see, newest first."""
    return Edition.objects.published().filter(date__lte=today).order_by("-date")


def newest(today: date) -> Edition | None:
    return published(today).first()


def edition(day: date, *, today: date) -> Edition | None:
    return published(today).filter(date=day).first()


def before(day: date, *, today: date) -> Edition | None:
    """The last edition before a day."""
    return published(today).filter(date__lt=day).first()


def after(day: date, *, today: date) -> Edition | None:
    """The first edition after a day."""
    return published(today).filter(date__gt=day).order_by("date").first()


def shown(first: date, last: date) -> QuerySet[Placement]:
    """The placements that readers may see in published editions of these days, in no order."""
    return Placement.objects.filter(
        edition__status=Edition.Status.PUBLISHED, edition__date__gte=first, edition__date__lte=last, is_hidden=False
    ).exclude(announce=Announce.REPLACE)


def of_edition(edition: Edition) -> QuerySet[Placement]:
    """An edition's placements with their papers, in the order of its editor."""
    rows = Placement.objects.filter(edition=edition, is_hidden=False).exclude(announce=Announce.REPLACE)
    return rows.select_related("paper").order_by("rank", "pk")


#: Orders of papers: most votes first; the newest day first; every day's first before any day's second.
VOTES, DAYS, PLACES = ("-counted",), ("-featured", "-counted"), ("best", "-featured", "-counted")


def ordered(placements: QuerySet[Placement], order: tuple[str, ...]) -> QuerySet[Placement, tuple[int, date]]:
    """The primary key of each paper among placements, once, and the first of its days there.

    Grouped once instead of asked for each paper: a month has many thousand papers.
    """
    grouped = placements.order_by().values("paper").annotate(
        featured=Min("edition__date"), best=Min("rank"), counted=Coalesce(Min("paper__votes"), 0),
        identifier=Min("paper__identifier"),
    )  # fmt: skip
    rows = grouped.order_by(*order, "-featured", "-identifier", "paper").values_list("paper", "featured")
    return cast("QuerySet[Placement, tuple[int, date]]", rows)


def debuts(today: date) -> dict[date, int]:
    """How many papers each day was the first to show, newest day first. Reads every placement: keep it."""
    days = shown(date.min, today).order_by().values("paper").annotate(first=Min("edition__date"))
    counts = Counter(days.values_list("first", flat=True))
    return dict(sorted(counts.items(), reverse=True))


def debut(day: date) -> QuerySet[Placement]:
    """The placements of the papers that a day was the first to show."""
    earlier = shown(date.min, day - timedelta(days=1)).filter(paper=OuterRef("paper"))
    return shown(day, day).filter(~Exists(earlier))


def featured(papers: list[int], *, today: date) -> dict[int, date]:
    """The day on which each of these papers was first shown; papers that never were are left out."""
    rows = shown(date.min, today).filter(paper__in=papers).order_by().values_list("paper")
    return dict(rows.annotate(Min("edition__date")))


def appeared(papers: Collection[int], *, today: date) -> dict[int, datetime]:
    """When the first edition that shows each of these papers was published; papers that none shows are left out."""
    rows = shown(date.min, today).filter(paper__in=papers).order_by().values_list("paper")
    return dict(rows.annotate(Min("edition__published_at")))


def trending(today: date, *, now: datetime) -> list[int]:
    """Primary keys of the papers that trend, best first: the day's own score, over the last two weeks together.

    Five columns of every paper shown in two weeks are read: keep what comes of it until `stamps.read()` changes.
    """
    first = today - timedelta(days=TRENDING_DAYS - 1)
    columns = ("paper_id", "paper__identifier", "announce", "listed_date", "paper__votes", "paper__comments",
               "paper__stars")  # fmt: skip
    noticed = Q(paper__votes__gt=0) | Q(paper__comments__gt=0) | Q(paper__stars__gt=0)
    best: dict[str, tuple[int, ranking.Candidate]] = {}
    rises = _rises(first, now=now)
    for key, identifier, announce, listed, votes, comments, stars in (
        shown(first, today).filter(noticed).order_by("listed_date", "pk").values_list(*columns)
    ):
        best.setdefault(
            identifier,
            (
                key,
                ranking.Candidate(
                    identifier=identifier,
                    announce=announce,
                    votes=votes or 0,
                    rise=rises.get(key, 0),
                    comments=comments or 0,
                    stars=stars or 0,
                    age=(today - listed).days,
                ),
            ),
        )
    order = ranking.rank(candidate for _, candidate in best.values())
    return [best[ranked.identifier][0] for ranked in order[:TRENDING_MOST]]


def _rises(first: date, *, now: datetime) -> dict[int, int]:
    """Votes gained in the last day by papers that were observed before it."""
    since = now - timedelta(days=1)
    lately = Observation.objects.filter(at__gt=since, at__lte=now, votes__isnull=False).order_by().values("paper")
    earlier = Observation.objects.filter(paper=OuterRef("pk"), at__lte=since, votes__isnull=False).order_by("-at")
    papers = Paper.objects.filter(pk__in=lately).annotate(then=Subquery(earlier.values("votes")[:1]))
    return {
        key: max(0, (votes or 0) - then)
        for key, votes, then in papers.values_list("pk", "votes", "then")
        if then is not None
    }


def known() -> QuerySet[Paper]:
    """Papers that readers may see: those that a source has listed."""
    return Paper.objects.filter(Exists(Listing.objects.filter(paper=OuterRef("pk"))))


def in_order(keys: Iterable[int]) -> list[Paper]:
    """The papers of these primary keys, in this order; one that is gone meanwhile is left out."""
    keys = list(keys)
    papers = Paper.objects.in_bulk(keys)
    return [papers[key] for key in keys if key in papers]


def paper(identifier: str) -> Paper | None:
    """A paper that readers may see."""
    return known().filter(identifier=identifier).first()
