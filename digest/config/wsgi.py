"""The web application, for any WSGI server."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "digest.config.settings")
django = get_wsgi_application()

from digest.config.pages import Pages  # noqa: E402  it needs the models, which are there by now

application = Pages(django, megabytes=settings.DIGEST_PAGE_CACHE_MB)
