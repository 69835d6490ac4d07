"""The measurement that signals at initialization are held against: the network run in PyTorch, node by node, on random inputs.

Every node is a module of its own, generated from the graph as any network is; so every value of the graph is at hand, with its
gradient, also where it is a function and no module. Nothing here knows of `netspec.analyses.signal`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from netspec.backends.torch_module import build_module, load_weights
from netspec.backends.torch_source import write_source
from netspec.backends.weights import Initial, arrays_of
from netspec.graph import Graph, Node
from netspec.runtime.isolate import isolate
from netspec.sizes.dim import evaluate


class Measured:
    """Mean, second moment, variance between examples, and second moment of the gradient of every value, by its number; averages
    over `seeds` draws of weights and inputs. The gradient of every output has independent unit normals for elements."""

    def __init__(
        self, graph: Graph, sizes: Mapping[str, int], seeds: int = 2, train: bool = True, mean: float = 0.0, std: float = 1.0
    ) -> None:
        self.graph, self.sizes, self.train = graph, {**graph.typical, **sizes}, train
        self.modules: dict[str, tuple[nn.Module, list[str]]] = {}
        count = len(graph.values)
        self.mean, self.second, self.variance, self.gradient = ([0.0] * count for _ in range(4))
        for seed in range(seeds):
            torch.manual_seed(seed)
            self._measure(seed, seeds, mean, std)

    def _measure(self, seed: int, seeds: int, mean: float, std: float) -> None:
        weights = Initial(seed, {w.name: w for w in self.graph.weights})
        values = self._forward(arrays_of(self.graph, weights), mean, std)
        outputs = [values[p.value] for p in self.graph.outputs if values[p.value].requires_grad]
        if outputs:
            torch.autograd.backward(outputs, [torch.randn_like(o) for o in outputs])
        for number, value in values.items():
            found = value.detach().double()
            self.mean[number] += found.mean().item() / seeds
            self.second[number] += found.square().mean().item() / seeds
            self.variance[number] += _between_examples(found) / seeds
            if value.grad is not None:
                self.gradient[number] += value.grad.double().square().mean().item() / seeds

    def _forward(self, arrays: dict[str, Any], mean: float, std: float) -> dict[int, Tensor]:
        values: dict[int, Tensor] = {}
        for port in self.graph.inputs:
            value = self.graph.values[port.value]
            shape = [evaluate(s, self.sizes) for s in value.shape]
            floats = value.dtype.startswith("float")
            values[port.value] = (torch.randn(shape) * std + mean).requires_grad_() if floats else torch.randint(0, 16, shape)
        for node in self.graph.nodes:
            module = self._module(node, arrays)
            found = module(*(values[i] for i in node.inputs))
            for number, value in zip(node.outputs, found if isinstance(found, (tuple, list)) else [found]):
                if value.requires_grad:
                    value.retain_grad()
                values[number] = value
        return values

    def _module(self, node: Node, arrays: dict[str, Any]) -> nn.Module:
        """The node as a module with these weights; built once."""
        if node.name not in self.modules:
            one = isolate(self.graph, node, self.sizes)
            self.modules[node.name] = build_module(write_source(one), one).train(self.train), [w.name for w in one.weights]
        module, own = self.modules[node.name]
        if own:
            load_weights(module, {name: arrays[self.graph.weights[w].name] for name, w in zip(own, node.weights)})
        return module


def _between_examples(value: Tensor) -> float:
    """The variance of a unit (axis 1; the last of three axes) over everything else."""
    if value.ndim < 2 or not value.is_floating_point():
        return 0.0
    unit = value.ndim - 1 if value.ndim == 3 else 1
    axes = [a for a in range(value.ndim) if a != unit]
    return value.var(dim=axes, unbiased=False).mean().item()
