"""A model with its functions written out, so that the profiler's names tell which layer a node is.

onnxruntime writes calls of functions out itself, under names (`_inlfunc_squeeze_token_2_conv1`) that say which function a node is from
and not which call of it. Here every node gets the name that it has without functions: `b.0.se1.conv1`. The spec's frames tell it, for
calls of one function have the names of one among them: the third layer inside of an application is the third inside of another.
Without a spec a node is named after the calls that lead to it.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import Any

from netspec.analyses.bodies import with_bodies
from netspec.backends.onnx.blocks import NAMED
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph, fresh
from netspec.runtime.wire_reader import WireReader

#: The number of `ModelProto.functions`.
_FUNCTIONS = 25
_NUMBER = re.compile(r"_\d+$")


def has_functions(model: bytes | str | os.PathLike[str]) -> bool:
    """Whether a model (its bytes, or a file) has functions of its own. None of its tensors is read for that."""
    try:
        with BytesIO(model) if isinstance(model, bytes) else open(model, "rb") as file:
            reader = WireReader(file, "the model", file.seek(0, os.SEEK_END))
            return any(number == _FUNCTIONS for number, *_ in reader.fields(0, reader.size))
    except (OSError, Refusal):  # no protocol buffer: onnxruntime has a format of its own
        return False


def written_out(model: bytes | str | os.PathLike[str], graph: Graph | None) -> bytes | None:
    """The model without functions; `graph` is the network that it was written from, if that is known. Tensors in other files stay there.

    None where it cannot be: past the 2 GiB of one message, or where a function is in another version of the operators than the model.
    """
    import onnx
    from google.protobuf.message import DecodeError, EncodeError

    try:
        whole = onnx.load_from_string(model) if isinstance(model, bytes) else onnx.load(os.fspath(model), load_external_data=False)
        if not _one_version(whole):
            return None
        _Inliner(whole, _Frames(graph) if graph is not None else None).run()
        return whole.SerializeToString()
    except (DecodeError, EncodeError, OSError, ValueError):
        return None


def _one_version(model: Any) -> bool:
    """Whether the functions are in the versions of operators that the model is; those that it lacks it gets."""
    versions = {one.domain: one.version for one in model.opset_import}
    for function in model.functions:
        for one in function.opset_import:
            if versions.setdefault(one.domain, one.version) != one.version:
                return False
    del model.opset_import[:]
    for domain, version in versions.items():
        model.opset_import.add(domain=domain, version=version)
    return True


# ------------------------------------------------------------------------------------------------------------------ names
class _Frames:
    """The applications of blocks in a network, bodies among them: which layers (numbers of nodes) and applications are inside of each."""

    def __init__(self, graph: Graph) -> None:
        whole, _ = with_bodies(graph)
        self.graph = whole
        self.outputs = {port.name for port in whole.outputs}
        self.layers: list[list[int]] = [[] for _ in whole.frames]
        last = [-1] * len(whole.frames)
        for number, node in enumerate(whole.nodes):
            for frame in self._around(node.frame):
                self.layers[frame].append(number)
                last[frame] = number
        self.inner: list[list[int]] = [[] for _ in whole.frames]
        named = [n for n, frame in enumerate(whole.frames) if whole.scopes[frame.scope].kind in NAMED and self.layers[n]]
        for frame in sorted(named, key=lambda one: last[one]):
            for outer in self._around(whole.frames[frame].parent):
                self.inner[outer].append(frame)
        self.kinds = [tuple(whole.nodes[layer].op.NAME for layer in layers) for layers in self.layers]
        self.alike: dict[Any, list[int]] = {}
        for frame in named:
            self.alike.setdefault((self._definition(frame), self.kinds[frame]), []).append(frame)
        self._places: dict[int, dict[str, int]] = {}

    def path(self, frame: int) -> str:
        """The label of the block that is applied."""
        return self.graph.scopes[self.graph.frames[frame].scope].path

    def place(self, frame: int, local: str) -> int | None:
        """Which of the layers inside an application has such a name there."""
        if frame not in self._places:
            self._places[frame] = {self.graph.nodes[layer].name: place for place, layer in enumerate(self.layers[frame])}
        places, path = self._places[frame], self.path(frame)
        return places.get(f"{path}.{local}" if path else local, places.get(local))

    def namesake(self, frame: int, locals_: Sequence[str]) -> int:
        """The application, of the same block with the same layers, whose names these are: this one itself, if they can be."""

        def known(one: int) -> int:
            return sum(self.place(one, local) is not None for local in locals_)

        if known(frame) == len(locals_):
            return frame
        return max((frame, *self.alike.get((self._definition(frame), self.kinds[frame]), ())), key=known)

    def _definition(self, frame: int) -> str:
        return self.graph.scopes[self.graph.frames[frame].scope].definition

    def _around(self, frame: int | None) -> Iterable[int]:
        while frame is not None:
            yield frame
            frame = self.graph.frames[frame].parent


class _Place:
    """Where the nodes of a function are put: what they are called there. `frame` is the application, if there is a spec that has it."""

    def __init__(self, frames: _Frames | None, frame: int | None, path: str, nodes: Iterable[Any]) -> None:
        self.frames, self.frame, self.path = frames, frame, path
        heads = tuple(dict.fromkeys(node.name.partition("/")[0] for node in nodes if node.op_type != "Constant"))
        self.namesake = frames.namesake(frame, heads) if frames is not None and frame is not None else None
        self._calls: Counter[str] = Counter()

    def name(self, local: str) -> str:
        """The name of a node or value in the model, `silu1/Sigmoid` as `b.0.silu1/Sigmoid`."""
        head, mark, rest = local.partition("/")
        if head == "size" or not self.path:
            return local
        if self.frames is not None and self.frame is not None and self.namesake is not None:
            place = self.frames.place(self.namesake, head)
            if place is not None:
                return self.frames.graph.nodes[self.frames.layers[self.frame][place]].name + mark + rest
            if local in self.frames.outputs:  # the cast that makes an output of the network is called as that
                return local
        return f"{self.path}.{local}"

    def call(self, local: str) -> tuple[int | None, str]:
        """The application that a call is, and the label of its block. Applications of one block are called in their order."""
        if self.frames is None or self.frame is None or self.namesake is None:
            return None, f"{self.path}.{local}" if self.path else local
        frames, around = self.frames, self.frames.path(self.namesake)
        inner = frames.inner[self.namesake]
        for label in (local, _NUMBER.sub("", local)):
            wanted = {f"{around}.{label}" if around else label, label}
            places = [place for place, one in enumerate(inner) if frames.path(one) in wanted]
            if places and len(inner) == len(frames.inner[self.frame]):
                place = places[min(self._calls[label], len(places) - 1)]  # the steps of a scan that is written out are one application
                self._calls[label] += 1
                found = frames.inner[self.frame][place]
                return found, frames.path(found)
        return None, f"{self.path}.{local}" if self.path else local


# --------------------------------------------------------------------------------------------------------------- inlining
class _Inliner:
    """Puts the nodes of functions in place of the calls, in a model that is changed."""

    def __init__(self, model: Any, frames: _Frames | None) -> None:
        self.model, self.frames = model, frames
        self.functions = {_key(function.domain, function.name, function): function for function in model.functions}
        self.nodes: set[str] = set()
        self.values: set[str] = set()
        self._reserve(model.graph)

    def run(self) -> None:
        """Write all calls out."""
        graph = self.model.graph
        self._replace(graph, _Place(self.frames, 0 if self.frames is not None else None, "", ()))
        del self.model.functions[:]

    def _reserve(self, graph: Any) -> None:
        """The names that are taken: those of the model itself, and of the graphs inside of its nodes."""
        for ports in (graph.input, graph.output, graph.initializer):
            self.values.update(port.name for port in ports)
        for node in graph.node:
            self.values.update(node.output)
            if not self._function(node):
                self.nodes.add(node.name)
            for inner in _graphs(node):
                self._reserve(inner)

    def _function(self, node: Any) -> Any:
        return self.functions.get(_key(node.domain, node.op_type, node))

    def _replace(self, graph: Any, place: _Place) -> None:
        nodes = self._written(list(graph.node), place)
        del graph.node[:]
        graph.node.extend(nodes)

    def _written(self, nodes: Iterable[Any], place: _Place) -> list[Any]:
        """Nodes, named as in the model, with what they call in place of calls, which are named as in the place."""
        found: list[Any] = []
        for node in nodes:
            function = self._function(node)
            if function is not None:
                found += self._called(node, function, place)
                continue
            for inner in _graphs(node):
                self._replace(inner, place)
            found.append(node)
        return found

    def _called(self, call: Any, function: Any, around: _Place) -> list[Any]:
        """The nodes of one call."""
        frame, path = around.call(call.name)
        place = _Place(self.frames, frame, path, [node for node in function.node if not self._function(node)])
        names = {"": "", **dict.fromkeys(function.input, "")}
        names.update(zip(function.input, call.input))
        names.update((local, name) for local, name in zip(function.output, call.output) if name)
        given = {one.name: one for one in (*function.attribute_proto, *call.attribute)}
        return self._written([self._copy(node, place, names, given) for node in function.node], place)

    def _copy(self, node: Any, place: _Place, names: dict[str, str], given: Mapping[str, Any]) -> Any:
        """A node of a function for one call of it, whose values have `names` and whose attributes are `given`."""
        copy = type(node)()
        copy.CopyFrom(node)
        if not self._function(node):
            copy.name = fresh(place.name(node.name), self.nodes, "/")
        copy.input[:] = [self._value(name, place, names) for name in node.input]
        copy.output[:] = [self._value(name, place, names) for name in node.output]
        attributes = [one for one in map(lambda attribute: _filled(attribute, given), node.attribute) if one is not None]
        del copy.attribute[:]
        copy.attribute.extend(attributes)
        for inner in _graphs(copy):
            self._rename(inner, place, dict(names), given)
        return copy

    def _rename(self, graph: Any, place: _Place, names: dict[str, str], given: Mapping[str, Any]) -> None:
        """Name the values of a graph inside of a node: its own, and those around it that it reads."""
        for ports in (graph.input, graph.initializer):
            for port in ports:
                names.pop(port.name, None)  # it hides one of that name around it
                port.name = self._value(port.name, place, names)
        for node in graph.node:
            for name in node.output:
                if name:
                    names.pop(name, None)
        nodes = [self._copy(node, place, names, given) for node in graph.node]
        del graph.node[:], graph.value_info[:]
        graph.node.extend(nodes)
        for port in graph.output:
            port.name = self._value(port.name, place, names)

    def _value(self, name: str, place: _Place, names: dict[str, str]) -> str:
        if name not in names:
            names[name] = fresh(place.name(name), self.values, "/")
        return names[name]


def _key(domain: str, name: str, one: Any) -> tuple[str, str, str]:
    return "" if domain == "ai.onnx" else domain, name, getattr(one, "overload", "")


def _graphs(node: Any) -> list[Any]:
    """The graphs that a node runs."""
    return [inner for one in node.attribute for inner in (*([one.g] if one.HasField("g") else []), *one.graphs)]


def _filled(attribute: Any, given: Mapping[str, Any]) -> Any | None:
    """An attribute with what the call gives for it; None where that gives nothing."""
    if not attribute.ref_attr_name:
        return attribute
    if attribute.ref_attr_name not in given:
        return None
    filled = type(attribute)()
    filled.CopyFrom(given[attribute.ref_attr_name])
    filled.name = attribute.name
    return filled
