"""Papers' pictures: fetched from where they are named, made small, kept, and served by us.

An attempt is written down as a failure before it is made, so that a picture that takes the worker down with it is
given up like any other, and two workers never fetch one.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db.models import F, Min, Q, QuerySet

from digest import intake, pictures, stamps
from digest.fetching import Fetcher, FetchError, Limits
from digest.models import Announce, Paper, Placement, Thumbnail
from digest.pace import Time

#: Days of editions whose papers get a picture.
DAYS = 14
#: Pictures of one run at most, and the time after which it begins no more.
MOST = 60
PATIENCE = timedelta(minutes=3)
PAUSE_SECONDS = 0.25
#: How long a picture is left alone after so many failures; after the last it is given up.
WAITS = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=3))
LIMITS = Limits(connect_seconds=5, read_seconds=10, total_seconds=20, body_bytes=5 * 2**20, hops=3)
TYPES = frozenset(("image/png", "image/jpeg", "image/webp", "image/gif"))


def fetcher() -> Fetcher:
    """A client that reaches the public network alone: strangers name the addresses."""
    return Fetcher(user_agent=intake.user_agent(), limits=LIMITS)


def fetch_due(today: date, *, time: Time, client: Fetcher | None = None) -> int:
    """Fetch the pictures that papers of recent editions lack, one after the other; return how many were stored."""
    if not settings.DIGEST_THUMBNAILS:
        return 0
    begun, stored = time.now(), 0
    try:
        with client or fetcher() as web:
            for paper, url in list(_due(today, now=begun).values_list("pk", "thumbnail_url")[:MOST]):
                if time.now() - begun > PATIENCE:
                    break
                if _claim(paper, url, now=time.now()):
                    stored += _fetch(paper, url, web, now=time.now())
                    time.sleep(PAUSE_SECONDS)
    finally:
        if stored:
            stamps.bump("editions")
    return stored


def _due(today: date, *, now: datetime) -> QuerySet[Paper]:
    """Papers of recent editions, the newest first, whose picture was never asked for, has moved, or is tried again."""
    shown = Placement.objects.filter(
        edition__date__gt=today - timedelta(days=DAYS), edition__date__lte=today, is_hidden=False
    ).exclude(announce=Announce.REPLACE)
    again = Q(thumbnail__failures__gt=0, thumbnail__failures__lte=len(WAITS), thumbnail__not_before_at__lte=now)
    moved = ~Q(thumbnail__source_url=F("thumbnail_url"))
    return (
        Paper.objects.filter(Q(thumbnail=None) | moved | again, pk__in=shown.values("paper"))
        .exclude(thumbnail_url="")
        .annotate(rank=Min("placements__rank"))
        .order_by("-created_at", "rank", "pk")
    )


def _claim(paper: int, url: str, *, now: datetime) -> bool:
    """Write an attempt down; only one worker can, and the picture is left alone for as long as a failure asks."""
    Thumbnail.objects.bulk_create([Thumbnail(paper_id=paper, image=b"")], ignore_conflicts=True)
    was = Thumbnail.objects.filter(pk=paper).values("source_url", "failures", "not_before_at").get()
    failures = was["failures"] + 1 if was["source_url"] == url else 1
    until = now + WAITS[min(failures, len(WAITS)) - 1]
    rows = Thumbnail.objects.filter(pk=paper, **was)
    return bool(rows.update(source_url=url, failures=failures, not_before_at=until))


def _fetch(paper: int, url: str, web: Fetcher, *, now: datetime) -> bool:
    try:
        answer = web.get(url, accept=", ".join(sorted(TYPES)))
        if answer.content_type.partition(";")[0].strip().lower() not in TYPES:
            return False
        picture = pictures.small(answer.body)
    except (FetchError, pictures.NotAPicture):
        return False  # told by the row: it has a failure more and no picture
    rows = Thumbnail.objects.filter(pk=paper, source_url=url)
    return bool(
        rows.update(
            image=picture.image,
            width=picture.width,
            height=picture.height,
            version=picture.version,
            fetched_at=now,
            failures=0,
            not_before_at=None,
        )
    )


# For pages


def shown() -> QuerySet[Thumbnail]:
    """The pictures that pages may show: a paper that names none any more has none."""
    rows = Thumbnail.objects.exclude(version="").exclude(paper__thumbnail_url="")
    return rows if settings.DIGEST_THUMBNAILS else rows.none()


def sizes(papers: Iterable[int]) -> dict[int, tuple[int, int, str]]:
    """Width, height and version of the pictures of papers, by primary key; papers without one are left out.

    One query, which does not read the pictures. The version belongs into the picture's address.
    """
    rows = shown().filter(pk__in=list(papers)).values_list("pk", "width", "height", "version")
    return {paper: (width, height, version) for paper, width, height, version in rows}
