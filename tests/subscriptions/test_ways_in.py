"""Signing up from anywhere: a cached page, a frame on another site, plain HTML, JSON; and while many ask at once."""

import base64
import hashlib
import json
from datetime import timedelta

import pytest
from django.test import Client

from subscriptions import consent, forms, notices, throttle, tokens, topics
from subscriptions.consent import Visit, Wish
from subscriptions.models import Consent, Notice, Subscriber
from subscriptions.tokens import Scope
from tests import make
from tests.make import NOW

pytestmark = pytest.mark.django_db
FOREIGN = {"HTTP_ORIGIN": "https://lab.example", "HTTP_SEC_FETCH_SITE": "cross-site"}


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


def press():
    """Many ask at once, each from a network of its own."""
    for number in range(throttle.ASK_PROOF):
        consent.subscribe(f"p{number}@example.org", Wish(), now=NOW, visit=Visit(ip=f"2001:db8:{number:x}::1"))


def work_of(client):
    """What the script of the form asks for and sends."""
    answer = client.get("/subscribe/challenge").json()
    sent = {"form": answer["form"]}
    if work := answer["work"]:
        number = next(n for n in range(work["maxnumber"]) if _hash(work["salt"], n) == work["challenge"])
        proof = {"number": number, **{name: work[name] for name in ("algorithm", "challenge", "salt", "signature")}}
        sent["proof"] = base64.b64encode(json.dumps(proof).encode()).decode()
    return sent


def _hash(salt, number):
    return hashlib.sha256(f"{salt}{number}".encode()).hexdigest()


def wait_of(email):
    notice = Notice.objects.get(mailbox=email)
    return notice.next_try_at - NOW


def send(client, data, **more):
    return client.post("/api/v1/subscribe", json.dumps(data), content_type="application/json", **more)


def test_a_form_on_another_site_signs_up_without_a_cookie(client):
    response = client.post("/subscribe", {"email": "reader@example.net", "cadence": "weekly"}, **FOREIGN)

    assert (response.status_code, response.url) == (302, "/subscribe/check-inbox")
    assert not response.cookies
    assert Consent.objects.get().cadence == "weekly"


def test_the_browsers_time_zone_is_taken_for_new_addresses_only(client):
    make.subscriber("known@example.net", time_zone="Asia/Tokyo")
    for name in ("new", "known", "odd"):
        zone = "Mars/Base" if name == "odd" else "Europe/Berlin"
        client.post("/subscribe", {"email": f"{name}@example.net", "time_zone": zone}, REMOTE_ADDR="192.0.2.1")

    zones = dict(Subscriber.objects.values_list("email", "time_zone"))
    assert zones == {"new@example.net": "Europe/Berlin", "known@example.net": "Asia/Tokyo", "odd@example.net": "UTC"}


def test_suggestions_that_a_page_has_stand_in_the_forms_list(client):
    from django.template.loader import render_to_string

    page = render_to_string(
        "subscriptions/sign_up_form.html", {"form": forms.SignUp(), "suggestions": ["robots", "<x>"]}
    )

    assert '<option value="robots">' in page
    assert "<x>" not in page
    assert 'list="topic-suggestions"' in page


def test_the_words_under_the_form_are_those_that_the_record_names(client):
    client.post("/subscribe", {"email": "reader@example.net"})

    from subscriptions.records import WORDINGS

    assert WORDINGS[Consent.objects.get().text_version] in client.get("/subscribe/form").content.decode()


# In a frame and as JSON -----------------------------------------------------------------------------------------------


def test_only_the_form_for_frames_may_stand_in_one(client):
    framed = client.get("/subscribe/form")
    assert "X-Frame-Options" not in framed
    assert "frame-ancestors *" in framed["Content-Security-Policy"]
    assert not framed.cookies

    for path in ("/subscribe/embed", "/subscribe/check-inbox", "/"):
        assert client.get(path)["X-Frame-Options"] == "DENY"


def test_a_reader_signs_up_in_a_frame_and_stays_there(client):
    response = client.post("/subscribe/form", {"email": "reader@example.net", "topics": "robot"}, **FOREIGN)

    assert response.url == "/subscribe/form?sent"
    page = client.get(response.url)
    assert "Look into your inbox" in page.content.decode()
    assert "X-Frame-Options" not in page
    wrong = client.post("/subscribe/form", {"email": "no"}, **FOREIGN)
    assert wrong.status_code == 400
    assert "X-Frame-Options" not in wrong


def test_the_page_for_site_owners_shows_each_way_with_this_sites_address(client):
    page = client.get("/subscribe/embed").content.decode()

    for path in ("/subscribe/form", "/subscribe", "/api/v1/subscribe"):
        assert f"http://papers.example.org{path}" in page


@pytest.mark.parametrize(
    ("topics", "queries"),
    [
        (["robot", {"name": "Soup", "query": "soup\n OR broth"}], ["robot", "soup OR broth"]),
        ("robot, soup", ["robot", "soup"]),
        ([{"query": "robot"}], ["robot"]),
        ([], []),
    ],
)
def test_json_signs_up_too(client, topics, queries):
    response = send(client, {"email": "reader@example.net", "topics": topics, "cadence": "weekly"}, **FOREIGN)

    assert response.status_code == 202
    assert response["Access-Control-Allow-Origin"] == "*"
    asked = Consent.objects.get()
    assert [query for _, query in asked.topics] == queries
    assert asked.cadence == "weekly"


def test_json_answers_the_same_for_every_address(client):
    make.subscriber("active@example.net")
    make.subscriber("suppressed@example.net", status="suppressed")

    answers = {(send(client, {"email": f"{name}@example.net"}).content) for name in ("new", "active", "suppressed")}

    assert len(answers) == 1


@pytest.mark.parametrize(
    "body",
    ["[]", "null", "1", "{", "[" * 5_000, '{"email": 1}', '{"email": "no"}', '{"email": "a@example.net", "topics": 5}',
     '{"email": "a@example.net", "topics": ["\\ud800"]}',
     '{"email": "a@example.net", "topics": [5]}', '{"email": "a@example.net", "topics": [{}]}',
     '{"email": "a@example.net", "topics": ["(x"]}', '{"email": "a@example.net", "cadence": "hourly"}',
     '{"email": "a@example.net", "topics": [["x"]]}', '{"email": "\\ud800@example.net"}', b"\xff"],
)  # fmt: skip
def test_json_that_makes_no_sense_is_refused_with_a_sentence(client, body):
    response = client.post("/api/v1/subscribe", body, content_type="application/json")

    assert response.status_code == 400
    assert response.json().keys() & {"error", "errors"}
    assert not Notice.objects.exists()


def test_json_has_a_type_and_a_size(client):
    assert client.post("/api/v1/subscribe", {"email": "reader@example.net"}).status_code == 415
    assert send(client, {"email": "reader@example.net", "topics": "x" * 200_000}).status_code == 413
    assert client.options("/api/v1/subscribe").status_code == 204
    assert client.get("/api/v1/subscribe").status_code == 405


# While many ask at once -----------------------------------------------------------------------------------------------


def test_no_work_is_asked_for_while_few_ask(client):
    assert client.get("/subscribe/challenge").json()["work"] is None

    client.post("/subscribe", {"email": "reader@example.net"})

    assert wait_of("reader@example.net") == timedelta(0)


def test_a_browser_that_works_is_written_to_at_once_and_one_without_scripts_later(client, moment):
    press()
    sent = work_of(client)
    moment.at = NOW + timedelta(seconds=2)

    client.post("/subscribe", {"email": "works@example.net", **sent})
    client.post("/subscribe", {"email": "plain@example.net"})

    assert wait_of("works@example.net") == timedelta(seconds=2)
    assert wait_of("plain@example.net") == throttle.UNPROVEN_WAIT + timedelta(seconds=2)
    assert notices.send_due(now=NOW + timedelta(minutes=31)) == throttle.ASK_PROOF + 2


@pytest.mark.parametrize("way", ["/subscribe", "/subscribe/form", "/api/v1/subscribe"])
def test_work_counts_once_and_by_every_way(client, moment, way):
    press()
    sent = work_of(client)
    moment.at = NOW + timedelta(seconds=2)

    for name in ("first", "second"):
        data = {"email": f"{name}@example.net", **sent}
        send(client, data) if "api" in way else client.post(way, data)

    assert wait_of("first@example.net") < timedelta(minutes=1)
    assert wait_of("second@example.net") > timedelta(minutes=29)


def test_a_form_that_comes_back_at_once_waits(client):
    press()

    client.post("/subscribe", {"email": "quick@example.net", **work_of(client)})

    assert wait_of("quick@example.net") == throttle.UNPROVEN_WAIT


def test_every_request_has_notices_sent_so_that_no_difference_shows(client, monkeypatch):
    asked = []
    monkeypatch.setattr("subscriptions.tasks.soon", lambda: asked.append(1))
    make.subscriber("suppressed@example.net", status="suppressed")

    for email in ("new@example.net", "new@example.net", "suppressed@example.net"):
        client.post("/subscribe", {"email": email})
    client.post("/subscribe", {"email": "x@example.net", "website": "spam"})

    assert len(asked) == 4


# A letter's link that came too late -----------------------------------------------------------------------------------


def test_a_confirmation_that_came_too_late_offers_a_new_letter(client, moment):
    client.post("/subscribe", {"email": "reader@example.net", "topics": "robot", "cadence": "weekly"})
    link = "/confirm/" + tokens.issue(Scope.CONFIRM, Consent.objects.get().pk, now=NOW)
    moment.at = NOW + timedelta(days=4)

    for _ in range(7):
        page = client.get(link)
        assert page.status_code == 410
        assert "Mail me a new link" in page.content.decode()
    assert Notice.objects.count() == 1
    assert client.post(link).url == "/subscribe/check-inbox"

    newest = Consent.objects.latest("pk")
    client.post("/confirm/" + tokens.issue(Scope.CONFIRM, newest.pk, now=moment.at))
    reader = Subscriber.objects.get()
    assert (reader.status, reader.cadence) == ("active", "weekly")
    assert [topic.query for topic in topics.of(reader)] == ["robot"]


def test_a_confirmation_of_an_address_that_was_forgotten_leads_to_the_usual_page(client, moment):
    token = tokens.issue(Scope.CONFIRM, 12345, now=NOW)
    moment.at = NOW + timedelta(days=9)

    assert client.get(f"/confirm/{token}").status_code == 404
    assert client.post(f"/confirm/{token}").status_code == 404


@pytest.mark.parametrize(
    ("address", "forwarded", "known"),
    [
        ("192.0.2.1", "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("192.0.2.1", "unknown", "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9:1234", "192.0.2.1"),
        ("192.0.2.1", "", "192.0.2.1"),
        ("::ffff:192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "fe80::1%eth0", "fe80::1"),
        ("", "", None),
    ],
)
def test_an_address_that_is_none_is_no_address(client, settings, address, forwarded, known):
    settings.DIGEST_BEHIND_PROXY = True

    more = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    client.post("/subscribe", {"email": "reader@example.net"}, REMOTE_ADDR=address, **more)

    assert Consent.objects.get().ip == known
