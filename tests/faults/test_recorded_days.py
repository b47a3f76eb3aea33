"""The whole daily job over every day that was recorded, and what it must come to by a plain count of the recordings."""

import gzip
import json
import re
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from email import message_from_bytes, policy
from io import StringIO
from itertools import zip_longest
from types import SimpleNamespace

import pytest
from django.core.management import call_command

from digest import reasons
from digest.management import jobs
from digest.models import Delivery, Edition, Listing, Observation, Paper, Placement, Readership, Source
from subscriptions import clock as real_clock
from subscriptions.models import Subscriber, Subscription
from subscriptions.query import Document, matches, parse
from tests import make
from tests.recorded import lines, need

pytestmark = pytest.mark.django_db
CATEGORIES = ("cs.CL", "cs.CV", "cs.AI")
TOPICS = {
    "Agents": 'agent OR "tool use"',
    "World models": '"world model" OR "world models"',
    "Language": "cat:cs.CL reasoning NOT survey",
    "Pictures": "cat:cs.CV (diffusion OR title:generation)",
    "Loved": "votes:>=20",
    "With code": "has:code benchmark*",
    "Robots": "robot* OR embodied",
    "Medicine": "medical OR clinical OR abstract:patient",
    "Speech": "speech OR audio",
    "Nothing": "unheardofword",
}
READERS = {
    "daily": {"topics": ["Agents", "World models"]},
    "weekdays": {"topics": ["Language", "Pictures"], "cadence": "weekdays"},
    "weekly": {"topics": ["Robots", "Medicine"], "cadence": "weekly", "send_days": 1},
    "saturdays": {"topics": ["Speech", "Agents"], "cadence": "weekly", "send_days": 0b0100000, "max_papers": 50},
    "chosen": {"topics": ["Loved"], "cadence": "chosen", "send_days": 0b1011111},
    "weekly, more": {"topics": ["With code"], "cadence": "weekly", "send_days": 1, "max_papers": 100},
    "everything": {"topics": ["Agents", "Language", "Pictures", "Loved", "Speech"], "max_papers": 100},
    "few": {"topics": ["Agents", "Loved"], "max_papers": 3, "wants_trending": False},
    "narrow": {"topics": ["Nothing"], "wants_trending": False},
    "no cross-lists": {"topics": ["Language"], "wants_cross_lists": False, "format": "text"},
    "no topics": {"topics": []},
    "no topics, weekdays": {"topics": [], "cadence": "weekdays", "max_papers": 8, "time_zone": "Asia/Tokyo"},
}
TABLES = (Paper, Listing, Observation, Edition, Placement, Delivery, Readership)


# The recordings, counted without the product ------------------------------------------------------------------------


def hugging_face():
    """day → the items of its list."""
    files = sorted(need("hf_daily").glob("*.json.gz"))
    return {date.fromisoformat(file.name[:10]): json.loads(gzip.decompress(file.read_bytes())) for file in files}


def arxiv():
    """day → the papers that arXiv listed in one of the categories or in several."""
    days = {}
    for paper in lines("arxiv_listing.jsonl.gz"):
        day = days.setdefault(date.fromisoformat(paper["listed"]), [])
        if set(CATEGORIES) & set(paper["categories"]):
            day.append(paper)
    return days


def expected_listings(hugging_face, arxiv):
    """(source, day, paper, announce) of every listing there is."""
    listings = {
        ("huggingface", day, item["paper"]["id"], "new") for day, items in hugging_face.items() for item in items
    }
    for day, papers in arxiv.items():
        for paper in papers:
            primary = paper["categories"][0]
            listings |= {
                (f"arxiv.{category}", day, paper["id"], "new" if primary == category else "cross")
                for category in set(paper["categories"]) & set(CATEGORIES)
            }
    return listings


# Days as they go by -------------------------------------------------------------------------------------------------


@pytest.fixture
def go(replay, clock, limits, settings, monkeypatch):
    """Do the job of a day as its own present day; returns what the command says."""
    settings.DIGEST_ARXIV_CATEGORIES = list(CATEGORIES)
    settings.EMAIL_BACKEND = "subscriptions.outbox.EmailBackend"
    monkeypatch.setattr(real_clock, "now", clock.now)
    monkeypatch.setattr(jobs, "time", SimpleNamespace(sleep=clock.sleep))

    def go(day):
        settings.DIGEST_TODAY = day
        replay.today = day
        clock.at = datetime.combine(day, time(8), UTC)
        said = StringIO()
        call_command("daily", stdout=said, verbosity=0)
        return said.getvalue()

    return go


def rows():
    return {table.__name__: list(table.objects.order_by("pk").values()) for table in TABLES}


def changes(before, after):
    """A few of the rows that differ: pytest would compare thousands letter by letter."""
    return [
        (table, old, new) for table in before for old, new in zip_longest(before[table], after[table]) if old != new
    ][:3]


def letters(settings):
    return sorted(file.name for file in settings.DIGEST_OUTBOX_DIR.glob("*.eml"))


def papers_of(delivery):
    return [paper for _, _, papers in delivery.sections for paper in papers]


def test_every_recorded_day_is_worked_off_without_fault_and_doing_it_all_again_changes_nothing(go, settings):
    lists, announced = hugging_face(), arxiv()
    days = sorted({*lists, *announced})
    for name, values in READERS.items():
        topics = [(label, TOPICS[label]) for label in values["topics"]]
        make.subscriber(f"{name.replace(' ', '.').replace(',', '')}@example.net", **{**values, "topics": topics})

    said = {day: go(day) for day in days}

    assert not [text for text in said.values() if "failed" in text or "could not" in text]
    assert {(source.state, source.failures, source.last_error) for source in Source.objects.all()} == {("fine", 0, "")}
    assert_papers_and_listings(lists, announced)
    assert_editions(lists, announced)
    assert_letters(settings)

    before, outbox = rows(), letters(settings)
    for day in days:
        go(day)
    assert changes(before, rows()) == []
    assert letters(settings) == outbox


def assert_papers_and_listings(lists, announced):
    expected = expected_listings(lists, announced)
    stored = Listing.objects.values_list("source__name", "day", "paper__identifier", "announce")
    assert len(expected) > 8000
    assert sorted(set(stored) ^ expected)[:3] == []
    assert len(stored) == len(expected)
    assert sorted(set(Paper.objects.values_list("identifier", flat=True)) ^ {row[2] for row in expected})[:3] == []
    for source in Source.objects.all():
        assert source.listings_count == source.listings.count()
    assert sum(Source.objects.values_list("papers_count", flat=True)) == Paper.objects.count()
    for items in lists.values():
        votes = {item["paper"]["id"]: item["paper"]["upvotes"] for item in items}
        assert dict(Paper.objects.filter(identifier__in=votes).values_list("identifier", "votes")) == votes


def assert_editions(lists, announced):
    """An edition for each day that listed anything, with every paper of it, and none for the others."""
    listed = {day: {item["paper"]["id"] for item in items} for day, items in lists.items()}
    for day, papers in announced.items():
        listed.setdefault(day, set()).update(paper["id"] for paper in papers)
    with_papers = {day for day, papers in listed.items() if papers}
    editions = {edition.date: edition for edition in Edition.objects.all()}
    assert editions.keys() == with_papers
    assert {edition.status for edition in editions.values()} == {"published"}
    for day, papers in listed.items():
        if papers:
            placed = editions[day].placements.values_list("paper__identifier", "paper__votes")
            # Two days running a paper stands in an edition only if readers have noticed it.
            before = set(
                Placement.objects.filter(edition__date__lt=day, edition__date__gte=day - timedelta(days=3))
                .values_list("paper__identifier", flat=True)
            )  # fmt: skip
            assert papers - before <= {identifier for identifier, _ in placed}
    assert min(Counter(Placement.objects.values_list("paper", flat=True)).values()) >= 1
    assert set(Paper.objects.filter(placements=None).values_list("identifier", flat=True)) == set()


def assert_letters(settings):
    deliveries = list(Delivery.objects.order_by("pk").select_related("subscriber"))
    assert {row.status for row in deliveries} == {"sent", "excluded"}
    assert {row.reason for row in deliveries if row.status == "excluded"} == {"no paper matched"}
    sent = [row for row in deliveries if row.status == "sent"]
    assert len(letters(settings)) == len(sent)
    given = Counter((row.subscriber_id, paper) for row in sent for paper in papers_of(row))
    assert set(given.values()) == {1}
    noted = Counter()
    for row in Readership.objects.all():
        packed = bytes(row.subscribers)
        noted.update((int.from_bytes(packed[at : at + 4], "little"), row.paper_id) for at in range(0, len(packed), 4))
    assert list((noted - given) + (given - noted))[:3] == []

    names = dict(Subscriber.objects.values_list("pk", "email"))
    letters_of = Counter(names[row.subscriber_id].split("@")[0] for row in sent)
    assert letters_of.keys() == {name.replace(" ", ".").replace(",", "") for name in READERS} - {"narrow"}
    for row in sent:
        assert 0 < len(papers_of(row)) == row.papers_count <= row.subscriber.max_papers
        assert row.subscriber.cadence != "weekdays" or row.day.weekday() < 5
        assert row.subscriber.cadence != "weekly" or row.day.weekday() == (0 if row.subscriber.send_days == 1 else 5)
        assert row.subscriber.wants_trending or all(label for label, _, _ in row.sections)


# One day, one topic -------------------------------------------------------------------------------------------------


def documents(day):
    """What the recordings hold for the edition of a day on which reading began: (title, document) by identifier."""
    found, lists = {}, hugging_face()
    for back in (2, 1, 0):
        for item in lists.get(day - timedelta(days=back), []):
            paper = item["paper"]
            organization = paper.get("organization") or {}
            links = {"code": "githubRepo", "project": "projectPage", "summary": "ai_summary"}
            found[paper["id"]] = {
                "title": paper["title"],
                "abstract": paper["summary"],
                "authors": [author["name"] for author in paper["authors"] if not author.get("hidden")],
                "organizations": [organization[key] for key in ("fullname", "name") if key in organization],
                "keywords": paper.get("ai_keywords") or [],
                "sources": ["huggingface"],
                "properties": {name for name, key in links.items() if paper.get(key)} | {"thumbnail"},
                "votes": paper["upvotes"],
                "stars": paper.get("githubStars") or 0,
                "comments": item["numComments"],
            }
    for paper in arxiv()[day]:
        values = found.setdefault(paper["id"], {})
        values |= {"title": paper["title"], "abstract": paper["summary"], "authors": paper["authors"]}
        values["categories"] = tuple(paper["categories"])
        values["sources"] = [
            *values.get("sources", []),
            *(f"arxiv.{name}" for name in CATEGORIES if name in paper["categories"]),
        ]
    return {
        identifier: Document(identifier=identifier, **{key: _frozen(value) for key, value in values.items()})
        for identifier, values in found.items()
    }


def _frozen(value):
    if isinstance(value, str):
        return " ".join(value.split())
    return {list: tuple, set: frozenset}.get(type(value), lambda same: same)(value)


def test_the_digest_of_a_day_holds_what_a_plain_loop_over_the_recordings_finds_with_the_reasons(go, settings):
    day = date(2026, 6, 3)
    topics = TOPICS | {
        "Listed there": "source:huggingface",
        "Both": "source:huggingface cat:cs.CV",
        "Title": "title:model",
    }
    readers = {
        label: make.subscriber(topics=[(label, query)], max_papers=5000, wants_trending=False)
        for label, query in topics.items()
    }

    go(day)

    recorded = documents(day)
    assert len(recorded) > 350
    texts = {
        letter["To"]: letter.get_body(("plain",)).get_content().replace("\r\n", "\n")
        for file in settings.DIGEST_OUTBOX_DIR.glob("*.eml")
        for letter in [message_from_bytes(file.read_bytes(), policy=policy.default)]
    }
    identifiers = dict(Paper.objects.values_list("pk", "identifier"))
    for label, reader in readers.items():
        query = parse(topics[label])
        found = {name: match for name, document in recorded.items() if (match := matches(query, document))}
        delivery = reader.deliveries.get()
        assert sorted(identifiers[paper] for paper in papers_of(delivery)) == sorted(found), label
        assert bool(found) == (label != "Nothing") == (delivery.status == "sent")
        if not found:
            continue
        text = texts[reader.email]
        shown = re.split(r"\n(?=→ )", text)
        assert len(shown) == len(found) + 1
        for paper, part in zip(papers_of(delivery), shown[1:], strict=True):
            identifier = identifiers[paper]
            assert f"https://arxiv.org/abs/{identifier}\n" in part
            why = reasons.reasons(found[identifier], recorded[identifier])
            said = f"→ {label}: {', '.join(map(str, why))}"
            assert " ".join(part.split("\n\n")[0].split()) == " ".join(said.split())
    assert Subscription.objects.count() == len(topics)
