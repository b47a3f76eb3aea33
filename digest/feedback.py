"""What readers say of papers, and the taste that comes of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from operator import itemgetter

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from digest import compose, taste
from digest.documents import documents
from digest.models import Feedback, Paper
from subscriptions.models import Subscriber

Kind = Feedback.Kind
#: A reader's newest opinions that count.
MOST = 200
#: Words of the papers that a taste is told in.
WORDS = 12
_OPPOSITE = {Kind.MORE: Kind.LESS, Kind.LESS: Kind.MORE}


@dataclass(frozen=True, slots=True)
class Learned:
    """What a reader said, newest first, and the keywords that papers liked have more often than others, and fewer."""

    said: list[Feedback]
    liked: list[str]
    disliked: list[str]


@transaction.atomic
def give(subscriber: Subscriber, paper: Paper, kind: str, *, now: datetime) -> None:
    """Note what a reader says of a paper. More takes back less, and less more; saying it again changes nothing."""
    mine = Feedback.objects.filter(subscriber=subscriber, paper=paper)
    if opposite := _OPPOSITE.get(Kind(kind)):
        mine.filter(kind=opposite).delete()
    Feedback.objects.get_or_create(subscriber=subscriber, paper=paper, kind=kind, defaults={"at": now})


def take_back(subscriber: Subscriber, paper: Paper, kind: str) -> None:
    Feedback.objects.filter(subscriber=subscriber, paper=paper, kind=kind).delete()


def reset(subscriber: Subscriber) -> int:
    """Forget a reader's taste; what was saved stays. Returns how many opinions there were."""
    return Feedback.objects.opinions().filter(subscriber=subscriber).delete()[0]


def said(subscriber: Subscriber, paper: Paper) -> set[str]:
    """What a reader has said of one paper."""
    return set(Feedback.objects.filter(subscriber=subscriber, paper=paper).values_list("kind", flat=True))


def learned(subscriber: Subscriber) -> Learned:
    rows = list(Feedback.objects.filter(subscriber=subscriber).select_related("paper").order_by("-at", "-pk")[:MOST])
    likes, dislikes = (
        Counter(word.lower() for row in rows if row.kind == kind for word in row.paper.keywords)
        for kind in (Kind.MORE, Kind.LESS)
    )
    weights = Counter(likes)
    weights.subtract(dislikes)
    order = sorted(weights.items(), key=lambda pair: (-pair[1], pair[0]))
    return Learned(
        rows,
        [word for word, weight in order if weight > 0][:WORDS],
        [word for word, weight in reversed(order) if weight < 0][:WORDS],
    )


class Tastes:
    """The tastes of readers for the papers of one letter day, asked for by block after block of them.

    `vectors` are the papers' meanings, in the order of the arrays; empty ones are of nobody's taste.
    """

    def __init__(self, vectors: Sequence[bytes]) -> None:
        self.size = max(map(len, vectors), default=0)
        self.papers = np.stack([self._whole(vector) for vector in vectors]) if self.size else np.zeros((0, 0), np.int8)
        self._known: dict[int, bytes] = {}

    def of(self, subscribers: list[int]) -> compose.Tastes:
        """How far each paper falls behind for each of these subscribers, numbered as they stand."""
        rows = self._opinions(subscribers) if self.size else []
        if not rows:
            return compose.Tastes.none(len(subscribers))
        fond = np.unique(np.array([reader for reader, _, _ in rows], np.int32))
        row = np.full(len(subscribers), -1, np.int32)
        row[fond] = np.arange(len(fond))
        opinions = taste.Opinions(
            count=len(fond),
            reader=row[[reader for reader, _, _ in rows]],
            vector=np.stack([self._whole(self._known[paper]) for _, paper, _ in rows]),
            more=np.array([more for _, _, more in rows], np.bool_),
        )
        most = 2 * round(taste.REACH * len(self.papers)) + 1
        return compose.Tastes(row=row, shift=taste.shifts(opinions, self.papers), most=most)

    def _opinions(self, subscribers: list[int]) -> list[tuple[int, int, bool]]:
        """(number of the reader, paper, whether more of it is wanted): the newest MOST of each, ordered by reader."""
        rows = Feedback.objects.opinions().filter(subscriber__among=subscribers).order_by("subscriber", "-at", "-pk")
        said = rows.values_list("subscriber_id", "paper_id", "kind")
        number = {key: at for at, key in enumerate(subscribers)}
        newest = [row for _, mine in groupby(said, itemgetter(0)) for row in islice(mine, MOST)]
        self._read({paper for _, paper, _ in newest} - self._known.keys())
        found = [(number[reader], paper, kind == Kind.MORE) for reader, paper, kind in newest]
        return sorted((row for row in found if self._known[row[1]]), key=itemgetter(0))

    def _read(self, papers: set[int]) -> None:
        rows = list(Paper.objects.filter(pk__among=sorted(papers))) if papers else []
        self._known |= {row.pk: paper.vector for row, paper in zip(rows, documents(rows), strict=True)}

    def _whole(self, vector: bytes) -> NDArray[np.int8]:
        return np.frombuffer(vector if len(vector) == self.size else bytes(self.size), np.int8)
