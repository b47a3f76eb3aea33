from datetime import timedelta

import pytest
from django.urls import reverse

from digest.models import Edition
from tests import make
from tests.make import DAY, NOW

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def the_day(settings):
    settings.DIGEST_TODAY = DAY


def test_the_front_page_shows_the_newest_edition_under_the_invitation(client):
    make.edition([make.paper("Yesterday's")], day=DAY - timedelta(days=1))
    make.edition([make.paper("Today's")])

    page = client.get("/").content.decode()

    assert "Get trending papers in your email inbox" in page
    assert "Today&#x27;s" in page
    assert "Yesterday&#x27;s" not in page


def test_the_front_page_without_papers_says_what_happens_next(client):
    response = client.get("/")

    assert response.status_code == 200
    assert "No papers yet" in response.content.decode()


def test_drafts_hidden_papers_and_new_versions_are_on_no_page(client):
    shown, hidden = make.paper("Shown"), make.paper("Hidden")
    edition = make.edition([shown, hidden, make.paper("Replaced")])
    edition.placements.filter(paper=hidden).update(is_hidden=True)
    edition.placements.filter(paper__title="Replaced").update(announce="replace")
    make.edition([make.paper("Draft")], day=DAY - timedelta(days=1), published=False)

    page = client.get("/").content.decode()

    assert "Shown" in page
    assert "Hidden" not in page
    assert "Replaced" not in page
    assert client.get(f"/papers/date/{DAY - timedelta(days=1)}").status_code == 404


@pytest.mark.parametrize(
    "path", ["/papers/date/2026-13-40", "/papers/date/2020-01-01", "/papers/date/today", "/nothing"]
)
def test_days_that_are_not_there_are_not_found(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("p", ["0", "-1", "99", "x", ""])
def test_any_page_number_leads_to_a_page(client, p):
    make.edition([make.paper(f"Paper {n}") for n in range(60)])

    assert client.get(f"/?p={p}").status_code == 200


def test_a_long_day_is_parted_into_pages(client):
    make.edition([make.paper(f"Paper number {n:03}") for n in range(60)])

    first, second = (client.get(f"/?p={p}").content.decode() for p in (1, 2))

    assert "Paper number 049" in first
    assert "Paper number 050" not in first
    assert "Paper number 059" in second


def test_titles_authors_and_notes_cannot_run(client):
    paper = make.paper("<script>alert(1)</script>", authors=[{"name": "<img src=x onerror=y>", "hidden": False}],
                       abstract="<svg onload=z>")  # fmt: skip
    edition = make.edition([paper], intro="[x](javascript:alert(2)) <script>3</script>")
    edition.placements.update(note="<img src=x onerror=4>")

    page = client.get("/").content.decode()

    for active in ("<script>alert", "<img src=x", "<svg onload", "javascript:", "<script>3"):
        assert active not in page


def test_a_sample_day_says_that_it_is_invented(client):
    make.edition([make.paper("Invented")], is_sample=True)

    assert "these papers are invented" in client.get("/").content.decode()


def test_a_page_takes_the_same_queries_for_many_papers(client, django_assert_num_queries):
    make.edition([make.paper()], day=DAY - timedelta(days=1))
    make.edition([make.paper(f"Paper {n}", by=f"feed{n % 3}") for n in range(45)])

    with django_assert_num_queries(6):
        client.get("/")


def test_hidden_authors_are_not_shown(client):
    make.edition([make.paper(authors=[{"name": "Ada", "hidden": False}, {"name": "Bob", "hidden": True}])])

    page = client.get("/").content.decode()

    assert "Ada" in page
    assert "Bob" not in page


def test_the_pages_of_health_answer(client):
    assert client.get("/health/live").json() == {"live": True}
    assert client.get("/health/ready").json() == {"ready": True, "alarms": []}


# The desk -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(admin_client):
    return admin_client


def test_every_model_has_its_page_at_the_desk(desk):
    reader = make.subscriber(topics=["robot"])
    edition = make.edition([make.paper("Robots")])
    for name in ["source", "paper", "edition", "placement", "delivery", "fetch"]:
        assert desk.get(reverse(f"admin:digest_{name}_changelist")).status_code == 200, name
    for name in ["subscriber", "subscription", "consent", "notice"]:
        assert desk.get(reverse(f"admin:subscriptions_{name}_changelist")).status_code == 200, name
    for path, row in [
        ("digest_edition", edition),
        ("digest_paper", edition.placements.get().paper),
        ("digest_placement", edition.placements.get()),
        ("digest_source", make.source()),
        ("subscriptions_subscriber", reader),
    ]:
        assert desk.get(reverse(f"admin:{path}_change", args=[row.pk])).status_code == 200, path


def curate(desk, edition, *, intro="", extra=None, **changes):
    """Post the edition's form as the browser does, with one placement changed."""
    rows = list(edition.placements.order_by("rank", "pk"))
    data = {"intro": intro, "placements-TOTAL_FORMS": len(rows), "placements-INITIAL_FORMS": len(rows)}
    for at, row in enumerate(rows):
        data |= {f"placements-{at}-id": row.pk, f"placements-{at}-edition": edition.pk,
                 f"placements-{at}-place": row.place or "", f"placements-{at}-note": row.note}  # fmt: skip
        for name, value in changes.get(row.paper.title, {}).items():
            data[f"placements-{at}-{name}"] = value
    return desk.post(reverse("admin:digest_edition_change", args=[edition.pk]), data | (extra or {"_save": "Save"}))


def test_an_editor_pins_hides_notes_and_publishes(desk):
    edition = make.edition([make.paper("One"), make.paper("Two"), make.paper("Three")], published=False)

    curate(
        desk, edition, intro="Good *morning*.", Three={"place": 1, "note": "Read **this**."}, One={"is_hidden": "on"}
    )

    order = list(edition.placements.order_by("rank").values_list("paper__title", "is_hidden"))
    assert order == [("Three", False), ("One", True), ("Two", False)]
    curate(desk, edition, intro="Good *morning*.", extra={"_publish": "1"})
    edition.refresh_from_db()
    assert (edition.status, edition.published_by) == ("published", "admin")


def test_the_editor_sees_the_introduction_as_readers_will(desk):
    edition = make.edition([make.paper()], intro="Good *morning*. <script>x</script>", published=False)

    page = desk.get(reverse("admin:digest_edition_change", args=[edition.pk])).content.decode()

    assert "Good <em>morning</em>." in page
    assert "<script>x" not in page


def test_an_edition_with_nothing_to_show_is_not_published_and_the_editor_is_told(desk):
    edition = make.edition([make.paper("One")], published=False)

    response = curate(desk, edition, One={"is_hidden": "on"}, extra={"_publish": "1"})

    assert Edition.objects.get().status == "draft"
    assert "never empty" in desk.get(response.url).content.decode()


def test_a_subscriber_is_found_with_topics_and_consent(desk):
    reader = make.subscriber("ada@example.net", topics=[("Robots", "robot*")])

    assert (
        "ada@example.net" in desk.get(reverse("admin:subscriptions_subscriber_changelist") + "?q=ada").content.decode()
    )
    page = desk.get(reverse("admin:subscriptions_subscriber_change", args=[reader.pk])).content.decode()
    assert "robot*" in page


def test_a_wrong_query_is_refused_at_the_desk_with_its_position(desk):
    reader = make.subscriber()
    url = reverse("admin:subscriptions_subscription_add")

    page = desk.post(url, {"subscriber": reader.pk, "label": "x", "query": "titel:foo", "position": 0}).content.decode()

    assert "At character 1: There is no field titel:" in page
    assert "Try: title:foo" in page


def test_deliveries_can_be_looked_at_and_not_changed(desk):
    from digest.deliveries.queue import queue
    from digest.models import Delivery

    make.edition([make.paper()])
    make.subscriber()
    queue(now=NOW, today=DAY)
    url = reverse("admin:digest_delivery_change", args=[Delivery.objects.get().pk])

    assert desk.get(url).status_code == 200
    assert desk.post(url, {"status": "sent"}).status_code == 403
    assert desk.get(reverse("admin:digest_delivery_add")).status_code == 403


def test_fetch_now_hands_the_source_to_a_worker(desk, monkeypatch):
    from digest import tasks

    asked = []
    monkeypatch.setattr(tasks.fetch, "delay", lambda **values: asked.append(values))
    source = make.source("feed.lab")

    desk.post(reverse("admin:digest_source_changelist"), {"action": "fetch_now", "_selected_action": [source.pk]})

    assert asked == [{"source": source.pk}]


def test_a_feed_without_an_address_is_refused_in_words(desk):
    url = reverse("admin:digest_source_add")
    data = {"name": "lab", "label": "Lab", "kind": "feed", "url": "", "is_enabled": "on",
            "fetches-TOTAL_FORMS": 0, "fetches-INITIAL_FORMS": 0}  # fmt: skip

    response = desk.post(url, data)

    assert response.status_code == 200
    assert "needs the address" in response.content.decode()
