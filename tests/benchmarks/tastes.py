"""What a taste does on recorded days, and what a hundred thousand of them cost.

`python -m tests.benchmarks.tastes`, or as a part of `make bench`.
"""

import os
import random
import resource
import time
from itertools import groupby
from operator import itemgetter

from tests import environment  # noqa: F401  settings of its own, before Django reads them

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "digest.config.settings")
import django

django.setup()

import numpy as np  # noqa: E402

from digest import meaning  # noqa: E402
from digest.taste import Opinions, shifts  # noqa: E402
from tests import recorded  # noqa: E402

THEMES = ("video", "robot", "agent", "reasoning", "diffusion")
LETTERS, DAYS = 5, 10
READERS, SAID, PAPERS, BLOCK = 100_000, 20, 500, 5_000


def days():
    """The last recorded days of papers, best first: a list of (title and abstract, vector) each."""
    rows = sorted(recorded.lines("papers.jsonl.gz"), key=lambda row: (row["date"], -(row["upvotes"] or 0), row["id"]))
    found = [list(day) for _, day in groupby(rows, itemgetter("date"))]
    found = [day for day in found if len(day) >= 20][-(LETTERS + DAYS) :]
    return [
        list(zip(texts, meaning.vectors(texts), strict=True))
        for day in found
        if (texts := [f"{row['title']}\n{row['summary']}" for row in day])
    ]


def whole(vectors):
    return np.stack([np.frombuffer(vector, np.int8) for vector in vectors])


def simulated(theme, seed, listed):
    """A reader of one theme answers LETTERS letters, more for the theme and less for two others; then only reads.

    Returns where the theme's papers stood on the days after, 0 for the first place and 1 for the last, in the order of
    the edition and in the reader's own.
    """
    chance = random.Random(seed)
    said, before, after = [], [], []
    for number, day in enumerate(listed):
        fits = np.array([theme in text.lower() for text, _ in day])
        if number < LETTERS:
            said += [(vector, True) for (_, vector), fit in zip(day, fits, strict=True) if fit]
            others = [vector for (_, vector), fit in zip(day, fits, strict=True) if not fit]
            said += [(vector, False) for vector in chance.sample(others, min(2, len(others)))]
            continue
        opinions = Opinions(
            1, np.zeros(len(said), np.int32), whole(vector for vector, _ in said), np.array([more for _, more in said])
        )
        shift = shifts(opinions, whole(vector for _, vector in day))[0]
        place = np.argsort(np.argsort(np.arange(len(day)) + shift, kind="stable"))
        before += (np.flatnonzero(fits) / (len(day) - 1)).tolist()
        after += (place[fits] / (len(day) - 1)).tolist()
    return float(np.mean(before)), float(np.mean(after))


def random_vectors(chance, count):
    vectors = chance.normal(size=(count, 256))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.clip(np.rint(vectors * 254), -127, 127).astype(np.int8)


def main():
    if recorded.recorded_folder():
        print(f"A reader answers {LETTERS} letters. Where the theme's papers stand on the {DAYS} days after:")
        listed = days()
        for theme in THEMES:
            results = [simulated(theme, seed, listed) for seed in range(5)]
            before, after = np.mean(results, axis=0)
            worst = max(mine for _, mine in results)
            print(f"  {theme:12}{before:.2f} in the edition, {after:.2f} in the letter ({worst:.2f} by the worst seed)")
    chance = np.random.default_rng(1)
    papers, rated = random_vectors(chance, PAPERS), random_vectors(chance, 5_000)
    base, start = peak(), time.perf_counter()
    for _ in range(0, READERS, BLOCK):
        reader = np.repeat(np.arange(BLOCK, dtype=np.int32), SAID)
        picked = chance.integers(0, len(rated), len(reader))
        shifts(Opinions(BLOCK, reader, rated[picked], chance.random(len(reader)) < 0.6), papers)
    seconds = time.perf_counter() - start
    print(
        f"{READERS:,} readers with {SAID} opinions each, {PAPERS} papers: {seconds:.1f} s, {peak() - base:.0f} MB more"
    )


def peak():
    """MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
