"""What /health/ready says of each part that is stopped."""

import socket
from datetime import timedelta

import pytest
from celery import Celery
from django.db import OperationalError, connection

from digest import stamps
from digest.config import beat
from digest.config.beat import Scheduler
from digest.models import Carriage, Stamp
from subscriptions import clock
from tests.clocks import Clock
from tests.make import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def moment(monkeypatch):
    moment = Clock(NOW)
    monkeypatch.setattr(clock, "now", moment.now)
    return moment


@pytest.fixture
def nobody():
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def failing(client):
    answer = client.get("/health/ready")
    assert client.get("/health/live").json() == {"live": True}
    assert (answer.status_code == 503) is bool(answer.json().get("failing"))
    return answer.json().get("failing", [])


def test_a_database_that_does_not_answer_is_named(client, monkeypatch):
    def down(*args, **more):
        raise OperationalError("gone")

    monkeypatch.setattr(connection, "cursor", down)

    assert failing(client) == ["database"]


def test_a_redis_that_does_not_answer_is_named(client, settings, nobody):
    settings.REDIS_URL = f"redis://127.0.0.1:{nobody}/0"

    assert failing(client) == ["redis"]


def test_a_scheduler_that_fell_silent_is_named_within_fifteen_seconds(client, moment):
    stamps.mark("beat", now=moment.now())
    assert failing(client) == []
    moment.sleep(10)
    assert failing(client) == []
    moment.sleep(5)
    assert failing(client) == ["scheduler"]
    stamps.mark("beat", now=moment.now())
    assert failing(client) == []


def test_a_site_that_never_had_a_scheduler_misses_none(client):
    assert failing(client) == []


def test_a_way_of_sending_that_rests_is_named(client, moment):
    Carriage.objects.create(name="first", failures=3, rest_until=NOW + timedelta(seconds=10), reason="no connection")

    answer = client.get("/health/ready").json()
    assert (answer["failing"], answer["smtp"]) == (["smtp"], "no connection")
    moment.sleep(11)
    assert failing(client) == []


def test_a_mail_server_that_takes_no_connection_is_named(client, settings, nobody):
    settings.EMAIL_BACKEND = "subscriptions.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", nobody

    assert failing(client) == ["smtp"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.EMAIL_PORT = server.getsockname()[1]
        assert failing(client) == []


def test_beat_leaves_a_sign_of_life_at_every_tick(moment, tmp_path, monkeypatch):
    monkeypatch.setattr(beat, "close_old_connections", lambda: None)  # the test's own is wanted still
    app = Celery("test", broker="memory://", set_as_current=False)
    scheduler = Scheduler(app, schedule_filename=str(tmp_path / "schedule"))

    assert scheduler.tick() <= 5
    assert stamps.marked("beat") == NOW.replace(microsecond=0)
    scheduler.close()


def test_beat_goes_on_without_a_database(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(beat, "close_old_connections", lambda: None)

    def down(name, now):
        raise OperationalError("gone")

    monkeypatch.setattr(stamps, "mark", down)
    scheduler = Scheduler(
        Celery("test", broker="memory://", set_as_current=False), schedule_filename=str(tmp_path / "s")
    )

    assert scheduler.tick() <= 5
    assert "sign of life" in caplog.text
    scheduler.close()


def test_a_mark_does_not_count_as_a_change_of_papers(moment):
    before = stamps.read()
    stamps.mark("beat", now=moment.now())

    assert stamps.read() == before
    assert Stamp.objects.count() == 1
