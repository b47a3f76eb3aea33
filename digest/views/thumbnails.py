"""Papers' pictures."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import condition, require_safe

from digest import keeping, thumbnails

YEAR = 31_536_000
HOUR = 3_600


def _etag(request: HttpRequest, identifier: str) -> str | None:
    version = thumbnails.shown().filter(paper__identifier=identifier).values_list("version", flat=True).first()
    return f'"{version}"' if version else None


@require_safe
@condition(etag_func=_etag)
@keeping.kept()
def thumbnail(request: HttpRequest, identifier: str) -> HttpResponse:
    """A paper's picture; with `?v=` and its version it never changes, and may be kept for ever."""
    row = thumbnails.shown().filter(paper__identifier=identifier).order_by("pk").first()
    if row is None:
        raise Http404(f"There is no picture of {identifier}.")
    response = HttpResponse(bytes(row.image), content_type="image/webp")
    is_named = request.GET.get("v") == row.version
    response["Cache-Control"] = f"public, max-age={YEAR}, immutable" if is_named else f"public, max-age={HOUR}"
    return response
