from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from subscriptions import consent, throttle, tokens
from subscriptions.consent import Topic, Visit
from subscriptions.models import Consent, Notice, Subscriber
from subscriptions.tokens import Scope
from tests import make
from tests.make import NOW

pytestmark = pytest.mark.django_db
VISIT = Visit(ip="192.0.2.7", user_agent="Test", form_url="/")


def ask(email="reader@example.net", topics=(), *, now=NOW, ip="192.0.2.7"):
    return consent.subscribe(email, [Topic(topic, topic) for topic in topics], now=now, visit=Visit(ip=ip))


def confirm(notice, *, now=NOW):
    return consent.confirm(notice.consent_id, now=now, visit=VISIT)


def test_nothing_is_sent_to_an_address_that_has_not_confirmed():
    ask()

    assert Subscriber.objects.get().status == "pending"
    assert not Subscriber.objects.readable(NOW.date()).exists()


def test_confirming_activates_the_address_and_adds_the_topics():
    notice = ask(topics=["robot", "soup"])

    confirm(notice)

    reader = Subscriber.objects.get()
    assert (reader.status, reader.confirmed_at) == ("active", NOW)
    assert [row.label for row in reader.subscriptions.order_by("position")] == ["robot", "soup"]


def test_confirming_twice_changes_nothing():
    notice = ask(topics=["robot"])
    confirm(notice)
    confirm(notice)

    assert Consent.objects.filter(event="confirmed").count() == 1


def test_a_confirmation_ends_after_three_days():
    notice = ask()

    with pytest.raises(consent.Expired):
        confirm(notice, now=NOW + timedelta(hours=73))


def test_an_old_confirmation_cannot_undo_leaving():
    notice = ask()
    confirm(notice)
    later = ask(now=NOW + timedelta(hours=1), topics=["soup"])
    consent.unsubscribe(Subscriber.objects.get().pk, now=NOW + timedelta(hours=2), visit=VISIT)

    with pytest.raises(consent.Expired):
        confirm(later, now=NOW + timedelta(hours=3))
    assert Subscriber.objects.get().status == "unsubscribed"


def test_somebody_who_left_can_come_back_by_confirming_again():
    confirm(ask())
    consent.unsubscribe(Subscriber.objects.get().pk, now=NOW, visit=VISIT)

    confirm(ask(now=NOW + timedelta(hours=1)), now=NOW + timedelta(hours=1))

    assert Subscriber.objects.get().status == "active"


def test_adding_a_topic_to_an_active_address_needs_its_mailbox():
    confirm(ask(topics=["robot"]))
    ask(topics=["spam"], now=NOW + timedelta(hours=1))

    assert [row.label for row in Subscriber.objects.get().subscriptions.all()] == ["robot"]


def test_a_suppressed_address_gets_no_letter():
    make.subscriber("gone@example.net", status="suppressed")

    assert ask("gone@example.net") is None
    assert not Notice.objects.exists()


def test_an_address_is_one_whatever_its_case():
    ask("Reader@Example.net")
    ask("reader@example.NET", now=NOW + timedelta(hours=1))

    assert Subscriber.objects.count() == 1
    with pytest.raises(IntegrityError), transaction.atomic():
        make.subscriber("READER@example.net")


def test_a_mailbox_gets_one_letter_in_a_quarter_of_an_hour_and_three_a_day():
    moments = [NOW + timedelta(minutes=minutes) for minutes in (0, 1, 14, 16, 40, 60, 600, 1000)]

    owed = [ask(ip=f"198.51.{at}.1", now=moment) is not None for at, moment in enumerate(moments)]

    assert owed == [True, False, False, True, True, False, False, False]


def test_asking_for_ones_link_has_a_limit_of_its_own():
    confirm(ask())
    reader = Subscriber.objects.get()
    moments = [NOW + timedelta(minutes=minutes) for minutes in (0, 1, 3, 30, 60, 90, 120, 150)]

    owed = [consent.request_link(reader, now=moment) is not None for moment in moments]

    assert owed == [True, False, True, True, True, True, True, False]


@pytest.mark.parametrize("other", ["r.e.a.d.e.r@gmail.com", "reader+x@gmail.com", "READER@googlemail.com"])
def test_the_spellings_of_a_mailbox_share_its_limit(other):
    assert ask("reader@gmail.com") is not None
    assert ask(other, ip="198.51.100.1") is None


def test_a_network_may_ask_for_some_addresses_and_no_more():
    owed = [ask(f"r{n}@example.net", ip=f"192.0.2.{n // 5}") for n in range(30)]

    assert sum(notice is not None for notice in owed) == throttle.PER_NETWORK


def test_one_address_may_ask_five_times_in_an_hour():
    owed = [ask(f"r{n}@example.net") for n in range(8)]

    assert sum(notice is not None for notice in owed) == throttle.PER_ADDRESS
    assert ask("later@example.net", now=NOW + timedelta(hours=2)) is not None


def test_every_step_leaves_a_record():
    confirm(ask(topics=["robot"]))
    reader = Subscriber.objects.get()
    consent.change(reader, consent.Preferences(values={"send_hour": 9}), now=NOW, visit=VISIT)
    consent.unsubscribe(reader.pk, now=NOW, visit=VISIT, detail="one click")

    rows = Consent.objects.order_by("pk")
    assert [row.event for row in rows] == ["requested", "confirmed", "changed", "unsubscribed"]
    assert rows[0].topics == [["robot", "robot"]]
    assert rows[2].detail == "send_hour"
    assert {row.text_version for row in rows} == {consent.TEXT_VERSION}


def test_only_ones_own_preferences_can_be_changed():
    with pytest.raises(ValueError, match="status"):
        consent.Preferences(values={"status": "active"})


def test_replacing_topics_keeps_those_that_stay():
    reader = make.subscriber(topics=["robot", "soup"])
    kept = reader.subscriptions.get(label="soup")

    consent.replace_topics(reader, [Topic("Soup", "soup OR broth"), Topic("video", "video")], now=NOW, visit=VISIT)

    rows = list(reader.subscriptions.order_by("position"))
    assert [(row.label, row.query) for row in rows] == [("Soup", "soup OR broth"), ("video", "video")]
    assert rows[0].pk == kept.pk


def test_unconfirmed_addresses_are_forgotten_after_a_week():
    ask("forgotten@example.net", now=NOW - timedelta(days=8))
    ask("asked-again@example.net", now=NOW - timedelta(days=8))
    ask("asked-again@example.net", now=NOW)
    make.subscriber(
        "stays@example.net", created_at=NOW - timedelta(days=99), status_changed_at=NOW - timedelta(days=99)
    )

    assert consent.forget_unconfirmed(now=NOW) == 1
    assert set(Subscriber.objects.values_list("email", flat=True)) == {"asked-again@example.net", "stays@example.net"}


# Tokens -------------------------------------------------------------------------------------------------------------


def test_a_token_opens_what_it_was_made_for():
    assert tokens.read(tokens.issue(Scope.UNSUBSCRIBE, 7, now=NOW), Scope.UNSUBSCRIBE, now=NOW) == 7


@pytest.mark.parametrize("made", list(Scope))
@pytest.mark.parametrize("used", list(Scope))
def test_a_token_of_one_scope_opens_no_other(made, used):
    token = tokens.issue(made, 7, now=NOW)
    if made is used:
        return
    with pytest.raises(tokens.TokenError):
        tokens.read(token, used, now=NOW)


@pytest.mark.parametrize(
    ("scope", "days", "works"),
    [(Scope.UNSUBSCRIBE, 3650, True), (Scope.LINK, 3650, True), (Scope.CONFIRM, 4, False), (Scope.MANAGE, 0.02, False)],
)
def test_tokens_live_as_long_as_their_scope(scope, days, works):
    token = tokens.issue(scope, 7, now=NOW)
    later = NOW + timedelta(days=days)
    if works:
        assert tokens.read(token, scope, now=later) == 7
    else:
        with pytest.raises(tokens.TokenError):
            tokens.read(token, scope, now=later)


def test_no_changed_token_is_accepted():
    token = tokens.issue(Scope.UNSUBSCRIBE, 7, now=NOW)
    for at in range(len(token)):
        other = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        with pytest.raises(tokens.TokenError):
            tokens.read(other, Scope.UNSUBSCRIBE, now=NOW)


def test_an_older_key_still_opens_old_links(settings):
    token = tokens.issue(Scope.UNSUBSCRIBE, 7, now=NOW)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key, fifty characters or more, as the first one was"

    assert tokens.read(token, Scope.UNSUBSCRIBE, now=NOW) == 7
