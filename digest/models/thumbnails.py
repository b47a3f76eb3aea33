"""Papers' pictures, kept here so that no reader's browser asks anybody else for them."""

from __future__ import annotations

from django.db import models

from digest.models.papers import Paper


class Thumbnail(models.Model):
    """A paper's picture as we serve it, and how fetching it went."""

    paper = models.OneToOneField(Paper, on_delete=models.CASCADE, primary_key=True, related_name="thumbnail")
    image = models.BinaryField(help_text="WebP; empty until there is one.")
    width = models.PositiveSmallIntegerField(default=0)
    height = models.PositiveSmallIntegerField(default=0)
    version = models.CharField(max_length=16, blank=True, help_text="Changes with the image.")
    source_url = models.URLField("address", max_length=500, blank=True, help_text="Asked last.")
    fetched_at = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveSmallIntegerField(default=0, help_text="Attempts since the last that went well.")
    not_before_at = models.DateTimeField(null=True, blank=True, help_text="Left alone until then.")

    def __str__(self) -> str:
        return f"{self.paper_id}"
