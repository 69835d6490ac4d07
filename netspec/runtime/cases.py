"""What a network is tried with: sizes that it accepts, inputs of several characters, and weights that hide nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Iterator

from netspec.analyses.summary import batch_sizes
from netspec.graph import Graph, Tensor
from netspec.sizes.dim import evaluate

if TYPE_CHECKING:
    import numpy as np

#: a size at which every tap of the usual kernels meets the input, also in deep layers
MODERATE = 64

#: where the search for a case's sizes starts, as shares of the moderate ones
SHARES = (1.0, 0.0, 1 / 3, 2 / 3, 1 / 2)

#: the characters of inputs, in the order in which cases use them
CHARACTERS = ("normal", "negative", "large mean", "equal", "tiny", "halves", "zeros")


#: operators that say which of two numbers is larger
_COMPARISONS = frozenset({"less", "less_equal", "greater", "greater_equal"})


@dataclass(frozen=True, slots=True)
class Case:
    """One trial: the values of all open sizes, and the character of the inputs."""

    sizes: tuple[tuple[str, int], ...]
    character: str

    def __str__(self) -> str:
        return ", ".join(f"{n} = {v}" for n, v in self.sizes) + f", {self.character} inputs"


def accepts(graph: Graph, sizes: dict[str, int]) -> bool:
    """Whether every condition on the open sizes holds, and every value has a positive size on every axis.

    `sizes` must have every open size of the graph."""
    if not all(r.condition.at(sizes) for r in graph.requirements):
        return False
    return all(evaluate(s, sizes) > 0 for v in graph.values for s in v.shape if not isinstance(s, int))


def size_cases(graph: Graph, count: int = 3, batches: tuple[int, ...] = (1, 3, 2)) -> list[dict[str, int]]:
    """Up to `count` assignments of the open sizes that the network accepts, each with another batch, and, where it accepts so
    many, with another value of every size.

    The first is of moderate size, large enough for every tap of a kernel to meet the input; then the smallest that are
    accepted; then others between them, odd and even; axes differ where they may.
    """
    batch = batch_sizes(graph)
    others = [s.name for s in graph.sizes if s.name not in batch]
    found: list[dict[str, int]] = []
    for number in range(count):
        for choice in _choices(graph, others, SHARES[number % len(SHARES)], found):
            sizes = {**graph.typical, **choice}
            sizes.update({name: batches[len(found) % len(batches)] for name in batch})
            if sizes not in found and accepts(graph, sizes):
                found.append(sizes)
                break
    return found or [dict(graph.typical)]


def _choices(graph: Graph, names: list[str], share: float, before: list[dict[str, int]]) -> Iterator[dict[str, int]]:
    """Candidates for the sizes that are no batch, from a share of the moderate ones on, the best first: values that no case
    `before` has, and axes that differ."""
    typical = graph.typical
    values: dict[str, list[int]] = {}
    for name in names:
        used = {sizes[name] for sizes in before}
        accepted = _accepted(graph, names, name, max(int(min(typical[name], MODERATE) * share), 1), 4 + len(used))
        values[name] = [v for v in accepted if v not in used][:4] or accepted
    for rank in range(4):
        for spread in (1, 0):
            yield {name: own[(rank + spread * i) % len(own)] for i, (name, own) in enumerate(values.items())}
    yield {name: typical[name] for name in names}


def _accepted(graph: Graph, names: list[str], name: str, start: int, count: int) -> list[int]:
    """The first accepted values of one size from `start` on, the others at their typical values, or all at the same."""
    typical = graph.typical
    found = []
    for value in range(start, start + max(2 * typical[name], 64) + 1):
        if accepts(graph, {**typical, name: value}) or accepts(graph, {**typical, **dict.fromkeys(names, value)}):
            found.append(value)
            if len(found) == count:
                break
    return found or [typical[name]]


def inputs(graph: Graph, sizes: dict[str, int], character: str, seed: int = 0) -> dict[str, "np.ndarray"]:
    """Arrays for all inputs, by name, in their shapes at these sizes. The same seed gives the same arrays; integers are indices
    of the smallest table that the network looks them up in."""
    import numpy as np

    rng = np.random.default_rng(seed)
    made = {}
    for port in graph.inputs:
        value = graph.values[port.value]
        shape = tuple(s if isinstance(s, int) else evaluate(s, sizes) for s in value.shape)
        least, below = _range(graph, port.value, sizes)
        made[port.name] = _array(rng, shape, value.dtype, character, below - least)
        if least:
            made[port.name] += least
    return made


def _range(graph: Graph, value: int, sizes: dict[str, int]) -> tuple[int, int]:
    """The least entry of an integer input, and one more than the largest: lengths of sequences are 1 to as long as those are."""
    moved = _moved(graph, value)
    for node in graph.nodes:
        if moved.intersection(node.inputs[-1:]) and getattr(node.op, "lengths", False):
            return 1, 1 + evaluate(graph.values[node.inputs[0]].shape[1], sizes)
    return 0, _vocabulary(graph, moved) or _compared(graph, moved, sizes) or 2


def _compared(graph: Graph, values: set[int], sizes: dict[str, int]) -> int:
    """One more than the longest axis of what an input is compared with, for it may be a number of positions; or 0."""
    others = [i for n in graph.nodes if n.op.NAME in _COMPARISONS and values.intersection(n.inputs) for i in n.inputs if i not in values]
    return max((1 + evaluate(s, sizes) for i in others for s in graph.values[i].shape), default=0)


def _moved(graph: Graph, value: int) -> set[int]:
    """A value, and those that hold its entries in other shapes and places."""
    found = {value}
    for node in graph.nodes:
        if node.op.FAMILY == "reshape" and node.inputs[0] in found:
            found.update(node.outputs)
    return found


def _vocabulary(graph: Graph, values: set[int]) -> int:
    """How large the entries of an integer input may be: the smallest table that it indexes; or 0."""
    readers = [n.op for n in graph.nodes if values.intersection(n.inputs) and n.op.FAMILY != "reshape"]
    counts = [getattr(op, field) for op in readers for field in ("count", "classes") if hasattr(op, field)]
    return min((*counts, *_scanned_vocabularies(graph, values)), default=0)


def _scanned_vocabularies(graph: Graph, values: set[int]) -> Iterator[int]:
    """The same of the bodies that take it."""
    for node in graph.nodes:
        if node.body is not None and values.intersection(node.inputs):
            body = graph.bodies[node.body]
            inside = [_moved(body, port.value) for number, port in zip(node.inputs, body.inputs) if number in values]
            found = _vocabulary(body, set().union(*inside))
            if found:
                yield found


def _array(rng: "np.random.Generator", shape: tuple[int, ...], dtype: str, character: str, vocabulary: int) -> "np.ndarray":
    import numpy as np

    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype.startswith(("int", "uint")):
        return rng.integers(0, vocabulary, shape).astype(dtype)
    x = rng.standard_normal(shape)
    changed = {
        "normal": x,
        "negative": -np.abs(x),
        "large mean": x + 100.0,
        "equal": np.full(shape, 0.7),
        "tiny": x * 1e-6,
        "halves": np.round(x * 2) / 2,
        "zeros": np.zeros(shape),
    }[character]
    return changed.astype(dtype)


class Revealing:
    """Weights that hide nothing: no zeros and ones where a lowering could forget them, variances in [0.01, 3].

    Scaled to keep signals near one, so that deep networks neither vanish nor overflow; `gain` is a factor on matrices and kernels.
    """

    def __init__(self, seed: int, gain: float = 1.0) -> None:
        self.seed, self.gain = seed, gain

    def array(self, tensor: Tensor) -> "np.ndarray":
        """The values of one stored tensor."""
        import zlib

        import numpy as np

        if tensor.role == "buffer":
            from netspec.backends.weights import generate

            return generate(tensor, self.seed)
        rng = np.random.default_rng([self.seed, zlib.crc32(tensor.name.encode())])
        if tensor.role == "counter":
            return np.asarray(rng.integers(1, 100, tensor.shape), tensor.dtype)
        if tensor.role == "statistic":
            positive = "var" in tensor.local
            values = rng.uniform(0.01, 3.0, tensor.shape) if positive else rng.normal(0, 0.3, tensor.shape)
        elif tensor.role == "scale":
            values = rng.uniform(0.4, 1.3, tensor.shape) * rng.choice([-1, 1], tensor.shape, p=[0.2, 0.8])
        elif tensor.role == "bias":
            values = rng.normal(0, 0.2, tensor.shape)
        else:
            values = rng.normal(0, self.gain / max(tensor.fan_in, 1.0) ** 0.5, tensor.shape)
        return np.asarray(values, tensor.dtype)
