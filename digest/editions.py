"""One edition a day: built from the listings of the last days, curated, published."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Min, QuerySet

from digest import intake, ranking, stamps
from digest.models import Announce, Edition, Listing, Observation, Paper, Placement, Source
from digest.ranking import Candidate

#: Days before today that are still built when they were missed.
LOOK_BACK = 3
_PRECEDENCE = {Announce.NEW: 0, Announce.CROSS: 1, Announce.REPLACE: 2}


class NotToPublish(Exception):
    """An edition that must not go out; the message says why."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A paper as all sources together listed it: the best announce type, the first day in the window."""

    announce: Announce
    day: date


@transaction.atomic
def build(day: date, *, now: datetime, sample: bool = False) -> Edition | None:
    """Build or rebuild the draft of a day; what an editor did to it stays. Published editions are left as they are.

    Returns None where nothing new was listed: there is no empty edition. `sample` builds from invented papers only;
    such an edition gives way to a real one as long as nobody was sent it.
    """
    edition = Edition.objects.select_for_update().filter(date=day).first()
    if edition and edition.is_sample and not sample and not edition.deliveries.exists():
        edition.delete()
        edition = None
    if edition and edition.status == Edition.Status.PUBLISHED:
        return edition
    window = _window(day, sample=sample)
    listed = _listed(window)
    fresh = [key for key, what in listed.items() if what.announce != Announce.REPLACE]
    before = set(
        Placement.objects.filter(
            edition__date__lt=day, edition__status=Edition.Status.PUBLISHED, paper__in=window.values("paper")
        )
        .values_list("paper_id", flat=True)
        .distinct()
    )
    if not set(fresh) - before:
        return edition
    if edition is None:
        edition = Edition.objects.create(date=day, built_at=now, is_sample=sample)
    papers = {
        paper.pk: paper
        for paper in Paper.objects.filter(pk__in=window.values("paper"))
        if paper.pk not in before or _signals(paper)
    }
    rises = _rises(window, until=now)
    kept = {placement.paper_id: placement for placement in edition.placements.all()}
    order = ranking.rank(
        _candidate(paper, listed[paper.pk], day, rise=rises.get(paper.pk, 0), place=_place(kept.get(paper.pk)))
        for paper in papers.values()
    )
    _place_all(edition, order, {paper.identifier: paper for paper in papers.values()}, listed, kept)
    edition.built_at, edition.warnings = now, warnings(day)
    edition.save(update_fields=["built_at", "warnings"])
    stamps.bump("editions")
    return edition


def build_open(today: date, *, now: datetime) -> list[Edition]:
    """Build today's draft and those of the last days that are not published yet, oldest first."""
    days = [today - timedelta(days=back) for back in range(LOOK_BACK, -1, -1)]
    published = set(Edition.objects.published().filter(date__in=days).values_list("date", flat=True))
    return [edition for day in days if day not in published and (edition := build(day, now=now))]


@transaction.atomic
def publish(day: date, *, by: str, now: datetime) -> Edition:
    """Publish a day's edition; doing it again changes nothing. Raises NotToPublish."""
    edition = Edition.objects.select_for_update().filter(date=day).first()
    if edition is None:
        raise NotToPublish(f"There is no edition of {day}: nothing was listed, or it was not built.")
    if edition.status == Edition.Status.PUBLISHED:
        return edition
    if not edition.placements.filter(is_hidden=False).exists():
        raise NotToPublish(f"Every paper of {day} is hidden: an edition is never empty.")
    edition.status, edition.published_at, edition.published_by = Edition.Status.PUBLISHED, now, by
    edition.save(update_fields=["status", "published_at", "published_by"])
    stamps.bump("editions")
    return edition


def publish_due(today: date, *, now: datetime) -> list[Edition]:
    """Publish what the clock says: missed days at once, today's after its hour, unless a source is still awaited."""
    published = []
    drafts = Edition.objects.filter(status=Edition.Status.DRAFT, date__gte=today - timedelta(days=LOOK_BACK))
    for edition in drafts.filter(date__lte=today).order_by("date"):
        if edition.date == today and not _is_time(today, now=now):
            continue
        try:
            published.append(publish(edition.date, by="clock", now=now))
        except NotToPublish:
            continue  # an editor hid all of it; the page of the day says so
    return published


def _is_time(today: date, *, now: datetime) -> bool:
    zone = ZoneInfo(settings.DIGEST_TIME_ZONE)
    hour = datetime.combine(today, settings.DIGEST_PUBLISH_AT, zone)
    if now < hour:
        return False
    return now >= hour + timedelta(hours=settings.DIGEST_PUBLISH_GRACE_HOURS) or not late(today)


def late(day: date) -> list[Source]:
    """Sources that should have listed papers for a day and have not: stale, failing, or an arXiv without its list."""
    enabled = Source.objects.filter(is_enabled=True).order_by("pk")
    have = set(Listing.objects.filter(day=day).values_list("source_id", flat=True).distinct())
    troubled = {Source.State.STALE, Source.State.FAILING}
    return [
        source
        for source in enabled
        if source.pk not in have
        and (source.state in troubled or (source.kind == Source.Kind.ARXIV and intake.announces(day)))
    ]


def warnings(day: date) -> list[str]:
    """What readers of a day should know about its sources."""
    words = {Source.State.STALE: "still shows an older day", Source.State.FAILING: "could not be read"}
    return [
        f"{source.label} {words.get(Source.State(source.state), 'has not listed anything for this day yet')}."
        for source in late(day)
    ]


@transaction.atomic
def rerank(edition: Edition) -> None:
    """Number the placements anew after the editor's hand changed some."""
    placements = {row.paper.identifier: row for row in edition.placements.select_related("paper")}
    scored = [
        ranking.Scored(identifier, row.score, row.paper.votes or 0, row.place) for identifier, row in placements.items()
    ]
    for number, placed in enumerate(ranking.arrange(scored), start=1):
        placements[placed.identifier].rank = number
    Placement.objects.bulk_update(placements.values(), ["rank"], batch_size=500)
    stamps.bump("editions")


def _window(day: date, *, sample: bool) -> QuerySet[Listing]:
    """The listings that an edition looks at."""
    first = day - timedelta(days=settings.DIGEST_EDITION_DAYS - 1)
    return Listing.objects.filter(day__gte=first, day__lte=day, paper__is_sample=sample).order_by()


def _listed(window: QuerySet[Listing]) -> dict[int, Listed]:
    """Every paper of the window."""
    listed: dict[int, Listed] = {}
    for paper, announce, seen in window.values_list("paper_id", "announce", "day"):
        old = listed.get(paper)
        if old is None:
            listed[paper] = Listed(Announce(announce), seen)
        else:
            best = min(old.announce, Announce(announce), key=_PRECEDENCE.__getitem__)
            listed[paper] = Listed(best, min(old.day, seen))
    return listed


def _signals(paper: Paper) -> bool:
    """Whether readers elsewhere have noticed a paper, so that it may stand in a second edition."""
    return bool(paper.votes or paper.comments)


def _rises(window: QuerySet[Listing], *, until: datetime) -> dict[int, int]:
    """Votes gained in the day before a moment, for papers that were seen before that day or during it."""
    since = until - timedelta(days=1)
    seen = Observation.objects.filter(paper__in=window.values("paper"), at__lte=until, votes__isnull=False)
    latest = dict(seen.order_by().values_list("paper_id").annotate(Max("votes")))
    base = dict(seen.filter(at__lte=since).order_by().values_list("paper_id").annotate(Max("votes")))
    first = dict(seen.filter(at__gt=since).order_by().values_list("paper_id").annotate(Min("votes")))
    return {key: max(0, votes - base.get(key, first.get(key, votes))) for key, votes in latest.items()}


def _candidate(paper: Paper, listed: Listed, day: date, *, rise: int, place: int | None) -> Candidate:
    return Candidate(
        identifier=paper.identifier,
        announce=listed.announce,
        votes=paper.votes or 0,
        rise=rise,
        comments=paper.comments or 0,
        stars=paper.stars or 0,
        age=(day - listed.day).days,
        place=place,
    )


def _place(placement: Placement | None) -> int | None:
    return placement.place if placement else None


def _place_all(
    edition: Edition,
    order: list[ranking.Ranked],
    papers: dict[str, Paper],
    listed: dict[int, Listed],
    kept: dict[int, Placement],
) -> None:
    """Write the order as placements: new ones added, old ones moved, those without a listing any more removed."""
    new, moved = [], []
    for ranked in order:
        paper = papers[ranked.identifier]
        placement = kept.get(paper.pk)
        if placement is None:
            placement = Placement(edition=edition, paper=paper)
            new.append(placement)
        else:
            moved.append(placement)
        placement.rank, placement.score = ranked.rank, ranked.score
        placement.announce, placement.listed_date = listed[paper.pk].announce, listed[paper.pk].day
    Placement.objects.bulk_create(new, batch_size=500)
    Placement.objects.bulk_update(moved, ["rank", "score", "announce", "listed_date"], batch_size=500)
    placed = {placement.pk for placement in moved}
    gone = [row.pk for row in kept.values() if row.pk not in placed and not (row.place or row.is_hidden or row.note)]
    Placement.objects.filter(pk__in=gone).delete()
