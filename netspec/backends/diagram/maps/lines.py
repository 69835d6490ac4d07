"""The lines of a picture of feature maps, and where the words over them stand: clear of other lines and of each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from netspec.backends.diagram.maps.bars import SMALL, text_width
from netspec.record import draft

Point = tuple[float, float]
#: left, right, top and bottom of what stands somewhere
Area = tuple[float, float, float, float]

#: from a line to the middle of words over it, and to the beginning of words beside it
_OVER, _ASIDE = 5.5, 4.0
#: from an arrow's point to the middle of words beside it, and what the head of a level one takes
_NEAR, _HEAD = 18.0, 4.0
#: how much of a letter's size stands above, and below, the middle of words
_HALF = 0.38
#: in a picture of more lines words take the first place: nobody could read all of them
_MOST = 600


@draft
class Line:
    """The way of a link: its corners, from where it leaves to the point of its arrow, its words and where their middle is."""

    link: int
    points: list[Point]
    words: str = ""
    words_at: Point = (0.0, 0.0)
    #: whether it joins a bar to the frame around it
    inner: bool = False


def put_words(lines: Sequence[Line], skips: Collection[int], starts: Mapping[int, float]) -> None:
    """Give all words a place: the first of those that suit their line at which nothing else is.

    `skips` are the links with words over their longest stretch; all others have them where they arrive, behind the x of `starts`.
    """
    taken = [area for line in lines for area in _stretches(line)] if len(lines) <= _MOST else []
    for line in lines:
        if line.words:
            places = list(_over_longest(line) if line.link in skips else _at_the_end(line, starts.get(line.link, 0.0)))
            line.words_at = next((place for place in places if _is_free(_around(line.words, place), taken)), places[0])
            taken.append(_around(line.words, line.words_at))


def _over_longest(line: Line) -> Iterator[Point]:
    """Over the longest level stretch, from its middle outwards."""
    level = [(a, b) for a, b in zip(line.points, line.points[1:]) if a[1] == b[1]]
    if not level:
        yield from _at_the_end(line, 0.0)
        return
    (x, y), (u, _) = max(level, key=lambda ends: abs(ends[1][0] - ends[0][0]))
    middle, width = (x + u) / 2, text_width(line.words, SMALL)
    yield middle, y - _OVER
    step = 0.6 * width
    for count in range(1, int((abs(u - x) - width) / 2 / step) + 1):
        yield middle - count * step, y - _OVER
        yield middle + count * step, y - _OVER


def _at_the_end(line: Line, start: float) -> Iterator[Point]:
    """Over and under the level stretch that ends at the arrow's point; beside an upright one, near the point or in its middle."""
    (x, y), (u, v) = line.points[-2:]
    aside = _ASIDE + text_width(line.words, SMALL) / 2
    if y == v:
        middle = (max(x, start) + u - _HEAD) / 2
        yield middle, y - _OVER
        yield middle, y + _OVER
        return
    near = min(_NEAR, abs(v - y) / 2)
    for place in (v + near if y > v else v - near, (y + v) / 2):
        yield u + aside, place
        yield u - aside, place


def _stretches(line: Line) -> Iterator[Area]:
    for (x, y), (u, v) in zip(line.points, line.points[1:]):
        yield min(x, u), max(x, u), min(y, v), max(y, v)


def _around(words: str, place: Point) -> Area:
    half = text_width(words, SMALL) / 2
    return place[0] - half, place[0] + half, place[1] - _HALF * SMALL, place[1] + _HALF * SMALL


def _is_free(area: Area, taken: Sequence[Area]) -> bool:
    left, right, top, bottom = area
    return not any(left < r and l < right and top < b and t < bottom for l, r, t, b in taken)  # noqa: E741
