"""Lints about what is written and not used, and about sizes that are written where they should stay open."""

from __future__ import annotations

from typing import Iterator

from netspec.analyses.lint.facts import Facts
from netspec.analyses.lint.rule import Finding, rule
from netspec.diagnostics.model import Severity
from netspec.graph import Node
from netspec.reach import All

#: families of operators that take their first axis for the batch
_BATCHED = frozenset({"conv", "norm", "pool", "linear"})
_FLOATS = ("float", "bfloat")


@rule("NS502", Severity.WARNING)
def dead_branch(net: Facts) -> Iterator[Finding]:
    """A layer whose outputs no output of the network depends on. Of a dead chain only its last layer is reported, and those
    before it are counted."""
    counted: set[str] = set()
    for node in net.nodes:
        if any(value in net.live or value in net.consumers for value in node.outputs):
            continue
        lost = _leading_only_here(net, node, counted)
        layers = "layer" if lost == 1 else f"{lost} layers"
        notes = (f"with it the {layers} before it, which nothing else uses",) if lost else ()
        yield Finding(
            f"no output of the network depends on this {node.op.NAME}", node, notes=notes, helps=("use what it makes, or leave it out",)
        )


def _leading_only_here(net: Facts, node: Node, counted: set[str]) -> int:
    """How many dead layers there are before a dead one, each counted once."""
    waiting, lost = [node], 0
    while waiting:
        for value in waiting.pop().inputs:
            maker = net.producer.get(value)
            if maker is not None and maker.name not in counted and not any(v in net.live for v in maker.outputs):
                counted.add(maker.name)
                waiting.append(maker)
                lost += 1
    return lost


@rule("NS503", Severity.WARNING)
def unused_input(net: Facts) -> Iterator[Finding]:
    """An input of the network on which none of its outputs depends."""
    for port in net.graph.inputs:
        if port.value not in net.live:
            yield Finding(f"no output depends on the input `{port.name}`", origin=port.origin, helps=("use it, or leave it out",))


@rule("NS506", Severity.WARNING)
def written_batch(net: Facts) -> Iterator[Finding]:
    """An input of two axes or more whose first is a number, and that a convolution, linear layer, norm or pool depends on: these
    take the first axis for the batch. (An embedding keeps all axes, so that of indices another layer has to follow.) Not one
    that has the batch of another input further behind, as the states `[layers, N, hidden]` of a recurrent network do."""
    shapes = [net.graph.values[port.value].shape for port in net.graph.inputs]
    batches = {shape[0] for shape in shapes if shape and not isinstance(shape[0], int)}
    for port in net.graph.inputs:
        value = net.graph.values[port.value]
        if len(value.shape) < 2 or not isinstance(value.shape[0], int) or batches.intersection(value.shape[1:]):
            continue
        reader = _batched_reader(net, port.value)
        if reader is not None:
            yield Finding(
                f"the network takes batches of {value.shape[0]} and no others: the first axis of `{port.name}` is a number",
                origin=port.origin,
                also=((reader.origin, "takes the first axis for the batch"),) if reader.origin else (),
                helps=(f"leave it open: `{port.name}: [{', '.join(map(str, ('N', *value.shape[1:])))}]`",),
            )


def _batched_reader(net: Facts, value: int) -> Node | None:
    """The first node that depends on a value and works on batches."""
    reached = {value}
    for node in net.nodes:
        if any(i in reached for i in node.inputs):
            if node.op.FAMILY in _BATCHED and node.op.NAME != "embedding":
                return node
            reached.update(node.outputs)
    return None


@rule("NS508", Severity.INFO, on=False)
def global_operator(net: Facts) -> Iterator[Finding]:
    """An operator whose output at one position depends on all positions along an open spatial axis, in a network whose
    floating-point inputs of three axes or more all have open spatial sizes, and one of whose outputs has, too. Such a network
    gives another result for a tile of an image than for the image. Off unless asked for: many networks mean it."""
    if not _is_tileable(net):
        return
    for node in net.nodes:
        if node.op.NAME != "crop" and node.outputs[0] in net.live and any(_is_open_map(net, i) for i in node.inputs):
            axes = _seen_whole(net, node)
            if axes:
                yield Finding(
                    f"this {node.op.NAME} looks at a whole map: a tile of an image gives another result than the image",
                    node,
                    notes=(f"along axis {', '.join(map(str, axes))} of {net.graph.values[node.inputs[0]].type}",),
                )


def _is_tileable(net: Facts) -> bool:
    maps = [p.value for p in net.graph.inputs if _is_map(net, p.value)]
    return bool(maps) and all(_is_open_map(net, m) for m in maps) and any(_is_open_map(net, o) for o in net.outputs)


def _is_map(net: Facts, value: int) -> bool:
    found = net.graph.values[value]
    return len(found.shape) >= 3 and found.dtype.startswith(_FLOATS)


def _is_open_map(net: Facts, value: int) -> bool:
    shape = net.graph.values[value].shape
    return _is_map(net, value) and all(not isinstance(s, int) for s in shape[2:])


def _seen_whole(net: Facts, node: Node) -> tuple[int, ...]:
    """The open spatial axes of the first input that an output position sees whole."""
    shape = net.graph.values[node.inputs[0]].shape
    reach = node.op.reach(net.graph.types(node.inputs), net.graph.types(node.outputs))[0]
    if not reach.inputs:
        return ()
    looks = reach.inputs[0]
    picked = {axis for input, axis, _ in reach.picked if input == 0}
    seen = {look.axis for look in looks if look is not None and not isinstance(look, All)}
    return tuple(a for a in range(2, len(shape)) if not isinstance(shape[a], int) and a not in seen and a not in picked)
