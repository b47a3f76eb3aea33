"""Papers' pictures: strangers' files made small and harmless, fetched politely, served by us."""

import io
import struct
import threading
import warnings
import zlib
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import settings as with_settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from digest import pictures, stamps, tasks, thumbnails
from digest.fetching import Fetcher, Limits
from digest.models import Paper, Thumbnail
from digest.pace import Time
from tests import make
from tests.clocks import Clock
from tests.make import DAY, NOW

LIMITS = Limits(connect_seconds=2, read_seconds=2, total_seconds=4, body_bytes=200_000, hops=3)


def picture(kind="PNG", size=(600, 300), mode="RGB", **options):
    file = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert(mode).save(file, kind, **options)
    return file.getvalue()


def bomb(width=60_000, height=60_000):
    """A PNG of a few bytes that says it has so many pixels."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100_000))
        + chunk(b"IEND", b"")
    )


# Pictures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize(("size", "small"), [((1200, 648), (480, 259)), ((90, 2000), (29, 640)), ((40, 30), (40, 30))])
def test_pictures_become_small_webp(kind, size, small):
    made = pictures.small(picture(kind, size))

    shown = Image.open(io.BytesIO(made.image))
    assert (shown.format, shown.mode, shown.size) == ("WEBP", "RGB", (made.width, made.height))
    assert shown.size == pytest.approx(small, abs=1)
    assert len(made.image) <= pictures.SIZE


def test_a_picture_full_of_noise_still_becomes_small():
    noise = Image.effect_noise((900, 900), 120).convert("RGB")
    file = io.BytesIO()
    noise.save(file, "PNG")

    assert len(pictures.small(file.getvalue()).image) <= pictures.SIZE


def test_nothing_but_the_pixels_is_kept():
    note = PngImagePlugin.PngInfo()
    note.add_text("Comment", "taken at home")
    exif = Image.Exif()
    exif[0x010E] = "taken at home"

    made = pictures.small(picture(pnginfo=note, exif=exif, icc_profile=b"taken at home" * 20))

    assert b"taken at home" not in made.image
    assert not {"exif", "icc_profile", "xmp"} & Image.open(io.BytesIO(made.image)).info.keys()


def test_what_shines_through_shines_on_white_and_only_the_first_frame_is_taken():
    clear, black = Image.new("RGBA", (50, 50), (0, 0, 0, 0)), Image.new("RGBA", (50, 50), "black")
    file = io.BytesIO()
    clear.save(file, "WEBP", save_all=True, append_images=[black], lossless=True)

    shown = Image.open(io.BytesIO(pictures.small(file.getvalue()).image))

    assert min(shown.convert("L").get_flattened_data()) > 250
    assert getattr(shown, "n_frames", 1) == 1


def test_the_same_picture_has_the_same_version():
    assert pictures.small(picture()) == pictures.small(picture())
    assert pictures.small(picture()).version != pictures.small(picture(size=(500, 300))).version


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<html>not here</html>",
        picture("BMP"),
        picture("TIFF"),
        picture("PDF"),
        picture()[:200],
        bomb(),
        bomb(10_000, 9_500),  # where Pillow alone only warns
        bomb(4_000, 4_000),
        picture(size=(1, 1)),
    ],
)
def test_what_is_no_fit_picture_is_refused(sent):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as where it runs
        with pytest.raises(pictures.NotAPicture):
            pictures.small(sent)


@with_settings(deadline=None)  # a busy machine is no fault
@given(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"]), st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_damaged_pictures_are_refused_or_shown_and_nothing_else(kind, at, damage):
    sent = picture(kind, (60, 40))
    try:
        made = pictures.small(sent[:at] + damage + sent[at + len(damage) :])
    except pictures.NotAPicture:
        return
    assert len(made.image) <= pictures.SIZE


# Fetching -----------------------------------------------------------------------------------------------------------


class Site:
    """Answers each path as `pages` says: status, content type, body, and where it leads."""

    def __init__(self):
        site, self.pages, self.asked = self, {}, []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site.asked.append(self.path)
                status, kind, body, location = site.pages[self.path]
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                if location:
                    self.send_header("Location", location)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *request: None  # whoever hangs up is no news
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def holds(self, path, body=b"", kind="image/png", status=200, location=""):
        self.pages[path] = (status, kind, body, location)
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def site():
    site = Site()
    yield site
    site.close()


@pytest.fixture
def clock():
    return Clock(NOW)


@pytest.fixture
def run(site, clock, db):
    def run(*, inside=True):
        allow = frozenset({("127.0.0.1", site.server.server_port)}) if inside else frozenset()
        client = Fetcher(user_agent="tests", allow=allow, limits=LIMITS)
        return thumbnails.fetch_due(DAY, time=clock.time, client=client)

    return run


def test_papers_of_recent_editions_get_their_picture_once(site, run, clock):
    url = site.holds("/a.png", picture())
    paper = make.paper(thumbnail_url=url)
    make.edition([paper, make.paper()])
    before = stamps.read()

    assert (run(), run()) == (1, 0)

    row = Thumbnail.objects.get()
    assert (row.paper_id, row.width, row.height, row.source_url, row.failures) == (paper.pk, 480, 240, url, 0)
    assert row.fetched_at == NOW
    assert Image.open(io.BytesIO(bytes(row.image))).format == "WEBP"
    assert site.asked == ["/a.png"]
    assert stamps.read() != before


def test_old_editions_hidden_papers_new_versions_and_papers_of_no_edition_get_none(site, run):
    url = site.holds("/a.png", picture())
    old, hidden, replaced, coming = (make.paper(thumbnail_url=url) for _ in range(4))
    make.paper(thumbnail_url=url)
    make.edition([old], day=DAY - timedelta(days=thumbnails.DAYS))
    make.edition([coming], day=DAY + timedelta(days=1))
    edition = make.edition([hidden, replaced])
    edition.placements.filter(paper=hidden).update(is_hidden=True)
    edition.placements.filter(paper=replaced).update(announce="replace")

    assert run() == 0
    assert site.asked == []


def test_a_draft_has_its_pictures_before_it_is_published(site, run):
    make.edition([make.paper(thumbnail_url=site.holds("/a.png", picture()))], published=False)

    assert run() == 1


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"x" * 300_000, "image/png", 200),
        (bomb(), "image/png", 200),
        (picture(), "text/html", 200),
        (picture(), "", 200),
        (b"<svg/>", "image/svg+xml", 200),
        (b"<html>", "image/png", 200),
        (b"", "image/png", 404),
        (b"", "image/png", 500),
    ],
)
def test_an_answer_that_is_no_fit_picture_is_a_failure_and_stops_no_other(site, run, body, kind, status):
    bad = make.paper(thumbnail_url=site.holds("/bad", body, kind, status))
    good = make.paper(thumbnail_url=site.holds("/good", picture()))
    make.edition([bad, good])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert run() == 1

    assert thumbnails.sizes([bad.pk, good.pk]).keys() == {good.pk}
    assert Thumbnail.objects.get(pk=bad.pk).failures == 1


def test_a_redirect_or_an_address_that_leads_inside_is_not_followed(site, run):
    secret = site.holds("/secret", picture())
    make.edition([make.paper(thumbnail_url=secret)])

    assert run(inside=False) == 0
    assert site.asked == []

    elsewhere = secret.replace("127.0.0.1", "localhost")  # inside as well, but not named by the operator
    Paper.objects.update(thumbnail_url=site.holds("/hop", status=302, location=elsewhere))
    assert run() == 0
    assert site.asked == ["/hop"]
    assert Thumbnail.objects.get().version == ""


def test_the_client_of_every_day_may_not_go_inside(site, clock, db):
    make.edition([make.paper(thumbnail_url=site.holds("/a.png", picture()))])

    assert thumbnails.fetch_due(DAY, time=clock.time) == 0
    assert site.asked == []


def test_a_picture_that_fails_is_asked_for_ever_more_rarely_and_then_given_up(site, run, clock):
    make.edition([make.paper(thumbnail_url=site.holds("/gone.png", status=404))])
    asked = []
    for hour in range(24 * 10):
        clock.at = NOW + timedelta(hours=hour)
        before = len(site.asked)
        run()
        asked += [hour] if len(site.asked) > before else []

    assert asked == [0, 1, 7, 31, 103]


def test_a_new_address_is_asked_at_once_and_the_old_picture_stays_until_it_answers(site, run, clock):
    paper = make.paper(thumbnail_url=site.holds("/a.png", picture()))
    make.edition([paper])
    run()
    had = thumbnails.sizes([paper.pk])

    Paper.objects.update(thumbnail_url=site.holds("/b.png", status=503))
    run()
    assert thumbnails.sizes([paper.pk]) == had

    Paper.objects.update(thumbnail_url=site.holds("/c.png", picture(size=(100, 100))))
    run()
    assert thumbnails.sizes([paper.pk])[paper.pk][:2] == (100, 100)


def test_one_run_fetches_so_many_with_a_pause_after_each_and_then_ends(site, run, clock, monkeypatch):
    monkeypatch.setattr(thumbnails, "MOST", 3)
    url = site.holds("/a.png", picture(size=(20, 20)))
    make.edition([make.paper(thumbnail_url=url) for _ in range(5)])

    assert (run(), run(), run()) == (3, 2, 0)
    assert clock.waits == [thumbnails.PAUSE_SECONDS] * 5


def test_a_run_that_takes_too_long_begins_no_more(site, run, clock):
    url = site.holds("/a.png", picture(size=(20, 20)))
    make.edition([make.paper(thumbnail_url=url) for _ in range(3)])

    clock.time = Time(clock.now, lambda seconds: clock.sleep(thumbnails.PATIENCE.total_seconds()))

    assert run() == 2


def test_two_workers_never_fetch_one_picture(site, run):
    paper = make.paper(thumbnail_url=site.holds("/a.png", picture()))

    assert thumbnails._claim(paper.pk, paper.thumbnail_url, now=NOW)
    row = Thumbnail.objects.get()
    assert (row.failures, row.not_before_at) == (1, NOW + thumbnails.WAITS[0])  # as if it had failed already

    make.edition([paper])
    assert run() == 0


def test_without_the_setting_nothing_is_fetched_or_shown(site, run, client, settings):
    paper = make.paper(thumbnail_url=site.holds("/a.png", picture()))
    make.edition([paper])
    run()
    settings.DIGEST_THUMBNAILS = False
    Paper.objects.update(thumbnail_url=site.holds("/b.png", picture()))

    assert run() == 0
    assert thumbnails.sizes([paper.pk]) == {}
    assert client.get(reverse("thumbnail", args=[paper.identifier])).status_code == 404


def test_the_tick_of_beat_fetches(monkeypatch, settings):
    settings.DIGEST_TODAY = DAY
    days = []
    monkeypatch.setattr(thumbnails, "fetch_due", lambda day, *, time: days.append((day, time.now().tzinfo is not None)))

    tasks.fetch_thumbnails()

    assert days == [(DAY, True)]
    assert settings.CELERY_BEAT_SCHEDULE["thumbnails"]["task"] == tasks.fetch_thumbnails.name


# Serving ------------------------------------------------------------------------------------------------------------


def kept(paper, **values):
    made = pictures.small(picture())
    return Thumbnail.objects.create(
        paper=paper, image=made.image, width=made.width, height=made.height, version=made.version, **values
    )


@pytest.mark.django_db
@pytest.mark.parametrize("identifier", ["2606.90001", "math/0309001", "web.0123456789abcdef"])
def test_a_picture_under_its_version_is_kept_for_ever(client, identifier):
    row = kept(make.paper(identifier=identifier, thumbnail_url="https://a.example/x.png"))
    address = reverse("thumbnail", args=[identifier])

    named = client.get(address, {"v": row.version})
    plain = client.get(address)

    assert address == f"/papers/{identifier}/thumbnail.webp"
    assert named.content == row.image
    assert named["Content-Type"] == "image/webp"
    assert named["Cache-Control"] == "public, max-age=31536000, immutable"
    assert plain["Cache-Control"] == client.get(address, {"v": "old"})["Cache-Control"] == "public, max-age=3600"
    assert not named.cookies and "Cookie" not in named.get("Vary", "")


@pytest.mark.django_db
def test_a_picture_that_the_browser_has_is_not_read_again(client, django_assert_num_queries):
    paper = make.paper(thumbnail_url="https://a.example/x.png")
    row = kept(paper)
    address = reverse("thumbnail", args=[paper.identifier])
    etag = client.get(address)["ETag"]

    with django_assert_num_queries(1):
        answer = client.get(address, headers={"If-None-Match": etag})

    assert etag == f'"{row.version}"'
    assert (answer.status_code, answer.content) == (304, b"")
    assert client.head(address).status_code == 200
    assert client.post(address).status_code == 405


@pytest.mark.django_db
def test_a_paper_without_a_picture_has_none(client):
    without, failed = make.paper(), make.paper(thumbnail_url="https://a.example/x.png")
    taken_away = make.paper()
    kept(taken_away)
    Thumbnail.objects.create(paper=failed, image=b"", failures=1)

    for identifier in (without.identifier, failed.identifier, taken_away.identifier, "2606.99999", "../../etc"):
        assert client.get(f"/papers/{identifier}/thumbnail.webp").status_code == 404
    assert thumbnails.sizes([without.pk, failed.pk, taken_away.pk]) == {}


@pytest.mark.django_db
def test_the_sizes_of_many_pictures_are_one_query_without_the_pictures(django_assert_num_queries):
    rows = [kept(make.paper(thumbnail_url="https://a.example/x.png")) for _ in range(3)]

    with django_assert_num_queries(1) as queries:
        sizes = thumbnails.sizes([row.paper_id for row in rows])

    assert sizes == {row.paper_id: (row.width, row.height, row.version) for row in rows}
    assert '"image"' not in queries[0]["sql"]
