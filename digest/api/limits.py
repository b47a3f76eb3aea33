"""How often one address may ask: fixed windows, counted in the cache."""

import logging
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError

from subscriptions import callers

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one request leaves of its window: `most` requests in `window` seconds, `left` in the next `reset`."""

    name: str
    most: int
    window: int
    left: int
    reset: int
    allowed: bool

    @property
    def headers(self) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers has them, and Hugging Face's clients read them."""
        headers = {
            "RateLimit": f'"{self.name}";r={self.left};t={self.reset}',
            "RateLimit-Policy": f'"fixed window";"{self.name}";q={self.most};w={self.window}',
        }
        return headers if self.allowed else {**headers, "Retry-After": str(self.reset)}


def take(name: str, address: str | None, *, now: datetime) -> Turn | None:
    """Count one request; None where there is no limit. A cache that does not answer stops nobody."""
    most, window = {"api": settings.DIGEST_API_RATE, "search": settings.DIGEST_SEARCH_RATE}[name]
    if not most:
        return None
    seconds = int(now.timestamp())
    key = f"rate:{name}:{callers.household(address)}:{seconds // window}"
    try:
        cache.add(key, 0, timeout=window + 1)
        count = cache.incr(key)
    except ValueError:  # it ran out between the two
        count = 1
    except (RedisError, OSError) as error:
        logger.warning("The cache does not count requests: %s", error)
        return None
    return Turn(name, most, window, max(0, most - count), window - seconds % window, count <= most)
