"""The last step of expansion: drafts become the frozen graph."""

from __future__ import annotations

from typing import Any

from netspec import graph as g
from netspec.elaborate.application import plain
from netspec.elaborate.build import Builder, origin
from netspec.source import Source


def finish(builder: Builder, name: str, arguments: tuple[tuple[str, Any], ...], source: Source) -> g.Graph:
    """The graph of everything that a builder has collected."""
    order = _state_dict_order(builder)
    number = {weight: i for i, weight in enumerate(order)}
    build = g.Node.trusted
    regions = [(n, n.body) for n in builder.nodes if n.body is not None]
    bodies = tuple(finish(body, body.scopes[0].definition, body.scopes[0].arguments, source) for _, body in regions)
    body_of = {id(n): i for i, (n, _) in enumerate(regions)}
    for (n, _), body in zip(regions, bodies):
        n.weights = tuple(w.name for w in body.weights)
    nodes = tuple(
        build(name=n.name, label=n.label, op=n.operator, inputs=n.inputs, outputs=n.outputs, weights=tuple(number[w] for w in n.weights),
              frame=n.frame, origin=origin(n.place), body=body_of.get(id(n)))
        for n in builder.nodes
    )  # fmt: skip
    return g.Graph.trusted(
        format="netspec.graph", version=1, name=name, doc=builder.scopes[0].doc, arguments=plain(arguments), source=source.name,
        digest=source.digest, sizes=tuple(g.OpenSize.trusted(name=n, typical=t) for n, t in builder.sizes.items()),
        inputs=_ports(builder.inputs), outputs=_ports(builder.outputs), values=_values(builder), nodes=nodes,
        weights=tuple(builder.weights[w] for w in order), scopes=_scopes(builder), frames=_frames(builder),
        requirements=_requirements(builder), bodies=bodies, training=(), renames=(),
    )  # fmt: skip


def _ports(drafts: list[tuple[str, int, Any]]) -> tuple[g.Port, ...]:
    return tuple(g.Port.trusted(name=name, value=value, origin=origin(place)) for name, value, place in drafts)


def _values(builder: Builder) -> tuple[g.Value, ...]:
    taken: set[str] = set()
    values = []
    for number, (type_, name) in enumerate(zip(builder.types, builder.value_names)):
        while name in taken:
            name += "_"
        taken.add(name)
        values.append(g.Value.trusted(name=name, hint=builder.hints.get(number, ""), dtype=type_.dtype, shape=type_.shape))
    return tuple(values)


def _scopes(builder: Builder) -> tuple[g.Scope, ...]:
    return tuple(
        g.Scope.trusted(
            label=s.label, path=s.path, parent=s.parent, kind=s.kind, definition=s.definition, arguments=s.arguments, doc=s.doc,
            origin=origin(s.place),
        )
        for s in builder.scopes
    )  # fmt: skip


def _frames(builder: Builder) -> tuple[g.Frame, ...]:
    def ports(pairs: list[tuple[str, int]]) -> tuple[g.Port, ...]:
        return tuple(g.Port.trusted(name=n, value=v, origin=None) for n, v in pairs)

    return tuple(
        g.Frame.trusted(scope=f.scope, parent=f.parent, inputs=ports(f.inputs), outputs=ports(f.outputs), origin=origin(f.place))
        for f in builder.frames
    )


def _requirements(builder: Builder) -> tuple[g.Requirement, ...]:
    return tuple(
        g.Requirement.trusted(
            relation=r.condition.relation, left=r.condition.left, right=r.condition.right, code=r.code, reason=r.reason, node=r.node,
            origin=origin(r.place),
        )
        for r in builder.requirements.values()
    )  # fmt: skip


def _state_dict_order(builder: Builder) -> list[str]:
    """Names of stored tensors as PyTorch orders a state dict: a module's own before its children's, parameters before
    buffers, and children in the order in which they first appear: are applied, or declared by `layer`. A `param` is its
    parent's own; it has no module of its own."""
    root: dict[str, Any] = {}
    _enter(root, builder)
    order: list[str] = []
    stack = [root]
    while stack:
        here = stack.pop()
        order.extend(sorted(here.get("", ()), key=lambda name: not builder.weights[name].trainable))
        stack.extend(reversed([child for part, child in here.items() if part]))
    return order


def _enter(root: dict[str, Any], builder: Builder) -> None:
    """Put a builder's stored tensors into the tree of modules, those of bodies where these are applied."""
    declared = iter(builder.declared)
    number, path = next(declared, (-1, ""))
    for i, node in enumerate(builder.nodes):
        while number == i:
            _place(root, path.split("."))
            number, path = next(declared, (-1, ""))
        if node.body is not None:
            _enter(root, node.body)
            continue
        bare = bool(node.weights) and node.weights[0] == node.label
        parts = node.label.split(".")
        own = _place(root, parts[:-1] if bare else parts).setdefault("", {})
        own.update(dict.fromkeys(node.weights))


def _place(root: dict[str, Any], path: list[str]) -> dict[str, Any]:
    """The module of a dotted path; made, with those on the way, where it is new."""
    for part in path:
        root = root.setdefault(part, {})
    return root
