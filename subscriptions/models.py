"""Who reads: addresses, their consent, and their topics."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from subscriptions.query import QueryError, parse

EVERY_DAY = 0b1111111
MOST_TOPICS = 100


def validate_query(text: str) -> None:
    try:
        parse(text)
    except QueryError as error:
        hint = f" Try: {error.suggestion}" if error.suggestion else ""
        raise ValidationError(f"At character {error.position + 1}: {error.message}{hint}") from error


class SubscriberQuerySet(models.QuerySet["Subscriber"]):
    def readable(self, today: date) -> SubscriberQuerySet:
        """Those who may be sent a digest today: confirmed, and not on a pause that lasts beyond today."""
        return self.filter(Q(status="active") | Q(status="paused", paused_until__lte=today))


class Subscriber(models.Model):
    """An address and its consent."""

    class Status(models.TextChoices):
        PENDING = "pending", "pending confirmation"
        ACTIVE = "active"
        PAUSED = "paused"
        UNSUBSCRIBED = "unsubscribed"
        SUPPRESSED = "suppressed"

    class Cadence(models.TextChoices):
        DAILY = "daily", _("every day")
        WEEKDAYS = "weekdays", _("Monday to Friday")
        CHOSEN = "chosen", _("on chosen days")
        WEEKLY = "weekly", _("once a week")
        MONTHLY = "monthly", _("once a month")

    class Format(models.TextChoices):
        HTML = "html", _("HTML with text")
        TEXT = "text", _("plain text only")

    email = models.EmailField("address", max_length=254, help_text="As typed at sign-up.")
    mailbox = models.CharField(
        max_length=254,
        db_index=True,
        help_text="The address without +tag and Gmail's dots: what limits on mail to one mailbox count by.",
    )
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.PENDING)
    status_reason = models.CharField(max_length=200, blank=True)
    status_changed_at = models.DateTimeField()
    created_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    paused_until = models.DateField(null=True, blank=True, help_text="Letters start again on this day.")

    cadence = models.CharField(max_length=16, choices=Cadence.choices, default=Cadence.DAILY)
    send_days = models.PositiveSmallIntegerField(
        default=EVERY_DAY,
        validators=[MinValueValidator(1), MaxValueValidator(EVERY_DAY)],
        help_text="Bit 0 is Monday. Chosen days are all that are set; weekly is the first of them.",
    )
    send_hour = models.PositiveSmallIntegerField(
        "hour", default=7, validators=[MaxValueValidator(23)], help_text="Local hour from which the letter is due."
    )
    time_zone = models.CharField(max_length=64, default="UTC")
    max_papers = models.PositiveSmallIntegerField(
        "papers at most", default=20, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    min_votes = models.PositiveIntegerField(
        "votes at least", default=0, db_default=0, help_text="Papers with fewer stand in no topic of the letter."
    )
    wants_trending = models.BooleanField("trending papers as a last section", default=True)
    wants_cross_lists = models.BooleanField("cross-listed papers", default=True)
    wants_replacements = models.BooleanField("new versions of older papers", default=False)
    wants_empty = models.BooleanField("a letter even when nothing matches", default=False)
    format = models.CharField(max_length=8, choices=Format.choices, default=Format.HTML)
    language = models.CharField(max_length=8, default="en")

    objects: ClassVar[SubscriberQuerySet] = SubscriberQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), name="one_subscriber_per_address"),
            models.CheckConstraint(
                condition=Q(status__in=["pending", "active", "paused", "unsubscribed", "suppressed"]),
                name="subscriber_status_is_known",
            ),
            models.CheckConstraint(condition=Q(send_hour__lte=23), name="send_hour_is_of_a_day"),
            models.CheckConstraint(
                condition=Q(send_days__gte=1, send_days__lte=EVERY_DAY), name="send_days_are_of_a_week"
            ),
            models.CheckConstraint(condition=Q(max_papers__gte=1), name="letters_have_room"),
        ]
        indexes = [models.Index(fields=["status", "cadence", "send_hour", "time_zone"], name="subscriber_due")]

    def __str__(self) -> str:
        return self.email


class Subscription(models.Model):
    """One named topic of one subscriber."""

    subscriber = models.ForeignKey(Subscriber, on_delete=models.CASCADE, related_name="subscriptions")
    label = models.CharField("name", max_length=80)
    query = models.TextField(max_length=2000, validators=[validate_query], help_text="In the topic language.")
    position = models.PositiveSmallIntegerField(default=0, help_text="Order of the sections in the letter.")
    is_muted = models.BooleanField("muted", default=False)
    max_papers = models.PositiveSmallIntegerField(
        "papers at most", null=True, blank=True, validators=[MinValueValidator(1)]
    )
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint("subscriber", Lower("label"), name="one_topic_of_a_name"),
            models.CheckConstraint(condition=~Q(label="") & ~Q(query=""), name="topic_has_name_and_query"),
        ]

    def __str__(self) -> str:
        return self.label


class Consent(models.Model):
    """What somebody asked for or agreed to, and how we know. Appended, never edited."""

    class Event(models.TextChoices):
        REQUESTED = "requested"
        CONFIRMED = "confirmed"
        CHANGED = "changed"
        MOVED = "moved", "moved to another address"
        UNSUBSCRIBED = "unsubscribed"
        SUPPRESSED = "suppressed"

    class Why(models.TextChoices):
        TOO_MANY = "too many", _("Too many letters")
        NOT_MINE = "not mine", _("The papers were not for me")
        ELSEWHERE = "elsewhere", _("I read them elsewhere")
        NOT_ASKED = "not asked", _("I never asked for it")
        OTHER = "other", _("Something else")

    subscriber = models.ForeignKey(Subscriber, on_delete=models.CASCADE, related_name="consents")
    event = models.CharField(max_length=16, choices=Event.choices)
    at = models.DateTimeField()
    request = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, blank=True, help_text="What a confirmation confirms."
    )
    topics = models.JSONField(default=list, blank=True, help_text="Topics asked for: a list of [name, query].")
    cadence = models.CharField(
        max_length=16, blank=True, default="", db_default="", help_text="How often letters were asked for."
    )
    text_version = models.CharField(max_length=32, blank=True, help_text="The wording that was shown.")
    form_url = models.CharField(max_length=200, blank=True)
    ip = models.GenericIPAddressField("IP address", null=True, blank=True)
    network = models.CharField(
        max_length=43, blank=True, default="", db_default="", help_text="The IPv4 /24 or IPv6 /64 around the address."
    )
    user_agent = models.CharField(max_length=300, blank=True)
    detail = models.CharField(max_length=300, blank=True)
    why = models.CharField(
        "reason for leaving", max_length=16, choices=Why.choices, blank=True, default="", db_default=""
    )
    comment = models.CharField(
        max_length=300, blank=True, default="", db_default="", help_text="The same in the reader's own words."
    )

    class Meta:
        indexes = [
            models.Index(fields=["ip", "at"], name="consent_by_address"),
            models.Index(fields=["network", "at"], name="consent_by_network"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.at:%Y-%m-%d %H:%M}"


class Move(models.Model):
    """A change of address that was asked for: it happens when both mailboxes have agreed."""

    subscriber = models.ForeignKey(Subscriber, on_delete=models.CASCADE, related_name="moves")
    email = models.EmailField("new address", max_length=254)
    asked_at = models.DateTimeField()
    old_agreed_at = models.DateTimeField(null=True, blank=True)
    new_agreed_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.subscriber} to {self.email}"


class Suppression(models.Model):
    """An address that is not to be mailed, by its hash alone, so that it outlives the address itself."""

    class Cause(models.TextChoices):
        BOUNCED = "bounced", "the mailbox does not exist"
        COMPLAINED = "complained", "called our mail spam"
        SUSPENDED = "suspended", "bounced too often"
        BY_HAND = "by hand"

    address_hash = models.CharField(max_length=64, unique=True)
    cause = models.CharField(max_length=16, choices=Cause.choices)
    detail = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.get_cause_display()} {self.at:%Y-%m-%d}"


class NoticeQuerySet(models.QuerySet["Notice"]):
    def due(self, now: datetime) -> NoticeQuerySet:
        return self.filter(status="queued", next_try_at__lte=now)


class Notice(models.Model):
    """A letter about the subscription itself that is owed to an address: written with what it announces, sent after."""

    class Kind(models.TextChoices):
        CONFIRM = "confirm", "confirm your address"
        KNOWN = "known", "you are subscribed already"
        MANAGE = "manage", "your link"
        MOVE_FROM = "move from", "may your subscription move?"
        MOVE_TO = "move to", "is this your new address?"

    class Status(models.TextChoices):
        QUEUED = "queued"
        SENDING = "sending"
        SENT = "sent"
        FAILED = "failed"
        UNCERTAIN = "uncertain"

    subscriber = models.ForeignKey(Subscriber, on_delete=models.CASCADE, related_name="notices")
    consent = models.ForeignKey(Consent, on_delete=models.CASCADE, null=True, blank=True)
    move = models.ForeignKey(Move, on_delete=models.CASCADE, null=True, blank=True)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    mailbox = models.CharField(max_length=254)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    next_try_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[NoticeQuerySet] = NoticeQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        indexes = [
            models.Index(fields=["status", "next_try_at"], name="notice_due"),
            models.Index(fields=["mailbox", "created_at"], name="notice_by_mailbox"),
            models.Index(fields=["created_at"], name="notice_by_age"),
            models.Index(fields=["sent_at"], name="notice_by_leaving"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} to {self.subscriber}"


class Spent(models.Model):
    """A proof of work or a form that was used: it counts once, and is kept until it would count no more anyway."""

    key = models.CharField(max_length=64, primary_key=True)
    until = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "spent"

    def __str__(self) -> str:
        return self.key
