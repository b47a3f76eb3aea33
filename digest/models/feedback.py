"""What readers said of papers."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from digest.models.papers import Paper
from subscriptions.models import Subscriber


class FeedbackQuerySet(models.QuerySet["Feedback"]):
    def opinions(self) -> FeedbackQuerySet:
        """What a taste is learned from."""
        return self.filter(kind__in=["more", "less"])


class Feedback(models.Model):
    """One reader's word on one paper. It tunes the order of that reader's letters and hides nothing."""

    class Kind(models.TextChoices):
        MORE = "more", _("more like this")
        LESS = "less", _("less like this")
        SAVED = "saved", _("Saved")

    subscriber = models.ForeignKey(Subscriber, on_delete=models.CASCADE, related_name="feedback")
    paper = models.ForeignKey(Paper, on_delete=models.CASCADE, related_name="feedback")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    at = models.DateTimeField()

    objects: ClassVar[FeedbackQuerySet] = FeedbackQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name_plural = "feedback"
        constraints = [
            models.UniqueConstraint(fields=["subscriber", "paper", "kind"], name="said_once_of_a_paper"),
            models.CheckConstraint(
                condition=models.Q(kind__in=["more", "less", "saved"]), name="feedback_kind_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.paper_id}"
