"""The whole life of a subscription in a real browser: signed up, shaped, paused, moved, taken along, erased."""

import json

import pytest

from subscriptions import clock, consent, notices, throttle, tokens
from subscriptions.consent import Visit, Wish
from subscriptions.models import Consent, Notice, Subscriber
from subscriptions.tokens import Scope
from tests import make
from tests.journeys.conftest import DESKTOP, PHONE
from tests.make import NOW


@pytest.fixture(autouse=True)
def the_day(live_server):
    make.edition([make.paper("Robots That Fold")])


def letter(reader, subject, button):
    notices.send_due(now=clock.now())
    reader.follows(reader.opens_letter(subject), button)


def builds(reader, **fields):
    page = reader.page
    page.locator("summary", has_text="Add a topic").first.click()
    form = page.locator("form", has=page.get_by_role("button", name="Add this topic"))
    for label, text in fields.items():
        form.get_by_label(label.replace("_", " ")).fill(text)
    reader.press("Add this topic")
    assert "is added" in reader.sees("Your subscription").get_by_role("status").inner_text()


def fresh_link(reader, moment):
    moment.sleep(180)
    reader.press("Mail me a fresh link")
    reader.sees("Look into your inbox")
    letter(reader, "Your link", "Open my subscription")


@pytest.mark.parametrize("reader", [PHONE], ids=["phone"], indirect=True)
def test_a_subscription_from_its_first_day_to_its_last(reader, moment):
    page = reader.page
    reader.open("/")
    page.get_by_label("E-mail address").fill("ada@example.net")
    page.get_by_label("How often").select_option("weekly")
    reader.press("Subscribe")
    reader.sees("Look into your inbox")
    letter(reader, "Please confirm", "Open the page")
    assert "once a week" in reader.sees("Confirm your subscription").inner_text("main")
    reader.press("Yes, send me papers")
    reader.sees("You are subscribed")
    reader.page.get_by_role("link", name="Set topics").click()

    # Three topics without a word of the topic language.
    assert "You have none" in reader.sees("Your subscription").inner_text("main")
    builds(reader, All_of_these_words='robot "world model"', Name="Hands")
    builds(reader, At_least_one_of_these="diffusion, flow matching", None_of_these="medical")
    builds(reader, Authors="Ada Lovelace", arXiv_categories="cs.RO", Votes_at_least="3")
    page = reader.page
    queries = [row.input_value() for row in page.get_by_label("Query", exact=True).all()]
    assert queries == [
        'robot "world model"',
        '(diffusion OR "flow matching") -medical',
        'author:"Ada Lovelace" cat:cs.RO votes:>=3',
    ]
    reader.looks_right()

    # Days, hour, zone.
    page.get_by_label("How often").select_option("chosen")
    for day in ("Saturday", "Sunday"):
        page.get_by_label(day, exact=True).uncheck()
    page.get_by_label("Not before").select_option("06:00")
    page.get_by_label("Time zone").select_option("Europe/Berlin")
    page.get_by_role("button", name="Save", exact=True).click()
    reader.sees("Your subscription")
    row = Subscriber.objects.get()
    assert (row.cadence, row.send_days, row.send_hour, row.time_zone) == ("chosen", 0b11111, 6, "Europe/Berlin")

    # A pause, and a library.
    page.get_by_label("Letters start again on").fill("2026-06-20")
    reader.press("Pause until then")
    assert "paused until 20 June 2026" in reader.sees("Your subscription").inner_text("main")
    page.locator("summary", has_text="a list or a library").click()
    page.get_by_label("Or its text").fill("@misc{a, title={T}, keywords={soup, (}}")
    reader.press("Read the file")
    assert reader.sees("Topics from a list").get_by_label("These topics").input_value().split("\n")[0] == "soup"
    reader.press("Add these topics")
    reader.sees("Your subscription")
    assert Subscriber.objects.get().subscriptions.count() >= 4

    # Another address: nothing changes before both mailboxes agree.
    fresh_link(reader, moment)
    reader.sees("Your subscription").get_by_role("link", name="Export, move or erase").click()
    reader.sees("Your data").get_by_label("New e-mail address").fill("ada@example.org")
    reader.press("Move")
    reader.sees("Look into both inboxes")
    letter(reader, "May your subscription", "Open the page")
    assert "ada@example.org" in reader.sees("May your letters move?").inner_text("main")
    reader.press("Yes, move them")
    reader.sees("One of two")
    letter(reader, "Is this your new address", "Open the page")
    reader.sees("Is this your new address?")
    reader.press("Yes, move them")
    reader.sees("Your letters have moved")
    assert Subscriber.objects.get().email == "ada@example.org"

    # Taken along, and erased.
    key = Subscriber.objects.get()
    moment.sleep(180)
    consent.request_link(key, now=clock.now())
    letter(reader, "Your link", "Open my subscription")
    reader.sees("Your subscription").get_by_role("link", name="Export, move or erase").click()
    page = reader.sees("Your data")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export everything").click()
    exported = json.loads(download.value.path().read_text())
    assert exported["subscriber"]["email"] == "ada@example.org"
    assert len(exported["subscriptions"]) >= 4
    page.get_by_label("Yes, erase everything").check()
    reader.press("Erase")
    reader.sees("Everything is erased")
    assert not Subscriber.objects.exists()
    assert not Consent.objects.exists()


def test_a_wrong_topic_is_explained_and_a_frame_of_another_site_works(reader):
    row = make.subscriber("ada@example.net", topics=["robot"])
    consent.request_link(row, now=NOW)
    reader.open("/outbox/")
    letter(reader, "Your link", "Open my subscription")
    page = reader.sees("Your subscription")
    page.get_by_label("Query", exact=True).fill("(robot")
    reader.press("Save topics")
    assert "never closed" in reader.sees("Your subscription").inner_text("main")
    reader.looks_right()

    reader.open("/subscribe/embed")
    reader.sees("The form on your own page")
    reader.open("/subscribe/form")
    reader.sees("Paperboy in your inbox").get_by_label("E-mail address").fill("new@example.net")
    reader.press("Subscribe")
    reader.sees("Look into your inbox")
    assert Notice.objects.filter(mailbox="new@example.net").exists()


@pytest.mark.parametrize("seed", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_browser_with_scripts_brings_its_zone_and_works_while_many_ask(browser, live_server, moment, seed):
    for number in range(throttle.ASK_PROOF):
        consent.subscribe(f"p{number}@example.org", Wish(), now=NOW, visit=Visit(ip=f"2001:db8:{number:x}::1"))
    context = browser.new_context(**seed, timezone_id="Asia/Tokyo")
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))

    page.goto(live_server.url)
    with page.expect_response("**/subscribe/challenge"):
        page.get_by_label("E-mail address").fill("ada@example.net")
    moment.sleep(3)
    page.get_by_role("button", name="Subscribe").click()
    page.get_by_role("heading", name="Look into your inbox").wait_for()

    notice = Notice.objects.get(mailbox="ada@example.net")
    assert notice.next_try_at == notice.created_at  # no wait: the browser has worked
    assert notice.subscriber.time_zone == "Asia/Tokyo"
    assert not context.cookies()
    assert not wrong
    context.close()


def test_the_readers_page_offers_the_browsers_zone(browser, live_server, moment):
    row = make.subscriber("ada@example.net")
    context = browser.new_context(**DESKTOP, timezone_id="Asia/Tokyo")
    page = context.new_page()
    page.goto(f"{live_server.url}/manage/{tokens.issue(Scope.MANAGE, row.pk, now=NOW)}")
    assert page.get_by_label("Time zone").input_value() == "Asia/Tokyo"
    page.get_by_text("Chosen by your browser's clock").wait_for()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("status").wait_for()

    row.refresh_from_db()
    assert row.time_zone == "Asia/Tokyo"
    assert not context.cookies()
    context.close()


def test_each_topic_tells_what_it_would_have_found_while_it_is_written(browser, live_server, moment):
    row = make.subscriber("ada@example.net", topics=["robot"])
    context = browser.new_context(**DESKTOP)
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))

    page.goto(f"{live_server.url}/manage/{tokens.issue(Scope.MANAGE, row.pk, now=NOW)}")
    page.get_by_text("About 1 paper a day", exact=True).wait_for()
    page.get_by_label("Query", exact=True).fill("(robot")
    page.get_by_text("This parenthesis is never closed.").wait_for()
    page.get_by_label("Query", exact=True).fill("soup")
    page.get_by_text("About 0 papers a day", exact=True).wait_for()

    assert not wrong
    context.close()
