"""What a dead worker leaves behind, and what those after it make of it."""

import multiprocessing
import os
import signal
from contextlib import contextmanager
from datetime import timedelta

import pytest

from digest.deliveries import journal, ledger, runs
from digest.deliveries.journal import Journal, is_alive
from digest.deliveries.queue import queue
from digest.deliveries.send import send_due
from digest.deliveries.sweep import recover, sweep
from digest.models import Batch, Delivery, Run
from digest.taken import Taken
from subscriptions import mail
from subscriptions.mail import Outcome, Verdict
from tests import make
from tests.make import DAY, NOW

SENT, UNCERTAIN = Verdict(Outcome.SENT), Verdict(Outcome.UNCERTAIN, "no answer")


@pytest.fixture
def folder(settings, tmp_path):
    settings.DIGEST_JOURNAL_DIR = tmp_path / "journal"
    return settings.DIGEST_JOURNAL_DIR


def row(delivery, attempts=1):
    return Taken(delivery, 1, 1, 1, "reader@example.net", DAY, [], 0, attempts, "html", "en", NOW)


def left(folder):
    """What a journal's finder is told; it is gone afterwards."""
    found = []
    journal.recover(folder, found.append)
    assert not list(folder.glob("*.journal"))
    return found


@contextmanager
def kept(folder, worker="w", transport="smtp"):
    made = Journal(folder, worker, transport)
    try:
        yield made
    finally:
        made.close()


# The file -----------------------------------------------------------------------------------------------------------


def test_what_was_begun_and_answered_is_read_again(folder):
    answers = [
        SENT,
        Verdict(Outcome.SENT, reference="<0.1@esp>"),
        Verdict(Outcome.DEFERRED, "450 später\n“now”", retry_after=12.5),
        Verdict(Outcome.FAILED, '550 "no" \\ B 7 1'),
        UNCERTAIN,
    ]
    with kept(folder) as file:
        for number, answer in enumerate(answers, start=1):
            file.begin(row(number, attempts=number))
            file.answer(row(number, attempts=number), answer)
        file.begin(row(9, attempts=3))

    (remains,) = left(folder)
    assert (remains.worker, remains.transport, remains.is_whole) == ("w", "smtp", True)
    assert remains.answered == {(number, number): answer for number, answer in enumerate(answers, start=1)}
    assert remains.begun == {(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (9, 3)}


def test_a_second_attempt_is_another_entry(folder):
    with kept(folder) as file:
        file.begin(row(1))
        file.answer(row(1), Verdict(Outcome.DEFERRED, "450"))
        file.begin(row(1, attempts=2))

    (remains,) = left(folder)
    assert remains.begun == {(1, 1), (1, 2)}
    assert set(remains.answered) == {(1, 1)}


def test_what_was_cleared_is_forgotten_and_writing_goes_on(folder):
    with kept(folder) as file:
        file.begin(row(1))
        file.clear()
        file.begin(row(2))

    (remains,) = left(folder)
    assert (remains.begun, remains.transport, remains.is_whole) == ({(2, 1)}, "smtp", True)


def test_a_second_try_is_not_answered_by_the_answer_to_the_first(folder):
    """A person had it tried again, which counts its attempts anew."""
    with kept(folder) as file:
        file.begin(row(1))
        file.answer(row(1), Verdict(Outcome.DEFERRED, "450"))
        file.begin(row(1))

    (remains,) = left(folder)
    assert (remains.begun, remains.answered) == ({(1, 1)}, {})


def test_a_journal_is_whole_while_it_is_cleared(folder, monkeypatch):
    seen = []

    def watched(number, size):
        ftruncate(number, size)
        seen.append(journal._read(file.path).is_whole)

    ftruncate = os.ftruncate
    with kept(folder) as file:
        file.begin(row(1))
        monkeypatch.setattr(os, "ftruncate", watched)
        file.clear()

    assert seen == [True]


def test_whoever_looks_while_a_journal_is_made_does_not_take_its_worker_for_dead(folder, monkeypatch):
    def slow(file, how):
        monkeypatch.setattr(journal.fcntl, "flock", flock)
        journal.recover(folder, found.append)
        flock(file, how)

    found, flock = [], journal.fcntl.flock
    monkeypatch.setattr(journal.fcntl, "flock", slow)
    with kept(folder):
        assert is_alive(folder, "w")
    assert found == []


@pytest.mark.parametrize("fits", range(9))
def test_a_line_that_a_full_disk_cuts_is_an_error_and_leaves_nothing(folder, monkeypatch, fits):
    """The first write that does not fit is cut without an error; the letter must not leave without its line."""
    write = os.write
    with kept(folder) as file:
        file.begin(row(11))
        before = file.path.read_bytes()
        monkeypatch.setattr(os, "write", lambda number, data: write(number, data[: min(fits, len(data) - 1)]))
        with pytest.raises(OSError, match="No space left"):
            file.begin(row(12))
        with pytest.raises(OSError, match="No space left"):
            file.answer(row(11), SENT)
        assert file.path.read_bytes() == before


def test_no_journal_is_left_where_it_cannot_be_written(folder, monkeypatch):
    monkeypatch.setattr(os, "write", lambda number, data: 0)

    with pytest.raises(OSError, match="No space left"):
        Journal(folder, "w", "smtp")

    assert list(folder.iterdir()) == []


def test_a_worker_that_ended_well_leaves_nothing(folder):
    with kept(folder) as file:
        file.remove()
        file.remove()

    assert left(folder) == []


def test_the_last_line_may_be_torn_anywhere(folder):
    with kept(folder) as file:
        file.begin(row(11))
        file.answer(row(11), SENT)
        file.begin(row(12))
        whole = file.path.read_bytes()
        file.answer(row(12), Verdict(Outcome.FAILED, "550 no"))
        path, data = file.path, file.path.read_bytes()

    for cut in range(len(whole), len(data)):
        path.write_bytes(data[:cut])
        (remains,) = left(folder)
        assert remains.begun == {(11, 1), (12, 1)}
        assert remains.answered == {(11, 1): SENT}
        assert remains.is_whole


@pytest.mark.parametrize(
    "damage",
    [b"\0\0\0\0\n", b"\0\0\0\0B 8 1\n", b"B 8\n", b"B 1S 11 1\n", b"A 8 1 [\"failed\"\n", b"A 8 1\n", b"A 8 1 {}\n",
     b"A 8 1 [\"nonsense\", \"\", null, \"\"]\n", b"Z 8 1\n", b"\n", b"S 8 1 more\n", b"\xff\xfe 1\n"],
)  # fmt: skip
def test_a_damaged_line_costs_no_other_and_nothing_is_concluded_from_silence(folder, damage):
    """A crash of the machine leaves blocks of zeros, a full disk half a line with others behind it."""
    with kept(folder) as file:
        file.begin(row(11))
        file.answer(row(11), SENT)
        os.write(file._file, damage)
        file.begin(row(12))

    (remains,) = left(folder)
    assert remains.begun - {(8, 1)} == {(11, 1), (12, 1)}
    assert remains.answered == {(11, 1): SENT}
    assert not remains.is_whole


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"J boot", b"J\n", b"J  \n", b"K x smtp\nS 1 1\n", b"\xff\n"])
def test_a_file_without_a_beginning_concludes_nothing(folder, data):
    folder.mkdir()
    (folder / "w.journal").write_bytes(data)

    (remains,) = left(folder)
    assert not remains.is_whole


def test_after_a_reboot_silence_proves_nothing(folder, monkeypatch):
    with kept(folder) as file:
        file.begin(row(1))
        file.answer(row(1), SENT)
    monkeypatch.setattr(journal, "_boot", lambda: "another")

    (remains,) = left(folder)
    assert (remains.answered, remains.is_whole) == ({(1, 1): SENT}, False)


def test_where_nobody_names_the_running_time_silence_proves_nothing(folder, monkeypatch):
    monkeypatch.setattr(journal, "_boot", lambda: "unknown")
    with kept(folder) as file:
        file.begin(row(1))

    (remains,) = left(folder)
    assert not remains.is_whole


# Life and death -----------------------------------------------------------------------------------------------------


def _live(folder, ready):
    file = Journal(folder, "child", "smtp")
    file.begin(row(1))
    file.answer(row(1), SENT)
    file.begin(row(2))
    ready.send("begun")
    signal.pause()


@pytest.fixture
def child(folder):
    """A worker in a process of its own, with one letter answered and one begun."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=_live, args=[folder, there])
    process.start()
    assert here.recv() == "begun"
    yield process
    process.kill()
    process.join(10)
    process.close()
    here.close()
    there.close()


def test_s1_a_living_workers_journal_is_left_alone_and_a_killed_ones_is_not(folder, child):
    journal.recover(folder, lambda remains: pytest.fail("it lives"))
    assert is_alive(folder, "child") is True
    os.kill(child.pid, signal.SIGSTOP)
    assert is_alive(folder, "child") is True
    journal.recover(folder, lambda remains: pytest.fail("it sleeps"))

    os.kill(child.pid, signal.SIGKILL)
    child.join(10)

    assert is_alive(folder, "child") is False
    (remains,) = left(folder)
    assert (remains.begun, set(remains.answered), remains.is_whole) == ({(1, 1), (2, 1)}, {(1, 1)}, True)
    assert is_alive(folder, "child") is None


def test_a_worker_of_the_same_process_is_alive_too(folder):
    with kept(folder):
        assert is_alive(folder, "w") is True
        journal.recover(folder, lambda remains: pytest.fail("it lives"))


def test_what_could_not_be_settled_is_kept_for_the_next_time(folder):
    with kept(folder) as file:
        file.begin(row(1))

    def fails(remains):
        raise OSError("no database")

    with pytest.raises(OSError, match="no database"):
        journal.recover(folder, fails)
    assert [remains.begun for remains in left(folder)] == [{(1, 1)}]


def test_one_of_two_who_find_it_settles_it(folder):
    with kept(folder) as file:
        file.begin(row(1))
    seen = []

    def settle(remains):
        seen.append(remains)
        journal.recover(folder, seen.append)

    journal.recover(folder, settle)

    assert len(seen) == 1


# Rows ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def dead(db, folder):
    """A worker that had taken five of seven letters: two answered, one begun, two not begun; its journal is left."""
    make.edition([make.paper()])
    for number in range(7):
        make.subscriber(f"reader{number}@example.net")
    queue(now=NOW, today=DAY)
    batch = ledger.claim("dead", now=NOW)
    waiting = ledger.waiting(batch, now=NOW)
    taken = ledger.take(waiting[:5], worker="dead", now=NOW, today=DAY)
    file = Journal(folder, "dead", "smtp")
    for one in taken[:3]:
        file.begin(one)
    file.answer(taken[0], SENT)
    file.answer(taken[1], Verdict(Outcome.DEFERRED, "450 later"))
    file.close()
    return taken


def rows():
    return [(row.status, row.attempts) for row in Delivery.objects.order_by("pk")]


def test_answered_letters_are_settled_begun_ones_uncertain_and_the_others_wait_again(dead):
    counts = recover(now=NOW)

    assert rows() == [("sent", 1), ("deferred", 1), ("uncertain", 1), *[("queued", 0)] * 4]
    assert counts == {"sent": 1, "deferred": 1, "uncertain": 1, "queued": 2}
    assert Delivery.objects.order_by("pk")[0].transport == "smtp"
    assert not Batch.objects.held().exists()
    assert ledger.claim("next", now=NOW) is not None


def test_settling_twice_changes_nothing(dead, folder):
    data = (folder / "dead.journal").read_bytes()
    recover(now=NOW)
    before = list(Delivery.objects.order_by("pk").values())
    (folder / "dead.journal").write_bytes(data)

    recover(now=NOW + timedelta(hours=1))

    assert list(Delivery.objects.order_by("pk").values()) == before


def test_after_a_reboot_what_was_taken_is_uncertain_unless_it_was_answered(dead, monkeypatch):
    monkeypatch.setattr(journal, "_boot", lambda: "another")

    recover(now=NOW)

    assert rows() == [("sent", 1), ("deferred", 1), *[("uncertain", 1)] * 3, *[("queued", 0)] * 2]


def test_without_its_journal_a_worker_is_waited_for_as_long_as_its_lease(dead, folder):
    (folder / "dead.journal").unlink()

    sweep(now=NOW + ledger.LEASE - timedelta(seconds=1))
    assert Batch.objects.held().exists()
    sweep(now=NOW + ledger.LEASE)

    assert rows() == [*[("uncertain", 1)] * 5, *[("queued", 0)] * 2]
    assert not Batch.objects.held().exists()


def test_s27_a_living_worker_keeps_its_letters_though_the_clock_jumps(dead, folder):
    (folder / "dead.journal").rename(folder / "old")
    with kept(folder, "dead"):
        sweep(now=NOW + timedelta(hours=1))

    assert Batch.objects.held().exists()
    assert {status for status, _ in rows()} == {"sending", "queued"}


def test_better_knowledge_than_uncertain_is_taken(dead, folder):
    """The lease ran out on another machine before the journal was found on this one."""
    data = (folder / "dead.journal").read_bytes()
    (folder / "dead.journal").unlink()
    sweep(now=NOW + timedelta(minutes=10))
    (folder / "dead.journal").write_bytes(data)

    recover(now=NOW + timedelta(minutes=11))

    assert rows()[:3] == [("sent", 1), ("deferred", 1), ("uncertain", 1)]


def test_a_letter_that_went_on_to_another_worker_is_not_touched(dead, folder):
    data = (folder / "dead.journal").read_bytes()
    recover(now=NOW)
    now = NOW + timedelta(hours=1)
    batch = ledger.claim("next", now=now)
    again = ledger.take(ledger.waiting(batch, now=now), worker="next", now=now, today=DAY)
    (folder / "dead.journal").write_bytes(data)

    recover(now=now)

    assert [status for status, _ in rows()].count("sending") == len(again) == 5


@pytest.mark.parametrize("verdict", [SENT, Verdict(Outcome.FAILED, "550 no"), Verdict(Outcome.DEFERRED, "450 later")])
def test_a_letter_sent_again_by_a_person_is_not_settled_by_the_answer_before(dead, folder, verdict):
    """The lease ran out on another machine, and a person decided before the journal was found on this one."""
    (folder / "dead.journal").unlink()
    sweep(now=NOW + timedelta(minutes=10))
    runs.resend_uncertain(Run.objects.get(), by="ada", now=NOW)
    batch = ledger.claim("next", now=NOW)
    ledger.take(ledger.waiting(batch, now=NOW), worker="next", now=NOW, today=DAY)
    with kept(folder, "dead") as again:
        again.begin(dead[0])
        again.answer(dead[0], verdict)

    recover(now=NOW)

    assert {status for status, _ in rows()} == {"sending"}


def test_a_journal_that_makes_no_sense_stops_nobody(db, folder, monkeypatch):
    monkeypatch.setattr(mail, "transports", list)
    folder.mkdir()
    (folder / "dead.journal").write_bytes(b"\0" * 4096 + b"\n\0\0\nB 1S 1 1\n")

    send_due(clock=lambda: NOW, today=DAY)

    assert not list(folder.glob("*.journal"))


# Leases -------------------------------------------------------------------------------------------------------------


def test_who_slept_through_a_lease_takes_nothing_that_is_anothers_now(db, folder):
    """A worker on another machine was suspended; when it wakes up its letters are being handed over by somebody."""
    make.edition([make.paper()])
    for _ in range(3):
        make.subscriber()
    queue(now=NOW, today=DAY)
    stale = ledger.waiting(ledger.claim("sleeper", now=NOW), now=NOW)
    later = NOW + timedelta(minutes=10)
    sweep(now=later)
    batch = ledger.claim("next", now=later)
    mine = ledger.take(ledger.waiting(batch, now=later), worker="next", now=later, today=DAY)

    assert len(mine) == 3
    assert ledger.take(stale, worker="sleeper", now=later, today=DAY) == []
    assert {status for status, _ in rows()} == {"sending"}


def test_who_slept_through_a_lease_looks_before_the_next_letter_leaves(db, folder, settings, monkeypatch):
    """Its letters were given up as uncertain meanwhile, and sent again by a person's wish."""
    make.edition([make.paper()])
    for _ in range(3):
        make.subscriber()
    queue(now=NOW, today=DAY)
    now, sent = [NOW], []

    class Way:
        name = "smtp"

        @contextmanager
        def carrier(self):
            yield self

        def run(self, jobs):
            while isinstance(job := jobs.next(), mail.Job):
                jobs.begin(job)
                sent.append(job.to)
                jobs.done(job, SENT)
                if now == [NOW]:
                    now[0] += timedelta(minutes=10)
                    settings.DIGEST_JOURNAL_DIR = folder / "elsewhere"
                    sweep(now=now[0])
                    runs.resend_uncertain(Run.objects.get(), by="ada", now=now[0])
                    batch = ledger.claim("next", now=now[0])
                    ledger.take(ledger.waiting(batch, now=now[0]), worker="next", now=now[0], today=DAY)

    monkeypatch.setattr(mail, "transports", lambda: [Way()])
    send_due(clock=lambda: now[0], today=DAY)

    assert len(sent) == 1
