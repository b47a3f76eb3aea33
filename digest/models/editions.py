"""What is published: a day's papers in the order and with the words of its editor."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from digest.models.papers import Announce, Paper


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
