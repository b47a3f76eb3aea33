"""Everything of a reader's taken along, moved, and erased."""

import json
from datetime import timedelta

import pytest
from django.core.serializers.json import DjangoJSONEncoder

from subscriptions import account, consent, suppression, topics
from subscriptions.consent import Expired, Visit
from subscriptions.models import Consent, Move, Notice, Subscriber, Suppression
from tests import make
from tests.make import NOW

pytestmark = pytest.mark.django_db
VISIT = Visit(ip="192.0.2.7", form_url="/account")
OLD, NEW = "old@example.net", "New@example.org"


def ask(reader, email=NEW, *, now=NOW):
    return account.ask_to_move(reader, email, now=now, visit=VISIT)


def agree(move, *sides, now=NOW):
    for side in sides:
        account.agree(move.pk, is_old=side == "old", now=now, visit=VISIT)
    return Subscriber.objects.get(pk=move.subscriber_id).email


def kinds():
    return sorted(Notice.objects.values_list("kind", "mailbox"))


def test_both_mailboxes_are_asked_and_nothing_changes_before_both_agree():
    move = ask(make.subscriber(OLD))

    assert kinds() == [("move from", OLD), ("move to", "new@example.org")]
    assert agree(move) == OLD
    assert agree(move, "old") == OLD
    assert agree(move, "new") == NEW
    reader = Subscriber.objects.get()
    assert reader.mailbox == "new@example.org"
    assert Consent.objects.latest("pk").detail == f"from {OLD}"


@pytest.mark.parametrize("sides", [("old",), ("new",), ("new", "new"), ("old", "old")])
def test_one_mailbox_alone_moves_nothing(sides):
    assert agree(ask(make.subscriber(OLD)), *sides) == OLD


def test_agreeing_again_changes_nothing():
    move = ask(make.subscriber(OLD))

    assert agree(move, "new", "old", "old", "new") == NEW
    assert Consent.objects.filter(event="moved").count() == 1


def test_a_move_ends_after_three_days_and_with_a_newer_one():
    reader = make.subscriber(OLD)
    first = ask(reader)
    with pytest.raises(Expired):
        agree(first, "old", now=NOW + timedelta(hours=73))
    ask(reader, "third@example.org", now=NOW + timedelta(hours=1))

    with pytest.raises(Expired):
        agree(first, "old", now=NOW + timedelta(hours=1))


def test_a_move_ends_when_its_reader_leaves():
    reader = make.subscriber(OLD)
    move = ask(reader)
    consent.unsubscribe(reader.pk, now=NOW, visit=VISIT)

    with pytest.raises(Expired):
        agree(move, "new")


def test_an_address_with_a_reader_of_its_own_is_told_so_and_moves_nothing():
    make.subscriber(NEW)

    move = ask(make.subscriber(OLD))

    assert move is not None
    assert kinds() == [("known", "new@example.org"), ("move from", OLD)]


def test_an_address_that_is_barred_gets_no_letter():
    suppression.add(NEW, "bounced", detail="no such mailbox", now=NOW)

    ask(make.subscriber(OLD))

    assert kinds() == [("move from", OLD)]


def test_somebody_who_came_to_the_new_address_meanwhile_stays():
    move = ask(make.subscriber(OLD))
    agree(move, "old")
    make.subscriber(NEW)

    with pytest.raises(Expired):
        agree(move, "new")
    assert Subscriber.objects.count() == 2


def test_the_record_of_an_address_that_left_goes_on_with_who_moves_there():
    left = make.subscriber(NEW, status="unsubscribed")
    consent.record(left, "unsubscribed", now=NOW, visit=VISIT)

    assert agree(ask(make.subscriber(OLD)), "old", "new") == NEW
    assert Subscriber.objects.count() == 1
    assert Consent.objects.filter(event="unsubscribed").exists()


def test_asking_to_move_has_the_limits_of_both_mailboxes():
    reader = make.subscriber(OLD)
    moments = [NOW + timedelta(minutes=minutes) for minutes in (0, 1, 3, 16)]

    asked = [ask(reader, now=moment) is not None for moment in moments]

    assert asked == [True, False, True, True]
    assert [kind for kind, _ in kinds()].count("move to") == 2


def test_an_export_holds_every_row_that_points_to_the_reader():
    reader = make.subscriber(OLD, topics=[("Robots", "robot*")])
    topics.append(reader, [topics.Topic("Söup", "soup")], now=NOW, visit=VISIT)
    ask(reader)

    found = json.loads(json.dumps(account.export(reader), cls=DjangoJSONEncoder))

    assert found["subscriber"]["email"] == OLD
    assert [row["label"] for row in found["subscriptions"]] == ["Robots", "Söup"]
    assert [row["event"] for row in found["consents"]] == ["changed", "requested"]
    assert found["consents"][0]["ip"] == "192.0.2.7"
    assert found["consents"][0]["text_version"] in found["wordings"]
    assert found["moves"][0]["email"] == NEW
    assert len(found["notices"]) == 2
    assert found.keys() >= {relation.get_accessor_name() for relation in Subscriber._meta.related_objects}


def test_erasing_leaves_nothing_of_a_reader():
    reader = make.subscriber(OLD, topics=["robot"])
    ask(reader)

    account.erase(reader.pk)

    for model in (Subscriber, Consent, Notice, Move, Suppression):
        assert not model.objects.exists()


def test_erasing_leaves_the_fingerprint_of_an_address_that_is_never_to_be_mailed():
    reader = make.subscriber(OLD)
    consent.suppress(reader.pk, f"550 no such mailbox {OLD}", now=NOW, cause="bounced")

    account.erase(reader.pk)

    row = Suppression.objects.get()
    assert OLD not in f"{row.address_hash} {row.detail}"
    assert suppression.find(OLD) == row
    assert consent.subscribe(OLD, consent.Wish(), now=NOW + timedelta(days=1), visit=VISIT) is None
