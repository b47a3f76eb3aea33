from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
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
    assert "Today's" in page
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
    assert "Draft" not in client.get(f"/papers/date/{DAY - timedelta(days=1)}").content.decode()


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/papers/date/2026-13-40", "There is no such day: write it like 2026-06-02."),
        ("/papers/date/today", "There is no such day"),
        ("/papers/date/2020-01-01", "There is no edition for 2020-01-01, nor any before it."),
        ("/papers/date/2026-06-03", "2026-06-03 is still to come."),
        ("/papers/week/2026-W60", "There is no such week: write it like 2026-W23."),
        ("/papers/week/2026-W30", "2026-W30 is still to come."),
        ("/papers/month/2026-6", "There is no such month: write it like 2026-06."),
        ("/papers/month/2026-07", "2026-07 is still to come."),
        ("/papers/month/1999-01", "There is no edition for 1999-01"),
        ("/editions?year=1999", "There is no edition of 1999. There are some of 2026."),
        ("/editions?year=x", "There is no edition of x."),
        ("/papers/nothing", "No paper “nothing” has been listed here."),
        ("/nothing", "An address may have been cut in two"),
    ],
)
def test_what_is_not_there_is_not_found_with_a_sentence(client, path, sentence):
    make.edition([make.paper()])

    response = client.get(path)

    assert response.status_code == 404
    assert sentence in response.content.decode()


@pytest.mark.parametrize("path", ["/", "/papers", f"/papers/date/{DAY}", "/papers/week/2026-W23", "/papers/trending"])
@pytest.mark.parametrize("p", ["0", "-1", "99", "x", "1e3", "１", "9" * 30, "01"])
def test_a_page_that_is_not_there_is_not_found_with_a_sentence(client, path, p):
    make.edition([make.paper(f"Paper {n}") for n in range(60)])

    response = client.get(path, {"p": p})

    assert response.status_code == 404
    assert "pages go from 1 to 2" in response.content.decode()


def test_a_form_that_names_no_page_gets_the_first(client):
    make.edition([make.paper()])

    assert client.get("/?p=").status_code == 200


@pytest.mark.parametrize(
    ("path", "where"),
    [
        (f"/papers/date/{DAY}", f"/papers/date/{DAY - timedelta(days=4)}"),
        ("/papers/date/2026-05-30", "/papers/date/2026-05-29"),
        ("/papers/week/2026-W23", "/papers/week/2026-W22"),
        ("/papers/month/2026-06", "/papers/month/2026-05"),
        ("/papers/date?day=2026-05-29", "/papers/date/2026-05-29"),
        ("/papers/date?day=2026-05-29&kind=week", "/papers/week/2026-W22"),
        ("/papers/date?day=2026-05-29&kind=month", "/papers/month/2026-05"),
        ("/papers/date?day=2026-05-29&kind=trending", "/papers/date/2026-05-29"),
    ],
)
def test_a_time_without_an_edition_leads_to_the_last_before_and_a_date_to_its_page(client, path, where):
    make.edition([make.paper()], day=DAY - timedelta(days=4))

    response = client.get(path)

    assert (response.status_code, response.url) == (302, where)


@pytest.mark.parametrize("day", ["", "x", "2026-02-30", "10000-01-01"])
def test_a_date_that_cannot_be_read_is_refused_with_a_sentence(client, day):
    response = client.get("/papers/date", {"day": day})

    assert response.status_code == 400
    assert "write it like 2026-06-02" in response.content.decode()


def test_a_week_shows_each_paper_once_with_its_day_and_its_neighbours(client):
    monday, friday = make.paper("Monday's", votes=1), make.paper("Friday's", votes=9)
    make.edition([friday], day=DAY - timedelta(days=4))
    make.edition([monday, friday], day=DAY - timedelta(days=1))

    week = client.get("/papers/week/2026-W23").content.decode()
    month = client.get("/papers/month/2026-05").content.decode()

    assert week.index("Friday's") < week.index("Monday's")
    assert week.count('<article class="card">') == 2
    assert "1 to 7 June 2026" in week
    assert 'rel="prev">← Week of 25 May' in week
    assert "edition of Mon 1 Jun" in week
    assert "May 2026" in month
    assert 'rel="next">June 2026 →' in month


def test_trending_shows_what_gains_notice_and_says_when_nothing_does(client):
    assert "Nothing has been noticed" in client.get("/papers/trending").content.decode()
    make.edition([make.paper("Quiet", votes=0), make.paper("Loud", votes=50)])

    page = client.get("/papers/trending").content.decode()

    assert "Loud" in page
    assert "Quiet" not in page


def test_the_archive_has_every_edition_by_month_with_its_papers(client):
    one, two = make.paper(), make.paper()
    make.edition([one], day=DAY - timedelta(days=400))
    make.edition([one], day=DAY - timedelta(days=4))
    make.edition([one, two]).placements.filter(paper=two).update(is_hidden=True)
    make.edition([one], day=DAY - timedelta(days=1), published=False)

    page = client.get("/editions").content.decode()

    assert page.index("June") < page.index("May")
    assert page.count("1 paper<") == 2
    assert "/papers/date/2026-06-01" not in page
    assert '<a href="?year=2025">2025</a>' in page
    assert "/papers/date/2025-04-28" in client.get("/editions?year=2025").content.decode()


def test_the_archive_without_editions_says_so(client):
    assert "There is no edition yet." in client.get("/editions").content.decode()


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/", "/"),
        ("/?topics=robot", "/"),
        ("/papers", "/papers/date/2026-06-02"),
        ("/papers/date/2026-06-02?p=1&x=y", "/papers/date/2026-06-02"),
        ("/papers/date/2026-06-02?p=2", "/papers/date/2026-06-02?p=2"),
        ("/papers/week/2026-W23", "/papers/week/2026-W23"),
        ("/papers/trending", "/papers/trending"),
        ("/editions?year=2026", "/editions"),
    ],
)
def test_every_page_names_its_one_address_and_sets_no_cookie(client, path, canonical):
    make.edition([make.paper() for _ in range(51)])

    response = client.get(path)

    assert f'<link rel="canonical" href="http://papers.example.org{canonical}">' in response.content.decode()
    assert not response.cookies
    assert "Cookie" not in response.headers.get("Vary", "")


def test_the_front_page_fills_in_the_topics_that_its_address_names(client):
    page = client.get("/", {"topics": 'like:2606.90001 "x'}).content.decode()

    assert 'value="like:2606.90001 &quot;x"' in page


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


def queries(client, path):
    with CaptureQueriesContext(connection) as asked:
        assert client.get(path).status_code == 200
    return len(asked)


@pytest.mark.parametrize(
    "path",
    ["/", f"/papers/date/{DAY}", "/papers/week/2026-W23", "/papers/month/2026-06", "/papers/trending", "/editions"],
)
def test_a_page_takes_the_same_queries_for_many_papers(client, path):
    make.edition([make.paper()], day=DAY - timedelta(days=1))
    make.edition([make.paper(f"Paper {n}", by=f"feed{n % 3}") for n in range(3)])
    few = queries(client, path)
    for days in range(2, 12):
        make.edition([make.paper(f"Paper {n}", by=f"feed{n % 3}") for n in range(30)], day=DAY + timedelta(days=-days))
    Edition.objects.filter(date=DAY).delete()
    make.edition([make.paper(f"Paper {n}", by=f"feed{n % 3}") for n in range(45)])

    assert queries(client, path) == few <= 8


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
