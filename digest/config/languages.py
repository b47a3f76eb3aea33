"""In which language a page is: the one chosen at its foot, else the one that the browser would rather have."""

from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, parse_cookie
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

#: For staff, for programs, and for whoever sets Paperboy up.
ENGLISH = ("/admin/", "/api/", "/outbox/")
YEAR = 31_536_000
#: No longer header is understood.
LONGEST = 2048


def of(path: str, cookies: str, accepted: str) -> str:
    """The language for a path, and the headers Cookie and Accept-Language."""
    if path.startswith(ENGLISH):
        return settings.LANGUAGE_CODE
    chosen = parse_cookie(cookies).get(settings.LANGUAGE_COOKIE_NAME, "") if cookies else ""
    return _negotiated(chosen[:20].lower(), accepted if len(accepted) <= LONGEST else "")


@lru_cache(maxsize=512)
def _negotiated(chosen: str, accepted: str) -> str:
    cookies = {settings.LANGUAGE_COOKIE_NAME: chosen} if chosen else {}
    request = SimpleNamespace(COOKIES=cookies, META={"HTTP_ACCEPT_LANGUAGE": accepted})
    return translation.get_language_from_request(request)  # type: ignore[arg-type]


def speak(answer: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Answer in the language of the request, and say which it is."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        said = request.META.get("HTTP_COOKIE", ""), request.META.get("HTTP_ACCEPT_LANGUAGE", "")
        language = of(request.path_info, *said)
        with translation.override(language):
            response = answer(request)
        if not request.path_info.startswith(ENGLISH):
            patch_vary_headers(response, ["Accept-Language"])
            if response.headers.get("Content-Type", "").startswith("text/html"):
                response.headers.setdefault("Content-Language", language)
        return response

    return middleware


def _here(address: str) -> str:
    """Path and query of an address, whatever its site; the front page for what is none."""
    try:
        back = urlsplit(address)
    except ValueError:
        return "/"
    path = back.path if back.path.startswith("/") and not back.path.startswith("//") else "/"
    return f"{path}?{back.query}" if back.query else path


@csrf_exempt  # nobody is signed in, and another site gains nothing by what language a page is in
@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Keep the language that was chosen at the foot of a page, and go back there."""
    wanted = request.POST.get("language", "")
    response = HttpResponseRedirect(_here(request.POST.get("back", "")))
    if translation.check_for_language(wanted) and wanted in dict(settings.LANGUAGES):
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            wanted,
            max_age=YEAR,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    return response
