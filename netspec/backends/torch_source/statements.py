"""The statements of a `forward`: what is nested into one expression, and what the variables are called."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Iterator

from netspec.backends.torch_source.form import (
    Apply,
    Dot,
    Extent,
    Form,
    Item,
    Literal,
    Local,
    Operation,
    Scan,
    Sequence,
    Slice,
    Text,
    parts,
    transform,
    used,
    walk,
)  # fmt: skip
from netspec.backends.torch_source.layout import INDENT, WIDTH, Writer
from netspec.backends.torch_source.loops import Lengths, roll
from netspec.backends.torch_source.lower import BLOCK, LAYER, Body, Loop, Step
from netspec.backends.torch_source.naming import identifier, unique
from netspec.backends.torch_source.scans import scan_lines

#: How many calls may stand inside one another: `self.relu1(self.bn1(self.conv1(x)))`.
NESTING = 3
#: What a nested expression leaves for `    ` twice, a variable and `= `.
_ROOM = WIDTH - 2 * len(INDENT) - len("return ")
_PLAIN_NAMES = ("x", "y", "z")


def nest(body: Body, writer: Writer, lengths: Lengths, several: str) -> list[Step]:
    """Fewer statements: a value that is used once stands where it is used, if that reads well. The last one returns."""
    counts = Counter(local for step in body.steps for local in used(step.form)) + Counter(body.returns)
    fixed = {form.local for step in body.steps for form in walk(step.form) if isinstance(form, Extent)}
    waiting: dict[int, Step] = {}
    done: list[Step] = []
    for step in roll(body, lengths):
        step = _take_in(step, waiting, done, body, writer)
        whole = step.loop is not None or isinstance(step.form, Scan)
        if not whole and len(step.targets) == 1 and counts[step.targets[0]] == 1 and step.targets[0] not in fixed:
            waiting[step.targets[0]] = step
        else:
            done.append(step)
    values = tuple(Local(value) for value in body.returns)
    returned: Form = Apply(Text(several), values) if several else values[0] if len(values) == 1 else Sequence(values)
    final = _take_in(Step((), returned), waiting, done, body, writer)
    return [*done, final]


def _take_in(step: Step, waiting: dict[int, Step], done: list[Step], body: Body, writer: Writer) -> Step:
    """The step with waiting values in place of the variables; those that do not fit become statements."""
    several = len(set(used(step.form))) > 1
    for local in [local for local in dict.fromkeys(used(step.form)) if local in waiting]:
        inner = waiting.pop(local)
        if isinstance(step.form, Scan):
            done.append(inner)
            continue
        nested = transform(step.form, lambda form: inner.form if form == Local(local) else form)  # noqa: B023
        fits = _depth(nested) <= NESTING and len(writer.text(nested)) <= _ROOM
        named = local in body.names and not isinstance(step.form, Local)
        if fits and not named and not _apart(inner, step, local, several):
            step = replace(step, form=nested, inside=max(inner.rank, inner.inside, step.inside))
        else:
            done.append(inner)
    return step


def _apart(inner: Step, outer: Step, local: int, several: bool) -> bool:
    """Whether two steps read better as two statements."""
    if isinstance(outer.form, Local):  # `return` takes anything, a loop nothing
        return outer.loop is not None
    if outer.rank == BLOCK or _awkward(inner.form, outer.form, local):
        return True
    if several:
        return _depth(inner.form) > 1
    return inner.rank == BLOCK or (outer.rank == LAYER and max(inner.rank, inner.inside) >= LAYER)


def _awkward(inner: Form, outer: Form, local: int) -> bool:
    """A method called on a sum, an index into a call: written better with a variable between."""
    for form in walk(outer):
        if isinstance(form, (Dot, Item)) and form.value == Local(local):
            return not isinstance(inner, (Apply, Item)) or _depth(inner) > 1
    return False


def _depth(form: Form) -> int:
    inside = max((_depth(part) for part in parts(form)), default=0)
    return inside + isinstance(form, Apply)


@dataclass(slots=True)
class Variables:
    """Names for the variables of a body, used again as soon as nobody needs what they hold."""

    body: Body
    steps: list[Step]
    names: dict[int, str] = field(default_factory=dict)
    holding: dict[str, int] = field(default_factory=dict)
    readers: dict[int, list[Step]] = field(default_factory=dict)

    def assign(self) -> dict[int, str]:
        """A name for every variable."""
        taken: set[str] = set()
        for local in self.body.inputs:
            self.names[local] = unique(identifier(self.body.names.get(local, "x")), taken)
            self.holding[self.names[local]] = local
        last = {local: index for index, step in enumerate(self.steps) for local in used(step.form)}
        for step in self.steps:
            for local in set(used(step.form)):
                self.readers.setdefault(local, []).append(step)
        for index, step in enumerate(self.steps):
            free = {name for name, local in self.holding.items() if last.get(local, -1) <= index}
            chosen: list[str] = []
            for target in step.targets:
                name = "_" if target not in last else self._choose(target, step, free - set(chosen), chosen)
                self.names[target] = name
                chosen.append(name)
                self.holding[name] = target
        return self.names

    def _choose(self, target: int, step: Step, free: set[str], chosen: list[str]) -> str:
        """The spec's word, or the variable that the value came from, or a plain letter."""
        busy = {name for name in self.holding if name not in free} | set(chosen)
        hint = self.body.names.get(target)
        if hint:
            return unique(identifier(hint), busy)
        later = self._later(target)
        if later and later not in busy:
            return later
        for local in used(step.form):
            name = self.names[local]
            own = local not in self.body.inputs and local not in self.body.names
            if name in free and (own or name in _PLAIN_NAMES) and local not in self.body.sizes:
                return name
        return next((name for name in _PLAIN_NAMES if name not in busy), None) or unique("x", set(busy))

    def _later(self, target: int) -> str | None:
        """The spec's word for what becomes of a value, so that a pipeline goes by one name."""
        while target not in self.body.names:
            following = self.readers.get(target, [])
            if len(following) != 1 or len(following[0].targets) != 1:
                return None
            target = following[0].targets[0]
        return None if target in self.body.returns else identifier(self.body.names[target])


def forward_lines(body: Body, writer: Writer, lengths: Lengths, several: str = "") -> list[str]:
    """The statements of a `forward`, indented twice. `several` names the class of several outputs.

    Sets `writer.local` to the names of the variables.
    """
    writer.local = lambda index: identifier(body.names.get(index, "x"))
    fresh = count(1 + max([*body.inputs, *(target for step in body.steps for target in step.targets)], default=0))
    steps = [narrow for step in nest(body, writer, lengths, several) for narrow in _narrow(step, fresh, body, writer)]
    names = Variables(body, steps).assign()
    writer.local = names.__getitem__
    return [line for step in steps for line in _statement(step, names, writer, lengths)]


def _narrow(step: Step, fresh: Iterator[int], body: Body, writer: Writer) -> list[Step]:
    """A step whose line is too long, as several: calls and computed sizes inside become statements of their own."""
    done: list[Step] = []
    while not isinstance(step.form, Scan) and len(writer.text(step.form)) > _ROOM:
        inner = _hoistable(step.form)
        if inner is None:
            break
        target = next(fresh)
        if isinstance(inner, Operation):
            body.sizes.add(target)
            body.names[target] = _bound(inner, step.form)
        done.append(Step((target,), inner))
        step = replace(step, form=transform(step.form, lambda f: Local(target) if f == inner else f))  # noqa: B023
    return [*done, step]


def _bound(size: Form, form: Form) -> str:
    """What a computed size is in a form: where a slice starts or stops, or just a size."""
    slices = [part for part in walk(form) if isinstance(part, Slice)]
    if any(part.start == size for part in slices):
        return "start"
    return "stop" if any(part.stop == size for part in slices) else "size"


def _hoistable(form: Form) -> Form | None:
    """An innermost call inside a form; else a size that is computed there."""
    inside = [part for part in walk(form) if part is not form]
    calls = [part for part in inside if isinstance(part, Apply) and _depth(part) == 1]
    sizes = [p for p in inside if isinstance(p, Operation) and all(isinstance(f, (Extent, Literal, Local, Operation)) for f in walk(p))]
    return next(iter([*calls, *sizes]), None)


def _statement(step: Step, names: dict[int, str], writer: Writer, lengths: Lengths) -> list[str]:
    if not step.targets:
        lines = writer.lines(step.form, 2, "return ")
        tuple_ = isinstance(step.form, Sequence) and len(lines) == 1
        return [lines[0].replace("(", "", 1)[:-1]] if tuple_ else lines
    if step.loop is not None:
        return _loop(step, step.loop, names, writer, lengths(step.loop.family))
    if isinstance(step.form, Scan):
        return scan_lines(step.form, [names[target] for target in step.targets], set(names.values()), writer)
    targets = ", ".join(names[target] for target in step.targets)
    lines = writer.lines(step.form, 2, f"{targets} = ")
    if len(step.targets) == 1 or len(lines[0]) <= WIDTH and len(lines) == 1:
        return lines
    unpacked = [f"{INDENT * 2}{names[target]} = outputs[{i}]" for i, target in enumerate(step.targets) if names[target] != "_"]
    return [*writer.lines(step.form, 2, "outputs = "), *unpacked]


def _loop(step: Step, loop: Loop, names: dict[int, str], writer: Writer, length: int) -> list[str]:
    """`for block in self.blocks:`, or over numbers where only some of the parts are meant."""
    room, target, source = INDENT * 2, names[step.targets[0]], writer.text(step.form)
    before = [f"{room}{target} = {source}"] if source != target else []
    family = writer.child(loop.family)
    taken = set(names.values())
    if (loop.start, loop.stop) == (0, length):
        part = unique(identifier(loop.family[-1].removesuffix("s"), "part"), taken)
        part = part if part != loop.family[-1] else unique("part", taken)
        return [*before, f"{room}for {part} in {family}:", f"{room}{INDENT}{target} = {part}({target})"]
    number = unique("i", taken)
    bounds = f"{loop.start}, {loop.stop}" if loop.start else f"{loop.stop}"
    return [*before, f"{room}for {number} in range({bounds}):", f"{room}{INDENT}{target} = {family}[{number}]({target})"]
