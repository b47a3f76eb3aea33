"""What each role may do at the desk, and what is written down of it."""

import csv
import io
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from digest.deliveries.queue import queue
from digest.models import Act, Alarm, Edition, Fetch, Run, Source
from digest.staff import roles
from subscriptions.models import Consent, Notice, Suppression
from tests import make
from tests.make import DAY, NOW

NAMES = [*roles.ROLES, "none"]
EDITORS, CARERS, ALL = {"curator", "administrator"}, {"support", "administrator"}, {"administrator"}
#: Who may look at the lists of each page of the desk; everybody else gets 403.
LISTS = {
    "digest.edition": EDITORS,
    "digest.placement": EDITORS,
    "digest.paper": EDITORS,
    "digest.source": EDITORS,
    "digest.fetch": EDITORS,
    "digest.run": ALL,
    "digest.delivery": CARERS,
    "digest.alarm": ALL,
    "digest.act": ALL,
    "subscriptions.subscriber": CARERS,
    "subscriptions.subscription": CARERS,
    "subscriptions.consent": CARERS,
    "subscriptions.notice": CARERS,
    "auth.user": ALL,
    "auth.group": ALL,
}
#: Who may make rows by a form, change them, delete them.
ADDS = {"digest.source", "subscriptions.subscriber", "subscriptions.subscription", "auth.user"}
CHANGES = {
    "digest.edition": EDITORS,
    "digest.placement": EDITORS,
    "digest.paper": EDITORS,
    "digest.source": ALL,
    "subscriptions.subscriber": ALL,
    "subscriptions.subscription": ALL,
    "auth.user": ALL,
}
DELETES = {"digest.source", "digest.paper", "subscriptions.subscriber", "subscriptions.subscription", "auth.user"}
#: Who is offered each action.
ACTIONS = {
    "digest.edition": ({"publish", "rebuild"}, EDITORS),
    "digest.source": ({"fetch_now"}, EDITORS),
    "digest.run": ({"pause", "resume", "cancel", "retry", "arrived", "lost", "resend_uncertain"}, ALL),
    "digest.alarm": ({"clear", "believe", "ignore"}, ALL),
    "digest.act": ({"export"}, ALL),
    "subscriptions.subscriber": ({"unsubscribe", "suppress", "send_link", "export"}, CARERS),
    "subscriptions.consent": ({"export"}, CARERS),
    "subscriptions.notice": ({"drop"}, CARERS),
    "auth.user": ({"sign_out", "reset_two_factor", "unlock"}, ALL),
}


@pytest.fixture(autouse=True)
def quick_hashes(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def world(db):
    """A row of every kind."""
    papers = [make.paper("Widgets"), make.paper("Gadgets")]
    make.edition(papers, day=DAY)
    make.edition([papers[1]], day=DAY + timedelta(days=1), published=False)
    Fetch.objects.create(source=Source.objects.first(), day=DAY, at=NOW, outcome="read")
    reader = make.subscriber("ada@example.net", topics=["widgets"])
    Consent.objects.create(subscriber=reader, event="confirmed", at=NOW)
    Notice.objects.create(subscriber=reader, kind="manage", mailbox=reader.mailbox, created_at=NOW, next_try_at=NOW)
    Alarm.objects.create(name="flood", text="Many", raised_at=NOW, last_at=NOW)
    Act.objects.create(at=NOW, who="eve", action="did")
    queue(now=NOW, today=DAY)
    assert Run.objects.exists()


def staff(role, name=""):
    roles.prepare()
    user = User.objects.create_user(name or role, password="x", is_staff=True)
    user.groups.set(Group.objects.filter(name=role))
    client = Client()
    client.force_login(user)
    return client


def label(model):
    return model._meta.label_lower


def pages():
    return {label(model): page for model, page in admin.site._registry.items()}


def test_the_tables_name_every_page_of_the_desk(db):
    """A page that is new must be given to a role here, on purpose."""
    extra = set(pages()) - set(LISTS)
    assert not extra
    assert set(LISTS) <= set(pages())
    offered = {name: {a for a in page.actions if isinstance(a, str)} for name, page in pages().items()}
    assert {name: found for name, found in offered.items() if found} == {
        name: one for name, (one, _) in ACTIONS.items()
    }


@pytest.mark.parametrize("role", NAMES)
def test_each_role_sees_its_own_pages_and_no_other(world, role):
    client = staff(role)
    for name, page in pages().items():
        allowed = role in LISTS[name]
        app, model = name.split(".")
        row = page.model._default_manager.order_by("pk").first()
        assert row is not None, name
        urls = {
            reverse(f"admin:{app}_{model}_changelist"): allowed,
            reverse(f"admin:{app}_{model}_change", args=[row.pk]): allowed,
            reverse(f"admin:{app}_{model}_history", args=[row.pk]): allowed,
            reverse(f"admin:{app}_{model}_add"): name in ADDS and role == "administrator",
            reverse(f"admin:{app}_{model}_delete", args=[row.pk]): name in DELETES and role == "administrator",
        }
        for url, fine in urls.items():
            assert client.get(url).status_code == (200 if fine else 403), f"{role} {url}"


@pytest.mark.parametrize("role", NAMES)
def test_each_role_changes_what_is_its_own_and_nothing_else(world, role):
    client = staff(role)
    for name, page in pages().items():
        app, model = name.split(".")
        row = page.model._default_manager.order_by("pk").first()
        answer = client.post(reverse(f"admin:{app}_{model}_change", args=[row.pk]), {})
        # A form without its fields is shown again, or complains of its inner forms; either is for who may.
        assert (answer.status_code != 403) is (role in CHANGES.get(name, set())), f"{role} {name} {answer.status_code}"


@pytest.mark.parametrize("role", NAMES)
def test_each_role_is_offered_its_own_actions_and_can_post_no_other(world, rf, role):
    client = staff(role)
    request = rf.get("/admin/")
    request.user = User.objects.get(username=role)
    for name, (actions, who) in ACTIONS.items():
        offered = set(pages()[name].get_actions(request)) - {"delete_selected"}
        assert offered == (actions if role in who else set()), f"{role} {name}"
        if role in who:
            continue
        app, model = name.split(".")
        before = list(pages()[name].model._default_manager.order_by("pk").values())
        for action in actions:
            keys = [row["id"] for row in before]
            url = reverse(f"admin:{app}_{model}_changelist")
            client.post(url, {"action": action, "_selected_action": keys})
        assert list(pages()[name].model._default_manager.order_by("pk").values()) == before
    assert not Suppression.objects.exists() or role in CARERS


@pytest.mark.parametrize("role", NAMES)
def test_exports_are_for_who_may_look(world, role):
    client = staff(role)
    run = Run.objects.get()

    assert client.get(f"/admin/digest/run/{run.pk}/export/").status_code == (200 if role in ALL else 403)
    assert client.get("/admin/digest/act/export/").status_code == (200 if role in ALL else 403)


def test_the_publish_button_is_for_who_may_change_editions(world):
    draft = Edition.objects.get(status="draft")
    url = reverse("admin:digest_edition_change", args=[draft.pk])

    assert staff("support").post(url, {"_publish": "1"}).status_code == 403
    draft.refresh_from_db()
    assert draft.status == "draft"


def test_an_administrator_makes_staff_and_never_a_superuser(world):
    client = staff("administrator")
    form = {
        "username": "new",
        "password1": "a long quiet word",
        "password2": "a long quiet word",
        "usable_password": "true",
    }
    client.post(reverse("admin:auth_user_add"), form | {"is_superuser": "on"})
    user = User.objects.get(username="new")
    group = Group.objects.get(name="curator")
    url = reverse("admin:auth_user_change", args=[user.pk])
    client.post(url, {"username": "new", "is_active": "on", "groups": [group.pk], "is_superuser": "on"})

    user.refresh_from_db()
    assert user.is_staff and not user.is_superuser
    assert list(user.groups.all()) == [group]
    found = Act.objects.filter(kind="auth.user", key=str(user.pk)).order_by("pk")
    assert {"groups": ["[]", "['curator']"]} in [act.changes for act in found]
    assert all("a long quiet word" not in str(act.changes) and "md5$" not in str(act.changes) for act in found)


def test_an_administrator_cannot_take_a_superusers_account(world, django_user_model):
    root = django_user_model.objects.create_superuser("root", password="old")
    client = staff("administrator")
    form = {"password1": "a long quiet word", "password2": "a long quiet word", "usable_password": "true"}

    assert client.post(f"/admin/auth/user/{root.pk}/password/", form).status_code == 403
    assert client.post(reverse("admin:auth_user_delete", args=[root.pk]), {"post": "yes"}).status_code == 403
    client.post("/admin/auth/user/", {"action": "reset_two_factor", "_selected_action": [root.pk]})
    root.refresh_from_db()
    assert root.check_password("old")


def test_roles_come_back_to_their_table(db):
    roles.prepare()
    curator = Group.objects.get(name="curator")
    curator.permissions.set(Group.objects.get(name="administrator").permissions.all())

    roles.prepare()

    names = {
        f"{one.content_type.app_label}.{one.codename}" for one in curator.permissions.select_related("content_type")
    }
    assert names == set(roles.ROLES["curator"])


# The record ---------------------------------------------------------------------------------------------------------


def test_a_changed_paper_is_written_down_before_and_after(world):
    client = staff("curator")
    placement = Edition.objects.get(date=DAY).placements.order_by("rank").first()
    url = reverse("admin:digest_placement_change", args=[placement.pk])
    client.post(url, {"place": "2", "note": "Read this.", "is_hidden": ""}, REMOTE_ADDR="198.51.100.9")

    act = Act.objects.get(action="changed")
    assert (act.who, act.address, act.kind, act.key) == (
        "curator", "198.51.100.9", "digest.placement", str(placement.pk)
    )  # fmt: skip
    assert act.changes["note"] == ["", "Read this."]
    assert act.changes["place"] == ["", "2"]


def test_publishing_is_written_down_with_what_became_of_the_edition(world):
    client = staff("curator")
    draft = Edition.objects.get(status="draft")
    client.post("/admin/digest/edition/", {"action": "publish", "_selected_action": [draft.pk]})

    act = Act.objects.get(action="did", kind="digest.edition")
    assert (act.who, act.detail, act.key) == ("curator", "publish", str(draft.pk))
    assert act.changes["status"] == ["draft", "published"]


def test_suppressing_is_written_down_without_the_address(world):
    client = staff("support")
    key = str(Consent.objects.first().subscriber_id)
    client.post("/admin/subscriptions/subscriber/", {"action": "suppress", "_selected_action": [key]})

    act = Act.objects.filter(kind="subscriptions.subscriber", detail="suppress").last()
    assert act.changes["status"] == ["active", "suppressed"]
    assert act.name == "a…@example.net"
    assert "ada@" not in str(act.changes)


def test_a_deleted_row_is_written_down_with_what_it_held(world):
    client = staff("administrator")
    paper = make.paper("Gone")
    client.post(reverse("admin:digest_paper_delete", args=[paper.pk]), {"post": "yes"})
    other = make.paper("Gone too")
    form = {"action": "delete_selected", "_selected_action": [other.pk], "post": "yes"}
    client.post("/admin/digest/paper/", form)

    found = Act.objects.filter(action="deleted").order_by("pk")
    assert [act.changes["title"] for act in found] == [["Gone", ""], ["Gone too", ""]]


def test_a_topic_changed_inside_its_subscriber_is_written_down(world):
    client = staff("administrator")
    reader = Consent.objects.first().subscriber
    topic = reader.subscriptions.get()
    form = {
        "email": reader.email, "cadence": "daily", "send_days": "127", "send_hour": "7", "time_zone": "UTC",
        "max_papers": "20", "min_votes": "0", "format": "html", "language": "en",
        "subscriptions-TOTAL_FORMS": "1", "subscriptions-INITIAL_FORMS": "1",
        "subscriptions-0-id": topic.pk, "subscriptions-0-subscriber": reader.pk, "subscriptions-0-position": "0",
        "subscriptions-0-label": "Other", "subscriptions-0-query": "gadgets",
        "consents-TOTAL_FORMS": "0", "consents-INITIAL_FORMS": "0",
        "notices-TOTAL_FORMS": "0", "notices-INITIAL_FORMS": "0",
    }  # fmt: skip
    answer = client.post(reverse("admin:subscriptions_subscriber_change", args=[reader.pk]), form)

    assert answer.status_code == 302, answer.context and answer.context["errors"]
    act = Act.objects.get(detail__startswith="subscriptions.subscription")
    assert act.changes["query"] == ["widgets", "gadgets"]


def test_support_exports_one_subscriber_and_sends_a_link(world):
    client = staff("support")
    key = Consent.objects.first().subscriber_id
    url = "/admin/subscriptions/subscriber/"

    found = client.post(url, {"action": "export", "_selected_action": [key]}).json()
    assert [topic["query"] for topic in found["subscriptions"]] == ["widgets"]
    client.post(url, {"action": "send_link", "_selected_action": [key]})
    assert Notice.objects.filter(subscriber_id=key, kind="manage").count() == 2
    assert set(Act.objects.filter(who="support").values_list("detail", flat=True)) == {"export", "send_link"}


def test_the_record_cannot_be_changed_at_the_desk_even_by_a_superuser(admin_client):
    act = Act.objects.create(at=NOW, who="eve", action="did")
    for path in ("add/", f"{act.pk}/delete/"):
        assert admin_client.post(f"/admin/digest/act/{path}", {"post": "yes"}).status_code == 403
    assert admin_client.post(f"/admin/digest/act/{act.pk}/change/", {"who": "mallory"}).status_code == 403
    admin_client.post("/admin/digest/act/", {"action": "delete_selected", "_selected_action": [act.pk], "post": "yes"})

    act.refresh_from_db()
    assert act.who == "eve"


def test_the_record_as_csv_has_no_formulas(admin_client):
    Act.objects.create(at=NOW, who='=HYPERLINK("x")', action="did", detail="+1")

    body = b"".join(admin_client.get("/admin/digest/act/export/").streaming_content).decode()

    rows = list(csv.DictReader(io.StringIO(body)))
    assert (rows[0]["who"], rows[0]["detail"]) == ('\'=HYPERLINK("x")', "'+1")


def test_the_list_of_acts_asks_as_much_for_many_as_for_few(admin_client):
    admin_client.get("/admin/")
    numbers = []
    for many in (2, 60):
        Act.objects.bulk_create([Act(at=NOW, who="eve", action="did", name=f"{n}") for n in range(many)])
        with CaptureQueriesContext(connection) as asked:
            admin_client.get("/admin/digest/act/")
        numbers.append(len(asked))
    assert numbers[0] == numbers[1]
