"""What a person should look at: raised once, shown until it is over."""

import logging
from datetime import datetime

from digest.models import Alarm
from subscriptions import notices

SIGN_UP = "sign-up"
logger = logging.getLogger(__name__)


def raise_alarm(name: str, text: str, *, now: datetime) -> Alarm:
    """Open an alarm, or say again that the open one of this name still holds."""
    alarm, is_new = Alarm.objects.get_or_create(
        name=name[:100], cleared_at=None, defaults={"text": text[:1000], "raised_at": now, "last_at": now}
    )
    if is_new:
        logger.error("Alarm, %s: %s", name, text)
    else:
        Alarm.objects.filter(pk=alarm.pk).update(text=text[:1000], last_at=now)
    return alarm


def clear_alarm(name: str, *, by: str = "clock") -> None:
    """It is over."""
    for alarm in Alarm.objects.filter(name=name[:100], cleared_at=None):
        Alarm.objects.filter(pk=alarm.pk).update(cleared_at=alarm.last_at, cleared_by=by)


def watch_sign_up(*, now: datetime) -> None:
    """Tell a person while confirmations wait, as they do when somebody signs up other people."""
    if text := notices.held(now=now):
        raise_alarm(SIGN_UP, text, now=now)
    else:
        clear_alarm(SIGN_UP)


def open_alarms() -> list[Alarm]:
    return list(Alarm.objects.filter(cleared_at=None).order_by("-raised_at", "-pk"))
