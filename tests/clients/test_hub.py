"""What Hugging Face's users do with their own tools, here."""

import json

import pytest

from tests.clients.conftest import VERSIONS

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]

LISTING = [version for version in VERSIONS if version != "0.26"]


def ids(answer):
    assert "papers" in answer, answer
    return [paper["id"] for paper in answer["papers"]]


@pytest.mark.parametrize("version", LISTING)
def test_daily_papers_are_listed(site, version):
    daily = "list_daily_papers"
    default, ten, first, second, past, day, week, month, mine, trending = site.ask(
        version,
        [daily, {}],
        [daily, {"limit": 10}],
        [daily, {"limit": 5, "p": 0}],
        [daily, {"limit": 5, "p": 1}],
        [daily, {"p": 100}],
        [daily, {"date": "2026-06-01"}],
        [daily, {"week": "2026-W22"}],
        [daily, {"month": "2026-05"}],
        [daily, {"submitter": "ada"}],
        [daily, {"sort": "trending"}],
    )

    assert len(ids(default)) == 24
    assert ids(default)[:10] == ids(ten)
    assert ids(first) + ids(second) == ids(ten)
    assert ids(past) == []
    assert {paper["submitted_at"][:10] for paper in day["papers"]} == {"2026-06-01"}
    assert {paper["submitted_at"][:10] for paper in week["papers"]} == {"2026-05-30", "2026-05-31"}
    assert {paper["submitted_at"][:10] for paper in month["papers"]} == {"2026-05-30", "2026-05-31"}
    assert {paper["submitter"] for paper in mine["papers"]} == {"ada"}
    assert len(ids(mine)) == 12
    assert len(ids(trending)) == 20  # those that anybody noticed


@pytest.mark.parametrize("version", LISTING)
def test_a_paper_in_a_list_arrives_whole(site, version):
    (found,) = site.ask(version, ["list_daily_papers", {"date": "2026-06-02"}])

    papers = {paper["upvotes"]: paper for paper in found["papers"]}
    assert sorted(papers) == list(range(6))
    known, bare = papers[1], papers[0]
    assert known["authors"] == ["Ada Example", "Ben É"]
    assert (known["title"], known["summary"]) == ("Widgets $w$", "We count $w<v$.")
    assert (known["comments"], known["submitter"]) == (4, "ada")
    assert known["submitted_at"] == "2026-06-02T00:00:00+00:00"
    assert known["published_at"] == "2026-06-02T08:00:00+00:00"
    assert (bare["upvotes"], bare["comments"], bare["submitter"]) == (0, 0, None)
    if version == "newest":
        assert (known["ai_summary"], known["ai_keywords"]) == ("Counts.", ["widgets"])
        assert (known["github_repo"], known["github_stars"]) == ("https://github.com/example/widgets", 0)
        assert (known["project_page"], known["avatar"]) == ("https://widgets.example/", "https://a.example/lab.png")
        assert (known["linked_models"], bare["ai_summary"]) == ([], None)


@pytest.mark.parametrize("version", LISTING)
def test_a_day_that_is_none_is_a_bad_request_whose_reason_is_shown(site, version):
    answers = site.ask(
        version,
        *(["list_daily_papers", asked] for asked in (
            {"date": "2025-13-40"}, {"date": "2026-06-03"}, {"week": "2026-W99"}, {"limit": 0}
        )),
    )  # fmt: skip

    assert [(one["error"], one["status"]) for one in answers] == [("BadRequestError", 400)] * 4
    assert "There is no such day: write it like 2026-06-02." in answers[0]["message"]
    assert "Invalid date" in answers[0]["message"]


@pytest.mark.parametrize("version", VERSIONS)
def test_one_paper_is_told_of_and_an_unknown_one_is_not_found(site, version):
    found, unknown = site.ask(version, ["paper_info", {"id": "2606.95555"}], ["paper_info", {"id": "2606.99999"}])

    (paper,) = found["papers"]
    assert (paper["id"], paper["title"]) == ("2606.95555", "Never featured")
    assert (unknown["error"], unknown["status"]) == ("HfHubHTTPError", 404)
    assert "There is no paper 2606.99999 here." in unknown["message"]


def test_one_paper_is_read_as_markdown(site):
    found, unknown = site.ask("newest", ["read_paper", {"id": "2606.95555"}], ["read_paper", {"id": "2606.99999"}])

    assert found["text"].startswith("# Never featured\n")
    assert (unknown["error"], unknown["status"]) == ("HfHubHTTPError", 404)


def test_too_many_requests_are_told_when_to_come_again(site, settings):
    settings.DIGEST_API_RATE = (1, 300)

    _, refused = site.ask("newest", ["paper_info", {"id": "2606.95555"}], ["paper_info", {"id": "2606.95555"}])

    assert refused["status"] == 429
    assert "etry after" in refused["message"]


@pytest.mark.parametrize(
    "arguments",
    [["ls"], ["ls", "--date", "2026-06-02"], ["ls", "--week", "2026-W23"], ["ls", "--month", "2026-05"],
     ["ls", "--submitter", "ada"], ["ls", "--sort", "trending"]],
    ids=" ".join,
)  # fmt: skip
def test_the_command_lists_papers(site, arguments):
    done = site.hf(*arguments, "--format", "json")

    assert done.returncode == 0, done.stderr
    assert all(paper["id"].startswith("2606.") for paper in json.loads(done.stdout))
    assert json.loads(done.stdout)


def test_the_command_shows_and_reads_one_paper(site):
    table, info, read, unknown = (
        site.hf(*arguments)
        for arguments in (["ls"], ["info", "2606.95555", "--format", "json"], ["read", "2606.95555"],
                          ["info", "2606.99999"])
    )  # fmt: skip

    assert (table.returncode, info.returncode, read.returncode) == (0, 0, 0), table.stderr + info.stderr + read.stderr
    assert json.loads(info.stdout)["title"] == "Never featured"
    assert "# Never featured" in read.stdout
    assert unknown.returncode != 0
    assert "not found" in (unknown.stdout + unknown.stderr).lower()


@pytest.mark.parametrize("version", VERSIONS)
def test_papers_are_searched_for(site, version):
    found, too_long = site.ask(
        version, ["list_papers", {"query": "widgets day"}], ["list_papers", {"query": "x" * 251}]
    )

    assert len(ids(found)) >= 24
    assert (too_long["error"], too_long["status"]) == ("BadRequestError", 400)


def test_no_more_papers_are_found_than_were_asked_for(site):
    two, nothing_asked = site.ask(
        "newest", ["list_papers", {"query": "widgets", "limit": 2}], ["list_papers", {"limit": 3}]
    )

    assert (len(ids(two)), len(ids(nothing_asked))) == (2, 3)


def test_the_command_searches(site):
    as_json, table = site.hf("search", "widgets day", "--format", "json"), site.hf("search", "widgets")

    assert (as_json.returncode, table.returncode) == (0, 0), as_json.stderr + table.stderr
    assert len(json.loads(as_json.stdout)) == 20
