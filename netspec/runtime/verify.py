"""PyTorch against onnxruntime: the same weights, the same inputs, node by node and end to end.

Comparing outputs alone is nearly blind: a deep network hides a wrong epsilon. So every node is run apart, in onnxruntime
and in PyTorch, on PyTorch's own activation; the reference is the same node in float64, and the error allowed is a small
multiple of PyTorch's own. The first node that fails, in order, is the culprit.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Iterator

from netspec.graph import Graph, Node
from netspec.runtime.cases import CHARACTERS, Case, Revealing, inputs, size_cases
from netspec.runtime.isolate import isolate

if TYPE_CHECKING:
    import numpy as np

#: how many times PyTorch's own error (or a few units in the last place) onnxruntime may be off
NODE_FACTOR, NODE_ULPS = 8.0, 2.0
END_FACTOR, END_ULPS = 16.0, 4.0

#: factors on the weights that are made, tried in turn
GAINS = (1.0, 0.7, 0.5)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where onnxruntime differs: the layer (or output), its line, the worst place and both values there."""

    where: str
    operator: str
    line: int
    case: str
    index: tuple[int, ...]
    torch: float
    onnxruntime: float
    error: float
    allowed: float
    cause: str = ""

    def __str__(self) -> str:
        at = f"[{', '.join(map(str, self.index))}]"
        line = f" (line {self.line})" if self.line else ""
        values = f"PyTorch {self.torch:.9g}, onnxruntime {self.onnxruntime:.9g}"
        text = f"{self.where}: {self.operator}{line} at {at}: {values}; off by {self.error:.3g}, allowed {self.allowed:.3g}; {self.case}"
        return f"{text}; {self.cause}" if self.cause else text


@dataclass(slots=True)
class Verdict:
    """What was compared, and every difference in the order in which it was met."""

    nodes: int = 0
    cases: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the two agree everywhere."""
        return not self.differences

    def __str__(self) -> str:
        ran = f"{self.nodes} node comparisons and {len(self.cases)} whole runs"
        if self.ok:
            return f"PyTorch and onnxruntime agree: {ran}"
        return "\n".join([f"PyTorch and onnxruntime differ ({ran}):", *(f"  {d}" for d in self.differences[:10])])


def verify(
    graph: Graph,
    seed: int = 0,
    *,
    count: int = 3,
    batches: tuple[int, ...] = (1, 3, 2),
    sizes: list[dict[str, int]] | None = None,
    weights: Callable[[Any], "np.ndarray"] | None = None,
    opset: int = 21,
    nodes: bool = True,
    draw: Callable[[dict[str, int], str, int], dict[str, "np.ndarray"]] | None = None,
) -> Verdict:
    """Compare over `count` assignments of the open sizes, each with another batch from one build.

    `weights` maps a stored tensor of the graph to its array (default: values made to hide nothing). `sizes` replaces the
    assignments (`[{"N": 2, "H": 64, "W": 48}]`), `batches` those of the batch. `nodes` False leaves out the comparison node by
    node. `draw` makes the inputs of a case, by name, of its sizes, their character and a seed (default: `cases.inputs`).
    Comparing stops at the first case that differs. Raises `Refusal` as building and running do (NS70x, NS73x).
    """
    verdict = Verdict()
    cases = [Case(tuple(s.items()), CHARACTERS[i % len(CHARACTERS)]) for i, s in enumerate(sizes or size_cases(graph, count, batches))]
    draw = draw or partial(inputs, graph)
    whole, arrays = _whole(graph, weights, seed, draw(dict(cases[0].sizes), cases[0].character, seed), opset)
    alone: dict[Any, _Pair] = {}
    for number, case in enumerate(cases):
        given = draw(dict(case.sizes), case.character, seed + number)
        if nodes:
            _compare_nodes(graph, arrays, case, given, opset, alone, verdict)
        whole.compare(case, given, verdict)
        verdict.cases.append(str(case))
        if not verdict.ok:
            break
    return verdict


# ------------------------------------------------------------------------------------------------------------- nodes
class _Pair:
    """A network in PyTorch, in both precisions, and in onnxruntime."""

    def __init__(self, graph: Graph, arrays: dict[str, "np.ndarray"], opset: int, optimize: bool = True) -> None:
        from netspec.backends.onnx import OnnxOptions, model_bytes
        from netspec.backends.torch_module import build_module, load_weights
        from netspec.backends.torch_source import write_source
        from netspec.backends.weights import Arrays
        from netspec.runtime.session import Session

        source = write_source(graph)
        self.single = build_module(source, graph)
        with _default_double():
            self.double = build_module(_widened(source), graph).double()
        for module in (self.single, self.double):
            load_weights(module, arrays)
            module.eval()
        self.gates = {node.label: node.op.SCALE for node in graph.all_nodes() if node.op.SCALE}
        self.names = [p.name for p in graph.inputs]
        self.model = model_bytes(graph, Arrays(arrays), OnnxOptions(opset=opset))
        self.session = Session(self.model, provider="cpu", optimize=optimize)

    def run_torch(self, arrays: list["np.ndarray"], double: bool) -> list["np.ndarray"]:
        """Outputs in PyTorch, in float32 or float64."""
        import torch

        given = [torch.from_numpy(a) for a in arrays]
        with torch.no_grad():
            if double:
                with _default_double():
                    found = self.double(*(t.double() if t.is_floating_point() else t for t in given))
            else:
                found = self.single(*given)
        outputs = found if isinstance(found, (tuple, list)) else [found]
        return [o.detach().numpy() for o in outputs]

    def run_nudged(self, arrays: list["np.ndarray"]) -> list["np.ndarray"]:
        """Outputs in PyTorch, in float64, each gated layer off by half a unit in the last place of its gates: one that is near 0
        has been exact to so much only, and a product with it is no more exact."""
        hooks = [self.double.get_submodule(label).register_forward_hook(_off_by(s * 2.0**-24)) for label, s in self.gates.items()]
        try:
            return self.run_torch(arrays, True)
        finally:
            for hook in hooks:
                hook.remove()

    def run_onnx(self, arrays: list["np.ndarray"]) -> list["np.ndarray"]:
        """Outputs in onnxruntime."""
        return list(self.session.run(dict(zip(self.names, arrays))).values())


def _off_by(amount: float) -> Callable[[Any, Any, Any], Any]:
    """A hook that moves what a module puts out, one tensor or several."""

    def moved(value: Any) -> Any:
        if hasattr(value, "batch_sizes"):  # sequences of several lengths, packed
            return value._replace(data=moved(value.data))
        return tuple(map(moved, value)) if isinstance(value, tuple) else value + amount

    return lambda module, inputs, result: moved(result)


@contextmanager
def _default_double() -> Iterator[None]:
    """Floats that torch makes of integers are float64 here."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _widened(source: str) -> str:
    """Generated source that casts to float64 wherever it casts to a narrower float."""
    source = re.sub(r"\.(float|half|bfloat16)\(\)", ".double()", source)
    return re.sub(r"\btorch\.(float32|float16|bfloat16)\b", "torch.float64", source)


def _compare_nodes(
    graph: Graph, arrays: dict[str, Any], case: Case, given: dict[str, Any], opset: int, alone: dict[Any, _Pair], verdict: Verdict
) -> None:  # fmt: skip
    """Run every node apart on PyTorch's activations; stop at the first that differs."""
    values: dict[int, Any] = {p.value: given[p.name] for p in graph.inputs}
    last = {number: index for index, node in enumerate(graph.nodes) for number in node.inputs}
    for index, node in enumerate(graph.nodes):
        pair = _pair_for(graph, node, arrays, dict(case.sizes), opset, alone)
        feed = [values[i] for i in node.inputs]
        single, double, onnx = pair.run_torch(feed, False), pair.run_torch(feed, True), pair.run_onnx(feed)
        nudged = pair.run_nudged([_nudged(a) for a in feed])
        verdict.nodes += 1
        for position, output in enumerate(node.outputs):
            found = _difference(single[position], double[position], onnx[position], NODE_FACTOR, NODE_ULPS, nudged[position])
            if found is not None:
                line = node.origin.line if node.origin else 0
                verdict.differences.append(Difference(node.name, node.op.NAME, line, str(case), *found))
                return
            values[output] = single[position]
        for number in node.inputs:
            if last[number] == index:
                values.pop(number, None)


def _pair_for(graph: Graph, node: Node, arrays: dict[str, Any], sizes: dict[str, int], opset: int, alone: dict[Any, _Pair]) -> _Pair:
    one = isolate(graph, node, sizes)
    own = {one.weights[i].name: arrays[graph.weights[w].name] for i, w in enumerate(node.weights)}
    types = tuple(v.type for v in one.values)
    key = (node.label if own or node.body is not None else "", one.nodes[0].op, types)
    if key not in alone:
        alone[key] = _Pair(one, own, opset)
    return alone[key]


# ------------------------------------------------------------------------------------------------------- whole runs
def _whole(
    graph: Graph, weights: Callable[[Any], "np.ndarray"] | None, seed: int, given: dict[str, Any], opset: int
) -> tuple["_Whole", dict[str, "np.ndarray"]]:  # fmt: skip
    """The network and its weights: those given, or made ones under which it is no matter of rounding what comes out.

    Hundreds of residual blocks without norms double their signal each, and gates above them then show the last digits only: the
    weights are made smaller until PyTorch in float32 and in float64 agree on the inputs `given`.
    """
    for gain in (1.0,) if weights else GAINS:
        array_of = weights or Revealing(seed, gain).array
        arrays = {t.name: array_of(t) for t in graph.weights}
        whole = _Whole(graph, arrays, opset)
        if gain == GAINS[-1] or weights or whole.is_conditioned(given):
            break
    return whole, arrays


class _Whole:
    """The network in both, with onnxruntime's optimizations on and off."""

    def __init__(self, graph: Graph, arrays: dict[str, Any], opset: int) -> None:
        from netspec.runtime.session import Session

        self.graph = graph
        self.pair = _Pair(graph, arrays, opset)
        self.plain = Session(self.pair.model, provider="cpu", optimize=False)

    def is_conditioned(self, given: dict[str, Any]) -> bool:
        """Whether the digits of float32 suffice: PyTorch's outputs in it are within 1e-4 of those in float64."""
        import numpy as np

        feed = [given[p.name] for p in self.graph.inputs]
        for one, two in zip(self.pair.run_torch(feed, False), self.pair.run_torch(feed, True)):
            if np.issubdtype(one.dtype, np.floating) and np.isfinite(two).all() and two.size:
                if not np.abs(one - two).max() <= 1e-4 * np.abs(two).max():
                    return False
        return True

    def compare(self, case: Case, given: dict[str, Any], verdict: Verdict) -> None:
        """One whole run, both ways."""
        feed = [given[p.name] for p in self.graph.inputs]
        single, double = self.pair.run_torch(feed, False), self.pair.run_torch(feed, True)
        nudged = self.pair.run_nudged(feed) if self.pair.gates else [None] * len(double)
        for session, manner in ((self.pair.session, "optimized"), (self.plain, "not optimized")):
            onnx = list(session.run(given).values())
            for port, one, two, near, other in zip(self.graph.outputs, single, double, nudged, onnx):
                found = _difference(one, two, other, END_FACTOR, END_ULPS, near)
                if found is not None:
                    where = f"output {port.name}"
                    verdict.differences.append(Difference(where, f"whole network, {manner}", 0, str(case), *found))


def _nudged(array: Any) -> Any:
    """The array in float64, each element moved by half a unit in its last place of float32, up and down in turn.

    What this changes in the result is the error that no algorithm in float32 escapes: the difference of nearly equal
    numbers in the variance of a norm, say.
    """
    import numpy as np

    if not np.issubdtype(array.dtype, np.floating):
        return array
    signs = np.where(np.arange(array.size) % 3 == 0, -1.0, 1.0).reshape(array.shape)
    return np.asarray(array.astype(np.float64) * (1.0 + signs * 2.0**-24))


def _difference(single: Any, double: Any, onnx: Any, factor: float, ulps: float, nudged: Any = None) -> tuple[Any, ...] | None:
    """None where onnxruntime is as near to the float64 reference as PyTorch is, within `factor`; or as near as rounding the
    input allows (`nudged` is the reference for an input moved by less than a unit in the last place)."""
    import numpy as np

    if onnx.shape != single.shape:
        return ((), float("nan"), float("nan"), float("inf"), 0.0, f"shape {onnx.shape} against {single.shape}")
    if single.size == 0:
        return None
    if not np.issubdtype(single.dtype, np.floating):
        wrong = single != onnx
        if not wrong.any():
            return None
        at = np.unravel_index(int(np.argmax(wrong)), single.shape)
        return (tuple(map(int, at)), float(single[at]), float(onnx[at]), 1.0, 0.0, "")
    reference = double.astype(np.float64)
    alike = (np.isnan(onnx) & np.isnan(single)) | (onnx.astype(np.float64) == single.astype(np.float64))
    with np.errstate(invalid="ignore"):
        error = np.where(alike, 0.0, np.abs(onnx.astype(np.float64) - reference))
        own = np.abs(single.astype(np.float64) - reference)
        if nudged is not None:
            own = np.fmax(own, np.abs(nudged - reference))
    error = np.where(np.isnan(error), np.inf, error)
    finite = np.abs(reference[np.isfinite(reference)])
    unit = float(np.spacing(np.float32(min(finite.max() if finite.size else 0.0, 3e38))))
    allowed = factor * max(float(np.nanmax(own, initial=0.0)) if np.isfinite(own).any() else 0.0, ulps * unit)
    if float(error.max()) <= allowed:
        return None
    at = np.unravel_index(int(np.argmax(error)), error.shape)
    where = tuple(map(int, at))
    return (where, float(single[at]), float(onnx[at]), float(error.max()), allowed, _cause(error, where))


def _cause(error: Any, at: tuple[int, ...]) -> str:
    """What the place of the worst error suggests."""
    import numpy as np

    if error.ndim >= 3:
        inner = error[(slice(None), slice(None), *(slice(1, -1) for _ in range(error.ndim - 2)))]
        if inner.size and not np.any(inner > error.max() / 100):
            return "only at the border: padding, or the last window"
    if error.ndim >= 2 and error.shape[1] > 1:
        by_channel = error.max(axis=tuple(a for a in range(error.ndim) if a != 1))
        if np.count_nonzero(by_channel > error.max() / 100) == 1:
            return f"only in channel {at[1]}: one weight"
    return ""
