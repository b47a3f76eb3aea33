"""Lists of readers as CSV: what they hold, what is wrong with them, and that no list overrules a reader."""

import io
import re
from itertools import islice

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from subscriptions import roster, suppression
from subscriptions.consent import Topic
from subscriptions.models import Consent, Notice, Subscriber
from subscriptions.roster import Outcome
from subscriptions.topics import of
from tests import make
from tests.make import NOW

pytestmark = pytest.mark.django_db


def take_in(text, *, store=True):
    content = text if isinstance(text, bytes) else text.encode()
    return list(roster.take_in(io.BytesIO(content), said="the group's meeting", now=NOW, store=store))


def outcomes(told):
    return {one.address: one.outcome for one in told}


def test_a_list_becomes_readers_with_their_topics_and_their_consent():
    told = take_in(
        "address,topics,cadence,hour,time_zone,language\n"
        'ada@example.net,"Robots = robot*, soup",weekly,9,Europe/Paris,fr\n'
        "bob@example.net,,,,,\n"
    )

    assert [one.outcome for one in told] == [Outcome.ADDED] * 2
    ada, bob = Subscriber.objects.order_by("email")
    assert (ada.status, ada.cadence, ada.send_hour, ada.time_zone, ada.language) == (
        "active", "weekly", 9, "Europe/Paris", "fr",
    )  # fmt: skip
    assert of(ada) == [Topic("Robots", "robot*"), Topic("soup", "soup")]
    assert (bob.cadence, bob.send_hour, bob.confirmed_at, of(bob)) == ("daily", 7, NOW, [])
    row = Consent.objects.get(subscriber=ada)
    assert (row.event, row.detail, row.text_version) == ("confirmed", "imported: the group's meeting", "")
    assert row.topics == [["Robots", "robot*"], ["soup", "soup"]]
    assert not Notice.objects.exists()


@pytest.mark.parametrize(
    "text",
    ["address\na@example.net\n", "\ufeffaddress\r\na@example.net\r\n", "E-Mail;name\na@example.net;Ada\n",
     "name\temail\nAda\ta@example.net", '"address","x, y"\n"a@example.net","x, y"\n',
     "address\n\n  \na@example.net\n\n", "Name,Address\nJosé,a@example.net\n".encode("cp1252")],
)  # fmt: skip
def test_lists_of_other_programs_are_read(text):
    assert outcomes(take_in(text)) == {"a@example.net": Outcome.ADDED}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("", "must name the columns"), ("a@example.net\n", "must name the columns"),
     ("name\nAda\n", "must name the columns"),
     ("address,email\nx,y\n", "must name the columns"), ('"address\n', "must name the columns"),
     (b"PK\x03\x04 a zip", "Unpack the file"), (b"\x1f\x8b gzip", "Unpack the file"),
     (b"address\0\n", "This is no CSV"),
     ("address\na@example.net\n".encode("utf-16"), "in UTF-8")],
)  # fmt: skip
def test_what_is_no_list_is_refused_with_a_sentence(text, sentence):
    with pytest.raises(roster.Unreadable, match=sentence):
        take_in(text)
    assert not Subscriber.objects.exists()


@pytest.mark.parametrize(
    ("line", "why"),
    [("nonsense,", "This is not one address"), (",robot", "This is not one address"),
     ("x@example.net,robot OR", "Something must follow OR"), ('x@example.net,"robot', "quotation marks"),
     ('x@example.net,ro"b"ot"', "quotation"),
     ("x@example.net,a,b,c,d,e,f", "7 values for 5 columns"),
     ("x@example.net,,hourly", "cadence is one of"), ("x@example.net,,,25", "hour is a number"),
     ("x@example.net,,,,Mars/Crater", "time_zone is a name like"),
     ("x@example.net,[[],", "topics are written like"),
     ('x@example.net,"[[""a""]]"', "topics are written"),
     ('x@example.net,"[[1, 2, 3]]"', "topics are written"), ('x@example.net,"[["""", ""b""]]"', "each with a name"),
     ("x" * 30_000, "more than 20,000 bytes"),
     ('x@example.net,"' + ",".join(f"a{n}" for n in range(101)) + '"', "There is room for 100 topics")],
)  # fmt: skip
def test_a_line_that_is_wrong_costs_nothing_but_itself(line, why):
    told = take_in(f"address,topics,cadence,hour,time_zone\na@example.net,robot\n{line}\nb@example.net,soup\n")

    assert [one.outcome for one in told] == [Outcome.ADDED, Outcome.REFUSED, Outcome.ADDED]
    assert told[1].line == 3
    assert re.search(why, told[1].why), told[1].why


def test_no_list_overrules_a_reader():
    make.subscriber("left@example.net", status="unsubscribed")
    make.subscriber("Known@example.net", topics=["soup"])
    make.subscriber("waits@example.net", status="pending", confirmed_at=None)
    make.subscriber("paused@example.net", status="paused")
    suppression.add("never@example.net", "bounced", detail="", now=NOW)
    make.subscriber("bad@example.net", status="suppressed")

    told = take_in(
        "address,topics,status\nleft@example.net,robot,\nknown@example.net,robot,\nwaits@example.net,robot,\n"
        "paused@example.net,robot,\nNever@example.net,robot,\nbad@example.net,robot,\nnew@example.net,,active\n"
        "New@example.net,,\ngone@example.net,,unsubscribed\n"
    )

    assert outcomes(told) == {
        "left@example.net": Outcome.LEFT, "known@example.net": Outcome.KNOWN, "waits@example.net": Outcome.ADDED,
        "paused@example.net": Outcome.KNOWN, "Never@example.net": Outcome.SUPPRESSED, "bad@example.net": Outcome.LEFT,
        "new@example.net": Outcome.ADDED, "New@example.net": Outcome.KNOWN, "gone@example.net": Outcome.LEFT,
    }  # fmt: skip
    statuses = dict(Subscriber.objects.values_list("email", "status"))
    assert statuses == {
        "left@example.net": "unsubscribed", "Known@example.net": "active", "waits@example.net": "active",
        "paused@example.net": "paused", "bad@example.net": "suppressed", "new@example.net": "active",
    }  # fmt: skip
    assert of(Subscriber.objects.get(email="Known@example.net")) == [Topic("soup", "soup")]
    assert of(Subscriber.objects.get(email="waits@example.net")) == [Topic("robot", "robot")]
    assert Subscriber.objects.get(email="waits@example.net").confirmed_at == NOW


def test_an_import_that_was_cut_off_can_be_run_again():
    text = "address,topics\n" + "".join(f"r{n}@example.net,robot\n" for n in range(2_500))
    told = roster.take_in(io.BytesIO(text.encode()), said="x", now=NOW)
    assert len(list(islice(told, 1_001))) == 1_001
    told.close()
    stored = Subscriber.objects.count()
    assert 1_000 <= stored < 2_500

    again = take_in(text)

    assert [one.outcome for one in again] == [Outcome.KNOWN] * stored + [Outcome.ADDED] * (2_500 - stored)
    assert Subscriber.objects.count() == Consent.objects.count() == 2_500


def test_a_dry_run_stores_nothing(tmp_path, capsys):
    (tmp_path / "list.csv").write_text("address\na@example.net\nnonsense\n")

    call_command("readers", "--import", str(tmp_path / "list.csv"), "--consent", "there", "--dry-run")

    said = capsys.readouterr().out
    assert "line 3: nonsense: This is not one address" in said
    assert (
        "Dry run, nothing was stored. 2 lines: 1 added, 0 known already, 0 has left, 0 suppressed, 1 refused." in said
    )
    assert not Subscriber.objects.exists()


def test_nobody_is_taken_in_without_a_word_of_how_they_agreed(tmp_path):
    (tmp_path / "list.csv").write_text("address\na@example.net\n")

    with pytest.raises(CommandError, match="Say how and when they did"):
        call_command("readers", "--import", str(tmp_path / "list.csv"))
    with pytest.raises(CommandError, match="No such file"):
        call_command("readers", "--import", str(tmp_path / "none.csv"), "--consent", "there")
    assert not Subscriber.objects.exists()


def test_a_list_that_was_written_is_read_again(tmp_path):
    readers = [
        make.subscriber("a@example.net", topics=[("Robots, arms = all", "robot*"), ("-x", "-medical"), ("q", '"a b"')],
                        cadence="weekly", send_hour=9, time_zone="Europe/Paris", language="fr"),
        make.subscriber("=b@example.net"),
        make.subscriber("gone@example.net", status="unsubscribed"),
    ]  # fmt: skip
    before = {one.email: (of(one), one.cadence, one.send_hour, one.time_zone, one.language) for one in readers[:2]}
    call_command("readers", "--export", str(tmp_path / "list.csv"))
    Subscriber.objects.all().delete()

    call_command("readers", "--import", str(tmp_path / "list.csv"), "--consent", "the old machine")

    after = Subscriber.objects.all()
    assert before == {one.email: (of(one), one.cadence, one.send_hour, one.time_zone, one.language) for one in after}


def test_the_number_of_queries_of_an_export_does_not_grow(django_assert_num_queries, tmp_path):
    for _ in range(30):
        make.subscriber(topics=["robot", "soup"])

    call_command("readers", "--export", str(tmp_path / "list.csv"))
    with django_assert_num_queries(5):
        call_command("readers", "--export", str(tmp_path / "list.csv"))


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_bytes_are_told_of_or_refused(parts):
    content = b"address,topics\n" + b"\n".join(parts)
    told = take_in(content, store=False)

    assert [one.line for one in told] == sorted({one.line for one in told})
    assert all(one.why for one in told if one.outcome is Outcome.REFUSED)
