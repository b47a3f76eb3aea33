"""The Celery application: workers and beat start from here."""

import os
from typing import Any

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "digest.config.settings")
app = Celery("paperboy")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.worker_init.connect
def refuse_a_broker_that_forgets(**more: Any) -> None:
    """Workers run none of Django's checks by themselves; this one is worth a worker that does not start."""
    from digest.config.checks import redis_keeps_its_keys  # noqa: PLC0415  Django is set up by now

    for problem in redis_keeps_its_keys():
        if problem.is_serious():
            raise SystemExit(f"paperboy: {problem.msg} {problem.hint}")
