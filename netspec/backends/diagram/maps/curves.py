"""Lines with round corners, as Graphviz has them: Bézier curves, and the point of an arrow. y is turned around here."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]

#: from the corner of a line to where it is straight again, and how long an arrow's head is, in points
_ROUND, _HEAD = 5.0, 6.0
#: the handles of Bézier's quarter of a circle of radius 1
_HANDLE = 0.5523
#: corners nearer to each other are one
_SAME = 0.01


def at(x: float, y: float) -> str:
    """A place in DOT, where y runs upwards."""
    return f"{x:.2f},{-y:.2f}"


def spline(points: Sequence[Point], arrow: bool = True) -> str:
    """The attribute `pos` of an edge along these corners; with an arrow, its head ends in the last of them."""
    ends = _distinct(points)
    tip = ends[-1]
    if arrow:
        ends[-1] = _towards(tip, ends[-2], min(_HEAD, _distance(tip, ends[-2]) * 0.9))
    curve = [ends[0]]
    for before, corner, after in zip(ends, ends[1:], ends[2:]):
        radius = min(_ROUND, _distance(before, corner) / 2, _distance(corner, after) / 2)
        start, end = _towards(corner, before, radius), _towards(corner, after, radius)
        _straight(curve, start)
        curve += [_towards(start, corner, radius * _HANDLE), _towards(end, corner, radius * _HANDLE), end]
    _straight(curve, ends[-1])
    return (f"e,{at(*tip)} " if arrow else "") + " ".join(at(*point) for point in curve)


def _distinct(points: Sequence[Point]) -> list[Point]:
    """The corners without those that repeat the one before; at least two."""
    ends = [points[0]]
    for point in points[1:]:
        if abs(point[0] - ends[-1][0]) + abs(point[1] - ends[-1][1]) > _SAME:
            ends.append(point)
    return ends if len(ends) > 1 else [ends[0], (ends[0][0], ends[0][1] - 0.5)]


def _straight(curve: list[Point], end: Point) -> None:
    (x, y), (u, v) = curve[-1], end
    curve += [(x + (u - x) / 3, y + (v - y) / 3), (x + (u - x) * 2 / 3, y + (v - y) * 2 / 3), end]


def _distance(a: Point, b: Point) -> float:
    return float(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5)


def _towards(a: Point, b: Point, distance: float) -> Point:
    """The point so far from `a` on the way to `b`."""
    whole = _distance(a, b)
    return a if whole == 0 else (a[0] + (b[0] - a[0]) * distance / whole, a[1] + (b[1] - a[1]) * distance / whole)
