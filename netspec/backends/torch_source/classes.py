"""Instances become classes: scopes of one definition whose bodies are equal up to constants share one class."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any, Iterator

from netspec.backends.torch_source.draft import Draft, gathered, is_sequential
from netspec.backends.torch_source.expressions import Expressions
from netspec.backends.torch_source.form import (
    UNKNOWN,
    Apply,
    ClassName,
    Dot,
    Form,
    Literal,
    Members,
    Parameter,
    Sequence,
    Table,
    Text,
    align,
    constants,
    transform,
    walk,
    with_constants,
)  # fmt: skip
from netspec.backends.torch_source.lift import Column, Lifting
from netspec.backends.torch_source.lower import Body, Lowering, SourceError
from netspec.backends.torch_source.naming import identifier, unique
from netspec.backends.torch_source.optional import merge
from netspec.backends.torch_source.tree import LIST, Place, quote
from netspec.graph import Tensor
from netspec.sizes.dim import Dim, show


@dataclass(slots=True)
class ModuleClass:
    """A class of the file. `stem` is what the spec calls it, `place` its fullest instance.

    `parameters` are the constructor's, with their values in all instances, `defaults` those that a call may leave out,
    `optional` the members that not every instance has, with the parameter that asks for each.
    """

    number: int
    stem: str
    doc: str
    place: Place
    sequential: bool
    members: Form
    bodies: list[Body]
    parameters: dict[str, Column] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    optional: dict[str, str] = field(default_factory=dict)
    instances: int = 1
    computes: set[str] = field(default_factory=set)

    def stored(self) -> list[str]:
        """The parameters that `forward` needs."""
        inside = {f.name for body in self.bodies for step in body.steps for f in walk(step.form) if isinstance(f, Parameter)}
        return [name for name in self.parameters if name in inside]

    def uses(self) -> list[int]:
        """The classes that its constructor calls, in order."""
        return list(dict.fromkeys(f.number for f in walk(self.members) if isinstance(f, ClassName)))

    def features(self) -> set[str]:
        """What may tell it from other classes of its stem: the labels of its members, and of what it computes."""
        return set(self.place.children) | self.computes


class Classes:
    """All classes of a graph's source. `construction` says how each place is made by the one that holds it."""

    def __init__(self, lowering: Lowering, root: Place) -> None:
        self.graph, self.lowering = lowering.graph, lowering
        self.construction: dict[int, Form] = {}
        self.classes: list[ModuleClass] = []
        self.channels: set[str] = set()
        for group in _groups(root, self.stem):
            self._make(group)

    def stem(self, place: Place) -> str:
        """What the class of a place is called in the spec: its definition, or the label of a chain."""
        if place.scope is None:
            return ""
        scope = self.graph.scopes[place.scope]
        words = [label for label in scope.path.split(".") if not label.isdigit()]
        return scope.definition or (words[-1] if words else "") or self.graph.name or "net"

    def _make(self, places: list[Place]) -> None:
        """Constructions for all places of one stem; what they hold has been made."""
        if places[0].scope is None or places[0].family:
            for place in places:
                self.construction[id(place)] = self._leaf(place) if place.node is not None else self._family(place)
            return
        drafts = defaultdict(list)
        for place in places:
            draft = self._draft(place)
            drafts[draft.key()].append(draft)
        if not self._inline(next(iter(drafts.values()))[0]):
            drafts = merge(drafts)
        for group in drafts.values():
            self._settle(group, inline=len(group) == 1 or 2 * len(drafts) > len(places))

    def _settle(self, group: list[Draft], inline: bool) -> None:
        """One class for instances of one skeleton, or `nn.Sequential` in place."""
        place = group[0].place
        sequential = self._inline(group[0])
        if sequential and (self._kind(place) == "chain" or inline or len(place.children) < 2):
            for draft in group:
                self.construction[id(draft.place)] = self._sequential(draft)
        else:
            self._class(group, sequential)

    def _kind(self, place: Place) -> str:
        return self.graph.scopes[place.scope].kind  # type: ignore[index]

    def _inline(self, draft: Draft) -> bool:
        """Whether an instance is written as a chain, and is one."""
        return self._kind(draft.place) in ("chain", "def") and is_sequential(draft)

    # ------------------------------------------------------------------------------------------------------- members
    def _leaf(self, place: Place) -> Form:
        node = self.graph.nodes[place.node]  # type: ignore[index]
        torch = self.lowering.torch[place.node]  # type: ignore[index]

        def refuse(size: Dim, near: Any) -> Form:
            raise SourceError(f"the module of {node.label} would be made with the open size {show(size)}")

        if torch.module is None:
            return _parameter(self.graph.weights[node.weights[0]])
        module = Expressions(node.op, refuse).form(torch.module)
        dtype = next((self.graph.weights[w].dtype for w in node.weights if not torch.owns), "float32")
        return module if dtype == "float32" else Apply(Dot(module, "to"), (Text(f"torch.{dtype}"),))

    def _family(self, place: Place) -> Form:
        kind = "Parameter" if all(child.parameter for child in place.children.values()) else "Module"
        if place.stepwise():
            return Members(tuple(self._members(place)))
        if place.holds == LIST:
            return Apply(Text(f"nn.{kind}List"), (Sequence(tuple(f for _, f in gathered(self._members(place))), "["),))
        return Apply(Text(f"nn.{kind}Dict"), (Table(tuple(self._members(place))),))

    def _members(self, place: Place) -> list[tuple[str, Form]]:
        return [(label, self.construction[id(child)]) for label, child in place.children.items()]

    def _draft(self, place: Place) -> Draft:
        draft = Draft(place, self._members(place), self.lowering.variants.get(place.scope, []))  # type: ignore[arg-type]
        if self._inline(draft) and list(place.children) == [str(i) for i in range(len(place.children))]:
            place.holds = LIST
        return draft

    def _sequential(self, draft: Draft) -> Form:
        """The chain itself, where it stands."""
        members = draft.forms()[0]
        return Apply(Text("nn.Sequential"), chain_arguments(members))

    # ------------------------------------------------------------------------------------------------------- classes
    def _class(self, group: list[Draft], sequential: bool) -> None:
        """Anti-unification: align the instances, lift the constants in which they differ."""
        model = group[0]
        scope = self.graph.scopes[model.place.scope]  # type: ignore[index]
        lifting = Lifting(self._arguments(group), channels=set(self.channels))
        members, *rest = _lifted(lifting, [align(list(column)) for column in zip(*(draft.forms() for draft in group))])
        forms = iter(rest)
        bodies = [] if sequential else model.bodies
        bodies = [replace(body, steps=[replace(step, form=next(forms)) for step in body.steps]) for body in bodies]
        made = ModuleClass(len(self.classes), self.stem(model.place), scope.doc, model.place, sequential, members, bodies)
        made.instances, made.computes = len(group), self.lowering.labels(model.place.scope)
        self._parameters(made, lifting, group)
        _keep_apart(made)
        self.classes.append(made)
        self.channels |= lifting.channels & set(made.parameters)
        for index, draft in enumerate(group):
            self.construction[id(draft.place)] = self._instance(made, index)

    def _parameters(self, made: ModuleClass, lifting: Lifting, group: list[Draft]) -> None:
        """The parameters of a class: those that were lifted, and one for each optional member."""
        made.parameters = {name: lifting.columns[name] for name in lifting.parameters()}
        made.defaults = lifting.defaults()
        taken = set(made.parameters)
        for label in sorted(frozenset().union(*(draft.absent for draft in group)), key=list(made.place.children).index):
            made.optional[label] = name = unique(identifier(label, "layer"), taken)
            made.parameters[name] = tuple(label not in draft.absent for draft in group)
            made.defaults[name] = False

    def _arguments(self, group: list[Draft]) -> dict[str, Column]:
        """The columns of the block's arguments, those that are numbers in every instance."""
        given = [dict(self.graph.scopes[draft.place.scope].arguments) for draft in group]  # type: ignore[index]
        names = [name for name in given[0] if all(isinstance(g.get(name), (int, float)) for g in given)]
        return {name: tuple(g[name] for g in given) for name in names}

    def _instance(self, made: ModuleClass, index: int) -> Form:
        """The call that makes an instance: what counts channels by position, the rest by keyword."""
        names = list(made.parameters)
        counting = [name in self.channels and name not in made.defaults for name in names]
        leading = counting.index(False) if False in counting else len(names)
        values = [Literal(made.parameters[name][index], name, repr(made.defaults[name]) if name in made.defaults else "") for name in names]
        return Apply(ClassName(made.number), tuple(values[:leading]), tuple(zip(names[leading:], values[leading:])))


def chain_arguments(members: Form) -> tuple[Form, ...]:
    """What `nn.Sequential` is called with: the parts, or a table of them where they have labels of their own."""
    if isinstance(members, Sequence):
        return members.items
    assert isinstance(members, Members)
    pairs = tuple(Sequence((Text(quote(label)), form)) for label, form in members.items)
    return (Apply(Text("OrderedDict"), (Sequence(pairs, "["),)),)


def _lifted(lifting: Lifting, columns: list[list[Form]]) -> list[Form]:
    """Aligned forms as one form each. Constants that every instance has come first: those of an optional layer can then be said in
    the words of what is always there, and an instance without the layer passes nothing for it."""
    rows = [[list(row) for row in zip(*map(constants, column))] for column in columns]
    order = sorted((row for inside in rows for row in inside), key=lambda row: any(literal.value is UNKNOWN for literal in row))
    found = {id(row): lifting.lift(row) for row in order}
    return [with_constants(column[0], iter([found[id(row)] for row in inside])) for column, inside in zip(columns, rows)]


def _keep_apart(made: ModuleClass) -> None:
    """A parameter that `forward` reads as `self.name` must not be called what a member is called."""
    taken = set(made.parameters) | set(made.place.children)
    renamed = {name: unique(f"{name}_value", taken) for name in made.stored() if name in made.place.children}
    if not renamed:
        return

    def rename(form: Form) -> Form:
        return Parameter(renamed[form.name]) if isinstance(form, Parameter) and form.name in renamed else form

    made.members = transform(made.members, rename)
    made.bodies = [replace(b, steps=[replace(step, form=transform(step.form, rename)) for step in b.steps]) for b in made.bodies]
    made.parameters = {renamed.get(name, name): column for name, column in made.parameters.items()}
    made.defaults = {renamed.get(name, name): value for name, value in made.defaults.items()}


def _parameter(tensor: Tensor) -> Form:
    """A parameter that a block owns itself; `reset_parameters` starts it where zeros are not meant."""
    sizes = tuple(Literal(size, "size") for size in tensor.shape) or (Text("()"),)
    dtype = () if tensor.dtype == "float32" else (("dtype", Text(f"torch.{tensor.dtype}")),)
    return Apply(Text("nn.Parameter"), (Apply(Text("torch.zeros"), sizes, dtype),))


def _groups(root: Place, stem: Any) -> Iterator[list[Place]]:
    """Places with a stem in common, so ordered that what a place holds comes before it.

    Blocks that contain themselves have no such order: then only places of equal height are taken together.
    """
    places = list(root.below())
    grouping = {id(p): (stem(p) if p.scope is not None and not p.family else f" {id(p)}", 0) for p in places}
    order = _ordered(places, grouping)
    if order is None:
        grouping = {id(p): (grouping[id(p)][0], p.height) for p in places}
        order = _ordered(places, grouping)
    assert order is not None
    members = defaultdict(list)
    for place in places:
        members[grouping[id(place)]].append(place)
    for group in order:
        yield members[group]


def _ordered(places: list[Place], grouping: dict[int, Any]) -> list[Any] | None:
    """The groups in topological order; None where they go in a circle."""
    from graphlib import CycleError, TopologicalSorter

    sorter: TopologicalSorter[Any] = TopologicalSorter()
    for place in places:
        sorter.add(grouping[id(place)], *dict.fromkeys(grouping[id(child)] for child in place.children.values()))
    try:
        return list(sorter.static_order())
    except CycleError:
        return None
