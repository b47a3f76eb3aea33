"""Where the API is. No address ends in a slash, and none is redirected."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, re_path

from digest.api import errors, reference
from digest.api.gate import gate

#: What costs as much as a search counts as one.
SEARCHES = {"api_search", "api_find", "api_look_ahead"}


def unknown(request: HttpRequest) -> HttpResponse:
    """Quick: `hf` asks some path unknown here whenever it starts."""
    return errors.answer(HTTPStatus.NOT_FOUND, "There is no such path in this API: /api/docs says what there is.")


def _gated(pattern: URLPattern) -> URLPattern:
    pattern.callback = gate(pattern.callback, limit="search" if pattern.name in SEARCHES else "api")
    return pattern


_operations, _, _ = reference.api.urls
urlpatterns = [
    *(_gated(found) for found in _operations if isinstance(found, URLPattern) and found.name != "api-root"),
    path("api/openapi.json", gate(reference.openapi), name="api_openapi"),
    path("api/docs", gate(reference.page), name="api_docs"),
    re_path(r"^api(?:/.*)?$", gate(unknown)),
]
