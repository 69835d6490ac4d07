"""Parameters that start otherwise than torch starts them, said in few loops: over all modules, over those of a part, by name."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from netspec.backends.torch_source.classes import Classes
from netspec.backends.torch_source.form import Apply, ClassName, Form, Literal, Sequence, Text
from netspec.backends.torch_source.layout import INDENT, Writer
from netspec.backends.torch_source.lower import Lowering
from netspec.backends.torch_source.tree import Place

Keywords = tuple[tuple[str, Any], ...]
Labels = tuple[str, ...]

#: Of a part whose modules get a loop of their own: how deep it may lie, and how many parameters the loop must start.
DEEPEST, FEWEST = 2, 3


@dataclass(frozen=True, slots=True)
class Start:
    """One parameter and the call that starts it: `function(parameter, **keywords)`; then row `zero_row` is made zero.

    `module` is the class that stores the parameter. Of `copies` rows that are to be equal, the call starts the first alone;
    where it is `transposed`, the call starts the matrix's transpose.
    """

    name: str
    local: str
    module: str
    function: str
    keywords: Keywords
    zero_row: int | None = None
    copies: int = 1
    transposed: bool = False

    def call(self, access: str, keywords: tuple[tuple[str, Form], ...] | None = None) -> Form:
        """The call for the parameter that `access` reads."""
        if self.copies > 1:
            access += f"[::{self.copies}]"
        if self.transposed:
            access += ".detach().T"
        given = tuple((name, Literal(value)) for name, value in self.keywords) if keywords is None else keywords
        return Apply(Text(f"nn.init.{self.function}"), (Text(access),), given)

    def same(self) -> Any:
        """Equal for parameters that start by the same call."""
        return self.function, repr(self.keywords), self.copies, self.transposed


@dataclass(frozen=True, slots=True)
class Rule:
    """How the parameter that `access` reads off a `module` of one class starts; `guarded` where some of them lack it."""

    start: Start
    access: str
    guarded: bool = False


#: What one loop does to modules of each class.
Rules = dict[str, list[Rule]]


class Loops:
    """The loops that start parameters: `whole` goes over all modules, `parts` over those below a path, `late` over all modules once
    more, for what `whole` would have overwritten. `rest` is what goes by its name."""

    def __init__(self, starts: list[Start], lowering: Lowering, classes: Classes, root: Place, names: dict[int, str]) -> None:
        self.root, self.names = root, names
        self.stored = _inventory(lowering)
        self.numbers = {id(place): _number(classes.construction[id(place)]) for place in root.below()}
        self.instances = Counter(self.numbers.values())
        self.whole, rest = self._by_class(starts)
        self.parts, rest = self._by_part(rest)
        blocks, self.rest = self._by_block(rest)
        overwritten = {(cls, rule.start.local) for cls, of_class in self.whole.items() for rule in of_class}
        late = any((rule.start.module, rule.start.local) in overwritten for of_class in blocks.values() for rule in of_class)
        self.late: Rules = blocks if late else {}
        self.whole |= {} if late else blocks

    def lines(self, writer: Writer) -> list[str]:
        """All loops over modules, indented twice."""
        lines = _class_loop("self", self.whole, writer)
        for path, rules in self.parts.items():
            lines += _class_loop(self.root.access(path), rules, writer)
        return lines + _class_loop("self", self.late, writer)

    # --------------------------------------------------------------------------------------------------------- rules
    def _by_class(self, starts: list[Start]) -> tuple[Rules, list[Start]]:
        """Rules for what most modules of one class have in common, and the parameters that they do not hold for."""
        rules: Rules = defaultdict(list)
        rest: list[Start] = []
        alike: dict[tuple[str, str], list[Start]] = defaultdict(list)
        for start in starts:
            alike[start.module, start.local].append(start)
        for (cls, local), group in alike.items():
            calls = Counter(start.same() for start in group if start.copies == 1)
            usual, count = calls.most_common(1)[0] if calls else ("", 0)
            if self._storing(cls, local) == len(group) > 1 and count > 1:
                first = next(start for start in group if start.same() == usual)
                rules[cls].append(Rule(first, f"module.{local}", len(group) < len(self.stored[cls])))
                group = [start for start in group if start.same() != usual]
            rest += group
        return dict(rules), rest

    def _storing(self, cls: str, local: str, below: Labels = ()) -> int:
        """How many modules of a class, below a path, store a parameter of that name."""
        return sum(local in stored for path, stored in self.stored.get(cls, {}).items() if path[: len(below)] == below)

    def _by_part(self, starts: list[Start]) -> tuple[dict[Labels, Rules], list[Start]]:
        """Rules for what all modules of one class have in common below a path: that of a backbone, a decoder."""
        below: dict[Any, list[Start]] = defaultdict(list)
        for start in starts:
            path = tuple(start.name.removesuffix(f".{start.local}").split("."))
            for depth in range(1, min(DEEPEST + 1, len(path))):
                below[depth, path[:depth], start.module, start.local, start.same()].append(start)
        parts: dict[Labels, Rules] = {}
        done: set[str] = set()
        for (depth, path, cls, local, _), group in sorted(below.items(), key=lambda item: item[0][0]):
            if group[0].name not in done and FEWEST <= len(group) == self._storing(cls, local, path):
                modules = sum(other[:depth] == path for other in self.stored[cls])
                rule = Rule(group[0], f"module.{local}", len(group) < modules)
                parts.setdefault(path, {}).setdefault(cls, []).append(rule)
                done.update(start.name for start in group)
        return parts, [start for start in starts if start.name not in done]

    def _by_block(self, starts: list[Start]) -> tuple[Rules, list[Start]]:
        """Rules for what all instances of one class of the file have in common: the last norm of every residual unit."""
        owners = {start.name: self._owners(start) for start in starts}
        alike = Counter((owner, start.same()) for start in starts for owner in owners[start.name])
        rules: dict[Any, Rule] = {}
        rest: list[Start] = []
        for start in starts:
            common = [owner for owner in owners[start.name] if alike[owner, start.same()] == self.instances[owner[0]] > 1]
            if common:
                rules.setdefault((common[0], start.same()), Rule(start, common[0][1]))
            else:
                rest.append(start)
        found: Rules = defaultdict(list)
        for ((number, _), _), rule in rules.items():
            found[self.names[number]].append(rule)
        return dict(found), rest

    def _owners(self, start: Start) -> list[tuple[int, str]]:
        """The classes of the file that a parameter lies in, the innermost first, and how an instance of each reads it."""
        places, labels = [self.root], tuple(start.name.split("."))
        while len(places) <= len(labels) and labels[len(places) - 1] in places[-1].children:
            places.append(places[-1].children[labels[len(places) - 1]])
        known = len(places) - 1
        local = "".join(f".{label}" for label in labels[known:])
        found = []
        for depth in range(known - 1, 0, -1):
            number = self.numbers[id(places[depth])]
            if number in self.names:
                access = places[depth].access(labels[depth:known]).removeprefix("self")
                found.append((number, f"module{access}{local}"))
        return found


def _number(construction: Form) -> int | None:
    """The class of the file that a place is an instance of."""
    call = construction.function if isinstance(construction, Apply) else None
    return call.number if isinstance(call, ClassName) else None


def _inventory(lowering: Lowering) -> dict[str, dict[Labels, set[str]]]:
    """The modules of each class by their paths, and the names of the parameters that each stores.

    Only classes of `nn` that store their parameters themselves: a loop over modules would reach into others.
    """
    found: dict[str, dict[Labels, set[str]]] = defaultdict(dict)
    for node, torch in zip(lowering.graph.nodes, lowering.torch):
        tensors = [lowering.graph.weights[w] for w in node.weights]
        if any("." in tensor.local for tensor in tensors):
            return {}
        if torch.module is not None and not torch.owns and isinstance(torch.module.cls, str):
            found[torch.module.cls].setdefault(tuple(node.label.split(".")), {tensor.local for tensor in tensors})
    return dict(found)


# ------------------------------------------------------------------------------------------------------------- lines
def _class_loop(whole: str, rules: Rules, writer: Writer) -> list[str]:
    """A loop over the modules of `whole` with a branch for each class; classes with the same rules share one."""
    branches: list[tuple[list[str], str, list[str]]] = []
    for cls, of_class in rules.items():
        only = of_class[0] if len(of_class) == 1 and of_class[0].guarded else None
        guard = f" and {only.access} is not None" if only else ""
        body = []
        for rule in of_class:
            nested = rule.guarded and rule is not only
            body += [f"{INDENT * 4}if {rule.access} is not None:"] if nested else []
            body += writer.lines(rule.start.call(rule.access), 5 if nested else 4)
        same = next((branch for branch in branches if branch[1:] == (guard, body)), None)
        if same:
            same[0].append(cls)
        else:
            branches.append(([cls], guard, body))
    lines = [f"{INDENT * 2}for module in {whole}.modules():"] if branches else []
    for word, (classes, guard, body) in zip(("if", *("elif",) * len(branches)), branches):
        kinds = Text(classes[0]) if len(classes) == 1 else Sequence(tuple(map(Text, classes)))
        head = writer.text(Apply(Text("isinstance"), (Text("module"), kinds)))
        lines += [f"{INDENT * 3}{word} {head}{guard}:", *body]
    return lines


def by_name(starts: list[Start], writer: Writer) -> list[str]:
    """Parameters by their names, indented twice; one loop for the same function with the same keywords, whatever the numbers."""
    groups: dict[Any, list[Start]] = defaultdict(list)
    for start in starts:
        groups[start.function, start.transposed, start.copies, tuple(name for name, _ in start.keywords)].append(start)
    return [line for group in groups.values() for line in _names_loop(group, writer)]


def _names_loop(group: list[Start], writer: Writer) -> list[str]:
    """One parameter, or a loop over names with the numbers that differ between them."""
    first = group[0]
    if len(group) == 1:
        return writer.lines(first.call(f"parameters[{writer.text(Literal(first.name))}]"), 2)
    columns = list(zip(*(start.keywords for start in group)))
    varying = [column[0][0] for column in columns if len({repr(value) for _, value in column}) > 1]
    rows: list[Form] = []
    for start in group:
        numbers = [Literal(value) for name, value in start.keywords if name in varying]
        rows.append(Sequence((Literal(start.name), *numbers)) if numbers else Literal(start.name))
    fixed = tuple((name, Literal(value)) for name, value in first.keywords if name not in varying)
    call = first.call("parameters[name]", (*((name, Text(name)) for name in varying), *fixed))
    head = writer.lines(Sequence(tuple(rows)), 2, f"for {', '.join(['name', *varying])} in ", ":")
    return [*head, *writer.lines(call, 3)]
