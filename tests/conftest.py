from datetime import UTC, datetime
from uuid import uuid4

import pytest

from digest import shelf

#: The moment at which tests happen: Tuesday 2 June 2026, 08:00 UTC.
NOW = datetime(2026, 6, 2, 8, 0, tzinfo=UTC)


@pytest.fixture
def now():
    return NOW


@pytest.fixture(autouse=True)
def outbox_of_its_own(settings, tmp_path):
    """Letters of one test are nobody else's."""
    settings.EMAIL_BACKEND = "subscriptions.outbox.EmailBackend"
    settings.DIGEST_OUTBOX_DIR = tmp_path / "outbox"


@pytest.fixture(autouse=True)
def cache_of_its_own(settings):
    """What one test keeps copies of is rolled back with it."""
    settings.CACHES = {"default": {**settings.CACHES["default"], "KEY_PREFIX": uuid4().hex}}


@pytest.fixture(autouse=True)
def index_of_its_own():
    """Papers of one test are found in no other."""
    shelf.forget()


def pytest_collection_modifyitems(items):
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & {"db", "transactional_db", "live_server"} and not item.get_closest_marker("django_db"):
            item.add_marker(pytest.mark.django_db)
