from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from subscriptions import consent, throttle, tokens, topics
from subscriptions.consent import Topic, Visit, Wish
from subscriptions.models import Consent, Notice, Subscriber
from subscriptions.tokens import Scope
from tests import make
from tests.make import NOW

pytestmark = pytest.mark.django_db
VISIT = Visit(ip="192.0.2.7", user_agent="Test", form_url="/")


def ask(email="reader@example.net", topics=(), *, now=NOW, ip="192.0.2.7", cadence=""):
    wish = Wish(tuple(Topic(topic, topic) for topic in topics), cadence)
    return consent.subscribe(email, wish, now=now, visit=Visit(ip=ip))


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

    topics.replace(reader, [Topic("Soup", "soup OR broth"), Topic("video", "video")], now=NOW, visit=VISIT)

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


@pytest.mark.parametrize("scope", [Scope.CONFIRM, Scope.MANAGE, Scope.ACCOUNT, Scope.SESSION, Scope.FORM])
def test_a_genuine_token_that_is_too_old_is_told_from_a_wrong_one(scope):
    token = tokens.issue(scope, 7, now=NOW)
    with pytest.raises(tokens.TooOld) as error:
        tokens.read(token, scope, now=NOW + timedelta(days=4))
    assert error.value.value == 7
    with pytest.raises(tokens.TokenError) as error:
        tokens.read(token[:-1] + ("A" if token[-1] != "A" else "B"), scope, now=NOW + timedelta(days=4))
    assert not isinstance(error.value, tokens.TooOld)


# What is asked for, and asked for again ------------------------------------------------------------------------------


def test_how_often_is_asked_for_at_sign_up_and_holds_once_confirmed():
    notice = ask(cadence="weekly")
    assert Subscriber.objects.get().cadence == "daily"

    confirm(notice)

    assert Subscriber.objects.get().cadence == "weekly"
    assert set(Consent.objects.values_list("cadence", flat=True)) == {"weekly"}


def test_another_cadence_for_an_active_address_needs_its_mailbox():
    confirm(ask(cadence="weekly"))

    notice = ask(cadence="monthly", now=NOW + timedelta(hours=1))

    assert (notice.kind, Subscriber.objects.get().cadence) == ("confirm", "weekly")
    assert ask(cadence="weekly", now=NOW + timedelta(hours=2)).kind == "known"


def test_letters_to_known_readers_count_for_who_causes_them():
    readers = [make.subscriber(f"r{n}@example.net").email for n in range(8)]

    owed = [ask(email) is not None for email in readers]

    assert sum(owed) == throttle.PER_ADDRESS


def test_a_request_whose_link_is_too_old_can_be_made_again():
    old = ask(topics=["robot"], cadence="weekly")
    later = NOW + timedelta(days=4)
    with pytest.raises(consent.Expired):
        confirm(old, now=later)

    new = consent.ask_again(old.consent_id, now=later, visit=VISIT)
    confirm(new, now=later)

    reader = Subscriber.objects.get()
    assert (reader.status, reader.cadence) == ("active", "weekly")
    assert [topic.query for topic in topics.of(reader)] == ["robot"]
    assert consent.ask_again(old.consent_id, now=later, visit=VISIT) is None  # the mailbox has just had a letter


def test_a_request_cannot_be_made_again_after_leaving():
    old = ask()
    confirm(old)
    consent.unsubscribe(Subscriber.objects.get().pk, now=NOW, visit=VISIT)

    assert consent.ask_again(old.consent_id, now=NOW + timedelta(days=4), visit=VISIT) is None
    with pytest.raises(consent.Expired):
        confirm(old)


# Topics and leaving --------------------------------------------------------------------------------------------------


def test_topics_keep_their_order_limits_and_silence():
    reader = make.subscriber(topics=["robot", "soup"])
    wanted = [Topic("soup", "soup", muted=True), Topic("robot", "robot", most=3)]

    topics.replace(reader, wanted, now=NOW, visit=VISIT)
    topics.replace(reader, wanted, now=NOW, visit=VISIT)

    assert topics.of(reader) == wanted
    assert Consent.objects.filter(event="changed").count() == 1


def test_there_is_room_for_a_hundred_topics():
    reader = make.subscriber()

    left_out = topics.append(reader, [Topic(f"t{n}", f"word{n}") for n in range(103)], now=NOW, visit=VISIT)

    assert (left_out, len(topics.of(reader))) == (3, 100)


def test_one_topic_is_left_with_a_reason_and_the_others_stay():
    reader = make.subscriber(topics=["robot", "soup"])
    key = reader.subscriptions.get(label="soup").pk

    for _ in range(2):
        topics.leave(key, now=NOW, visit=VISIT, why="not mine", comment="Too much broth.")

    assert [topic.name for topic in topics.of(reader)] == ["robot"]
    row = Consent.objects.get()
    assert (row.event, row.why, row.comment) == ("changed", "not mine", "Too much broth.")
    assert row.topics == [["robot", "robot"]]


def test_leaving_again_leaves_no_record_but_a_reason_does_a_few_times():
    reader = make.subscriber()
    for _ in range(20):
        consent.unsubscribe(reader.pk, now=NOW, visit=VISIT)
    assert Consent.objects.count() == 1

    for _ in range(20):
        consent.unsubscribe(reader.pk, now=NOW, visit=VISIT, why="too many", comment="x" * 400)

    assert Consent.objects.count() == consent.MOST_REASONS
    assert len(Consent.objects.latest("pk").comment) == 300


def test_a_pause_begins_and_ends_and_is_recorded():
    reader = make.subscriber()
    until = NOW.date() + timedelta(days=9)

    consent.pause(reader, until, now=NOW, visit=VISIT)
    assert not Subscriber.objects.readable(NOW.date()).exists()
    assert Subscriber.objects.readable(until).exists()
    consent.pause(reader, None, now=NOW, visit=VISIT)

    assert Subscriber.objects.readable(NOW.date()).exists()
    assert [row.detail for row in Consent.objects.order_by("pk")] == [f"paused until {until}", "resumed"]


@pytest.mark.parametrize(
    ("ip", "network"),
    [("192.0.2.77", "192.0.2.0/24"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"), (None, "")],
)
def test_a_record_knows_the_network_it_came_from(ip, network):
    notice = ask(ip=ip)

    assert notice.consent.network == network
