"""Search and previews, as programs ask for them."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from digest import stamps
from digest.api import own_shapes, shapes
from tests import make
from tests.make import DAY

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def the_day(settings):
    settings.DIGEST_TODAY = DAY


@pytest.fixture
def robots():
    """Two papers about folding robots, featured on two days, and one about soup."""
    first = make.paper("Robots that fold paper", abstract="A robot arm folds a crane.", votes=0)
    second = make.paper("Why robots fold laundry", abstract="They do not.", votes=7)
    make.edition([first], day=DAY - timedelta(days=1))
    make.edition([make.paper("Soup"), second])
    stamps.bump("papers")
    return [first, second]


def ids(response):
    assert response.status_code == 200, response.content
    return [item["paper"]["id"] for item in response.json()]


def test_a_search_finds_papers_as_clients_read_them(client, robots):
    response = client.get("/api/papers/search", {"q": "robots fold", "limit": 2})

    assert set(ids(response)) == {paper.identifier for paper in robots}
    items = {item["paper"]["id"]: shapes.HubItem.model_validate(item) for item in response.json()}
    assert items[robots[0].identifier].upvotes == 0
    assert items[robots[0].identifier].publishedAt == "2026-06-01T00:00:00.000Z"
    assert len(ids(client.get("/api/papers/search", {"q": "robots", "limit": 1}))) == 1


def test_a_search_for_nothing_has_the_newest(client, robots):
    for query in ({}, {"q": ""}, {"q": "  "}):
        assert ids(client.get("/api/papers/search", query)) == ids(client.get("/api/daily_papers"))


@pytest.mark.parametrize("path", ["/api/papers/search", "/api/v1/search"])
@pytest.mark.parametrize("q", ["robots AND", '"robots', "votes:many", "nofield:x", "((((", "*", "-", "😀", "a" * 250])
def test_no_text_is_wrong_to_search_for(client, robots, path, q):
    assert client.get(path, {"q": q}).status_code == 200


@pytest.mark.parametrize("query", [{"q": "a" * 251}, {"q": "a", "limit": 0}, {"q": "a", "limit": "x"}])
def test_a_search_that_cannot_be_is_refused_with_a_sentence(client, query):
    response = client.get("/api/papers/search", query)

    assert response.status_code == 400
    assert response.json()["error"].endswith(".")


@pytest.mark.parametrize("path", ["/api/papers/search", "/api/v1/search", "/api/v1/topics/preview"])
def test_a_query_that_would_cost_too_much_is_no_fault_of_the_server(client, robots, path):
    for q in ("(" * 240, "-" * 240, "a* " * 80, "NOT " * 60 + "a"):
        assert client.get(path, {"q": q}).status_code in {200, 400}


def test_our_search_says_why_each_paper_is_there_and_where(client, robots):
    found = client.get("/api/v1/search", {"q": "fold robot"}).json()

    own_shapes.Results.model_validate(found)
    assert (found["query"], found["error"], found["exact"]) == ("fold robot", None, 2)
    exact = {result["paper"]["identifier"]: result for result in found["results"][:2]}
    assert exact.keys() == {paper.identifier for paper in robots}
    first = exact[robots[0].identifier]
    assert first["tier"] in {"words", "phrase"}
    assert {"what": "fold", "where": "in the title and abstract"} in first["reasons"]
    for place in first["places"]:
        text = first["paper"][place["field"]]
        assert text[place["start"] : place["end"]] == place["text"]
    assert {"Robots", "robot", "fold", "folds"} == {place["text"] for place in first["places"]}


def test_our_search_reads_what_is_no_query_as_words_and_says_so(client, robots):
    found = client.get("/api/v1/search", {"q": "robots AND"}).json()

    assert found["query"] is None
    assert found["error"] == {
        "error": "Something must follow AND.", "position": 7, "length": 3, "suggestion": "robots"
    }  # fmt: skip
    assert all(result["reasons"] == [] for result in found["results"])


def test_our_search_has_pages_modes_and_orders(client, robots):
    page = client.get("/api/v1/search", {"q": "fold", "limit": 1, "mode": "words", "sort": "votes"})

    assert [result["paper"]["votes"] for result in page.json()["results"]] == [7]
    assert page.json()["total"] == 2
    assert page["Link"].endswith('&p=1>; rel="next"')
    assert client.get("/api/v1/search", {"q": "fold", "p": 99}).json()["results"] == []
    for query in ({"q": "a", "mode": "x"}, {"q": "a", "sort": "x"}, {}, {"q": "x" * 2001}):
        assert client.get("/api/v1/search", query).status_code == 400


def test_a_preview_counts_what_a_topic_would_have_sent(client, robots):
    found = client.get("/api/v1/topics/preview", {"q": "fold"}).json()

    own_shapes.Preview.model_validate(found)
    assert (found["query"], found["total"]) == ("fold", 2)
    assert [(day["date"], day["count"], day["papers"]) for day in found["days"]] == [
        ("2026-06-01", 1, [robots[0].identifier]), ("2026-06-02", 1, [robots[1].identifier])
    ]  # fmt: skip
    refused = client.get("/api/v1/topics/preview", {"q": "fold OR"})
    assert (refused.status_code, refused.json()["suggestion"]) == (400, "fold")


def test_searches_are_counted_apart(client, settings, robots):
    settings.DIGEST_SEARCH_RATE = (1, 300)

    paths = ["/api/papers/search?q=x", "/api/v1/search?q=x", "/api/v1/topics/preview?q=x", "/api/v1/topics/parse?q=x"]
    answers = [client.get(path) for path in paths]

    assert [answer.status_code for answer in answers] == [200, 429, 429, 200]
    assert answers[0]["RateLimit-Policy"] == '"fixed window";"search";q=1;w=300'


@pytest.mark.parametrize("path", ["/api/papers/search?q=counted", "/api/v1/search?q=counted"])
def test_the_number_of_queries_does_not_grow_with_results(client, path):
    counts = []
    for size in (3, 12):
        for _ in range(size):
            make.paper("Counted papers")
        stamps.bump("papers")
        client.get(path)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(path).status_code == 200
        counts.append(len(queries))

    assert counts[0] == counts[1]
