"""What a picture of a network shows: boxes, groups of them, and the links between them. Plain facts, no coordinates.

A `View` is a network at some depth. Every layer of the graph stands in exactly one box (a scan that is open is a group): a box
may stand for one layer, for a run of layers (a convolution with its normalization and activation), for a whole folded block, or
for several equal ones in a row.
"""

from __future__ import annotations

from typing import Literal

from netspec.graph import Graph
from netspec.record import record

#: what a box is: an `input` or `output` of the network; `layers` (a run of them, a row each); `merge` (one that does nothing but
#: put tensors together: `+`, a concatenation alone); `block` (a folded block); `stretch` (many boxes of a network that has too
#: many for a page and no blocks that could be folded)
Kind = Literal["input", "output", "layers", "merge", "block", "stretch"]

#: how a link is drawn: `flow` along the way, `skip` past boxes that compute something else of the same tensor, `loop` what
#: one step of a recurrence hands to the next
Course = Literal["flow", "skip", "loop"]


@record
class Box:
    """One box. `key` is unique in a view, and the same in every view that shows the same thing: a layer's or block's name.

    `nodes` number the graph's layers for which it stands, `rows` those of them that it shows, one a row: of `repeat` equal
    boxes in a row, the first. Both are empty for ports. `frame` is the folded block's first application. `group` numbers the
    innermost group that it stands in (None: none). `takes` and `gives` are values of the graph: what goes in from other boxes, in
    order of use, and what others take, of the last of the repeated ones. `name` is what is written on it: a port's name, a
    layer's label or a block's. `call` is the block as one would write it (`bottleneck(128, stride = 2)`), empty for the rest.
    """

    key: str
    kind: Kind
    name: str
    call: str
    nodes: tuple[int, ...]
    rows: tuple[int, ...]
    takes: tuple[int, ...]
    gives: tuple[int, ...]
    group: int | None = None
    frame: int | None = None
    repeat: int = 1


@record
class Group:
    """An opened block: a frame around boxes. `repeat` counts equal blocks in a row, the first of which is shown.

    `nodes` are all its layers, those of its repetitions too. `steps` names the operator that runs it once a step (`scan`), empty
    for a block that runs once.
    """

    key: str
    name: str
    call: str
    frame: int
    parent: int | None
    nodes: tuple[int, ...]
    repeat: int = 1
    steps: str = ""


@record
class Link:
    """A tensor on its way from one box to another; both number `View.boxes`.

    `value` is what its source makes. Where that stands in a scan that is open, or its target does, `whole` is the tensor outside of
    it, of all steps together.
    """

    source: int
    target: int
    value: int
    course: Course = "flow"
    whole: int | None = None

    @property
    def shown(self) -> int:
        """The value whose shape is written at the link."""
        return self.value if self.whole is None else self.whole


@record
class View:
    """A network at some depth: boxes in the order in which they compute, inputs first and outputs last.

    `graph` is the graph that all numbers number: the network's, with the bodies of its scans among its own layers
    (`analyses.bodies`). `only` is the key of the one block that is shown, or empty; then ports are that block's.
    """

    graph: Graph
    boxes: tuple[Box, ...]
    groups: tuple[Group, ...]
    links: tuple[Link, ...]
    only: str = ""
