"""What every answer of the API has in common."""

import pytest
from redis.exceptions import ConnectionError as Unreachable

from digest import stamps
from digest.api import limits, lists
from subscriptions import clock
from tests import make
from tests.clocks import Clock
from tests.make import DAY, NOW

pytestmark = pytest.mark.django_db

PATHS = ["/api/daily_papers", "/api/papers", "/api/papers/2606.95555", "/papers/2606.95555.md",
         "/api/arxiv/2606.95555/repos", "/api/v1/editions", f"/api/v1/editions/{DAY}", "/api/v1/papers/2606.95555",
         "/api/v1/topics/parse?q=robot", "/api/openapi.json", "/api/docs"]  # fmt: skip


@pytest.fixture(autouse=True)
def moment(monkeypatch):
    moment = Clock(NOW)
    monkeypatch.setattr(clock, "now", moment.now)
    return moment


@pytest.fixture
def papers():
    make.edition([make.paper(identifier="2606.95555")])


@pytest.mark.parametrize("path", PATHS)
def test_a_copy_is_good_until_papers_or_editions_change(client, papers, path):
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first["ETag"]})
    stamps.bump("papers")
    changed = client.get(path, headers={"If-None-Match": first["ETag"]})

    assert (first.status_code, again.status_code, changed.status_code) == (200, 304, 200)
    assert first["ETag"].startswith('W/"')
    assert (again["ETag"], again.content) == (first["ETag"], b"")
    assert again["Cache-Control"] == first["Cache-Control"] == "public, max-age=60"
    assert "Accept-Encoding" in first["Vary"]
    assert not first.cookies


@pytest.mark.parametrize("path", PATHS)
def test_head_says_what_get_would(client, papers, path):
    got, asked = client.get(path), client.head(path)

    assert asked.status_code == 200
    for name in ("Content-Type", "ETag", "Content-Length"):
        assert asked[name] == got[name]


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/whoami-v2", "/api/models/x/y", "/api/v1", "/api/daily_papers/"]
)
@pytest.mark.parametrize("method", ["get", "head", "post"])
def test_an_unknown_path_is_quickly_not_found_and_never_redirected(client, path, method, django_assert_max_num_queries):
    with django_assert_max_num_queries(1):
        response = getattr(client, method)(path)

    assert response.status_code == (405 if method == "post" else 404)
    assert response["Content-Type"] == "application/json"
    assert not response.cookies


@pytest.mark.parametrize("path", [path.partition("?")[0] for path in PATHS])
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_there_is_nothing_to_write(client, path, method):
    response = getattr(client, method)(path)

    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")
    assert response.json()["error"].endswith(".")


def test_forgery_protection_stands_in_nobodys_way(papers):
    from django.test import Client

    response = Client(enforce_csrf_checks=True).post("/api/daily_papers")

    assert (response.status_code, response["Content-Type"]) == (405, "application/json")


def test_tokens_of_any_kind_are_ignored(client, papers):
    for token in ("Bearer hf_bogus", "Basic eDp5", "nonsense"):
        assert client.get("/api/daily_papers", headers={"Authorization": token}).status_code == 200


def test_every_answer_says_what_is_left_and_too_many_are_asked_to_wait(client, papers, settings, moment):
    settings.DIGEST_API_RATE = (2, 300)
    answers = [client.get("/api/daily_papers") for _ in range(3)]
    moment.sleep(100)
    later = client.get("/api/nothing")
    moment.sleep(200)
    next_window = client.get("/api/daily_papers")

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer["RateLimit"] for answer in answers] == [
        '"api";r=1;t=300', '"api";r=0;t=300', '"api";r=0;t=300'
    ]  # fmt: skip
    assert {answer["RateLimit-Policy"] for answer in answers} == {'"fixed window";"api";q=2;w=300'}
    assert answers[2]["Retry-After"] == "300"
    assert answers[2].json()["error"] == "More than 2 requests in 300 seconds: ask again in 300 seconds."
    assert (later.status_code, later["Retry-After"]) == (429, "200")
    assert next_window.status_code == 200
    assert "Retry-After" not in next_window


def test_addresses_are_counted_apart_and_a_household_of_ipv6_together(client, settings):
    settings.DIGEST_API_RATE = (1, 300)

    def asks(address):
        return client.get("/api/x", REMOTE_ADDR=address).status_code

    assert [asks(one) for one in ("192.0.2.1", "192.0.2.2", "192.0.2.1")] == [404, 404, 429]
    assert [asks(one) for one in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")] == [404, 429, 404]
    assert asks("") == 404


def test_behind_a_proxy_its_callers_are_counted_and_nobody_can_make_one_up(client, settings):
    settings.DIGEST_API_RATE = (1, 300)

    def asks(forwarded):
        return client.get("/api/x", headers={"X-Forwarded-For": forwarded}).status_code

    assert [asks("192.0.2.1"), asks("192.0.2.2")] == [404, 429]
    settings.DIGEST_BEHIND_PROXY = True
    assert [asks("192.0.2.1"), asks("192.0.2.9, 192.0.2.2"), asks("192.0.2.8, 192.0.2.1")] == [404, 404, 429]


def test_zero_is_no_limit_and_health_checks_have_none(client, settings):
    settings.DIGEST_API_RATE = (0, 1)
    assert "RateLimit" not in client.get("/api/x")
    settings.DIGEST_API_RATE = (1, 300)
    assert {client.get("/health/live").status_code for _ in range(3)} == {200}


def test_a_cache_that_is_down_stops_nobody(client, monkeypatch, settings, papers):
    class Down:
        def get(self, *arguments, **named):
            raise Unreachable("nobody listens")

        add = incr = set = get

    for module in (limits, lists):
        monkeypatch.setattr(module, "cache", Down())
    settings.DIGEST_API_RATE = (1, 300)

    answers = [client.get("/api/daily_papers") for _ in range(2)]

    assert [len(answer.json()) for answer in answers] == [1, 1]


def test_a_window_that_ends_between_two_steps_begins_anew(monkeypatch):
    class Forgetful:
        def add(self, *arguments, **named):
            return True

        def incr(self, key):
            raise ValueError(key)

    monkeypatch.setattr(limits, "cache", Forgetful())

    turn = limits.take("api", "192.0.2.1", now=NOW)

    assert (turn.allowed, turn.left) == (True, 499)


def test_nul_characters_are_refused(client):
    for path in ("/api/papers/%00", "/papers/%00.md", "/api/v1/topics/parse?q=%00"):
        assert client.get(path).status_code == 400
