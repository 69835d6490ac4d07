"""The summary as a table of plain text that fits a terminal."""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from netspec.analyses.columns import Column, clipped, lay_out
from netspec.analyses.cost import LayerCost, batch_sizes
from netspec.analyses.cost.grouping import Group, in_order
from netspec.analyses.cost.layers import tensor_bytes
from netspec.record import record
from netspec.sizes.dim import Dim, Size, evaluate, show, substitute

if TYPE_CHECKING:
    from netspec.analyses.summary import Row, Summary

#: the longest expression shown whole, in characters: in a column, and below the table
LONGEST, LONGEST_BELOW = 60, 600


@record
class Options:
    """What the table shows: rows by `layer`, `block` (down to `depth` parts of the name) or `op`, sorted by one of
    `cost.grouping.ORDERS`; columns of `cost`, `signal`, and the cost as expressions (`symbolic`); what memory consists of
    (`memory`). `width` is that of the terminal where it is not given."""

    by: str = "layer"
    depth: int = 1
    sort: str = "order"
    cost: bool = False
    signal: bool = False
    symbolic: bool = False
    memory: bool = False
    width: int | None = None


def summary_text(summary: Summary, options: Options | None = None) -> str:
    """The rows, then the totals, then what the sizes must satisfy, and why."""
    options = options or Options()
    width = options.width or shutil.get_terminal_size((110, 24)).columns
    columns = _layers(summary, options) if options.by == "layer" else _groups(summary, options)
    at = ", ".join(f"{n} = {v}" for n, v in summary.typical)
    lines = [f"net {summary.net}" + (f"   at {at}" if at else ""), *lay_out(columns, width)]
    return "\n".join([*lines, *_totals(summary, options, width), *_ports(summary, width)])


def summary_html(summary: Summary) -> str:
    """The same for a notebook: the rows as a table, and below it the totals."""
    columns = _layers(summary, Options(cost=True))
    head = "".join(f"<th>{escape(c.heading)}</th>" for c in columns)
    rows = "".join(f"<tr>{''.join(map(_html_cell, row, columns))}</tr>" for row in zip(*(c.cells for c in columns)))
    below = "\n".join([*_totals(summary, Options(), 110), *_ports(summary, 110)])
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><pre>{escape(below)}</pre>"


def _html_cell(cell: str, column: Column) -> str:
    return f'<td style="text-align: {"right" if column.right else "left"}">{escape(cell)}</td>'


# ----------------------------------------------------------------------------------------------------------- columns
def _layers(summary: Summary, options: Options) -> list[Column]:
    numbers = {id(row): number for number, row in enumerate(summary.rows)}
    rows = in_order(summary.rows, options.sort)
    order = [numbers[id(row)] for row in rows]
    columns = [
        Column("layer", tuple(r.label for r in rows), least=16, middle=True),
        Column("operator", tuple(f"{r.op}({r.arguments})" if r.arguments else r.op for r in rows), least=9),
        _outputs(summary, rows),
    ]
    if options.symbolic and not options.cost:
        return columns + _symbolic(summary, rows, order) + (_signals(summary, order) if options.signal else [])
    columns += [*_counts(rows), Column("field", tuple(_field(summary.seen[n]) for n in order), right=True)]
    if options.cost:
        columns += _costs([r.cost for r in rows])
    if options.signal:
        columns += _signals(summary, order)
    return columns + (_symbolic(summary, rows, order)[1:] if options.symbolic else [])


def _groups(summary: Summary, options: Options) -> list[Column]:
    groups = in_order(summary.groups(options.by, options.depth), options.sort)
    total = summary.cost.total
    columns = [
        Column("block" if options.by == "block" else "operator", tuple(g.label for g in groups), least=16, middle=True),
        Column("layers", tuple(str(len(g.layers)) for g in groups), right=True),
    ]
    if options.by == "block":
        columns.append(_outputs(summary, [summary.rows[g.layers[-1]] for g in groups]))
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


def _outputs(summary: Summary, rows: Sequence[Row]) -> Column:
    """Output shapes; in short at the typical sizes, the batch left open."""
    batch = batch_sizes(summary.graph)
    sizes = {**dict(summary.typical), **{name: Dim.name(name) for name in batch}}
    shapes = dict.fromkeys(r.shape for r in rows)
    whole = {shape: _shape(shape) for shape in shapes}
    short = {shape: _shape([substitute(size, sizes) for size in shape]) for shape in shapes}
    return Column("output", tuple(whole[r.shape] for r in rows), least=12, short=tuple(short[r.shape] for r in rows))


def _counts(rows: Sequence[Row]) -> list[Column]:
    return [_numbers("parameters", [r.parameters for r in rows]), _numbers("multiply-adds", [r.macs for r in rows])]


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


def _symbolic(summary: Summary, rows: Sequence[Row], order: Sequence[int]) -> list[Column]:
    found = [summary.expressions.layers[n] for n in order]
    shown = {size: _expression(size) for size in {e.macs for e in found} | {e.operations for e in found}}
    return [
        _numbers("parameters", [r.parameters for r in rows]),
        Column("multiply-adds", tuple(shown[e.macs] for e in found), least=24),
        Column("operations", tuple(shown[e.operations] for e in found), least=24),
    ]


def _signals(summary: Summary, order: Sequence[int]) -> list[Column]:
    found = [summary.signals[n] for n in order]
    parts = (("mean", "mean"), ("second moment", "second"), ("gradient", "gradient"))
    return [Column(heading, tuple(_moment(getattr(s, name)) for s in found), right=True) for heading, name in parts]


# ------------------------------------------------------------------------------------------------------------- cells
def _shape(shape: Sequence[Size]) -> str:
    return "[" + ", ".join(map(show, shape)) + "]"


def _field(seen: dict[str, Any]) -> str:
    """What a position sees, once where it sees as much along every axis."""
    sizes = ["all" if math.isinf(size) else str(size) for size in seen.values()]
    return " × ".join(dict.fromkeys(sizes) if len(set(sizes)) == 1 else sizes)


def _expression(size: Size) -> str:
    return "" if isinstance(size, int) and size == 0 else clipped(show(size), LONGEST)


def _whole(size: Size) -> str:
    """An expression that is wrapped between its summands; spaces inside of one do not break."""
    text, depth, found = show(size), 0, []
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        breaks = depth == 0 and text[index + 1 : index + 3] in ("+ ", "- ")
        found.append("\0" if character == " " and not breaks else character)
    if len(text) > LONGEST_BELOW:
        return "".join(found[:LONGEST_BELOW]) + "… (whole with --format json)"
    return "".join(found)


def _moment(value: float | None) -> str:
    return "?" if value is None else "0" if abs(value) < 1e-12 else f"{value:.3g}"


def _short(value: int) -> str:
    """A count in four characters and a letter: 64, 9.4 k, 118 M, 4.09 G."""
    for power, letter in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if value >= 10**power:
            return f"{value / 10**power:.3g} {letter}" if value < 999.5 * 10**power else f"{value / 10**power:.0f} {letter}"
    return str(value)


def size_text(count: int) -> str:
    """A number of bytes in the largest unit that leaves a whole one: `576 B`, `12.3 KiB`, `9.2 MiB`, `1.28 GiB`."""
    if count < 1 << 10:
        return f"{count} B"
    if count < 1 << 20:
        return f"{count / (1 << 10):.1f} KiB"
    return f"{count / (1 << 20):.1f} MiB" if count < 1 << 30 else f"{count / (1 << 30):.2f} GiB"


# ------------------------------------------------------------------------------------------------------------ totals
def _totals(summary: Summary, options: Options, width: int) -> list[str]:
    total, memory = summary.cost.total, summary.cost.memory
    where = f" in {summary.rows[memory.peak.node].label}" if memory.peak.node >= 0 else ""
    saved = f"{size_text(memory.best)} in the best order" + ("" if memory.exact else " found")
    order = "no order needs less" if memory.exact and memory.best == memory.peak.bytes else saved
    lines: list[tuple[str, str, str]] = [
        ("parameters", f"{summary.parameters:,}", size_text(memory.parameters)),
        ("multiply-adds", f"{total.macs:,}", ""),
        ("operations", f"{total.operations:,}", "elementwise, beside them"),
        ("moved", size_text(total.bytes), f"{size_text(total.read)} read, {size_text(total.written)} written; "
         f"{total.intensity:.1f} floating-point operations a byte"),
        ("activations", size_text(memory.peak.bytes), f"at the peak{where}; {order}"),
        *(_memory(summary) if options.memory else ()),
        ("training", size_text(memory.training), _training(memory)),
    ]  # fmt: skip
    column = max(len(number) for _, number, _ in lines)
    told = [line for name, number, words in lines for line in _wrapped(f"{name:<13}  {number:>{column}}", words, width)]
    return told + (_formulas(summary, width) if options.symbolic else [])


def _formulas(summary: Summary, width: int) -> list[str]:
    """The totals as expressions of the open sizes. The peak of the activations is that of the moment named above."""
    total, memory = summary.expressions.total, summary.expressions.memory
    parts = (
        ("multiply-adds", total.macs), ("operations", total.operations), ("bytes moved", total.read + total.written),
        ("activations", memory.peak), ("kept", memory.kept),
    )  # fmt: skip
    return ["as expressions", *(line for name, size in parts for line in _wrapped(f"  {name:<14}", _whole(size), width))]


def _training(memory: Any) -> str:
    """What training memory consists of."""
    parameters, kept = size_text(memory.parameters + memory.buffers), size_text(memory.kept)
    told = f"{parameters} parameters + {size_text(memory.gradients)} gradients + {kept} kept for the backward pass"
    return f"{told}; Adam keeps {size_text(memory.optimizer('adam'))} more"


def _memory(summary: Summary) -> list[tuple[str, str, str]]:
    """What is alive at the peak, largest first, and the order of execution where another one is better."""
    memory, graph = summary.cost.memory, summary.graph
    names = {o: node.name for node in graph.nodes for o in node.outputs}
    sizes = dict(summary.typical)
    alive = sorted(((_bytes_at(graph.values[s], sizes), names.get(s, graph.values[s].name)) for s in memory.peak.alive), reverse=True)
    lines = [("" if number else "  alive then", size_text(size), name) for number, (size, name) in enumerate(alive) if size]
    if memory.best < memory.peak.bytes:
        lines.append(("  best order", size_text(memory.best), ", ".join(graph.nodes[n].name for n in memory.order)))
    return lines


def _bytes_at(value: Any, sizes: dict[str, int]) -> int:
    return evaluate(tensor_bytes(value.type), sizes)


def _ports(summary: Summary, width: int) -> list[str]:
    lines = []
    for kind, ports in (("input", summary.inputs), ("output", summary.outputs)):
        for port in ports:
            shape = ", ".join(str(s) for s in port["shape"])
            dtype = "" if port["dtype"] == "float32" else f" {port['dtype']}"
            lines += textwrap.wrap(f"{kind:<13}  {port['name']}:{dtype} [{shape}]", width, subsequent_indent=" " * 15)
    return lines + _conditions(summary, width)


def _conditions(summary: Summary, width: int) -> list[str]:
    """What the sizes must satisfy, each with the lines that ask for it; conditions with the same causes together."""
    together: dict[tuple[str, ...], list[str]] = {}
    for part in summary.sizes.parts:
        together.setdefault(tuple(cause.text for cause in part.causes), []).append(str(part))
    lines = []
    for number, (causes, conditions) in enumerate(together.items()):
        lines += _wrapped("" if number else "valid sizes", " and ".join(conditions), width)
        for cause in causes:
            lines += textwrap.wrap(f"because {cause}", width, initial_indent=" " * 17, subsequent_indent=" " * 25)
    return lines


def _wrapped(head: str, words: str, width: int) -> list[str]:
    """A head and words behind it, which go on below where they are many."""
    head = f"{head:<13}  "
    if not words:
        return [head.rstrip()]
    room = max(width, len(head) + 24)
    for text in (words, words.replace("\0", " ")):  # a summand that is too long is broken after all
        lines = textwrap.wrap(text, room, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False)
        if max(map(len, lines)) <= room:
            break
    return [line.replace("\0", " ") for line in lines]
