"""What is suggested while somebody types a topic."""

import json

import pytest
from django.urls import reverse

from subscriptions.query import parse
from tests import make
from tests.make import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def the_day(monkeypatch):
    monkeypatch.setattr("subscriptions.clock.now", lambda: NOW)
    common = {
        "keywords": ["World Models", "robots", "or", "2606.90001"],
        "categories": ["cs.RO"],
        "authors": [{"name": "Róbert Fold"}],
    }
    rare = {"keywords": ["robot soup"], "categories": ["cs.CL"], "authors": [{"name": "Ada Once"}]}
    make.edition([make.paper(**common), make.paper(**common), make.paper(**rare)])


def suggested(client, typed):
    return json.loads(client.get(reverse("suggest"), {"q": typed}).content)


@pytest.mark.parametrize(
    ("typed", "topics"),
    [
        ("rob", ["author:\"Róbert Fold\"", "robots"]),
        ("MOD", ['"world models"']),
        ("world m", ['"world models"']),
        ("fold", ['author:"Róbert Fold"']),
        ("cs", ["cat:cs.RO", "cat:cs.CL"]),
        ("ada", []),
        ("or", ["or"]),
        ("2606", ['"2606.90001"']),
        ("", []),
        ("*(\"\x00", []),
    ],
)  # fmt: skip
def test_topics_begin_with_what_was_typed_and_can_be_read(client, typed, topics):
    found = suggested(client, typed)

    assert sorted(found) == sorted(topics)
    assert all(parse(topic) for topic in found)


def test_a_suggestion_costs_one_query_once_the_day_is_known(client, django_assert_num_queries):
    suggested(client, "rob")

    with django_assert_num_queries(1):
        suggested(client, "world")
