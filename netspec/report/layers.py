"""The layer table of a report: what the summary knows, a row a layer, with what the page sorts and filters by."""

from __future__ import annotations

import math
from typing import Any

from netspec.analyses.summary import Summary
from netspec.analyses.table import size_text
from netspec.backends.diagram.palette import family
from netspec.record import record
from netspec.report.listing import Texts
from netspec.report.shapes import Shapes

#: a page shows at most so many layers
MOST_ROWS = 3_000


@record
class LayerRow:
    """One layer. `shape` is that of its first output at typical sizes, `exact` the same with open sizes.

    `bytes` are read and written, `field` is what a position sees, as text and as a number to sort by (`inf`: all; -1: nothing).
    `forward` and `backward` are the second moments of its output and of the gradient there at initialization, None where they
    are not known. `line` and `anchor` are where the page shows its source (0 and empty: nowhere).
    `block` is the outermost block that it stands in, or its own label.
    """

    number: int
    label: str
    operator: str
    arguments: str
    family: str
    shape: str
    exact: str
    parameters: int
    macs: int
    bytes: int
    field: str
    reach: float
    forward: float | None
    backward: float | None
    line: int
    anchor: str
    block: str

    @property
    def bytes_text(self) -> str:
        """The bytes in the largest unit that leaves a whole one."""
        return size_text(self.bytes) if self.bytes else ""


def layer_rows(summary: Summary, texts: Texts, shapes: Shapes) -> tuple[LayerRow, ...]:
    """A row for each layer of the network, in its order."""
    return tuple(_row(summary, number, texts, shapes) for number in range(len(summary.rows)))


def _row(summary: Summary, number: int, texts: Texts, shapes: Shapes) -> LayerRow:
    row, node, seen, signal = summary.rows[number], summary.graph.nodes[number], summary.seen[number], summary.signals[number]
    frame = node.frame
    while frame and summary.graph.frames[frame].parent:
        frame = summary.graph.frames[frame].parent or 0
    block = summary.graph.scopes[summary.graph.frames[frame].scope].path if frame else row.label
    return LayerRow(
        number, row.label, row.op, row.arguments, node.op.FAMILY, shapes.typical(row.shape), shapes.exact(row.shape),
        row.parameters, row.macs, row.cost.bytes, _field(seen), max(seen.values(), default=-1), signal.second, signal.gradient,
        texts.line(node.origin), texts.anchor(node.origin), block,
    )  # fmt: skip


def _field(seen: dict[str, Any]) -> str:
    """What a position sees, once where it sees as much along every axis."""
    sizes = ["all" if math.isinf(size) else f"{size:,}" for size in seen.values()]
    return sizes[0] if len(set(sizes)) == 1 else " × ".join(sizes)


def moment(value: float | None) -> str:
    """A second moment in three digits; empty where it is not known."""
    return "" if value is None else "0" if abs(value) < 1e-12 else f"{value:.3g}"


def families(rows: tuple[LayerRow, ...]) -> list[tuple[str, str, int]]:
    """The operator families that occur, what they are called, and how often, in the order in which they first do."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.family] = counts.get(row.family, 0) + 1
    return [(name, family(name).words, count) for name, count in counts.items()]
