"""A scan as statements: a loop over the steps, that reads as one would write it.

h = x.new_zeros(x.shape[0], 64)
steps = []
for x_t in x.unbind(1):
    y_t, h = self.cell(x_t, h)
    steps.append(y_t)
y = torch.stack(steps, 1)
"""

from __future__ import annotations

from netspec.backends.torch_source.form import Apply, Form, Local, Scan, Text, used
from netspec.backends.torch_source.layout import INDENT, Writer
from netspec.backends.torch_source.naming import identifier, unique


def scan_lines(form: Scan, targets: list[str], taken: set[str], writer: Writer) -> list[str]:
    """The statements, indented twice. `targets` are the variables for what is stacked, then those for the last states, if these
    are wanted; `taken` are all names that mean something in the function."""
    return _Loop(form, targets, taken, writer).lines()


class _Loop:
    """One loop while it is written."""

    def __init__(self, form: Scan, targets: list[str], taken: set[str], writer: Writer) -> None:
        self.form, self.writer, self.busy = form, writer, set(taken)
        self.order = "[::-1]" if form.reverse else ""  # TorchScript takes no `reversed` of a list
        count = form.results.count("")
        self.stacked, self.last = targets[:count], targets[count:]
        self.states = self._states()
        self.steps = {
            n: self._new(f"{self._called(n, a)}_t") for n, a, role in zip(form.names, form.arguments, form.roles) if role == "step"
        }

    def _called(self, name: str, argument: Form) -> str:
        """What is taken apart: by its variable, or else as the block calls it."""
        return self.writer.local(argument.index) if isinstance(argument, Local) else name

    def _new(self, wanted: str) -> str:
        name = unique(identifier(wanted), self.busy)
        self.busy.add(name)
        return name

    def _states(self) -> dict[str, str]:
        """The variable of each state: the one that is to hold its last value, if nothing else reads what that holds before."""
        read = [self.writer.local(number) for number in used(self.form)]
        carried = [(n, argument) for n, role, argument in zip(self.form.names, self.form.roles, self.form.arguments) if role == "state"]
        found = {}
        for index, (name, start) in enumerate(carried):
            target = self.last[index] if self.last else "_"
            own = isinstance(start, Local) and self.writer.local(start.index) == target
            free = target != "_" and read.count(target) == own
            found[name] = target if free else self._new(name)
        return found

    def lines(self) -> list[str]:
        """All statements, in order."""
        room, results = INDENT * 2, self._results()
        lines = self._starts() + [f"{room}{gathered} = []" for _, gathered in results.values() if gathered]
        lines += self._header()
        given = [self.states[name] if name in self.states else results[number][0] for number, name in enumerate(self.form.results)]
        lines += self.writer.lines(Apply(self.form.cell, self._arguments()), 3, f"{', '.join(given)} = ")
        lines += [f"{room}{INDENT}{gathered}.append({step})" for step, gathered in results.values() if gathered]
        for target, (_, gathered) in zip(self.stacked, results.values()):
            if gathered:
                lines.append(f"{room}{target} = torch.stack({gathered}{self.order}, {self.form.axis})")
        renamed = [(target, variable) for target, variable in zip(self.last, self.states.values()) if target not in ("_", variable)]
        return lines + [f"{room}{target} = {variable}" for target, variable in renamed]

    def _results(self) -> dict[int, tuple[str, str]]:
        """For each result that is stacked: the variable of a step, and the list of all; nothing gathers what nobody reads."""
        numbers = [number for number, state in enumerate(self.form.results) if not state]
        several = sum(target != "_" for target in self.stacked) > 1
        found = {}
        for number, target in zip(numbers, self.stacked):
            named = target != "_"
            found[number] = (
                self._new(f"{target}_t") if named else "_",
                self._new(f"{target}_steps" if several else "steps") if named else "",
            )
        return found

    def _starts(self) -> list[str]:
        """Every state as it is before the first step."""
        lines: list[str] = []
        for name, role, argument in zip(self.form.names, self.form.roles, self.form.arguments):
            if role == "state" and self.writer.text(argument) != self.states[name]:
                lines += self.writer.lines(argument, 2, f"{self.states[name]} = ")
        return lines

    def _header(self) -> list[str]:
        """`for x_t in x.unbind(1):`"""
        taken_apart: list[Form] = []
        for role, argument in zip(self.form.roles, self.form.arguments):
            if role == "step":
                taken_apart.append(Text(f"{self.writer.text(argument)}.unbind({self.form.axis}){self.order}"))
        source = taken_apart[0] if len(taken_apart) == 1 else Apply(Text("zip"), tuple(taken_apart))
        return self.writer.lines(source, 2, f"for {', '.join(self.steps.values())} in ", ":")

    def _arguments(self) -> tuple[Form, ...]:
        """What a step is called with."""
        found = []
        for name, role, argument in zip(self.form.names, self.form.roles, self.form.arguments):
            found.append(argument if role == "same" else Text(self.steps[name] if role == "step" else self.states[name]))
        return tuple(found)
