"""Who gets which papers: the arrays of `choose` against an obvious composer of one reader's letter."""

from dataclasses import replace
from random import Random
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.compose import (
    FAIR,
    NO_CAP,
    TIER,
    TRENDING,
    TRENDING_DEPTH,
    Candidates,
    Choice,
    Readers,
    Section,
    Tastes,
    best_first,
    choose,
    digests,
)
from subscriptions.matching import ABSTRACT, KEYWORD, TITLE, Matches


class Topic(NamedTuple):
    """Papers that a topic means, each with its tier."""

    found: dict[int, int]
    cap: int = NO_CAP


class Reader(NamedTuple):
    topics: tuple[Topic, ...] = ()
    most: int = 10
    trending: bool = False
    kind: int = 0
    sent: frozenset[int] = frozenset()
    #: by how many ranks each paper falls behind for this reader, where they have a taste
    taste: tuple[int, ...] | None = None
    votes: int = 0


class World(NamedTuple):
    readers: tuple[Reader, ...]
    papers: int
    #: for each kind of reader, the papers it does not want
    hidden: tuple[frozenset[int], ...] = (frozenset(),)
    #: of each paper, from the first on; the others have none
    votes: tuple[int, ...] = ()

    def votes_of(self, paper):
        return self.votes[paper] if paper < len(self.votes) else 0


def chosen(world):
    """Each reader's sections, as `choose` fills them: a list of (number of the topic or -1, papers)."""
    topics = [(number, topic) for number, reader in enumerate(world.readers) for topic in reader.topics]
    # Readers with the same query share a row of the matches.
    distinct = list(dict.fromkeys(tuple(sorted(topic.found.items())) for _, topic in topics))
    readers = Readers(
        most=np.array([reader.most for reader in world.readers], np.int32),
        votes=np.array([reader.votes for reader in world.readers], np.int32),
        trending=np.array([reader.trending for reader in world.readers], np.bool_),
        kind=np.array([reader.kind for reader in world.readers], np.int8),
        reader=np.array([number for number, _ in topics], np.int32),
        query=np.array([distinct.index(tuple(sorted(topic.found.items()))) for _, topic in topics], np.int32),
        cap=np.array([topic.cap for _, topic in topics], np.int32),
    )
    matches = Matches(
        np.cumsum([0, *map(len, distinct)]).astype(np.int64),
        np.array([paper for row in distinct for paper, _ in row], np.int32),
        np.array([tier for row in distinct for _, tier in row], np.int8),
    )
    visible = np.array([[paper not in row for paper in range(world.papers)] for row in world.hidden], np.bool_)
    sent = [number * world.papers + paper for number, reader in enumerate(world.readers) for paper in reader.sent]
    tastes = [reader.taste for reader in world.readers if reader.taste is not None]
    rows = np.cumsum([reader.taste is not None for reader in world.readers]).astype(np.int32) - 1
    choice = choose(
        readers,
        Candidates(
            visible=visible.reshape(len(world.hidden), -1),
            votes=np.array([world.votes_of(paper) for paper in range(world.papers)], np.int32),
        ),
        best_first(matches, world.papers),
        np.array(sorted(sent), np.int64),
        Tastes(
            row=np.where([reader.taste is not None for reader in world.readers], rows, -1).astype(np.int32),
            shift=np.array(tastes, np.int32).reshape(len(tastes), world.papers),
            most=world.papers,
        ),
    )
    first = np.searchsorted(readers.reader, np.arange(len(world.readers)))
    sections = [{} for _ in world.readers]
    for number, topic, paper in zip(choice.reader, choice.topic, choice.paper, strict=True):
        name = int(topic - first[number]) if topic >= 0 else -1
        sections[number].setdefault(name, []).append(int(paper))
    return [list(mine.items()) for mine in sections]


def composed(reader, world):
    """The letter of one reader, step by step."""
    wanted = [
        paper for paper in range(world.papers) if paper not in world.hidden[reader.kind] and paper not in reader.sent
    ]
    taste = reader.taste or (0,) * world.papers
    telling = [paper for paper in wanted if world.votes_of(paper) >= reader.votes]
    best = {}  # paper: (worth, topic); a smaller worth is better
    for paper in telling:
        tiers = [(-topic.found[paper], at) for at, topic in enumerate(reader.topics) if paper in topic.found]
        if tiers:
            tier, at = min(tiers)
            best[paper] = (paper + (TITLE + tier) * int(world.papers * TIER) + taste[paper], at)
    order = sorted(best, key=lambda paper: (best[paper][0], paper))
    capped = []
    for paper in order:
        at = best[paper][1]
        if sum(best[other][1] == at for other in capped) < reader.topics[at].cap:
            capped.append(paper)
    near = set()
    for topic in reader.topics:
        worth = {paper: paper + (TITLE - tier) * int(world.papers * TIER) + taste[paper]
                 for paper, tier in topic.found.items() if paper in telling}  # fmt: skip
        near |= set(sorted(worth, key=lambda paper: (worth[paper], paper))[:FAIR])
    kept = sorted(capped, key=lambda paper: paper not in near)[: reader.most]
    kept.sort(key=order.index)
    sections = [(at, [paper for paper in kept if best[paper][1] == at]) for at in range(len(reader.topics))]
    room = min(reader.most - len(kept), TRENDING if reader.topics else reader.most) if reader.trending else 0
    top = sorted(
        (paper for paper in wanted if paper < TRENDING_DEPTH and paper not in kept),
        key=lambda paper: (paper + taste[paper], paper),
    )
    trending = top[:room]
    return [(at, papers) for at, papers in [*sections, (-1, trending)] if papers]


def random_world(random):
    papers = random.choice((0, 1, 2, 3, 9, 40, TRENDING_DEPTH - 1, TRENDING_DEPTH + 60))
    kinds = random.randint(1, 4)

    def some(share):
        return frozenset(paper for paper in range(papers) if random.random() < share)

    queries = [
        {paper: random.choice((ABSTRACT, KEYWORD, TITLE)) for paper in some(random.choice((0, 0.1, 0.5, 1)))}
        for _ in range(random.randint(1, 5))
    ]
    caps = random.choice(((NO_CAP,), (1, 2, 3), (0, 1, 5, NO_CAP)))
    return World(
        readers=tuple(
            Reader(
                topics=tuple(
                    Topic(random.choice(queries), random.choice(caps)) for _ in range(random.choice((0, 0, 1, 2, 4)))
                ),
                most=random.choice((0, 1, 2, 5, 10, 300)),
                trending=random.random() < 0.5,
                kind=random.randrange(kinds),
                sent=some(random.choice((0, 0, 0.2, 0.9))),
                taste=random.choice((None, None, tuple(random.randint(0, papers) for _ in range(papers)))),
                votes=random.choice((0, 0, 1, 5, 99)),
            )
            for _ in range(random.choice((0, 1, 2, 3, 8)))
        ),
        papers=papers,
        hidden=tuple(some(random.choice((0, 0, 0.3, 1))) for _ in range(kinds)),
        votes=tuple(random.choice((0, 1, 2, 5, 6, 40)) for _ in range(papers)),
    )


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 2**40))
def test_all_readers_at_once_get_what_each_would_get_alone(seed):
    world = random_world(Random(seed))

    assert chosen(world) == [composed(reader, world) for reader in world.readers]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**40))
def test_a_reader_gets_the_same_whoever_else_reads(seed):
    world = random_world(Random(seed))

    backwards = chosen(world._replace(readers=world.readers[::-1]))

    assert backwards[::-1] == chosen(world)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**40))
def test_what_was_chosen_yesterday_is_not_chosen_again(seed):
    world = random_world(Random(seed))
    had = [{paper for _, papers in sections for paper in papers} for sections in chosen(world)]
    tomorrow = [reader._replace(sent=reader.sent | more) for reader, more in zip(world.readers, had, strict=True)]

    for sections, reader in zip(chosen(world._replace(readers=tuple(tomorrow))), tomorrow, strict=True):
        papers = [paper for _, section in sections for paper in section]
        assert not reader.sent.intersection(papers)
        assert len(papers) == len(set(papers)) <= reader.most


def letter(reader, papers=10, hidden=(frozenset(),)):
    return chosen(World((reader,), papers, hidden))[0]


def titles(*papers):
    return Topic(dict.fromkeys(papers, TITLE))


def test_sections_stand_in_the_readers_own_order_and_trending_last():
    reader = Reader((titles(5, 6), titles(1)), trending=True, most=4)

    assert letter(reader) == [(0, [5, 6]), (1, [1]), (-1, [0])]


def test_a_paper_stands_where_it_was_met_most_tellingly():
    reader = Reader((Topic({3: ABSTRACT}), Topic({3: TITLE}), Topic({3: KEYWORD})))

    assert letter(reader) == [(1, [3])]


def test_a_paper_stands_where_it_was_met_most_tellingly_however_far_down_it_is_there():
    reader = Reader((titles(*range(10)), Topic({9: ABSTRACT})), most=5)

    assert letter(reader) == [(0, [0, 1, 2, 3, 9])]


def test_a_paper_that_several_topics_met_equally_stands_in_the_first():
    assert letter(Reader((titles(4), titles(4, 5)))) == [(0, [4]), (1, [5])]


def test_a_title_outweighs_half_of_all_ranks_for_each_step():
    reader = Reader((Topic({0: ABSTRACT, 4: KEYWORD, 9: TITLE, 10: TITLE}),))

    assert letter(reader, papers=10 + 1) == [(0, [4, 9, 0, 10])]


def test_a_topic_has_no_more_papers_than_its_cap_and_a_letter_no_more_than_the_reader_wants():
    reader = Reader((titles(0, 1, 2)._replace(cap=2), titles(3, 4, 5)), most=4)

    assert letter(reader) == [(0, [0, 1]), (1, [3, 4])]


def test_a_paper_over_the_cap_of_its_best_topic_is_in_no_other():
    reader = Reader((titles(0, 1)._replace(cap=1), Topic({1: ABSTRACT})))

    assert letter(reader) == [(0, [0])]


def test_a_paper_over_a_cap_may_still_be_trending():
    assert letter(Reader((titles(0, 1)._replace(cap=1),), trending=True, most=3)) == [(0, [0]), (-1, [1, 2])]


def test_beside_topics_a_few_papers_are_trending_and_without_topics_as_many_as_are_wanted():
    assert letter(Reader((titles(0),), trending=True)) == [(0, [0]), (-1, [1, 2, 3, 4, 5])]
    assert letter(Reader((Topic({}),), trending=True)) == [(-1, [0, 1, 2, 3, 4])]
    assert letter(Reader(trending=True)) == [(-1, list(range(10)))]
    assert letter(Reader()) == []


def test_trending_papers_come_from_the_top_of_the_edition():
    far = frozenset(range(TRENDING_DEPTH))

    assert letter(Reader(trending=True, sent=far), papers=TRENDING_DEPTH + 5) == []
    assert letter(Reader(trending=True, sent=far - {7}), papers=TRENDING_DEPTH + 5) == [(-1, [7])]


def test_what_was_sent_or_is_not_wanted_makes_room_for_the_next():
    reader = Reader((titles(0, 1, 2, 3),), most=2, kind=1, sent=frozenset({1}))

    assert letter(reader, hidden=(frozenset(), frozenset({0}))) == [(0, [2, 3])]


def test_no_topic_drowns_another():
    reader = Reader((titles(*range(10)), Topic(dict.fromkeys(range(20, 30), ABSTRACT))), most=6)

    assert letter(reader, papers=30) == [(0, [0, 1, 2]), (1, [20, 21, 22])]
    assert letter(reader._replace(most=7), papers=30) == [(0, [0, 1, 2, 3]), (1, [20, 21, 22])]


def test_a_taste_moves_papers_within_topics_and_among_the_trending():
    taste = (9, 9, 0, 9, 9, 9, 0, 9, 9, 9)

    assert letter(Reader((titles(1, 2, 3),), most=2, taste=taste)) == [(0, [2, 1])]
    assert letter(Reader(trending=True, most=3, taste=taste)) == [(-1, [2, 6, 0])]


def test_a_reader_who_wants_votes_gets_no_topics_papers_with_fewer():
    reader = Reader((titles(0, 1, 2, 3),), most=2, votes=5, trending=True)

    assert chosen(World((reader,), 4, votes=(4, 5, 0, 9)))[0] == [(0, [1, 3])]
    assert chosen(World((reader._replace(most=4),), 4, votes=(4, 5, 0, 9)))[0] == [(0, [1, 3]), (-1, [0, 2])]


def test_papers_with_too_few_votes_take_no_place_of_a_topics_best():
    two = Reader((titles(*range(10)), Topic(dict.fromkeys(range(20, 30), ABSTRACT))), most=4, votes=1)
    votes = (0, 0, 0, *[1] * 27)

    assert chosen(World((two,), 30, votes=votes))[0] == [(0, [3, 4, 5]), (1, [20])]


def test_too_many_at_once_are_refused_rather_than_mixed_up():
    readers = Readers(
        most=np.ones(1, np.int32),
        votes=np.zeros(1, np.int32),
        trending=np.zeros(1, np.bool_),
        kind=np.zeros(1, np.int8),
        reader=np.zeros(1, np.int32),
        query=np.zeros(1, np.int32),
        cap=np.full(1, NO_CAP, np.int32),
    )
    candidates = Candidates(visible=np.broadcast_to(np.False_, (1, 2**62)), votes=np.zeros(0, np.int32))
    matches = Matches(np.array([0, 0]), np.zeros(0, np.int32), np.zeros(0, np.int8))

    with pytest.raises(ValueError, match="Compose in smaller blocks"):
        choose(replace(readers, most=np.ones(2, np.int32)), candidates, matches, np.zeros(0, np.int64))


def choice(*rows):
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    return Choice(*(np.array(column, np.int64) for column in columns))


def test_a_choice_becomes_a_digest_for_each_reader():
    rows = choice((0, 0, 2), (0, 0, 1), (0, 1, 0), (0, -1, 3), (2, -1, 0), (2, -1, 2))

    first, second, third = digests(
        rows, 3, labels=["Robots", "Cats"], queries=["robot*", "cat"], papers=[10, 11, 12, 13]
    )

    assert first.sections == (
        Section("Robots", "robot*", (12, 11)),
        Section("Cats", "cat", (10,)),
        Section("", "", (13,)),
    )
    assert first.papers == (12, 11, 10, 13)
    assert second.sections == second.papers == ()
    assert third.sections == (Section("", "", (10, 12)),)


def test_trending_papers_of_two_readers_are_two_sections():
    rows = choice((0, -1, 0), (1, -1, 0))

    assert [digest.papers for digest in digests(rows, 2, labels=[], queries=[], papers=[7])] == [(7,), (7,)]


def test_nothing_chosen_is_an_empty_digest_each():
    assert [digest.papers for digest in digests(choice(), 2, labels=[], queries=[], papers=[])] == [(), ()]
