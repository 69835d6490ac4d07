"""Reads an SVG back as a person does: what is written in each box, and which boxes a line runs between, by where it begins and ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from netspec.record import record

_SVG = "{http://www.w3.org/2000/svg}"
_NUMBER = re.compile(r"-?\d*\.?\d+")
Point = tuple[float, float]
#: points that a line may end before what it leads to: its arrowhead, and the curve of a frame's corner
_REACH = 9.0


@record
class Area:
    """A thing in the picture: where it is, what is written in it, and what a hover says."""

    left: float
    top: float
    right: float
    bottom: float
    texts: tuple[str, ...]
    title: str

    def distance(self, point: Point) -> float:
        """How far a point is from it; 0 within."""
        x, y = point
        across = max(self.left - x, 0.0, x - self.right)
        return (across**2 + max(self.top - y, 0.0, y - self.bottom) ** 2) ** 0.5


@record
class Line:
    """A line from where the tensor comes from to where it goes."""

    start: Point
    end: Point
    title: str


@record
class Picture:
    """All of a picture: boxes, rows and groups by id, the places where lines part or carry a label, and lines by id."""

    areas: dict[str, Area]
    joints: tuple[Area, ...]
    lines: dict[str, Line]

    def ends(self, link: str) -> tuple[str, str]:
        """The boxes that a link joins, followed back through the places where lines part."""
        target = self._box(self.lines[link].end)
        start = self.lines.get(f"{link}-m", self.lines[link]).start  # a line with a label in its middle is two
        for _ in range(20):
            source = self._box(start)
            joint = next((j for j in self.joints if j.distance(start) < 3), None)
            if joint is None:
                break
            before = [other for other in self.lines.values() if joint.distance(other.end) < 3 and joint.distance(other.start) >= 3]
            if not before:
                break
            start = before[0].start
        return source, target

    def _box(self, point: Point) -> str:
        near = min((area.distance(point), area.right - area.left, name) for name, area in self.areas.items() if name.startswith("box-"))
        return near[2] if near[0] <= _REACH else f"nothing at {point}"


def read(svg: str) -> Picture:
    """The picture in an SVG text, which must be XML."""
    areas: dict[str, Area] = {}
    joints: list[Area] = []
    lines: dict[str, Line] = {}
    for element in ElementTree.fromstring(svg).iter(f"{_SVG}g"):
        name, kinds = element.get("id", ""), element.get("class", "").split()
        if "link" in kinds or name.startswith(("link-", "self-")):
            lines[name] = _line(element, "backward" in kinds)
        elif {"box", "row", "group"} & set(kinds) and not name.endswith("-label"):
            assert name not in areas, f"{name} is drawn twice"
            areas[name] = _area(element)
        elif {"point", "skip-label"} & set(kinds):
            joints.append(_area(element))
    return Picture(areas, tuple(joints), lines)


def _area(element: ElementTree.Element) -> Area:
    points = list(_points(element))
    xs, ys = [x for x, _ in points], [y for _, y in points]
    texts = tuple((text.text or "").replace("\xa0", " ").strip() for text in element.iter(f"{_SVG}text"))
    return Area(min(xs), min(ys), max(xs), max(ys), texts, element.findtext(f"{_SVG}title") or "")


def _points(element: ElementTree.Element) -> Iterator[Point]:
    for shape in element.iter():
        numbers = [float(n) for n in _NUMBER.findall(shape.get("points") or shape.get("d") or "")]
        yield from zip(numbers[::2], numbers[1::2])
        if shape.get("cx") is not None:
            x, y, across, down = (float(shape.get(name, "0")) for name in ("cx", "cy", "rx", "ry"))
            yield from ((x - across, y - down), (x + across, y + down))
        if shape.tag == f"{_SVG}text":
            yield float(shape.get("x", "0")), float(shape.get("y", "0"))


def _line(element: ElementTree.Element, backward: bool) -> Line:
    numbers = [float(n) for path in element.iter(f"{_SVG}path") for n in _NUMBER.findall(path.get("d", ""))]
    ends = (numbers[0], numbers[1]), (numbers[-2], numbers[-1])
    start, end = ends[::-1] if backward else ends
    return Line(start, end, element.findtext(f"{_SVG}title") or "")
