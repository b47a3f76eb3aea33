"""The preview of a topic: what the letters of the last days would have had, and then what they have."""

import gzip
from datetime import UTC, datetime, time, timedelta

import pytest

from digest import analysis, editions, papers
from digest.deliveries.queue import queue
from digest.models import Delivery, Paper, Placement
from digest.preview import preview
from digest.sources import huggingface
from subscriptions.query import parse
from tests import make, recorded
from tests.make import DAY, NOW

pytestmark = pytest.mark.django_db
TOPICS = (
    "agent*", '"language model" OR llm', "robot* OR embodied", "diffusion -medical", "video title:generation",
    "reasoning keyword:reinforcement", "has:code benchmark", 'about:"robots that learn from video"', "org:university",
    "NOT model",
)  # fmt: skip


def letters(reader):
    """The papers of each day's letter."""
    rows = Delivery.objects.filter(subscriber=reader).order_by("day").values_list("day", "sections")
    return {day: {key for _, _, keys in sections for key in keys} for day, sections in rows}


def test_the_preview_of_ten_topics_over_recorded_days_equals_what_is_then_sent():
    """Fourteen recorded days of Hugging Face, each built, published and queued; then each topic's preview."""
    files = sorted(recorded.need("hf_daily").glob("2026-*.json.gz"))[-14:]
    source = make.source()
    readers = {text: make.subscriber(topics=[text], max_papers=100, wants_trending=False) for text in TOPICS}
    for file in files:
        day = datetime.fromisoformat(file.name[:10]).date()
        now = datetime.combine(day, time(8), UTC)
        listed = huggingface.parse(gzip.decompress(file.read_bytes()), endpoint="https://huggingface.co").entries
        papers.record(source, day, listed, now=now)
        editions.build(day, now=now)
        editions.publish(day, by="test", now=now)
        queue(now=now, today=day, by_hand=True)
    analysis.refresh(Paper.objects.all())

    span = (day - datetime.fromisoformat(files[0].name[:10]).date()).days + 1
    total = 0
    for text, reader in readers.items():
        found = {day: set(keys) for day, keys in preview(parse(text), today=day, days=span).days}
        assert found == letters(reader), text
        total += sum(map(len, found.values()))
    assert total > 300


def test_a_preview_has_each_paper_once_on_its_first_day_and_nothing_hidden():
    first, second, hidden, renewed = (make.paper(f"Robots {number}") for number in range(4))
    make.edition([first, hidden], day=DAY - timedelta(days=1))
    make.edition([first, second, renewed], day=DAY)
    make.edition([make.paper("Robots Tomorrow")], day=DAY + timedelta(days=1))
    Placement.objects.filter(paper=hidden).update(is_hidden=True)
    Placement.objects.filter(paper=renewed).update(announce="replace")

    found = preview(parse("robots"), today=DAY)

    assert found.days == [(DAY - timedelta(days=1), [first.pk]), (DAY, [second.pk])]
    assert (found.total, found.per_day) == (2, 1.0)


def test_days_beyond_the_last_fourteen_and_topics_that_find_nothing_are_empty():
    make.edition([make.paper("Robots")], day=DAY - timedelta(days=14))
    assert preview(parse("robots"), today=DAY).days == []

    make.edition([make.paper("Robots")], day=DAY, published_at=NOW)
    assert preview(parse("whales"), today=DAY).days == [(DAY, [])]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [("robot", 200, "About 2 papers a day"), ("soup", 200, "About 0 papers a day"),
     ("second", 200, "About 2 papers a week"),
     ("robot OR", 400, "Something must follow OR."), ("", 400, "The query is empty")],
)  # fmt: skip
def test_a_topics_rate_is_told_beside_it(client, settings, query, status, said):
    settings.DIGEST_TODAY = DAY
    for days in (0, 1):
        make.edition(
            [make.paper(f"Robot {n} {'second' * (n == days == 1)}") for n in range(2)], day=DAY - timedelta(days)
        )

    response = client.get("/topics/rate", {"q": query})

    assert response.status_code == status
    assert response.json()["said"].startswith(said)


def test_without_an_edition_no_rate_is_told(client):
    assert client.get("/topics/rate", {"q": "robot"}).json() == {"said": ""}
