"""A run as a person sees it and acts on it."""

import csv
import itertools
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from digest.deliveries import export, ledger, runs
from digest.deliveries.queue import queue
from digest.deliveries.send import RESTS, STOPPED_AFTER, send_due
from digest.models import Alarm, Batch, Carriage, Delivery, DeliveryEvent, Run
from subscriptions import mail
from subscriptions.mail import Outcome, Verdict
from tests import make
from tests.make import DAY, NOW

pytestmark = pytest.mark.django_db


class Way:
    """A way of sending that answers each letter as told by address, and is down while told so."""

    def __init__(self, name="first"):
        self.name, self.letters, self.verdicts, self.is_down, self.during = name, [], {}, None, None

    @contextmanager
    def carrier(self):
        yield self

    def run(self, jobs):
        while isinstance(job := jobs.next(), mail.Job):
            jobs.begin(job)
            if self.is_down:
                jobs.done(job, self.is_down)
                continue
            self.letters.append(job.to)
            jobs.done(job, self.verdicts.get(job.to, Verdict(Outcome.SENT)))
            if self.during:
                self.during()
            jobs.tick()


DOWN = Verdict(Outcome.TROUBLE, "nobody answers")
REFUSED = Verdict(Outcome.TROUBLE, "535 5.7.8 who are you", is_refusal_of_us=True)


@pytest.fixture
def ways(monkeypatch):
    both = [Way("first"), Way("second")]
    monkeypatch.setattr(mail, "transports", lambda: both)
    return both


@pytest.fixture
def way(monkeypatch):
    only = Way()
    monkeypatch.setattr(mail, "transports", lambda: [only])
    return only


def queued(count):
    make.edition([make.paper()])
    readers = [make.subscriber(f"r{n}@example.net") for n in range(count)]
    queue(now=NOW, today=DAY)
    return Run.objects.get(), [reader.email for reader in readers]


def send(at=NOW, **more):
    return send_due(clock=lambda: at, today=DAY, **more)


def statuses():
    return sorted(Delivery.objects.values_list("status", flat=True))


def test_a_paused_run_sends_nothing_and_resumes_exactly(way):
    run, readers = queued(4)
    runs.pause(run, by="ada", now=NOW)
    send()
    assert way.letters == []

    runs.resume(run, by="ada", now=NOW)
    send()

    assert sorted(way.letters) == readers


def test_a_pause_stops_a_worker_within_a_second_and_gives_back_what_was_not_begun(way):
    run, _ = queued(40)
    now = [NOW]

    def pause():
        if len(way.letters) == 5:
            runs.pause(run, by="ada", now=now[0])
        now[0] += timedelta(seconds=0.3)

    way.during = pause
    send_due(clock=lambda: now[0], today=DAY)

    assert 5 <= len(way.letters) <= 10
    assert statuses() == ["queued"] * (40 - len(way.letters)) + ["sent"] * len(way.letters)
    assert set(Delivery.objects.filter(status="queued").values_list("attempts", flat=True)) == {0}
    assert not Batch.objects.held().exists()


def test_twenty_pauses_lose_and_repeat_nothing(way):
    run, readers = queued(60)
    for _ in range(20):
        send(limit=3)
        runs.pause(run, by="ada", now=NOW)
        send()
        runs.resume(run, by="ada", now=NOW)

    assert sorted(way.letters) == sorted(readers)


def test_a_cancelled_run_gives_up_what_waits_and_cannot_be_resumed(way):
    run, _ = queued(3)
    send(limit=1)

    runs.cancel(run, by="ada", now=NOW)
    send()

    assert statuses() == ["excluded", "excluded", "sent"]
    assert set(Delivery.objects.filter(status="excluded").values_list("reason", flat=True)) == {"cancelled by ada"}
    with pytest.raises(runs.NotPossible, match="cannot be resumed"):
        runs.resume(run, by="ada", now=NOW)


def test_a_cancelled_edition_is_queued_for_nobody_else(way):
    run, _ = queued(1)
    runs.cancel(run, by="ada", now=NOW)
    make.subscriber("late@example.net")

    assert queue(now=NOW, today=DAY).queued == 0


@pytest.mark.parametrize("verdict", [Verdict(Outcome.SENT), Verdict(Outcome.DEFERRED, "450 later")])
def test_letters_under_way_when_their_run_is_cancelled_do_not_wait_for_ever(way, verdict):
    run, readers = queued(40)
    way.verdicts = dict.fromkeys(readers, verdict)
    now = [NOW]

    def cancel():
        now[0] += timedelta(seconds=0.3)
        if len(way.letters) == 5:
            runs.cancel(run, by="ada", now=now[0])

    way.during = cancel
    send_due(clock=lambda: now[0], today=DAY)

    assert set(statuses()) <= {"sent", "excluded"}
    assert runs.progress(run, now=NOW).waiting == 0
    assert not Batch.objects.exclude(claimed_by="", next_try_at=None).exists()


def test_letters_of_a_cancelled_run_are_not_tried_again(way):
    run, readers = queued(1)
    way.verdicts[readers[0]] = Verdict(Outcome.FAILED, "554 ugly")
    send()
    runs.cancel(run, by="ada", now=NOW)

    with pytest.raises(runs.NotPossible, match="cancelled"):
        runs.retry(run, by="ada", now=NOW)

    assert statuses() == ["failed"]


@pytest.fixture
def beside(transactional_db):
    """Calls functions in a thread with a connection of its own."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite lets one write at a time")

    def call(act):
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        yield lambda act: threads.submit(call, act)


def test_a_letter_that_leaves_while_it_is_tried_again_by_hand_leaves_once(way, beside, monkeypatch):
    run, readers = queued(1)
    way.verdicts[readers[0]] = Verdict(Outcome.DEFERRED, "450 later")
    send()
    way.verdicts.clear()
    sent = []

    def slow(*given, **more):
        sent.append(beside(lambda: send(at=NOW + timedelta(hours=1))))
        wait(sent, timeout=0.5)
        note(*given, **more)

    note = runs._note
    monkeypatch.setattr(runs, "_note", slow)
    runs.retry(run, by="ada", now=NOW)
    sent[0].result()
    send(at=NOW + timedelta(hours=2))

    assert len(way.letters) == 2
    assert statuses() == ["sent"]


def test_cancelling_and_taking_do_not_wait_for_each_other(way, beside, monkeypatch):
    """The database reads the batches of a run in any order; who locks them in another than the others may deadlock."""
    monkeypatch.setattr(ledger, "SIZE", 1)
    run, _ = queued(3)
    keys = list(Batch.objects.order_by("pk").values_list("pk", flat=True))
    Batch.objects.filter(pk=keys[0]).update(next_try_at=NOW)  # the first is the last in the table now
    with transaction.atomic():
        ledger.lock(keys[:1], "")
        taking = beside(lambda: transaction.atomic(ledger.lock)(keys, ""))
        wait([taking], timeout=0.3)
        cancelling = beside(lambda: runs.cancel(run, by="ada", now=NOW))
        wait([cancelling], timeout=0.3)

    assert taking.result() == set(keys)
    assert cancelling.result().state == "cancelled"


def test_failed_letters_are_tried_again_by_hand_and_it_is_written_down(way):
    run, readers = queued(3)
    way.verdicts[readers[0]] = Verdict(Outcome.FAILED, "554 ugly")
    send()
    way.verdicts.clear()

    assert runs.retry(run, by="ada", now=NOW) == 1
    send()

    assert statuses() == ["sent"] * 3
    assert [event.detail for event in DeliveryEvent.objects.filter(kind="by hand")] == ["tried again"]


def test_uncertain_letters_are_settled_or_sent_again_by_a_person_alone(way):
    run, readers = queued(2)
    way.verdicts = {reader: Verdict(Outcome.UNCERTAIN, "no answer") for reader in readers}
    send()
    way.verdicts.clear()
    assert runs.retry(run, by="ada", now=NOW) == 0

    assert runs.resend_uncertain(run, by="ada", now=NOW) == 2
    send()

    assert statuses() == ["sent", "sent"]
    assert len(way.letters) == 4


def test_uncertain_letters_are_settled_by_what_a_person_found_out(way):
    run, readers = queued(1)
    way.verdicts[readers[0]] = Verdict(Outcome.UNCERTAIN, "no answer")
    send()

    assert runs.settle_uncertain(run, arrived=True, by="ada", now=NOW) == 1

    row = Delivery.objects.get()
    assert (row.status, row.reason) == ("sent", "arrived, said ada")


def test_a_refusal_of_us_stops_the_run_tells_and_costs_nobody_anything(way):
    run, readers = queued(30)
    way.is_down = REFUSED
    now = NOW
    for _ in range(STOPPED_AFTER):
        send(at=now)
        now += timedelta(seconds=max(RESTS))

    run.refresh_from_db()
    assert (run.state, run.reason) == ("stopped", "535 5.7.8 who are you")
    assert set(Delivery.objects.values_list("status", "attempts")) == {("queued", 0)}
    assert Alarm.objects.filter(name=f"run {DAY}", cleared_at=None).exists()

    way.is_down = None
    runs.resume(run, by="ada", now=now)
    send(at=now)

    assert sorted(way.letters) == sorted(readers)
    assert not Alarm.objects.filter(cleared_at=None).exists()


def test_a_way_that_is_down_is_left_alone_longer_each_time_and_probed_with_one_letter(way):
    queued(30)
    way.is_down = DOWN
    now, tries = NOW, []
    for _ in range(200):
        before = Carriage.objects.filter(name="first").values_list("failures", flat=True).first() or 0
        send(at=now)
        if Carriage.objects.get(name="first").failures > before:
            tries.append(now)
        now += timedelta(seconds=5)

    gaps = [(after - before).total_seconds() for before, after in itertools.pairwise(tries)]
    assert gaps == sorted(gaps)
    assert gaps[0] == 10
    assert Delivery.objects.filter(status="queued", attempts=0).count() == 30
    assert Alarm.objects.get().name == "way first"


def test_a_second_way_takes_over_and_the_first_comes_back_by_itself(ways):
    first, second = ways
    _, readers = queued(30)
    first.is_down = DOWN

    send(limit=10)
    assert (first.letters, len(second.letters)) == ([], 10)
    send(at=NOW + timedelta(seconds=5), limit=10)
    assert len(second.letters) == 20
    first.is_down = None
    send(at=NOW + timedelta(seconds=11))

    assert len(first.letters) == 10
    assert sorted(first.letters + second.letters) == sorted(readers)
    assert set(Delivery.objects.values_list("transport", flat=True)) == {"first", "second"}


def test_uncertain_letters_do_not_move_to_the_second_way(ways):
    first, second = ways
    _, readers = queued(2)
    first.verdicts[readers[0]] = Verdict(Outcome.UNCERTAIN, "no answer")
    first.verdicts[readers[1]] = DOWN

    send()

    assert second.letters == [readers[1]]
    assert Delivery.objects.get(email=readers[0]).status == "uncertain"


def test_progress_says_who_got_it_who_did_not_why_and_what_is_next(way):
    run, readers = queued(5)
    way.verdicts = {
        readers[0]: Verdict(Outcome.FAILED, "550 no such user"),
        readers[1]: Verdict(Outcome.DEFERRED, "450 full"),
    }
    send()

    stands = runs.progress(run, now=NOW + timedelta(seconds=30))

    assert stands.counts == {"sent": 3, "failed": 1, "deferred": 1}
    assert (stands.candidates, stands.settled, stands.waiting) == (5, 4, 1)
    assert ("failed", "550 no such user", 1) in stands.reasons
    assert stands.waiting_until > NOW
    assert stands.done_at == stands.waiting_until


def test_every_candidate_is_accounted_for_or_somebody_is_told(way):
    queued(3)
    assert runs.reckon(since=NOW - timedelta(days=1), now=NOW) == []

    Delivery.objects.first().delete()
    (text,) = runs.reckon(since=NOW - timedelta(days=1), now=NOW)

    assert "was 3 letters and is 2" in text
    assert Alarm.objects.get().name == f"reckoning {DAY}"


@pytest.mark.parametrize(
    ("corrupt", "told"),
    [
        (lambda: Delivery.objects.update(status="sending"), "handed over by nobody"),
        (lambda: Batch.objects.update(next_try_at=None), "waiting for nothing"),
        (lambda: Batch.objects.update(size=99), "was 99 letters"),
    ],
)
def test_each_way_in_which_the_ledger_may_be_wrong_is_found(way, corrupt, told):
    queued(3)
    corrupt()

    assert told in runs.reckon(since=NOW - timedelta(days=1), now=NOW)[0]


def test_the_command_tells_and_acts(way, capsys):
    _, readers = queued(2)
    way.verdicts[readers[0]] = Verdict(Outcome.FAILED, "554 ugly")

    call_command("run", "--pause")
    assert "Paused: paused by hand" in capsys.readouterr().out
    call_command("run", str(DAY), "--resume")
    send()
    call_command("run")

    said = capsys.readouterr().out
    assert "1 failed: 554 ugly" in said
    with pytest.raises(CommandError, match="no letters of that edition"):
        call_command("run", "2020-01-01")


def test_the_command_writes_a_line_for_each_letter(way, tmp_path, capsys):
    _, readers = queued(2)
    way.verdicts[readers[0]] = Verdict(Outcome.FAILED, '=HYPERLINK("http://evil.example.org")\r\nx')
    send()

    call_command("run", str(DAY), "--export", "-")
    said = capsys.readouterr().out
    call_command("run", "--export", str(tmp_path / "run.csv"))

    assert (tmp_path / "run.csv").read_bytes() == said.encode()
    assert [row[:4] for row in csv.reader(said.splitlines())] == [
        ["address", "status", "reason", "attempts"],
        [readers[0], "failed", """'=HYPERLINK("http://evil.example.org") x""", "1"],
        [readers[1], "sent", "", "1"],
    ]
    assert said.splitlines()[1].endswith(",2026-06-02T07:00:00+00:00,2026-06-02T08:00:00+00:00,first,")
    with pytest.raises(CommandError, match="cannot be written: No such file"):
        call_command("run", "--export", str(tmp_path / "nowhere" / "run.csv"))
    with pytest.raises(CommandError, match="not allowed with"):
        call_command("run", "--export", "-", "--pause")


def test_the_desk_gives_a_line_for_each_letter_to_who_may_see_letters(way, admin_client, client, django_user_model):
    from django.contrib.auth.models import Permission

    run, readers = queued(2)
    page = admin_client.get(f"/admin/digest/run/{run.pk}/change/").content.decode()
    assert f"/admin/digest/run/{run.pk}/export/" in page

    answer = admin_client.get(f"/admin/digest/run/{run.pk}/export/")
    user = django_user_model.objects.create_user("eve", password="x" * 12, is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_run"))
    client.force_login(user)

    assert answer.streaming
    assert answer["Content-Disposition"] == f'attachment; filename="letters-{DAY}.csv"'
    assert b"".join(answer).count(b"@example.net,queued,") == len(readers)
    assert client.get(f"/admin/digest/run/{run.pk}/export/").status_code == 403
    assert admin_client.get("/admin/digest/run/999999/export/").status_code == 404


def test_an_export_asks_once_however_many_letters(way, django_assert_num_queries):
    run, _ = queued(9)
    with django_assert_num_queries(1):
        assert len(list(export.lines(run))) == 10


def test_the_desk_shows_progress_and_acts(way, admin_client):
    run, readers = queued(2)
    way.verdicts[readers[0]] = Verdict(Outcome.FAILED, "554 <ugly>")
    send()
    page = admin_client.get(f"/admin/digest/run/{run.pk}/change/").content.decode()
    assert "554 &lt;ugly&gt;" in page
    assert "2 of 2 settled" in page

    admin_client.post("/admin/digest/run/", {"action": "retry", "_selected_action": [run.pk]})

    assert Delivery.objects.filter(status="queued").count() == 1


def test_a_curator_who_may_only_look_cannot_act(way, client, django_user_model):
    from django.contrib.auth.models import Permission

    run, _ = queued(1)
    user = django_user_model.objects.create_user("eve", password="x" * 12, is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_run"))
    client.force_login(user)

    client.post("/admin/digest/run/", {"action": "cancel", "_selected_action": [run.pk]})

    run.refresh_from_db()
    assert run.state == "going"


def test_a_worker_is_not_taken_for_dead_while_it_lives(way, settings):
    from digest.deliveries.journal import Journal
    from digest.deliveries.sweep import sweep

    queued(2)
    journal = Journal(settings.DIGEST_JOURNAL_DIR, "alive", "first")
    batch = ledger.claim("alive", now=NOW)
    ledger.take(ledger.waiting(batch, now=NOW), worker="alive", now=NOW, today=DAY)

    sweep(now=NOW + timedelta(hours=1))  # the clock has jumped

    assert statuses() == ["sending", "sending"]
    journal.close()
    sweep(now=NOW + timedelta(hours=1))
    assert statuses() == ["queued", "queued"]
