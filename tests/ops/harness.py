"""An operator alone, without the compiler: read a written call, ask the facets, and run what they lower to.

The tests of the facets, and of each family, stand on this. It reads the same texts as `Accepts` and `Rejects`:
`conv(8, 3, padding = 1)` and `[N, 3, H = 9, W = 7]`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from netspec import ops
from netspec.op import Initializer, Need, Needs, Operator, Reject, Site, Weight, initializer
from netspec.sizes.dim import Dim, Size, evaluate, names, parse
from netspec.sizes.tensor import TensorType
from tests.ops.onnx_terms import onnx_model, run_onnx
from tests.ops.torch_terms import environment, run_torch

__all__ = [
    "Case",
    "Data",
    "Refused",
    "accept",
    "at_full_length",
    "build",
    "environment",
    "onnx_model",
    "random_data",
    "read_call",
    "read_type",
    "run_onnx",
    "run_torch",
]

#: What a size is where nobody says: a batch of two, and something no kernel hides in.
BATCH, OTHER = 2, 9
WORDS = {"true": True, "false": False, "none": None, "inf": float("inf"), "pi": float(np.pi)}


class Refused(Exception):
    """An operator refused its arguments or inputs, with this code."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        super().__init__(f"[{code}] {reason}")


@dataclass(frozen=True)
class Case:
    """An operator that accepted its inputs: its types, what it stores, and what it asks of the open sizes."""

    operator: Operator
    inputs: tuple[TensorType, ...]
    typical: dict[str, int]
    outputs: tuple[TensorType, ...] = ()
    weights: tuple[Weight, ...] = ()
    needs: tuple[Need, ...] = ()
    text: str = ""

    def site(self, opset: int = 21) -> Site:
        """Where the operator stands, for its `torch` and `onnx` facets."""
        return Site(self.inputs, self.outputs, self.weights, opset)

    def fits(self, env: Mapping[str, int]) -> bool:
        """Whether these sizes meet every condition."""
        return all(n.condition.at(env) for n in self.needs)

    def environments(self, count: int = 3) -> list[dict[str, int]]:
        """The typical sizes, and others near them that meet the conditions: at most `count`, the typical first."""
        found = [dict(self.typical)] if self.fits(self.typical) else []
        steps = [(1, 0), (0, 1), (1, 2), (2, 1), (-1, 0), (3, 5), (4, 4), (6, 3), (-2, 2), (8, 0), (0, 8), (8, 8), (16, 16)]
        for even, odd in steps:
            env = {n: max(1, v + (odd if i % 2 else even)) for i, (n, v) in enumerate(sorted(self.typical.items()))}
            if len(found) < count and env not in found and self.fits(env):
                found.append(env)
        return found


def build(call: str, inputs: str | tuple[str, ...]) -> tuple[Operator, tuple[TensorType, ...], dict[str, int]]:
    """The operator that `call` writes, the types of its inputs, and the typical value of every open size."""
    types, typical = read_inputs((inputs,) if isinstance(inputs, str) else inputs)
    return read_call(call, typical), types, typical


def accept(call: str, inputs: str | tuple[str, ...]) -> Case:
    """The operator applied to inputs of these types. Raises `Refused` with the code where it does not fit."""
    try:
        operator, types, typical = build(call, inputs)
    except ValidationError as error:
        raise Refused("NS310", str(error)) from error
    return settle(Case(operator, types, typical, text=call))


def settle(case: Case) -> Case:
    """`case` with its outputs, weights and conditions, as the walk finds them. Raises `Refused`."""
    need = Needs()
    try:
        shape = case.operator.shape(case.inputs, need)
        weights = tuple(_fixed(w, case.typical, need) for w in case.operator.params(case.inputs))
    except Reject as rejected:
        raise Refused(rejected.code, str(rejected)) from rejected
    for asked in need.found:
        if not asked.condition.at(case.typical):
            raise Refused(asked.code, f"{asked.reason}: {asked.condition} at {case.typical}")
    outputs = (shape,) if isinstance(shape, TensorType) else tuple(shape)
    return replace(case, outputs=outputs, weights=weights, needs=tuple(need.found))


def _fixed(weight: Weight, typical: Mapping[str, int], need: Needs) -> Weight:
    """The weight with numbers alone, as the walk fixes it; each symbolic size becomes a condition."""
    for size in weight.shape:
        if not isinstance(size, int):
            need.equal(size, evaluate(size, typical), f"{weight.name} has a fixed shape")
    arguments = tuple((k, evaluate(v, typical) if isinstance(v, Dim) else v) for k, v in weight.init.arguments)
    return replace(
        weight,
        shape=tuple(evaluate(s, typical) for s in weight.shape),
        fan_in=_number(weight.fan_in, typical),
        fan_out=_number(weight.fan_out, typical),
        init=Initializer(weight.init.name, arguments),
    )


def _number(value: Size | float, typical: Mapping[str, int]) -> int | float:
    return value if isinstance(value, float) else evaluate(value, typical)


# ------------------------------------------------------------------------------------------------------------- reading
def read_inputs(texts: tuple[str, ...]) -> tuple[tuple[TensorType, ...], dict[str, int]]:
    """Types such as `[N, 3, H = 9, W = 7]` or `int64 [N, T = 5]`, and the typical sizes that they state."""
    typical: dict[str, int] = {}
    types = tuple(_read_type(text, typical) for text in texts)
    for name in sorted(set().union(*(names(s) for t in types for s in t.shape))):
        typical.setdefault(name, BATCH if name == "N" else OTHER)
    return types, typical


def read_type(text: str) -> TensorType:
    """A written type: `[N, 3, H // 2]`."""
    return _read_type(text, {})


def _read_type(text: str, typical: dict[str, int]) -> TensorType:
    match = re.fullmatch(r"\s*(\w+)?\s*\[(.*)\]\s*", text, re.DOTALL)
    if match is None:
        raise ValueError(f"not a type: {text!r}")
    sizes = []
    for part in _split(match[2]):
        size, _, value = part.partition("=")
        sizes.append(parse(size.strip()))
        if value:
            typical[size.strip()] = int(value)
    return TensorType(tuple(sizes), match[1] or "float32")


def _split(text: str) -> list[str]:
    """The parts of `text` between the commas that stand in no parentheses."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [p.strip() for p in parts if p.strip()]


def read_call(text: str, sizes: Mapping[str, int] = {}) -> Operator:
    """The operator that `text` writes. A bare word that names a size of the inputs is that size, any other is itself.

    Raises pydantic's `ValidationError` for arguments that the operator does not take.
    """
    return _value(ast.parse(text.strip().replace("^", "**"), mode="eval").body, sizes, top=True)


def _value(node: ast.expr, sizes: Mapping[str, int], top: bool = False) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        if top:
            return ops.lookup(node.id)()
        return WORDS[node.id] if node.id in WORDS else Dim.name(node.id) if node.id in sizes else node.id
    if isinstance(node, (ast.List, ast.Tuple)):
        return tuple(_value(e, sizes) for e in node.elts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, sizes)
    if isinstance(node, ast.BinOp):
        return _arithmetic(type(node.op).__name__, _value(node.left, sizes), _value(node.right, sizes))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _call(node, node.func.id, sizes)
    raise ValueError(f"cannot read {ast.unparse(node)}")


def _arithmetic(name: str, left: Any, right: Any) -> Any:
    table = {
        "Add": lambda: left + right,
        "Sub": lambda: left - right,
        "Mult": lambda: left * right,
        "Div": lambda: left / right if isinstance(left, (int, float)) else left // right,
        "FloorDiv": lambda: left // right,
        "Mod": lambda: left % right,
        "Pow": lambda: left**right,
    }
    return table[name]()


def _call(node: ast.Call, name: str, sizes: Mapping[str, int]) -> Any:
    named = {k.arg: _value(k.value, sizes) for k in node.keywords if k.arg}
    if not ops.known(name):
        return initializer(name, **named)
    cls = ops.lookup(name)
    named |= {argument: True for argument in cls.TENSOR_ARGUMENTS if argument in named}
    fields = [f for f in cls.model_fields if f not in cls.TENSOR_ARGUMENTS]
    if len(node.args) > len(fields):
        raise Refused("NS304", f"{name} takes {len(fields)} arguments")
    given = {f: _value(a, sizes) for f, a in zip(fields, node.args)}
    return cls(**given, **named)


# -------------------------------------------------------------------------------------------------------------- arrays
@dataclass
class Data:
    """Random arrays for a case: what goes in, and what is stored."""

    arrays: tuple[np.ndarray, ...]
    weights: dict[str, np.ndarray] = field(default_factory=dict)


def random_data(case: Case, env: Mapping[str, int], seed: int = 0) -> Data:
    """Inputs of the sizes in `env`, and weights that hide nothing: no zero mean, no unit variance, no equal channels."""
    rng = np.random.default_rng(seed)
    weights = {w.name: random_weight(w, rng) for w in case.weights}
    return Data(tuple(_random_array(case, t, env, rng) for t in case.inputs), weights)


def at_full_length(case: Case, data: Data) -> tuple[np.ndarray, ...]:
    """The arrays that go in, each sequence as long as it may be where it has a length of its own."""
    if not getattr(case.operator, "lengths", False):
        return data.arrays
    return (*data.arrays[:-1], np.full_like(data.arrays[-1], data.arrays[0].shape[1]))


def random_weight(weight: Weight, rng: np.random.Generator) -> np.ndarray:
    """A stored tensor: variances in [0.01, 3], scales in ±[0.5, 2], means and biases around zero, weights by fan."""
    shape: Any = weight.shape
    if weight.role == "counter" or weight.dtype.startswith("int"):
        return np.full(shape, 3, weight.dtype)
    if weight.role == "statistic" and "var" in weight.name:
        return rng.uniform(0.01, 3.0, shape).astype(weight.dtype)
    if weight.role == "scale":
        return (rng.uniform(0.5, 2.0, shape) * rng.choice([-1.0, 1.0], shape)).astype(weight.dtype)
    spread = 1.0 / np.sqrt(weight.fan_in) if weight.fan_in else 0.7
    return np.asarray(rng.normal(0.0, spread, shape), weight.dtype)


def _random_array(case: Case, kind: TensorType, env: Mapping[str, int], rng: np.random.Generator) -> np.ndarray:
    shape = tuple(evaluate(s, env) for s in kind.shape)
    if kind.dtype == "bool":
        return rng.random(shape) < 0.5
    if kind.dtype.startswith("float"):
        return rng.normal(0.1, 1.2, shape).astype(kind.dtype)
    if getattr(case.operator, "lengths", False):
        return rng.integers(1, 1 + evaluate(case.inputs[0].shape[1], env), shape).astype(kind.dtype)
    classes = getattr(case.operator, "classes", None) or (case.weights[0].shape[0] if case.weights else 10)
    return rng.integers(0, classes, shape).astype(kind.dtype)
