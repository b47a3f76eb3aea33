"""Signs of a form that was shown and of work that was done."""

import base64
import hashlib
import json
from datetime import timedelta

import pytest

from subscriptions import proof
from subscriptions.models import Spent
from tests.make import NOW

pytestmark = pytest.mark.django_db


def solved(work, **changes):
    """What a browser sends for a challenge."""
    number = next(n for n in range(proof.MOST_WORK) if _hash(work["salt"], n) == work["challenge"])
    values = {"algorithm": "SHA-256", "number": number, **{name: work[name] for name in _SENT}, **changes}
    return base64.b64encode(json.dumps(values).encode()).decode()


_SENT = ("challenge", "salt", "signature")


def _hash(salt, number):
    return hashlib.sha256(f"{salt}{number}".encode()).hexdigest()


def test_a_proof_counts_once():
    payload = solved(proof.challenge(now=NOW))

    assert [proof.accept(payload, now=NOW) for _ in range(3)] == [True, False, False]


def test_a_proof_ends_after_ten_minutes():
    payload = solved(proof.challenge(now=NOW))

    assert not proof.accept(payload, now=NOW + timedelta(minutes=10, seconds=1))
    assert proof.accept(payload, now=NOW + timedelta(minutes=9))


def test_digits_cannot_pass_from_the_time_to_the_number():
    """CVE-2025-68113: a solved challenge whose end is moved by cutting the text elsewhere."""
    work = proof.challenge(now=NOW)
    number = json.loads(base64.b64decode(solved(work)))["number"]
    whole = work["salt"] + str(number)
    for at in range(len(work["salt"]) - 4, len(whole)):
        if at == len(work["salt"]):
            continue
        payload = solved(work, salt=whole[:at], number=whole[at:])
        assert not proof.accept(payload, now=NOW), whole[at:]


@pytest.mark.parametrize(
    "changes",
    [
        {"number": -1},
        {"number": True},
        {"number": None},
        {"number": 1.5},
        {"number": "1e3"},
        {"salt": "a?expires=99999999999&"},
        {"salt": None},
        {"signature": "0" * 64},
        {"signature": "\ud800"},
        {"challenge": []},
        {"challenge": "0" * 64},
    ],
)
def test_a_changed_proof_is_none(changes):
    assert not proof.accept(solved(proof.challenge(now=NOW), **changes), now=NOW)


@pytest.mark.parametrize("payload", ["", "x", "e30=", "W10=", "MQ==", "A" * 5_000, "bnVsbA==", "é", "[" * 900])
def test_nonsense_is_no_proof(payload):
    assert not proof.accept(payload, now=NOW)


def test_an_older_key_still_counts(settings):
    payload = solved(proof.challenge(now=NOW))
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key, fifty characters or more, as the first one was"

    assert proof.accept(payload, now=NOW)


@pytest.mark.parametrize(("seconds", "counts"), [(0, False), (1, False), (2, True), (3600, True), (3601, False)])
def test_a_form_counts_when_it_was_shown_some_seconds_ago_and_not_an_hour(seconds, counts):
    token = proof.form(now=NOW)

    assert proof.accept_form(token, now=NOW + timedelta(seconds=seconds)) is counts
    assert not proof.accept_form(token, now=NOW + timedelta(seconds=seconds))


def test_what_was_used_is_forgotten_when_it_would_not_count_any_more():
    assert proof.accept(solved(proof.challenge(now=NOW)), now=NOW)
    proof.forget(now=NOW + timedelta(minutes=9))
    assert Spent.objects.exists()
    proof.forget(now=NOW + timedelta(minutes=11))
    assert not Spent.objects.exists()
