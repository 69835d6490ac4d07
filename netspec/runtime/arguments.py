"""The inputs of a run, held against what a network declares: names, element types, axes, and the conditions on sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.graph import Graph, Requirement
from netspec.sizes.dim import Size, evaluate, names, show
from netspec.sizes.system import put_together
from netspec.sizes.tensor import TensorType

#: How many reasons a refusal gives.
_NOTES = 3


@dataclass(frozen=True, slots=True)
class Signature:
    """What a network takes: its inputs by name, and the conditions on its open sizes."""

    inputs: Mapping[str, TensorType]
    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def of(cls, graph: Graph) -> Signature:
        """The signature of a graph."""
        return cls({port.name: graph.values[port.value].type for port in graph.inputs}, graph.requirements)

    def check(self, given: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The inputs as arrays, contiguous. Raises Refusal: NS720 names, NS721 element types, NS722 axes, NS723 conditions.

        An array must have the declared element type exactly; lists and numbers are converted to it.
        """
        for name in given:
            if name not in self.inputs:
                helps = suggestion(name, self.inputs) or (f"its inputs are {', '.join(self.inputs)}",)
                raise Refusal("NS720", f"the network has no input `{name}`", helps=helps)
        arrays = {}
        for name, kind in self.inputs.items():
            if name not in given:
                raise Refusal("NS720", f"the input `{name}` is missing", helps=(f"give it an array of {kind}",))
            arrays[name] = _array(name, kind, given[name])
        self.check_sizes(arrays)
        return arrays

    def sizes(self, arrays: Mapping[str, np.ndarray]) -> dict[str, int]:
        """The open sizes that the shapes of checked arrays tell."""
        axes = [(size, arrays[name].shape[axis]) for name, kind in self.inputs.items() for axis, size in enumerate(kind.shape)]
        return {key: value for size, actual in axes for key, value in _solved(size, actual)}

    def check_sizes(self, arrays: Mapping[str, Any]) -> None:
        """Read the open sizes off the shapes of the arrays, and check every axis and every condition with them; nothing else of the
        arrays is looked at. Raises Refusal: NS722 axes, NS723 conditions."""
        env: dict[str, int] = {}
        origin: dict[str, str] = {}
        axes = [(name, axis, size) for name, kind in self.inputs.items() for axis, size in enumerate(kind.shape)]
        for name, axis, size in axes:
            for key, value in _solved(size, arrays[name].shape[axis]):
                if key not in env:
                    env[key], origin[key] = value, f"axis {axis} of `{name}`"
        for name, axis, size in axes:
            actual = arrays[name].shape[axis]
            if not names(size) <= env.keys() or evaluate(size, env) == actual:
                continue
            wanted = evaluate(size, env)
            why = "" if isinstance(size, int) else f" ({_bindings(size, env, origin)})"
            shape = list(arrays[name].shape)
            raise Refusal(
                "NS722",
                f"axis {axis} of `{name}` must be {wanted}{why}, not {actual}: it has shape {shape}, {self.inputs[name]} is declared",
            )
        known = [r for r in self.requirements if r.condition.names() <= env.keys()]
        if not all(requirement.condition.at(env) for requirement in known):
            raise _misfit(known, env, origin)


def _misfit(requirements: Sequence[Requirement], env: Mapping[str, int], origin: Mapping[str, str]) -> Refusal:
    """The refusal of sizes that break a condition (NS723): which, what they must be, who asks for it, the nearest that fit."""
    system = put_together([requirement.condition for requirement in requirements], env)
    faulty = system.broken(env)
    given = ", ".join(f"{name} = {env[name]} ({origin[name]})" for name in faulty)
    broken = [r for r in requirements if not r.condition.at(env)]
    notes = tuple(dict.fromkeys(f"{r.reason}{f' (at {r.node})' if r.node else ''}" for r in broken))[:_NOTES]
    advice = system.advice(env)
    message = f"the inputs do not fit: {' and '.join(system.needed(faulty))} is needed, but {given}"
    return Refusal("NS723", message, notes=notes, helps=(advice,) if advice else ())


def _array(name: str, kind: TensorType, value: Any) -> np.ndarray:
    """The input as an array of its element type and rank."""
    if kind.dtype == "bfloat16" and getattr(value, "dtype", None) == np.uint16:
        kind = TensorType(kind.shape, "uint16")  # its bits: numpy has no bfloat16
    if not isinstance(value, np.ndarray):
        try:
            value = np.asarray(value, kind.dtype)
        except (TypeError, ValueError, OverflowError):
            raise Refusal("NS721", f"the input `{name}` cannot be read as an array of {kind}") from None
    if str(value.dtype) != kind.dtype:
        helps = (f'convert it: `{name}.astype("{kind.dtype}")`',)
        raise Refusal("NS721", f"the input `{name}` is {kind.dtype}, but {value.dtype} was given", helps=helps)
    if value.ndim != kind.rank:
        helps = ("add the batch axis: `array[None]`",) if value.ndim == kind.rank - 1 else ()
        shape = list(value.shape)
        raise Refusal("NS722", f"the input `{name}` has {kind.rank} axes, {kind}, but an array of shape {shape} was given", helps=helps)
    return np.asarray(value, order="C")


def _solved(size: Size, actual: int) -> tuple[tuple[str, int], ...]:
    """The open size that an axis tells: its own length, or `(length - b) / a` for an axis `a * H + b`."""
    if isinstance(size, int) or len(size.terms) != 1:
        return ()
    ((monomial, factor),) = size.terms.items()
    if len(monomial) != 1 or not isinstance(monomial[0], str) or (actual - size.constant) % factor:
        return ()
    return ((monomial[0], (actual - size.constant) // factor),)


def _bindings(size: Size, env: Mapping[str, int], origin: Mapping[str, str]) -> str:
    shown = ", ".join(f"{name} = {env[name]} by {origin[name]}" for name in sorted(names(size)))
    return shown if show(size) in env else f"{show(size)}, {shown}"
