"""The search page, and what a topic would have found."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from digest import preview
from digest.models import Delivery, Placement
from subscriptions.query import parse
from tests import make
from tests.make import DAY, NOW

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def the_day(settings):
    settings.DIGEST_TODAY = DAY


def ask(client, path="/papers", **parameters):
    return client.get(path, parameters).content.decode()


def test_a_search_counts_what_matches_marks_its_words_and_says_why(client):
    make.edition([make.paper("Robots & Soup", abstract="A robot stirs."), make.paper("Maps")])

    page = ask(client, q="robot")

    assert "1 paper matches these words" in page
    assert "<mark>Robots</mark> &amp; Soup" in page
    assert "A <mark>robot</mark> stirs." in page
    assert "Robots</strong> in the title and abstract" in page
    assert f'href="/papers/date/{DAY}">edition of Tue 2 Jun</a>' in page
    assert 'value="robot"' in page
    assert 'content="noindex"' in page


def test_a_paper_close_in_meaning_stands_below_those_that_match_and_a_topic_of_meaning_says_why(client):
    words = "A robot arm learns to fold paper from hours of video."
    make.edition([make.paper("Machines and origami", abstract=words), make.paper("Soup", abstract="Soup is hot.")])

    close = ask(client, q="robots that learn from video to fold laundry")
    topic = ask(client, q='about:"robots that fold paper"')

    assert "No paper matches all of it; 1 is close." in close
    assert close.index("Close in meaning</h2>") < close.index("Machines and origami")
    assert "<mark>robot</mark>" in close
    assert "close in meaning</strong> to “robots that fold paper”" in topic


def test_more_papers_than_a_search_shows_are_said_to_be_more(client, monkeypatch):
    monkeypatch.setattr("digest.views.search.MOST", 2)
    make.edition([make.paper(f"Robot {n}") for n in range(3)])

    assert "2 papers or more match these words" in ask(client, q="robot", mode="words")


def test_a_search_can_be_mailed_and_previewed_as_a_topic(client):
    make.edition([make.paper("Robots")])

    page = ask(client, q='robot, "soup, hot"', mode="words")

    assert 'href="/?topics=robot+%22soup+hot%22#sign-up"' in page
    assert 'href="/topics/preview?q=robot+%22soup+hot%22"' in page


def test_a_query_that_cannot_be_read_is_explained_with_what_was_meant(client):
    make.edition([make.paper("Robots")])

    page = ask(client, q="titel:robot", sort="votes", p=1)

    assert "There is no field titel:" in page
    assert 'href="?q=title%3Arobot&amp;sort=votes">title:robot</a>' in page


@pytest.mark.parametrize("query", ["x" * 2001, "(" * 40 + "x" + ")" * 40 + " y" * 201])
def test_a_query_that_is_too_much_is_refused_with_a_sentence(client, query):
    response = client.get("/papers", {"q": query})

    assert response.status_code == 400
    assert 'role="alert"' in response.content.decode()


@pytest.mark.parametrize("parameters", [{"mode": "x"}, {"sort": "x"}, {"category": "a b"}, {"votes": "x"}])
def test_a_choice_that_there_is_not_is_refused_with_a_sentence(client, parameters):
    response = client.get("/papers", {"q": "robot", **parameters})

    assert response.status_code == 400
    assert "There is no such page" in response.content.decode()


def test_what_is_chosen_in_the_fields_is_written_into_the_query(client):
    chosen = {"q": "cat OR dog", "mode": "both", "sort": "newest", "since": "2026-06-01", "until": "", "category": "cs",
              "source": "", "votes": "", "code": "yes"}  # fmt: skip
    response = client.get("/papers", chosen)

    assert response.status_code == 302
    assert response.url == "/papers?q=%28cat+OR+dog%29+date%3A%3E%3D2026-06-01+cat%3Acs+has%3Acode&sort=newest"


@pytest.mark.parametrize("text", ["https://arxiv.org/abs/{}v2", "arXiv:{}", "https://huggingface.co/papers/{}"])
def test_the_address_of_a_paper_leads_to_it(client, text):
    paper = make.paper()

    assert client.get("/papers", {"q": text.format(paper.identifier)}).url == f"/papers/{paper.identifier}"


@pytest.mark.parametrize("query", ["", " ", "\x00"])
def test_an_empty_search_says_what_to_write(client, query):
    assert "Write the words you want to find" in ask(client, q=query)


def test_a_page_of_results_that_is_not_there_is_not_found(client):
    make.edition([make.paper("Robot")])

    assert client.get("/papers", {"q": "robot", "p": 9}).status_code == 404


def queries(client, path, **parameters):
    ask(client, path, **parameters)  # what is kept in the process is made
    with CaptureQueriesContext(connection) as asked:
        ask(client, path, **parameters)
    return len(asked)


@pytest.mark.parametrize("path", ["/papers", "/topics/preview"])
def test_a_search_takes_the_same_queries_for_many_papers(client, path):
    make.edition([make.paper("Robot")])
    few = queries(client, path, q="robot")
    for days in range(1, 6):
        make.edition([make.paper(f"Robot {n}", by=f"feed{n}") for n in range(20)], day=DAY - timedelta(days=days))

    assert queries(client, path, q="robot") == few


# What a topic would have found ------------------------------------------------------------------------------------


@pytest.fixture
def two_weeks():
    """Editions with papers old and new, hidden, cross-listed, replaced and repeated; one is a draft."""
    again = make.paper("Robot Again")
    for days in range(20):
        papers = [make.paper(f"Robot {days}-{n}", votes=n) for n in range(days % 4)]
        papers += [make.paper("Soup"), again, hidden := make.paper("Robot Hidden")]
        cross, replaced = make.paper("Robot Crossed"), make.paper("Robot Replaced")
        edition = make.edition([*papers, cross, replaced], day=DAY - timedelta(days=days), published=days != 3)
        edition.placements.filter(paper=hidden).update(is_hidden=True)
        edition.placements.filter(paper=cross).update(announce="cross")
        edition.placements.filter(paper=replaced).update(announce="replace")


@pytest.mark.parametrize(
    "topic", ["robot", "robot votes:>=2", "soup OR crossed", "-robot", "nothing", 'about:"a robot" OR soup']
)
def test_a_preview_is_what_the_letters_of_those_days_then_hold(two_weeks, topic):
    from digest.deliveries.queue import queue

    found = preview.preview(parse(topic), today=DAY)

    make.subscriber(topics=[topic], wants_trending=False, max_papers=100)
    for day, papers in found.days:
        queue(now=NOW, today=day, by_hand=True)
        sections = Delivery.objects.get(day=day).sections if papers else []
        assert sorted(key for *_, keys in sections for key in keys) == sorted(papers), day
    assert len(found.days) == 13
    assert found.per_day == found.total / 13


def test_the_preview_shows_a_rate_the_days_and_the_papers(client, two_weeks):
    page = ask(client, "/topics/preview", q="crossed")

    assert "About 1 paper a day</strong> over the last 14 days, 13 in all" in page
    assert "Tue 2 Jun 1, " not in page
    assert "Mon 1 Jun 1, Tue 2 Jun 1</title>" in page
    assert "<li>Tue 2 Jun: <strong>1</strong></li>" in page
    assert "Robot <mark>Crossed</mark>" in page
    assert 'href="/?topics=crossed#sign-up"' in page


def test_a_rare_topic_is_told_by_the_week(client):
    for days in range(10):
        make.edition([make.paper("Robot" if days in (2, 5) else "Soup")], day=DAY - timedelta(days=days))

    assert "About 1 paper a week" in ask(client, "/topics/preview", q="robot")


def test_a_preview_without_editions_or_with_a_query_that_cannot_be_read_says_so(client):
    assert "No edition was published in the last 14 days" in ask(client, "/topics/preview", q="robot")
    response = client.get("/topics/preview", {"q": "titel:robot"})
    assert response.status_code == 400
    assert "There is no field titel:" in response.content.decode()
    assert client.get("/topics/preview").status_code == 400
    assert Placement.objects.count() == 0
