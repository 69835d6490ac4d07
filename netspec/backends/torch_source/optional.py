"""Layers that only some instances of a block have (the projection of a residual unit) are optional layers of one class.

An instance without such a layer gets `nn.Identity` in its place. That is right where the layer takes one tensor to one
tensor and everything else is the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from netspec.backends.torch_source.draft import Draft
from netspec.backends.torch_source.form import (
    UNKNOWN,
    Apply,
    Child,
    Extent,
    Form,
    Literal,
    Local,
    align,
    constants,
    transform,
    walk,
    with_constants,
)  # fmt: skip
from netspec.backends.torch_source.lower import Body, Step

#: More layers than these are no option: such blocks are different blocks.
MOST = 2


def merge(groups: dict[Any, list[Draft]]) -> dict[Any, list[Draft]]:
    """Groups of instances, those that differ in optional layers alone made one. Instances stay in their order."""
    merged = dict(groups)
    for key in sorted(groups, key=lambda k: len(groups[k][0].members)):
        richer = [k for k in merged if k != key and len(merged[k][0].members) > len(groups[key][0].members)]
        for other in richer:
            extended = _extended(merged[key], merged[other][0])
            if extended is not None:
                merged[other] = [*merged[other], *extended]
                del merged[key]
                break
    return merged


def _extended(poorer: list[Draft], model: Draft) -> list[Draft] | None:
    """The instances with the layers that `model` has more, marked absent; None where that is not all that differs."""
    own = {label for label, _ in poorer[0].members}
    extra = [label for label, _ in model.members if label not in own]
    reduced: Draft | None = model if len(extra) <= MOST else None
    for label in extra:
        reduced = _without(reduced, label) if reduced is not None else None
    if reduced is None or reduced.key() != poorer[0].key():
        return None
    return [_with_absent(draft, model, frozenset(extra)) for draft in poorer]


def _with_absent(draft: Draft, model: Draft, extra: frozenset[str]) -> Draft:
    """An instance in the shape of `model`: what it lacks has unknown constants."""
    own = dict(draft.members)
    members = [(label, _unknown(form) if label in extra else own[label]) for label, form in model.members]
    steps = iter(step.form for body in draft.bodies for step in body.steps)
    bodies = [replace(body, steps=_filled(body, extra, steps)) for body in model.bodies]
    return replace(draft, members=members, bodies=bodies, absent=draft.absent | extra)


def _filled(body: Body, extra: frozenset[str], own: Any) -> list[Step]:
    """The model's steps with the instance's own constants; variables are numbered as in the model."""
    steps = []
    for step in body.steps:
        if _optional_call(step) not in extra:
            shape, values = align([step.form, next(own)])
            step = replace(step, form=with_constants(shape, iter(constants(values))))
        steps.append(step)
    return steps


def _unknown(form: Form) -> Form:
    return transform(form, lambda f: replace(f, value=UNKNOWN) if isinstance(f, Literal) else f)


def _optional_call(step: Step) -> str | None:
    """The label of the layer, where the step is `y = self.label(x)` and no more."""
    form = step.form
    plain = isinstance(form, Apply) and isinstance(form.function, Child) and len(form.function.path) == 1 and not form.keywords
    if not plain or len(form.arguments) != 1 or not isinstance(form.arguments[0], Local) or len(step.targets) != 1:
        return None
    return form.function.path[0]


def _without(draft: Draft, label: str) -> Draft | None:
    """The instance without a layer, its input in the place of its output; None where the layer does more than that."""
    bodies = []
    for body in draft.bodies:
        calls = [step for step in body.steps if any(isinstance(f, Child) and f.path[0] == label for f in walk(step.form))]
        if len(calls) != 1 or _optional_call(calls[0]) != label:
            return None
        source, target = calls[0].form.arguments[0].index, calls[0].targets[0]  # type: ignore[union-attr]
        bodies.append(_bypassed(body, calls[0], source, target))
    return replace(draft, members=[(name, form) for name, form in draft.members if name != label], bodies=bodies)


def _bypassed(body: Body, call: Step, source: int, target: int) -> Body:
    def moved(local: int) -> int:
        local = source if local == target else local
        return local - (local > target)

    def rename(form: Form) -> Form:
        if isinstance(form, Local):
            return Local(moved(form.index))
        return Extent(moved(form.local), form.axis) if isinstance(form, Extent) else form

    steps = [
        replace(step, targets=tuple(map(moved, step.targets)), form=transform(step.form, rename)) for step in body.steps if step is not call
    ]
    inputs, sizes = [moved(i) for i in body.inputs], {moved(i) for i in body.sizes}
    return replace(body, inputs=inputs, steps=steps, returns=tuple(map(moved, body.returns)), sizes=sizes)
