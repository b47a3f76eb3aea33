import re

import pytest
from django.test import Client

from subscriptions import forms, notices, outbox, tokens
from subscriptions.models import Consent, Notice, Subscriber
from subscriptions.tokens import Scope
from tests import make
from tests.make import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def the_moment(monkeypatch):
    from subscriptions import clock

    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr("subscriptions.tasks.soon", lambda: None)


def sign_up(client, email="reader@example.net", topics="", **more):
    return client.post("/subscribe", {"email": email, "topics": topics, "website": "", **more})


def link_in_letter():
    """The path of the one link in the newest letter."""
    notices.send_due(now=NOW)
    text = outbox.letters(most=1)[0].body("plain")
    return re.search(r"http://papers\.example\.org(/(?:confirm|manage)/\S+)", text)[1]


def confirmed(client, topics="robot"):
    sign_up(client, topics=topics)
    client.post(link_in_letter())
    return Subscriber.objects.get()


def test_an_address_alone_is_enough(client):
    response = sign_up(client)

    assert (response.status_code, response.url) == (302, "/subscribe/check-inbox")
    assert Notice.objects.get().kind == "confirm"


def test_a_form_without_cookie_or_token_is_taken_as_pages_are_kept_and_embedded():
    client = Client(enforce_csrf_checks=True, headers={"Origin": "https://elsewhere.example.org"})

    response = sign_up(client)

    assert (response.status_code, response.url) == (302, "/subscribe/check-inbox")
    assert not response.cookies


def test_the_answer_is_the_same_for_every_address(client):
    make.subscriber("active@example.net")
    make.subscriber("suppressed@example.net", status="suppressed")
    make.subscriber("left@example.net", status="unsubscribed")
    answers = set()
    for name in ["new", "active", "suppressed", "left"]:
        response = sign_up(client, f"{name}@example.net")
        answers.add((response.status_code, response.url, response.content, tuple(sorted(response.cookies))))

    assert len(answers) == 1


def test_opening_the_confirmation_changes_nothing_and_its_button_does(client):
    sign_up(client, topics="robot, soup -medical")
    link = link_in_letter()

    for _ in range(7):
        page = client.get(link)
        assert page.status_code == 200
        assert client.head(link).status_code == 200
    assert Subscriber.objects.get().status == "pending"
    client.post(link)

    reader = Subscriber.objects.get()
    assert reader.status == "active"
    assert [row.query for row in reader.subscriptions.order_by("position")] == ["robot", "soup -medical"]


def test_the_confirmation_letter_holds_nothing_that_was_typed(client):
    sign_up(client, topics="Buy cheap pills = pills", website="")
    notices.send_due(now=NOW)

    letter = outbox.letters(most=1)[0]
    assert "pills" not in letter.body("plain") + letter.body("html") + letter.subject
    assert letter.message["List-Unsubscribe"] is None
    assert letter.message["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize("email", ["", "no", "a@b", "a b@example.net", "x" * 250 + "@example.net"])
def test_what_is_no_address_is_refused_and_kept_in_the_field(client, email):
    response = sign_up(client, email, topics="robot")

    assert response.status_code == 400
    assert 'value="robot"' in response.content.decode()
    assert not Notice.objects.exists()


def test_a_wrong_topic_is_refused_with_its_place_and_a_suggestion(client):
    page = sign_up(client, topics="robot, titel:foo").content.decode()

    assert "There is no field titel: (did you mean title:?)." in page
    assert "Try: title:foo" in page
    assert "reader@example.net" in page


def test_a_bot_that_fills_in_the_hidden_field_is_answered_and_ignored(client):
    response = sign_up(client, website="http://spam.example")

    assert response.url == "/subscribe/check-inbox"
    assert not Subscriber.objects.exists()


@pytest.mark.parametrize(
    ("text", "topics"),
    [
        ("robot, video", [("robot", "robot"), ("video", "video")]),
        ('"a, b", (x OR y), z', [('"a, b"', '"a, b"'), ("(x OR y)", "(x OR y)"), ("z", "z")]),
        ("Robots = robot* OR arm\n\n video ", [("Robots", "robot* OR arm"), ("video", "video")]),
        ("robot, Robot", [("Robot", "Robot")]),
        ("  ", []),
    ],
)
def test_topics_are_read_as_people_write_them(text, topics):
    field = forms.TopicsField(required=False)

    assert [(topic.name, topic.query) for topic in field.clean(text)] == topics
    assert [(topic.name, topic.query) for topic in field.clean(forms.written(field.clean(text)))] == topics


def test_topics_and_hours_are_changed_by_a_signed_link(client):
    reader = confirmed(client)
    link = "/manage/" + tokens.issue(Scope.MANAGE, reader.pk, now=NOW)
    assert "robot" in client.get(link).content.decode()

    response = client.post(link, {
        "cadence": "weekdays", "send_hour": "9", "time_zone": "Asia/Tokyo", "max_papers": "5", "min_votes": "3",
        "format": "text",
    })  # fmt: skip

    assert response.status_code == 302
    assert "Saved" in client.get(response.url).content.decode()
    reader.refresh_from_db()
    assert (reader.cadence, reader.send_hour, reader.time_zone, reader.max_papers) == ("weekdays", 9, "Asia/Tokyo", 5)
    assert (reader.wants_trending, reader.format, reader.min_votes) == (False, "text", 3)
    assert "send_hour" in Consent.objects.filter(event="changed").first().detail


def test_the_link_in_a_letter_opens_nothing_but_mails_a_fresh_one(client):
    reader = make.subscriber("reader@example.net")
    token = tokens.issue(Scope.LINK, reader.pk, now=NOW)

    assert client.get(f"/manage/{token}").status_code == 404
    client.get(f"/link/{token}")
    assert not Notice.objects.exists()
    client.post(f"/link/{token}")
    assert Notice.objects.get().kind == "manage"
    assert client.get(link_in_letter()).status_code == 200


@pytest.mark.parametrize("data", [{"List-Unsubscribe": "One-Click"}, {}])
def test_one_click_ends_all_mail_without_cookies_or_redirects(data):
    reader = make.subscriber()
    client = Client(enforce_csrf_checks=True)
    url = "/u/" + tokens.issue(Scope.UNSUBSCRIBE, reader.pk, now=NOW)

    for _ in range(3):
        response = client.post(url, data)
        assert response.status_code == 200
        assert not response.cookies
    reader.refresh_from_db()
    assert reader.status == "unsubscribed"


def test_one_click_also_comes_urlencoded(client):
    reader = make.subscriber()
    url = "/u/" + tokens.issue(Scope.UNSUBSCRIBE, reader.pk, now=NOW)

    client.post(url, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded")

    assert Consent.objects.get().detail == "one click"


def test_looking_at_the_way_out_changes_nothing(client):
    reader = make.subscriber()

    assert client.get("/u/" + tokens.issue(Scope.UNSUBSCRIBE, reader.pk, now=NOW)).status_code == 200
    reader.refresh_from_db()
    assert reader.status == "active"


@pytest.mark.parametrize("path", ["/u/", "/confirm/", "/manage/", "/link/", "/account/", "/move-to/"])
@pytest.mark.parametrize("token", ["x", "1.2.3", "a" * 500, "1.6a1e8d80.AAAA", "%00", "é"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_every_wrong_link_leads_to_the_same_page(client, path, token, method):
    response = getattr(client, method)(path + token)

    assert response.status_code == 404
    assert "does not work any more" in response.content.decode()


def test_the_outbox_is_there_for_debugging_only(client, settings):
    sign_up(client)
    notices.send_due(now=NOW)
    name = outbox.letters(most=1)[0].name

    settings.DEBUG = False
    assert [client.get(path).status_code for path in ("/outbox/", f"/outbox/{name}", f"/outbox/{name}/html")] == [
        404
    ] * 3
    settings.DEBUG = True
    assert [client.get(path).status_code for path in ("/outbox/", f"/outbox/{name}", f"/outbox/{name}/html")] == [
        200
    ] * 3
    assert client.get("/outbox/..%2f..%2fsecret-key").status_code == 404
    assert "sandbox" in client.get(f"/outbox/{name}/html")["Content-Security-Policy"]


def test_a_notice_that_meets_trouble_waits_and_goes_out_later(client, monkeypatch):
    from subscriptions import mail
    from subscriptions.mail import Outcome, Verdict

    sign_up(client)
    monkeypatch.setattr(mail.Post, "send", lambda self, letter: Verdict(Outcome.TROUBLE, "no server"))
    assert notices.send_due(now=NOW) == 0
    assert (Notice.objects.get().status, Notice.objects.get().reason) == ("queued", "no server")
    monkeypatch.undo()

    from datetime import timedelta

    assert notices.send_due(now=NOW + timedelta(hours=1)) == 1


def test_a_broker_that_is_down_costs_no_sign_up(client, monkeypatch):
    from kombu.exceptions import OperationalError

    from subscriptions import tasks

    def down(**options):
        raise OperationalError("no broker")

    monkeypatch.undo()
    monkeypatch.setattr(tasks.send_notices, "apply_async", down)

    assert sign_up(client).status_code == 302
    assert Notice.objects.get().status == "queued"


def test_a_forwarded_address_counts_only_behind_the_operators_proxy(client, settings):
    sign_up(client, "a@example.net")
    client.post(
        "/subscribe", {"email": "b@example.net", "topics": "", "website": ""}, HTTP_X_FORWARDED_FOR="203.0.113.9"
    )
    settings.DIGEST_BEHIND_PROXY = True
    client.post("/subscribe", {"email": "c@example.net", "topics": "", "website": ""},
                HTTP_X_FORWARDED_FOR="6.6.6.6, 203.0.113.9")  # fmt: skip

    assert list(Consent.objects.order_by("pk").values_list("ip", flat=True)) == [
        "127.0.0.1",
        "127.0.0.1",
        "203.0.113.9",
    ]
