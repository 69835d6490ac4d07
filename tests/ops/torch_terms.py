"""Runs torch terms as they stand against the real torch: the meaning that the back end's source must have too."""

from __future__ import annotations

import math
import operator as python
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspec.op import Operator, Site
from netspec.sizes.dim import Dim, evaluate, names, show
from netspec.sizes.tensor import TensorType
from netspec.terms import Call, Device, In, Infix, Item, Method, Module, Own, Self, Support, Torch

ROOTS: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, "math": math, "Tensor": Tensor, "bool": bool, "len": len, "tuple": tuple}
INFIX = {
    "+": python.add,
    "-": python.sub,
    "*": python.mul,
    "/": python.truediv,
    "//": python.floordiv,
    "%": python.mod,
    "**": python.pow,
    "@": python.matmul,
    "==": python.eq,
    "!=": python.ne,
    "<": python.lt,
    "<=": python.le,
    ">": python.gt,
    ">=": python.ge,
    "&": python.and_,
    "|": python.or_,
}


def environment(inputs: tuple[TensorType, ...], arrays: tuple[Any, ...]) -> dict[str, int]:
    """The open sizes, read off arrays of these types."""
    found: dict[str, int] = {}
    for kind, array in zip(inputs, arrays):
        for size, value in zip(kind.shape, array.shape):
            if isinstance(size, Dim) and names(size) == {show(size)}:
                found[show(size)] = value
    return found


def run_torch(
    operator: Operator,
    site: Site,
    arrays: tuple[Any, ...],
    weights: Mapping[str, np.ndarray],
    training: bool = False,
    double: bool = False,
) -> tuple[Any, ...]:
    """The outputs of the operator in torch, as tensors. Inputs may be arrays or tensors (whose gradients then work)."""
    runner = Runner(operator, site, weights, double)
    if runner.module is not None:
        runner.module.train(training)
    return runner(*arrays)


class Runner:
    """An operator's torch term, built once: `module` is what it stores, calling it computes its outputs."""

    def __init__(self, operator: Operator, site: Site, weights: Mapping[str, np.ndarray] | None = None, double: bool = False) -> None:
        self.site, self.term, self.double = site, operator.torch(site), double
        self.names = dict(ROOTS)
        for support in self.term.supports:
            self._define(support)
        self.module: nn.Module | None = self._build(self.term)
        self.owned: dict[str, Tensor] = {"": self._value(self.term.module, (), {})} if self.term.owns and self.term.module else {}
        if self.module is not None and double:
            self.module.double()
        if weights is not None:
            self._load({name: self._tensor(w) for name, w in weights.items()})

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:
        tensors = tuple(self._tensor(a) for a in arrays)
        env = environment(self.site.inputs, tuple(tensors))
        forward = self.term.forward if self.term.forward is not None else Call(Self(), tuple(In(i) for i in range(len(tensors))))
        result = self._value(forward, tensors, env)
        return tuple(result) if isinstance(result, (tuple, list)) else (result,)

    def _tensor(self, array: Any) -> Tensor:
        tensor = array if isinstance(array, Tensor) else torch.from_numpy(np.array(array))
        return tensor.double() if self.double and tensor.is_floating_point() else tensor

    def _define(self, support: Support) -> Any:
        if support.name not in self.names:
            exec(compile(support.source, f"<{support.name}>", "exec"), self.names)  # noqa: S102
        return self.names[support.name]

    def _build(self, term: Torch) -> nn.Module | None:
        return None if term.module is None or term.owns else self._value(term.module, (), {})

    def _load(self, weights: dict[str, Tensor]) -> None:
        if self.term.owns or (self.module is None and weights):
            self.owned = weights
        elif self.module is not None:
            self.module.load_state_dict(weights, strict=True)

    def _find(self, name: str) -> Any:
        root, *path = name.split(".")
        value = self.names[root]
        for part in path:
            value = getattr(value, part)
        return value

    def _own(self, name: str) -> Any:
        if name in self.owned:
            return self.owned[name]
        value: Any = self.module
        for part in name.split("."):
            value = getattr(value, part)
        return value

    def _value(self, term: Any, inputs: tuple[Tensor, ...], env: Mapping[str, int]) -> Any:
        def value(part: Any) -> Any:
            return self._value(part, inputs, env)

        def named(pairs: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
            return {name: value(v) for name, v in pairs}

        if isinstance(term, Dim):
            return evaluate(term, env)
        if isinstance(term, In):
            return inputs[term.index]
        if isinstance(term, Own):
            return self._own(term.name)
        if isinstance(term, Self):
            return self.module
        if isinstance(term, Device):
            return "cpu"
        if isinstance(term, (Call, Module)):
            what = term.function if isinstance(term, Call) else term.cls
            function = self._define(what) if isinstance(what, Support) else self._find(what) if isinstance(what, str) else value(what)
            return function(*map(value, term.args), **named(term.kwargs))
        if isinstance(term, Method):
            return getattr(value(term.receiver), term.name)(*map(value, term.args), **named(term.kwargs))
        if isinstance(term, Infix):
            return INFIX[term.op](value(term.left), value(term.right))
        if isinstance(term, Item):
            return value(term.value)[value(term.index)]
        if isinstance(term, slice):
            return slice(value(term.start), value(term.stop), value(term.step))
        if isinstance(term, (tuple, list)):
            return type(term)(map(value, term))
        return term
