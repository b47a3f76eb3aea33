"""Letters about the subscription itself: what stops them, and to whom they go."""

from datetime import timedelta

import dns.resolver
import pytest

from subscriptions import account, consent, domains, notices, outbox, throttle
from subscriptions.consent import Visit, Wish
from subscriptions.models import Consent, Notice
from tests import make
from tests.make import NOW

pytestmark = pytest.mark.django_db


def ask(number, *, now=NOW):
    """Somebody from a network of their own."""
    visit = Visit(ip=f"2001:db8:{number:x}::1")
    return consent.subscribe(f"r{number}@example.net", Wish(), now=now, visit=visit)


def confirm(notice, *, now=NOW):
    consent.confirm(notice.consent_id, now=now, visit=Visit())


def test_fifty_letters_that_nobody_answers_stop_the_others_for_an_hour():
    for number in range(80):
        ask(number)

    assert notices.send_due(now=NOW) == throttle.SHARE_OF
    assert notices.send_due(now=NOW + timedelta(minutes=59)) == 0
    assert notices.send_due(now=NOW + timedelta(minutes=61)) == 30


def test_letters_that_are_answered_stop_nothing():
    asked = [ask(number) for number in range(80)]
    sent = 0
    for minute in range(1, 9):
        now = NOW + timedelta(minutes=minute)
        sent += notices.send_due(now=now)
        for notice in asked[: sent // 2]:
            confirm(notice, now=now)

    assert sent == 80
    assert throttle.last_hour(now).is_open


@pytest.mark.parametrize(
    ("sent", "unanswered", "is_open"),
    [(0, 0, True), (49, 49, True), (50, 30, True), (50, 31, False), (400, 99, True), (400, 100, False)],
)
def test_the_breaker_opens_at_a_hundred_or_at_sixty_in_a_hundred(sent, unanswered, is_open):
    assert throttle.Hour(sent, unanswered).is_open is is_open


def test_readers_get_their_links_while_confirmations_wait():
    for number in range(60):
        ask(number)
    notices.send_due(now=NOW)
    reader = make.subscriber("reader@example.org")
    consent.request_link(reader, now=NOW)

    assert notices.send_due(now=NOW) == 1
    assert outbox.letters(most=1)[0].subject == "Your link to Paperboy"


def test_who_keeps_the_site_is_told_while_confirmations_wait():
    for number in range(60):
        ask(number)
    assert not notices.held(now=NOW)
    notices.send_due(now=NOW)

    assert "of 50 that left within an hour 50 have no answer" in notices.held(now=NOW)
    assert "10 letters wait" in notices.held(now=NOW)
    assert not notices.held(now=NOW + timedelta(hours=2))


def test_a_letter_that_waited_for_a_day_does_not_leave():
    ask(1)

    assert notices.send_due(now=NOW + timedelta(hours=25)) == 0
    assert Notice.objects.get().status == "failed"


def test_work_is_asked_for_while_many_requests_have_no_answer():
    asked = [ask(number) for number in range(throttle.ASK_PROOF)]
    assert throttle.is_pressed(NOW)

    confirm(asked[0])

    assert not throttle.is_pressed(NOW)
    assert not throttle.is_pressed(NOW + timedelta(hours=2))


def test_a_letter_to_a_new_address_goes_there():
    reader = make.subscriber("old@example.net")
    account.ask_to_move(reader, "new@example.org", now=NOW, visit=Visit())

    assert notices.send_due(now=NOW) == 2
    letters = outbox.letters(most=2)
    assert sorted(letter.to for letter in letters) == ["new@example.org", "old@example.net"]
    for letter in letters:
        other = {"new@example.org": "old@", "old@example.net": "new@"}[letter.to]
        assert other not in letter.body("plain") + letter.body("html")


# Domains -------------------------------------------------------------------------------------------------------------


class Resolver:
    """What a name server knows: {(name, kind): answers or an exception}."""

    def __init__(self, known):
        self.known = known

    def __call__(self, name, kind, lifetime):
        assert lifetime == domains.PATIENCE
        found = self.known.get((name, kind), dns.resolver.NoAnswer)
        if isinstance(found, type):
            raise found
        return [type("Row", (), {"exchange": row})() for row in found]


@pytest.mark.parametrize(
    ("known", "takes"),
    [
        ({("example.net", "MX"): ["mx.example.net."]}, True),
        ({("example.net", "MX"): ["."]}, False),
        ({("example.net", "A"): ["192.0.2.1"]}, True),
        ({("example.net", "AAAA"): ["2001:db8::1"]}, True),
        ({}, False),
        ({("example.net", "MX"): dns.resolver.NXDOMAIN}, False),
        ({("example.net", "MX"): dns.resolver.LifetimeTimeout}, True),
        ({("example.net", "MX"): dns.resolver.NoNameservers}, True),
    ],
)
def test_a_domain_takes_mail_unless_its_name_server_says_otherwise(monkeypatch, known, takes):
    monkeypatch.setattr(domains.dns.resolver, "resolve", Resolver(known))

    assert domains.takes_mail("example.net") is takes


def test_no_name_server_is_asked_unless_the_operator_wants_it(settings, monkeypatch):
    monkeypatch.setattr(domains.dns.resolver, "resolve", Resolver({}))
    assert domains.refusal("reader@example.net") == ""

    settings.DIGEST_CHECK_MX = True
    assert domains.refusal("reader@example.net") == "the domain takes no mail"


def test_a_refused_domain_and_those_below_it_get_no_letter(settings):
    settings.DIGEST_REFUSED_DOMAINS = frozenset({"example.net"})
    ask(1)
    consent.subscribe("a@mail.Example.net", Wish(), now=NOW, visit=Visit())
    consent.subscribe("a@other-example.net", Wish(), now=NOW, visit=Visit())

    assert notices.send_due(now=NOW) == 1
    assert sorted(Notice.objects.values_list("status", flat=True)) == ["failed", "failed", "sent"]
    assert Consent.objects.count() == 3
