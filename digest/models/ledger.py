"""What is owed and what became of it: runs, batches, deliveries, and what is heard of them afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q

from digest.models.editions import Edition
from digest.models.papers import Paper
from subscriptions.models import Subscriber


class Run(models.Model):
    """The letters of one edition, and whether they may leave."""

    class State(models.TextChoices):
        GOING = "going"
        PAUSED = "paused"
        STOPPED = "stopped", "stopped: we were refused"
        CANCELLED = "cancelled"

    edition = models.OneToOneField(Edition, on_delete=models.PROTECT, related_name="run")
    state = models.CharField(max_length=16, choices=State.choices, default=State.GOING)
    reason = models.CharField(max_length=500, blank=True)
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=150, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True, help_text="When a worker last took some of them.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["going", "paused", "stopped", "cancelled"]), name="run_state_is_known"
            )
        ]

    def __str__(self) -> str:
        return f"letters of {self.edition}"


class BatchQuerySet(models.QuerySet["Batch"]):
    def due(self, now: datetime) -> BatchQuerySet:
        """Free to be claimed: a letter of theirs may be sent now, and nobody holds them."""
        return self.filter(claimed_by="", next_try_at__lte=now, run__state="going")

    def held(self) -> BatchQuerySet:
        return self.exclude(claimed_by="")


class Batch(models.Model):
    """Deliveries that were queued together. Workers claim whole batches: one lease for all letters of one."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="batches")
    size = models.PositiveIntegerField(help_text="Deliveries written, for the reckoning ever after.")
    next_try_at = models.DateTimeField(null=True, help_text="When the next of them may be sent; empty: none waits.")
    claimed_by = models.CharField(max_length=40, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()

    objects: ClassVar[BatchQuerySet] = BatchQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name_plural = "batches"
        constraints = [
            models.CheckConstraint(
                condition=Q(claimed_by="") | Q(lease_until__isnull=False), name="claims_have_a_lease"
            )
        ]
        indexes = [
            models.Index(
                fields=["next_try_at", "id"],
                name="batch_due",
                condition=Q(claimed_by="", next_try_at__isnull=False),
            ),
            models.Index(fields=["lease_until"], name="batch_held", condition=~Q(claimed_by="")),
        ]

    def __str__(self) -> str:
        return f"{self.size} letters of run {self.run_id}"


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def waiting(self) -> DeliveryQuerySet:
        """Owed and not begun; `next_try_at` says from when on."""
        return self.filter(status__in=["queued", "deferred"])


class Delivery(models.Model):
    """One digest owed to one subscriber: the outbox row first, the ledger ever after.

    No column that changes is in an index, so that settling a row costs PostgreSQL no index work; what is due is found
    through the batch.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        SENDING = "sending", "being handed over"
        SENT = "sent"
        DEFERRED = "deferred", "deferred: next try later"
        FAILED = "failed"
        UNCERTAIN = "uncertain", "uncertain: handed over, no answer"
        EXCLUDED = "excluded"

    subscriber = models.ForeignKey(
        Subscriber, on_delete=models.SET_NULL, null=True, related_name="deliveries", db_index=False
    )
    day = models.DateField(help_text="The subscriber's own date.")
    edition = models.ForeignKey(Edition, on_delete=models.PROTECT, related_name="deliveries")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="deliveries")
    email = models.EmailField("address", max_length=254)
    sections = models.JSONField(default=list, help_text="The digest: a list of [label, query, [paper, …]].")
    papers_count = models.PositiveSmallIntegerField("papers", default=0)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    reason = models.CharField(max_length=500, blank=True)
    due_at = models.DateTimeField()
    next_try_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    transport = models.CharField(max_length=64, blank=True)
    reference = models.CharField(max_length=200, blank=True, help_text="The mail service's own name of the message.")
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
                    status__in=["queued", "sending", "sent", "deferred", "failed", "uncertain", "excluded"]
                ),
                name="delivery_status_is_known",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["failed", "excluded", "uncertain", "deferred"]) | ~Q(reason=""),
                name="trouble_has_a_reason",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.email} {self.day}"


class Carriage(models.Model):
    """How a way of sending has been doing, for all workers together."""

    name = models.CharField(max_length=64, primary_key=True)
    failures = models.PositiveIntegerField(default=0, help_text="Times in a row that it was down.")
    refusals = models.PositiveIntegerField(default=0, help_text="Times in a row that it refused us.")
    rest_until = models.DateTimeField(null=True, blank=True, help_text="Left alone until then.")
    reason = models.CharField(max_length=500, blank=True)

    def __str__(self) -> str:
        return self.name


class Alarm(models.Model):
    """Something a person should look at; open until it is over or somebody clears it."""

    name = models.CharField(max_length=100, help_text="What it is about; one open alarm of a name.")
    text = models.CharField(max_length=1000)
    raised_at = models.DateTimeField()
    last_at = models.DateTimeField()
    cleared_at = models.DateTimeField(null=True, blank=True)
    cleared_by = models.CharField(max_length=150, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name"], name="one_open_alarm_of_a_name", condition=Q(cleared_at=None))
        ]

    def __str__(self) -> str:
        return self.text


class DeliveryEvent(models.Model):
    """What the mail service said of a delivery afterwards, or what a person did with it. Heard now, acted upon soon."""

    class Kind(models.TextChoices):
        DELIVERED = "delivered"
        DELAYED = "delayed"
        HARD = "hard", "bounced for good"
        SOFT = "soft", "bounced for now"
        POLICY = "policy", "refused because of us"
        COMPLAINT = "complaint", "called spam"
        UNSUBSCRIBED = "unsubscribed"
        AUTO_REPLY = "auto-reply", "automatic reply"
        BY_HAND = "by hand"
        OTHER = "other"

    class Verdict(models.TextChoices):
        WAITING = "waiting"
        APPLIED = "applied"
        IGNORED = "ignored"
        QUARANTINED = "quarantined", "quarantined: too many at once"
        APPROVED = "approved", "approved by a person"

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=32, choices=Kind.choices)
    at = models.DateTimeField()
    service = models.CharField(max_length=32)
    event_id = models.CharField(max_length=200)
    email = models.EmailField("address", max_length=254, blank=True, default="", help_text="Of whom it was said.")
    detail = models.CharField(max_length=500, blank=True)
    verdict = models.CharField(max_length=16, choices=Verdict.choices, default=Verdict.WAITING)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["service", "event_id"], name="event_heard_once")]
        indexes = [
            models.Index(
                fields=["id"], name="event_waiting", condition=Q(verdict__in=["waiting", "quarantined", "approved"])
            ),
            models.Index(fields=["at", "kind"], name="event_flood"),
        ]

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
