"""Pages that are kept: fresh, for everybody, and nobody else's."""

import gzip
import io
import threading
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.core.handlers.wsgi import WSGIHandler
from django.db import OperationalError, connections
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext
from django.urls import path

from digest import editions, keeping, stamps
from digest.config import asking, pages
from digest.config.pages import Pages
from digest.models import Edition
from subscriptions import clock
from tests import make
from tests.make import DAY, NOW

HOST = "papers.example.org"
DAY_PAGE = f"/papers/date/{DAY}"


class Site:
    """A site that keeps its pages, asked as a server would, at a time that the test says."""

    def __init__(self, application=None, megabytes=8):
        self.pages = Pages(application or WSGIHandler(), megabytes=megabytes)

    def get(self, path, method="GET", **headers):
        path, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80", "wsgi.url_scheme": "http", "HTTP_HOST": HOST, "wsgi.input": io.BytesIO(),
            **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
        }  # fmt: skip
        started = []
        body = pages.read(self.pages(environ, lambda *given: started.append(given)))
        return Got(started[-1][0], started[-1][1], body)


class Got:
    def __init__(self, status, headers, body):
        self.status, self.body = int(status[:3]), body
        self.headers = {name.lower(): value for name, value in headers}
        assert len(self.headers) == len(headers), "a header stands there twice"

    def __getitem__(self, name):
        return self.headers.get(name)


class Application:
    """Stands for Django: says what it was told to say, and counts how often it was asked."""

    def __init__(self, body=b"page", *, status="200 OK", keep=600, **headers):
        self.body, self.status, self.keep, self.asked = body, status, keep, 0
        self.headers = {"Cache_Control": "public, no-cache", "Content_Type": "text/html", **headers}

    def __call__(self, environ, start_response):
        self.asked += 1
        if self.keep is not None:
            environ[keeping.KEY] = self.keep
        start_response(self.status, [(name.replace("_", "-"), value) for name, value in self.headers.items()])
        return [self.body]


@pytest.fixture(autouse=True)
def the_day(settings):
    settings.DIGEST_TODAY = DAY


@pytest.fixture(autouse=True)
def transaction_of_the_test(monkeypatch):
    """As Django's own test client does: a request that begins or ends must not take the test's transaction with it."""
    monkeypatch.setattr(connections["default"], "close_if_unusable_or_obsolete", lambda: None)


@pytest.fixture
def moment(monkeypatch):
    """The seconds that pages are measured with."""

    class Moment:
        seconds = 1000.0

        def monotonic(self):
            return self.seconds

    moment = Moment()
    monkeypatch.setattr(pages, "time", moment)
    return moment


@pytest.fixture
def news(monkeypatch):
    """What the database would say has changed."""
    told = {"label": stamps.Stamps()}
    monkeypatch.setattr(stamps, "read", lambda: told["label"])
    return told


# Of the site --------------------------------------------------------------------------------------------------------


def queries(act):
    with CaptureQueriesContext(connections["default"]) as seen:
        act()
    return len(seen)


def test_a_kept_page_costs_no_query(db):
    make.edition([make.paper("Robots") for _ in range(9)])
    site = Site()
    first = site.get(DAY_PAGE)

    assert queries(lambda: site.get(DAY_PAGE)) == 0
    again = site.get(DAY_PAGE)
    assert (again.status, again.body, again["etag"]) == (200, first.body, first["etag"])
    assert b"Robots" in again.body


def test_what_an_editor_does_is_seen_two_seconds_later(db, moment):
    edition = make.edition([make.paper("Robots"), make.paper("Spam")])
    site = Site()
    assert b"Spam" in site.get(DAY_PAGE).body

    edition.placements.filter(paper__title="Spam").update(is_hidden=True)
    stamps.bump("editions")
    moment.seconds += pages.CHECK

    assert b"Spam" not in site.get(DAY_PAGE).body


def test_the_label_of_a_source_that_an_editor_changes_is_seen(db, moment, admin_client):
    make.edition([make.paper("Robots")])
    source = make.source("huggingface")
    site = Site()
    site.get(DAY_PAGE)

    form = {"name": source.name, "label": "A new label", "kind": source.kind, "url": "", "category": "",
            "fetches-TOTAL_FORMS": 0, "fetches-INITIAL_FORMS": 0}  # fmt: skip
    assert admin_client.post(f"/admin/digest/source/{source.pk}/change/", form).status_code == 302
    moment.seconds += pages.CHECK

    assert b"A new label" in site.get(DAY_PAGE).body


def test_an_edition_that_is_taken_away_is_gone(db, moment):
    make.edition([make.paper("Robots")])
    site = Site()
    site.get(DAY_PAGE)

    Edition.objects.all().delete()
    stamps.bump("editions")
    moment.seconds += pages.CHECK

    assert site.get(DAY_PAGE).status == 404
    assert len(site.pages.usual) == 0


def test_a_new_day_is_a_new_front_page(db, moment, settings):
    make.edition([make.paper("Today's")])
    make.edition([make.paper("Tomorrow's")], day=DAY + timedelta(days=1))
    site = Site()
    tomorrow = f"/papers/date/{DAY + timedelta(days=1)}"
    assert site.get(tomorrow).status == 404
    assert tomorrow.encode() not in site.get(DAY_PAGE).body

    settings.DIGEST_TODAY = DAY + timedelta(days=1)
    moment.seconds += pages.CHECK

    assert tomorrow.encode() in site.get(DAY_PAGE).body


def test_publishing_ends_what_is_kept(db, moment):
    make.edition([make.paper("Robots")], published=False)
    make.edition([make.paper("Old")], day=DAY - timedelta(days=1))
    site = Site()
    before = f"/papers/date/{DAY - timedelta(days=1)}"
    assert DAY_PAGE.encode() not in site.get(before).body

    editions.publish(DAY, by="editor", now=NOW)
    moment.seconds += pages.CHECK

    assert DAY_PAGE.encode() in site.get(before).body


def test_a_host_that_is_not_ours_gets_and_leaves_nothing(db):
    make.edition([make.paper("Robots")])
    site = Site()

    assert site.get(DAY_PAGE, host="evil.example.net").status == 400
    kept = site.get(DAY_PAGE)
    assert kept.status == 200
    assert site.get(DAY_PAGE, host="evil.example.net").status == 400
    assert b"evil.example.net" not in kept.body


@pytest.mark.parametrize("path", ["/", "/subscribe/check-inbox", "/health/ready", "/nothing", "/admin/login/"])
def test_what_nobody_marked_or_what_sets_a_cookie_is_not_kept(db, path):
    site = Site()
    got = site.get(path)

    assert len(site.pages.usual) == (0 if got["set-cookie"] or "public" not in (got["cache-control"] or "") else 1)
    if got["set-cookie"]:
        assert "public" not in (got["cache-control"] or "")


@pytest.mark.urls("tests.digest.test_kept_pages")
def test_nothing_that_somebody_sends_comes_back_to_somebody_else(db):
    """Every header a view could reflect, sent by one, is not in what another gets."""
    site = Site()
    names = ["x_forwarded_host", "x_forwarded_for", "x_forwarded_proto", "x_forwarded_port", "forwarded", "x_real_ip",
             "x_original_url", "x_http_method_override", "referer", "origin", "user_agent", "authorization",
             "cookie"]  # fmt: skip
    for name in names:
        site.get("/echo?a", **{name: f"{name}=evil"})
        site.get("/where", **{name: f"{name}=evil"})
    assert site.get("/echo?a").body == b""
    assert site.get("/where").body == b"http://papers.example.org/wherehttp"


@keeping.kept()
def echo(request):
    return HttpResponse(request.headers.get("Cookie", "") + request.headers.get("Authorization", ""))


@keeping.kept()
def where(request):
    return HttpResponse(request.build_absolute_uri() + request.scheme)


urlpatterns = [path("echo", echo), path("where", where)]


@pytest.mark.urls("tests.digest.test_kept_pages")
@pytest.mark.parametrize("behind", [True, False])
def test_addresses_in_a_page_are_those_of_the_one_who_asks(db, settings, behind):
    settings.DIGEST_BEHIND_PROXY = behind
    if behind:
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    site = Site()

    plain = site.get("/where", x_forwarded_host="evil.example.net").body
    secure = site.get("/where", x_forwarded_proto="https").body
    local = site.get("/where", host="127.0.0.1").body

    assert plain == b"http://papers.example.org/wherehttp"
    assert secure == (b"https://papers.example.org/wherehttps" if behind else plain)
    assert local == b"http://127.0.0.1/wherehttp"


def test_a_kept_answer_of_the_api_costs_nobody_a_turn(db, settings, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW.replace(minute=13, second=20))
    settings.DIGEST_API_RATE = (3, 3600)
    cache.clear()
    make.edition([make.paper("Robots")])
    site = Site()

    first = site.get("/api/daily_papers", accept_encoding="gzip")
    others = [site.get("/api/daily_papers", accept_encoding="gzip") for _ in range(9)]

    assert (first.status, first["content-encoding"], first["ratelimit"]) == (200, "gzip", '"api";r=2;t=2800')
    assert {(got.status, got.body, got["ratelimit"]) for got in others} == {(200, first.body, None)}
    assert queries(lambda: site.get("/api/daily_papers")) == 0


# Of what is kept ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "application",
    [
        Application(keep=None),
        Application(status="404 Not Found"),
        Application(status="302 Found"),
        Application(status="500 Internal Server Error"),
        Application(status="206 Partial Content"),
        Application(Set_Cookie="a=b"),
        Application(Cache_Control="private"),
        Application(Cache_Control="public, no-store"),
        Application(Cache_Control="max-age=0"),
        Application(Vary="Cookie"),
        Application(Vary="Accept-Encoding, HX-Request"),
        Application(Vary="*"),
        Application(Content_Encoding="br"),
    ],
    ids=lambda application: f"{application.status} {application.keep} {application.headers}",
)
def test_what_may_not_be_kept_is_asked_for_each_time(news, application):
    site = Site(application)

    for _ in range(2):
        assert site.get("/").body == b"page"

    assert application.asked == 2


@pytest.mark.parametrize(
    "headers",
    [{"cookie": "csrftoken=x"}, {"cookie": "a=b; django_language=en"}, {"authorization": "Bearer x"}],
)
def test_somebody_known_reads_what_is_kept_but_leaves_nothing(news, headers):
    application = Application()
    site = Site(application)

    site.get("/", **headers)
    site.get("/", **headers)
    assert application.asked == 2
    site.get("/")
    site.get("/", **headers)
    assert application.asked == 3


@pytest.mark.parametrize(
    ("method", "headers"),
    [("GET", {"cookie": "a=b; sessionid=x"}), ("POST", {}), ("PUT", {}), ("DELETE", {}), ("OPTIONS", {})],
)
def test_sessions_and_acts_go_past_what_is_kept(news, method, headers):
    application = Application()
    site = Site(application)
    site.get("/")

    got = site.get("/", method, **headers)

    assert application.asked == 2
    assert got["etag"] is None


def test_an_answer_that_turned_out_personal_says_so(news):
    got = Site(Application(Set_Cookie="a=b")).get("/")

    assert got["cache-control"] == "private, no-cache"


def test_only_the_language_that_is_negotiated_parts_pages(news):
    application = Application(Vary="Accept-Language")
    site = Site(application)

    for accepted in ["en", "en-GB,en;q=0.9", "de", "", "*", "xx" * 4000]:
        site.get("/", accept_language=accepted)
    assert application.asked == 1
    for accepted in ["fr", "fr-FR,fr;q=0.9,en;q=0.1"]:
        site.get("/", accept_language=accepted)
    site.get("/", accept_language="en", cookie="django_language=fr")
    assert application.asked == 2
    assert site.get("/")["vary"] == "Accept-Language, Accept-Encoding"


def test_a_page_is_asked_for_again_when_its_time_is_over(news, moment):
    application = Application(keep=60)
    site = Site(application)
    site.get("/")

    moment.seconds += 59
    site.get("/")
    assert application.asked == 1
    moment.seconds += 2
    site.get("/")
    assert application.asked == 2


def test_while_one_makes_a_page_anew_others_get_the_old_one(news, moment):
    site = Site(Application(b"old"))
    site.get("/")
    news["label"] = stamps.Stamps(papers=1)
    moment.seconds += pages.CHECK
    asked, go_on = threading.Event(), threading.Event()
    slow = Application(b"new")

    def application(environ, start_response):
        asked.set()
        assert go_on.wait(10)
        return slow(environ, start_response)

    site.pages.application = application
    made = []
    maker = threading.Thread(target=lambda: made.append(site.get("/").body))
    maker.start()
    assert asked.wait(10)
    others = [site.get("/").body for _ in range(3)]
    go_on.set()
    maker.join(10)

    assert others == [b"old"] * 3
    assert made == [b"new"]
    assert site.get("/").body == b"new"
    assert slow.asked == 1


def test_what_changes_while_a_page_is_made_makes_it_old(news, moment):
    site = Site()
    inner = Application(b"half old")

    def application(environ, start_response):
        news["label"] = stamps.Stamps(papers=1)
        return inner(environ, start_response)

    site.pages.application = application
    site.get("/")
    moment.seconds += pages.CHECK
    site.get("/")

    assert inner.asked == 2


def test_pages_outlive_a_database_that_is_away(news, moment, monkeypatch):
    application = Application(keep=60)
    site = Site(application)
    site.get("/")

    def away():
        raise OperationalError("gone")

    monkeypatch.setattr(stamps, "read", away)
    application.status, application.keep = "500 Internal Server Error", None
    for seconds in (3, 30, 3000):
        moment.seconds += seconds
        assert site.get("/").status == 200


def test_a_page_that_changed_is_not_given_out_when_it_cannot_be_made_anew(news, moment):
    application = Application()
    site = Site(application)
    site.get("/")

    news["label"] = stamps.Stamps(editions=1)
    moment.seconds += pages.CHECK
    application.status = "500 Internal Server Error"

    assert site.get("/").status == 500


def test_the_database_is_asked_once_in_two_seconds(news, moment, monkeypatch):
    asked = []
    monkeypatch.setattr(stamps, "read", lambda: asked.append(1) or stamps.Stamps())
    site = Site(Application())

    for _ in range(50):
        site.get("/")
        moment.seconds += 0.1

    assert len(asked) == 3


# Memory -------------------------------------------------------------------------------------------------------------


def test_memory_is_bounded_and_made_up_addresses_drive_out_only_each_other(news):
    application = Application(bytes(range(256)) * 40, Content_Type="image/webp")
    site = Site(application, megabytes=1)
    site.get("/")

    for number in range(300):
        site.get(f"/?q={number}")
        site.get("/", host=f"{HOST}:{number}")

    assert site.pages.made_up.size <= site.pages.made_up.limit == 2**18
    assert len(site.pages.made_up) == 2**18 // (10240 + 4096)
    before = application.asked
    site.get("/")
    site.get("/?q=299")
    assert application.asked == before


def test_the_page_that_was_read_last_stays_longest(news):
    application = Application(b"x" * 20_000, Content_Type="image/webp")
    site = Site(application, megabytes=1)

    for number in range(100):
        site.get("/?often")
        site.get(f"/?{number}")

    assert application.asked == 101


@pytest.mark.parametrize(("megabytes", "size"), [(0, 1), (1, 100_000)])
def test_what_does_not_fit_is_answered_all_the_same(news, megabytes, size):
    application = Application(b"x" * size)
    site = Site(application, megabytes=megabytes)

    for _ in range(2):
        got = site.get("/")
        assert (got.status, len(got.body)) == (200, size)
        assert got["etag"]

    assert application.asked == 2 - (megabytes == 1 and size < 98_304)


def test_an_address_of_any_length_is_answered(news):
    application = Application()
    site = Site(application)

    for _ in range(2):
        assert site.get("/?" + "x" * 5000).status == 200

    assert application.asked == 2


# Conditions and forms -----------------------------------------------------------------------------------------------


TEXT = b"<p>words words words</p>" * 100


def test_text_is_compressed_for_who_takes_it(news):
    site = Site(Application(TEXT))

    for packed in (site.get("/", accept_encoding="gzip, deflate, br"), site.get("/", accept_encoding="*")):
        assert gzip.decompress(packed.body) == TEXT
        assert (packed["content-encoding"], packed["content-length"]) == ("gzip", str(len(packed.body)))
    for plain in (site.get("/"), site.get("/", accept_encoding="br"), site.get("/", accept_encoding="gzip;q=0, *")):
        assert plain.body == TEXT
        assert (plain["content-encoding"], plain["content-length"]) == (None, str(len(TEXT)))
    assert {got["vary"] for got in (packed, plain)} == {"Accept-Encoding"}
    assert packed["etag"] == plain["etag"]


@pytest.mark.parametrize(
    ("header", "takes"),
    [("gzip", True), ("GZIP;q=0.1", True), ("deflate, gzip;q=1.0, *;q=0.5", True), ("gzip; q=0", False),
     ("gzip;q=0.000", False), ("*;q=0", False), ("identity", False), ("", False), ("gzip;q=x", False),
     ("xgzip", False), ("gzip" * 2000, False)],
)  # fmt: skip
def test_who_takes_gzip(header, takes):
    assert asking.accepts_gzip(header) is takes


@pytest.mark.parametrize("kind", ["image/webp", "application/octet-stream"])
def test_what_is_compressed_already_is_left_as_it_is(news, kind):
    assert Site(Application(TEXT, Content_Type=kind)).get("/", accept_encoding="gzip").body == TEXT


def test_what_is_not_public_is_not_compressed(news):
    """Beside a secret, the length of what is compressed tells of it (BREACH)."""
    for application in (Application(TEXT, keep=None), Application(TEXT, Set_Cookie="a=b")):
        assert Site(application).get("/", accept_encoding="gzip").body == TEXT


@pytest.mark.parametrize("is_kept", [True, False])
def test_who_has_the_page_gets_304(news, is_kept):
    application = Application(TEXT, Content_Security_Policy="default-src 'none'")
    site = Site(application, megabytes=8 if is_kept else 0)
    etag = site.get("/", accept_encoding="gzip")["etag"]

    for tags in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
        got = site.get("/", if_none_match=tags, accept_encoding="gzip")
        assert (got.status, got.body, got["etag"]) == (304, b"", etag)
        assert (got["vary"], got["cache-control"]) == ("Accept-Encoding", "public, no-cache")
        assert got["content-length"] is None
    for tags in ('"other"', "", etag[:-2], f"{etag[:-1]}x"):
        assert site.get("/", if_none_match=tags).status == 200


def test_a_page_that_changed_has_another_tag(news):
    assert Site(Application(b"a")).get("/")["etag"] != Site(Application(b"b")).get("/")["etag"]


@pytest.mark.parametrize(
    ("since", "status"),
    [("Tue, 02 Jun 2026 08:00:00 GMT", 304), ("Wed, 03 Jun 2026 08:00:00 GMT", 304),
     ("Mon, 01 Jun 2026 08:00:00 GMT", 200), ("nonsense", 200), ("", 200)],
)  # fmt: skip
def test_a_time_is_compared_where_the_page_has_one(news, since, status):
    site = Site(Application(Last_Modified="Tue, 02 Jun 2026 08:00:00 GMT"))

    assert site.get("/", if_modified_since=since).status == status
    assert site.get("/", if_modified_since=since, if_none_match='"other"').status == 200
    assert Site(Application()).get("/", if_modified_since=since).status == 200


def test_head_is_get_without_the_body_and_leaves_nothing(news):
    application = Application(TEXT)
    site = Site(application)

    cold = site.get("/", "HEAD", accept_encoding="gzip")
    got = site.get("/", accept_encoding="gzip")
    warm = site.get("/", "HEAD", accept_encoding="gzip")

    assert application.asked == 2
    assert cold.headers == got.headers == warm.headers
    assert (cold.body, warm.body) == (b"", b"")


def test_a_views_own_word_on_caching_stands():
    @keeping.kept()
    def view(request):
        return HttpResponse(headers={"Cache-Control": "public, max-age=86400"})

    class Request:
        META = {}

    assert view(Request())["Cache-Control"] == "public, max-age=86400"
    assert Request.META[keeping.KEY] == 600
