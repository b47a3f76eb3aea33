"""A reader's own page, by a signed link and without a cookie."""

import re
from datetime import date, timedelta
from html import unescape

import pytest
from django.test import Client

from subscriptions import consent, tokens, topics
from subscriptions.consent import Topic, Visit
from subscriptions.models import Consent, Notice, Subscriber
from subscriptions.tokens import Scope
from tests import make
from tests.make import NOW

pytestmark = pytest.mark.django_db
PREFERENCES = {"cadence": "daily", "send_hour": "9", "time_zone": "UTC", "max_papers": "5", "format": "html"}


@pytest.fixture(autouse=True)
def moment(monkeypatch):
    from subscriptions import clock

    class Moment:
        at = NOW

    monkeypatch.setattr(clock, "now", lambda: Moment.at)
    monkeypatch.setattr("subscriptions.tasks.soon", lambda: None)
    return Moment


@pytest.fixture
def client():
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def reader():
    return make.subscriber("reader@example.net", topics=[("Robots", "robot*"), ("Soup", "soup")])


def path(reader, scope=Scope.SESSION, *more):
    start = "account" if scope is Scope.ACCOUNT else "manage"
    return "/".join(["", start, tokens.issue(scope, reader.pk, now=NOW), *more])


def rows(*some):
    """What the browser sends for rows of topics."""
    data = {"topic-TOTAL_FORMS": str(len(some)), "topic-INITIAL_FORMS": str(len(some))}
    for number, row in enumerate(some):
        data |= {f"topic-{number}-{name}": value for name, value in row.items()}
    return data


def text(response):
    assert not response.cookies
    return response.content.decode()


def of(reader):
    return topics.of(Subscriber.objects.get(pk=reader.pk))


def test_topics_are_rows_to_be_changed_ordered_muted_and_deleted(client, reader):
    page = text(client.get(path(reader)))
    assert 'value="robot*"' in page
    assert "/topics/preview?q=robot%2A" in page

    response = client.post(
        path(reader, Scope.SESSION, "topics"),
        rows(
            {"name": "Robots", "query": "robot* OR arm", "place": "9", "muted": "on"},
            {"name": "Soup", "query": "soup", "place": "2", "DELETE": "on"},
            {"name": "", "query": "video", "place": "1", "most": "3"},
        ),
    )

    assert "Topics saved" in text(client.get(response.url))
    assert of(reader) == [Topic("video", "video", most=3), Topic("Robots", "robot* OR arm", muted=True)]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"name": "a", "query": "(broken"}, "never closed"),
        ({"name": "a", "query": ""}, "required"),
        ({"name": "a", "query": "x", "most": "0"}, "greater than or equal to 1"),
        ({"name": "x" * 81, "query": "x"}, "80 characters"),
        ({"name": "robots", "query": "x"}, "Two topics are called"),
        ({"name": "a", "query": "titel:foo"}, "did you mean title:?"),
    ],
)
def test_a_row_that_is_wrong_is_explained_and_nothing_is_lost(client, reader, row, says):
    before = of(reader)

    response = client.post(
        path(reader, Scope.SESSION, "topics"), rows({"name": "Robots", "query": "robot*", "place": "1"}, row)
    )

    assert response.status_code == 400
    assert says in text(response).replace("&#x27;", "'")
    assert of(reader) == before


def test_every_page_that_is_linked_opens(client, reader):
    page = text(client.get(path(reader)))

    links = re.findall(r'href="(/(?:letters|feeds|taste|topics)[^"#]+)"', page)

    assert {link.split("/")[1] for link in links} == {"letters", "feeds", "taste", "topics"}
    for link in links:
        assert client.get(unescape(link)).status_code == 200, link


def test_a_hundred_topics_are_the_most(client, reader):
    many = [{"name": f"t{n}", "query": f"word{n}", "place": str(n)} for n in range(101)]

    assert client.post(path(reader, Scope.SESSION, "topics"), rows(*many)).status_code == 400
    assert client.post(path(reader, Scope.SESSION, "topics"), rows(*many[:100])).status_code == 302
    assert len(of(reader)) == 100
    assert client.post(path(reader, Scope.SESSION, "add"), {"every": "more"}).url.endswith("done=full")


@pytest.mark.parametrize("data", [{}, {"topic-TOTAL_FORMS": "x"}, {"topic-TOTAL_FORMS": "-1"}])
def test_rows_that_make_no_sense_are_refused(client, reader, data):
    assert client.post(path(reader, Scope.SESSION, "topics"), data).status_code == 400
    assert len(of(reader)) == 2


def test_the_builder_writes_the_topic_language(client, reader):
    response = client.post(
        path(reader, Scope.SESSION, "add"),
        {"every": 'robot "world model"', "some": "fold, grasp well", "none": "medical", "authors": "Ada Lovelace",
         "categories": "cs.RO, cs.CV", "votes": "5", "has_code": "on", "name": "Hands"},
    )  # fmt: skip

    assert response.url.endswith("done=added")
    assert of(reader)[-1] == Topic(
        "Hands",
        'robot "world model" (fold OR "grasp well") author:"Ada Lovelace" (cat:cs.RO OR cat:cs.CV) votes:>=5 has:code '
        "-medical",
    )


@pytest.mark.parametrize("data", [{}, {"every": "???"}, {"votes": "-1", "every": "x"}, {"every": "x" * 401}])
def test_what_the_builder_cannot_build_is_explained(client, reader, data):
    response = client.post(path(reader, Scope.SESSION, "add"), data)

    assert response.status_code == 400
    assert "<details open>" in text(response)
    assert len(of(reader)) == 2


@pytest.mark.parametrize(
    ("data", "days"),
    [
        ({"cadence": "weekly", "weekday": "4"}, 0b0010000),
        ({"cadence": "chosen", "days": ["0", "2", "6"], "weekday": "4"}, 0b1000101),
        ({"cadence": "daily", "days": ["0"], "weekday": "4"}, 0b1111111),
        ({"cadence": "monthly"}, 0b1111111),
    ],
)
def test_days_are_chosen_for_the_cadences_that_have_some(client, reader, data, days):
    response = client.post(path(reader), PREFERENCES | data)

    assert response.url.endswith("done=saved")
    reader.refresh_from_db()
    assert (reader.cadence, reader.send_days) == (data["cadence"], days)
    assert Consent.objects.latest("pk").cadence == data["cadence"]


def test_chosen_days_need_a_day(client, reader):
    response = client.post(path(reader), PREFERENCES | {"cadence": "chosen"})

    assert response.status_code == 400
    assert "Choose at least one day." in text(response)


@pytest.mark.parametrize(
    "data",
    [{"time_zone": "Mars/Base"}, {"send_hour": "24"}, {"max_papers": "0"}, {"max_papers": "101"}, {"format": "pdf"},
     {"min_votes": "-1"}, {"min_votes": "99999999999"}, {"cadence": "hourly"}, {"cadence": "chosen", "days": "7"},
     {"cadence": "weekly", "weekday": "x"}],
)  # fmt: skip
def test_preferences_that_make_no_sense_are_refused(client, reader, data):
    assert client.post(path(reader), PREFERENCES | data).status_code == 400


def test_nothing_but_preferences_can_be_changed_by_the_form(client, reader):
    client.post(path(reader), PREFERENCES | {"status": "suppressed", "email": "x@example.org", "mailbox": "x"})

    reader.refresh_from_db()
    assert (reader.status, reader.email, reader.mailbox) == ("active", "reader@example.net", "reader@example.net")


def test_letters_are_paused_until_a_day_and_go_on(client, reader):
    until = NOW.date() + timedelta(days=14)

    response = client.post(path(reader, Scope.SESSION, "pause"), {"until": until.isoformat()})
    assert "paused until 16 June 2026" in text(client.get(response.url))
    assert not Subscriber.objects.readable(NOW.date()).exists()
    client.post(path(reader, Scope.SESSION, "pause"), {"resume": "1"})

    assert Subscriber.objects.readable(NOW.date()).exists()


@pytest.mark.parametrize("until", ["", "x", "2026-06-02", "2020-01-01", "2029-01-01", date.max.isoformat()])
def test_a_pause_needs_a_day_to_come(client, reader, until):
    assert client.post(path(reader, Scope.SESSION, "pause"), {"until": until}).status_code == 400
    assert Subscriber.objects.get().status == "active"


def test_a_list_is_shown_before_its_topics_are_added(client, reader):
    from django.core.files.uploadedfile import SimpleUploadedFile

    bibtex = b"@misc{a, title={T}, author={Lovelace, Ada}, keywords={robots; world models}}"
    response = client.post(
        path(reader, Scope.SESSION, "import"), {"file": SimpleUploadedFile("my.bib", bibtex), "text": ""}
    )
    page = text(response)
    assert "That is BibTeX with 1 work." in page
    assert "robots\nworld models = &quot;world models&quot;" in page
    assert len(of(reader)) == 2

    client.post(path(reader, Scope.SESSION, "import"), {"topics": 'robots\nworld models = "world models"'})

    assert [topic.name for topic in of(reader)] == ["Robots", "Soup", "world models"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"text": ""}, "Choose a file"),
        ({"text": "[" * 5_000}, "begins like JSON"),
        ({"text": "<opml><body>"}, "This is no OPML"),
        ({"text": "a\x00b"}, "Choose a file"),
        ({"topics": "(broken"}, "never closed"),
    ],
)
def test_a_list_that_cannot_be_read_is_explained(client, reader, data, says):
    response = client.post(path(reader, Scope.SESSION, "import"), data)

    assert response.status_code == 400
    assert says in text(response)
    assert len(of(reader)) == 2


def test_a_file_that_is_too_large_is_refused_before_it_is_read(client, reader):
    from django.core.files.uploadedfile import SimpleUploadedFile

    file = SimpleUploadedFile("my.bib", b"x" * 2_200_000)

    response = client.post(path(reader, Scope.SESSION, "import"), {"file": file})

    assert response.status_code == 400
    assert "2 MB" in text(response)


# What only a fresh link may do ----------------------------------------------------------------------------------------


def test_a_fresh_link_leads_to_ones_data_and_a_session_does_not(client, reader):
    assert "/account/" in text(client.get(path(reader, Scope.MANAGE)))
    page = text(client.get(path(reader)))
    assert "/account/" not in page
    assert "Mail me a fresh link" in page


def test_the_link_to_ones_data_ends_with_the_letter_that_it_came_from(client, reader, moment):
    moment.at = NOW + timedelta(minutes=14)
    page = text(client.get(path(reader, Scope.MANAGE)))
    account = page.split('href="/account/')[1].split('"')[0]
    assert client.get(f"/account/{account}").status_code == 200

    moment.at = NOW + timedelta(minutes=16)

    assert client.get(f"/account/{account}").status_code == 404


@pytest.mark.parametrize("scope", [scope for scope in Scope if scope is not Scope.ACCOUNT])
@pytest.mark.parametrize("what", ["", "/export", "/move", "/erase"])
def test_no_other_link_exports_moves_or_erases(client, reader, scope, what):
    token = tokens.issue(scope, reader.pk, now=NOW)

    response = client.post(f"/account/{token}{what}", {"sure": "yes", "email": "x@example.org"})

    assert response.status_code == 404
    assert Subscriber.objects.count() == 1
    assert not Notice.objects.exists()


def test_everything_is_exported_as_a_file(client, reader):
    response = client.get(path(reader, Scope.ACCOUNT, "export"))

    assert response["Content-Disposition"].startswith("attachment")
    assert [row["query"] for row in response.json()["subscriptions"]] == ["robot*", "soup"]


def test_an_address_moves_by_two_letters(client, reader):
    assert "both inboxes" in text(client.post(path(reader, Scope.ACCOUNT, "move"), {"email": "New@example.org"}))
    key = reader.moves.get().pk
    links = [f"/move-{side}/{tokens.issue(scope, key, now=NOW)}" for side, scope in
             [("from", Scope.MOVE_FROM), ("to", Scope.MOVE_TO)]]  # fmt: skip
    for link in links * 2:
        assert client.get(link).status_code == 200
    assert reader.moves.get().old_agreed_at is None
    assert "One of two" in text(client.post(links[0]))

    assert "have moved" in text(client.post(links[1]))
    assert Subscriber.objects.get().email == "New@example.org"
    assert client.post(f"/move-to/{tokens.issue(Scope.MOVE_FROM, key, now=NOW)}").status_code == 404


def test_erasing_asks_whether_one_is_sure(client, reader):
    assert client.post(path(reader, Scope.ACCOUNT, "erase"), {}).status_code == 400
    assert Subscriber.objects.exists()

    assert "Everything is erased" in text(client.post(path(reader, Scope.ACCOUNT, "erase"), {"sure": "yes"}))
    assert not Subscriber.objects.exists()
    assert client.get(path(reader)).status_code == 404


# Leaving --------------------------------------------------------------------------------------------------------------


def test_one_topic_is_left_by_a_link_of_its_own(client, reader):
    link = f"/u/{tokens.issue(Scope.UNSUBSCRIBE, reader.pk, now=NOW)}/{topics.marks('Soup')[0]}"
    assert "Leave the topic “Soup”?" in text(client.get(link))
    assert len(of(reader)) == 2

    for _ in range(2):
        page = text(client.post(link, {"why": "not mine", "comment": "x" * 400}))
        assert "The topic is gone" in page

    assert [topic.name for topic in of(reader)] == ["Robots"]
    assert Subscriber.objects.get().status == "active"
    assert "There is no such topic" in text(client.get(link))


def test_a_link_out_of_a_topic_is_of_one_reader(client, reader):
    other = make.subscriber(topics=[("Soup", "soup")])
    client.post(f"/u/{tokens.issue(Scope.UNSUBSCRIBE, other.pk, now=NOW)}/{topics.marks('Soup')[0]}")

    assert [topic.name for topic in of(reader)] == ["Robots", "Soup"]
    assert of(other) == []
    assert client.get(f"/u/{tokens.issue(Scope.LINK, reader.pk, now=NOW)}/{topics.marks('Soup')[0]}").status_code == 404


def test_a_reason_is_kept_and_one_that_cannot_be_read_stops_nobody(client, reader):
    link = "/u/" + tokens.issue(Scope.UNSUBSCRIBE, reader.pk, now=NOW)
    client.post(link, {"why": "nonsense", "comment": "Too many letters\x00"})
    assert Subscriber.objects.get().status == "unsubscribed"
    client.post(link, {"why": "too many", "comment": "Daily is much."})

    row = Consent.objects.latest("pk")
    assert (row.why, row.comment) == ("too many", "Daily is much.")


def test_posts_from_another_site_are_refused_but_leaving_is_not(client, reader):
    foreign = {"HTTP_ORIGIN": "https://evil.example", "HTTP_SEC_FETCH_SITE": "cross-site"}
    for response in (
        client.post(path(reader), PREFERENCES, **foreign),
        client.post(path(reader, Scope.ACCOUNT, "erase"), {"sure": "yes"}, **foreign),
        client.post("/link/" + tokens.issue(Scope.LINK, reader.pk, now=NOW), **foreign),
    ):
        assert response.status_code == 403
    assert Subscriber.objects.get().status == "active"
    own = client.post(path(reader), PREFERENCES, HTTP_ORIGIN="http://testserver", HTTP_SEC_FETCH_SITE="same-origin")
    assert own.status_code == 302

    link = "/u/" + tokens.issue(Scope.UNSUBSCRIBE, reader.pk, now=NOW)
    assert client.post(link, {"List-Unsubscribe": "One-Click"}, **foreign).status_code == 200
    assert Subscriber.objects.get().status == "unsubscribed"


def test_the_page_asks_the_database_as_often_for_many_topics_as_for_few(client, django_assert_num_queries, reader):
    with django_assert_num_queries(2):
        client.get(path(reader))
    topics.append(reader, [Topic(f"t{n}", f"w{n}") for n in range(50)], now=NOW, visit=Visit())
    with django_assert_num_queries(2):
        client.get(path(reader))


def test_an_unsubscribed_readers_links_open_nothing(client, reader):
    consent.unsubscribe(reader.pk, now=NOW, visit=Visit())

    for scope in (Scope.MANAGE, Scope.SESSION, Scope.ACCOUNT):
        assert client.get(path(reader, scope)).status_code == 404
