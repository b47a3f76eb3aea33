"""Our own paths."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from digest import stamps
from digest.api import own_shapes as shapes
from digest.models import Edition, Listing, Observation
from tests import make
from tests.make import DAY, NOW

pytestmark = pytest.mark.django_db

YESTERDAY = DAY - timedelta(days=1)


@pytest.fixture(autouse=True)
def the_day(settings):
    settings.DIGEST_TODAY = DAY


def test_editions_are_listed_newest_first_with_what_their_editor_wrote(client):
    make.edition([make.paper()], day=YESTERDAY, warnings=["arXiv is late."])
    hidden = make.paper()
    edition = make.edition([make.paper(), make.paper(), hidden], intro="Two of **three**.<script>x</script>")
    edition.placements.filter(paper=hidden).update(is_hidden=True)
    make.edition([make.paper()], day=DAY - timedelta(days=2), published=False)

    newest, older = client.get("/api/v1/editions").json()

    shapes.EditionInList.model_validate(newest)
    assert (newest["date"], newest["papers"], older["date"], older["papers"]) == ("2026-06-02", 2, "2026-06-01", 1)
    assert newest["url"] == "http://papers.example.org/papers/date/2026-06-02"
    assert newest["intro"]["markdown"] == "Two of **three**.<script>x</script>"
    assert "<strong>three</strong>" in newest["intro"]["html"]
    assert "<script>" not in newest["intro"]["html"]
    assert older["warnings"] == ["arXiv is late."]
    page = client.get("/api/v1/editions?limit=1")
    assert [one["date"] for one in page.json()] == ["2026-06-02"]
    assert page["Link"] == '<http://papers.example.org/api/v1/editions?limit=1&p=1>; rel="next"'
    assert "Link" not in client.get("/api/v1/editions?limit=1&p=1")
    assert client.get("/api/v1/editions?p=99999999999999999999").json() == []


def test_an_edition_has_its_placements_in_its_editors_order(client):
    first, second = make.paper(votes=1), make.paper(votes=9)
    make.edition([second], day=YESTERDAY)
    edition = make.edition([first, second])
    edition.placements.filter(paper=first).update(place=1, note="Read *this*.")

    found = client.get("/api/v1/editions/2026-06-02").json()

    shapes.Edition.model_validate(found)
    one, two = found["placements"]
    assert (one["rank"], one["is_pinned"], one["paper"]["identifier"]) == (1, True, first.identifier)
    assert one["note"] == {"markdown": "Read *this*.", "html": "<p>Read <em>this</em>.</p>"}
    assert (two["is_pinned"], two["paper"]["featured"]) == (False, "2026-06-01")
    assert found["papers"] == 2
    page = client.get("/api/v1/editions/2026-06-02?limit=1&p=1")
    assert [row["rank"] for row in page.json()["placements"]] == [2]
    assert "Link" not in page


@pytest.mark.parametrize(
    ("day", "status", "error"),
    [
        ("2026-06-01", 404, "There is no edition of 2026-06-01."),
        ("2027-06-01", 404, "There is no edition of 2027-06-01."),
        ("2026-13-40", 400, "Invalid date"),
        ("today", 400, "Invalid date"),
    ],
)
def test_an_edition_that_is_not_there_is_said_to_be_so(client, day, status, error):
    response = client.get(f"/api/v1/editions/{day}")

    assert (response.status_code, response.json()["error"]) == (status, error)


def test_a_paper_comes_with_everything_that_was_seen_of_it(client):
    paper = make.paper(
        "Counting",
        day=YESTERDAY,
        version=2,
        authors=[{"name": "Ada Example", "hidden": False}, {"name": "Ben Sample", "hidden": True}],
        organization={"name": "lab", "fullname": "A lab", "avatar_url": "", "id": "6d"},
    )
    Listing.objects.create(
        paper=paper, source=make.source("arxiv.cs.CL"), day=DAY, announce="replace", first_seen_at=NOW,
        submitter={"name": "ada"},
    )  # fmt: skip
    for hour, votes in ((1, 2), (2, 5)):
        Observation.objects.create(paper=paper, at=NOW + timedelta(hours=hour), votes=votes)
    make.edition([paper])

    found = client.get(f"/api/v1/papers/{paper.identifier}").json()

    shapes.WholePaper.model_validate(found)
    assert (found["title"], found["title_tex"], found["version"]) == ("Counting", "Counting", 2)
    assert found["authors"] == ["Ada Example"]
    assert found["organization"] == {"name": "lab", "fullname": "A lab", "avatar_url": ""}
    assert [(row["source"], row["announce"], row["submitter"]) for row in found["listings"]] == [
        ("huggingface", "new", None), ("arxiv.cs.CL", "replace", "ada")
    ]  # fmt: skip
    assert [row["votes"] for row in found["observations"]] == [2, 5]
    assert found["observations"][0]["at"] == "2026-06-02T09:00:00.000Z"
    assert found["editions"] == [{"date": "2026-06-02", "rank": 1}]
    assert found["featured"] == "2026-06-02"
    assert client.get("/api/v1/papers/2606.99999").status_code == 404


def test_a_query_is_read_into_its_normal_form_or_refused_with_its_place(client):
    assert client.get("/api/v1/topics/parse", {"q": "Robot  AND (video)"}).json() == {"query": "robot video"}

    refused = client.get("/api/v1/topics/parse", {"q": "robot AND"})
    assert refused.status_code == 400
    assert refused.json() == {
        "error": "Something must follow AND.", "message": "Something must follow AND.",
        "position": 6, "length": 3, "suggestion": "robot",
    }  # fmt: skip
    assert client.get("/api/v1/topics/parse").json()["error"] == "q: field required."
    assert client.get("/api/v1/topics/parse", {"q": "x" * 2001}).status_code == 400


@pytest.mark.parametrize("path", ["/api/v1/editions/2026-06-02", "/api/v1/editions", "/api/v1/papers/2606.95555"])
def test_the_number_of_queries_does_not_grow_with_rows(client, path):
    counts = []
    for size in (2, 9):
        Edition.objects.all().delete()
        make.edition([make.paper() for _ in range(size)])
        for back in range(1, size):
            make.edition([make.paper()], day=DAY - timedelta(days=back))
        if size == 2:
            make.paper(identifier="2606.95555")
        stamps.bump("editions")
        with CaptureQueriesContext(connection) as queries:
            assert client.get(path).status_code == 200
        counts.append(len(queries))

    assert counts[0] == counts[1] <= 8
