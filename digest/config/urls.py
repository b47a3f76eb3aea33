from django.conf import settings
from django.contrib import admin
from django.urls import include, path

reports = [path("anymail/", include("anymail.urls"))] if settings.ANYMAIL.get("WEBHOOK_SECRET") else []
urlpatterns = [
    *reports,
    path("admin/", admin.site.urls),
    path("", include("subscriptions.urls")),
    path("", include("digest.urls")),  # its API answers every other /api/ address
]
