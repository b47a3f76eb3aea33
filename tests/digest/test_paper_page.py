"""A paper's own page."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from digest.models import Listing, Observation, Paper, Thumbnail
from tests import make
from tests.make import DAY, NOW

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def the_day(settings):
    settings.DIGEST_TODAY = DAY


def show(client, paper):
    return client.get(f"/papers/{paper.identifier}").content.decode()


def test_a_paper_has_a_page_with_all_that_is_known_of_it(client):
    paper = make.paper(
        "Robots That Fold", abstract="First.\n\nSecond.", ai_summary="They fold.", keywords=["folding"], version=3,
        organization={"name": "lab", "fullname": "Example Lab"}, doi="10.1000/(x)<y>", journal_ref="J. Folds 3",
        code_url="https://example.org/code", project_url="https://example.org/", stars=1200, discussion_id="abc",
        license_url="https://example.org/licence", published_at=NOW,
    )  # fmt: skip
    make.edition([make.paper(), paper]).placements.filter(paper=paper).update(note="Read **this**.")

    page = show(client, paper)

    for part in (
        "<p>First.</p>", "<p>Second.</p>", "(AI summary)", "They fold.", "Example Lab", "version 3", "J. Folds 3",
        'href="https://doi.org/10.1000/(x)%3Cy%3E"', 'href="https://example.org/code"', "Code ★ 1,200",
        f'href="https://arxiv.org/pdf/{paper.identifier}"', "Discussion at Hugging Face", "2 Jun 2026 by huggingface",
        "Tuesday, 2 June 2026</a>, place 2", "Read <strong>this</strong>.", "2 June 2026</time>",
        'href="/papers?q=keyword%3A%22folding%22"', 'href="/papers?q=author%3A%22Ada+Example%22"',
        'href="/papers?q=org%3A%22Example+Lab%22"', f'href="/papers/{paper.identifier}.bib"',
        f'href="/?topics=like%3A{paper.identifier}#sign-up"', '<meta name="citation_author" content="Ada Example">',
        f'rel="canonical" href="http://papers.example.org/papers/{paper.identifier}"',
    ):  # fmt: skip
        assert part in page, part


@pytest.mark.parametrize("form", ["{}v2", "{}v12", "https://arxiv.org/abs/{}v2", "https://huggingface.co/papers/{}"])
def test_other_names_of_a_paper_lead_to_its_page(client, form):
    paper = make.paper()

    response = client.get("/papers/" + form.format(paper.identifier))

    assert (response.status_code, response.url) == (302, f"/papers/{paper.identifier}")


@pytest.mark.parametrize("identifier", ["math/0309136", "web.0123456789abcdef", "sample.90001"])
def test_every_kind_of_identifier_has_its_page(client, identifier):
    paper = make.paper("Found", identifier=identifier)

    assert "Found" in show(client, paper)


@pytest.mark.parametrize(
    "path", ["2606.99999", "2606.99999v2", "x", "%00", "%ff%fe", "a%20b", "é", "../../etc", "'--", "x" * 3000]
)
def test_an_unknown_paper_is_not_found_with_a_sentence(client, path):
    response = client.get(f"/papers/{path}")

    assert response.status_code == 404
    assert "has been listed here" in response.content.decode()


def test_a_paper_that_no_source_has_listed_is_not_found(client):
    paper = make.paper()
    Listing.objects.all().delete()

    assert client.get(f"/papers/{paper.identifier}").status_code == 404


def test_of_many_authors_twenty_stand_open_and_hidden_ones_nowhere(client):
    names = [{"name": f"Author {n:03}", "hidden": n == 5} for n in range(664)]

    page = show(client, make.paper(authors=names)).partition("<main")[2]

    assert "and 643 more authors" in page
    assert page.index("Author 020") < page.index("and 643 more authors") < page.index("Author 021")
    assert "Author 005" not in page


def test_votes_over_time_are_drawn_and_told(client):
    paper = make.paper()
    assert "<svg" not in show(client, paper)
    for hours, votes in enumerate([2, 9]):
        Observation.objects.create(paper=paper, at=NOW + timedelta(hours=hours), votes=votes)

    assert '<title id="votes">From 2 on 2 June to 9 on 2 June 2026</title>' in show(client, paper)


def test_a_page_that_is_shared_shows_the_picture_we_keep(client):
    paper = make.paper(thumbnail_url="https://elsewhere.example.org/a.png")
    assert "og:image" not in show(client, paper)
    Thumbnail.objects.create(paper=paper, image=b"RIFF", width=480, height=240, version="abc")

    address = f"http://papers.example.org/papers/{paper.identifier}/thumbnail.webp?v=abc"
    assert f'content="{address}"' in show(client, paper)


def test_papers_like_it_are_shown_and_others_not(client):
    folding = "A robot arm learns to fold paper from hours of video."
    paper = make.paper("Folding Machines", abstract=folding)
    make.paper("Origami for Robots", abstract=folding)
    make.paper("Soup of the Day", abstract="We measure how warm a soup stays in a bowl.")

    page = show(client, paper).partition("More like this")[2]

    assert "Origami for Robots" in page
    assert "Soup of the Day" not in page
    assert "Folding Machines" not in page


def test_addresses_that_are_not_of_the_web_are_no_links(client):
    paper = make.paper(url="javascript:alert(1)", code_url="javascript:alert(2)", project_url="data:text/html,x",
                       license_url="vbscript:x", identifier="web.0123456789abcdef")  # fmt: skip
    make.edition([paper])

    for page in (show(client, paper), client.get("/").content.decode()):
        assert not any(word in page for word in ("javascript:", "data:text", "vbscript:"))


def test_a_paper_takes_the_same_queries_however_much_is_known_of_it(client):
    def queries(paper):
        show(client, paper)  # what is kept in the process is made
        with CaptureQueriesContext(connection) as asked:
            show(client, paper)
        return len(asked)

    few = make.paper(keywords=["a"])
    make.edition([few])
    many = make.paper(keywords=[f"k{n}" for n in range(50)], authors=[{"name": f"A{n}"} for n in range(300)])
    for days in range(1, 20):
        make.edition([many], day=DAY - timedelta(days=days))
        Listing.objects.create(paper=many, source=make.source(f"feed{days}"), day=DAY, first_seen_at=NOW)
        Observation.objects.create(paper=many, at=NOW - timedelta(hours=days), votes=days)

    assert queries(few) == queries(many)
    assert Paper.objects.count() == 2
