"""A step of a scan as a graph of its own: how it knows the sizes around it, and whether it keeps the examples of a batch apart."""

from __future__ import annotations

from typing import Any

from netspec.elaborate.build import Builder
from netspec.elaborate.values import Tensor
from netspec.reach import Same
from netspec.sizes.dim import Dim, Size, evaluate, names
from netspec.sizes.tensor import TensorType


class Inside:
    """A step that is about to be run: the builder of its graph, its inputs as tensors in it, and what its sizes are around it."""

    def __init__(self, outer: Builder, types: list[TensorType]) -> None:
        self.builder = Builder(outer.limits, outer)
        self.around: dict[str, Size] = {}
        self._names: dict[Size, str] = {}
        self.inputs = [self._input(outer, type_) for type_ in types]

    def _input(self, outer: Builder, type_: TensorType) -> Tensor:
        shape = tuple(size if isinstance(size, int) else Dim.name(self._name(outer, size)) for size in type_.shape)
        return Tensor(self.builder.value(TensorType(shape, type_.dtype), ""), TensorType(shape, type_.dtype), self.builder.step)

    def name_inputs(self, inputs: list[Any], named: list[str]) -> None:
        """Call the inputs as the block does; a state that starts as zeros is none yet."""
        for tensor, name in zip(inputs, named):
            if tensor is not None:
                self.builder.value_names[tensor.number] = self.builder.hints[tensor.number] = name

    def _name(self, outer: Builder, size: Dim) -> str:
        """What a size is called inside: as outside, if it has a name there."""
        from netspec.ops.scan import plain_name  # the operator is imported where one is made

        if size not in self._names:
            number = 1 + len(self._names)
            name = plain_name(size) or f"s{number}"
            while name in self.around or (name != plain_name(size) and name in outer.sizes):
                number += 1
                name = f"s{number}"
            self._names[size] = name
            self.around[name] = size
            self.builder.sizes[name] = evaluate(size, outer.sizes)
            if names(size) <= outer.stated:
                self.builder.stated.add(name)
        return self._names[size]


def aligned(step: Builder, inputs: list[int], outputs: list[int], states: int) -> tuple[bool, ...]:
    """For each input, whether every output has, at each place of its first axis, seen that place alone of the input's first axis.

    The last `states` of inputs and outputs are carried: one that mixes examples in a step mixes them all in time.
    """
    seen: dict[int, dict[int, bool]] = {number: {number: True} for number in inputs}
    for node in step.nodes:
        types = [tuple(step.types[n] for n in numbers) for numbers in (node.inputs, node.outputs)]
        for output, reach in zip(node.outputs, node.operator.reach(types[0], types[1])):
            mine = seen.setdefault(output, {})
            for number, looks in zip(node.inputs, reach.inputs):
                along = bool(looks) and looks[0] == Same(0)
                for source, kept in seen.get(number, {}).items():
                    mine[source] = mine.get(source, True) and kept and along
    carried = inputs[len(inputs) - states :]
    apart = all(seen.get(o, {}).get(state, True) for o in outputs for state in carried)
    return tuple(apart and all(seen.get(o, {}).get(number, True) for o in outputs) for number in inputs)
