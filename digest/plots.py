"""Small plots as numbers: where the bars and lines of an SVG stand. Templates draw them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

#: Points of a line at most; more cannot be told apart at this size.
MOST_POINTS = 60
WIDTH, HEIGHT = 600, 120
#: Between two bars, as a part of a bar's room.
GAP = 0.2


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    label: str
    value: int


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars in a box of WIDTH × HEIGHT, whose top is `most`."""

    bars: tuple[Bar, ...]
    most: int
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True, slots=True)
class Line:
    """A line in a box of WIDTH × HEIGHT: `points` as SVG's polyline takes them, from `first` to `last`.

    The bottom is 0 and the top is `most`.
    """

    points: str
    first: tuple[datetime, int]
    last: tuple[datetime, int]
    most: int
    width: int = WIDTH
    height: int = HEIGHT


def bars(counts: Sequence[tuple[str, int]]) -> Bars:
    """A bar for each label, side by side. Where something was counted, something is seen."""
    most = max((value for _, value in counts), default=0)
    room = WIDTH / max(1, len(counts))
    made = []
    for at, (label, value) in enumerate(counts):
        height = max(2.0, round(HEIGHT * value / most, 1)) if value else 0.0
        x, width = room * (at + GAP / 2), room * (1 - GAP)
        made.append(Bar(round(x, 1), round(HEIGHT - height, 1), round(width, 1), height, label, value))
    return Bars(tuple(made), most)


def votes(observed: Sequence[tuple[datetime, int]]) -> Line | None:
    """Votes over time, as steps; None for fewer than two moments, which make no line."""
    points = sorted(observed)
    if len(points) < 2 or points[0][0] == points[-1][0]:
        return None
    step = max(1, -(-(len(points) - 1) // (MOST_POINTS - 1)))
    points = [*points[:-1:step], points[-1]]
    begin, most = points[0][0], max(1, *(value for _, value in points))
    span = (points[-1][0] - begin).total_seconds()
    drawn, before = [], None
    for at, value in points:
        x, y = round(WIDTH * (at - begin).total_seconds() / span, 1), round(HEIGHT * (1 - value / most), 1)
        if before is not None and before != y:
            drawn.append(f"{x:g},{before:g}")
        drawn.append(f"{x:g},{y:g}")
        before = y
    return Line(" ".join(drawn), points[0], points[-1], most)
