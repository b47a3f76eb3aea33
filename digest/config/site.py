"""What every page needs to know of the site it belongs to."""

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, object]:
    return {
        "site_name": settings.DIGEST_NAME,
        "site_url": settings.DIGEST_BASE_URL,
        "debug": settings.DEBUG,
        "pinned_day": settings.DIGEST_TODAY,
    }
