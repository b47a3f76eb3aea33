"""Hugging Face's paths: which papers, in which order, in which shape."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from digest import stamps
from digest.api import hub, shapes, wire
from digest.models import Edition, Listing
from tests import make
from tests.make import DAY, NOW

pytestmark = pytest.mark.django_db

YESTERDAY = DAY - timedelta(days=1)
ADA = {"name": "ada", "fullname": "Ada Example", "avatar_url": "https://a.example/ada.svg", "is_pro": True, "id": "6a"}


@pytest.fixture(autouse=True)
def the_day(settings):
    settings.DIGEST_TODAY = DAY


def full(**values):
    """A paper of which everything is known."""
    return make.paper(
        "Counting widgets",
        **{
            "title_tex": "Counting $w$",
            "abstract": "We count w.",
            "abstract_tex": "We count $w$.",
            "authors": [
                {
                    "name": "Ada Example",
                    "hidden": False,
                    "_id": "64a",
                    "status": "claimed_verified",
                    "statusLastChangedAt": "2026-01-06T10:00:00.250+01:00",
                    "user": {"name": "ada", "avatarUrl": "https://a.example/ada.svg", "isPro": True},
                },
                {"name": "Ben Sample", "hidden": True},
            ],
            "organization": {"name": "lab", "fullname": "A lab", "avatar_url": "https://a.example/lab.png", "id": "6d"},
            "published_at": datetime(2026, 6, 1, 23, 30, tzinfo=UTC),
            "votes": 0,
            "comments": 2,
            "stars": 3,
            "keywords": ["widgets"],
            "ai_summary": "Counts.",
            "code_url": "https://github.com/example/widgets",
            "project_url": "https://widgets.example/",
            "thumbnail_url": "https://a.example/t.png",
            "media_urls": ["https://a.example/m.webp"],
            "discussion_id": "64c",
            **values,
        },
    )


def submit(paper, submitter, *, day=DAY):
    Listing.objects.filter(paper=paper, day=day).update(submitter=submitter)


def ids(response):
    assert response.status_code == 200, response.content
    return [item["paper"]["id"] for item in response.json()]


# The shape of an answer ---------------------------------------------------------------------------------------------


def test_an_item_has_what_clients_read_in_both_places(client):
    paper = full()
    submit(paper, ADA)
    make.edition([paper])

    (item,) = client.get("/api/daily_papers").json()

    inside = item["paper"]
    assert {key: item[key] for key in wire.SHARED} == {key: inside[key] for key in wire.SHARED}
    assert (item["upvotes"], item["summary"], item["title"]) == (0, "We count $w$.", "Counting $w$")
    assert (item["publishedAt"], inside["publishedAt"]) == ("2026-06-02T00:00:00.000Z", "2026-06-01T23:30:00.000Z")
    assert (item["organization"]["avatar"], item["organization"]["avatarUrl"]) == ("https://a.example/lab.png",) * 2
    assert (item["submittedBy"]["user"], item["submittedBy"]["name"], item["submittedBy"]["isPro"]) == (
        "ada", "ada", True
    )  # fmt: skip
    assert item["submittedBy"] == inside["submittedOnDailyBy"]
    assert inside["authors"][0] == {
        "_id": "64a",
        "name": "Ada Example",
        "hidden": False,
        "status": "claimed_verified",
        "statusLastChangedAt": "2026-01-06T09:00:00.250Z",
        "user": wire.user({"name": "ada", "avatarUrl": "https://a.example/ada.svg", "isPro": True}),
    }
    assert inside["authors"][1]["hidden"] is True
    assert "authors" not in item
    assert not {"comments", "id"} & item.keys()
    assert (item["linkedModels"], item["numComments"]) == ([], 2)


@pytest.mark.parametrize("known", [True, False])
def test_an_answer_has_the_described_shape_whatever_is_known(client, known):
    bare = {"abstract": "", "authors": [], "categories": [], "votes": None}
    paper = full() if known else make.paper(**bare)
    make.edition([paper])

    shapes.HubItem.model_validate(client.get("/api/daily_papers").json()[0])
    shapes.HubPaperAlone.model_validate(client.get(f"/api/papers/{paper.identifier}").json())


@pytest.mark.parametrize("text", ["yesterday", "2026-06-02", "2026-06-02T10:00:00", "", "2026-06-02T10:00:00+99:00"])
def test_a_moment_that_clients_could_not_read_is_left_out(text):
    assert "statusLastChangedAt" not in wire._author(make.paper(), 0, {"name": "A", "statusLastChangedAt": text})


def test_one_paper_says_when_it_was_first_featured(client):
    paper = full()
    make.edition([paper], day=YESTERDAY)
    make.edition([paper])

    found = client.get(f"/api/papers/{paper.identifier}").json()

    assert (found["publishedAt"], found["submittedOnDailyAt"]) == (
        "2026-06-01T23:30:00.000Z", "2026-06-01T00:00:00.000Z"
    )  # fmt: skip
    assert (found["numComments"], found["linkedModels"], found["numTotalModels"]) == (2, [], 0)
    assert "comments" not in found


def test_a_paper_that_was_never_featured_is_known_all_the_same(client):
    paper = make.paper()

    assert client.get(f"/api/papers/{paper.identifier}").json()["id"] == paper.identifier
    assert client.get("/api/daily_papers").json() == []


@pytest.mark.parametrize(
    "spelled", ["2606.91234", "2606.91234v3", "arXiv:2606.91234", "https://arxiv.org/abs/2606.91234"]
)
def test_a_paper_is_found_by_any_spelling_of_its_id(client, spelled):
    make.paper(identifier="2606.91234")

    assert client.get(f"/api/papers/{spelled}").json()["id"] == "2606.91234"
    assert client.get(f"/api/arxiv/{spelled}/repos").json() == {"models": [], "datasets": [], "spaces": []}
    assert client.get(f"/papers/{spelled}.md").status_code == 200


def test_an_old_id_with_its_slash_is_found(client):
    make.paper(identifier="math/0309136")

    assert client.get("/api/papers/math/0309136").json()["id"] == "math/0309136"
    assert client.get("/papers/math/0309136.md").status_code == 200


@pytest.mark.parametrize("path", ["/api/papers/{}", "/api/arxiv/{}/repos", "/papers/{}.md"])
@pytest.mark.parametrize("identifier", ["2606.99999", "x", "é", "search/", "2606.90001/", "a" * 500, "'; --"])
def test_an_unknown_paper_is_not_found(client, path, identifier):
    response = client.get(path.format(identifier))

    assert response.status_code == 404
    assert response.json()["error"].startswith("There is no ")
    assert "X-Error-Code" not in response


# Which papers, in which order ---------------------------------------------------------------------------------------


def test_without_a_filter_the_newest_day_comes_first_and_each_paper_on_its_first_day(client):
    again, old = make.paper(votes=9), make.paper(votes=50)
    new, loved = make.paper(votes=1), make.paper(votes=5)
    make.edition([old, again], day=YESTERDAY)
    make.edition([again, new, loved])

    assert ids(client.get("/api/daily_papers")) == [one.identifier for one in (loved, new, old, again)]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_part_a_list_and_lead_on_until_it_ends(client, limit):
    for day in range(4):
        make.edition([make.paper(votes=3) for _ in range(day + 1)], day=DAY - timedelta(days=day))
    found, path, pages = [], f"/api/daily_papers?limit={limit}", 0
    while path:
        response = client.get(path)
        found += ids(response)
        pages += 1
        link = response.headers.get("Link", "")
        assert not link or link.endswith('; rel="next"')
        path = link.partition(">")[0].removeprefix("<http://papers.example.org")

    assert len(found) == len(set(found)) == 10
    assert pages == -(-10 // limit)
    assert client.get(f"/api/daily_papers?limit={limit}&p={pages}").json() == []
    assert client.get("/api/daily_papers?p=99999999999999999999999").json() == []


def test_a_page_has_fifty_papers_and_never_more_than_a_hundred(client):
    make.edition([make.paper() for _ in range(105)])

    assert [len(ids(client.get(f"/api/daily_papers{query}"))) for query in ("", "?limit=1000", "?p=2")] == [50, 100, 5]


def test_a_day_has_its_papers_by_votes_or_in_its_editors_order(client):
    first, loved = make.paper(votes=1), make.paper(votes=9)
    hidden = make.paper(votes=99)
    make.edition([first, loved, hidden]).placements.filter(paper=hidden).update(is_hidden=True)

    assert ids(client.get(f"/api/daily_papers?date={DAY}")) == [loved.identifier, first.identifier]
    assert ids(client.get(f"/api/daily_papers?date={DAY}&sort=trending")) == [first.identifier, loved.identifier]


def test_a_weeks_and_a_months_papers_were_featured_within_it(client):
    before, within = make.paper(), make.paper()
    make.edition([before], day=DAY - timedelta(days=3))
    make.edition([before, within], day=YESTERDAY)

    week = client.get("/api/daily_papers?week=2026-W23").json()
    month = client.get("/api/daily_papers?month=2026-05").json()

    assert {item["paper"]["id"] for item in week} == {before.identifier, within.identifier}
    assert {item["publishedAt"] for item in week} == {"2026-06-01T00:00:00.000Z"}
    assert [item["paper"]["id"] for item in month] == [before.identifier]
    assert ids(client.get(f"/api/daily_papers?month=2026-06&date={YESTERDAY}&week=2026-W23")) == ids(
        client.get(f"/api/daily_papers?date={YESTERDAY}")
    )
    assert client.get(f"/api/daily_papers?month=2026-05&date={YESTERDAY}").json() == []


def test_a_weekend_has_no_papers(client):
    make.edition([make.paper()])

    assert client.get("/api/daily_papers?date=2026-05-31").json() == []


def test_a_submitters_papers_are_only_theirs_newest_first(client):
    ben = {"name": "ben"}
    old, new, other = make.paper(day=YESTERDAY, votes=9), make.paper(), make.paper()
    submit(old, ADA, day=YESTERDAY)
    submit(new, ADA)
    submit(other, ben)
    make.edition([old], day=YESTERDAY)
    make.edition([new, other])

    response = client.get("/api/daily_papers?submitter=ada")

    assert ids(response) == [new.identifier, old.identifier]
    assert {item["submittedBy"]["user"] for item in response.json()} == {"ada"}
    assert ids(client.get(f"/api/daily_papers?submitter=ada&date={YESTERDAY}")) == [old.identifier]
    assert set(ids(client.get("/api/daily_papers?submitter=ada&sort=trending"))) == {old.identifier, new.identifier}
    assert client.get("/api/daily_papers?submitter=nobody").json() == []


def test_a_paper_that_two_submitted_names_the_one_who_was_asked_for(client):
    paper = make.paper(day=YESTERDAY)
    submit(paper, ADA, day=YESTERDAY)
    Listing.objects.create(
        paper=paper, source=make.source(), day=DAY, announce="new", first_seen_at=NOW, submitter={"name": "ben"}
    )
    make.edition([paper])

    asked = {name: client.get(f"/api/daily_papers?submitter={name}").json() for name in ("ada", "ben")}

    assert {name: item["submittedBy"]["user"] for name, (item,) in asked.items()} == {"ada": "ada", "ben": "ben"}
    assert client.get("/api/daily_papers").json()[0]["submittedBy"]["user"] == "ada"


def test_what_trends_comes_best_first(client):
    quiet, loud, silent = make.paper(votes=2), make.paper(votes=80), make.paper(votes=0)
    make.edition([quiet, silent, loud])

    assert ids(client.get("/api/daily_papers?sort=trending")) == [loud.identifier, quiet.identifier]
    assert ids(client.get("/api/daily_papers?sort=trending&limit=1&p=1")) == [quiet.identifier]


def test_every_known_paper_is_listed_by_cursor(client):
    papers = [make.paper() for _ in range(5)]
    found, path = [], "/api/papers?limit=2&date=2026-06-02"
    while path:
        response = client.get(path)
        found += ids(response)
        path = response.headers.get("Link", "").partition(">")[0].removeprefix("<http://papers.example.org")

    assert found == [paper.identifier for paper in reversed(papers)]


@pytest.mark.parametrize(
    "query",
    ["date=2025-13-40", "date=2027-01-01", "date=", "date=today", "date=0000-00-00", "week=2025-W53", "week=2026-W30",
     "week=W23", "month=2026-07", "month=2026-13", "month=%D9%A2", "date=2026-06-02&date=x"],
)  # fmt: skip
def test_a_day_that_is_none_or_still_to_come_is_an_invalid_date(client, query):
    response = client.get(f"/api/daily_papers?{query}")

    assert response.status_code == 400
    assert response.json()["error"] == "Invalid date"
    assert response["X-Error-Message"] == response.json()["message"] != ""


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=x", "limit=", "limit=1.5", "p=-1", "p=x", "p=", "sort=votes", "sort=", "limit=%00",
     "submitter=%00", f"submitter={'a' * 201}", f"limit={'9' * 5000}"],
)  # fmt: skip
def test_a_parameter_that_cannot_be_is_refused_with_a_sentence(client, query):
    response = client.get(f"/api/daily_papers?{query}")

    assert response.status_code == 400
    assert response.json()["error"].endswith(".")


@pytest.mark.parametrize("cursor", ["x", "-1", "%E2%85%A8", "9" * 21, "1%20"])
def test_a_cursor_that_nobody_gave_is_refused(client, cursor):
    assert client.get(f"/api/papers?cursor={cursor}").status_code == 400


@pytest.mark.parametrize(
    "path",
    ["/api/daily_papers?limit=100", "/api/daily_papers?limit=100&sort=trending", f"/api/daily_papers?date={DAY}",
     "/api/daily_papers?submitter=ada", "/api/papers"],
)  # fmt: skip
def test_the_number_of_queries_does_not_grow_with_papers(client, path):
    counts = []
    for size in (3, 12):
        Edition.objects.all().delete()
        papers = [full() for _ in range(size)]
        for paper in papers:
            submit(paper, ADA)
        make.edition(papers)
        stamps.bump("editions")
        with CaptureQueriesContext(connection) as queries:
            assert len(ids(client.get(path))) >= size
        counts.append(len(queries))

    assert counts[0] == counts[1] <= 8


# Markdown -----------------------------------------------------------------------------------------------------------


def test_a_paper_as_markdown_keeps_its_tex_and_marks_what_a_machine_wrote(client):
    paper = full()

    response = client.get(f"/papers/{paper.identifier}.md")
    text = response.content.decode()

    assert response["Content-Type"] == "text/markdown; charset=utf-8"
    assert text.startswith("# Counting $w$\n\nAda Example\n\n- Paper: <https://arxiv.org/abs/")
    assert "Ben Sample" not in text
    assert "- Code: <https://github.com/example/widgets>" in text
    assert "## Summary by a machine\n\nCounts.\n\n## Abstract\n\nWe count $w$.\n" in text


def test_a_papers_text_is_no_html_no_link_and_no_heading_in_markdown(client):
    paper = make.paper(
        "<b>Bold</b> é",
        abstract="# Not a heading\n\n1. Not a list\n\n"
        "<script>x</script> [go](javascript:alert(1)) where $x<y$ and $z>0$",
    )

    text = client.get(f"/papers/{paper.identifier}.md").content.decode()

    assert "# &lt;b>Bold&lt;/b> é\n" in text
    assert "\n\n\\# Not a heading\n\n1\\. Not a list\n\n" in text
    assert "&lt;script>x&lt;/script> [go]&#40;javascript:alert(1)) where $x<y$ and $z>0$\n" in text


def test_a_page_is_at_most_a_hundred():
    assert hub.Paging(limit=10**30).page.size == 100
