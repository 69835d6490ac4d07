"""Names, without running anything: what nothing is called, also in blocks that no net uses and branches not taken.

A name is known where it is bound anywhere in the enclosing block; the order of statements is the expansion's business.
"""

from __future__ import annotations

from typing import Any, Iterable

from netspec import ops, recipe
from netspec.diagnostics.model import Report
from netspec.diagnostics.nearest import suggestion
from netspec.elaborate.arithmetic import CONSTANTS, FUNCTIONS
from netspec.elaborate.names import bound_names
from netspec.elaborate.wording import all_words, words_of
from netspec.syntax import tree

_ALWAYS = frozenset(FUNCTIONS) | frozenset(CONSTANTS) | frozenset(ops.ALIASES) | frozenset(ops.names()) | {"chain", "scan"}
_IN_EXPECT = frozenset({"params", "parameters", "macs", "receptive_field"})


def resolve(module: tree.Module, report: Report) -> None:
    """Report every name that means nothing where it stands (NS201)."""
    known = set(_ALWAYS)
    for statement in module.body:
        if isinstance(statement, (tree.Block, tree.Def, tree.Net, tree.Extern)):
            known.add(statement.name)
        elif isinstance(statement, tree.Import):
            known.update(alias for _, alias in statement.names)
        elif isinstance(statement, tree.Hole):
            known.update(statement.names)
        else:
            known.update(bound_names((statement,)))
    checker = _Checker(report)
    for statement in module.body:
        if isinstance(statement, (tree.Block, tree.Def, tree.Net)):
            checker.definition(statement, known)


class _Checker:
    def __init__(self, report: Report) -> None:
        self._report = report

    def definition(self, statement: tree.Block | tree.Def | tree.Net, known: set[str]) -> None:
        inner = known | {p.name for p in statement.parameters}
        for parameter in statement.parameters:
            if parameter.default is not None and not isinstance(parameter.default, tree.Name):
                self._expression(parameter.default, inner)
        if isinstance(statement, tree.Def):
            self._expression(statement.value, inner)
            return
        if isinstance(statement, tree.Net) and statement.variant is not None:
            self._expression(statement.variant, inner)
            return  # what a variant adds is written in its base's names
        inner |= set(bound_names(statement.body))
        self._statements(statement.body, inner)

    def _statements(self, body: Iterable[tree.Stmt], known: set[str]) -> None:
        for statement in body:
            if isinstance(statement, (tree.Init, tree.Weights, tree.Train, tree.Hole)):
                continue
            if isinstance(statement, tree.Def):
                self.definition(statement, known)
                continue
            if isinstance(statement, tree.Default):
                for argument in statement.arguments:
                    self._argument(argument, known, _words(statement.operator))
                continue
            extra = known | _IN_EXPECT if isinstance(statement, tree.Expect) else known
            for name in statement.__dataclass_fields__:
                self._part(getattr(statement, name), extra, in_shape=name == "shape")

    def _part(self, part: Any, known: set[str], in_shape: bool = False) -> None:
        if isinstance(part, tree.Stmt):
            self._statements((part,), known)
        elif isinstance(part, tree.Expr):
            self._expression(part, known)
        elif isinstance(part, tree.Target):
            self._part(part.index, known)
        elif isinstance(part, tuple) and not in_shape and not hasattr(part, "_fields"):
            for item in part:
                self._part(item, known)

    def _expression(self, root: tree.Expr, known: set[str]) -> None:
        stack: list[tuple[Any, set[str]]] = [(root, known)]
        while stack:
            node, names = stack.pop()
            if isinstance(node, tree.Name):
                self._name(node, names)
            elif isinstance(node, tree.Comprehension):
                inner = names | {t.id for t in node.targets}
                stack.extend(((node.over, names), (node.item, inner), (node.condition, inner)))
            elif isinstance(node, tree.Call) and _is_loss(node, names):
                # a `def` for `train` sections: tensors are named there, arguments may be words of the loss's own
                stack.extend((a.value, names) for a in node.arguments if not (a.name and isinstance(a.value, tree.Name)))
            elif isinstance(node, tree.Call):
                stack.append((node.function, names))
                words = _words(node.function.id) if isinstance(node.function, tree.Name) else frozenset()
                for argument in node.arguments:
                    self._argument(argument, names, words)
            elif isinstance(node, tree.Node):
                stack.extend((getattr(node, f), names) for f in node.__dataclass_fields__ if not f.endswith("place"))
            elif isinstance(node, tuple):
                stack.extend((item, names) for item in node)

    def _argument(self, argument: tree.Argument, known: set[str], words: frozenset[str]) -> None:
        value = argument.value
        if argument.name == "init":
            return
        if isinstance(value, tree.Name) and (value.id in words or (value.id not in known and value.id in all_words())):
            return
        self._expression(value, known)

    def _name(self, node: tree.Name, known: set[str]) -> None:
        if node.id not in known:
            self._report.error("NS201", f"nothing is called `{node.id}`", node.place, "unknown name", helps=suggestion(node.id, known))


def _is_loss(call: tree.Call, known: set[str]) -> bool:
    """Whether what is called is a loss or a penalty, and nothing else here."""
    name = call.function.id if isinstance(call.function, tree.Name) else ""
    return name not in known and (recipe.is_known("loss", name) or recipe.is_known("penalty", name))


def _words(operator: str) -> frozenset[str]:
    return words_of(ops.lookup(operator)) if ops.known(operator) else frozenset()
