"""The composition root: settings, URLs, Celery, WSGI."""

from digest.config.celery import app as celery_app

__all__ = ["celery_app"]
