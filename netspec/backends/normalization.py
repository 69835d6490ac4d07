"""What was done to the inputs before the network saw them, as it stands in the metadata of a weights file, and as nodes of a graph.

A file of weights that were trained here says under `netspec.normalization`, for each input, the steps of its normalization. The graph
of `with_normalization` begins with these steps, so that every back end takes inputs as the data have them: an input that was trained
from the grey values of images, which training divides by 255, then takes uint8, and cannot be given anything else by mistake.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from math import isfinite
from typing import TYPE_CHECKING, Any, Union

from netspec.backends.weight_files.safetensors import read_metadata
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph, Node, Port, Value, fresh
from netspec.op import Operator
from netspec.ops import arithmetic as operators
from netspec.ops.arithmetic import Add, Div, Mul, Sub
from netspec.ops.reshaping import Cast
from netspec.ops.source import Constant
from netspec.record import draft, record
from netspec.sizes.tensor import TensorType

if TYPE_CHECKING:
    import numpy as np

#: the key in the metadata of a weights file
KEY = "netspec.normalization"
#: element types that can be normalized
FLOATS = ("float32", "float64", "float16", "bfloat16")

#: bounds on what a file may say
_LONGEST, _MOST_INPUTS, _MOST_STEPS, _MOST_NUMBERS = 1 << 24, 1_000, 16, 1 << 20


@record
class Log:
    """`ln(x + offset)`."""

    offset: float

    def facts(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"kind": "log", "offset": self.offset}


@record
class Affine:
    """`(x - shift) / scale`: one number each, or, along `axis`, as many as that axis is long."""

    shift: tuple[float, ...]
    scale: tuple[float, ...]
    axis: int | None = None

    def facts(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"kind": "affine", "axis": self.axis, "shift": list(self.shift), "scale": list(self.scale)}

    def along(self, rank: int) -> tuple["np.ndarray", "np.ndarray"]:
        """Shift and scale as float64 arrays that broadcast against an array of that rank."""
        import numpy as np

        shape = () if self.axis is None else (-1, *(1 for _ in range(rank - self.axis - 1)))
        return np.reshape(self.shift, shape), np.reshape(self.scale, shape)


Step = Union[Log, Affine]


@record
class Normalized:
    """The steps of one input, in order; `pixels` says that its data were grey values from 0 to 255, divided by that before them."""

    steps: tuple[Step, ...]
    pixels: bool = False

    @property
    def nothing(self) -> bool:
        """Whether the input is as the data have it."""
        return not self.steps and not self.pixels


@record
class Facts:
    """The normalization of every input that has one, by name."""

    inputs: Mapping[str, Normalized]

    def write(self) -> str:
        """The JSON that `parse_facts` reads."""
        inputs = {n: {"pixels": one.pixels, "steps": [step.facts() for step in one.steps]} for n, one in sorted(self.inputs.items())}
        return json.dumps({"version": 1, "inputs": inputs}, separators=(",", ":"))


def facts_of(path: str) -> Facts:
    """The normalization that a weights file carries. Raises Refusal: NS841 where it carries none, NS840 where that makes no sense,
    NS620 and NS622 for a file that cannot be read."""
    if not path.lower().endswith(".safetensors"):
        raise Refusal("NS841", f"{path} carries no normalization: only .safetensors can", status=2)
    try:
        text = read_metadata(path).get(KEY)
    except OSError as error:
        raise Refusal("NS620", f"{path} cannot be read: {error.strerror or error}", status=2) from error
    if text is None:
        helps = ("`netspec train` writes it, where the section has `normalize`",)
        raise Refusal("NS841", f"{path} carries no normalization", helps=helps, status=2)
    return parse_facts(text, path)


def parse_facts(text: str, path: str = "the weights file") -> Facts:
    """What `Facts.write` wrote, of a file that may be anyone's. Raises Refusal NS840 for anything else."""
    try:
        if len(text) > _LONGEST:
            raise ValueError("it is too long")
        return _facts(json.loads(text, parse_constant=_no_number))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise Refusal("NS840", f"the normalization in {path} cannot be read: {error or type(error).__name__}") from None


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _facts(value: Any) -> Facts:
    _expect(value, {"version", "inputs"})
    inputs = value["inputs"]
    if value["version"] != 1 or not isinstance(inputs, dict) or len(inputs) > _MOST_INPUTS:
        raise ValueError("its version is not 1, or its inputs are no table")
    return Facts({name: _normalized(one) for name, one in inputs.items()})


def _normalized(value: Any) -> Normalized:
    _expect(value, {"pixels", "steps"})
    if type(value["pixels"]) is not bool or not isinstance(value["steps"], list) or len(value["steps"]) > _MOST_STEPS:
        raise ValueError("the steps of an input are no short list")
    return Normalized(tuple(_step(one) for one in value["steps"]), value["pixels"])


def _step(value: Any) -> Step:
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind == "log":
        _expect(value, {"kind", "offset"})
        (offset,) = _numbers([value["offset"]])
        return Log(offset)
    _expect(value, {"kind", "axis", "shift", "scale"})
    axis, shift, scale = value["axis"], _numbers(value["shift"]), _numbers(value["scale"])
    if kind != "affine" or not (axis is None or type(axis) is int and 0 < axis < 64):
        raise ValueError("a step is of no kind that is known")
    if len(shift) != len(scale) or axis is None and len(shift) != 1:
        raise ValueError("a step has not as many shifts as scales")
    if not all(abs(number) > 1e-30 for number in scale):
        raise ValueError("a scale is 0")
    return Affine(shift, scale, axis)


def _expect(value: Any, keys: set[str]) -> None:
    if not isinstance(value, dict) or value.keys() != keys:
        raise ValueError(f"a table of {', '.join(sorted(keys))} is expected")


def _numbers(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= _MOST_NUMBERS or not all(type(v) in (int, float) for v in value):
        raise ValueError("a list of numbers is expected")
    found = tuple(map(float, value))
    if not all(isfinite(number) and abs(number) < 3e38 for number in found):
        raise ValueError("a number is not finite")
    return found


def with_normalization(graph: Graph, facts: Facts) -> Graph:
    """The graph with the steps of each input before it: of the same names, outputs and weights, but for data as they are.

    Inputs whose data were grey values become uint8. The constants are no weights: a state dict is that of the plain network.
    Raises Refusal NS840 where the facts are not about these inputs.
    """
    check_facts(graph, facts)
    ports = {port.name: port for port in graph.inputs}
    front = _Front(graph, list(graph.values), {port.name: port.value for port in graph.inputs})
    for name, one in facts.inputs.items():
        if not one.nothing:
            front.put(ports[name], one)
    inputs = tuple(port.model_copy(update={"value": front.raw[port.name]}) for port in graph.inputs)
    frame = graph.frames[0].model_copy(
        update={"inputs": tuple(port.model_copy(update={"value": front.raw.get(port.name, port.value)}) for port in graph.frames[0].inputs)}
    )
    return graph.model_copy(
        update={
            "inputs": inputs, "values": tuple(front.values), "nodes": (*front.nodes, *graph.nodes),
            "frames": (frame, *graph.frames[1:]),
        }
    )  # fmt: skip


def check_facts(graph: Graph, facts: Facts) -> None:
    """Raises Refusal NS840 where the facts are not about the inputs of this network."""
    kinds = {port.name: graph.values[port.value].type for port in graph.inputs}
    for name, one in facts.inputs.items():
        if name not in kinds:
            raise Refusal("NS840", f"the normalization is of an input `{name}`, which {graph.name} does not have")
        _fits(name, kinds[name], one)


def raw_arrays(facts: Facts, arrays: Mapping[str, "np.ndarray"]) -> dict[str, "np.ndarray"]:
    """Data that the normalization makes into about these arrays, by input: every step undone, and grey values rounded."""
    import numpy as np

    made = dict(arrays)
    for name, one in facts.inputs.items():
        values = made[name].astype(np.float64)
        for step in reversed(one.steps):
            if isinstance(step, Log):
                values = np.exp(np.clip(values, -8, 8)) - step.offset
            else:
                shift, scale = step.along(values.ndim)
                values = values * scale + shift
        grey = np.clip(np.rint(values * 255), 0, 255).astype("uint8") if one.pixels else None
        made[name] = values.astype(made[name].dtype) if grey is None else grey
    return made


def _fits(name: str, kind: TensorType, one: Normalized) -> None:
    if kind.dtype not in FLOATS:
        raise Refusal("NS840", f"the normalization is of `{name}`, whose numbers are {kind.dtype}")
    for step in one.steps:
        if isinstance(step, Affine) and step.axis is not None:
            size = kind.shape[step.axis] if step.axis < kind.rank else 0
            if size != len(step.shift):
                raise Refusal(
                    "NS840", f"the normalization has {len(step.shift)} numbers along axis {step.axis} of `{name}`, which is {kind}"
                )


@draft
class _Front:
    """What is put before a graph: new values behind the others, so that no number changes, and new nodes before the others.

    `raw` has for each input the number of the value that the data are now.
    """

    graph: Graph
    values: list[Value]
    raw: dict[str, int]
    nodes: list[Node] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.taken.update(value.name for value in self.values)
        self.taken.update(node.label.split(".")[0] for node in self.graph.nodes)

    def put(self, port: Port, one: Normalized) -> None:
        """The steps of one input; the last of them makes the value that was the input."""
        old = self.values[port.value]
        self.values[port.value] = old.model_copy(update={"name": self._unique(f"{old.name}_normalized"), "hint": ""})
        kind = TensorType(old.shape, "uint8" if one.pixels else old.dtype)
        last = self.raw[port.name] = self._value(old.name, kind, old.hint)
        operations = self._operations(port.name, one, old.type)
        for number, (name, op, more) in enumerate(operations):
            end = number == len(operations) - 1
            made = port.value if end else self._value(self._unique(f"{port.name}_{name}"), old.type)
            self._node(f"{port.name}_{name}", op, (last, *more), made)
            last = made

    def _operations(self, name: str, one: Normalized, kind: TensorType) -> list[tuple[str, Operator, tuple[int, ...]]]:
        """What happens to the input, in order: a word for it, the operator, and the values that it takes beside the input."""
        found: list[tuple[str, Operator, tuple[int, ...]]] = []
        if one.pixels:
            found += [("cast", Cast(dtype=kind.dtype), ()), ("scaled", Mul(right=1 / 255), ())]
        for step in one.steps:
            if isinstance(step, Log):
                found += [("moved", Add(right=step.offset), ()), ("log", operators.Log(), ())]
                continue
            shift, scale = step.along(kind.rank)
            shift_value = self._constant(f"{name}_shift", shift, kind.dtype)
            scale_value = self._constant(f"{name}_scale", scale, kind.dtype)
            found += [("centred", Sub(), (shift_value,)), ("standard", Div(), (scale_value,))]
        return found

    def _constant(self, name: str, array: "np.ndarray", dtype: str) -> int:
        op = Constant(value=array.tolist(), dtype=dtype)
        name = self._unique(name)
        self.nodes.append(Node(name=name, label=name, op=op, inputs=(), outputs=(len(self.values),)))
        return self._value(name, TensorType(array.shape, dtype))

    def _node(self, name: str, op: Operator, inputs: tuple[int, ...], output: int) -> None:
        name = self._unique(name)
        self.nodes.append(Node(name=name, label=name, op=op, inputs=inputs, outputs=(output,)))

    def _value(self, name: str, kind: TensorType, hint: str = "") -> int:
        self.values.append(Value(name=name, hint=hint, dtype=kind.dtype, shape=kind.shape))
        return len(self.values) - 1

    def _unique(self, name: str) -> str:
        """`name`, or with a number where something is called so."""
        return fresh(name, self.taken, "_")
