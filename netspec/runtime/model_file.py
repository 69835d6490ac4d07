"""A model file, looked through before onnxruntime opens it: it may be anyone's.

The file is walked message by message (`wire_reader`), which holds none of its tensors: a file of 2 GB is looked through in a moment. It
is refused (NS756) where the encoding is broken or cut off, where tensors have other sizes than they say, lie outside of the model's
folder or of their file, where it is nested deeper or counts more than any network does, and where functions call one another so
that they would grow without bound.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from dataclasses import field

from netspec.diagnostics.model import Refusal
from netspec.record import draft, record
from netspec.runtime.model_tensors import MOST_DENSE, Beside, Stretch, check_inline, read_tensor, without_number
from netspec.runtime.wire_reader import BYTES, VARINT, WireReader, damaged

#: The most nodes with all functions written out, the most tensors, and how deep messages nest (as in protobuf itself).
MOST_NODES, MOST_TENSORS, DEEPEST = 200_000, 1_000_000, 100

#: What each message of onnx.proto holds: its messages by field number, and its texts.
_MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset", 14: "entry", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value", 13: "value", 15: "sparse", 16: "entry"},
    "node": {5: "attribute", 9: "entry"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 14: "type", 15: "type", 22: "sparse", 23: "sparse"},
    "function": {7: "node", 9: "opset", 11: "attribute", 12: "value", 14: "entry"},
    "training": {1: "graph", 2: "graph", 3: "entry", 4: "entry"},
    "value": {2: "type", 4: "entry"},
    "type": {1: "tensor type", 4: "nested type", 5: "map type", 8: "tensor type", 9: "nested type"},
    "tensor type": {2: "shape"},
    "nested type": {1: "type"},
    "map type": {2: "type"},
    "shape": {1: "dimension"},
}
_TEXTS: dict[str, frozenset[int]] = {
    "model": frozenset({2, 3, 4, 6}),
    "graph": frozenset({2, 10}),
    "node": frozenset({1, 2, 3, 4, 6, 7, 8}),
    "attribute": frozenset({1, 13, 21}),
    "function": frozenset({1, 4, 5, 6, 8, 10, 13}),
    "value": frozenset({1, 3}),
    "type": frozenset({6}),
    "dimension": frozenset({2, 3}),
    "opset": frozenset({1}),
    "entry": frozenset({1, 2}),
}


@record
class Inspection:
    """What a model file has: how many nodes and tensors, and which files beside it."""

    nodes: int
    tensors: int
    files: tuple[str, ...]


def inspect(path: str | os.PathLike[str]) -> Inspection:
    """Look a model file through. Raises Refusal: NS732 where there is none, NS756 where it is damaged or hostile, NS633 for weights that
    are no numbers."""
    path = os.fspath(path)
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise damaged(path, "it is no regular file")
            walk = _Walk(WireReader(file, path, found.st_size), Beside(path))
            walk.model()
        bad = without_number(walk.stretches)
    except OSError as error:
        raise Refusal("NS732", f"{path} cannot be read: {error.strerror}", status=2) from None
    if bad:
        notes = tuple(f"{name} has {count:,} values that are no numbers (NaN)" for name, count in list(bad.items())[:10])
        more = (f"and so have {len(bad) - 10:,} more tensors",) if len(bad) > 10 else ()
        raise Refusal("NS633", f"{path} holds weights that are no numbers", notes=notes + more, status=2)
    return Inspection(walk.nodes, walk.tensors, walk.beside.files)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe would keep the reader waiting for a writer


@draft
class _Calls:
    """What a function, or the model itself, applies: how often each operator, by domain and name."""

    key: tuple[str, str] = ("", "")
    operators: Counter[tuple[str, str]] = field(default_factory=Counter)


class _Walk:
    """One pass over a model."""

    def __init__(self, reader: WireReader, beside: Beside) -> None:
        self.reader, self.beside = reader, beside
        self.nodes = self.tensors = 0
        self.stretches: list[Stretch] = []
        self._main, self._functions = _Calls(), dict[tuple[str, str], Counter[tuple[str, str]]]()
        self._calls = self._main

    def model(self) -> None:
        """Walk the whole file."""
        reader, seen = self.reader, set()
        for number, kind, _, at, after in reader.fields(0, reader.size):
            seen.add(number)
            self._field("model", number, kind, at, after, 1)
        if 7 not in seen:
            raise damaged(reader.path, "there is no graph in it" if seen else "it is empty")
        self._check_functions()

    def _message(self, kind: str, start: int, end: int, depth: int) -> None:
        if depth > DEEPEST:
            raise damaged(self.reader.path, f"it is nested deeper than {DEEPEST} messages")
        if kind == "tensor":
            self._tensor(start, end)
        elif kind == "sparse":
            self._sparse(start, end)
        elif kind == "node":
            self._node(start, end, depth)
        elif kind == "function":
            self._function(start, end, depth)
        else:
            for number, wire, _, at, after in self.reader.fields(start, end):
                self._field(kind, number, wire, at, after, depth)

    def _field(self, kind: str, number: int, wire: int, at: int, after: int, depth: int) -> None:
        """Go into a field that is a message, and look at one that is a text."""
        inner = _MESSAGES.get(kind, {}).get(number)
        text = number in _TEXTS.get(kind, ())
        if (inner or text) and wire != BYTES:
            raise damaged(self.reader.path, f"the field at byte {at:,} is of another kind than ONNX says")
        if inner:
            self._message(inner, at, after, depth + 1)
        elif text:
            self.reader.text(at, after)

    def _node(self, start: int, end: int, depth: int) -> None:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise damaged(self.reader.path, f"it has more than {MOST_NODES:,} nodes")
        name = domain = ""
        for number, wire, _, at, after in self.reader.fields(start, end):
            self._field("node", number, wire, at, after, depth)
            if number == 4:
                name = self.reader.text(at, after)
            elif number == 7:
                domain = self.reader.text(at, after)
        self._calls.operators[domain, name] += 1

    def _function(self, start: int, end: int, depth: int) -> None:
        self._calls = _Calls()
        name = domain = ""
        for number, wire, _, at, after in self.reader.fields(start, end):
            self._field("function", number, wire, at, after, depth)
            if number == 1:
                name = self.reader.text(at, after)
            elif number == 10:
                domain = self.reader.text(at, after)
        self._functions[domain, name] = self._calls.operators
        self._calls = self._main

    def _tensor(self, start: int, end: int) -> None:
        self.tensors += 1
        if self.tensors > MOST_TENSORS:
            raise damaged(self.reader.path, f"it has more than {MOST_TENSORS:,} tensors")
        tensor = read_tensor(self.reader, start, end)
        if tensor.elsewhere or tensor.external:
            self.stretches.append(self.beside.stretch(tensor))
            return
        check_inline(self.reader.path, tensor)
        if tensor.raw is not None and tensor.raw[1] > tensor.raw[0]:
            self.stretches.append(Stretch(tensor.name, tensor.dtype, self.reader.path, *tensor.raw))

    def _sparse(self, start: int, end: int) -> None:
        """A sparse tensor: its values, their places, and the sizes of the dense one."""
        dense = 1
        for number, wire, value, at, after in self.reader.fields(start, end):
            if number in (1, 2) and wire == BYTES:
                self._tensor(at, after)
            elif number == 3:
                for size in [value] if wire == VARINT else self.reader.packed(at, after, 64):
                    dense *= size
        if dense > MOST_DENSE:
            raise damaged(self.reader.path, f"a sparse tensor would have {dense:,} elements")

    def _check_functions(self) -> None:
        """Count the nodes that there are with every call written out; functions that call themselves have no end."""
        sizes: dict[tuple[str, str], int] = {}
        path: set[tuple[str, str]] = set()

        def size(key: tuple[str, str], operators: Counter[tuple[str, str]]) -> int:
            if key in path or len(path) > DEEPEST:
                raise damaged(self.reader.path, f"its functions call one another without end ({key[1][:80]})")
            if key not in sizes:
                path.add(key)
                inner = (
                    (times, size(callee, self._functions[callee]) if callee in self._functions else 1)
                    for callee, times in operators.items()
                )
                sizes[key] = sum(times * nodes for times, nodes in inner)
                path.discard(key)
            return sizes[key]

        total = size(("", ""), self._main.operators)
        if total > MOST_NODES:
            raise damaged(self.reader.path, f"with its functions written out it has {total:,} nodes, more than {MOST_NODES:,}")
