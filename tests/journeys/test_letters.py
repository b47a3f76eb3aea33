"""Letters read again in a browser."""

import pytest

from digest.deliveries.queue import queue
from digest.deliveries.send import send_due
from subscriptions import clock, tokens
from subscriptions.tokens import Scope
from tests import make
from tests.make import DAY, NOW


@pytest.fixture
def ada(live_server):
    paper = make.paper("Robots That Fold", abstract="A robot folds laundry. " * 20, votes=12)
    make.edition([paper, make.paper("Very" * 30 + " Long Words")], intro="See [this](http://localhost/elsewhere).")
    return make.subscriber(topics=[("Machines", "robot*")])


def test_a_reader_opens_a_letter_from_the_list_and_a_paper_from_the_letter(reader, ada):
    queue(now=clock.now(), today=DAY, by_hand=True)
    send_due(clock=clock.now, today=DAY)

    reader.open(f"/letters/mine/{tokens.issue(Scope.SESSION, ada.pk, now=NOW)}")
    reader.sees("Your letters").get_by_role("link", name="2 papers for Tue 2 June: Machines").click()
    page = reader.sees("Tuesday, 2 June 2026")
    assert page.get_by_text("Robots in the title").is_visible()
    with page.expect_popup() as beside:
        page.get_by_role("link", name="The whole edition").click()
    assert beside.value.get_by_role("heading", level=1, name="Tuesday, 2 June 2026").is_visible()
