"""What is read: sources, papers, editions, and the ledger of what was owed and sent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar

from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

from subscriptions.models import Subscriber


class Source(models.Model):
    """A place that lists papers, and how it has been doing."""

    class Kind(models.TextChoices):
        HUGGINGFACE = "huggingface", "Hugging Face daily papers"
        ARXIV = "arxiv", "arXiv category"
        FEED = "feed", "RSS or Atom feed"

    class State(models.TextChoices):
        NEW = "new", "not fetched yet"
        FINE = "fine"
        STALE = "stale", "stale: answers, but with an older day"
        FAILING = "failing"

    name = models.CharField(
        max_length=64,
        unique=True,
        validators=[
            RegexValidator(r"^[a-z0-9][a-zA-Z0-9.-]*$", "Letters, digits, dots and hyphens, as in source:NAME.")
        ],
        help_text="What source: in a topic calls it, such as arxiv.cs.CL.",
    )
    label = models.CharField(max_length=120, help_text="What readers see.")
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.FEED)
    url = models.URLField("address", max_length=500, blank=True, help_text="Of an RSS or Atom feed.")
    category = models.CharField(max_length=32, blank=True, help_text="Of an arXiv source, such as cs.CL.")
    is_enabled = models.BooleanField("enabled", default=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.NEW, editable=False)
    last_success_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_day = models.DateField(null=True, blank=True, editable=False, help_text="Newest day with papers.")
    last_error = models.CharField(max_length=500, blank=True, editable=False)
    last_error_at = models.DateTimeField(null=True, blank=True, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="In a row.")
    not_before_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="Left alone until then.")
    papers_count = models.PositiveIntegerField("papers", default=0, editable=False)
    listings_count = models.PositiveIntegerField("listings", default=0, editable=False)
    validators = models.JSONField(
        default=dict, blank=True, editable=False, help_text="ETag and Last-Modified by address."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(kind="feed", url=""),
                name="feed_has_address",
                violation_error_message="A feed needs the address of its RSS or Atom document.",
            ),
            models.CheckConstraint(
                condition=~Q(kind="arxiv", category=""),
                name="arxiv_has_category",
                violation_error_message="An arXiv source needs a category, such as cs.CL.",
            ),
        ]

    def __str__(self) -> str:
        return self.label


class Fetch(models.Model):
    """One attempt to read one day of one source."""

    class Outcome(models.TextChoices):
        READ = "read"
        UNCHANGED = "unchanged"
        EMPTY = "empty", "no list for this day"
        STALE = "stale"
        FAILED = "failed"

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="fetches")
    day = models.DateField()
    at = models.DateTimeField()
    outcome = models.CharField(max_length=16, choices=Outcome.choices)
    entries = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0, help_text="Entries that could not be read.")
    new_papers = models.PositiveIntegerField(default=0)
    new_listings = models.PositiveIntegerField(default=0)
    size = models.PositiveIntegerField(default=0, help_text="Bytes, decompressed.")
    message = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name_plural = "fetches"
        indexes = [models.Index(fields=["source", "day", "at"], name="fetch_by_day")]

    def __str__(self) -> str:
        return f"{self.source} for {self.day}: {self.outcome}"


class Pace(models.Model):
    """The shared limiter of one server's requests: whoever holds the lease asks, nobody before `free_at`."""

    name = models.CharField(max_length=32, primary_key=True)
    free_at = models.DateTimeField()
    holder = models.CharField(max_length=40, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class Paper(models.Model):
    """The work itself: one row per arXiv id without version, or per canonical URL where there is none."""

    class TextFrom(models.IntegerChoices):
        """Whose title and abstract are stored; a better one replaces a worse."""

        FEED = 1, "feed"
        HUGGINGFACE = 2, "Hugging Face"
        ARXIV = 3, "arXiv"

    identifier = models.CharField(max_length=64, unique=True, help_text="arXiv id without version, or web.…")
    version = models.PositiveSmallIntegerField(null=True, blank=True)
    url = models.URLField("address", max_length=500)
    title = models.CharField(max_length=500, help_text="Readable Unicode.")
    title_tex = models.CharField(max_length=1000, blank=True, help_text="As listed, TeX and all.")
    abstract = models.TextField(blank=True, help_text="Readable Unicode, blank lines between paragraphs.")
    abstract_tex = models.TextField(blank=True)
    text_from = models.PositiveSmallIntegerField(choices=TextFrom.choices)
    authors = models.JSONField(default=list, blank=True, help_text="A list of objects with name and hidden.")
    categories = models.JSONField(default=list, blank=True, help_text="The primary category first.")
    keywords = models.JSONField(default=list, blank=True)
    organization = models.JSONField(null=True, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    ai_summary = models.TextField("AI summary", blank=True)
    code_url = models.URLField("code", max_length=500, blank=True)
    project_url = models.URLField("project page", max_length=500, blank=True)
    thumbnail_url = models.URLField("thumbnail", max_length=500, blank=True)
    media_urls = models.JSONField(default=list, blank=True)
    doi = models.CharField("DOI", max_length=200, blank=True)
    journal_ref = models.CharField("journal reference", max_length=300, blank=True)
    license_url = models.URLField("licence", max_length=300, blank=True)
    discussion_id = models.CharField(max_length=64, blank=True)
    votes = models.PositiveIntegerField(null=True, blank=True)
    comments = models.PositiveIntegerField(null=True, blank=True)
    stars = models.PositiveIntegerField(null=True, blank=True)
    is_sample = models.BooleanField("invented", default=False)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.title

    @property
    def visible_authors(self) -> list[str]:
        return [author["name"] for author in self.authors if not author.get("hidden")]


class Announce(models.TextChoices):
    """How a source announced a paper, best first."""

    NEW = "new"
    CROSS = "cross", "cross-list"
    REPLACE = "replace", "new version"


class Listing(models.Model):
    """This source listed this paper on this day."""

    paper = models.ForeignKey(Paper, on_delete=models.CASCADE, related_name="listings")
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="listings")
    day = models.DateField(db_index=True)
    announce = models.CharField(max_length=8, choices=Announce.choices, default=Announce.NEW)
    submitter = models.JSONField(null=True, blank=True)
    first_seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["paper", "source", "day"], name="listed_once_a_day")]

    def __str__(self) -> str:
        return f"{self.paper_id} by {self.source_id} on {self.day}"


class Observation(models.Model):
    """What a paper's votes, comments and stars were when they were read; a row whenever one of them had changed."""

    paper = models.ForeignKey(Paper, on_delete=models.CASCADE, related_name="observations")
    at = models.DateTimeField()
    votes = models.PositiveIntegerField(null=True)
    comments = models.PositiveIntegerField(null=True)
    stars = models.PositiveIntegerField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["paper", "at"], name="observed_once_at_a_time")]

    def __str__(self) -> str:
        return f"{self.votes} votes at {self.at:%Y-%m-%d %H:%M}"


class EditionQuerySet(models.QuerySet["Edition"]):
    def published(self) -> EditionQuerySet:
        return self.filter(status="published")


class Edition(models.Model):
    """One day's ranked and curated papers."""

    class Status(models.TextChoices):
        DRAFT = "draft"
        PUBLISHED = "published"

    date = models.DateField(unique=True)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.DRAFT)
    intro = models.TextField("introduction", blank=True, help_text="Markdown, above the day and in every letter.")
    warnings = models.JSONField(default=list, blank=True, help_text="What readers should know, such as a late source.")
    is_sample = models.BooleanField("invented", default=False)
    built_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True, blank=True)
    published_by = models.CharField(max_length=150, blank=True, help_text="Who published it; “clock” is nobody.")

    objects: ClassVar[EditionQuerySet] = EditionQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(status="draft", published_at=None) | Q(status="published", published_at__isnull=False),
                name="published_editions_say_when",
            )
        ]

    def __str__(self) -> str:
        return f"{self.date}"


class Placement(models.Model):
    """A paper's place in an edition. What an editor did here survives rebuilding."""

    edition = models.ForeignKey(Edition, on_delete=models.CASCADE, related_name="placements")
    paper = models.ForeignKey(Paper, on_delete=models.CASCADE, related_name="placements")
    rank = models.PositiveIntegerField(editable=False, help_text="From 1, after the editor's hand.")
    score = models.FloatField(editable=False)
    announce = models.CharField(max_length=8, choices=Announce.choices, default=Announce.NEW, editable=False)
    listed_date = models.DateField(editable=False)
    place = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Pinned to this place: 1 is the first. Empty: ranked by score.",
    )
    is_hidden = models.BooleanField("hidden", default=False, help_text="Neither on the page nor in letters.")
    note = models.TextField(blank=True, help_text="Markdown, shown with the paper on the page and in letters.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["edition", "paper"], name="placed_once_in_an_edition")]
        indexes = [models.Index(fields=["edition", "rank"], name="placement_order")]

    def __str__(self) -> str:
        return f"{self.rank}. {self.paper}"


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def due(self, now: datetime) -> DeliveryQuerySet:
        """Waiting to be sent, and not before their time."""
        return self.filter(status__in=["queued", "deferred"], next_try_at__lte=now)

    def expired(self, now: datetime) -> DeliveryQuerySet:
        """Held by a worker whose lease has run out."""
        return self.filter(status__in=["claimed", "sending"], lease_until__lte=now)

    def waiting(self) -> DeliveryQuerySet:
        return self.filter(status__in=["queued", "claimed", "sending", "deferred"])


class Delivery(models.Model):
    """One digest owed to one subscriber: the outbox row first, the ledger ever after."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        CLAIMED = "claimed", "claimed by a worker"
        SENDING = "sending", "being handed over"
        SENT = "sent"
        DEFERRED = "deferred", "deferred: next try later"
        FAILED = "failed"
        UNCERTAIN = "uncertain", "uncertain: handed over, no answer"
        EXCLUDED = "excluded"

    subscriber = models.ForeignKey(Subscriber, on_delete=models.SET_NULL, null=True, related_name="deliveries")
    day = models.DateField(help_text="The subscriber's own date.")
    edition = models.ForeignKey(Edition, on_delete=models.PROTECT, related_name="deliveries")
    key = models.CharField(max_length=32, unique=True, help_text="Opaque; names the message on every attempt.")
    email = models.EmailField("address", max_length=254)
    sections = models.JSONField(default=list, help_text="The digest: a list of [label, query, [paper, …]].")
    papers_count = models.PositiveSmallIntegerField("papers", default=0)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    reason = models.CharField(max_length=500, blank=True)
    due_at = models.DateTimeField()
    next_try_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_by = models.CharField(max_length=40, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    transport = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[DeliveryQuerySet] = DeliveryQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["subscriber", "day"], name="owed_once_a_day"),
            models.UniqueConstraint(fields=["subscriber", "edition"], name="owed_once_an_edition"),
            models.CheckConstraint(
                condition=Q(
                    status__in=[
                        "queued", "claimed", "sending", "sent", "deferred", "failed", "uncertain", "excluded",
                    ]
                ),
                name="delivery_status_is_known",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["claimed", "sending"]) | Q(lease_until__isnull=False),
                name="held_deliveries_have_a_lease",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["failed", "excluded", "uncertain", "deferred"]) | ~Q(reason=""),
                name="trouble_has_a_reason",
            ),
        ]  # fmt: skip
        indexes = [
            models.Index(
                fields=["next_try_at", "id"], name="delivery_due", condition=Q(status__in=["queued", "deferred"])
            ),
            models.Index(fields=["lease_until"], name="delivery_held", condition=Q(status__in=["claimed", "sending"])),
            models.Index(fields=["edition", "status"], name="delivery_counts"),
        ]

    def __str__(self) -> str:
        return f"{self.email} {self.day}"


class DeliveryEvent(models.Model):
    """What the mail service said of a delivery afterwards, or what a person did with it."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=32)
    at = models.DateTimeField()
    service = models.CharField(max_length=32)
    event_id = models.CharField(max_length=200)
    detail = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["service", "event_id"], name="event_heard_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M}"


class ReadershipQuerySet(models.QuerySet["Readership"]):
    def of(self, papers: Iterable[int]) -> ReadershipQuerySet:
        return self.filter(paper__in=papers)


class Readership(models.Model):
    """The subscribers to whom a paper was given in one run, packed; the reason why nobody gets a paper twice.

    One row for a paper and a run, never one for a paper and a subscriber. `subscribers` is uint32, little-endian.
    """

    paper = models.ForeignKey(Paper, on_delete=models.CASCADE, related_name="readerships")
    day = models.DateField()
    subscribers = models.BinaryField()

    objects: ClassVar[ReadershipQuerySet] = ReadershipQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"{len(self.subscribers) // 4} readers of {self.paper_id}"
