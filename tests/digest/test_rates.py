"""S26: no second holds more letters than a limit allows, a limit is used, and nobody waits for another's."""

from contextlib import contextmanager
from datetime import timedelta
from random import Random

import pytest

from digest.deliveries import ledger, rates
from digest.deliveries.pool import LATE
from digest.deliveries.queue import queue
from digest.deliveries.send import send_due
from digest.models import Batch, Delivery, Pace
from subscriptions import consent, mail
from subscriptions.mail import Job, Outcome, Verdict
from tests import make
from tests.make import DAY, NOW

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
#: A window may hold the letter at either end of it.
EDGE = 1


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now

    def pass_(self, seconds):
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(autouse=True)
def journals(settings, tmp_path):
    settings.DIGEST_JOURNAL_DIR = tmp_path / "journal"


def fullest(moments, window=SECOND):
    """The most moments in any window that begins with one."""
    moments, most, end = sorted(moments), 0, 0
    for at, moment in enumerate(moments):
        while end < len(moments) and moments[end] < moment + window:
            end += 1
        most = max(most, end - at)
    return most


def mean(moments):
    return (len(moments) - 1) / (max(moments) - min(moments)).total_seconds()


# reserve ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.5, 1, 7, 50, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_no_window_holds_more_than_the_limit_whoever_reserves(clock, rate, seed):
    random, moments = Random(seed), []
    for _ in range(150):
        for _ in range(random.choice([1, 1, 3])):  # workers that ask one after the other
            moments += rates.reserve("mail", random.choice([1, 2, 10, 1000]), rate, clock=clock)
        clock.pass_(random.choice([0, 0.01, 0.2, 0.5, 2]))

    assert len(moments) == len(set(moments))
    for window in (SECOND, 10 * SECOND):
        assert fullest(moments, window - timedelta(milliseconds=1)) <= max(1, rate * window.total_seconds())


def test_a_limit_is_used_up_by_those_who_ask_in_time(clock):
    moments = []
    while clock.now < NOW + 20 * SECOND:
        moments += rates.reserve("mail", 1000, 30, clock=clock)
        clock.pass_(0.3)

    assert mean(moments) == pytest.approx(30, rel=0.02)


def test_moments_are_near_and_none_is_past(clock):
    first = rates.reserve("mail", 1000, 10, clock=clock)
    clock.pass_(60)
    later = rates.reserve("mail", 1000, 10, clock=clock)

    assert len(first) == len(later) == 6
    assert min(later) == clock.now
    assert max(later) <= clock.now + rates.AHEAD


def test_nothing_is_saved_up_while_nobody_sends(clock):
    rates.reserve("mail", 1, 10, clock=clock)
    clock.pass_(3600)

    assert fullest(rates.reserve("mail", 1000, 10, clock=clock), timedelta(seconds=0.2)) == 2


def test_names_have_limits_of_their_own(clock):
    rates.reserve("mail", 1000, 1, clock=clock)

    assert rates.reserve("mail a.example", 1, 1, clock=clock) == [NOW]


@pytest.mark.parametrize("jump", [-3600, -601, 3600, 86400 * 400])
def test_s27_a_clock_that_is_set_does_not_stop_the_sending(clock, jump):
    rates.reserve("mail", 1000, 10, clock=clock)
    clock.pass_(jump)

    assert rates.reserve("mail", 1000, 10, clock=clock)[0] == clock.now


def test_s27_a_clock_set_back_a_little_is_waited_for(clock):
    taken = rates.reserve("mail", 1000, 10, clock=clock)
    clock.pass_(-5)

    assert rates.reserve("mail", 1000, 10, clock=clock) == []
    clock.pass_(5)
    assert not set(rates.reserve("mail", 1000, 10, clock=clock)) & set(taken)


def test_a_letter_an_hour_is_a_limit_too(clock):
    moments = []
    for _ in range(200):
        moments += rates.reserve("mail", 5, 1 / 3600, clock=clock)
        clock.pass_(60)

    assert len(moments) == 4


# The pool -----------------------------------------------------------------------------------------------------------


class Way:
    """A carrier in a clock of its own, in which a letter takes `step` seconds."""

    name = "fake"

    def __init__(self, clock, step=0.001):
        self.clock, self.step, self.sent = clock, step, []

    @contextmanager
    def carrier(self):
        yield self

    def run(self, jobs):
        while (job := jobs.next()) is not None:
            if isinstance(job, Job):
                jobs.begin(job)
                self.sent.append((self.clock.now, job.to.rpartition("@")[2]))
                self.clock.pass_(self.step)
                jobs.done(job, Verdict(Outcome.SENT))
            else:
                assert job > 0
                self.clock.pass_(min(job, jobs.patience))
            jobs.tick()

    def at(self, *domains):
        return [moment for moment, domain in self.sent if not domains or domain in domains]


def owe(count, *domains):
    """One letter each, to the domains in turn."""
    make.edition([make.paper("Robots")])
    for number in range(count):
        make.subscriber(f"reader{number}@{domains[number % len(domains)]}", topics=["robot"])
    queue(now=NOW, today=DAY)


@pytest.fixture
def way(clock, monkeypatch):
    made = Way(clock)
    monkeypatch.setattr(mail, "transports", lambda: [made])
    return made


def send(clock):
    counts = send_due(clock=clock, today=DAY).counts
    assert set(Delivery.objects.values_list("status", flat=True)) == {"sent"}
    assert not Batch.objects.held().exists()
    return counts


def test_s24_who_leaves_while_a_letter_waits_for_another_connection_gets_none(clock, way, monkeypatch):
    reader = make.subscriber(topics=["robot"])
    owe(3, "a.example")
    run = way.run

    def slow_to_open(jobs):
        for job in [jobs.next() for _ in range(4)]:
            jobs.put_back(job)
        clock.pass_(20)
        consent.unsubscribe(reader.pk, now=clock(), visit=consent.Visit())
        run(jobs)

    monkeypatch.setattr(way, "run", slow_to_open)
    send_due(clock=clock, today=DAY)

    assert [domain for _, domain in way.sent] == ["a.example"] * 3
    assert Delivery.objects.get(email=reader.email).status == "excluded"


@pytest.mark.parametrize("rate", [20.0, 50.0, 333.0])
def test_s26_a_limit_is_kept_and_used(clock, way, settings, rate):
    settings.DIGEST_MAIL_RATE = rate
    owe(300, "a.example")

    send(clock)

    assert fullest(way.at()) <= rate * 1.05 + EDGE
    assert mean(way.at()) >= rate * 0.95


@pytest.mark.parametrize("rate", [0.0, 50.0])
def test_s26_a_domain_has_a_limit_of_its_own_and_nobody_waits_for_it(clock, way, settings, rate):
    settings.DIGEST_MAIL_RATE = rate
    settings.DIGEST_MAIL_DOMAIN_RATES = {"slow.example": 10.0}
    owe(300, "slow.example", "a.example", "b.example")

    send(clock)

    assert fullest(way.at("slow.example")) <= 10 * 1.05 + EDGE
    assert mean(way.at("slow.example")) >= 10 * 0.95
    others = way.at("a.example", "b.example")
    if rate:
        assert fullest(way.at()) <= rate * 1.05 + EDGE
        assert mean(others) >= (rate - 10) * 0.9
    else:
        assert max(others) - min(others) < SECOND


def test_s26_batches_full_of_a_slow_domain_hold_nobody_up(clock, way, settings, monkeypatch):
    monkeypatch.setattr(ledger, "SIZE", 20)
    monkeypatch.setattr("digest.deliveries.held.MOST", 4)
    settings.DIGEST_MAIL_DOMAIN_RATES = {"slow.example": 10.0, "slower.example": 2.0}
    owe(160, "slow.example", "slow.example", "slower.example", "a.example")

    send_due(clock=clock, today=DAY)

    others = way.at("a.example")
    assert len(others) == 40
    assert max(others) - min(others) < 2 * SECOND
    assert fullest(way.at("slow.example")) <= 10 + EDGE
    assert fullest(way.at("slower.example")) <= 2 + EDGE


def test_s26_domains_are_the_same_in_any_spelling(clock, way, settings):
    settings.DIGEST_MAIL_DOMAIN_RATES = {"slow.example": 5.0}
    owe(30, "Slow.Example", "SLOW.example")

    send(clock)

    assert fullest(way.at()) <= 5 + EDGE


def test_s26_two_workers_keep_one_limit(clock, settings, monkeypatch):
    """In turn, a few letters each."""
    settings.DIGEST_MAIL_RATE = 40.0
    monkeypatch.setattr(ledger, "SIZE", 25)
    sent = []
    owe(200, "a.example")

    class Turns(Way):
        def run(self, jobs):
            for _ in range(12):
                if (job := jobs.next()) is None:
                    return
                if isinstance(job, Job):
                    jobs.begin(job)
                    sent.append(self.clock.now)
                    self.clock.pass_(0.001)
                    jobs.done(job, Verdict(Outcome.SENT))
                else:
                    self.clock.pass_(min(job, jobs.patience))
                jobs.tick()

    monkeypatch.setattr(mail, "transports", lambda: [Turns(clock)])
    while Delivery.objects.waiting().exists():
        send_due(clock=clock, today=DAY)

    assert len(sent) == 200
    assert fullest(sent) <= 40 * 1.05 + EDGE
    assert Pace.objects.filter(name="mail").count() == 1


@pytest.mark.parametrize(("rate", "domains"), [(50, {}), (0, {"a.example": 10}), (50, {"a.example": 10})])
def test_s26_a_stall_is_not_made_up_for_in_a_burst(clock, way, settings, rate, domains):
    settings.DIGEST_MAIL_RATE, settings.DIGEST_MAIL_DOMAIN_RATES = rate, domains
    owe(100, "a.example", "b.example")
    run = way.run

    class Stalling:
        """The worker stands still for two seconds, with most of a slice before it."""

        def __init__(self, jobs):
            self.jobs, self.has_stalled = jobs, False

        def next(self):
            if len(way.sent) == 3 and not self.has_stalled:
                self.has_stalled = True
                clock.pass_(2)
            return self.jobs.next()

        def __getattr__(self, name):
            return getattr(self.jobs, name)

    way.run = lambda jobs: run(Stalling(jobs))
    send(clock)

    if rate:
        assert fullest(way.at()) <= rate * (1 + LATE) + EDGE
    if domains:
        assert fullest(way.at("a.example")) <= 10 * (1 + LATE) + EDGE
