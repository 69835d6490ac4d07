"""The file: header, imports, what torch has no counterpart for, and the classes, each after those that it uses."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace

from netspec.backends.torch_source.classes import Classes, ModuleClass, chain_arguments
from netspec.backends.torch_source.form import Apply, ClassName, Form, Literal, Members, Text, transform
from netspec.backends.torch_source.guard import Guard
from netspec.backends.torch_source.initial import reset_parameters
from netspec.backends.torch_source.layout import INDENT, WIDTH, Writer, constant
from netspec.backends.torch_source.lift import annotation
from netspec.backends.torch_source.lower import Body, Lowering
from netspec.backends.torch_source.naming import class_name, identifier, unique
from netspec.backends.torch_source.statements import forward_lines
from netspec.backends.torch_source.text import comment, docstring
from netspec.backends.torch_source.tree import LIST, build_tree
from netspec.graph import Graph
from netspec.terms import Support


class File:
    """The source of one network, part by part."""

    def __init__(self, graph: Graph, version: str) -> None:
        self.graph, self.version = graph, version
        self.lowering = Lowering(graph)
        root = build_tree(self.lowering)
        classes = Classes(self.lowering, root)
        self.order = _dependencies_first(classes.classes)
        self.guard = Guard(graph)
        self.supports = [*self.guard.supports, *_supports(self.lowering)]
        self.taken = {support.name for support in self.supports}
        self.names = name_classes(self.order, self.taken)
        self.reset = reset_parameters(self.lowering, classes, root, self.names)
        self.outputs_name = unique(f"{self.names[self.order[-1].number]}Outputs", self.taken)

    def text(self) -> str:
        """The whole file."""
        parts = [support.source.strip("\n") for support in self.supports]
        parts += [self.outputs()] if len(self.graph.outputs) > 1 else []
        parts += [self.module_class(made) for made in self.order]
        body = "\n\n\n".join(parts)
        return f"{self.header()}\n\n{imports(body, own_packages(self.lowering))}\n\n\n{body}\n"

    def header(self) -> str:
        """Where the file comes from."""
        file = self.graph.source.replace("\\", "/").rpartition("/")[2]
        source = f" from {comment(file)}" if file and not file.startswith("<") else ""
        return f"# {comment(self.graph.name)}: written by netspec {self.version}{source}. Stands alone: it needs torch only."

    # ------------------------------------------------------------------------------------------------------- classes
    def module_class(self, made: ModuleClass) -> str:
        """One class: its constructor, and a `forward` for each of its bodies."""
        base = "nn.Sequential" if made.sequential else "nn.Module"
        lines = [f"class {self.names[made.number]}({base}):"]
        doc = made.doc or (self.graph.doc if made is self.order[-1] else "")
        if doc:
            lines += [*docstring(doc, 1), ""]
        lines += self.constructor(made)
        if not made.sequential:
            for number, body in enumerate(made.bodies, 1):
                lines += ["", *self.forward(made, body, "" if number == 1 else str(number))]
        if made is self.order[-1] and self.reset:
            lines += ["", *self.reset]
        return "\n".join(lines)

    def constructor(self, made: ModuleClass) -> list[str]:
        """`__init__`: its parameters, then the members in the order of the state dict."""
        parameters = [
            f"{name}: {annotation(column)}" + (f" = {constant(made.defaults[name])}" if name in made.defaults else "")
            for name, column in made.parameters.items()
        ]
        lines = signature("__init__", ["self", *parameters], "None")
        writer = Writer(self.names.__getitem__)
        if made.sequential:
            return lines + writer.lines(_brief(Apply(Text("super().__init__"), chain_arguments(made.members))), 2)
        lines.append(f"{INDENT * 2}super().__init__()")
        lines += [f"{INDENT * 2}self.{name} = {name}" for name in made.stored()]
        lines += _members(writer, made, made.members)
        return lines + [f"{INDENT * 2}self.reset_parameters()"] if self.reset and made is self.order[-1] else lines

    def forward(self, made: ModuleClass, body: Body, number: str) -> list[str]:
        """One `forward`."""
        writer = Writer(self.names.__getitem__, child=made.place.access, own="self.")
        several = self.outputs_name if made is self.order[-1] and len(body.returns) > 1 else ""
        lines = forward_lines(body, writer, made.place.length, several)
        if made is self.order[-1]:
            lines = [*self.guard.lines(body, writer), *lines]
        arguments = [f"{writer.local(i)}: {'int' if i in body.sizes else 'Tensor'}" for i in body.inputs]
        return [*signature(f"forward{number}", ["self", *arguments], self.result(made, body)), *lines]

    def result(self, made: ModuleClass, body: Body) -> str:
        """The type of what a `forward` returns."""
        if len(body.returns) == 1:
            return "Tensor"
        if made is self.order[-1]:
            return self.outputs_name
        return f"tuple[{', '.join(['Tensor'] * len(body.returns))}]"

    def outputs(self) -> str:
        """The class of a network's several outputs."""
        taken: set[str] = set(dir(tuple)) | {"_fields", "_make", "_asdict", "_replace"}
        names = [unique(identifier(port.name, "output").lstrip("_"), taken) for port in self.graph.outputs]
        return "\n".join([f"class {self.outputs_name}(NamedTuple):", *(f"{INDENT}{name}: Tensor" for name in names)])


def _members(writer: Writer, made: ModuleClass, members: Form, path: tuple[str, ...] = ()) -> list[str]:
    """The statements that set the members of a module, those of families inside it too."""
    assert isinstance(members, Members)
    lines: list[str] = []
    listed = bool(path) and made.place.at(path).holds == LIST
    for label, form in members.items:
        target, room = made.place.access((*path, label)), 2
        flag = made.optional.get(label) if not path else None
        if flag:
            lines += [f"{INDENT * 2}{target} = nn.Identity()", f"{INDENT * 2}if {flag}:"]
            room = 3
        inside: list[str] = []
        if isinstance(form, Members):
            inside = _members(writer, made, form, (*path, label))
            form = Text("nn.ModuleList()" if made.place.at((*path, label)).holds == LIST else "nn.Module()")
        if listed:
            lines += writer.lines(Apply(Text(f"{made.place.access(path)}.append"), (_brief(form),)), room)
        else:
            lines += writer.lines(_brief(form), room, f"{target} = ")
        lines += inside
    return lines


def _brief(form: Form) -> Form:
    """Calls without the keywords that have their default."""

    def leave_out(inner: Form) -> Form:
        if not isinstance(inner, Apply) or not isinstance(inner.function, ClassName):
            return inner
        kept = tuple((n, v) for n, v in inner.keywords if not (isinstance(v, Literal) and v.usual and v.usual == v.spelling))
        return replace(inner, keywords=kept)

    return transform(form, leave_out)


def signature(name: str, parameters: list[str], result: str) -> list[str]:
    """`def name(parameters) -> result:`, broken as `ruff format` breaks it."""
    whole = f"{INDENT}def {name}({', '.join(parameters)}) -> {result}:"
    if len(whole) <= WIDTH:
        return [whole]
    together = f"{INDENT * 2}{', '.join(parameters)}"
    inside = [together] if len(together) <= WIDTH else [f"{INDENT * 2}{parameter}," for parameter in parameters]
    return [f"{INDENT}def {name}(", *inside, f"{INDENT}) -> {result}:"]


def imports(body: str, own: tuple[str, ...] = ()) -> str:
    """The imports that the classes need, in the order of a linter; `own` are packages of the user's."""

    def names(*words: str) -> str:
        return ", ".join(word for word in words if re.search(rf"\b{word}\b", body))

    standard = ["import math"] if names(r"math\.") else []
    standard += ["from collections import OrderedDict"] if names("OrderedDict") else []
    standard += ["from typing import NamedTuple"] if names("NamedTuple") else []
    foreign = [f"import {package}" for package in own]
    foreign += ["import torch"] if names(r"torch\.") else []
    foreign += ["import torch.nn.functional as F"] if names(r"F\.") else []
    foreign += [f"from torch import {names('Tensor', 'nn')}"]
    return "\n\n".join("\n".join(lines) for lines in (standard, foreign) if lines)


def own_packages(lowering: Lowering) -> tuple[str, ...]:
    """The packages of the user's own that operators ask for (`extern`), sorted."""
    return tuple(sorted({package for torch in lowering.torch for package in torch.imports}))


def _supports(lowering: Lowering) -> list[Support]:
    found: dict[str, Support] = {}
    for torch in lowering.torch:
        for support in torch.supports:
            found.setdefault(support.name, support)
    return list(found.values())


def _dependencies_first(classes: list[ModuleClass]) -> list[ModuleClass]:
    """The classes that the network's own class needs, each after those that it uses."""
    order: dict[int, None] = {}

    def visit(number: int) -> None:
        if number not in order:
            for used in classes[number].uses():
                visit(used)
            order[number] = None

    visit(next(made.number for made in classes if made.place.scope == 0))
    return [classes[number] for number in order]


def name_classes(order: list[ModuleClass], taken: set[str]) -> dict[int, str]:
    """Names by number. Several classes of one stem are told apart by the one label that only one of them has, else by
    numbers, the one with most instances first."""
    names: dict[int, str] = {}
    root = order[-1]
    names[root.number] = unique(class_name(root.stem), taken)
    stems: dict[str, list[ModuleClass]] = defaultdict(list)
    for made in order[:-1]:
        stems[class_name(made.stem)].append(made)
    for stem, alike in stems.items():
        plain = []
        for made in sorted(alike, key=lambda m: -m.instances):
            own = made.features().difference(*(other.features() for other in alike if other is not made))
            if len(alike) > 1 and len(own) == 1:
                names[made.number] = unique(stem + class_name(next(iter(own)).rstrip("0123456789")), taken)
            else:
                plain.append(made)
        for made in plain:
            names[made.number] = unique(stem, taken)
    return names
