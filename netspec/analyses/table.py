"""The summary as a table of plain text that fits a terminal."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from netspec.analyses.columns import Column, clipped, lay_out, painted
from netspec.analyses.cost import LayerCost, batch_sizes
from netspec.analyses.cost.grouping import Group, in_order
from netspec.analyses.cost.layers import sum_of, together
from netspec.analyses.repeats import Line, flat, folded
from netspec.analyses.totals import facts_text, size_text, wrapped
from netspec.record import record
from netspec.sizes.dim import Dim, Size, show, substitute

if TYPE_CHECKING:
    from netspec.analyses.summary import Summary

__all__ = ["Options", "size_text", "summary_text", "table_of"]

#: the longest expression shown whole in a column, in characters
LONGEST = 60
#: how much wider than the widest shape a column may get by setting their sizes below one another
SPREAD = 1.25
#: what a line with × is, in words
REPEATS = "so many equal blocks in a row, with the totals of all; below it, indented, the first of them (--unfold shows each)"

#: the colours of a terminal's sixteen that come nearest to those of a diagram, by the operator's family
COLOURS = {
    "conv": "34", "norm": "33", "activation": "91", "pool": "36", "upsample": "36", "linear": "35", "attention": "95",
    "recurrent": "32", "merge": "33", "reshape": "90", "regularizer": "90",
}  # fmt: skip


@record
class Options:
    """What the table shows: rows by `layer`, `block` (down to `depth` parts of the name) or `op`, sorted by one of
    `cost.grouping.ORDERS`; equal blocks in a row told once unless `unfold` (or another order) is asked for; columns of `cost`,
    `signal`, and the cost as expressions (`symbolic`); what memory consists of (`memory`). `width` is that of the terminal where
    it is not given; `colour` paints for one."""

    by: str = "layer"
    depth: int = 1
    sort: str = "order"
    unfold: bool = False
    cost: bool = False
    signal: bool = False
    symbolic: bool = False
    memory: bool = False
    width: int | None = None
    colour: bool = False


def summary_text(summary: Summary, options: Options | None = None) -> str:
    """The rows, then the totals, then what the sizes must satisfy, and why."""
    options = options or Options()
    width = options.width or shutil.get_terminal_size((110, 24)).columns
    lines, columns = table_of(summary, options)
    styles = [_style(line) for line in lines] if lines else [""] * len(columns[0].cells)
    at = ", ".join(f"{n} = {v}" for n, v in summary.typical)
    told = [painted(f"net {summary.net}", "1", options.colour) + painted(f"   at {at}" if at else "", "2", options.colour)]
    told += lay_out(columns, width, styles if options.colour else None)
    if any(line.repeat > 1 for line in lines):
        told += [painted(line, "2", options.colour) for line in wrapped("× n", REPEATS, width)]
    return "\n".join([*told, *facts_text(summary, width, options.memory, options.symbolic, options.colour)])


def table_of(summary: Summary, options: Options) -> tuple[list[Line], list[Column]]:
    """The lines that the rows of the table are (none where they are groups), and its columns."""
    if options.by != "layer":
        return [], _groups(summary, options)
    lines = _lines(summary, options)
    return lines, _layers(summary, lines, options)


# ----------------------------------------------------------------------------------------------------------- columns
def _lines(summary: Summary, options: Options) -> list[Line]:
    if options.sort == "order" and not options.unfold:
        return folded(summary.graph, summary.cost.layers)
    lines = flat(summary.graph)
    if options.sort == "order":
        return lines
    numbers = {id(row): number for number, row in enumerate(summary.rows)}
    return [lines[numbers[id(row)]] for row in in_order(summary.rows, options.sort)]


def _layers(summary: Summary, lines: Sequence[Line], options: Options) -> list[Column]:
    costs = [_cost(summary, line) for line in lines]
    columns = [
        Column("layer", tuple(map(_label, lines)), least=16, middle=True),
        _operators(summary, lines, options.colour),
        _outputs(summary, [line.end for line in lines]),
        _numbers("parameters", [c.parameters for c in costs]),
    ]
    expressions = _symbolic(summary, lines) if options.symbolic else []
    if options.symbolic and not options.cost:
        return columns + expressions + (_signals(summary, lines) if options.signal else [])
    columns += [
        _numbers("multiply-adds", [c.macs for c in costs]),
        Column("field", tuple(_field(summary.seen[line.end]) for line in lines), right=True),
        *(_costs(costs) if options.cost else ()),
        *(_signals(summary, lines) if options.signal else ()),
    ]
    return columns + expressions


def _cost(summary: Summary, line: Line) -> LayerCost:
    """That of the line's layers, all repetitions together."""
    costs = summary.cost.layers
    return costs[line.end] if len(line.layers) == 1 else together(costs[n] for n in line.layers)


def _label(line: Line) -> str:
    return "  " * line.depth + line.label + (f" × {line.repeat}" if line.repeat > 1 else "")


def _style(line: Line) -> str:
    """Repeated blocks stand out, and what is told of one of them stands back."""
    return "1" if line.repeat > 1 and not line.depth else "2" if line.depth and line.repeat == 1 else ""


def _operators(summary: Summary, lines: Sequence[Line], colour: bool) -> Column:
    cells, styles = [], []
    for line in lines:
        row, node = summary.rows[line.end], summary.graph.nodes[line.end]
        cells.append(line.call or (f"{row.op}({row.arguments})" if row.arguments else row.op))
        styles.append("" if line.call else COLOURS.get(type(node.op).FAMILY, ""))
    return Column("operator", tuple(cells), least=9, styles=tuple(styles) if colour else ())


def _groups(summary: Summary, options: Options) -> list[Column]:
    groups = in_order(summary.groups(options.by, options.depth), options.sort)
    total = summary.cost.total
    columns = [
        Column("block" if options.by == "block" else "operator", tuple(g.label for g in groups), least=16, middle=True),
        Column("layers", tuple(str(len(g.layers)) for g in groups), right=True),
    ]
    if options.by == "block":
        columns.append(_outputs(summary, [g.layers[-1] for g in groups]))
    parts: list[tuple[str, Callable[[LayerCost], int], bool]] = [
        ("parameters", lambda c: c.parameters, True), ("multiply-adds", lambda c: c.macs, True),
        ("operations", lambda c: c.operations, options.cost), ("bytes", lambda c: c.bytes, options.cost),
    ]  # fmt: skip
    for heading, part, wanted in parts:
        if wanted:
            columns += [_numbers(heading, [part(g.cost) for g in groups], heading == "bytes"), _shares(groups, part, part(total))]
    return columns


def _shares(groups: Sequence[Group], part: Callable[[LayerCost], int], total: int) -> Column:
    """The share that each group has of the total, in percent."""
    return Column("%", tuple(f"{100 * part(g.cost) / total:.1f}" if part(g.cost) else "" for g in groups), right=True, tied=True)


def _outputs(summary: Summary, layers: Sequence[int]) -> Column:
    """Output shapes of layers; in short at the typical sizes, the batch left open."""
    batch = batch_sizes(summary.graph)
    sizes = {**dict(summary.typical), **{name: Dim.name(name) for name in batch}}
    shapes = [summary.rows[n].shape for n in layers]
    known = dict.fromkeys(shapes)
    whole = _aligned({shape: [show(size) for size in shape] for shape in known})
    short = _aligned({shape: [show(substitute(size, sizes)) for size in shape] for shape in known})
    return Column("output", tuple(whole[s] for s in shapes), least=12, short=tuple(short[s] for s in shapes))


def _aligned(shapes: dict[Any, list[str]]) -> dict[Any, str]:
    """Each shape as text, with the sizes of those of one rank below one another, where that does not take much room."""
    found: dict[Any, str] = {}
    for rank in {len(sizes) for sizes in shapes.values()}:
        own = {shape: sizes for shape, sizes in shapes.items() if len(sizes) == rank}
        widths = [max(map(len, column)) for column in zip(*own.values())]
        widest = max(sum(map(len, sizes)) for sizes in own.values())
        if sum(widths) > SPREAD * widest:
            widths = [0] * rank
        for shape, sizes in own.items():
            found[shape] = "[" + ", ".join(f"{size:>{width}}" for size, width in zip(sizes, widths)) + "]"
    return found


def _costs(costs: Sequence[LayerCost]) -> list[Column]:
    intensity = tuple(f"{c.intensity:.1f}" if c.flops else "" for c in costs)
    return [
        _numbers("operations", [c.operations for c in costs]), _numbers("bytes", [c.bytes for c in costs], True),
        Column("op/byte", intensity, right=True),
    ]  # fmt: skip


def _numbers(heading: str, values: Sequence[int], in_bytes: bool = False) -> Column:
    if in_bytes:
        return Column(heading, tuple(size_text(v) if v else "" for v in values), right=True)
    short = tuple(_short(v) if v else "" for v in values)
    return Column(heading, tuple(f"{v:,}" if v else "" for v in values), right=True, short=short)


def _symbolic(summary: Summary, lines: Sequence[Line]) -> list[Column]:
    layers = summary.expressions.layers
    found = [layers[line.end] if len(line.layers) == 1 else sum_of(layers[n] for n in line.layers) for line in lines]
    shown = {size: _expression(size) for size in {e.macs for e in found} | {e.operations for e in found}}
    return [
        Column("multiply-adds", tuple(shown[e.macs] for e in found), least=24),
        Column("operations", tuple(shown[e.operations] for e in found), least=24),
    ]


def _signals(summary: Summary, lines: Sequence[Line]) -> list[Column]:
    found = [summary.signals[line.end] for line in lines]
    parts = (("mean", "mean"), ("second moment", "second"), ("gradient", "gradient"))
    return [Column(heading, tuple(_moment(getattr(s, name)) for s in found), right=True) for heading, name in parts]


# ------------------------------------------------------------------------------------------------------------- cells
def _field(seen: dict[str, Any]) -> str:
    """What a position sees, once where it sees as much along every axis."""
    sizes = ["all" if math.isinf(size) else str(size) for size in seen.values()]
    return " × ".join(dict.fromkeys(sizes) if len(set(sizes)) == 1 else sizes)


def _expression(size: Size) -> str:
    return "" if isinstance(size, int) and size == 0 else clipped(show(size), LONGEST)


def _moment(value: float | None) -> str:
    return "?" if value is None else "0" if abs(value) < 1e-12 else f"{value:.3g}"


def _short(value: int) -> str:
    """A count in four characters and a letter: 64, 9.4 k, 118 M, 4.09 G."""
    for power, letter in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if value >= 10**power:
            return f"{value / 10**power:.3g} {letter}" if value < 999.5 * 10**power else f"{value / 10**power:.0f} {letter}"
    return str(value)
