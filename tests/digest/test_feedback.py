"""A reader's word on papers: the links in letters, the page that acts by a button, and what letters make of it."""

from datetime import timedelta

import pytest
from django.urls import reverse

from digest import feedback
from digest.deliveries.queue import queue
from digest.documents import documents
from digest.models import Delivery, Feedback
from subscriptions import tokens
from subscriptions.tokens import Scope
from tests import make
from tests.make import DAY, NOW

pytestmark = pytest.mark.django_db


THEMES = {1: "robot arms fold laundry", 2: "soup recipes and broth", 3: "maps of medieval trade"}


def about(theme, **values):
    """A paper whose meaning is one of a few themes."""
    return make.paper(THEMES[theme].title(), abstract=f"We study {THEMES[theme]}.", **values)


def rate(client, reader, paper, **form):
    token = tokens.issue(Scope.FEEDBACK, reader.pk, now=NOW)
    address = reverse("feedback", args=[token, paper.pk])
    return client.post(address, form) if form else client.get(address)


def said(reader):
    return set(Feedback.objects.filter(subscriber=reader).values_list("paper_id", "kind"))


def test_opening_the_link_changes_nothing_and_a_button_does(client):
    reader, paper = make.subscriber(), make.paper("Robots That Fold")

    page = rate(client, reader, paper)
    assert page.status_code == 200 and "Robots That Fold" in page.content.decode()
    assert "no-store" in page["Cache-Control"] and said(reader) == set()

    rate(client, reader, paper, kind="more")
    assert said(reader) == {(paper.pk, "more")}
    assert 'aria-pressed="true"' in rate(client, reader, paper).content.decode()


def test_less_takes_back_more_and_saving_is_apart(client):
    reader, paper = make.subscriber(), make.paper()

    for kind in ("more", "saved", "less", "less"):
        rate(client, reader, paper, kind=kind)
    assert said(reader) == {(paper.pk, "less"), (paper.pk, "saved")}

    rate(client, reader, paper, kind="less", back="1")
    assert said(reader) == {(paper.pk, "saved")}


@pytest.mark.parametrize("scope", [scope for scope in Scope if scope is not Scope.FEEDBACK])
def test_a_token_of_another_scope_says_nothing(client, scope):
    reader, paper = make.subscriber(), make.paper()

    token = tokens.issue(scope, reader.pk, now=NOW)
    assert client.post(reverse("feedback", args=[token, paper.pk]), {"kind": "more"}).status_code == 404
    assert said(reader) == set()


def test_who_has_left_says_nothing_and_nonsense_is_refused(client):
    gone, reader, paper = make.subscriber(status="unsubscribed"), make.subscriber(), make.paper()

    assert rate(client, gone, paper, kind="more").status_code == 404
    assert rate(client, reader, paper, kind="most").status_code == 400
    token = tokens.issue(Scope.FEEDBACK, reader.pk, now=NOW)
    assert client.get(reverse("feedback", args=[token, 10**9])).status_code == 404


def test_what_was_learned_is_shown_and_can_be_forgotten(client, monkeypatch):
    monkeypatch.setattr("subscriptions.clock.now", lambda: NOW)
    reader = make.subscriber()
    liked = make.paper("Robots That Fold", keywords=["Folding", "robots"])
    other = make.paper("Soup", keywords=["soup", "robots"])
    feedback.give(reader, liked, "more", now=NOW)
    feedback.give(reader, other, "less", now=NOW)
    feedback.give(reader, other, "saved", now=NOW)

    address = reverse("taste", args=[tokens.issue(Scope.SESSION, reader.pk, now=NOW)])
    page = client.get(address).content.decode()
    assert "<strong>More of:</strong> folding" in page and "<strong>Less of:</strong> soup" in page
    assert "Forgotten" in client.post(address).content.decode()
    assert said(reader) == {(other.pk, "saved")}


def letters():
    queue(now=NOW, today=DAY, by_hand=True)
    return {
        row.subscriber_id: [paper for _, _, papers in row.sections for paper in papers]
        for row in Delivery.objects.all()
    }


def test_a_taste_orders_the_next_letter_and_hides_nothing():
    past = DAY - timedelta(days=3)
    liked, unliked = about(1, day=past), about(2, day=past)
    papers = [about(theme) for theme in (2, 2, 3, 3, 1, 1)]
    make.edition(papers)
    keen, plain = make.subscriber(topics=["source:huggingface"]), make.subscriber(topics=["source:huggingface"])
    for _ in range(8):
        feedback.give(keen, about(1, day=past), "more", now=NOW)
        feedback.give(keen, about(2, day=past), "less", now=NOW)
    feedback.give(keen, liked, "more", now=NOW)
    feedback.give(keen, unliked, "saved", now=NOW)

    found = letters()
    usual, tuned = found[plain.pk], found[keen.pk]
    assert usual == [paper.pk for paper in papers]
    assert set(tuned) == set(usual)
    assert tuned[0] == papers[4].pk
    loved, disliked = ({papers[first].pk, papers[first + 1].pk} for first in (4, 0))
    assert sum(map(tuned.index, loved)) < sum(map(usual.index, loved))
    assert sum(map(tuned.index, disliked)) > sum(map(usual.index, disliked))


def test_without_a_model_papers_keep_their_place(settings):
    settings.DIGEST_MEANING = "off"
    papers = [about(theme) for theme in (1, 2, 3)]
    make.edition(papers)
    reader = make.subscriber()
    feedback.give(reader, about(3, day=DAY - timedelta(days=3)), "more", now=NOW)

    assert letters()[reader.pk] == [paper.pk for paper in papers]


def test_only_the_newest_opinions_count(monkeypatch):
    monkeypatch.setattr(feedback, "MOST", 1)
    reader = make.subscriber()
    feedback.give(reader, about(1), "more", now=NOW - timedelta(days=2))
    feedback.give(reader, about(2), "more", now=NOW)
    papers = [about(theme) for theme in (1, 2, 3, 3) * 3]

    tastes = feedback.Tastes([paper.vector for paper in documents(papers)])
    assert THEMES[2] in papers[tastes.of([reader.pk]).shift[0].argmin()].abstract
