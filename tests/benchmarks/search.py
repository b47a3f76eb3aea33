"""How well search finds recorded papers by their titles, beside plain BM25 and SQLite's FTS5, and how long it takes.

`python -m tests.benchmarks.search`, or as a part of `make bench`. Titles and subtitles are asked among abstracts alone.
"""

import os
import random
import re
import resource
import sqlite3
import sys
import time
from datetime import date

from tests import environment  # noqa: F401  settings of its own, before Django reads them

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "digest.config.settings")
import django

django.setup()

import bm25s  # noqa: E402
import numpy as np  # noqa: E402
import Stemmer  # noqa: E402

from digest import documents as reading  # noqa: E402
from digest import meaning, search  # noqa: E402
from digest.index import Index, Row, Vocabulary, pack  # noqa: E402
from subscriptions.query import Document, QueryError, parse  # noqa: E402
from tests import recorded  # noqa: E402

QUERIES, SIZES = 2_000, (10_000, 100_000)
KINDS = {
    "a word": "robot",
    "two words": "diffusion model",
    "a phrase": '"large language models"',
    "a star": "trans*",
    "a topic": '(robot* OR drone OR "embodied agent") -survey cat:cs votes:>=1',
    "a title": "learning robust representations of motion for manipulation from unlabelled video of people",
    "by meaning": 'about:"robots that learn from video"',
}


def peak():
    """MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def papers():
    """(title, abstract) of every recorded paper of Hugging Face, once."""
    seen = {row["id"]: row for row in recorded.lines("papers.jsonl.gz")}
    return [(" ".join(row["title"].split()), " ".join(row["summary"].split())) for row in seen.values()]


def made(texts, *, vectors=None):
    plain = [
        Document(f"2606.{number:05}", title=title, abstract=abstract, categories=("cs.CL",), sources=("arxiv",),
                 votes=number % 50, day=date(2026, 6, 1))
        for number, (title, abstract) in enumerate(texts)
    ]  # fmt: skip
    vectors = vectors or reading.vectors(plain)
    rows = [
        Row(key, "1", pack(paper), vector, paper.labels, paper.numbers)
        for key, (paper, vector) in enumerate(zip(plain, vectors, strict=True))
    ]
    start = time.perf_counter()
    index = Index(rows, Vocabulary())
    index.warm()
    return index, time.perf_counter() - start, vectors


def asked(index, text):
    try:
        query = parse(text)
    except QueryError:
        query = search._plain(text)
    return search._Asked(index, reading.resolved(query))


# How well -----------------------------------------------------------------------------------------------------------


def ranks(order_of, queries, targets):
    """Recall of the first, and the mean reciprocal rank: `order_of` gives papers, best first, as far as it goes."""
    found = []
    for query, target in zip(queries, targets, strict=True):
        order = list(order_of(query))
        found.append(1 / (order.index(target) + 1) if target in order else 0.0)
    return np.mean([one == 1 for one in found]), np.mean(found)


def by_scores(score_of):
    return lambda query: np.argsort(-score_of(query), kind="stable")[:1_000].tolist()


def quality(listed):
    titles, abstracts = [title for title, _ in listed], [abstract for _, abstract in listed]
    index, _, _ = made([("", abstract) for abstract in abstracts])
    chance = random.Random(1)
    subtitled = [at for at, title in enumerate(titles) if len(title.partition(":")[2].split()) >= 3]
    sets = {
        "title": [(titles[at], at) for at in sorted(chance.sample(range(len(titles)), QUERIES))],
        "subtitle": [(titles[at].partition(":")[2].strip(), at) for at in sorted(chance.sample(subtitled, QUERIES))],
    }
    stemmer = Stemmer.Stemmer("english")
    plain = bm25s.BM25()
    plain.index(bm25s.tokenize(abstracts, stopwords=None, stemmer=stemmer, show_progress=False), show_progress=False)
    full_text = sqlite3.connect(":memory:")
    full_text.execute("CREATE VIRTUAL TABLE papers USING fts5(abstract, tokenize='porter unicode61')")
    full_text.executemany("INSERT INTO papers (rowid, abstract) VALUES (?, ?)", enumerate(abstracts, start=1))

    def by_bm25s(query):
        tokens = bm25s.tokenize([query], stopwords=None, stemmer=stemmer, show_progress=False, return_ids=False)[0]
        return plain.get_scores([token for token in tokens if token in plain.vocab_dict])

    def by_fts5(query):
        wanted = " OR ".join(f'"{word}"' for word in re.findall(r"\w+", query))
        rows = full_text.execute("SELECT rowid - 1 FROM papers WHERE papers MATCH ? ORDER BY rank LIMIT 1000", [wanted])
        return [key for (key,) in rows]

    ways = {
        "ours: words, meaning, fused": lambda query: asked(index, query).order(mode="both"),
        "ours: words alone": by_scores(lambda query: asked(index, query).words),
        "ours: meaning alone": by_scores(lambda query: index.close(meaning.of_text(query))),
        "BM25 with Snowball (bm25s)": by_scores(by_bm25s),
        "SQLite FTS5 with porter": by_fts5,
    }
    head = f"{len(listed):,} abstracts, {QUERIES:,} queries each"
    print(f"{head:44}{'title R@1':>10}{'MRR':>8}{'subtitle R@1':>15}{'MRR':>8}")
    for name, way in ways.items():
        figures = [figure for each in sets.values() for figure in ranks(way, *zip(*each, strict=True))]
        print("{:44}{:>10.3f}{:>8.3f}{:>15.3f}{:>8.3f}".format(name, *figures), flush=True)


# How long -----------------------------------------------------------------------------------------------------------


def varied(listed, count):
    """As many papers, their sentences those of recorded ones in other company."""
    chance = random.Random(2)
    sentences = [sentence for _, abstract in listed for sentence in abstract.split(". ")]
    for number in range(count):
        yield listed[number % len(listed)][0], ". ".join(chance.choices(sentences, k=7))


def speed(listed):
    print(f"\n{'milliseconds a query: median, p95':44}" + "".join(f"{size:>16,} papers" for size in SIZES))
    lines = {name: f"{name:44}" for name in [*KINDS, "FTS5, the title, its first 50"]}
    for size in SIZES:
        texts = list(varied(listed, size))
        vectors = [vector.tobytes() for vector in np.random.default_rng(1).integers(-40, 40, (size, 256), np.int8)]
        before = peak()
        index, seconds, _ = made(texts, vectors=vectors)
        memory = sum(part.nbytes for part in (index.tokens, index.words, index.order, index.field, index.vectors))
        for name, text in KINDS.items():
            lines[name] += times(lambda text=text, index=index: asked(index, text).order(mode="both"))
        full_text = sqlite3.connect(":memory:")
        full_text.execute("CREATE VIRTUAL TABLE papers USING fts5(title, abstract, tokenize='porter unicode61')")
        full_text.executemany("INSERT INTO papers VALUES (?, ?)", texts)
        wanted = " OR ".join(KINDS["a title"].split())
        lines["FTS5, the title, its first 50"] += times(
            lambda db=full_text, wanted=wanted: db.execute(
                "SELECT rowid FROM papers WHERE papers MATCH ? ORDER BY rank LIMIT 50", [wanted]
            ).fetchall()
        )
        made_in = (
            f"index made in {seconds:.1f} s, its arrays {memory / 2**20:.0f} MB, peak {peak() - before:.0f} MB more"
        )
        lines[f"({size}"] = f"({size:,} papers: {made_in})"
    print("\n".join(lines.values()))


def times(ask, count=15):
    taken = []
    for _ in range(count):
        start = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - start) * 1000)
    taken.sort()
    return f"{taken[count // 2]:>14.1f}{taken[int(count * 0.95)]:>9.1f}"


if __name__ == "__main__":
    if not recorded.recorded_folder():
        sys.exit("This benchmark asks recorded papers: set PAPERBOY_RECORDED to their folder.")
    every = papers()
    quality(every)
    speed(every)
