"""Beat, which leaves a sign of life in the database, so that its death is seen by others."""

import logging
from typing import Any

from celery.beat import PersistentScheduler
from django.db import DatabaseError, close_old_connections

from digest import stamps
from subscriptions import clock

logger = logging.getLogger(__name__)


class Scheduler(PersistentScheduler):
    #: Seconds between signs of life; what reads them allows for two that are missing.
    max_interval = 5

    def tick(self, *args: Any, **kwargs: Any) -> float:
        try:
            close_old_connections()
            stamps.mark("beat", now=clock.now())
        except DatabaseError as error:
            logger.warning("Beat cannot leave its sign of life: %s", type(error).__name__)
        return min(float(super().tick(*args, **kwargs)), self.max_interval)
