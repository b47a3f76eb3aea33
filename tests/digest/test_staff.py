"""Who gets to the desk, how, and what is written of it."""

import time
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django_otp.oath import totp
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from digest.models import Act, Try
from digest.staff import factors, gate, roles, sessions
from subscriptions import clock
from tests.clocks import Clock
from tests.faults.system import NIGHTLY, record
from tests.make import NOW

LOGIN, HOME = "/admin/login/", "/admin/"
#: Guesses in an hour.
TRIES = 10_000 if NIGHTLY else 250
PASSWORD = "a long and quiet password"


@pytest.fixture(autouse=True)
def quick_hashes(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def moment(monkeypatch):
    moment = Clock(NOW)
    monkeypatch.setattr(clock, "now", moment.now)
    return moment


@pytest.fixture
def strict(settings, db):
    settings.DIGEST_STAFF_TWO_FACTOR = True
    roles.prepare()


def account(name="ada", role="curator", **more):
    roles.prepare()
    user = User.objects.create_user(name, password=PASSWORD, is_staff=True, **more)
    user.groups.set(Group.objects.filter(name=role))
    return user


def post_password(client, name="ada", password=PASSWORD, **more):
    return client.post(LOGIN, {"username": name, "password": password}, **more)


def code_now(key, steps=0):
    return f"{totp(bytes.fromhex(key), t0=-30 * steps):06}"


@pytest.fixture
def device(strict):
    """Ada, with an authenticator."""
    return factors.set_up(account(), "ab" * 20, code_now("ab" * 20))


# The second factor --------------------------------------------------------------------------------------------------


def test_somebody_new_can_only_set_up_an_authenticator(strict, client):
    account()

    assert post_password(client).status_code == 302
    for path in (HOME, "/admin/digest/edition/", "/admin/password_change/", "/admin/jsi18n/"):
        assert client.get(path).status_code == 302, path
    answer = client.get(HOME, follow=True)
    assert answer.redirect_chain[-1][0] == "/admin/authenticator/"
    assert "<svg" in answer.content.decode()
    assert "http" not in answer.content.decode().partition("<svg")[2].partition("</svg>")[0].replace(
        "http://www.w3.org/2000/svg", ""
    )


def test_the_first_code_sets_it_up_and_shows_recovery_codes_once(strict, client):
    user = account()
    post_password(client)
    offer = client.get("/admin/authenticator/").context["form"].initial["offer"]
    key = factors.secret_of(offer, user)
    before = client.session.session_key

    wrong = client.post("/admin/authenticator/", {"offer": offer, "code": "000000"})
    assert not TOTPDevice.objects.exists(), wrong
    page = client.post("/admin/authenticator/", {"offer": offer, "code": code_now(key)})

    codes = page.context["codes"]
    assert len(codes) == 10 and all(one in page.content.decode() for one in codes)
    assert client.session.session_key != before
    assert client.get(HOME).status_code == 200
    assert not set(codes) & set(StaticToken.objects.values_list("token", flat=True)), "kept as hashes"
    assert all(codes[0] not in client.get(path).content.decode() for path in (HOME, "/admin/authenticator/"))


def test_an_offer_is_for_its_own_account_and_an_hour(strict, client):
    ada, eve = account(), account("eve")
    offer = factors.offer(ada)

    assert factors.secret_of(offer, eve) is None
    assert factors.secret_of(offer + "x", ada) is None
    import time_machine

    with time_machine.travel(time.time() + 3700):
        assert factors.secret_of(offer, ada) is None


def test_a_code_opens_the_desk_once(device, client):
    post_password(client)
    assert client.get(HOME, follow=True).redirect_chain[-1][0] == "/admin/code/"
    code = code_now("ab" * 20, 1)

    assert client.post("/admin/code/", {"code": code}).status_code == 302
    assert client.get(HOME).status_code == 200

    other = Client()
    post_password(other)
    assert "was used before" in other.post("/admin/code/", {"code": code}).content.decode()
    assert other.get(HOME).status_code == 302


def test_the_code_that_set_it_up_opens_nothing(device, client):
    post_password(client)

    assert "not right" in client.post("/admin/code/", {"code": code_now("ab" * 20)}).content.decode()


def test_a_recovery_code_opens_the_desk_once(device, client):
    _, codes = device
    post_password(client)

    assert client.post("/admin/code/", {"code": codes[3].upper().replace("-", " ")}).status_code == 302
    assert client.get(HOME).status_code == 200
    other = Client()
    post_password(other)
    assert other.post("/admin/code/", {"code": codes[3]}).status_code == 200
    assert Act.objects.filter(action="two-factor", detail="recovery code used, 9 left").exists()


def test_nobody_puts_another_authenticator_in_place_of_one_they_do_not_have(device, client):
    post_password(client)
    user = User.objects.get(username="ada")
    offer = factors.offer(user)
    key = factors.secret_of(offer, user)

    assert client.post("/admin/authenticator/", {"offer": offer, "code": code_now(key)}).status_code == 302
    assert TOTPDevice.objects.get().key == "ab" * 20
    assert client.get(HOME).status_code == 302


def test_a_trial_on_ones_own_machine_asks_for_a_password_alone(client, settings, db):
    settings.DIGEST_STAFF_TWO_FACTOR = False
    account()

    post_password(client)

    assert client.get(HOME).status_code == 200


def test_who_has_an_authenticator_is_asked_for_it_even_in_a_trial(device, client, settings):
    settings.DIGEST_STAFF_TWO_FACTOR = False
    post_password(client)

    assert client.get(HOME).status_code == 302


def test_the_code_page_goes_on_to_where_one_wanted_and_nowhere_else(device, client):
    post_password(client)
    for hostile in ("//evil.example", "https://evil.example/admin/", "/\\evil.example", "javascript:alert(1)"):
        page = client.get("/admin/code/", {"next": hostile})
        assert page.context["next"] == HOME, hostile
    assert client.get("/admin/code/", {"next": "/admin/digest/paper/"}).context["next"] == "/admin/digest/paper/"


# Tries --------------------------------------------------------------------------------------------------------------


def test_one_account_gets_ten_tries_in_fifteen_minutes_from_a_thousand_addresses(db, moment, monkeypatch):
    account()
    checked = []
    monkeypatch.setattr(User, "check_password", lambda self, raw: checked.append(moment.now()) and False)
    client = Client()
    for number in range(TRIES):
        address = f"10.1.{number % 1000 // 250}.{number % 250}"
        post_password(client, password=f"guess {number}", REMOTE_ADDR=address)
        moment.sleep(3600 / TRIES)

    assert 10 <= len(checked) <= 40
    for at in checked:
        assert sum(at <= other < at + timedelta(minutes=15) for other in checked) <= 10
    record("W19", letters=TRIES)


def test_one_address_gets_ten_tries_whatever_the_accounts(db, moment):
    client = Client()
    answers = []
    for number in range(60):
        answers.append(post_password(client, name=f"name{number}").status_code)
        moment.sleep(10)

    assert answers.count(200) <= 10
    assert set(answers) == {200, 429}


def test_an_ipv6_network_is_one_address(db, moment):
    client = Client()
    for number in range(40):
        post_password(client, name=f"name{number}", REMOTE_ADDR=f"2001:db8:1:2::{number:x}")
        moment.sleep(10)

    assert Try.objects.count() <= 10


def test_a_forwarded_address_counts_behind_a_proxy_alone(db, moment, settings):
    for behind, networks in ((False, {"127.0.0.1"}), (True, {"198.51.100.7"})):
        settings.DIGEST_BEHIND_PROXY = behind
        Try.objects.all().delete()
        post_password(Client(), name="x", headers={"X-Forwarded-For": "1.2.3.4, 198.51.100.7"})
        assert set(Try.objects.values_list("network", flat=True)) == networks


def test_each_try_waits_longer_than_the_one_before(db, moment):
    client = Client()
    waits = []
    while len(waits) < 7:
        post_password(client, password="no", name="ada")
        left = 0
        while post_password(client, password="no", name="ada").status_code == 429:
            left += 1
            moment.sleep(1)
        waits.append(left)

    assert waits == sorted(waits)
    assert waits[-1] >= 60


def test_a_locked_account_refuses_even_the_right_password_and_recovers_by_time(db, moment):
    account()
    _lock("ada", moment)

    refused = post_password(Client(), REMOTE_ADDR="10.9.9.9")
    assert refused.status_code == 429
    assert "Too many tries" in refused.content.decode()
    moment.sleep(15 * 60)
    assert post_password(Client()).status_code == 302


def test_a_refusal_does_not_tell_whether_there_is_such_an_account(db, moment):
    account()

    def words(name, network):
        _lock(name, moment, network=network)
        page = post_password(Client(), name=name, REMOTE_ADDR=f"10.77.0.{network}").content.decode()
        return page.partition("errornote")[2].partition("</p>")[0]

    assert words("ada", 11) == words("nobody", 12) != ""


def test_wrong_and_unknown_and_switched_off_and_no_staff_are_one_answer(db, moment):
    account()
    account("off", is_active=False)
    User.objects.create_user("reader", password=PASSWORD)
    said = set()
    for number, name in enumerate(("ada", "nobody", "off", "reader")):
        password = "wrong" if name == "ada" else PASSWORD
        page = post_password(Client(), name=name, password=password, REMOTE_ADDR=f"10.0.0.{number}")
        assert page.status_code == 200
        said.add(page.content.decode().partition("errornote")[2][:250])
    assert len(said) == 1


def test_codes_are_guessed_no_more_often_than_passwords(device, moment, monkeypatch):
    checked = []
    monkeypatch.setattr(factors, "check", lambda user, code: checked.append(moment.now()))
    client = Client()
    for number in range(TRIES):
        address = f"10.2.{number % 1000 // 250}.{number % 250}"
        # Signing in anew with the right password must not begin the count anew.
        if client.get("/admin/code/").status_code != 200:
            post_password(client, REMOTE_ADDR=address)
        client.post("/admin/code/", {"code": f"{number:06}"}, REMOTE_ADDR=address)
        if number % 5 == 0:
            client = Client()
        moment.sleep(3600 / TRIES)

    assert checked
    for at in checked:
        assert sum(at <= other < at + timedelta(minutes=15) for other in checked) <= 10
    assert Act.objects.filter(action="locked out", who="ada").exists()
    record("W19", letters=TRIES)


def test_who_signs_in_has_their_own_slips_forgotten_and_not_those_of_others(db, moment):
    account()
    client = Client()
    post_password(client, password="slip")
    post_password(client, name="eve", password="guess")
    post_password(client)

    assert Try.objects.count() == 1


def test_a_lock_is_told_in_the_log_and_the_acts(db, moment, caplog):
    _lock("ada", moment)

    assert sum("Sign-in is locked" in record.message for record in caplog.records) == 1
    assert Act.objects.filter(action="locked out").count() == 1


def _lock(name, moment, network=10):
    for number in range(10):
        post_password(Client(), name=name, password="no", REMOTE_ADDR=f"10.{network}.0.{number}")
        moment.sleep(0.001 if number < 2 else 2 ** (number - 1))
    assert Try.objects.filter(account=gate._hashed(name)).count() == 10


# Sessions -----------------------------------------------------------------------------------------------------------


def test_a_session_key_known_before_the_sign_in_is_worth_nothing_after(db):
    account()
    victim = Client()
    victim.cookies["sessionid"] = "fixed0123456789fixed0123456789ff"
    post_password(victim)

    thief = Client()
    thief.cookies["sessionid"] = "fixed0123456789fixed0123456789ff"
    assert victim.get(HOME).status_code == 200
    assert victim.cookies["sessionid"].value != "fixed0123456789fixed0123456789ff"
    assert thief.get(HOME).status_code == 302


def test_a_new_password_ends_other_sessions_at_once_and_keeps_ones_own(db):
    account()
    here, there = Client(), Client()
    post_password(here)
    post_password(there)
    form = {"old_password": PASSWORD, "new_password1": "quite another one", "new_password2": "quite another one"}

    assert here.post("/admin/password_change/", form).status_code == 302

    assert here.get(HOME).status_code == 200
    assert there.get(HOME).status_code == 302
    assert Act.objects.filter(action="password", who="ada").exists()


def test_an_idle_session_ends_after_twelve_hours_and_a_busy_one_after_three_days(db, moment):
    account()
    client = Client()
    post_password(client)
    for _ in range(7):
        moment.sleep(11 * 3600 if _ < 6 else 3600)
        assert client.get(HOME).status_code == 200, _
    moment.sleep(6 * 3600)
    assert client.get(HOME).status_code == 302
    assert Session.objects.count() == 0 or not client.session.get("_auth_user_id")


def test_the_cookie_is_for_the_desk_alone(db, settings):
    account()
    client = Client()
    post_password(client)
    cookie = client.cookies["sessionid"]

    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == ("/admin/", True, "Lax")
    assert int(cookie["max-age"]) == 12 * 3600


def test_signing_out_everywhere_ends_every_session_of_that_account_alone(db):
    ada = account()
    account("eve")
    clients = [Client(), Client(), Client()]
    for client, name in zip(clients, ("ada", "ada", "eve"), strict=True):
        post_password(client, name=name)

    assert sessions.sign_out(ada, now=clock.now()) == 2
    assert [client.get(HOME).status_code for client in clients] == [302, 302, 200]


def test_signing_out_works_before_the_second_step(device, client):
    post_password(client)

    assert client.post("/admin/logout/").status_code == 200
    assert client.get("/admin/code/").url == reverse("admin:login")


# The command --------------------------------------------------------------------------------------------------------


def test_the_command_makes_an_account_with_a_role(db, capsys):
    call_command("staff", "ada", role="support")

    user = User.objects.get()
    password = capsys.readouterr().out.rpartition("Password: ")[2].strip()
    assert user.check_password(password) and not user.is_superuser
    assert [group.name for group in user.groups.all()] == ["support"]
    call_command("staff", "ada", role="curator")
    assert [group.name for group in user.groups.all()] == ["curator"]
    assert Act.objects.filter(who="command").count() == 2


def test_the_command_helps_who_lost_a_device(device, client, capsys):
    post_password(client)
    client.post("/admin/code/", {"code": device[1][0]})

    call_command("staff", "ada", reset_two_factor=True)

    assert client.get(HOME).status_code == 302
    assert not TOTPDevice.objects.exists() and not StaticToken.objects.exists()
    call_command("staff")
    assert "ada: curator, password only" in capsys.readouterr().out


def test_the_command_unlocks_and_changes_passwords_and_says_what_is_missing(db, moment, capsys):
    account()
    _lock("ada", moment)
    call_command("staff", "ada", unlock=True)
    capsys.readouterr()
    call_command("staff", "ada", new_password=True)
    password = capsys.readouterr().out.rpartition("Password: ")[2].strip()

    assert post_password(Client(), password=password, REMOTE_ADDR="10.3.3.3").status_code == 302
    with pytest.raises(CommandError, match="no account eve"):
        call_command("staff", "eve", unlock=True)
    with pytest.raises(CommandError, match="Say what to do"):
        call_command("staff", "ada")
