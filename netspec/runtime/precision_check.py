"""What float16 or bfloat16 costs: the low model against the one in float32, at its outputs and layer by layer.

Both run on the same inputs and weights. The low model is run as it ships where this onnxruntime can (float16), and emulated in float32
with every low value rounded, which runs everywhere and shows the roundings that a CPU session leaves out. A layer's signal-to-noise is
`10 log10(sum x^2 / sum (x - y)^2)` in decibels, x in float32 and y rounded, over all cases; a single rounding to
float16 leaves some 72 dB, to bfloat16 54.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Iterator

from netspec.diagnostics.model import Refusal
from netspec.graph import Graph
from netspec.runtime.cases import CHARACTERS, Case, inputs, size_cases

if TYPE_CHECKING:
    import numpy as np

    from netspec.backends.onnx.model import OnnxModel
    from netspec.backends.weights import Weights
    from netspec.graph import Node

#: How far an output may be off, as a share of its largest element.
BOUNDS = {"fp16": 1e-2, "bf16": 8e-2}
#: The signal-to-noise in decibels of numbers of all sizes that were rounded once: 6.02 a bit, and 6.5 or so.
BEST = {"fp16": 72.5, "bf16": 54.5}
#: The largest number of float16, and the smallest that has all digits.
LARGEST, SMALLEST = 65504.0, 2.0**-14


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far one output is off in one case: `max |x - y| / max |x|`, emulated and in onnxruntime (None where it has no kernels)."""

    output: str
    case: str
    emulated: float
    onnxruntime: float | None

    @property
    def worst(self) -> float:
        """The larger of the two."""
        return max(self.emulated, self.onnxruntime or 0.0)


@dataclass(frozen=True, slots=True)
class Layer:
    """The signal-to-noise behind a layer, in decibels, how much less it is than in front of it, and the largest number it puts out.
    `held` says whether that is one of the low type's range: a layer above 65504 overflows in float16, one below 6e-5 fades away."""

    name: str
    operator: str
    line: int
    snr: float
    lost: float
    largest: float
    held: bool = True

    def __str__(self) -> str:
        line = f" (line {self.line})" if self.line else ""
        over = "" if self.held else f"; up to {self.largest:.3g}, out of float16's range"
        return f"{self.name}: {self.operator}{line}: {self.snr:.1f} dB, {self.lost:.1f} less than before it{over}"


@dataclass(frozen=True, slots=True)
class Decision:
    """A layer that puts out integers or truth values, and the share of them that the low model finds otherwise: where two numbers
    are nearly equal, which is the larger is a matter of rounding."""

    name: str
    operator: str
    line: int
    turned: float

    def __str__(self) -> str:
        line = f" (line {self.line})" if self.line else ""
        return f"{self.name}: {self.operator}{line}: {self.turned:.2%} are other ones"


@dataclass(slots=True)
class PrecisionVerdict:
    """What was found: every output in every case, every layer in order, and the layers that decide otherwise."""

    precision: str
    bound: float
    outputs: list[Deviation] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every output is within the bound in every case."""
        return all(found.worst <= self.bound for found in self.outputs)

    @property
    def weakest(self) -> list[Layer]:
        """The layers that lose most, those out of range first."""
        return sorted((x for x in self.layers if x.lost > 0), key=lambda x: (x.held, -x.lost))

    @property
    def held(self) -> bool:
        """Whether every layer's numbers are of the low type's range: where they are not, no choice of operators would help."""
        return all(layer.held for layer in self.layers)

    def __str__(self) -> str:
        said = "agrees with" if self.ok else "differs from"
        lines = [f"{self.precision} {said} float32; allowed is {self.bound:g} of an output's largest element"]
        for found in self.outputs:
            ran = "" if found.onnxruntime is None else f", {found.onnxruntime:.2e} in onnxruntime"
            lines.append(f"  {found.output}: {found.emulated:.2e}{ran}; {found.case}")
        if not self.ok and not self.held:
            lines.append("some layers' numbers are out of float16's range: bf16 has that of float32")
        if self.decisions:
            lines += ["layers that decide otherwise where numbers are nearly equal:", *(f"  {one}" for one in self.decisions[:8])]
        if self.weakest:
            lines += ["layers that lose most of the signal-to-noise:", *(f"  {layer}" for layer in self.weakest[:8])]
        return "\n".join(lines)

    def facts(self) -> dict[str, Any]:
        """The same for JSON; infinite decibels (no error at all) as null."""
        from dataclasses import asdict

        found = {"outputs": self.outputs, "layers": self.layers, "decisions": self.decisions}
        rows = {
            key: [{k: v if not isinstance(v, float) or math.isfinite(v) else None for k, v in asdict(x).items()} for x in each]
            for key, each in found.items()
        }
        return {"ok": self.ok, "precision": self.precision, "bound": self.bound, **rows}


def check_precision(
    graph: Graph,
    precision: str,
    seed: int = 0,
    *,
    count: int = 3,
    batches: tuple[int, ...] = (1, 3, 2),
    sizes: list[dict[str, int]] | None = None,
    weights: "Weights | None" = None,
    opset: int | None = None,
    keep: tuple[str, ...] = (),
    draw: Callable[[dict[str, int], str, int], dict[str, "np.ndarray"]] | None = None,
) -> PrecisionVerdict:
    """Compare over `count` assignments of the open sizes, as `verify` does, on ordinary inputs.

    `weights` are those that a model would be written with (default: the initial ones of `seed`); `draw` makes the inputs of a case.
    Raises Refusal: NS750 for another precision, and as building and running do.
    """
    if precision not in BOUNDS:
        raise Refusal("NS750", f"`{precision}` is not compared with float32 so", helps=(f"choose one of {', '.join(BOUNDS)}",), status=2)
    verdict = PrecisionVerdict(precision, BOUNDS[precision])
    pair = _Pair(graph, precision, weights, seed, opset, keep)
    for number, assignment in enumerate(sizes or size_cases(graph, count, batches)):
        case = Case(tuple(assignment.items()), CHARACTERS[0])
        given = draw(assignment, CHARACTERS[0], seed + number) if draw else inputs(graph, assignment, CHARACTERS[0], seed + number)
        verdict.outputs += pair.compare(case, given)
    verdict.layers, verdict.decisions = list(pair.layers()), list(pair.decisions())
    return verdict


@dataclass(slots=True)
class _Power:
    """Of one value, over all cases: the power of the signal and of the noise, and the largest element."""

    signal: float = 0.0
    noise: float = 0.0
    largest: float = 0.0

    def add(self, exact: "np.ndarray", rounded: "np.ndarray") -> None:
        """Count one case's arrays; where one is finite and the other is not, the noise is infinite."""
        import numpy as np

        finite = np.isfinite(exact)
        if exact.size == 0 or not finite.any():
            return
        x, y = exact[finite].astype(np.float64), rounded[finite].astype(np.float64)
        self.signal += float(x @ x)
        self.noise += float((x - y) @ (x - y)) if np.isfinite(y).all() else math.inf
        self.largest = max(self.largest, float(np.abs(x).max()))

    @property
    def snr(self) -> float:
        """In decibels."""
        if self.noise == 0 or self.signal == 0:
            return math.inf if self.noise == 0 else -math.inf
        return -math.inf if math.isinf(self.noise) else 10 * math.log10(self.signal / self.noise)


class _Pair:
    """The network in float32, and low: emulated, with all values to be seen, and as it ships."""

    def __init__(
        self, graph: Graph, precision: str, weights: "Weights | None", seed: int, opset: int | None, keep: tuple[str, ...]
    ) -> None:  # fmt: skip
        from netspec.backends.onnx.emulation import emulated
        from netspec.backends.onnx.kept import kept_layers
        from netspec.backends.onnx.lower import lower
        from netspec.backends.onnx.precision import low_type, lower_precision, opset_for
        from netspec.backends.weights import Initial

        self.graph, self.powers, self.turned = graph, {}, {}
        weights = weights or Initial(seed, {tensor.name: tensor for tensor in graph.weights})
        model = lower(graph, opset or opset_for(precision))
        low, rounded = lower_precision(model, weights, precision, kept=kept_layers(graph, weights, precision, keep))
        both = {name for name, _ in low.values} - {name for name, _ in model.outputs}
        shown = [name for name, _ in model.values if name in both]
        self.outputs = [name for name, kind in model.outputs if kind.dtype == "float32"]
        self.exact = _session(graph, _showing(model, shown), weights)
        self.emulated = _session(graph, *emulated(_showing(low, shown), rounded, low_type(precision)))
        self.real = _session(graph, low, rounded, optimize=True) if precision == "fp16" else None
        self.best = BEST[precision]

    powers: dict[str, _Power]
    turned: dict[str, list[int]]  # how many integers or truth values differ, and how many there are

    def compare(self, case: Case, given: dict[str, Any]) -> Iterator[Deviation]:
        """Run one case; how far each output is off."""
        exact, rounded = self.exact.run(given), self.emulated.run(_widened(given, self.emulated))
        real = self.real.run(given) if self.real is not None else {}
        for name, values in exact.items():
            if values.dtype.kind == "f":
                self.powers.setdefault(name, _Power()).add(values, rounded[name])
            else:
                turned = self.turned.setdefault(name, [0, 0])
                turned[0] += int((values != rounded[name]).sum())
                turned[1] += values.size
        for name in self.outputs:
            shipped = _deviation(exact[name], real[name]) if name in real else None
            yield Deviation(name, str(case), _deviation(exact[name], rounded[name]), shipped)

    def layers(self) -> Iterator[Layer]:
        """Every layer whose result is seen, in order."""
        behind = self._by_number(self.powers)
        for node in self.graph.nodes:
            before = min((self.best, *(behind[number].snr for number in node.inputs if number in behind)))
            for power in (behind[number] for number in node.outputs if number in behind):
                lost = before - power.snr if before > -math.inf else 0.0
                yield Layer(node.name, node.op.NAME, _line(node), power.snr, max(lost, 0.0), power.largest, self._holds(power))

    def decisions(self) -> Iterator[Decision]:
        """The layers whose integers or truth values differ, in order."""
        behind = self._by_number(self.turned)
        for node in self.graph.nodes:
            for turned, count in (behind[number] for number in node.outputs if number in behind):
                if turned:
                    yield Decision(node.name, node.op.NAME, _line(node), turned / count)

    def _by_number(self, found: dict[str, Any]) -> dict[int, Any]:
        """By the numbers of the graph's values."""
        numbers = {value.name: number for number, value in enumerate(self.graph.values)}
        numbers |= {port.name: port.value for port in self.graph.outputs}
        return {numbers[name]: each for name, each in found.items() if name in numbers}

    def _holds(self, power: _Power) -> bool:
        return self.real is None or power.largest == 0 or SMALLEST <= power.largest <= LARGEST


def _line(node: "Node") -> int:
    return node.origin.line if node.origin else 0


def _showing(model: "OnnxModel", names: list[str]) -> "OnnxModel":
    """The model with these values as further outputs."""
    from dataclasses import replace

    kinds = dict(model.values)
    return replace(model, outputs=[*model.outputs, *((name, kinds[name]) for name in names)])


def _session(graph: Graph, model: "OnnxModel", weights: "Weights", optimize: bool = False) -> Any:
    """A session on the CPU, which leaves every value as it is written."""
    from netspec.backends.onnx import OnnxOptions
    from netspec.backends.onnx.write import encoded
    from netspec.runtime.session import Session

    return Session(encoded(graph, model, weights, OnnxOptions(opset=model.opset)), provider="cpu", optimize=optimize)


def _widened(given: dict[str, Any], emulated: Any) -> dict[str, Any]:
    """The inputs as the emulated model takes them: in float32, where the network itself takes low ones."""
    from netspec.backends.onnx.precision import widened

    wide = {name for name, kind in emulated.signature.inputs.items() if kind.dtype == "float32"}
    types = {name: {"float16": "float16", "uint16": "bfloat16"}.get(str(array.dtype)) for name, array in given.items()}
    return {name: widened(array, types[name]) if name in wide and types[name] else array for name, array in given.items()}


def _deviation(exact: "np.ndarray", other: "np.ndarray") -> float:
    """`max |x - y| / max |x|` over what is finite in x; infinite where y is not, or says something else where x is infinite."""
    import numpy as np

    finite = np.isfinite(exact)
    if not np.array_equal(exact[~finite], other[~finite], equal_nan=True) or not np.isfinite(other[finite]).all():
        return math.inf
    largest = float(np.abs(exact[finite]).max(initial=0.0))
    error = float(np.abs(exact[finite].astype(np.float64) - other[finite]).max(initial=0.0))
    return 0.0 if error == 0 else error / largest if largest else math.inf
