"""What texts mean, and what queries of meaning find."""

import socket
import subprocess
import sys
from datetime import timedelta

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from digest import meaning
from digest.deliveries.queue import queue
from digest.documents import Points, documents, resolved
from digest.letter import Press
from digest.models import Delivery, Paper
from subscriptions.query import matches, parse
from subscriptions.query.meaning import product
from tests import make
from tests.make import DAY, NOW

ROBOTS = "Robots learn to fold paper from video of hands"
COOKING = "A survey of soup recipes and their cooking times"


def vectors(*texts):
    return meaning.vectors(list(texts))


def test_the_model_loads_and_reads_without_a_network(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)

    (vector,) = meaning.WordLlama().embed([ROBOTS])

    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_a_process_that_needs_no_meaning_loads_no_model():
    code = "import sys, django; django.setup(); import digest.tasks, digest.urls; sys.exit('wordllama' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_text_means_the_same_alone_and_beside_others():
    texts = [ROBOTS, COOKING, "one", "", "机器人 " * 3_000]

    assert vectors(*texts) == [vectors(text)[0] for text in texts]


def test_case_plurals_and_accents_change_nothing():
    assert len(set(vectors("Poincaré’s robots", "poincare ROBOT", "(POINCARÉ) Robot!"))) == 1


def test_a_text_is_closer_to_one_in_other_words_than_to_another():
    asked, robots, cooking = vectors("machine manipulation of sheets learnt by watching", ROBOTS, COOKING)

    assert product(asked, robots) > product(asked, cooking)


def test_a_text_without_words_is_close_to_nothing():
    assert product(*vectors("…", ROBOTS)) == 0


def test_where_meaning_is_off_nothing_has_a_vector(settings):
    settings.DIGEST_MEANING = "off"

    assert vectors(ROBOTS) == [b""]
    assert meaning.of_text(ROBOTS) == b""
    assert meaning.name() == ""


class Ones:
    name = "ones"
    about = like = 0.9

    def embed(self, texts):
        return np.tile(np.float32([0.6, 0.8]), (len(texts), 1))


def test_another_model_is_named_by_its_class(settings):
    settings.DIGEST_MEANING = f"{__name__}.Ones"

    assert vectors("anything") == [bytes([127, 127])]
    assert meaning.of_text("anything") == vectors("anything")[0]


def test_a_class_that_is_not_there_is_told_at_the_start(settings):
    settings.DIGEST_MEANING = "nowhere.Model"

    with pytest.raises(SystemCheckError, match="DIGEST_MEANING names a class"):
        call_command("check")


# What topics find ---------------------------------------------------------------------------------------------------


def paper(text, number, **values):
    return make.paper(text, identifier=f"2606.{number}", abstract=text, **values)


@pytest.mark.django_db
def test_about_and_like_find_papers_in_other_words():
    robots, other, cooking = paper(ROBOTS, 90001), paper("Robot hands fold sheets", 90002), paper(COOKING, 90003)

    def found(text):
        query = resolved(parse(text))
        return [bool(matches(query, document)) for document in documents([robots, other, cooking])]

    assert found('about:"robotic folding"') == [True, True, False]
    assert found("like:2606.90001") == [True, True, False]
    assert found("like:2606.90001 -id:2606.90001") == [False, True, False]
    assert found("like:2606.99999") == [False, False, False]


@pytest.mark.django_db
def test_points_ask_once_for_each_paper(django_assert_num_queries):
    for number in (90001, 90002):
        paper(ROBOTS, number)
    queries = [parse("like:2606.90001"), parse("robots like:2606.90002 OR like:2606.99999"), parse("about:robots")]
    points = Points()

    with django_assert_num_queries(3):  # papers, their sources, their stored vectors
        first = points.all_resolved(queries)
    with django_assert_num_queries(0):
        assert points.all_resolved(queries) == first
        assert points.all_resolved([parse("robots cat:cs")]) == [parse("robots cat:cs")]


@pytest.mark.django_db(transaction=True)
def test_a_digest_holds_what_is_close_in_meaning_and_says_so():
    rows = [paper(ROBOTS, 90001), paper(COOKING, 90002)]
    edition = make.edition(rows)
    reader = make.subscriber(topics=['about:"robotic folding"'], wants_trending=False)

    queue(now=NOW + timedelta(hours=1), today=DAY, by_hand=True)

    delivery = Delivery.objects.get(subscriber=reader)
    (section,) = delivery.sections
    assert section[2] == [Paper.objects.get(title=ROBOTS).pk]
    press = Press(edition)
    press.prepare([delivery.sections])
    why = press.papers[section[2][0]].why.encoded(section[1]).text
    assert b"close in meaning to" in why
