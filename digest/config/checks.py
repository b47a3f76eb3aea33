"""Combinations that would do harm at midnight, told when Paperboy starts."""

from typing import Any

import redis
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import get_connection
from redis.exceptions import RedisError

from digest import meaning


@register(Tags.compatibility)
def redis_keeps_its_keys(**options: Any) -> list[CheckMessage]:
    """Redis that evicts keys loses tasks and throttles without a word."""
    if not settings.REDIS_URL:
        return []
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2) as client:
            policy = client.info("memory").get("maxmemory_policy", "noeviction")
    except (RedisError, OSError, ValueError) as error:
        return [checks.Warning(f"Redis does not answer: {error}. Ticks wait until it does.", id="paperboy.W001")]
    if policy == "noeviction":
        return []
    return [
        Error(
            f"Redis evicts keys (maxmemory-policy is {policy}), which would lose tasks.",
            hint="Set maxmemory-policy to noeviction, or give Paperboy a Redis of its own.",
            id="paperboy.E001",
        )
    ]


@register(Tags.compatibility)
def mail_can_leave(**options: Any) -> list[CheckMessage]:
    """The backend that EMAIL_URL names can be made: its package is there, and its settings."""
    try:
        get_connection()
    except (ImportError, ImproperlyConfigured) as error:
        return [Error(f"EMAIL_URL names a way to send that cannot be used: {error}", id="paperboy.E002")]
    return []


@register(Tags.compatibility)
def meaning_can_be_told(**options: Any) -> list[CheckMessage]:
    """The class that DIGEST_MEANING names is there."""
    try:
        meaning.kind()
    except ImportError as error:
        return [Error(f"DIGEST_MEANING names a class that cannot be used: {error}", id="paperboy.E003")]
    return []


@register(Tags.security, deploy=True)
def staff_show_two_factors(**options: Any) -> list[CheckMessage]:
    """A password alone is for a trial on one's own machine."""
    if settings.DIGEST_STAFF_TWO_FACTOR:
        return []
    hint = "Unset DIGEST_STAFF_TWO_FACTOR: it is on wherever DEBUG is off."
    return [checks.Warning("Staff sign in with a password alone.", hint=hint, id="paperboy.W003")]
