from datetime import datetime, time
from functools import partial

import pytest

from digest import intake
from digest.fetching import Fetcher, Limits
from tests import replay as recordings
from tests.clocks import Clock
from tests.make import DAY, UTC


@pytest.fixture(scope="session")
def server():
    with recordings.running() as replay:
        yield replay


@pytest.fixture
def replay(server, settings):
    """The replay server without faults, and settings that lead to it."""
    server.reset(DAY)
    settings.DIGEST_HF_ENDPOINT = settings.DIGEST_ARXIV_FEED_URL = server.url
    settings.DIGEST_ARXIV_QUERY_URL = f"{server.url}/api/query"
    return server


@pytest.fixture
def clock():
    return Clock(datetime.combine(DAY, time(8), UTC))


@pytest.fixture
def limits(monkeypatch):
    """Less patience than outside; a test may have less still."""

    def use(**values):
        monkeypatch.setattr(intake, "Fetcher", partial(Fetcher, limits=Limits(**{"body_bytes": 4 * 2**20, **values})))

    use()
    return use
