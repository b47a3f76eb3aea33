"""The description of the API, and that the API is as described."""

import re

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from digest.api import reference
from tests import make
from tests.make import DAY

pytestmark = pytest.mark.django_db

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


described = schemathesis.openapi.from_dict(reference.description())


@pytest.fixture
def api(settings):
    """Papers of which much and little is known, and no limit."""
    settings.DIGEST_TODAY, settings.DIGEST_API_RATE, settings.DIGEST_SEARCH_RATE = DAY, (0, 1), (0, 1)
    make.edition([make.paper("Robots that fold paper", identifier="2606.91234"), make.paper(votes=None, authors=[])])
    # As Django's own test client does: a request that ends must not take the test's transaction with it.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield WSGIHandler()
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("path", sorted(reference.description()["paths"]))
def test_any_request_is_answered_as_described(api, path, mode):
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(case=described[path]["GET"].as_strategy(generation_mode=mode))
    def ask(case):
        case.call_and_validate(app=api, checks=CHECKS)

    try:
        ask()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "nothing can be asked"


def test_the_description_is_openapi_and_names_every_path(client):
    document = client.get("/api/openapi.json").json()

    described.validate()
    assert document["openapi"].startswith("3.1")
    assert {"/api/daily_papers", "/api/papers/{identifier}", "/papers/{identifier}.md"} <= document["paths"].keys()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["description"], path
            assert {"200", "400", "429"} <= operation["responses"].keys(), path
            assert all(parameter.get("description") for parameter in operation["parameters"]), path


def test_the_page_shows_the_same_without_scripts_and_its_examples_lead_somewhere(client, settings):
    settings.DIGEST_TODAY = DAY
    make.edition([make.paper()])

    page = client.get("/api/docs").content.decode()

    assert "<script" not in page
    assert " style=" not in page
    examples = re.findall(r'For example <a href="([^"]+)"', page)
    assert len(examples) == len(reference.description()["paths"])
    assert {client.get(path.replace("&amp;", "&")).status_code for path in examples} == {200}


def test_the_page_stands_without_a_paper(client):
    assert client.get("/api/docs").status_code == 200


def test_no_path_takes_the_name_of_a_page():
    from digest.urls import urlpatterns

    names = [pattern.name for pattern in urlpatterns if pattern.name]

    assert len(names) == len(set(names))
