"""Several posts at once: each letter is settled once, by the thread that holds the ledger, whatever a post does."""

import gc
import threading
import time
import weakref
from collections import Counter, deque

import pytest

from subscriptions.crew import TIDY_EVERY, Crew
from subscriptions.jobs import Job
from subscriptions.mime import Letter
from subscriptions.verdicts import Outcome, Verdict


class Letters:
    """Jobs that insist on order and on being touched by one thread only."""

    patience = 0.02

    def __init__(self, count, *, every=lambda letters: None, pauses=()):
        self.waiting = deque(job(key) for key in range(count))
        self.every, self.pauses = every, deque(pauses)
        self.state = {one.key: "waiting" for one in self.waiting}
        self.verdicts, self.ticks, self.out, self.most_out = {}, 0, 0, 0
        self.thread = threading.get_ident()

    def next(self):
        self._is_here()
        if self.pauses:
            return self.pauses.popleft()
        if not self.waiting:
            return None
        given = self.waiting.popleft()
        self._move(given, "waiting", "given")
        return given

    def begin(self, given):
        self._move(given, "given", "begun")
        self.out += 1
        self.most_out = max(self.most_out, self.out)

    def done(self, given, verdict):
        self._move(given, "begun", "settled")
        self.out -= 1
        self.verdicts[given.key] = verdict

    def put_back(self, given):
        pytest.fail("a crew begins what it takes")

    def tick(self):
        self._is_here()
        self.ticks += 1
        self.every(self)

    def _move(self, given, before, after):
        self._is_here()
        assert self.state[given.key] == before, (given.key, self.state[given.key], after)
        self.state[given.key] = after

    def _is_here(self):
        assert threading.get_ident() == self.thread

    def count(self, state):
        return Counter(self.state.values())[state]


def job(key):
    letter = Letter.of(to=f"reader{key}@example.net", subject=str(key), text="x", headers={})
    return Job(key, letter, b"")


class Post:
    """Takes its time, and answers or raises as told for the letter's subject; one letter at a time."""

    def __init__(self, seconds=0.0, answers=None, start=None):
        self.seconds, self.answers, self.start = seconds, answers or {}, start
        self.sent, self.is_closed, self.is_busy = [], False, False

    def send(self, letter):
        assert not self.is_busy
        assert not self.is_closed
        self.is_busy = True
        if self.start:
            self.start.wait(5)
        time.sleep(self.seconds)
        self.sent.append(int(letter.subject))
        self.is_busy = False
        answer = self.answers.get(int(letter.subject), Verdict(Outcome.SENT))
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self):
        self.is_closed = True


def run(posts, letters):
    crew = Crew(posts)
    try:
        crew.run(letters)
    finally:
        crew.close()
    return letters


def sent(posts):
    return sorted(number for post in posts for number in post.sent)


@pytest.mark.parametrize("count", [0, 1, 3, 100])
@pytest.mark.parametrize("size", [1, 4])
def test_each_letter_is_sent_and_settled_once(count, size):
    posts = [Post() for _ in range(size)]

    letters = run(posts, Letters(count))

    assert sent(posts) == sorted(letters.verdicts) == list(range(count))
    assert all(post.is_closed for post in posts)


def test_all_posts_work_at_once_and_none_takes_a_second_letter():
    start = threading.Barrier(4)
    posts = [Post(start=start) for _ in range(4)]

    letters = run(posts, Letters(40))  # a barrier that fewer than four reach would break

    assert letters.most_out == 4
    assert sent(posts) == list(range(40))


def test_a_slow_post_holds_up_its_own_letter_only():
    posts = [Post(0.3), Post(), Post()]

    letters = run(posts, Letters(200))

    assert max(len(post.sent) for post in posts) > 50
    assert len(posts[0].sent) <= 2
    assert letters.count("settled") == 200


def test_verdicts_are_handed_on_as_they_are():
    answers = {1: Verdict(Outcome.FAILED, "550 no"), 3: Verdict(Outcome.UNCERTAIN, "lost")}

    letters = run([Post(answers=answers) for _ in range(2)], Letters(5))

    assert {key: letters.verdicts[key] for key in answers} == answers


def test_pauses_are_waited_for_and_the_ledger_is_ticked_meanwhile():
    began = time.monotonic()

    letters = run([Post()], Letters(3, pauses=[0.05, 0.05, 0.5]))

    assert 0.05 <= time.monotonic() - began < 0.5
    assert letters.ticks >= 4
    assert letters.count("settled") == 3


def test_the_ledger_is_ticked_while_everybody_works():
    letters = run([Post(0.3)], Letters(1))

    assert letters.ticks >= 5


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("when", [1, 2, 7])
def test_s3_whoever_stops_it_waits_for_the_answers_that_are_due_and_begins_nothing_more(error, when):
    def stop(letters):
        if letters.ticks == when:
            raise error

    posts, letters = [Post(0.02) for _ in range(3)], Letters(50, every=stop)
    with pytest.raises(error):
        run(posts, letters)

    assert sent(posts) == sorted(letters.verdicts)
    assert letters.count("begun") == letters.count("given") == 0
    assert letters.count("settled") <= 3 * when + 3


def test_a_post_that_breaks_leaves_its_letter_uncertain_and_the_others_settled():
    """What nobody thought of may have happened after the letter was handed over."""
    posts = [Post(0.01, {4: RuntimeError("a bug"), 5: RuntimeError("another")}) for _ in range(3)]
    letters = Letters(50)

    with pytest.raises(RuntimeError, match=r"a bug|another"):
        run(posts, letters)

    assert letters.count("begun") == letters.count("given") == 0
    assert sent(posts) == sorted(letters.verdicts)
    assert letters.verdicts[4].outcome is Outcome.UNCERTAIN
    assert "a bug" in letters.verdicts[4].reason


def test_it_runs_again():
    crew = Crew([Post(), Post()])
    first, second = Letters(10), Letters(10)

    crew.run(first)
    crew.run(second)
    crew.close()

    assert first.count("settled") == second.count("settled") == 10


def test_what_mail_libraries_leave_behind_is_not_kept_while_the_collector_is_off():
    left = weakref.WeakSet()

    class Untidy(Post):
        def send(self, letter):
            circle = Post()
            circle.itself = circle
            left.add(circle)
            return super().send(letter)

    gc.disable()
    try:
        run([Untidy()], Letters(3 * TIDY_EVERY))
        assert len(left) <= TIDY_EVERY
    finally:
        gc.enable()
