"""A list of blocks applied one after the other is a loop."""

from __future__ import annotations

from collections import Counter
from typing import Callable

from netspec.backends.torch_source.form import Apply, Child, Local, used
from netspec.backends.torch_source.lower import BLOCK, Body, Loop, Step

#: How long the list under a path is; 0 where there is none.
Lengths = Callable[[tuple[str, ...]], int]


def roll(body: Body, lengths: Lengths) -> list[Step]:
    """The steps with runs of `x = self.blocks[0](x)`, `x = self.blocks[1](x)`, … as one step with a loop."""
    counts = Counter(local for step in body.steps for local in used(step.form)) + Counter(body.returns)
    result: list[Step] = []
    for step in body.steps:
        part = _part(step, lengths)
        last = result[-1] if result else None
        before = _last_part(last, lengths) if last else None
        if part and last and before == (part[0], part[1] - 1) and used(step.form) == [*last.targets] and counts[last.targets[0]] == 1:
            start = last.loop.start if last.loop else before[1]
            source = last.form if last.loop else Local(used(last.form)[0])
            result[-1] = Step(step.targets, source, BLOCK, loop=Loop(part[0], start, part[1] + 1))
        else:
            result.append(step)
    return result


def _part(step: Step, lengths: Lengths) -> tuple[tuple[str, ...], int] | None:
    """The list and the number in it, where the step is `y = self.list[number](x)`."""
    form = step.form
    if not isinstance(form, Apply) or not isinstance(form.function, Child) or form.keywords or len(step.targets) != 1:
        return None
    *family, label = form.function.path
    if len(form.arguments) != 1 or not isinstance(form.arguments[0], Local) or not family or not lengths(tuple(family)):
        return None
    return tuple(family), int(label)


def _last_part(step: Step, lengths: Lengths) -> tuple[tuple[str, ...], int] | None:
    return (step.loop.family, step.loop.stop - 1) if step.loop else _part(step, lengths)
