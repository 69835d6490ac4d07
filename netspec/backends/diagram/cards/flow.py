"""How links run: which make the straight spine, where several of one tensor enter a block together, and the rails of dense skips.

A tensor that several boxes of a block take enters it once, at a point: the links are drawn from their source to the point and on
to their ends. Where a network has many skips, those of one tensor run along a rail: a line down one side, with a point at each box
that takes it. Nothing is lost by it: the last leg of link 7 is called `link-7`, and a leg that leads to a point is called by the
first link that runs over it, with a letter: `link-7-a`. From the tail of `link-7`, if that is a point, exactly one leg leads back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

from netspec.analyses.outline.model import Link, View
from netspec.record import record

#: the weight of a line of the spine, beyond what it is worth to renderers that blocks are narrow; branches weigh less, and skips one
_STRAIGHT = 1000
#: from so many skips on, those of one tensor share a rail
_DENSE = 9

Side = Literal["", "left", "right"]


@record
class Point:
    """A point at which lines part: its name in DOT, the group in which it stands, and the tensor.

    One of a rail stands on the height of the box `beside`, on a side of it; one where a block is entered beside none.
    """

    name: str
    group: int | None
    value: int
    beside: int | None = None
    side: Side = ""


@record
class Leg:
    """One line of the picture, from `tail` to `head` in the direction in which the tensor flows; both are names in DOT.

    `link` numbers the view's link that it belongs to (the first of several), `last` says whether it ends at the link's target.
    `dashed`: it leads past other boxes. The higher the `weight`, the straighter the line. `side`: it is of a rail, `flat` from
    the rail to a box.
    """

    id: str
    tail: str
    head: str
    link: int
    last: bool = True
    dashed: bool = False
    weight: int = 1
    side: Side = ""
    flat: bool = False


@record
class Flow:
    """The points and legs of a picture; `depth` says how many boxes, at most, stand before each."""

    points: tuple[Point, ...]
    legs: tuple[Leg, ...]
    depth: tuple[int, ...]


def box_name(number: int) -> str:
    """The name of a box in DOT."""
    return f"n{number}"


def route(view: View, sized: Collection[int] = (), apart: Collection[int] = (), rails: bool = True) -> Flow:
    """The legs of a view's links. `sized`: links that hand on no numbers; `apart`: groups into which each link leads by itself."""
    ranks = _Ranks(view, sized)
    router = _Router(view, ranks, apart, rails)
    tensors = _by_tensor(view.links)
    for number in sized:
        router.add(number, box_name(view.links[number].source), view.boxes[view.links[number].source].group)
    for (source, _), numbers in tensors.items():
        carried = [number for number in numbers if number not in sized]
        router.spread(box_name(source), carried, groups_around(view, view.boxes[source].group))
    for number, link in enumerate(view.links):
        if link.course == "loop":
            router.legs.append(Leg(f"link-{number}", box_name(link.source), box_name(link.target), number, dashed=True, weight=0))
    return Flow(tuple(router.points), tuple(sorted(router.legs, key=lambda leg: (leg.link, leg.last))), tuple(ranks.depth))


def groups_around(view: View, group: int | None) -> tuple[int, ...]:
    """A group and those around it, from the outermost."""
    found: list[int] = []
    while group is not None:
        found.append(group)
        group = view.groups[group].parent
    return tuple(reversed(found))


def first_inside(view: View, points: Sequence[Point] = ()) -> dict[int, str]:
    """What stands first in each group: the point at which it is entered, or a box."""
    found = {}
    for number, box in reversed(list(enumerate(view.boxes))):
        found.update(dict.fromkeys(groups_around(view, box.group), box_name(number)))
    found.update((point.group, point.name) for point in reversed(points) if point.group is not None and point.beside is None)
    return found


def _by_tensor(links: Sequence[Link]) -> dict[tuple[int, int], list[int]]:
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, link in enumerate(links):
        if link.course != "loop":
            found[link.source, link.value].append(number)
    return found


class _Router:
    def __init__(self, view: View, ranks: _Ranks, apart: Collection[int], rails: bool) -> None:
        self._view, self._ranks, self._apart = view, ranks, apart
        self._dense = rails and len(ranks.skips) >= _DENSE
        self._kinds: list[object] = []
        self._letters: dict[int, int] = defaultdict(int)
        self.points: list[Point] = []
        self.legs: list[Leg] = []

    def spread(self, tail: str, numbers: list[int], around: tuple[int, ...]) -> None:
        """Add the legs from a box or point to the ends of these links of one tensor. `around`: the groups around the tail."""
        for group, inside in self._entered(numbers, around):
            if group is None or len(inside) == 1 or group in self._apart:
                self._direct(tail, inside, around[-1] if around else None)
                continue
            group = self._innermost(group, inside)
            first = min(inside, key=lambda number: -self._ranks.weight(number, group))
            dashed = all(number in self._ranks.skips for number in inside) and not tail.startswith("p")
            point = self._point(Point("", group, self._view.links[first].value))
            self.legs.append(Leg(self._shared(first), tail, point, first, False, dashed, 1 if dashed else self._entering(around, group)))
            self.spread(point, inside, groups_around(self._view, group))

    def _entering(self, around: tuple[int, ...], group: int) -> int:
        """The weight of a leg that enters a group from within others."""
        return _STRAIGHT // (1 + len({*around} ^ {*groups_around(self._view, group)}))

    def add(self, number: int, tail: str, home: int | None) -> None:
        """Add the last leg of a link; its tail stands in the group `home`."""
        dashed = number in self._ranks.skips or number in self._ranks.shortcuts
        head = box_name(self._view.links[number].target)
        self.legs.append(Leg(f"link-{number}", tail, head, number, True, dashed, self._ranks.weight(number, home)))

    def _direct(self, tail: str, numbers: list[int], home: int | None) -> None:
        """The last legs of links that enter no block any more: along a rail, if they are skips among many."""
        skips = [number for number in numbers if number in self._ranks.skips]
        if not self._dense or len(skips) < 2:
            skips = []
        for number in numbers:
            if number not in skips:
                self.add(number, tail, home)
        for number in sorted(skips, key=lambda number: self._ranks.depth[self._view.links[number].target]):
            link = self._view.links[number]
            side = self._side(link)
            point = self._point(Point("", self._view.boxes[link.target].group, link.value, link.target, side))
            self.legs.append(Leg(self._shared(number), tail, point, number, False, True, 8, side))
            self.legs.append(Leg(f"link-{number}", point, box_name(link.target), number, True, True, 1, side, True))
            tail = point

    def _side(self, link: Link) -> Side:
        """On which side the rail of a tensor runs: those of one size on one side."""
        kind = self._view.graph.values[link.value].shape[2:]
        if kind not in self._kinds:
            self._kinds.append(kind)
        return "right" if self._kinds.index(kind) % 2 == 0 else "left"

    def _point(self, point: Point) -> str:
        name = f"p{len(self.points)}"
        self.points.append(Point(name, point.group, point.value, point.beside, point.side))
        return name

    def _shared(self, first: int) -> str:
        """The id of a leg that leads to a point."""
        self._letters[first] += 1
        return f"link-{first}-{chr(ord('a') + self._letters[first] - 1)}"

    def _entered(self, numbers: list[int], around: tuple[int, ...]) -> Iterator[tuple[int | None, list[int]]]:
        """The links by the outermost block that they enter; None for those that enter none."""
        found: dict[int | None, list[int]] = defaultdict(list)
        for number in numbers:
            entered = [g for g in groups_around(self._view, self._view.boxes[self._view.links[number].target].group) if g not in around]
            found[entered[0] if entered else None].append(number)
        yield from found.items()

    def _innermost(self, group: int, numbers: list[int]) -> int:
        """The innermost block that holds the ends of all these links, `group` being one that does."""
        paths = [groups_around(self._view, self._view.boxes[self._view.links[number].target].group) for number in numbers]
        shared = [g for place, g in enumerate(paths[0]) if all(len(p) > place and p[place] == g for p in paths)]
        return shared[-1] if shared else group


class _Ranks:
    """How far each box is from the first and to the last, and what follows from it."""

    def __init__(self, view: View, sized: Collection[int]) -> None:
        self._view = view
        links = [link for n, link in enumerate(view.links) if link.course != "loop" and link.source < link.target and n not in sized]
        self.depth, self.height = [0] * len(view.boxes), [0] * len(view.boxes)
        for link in sorted(links, key=lambda link: link.target):
            self.depth[link.target] = max(self.depth[link.target], self.depth[link.source] + 1)
        for link in sorted(links, key=lambda link: -link.source):
            self.height[link.source] = max(self.height[link.source], self.height[link.target] + 1)
        self._degree_out: dict[int, int] = defaultdict(int)
        for link in links:
            self._degree_out[link.source] += link.course == "flow"
        self.skips = frozenset(self._skips(links, sized))
        self.shortcuts = frozenset(self._shortcuts(sized))
        self._spine = self._longest()

    def weight(self, number: int, home: int | None) -> int:
        """How straight a link from a place in a group should be: most on the longest way through, least where it leads past others."""
        link = self._view.links[number]
        if number in self.skips:
            return 1
        if number in self.shortcuts:  # what stands beside the spine is drawn towards where it branches off
            return 1 if self._view.boxes[link.target].kind == "merge" else 3
        if self._degree_out[link.source] > 2 and number not in self._spine:
            return 12
        group = self._view.boxes[link.target].group
        crossed = {*groups_around(self._view, home)} ^ {*groups_around(self._view, group)}
        return (_STRAIGHT if number in self._spine else _STRAIGHT // 5) // (
            1 + len(crossed)
        )  # what must bend does so between blocks, the larger the better

    def _longest(self) -> frozenset[int]:
        """The links of the longest ways through; where branches are equally long, of the one in the middle."""
        out: dict[int, list[int]] = defaultdict(list)
        into: dict[int, list[int]] = defaultdict(list)
        for number, link in enumerate(self._view.links):
            tight = self.depth[link.source] + 1 == self.depth[link.target] and self.height[link.source] == self.height[link.target] + 1
            if tight and link.course == "flow":
                out[link.source].append(number)
                into[link.target].append(number)
        middle = {sorted(numbers, key=lambda n: self._view.links[n].target)[len(numbers) // 2] for numbers in out.values()}
        return frozenset(
            number for numbers in into.values()
            if (number := sorted(numbers, key=lambda n: self._view.links[n].source)[len(numbers) // 2]) in middle
        )  # fmt: skip

    def _skips(self, links: Sequence[Link], sized: Collection[int]) -> Iterator[int]:
        """The skips of the view, but for those beside which only a size goes another way."""
        after: dict[int, list[int]] = defaultdict(list)
        for link in links if sized else ():
            after[link.source].append(link.target)
        for number, link in enumerate(self._view.links):
            if link.course == "skip" and number not in sized and (not sized or self._around(after, link)):
                yield number

    def _around(self, after: dict[int, list[int]], link: Link) -> bool:
        """Whether another way than the direct one leads from a link's source to its target."""
        waiting = [box for box in after[link.source] if box != link.target]
        seen = set(waiting)
        while waiting:
            for following in after[waiting.pop()]:
                if following == link.target:
                    return True
                if following not in seen and self.depth[following] < self.depth[link.target]:
                    seen.add(following)
                    waiting.append(following)
        return False

    def _shortcuts(self, sized: Collection[int]) -> Iterator[int]:
        """The links of boxes that stand alone beside a longer way: the projection of a residual block."""
        into: dict[int, list[int]] = defaultdict(list)
        out: dict[int, list[int]] = defaultdict(list)
        for number, link in enumerate(self._view.links):
            if link.course == "flow" and number not in sized:
                into[link.target].append(number)
                out[link.source].append(number)
        for box in range(len(self._view.boxes)):
            if len(into[box]) == 1 and len(out[box]) == 1:
                first, last = self._view.links[into[box][0]], self._view.links[out[box][0]]
                beside = self.depth[last.target] - self.depth[first.source] > 2 and len(out[first.source]) == 2
                if beside and self._view.boxes[last.target].kind == "merge":
                    yield from (into[box][0], out[box][0])
