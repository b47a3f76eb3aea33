"""The one clock. Only doors ask it; everything inside is told the time."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from django.conf import settings


def now() -> datetime:
    """The present moment in UTC. While DIGEST_TODAY pins the day, only the time of day goes on."""
    moment = datetime.now(UTC)
    pinned: date | None = settings.DIGEST_TODAY
    return datetime.combine(pinned, moment.timetz()) if pinned else moment


def today() -> date:
    """The date of the editions: in DIGEST_TIME_ZONE, or the pinned day."""
    return settings.DIGEST_TODAY or now().astimezone(ZoneInfo(settings.DIGEST_TIME_ZONE)).date()
