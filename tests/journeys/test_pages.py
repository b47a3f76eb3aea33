"""The pages as a visitor goes through them, in a real browser without scripts."""

from datetime import timedelta

import pytest

from digest.models import Observation
from tests import make
from tests.make import DAY, NOW


@pytest.fixture(autouse=True)
def the_days(live_server):
    robots = make.paper(
        "Robots That Fold", abstract="A robot folds laundry. " * 30, ai_summary="A robot folds.", votes=12, stars=3,
        comments=2, code_url="https://example.org/code", keywords=["folding", "robot learning"], published_at=NOW,
        authors=[{"name": f"Ada Example {n}"} for n in range(30)], organization={"fullname": "Example Lab"},
    )  # fmt: skip
    maps = make.paper("Maps of Nowhere", abstract="Diffusion draws maps. " * 30, categories=["cs.CV"], votes=4)
    make.edition([robots, maps], intro="A *quiet* day.", warnings=["arXiv was late."])
    make.edition([make.paper("The Day of Glue")], day=DAY - timedelta(days=6))
    make.edition([make.paper("Last Year")], day=DAY - timedelta(days=400))
    for hours, votes in enumerate([2, 5, 12]):
        Observation.objects.create(paper=robots, at=NOW - timedelta(hours=3 - hours), votes=votes)


def test_a_visitor_goes_from_day_to_week_to_month_to_what_trends(reader):
    reader.open("/papers")
    page = reader.sees("Tuesday, 2 June 2026")
    page.get_by_role("link", name="Wed 27 May").click()
    reader.sees("Wednesday, 27 May 2026").get_by_role("link", name="Week").click()
    reader.sees("25 to 31 May 2026").get_by_role("link", name="Month").click()
    reader.sees("May 2026").get_by_role("link", name="June 2026").click()
    reader.sees("June 2026").get_by_label("Days, weeks and months").get_by_role("link", name="Trending").click()
    page = reader.sees("Trending papers")
    page.get_by_label("Day to go to").fill("2026-05-30")
    reader.press("Go")
    reader.sees("Wednesday, 27 May 2026")


def test_a_paper_is_read_on_its_own_page(reader):
    reader.open("/")
    reader.page.get_by_role("link", name="Robots That Fold").click()
    page = reader.sees("Robots That Fold")
    assert page.get_by_role("img", name="From 2 on 2 June to 12").is_visible()
    assert not page.get_by_role("link", name="Ada Example 29").is_visible()
    page.get_by_text("and 10 more authors").click()
    assert page.get_by_role("link", name="Ada Example 29").is_visible()
    reader.looks_right()
    page.get_by_role("link", name="Mail me papers like this").click()
    assert reader.sees("Get trending papers").get_by_label("Topics").input_value().startswith("like:2606.")


def test_the_archive_leads_to_every_edition(reader):
    reader.open("/editions")
    reader.sees("Editions of 2026").get_by_role("link", name="2025").click()
    reader.sees("Editions of 2025").get_by_role("link", name="Mon 28").click()
    reader.sees("Monday, 28 April 2025")


def test_what_is_not_there_says_so_and_leads_back(reader):
    reader.open("/papers/date/2026-02-30")
    reader.sees("There is no such page").get_by_role("link", name="To the newest papers").click()
    reader.sees("Get trending papers")


def test_a_search_is_narrowed_previewed_and_becomes_a_topic(reader):
    reader.open("/")
    reader.page.get_by_role("searchbox", name="Search papers").fill("robot OR maps")
    reader.press("Search")
    page = reader.sees("Search")
    assert "2 papers match these words" in page.get_by_role("status").inner_text()
    page.get_by_text("Narrow it down").click()
    page.get_by_text("How to ask").click()
    page.get_by_label("Category").fill("cs.CV")
    reader.looks_right()
    reader.press("Add to the search")
    page = reader.sees("Search")
    assert page.get_by_role("searchbox", name="Search papers").input_value() == "(robot OR maps) cat:cs.CV"
    assert "1 paper matches these words" in page.get_by_role("status").inner_text()
    page.get_by_role("link", name="What would it find a day?").click()
    page = reader.sees("What this topic would have found")
    assert page.get_by_role("img", name="Tue 2 Jun 1").is_visible()
    page.get_by_role("link", name="Mail me this topic").click()
    assert reader.sees("Get trending papers").get_by_label("Topics").input_value() == "(robot OR maps) cat:cs.CV"


def test_a_query_that_cannot_be_read_leads_to_what_was_meant(reader):
    reader.open("/papers?q=titel:robots")
    page = reader.sees("Search")
    assert "There is no field titel:" in page.get_by_role("alert").inner_text()
    reader.looks_right()
    page.get_by_role("link", name="title:robots").click()
    assert "1 paper matches these words" in reader.sees("Search").get_by_role("status").inner_text()
