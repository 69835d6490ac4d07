"""What is measured: a network with its inputs at each batch, from a graph or from an .onnx file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from netspec.analyses.cost import batch_sizes, cost
from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.graph import Graph
from netspec.record import draft, record
from netspec.runtime.arguments import Signature
from netspec.runtime.bench.plan import Contender, Plan
from netspec.runtime.cases import inputs
from netspec.sizes.dim import Dim, evaluate, names


@record
class BatchFacts:
    """One batch: its size (None: fixed), the values of all open sizes, and what one inference costs (None: not known)."""

    batch: int | None
    sizes: Mapping[str, int]
    flops: int | None = None
    bytes: int | None = None


@draft
class Subject:
    """A network to measure: its graph, or the path of its file. `open` are its open sizes, `batch` those that are the batch."""

    name: str
    plan: Plan
    typical: dict[str, int]
    batch: list[str]
    signature: Signature
    graph: Graph | None = None
    path: str = ""
    batches: tuple[int | None, ...] = (None,)

    def __post_init__(self) -> None:
        if not self.batch and self.plan.batches:
            raise Refusal("NS758", f"the batch of {self.name} is fixed", helps=("leave out the batch",), status=2)
        if self.batch:
            self.batches = self.plan.batches or (1,)
        for batch in self.batches:
            self.inputs(batch)  # sizes that do not fit are refused before anything is measured

    def sizes(self, batch: int | None) -> dict[str, int]:
        """All open sizes at a batch; without one, those that are no batch."""
        if batch is None:
            return {name: size for name, size in self.typical.items() if name not in self.batch}
        return {**self.typical, **dict.fromkeys(self.batch, batch)}

    def facts(self, batch: int | None) -> BatchFacts:
        """What one inference at a batch costs."""
        sizes = self.sizes(batch)
        if self.graph is None:
            return BatchFacts(batch, sizes)
        total = cost(self.graph, sizes).total
        return BatchFacts(batch, sizes, total.flops, total.bytes)

    def inputs(self, batch: int | None) -> dict[str, np.ndarray]:
        """Inputs at a batch: normal numbers, indices within their tables. Raises `Refusal`: NS722, NS723 for sizes that do not fit."""
        sizes = self.sizes(batch)
        if self.graph is not None:
            return self.signature.check(inputs(self.graph, sizes, "normal", self.plan.seed))
        random = np.random.default_rng(self.plan.seed)
        shapes = {name: tuple(evaluate(size, sizes) for size in kind.shape) for name, kind in self.signature.inputs.items()}
        made = {name: _array(random, shapes[name], kind.dtype) for name, kind in self.signature.inputs.items()}
        return self.signature.check(made)

    def meaningless(self, contender: Contender) -> str:
        """Why a contender has nothing to run; nothing where it has."""
        if self.graph is not None:
            return ""
        if contender.engine != "ort":
            return "an .onnx file runs in onnxruntime alone"
        return "" if contender.precision == "fp32" else "an .onnx file is measured as it is written"


def of_graph(graph: Graph, plan: Plan) -> Subject:
    """A network of ours. Raises `Refusal`: NS758 for a size that there is not, NS722 and NS723 for sizes that do not fit."""
    _known(plan.sizes, list(graph.typical), graph.name)
    return Subject(graph.name, plan, {**graph.typical, **plan.sizes}, batch_sizes(graph), Signature.of(graph), graph)


def of_file(path: str, plan: Plan) -> Subject:
    """A model file. Its open axes are the batch, where they come first, or must be given. Raises `Refusal`: NS732, NS758."""
    from netspec.runtime.session import Session

    signature = Session(path, provider="cpu").signature
    first = [kind.shape[0] for kind in signature.inputs.values() if kind.shape]
    batch = list(dict.fromkeys(name for size in first if isinstance(size, Dim) for name in names(size)))
    others = [n for kind in signature.inputs.values() for size in kind.shape for n in names(size) if n not in batch]
    _known(plan.sizes, [*others, *batch], os.path.basename(path))
    missing = [name for name in dict.fromkeys(others) if name not in plan.sizes]
    if missing:
        message = f"{os.path.basename(path)} leaves {', '.join(missing)} open: how large shall they be?"
        raise Refusal("NS758", message, helps=(f"--size {missing[0]}=224",), status=2)
    return Subject(os.path.basename(path), plan, {**dict.fromkeys(batch, 1), **plan.sizes}, batch, signature, path=path)


def _known(given: Mapping[str, int], known: list[str], name: str) -> None:
    for size in given:
        if size not in known:
            raise Refusal("NS758", f"{name} has no open size `{size}`", helps=suggestion(size, known), status=2)


def _array(random: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    if dtype == "bool":
        return random.random(shape) < 0.5
    if dtype.startswith(("int", "uint")):
        return random.integers(0, 2, shape).astype(dtype)
    return random.standard_normal(shape).astype(dtype)
