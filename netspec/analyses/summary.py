"""The layer table: what each layer is, makes and costs, and the totals. Numbers are for the typical sizes and batch 1."""

from __future__ import annotations

import json
from functools import lru_cache
from math import prod
from typing import Any

from netspec.analyses.constraints import constraints
from netspec.graph import Graph, Node
from netspec.record import record
from netspec.sizes.dim import Size, evaluate, show
from netspec.sizes.tensor import DTYPES


@record
class Row:
    """One layer. `parameters` are counted where they are stored first; `macs` at every application.

    `label` is the layer's dotted name, `inputs` the names of the values that it takes, `shape` that of its first output, `line`
    where it was written (0: unknown).
    """

    label: str
    op: str
    arguments: str
    inputs: tuple[str, ...]
    shape: tuple[Size, ...]
    parameters: int
    macs: int
    line: int


@record
class Summary:
    """The table with its totals. `activation_bytes` is the peak over the written order of what must be kept at once.

    `inputs` and `outputs` are tables of name, dtype and shape; inputs also have `constraints`, the conditions on their open
    sizes in the language's syntax. `typical` are the sizes that numbers are for.
    """

    net: str
    rows: tuple[Row, ...]
    parameters: int
    trainable: int
    macs: int
    activation_bytes: int
    inputs: tuple[dict[str, Any], ...]
    outputs: tuple[dict[str, Any], ...]
    typical: tuple[tuple[str, int], ...]

    def data(self) -> dict[str, Any]:
        """As plain data: the JSON of `netspec summary --format json`."""
        return {
            "net": self.net,
            "parameters": self.parameters,
            "trainable": self.trainable,
            "macs": self.macs,
            "activation_bytes": self.activation_bytes,
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "layers": [
                {
                    "label": r.label, "op": r.op, "inputs": list(r.inputs), "shape": _shape(r.shape), "parameters": r.parameters,
                    "macs": r.macs, "line": r.line,
                }
                for r in self.rows
            ],
        }  # fmt: skip

    def json(self) -> str:
        """The JSON text."""
        return json.dumps(self.data(), indent=2)

    def __str__(self) -> str:
        from netspec.analyses.table import summary_text

        return summary_text(self)


def summarize(graph: Graph) -> Summary:
    """The summary of a graph. `parameters` counts what trains (no buffers), as torch does; one multiply-accumulate counts one,
    and bias, norms, activations and pooling count none."""
    typical = {**graph.typical, **dict.fromkeys(batch_sizes(graph), 1)}
    at = _evaluator(graph, typical)
    counted: set[int] = set()
    rows = tuple(_row(graph, node, counted, at) for node in graph.nodes)
    total = sum(prod(w.shape) for w in graph.weights if w.trainable)
    asked = constraints(graph)
    return Summary(
        net=graph.name, rows=rows, parameters=total, trainable=total, macs=sum(r.macs for r in rows),
        activation_bytes=peak_bytes(graph, typical),
        inputs=tuple(_port(graph, p, asked) for p in graph.inputs), outputs=tuple(_port(graph, p, None) for p in graph.outputs),
        typical=tuple(typical.items()),
    )  # fmt: skip


def batch_sizes(graph: Graph) -> list[str]:
    """The open sizes that are the first axis of an input: how many samples there are at once."""
    first = {show(graph.values[p.value].shape[0]) for p in graph.inputs if graph.values[p.value].shape}
    return [s.name for s in graph.sizes if s.name in first]


def _evaluator(graph: Graph, typical: dict[str, int]) -> Any:
    """Sizes to numbers at the typical values, remembered: layers of a kind have the same few."""
    return lru_cache(maxsize=None)(lambda size: size if isinstance(size, int) else evaluate(size, typical))


def _row(graph: Graph, node: Node, counted: set[int], at: Any) -> Row:
    own = [w for w in node.weights if w not in counted and graph.weights[w].trainable]
    counted.update(node.weights)
    inputs, outputs = graph.types(node.inputs), graph.types(node.outputs)
    return Row(
        label=node.name, op=node.op.NAME, arguments=spell(node), inputs=tuple(graph.values[i].name for i in node.inputs),
        shape=outputs[0].shape, parameters=sum(prod(graph.weights[w].shape) for w in own), macs=at(node.op.macs(inputs, outputs)),
        line=node.origin.line if node.origin else 0,
    )  # fmt: skip


def spell(node: Node) -> str:
    """The operator's arguments that are not at their defaults, in the language's words: `64, 7, stride = 2`."""
    parts = []
    for name, field in type(node.op).model_fields.items():
        value = getattr(node.op, name)
        if field.is_required():
            parts.append(_spell(value))
        elif value != field.default:
            parts.append(f"{name} = {_spell(value)}")
    return ", ".join(parts)


def _spell(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, tuple):
        return f"[{', '.join(map(_spell, value))}]"
    if hasattr(value, "NAME"):
        return str(value.NAME)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _shape(shape: tuple[Size, ...]) -> list[int | str]:
    return [s if isinstance(s, int) else show(s) for s in shape]


def _port(graph: Graph, port: Any, asked: dict[str, list[str]] | None) -> dict[str, Any]:
    value = graph.values[port.value]
    found: dict[str, Any] = {"name": port.name, "dtype": value.dtype, "shape": _shape(value.shape)}
    if asked is not None:
        names = [s for s in found["shape"] if isinstance(s, str)]
        found["constraints"] = [text for name in dict.fromkeys(names) for text in asked.get(name, [])]
    return found


def peak_bytes(graph: Graph, sizes: dict[str, int]) -> int:
    """The most bytes of activations alive at once, at these values of the open sizes, when nodes run in order and a value is
    dropped after its last use."""
    at = _evaluator(graph, sizes)
    sizes = [prod(at(s) for s in v.shape) * DTYPES[v.dtype] for v in graph.values]
    last: dict[int, int] = {p.value: len(graph.nodes) for p in graph.outputs}
    for index, node in enumerate(graph.nodes):
        for number in node.inputs:
            last[number] = max(last.get(number, 0), index)
    alive = sum(sizes[p.value] for p in graph.inputs)
    peak = alive
    for index, node in enumerate(graph.nodes):
        alive += sum(sizes[o] for o in node.outputs)
        peak = max(peak, alive)
        done = {n for n in (*node.inputs, *node.outputs) if last.get(n, index) <= index}
        alive -= sum(sizes[n] for n in done)
    return peak
