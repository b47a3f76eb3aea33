"""Letters in the browser: one by the link in it, and a reader's list of them."""

import re

import pytest
from django.urls import reverse

from digest.deliveries.queue import queue
from digest.deliveries.send import send_due
from digest.models import Delivery, Paper
from subscriptions import consent, outbox, tokens
from subscriptions.models import Subscriber
from subscriptions.tokens import Scope
from tests import make
from tests.make import DAY, NOW

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def now(monkeypatch):
    monkeypatch.setattr("subscriptions.clock.now", lambda: NOW)


@pytest.fixture
def reader():
    make.edition([make.paper("Robots That Fold"), make.paper("Soup")])
    reader = make.subscriber(topics=["robot*"])
    queue(now=NOW, today=DAY, by_hand=True)
    send_due(clock=lambda: NOW, today=DAY)
    return reader


def link():
    """The one in the letter."""
    text = outbox.letters(most=1)[0].body("plain")
    return re.search(r"http://papers\.example\.org(/letters/\S+)", text)[1]


def test_a_letter_is_in_the_browser_as_it_was_mailed(client, reader):
    response = client.get(link())

    mailed = outbox.letters(most=1)[0].body("html").replace("\r\n", "\n")
    assert response.content.decode().strip() == mailed.strip()
    assert "script-src" not in response["Content-Security-Policy"]
    assert response["Content-Security-Policy"].startswith("default-src 'none'")
    assert (response["Cache-Control"], response["X-Robots-Tag"]) == ("private, no-store", "noindex, nofollow")


def test_who_left_may_read_an_old_letter_and_who_was_erased_has_none(client, reader):
    address = link()
    consent.unsubscribe(reader.pk, now=NOW, visit=consent.Visit())
    assert client.get(address).status_code == 200

    Subscriber.objects.all().delete()
    assert client.get(address).status_code == 404


def test_a_paper_that_is_gone_is_left_out(client, reader):
    address = link()
    Paper.objects.filter(title="Soup").delete()

    page = client.get(address).content.decode()
    assert "Robots That Fold" in page and "Soup" not in page


def test_a_letter_of_text_alone_is_text(client, reader):
    Subscriber.objects.update(format="text")

    response = client.get(link())
    assert response["Content-Type"].startswith("text/plain") and "Robots That Fold" in response.content.decode()


@pytest.mark.parametrize("scope", [scope for scope in Scope if scope is not Scope.LETTER])
def test_no_other_link_opens_a_letter(client, reader, scope):
    token = tokens.issue(scope, Delivery.objects.get().pk, now=NOW)

    assert client.get(reverse("letter", args=[token])).status_code == 404


def test_a_reader_sees_their_own_letters_alone(client, reader):
    other = make.subscriber()

    mine = client.get(reverse("my_letters", args=[tokens.issue(Scope.SESSION, reader.pk, now=NOW)]))
    assert "2 papers for Tue 2 June" in mine.content.decode() and link() in mine.content.decode()
    theirs = client.get(reverse("my_letters", args=[tokens.issue(Scope.SESSION, other.pk, now=NOW)]))
    assert "No letter has left for you yet" in theirs.content.decode()
    assert client.get(reverse("my_letters", args=[tokens.issue(Scope.LINK, reader.pk, now=NOW)])).status_code == 404
