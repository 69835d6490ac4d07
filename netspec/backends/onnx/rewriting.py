"""A model while it is rewritten: who makes a value and who reads it, kept up to date."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from netspec.backends.onnx.model import Body, OnnxModel, Operation
from netspec.backends.onnx.stored import Computed, Given, Known, Stored, constant, given, known, origins
from netspec.graph import Tensor
from netspec.sizes.tensor import TensorType


class Rewriting:
    """The nodes of a model, None in place of one that is gone, and the arrays that it stores, by name."""

    def __init__(self, model: OnnxModel) -> None:
        self.model = model
        self.nodes: list[Operation | None] = []
        self.results = {name for name, _ in model.outputs}
        self.types: dict[str, TensorType] = dict((*model.inputs, *model.values, *model.outputs))
        self.stored: dict[str, Stored] = {tensor.name: given(tensor) for tensor in model.weights}
        self.stored.update((one.name, array) for one in model.constants if (array := known(one)) is not None)
        self._others = [one for one in model.constants if one.name not in self.stored]
        self._names = {_content(array): name for name, array in self.stored.items() if isinstance(array, Known)}
        self._makers: dict[str, int] = {}
        self._readers: dict[str, dict[int, int]] = {}
        for node in model.nodes:
            self.nodes.append(None)
            self.put(len(self.nodes) - 1, node)

    def __iter__(self) -> Iterator[tuple[int, Operation]]:
        """The nodes that are there when their turn comes, and their places."""
        for number in range(len(self.nodes)):
            node = self.nodes[number]
            if node is not None:
                yield number, node

    # --------------------------------------------------------------------------------------------------------- questions
    def maker(self, name: str) -> tuple[int, Operation] | None:
        """The node that makes a value, and its place."""
        number = self._makers.get(name)
        node = self.nodes[number] if number is not None else None
        return None if node is None or number is None else (number, node)

    def readers(self, name: str) -> list[int]:
        """The places of the nodes that read a value, themselves or in their bodies."""
        return list(self._readers.get(name, ()))

    def is_read_once(self, name: str) -> bool:
        """Whether one node reads a value, once, and nobody else wants it."""
        readers = self._readers.get(name, {})
        return name not in self.results and sum(readers.values()) == 1

    def sole_maker(self, name: str, *op_types: str) -> tuple[int, Operation] | None:
        """The node that makes a value for one reader alone, if it is of one of these operators of ONNX."""
        found = self.maker(name)
        if found is None or found[1].op_type not in op_types or found[1].domain or not self.is_read_once(name):
            return None
        return found

    def numbers(self, name: str) -> tuple[int, ...] | None:
        """The elements of a known array of integers, flat."""
        array = self.stored.get(name)
        return tuple(map(int, array.values.reshape(-1))) if isinstance(array, Known) and array.values.dtype.kind in "iu" else None

    # ----------------------------------------------------------------------------------------------------------- changes
    def put(self, number: int, node: Operation) -> None:
        """Put a node in a place."""
        self.drop(number)
        self.nodes[number] = node
        for name in node.outputs:
            self._makers[name] = number
        for name in node.reads:
            readers = self._readers.setdefault(name, {})
            readers[number] = readers.get(number, 0) + 1

    def drop(self, number: int) -> None:
        """Take the node of a place away."""
        node = self.nodes[number]
        self.nodes[number] = None
        if node is None:
            return
        for name in node.outputs:
            if self._makers.get(name) == number:
                del self._makers[name]
        for name in node.reads:
            self._readers[name].pop(number, None)

    def redirect(self, old: str, new: str) -> None:
        """Let all that read `old` read `new`."""
        for number in self.readers(old):
            node = self.nodes[number]
            assert node is not None
            self.put(number, _reading(node, old, new))

    def store(self, name: str, array: Stored) -> None:
        """Keep an array under the name of the value that it is; a small one that is there already under that one's name."""
        before = self.stored.get(name)
        if isinstance(before, Known) and self._names.get(_content(before)) == name:
            del self._names[_content(before)]
        if isinstance(array, Known):
            twin = self._names.setdefault(_content(array), name)
            if twin != name:
                self.redirect(name, twin)
                return
        self.stored[name] = array

    def unique(self, name: str) -> str:
        """A name that no array has, `name` or one like it."""
        while name in self.stored or name in self.types or name in self._makers:
            name += "_"
        return name

    # ------------------------------------------------------------------------------------------------------------ result
    def model_and_arrays(self) -> tuple[OnnxModel, dict[str, Stored]]:
        """The model that is left, and the arrays of its weights that are to be computed."""
        nodes = [node for node in self.nodes if node is not None]
        read = {name for node in nodes for name in node.reads}
        made = {name for node in nodes for name in node.outputs}
        changed = {name: array for name, array in self.stored.items() if isinstance(array, Computed) and name in read}
        constants = [constant(name, array) for name, array in self.stored.items() if isinstance(array, Known)]
        model = replace(
            self.model,
            nodes=nodes,
            weights=list(self._weights(read)),
            constants=[one for one in (*constants, *self._others) if one.name in read],
            values=[value for value in self.model.values if value[0] in made],
        )
        return model, changed

    def _weights(self, read: Iterable[str]) -> Iterator[Tensor]:
        """The weights that are read, a computed one behind the first that it follows from."""
        read = set(read)
        behind: dict[str, list[Tensor]] = {}
        for name, array in self.stored.items():
            if name in read and isinstance(array, (Given, Computed)):
                source = next(origins(array), None)
                behind.setdefault(source.name if source else "", []).append(_tensor(name, array, source))
        for tensor in self.model.weights:
            yield from behind.pop(tensor.name, ())
        for rest in behind.values():
            yield from rest


def _tensor(name: str, array: Stored, source: Tensor | None) -> Tensor:
    if isinstance(array, Given):
        return array.tensor
    assert source is not None
    return source.model_copy(update={"name": name, "local": name.rsplit(".", 1)[-1], "shape": array.shape, "dtype": array.dtype})


def _content(array: Known) -> tuple[str, tuple[int, ...], bytes]:
    return array.dtype, array.shape, array.values.tobytes()


def _reading(node: Operation, old: str, new: str) -> Operation:
    """A node that reads `new` where it read `old`, in its body too."""
    body = node.body
    if body is not None and old in body.captures:
        body = Body(body.name, tuple(_reading(inner, old, new) for inner in body.nodes), body.inputs, body.outputs)
    return replace(node, inputs=tuple(new if name == old else name for name in node.inputs), body=body)
