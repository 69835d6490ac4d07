"""A second voice: the graph executed node by node, each term of an operator turned into torch calls on the spot.

Knows nothing of classes, scopes or source. Slow and plain on purpose.
"""

from __future__ import annotations

import math
import re
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspec import terms
from netspec.backends.torch_source.lower import site
from netspec.graph import Graph
from netspec.sizes.dim import Dim, evaluate, names, substitute

_NAMES = {"torch": torch, "nn": nn, "F": F, "math": math, "Tensor": Tensor}


def interpret(graph: Graph, state: dict[str, Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """The network's outputs, in evaluation mode, with the tensors of a state dict."""
    env = bindings(graph, inputs)
    values: dict[int, Any] = {port.value: tensor for port, tensor in zip(graph.inputs, inputs)}
    for node in graph.nodes:
        runner = _Node(node.op.torch(site(graph, node)), node.label, state, [values[v] for v in node.inputs], env)
        result = runner.run()
        values.update(zip(node.outputs, result if isinstance(result, (tuple, list)) else [result]))
    return [values[port.value] for port in graph.outputs]


def bindings(graph: Graph, inputs: list[Tensor]) -> dict[str, int]:
    """The open sizes that the inputs have."""
    env: dict[str, int] = {}
    for port, tensor in zip(graph.inputs, inputs):
        for size, length in zip(graph.values[port.value].shape, tensor.shape):
            if isinstance(size, Dim) and len(names(size)) == 1:
                (name,) = names(size)
                env.setdefault(name, next(n for n in range(1, length + 1) if substitute(size, {name: n}) == length))
    return env


def example_inputs(graph: Graph, sizes: dict[str, int], seed: int = 0) -> list[Tensor]:
    """Random inputs at these sizes; typical ones where none is given, and batches of 2."""
    generator = torch.Generator().manual_seed(seed)
    env = {**graph.typical, "N": 2, **sizes}
    found = []
    for port in graph.inputs:
        value = graph.values[port.value]
        shape = [evaluate(size, env) for size in value.shape]
        floating = value.dtype.startswith(("float", "bfloat"))
        found.append(torch.randn(shape, generator=generator) if floating else torch.randint(0, 2, shape, generator=generator))
    return found


class _Node:
    """One operator: its module with the stored tensors, and its forward term evaluated."""

    def __init__(self, how: terms.Torch, label: str, state: dict[str, Tensor], inputs: list[Tensor], env: dict[str, int]) -> None:
        self.how, self.inputs, self.env = how, inputs, env
        self.names = dict(_NAMES)
        for support in how.supports:
            exec(support.source, self.names)
        self.module: Any = None
        if how.owns:
            self.module = state[label]
        elif how.module is not None:
            self.module = self.value(how.module).eval()
            own = {name[len(label) + 1 :]: tensor for name, tensor in state.items() if name.startswith(f"{label}.")}
            floats = [tensor.dtype for tensor in own.values() if tensor.is_floating_point()]
            (self.module.to(floats[0]) if floats else self.module).load_state_dict(own)

    def run(self) -> Any:
        if self.how.forward is None:
            return self.module(*self.inputs)
        return self.value(self.how.forward)

    def value(self, term: Any) -> Any:
        """A term as the thing it describes."""
        if isinstance(term, Dim):
            return evaluate(term, self.env)
        if isinstance(term, (tuple, list)):
            return type(term)(self.value(item) for item in term)
        if isinstance(term, slice):
            return slice(self.value(term.start), self.value(term.stop), self.value(term.step))
        if isinstance(term, terms.In):
            return self.inputs[term.index]
        if isinstance(term, terms.Own):
            return self.module if self.how.owns else self.named(f"module.{term.name}", {"module": self.module})
        if isinstance(term, terms.Self):
            return self.module
        if isinstance(term, terms.Item):
            return self.value(term.value)[self.value(term.index)]
        if isinstance(term, terms.Infix):
            return eval(f"a {term.op} b", {"a": self.value(term.left), "b": self.value(term.right)})
        if isinstance(term, (terms.Call, terms.Module, terms.Method)):
            return self.function(term)(*map(self.value, term.args), **{k: self.value(v) for k, v in term.kwargs})
        return term

    def function(self, term: Any) -> Any:
        if isinstance(term, terms.Method):
            return getattr(self.value(term.receiver), term.name)
        called = term.function if isinstance(term, terms.Call) else term.cls
        if isinstance(called, terms.Support):
            return self.names[called.name]
        return self.named(called, self.names) if isinstance(called, str) else self.value(called)

    def named(self, text: str, names: dict[str, Any]) -> Any:
        assert re.fullmatch(r"[\w.]+", text)
        return eval(text, dict(names))
