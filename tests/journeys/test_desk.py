"""An editor at the desk, in a real browser."""

import pytest

from digest.models import Edition, Source
from tests import make
from tests.journeys.conftest import DESKTOP
from tests.make import DAY


@pytest.fixture
def desk(browser, live_server, admin_user):
    """Signed in as the administrator."""
    context = browser.new_context(**DESKTOP)
    page = context.new_page()
    page.goto(f"{live_server.url}/admin/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("password")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="The desk").wait_for()
    yield page
    context.close()


def test_an_editor_curates_the_day_and_publishes_it(desk, live_server, settings):
    settings.DIGEST_TODAY = DAY
    edition = make.edition([make.paper("Soup"), make.paper("Robots"), make.paper("Spam")], published=False)

    desk.goto(f"{live_server.url}/admin/digest/edition/{edition.pk}/change/")
    desk.get_by_label("Introduction").fill("Good *morning*.")
    row = desk.locator("tr.has_original", has_text="Robots")
    row.locator("input[name$=place]").fill("1")
    row.locator("textarea").fill("Read the **appendix**.")
    desk.locator("tr.has_original", has_text="Spam").locator("input[name$=is_hidden]").check()
    desk.get_by_role("button", name="Save and publish").click()
    desk.get_by_text("is published; its letters leave").wait_for()
    desk.goto(live_server.url)

    headings = desk.locator("ol.papers h3").all_inner_texts()
    assert [heading.strip() for heading in headings] == ["Robots", "Soup"]
    assert desk.locator("em", has_text="morning").count() == 1
    assert desk.locator("strong", has_text="appendix").count() == 1
    assert Edition.objects.get().published_by == "admin"


def test_an_editor_adds_a_feed(desk, live_server):
    desk.goto(f"{live_server.url}/admin/digest/source/add/")
    desk.get_by_label("Name").fill("lab")
    desk.get_by_label("Label").fill("A lab's papers")
    desk.get_by_role("button", name="Save", exact=True).click()
    desk.get_by_text("A feed needs the address").wait_for()
    desk.get_by_label("Address").fill("feeds.example.org/papers.atom")
    desk.get_by_role("button", name="Save", exact=True).click()
    desk.get_by_text("was added successfully").wait_for()

    assert Source.objects.get(name="lab").url == "https://feeds.example.org/papers.atom"
