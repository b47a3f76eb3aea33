"""The three roles of staff, and what each may do. The table is the truth: groups are made after it."""

from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.db import transaction

ADMINISTRATOR = "administrator"
#: What a custom action needs is the permission for what it makes: a fetch, a notice, a consent, a suppression.
ROLES: dict[str, tuple[str, ...]] = {
    "curator": (
        "digest.view_edition", "digest.change_edition",
        "digest.view_placement", "digest.change_placement",
        "digest.view_paper", "digest.change_paper",
        "digest.view_source", "digest.view_fetch", "digest.add_fetch",
        "digest.view_listing", "digest.view_observation",
    ),
    "support": (
        "subscriptions.view_subscriber", "subscriptions.view_subscription",
        "subscriptions.view_consent", "subscriptions.add_consent",
        "subscriptions.view_notice", "subscriptions.add_notice",
        "subscriptions.add_suppression",
        "digest.view_delivery", "digest.view_deliveryevent",
    ),
    ADMINISTRATOR: (
        "auth.view_user", "auth.add_user", "auth.change_user", "auth.delete_user", "auth.view_group",
    ),
}  # fmt: skip
#: What nobody needs a permission for: rows about staff that only the system writes.
NOBODYS = {"digest.add_act", "digest.change_act", "digest.delete_act"}


@transaction.atomic
def prepare() -> None:
    """Make the groups, or bring them back to the table. Needs the permissions, which `migrate` makes."""
    by_name = {
        f"{one.content_type.app_label}.{one.codename}": one
        for one in Permission.objects.select_related("content_type").order_by("pk")
    }
    ours = {name for name in by_name if apps.is_installed(name.partition(".")[0])}
    everything = {name for name in ours if name.startswith(("digest.", "subscriptions."))} - NOBODYS
    for role, names in ROLES.items():
        group, _ = Group.objects.get_or_create(name=role)
        wanted = set(names) | (everything if role == ADMINISTRATOR else set())
        group.permissions.set([by_name[name] for name in sorted(wanted)])
