"""A reader's way through the pages and letters, in a real browser, on a phone and at a desk."""

import re
from datetime import timedelta

import pytest

from digest.deliveries.queue import queue
from digest.deliveries.send import send_due
from digest.models import Delivery
from subscriptions import clock, notices, outbox
from subscriptions.models import Consent, Notice, Subscriber
from tests import make
from tests.journeys.conftest import PHONE
from tests.make import DAY, NOW


@pytest.fixture(autouse=True)
def the_day(live_server):
    robots = make.paper("Robots That Fold", abstract="A robot folds laundry. " * 20, votes=12, stars=3, comments=2)
    other = make.paper("Very" * 30 + " Long Words", code_url="https://example.org/code", categories=["cs.CV"])
    make.edition([robots, other], intro="A *quiet* day.", warnings=["arXiv was late."])
    make.edition([make.paper("The Day Before")], day=DAY - timedelta(days=1), is_sample=True)


def deliver(day=DAY):
    queue(now=clock.now(), today=day, by_hand=True)
    return send_due(clock=clock.now, today=day).counts


def sign_up(reader, topics):
    reader.open("/")
    reader.page.get_by_label("E-mail address").fill("ada@example.net")
    reader.page.get_by_label("Topics").fill(topics)
    reader.press("Subscribe")


def confirm(reader):
    reader.sees("Look into your inbox")
    notices.send_due(now=clock.now())
    reader.follows(reader.opens_letter("Please confirm"), "Open the page")
    page = reader.sees("Confirm your subscription")
    assert "robot" in page.inner_text("main")
    reader.press("Yes, send me papers")
    reader.sees("You are subscribed")


def test_a_reader_signs_up_reads_changes_topics_and_leaves(reader, moment):
    reader.open("/")
    assert "Robots That Fold" in reader.sees("Get trending papers").inner_text("main")
    reader.page.get_by_role("link", name="Mon 1 Jun").click()
    assert "The Day Before" in reader.sees("Monday, 1 June 2026").inner_text("main")

    sign_up(reader, "robot, diffusion -medical")
    confirm(reader)

    reader.page.get_by_role("link", name="Set topics").click()
    page = reader.sees("Your subscription")
    rows = page.get_by_label("Query", exact=True)
    assert [row.input_value() for row in rows.all()] == ["robot", "diffusion -medical"]
    rows.first.fill("robot*")
    page.get_by_label("Name", exact=True).first.fill("Machines")
    page.get_by_label("Delete").last.check()
    reader.press("Save topics")
    reader.sees("Your subscription")
    page.get_by_label("Not before").select_option("06:00")
    reader.page.get_by_role("button", name="Save", exact=True).click()
    assert reader.sees("Your subscription").get_by_role("status").inner_text().startswith("Saved")
    assert page.get_by_label("Not before").input_value() == "6"
    reader.looks_right()

    assert deliver() == {"sent": 1}
    letter = reader.opens_letter("2 papers for Tue 2 June: Machines")
    assert "Machines: Robots in the title" in letter.locator("body").inner_text()
    address = reader.page.url
    reader.open(f"{address}/html")
    reader.sees("Tuesday, 2 June 2026")

    moment.sleep(3600)
    reader.open(address)
    reader.follows(reader.page.frame_locator("iframe.letter"), "Change topics")
    reader.sees("Change your topics")
    reader.press("Mail me my link")
    reader.sees("Look into your inbox")
    notices.send_due(now=clock.now())
    reader.follows(reader.opens_letter("Your link"), "Open my subscription")
    assert reader.sees("Your subscription").get_by_label("Query", exact=True).input_value() == "robot*"

    reader.open(address)
    reader.follows(reader.page.frame_locator("iframe.letter"), "Unsubscribe")
    reader.sees("Unsubscribe?")
    reader.press("Unsubscribe")
    reader.sees("You are unsubscribed")
    make.edition([make.paper("A Robot Too Late")], day=DAY + timedelta(days=1))
    assert not deliver(DAY + timedelta(days=1))


def test_a_topic_that_cannot_be_read_is_explained_and_what_was_typed_stays(reader):
    sign_up(reader, "robot, cats AND OR dogs")

    page = reader.sees("One thing to mend")
    assert "“cats AND OR dogs” (at character 10)" in page.inner_text("main")
    assert "Try: cats AND dogs" in page.inner_text("main")
    assert page.get_by_label("E-mail address").input_value() == "ada@example.net"
    assert page.get_by_label("Topics").input_value() == "robot, cats AND OR dogs"
    page.get_by_label("Topics").fill("robot")
    reader.press("Subscribe")
    reader.sees("Look into your inbox")


@pytest.mark.parametrize("reader", [PHONE], ids=["phone"], indirect=True)
def test_programs_that_fetch_the_links_of_letters_change_nothing(reader, moment):
    def state():
        return [list(model.objects.order_by("pk").values()) for model in (Subscriber, Consent, Notice, Delivery)]

    def fetch_links():
        before = state()
        for letter in outbox.letters(most=9):
            for link in set(re.findall(rf"{reader.site}/[^\s\"<>]+", letter.body("plain") + letter.body("html"))):
                assert {reader.page.request.get(link).status for _ in range(7)} == {200}
        assert state() == before

    sign_up(reader, "robot")
    notices.send_due(now=NOW)
    fetch_links()
    confirm(reader)
    deliver()
    moment.sleep(3600)
    fetch_links()
    reader.follows(reader.opens_letter("2 papers"), "Unsubscribe")
    reader.press("Unsubscribe")
    reader.sees("You are unsubscribed")


@pytest.mark.parametrize("reader", [PHONE], ids=["phone"], indirect=True)
def test_a_link_that_does_not_work_says_what_to_do(reader):
    reader.open("/confirm/nonsense")
    assert "sign up again" in reader.sees("This link does not work any more").inner_text("main")
