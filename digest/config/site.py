"""What every page needs to know of the site it belongs to, and what browsers are told with each."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import get_language

#: Pages, admin among them, need nothing from elsewhere and nothing inline. The outbox shows letters in frames.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
#: Nobody is asked for a camera or the like, nor by what somebody smuggled into a page.
DEVICES = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()"


def site(request: HttpRequest) -> dict[str, object]:
    return {
        "site_name": settings.DIGEST_NAME,
        "site_url": settings.DIGEST_BASE_URL,
        "debug": settings.DEBUG,
        "pinned_day": settings.DIGEST_TODAY,
        "languages": settings.LANGUAGES,
        "LANGUAGE_CODE": get_language(),
    }


def forbid(answer: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Tell browsers what no page may do, unless a view has said so itself."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = answer(request)
        response.headers.setdefault("Permissions-Policy", DEVICES)
        # What Django shows of an error while debugging has its styles inline.
        if not (settings.DEBUG and response.status_code in {400, 404, 500}):
            response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return middleware
