"""The layer table: what each layer is, makes, costs and sees, and the totals. Numbers are for the typical sizes and batch 1.

The table, arithmetic and memory are there at once; receptive fields, signals, expressions and what the sizes must satisfy are
worked out when they are asked for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from netspec.analyses.cost import OPTIMIZERS, Cost, CostExpression, LayerCost, batch_sizes, cost, expressed
from netspec.analyses.cost.grouping import Group, by_block, by_operator, in_order
from netspec.graph import Graph, Node
from netspec.record import record
from netspec.sizes.dim import Size, show

if TYPE_CHECKING:
    from netspec.analyses.constraints import ValidSizes
    from netspec.analyses.signal import Signal

__all__ = ["Row", "Summary", "batch_sizes", "spell", "spelled", "summarize"]

#: a size as text, remembered: layers of a kind have the same few
shown = lru_cache(maxsize=4096)(show)
#: what a position of a value sees: positions by the name of the axis, `inf` for the whole axis
Seen = dict[str, "int | float"]


@record
class Row:
    """One layer. `parameters` are counted where they are stored first; all else at every application.

    `label` is the layer's dotted name, `inputs` the names of the values that it takes, `shape` that of its first output, `line`
    where it was written (0: unknown).
    """

    label: str
    op: str
    arguments: str
    inputs: tuple[str, ...]
    shape: tuple[Size, ...]
    line: int
    cost: LayerCost

    @property
    def parameters(self) -> int:
        """The trained numbers that it stores."""
        return self.cost.parameters

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.cost.macs


@record
class Summary:
    """The table with its totals. `activation_bytes` is the peak over the written order of what must be kept at once.

    `inputs` and `outputs` are tables of name, dtype and shape; inputs also have `constraints`, the conditions on their open
    sizes in the language's syntax. `typical` are the sizes that numbers are for. `cost` has the numbers themselves.
    """

    graph: Graph = field(repr=False, compare=False)
    rows: tuple[Row, ...]
    cost: Cost
    _made: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def net(self) -> str:
        """The net's name."""
        return self.graph.name

    @property
    def parameters(self) -> int:
        """Trained numbers: what trains, and no buffers, as torch counts; shared ones once."""
        return sum(math.prod(w.shape) for w in self.graph.weights if w.trainable)

    @property
    def trainable(self) -> int:
        """The same."""
        return self.parameters

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one forward pass; bias, norms, activations and pooling count none."""
        return self.cost.total.macs

    @property
    def operations(self) -> int:
        """Elementwise operations of one forward pass: what is computed beside the multiply-accumulates."""
        return self.cost.total.operations

    @property
    def activation_bytes(self) -> int:
        """The most bytes of activations alive at once at inference, in the written order."""
        return self.cost.memory.peak.bytes

    @property
    def typical(self) -> tuple[tuple[str, int], ...]:
        """The sizes that the numbers are for."""
        return self.cost.sizes

    @property
    def inputs(self) -> tuple[dict[str, Any], ...]:
        """Name, dtype, shape and constraints of each input."""
        return tuple(_port(self.graph, p, self.sizes) for p in self.graph.inputs)

    @property
    def outputs(self) -> tuple[dict[str, Any], ...]:
        """Name, dtype and shape of each output."""
        return tuple(_port(self.graph, p) for p in self.graph.outputs)

    # ------------------------------------------------------------------------------------------------ on demand
    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    @property
    def sizes(self) -> ValidSizes:
        """For which sizes the network is well defined, and who asks for it."""
        from netspec.analyses.constraints import valid_sizes

        return self._once("sizes", lambda: valid_sizes(self.graph))

    @property
    def seen(self) -> tuple[Seen, ...]:
        """For each row what one position of its output sees of the inputs, along each axis; {} where it sees none."""
        return self._once("seen", self._seen)

    def _seen(self) -> tuple[Seen, ...]:
        from netspec.analyses.field import fields

        found = fields(self.graph)
        return tuple(found.size(node.outputs[0]) for node in self.graph.nodes)

    @property
    def signals(self) -> tuple[Signal, ...]:
        """For each row the moments of its output and of its gradient at initialization, as in training."""
        from netspec.analyses.signal import signals

        return self._once("signals", lambda: signals(self.graph, sizes=dict(self.typical)).rows())

    @property
    def expressions(self) -> CostExpression:
        """The cost as expressions of the open sizes, the batch among them."""
        return self._once("expressions", lambda: expressed(self.graph, self.cost))

    def groups(self, by: str = "block", depth: int = 1) -> tuple[Group, ...]:
        """The layers put together by `block`, down to a depth of the dotted name, or by `op`."""
        if by not in ("block", "op"):
            raise ValueError(f"layers are put together by block or by op, not by {by}")
        return by_operator(self.graph, self.cost.layers) if by == "op" else by_block(self.graph, self.cost.layers, depth)

    # ----------------------------------------------------------------------------------------------------- forms
    def data(
        self, signal: bool = False, symbolic: bool = False, by: str = "layer", depth: int = 1, sort: str = "order"
    ) -> dict[str, Any]:  # fmt: skip
        """As plain data: the JSON of `netspec summary --format json`. Signals, expressions and groups (`by` block or op) are
        there if they are asked for; `sort` is one of `cost.grouping.ORDERS`."""
        total, memory = self.cost.total, self.cost.memory
        numbers = {id(row): number for number, row in enumerate(self.rows)}
        bound = {name for part in self.sizes.parts for name in part.names}
        found = {
            "net": self.net,
            "parameters": self.parameters,
            "trainable": self.trainable,
            "macs": self.macs,
            "operations": total.operations,
            "read_bytes": total.read,
            "written_bytes": total.written,
            "intensity": round(total.intensity, 4),
            "activation_bytes": self.activation_bytes,
            "memory": {
                "peak_layer": self.graph.nodes[memory.peak.node].name if memory.peak.node >= 0 else None,
                "best_order_bytes": memory.best,
                "best_order_exact": memory.exact,
                "parameter_bytes": memory.parameters,
                "buffer_bytes": memory.buffers,
                "gradient_bytes": memory.gradients,
                "kept_bytes": memory.kept,
                "training_bytes": memory.training,
                "optimizer_bytes": {name: memory.optimizer(name) for name in OPTIMIZERS},
            },
            "typical": dict(self.typical),
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "conditions": self.sizes.data(),
            "nearest": {size.name: self._neighbours(size.name, size.typical) for size in self.graph.sizes if size.name in bound},
            "layers": [self._row_data(numbers[id(row)], signal, symbolic) for row in in_order(self.rows, sort)],
        }
        if by != "layer":
            found["groups"] = [self._group_data(group) for group in in_order(self.groups(by, depth), sort)]
        if symbolic:
            found["expressions"] = {**_expressions(self.expressions.total), "activation_bytes": shown(self.expressions.memory.peak),
                                    "kept_bytes": shown(self.expressions.memory.kept)}  # fmt: skip
        return found

    def _neighbours(self, name: str, typical: int) -> list[int | None]:
        """The nearest valid values of a size below and above its typical one; None where there is none."""
        below = self.sizes.nearest(name, {name: typical - 1})[0] if typical > 1 else None
        return [below, self.sizes.nearest(name, {name: typical + 1})[1]]

    def _row_data(self, number: int, signal: bool, symbolic: bool) -> dict[str, Any]:
        row = self.rows[number]
        found: dict[str, Any] = {
            "label": row.label, "op": row.op, "inputs": list(row.inputs), "shape": _shape(row.shape), "parameters": row.parameters,
            "macs": row.macs, "operations": row.cost.operations, "read_bytes": row.cost.read, "written_bytes": row.cost.written,
            "intensity": round(row.cost.intensity, 4),
            "receptive_field": {axis: "all" if math.isinf(n) else n for axis, n in self.seen[number].items()}, "line": row.line,
        }  # fmt: skip
        if signal:
            moments = self.signals[number]
            found["signal"] = {"mean": moments.mean, "second": moments.second, "gradient": moments.gradient, "note": moments.note}
        if symbolic:
            found["expressions"] = _expressions(self.expressions.layers[number])
        return found

    def _group_data(self, group: Group) -> dict[str, Any]:
        shares = {
            "parameters": (group.cost.parameters, self.cost.total.parameters), "macs": (group.cost.macs, self.cost.total.macs),
            "operations": (group.cost.operations, self.cost.total.operations), "bytes": (group.cost.bytes, self.cost.total.bytes),
        }  # fmt: skip
        return {
            "label": group.label,
            "layers": [self.rows[n].label for n in group.layers],
            **{name: part for name, (part, _) in shares.items()},
            "shares": {name: round(part / whole, 6) if whole else 0.0 for name, (part, whole) in shares.items()},
        }

    def json(self, **options: Any) -> str:
        """The JSON text; the options are those of `data`."""
        return json.dumps(self.data(**options), indent=2)

    def table(self, **options: Any) -> str:
        """The table as text; the options are those of `analyses.table.Options`: `by`, `depth`, `sort`, `unfold`, `cost`, `width`, …"""
        from netspec.analyses.table import Options, summary_text

        return summary_text(self, Options(**options))

    def _repr_html_(self) -> str:
        """The table in a notebook."""
        from netspec.analyses.summary_html import summary_html

        return summary_html(self)

    def __str__(self) -> str:
        return self.table()


def summarize(graph: Graph) -> Summary:
    """The summary of a graph, at its typical sizes and for one example."""
    found = cost(graph)
    names: dict[Any, str] = {}
    rows = tuple(_row(graph, node, layer, names) for node, layer in zip(graph.nodes, found.layers))
    return Summary(graph, rows, found)


def _row(graph: Graph, node: Node, layer: LayerCost, spelled: dict[Any, str]) -> Row:
    if node.op not in spelled:
        spelled[node.op] = spell(node)
    return Row(
        label=node.name, op=node.op.NAME, arguments=spelled[node.op], inputs=tuple(graph.values[i].name for i in node.inputs),
        shape=graph.values[node.outputs[0]].shape, line=node.origin.line if node.origin else 0, cost=layer,
    )  # fmt: skip


def spell(node: Node) -> str:
    """The operator's arguments that are not at their defaults, in the language's words: `64, 7, stride = 2`."""
    parts = []
    for name, argument in type(node.op).model_fields.items():
        value = getattr(node.op, name)
        if argument.is_required():
            parts.append(spelled(value))
        elif value != argument.default:
            parts.append(f"{name} = {spelled(value)}")
    return ", ".join(parts)


def spelled(value: Any) -> str:
    """An argument in the language's words: `[1, 2]`, `true`, `none`, an operator's name."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, tuple):
        return f"[{', '.join(map(spelled, value))}]"
    if hasattr(value, "NAME"):
        return str(value.NAME)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _shape(shape: tuple[Size, ...]) -> list[int | str]:
    return [s if isinstance(s, int) else shown(s) for s in shape]


def _port(graph: Graph, port: Any, asked: ValidSizes | None = None) -> dict[str, Any]:
    value = graph.values[port.value]
    found: dict[str, Any] = {"name": port.name, "dtype": value.dtype, "shape": _shape(value.shape)}
    if asked is not None:
        names = dict.fromkeys(s for s in found["shape"] if isinstance(s, str))
        found["constraints"] = [str(part) for name in names for part in asked.of(name)]
    return found


def _expressions(found: Any) -> dict[str, Any]:
    return {
        "macs": shown(found.macs), "operations": shown(found.operations), "read_bytes": shown(found.read),
        "written_bytes": shown(found.written),
    }  # fmt: skip
