"""Feeds: what is in them, and that they are what RFC 4287, RSS 2.0 and JSON Feed 1.1 ask for, whatever papers hold."""

import io
import json
import re
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import feedparser
import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from digest import stamps
from digest.models import Placement
from digest.syndication import Entry, Feed, written
from subscriptions import tokens
from subscriptions.tokens import Scope
from tests import make
from tests.make import DAY, NOW

pytestmark = pytest.mark.django_db
ATOM = "{http://www.w3.org/2005/Atom}"
FORMS = ("atom", "rss", "json")
#: What a database takes: control and direction characters, ends of CDATA, and what could run.
HOSTILE = "<script>alert(1)</script> & ]]> \x0b\x1f\u202e “ü” 𝛼 \ufffe $x<y$"


@pytest.fixture(autouse=True)
def now(monkeypatch):
    monkeypatch.setattr("subscriptions.clock.now", lambda: NOW)


def read(client, name, form, **query):
    response = client.get(reverse("feed", args=[name, form]), query)
    assert response.status_code == 200
    return response


def titles(response, form):
    if form == "json":
        return [item["title"] for item in json.loads(response.content)["items"]]
    parsed = feedparser.parse(io.BytesIO(response.content))
    assert not parsed.bozo
    return [entry.title for entry in parsed.entries]


def bodies(response, form):
    """The HTML of each entry, as a reader's program gets it."""
    if form == "json":
        return [item["content_html"] for item in json.loads(response.content)["items"]]
    root = ET.fromstring(response.content)
    return [each.text or "" for each in root.iter(f"{ATOM}summary" if form == "atom" else "description")]


def is_whole(address):
    parts = urlsplit(address)
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def check_atom(content):
    """RFC 4287, 4.1: what must be there, once, and in the form it must have."""
    root = ET.fromstring(content)
    assert root.tag == f"{ATOM}feed"
    for parent in (root, *root.findall(f"{ATOM}entry")):
        for name in ("id", "title", "updated"):
            assert len(parent.findall(f"{ATOM}{name}")) == 1, name
        assert is_whole(parent.findtext(f"{ATOM}id"))
        assert datetime.fromisoformat(parent.findtext(f"{ATOM}updated")).tzinfo
        links = [(link.get("rel", "alternate"), link.get("href")) for link in parent.findall(f"{ATOM}link")]
        assert [rel for rel, _ in links].count("alternate") == 1 and all(is_whole(href) for _, href in links)
        assert all(author.findtext(f"{ATOM}name") for author in parent.findall(f"{ATOM}author"))
    assert [link.get("rel") for link in root.findall(f"{ATOM}link")].count("self") == 1
    assert root.find(f"{ATOM}author") is not None  # else each entry needs one
    for entry in root.findall(f"{ATOM}entry"):
        assert entry.find(f"{ATOM}summary").get("type") == "html"
    return [entry.findtext(f"{ATOM}id") for entry in root.findall(f"{ATOM}entry")]


def check_rss(content):
    """RSS 2.0, with the advisory board's profile: atom:link to itself, guid, dates of RFC 822."""
    root = ET.fromstring(content)
    assert (root.tag, root.get("version")) == ("rss", "2.0")
    (channel,) = root.findall("channel")
    assert all(len(channel.findall(name)) == 1 for name in ("title", "link", "description", "lastBuildDate"))
    (own,) = channel.findall(f"{ATOM}link")
    assert own.get("rel") == "self" and is_whole(own.get("href"))
    for item in channel.findall("item"):
        assert item.findtext("title") and is_whole(item.findtext("link")) and item.find("description") is not None
        assert parsedate_to_datetime(item.findtext("pubDate")).tzinfo
        assert item.find("guid").get("isPermaLink", "true") == "true"
    return [item.findtext("guid") for item in channel.findall("item")]


def check_json(content):
    """JSON Feed 1.1."""
    value = json.loads(content)
    assert value["version"] == "https://jsonfeed.org/version/1.1" and value["title"]
    assert is_whole(value["home_page_url"]) and is_whole(value["feed_url"])
    for item in value["items"]:
        assert isinstance(item["id"], str) and is_whole(item["url"]) and isinstance(item["content_html"], str)
        assert datetime.fromisoformat(item["date_published"]).tzinfo
        assert all(isinstance(author["name"], str) for author in item["authors"])
        assert all(isinstance(tag, str) for tag in item["tags"])
    return [item["id"] for item in value["items"]]


def own_address(response, form):
    """What a feed says is its own address."""
    if form == "json":
        return json.loads(response.content)["feed_url"]
    links = ET.fromstring(response.content).iter(f"{ATOM}link")
    return next(link.get("href") for link in links if link.get("rel") == "self")


CHECKS = {"atom": check_atom, "rss": check_rss, "json": check_json}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["daily", "trending", "search"])
def test_a_feed_is_valid_whatever_its_papers_hold(client, form, name):
    names = [{"name": "A & <B>"}, {"name": "]]>"}]
    hostile = make.paper(HOSTILE, abstract=HOSTILE, authors=names, keywords=["<k>"], votes=9)
    plain = make.paper("Plain", votes=8, authors=[])
    make.edition([hostile, plain], intro="*Hello*")
    Placement.objects.filter(paper=hostile).update(note="See [this](javascript:alert(1)) & <b>that</b>.")

    response = read(client, name, form, **({"q": "votes:>=1"} if name == "search" else {}))

    identifiers = CHECKS[form](response.content)
    assert own_address(response, form) == f"http://papers.example.org{response.wsgi_request.get_full_path()}"
    assert len(identifiers) == len(set(identifiers)) == 2
    assert sorted(titles(response, form))[1] == "Plain"
    for html in bodies(response, form):
        assert "<script" not in html and "javascript:" not in html and "<b>" not in html


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_feed_is_valid(client, form):
    assert CHECKS[form](read(client, "daily", form).content) == []


def test_the_day_has_the_newest_edition_first_each_in_its_order_and_nothing_hidden(client):
    first, second, old, hidden = (make.paper(title) for title in ("First", "Second", "Old", "Hidden"))
    make.edition([old, first], day=DAY - timedelta(days=1))
    make.edition([first, hidden, second])
    Placement.objects.filter(paper=hidden).update(is_hidden=True)
    make.edition([make.paper("Draft")], day=DAY - timedelta(days=2), published=False)

    assert titles(read(client, "daily", "atom"), "atom") == ["First", "Second", "Old"]


def test_a_search_has_what_a_topic_would_find_and_nothing_that_is_merely_close(client):
    make.paper("Robots Fold Laundry")
    make.paper("Machines Tidy Clothes", abstract="An automaton arm folds garments.")

    assert titles(read(client, "search", "json", q="robot laundry"), "json") == ["Robots Fold Laundry"]
    assert b"feeds/search.json?q=robot+laundry" in read(client, "search", "json", q="robot laundry").content


@pytest.mark.parametrize(
    ("query", "words"), [("", "empty"), ("cats AND OR dogs", "Try"), ("x" * 3_000, "2,000"), ("(a", "closed")]
)
def test_a_search_that_cannot_be_read_is_explained(client, query, words):
    response = client.get(reverse("feed", args=["search", "atom"]), {"q": query})

    assert response.status_code == 400 and words in response.content.decode()


def test_readers_follow_their_own_topics_with_the_reason(client):
    make.edition([make.paper("Robots Fold"), make.paper("Soup")])
    reader = make.subscriber(topics=[("Machines", "robot*"), ("Broken", "robot")])
    address = reverse("my_feed", args=[tokens.issue(Scope.FEED, reader.pk, now=NOW), "atom"])

    response = client.get(address)
    check_atom(response.content)
    assert titles(response, "atom") == ["Robots Fold"]
    assert "Machines: Robots in the title" in response.content.decode()
    assert "private" in response["Cache-Control"] and response["X-Robots-Tag"] == "noindex"

    reader.subscriptions.update(is_muted=True)
    assert titles(client.get(address), "atom") == []
    type(reader).objects.update(status="unsubscribed")
    assert client.get(address).status_code == 404
    wrong = reverse("my_feed", args=[tokens.issue(Scope.LINK, reader.pk, now=NOW), "atom"])
    assert client.get(wrong).status_code == 404


@pytest.mark.parametrize("name", ["daily", "trending", "search"])
def test_a_feed_costs_no_more_for_more_papers(client, name, django_assert_max_num_queries):
    make.edition([make.paper(votes=3) for _ in range(30)])

    with django_assert_max_num_queries(14):
        read(client, name, "atom", q="votes:>=1")


def dates(response):
    return [item["date_published"] for item in json.loads(response.content)["items"]]


def test_a_paper_is_as_new_as_the_first_edition_that_shows_it(client):
    """Programs that ask for what is newer than they have must hear of an edition of papers long known."""
    again, old, unseen = (make.paper(created_at=NOW - timedelta(days=9)) for _ in range(3))
    make.edition([again], day=DAY - timedelta(days=1), published_at=NOW - timedelta(hours=26))
    make.edition([again, old], published_at=NOW - timedelta(hours=1))

    daily = read(client, "daily", "json")
    assert dates(daily) == ["2026-06-01T06:00:00+00:00", "2026-06-02T07:00:00+00:00"]
    assert parsedate_to_datetime(daily["Last-Modified"]) == NOW - timedelta(hours=1)
    found = read(client, "search", "json", q=f"id:{unseen.identifier}")
    assert dates(found) == ["2026-05-24T08:00:00+00:00"]


@pytest.mark.parametrize("form", FORMS)
def test_an_entry_leads_to_where_the_paper_is_and_keeps_an_editors_lines(client, form):
    paper = make.paper("Robots", code_url="https://code.example.org/fold")
    make.edition([paper])
    Placement.objects.update(note="```\none\n  two\n```\n&#27;&#8238;end")

    response = read(client, "daily", form)
    html = bodies(response, form)[-1]
    assert f'<a href="{paper.url}">Read it</a>' in html and "https://code.example.org/fold" in html
    assert "one\n  two" in html and "\x1b" not in html and "\u202e" not in html
    related = {"atom": f'<link href="{paper.url}" rel="related"', "json": f'"external_url": "{paper.url}"'}
    assert related.get(form, "") in response.content.decode()


@pytest.mark.parametrize("form", FORMS)
@given(title=st.text(st.characters(), max_size=80), html=st.text(st.characters(), max_size=80))
def test_any_text_makes_a_feed_that_can_be_read(form, title, html):
    entry = Entry(url="https://papers.example.org/papers/1", source="", title=title, html=html, authors=(title,),
                  categories=(html,), at=NOW)  # fmt: skip
    feed = Feed(language="en", title=title, description=html, url="https://papers.example.org/", at=NOW,
                entries=[entry], address="https://papers.example.org/feed")  # fmt: skip

    content = written(feed, form)

    assert json.loads(content) if form == "json" else len(ET.fromstring(content))


@pytest.mark.parametrize("form", FORMS)
def test_a_readers_feed_is_not_put_together_again_for_who_has_it(client, form, django_assert_num_queries):
    make.edition([make.paper("Robots Fold")])
    reader = make.subscriber(topics=["robot*"])
    address = reverse("my_feed", args=[tokens.issue(Scope.FEED, reader.pk, now=NOW), form])
    etag = client.get(address)["ETag"]

    with django_assert_num_queries(3):
        same = client.get(address, headers={"If-None-Match": etag})
    assert (same.status_code, same.content, same["ETag"]) == (304, b"", etag)
    assert "private" in same["Cache-Control"]

    stamps.bump("editions")
    assert client.get(address, headers={"If-None-Match": etag}).status_code == 200
    reader.subscriptions.update(query="soup")
    changed = client.get(address, headers={"If-None-Match": etag})
    assert changed.status_code == 200 and titles(changed, form) == []


@pytest.mark.parametrize("form", FORMS)
def test_a_readers_feed_costs_no_more_for_more_papers(client, form, django_assert_max_num_queries):
    make.edition([make.paper(f"Robots {n}") for n in range(40)])
    reader = make.subscriber(topics=["robot*"])

    with django_assert_max_num_queries(14):
        response = client.get(reverse("my_feed", args=[tokens.issue(Scope.FEED, reader.pk, now=NOW), form]))
    assert len(CHECKS[form](response.content)) == 40


def test_robots_are_told_what_is_nobodys_affair(client):
    text = client.get("/robots.txt").content.decode()

    assert "Disallow: /manage/" in text and "Disallow: /letters/" in text
    assert "Sitemap: http://papers.example.org/sitemap.xml" in text


def test_the_sitemap_names_editions_and_papers(client, django_assert_max_num_queries):
    paper = make.paper()
    make.edition([paper, *(make.paper() for _ in range(20))])

    names = re.findall("<loc>http://papers.example.org(.*?)</loc>", client.get("/sitemap.xml").content.decode())
    assert names == ["/sitemap-editions.xml", "/sitemap-papers-0.xml"]
    assert f"/papers/date/{DAY}</loc>" in client.get(names[0]).content.decode()
    with django_assert_max_num_queries(1):
        text = client.get(names[1]).content.decode()
    assert f"/papers/{paper.identifier}</loc><lastmod>" in text and text.count("<url>") == 21
    ET.fromstring(text)
    assert client.get("/sitemap-nonsense.xml").status_code == 404
