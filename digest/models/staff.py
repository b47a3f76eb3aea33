"""What staff did, and who tried to become staff."""

from django.db import models


class Act(models.Model):
    """One thing that somebody did at the desk. Appended, never edited; names stay when accounts go."""

    class Action(models.TextChoices):
        ADDED = "added"
        CHANGED = "changed"
        DELETED = "deleted"
        DID = "did"
        SIGNED_IN = "signed in"
        SIGNED_OUT = "signed out"
        FAILED = "failed to sign in"
        LOCKED = "locked out"
        PASSWORD = "password", "changed a password"
        TWO_FACTOR = "two-factor", "two-factor sign-in"

    at = models.DateTimeField(db_index=True)
    who = models.CharField(max_length=150, db_index=True, help_text="The account as it was called then.")
    address = models.GenericIPAddressField("from", null=True, blank=True)
    action = models.CharField(max_length=20, choices=Action.choices)
    kind = models.CharField(max_length=64, blank=True, help_text="What it was done to, such as digest.edition.")
    key = models.CharField(max_length=64, blank=True)
    name = models.CharField(max_length=200, blank=True)
    detail = models.CharField(max_length=300, blank=True)
    changes = models.JSONField(default=dict, blank=True, help_text="By field: before and after.")

    class Meta:
        indexes = [models.Index(fields=["kind", "key"], name="act_on")]

    def __str__(self) -> str:
        return f"{self.who} {self.get_action_display()} {self.name or self.detail}".strip()


class Try(models.Model):
    """One try to sign in that has not led anywhere (yet). Kept for as long as it counts."""

    account = models.CharField(max_length=64, db_index=True, help_text="SHA-256 of the name that was typed.")
    network = models.CharField(max_length=64, db_index=True)
    at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "tries"

    def __str__(self) -> str:
        return f"from {self.network} at {self.at:%Y-%m-%d %H:%M}"
