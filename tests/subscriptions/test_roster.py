"""Lists of readers as CSV: what they hold, what is wrong with them, and that no list overrules a reader."""

import io
import re
from collections import Counter
from itertools import islice

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.forms.models import model_to_dict
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from subscriptions import roster, sheet, suppression
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
    with pytest.raises(sheet.Unreadable, match=sentence):
        take_in(text)
    assert not Subscriber.objects.exists()


@pytest.mark.parametrize(
    ("line", "why"),
    [("nonsense,", "This is not one address"), (",robot", "This is not one address"),
     ("x@example.net,robot OR", "Something must follow OR"), ('x@example.net,"robot', "quotation marks"),
     ('x@example.net,ro"b"ot"', "quotation marks"), ('x@example.net,"ro"bot', "quotation marks"),
     ("x@example.net,a,b,c,d,e,f", "7 values for 5 columns"),
     ("x@example.net,,hourly", "cadence is one of"), ("x@example.net,,,25", "hour is a number"),
     ("x@example.net,,,,Mars/Crater", "time_zone is a name like"),
     ("x@example.net,[[],", "topics are written like"),
     ('x@example.net,"[[""a""]]"', "topics are written"),
     ('x@example.net,"[[1, 2, 3]]"', "topics are written"), ('x@example.net,"[["""", ""b""]]"', "each with a name"),
     ("x" * 300_000, "more than 250,000 bytes"),
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
    make.subscriber("gone@bücher.example", status="unsubscribed")
    make.subscriber("l.eft@gmail.com", status="unsubscribed")
    make.subscriber("paused+x@example.net", status="pending", confirmed_at=None)
    suppression.add("never@example.net", "bounced", detail="", now=NOW)
    suppression.add("bad@bücher.example", "complained", detail="", now=NOW)
    make.subscriber("worse@example.net", status="suppressed")

    told = take_in(
        "address,topics,status,cadence,hour\nleft@example.net,robot,,,\nknown@example.net,robot,,,\n"
        "waits@example.net,robot,,weekly,9\npaused@example.net,robot,,,\nNever@example.net,robot,,,\n"
        "worse@example.net,robot,,,\nnew@example.net,,active,,\nNew@example.net,,,,\nnever2@example.net,,unsubscribed,,\n"
        "gone@xn--bcher-kva.example,,,,\nbad@xn--bcher-kva.example,,,,\nleft+x@gmail.com,,,,\nasks@example.net,,pending,,\n"
        "known@example.net,,unsubscribed,,\ntwice@example.net,,,,\ntwice@example.net,,unsubscribed,,\n"
    )

    assert [(one.address, one.outcome) for one in told] == [
        ("left@example.net", Outcome.LEFT), ("known@example.net", Outcome.KNOWN), ("waits@example.net", Outcome.ADDED),
        ("paused@example.net", Outcome.KNOWN), ("Never@example.net", Outcome.SUPPRESSED),
        ("worse@example.net", Outcome.SUPPRESSED), ("new@example.net", Outcome.ADDED),
        ("New@example.net", Outcome.KNOWN), ("never2@example.net", Outcome.LEFT),
        ("gone@xn--bcher-kva.example", Outcome.LEFT), ("bad@xn--bcher-kva.example", Outcome.SUPPRESSED),
        ("left+x@gmail.com", Outcome.LEFT), ("asks@example.net", Outcome.REFUSED), ("known@example.net", Outcome.KNOWN),
        ("twice@example.net", Outcome.LEFT), ("twice@example.net", Outcome.LEFT),
    ]  # fmt: skip
    assert "goes on getting them" in told[13].why
    assert dict(Subscriber.objects.values_list("email", "status")) == {
        "left@example.net": "unsubscribed", "Known@example.net": "active", "waits@example.net": "active",
        "paused@example.net": "paused", "worse@example.net": "suppressed", "new@example.net": "active",
        "paused+x@example.net": "pending", "gone@bücher.example": "unsubscribed",
        "l.eft@gmail.com": "unsubscribed", "never2@example.net": "unsubscribed",
        "twice@example.net": "unsubscribed",
    }  # fmt: skip
    assert of(Subscriber.objects.get(email="Known@example.net")) == [Topic("soup", "soup")]
    waited = Subscriber.objects.get(email="waits@example.net")
    assert (of(waited), waited.confirmed_at, waited.cadence, waited.send_hour) == (
        [Topic("robot", "robot")], NOW, "weekly", 9,
    )  # fmt: skip


def test_what_stands_in_a_cell_of_several_lines_is_no_record():
    told = take_in('email,notes\na@example.net,"said\n\nb@example.net,never write again"\nc@example.net,x\n')

    assert [(one.line, one.address, one.outcome) for one in told] == [
        (2, "a@example.net", Outcome.ADDED), (5, "c@example.net", Outcome.ADDED),
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", ['x@example.net,"y', 'x@example.net,y"', 'x@example.net,"a"b"', '"x@example.net,y'])
def test_a_quotation_mark_that_is_never_closed_costs_its_own_line(wrong):
    good = [f'r{n}@example.net,"robot {n}, soup"' for n in range(300)]
    told = take_in("\n".join(["address,topics", *good[:150], wrong, *good[150:], wrong]))

    assert [one.line for one in told if one.outcome is not Outcome.ADDED] == [152, 303]
    assert Subscriber.objects.count() == 300


def test_a_record_that_ends_early_has_no_address():
    told = take_in("name,email\nFoo\nBob,b@example.net\n")

    assert [one.outcome for one in told] == [Outcome.REFUSED, Outcome.ADDED]


@pytest.mark.parametrize(
    "topics", [r'[["\ud800", "robot"]]', r'[["a", "\ud800 OR"]]', r'[["\u0000", "robot"]]', r'[["a\nb", "robot"]]',
               r'[["a", "robot", "x"]]', r'[["a", "robot", -1]]', "[[1]]", "[[" * 500],
)  # fmt: skip
def test_hostile_topics_cost_one_record(topics):
    quoted = topics.replace('"', '""')
    told = take_in(f'address,topics\na@example.net,"{quoted}"\nb@example.net,soup\n')

    assert [one.outcome for one in told] == [Outcome.REFUSED, Outcome.ADDED]
    assert "topics are written like" in told[0].why or "Something must follow" in told[0].why


def test_who_signs_up_while_a_list_is_stored_costs_one_record(monkeypatch):
    """The look-up does not see them, as that of another transaction would not."""
    real = roster._judged

    def blind(entries):
        told, _ = real(entries)
        return {line: one._replace(outcome=Outcome.ADDED) for line, one in told.items()}, {}

    make.subscriber("b@example.net")
    monkeypatch.setattr(roster, "_judged", blind)
    told = take_in("address\na@example.net\nb@example.net\nc@example.net\n")

    assert [one.outcome for one in told] == [Outcome.ADDED, Outcome.REFUSED, Outcome.ADDED]
    assert "cannot be stored" in told[1].why
    assert Subscriber.objects.count() == Consent.objects.count() + 1 == 3


def test_a_terminal_is_told_nothing_it_would_obey(tmp_path, capsys):
    (tmp_path / "list.csv").write_bytes(b'address,topics\n\x1b[2Jx,"\x1b]0;x\r OR"\n"a\rb",\n')

    call_command("readers", "--import", str(tmp_path / "list.csv"), "--consent", "there")

    assert all(sign.isprintable() or sign == "\n" for sign in capsys.readouterr().out)


def test_a_dry_run_counts_as_the_real_one_does():
    text = "address\n" + "".join(f"r{n}@example.net\n" for n in [*range(1_500), 3, 1_200])
    dry, real = (Counter(one.outcome for one in take_in(text, store=store)) for store in (False, True))

    assert dry == real == {Outcome.ADDED: 1_500, Outcome.KNOWN: 2}


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


@pytest.mark.django_db(transaction=True)
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


def test_a_list_that_was_written_is_read_again(tmp_path, settings):
    settings.DIGEST_TIME_ZONE = "CET"
    topics = [("Robots, arms = all", "robot*"), ("-x", "-medical"), ("q", '"a b"'), ("'=x", "soup")]
    first = make.subscriber("a@example.net", topics=topics, cadence="chosen", send_days=5, send_hour=9, language="fr",
                            time_zone="CET", format="text", max_papers=7, min_votes=3, wants_trending=False,
                            wants_empty=True)  # fmt: skip
    first.subscriptions.filter(label="q").update(is_muted=True, max_papers=4)
    make.subscriber("=b@example.net", status="paused", paused_until="2026-07-01", time_zone="CET")
    make.subscriber("'=c@bücher.example", cadence="weekly", send_days=16, time_zone="CET")
    make.subscriber("gone@example.net", status="unsubscribed", time_zone="CET")
    make.subscriber("never@example.net", status="suppressed", time_zone="CET")
    make.subscriber(
        "long@example.net", topics=[(f"{n}", f"robot OR {'x' * 300}{n}") for n in range(100)], time_zone="CET"
    )
    skipped = {"id", "confirmed_at", "created_at", "status_changed_at", "status_reason"}

    def state():
        return {
            one.email: ({k: v for k, v in model_to_dict(one).items() if k not in skipped}, of(one))
            for one in Subscriber.objects.all()
        }

    before = state()
    call_command("readers", "--export", str(tmp_path / "list.csv"))
    Subscriber.objects.all().delete()
    call_command("readers", "--import", str(tmp_path / "list.csv"), "--consent", "the old machine")

    assert state() == before
    assert suppression.find("never@example.net")


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
