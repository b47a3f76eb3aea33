"""For monitors: whether the site answers, and which part behind it does not."""

import socket
from collections.abc import Callable
from datetime import timedelta

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from digest import stamps
from digest.alarms import open_alarms
from digest.models import Carriage
from subscriptions import clock

#: Seconds that a part has to answer, and beat between two signs of life.
PATIENCE, SILENCE = 2, 13


@require_safe
@never_cache
def live(request: HttpRequest) -> HttpResponse:
    """The site answers: for whoever decides whether to send it visitors."""
    return JsonResponse({"live": True})


@require_safe
@never_cache
def ready(request: HttpRequest) -> HttpResponse:
    """Whether every part works; 503 with what is wrong with each that does not."""
    wrong = {}
    for name, check in PARTS.items():
        if name != "redis" and "database" in wrong:
            continue  # the others are asked through it
        if reason := check():
            wrong[name] = reason
    if wrong:
        return JsonResponse({"ready": False, "failing": sorted(wrong), **wrong}, status=503)
    return JsonResponse({"ready": True, "alarms": [alarm.name for alarm in open_alarms()]})


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return type(error).__name__
    return ""


def _redis() -> str:
    if not settings.REDIS_URL:
        return ""
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE
        ) as client:
            client.ping()
    except (RedisError, OSError) as error:
        return type(error).__name__
    return ""


def _scheduler() -> str:
    """Silent, after it has been heard at all: a site alone, as in a test, has none to miss."""
    last = stamps.marked("beat")
    if last is None or clock.now() - last <= timedelta(seconds=SILENCE):
        return ""
    return f"silent since {last:%Y-%m-%d %H:%M:%S} UTC"


def _mail() -> str:
    """What the senders have found; else, for plain SMTP, whether anybody takes a connection."""
    resting = Carriage.objects.filter(rest_until__gt=clock.now()).order_by("name").first()
    if resting is not None:
        return resting.reason or "left alone for a while"
    if not settings.EMAIL_HOST or not settings.EMAIL_BACKEND.endswith("smtp.EmailBackend"):
        return ""
    try:
        socket.create_connection((settings.EMAIL_HOST, settings.EMAIL_PORT), timeout=PATIENCE).close()
    except OSError as error:
        return type(error).__name__
    return ""


PARTS: dict[str, Callable[[], str]] = {
    "database": _database,
    "redis": _redis,
    "scheduler": _scheduler,
    "smtp": _mail,
}
