from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import include, path
from django.views.decorators.http import require_safe

from digest.config import languages


@require_safe
def icon(request: HttpRequest) -> HttpResponse:
    """Where browsers look on pages without a word about an icon, such as admin's."""
    return redirect(static("digest/icon.svg"))


reports = [path("anymail/", include("anymail.urls"))] if settings.ANYMAIL.get("WEBHOOK_SECRET") else []
urlpatterns = [
    *reports,
    path("favicon.ico", icon),
    path("admin/", admin.site.urls),
    path("language", languages.choose, name="language"),
    path("", include("subscriptions.urls")),
    path("", include("digest.urls")),  # its API answers every other /api/ address
]
