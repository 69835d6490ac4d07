"""Inputs, outputs and open sizes of two networks: which is which, and what changed of them."""

from __future__ import annotations

from netspec.analyses.diff.model import Change
from netspec.analyses.diff.tree import Spelling
from netspec.analyses.diff.wiring import Wiring
from netspec.graph import Graph, Port
from netspec.record import record
from netspec.sizes.dim import Size, show


@record
class Same:
    """What corresponds, from the first network to the second: names of inputs, outputs and open sizes, and inputs' values."""

    inputs: dict[str, str]
    outputs: dict[str, str]
    sizes: dict[str, str]
    values: dict[int, int]


def correspond(old: Graph, new: Graph) -> Same:
    """Ports of one name correspond, and of the others those in one order, if there are as many of them; sizes where they
    stand in the same places of the inputs."""
    inputs, outputs = _paired(old.inputs, new.inputs), _paired(old.outputs, new.outputs)
    before, after = {p.name: p.value for p in old.inputs}, {p.name: p.value for p in new.inputs}
    values = {before[a]: after[b] for a, b in inputs.items()}
    pairs = [
        (_name(s), _name(t)) for a, b in values.items() for s, t in zip(old.values[a].shape, new.values[b].shape) if _name(s) and _name(t)
    ]
    return Same(inputs, outputs, _bijection(pairs, old, new), values)


def _paired(old: tuple[Port, ...], new: tuple[Port, ...]) -> dict[str, str]:
    before, after = [p.name for p in old], [p.name for p in new]
    found = {name: name for name in before if name in after}
    rest = [n for n in before if n not in found], [n for n in after if n not in found]
    return {**found, **dict(zip(*rest))} if len(rest[0]) == len(rest[1]) else found


def _name(size: Size) -> str:
    """The name that a size is, if it is one."""
    text = "" if isinstance(size, int) else show(size)
    return text if text.isidentifier() else ""


def _bijection(pairs: list[tuple[str, str]], old: Graph, new: Graph) -> dict[str, str]:
    """Names that stand in the same places; what both networks have is never renamed."""
    here, there = {s.name for s in old.sizes}, {s.name for s in new.sizes}
    found = {name: name for name in here & there}
    for a, b in pairs:
        if a in here and b in there and a not in found and b not in found.values():
            found[a] = b
    return found


def sizes_changed(old: Graph, new: Graph, same: Same) -> tuple[Change, ...]:
    """Open sizes that came, went or are called otherwise, and typical values (`H = 224`)."""
    before, after = old.typical, new.typical
    reached = set(same.sizes.values())
    changes = [Change("size", "open size", a, b) for a, b in same.sizes.items() if a != b]
    changes += [Change("size", "open size", a, None) for a in before if a not in same.sizes]
    changes += [Change("size", "open size", None, b) for b in after if b not in reached]
    pairs = [(b, before[a], after[b]) for a, b in same.sizes.items() if before[a] != after[b]]
    return (*changes, *(Change("size", f"typical {name}", str(a), str(b)) for name, a, b in sorted(pairs)))


def ports_changed(old: Graph, new: Graph, same: Same, old_words: Spelling, new_words: Spelling, wiring: Wiring) -> tuple[Change, ...]:
    """Inputs and outputs that came, went, are called otherwise, have another type or are another layer's."""
    changes: list[Change] = []
    for kind, before, after, pairs in (
        ("input", old.inputs, new.inputs, same.inputs),
        ("output", old.outputs, new.outputs, same.outputs),
    ):
        types = {p.name: _type(old, p, old_words) for p in before}, {p.name: _type(new, p, new_words) for p in after}
        values = {p.name: p.value for p in before}, {p.name: p.value for p in after}
        reached = set(pairs.values())
        changes += [Change(kind, name, types[0][name], None) for name in types[0] if name not in pairs]
        changes += [Change(kind, name, None, types[1][name]) for name in types[1] if name not in reached]
        for a, b in pairs.items():
            if a != b:
                changes.append(Change(kind, "name", a, b))
            if types[0][a] != types[1][b]:
                changes.append(Change(kind, b, types[0][a], types[1][b]))
            elif kind == "output" and not wiring.corresponds(values[0][a], values[1][b]):
                changes.append(Change(kind, b, old.values[values[0][a]].name, new.values[values[1][b]].name))
    order = [same.outputs.get(p.name) for p in old.outputs], [p.name for p in new.outputs]
    if sorted(map(str, order[0])) == sorted(order[1]) and order[0] != order[1]:
        changes.append(Change("output", "order", ", ".join(p.name for p in old.outputs), ", ".join(order[1])))
    return tuple(changes)


def _type(graph: Graph, port: Port, words: Spelling) -> str:
    value = graph.values[port.value]
    shape = words.shape(value.shape)
    return shape if value.dtype == "float32" else f"{value.dtype} {shape}"
