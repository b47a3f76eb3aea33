"""Every recorded day, taken in and served again, is the same to Hugging Face's client."""

import gzip
import json
from datetime import date

import pytest
from huggingface_hub.hf_api import PaperInfo

from digest import editions, papers
from digest.sources import huggingface
from tests import make
from tests.make import NOW
from tests.recorded import need, recorded_folder

pytestmark = pytest.mark.django_db

FOLDER = recorded_folder()
DAYS = sorted(file.name[:10] for file in (FOLDER / "hf_daily").glob("*.json.gz")) if FOLDER else ["2026-06-02"]


def told(paper):
    """What a client's user sees of a paper."""
    return (
        paper.id,
        " ".join(paper.title.split()),
        tuple(" ".join(author.name.split()) for author in paper.authors),
        paper.upvotes or 0,  # of Hugging Face itself, which has them in one place, its client reads 0 as none
    )


@pytest.mark.parametrize("day", DAYS)
def test_a_recorded_day_is_served_as_it_was_read(client, settings, day):
    body = gzip.decompress(need(f"hf_daily/{day}.json.gz").read_bytes())
    settings.DIGEST_TODAY = listed = date.fromisoformat(day)
    papers.record(make.source(), listed, huggingface.parse(body).entries, now=NOW)
    editions.build(listed, now=NOW)
    editions.publish(listed, by="test", now=NOW)
    recorded = {told(PaperInfo(**item)) for item in json.loads(body)}

    served = [PaperInfo(**item) for item in client.get(f"/api/daily_papers?date={day}&limit=100").json()]

    assert {told(paper) for paper in served} == recorded
    assert None not in {paper.upvotes for paper in served}
    assert [paper.upvotes for paper in served] == sorted((paper.upvotes for paper in served), reverse=True)
    assert {paper.submitted_at.date() for paper in served} == {listed}
    for paper in served[:5]:
        alone = PaperInfo(**client.get(f"/api/papers/{paper.id}").json())
        assert told(alone) == told(paper)
        assert (alone.published_at, alone.submitted_at) == (paper.published_at, paper.submitted_at)
