"""The default style: a view as DOT. Cards on a straight spine, skips beside it, or a U where resolution falls and rises again."""

from __future__ import annotations

from collections import defaultdict

from netspec.analyses.outline.model import Link, View
from netspec.backends.diagram.cards.arms import Arms, arms
from netspec.backends.diagram.cards.card import Cards, block_name, group_label
from netspec.backends.diagram.cards.flow import Flow, Leg, box_name, first_inside, groups_around, route
from netspec.backends.diagram.cards.heat import Scale, scale
from netspec.backends.diagram.cards.legend import legend
from netspec.backends.diagram.dot import Dot
from netspec.backends.diagram.figures import Figures, sized_links
from netspec.backends.diagram.look import Look, Sketch
from netspec.backends.diagram.palette import (
    FLOW,
    GROUP_LINE,
    GROUPS,
    MERGE,
    MERGE_INK,
    MERGE_LINE,
    SKIP,
    SKIP_GROUND,
    family,
)  # fmt: skip
from netspec.backends.diagram.titles import titles
from netspec.backends.diagram.wording import count, sign

#: a network of so few boxes in a row is drawn from left to right
_SHORT = 6
#: of more skips, none is labelled
_LABELLED = 12
#: points of a group's name that have room beside the spine, above the first card
_FITS = 62


def sketch(view: View, look: Look = Look()) -> Sketch:
    """The picture of a view in the style `cards`.

    Boxes are `box-3`, rows `row-3-0`, opened blocks `group-1`, the last legs of links `link-7` (the legs before them `link-7-a`);
    the numbers are those of the view. A line that is drawn against its direction, to lie on the right side of a U, has the class
    `backward`; the loop that a recurrent layer runs by itself is `self-3`.
    """
    figures = Figures(view.graph, look)
    heat = scale(view, figures, look.heat) if look.heat else None
    notes = () if figures.fields is not None else ("the network is too large to follow receptive fields through it: they are left out",)
    return Sketch(_Drawing(view, look, figures, heat).source(), titles(view, figures), _label(view, figures), notes)


def _label(view: View, figures: Figures) -> str:
    """What the picture shows, for who cannot see it."""
    what = f"{view.graph.name}, block {view.only}" if view.only else view.graph.name
    return f"Diagram of the network {what}: {len(view.boxes)} boxes, {count(figures.total.parameters)} parameters"


class _Drawing:
    """One picture while it is made."""

    def __init__(self, view: View, look: Look, figures: Figures, heat: Scale | None) -> None:
        self._view, self._look, self._figures, self._heat = view, look, figures, heat
        self._sized = sized_links(view)
        u = self._u = arms(view, figures, self._sized) if look.rankdir != "LR" else None
        risen = {group for n in u.rising for group in groups_around(view, view.boxes[n].group)} if u is not None else set()
        self._flow: Flow = route(view, self._sized, risen, u is None)
        self._sideways = look.rankdir == "LR" or (look.rankdir == "auto" and u is None and self._is_short())
        self._skips = {leg.link for leg in self._flow.legs if leg.dashed and view.links[leg.link].course == "skip"}
        self._told: set[tuple[int, int, str]] = set()
        self._ground = {point.name: point.group for point in self._flow.points}
        self._many_skips = sum(leg.dashed and leg.last for leg in self._flow.legs) > _LABELLED
        self._dot = Dot(**self._attributes())

    def _is_short(self) -> bool:
        """Whether all boxes stand in one row, and in one that fits a page's width."""
        boxes = self._view.boxes
        return len(boxes) <= _SHORT and not self._view.groups and len(self._view.links) == len(boxes) - 1

    def _attributes(self) -> dict[str, str]:
        spread = (
            {"rankdir": "LR", "nodesep": "0.25", "ranksep": "0.4"}
            if self._sideways
            else {"rankdir": "TB", "nodesep": "0.3", "ranksep": "0.22"}
        )
        if self._u is not None:
            spread |= {"nodesep": "0.5", "ranksep": "0.3"}
        if self._look.legend:
            spread |= {"labelloc": "b", "label": f"<{legend(self._view, self._figures, self._heat)}>"}
        return spread

    def source(self) -> str:
        """The DOT text."""
        self._boxes()
        self._groups()
        for leg in self._flow.legs:
            self._leg(leg)
        if self._u is not None:
            self._levels(self._u)
        return self._dot.source()

    # ------------------------------------------------------------------------------------------------------------ nodes
    def _boxes(self) -> None:
        cards = Cards(self._view, self._figures, self._heat)
        graph = self._view.graph
        for number, box in enumerate(self._view.boxes):
            name, identity = box_name(number), f"box-{number}"
            written = sign(graph.nodes[box.rows[0]].op) if box.kind == "merge" else ""
            if written and len(written) <= 2:
                size = "13" if len(written) == 1 else "10"
                self._dot.node(
                    name, box.group, id=identity, kind="merge", text=written, shape="circle", style="filled", fillcolor=MERGE,
                    color=MERGE_LINE, fontcolor=MERGE_INK, fontsize=size, width="0.28", height="0.28", fixedsize="true",
                )  # fmt: skip
                continue
            self._dot.node(name, box.group, id=identity, kind=box.kind, html=cards.label(number), shape="plain")
            if any(graph.nodes[row].op.FAMILY == "recurrent" for row in box.rows):
                self._recurs(number)
        for point in self._flow.points:
            colour = SKIP if point.side else FLOW
            self._dot.node(
                point.name,
                point.group,
                id=f"point-{point.name[1:]}",
                kind="point",
                shape="point",
                width="0.05",
                height="0.05",
                color=colour,
            )
            if point.beside is not None:
                self._dot.rank(box_name(point.beside), point.name)

    def _recurs(self, number: int) -> None:
        """The loop of a recurrent layer, from step to step."""
        name, ink = box_name(number), family("recurrent").ink
        self._dot.edge(
            name, name, id=f"self-{number}", kind="self", text=" t − 1", style="dashed", color=ink, fontcolor=ink, constraint="false"
        )

    def _groups(self) -> None:
        first = first_inside(self._view, self._flow.points)
        alone = self._only_children()
        for number, group in enumerate(self._view.groups):
            around = self._depth(number, alone)
            look = {"id": f"group-{number}", "kind": "group", "label": "", "labelloc": "t", "margin": "9"}
            if number in alone:
                self._dot.cluster(number, group.parent, **{**look, "peripheries": "0", "margin": "0"})
                continue
            look |= {"style": "rounded,filled", "fillcolor": GROUPS[min(around, len(GROUPS) - 1)], "color": GROUP_LINE}
            html, fits = self._group_label(number, alone)
            if fits or self._sideways:
                self._dot.cluster(number, group.parent, **{k: v for k, v in look.items() if k != "label"}, html=html, labeljust="l")
                continue
            self._dot.cluster(number, group.parent, **look)
            self._dot.node(f"g{number}", number, id=f"group-{number}-label", kind="group-label", html=html, shape="plain")
            self._dot.rank(f"g{number}", first[number])
            self._dot.edge(f"g{number}", first[number], style="invis")

    def _only_children(self) -> frozenset[int]:
        """The groups that fill another one alone: both are drawn as one."""
        inside: dict[int, list[int | None]] = defaultdict(list)
        for number, group in enumerate(self._view.groups):
            if group.parent is not None:
                inside[group.parent].append(number)
        for box in self._view.boxes:
            if box.group is not None:
                inside[box.group].append(None)
        return frozenset(children[0] for children in inside.values() if len(children) == 1 and children[0] is not None)

    def _depth(self, number: int, alone: frozenset[int]) -> int:
        """How many frames are drawn around a group."""
        depth, parent = 0, self._view.groups[number].parent
        while parent is not None:
            depth, parent = depth + (parent not in alone), self._view.groups[parent].parent
        return depth

    def _group_label(self, number: int, alone: frozenset[int]) -> tuple[str, bool]:
        """The label of a group, for those that fill it alone as well; and whether it fits beside the spine."""
        group = self._view.groups[number]
        name, repeat, steps = block_name(self._view, group.name, group.parent), group.repeat, group.steps
        while (inner := next((n for n in alone if self._view.groups[n].parent == number), None)) is not None:
            number, repeat = inner, repeat * self._view.groups[inner].repeat
            steps = steps or self._view.groups[inner].steps
        parameters = self._figures.cost(group.nodes).parameters
        grey = f"{count(parameters)} params" if parameters else ""
        widest = max(_width(name) + (20 if repeat > 1 else 0), _width("every step") if steps else 0.0)
        return group_label(name, repeat, steps, grey), widest <= _FITS

    # ------------------------------------------------------------------------------------------------------------ lines
    def _leg(self, leg: Leg) -> None:
        link = self._view.links[leg.link]
        look = {"id": leg.id, "kind": link.course, "weight": str(leg.weight)}
        if leg.dashed:
            look |= {"style": "dashed", "color": SKIP, "fontcolor": SKIP, "penwidth": "0.9" if self._many_skips else "1.3"}
        if not leg.last:
            look["arrowhead"] = "none"
        if link.course == "loop":
            ink = family("recurrent").ink
            look |= {"color": ink, "fontcolor": ink}
            self._dot.edge(leg.tail, leg.head, **look, text=" t − 1", constraint="false")
            return
        if leg.link in self._sized:
            self._dot.edge(leg.tail, leg.head, **look | {"style": "dotted", "color": GROUP_LINE, "kind": "size", "constraint": "false"})
            return
        if leg.side:
            self._rail(leg, look)
            return
        beside = self._passed(leg)
        if beside is not None:
            self._bend(leg, look, beside)
            return
        text = self._shape_on(leg)
        if self._u is not None:
            self._u_leg(self._u, leg, look, text)
        else:
            self._dot.edge(leg.tail, leg.head, **look, **_beside(text))

    def _rail(self, leg: Leg, look: dict[str, str]) -> None:
        """A line of a rail: down its side, or from it to a box. What comes from the right is drawn from the box to the rail."""
        if not leg.flat:
            port = {} if leg.tail in self._ground else {"tailport": "e" if leg.side == "right" else "w"}
            self._dot.edge(leg.tail, leg.head, **look, **port)
        elif leg.side == "left":
            self._dot.edge(leg.tail, leg.head, **look)
        else:
            self._dot.edge(leg.head, leg.tail, **{**look, "kind": f"{look['kind']} backward", "dir": "back"})

    def _passed(self, leg: Leg) -> int | None:
        """The box in the middle of those that a skip within a block passes; None for what is no such skip."""
        link = self._view.links[leg.link]
        start = self._ground.get(leg.tail, self._view.boxes[link.source].group)
        flat = self._u is not None and leg.link in self._u.flat | self._u.loose
        if not leg.last or flat or start is None or start != self._view.boxes[link.target].group or leg.link not in self._skips:
            return None
        depth = self._flow.depth
        first, last = (depth[link.source] if leg.tail not in self._ground else self._entry(link)), depth[link.target]
        between = [
            n for n in range(len(depth)) if first < depth[n] < last and start in groups_around(self._view, self._view.boxes[n].group)
        ]
        return min(between, key=lambda n: (abs(2 * depth[n] - first - last), n), default=None)

    def _entry(self, link: Link) -> int:
        """The depth in front of the first box that takes the tensor of a link within the block of its target."""
        group = self._view.boxes[link.target].group
        inside = [other.target for other in self._view.links if other.value == link.value and self._view.boxes[other.target].group == group]
        return min((self._flow.depth[n] for n in inside), default=1) - 1

    def _bend(self, leg: Leg, look: dict[str, str], beside: int) -> None:
        """A skip within a block, by a place beside what it passes, so that it stays inside of the frame."""
        place = f"b{leg.link}"
        group = self._view.boxes[self._view.links[leg.link].target].group
        into, out = ("w", "e") if self._sideways else ("n", "s")
        upwards = self._u is not None and self._view.links[leg.link].target in self._u.rising
        if self._many_skips:
            self._dot.node(place, group, kind="bend", shape="point", width="0.01", height="0.01", style="invis")
        else:
            self._skip_label(place, group, self._view.links[leg.link])
        self._dot.rank(box_name(beside), place)
        first, second = {**look, "id": f"{leg.id}-m", "arrowhead": "none"}, look
        if upwards:
            kind = f"{look['kind']} backward"
            self._dot.edge(place, leg.tail, **{**first, "kind": kind, "dir": "none"}, tailport=out)
            self._dot.edge(leg.head, place, **{**second, "kind": kind, "dir": "back"}, headport=into)
        else:
            self._dot.edge(leg.tail, place, **first, headport=into)
            self._dot.edge(place, leg.head, **second, tailport=out)

    def _shape_on(self, leg: Leg) -> str:
        """The shape that is written at a line: between blocks, not within them, and once where several run together."""
        link = self._view.links[leg.link]
        source, target = self._view.boxes[link.source], self._view.boxes[link.target]
        within = self._ground.get(leg.tail, source.group)
        inside = within is not None and within == target.group
        if leg.tail in self._ground or source.kind == "input" or target.kind == "output":
            return ""
        if source.kind in ("block", "stretch") and len(source.gives) == 1 and link.course == "flow":  # the box says it
            return ""
        if (
            inside
            or (link.course == "skip" and self._many_skips)
            or (target.kind == "merge" and link.course == "flow" and source.group == target.group)
        ):
            return ""
        shape = self._figures.shape(link.shown)
        told = (link.source, link.target, shape) in self._told  # of several links between two boxes the first says it for all
        self._told.add((link.source, link.target, shape))
        return "" if told else shape

    # ------------------------------------------------------------------------------------------------------------- the U
    def _u_leg(self, u: Arms, leg: Leg, look: dict[str, str], text: str) -> None:
        """A line of a U: what rises is drawn from its end to its start, so that it climbs; what crosses carries its shape in the middle."""
        target = self._view.links[leg.link].target
        if leg.link in u.crossing and leg.last and self._between(self._view.links[leg.link])[1]:
            self._crossing(leg, look)
        elif leg.link in u.flat or leg.link in u.loose:
            look["weight"] = "1"
            more = {} if leg.link in u.flat else {"constraint": "false"}
            self._dot.edge(leg.tail, leg.head, **look, **more, **_beside("" if leg.link in u.flat else text))
        elif target in u.rising:
            kind = f"{look.pop('kind')} backward"
            if look.get("arrowhead") == "none":
                look["arrowtail"] = "none"
            self._dot.edge(leg.head, leg.tail, kind=kind, dir="back", **look, **_beside(text))
        else:
            self._dot.edge(leg.tail, leg.head, **look, **_beside(text))

    def _crossing(self, leg: Leg, look: dict[str, str]) -> None:
        middle = f"k{leg.link}"
        link = self._view.links[leg.link]
        self._skip_label(middle, self._between(link)[0], link)
        self._dot.edge(leg.tail, middle, **{**look, "id": f"{leg.id}-m", "arrowhead": "none"})
        self._dot.edge(middle, leg.head, **look)

    def _skip_label(self, name: str, group: int | None, link: Link) -> None:
        """What a skip carries, written on its way."""
        self._dot.node(
            name, group, id=f"label-{name[1:]}", kind="skip-label", text=self._figures.shape(link.shown), shape="box",
            style="rounded,filled", fillcolor=SKIP_GROUND, color=SKIP, fontcolor=SKIP, fontsize="8.5", height="0.2", margin="0.06,0.02",
        )  # fmt: skip

    def _between(self, link: Link) -> tuple[int | None, bool]:
        """The innermost group around both ends of a link, and whether one of them stands directly in it."""
        ends = [self._view.boxes[link.source].group, self._view.boxes[link.target].group]
        around, others = (groups_around(self._view, group) for group in ends)
        shared = next((group for group in reversed(others) if group in around), None)
        return shared, shared in ends

    def _levels(self, u: Arms) -> None:
        middles = defaultdict(list)
        for number in u.crossing:
            if self._between(self._view.links[number])[1]:
                middles[self._view.links[number].target].append(f"k{number}")
        for row in u.rows:
            self._dot.rank(*(name for box in row for name in (*middles[box], box_name(box))))
        ends = [n for n, box in enumerate(self._view.boxes) if box.kind == "input" or (box.kind == "output" and n in u.rising)]
        placed = {box for row in u.rows for box in row}
        if len(ends) == 2 and not placed & set(ends):
            self._dot.rank(*map(box_name, ends))


def _beside(text: str) -> dict[str, str]:
    """A label beside its line: renderers that take a cross for a space set it too far to the left."""
    return {"text": f"  {' ' * ((text.count('×') + 1) // 2)}{text}"} if text else {}


def _width(text: str) -> float:
    """About how wide a bold text of 10 points is, in points."""
    return sum(3.0 if mark in "fijlrt.,:;'|!() " else 5.8 for mark in text)
