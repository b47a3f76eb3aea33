"""Strangers, scanners and forgers against sign-up, links, forms and reports. Each row says what it came to."""

import base64
import hashlib
import hmac
import io
import json
import logging
import re
import resource
import time
from datetime import timedelta
from random import Random
from statistics import fmean

import pytest
import time_machine
from django.conf import settings as django_settings
from django.core.management import call_command
from django.test import Client, override_settings

from digest import alarms, webhooks
from digest.config.logs import HideTokens
from digest.deliveries import report
from digest.deliveries.queue import queue
from digest.deliveries.send import send_due
from digest.models import Alarm, Delivery, DeliveryEvent
from digest.names import name_of
from subscriptions import consent, notices, outbox, proof, suppression, throttle, tokens
from subscriptions.consent import Visit
from subscriptions.models import Consent, Move, Notice, Subscriber, Subscription, Suppression
from subscriptions.standing import judge
from subscriptions.tokens import Scope
from tests import esp, make
from tests.digest.test_report import bounce_to, call, sent, told
from tests.faults.system import NIGHTLY, record
from tests.make import DAY, NOW
from tests.subscriptions.test_standing import HISTORIES, history

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:django-anymail has dropped official support for SendGrid"),
]
VISIT = Visit()
FOREIGN = {"HTTP_ORIGIN": "https://evil.example", "HTTP_SEC_FETCH_SITE": "cross-site"}
WAYS = ["/subscribe", "/subscribe/form", "/api/v1/subscribe"]
TABLES = (Subscriber, Subscription, Consent, Notice, Move, Suppression, Delivery)


class Moment:
    at = NOW


@pytest.fixture(autouse=True)
def moment(monkeypatch):
    from subscriptions import clock

    Moment.at = NOW
    monkeypatch.setattr(clock, "now", lambda: Moment.at)
    monkeypatch.setattr("subscriptions.tasks.soon", lambda: None)
    return Moment


@pytest.fixture
def client():
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def quiet():
    """Thousands of refused requests are not worth a line each."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def link(scope, key, at=NOW):
    path = {Scope.UNSUBSCRIBE: "u", Scope.MOVE_FROM: "move-from", Scope.MOVE_TO: "move-to"}
    return f"/{path.get(scope, str(scope))}/{tokens.issue(scope, key, now=at)}"


def state():
    return [list(model.objects.order_by("pk").values()) for model in TABLES]


def address(number):
    """One address of a network that no other number has."""
    return f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::1"


def ask(client, email, number=0, way="/subscribe", **more):
    data = {"email": email, **more}
    if way.startswith("/api"):
        return client.post(way, json.dumps(data), content_type="application/json", REMOTE_ADDR=address(number))
    return client.post(way, data, REMOTE_ADDR=address(number))


def solved(work):
    number = next(n for n in range(work["maxnumber"])
                  if hashlib.sha256(f"{work['salt']}{n}".encode()).hexdigest() == work["challenge"])  # fmt: skip
    return base64.b64encode(json.dumps({**work, "number": number}).encode()).decode()


def links_of(letter):
    found = re.findall(r"http://papers\.example\.org(/[^\s\"<>]*)", letter.body("plain") + letter.body("html"))
    header = re.findall(r"<http://papers\.example\.org(/[^>]+)>", str(letter.message["List-Unsubscribe"] or ""))
    return set(found + header)


# Links in letters -----------------------------------------------------------------------------------------------------


def test_w1_fetching_every_link_of_letters_changes_nothing(client):
    make.edition([make.paper("Robots")])
    reader = make.subscriber("reader@example.net", topics=["robot"])
    queue(now=NOW, today=DAY, by_hand=True)
    send_due(clock=lambda: NOW, today=DAY)
    ask(client, "new@example.net", topics="robot")
    notices.send_due(now=NOW)
    found = [path.replace("&amp;", "&") for letter in outbox.letters(most=9) for path in links_of(letter)]
    before, fetches = state(), 0

    for path in found:
        for _ in range(7):
            assert client.get(path, HTTP_SEC_PURPOSE="prefetch").status_code == 200, path
            assert client.head(path).status_code == 200
            fetches += 2

    assert state() == before
    assert {"/u", "/link", "/confirm"} <= {path[: path.index("/", 1)] for path in found if path.count("/") > 1}
    client.post(next(path for path in found if path.startswith("/confirm")))
    client.post(next(path for path in found if re.fullmatch("/u/[^/]+", path)))
    reader.refresh_from_db()
    assert reader.status == "unsubscribed"
    assert Subscriber.objects.get(email="new@example.net").status == "active"
    record("W1", letters=fetches)


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=b", "application/x-www-form-urlencoded"])
def test_w2_one_click_leaving(client, kind):
    body = {
        "multipart/form-data; boundary=b": '--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\n'
        "One-Click\r\n--b--\r\n",
        "application/x-www-form-urlencoded": "List-Unsubscribe=One-Click",
    }[kind]
    make.edition([make.paper("Robots")])
    reader = make.subscriber(topics=["robot"])
    queue(now=NOW, today=DAY, by_hand=True)
    path = link(Scope.UNSUBSCRIBE, reader.pk)

    began = time.monotonic()
    for _ in range(100):
        response = client.post(path, body.encode(), content_type=kind)
        assert (response.status_code, dict(response.cookies)) == (200, {})
    seconds = time.monotonic() - began

    assert not send_due(clock=lambda: NOW, today=DAY).counts.get("sent")
    assert Consent.objects.filter(event="unsubscribed").count() == 1
    assert Consent.objects.get().detail == "one click"
    record("W2", letters=100, note=f"the next send left the letter out at once; {seconds * 10:.0f} ms a post")


def _bent(token, random):
    at = random.randrange(len(token))
    return token[:at] + random.choice([sign for sign in "AZaz09" if sign != token[at]]) + token[at + 1 :]


def test_w3_wrong_links_to_leave(client, settings, quiet):
    tries = 10_000 if NIGHTLY else 1_000
    reader, random = make.subscriber(), Random(3)
    good, key = tokens.issue(Scope.UNSUBSCRIBE, reader.pk, now=NOW), settings.SECRET_KEY
    settings.SECRET_KEY = "some other key, which was never in use here, of fifty characters"
    foreign = tokens.issue(Scope.UNSUBSCRIBE, reader.pk, now=NOW)
    settings.SECRET_KEY = key
    kinds = {
        "bent": lambda: _bent(good, random),
        "scope": lambda: tokens.issue(random.choice([Scope.LINK, Scope.FEED, Scope.MANAGE]), reader.pk, now=NOW),
        "key": lambda: foreign,
        "unknown": lambda: "1.6a1e8d80." + "A" * 43,
    }
    answers, seconds = set(), {kind: [] for kind in kinds}

    for number in range(tries):
        kind = list(kinds)[number % len(kinds)]
        path = f"/u/{kinds[kind]()}"
        began = time.perf_counter()
        response = client.post(path, {"List-Unsubscribe": "One-Click"}, REMOTE_ADDR=address(number))
        seconds[kind].append(time.perf_counter() - began)
        answers.add((response.status_code, response.content, tuple(response.headers.items())[:2]))

    means = [fmean(some) * 1000 for some in seconds.values()]
    assert len({answer[:2] for answer in answers}) == 1
    assert max(means) - min(means) < 10
    assert Subscriber.objects.get().status == "active"
    record("W3", letters=tries, note=f"means within {max(means) - min(means):.1f} ms")


def test_w4_an_old_link_to_leave_works_again_and_an_old_confirmation_does_not(client, moment):
    ask(client, "reader@example.net")
    asked = Consent.objects.get()
    client.post(link(Scope.CONFIRM, asked.pk))
    reader = Subscriber.objects.get()
    leave = link(Scope.UNSUBSCRIBE, reader.pk)
    client.post(leave)
    assert client.post(link(Scope.CONFIRM, asked.pk)).status_code == 404
    moment.at = NOW + timedelta(hours=1)
    ask(client, "reader@example.net", 1)
    client.post(link(Scope.CONFIRM, Consent.objects.filter(event="requested").latest("pk").pk, at=moment.at))
    reader.refresh_from_db()
    assert reader.status == "active"

    client.post(leave)

    reader.refresh_from_db()
    assert reader.status == "unsubscribed"
    assert Consent.objects.filter(event="unsubscribed").count() == 2
    late = link(Scope.CONFIRM, Consent.objects.filter(event="requested").latest("pk").pk, at=moment.at)
    moment.at += timedelta(hours=73)
    assert client.post(late).status_code in {302, 404, 410}
    reader.refresh_from_db()
    assert reader.status == "unsubscribed"
    record("W4", letters=6)


def test_w5_the_links_of_a_forwarded_letter_open_nobodys_data(client, moment):
    reader = make.subscriber(topics=["robot"])
    before, tries = state(), 0
    for scope in (Scope.UNSUBSCRIBE, Scope.LINK, Scope.LETTER, Scope.CONFIRM):
        token = tokens.issue(scope, reader.pk, now=NOW)
        account, manage = f"/account/{token}", f"/manage/{token}"
        for path in (account, f"{account}/export", f"{account}/move", f"{account}/erase", manage, f"{manage}/topics"):
            for response in (client.get(path), client.post(path, {"sure": "yes", "email": "x@example.org"})):
                assert response.status_code == 404
                tries += 1
    fresh = tokens.issue(Scope.ACCOUNT, reader.pk, now=NOW)
    moment.at = NOW + timedelta(minutes=15, seconds=1)
    assert client.get(f"/account/{fresh}/export").status_code == 404

    assert state() == before
    record("W5", letters=tries + 1)


# Who is known ---------------------------------------------------------------------------------------------------------


def known():
    make.subscriber("active@example.net")
    make.subscriber("paused@example.net", status="paused", paused_until=DAY + timedelta(days=9))
    make.subscriber("left@example.net", status="unsubscribed")
    make.subscriber("pending@example.net", status="pending")
    for name in ("suppressed", "barred"):
        consent.suppress(make.subscriber(f"{name}@example.net").pk, "x", now=NOW, cause="bounced")
    return ["active", "paused", "left", "pending", "suppressed", "barred", "new", "nowhere"]


def test_w6_no_answer_tells_whether_an_address_is_known(client, settings):
    settings.DIGEST_REFUSED_DOMAINS = frozenset({"nowhere.example"})
    names, count = known(), 0
    for way in WAYS:
        answers = set()
        for number, name in enumerate(names):
            email = "a@nowhere.example" if name == "nowhere" else f"{name}@example.net"
            response = ask(client, email, number + 100 * WAYS.index(way), way, topics="robot", cadence="weekly")
            headers = {name: value for name, value in response.headers.items() if name != "Expires"}  # it is a clock
            answers.add((response.status_code, response.content, str(sorted(headers.items()))))
            count += 1
        assert len(answers) == 1, way
    reader = Subscriber.objects.get(email="active@example.net")
    answers = set()
    for name in names:
        response = client.post(link(Scope.ACCOUNT, reader.pk) + "/move", {"email": f"{name}@example.net"})
        answers.add((response.status_code, response.content))
        count += 1
    assert len(answers) == 1
    record("W6", letters=count)


@pytest.mark.skipif(not NIGHTLY, reason="nightly: 6,000 requests, timed")
def test_w6_no_time_tells_whether_an_address_is_known(client, quiet):
    rounds, names = 1_000, known()[:7]
    seconds = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            email = f"new{number}@example.net" if name == "new" else f"{name}@example.net"
            Notice.objects.all().delete()
            began = time.process_time()  # of this process alone: others may be busy
            ask(client, email, number * len(names) + names.index(name))
            seconds[name].append(time.process_time() - began)
    means = {name: fmean(some) * 1000 for name, some in seconds.items()}
    assert max(means.values()) - min(means.values()) < 10, means
    record("W6", letters=rounds * len(names), note=f"means within {max(means.values()) - min(means.values()):.1f} ms")


def test_w7_guessing_links_hits_nothing_and_is_slowed(client, quiet):
    guesses, random, hits = (1_000_000 if NIGHTLY else 20_000), Random(7), 0
    reader = make.subscriber()
    start = tokens.issue(Scope.UNSUBSCRIBE, reader.pk, now=NOW).rpartition(".")[0]
    for _ in range(guesses):
        guess = f"{start}.{base64.urlsafe_b64encode(random.randbytes(32)).decode().rstrip('=')}"
        try:
            tokens.read(guess, Scope.UNSUBSCRIBE, now=NOW)
            hits += 1
        except tokens.TokenError:
            pass
    answers = [client.post(f"/u/{start}.{number:043d}", REMOTE_ADDR=address(1)).status_code for number in range(150)]

    assert hits == 0
    assert answers == [404] * 100 + [429] * 50
    assert len(base64.urlsafe_b64decode(guess.rpartition(".")[2] + "=")) * 8 == 256
    # A network that guesses can leave all the same.
    assert client.post(link(Scope.UNSUBSCRIBE, reader.pk), REMOTE_ADDR=address(1)).status_code == 200
    record("W7", letters=guesses, lost=hits)


def test_w7_signatures_are_compared_in_constant_time(monkeypatch):
    compared = []
    same = hmac.compare_digest
    monkeypatch.setattr(
        "django.utils.crypto.secrets.compare_digest", lambda *both: compared.append(both) or same(*both)
    )

    tokens.read(tokens.issue(Scope.LINK, 7, now=NOW), Scope.LINK, now=NOW)

    assert compared


EVIL = ["evil.example", "//evil.example", r"\\evil.example", r"/\evil.example", "https:evil.example", "https://evil.example",
        "http://evil.example", "https://papers.example.org@evil.example", "https://papers.example.org.evil.example",
        "///evil.example", "////evil.example", "/%2f/evil.example", "/%5cevil.example", "//%65vil.example",
        "https:///evil.example", r"https:\\evil.example", "/\t/evil.example", "/\n/evil.example",
        "/x\r\nLocation: https://evil.example", "%0d%0aLocation:%20https://evil.example", "//evil。example",
        "//еvil.example", "javascript:alert(1)", "data:text/html,x", "//[::1]", "//127.1", "/..//evil.example",
        "//evil.example/%2e%2e", "https://evil.example#papers.example.org", "\u2028//evil.example"]  # fmt: skip


def test_w8_nothing_typed_says_where_to_go_next(client):
    reader, tries = make.subscriber(), 0
    pause = f"/manage/{tokens.issue(Scope.SESSION, reader.pk, now=NOW)}/pause"
    for number, evil in enumerate(EVIL):
        for name in ("next", "url"):
            more = {name: evil, "redirect": evil, "return_to": evil}
            locations = [
                ask(client, f"r{number}{name}@example.net", 9 * number + len(name), **more).url,
                client.post(pause, {"resume": 1, **more}).url,
            ]
            assert re.fullmatch(r"/subscribe/check-inbox", locations[0])
            assert re.fullmatch(r"/manage/[\w.-]+\?done=resumed", locations[1])
            tries += len(locations)
    assert tries >= 60
    record("W8", letters=tries)


def test_w9_other_sites_can_neither_post_nor_frame(client, admin_user):
    reader = make.subscriber(topics=["robot"])
    manage, account = f"/manage/{tokens.issue(Scope.SESSION, reader.pk, now=NOW)}", link(Scope.ACCOUNT, reader.pk)
    client.force_login(admin_user)
    before, tries = state(), 0
    desk = "/admin/subscriptions/subscriber"
    paths = [manage, f"{manage}/topics", f"{manage}/add", f"{manage}/pause", f"{manage}/import", f"{account}/move",
             f"{account}/erase", link(Scope.LINK, reader.pk), link(Scope.CONFIRM, 1), f"{desk}/add/",
             f"{desk}/{reader.pk}/change/", "/admin/digest/edition/"]  # fmt: skip
    for path in paths:
        for headers in (FOREIGN, {"HTTP_ORIGIN": "null"}, {"HTTP_ORIGIN": "http://testserver.evil.example"}):
            assert client.post(path, {"sure": "yes"}, **headers).status_code == 403, path
            tries += 1
    for path in ("/", manage, account, link(Scope.UNSUBSCRIBE, reader.pk), "/subscribe/embed", "/admin/"):
        assert client.get(path)["X-Frame-Options"] == "DENY"
        tries += 1
    assert state() == before
    assert django_settings.SESSION_COOKIE_SAMESITE == "Lax"
    record("W9", letters=tries)


# List bombing ---------------------------------------------------------------------------------------------------------


def variants(number):
    """Spellings of one mailbox."""
    local = "targetperson"
    at = number % (len(local) - 1) + 1
    dotted = local[:at] + "." * (number % 2) + local[at:]
    return f"{dotted}+{number}@{'gmail.com' if number % 3 else 'GoogleMail.com'}"


def test_w10_one_mailbox_gets_one_letter_in_a_quarter_of_an_hour_and_three_a_day(client, moment, quiet):
    answers = set()
    for number in range(1_000):
        moment.at = NOW + timedelta(milliseconds=600 * number)
        response = ask(client, variants(number), number, WAYS[0])
        answers.add((response.status_code, response.url))
        if number % 50 == 0:
            notices.send_due(now=moment.at)
    notices.send_due(now=moment.at)
    at_once = len(outbox.letters(most=2_000))
    for quarter in range(1, 96):
        moment.at = NOW + timedelta(minutes=15 * quarter + 1)
        ask(client, variants(quarter), 2_000 + quarter)
        notices.send_due(now=moment.at)

    assert (at_once, len(answers)) == (1, 1)
    assert len(outbox.letters(most=2_000)) == 3
    record("W10", letters=1_095, duplicated=0, note="1 letter in ten minutes, 3 in a day")


def _letters():
    return Notice.objects.filter(status="sent").count()


def test_w11_many_mailboxes_get_a_hundred_letters_at_most_and_someone_is_told(client, moment, quiet):
    targets = 10_000 if NIGHTLY else 500
    make.edition([make.paper("Robots")])
    reader = make.subscriber("reader@example.net", topics=["robot"])
    answer = client.get("/subscribe/challenge").json()
    payload, accepted = solved(proof.challenge(now=NOW)), 0
    for number in range(targets):
        moment.at = NOW + timedelta(seconds=2 + 598 * number / targets)
        ask(client, f"t{number}@example.org", number, form=answer["form"], proof=payload)
        accepted += Notice.objects.latest("pk").next_try_at == moment.at and number >= throttle.ASK_PROOF
        if number % (targets // 50) == 0:
            notices.send_due(now=moment.at)
    left, tripped, told_after = [_letters()], None, None
    for minute in range(11, 91):  # what waited for want of a proof comes due
        moment.at = NOW + timedelta(minutes=minute)
        notices.send_due(now=moment.at)
        left.append(_letters())
        if minute % 5 == 0:
            alarms.watch_sign_up(now=moment.at)
        if tripped is None and not throttle.last_hour(moment.at).is_open:
            tripped = moment.at
        if tripped and told_after is None and Alarm.objects.exists():
            told_after = moment.at - tripped

    letters = max(later - earlier for earlier, later in zip([0] * 50 + left, left + [left[-1]] * 50, strict=True))
    assert accepted == 0  # it was used up before it was asked for
    assert letters <= 100
    assert told_after is not None
    assert told_after <= timedelta(minutes=5)
    queue(now=moment.at, today=DAY, by_hand=True)
    assert send_due(clock=lambda: moment.at, today=DAY).counts == {"sent": 1}
    assert Delivery.objects.get().email == reader.email
    alarms.watch_sign_up(now=moment.at + timedelta(hours=2))
    assert not alarms.open_alarms()
    record("W11", letters=targets, duplicated=0, note=f"{letters} letters in an hour; told after {told_after}")


def test_w12_a_patient_bot_is_bounded_all_the_same(client, moment, quiet):
    for number in range(300):
        moment.at = NOW + timedelta(seconds=10 * number)
        answer = client.get("/subscribe/challenge").json()
        more = {"form": answer["form"], "proof": solved(answer["work"]) if answer["work"] and number % 10 == 0 else ""}
        moment.at += timedelta(seconds=3)
        ask(client, "one@example.org" if number % 2 else f"t{number}@example.org", number, website="", **more)
        notices.send_due(now=moment.at)

    letters = [letter.to for letter in outbox.letters(most=400)]
    assert len(letters) <= 100
    assert letters.count("one@example.org") <= 3
    record("W12", letters=300, note=f"{len(letters)} letters left")


def test_w13_every_way_has_the_same_limits(client, quiet):
    taken = [ask(client, f"r{number}@example.net", 0, WAYS[number % 3]).status_code for number in range(30)]
    assert set(taken) == {302, 202}
    assert Notice.objects.count() == throttle.PER_ADDRESS

    for number in range(30):
        ask(client, "one@example.org", 100 + number, WAYS[number % 3])
    assert Notice.objects.filter(mailbox="one@example.org").count() == 1

    for number in range(200):
        ask(client, f"s{number}@example.net", 1_000 + number, WAYS[number % 3])
    notices.send_due(now=NOW + throttle.UNPROVEN_WAIT)
    assert len(outbox.letters(most=500)) <= 100
    record("W13", letters=260)


SPAM = ["https://evil.example/win", "<a href='https://evil.example'>You won</a>", "Buy cheap pills today",
        "Click here: evil.example", "{{7*7}}", "\u202egnp.exe", "=HYPERLINK(1)"]  # fmt: skip


def test_w14_nothing_that_was_typed_stands_in_a_letter_to_a_stranger(client, quiet):
    echoed = 0
    for number, spam in enumerate(SPAM):
        ask(client, f"r{number}@example.net", number, WAYS[2], topics=[{"name": spam, "query": "pills"}], name=spam,
            cadence="weekly")  # fmt: skip
    notices.send_due(now=NOW)
    letters = outbox.letters(most=20)
    for letter in letters:
        whole = letter.body("plain") + letter.body("html") + str(letter.headers)
        echoed += any(word in whole for word in ("evil", "pills", "You won", "{{", "\u202e", "HYPERLINK", "weekly"))
    assert (len(letters), echoed) == (len(SPAM), 0)
    record("W14", letters=len(letters))


# Reports --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", esp.ESPS, ids=repr)
@time_machine.travel(NOW, tick=False)
def test_w15_reports_that_are_not_to_be_believed(client, service, quiet):
    row, other = sent(2)
    hook = told(service, "complained", row)
    refused = [call(client, service, forged) for forged in (hook.without_secret(), hook.with_wrong_secret())]
    assert set(refused) <= {400, 401, 403}
    assert not DeliveryEvent.objects.exists()
    assert [call(client, service, hook) for _ in range(3)] == [200] * 3
    report.apply(now=NOW)
    assert DeliveryEvent.objects.count() == 1
    assert Subscriber.objects.filter(status="suppressed").count() == 1

    stranger = service.event("complained", reference="m-2", recipient=other.email,
                             metadata={"delivery": "1-" + "0" * 20}, at=NOW)  # fmt: skip
    tenant = service.event("complained", reference="m-3", recipient="tenant@example.org",
                           metadata={"delivery": name_of(other.pk)}, at=NOW)  # fmt: skip
    old = service.event("complained", reference="m-1", recipient=row.email, metadata={"delivery": name_of(row.pk)},
                        at=NOW - timedelta(days=30))  # fmt: skip
    for wrong in (stranger, tenant, old):
        assert call(client, service, wrong) in {200, 400}
    report.apply(now=NOW)
    assert Subscriber.objects.get(email=other.email).status == "active"
    record("W15", letters=8)


@time_machine.travel(NOW, tick=False)
def test_w15_a_huge_report_is_refused_before_it_is_read(client, quiet):
    service = esp.POSTMARK
    (row,) = sent()
    hook = told(service, "complained", row)
    anymail = {"WEBHOOK_SECRET": esp.HOOK_SECRET, **service.keys(), **service.hook_settings()}
    with override_settings(ROOT_URLCONF="tests.digest.test_report", ANYMAIL=anymail):
        body = hook.body[:-1] + b" " * 10_000_000 + hook.body[-1:]
        response = client.post(hook.path, body, hook.content_type, headers=hook.headers)

    assert response.status_code in {400, 413}
    assert not DeliveryEvent.objects.exists()
    record("W15", letters=1)


def test_w16_a_hard_bounce_for_everybody_suppresses_nobody():
    rows = sent(200)
    for number, row in enumerate(rows):
        report.hear(service="s", kind="hard", name=name_of(row.pk), event_id=f"e{number}", at=NOW, email=row.email)
    report.apply(now=NOW)

    assert not Subscriber.objects.filter(status="suppressed").exists()
    assert DeliveryEvent.objects.filter(verdict="quarantined").count() == 200
    record("W16", letters=200)


def test_w17_forged_bounces_and_replies_suppress_nobody(settings):
    settings.DIGEST_BOUNCE_DOMAIN = "papers.example.org"
    (row,) = sent()
    honest, mails = bounce_to(row), []
    mails += [bounce_to(row, name=f"{row.pk:x}-{number:020x}") for number in range(200)]
    replies = ["Auto-Submitted: auto-replied", "X-Autoreply: yes", "Precedence: auto_reply"]
    address = f"bounces+{name_of(row.pk)}@papers.example.org"
    mails += [
        f"From: r@example.net\r\nTo: {address}\r\nSubject: Out of office\r\n{header}\r\n\r\nI am away.\r\n".encode()
        for header in replies
    ]
    mails += [b"From: x\r\n" + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" * 20_000, b"\0" * 2_000_000]
    for mail in mails:
        webhooks.read_mail(mail[:1_000_000], service="mail")
    report.apply(now=NOW)
    assert Subscriber.objects.get().status == "active"

    webhooks.read_mail(honest, service="mail")
    report.apply(now=NOW)
    assert Subscriber.objects.get().status == "suppressed"
    record("W17", letters=len(mails))


def test_w18_the_policy_on_bounces_is_kept_in_every_history():
    otherwise = [script for script, expected in HISTORIES if judge(history(script)).state is not expected]
    assert len(HISTORIES) >= 40
    assert not otherwise
    record("W18", letters=len(HISTORIES))


# The rest -------------------------------------------------------------------------------------------------------------


def test_w21_there_is_nothing_to_be_had_by_naming_it(client, quiet):
    make.subscriber("victim@example.net", topics=["secret"])
    victim = Subscriber.objects.get()
    asked = {"list": "private", "list_id": "1", "status": "active", "subscriber": victim.pk, "id": victim.pk,
             "is_staff": "on", "consent": "1", "confirmed_at": NOW.isoformat(), "edition": "1"}  # fmt: skip
    for number, way in enumerate(WAYS):
        ask(client, f"r{number}@example.net", number, way, **asked)
    ask(client, "victim@example.net", 9, topics="spam", cadence="monthly", status="unsubscribed")

    assert set(Subscriber.objects.exclude(pk=victim.pk).values_list("status", flat=True)) == {"pending"}
    victim.refresh_from_db()
    assert (victim.status, victim.cadence) == ("active", "daily")
    assert [row.query for row in victim.subscriptions.all()] == ["secret"]
    record("W21", letters=len(WAYS) + 1)


def _list(lines, gone):
    """A list as bytes, line by line: most are right, the others broken in every way, or of readers who are gone."""
    yield b"\xef\xbb\xbfaddress,topics,hour\n"
    broken = [b'x@example.org,"robot,7', b"no address,,", b"x@example.org,,99", b"x@example.org,robot OR,7",
              b"Jos\xe9 <x@example.org>,,", b"x@example.org," + b"a" * 50_000, b"\0\0,\0", b"a,b,c,d,e"]  # fmt: skip
    for number in range(lines):
        if number % 10 == 0:
            yield broken[number // 10 % len(broken)] + b"\r\n"
        elif number % 10 == 1:
            yield f"{gone[number // 10 % len(gone)]},robot,7\n".encode()
        else:
            yield f'r{number}@example.org,"robot {number % 50}, soup",{number % 24}\n'.encode()


def _take_in(file, told):
    """Import a list; the most memory that this process has ever had, in MB."""
    with told.open("w") as out:
        call_command("readers", "--import", str(file), "--consent", "elsewhere", stdout=out)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_w22_a_broken_list_brings_nobody_back_and_takes_no_memory(tmp_path):
    lines = 1_000_000 if NIGHTLY else 10_000
    gone = [f"gone{number}@example.org" for number in range(300)]
    for address in gone[::3]:
        suppression.add(address, "bounced", detail="", now=NOW)
    for number, address in enumerate(gone[1::3] + gone[2::3]):
        make.subscriber(address, status="unsubscribed" if number % 2 else "suppressed")
    whole, tenth, told = tmp_path / "whole.csv", tmp_path / "tenth.csv", tmp_path / "told"
    for file, count in ((whole, lines), (tenth, lines // 10)):
        with file.open("wb") as out:
            out.writelines(_list(count, gone))

    little = _take_in(tenth, told)
    peak = _take_in(whole, told)

    statuses = Subscriber.objects.filter(email__in=gone).values_list("status", flat=True)
    assert set(statuses) == {"unsubscribed", "suppressed"}
    assert not Subscriber.objects.filter(email__in=gone[::3]).exists()
    assert Subscriber.objects.filter(status="active").count() == lines // 10 * 8
    *said, summary = told.read_text().splitlines()
    counted = [int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", summary)]
    total, added, known, left, suppressed, refused = counted
    assert (total, added, known, refused) == (lines, lines // 100 * 72, lines // 100 * 8, lines // 10)
    assert left + suppressed == lines // 10
    assert len(said) == lines - lines // 100 * 72
    assert peak < little + 30
    record("W22", letters=lines, note=f"{peak:.0f} MB, and {little:.0f} MB for a tenth")


@pytest.mark.parametrize("behind", [False, True], ids=["open", "behind a proxy"])
def test_w23_only_the_proxys_own_word_counts(client, settings, behind, quiet):
    settings.DIGEST_BEHIND_PROXY = behind
    for number in range(30):
        forged = f"203.0.113.{number}, 198.51.100.{number}" + (", 192.0.2.1" if behind else "")
        client.post("/subscribe", {"email": f"r{number}@example.net"}, REMOTE_ADDR="192.0.2.9",
                    HTTP_X_FORWARDED_FOR=forged, HTTP_FORWARDED=f"for=10.0.0.{number}",
                    HTTP_X_REAL_IP=f"10.0.0.{number}")  # fmt: skip

    assert Notice.objects.count() == throttle.PER_ADDRESS
    assert set(Consent.objects.values_list("ip", flat=True)) == {"192.0.2.1" if behind else "192.0.2.9"}
    record("W23", letters=30)


def test_w25_no_secret_stands_in_logs_admin_or_error_pages(client, admin_client, settings, moment):
    settings.EMAIL_HOST_PASSWORD, settings.DEBUG = "hunter2-of-smtp", False
    text, places = io.StringIO(), 0
    handler = logging.StreamHandler(text)
    handler.addFilter(HideTokens())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    issued = []
    try:
        ask(client, "secret.reader@example.net", topics="robot")
        notices.send_due(now=NOW)
        asked = Consent.objects.get()
        reader = Subscriber.objects.get()
        for scope, key in [(Scope.CONFIRM, asked.pk), (Scope.MANAGE, reader.pk), (Scope.LINK, reader.pk),
                           (Scope.ACCOUNT, reader.pk), (Scope.MOVE_FROM, 1), (Scope.MOVE_TO, 1),
                           (Scope.UNSUBSCRIBE, reader.pk)]:  # fmt: skip
            path = link(scope, key)
            issued.append(path.rpartition("/")[2])
            for one in (path, f"{path}/nothing", f"{path}?x=1", f"{path}%00"):
                client.get(one)
                client.post(one, {"email": "no"})
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    pages = [text.getvalue()]
    pages += [client.get(path).content.decode() for path in ("/nothing", "/u/x", "/papers/date/x", "/health/ready")]
    for path in (
        "subscriptions/subscriber",
        "subscriptions/consent",
        "subscriptions/notice",
        "digest/alarm",
        "digest/run",
    ):
        pages.append(admin_client.get(f"/admin/{path}/").content.decode())
    pages.append(admin_client.get(f"/admin/subscriptions/subscriber/{reader.pk}/change/").content.decode())
    for page in pages:
        places += 1
        for secret in (settings.SECRET_KEY, settings.EMAIL_HOST_PASSWORD, *issued):
            assert secret not in page
    assert "secret.reader@example.net" not in pages[0]
    record("W25", letters=places)
