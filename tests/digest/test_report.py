"""What mail services, servers and mail that came back say of letters, and what is made of it."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import include, path

from digest import webhooks
from digest.deliveries import report
from digest.deliveries.queue import queue
from digest.models import Alarm, Delivery, DeliveryEvent
from digest.names import name_of
from subscriptions import consent, suppression, tokens
from subscriptions.models import Subscriber
from tests import esp, make
from tests.make import DAY, NOW

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:django-anymail has dropped official support for SendGrid"),
]
urlpatterns = [path("anymail/", include("anymail.urls"))]


def sent(count=1, status="sent"):
    make.edition([make.paper()])
    for n in range(count):
        make.subscriber(f"r{n}@example.net")
    queue(now=NOW, today=DAY)
    Delivery.objects.update(status=status, reason="no answer" if status == "uncertain" else "", settled_at=NOW)
    return list(Delivery.objects.order_by("pk"))


def hear(row, kind, *, event="e1", at=NOW, **more):
    return report.hear(service="postmark", kind=kind, name=name_of(row.pk), event_id=event, at=at, **more)


@pytest.mark.parametrize(
    ("kind", "status", "cause"),
    [
        ("hard", "suppressed", "bounced"),
        ("complaint", "suppressed", "complained"),
        ("unsubscribed", "unsubscribed", None),
        ("soft", "active", None),
        ("policy", "active", None),
        ("auto-reply", "active", None),
        ("delayed", "active", None),
        ("delivered", "active", None),
    ],
)
def test_what_is_heard_touches_the_reader_as_the_policy_says(kind, status, cause):
    (row,) = sent()

    hear(row, kind, email=row.email)
    report.apply(now=NOW)

    assert Subscriber.objects.get().status == status
    found = suppression.find(row.email)
    assert (found.cause if found else None) == cause


@pytest.mark.parametrize(
    ("kind", "status"), [("delivered", "sent"), ("complaint", "sent"), ("hard", "failed"), ("delayed", "uncertain")]
)
def test_an_uncertain_letter_is_settled_by_a_later_report(kind, status):
    (row,) = sent(status="uncertain")

    hear(row, kind)
    report.apply(now=NOW)

    row.refresh_from_db()
    assert row.status == status


def test_an_event_heard_twice_counts_once():
    (row,) = sent()

    assert [hear(row, "soft") for _ in range(3)] == [True] * 3
    report.apply(now=NOW)
    report.apply(now=NOW)

    assert DeliveryEvent.objects.count() == 1


def test_of_two_reports_the_first_settles_an_uncertain_letter():
    rows = sent(2, status="uncertain")
    for row, kinds in zip(rows, [("delivered", "policy"), ("policy", "delivered")], strict=True):
        for kind in kinds:
            hear(row, kind, event=f"{row.pk} {kind}")

    report.apply(now=NOW)

    assert list(Delivery.objects.order_by("pk").values_list("status", flat=True)) == ["sent", "failed"]


@pytest.mark.parametrize("kinds", [("complaint", "hard", "soft"), ("soft", "hard", "complaint")])
def test_of_reports_heard_together_the_worst_is_the_cause(kinds):
    (row,) = sent()
    for kind in kinds:
        hear(row, kind, event=kind)

    report.apply(now=NOW)

    assert suppression.find(row.email).cause == "bounced"
    assert Subscriber.objects.get().consents.filter(event="suppressed").count() == 1


def test_acting_on_many_events_takes_no_more_queries_than_on_few():
    rows = sent(20, status="uncertain")  # with fewer than ten bounces at a time, which were a flood

    def queries(some):
        for row in some:
            hear(row, "soft" if row.pk % 2 else "delivered", event=f"e{row.pk}")
        with CaptureQueriesContext(connection) as asked:
            assert report.apply(now=NOW) == {"applied": len(some)}
        return len(asked)

    assert queries(rows[:4]) == queries(rows[4:])


def test_events_are_acted_upon_in_chunks_until_none_is_left(monkeypatch):
    monkeypatch.setattr(report, "CHUNK", 2)
    for n, row in enumerate(sent(5)):
        hear(row, "delivered", event=f"e{n}", email="somebody.else@example.net" if n == 3 else row.email)

    assert report.apply(now=NOW) == {"applied": 4, "ignored": 1}
    assert not report.apply(now=NOW)


@pytest.mark.parametrize("name", ["", "1-00000000000000000000", "x", "9f1c2ab47e55d0c3b8a1"])
def test_an_event_about_a_letter_that_is_not_ours_is_ignored(name):
    assert not report.hear(service="s", kind="hard", name=name, event_id="e", at=NOW)
    assert not DeliveryEvent.objects.exists()


def test_a_report_on_an_address_the_letter_was_not_sent_to_is_ignored():
    (row,) = sent()

    hear(row, "hard", email="somebody.else@example.net")
    report.apply(now=NOW)

    assert DeliveryEvent.objects.get().verdict == "ignored"
    assert Subscriber.objects.get().status == "active"


def test_soft_bounces_count_and_three_of_five_letters_suspend():
    make.subscriber("r@example.net", confirmed_at=NOW - timedelta(days=30))
    for back in range(5, 0, -1):
        day = DAY - timedelta(days=back)
        moment = NOW - timedelta(days=back)
        make.edition([make.paper(day=day)], day=day, published_at=moment - timedelta(hours=2))
        queue(now=moment, today=day)
        row = Delivery.objects.get(day=day)
        Delivery.objects.filter(pk=row.pk).update(status="sent", settled_at=moment)
        if back in (5, 3, 1):
            hear(row, "soft", event=f"e{back}", at=moment, email=row.email)
        report.apply(now=moment)

        assert Subscriber.objects.get().status == ("suppressed" if back == 1 else "active"), back

    assert suppression.find("r@example.net").cause == "suspended"


def test_readers_heard_of_together_are_judged_each_by_its_own_letters():
    for name in ("often", "seldom"):
        make.subscriber(f"{name}@example.net", confirmed_at=NOW - timedelta(days=30))
    for back in range(5, 0, -1):
        moment = NOW - timedelta(days=back)
        make.edition([make.paper(day=moment.date())], day=moment.date(), published_at=moment - timedelta(hours=2))
        queue(now=moment, today=moment.date())
    Delivery.objects.update(status="sent", settled_at=NOW)
    for row in Delivery.objects.order_by("pk"):
        back = (DAY - row.day).days
        if back in {5, 3} or (back == 1 and row.email.startswith("often")):
            hear(row, "soft", event=f"e{row.pk}", at=NOW - timedelta(days=back))

    report.apply(now=NOW)

    assert dict(Subscriber.objects.values_list("email", "status")) == {
        "often@example.net": "suppressed", "seldom@example.net": "active",
    }  # fmt: skip


def test_a_flood_of_bounces_waits_for_a_person_and_suppresses_nobody():
    rows = sent(200)
    for n, row in enumerate(rows[:60]):
        hear(row, "hard", event=f"e{n}", email=row.email)

    report.apply(now=NOW)

    assert not Subscriber.objects.filter(status="suppressed").exists()
    assert set(DeliveryEvent.objects.values_list("verdict", flat=True)) == {"quarantined"}
    assert Alarm.objects.get().name == report.ALARM

    report.release_quarantine(accept=True)
    report.apply(now=NOW)

    assert Subscriber.objects.filter(status="suppressed").count() == 60


def test_a_hard_bounce_outlives_the_address_and_beats_a_new_sign_up():
    (row,) = sent()
    hear(row, "hard")
    report.apply(now=NOW)
    Subscriber.objects.all().delete()

    assert consent.subscribe(row.email.upper(), consent.Wish(), now=NOW, visit=consent.Visit()) is None
    assert not Subscriber.objects.filter(status="active").exists()


def test_who_complained_comes_back_by_a_fresh_double_opt_in_alone():
    (row,) = sent()
    hear(row, "complaint")
    report.apply(now=NOW)
    later = NOW + timedelta(days=1)

    notice = consent.subscribe(row.email, consent.Wish(), now=later, visit=consent.Visit())
    assert Subscriber.objects.get().status == "suppressed"
    consent.confirm(notice.consent_id, now=later, visit=consent.Visit())

    assert Subscriber.objects.get().status == "active"
    assert suppression.find(row.email) is None


# Webhooks -----------------------------------------------------------------------------------------------------------

#: What each service can tell, by the word of `tests.esp`, and what it is to us.
WORDS = {"delivered": "delivered", "bounced": "hard", "bounced softly": "soft", "deferred": "delayed",
         "complained": "complaint", "unsubscribed": "unsubscribed"}  # fmt: skip


def told(service, word, row, **more):
    return service.event(word, reference="m-1", recipient=row.email, metadata={"delivery": name_of(row.pk)},
                         at=NOW, **more)  # fmt: skip


def call(client, service, hook):
    anymail = {"WEBHOOK_SECRET": esp.HOOK_SECRET, **service.keys(), **service.hook_settings()}
    with override_settings(ROOT_URLCONF=__name__, ANYMAIL=anymail):
        return client.post(hook.path, hook.body, hook.content_type, headers=hook.headers).status_code


@pytest.mark.parametrize(
    ("service", "word"),
    [pytest.param(one, word, id=f"{one!r}-{word}") for one in esp.ESPS for word in one.kinds if word in WORDS],
)
@time_machine.travel(NOW, tick=False)
def test_each_services_word_for_an_event_is_ours(client, service, word):
    (row,) = sent()
    hook = told(service, word, row)

    assert [call(client, service, hook) for _ in range(2)] == [200, 200]

    (event,) = DeliveryEvent.objects.all()
    assert (event.delivery, event.kind) == (row, WORDS[word])
    assert event.event_id


@pytest.mark.parametrize("service", esp.ESPS, ids=repr)
@time_machine.travel(NOW, tick=False)
def test_a_forged_report_is_refused_and_changes_nothing(client, service):
    (row,) = sent()
    hook = told(service, "complained", row)

    for forged in (hook.without_secret(), hook.with_wrong_secret()):
        assert call(client, service, forged) in {400, 401, 403}

    assert not DeliveryEvent.objects.exists()


@time_machine.travel(NOW, tick=False)
def test_many_events_are_written_down_by_one_request_each_and_acted_on_in_bulk(client):
    rows = sent(50)

    for row in rows:
        assert call(client, esp.POSTMARK, told(esp.POSTMARK, "delivered", row)) == 200
    assert report.apply(now=NOW).total() == 50


# Mail that came back ------------------------------------------------------------------------------------------------


def bounce_to(row, *, name=None, status="5.1.1"):
    return f"""\
Return-Path: <>
To: bounces+{name or name_of(row.pk)}@papers.example.org
From: MAILER-DAEMON@mx.example.net
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It could not be delivered.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; {row.email}
Action: failed
Status: {status}
--b--
""".replace("\n", "\r\n").encode()


@pytest.fixture
def maildir(tmp_path, settings):
    settings.DIGEST_BOUNCE_DOMAIN = "papers.example.org"
    for part in ("new", "cur", "tmp"):
        (tmp_path / part).mkdir()
    return tmp_path


def test_mail_that_came_back_suppresses_the_reader_it_names(maildir, capsys):
    (row,) = sent()
    (maildir / "new" / "1").write_bytes(bounce_to(row))

    call_command("bounces", maildir=maildir)
    report.apply(now=NOW)

    assert "1 message read, 1 of them for us" in capsys.readouterr().out
    assert Subscriber.objects.get().status == "suppressed"
    assert not list((maildir / "new").iterdir())


def test_mail_with_a_forged_name_suppresses_nobody(maildir):
    (row,) = sent()
    (maildir / "new" / "1").write_bytes(bounce_to(row, name=f"{row.pk:x}-{'0' * 20}"))

    call_command("bounces", maildir=maildir)
    report.apply(now=NOW)

    assert not DeliveryEvent.objects.exists()


def test_a_letters_envelope_sender_names_it(maildir):
    from digest.deliveries import ledger
    from digest.letter import Press

    (row,) = sent(status="queued")
    (taken,) = ledger.take(ledger.waiting(ledger.claim("w", now=NOW), now=NOW), worker="w", now=NOW, today=DAY)
    press = Press(row.edition)
    press.prepare([taken.sections])

    assert press.write(taken).envelope_sender == f"bounces+{name_of(row.pk)}@papers.example.org"


def test_a_mail_that_came_back_twice_is_one_event(maildir):
    (row,) = sent()
    assert webhooks.read_mail(bounce_to(row), service="mail")
    assert webhooks.read_mail(bounce_to(row), service="mail")

    assert DeliveryEvent.objects.count() == 1


# Leaving by mail ----------------------------------------------------------------------------------------------------


def asks_to_leave(subject, *, more=""):
    return (
        f"From: anybody@example.com\r\nTo: leave@papers.example.org\r\nSubject: {subject}\r\n{more}\r\nPlease.\r\n"
    ).encode()


@pytest.fixture
def leaving(settings):
    settings.DIGEST_LEAVE_ADDRESS = "leave@papers.example.org"


def way_out():
    """The token of the link to leave, as a letter's second way out has it in its subject."""
    from digest.deliveries import ledger
    from digest.letter import Press

    (row,) = sent(status="queued")
    (taken,) = ledger.take(ledger.waiting(ledger.claim("w", now=NOW), now=NOW), worker="w", now=NOW, today=DAY)
    press = Press(row.edition)
    press.prepare([taken.sections])
    ways = press.write(taken).headers["List-Unsubscribe"]
    link, token = re.fullmatch(r"<http\S+/u/(\S+)>, <mailto:leave@papers\.example\.org\?subject=(\S+)>", ways).groups()
    assert link == token
    return token


@pytest.mark.parametrize(
    "around", ["{}", "Re: {}", "AW:  {}", "=?utf-8?q?{}?=", "unsubscribe {}", "\r\n {}", f"1.1.{'x' * 43} {{}}"]
)
def test_mail_with_a_letters_token_as_its_subject_unsubscribes(leaving, maildir, capsys, around):
    token = way_out()
    for name in ("1", "2"):
        (maildir / "new" / name).write_bytes(asks_to_leave(around.format(token)))

    call_command("bounces", maildir=maildir)

    reader = Subscriber.objects.get()
    assert (reader.status, reader.status_reason) == ("unsubscribed", "mail")
    assert reader.consents.filter(event="unsubscribed", detail="mail").count() == 1
    assert "2 messages read, 2 of them for us" in capsys.readouterr().out


def test_mail_that_a_service_passes_on_unsubscribes(leaving):
    from anymail.inbound import AnymailInboundMessage
    from anymail.signals import AnymailInboundEvent, inbound

    message = AnymailInboundMessage.parse_raw_mime_bytes(asks_to_leave(way_out()))
    inbound.send(sender=None, event=AnymailInboundEvent(event_type="inbound", message=message), esp_name="Postmark")

    assert Subscriber.objects.get().status == "unsubscribed"


def test_other_mail_unsubscribes_nobody(leaving, maildir):
    token = way_out()
    reader = Subscriber.objects.get()
    other = tokens.issue(tokens.Scope.LINK, reader.pk, now=NOW)
    mails = [
        asks_to_leave(""), asks_to_leave("unsubscribe"), asks_to_leave(other), asks_to_leave(token[:-1]),
        asks_to_leave(token + "x"), asks_to_leave("x", more=f"X-Subject: {token}\r\n"), b"", b"\0" * 1000,
        asks_to_leave(f"1.1.{'x' * 43} " * 20_000), b"Subject: =?utf-8?b?" + b"A" * 100_000 + b"?=\r\n\r\n",
    ]  # fmt: skip
    for number, mail in enumerate(mails):
        (maildir / "new" / str(number)).write_bytes(mail)

    call_command("bounces", maildir=maildir)

    assert Subscriber.objects.get().status == "active"


def test_without_an_address_for_it_letters_name_the_link_alone_and_mail_is_not_obeyed(settings, leaving, maildir):
    token = way_out()
    settings.DIGEST_LEAVE_ADDRESS = ""
    (maildir / "new" / "1").write_bytes(asks_to_leave(token))

    call_command("bounces", maildir=maildir)

    assert Subscriber.objects.get().status == "active"
