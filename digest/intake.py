"""Reading a day's listings from every source: ask, parse, record, and remember how it went."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DataError
from django.db.models import F, Q, QuerySet

from digest import analysis, pace, papers
from digest.fetching import Answer, Fetcher, FetchError
from digest.models import Fetch, Listing, Paper, Source
from digest.sources import arxiv, feed, huggingface
from digest.sources.entry import Entry, Parsed, SourceError

ARXIV_PAUSE = timedelta(seconds=3)
#: After arXiv's first 429 nothing of it is asked for this long, whatever its Retry-After says.
ARXIV_REST = timedelta(minutes=10)
#: Pages of a Hugging Face list that are asked for at most; a busy day has two.
PAGES = 20
#: A source at work is left alone by others for this long.
CLAIM = timedelta(minutes=5)
BACKOFF = (5, 10, 20, 40, 80, 160, 320)
VALIDATORS_KEPT = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What was read of one source for one day."""

    outcome: Fetch.Outcome
    entries: tuple[Entry, ...] = ()
    skipped: tuple[str, ...] = ()
    size: int = 0
    message: str = ""


Report = Callable[[Fetch], None]
#: A day to read, and how.
Step = tuple[date, Callable[[date], Day]]


def prepare_sources() -> None:
    """Have a row for Hugging Face and for each category in the settings; what an admin changed stays."""
    known = set(Source.objects.values_list("name", flat=True))
    wanted = {"huggingface": Source(name="huggingface", label="Hugging Face", kind=Source.Kind.HUGGINGFACE)}
    for category in settings.DIGEST_ARXIV_CATEGORIES:
        name = f"arxiv.{category}"
        wanted[name] = Source(name=name, label=f"arXiv {category}", kind=Source.Kind.ARXIV, category=category)
    new = [source for name, source in wanted.items() if name not in known]
    Source.objects.bulk_create(new, ignore_conflicts=True)


def enabled() -> QuerySet[Source]:
    return Source.objects.filter(is_enabled=True).order_by("-kind", "pk")


def holidays() -> frozenset[date]:
    return frozenset(settings.DIGEST_ARXIV_HOLIDAYS) or arxiv.HOLIDAYS


def announces(day: date) -> bool:
    """Whether arXiv announces papers on a day, as far as its calendar is known."""
    return arxiv.announces(day, holidays())


def fetcher() -> Fetcher:
    """A client that may reach the public network, and the endpoints the operator named wherever they are."""
    named = (settings.DIGEST_HF_ENDPOINT, settings.DIGEST_ARXIV_FEED_URL, settings.DIGEST_ARXIV_QUERY_URL)
    return Fetcher(user_agent=user_agent(), allow=frozenset(map(_endpoint, named)))


def user_agent() -> str:
    """Who asks, and how to reach them."""
    return f"Paperboy/1.0 (daily papers; {settings.DIGEST_CONTACT or settings.DIGEST_BASE_URL})"


def _endpoint(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def fetch(
    day: date, *, today: date, time: pace.Time, sources: Iterable[Source], force: bool = False,
    report: Report = lambda fetch: None,
) -> list[Fetch]:  # fmt: skip
    """Read the listings of `day` from each source; one that fails stops none of the others.

    `today` says whether feeds that know only the present day can tell of `day`. `force` asks even sources that are
    to be left alone for a while.
    """
    done = []
    with fetcher() as client:
        for source in sources:
            if not _claim(source, now=time.now(), force=force):
                continue
            reader = _Reader(source, client, time)
            for row in reader.read(day, today=today):
                report(row)
                done.append(row)
    return done


def _claim(source: Source, *, now: datetime, force: bool) -> bool:
    """Only one fetches from a source at a time: whoever changes the row."""
    free = Source.objects.filter(pk=source.pk)
    if not force:
        free = free.filter(Q(not_before_at=None) | Q(not_before_at__lte=now))
    return bool(free.update(not_before_at=now + CLAIM))


class _Reader:
    """One source being read in one run."""

    def __init__(self, source: Source, client: Fetcher, time: pace.Time) -> None:
        self.source, self.client, self.time = source, client, time
        self.validators: dict[str, list[str]] = dict(source.validators)
        self.moved_to = ""

    def read(self, day: date, *, today: date) -> list[Fetch]:
        rows: list[Fetch] = []
        down: list[Callable[[date], Day]] = []
        for which, ask in self._plan(day, today=today):
            if ask in down:
                continue
            rows.append(self._day(which, ask))
            if [row.outcome for row in rows[-2:]] == [Fetch.Outcome.FAILED] * 2:
                down.append(ask)  # the other days would only take as long to fail; arXiv's feed may still answer
        self._settle(rows)
        return rows

    # What to ask ----------------------------------------------------------------------------------------------------

    def _plan(self, day: date, *, today: date) -> list[Step]:
        """The days to read, oldest first, and how."""
        match self.source.kind:
            case Source.Kind.HUGGINGFACE:
                back = range(settings.DIGEST_REFRESH_DAYS - 1, -1, -1)
                return [(day - timedelta(days=count), self._huggingface) for count in back]
            case Source.Kind.ARXIV:
                missed: list[Step] = [(old, self._arxiv_missed) for old in self._missed(day, today=today)]
                return [*missed, (day, self._arxiv)] if day == today else missed
            case _:
                return [(day, self._feed)] if day == today else []

    def _missed(self, day: date, *, today: date) -> list[date]:
        """Days arXiv announced papers on that were never read, since this source was first read; asked once a day."""
        fetches = Fetch.objects.filter(source=self.source)
        first = fetches.filter(outcome=Fetch.Outcome.READ).order_by("day").values_list("day", flat=True).first()
        span = [day - timedelta(days=back) for back in range(settings.DIGEST_EDITION_DAYS, 0, -1)]
        span = [old for old in span if first is not None and old > first]
        if day != today:
            span = [day]
        now = self.time.now()
        asked = set(fetches.filter(day__in=span, at__gt=now - timedelta(hours=20), message__startswith="asked again")
                    .values_list("day", flat=True))  # fmt: skip
        have = set(Listing.objects.filter(source=self.source, day__in=span).values_list("day", flat=True).distinct())
        return [old for old in span if announces(old) and old not in have | asked]

    # How to ask -----------------------------------------------------------------------------------------------------

    def _huggingface(self, day: date) -> Day:
        entries: list[Entry] = []
        skipped: list[str] = []
        size = 0
        for page in range(PAGES):
            try:
                answer = self._get(huggingface.url(settings.DIGEST_HF_ENDPOINT, day, page), conditional=page == 0)
            except FetchError as error:
                if error.status in {400, 404} and page == 0:
                    return Day(outcome=Fetch.Outcome.EMPTY, message="no list yet")
                raise
            if answer.status == 304:
                return Day(outcome=Fetch.Outcome.UNCHANGED)
            parsed = huggingface.parse(answer.body, endpoint=settings.DIGEST_HF_ENDPOINT)
            size += len(answer.body)
            entries += parsed.entries
            skipped += parsed.skipped
            if parsed.total < huggingface.PAGE_SIZE:
                break
        outcome = Fetch.Outcome.READ if entries or skipped else Fetch.Outcome.EMPTY
        return Day(outcome=outcome, entries=tuple(entries), skipped=tuple(skipped), size=size)

    def _arxiv(self, day: date) -> Day:
        with pace.turn("arxiv", ARXIV_PAUSE, self.time):
            answer = self._get(arxiv.feed_url(settings.DIGEST_ARXIV_FEED_URL, self.source.category))
        if answer.status == 304:
            return self._arxiv_unchanged(day)
        parsed = arxiv.parse_feed(answer.body)
        if parsed.entries and announces(day) and all(entry.day and entry.day < day for entry in parsed.entries):
            newest = max(entry.day for entry in parsed.entries if entry.day)
            message = f"still the list of {newest}"
            return _day(parsed, answer, outcome=Fetch.Outcome.STALE, message=message)
        return _day(parsed, answer, empty="nothing announced" if not announces(day) else "nothing announced yet")

    def _arxiv_unchanged(self, day: date) -> Day:
        """Unchanged since the day's list was read is fine; unchanged since an older day is stale."""
        if not announces(day) or Listing.objects.filter(source=self.source, day=day).exists():
            return Day(outcome=Fetch.Outcome.UNCHANGED)
        return Day(outcome=Fetch.Outcome.STALE, message=f"still the list of {self.source.last_day or 'an older day'}")

    def _arxiv_missed(self, day: date) -> Day:
        with pace.turn("arxiv", ARXIV_PAUSE, self.time):
            base, category = settings.DIGEST_ARXIV_QUERY_URL, self.source.category
            url = arxiv.backfill_url(base, category, day, holidays=holidays())
            answer = self._get(url, conditional=False)
        parsed = arxiv.parse_query(answer.body, day=day, category=self.source.category)
        return _day(parsed, answer, message="asked again for a missed day", empty="asked again for a missed day")

    def _feed(self, day: date) -> Day:
        answer = self._get(self.source.url)
        self.moved_to = answer.moved_to
        if answer.status == 304:
            return Day(outcome=Fetch.Outcome.UNCHANGED)
        return _day(feed.parse(answer.body, base_url=answer.url), answer, empty="the feed has no entries")

    def _get(self, url: str, *, conditional: bool = True) -> Answer:
        etag, modified = self.validators.get(url, ["", ""]) if conditional else ("", "")
        answer = self.client.get(url, etag=etag, modified=modified)
        if conditional and (answer.etag or answer.modified):
            self.validators.pop(url, None)
            self.validators[url] = [answer.etag, answer.modified]
        return answer

    # What came of it ------------------------------------------------------------------------------------------------

    def _day(self, day: date, ask: Callable[[date], Day]) -> Fetch:
        row = Fetch(source=self.source, day=day, at=self.time.now())
        before = dict(self.validators)
        try:
            read = ask(day)
            recorded = papers.record(self.source, day, read.entries, now=row.at)
            analysis.refresh(Paper.objects.filter(listings__source=self.source, listings__day=day).distinct())
        except (FetchError, SourceError, pace.NoTurn, DataError) as error:
            # The next request must not be answered "unchanged" about something that could not be used.
            self.validators = before
            row.outcome, row.message = Fetch.Outcome.FAILED, str(error)[:500]
            self._back_off(error, now=row.at)
        else:
            row.outcome, row.entries, row.skipped, row.size = (
                read.outcome,
                len(read.entries),
                len(read.skipped),
                read.size,
            )
            row.new_papers, row.new_listings = recorded.new_papers, recorded.new_listings
            row.message = "; ".join(filter(None, [read.message, *read.skipped[:5]]))[:500]
        row.save()
        return row

    def _back_off(self, error: Exception, *, now: datetime) -> None:
        waits = BACKOFF[min(self.source.failures, len(BACKOFF) - 1)] * 60.0
        if isinstance(error, FetchError):
            waits = max(waits, error.retry_after or 0) if error.status != 429 else (error.retry_after or waits)
            if error.status == 429 and self.source.kind == Source.Kind.ARXIV:
                pace.rest("arxiv", now + ARXIV_REST)
            if error.status == 410:
                self.source.is_enabled = False
        self.source.not_before_at = now + timedelta(seconds=min(waits, 6 * 3600))

    def _settle(self, rows: list[Fetch]) -> None:
        """Write down how the source is doing. The last day decides; a failure anywhere counts."""
        source, failed = self.source, [row for row in rows if row.outcome == Fetch.Outcome.FAILED]
        if failed:
            source.state, source.failures = Source.State.FAILING, source.failures + 1
            source.last_error, source.last_error_at = failed[-1].message, failed[-1].at
        else:
            source.not_before_at = None
            if rows:
                stale = rows[-1].outcome == Fetch.Outcome.STALE
                source.state, source.failures = (Source.State.STALE if stale else Source.State.FINE), 0
                source.last_success_at = rows[-1].at
        listed = [row.day for row in rows if row.new_listings]
        source.last_day = max([*listed, *([source.last_day] if source.last_day else [])], default=None)
        kept = list(self.validators.items())[-VALIDATORS_KEPT:]
        source.validators = dict(kept)
        self._move()
        source.save(
            update_fields=["state", "failures", "last_error", "last_error_at", "not_before_at", "last_success_at",
                           "last_day", "validators", "is_enabled", "url"]
        )  # fmt: skip
        Source.objects.filter(pk=source.pk).update(
            papers_count=F("papers_count") + sum(row.new_papers for row in rows),
            listings_count=F("listings_count") + sum(row.new_listings for row in rows),
        )

    def _move(self) -> None:
        """A feed that says twice in a row that it has moved for good is asked at its new address."""
        moves = self.source.validators.pop("moved to", None)
        if not self.moved_to or len(self.moved_to) > 500:
            return
        if moves == [self.moved_to, ""]:
            self.source.url = self.moved_to
        else:
            self.source.validators["moved to"] = [self.moved_to, ""]


def _day(
    parsed: Parsed, answer: Answer, *, outcome: Fetch.Outcome | None = None, message: str = "", empty: str = ""
) -> Day:
    if parsed.total == 0:
        return Day(outcome=Fetch.Outcome.EMPTY, message=empty, size=len(answer.body))
    return Day(
        outcome=outcome or Fetch.Outcome.READ,
        entries=parsed.entries,
        skipped=parsed.skipped,
        size=len(answer.body),
        message=message,
    )
