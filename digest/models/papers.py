"""What is listed: sources, papers, and what was seen of them."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


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

    name = models.CharField(max_length=255, primary_key=True)
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
    changed_at = models.DateTimeField(db_default=Now(), help_text="When anything above changed last.")

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
