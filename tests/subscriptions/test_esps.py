"""What mail services answer and report, and what is made of it; each is played by a double on a real socket."""

import socket
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from email.header import decode_header, make_header

import pytest
import time_machine
from anymail.exceptions import AnymailAPIError
from anymail.signals import tracking
from django.core.mail import EmailMultiAlternatives, get_connection
from django.test import Client, override_settings
from django.urls import include, path

from subscriptions.mail import Letter, Outcome, Post
from tests import esp as services
from tests.conftest import NOW
from tests.esp import BREVO, DOMAIN, ESPS, MAILGUN, POSTMARK, RESEND, SENDGRID, SES, Fault, double

urlpatterns = [path("anymail/", include("anymail.urls"))]
pytestmark = pytest.mark.filterwarnings("ignore:django-anymail has dropped official support for SendGrid")

#: What Anymail asks for besides: SES always, the others to check signatures.
NEEDED = {SES: ("boto3", "amazon-ses"), RESEND: ("svix", "resend"), SENDGRID: ("cryptography", "sendgrid")}
HEADERS = {
    "Message-ID": f"<d.9f1c2ab47e55d0c3b8a1@{DOMAIN}>",
    "List-Id": f"Paperboy daily digest <daily.{DOMAIN}>",
    "List-Unsubscribe": f"<https://{DOMAIN}/u/{'T0ken-_' * 20}>, <mailto:unsubscribe+9f1c@{DOMAIN}>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    "List-Archive": f"<https://{DOMAIN}/editions/2026-06-02>",
    "Feedback-ID": "20260602:daily:paperboy:ppboy01",
    "Auto-Submitted": "auto-generated",
    "Precedence": "bulk",
    "X-Delivery-ID": "9f1c2ab47e55d0c3b8a1",
}
TEXT, HTML = "Seven papers – Gödel among them.\n", "<p>Seven papers – Gödel among them.</p>\n"


def needs(esp, *, to_sign=False):
    """Skips a case where Anymail lacks what it needs for it."""
    package, extra = NEEDED.get(esp, ("", ""))
    if not package or services.installed(package) or not (to_sign or esp is SES):
        return ()
    return (pytest.mark.skip(reason=f"Anymail needs {package} for this: django-anymail[{extra}]"),)


def each(esps=ESPS, *, to_sign=False):
    """A test for each service."""
    cases = [(esp, needs(esp, to_sign=to_sign)) for esp in esps]
    return pytest.mark.parametrize("esp", [pytest.param(esp, id=esp.name, marks=marks) for esp, marks in cases])


def letter(to="reader@example.net", html=HTML, **headers):
    return Letter.of(to=to, subject="Seven papers", text=TEXT, html=html, headers={**HEADERS, **headers})


@contextmanager
def playing(esp, **options):
    """The double of a service, and the settings for it."""
    with double(esp) as service, override_settings(**service.settings(**options)):
        yield service


# Verdicts -----------------------------------------------------------------------------------------------------------

#: By what the service does: what we make of it, and whether the service has the letter.
ANSWERS = {
    None: (Outcome.SENT, True),
    Fault.BAD_MESSAGE: (Outcome.FAILED, False),
    Fault.BAD_RECIPIENT: (Outcome.FAILED, False),
    Fault.UNAUTHORIZED: (Outcome.TROUBLE, False),
    Fault.FORBIDDEN: (Outcome.TROUBLE, False),
    Fault.SUSPENDED: (Outcome.TROUBLE, False),
    Fault.BUSY: (Outcome.DEFERRED, False),
    Fault.THROTTLED: (Outcome.DEFERRED, False),
    Fault.BROKEN: (Outcome.DEFERRED, False),
    Fault.BAD_GATEWAY: (Outcome.DEFERRED, False),
    Fault.UNAVAILABLE: (Outcome.DEFERRED, False),
    Fault.GATEWAY_TIMEOUT: (Outcome.UNCERTAIN, True),
    Fault.GARBLED: (Outcome.UNCERTAIN, True),
    Fault.SILENT: (Outcome.UNCERTAIN, True),
    Fault.LOST: (Outcome.UNCERTAIN, True),
    Fault.DROPPED: (Outcome.UNCERTAIN, False),
    Fault.UNREAD: (Outcome.UNCERTAIN, False),
}
#: A 202 of SendGrid has no body: there is nothing in it to read wrong.
OTHERWISE = {(SENDGRID, Fault.GARBLED): (Outcome.SENT, True)}


@pytest.mark.parametrize(
    ("esp", "fault"),
    [
        pytest.param(
            esp,
            fault,
            id=f"{esp.name}-{fault or 'accepts'}",
            marks=needs(esp),
        )
        for esp in ESPS
        for fault in ANSWERS
    ],
)
def test_each_answer_of_a_service_becomes_the_verdict_that_is_safe(esp, fault):
    wanted, has_it = OTHERWISE.get((esp, fault), ANSWERS[fault])
    with playing(esp, read_timeout=1 if fault is Fault.SILENT else 10) as service, Post() as post:
        service.fault = fault
        verdict = post.send(letter())

        assert service.requests == (fault is not Fault.UNREAD), "A letter is handed over once"
        assert len(service.accepted) == has_it
    assert verdict.outcome is wanted, verdict
    assert verdict.reason or wanted is Outcome.SENT
    if wanted is Outcome.SENT:
        assert verdict.reference == service.accepted[0].reference


@each()
def test_a_wrong_key_is_trouble(esp):
    wrong = {"AMAZON_SES_SESSION_PARAMS": {**SES.keys()["AMAZON_SES_SESSION_PARAMS"], "aws_secret_access_key": "other"}}
    with double(esp) as service:
        settings = service.settings()
        settings["ANYMAIL"] |= wrong if esp is SES else dict.fromkeys(esp.keys(), "other")
        with override_settings(**settings), Post() as post:
            verdict = post.send(letter())

    assert service.accepted == []
    assert verdict.outcome is Outcome.TROUBLE, verdict


@pytest.mark.parametrize("esp", ESPS, ids=repr)
def test_a_service_that_is_not_set_up_is_trouble(monkeypatch, tmp_path, esp):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with override_settings(EMAIL_BACKEND=esp.backend, ANYMAIL={}), Post() as post:
        assert post.send(letter()).outcome is Outcome.TROUBLE


# A service that asks us to wait -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.UNAVAILABLE])
@each()
def test_a_service_that_asks_us_to_wait_is_heard(esp, fault):
    with playing(esp) as service, Post() as post:
        service.fault = fault
        assert post.send(letter()).retry_after == 120


@pytest.mark.parametrize(
    ("esp", "seconds"),
    [
        pytest.param(RESEND, 1, id="resend"),
        pytest.param(BREVO, 17, id="brevo"),
        pytest.param(SENDGRID, 60, id="sendgrid"),
    ],
)
@time_machine.travel(NOW, tick=False)
def test_a_service_that_asks_us_to_wait_in_its_own_way_is_heard(esp, seconds):
    with playing(esp) as service, Post() as post:
        service.fault = Fault.THROTTLED
        assert post.send(letter()).retry_after == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("soon", None),
        pytest.param("Tue, 02 Jun 2026 08:02:00 GMT", 120),
        pytest.param("\u00b2", None),
    ],
)
@time_machine.travel(NOW, tick=False)
def test_a_wait_is_read_however_it_is_written(value, seconds):
    with playing(MAILGUN) as service, Post() as post:
        service.fault, service.retry_after = Fault.BUSY, value
        verdict = post.send(letter())

    assert verdict.outcome is Outcome.DEFERRED
    assert verdict.retry_after == seconds


# A service that is not there ----------------------------------------------------------------------------------------


@contextmanager
def nobody_listens(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@contextmanager
def nobody_picks_up(monkeypatch):
    """The queue of connections is full, and Linux leaves those who knock without an answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as stack:
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def nobody_knows_the_name(monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    yield "http://mail.invalid"


@contextmanager
def no_tls_there(monkeypatch):
    with double(MAILGUN) as service:
        yield service.url.replace("http", "https").removesuffix(MAILGUN.base)


@pytest.mark.parametrize("there_is", [nobody_listens, nobody_picks_up, nobody_knows_the_name, no_tls_there])
@each()
def test_a_service_that_cannot_be_reached_is_trouble(monkeypatch, esp, there_is):
    with there_is(monkeypatch) as url:
        settings = esp.settings(url + esp.base, connect_timeout=0.2, read_timeout=1)
        with override_settings(**settings), Post() as post:
            verdict = post.send(letter())

    assert verdict.outcome is Outcome.TROUBLE, verdict


@each()
def test_a_service_that_comes_back_takes_the_next_letter(esp):
    with playing(esp) as service, Post() as post:
        assert post.send(letter()).outcome is Outcome.SENT
        service.stop()
        assert post.send(letter()).outcome is Outcome.TROUBLE
        service.start()
        assert post.send(letter()).outcome is Outcome.SENT


# What a service gets ------------------------------------------------------------------------------------------------


@each()
def test_a_letter_reaches_a_service_whole(esp):
    with playing(esp) as service, Post() as post:
        post.send(letter())

    (got,) = service.accepted
    assert (got.to, got.sender, got.subject) == ("reader@example.net", f"digest@{DOMAIN}", "Seven papers")
    assert (got.text, got.html) == (TEXT, HTML)
    theirs = {name.lower(): value for name, value in got.headers.items()}
    assert {name: theirs.get(name.lower()) for name in HEADERS} == HEADERS
    assert len(theirs) == len(got.headers)


@each()
def test_a_letter_in_plain_text_leaves_like_any_other(esp):
    with playing(esp) as service, Post() as post:
        verdict = post.send(letter(html=""))

    assert verdict.outcome is Outcome.SENT, verdict
    # Brevo takes no letter without HTML (Anymail's guide, "HTML body required").
    assert (service.accepted[0].text, service.accepted[0].html) == (TEXT, f"<pre>{TEXT}</pre>" if esp is BREVO else "")


@each()
def test_a_name_beyond_ascii_is_no_reason_to_keep_a_letter_back(esp):
    with playing(esp) as service, Post() as post:
        verdict = post.send(letter(**{"List-Id": f"Señor Müller <daily.{DOMAIN}>"}))

    assert verdict.outcome is Outcome.SENT, verdict
    got = str(make_header(decode_header(service.accepted[0].headers["List-Id"])))
    assert got == f"Señor Müller <daily.{DOMAIN}>"


@each()
def test_each_letter_goes_to_its_one_reader(esp):
    readers = ["ann@example.net", "bob@example.net", "ann@example.net"]
    with playing(esp) as service, Post() as post:
        assert {post.send(letter(reader)).outcome for reader in readers} == {Outcome.SENT}

    assert [got.to for got in service.accepted] == readers


@pytest.mark.parametrize("mark", [", ", ";", "\nBcc: ", "> <"])
@each()
def test_what_names_two_readers_reaches_nobody(esp, mark):
    with playing(esp) as service, Post() as post:
        assert post.send(letter(f"ann@example.net{mark}bob@example.net")).outcome is Outcome.FAILED
        assert service.requests == 0


@each()
def test_capitals_in_an_address_change_nothing(esp):
    with playing(esp) as service, Post() as post:
        verdict = post.send(letter("Reader@Example.NET"))

    assert [got.to for got in service.accepted] == ["Reader@Example.NET"]
    assert verdict.outcome is Outcome.SENT, verdict


@each()
def test_an_address_beyond_ascii_is_recognised_in_the_answer(esp):
    with playing(esp) as service, Post() as post:
        verdict = post.send(letter("leser@bücher.example"))

    assert [got.to for got in service.accepted] == ["leser@xn--bcher-kva.example"]
    assert verdict.outcome is Outcome.SENT, verdict


@pytest.mark.parametrize("wrong", ["two readers", "a copy", "no Message-ID"])
@each()
def test_a_double_refuses_what_we_never_mean_to_send(esp, wrong):
    if (esp, wrong) == (SES, "no Message-ID"):
        pytest.skip("To SES go whole messages, and Django gives each a Message-ID")
    message = EmailMultiAlternatives(
        "Seven papers",
        TEXT,
        to=["ann@example.net", "bob@example.net"] if wrong == "two readers" else ["ann@example.net"],
        cc=["bob@example.net"] if wrong == "a copy" else [],
        headers={} if wrong == "no Message-ID" else HEADERS,
    )
    message.attach_alternative(HTML, "text/html")
    with playing(esp) as service, get_connection() as connection, pytest.raises(AnymailAPIError):
        connection.send_messages([message])

    assert (service.requests, service.accepted) == (1, [])


# What a service reports ---------------------------------------------------------------------------------------------

#: By service: what Anymail makes of each of its events. Where a soft bounce is "bounced" like a hard one, only
#: `esp_event` tells them apart; what is "unknown" would have to be read from there too.
REPORTS = {
    SES: {"delivered": "delivered", "bounced": "bounced", "bounced softly": "bounced", "deferred": "unknown",
          "complained": "complained", "unsubscribed": "unknown"},
    MAILGUN: {"delivered": "delivered", "bounced": "bounced", "deferred": "deferred", "complained": "complained",
              "unsubscribed": "unsubscribed"},
    POSTMARK: {"delivered": "delivered", "bounced": "bounced", "bounced softly": "bounced", "deferred": "deferred",
               "complained": "complained", "unsubscribed": "unsubscribed"},
    SENDGRID: {"delivered": "delivered", "bounced": "bounced", "bounced softly": "bounced", "deferred": "deferred",
               "complained": "complained", "unsubscribed": "unsubscribed"},
    BREVO: {"delivered": "delivered", "bounced": "bounced", "bounced softly": "bounced", "deferred": "deferred",
            "complained": "complained", "unsubscribed": "unknown"},
    RESEND: {"delivered": "delivered", "bounced": "bounced", "bounced softly": "bounced", "deferred": "deferred",
             "complained": "complained"},
}  # fmt: skip
#: By service: the events that have no id by which a second copy of the report could be told.
WITHOUT_ID = {BREVO: set(BREVO.kinds), POSTMARK: {"delivered", "unsubscribed"}}
ABOUT = {"reference": "the-services-own-id", "recipient": "reader@example.net", "metadata": {"delivery": "9f1c"}}


@pytest.fixture
def reports(settings, monkeypatch):
    """The events that come in, and nobody else who would act on them."""
    settings.ROOT_URLCONF = __name__
    monkeypatch.setattr(tracking, "receivers", [])
    events = []

    def keep(sender, event, esp_name, **kwargs):
        events.append(event)

    tracking.connect(keep)
    with time_machine.travel(NOW, tick=False):
        yield events


def call(esp, hook, *, signed=True):
    """The status of our answer. Signatures are asked for as well as the secret, where Anymail can check them."""
    anymail = {"WEBHOOK_SECRET": services.HOOK_SECRET, **esp.keys(), **(esp.hook_settings() if signed else {})}
    with override_settings(ANYMAIL=anymail):
        return Client().post(hook.path, hook.body, hook.content_type, headers=hook.headers).status_code


@pytest.mark.parametrize(
    ("esp", "kind"),
    [
        pytest.param(esp, kind, id=f"{esp.name}-{kind}", marks=needs(esp))
        for esp, kinds in REPORTS.items()
        for kind in kinds
    ],
)
def test_a_report_says_what_became_of_which_letter(reports, esp, kind):
    hook = esp.event(kind, at=NOW, event_id="20260602", **ABOUT)

    assert call(esp, hook) == 200

    (event,) = reports
    assert event.event_type == REPORTS[esp][kind]
    assert event.recipient == ABOUT["recipient"]
    assert event.metadata["delivery"] == ABOUT["metadata"]["delivery"]
    assert event.message_id.strip("<>") == ABOUT["reference"]
    assert event.event_id == hook.event_id == (None if kind in WITHOUT_ID.get(esp, ()) else "20260602")
    assert event.timestamp == NOW


def test_every_kind_of_event_that_a_service_has_is_in_the_table():
    assert {esp: set(kinds) for esp, kinds in REPORTS.items()} == {esp: set(esp.kinds) for esp in ESPS}


@each()
def test_what_is_attached_to_a_letter_comes_back_with_what_became_of_it(reports, esp):
    message = EmailMultiAlternatives("Seven papers", TEXT, to=["reader@example.net"], headers=HEADERS)
    message.attach_alternative(HTML, "text/html")
    message.metadata = {"delivery": "9f1c"}
    with playing(esp) as service, get_connection() as connection:
        connection.send_messages([message])
    (got,) = service.accepted

    call(esp, esp.event("delivered", reference=got.reference, recipient=got.to, metadata=got.metadata, at=NOW))

    (event,) = reports
    assert event.metadata["delivery"] == "9f1c"
    assert event.message_id == message.anymail_status.recipients["reader@example.net"].message_id


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "not signed"])
@pytest.mark.parametrize("forged", ["without_secret", "with_wrong_secret"])
@each()
def test_who_does_not_know_the_secret_is_turned_away(reports, esp, forged, signed):
    hook = getattr(esp.event("complained", at=NOW, **ABOUT), forged)()

    # Amazon calls again with the secret only after a 401.
    assert call(esp, hook, signed=signed) == (401 if esp is SES and forged == "without_secret" else 400)
    assert reports == []


@each([MAILGUN, RESEND, SENDGRID], to_sign=True)
def test_who_knows_the_secret_but_cannot_sign_is_turned_away(reports, esp):
    hook = esp.event("complained", at=NOW, **ABOUT)

    assert call(esp, esp.with_wrong_signature(hook)) == 400
    assert reports == []
    assert call(esp, hook) == 200


@each([RESEND], to_sign=True)
def test_an_old_report_is_turned_away(reports, esp):
    assert call(esp, esp.event("complained", at=NOW - timedelta(hours=1), **ABOUT)) == 400
    assert reports == []


@each([MAILGUN, SENDGRID], to_sign=True)
def test_anymail_takes_an_old_report_any_number_of_times_so_that_only_its_id_tells(reports, esp):
    hook = esp.event("complained", at=NOW - timedelta(days=365), **ABOUT)

    assert [call(esp, hook), call(esp, hook)] == [200, 200]
    assert [event.event_id for event in reports] == [hook.event_id, hook.event_id]


@each([SES])
def test_anymail_does_not_look_at_amazons_signature_so_that_only_the_secret_protects(reports, esp):
    assert call(esp, esp.with_wrong_signature(esp.event("complained", at=NOW, **ABOUT))) == 200
    assert len(reports) == 1
