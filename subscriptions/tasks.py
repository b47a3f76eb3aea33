"""Ticks that beat and views send to a worker."""

import logging

from celery import shared_task
from kombu.exceptions import OperationalError

from subscriptions import clock, consent, notices, proof

logger = logging.getLogger(__name__)


@shared_task
def send_notices() -> None:
    notices.send_due(now=clock.now())


@shared_task
def forget() -> None:
    consent.forget_unconfirmed(now=clock.now())
    proof.forget(now=clock.now())


def soon() -> None:
    """Have notices sent at once. Without a broker they wait for the next tick: the rows are there."""
    try:
        send_notices.apply_async(expires=55)
    except (OperationalError, OSError) as error:
        logger.warning("The broker does not answer; letters wait for the next tick: %s", error)
