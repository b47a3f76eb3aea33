"""A letter as the press writes it: its size, its words, its reasons. `tests/faults/test_messages.py` reads many."""

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from digest import names
from digest.deliveries import ledger
from digest.deliveries.queue import queue
from digest.explain import Explainer
from digest.letter import HTML_BYTES, Press, Presses
from digest.models import Edition
from digest.names import delivery_of, name_of
from digest.reasons import reasons
from subscriptions.query import Document, matches
from subscriptions.query.meaning import resolve
from tests import make
from tests.make import DAY, NOW
from tests.strict import read
from tests.subscriptions import queries

# The largest --------------------------------------------------------------------------------------------------------


def press(edition):
    batch = ledger.claim("w", now=NOW)
    taken = ledger.take(ledger.waiting(batch, now=NOW), worker="w", now=NOW, today=DAY)
    made = Press(Edition.objects.get(pk=edition.pk))
    made.prepare(row.sections for row in taken)
    return made, taken


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("word", "topics"),
    [("robot", 1), ("Überläufer", 20), ("机器人", 20), ("\U0001f916", 1), ("<&>\"'", 20), ("=", 1), (".", 1)],
)
def test_m3_the_largest_letter_fits(word, topics):
    many = [make.paper(f"Robot {number} {f'{word} ' * 60}"[:480], abstract=f"{word} " * 400,
                       authors=[{"name": f"{word} {n}", "hidden": False} for n in range(5)], votes=5)
            for number in range(100)]  # fmt: skip
    edition = make.edition(many)
    edition.placements.update(note=f"**{word}** " * 50)
    make.subscriber(
        topics=[((f"{word} {number} " * 10)[:80], f"robot -x{number}") for number in range(topics)], max_papers=100
    )
    queue(now=NOW, today=DAY)

    made, (row,) = press(edition)
    letter = read(made.write(row).as_bytes(now=NOW))

    assert letter.html_bytes <= HTML_BYTES
    assert row.papers_count == 100
    assert letter.text.count("https://arxiv.org/abs/") == 100
    assert re.search(r"and \d+ more on the web page", letter.html)


LONG = ("机器 " * 6_000, "word " * 5_000, "* x\n" * 5_000, "<" * 20_000, "[a](https://b.example) " * 900)


@pytest.mark.django_db
@pytest.mark.parametrize("intro", LONG, ids=["chinese", "words", "list", "angles", "links"])
def test_m3_a_long_introduction_leaves_room_for_the_way_out(intro):
    edition = make.edition([make.paper("Robots")], intro=intro)
    make.subscriber(topics=["robot"])
    queue(now=NOW, today=DAY)

    made, (row,) = press(edition)
    letter = read(made.write(row).as_bytes(now=NOW))

    assert letter.html_bytes <= HTML_BYTES
    assert "Robots" in letter.html
    assert letter.headers["List-Unsubscribe"].strip("<>") in letter.html


@pytest.mark.django_db
@pytest.mark.parametrize("place", ["title", "abstract", "ai_summary", "note", "intro", "label", "author"])
@pytest.mark.parametrize("word", ["reason", "sections", "x", "unsubscribe_url"])
def test_m9_nobodys_text_is_taken_for_a_place_to_fill(place, word):
    """Anybody can upload a paper; nobody can have a reader's links put into it, or stop the letters."""
    mark = f"\ue000{word}\ue001"
    text = f"Robots {mark} here"
    values = {place: text} if place in ("abstract", "ai_summary") else {}
    if place == "author":
        values = {"authors": [{"name": text, "hidden": False}]}
    paper = make.paper(text if place == "title" else "Robots", **values)
    edition = make.edition([paper], intro=text if place == "intro" else "")
    edition.placements.update(note=text if place == "note" else "")
    make.subscriber(topics=[(text if place == "label" else "Robots", "robot")])
    queue(now=NOW, today=DAY)

    made, (row,) = press(edition)
    letter = read(made.write(row).as_bytes(now=NOW))

    assert mark in letter.text
    assert mark in letter.html


@pytest.mark.django_db
def test_m1_the_message_is_the_same_on_every_attempt():
    edition = make.edition([make.paper("Robots")])
    make.subscriber(topics=["robot"])
    queue(now=NOW, today=DAY)
    made, (row,) = press(edition)

    first = read(made.write(row).as_bytes(now=NOW))
    again = read(Press(Edition.objects.get()).write(row._replace(attempts=3)).as_bytes(now=NOW + timedelta(days=1)))

    assert first.headers["Message-ID"] == again.headers["Message-ID"]
    assert first.headers["X-Delivery-ID"] == again.headers["X-Delivery-ID"]


# Names --------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 2**63 - 1))
def test_a_name_leads_back_to_its_delivery(delivery):
    name = name_of(delivery)

    assert delivery_of(name) == delivery
    assert len(f"bounces+{name}") <= 64
    assert re.fullmatch(r"[0-9a-f-]+", name)


def test_a_name_of_an_older_key_still_leads_back(settings):
    old = name_of(7)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new" * 20, [settings.SECRET_KEY]

    assert name_of(7) != old
    assert delivery_of(old) == delivery_of(name_of(7)) == 7
    settings.SECRET_KEY_FALLBACKS = []
    assert delivery_of(old) is None


@given(st.integers(1, 2**40), st.data())
def test_a_forged_name_is_refused(delivery, data):
    number, mark = name_of(delivery).split("-")
    at = data.draw(st.integers(0, len(mark) - 1))
    other = data.draw(st.sampled_from("0123456789abcdef".replace(mark[at], "")))
    forged = [
        f"{number}-{mark[:at]}{other}{mark[at + 1 :]}", f"{delivery + 1:x}-{mark}", f"{number}-{mark}\n",
        f" {number}-{mark}",
        f"{number}-{mark[:-1]}", f"{number}-{mark}0", f"{number}{mark}", f"-{mark}", f"{number}-",
        f"{number.upper()}-{mark.upper()}A",
    ]  # fmt: skip

    assert [delivery_of(name) for name in forged] == [None] * len(forged)


@given(st.text(max_size=60))
def test_any_other_text_is_no_name(text):
    assert delivery_of(text) is None


@pytest.mark.parametrize(
    "text", ["٣-" + "0" * 20, "1-" + "٠" * 20, "f" * 16 + "-" + "0" * 20, "f" * 400 + "-" + "0" * 20]
)
def test_digits_of_other_scripts_and_huge_numbers_are_no_names(text):
    assert delivery_of(text) is None


def test_names_are_not_those_of_a_neighbour():
    assert len({name_of(number).split("-")[1] for number in range(2_000)}) == 2_000
    assert names.delivery_of("1-" + name_of(2).split("-")[1]) is None


# Reasons ------------------------------------------------------------------------------------------------------------


@given(st.lists(queries.trees, min_size=1, max_size=8), queries.documents)
@hypothesis_settings(max_examples=300)
def test_the_explainer_gives_the_reasons_of_the_matcher(trees, document):
    explainer = Explainer(document, lambda query: resolve(query, queries.point_of))
    for tree in trees:
        query = str(tree)
        match = matches(queries.read(query), document)
        found = explainer.reasons(query)
        if match:
            assert found == reasons(match, document)
        else:
            assert [reason.what for reason in found] == ["matched when the edition was made"]


def test_the_explainer_keeps_many_topics_apart():
    document = Document("2606.90001", title="World models for robots")
    explainer = Explainer(document)

    told = [explainer.encoded(f"robots -x{number}").text for number in range(400)]
    again = [explainer.encoded(f"robots -x{number}").text for number in range(400)]

    assert told == again
    assert set(told) == {b"robots in the title=\r\n"}


# The way out of one topic -------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_each_topic_ends_with_a_link_that_leaves_it_and_the_trending_papers_have_none(client):
    edition = make.edition([make.paper("Robot & arm"), make.paper("Soup"), make.paper("Else")])
    reader = make.subscriber(topics=[("Robots & <arms>", "robot"), ("Soup", "soup")])
    queue(now=NOW, today=DAY)
    made, (row,) = press(edition)

    letter = read(made.write(row).as_bytes(now=NOW))

    found = re.findall(r"Leave this topic: (\S+)", letter.text)
    assert found == re.findall(r'href="([^"]*)"[^>]*>Leave this topic', letter.html)
    assert len(found) == 2
    assert letter.html.count("<a ") == letter.html.count('target="_blank"')  # letters are shown in frames
    assert letter.text.index("Soup\n====") < letter.text.index(found[1]) < letter.text.index("Trending today")
    path = found[1].partition("example.org")[2]
    assert "Leave the topic “Soup”?" in client.get(path).content.decode()
    client.post(path)
    assert [row.label for row in reader.subscriptions.all()] == ["Robots & <arms>"]


# Presses ------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_presses_are_kept_by_edition_and_language_and_the_one_longest_unused_is_given_up():
    edition = make.edition([make.paper("Robots")])
    make.subscriber(topics=["robot"])
    queue(now=NOW, today=DAY)
    _, (row,) = press(edition)
    presses = Presses()
    made = {language: presses.of(row._replace(language=language), now=NOW) for language in "abcdefgh"}

    assert presses.of(row._replace(language="a"), now=NOW) is made["a"]
    presses.of(row._replace(language="i"), now=NOW)
    assert presses.of(row._replace(language="a"), now=NOW) is made["a"]
    assert presses.of(row._replace(language="b"), now=NOW) is not made["b"]
    assert presses.of(row._replace(language="a"), now=NOW + Presses.KEPT) is not made["a"]
