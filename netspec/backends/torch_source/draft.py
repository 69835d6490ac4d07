"""One instance of a block, ready to be compared with others: how its members are made, and what its `forward` computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netspec.backends.torch_source.form import Apply, Child, Form, Literal, Local, Members, Repeat, Sequence, exact, skeleton
from netspec.backends.torch_source.lower import Body
from netspec.backends.torch_source.naming import attribute
from netspec.backends.torch_source.tree import LIST, Place


@dataclass(slots=True)
class Draft:
    """One instance: its place, how its members are made, its bodies, and which members others of its class have and it has not."""

    place: Place
    members: list[tuple[str, Form]]
    bodies: list[Body]
    absent: frozenset[str] = frozenset()

    def forms(self) -> list[Form]:
        """Everything that has constants, in one list. What a chain does follows from its members."""
        if self.place.holds == LIST:
            return [Sequence(tuple(form for _, form in gathered(self.members)))]
        return [Members(tuple(self.members)), *(step.form for body in self.bodies for step in body.steps)]

    def key(self) -> Any:
        """Equal for instances that one class can serve."""
        if self.place.holds == LIST:
            return repr(skeleton(self.forms()[0]))
        fixed = [(body.inputs, [step.targets for step in body.steps], body.returns, sorted(body.sizes)) for body in self.bodies]
        return repr(([skeleton(form) for form in self.forms()], fixed))


def is_sequential(draft: Draft) -> bool:
    """Whether the instance does what `nn.Sequential` does: its parts in order, each on what the one before gave."""
    if len(draft.bodies) != 1 or not draft.members:
        return False
    body = draft.bodies[0]
    labels = list(draft.place.children)
    if len(body.inputs) != 1 or body.sizes or len(body.steps) != len(labels):
        return False
    if not all(label.isdigit() or attribute(label) for label in labels):
        return False
    value = body.inputs[0]
    for label, step in zip(labels, body.steps):
        child = draft.place.children[label]
        if child.parameter or child.family or len(step.targets) != 1 or not _plain_call(step.form, label, value):
            return False
        value = step.targets[0]
    return body.returns == (value,)


def _plain_call(form: Form, label: str, value: int) -> bool:
    return isinstance(form, Apply) and form.function == Child((label,)) and form.arguments == (Local(value),) and not form.keywords


def gathered(members: list[tuple[str, Form]]) -> list[tuple[str, Form]]:
    """The members with runs of equal ones as one `Repeat`."""
    result: list[tuple[str, Form]] = []
    keys = [exact(form) for _, form in members]
    start = 0
    while start < len(members):
        stop = start + 1
        while stop < len(members) and keys[stop] == keys[start]:
            stop += 1
        label, form = members[start]
        result.append((label, Repeat(form, Literal(stop - start, "depth")) if stop - start > 1 else form))
        start = stop
    return result
