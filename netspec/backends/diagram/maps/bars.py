"""What stands in a picture of feature maps: a bar for each tensor, with its measures and words. Lengths are in points.

A bar is as high as its resolution has octaves and as wide as its channels have. Vectors, and maps of one position, are thin bars
as high as they are long. What joins maps along an axis is a bar of several segments, one for each map.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from netspec.analyses.outline.model import Box, View
from netspec.backends.diagram.cards.card import last_of
from netspec.backends.diagram.escape import short
from netspec.backends.diagram.maps.facts import Facts, Making, Tensor
from netspec.record import draft, record

#: `map` and `vector` are bars, `sign` is a circle, `joined` a bar of segments, `port` the word at which an output ends
Kind = Literal["map", "vector", "sign", "joined", "port"]

#: type sizes
TEXT, SMALL = 8.0, 7.0
#: heights: of the map of the highest resolution, of the lowest, and of an octave at most
_HIGHEST, _LOWEST, _OCTAVE = 112.0, 18.0, 17.0
#: heights of the longest vector, of the shortest, and of an octave at most
_LONGEST, _SHORTEST, _VECTOR_OCTAVE = 104.0, 16.0, 13.0
#: widths: of 64 channels, of an octave more, the least and the most
_MIDDLE, _WIDER, _THINNEST, _WIDEST = 25.0, 5.0, 7.0, 60.0
_VECTOR_WIDTH = 7.0
_SIGN = 15.0
#: how far the edge of each map behind another shows, and how many of them do
SHEET_STEP, _SHEETS = 3.0, 2


@draft
class Bar:
    """One box as it stands in the picture. `value` is the tensor that it is; `above` are its channels, `extent` its resolution
    and `names` what else stands under it. `segments` are the widths and values of what is joined."""

    box: int
    kind: Kind
    value: int | None
    tensor: Tensor | None
    making: Making
    width: float = 0.0
    height: float = 0.0
    above: str = ""
    extent: str = ""
    names: tuple[str, ...] = ()
    segments: list["Segment"] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0
    #: how far the edges of others show behind it, to the right and above
    behind: float = 0.0
    #: how far it stands right of the middle of its column
    shift: float = 0.0

    @property
    def left(self) -> float:
        """Its left edge."""
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        """Its right edge, and that of what shows behind it."""
        return self.x + self.width / 2 + self.behind


@draft
class Segment:
    """A part of a joined bar: the map that comes by these links, or the box whose own bar stands there (`glued`)."""

    value: int
    links: list[int]
    width: float
    family: str
    glued: int | None = None
    x: float = 0.0


@record
class Scale:
    """From octaves to points: `top` octaves are `high` points, each less takes `step`, down to `low`."""

    top: float
    high: float
    low: float
    step: float

    def __call__(self, octaves: float) -> float:
        """The length of so many octaves; what is not on the scale (a table of weights) has that of its end."""
        return min(self.high, max(self.low, self.high - self.step * (self.top - octaves)))


def bars(view: View, facts: Facts) -> list[Bar]:
    """The bars of all boxes, not yet placed."""
    made = [_bar(view, facts, number, box) for number, box in enumerate(view.boxes)]
    tensors = [bar.tensor for bar in made if bar.tensor is not None and (view.boxes[bar.box].takes or view.boxes[bar.box].kind == "input")]
    maps, vectors = [t.resolution for t in tensors if not t.flat], [_octaves(t.width) for t in tensors if t.flat]
    tall, long = _scale(maps, _HIGHEST, _LOWEST, _OCTAVE), _scale(vectors, _LONGEST, _SHORTEST, _VECTOR_OCTAVE)
    for bar in made:
        _measure(bar, facts, tall, long)
    return made


def _bar(view: View, facts: Facts, number: int, box: Box) -> Bar:
    value, making = facts.main(box), facts.making(box)
    tensor = None if value is None else facts.tensor(value)
    if box.kind == "output":
        return Bar(number, "port", value, tensor, making, names=(short(box.name, 24),))
    if facts.sign(box):
        return Bar(number, "sign", value, tensor, making, names=(facts.sign(box),))
    joined = facts.joined(box)
    bar = Bar(number, "map" if tensor is None or not tensor.flat else "vector", value, tensor, making)
    if joined is not None:
        bar.kind = "joined"
        bar.segments = _segments(view, facts, number, joined)
    if tensor is not None:
        bar.above = "" if tensor.channels is None else facts.written(tensor.channels)
        bar.extent = "" if tensor.flat else facts.extent(tensor)
    bar.names = tuple(_names(box))
    bar.behind = SHEET_STEP * min(box.repeat - 1, _SHEETS)
    return bar


def _names(box: Box) -> list[str]:
    told = box.kind in ("input", "block", "stretch") or not box.takes
    names = [short(last_of(box.name), 18)] if told else []
    return [*names, f"× {box.repeat}"] if box.repeat > 1 else names


def _segments(view: View, facts: Facts, number: int, joined: int) -> list[Segment]:
    """What is joined, in its order; one that is joined with itself is there twice.

    What a step of a scan takes is called otherwise inside of it: such inputs are, in order, what the box takes beside the others.
    """
    arriving: dict[int, list[int]] = {}
    for place, link in enumerate(view.links):
        if link.target == number:
            arriving.setdefault(link.value, []).append(place)
    inputs = view.graph.nodes[joined].inputs
    others = iter([value for value in view.boxes[number].takes if value in arriving and value not in inputs])
    found = []
    for value in inputs:
        known = value if value in arriving else next(others, None)
        if known is not None:
            link = view.links[arriving[known][0]]
            kind = "skip" if link.course != "flow" else facts.making(view.boxes[link.source]).family
            found.append(Segment(known, arriving[known], 0.0, kind))
    return found


def _measure(bar: Bar, facts: Facts, tall: Scale, long: Scale) -> None:
    """Give a bar its height and width."""
    tensor = bar.tensor
    if bar.kind == "port":
        bar.width, bar.height = 14.0 + text_width(bar.names[0], TEXT), 16.0
    elif bar.kind == "sign":
        bar.width = bar.height = max(_SIGN, 8.0 + text_width(bar.names[0], TEXT))
    elif tensor is None:
        bar.width, bar.height = _VECTOR_WIDTH, _SHORTEST
    else:
        bar.height = long(_octaves(tensor.width)) if tensor.flat else tall(tensor.resolution)
        bar.width = _VECTOR_WIDTH if tensor.flat else breadth(tensor.width)
        for segment in bar.segments:
            part = facts.tensor(segment.value)
            segment.width = _VECTOR_WIDTH if part.flat else max(_THINNEST, breadth(part.width))


def breadth(channels: int) -> float:
    """How wide the bar of so many channels is."""
    return min(_WIDEST, max(_THINNEST, _MIDDLE + _WIDER * (_octaves(channels) - 6)))


def _scale(octaves: list[float], high: float, low: float, step: float) -> Scale:
    """The scale on which the highest is `high` and the lowest `low`, or an octave `step` where that takes less."""
    top, bottom = max(octaves, default=0.0), min(octaves, default=0.0)
    return Scale(top, high, low, min(step, (high - low) / (top - bottom)) if top > bottom else step)


def _octaves(count: int) -> float:
    return (max(1, count)).bit_length() - 1 + (count / (1 << (count.bit_length() - 1)) - 1 if count > 0 else 0)


#: widths of Helvetica's characters in thousandths of the type size, where they are not about 556
_WIDTHS: Mapping[str, int] = {
    **dict.fromkeys("ijl|'", 222), **dict.fromkeys(" .,:;/ftI!", 278), **dict.fromkeys("()[]-r·", 333), "²": 333, "³": 333, "…": 1000,
    **dict.fromkeys("ABEKPSVXY&", 667), **dict.fromkeys("CDHNRUw", 722), **dict.fromkeys("GOQ", 778), "M": 833, "m": 833, "W": 944,
    **dict.fromkeys("+=×<>−", 584), **dict.fromkeys("cksvxyzJ", 500),
}  # fmt: skip


def text_width(text: str, size: float) -> float:
    """About how wide a line of Helvetica is at that type size."""
    return sum(_WIDTHS.get(letter, 556) for letter in text) * size / 1000
