"""What makes papers findable, and what tells copies of anything that they are old."""

from __future__ import annotations

from django.db import models

from digest.models.papers import Paper


class Analysis(models.Model):
    """A paper's text read once: its words as search finds them, and its meaning as a vector."""

    paper = models.OneToOneField(Paper, on_delete=models.CASCADE, primary_key=True, related_name="analysis")
    text_hash = models.CharField(max_length=32, help_text="Of the text that was read, and of the way of reading it.")
    words = models.BinaryField(help_text="As digest.analysis packs them.")
    model = models.CharField(max_length=64, blank=True, help_text="What made the vector; empty: nothing did.")
    vector = models.BinaryField(help_text="int8, as subscriptions.query.meaning describes it.")

    class Meta:
        verbose_name_plural = "analyses"

    def __str__(self) -> str:
        return f"{self.paper_id}"


class Stamp(models.Model):
    """How often something has changed. Whoever keeps a copy compares."""

    name = models.CharField(max_length=16, primary_key=True)
    value = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} {self.value}"
