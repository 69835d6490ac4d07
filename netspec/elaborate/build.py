"""The graph while it grows: values, nodes, stored tensors, and the scopes and frames in which they stand.

Knows nothing of text but the places that it is handed. Labels are decided here, and nowhere else.
"""

from __future__ import annotations

from dataclasses import field
from functools import lru_cache
from itertools import count
from typing import Any, Iterator, Literal

from netspec import graph as g
from netspec.elaborate.ranges import Range, ask, bounds
from netspec.limits import Limits
from netspec.op import Initializer, Need, Needs, Operator, Reject, Weight
from netspec.record import draft, record
from netspec.sizes.dim import Size, evaluate, show
from netspec.sizes.solve import Condition
from netspec.sizes.tensor import TensorType
from netspec.source import Place

#: numbers for the graphs of scanned steps
_STEPS = count(1)

ScopeKind = Literal["net", "block", "def", "chain", "family"]


class TooLarge(Exception):
    """A bound of `Limits` was passed; the message names it."""


class DuplicateLabel(Exception):
    """Two layers want one label; `path` is it in full, `first` the place of the one that has it."""

    def __init__(self, path: str, first: Place | None) -> None:
        self.path, self.first = path, first
        super().__init__(path)


@draft
class ScopeDraft:
    """A module under construction; see `graph.Scope`."""

    label: str
    path: str
    parent: int | None
    kind: ScopeKind
    definition: str = ""
    arguments: tuple[tuple[str, Any], ...] = ()
    doc: str = ""
    place: Place | None = None


@draft
class FrameDraft:
    """One application of a scope under construction. `labels` are those taken in it: True where made, not written."""

    number: int
    scope: int
    parent: int | None
    place: Place | None
    replay: bool = False
    counters: dict[str, int] = field(default_factory=dict)
    labels: dict[str, bool] = field(default_factory=dict)
    inputs: list[tuple[str, int]] = field(default_factory=list)
    outputs: list[tuple[str, int]] = field(default_factory=list)


@record
class Slot:
    """A label that has been taken: its last part, the whole path, the scope around it, and whether it is applied again."""

    label: str
    path: str
    scope: int
    replay: bool


@record
class Typed:
    """What an operator says of inputs of given types: its outputs, what it stores, and what it asks of sizes."""

    outputs: tuple[TensorType, ...]
    weights: tuple[Weight, ...]
    needs: tuple[Need, ...]


@draft
class NodeDraft:
    """A node under construction; see `graph.Node`."""

    name: str
    label: str
    operator: Operator
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    weights: tuple[str, ...]
    frame: int
    place: Place
    body: "Builder | None" = None


@draft
class RequirementDraft:
    """A condition with its reason, node and place; see `graph.Requirement`."""

    condition: Condition
    code: str
    reason: str
    node: str
    place: Place


class Builder:
    """Collects a network. `sizes` maps open sizes to their typical values, `written` to those that the file has, whatever the
    caller asked for; `stated` says which the author gave, `fixed` which were made
    numbers. With an `outer`, what is done at one step of a scan in that network."""

    def __init__(self, limits: Limits, outer: Builder | None = None) -> None:
        self.limits = limits
        self.outer = outer
        self.step = next(_STEPS) if outer else 0
        self.sizes: dict[str, int] = {}
        self.written: dict[str, int] = {}
        self.stated: set[str] = set()
        self.fixed: set[str] = set()
        self.types: list[TensorType] = []
        self.value_names: list[str] = []
        self.hints: dict[int, str] = {}
        self.ranges: dict[int, Range | None] = {}
        self.nodes: list[NodeDraft] = []
        self.declared: list[tuple[int, str]] = []
        self.scopes: list[ScopeDraft] = []
        self.frames: list[FrameDraft] = []
        self.weights: dict[str, g.Tensor] = outer.weights if outer else {}
        self.requirements: dict[tuple[Condition, str], RequirementDraft] = {}
        self.broken: list[RequirementDraft] = []
        self.inputs: list[tuple[str, int, Place]] = []
        self.outputs: list[tuple[str, int, Place]] = []
        self._owners: dict[str, Place | None] = {}
        self._families: dict[str, int] = {}
        self._scope_of: dict[str, int] = {}
        self._uses: dict[str, int] = {}
        self._typed: dict[tuple[Operator, tuple[TensorType, ...]], Typed] = {}
        self._stored: dict[str, tuple[tuple[str, ...], tuple[Weight, ...]]] = outer._stored if outer else {}
        self.total_parameters: int = outer.total_parameters if outer else 0

    # ------------------------------------------------------------------------------------------------ values, sizes
    def value(self, type: TensorType, name: str) -> int:
        """A new value; its number."""
        self.types.append(type)
        self.value_names.append(name)
        return len(self.types) - 1

    def at_typical(self, size: Size) -> int:
        """A size at the typical values."""
        return size if isinstance(size, int) else evaluate(size, self.sizes)

    def all_nodes(self) -> Iterator[NodeDraft]:
        """Every node, with those of bodies in place of the nodes that run them."""
        for node in self.nodes:
            if node.body is None:
                yield node
            else:
                yield from node.body.all_nodes()

    # ------------------------------------------------------------------------------------------------------ scopes
    def open_scope(self, slot: Slot | None, kind: ScopeKind, place: Place | None, **facts: Any) -> int:
        """A module under the label of `slot` (None: the network itself). Applied again, the same one."""
        if slot is None:
            self.scopes.append(ScopeDraft("", "", None, kind, place=place, **facts))
            return len(self.scopes) - 1
        if slot.replay and slot.path in self._scope_of:
            return self._scope_of[slot.path]
        self.scopes.append(ScopeDraft(slot.label, slot.path, slot.scope, kind, place=place, **facts))
        self._scope_of[slot.path] = len(self.scopes) - 1
        return len(self.scopes) - 1

    def open_frame(self, scope: int, parent: FrameDraft | None, place: Place | None, replay: bool = False) -> FrameDraft:
        """A new application of a scope."""
        frame = FrameDraft(len(self.frames), scope, parent.number if parent else None, place, replay)
        self.frames.append(frame)
        return frame

    def take(self, frame: FrameDraft, label: str | None, stem: str, place: Place) -> Slot:
        """Take a label in a frame: the one written, or `stem` and the next number. Raises `DuplicateLabel`."""
        if label is None:
            label = self._number(frame, stem)
        elif label in frame.labels:
            raise DuplicateLabel(self._join(frame.scope, label), self._owners.get(self._join(frame.scope, label)))
        else:
            frame.labels[label] = False
        return self.slot_at(frame.scope, label, frame.replay, place)

    def slot_at(self, scope: int, label: str, replay: bool, place: Place) -> Slot:
        """The slot of a label under a scope; dots in it open families."""
        *outer, last = label.split(".")
        for part in outer:
            scope = self._family(scope, part, place)
        path = self._join(scope, last)
        if path in self._owners:
            if not replay:
                raise DuplicateLabel(path, self._owners[path])
        else:
            self._owners[path] = place
        return Slot(last, path, scope, replay)

    def _number(self, frame: FrameDraft, stem: str) -> str:
        while True:
            count = frame.counters.get(stem, 0) + 1
            frame.counters[stem] = count
            label = f"{stem}{count}"
            written = frame.labels.get(label)
            if written is None:
                frame.labels[label] = True
                return label
            if written is False:
                raise DuplicateLabel(self._join(frame.scope, label), self._owners.get(self._join(frame.scope, label)))

    def declare(self, frame: FrameDraft, label: str) -> None:
        """Note where a `layer` statement stands among the nodes: its place in the state dict is there, not where it is applied."""
        self.declared.append((len(self.nodes), self._join(frame.scope, label)))

    def _join(self, scope: int, label: str) -> str:
        path = self.scopes[scope].path
        return f"{path}.{label}" if path else label

    def _family(self, scope: int, label: str, place: Place) -> int:
        path = self._join(scope, label)
        number = self._families.get(path)
        if number is None:
            if path in self._owners:
                if path in self._scope_of:
                    return self._scope_of[path]
                raise DuplicateLabel(path, self._owners[path])
            self._owners[path] = place
            self.scopes.append(ScopeDraft(label, path, scope, "family", place=place))
            number = self._families[path] = len(self.scopes) - 1
        return number

    # ------------------------------------------------------------------------------------------------------- nodes
    def apply(self, operator: Operator, inputs: tuple[int, ...], slot: Slot, frame: FrameDraft, place: Place) -> tuple[int, ...]:
        """Add a node; the numbers of its outputs. Raises `Reject` where it does not fit, `TooLarge` past a bound."""
        if len(self.nodes) >= self.limits.nodes:
            raise TooLarge(f"the network has more than {self.limits.nodes:,} layers (limit `nodes`)")
        typed = self._type(operator, tuple(self.types[i] for i in inputs))
        for need in typed.needs:
            self.require(need.condition, need.code, need.reason, slot.path, place)
        weights = self._store(typed.weights, slot, place)
        uses = self._uses[slot.path] = self._uses.get(slot.path, 0) + 1
        name = slot.path if uses == 1 else f"{slot.path}:{uses}"
        single = len(typed.outputs) == 1
        outputs = tuple(self.value(t, name if single else f"{name}.{i}") for i, t in enumerate(typed.outputs))
        self.nodes.append(NodeDraft(name, slot.path, operator, inputs, outputs, weights, frame.number, place))
        self._bound(operator, inputs, outputs, slot.path, place)
        return outputs

    def _bound(self, operator: Operator, inputs: tuple[int, ...], outputs: tuple[int, ...], node: str, place: Place) -> None:
        """Note between which numbers the outputs lie, where that is known, and what a table asks of its indices."""
        ranges = tuple([self.ranges.get(i) for i in inputs])
        if any(ranges) or operator.ARITY == 0:
            types, needs = tuple(self.types[i] for i in inputs), Needs()
            ask(operator, ranges, types, needs)
            for need in needs.found:
                self.require(need.condition, need.code, need.reason, node, place)
            self.ranges.update(dict.fromkeys(outputs, bounds(operator, ranges, types)))

    def _type(self, operator: Operator, inputs: tuple[TensorType, ...]) -> Typed:
        key = (operator, inputs)
        known = self._typed.get(key)
        if known is None:
            needs = Needs()
            outputs = operator.shape(inputs, needs)
            fixed = tuple(self._fix(w, operator, needs) for w in operator.params(inputs))
            known = Typed(outputs if isinstance(outputs, tuple) else (outputs,), fixed, tuple(needs.found))
            self._typed[key] = known
        return known

    def _fix(self, weight: Weight, operator: Operator, needs: Needs) -> Weight:
        """A stored tensor's shape in numbers: an open size in it is held at its typical value, as a condition."""
        if all(isinstance(s, int) for s in weight.shape) and isinstance(weight.fan_in, (int, float)):
            return self._with_fans(weight, weight.shape)  # type: ignore[arg-type]
        for size in weight.shape:
            if not isinstance(size, int):
                self._hold(size, operator, needs)
        return self._with_fans(weight, tuple(self.at_typical(s) for s in weight.shape))

    def _hold(self, size: Size, operator: Operator, needs: Needs) -> None:
        from netspec.sizes.dim import names

        unstated = sorted(names(size) - self.stated)
        if unstated:
            raise Reject(
                "NS405",
                f"the weights of `{operator.NAME}` would depend on the open size {show(size)}",
                help=f"give {unstated[0]} a typical value on the input (`{unstated[0]} = 224`), or pool to a fixed size before",
            )
        reason = f"the weights of `{operator.NAME}` are made for {show(size)} = {self.at_typical(size)}"
        needs.equal(size, self.at_typical(size), reason, "NS405")

    def _with_fans(self, weight: Weight, shape: tuple[int, ...]) -> Weight:
        def number(x: Any) -> Any:
            return x if isinstance(x, (int, float, str, tuple)) or x is None else self.at_typical(x)

        init = Initializer(weight.init.name, tuple((k, number(v)) for k, v in weight.init.arguments))
        fans = float(number(weight.fan_in)), float(number(weight.fan_out))
        return Weight(weight.name, shape, init, *fans, weight.dtype, weight.trainable, weight.role)

    def _store(self, weights: tuple[Weight, ...], slot: Slot, place: Place) -> tuple[str, ...]:
        stored = self._stored.get(slot.path)
        if stored is not None:
            if stored[1] != weights:
                raise Reject("NS408", f"`{slot.path}` is shared, but this input asks for weights of another shape than its first one")
            return stored[0]
        names = []
        for weight in weights:
            name = f"{slot.path}.{weight.name}" if weight.name else slot.path
            self._count(weight)
            self.weights[name] = g.Tensor.trusted(
                name=name, local=weight.name, shape=weight.shape, dtype=weight.dtype, init=weight.init, fan_in=weight.fan_in,
                fan_out=weight.fan_out, trainable=weight.trainable, role=weight.role, origin=origin(place),
            )  # fmt: skip
            names.append(name)
        self._stored[slot.path] = (tuple(names), weights)
        return tuple(names)

    def _count(self, weight: Weight) -> None:
        size = 1
        for n in weight.shape:
            size *= n  # type: ignore[operator]
        self.total_parameters += size
        if self.total_parameters > self.limits.parameters:
            raise TooLarge(f"the network has more than {self.limits.parameters:,} parameters (limit `parameters`)")

    @property
    def input_names(self) -> set[str]:
        """What the network's inputs are called."""
        return {name for name, _, _ in self.inputs}

    def require(self, condition: Condition, code: str, reason: str, node: str, place: Place) -> None:
        """Keep a condition on the open sizes. Where the typical sizes break it, it joins `broken`, for the caller to report."""
        if (condition, code) not in self.requirements:
            draft = self.requirements[condition, code] = RequirementDraft(condition, code, reason, node, place)
            if self.outer is None and not condition.at(self.sizes):  # what a step asks, the network around it will ask
                self.broken.append(draft)


@lru_cache(maxsize=4096)
def origin(place: Place | None) -> g.Origin | None:
    """A place as the graph keeps it."""
    if place is None:
        return None
    line, column = place.source.position(place.start)
    return g.Origin.trusted(file=place.source.name, line=line, column=column, start=place.start, end=place.end)
