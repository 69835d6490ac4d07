"""`format`: the one way in which a spec is written.

Two columns an indentation, one statement a line, at most 100 columns where a line may be broken. Comments stay where they
stand, blank lines group statements (never two in a row), literals keep their spelling. A chain of `->` or `then` keeps the
lines that its author gave it. In a `train` section the `=` of settings without a blank line between stand below each
other. The tree never changes, and formatting what is formatted changes nothing.
"""

from __future__ import annotations

import re

from netspec.diagnostics.model import Report
from netspec.limits import DEFAULT_LIMITS, Limits
from netspec.source import Source
from netspec.syntax import tree
from netspec.syntax.document import SPACE, Group, Indent, Part, Suffix, render
from netspec.syntax.layout import ARROW, CONDITIONAL, RANGE, Expressions, quoted
from netspec.syntax.lexer import COMPANION, LEADING
from netspec.syntax.parse import parse
from netspec.syntax.tables import load_tables
from netspec.syntax.trivia import Remark, Trivia

WIDTH = 100
_SET_APART = (tree.Block, tree.Extern, tree.Net)
_BARE_SELECTOR = re.compile(r"(?:[^\W\d]\w*|\d+|[.*]|\[\w*\])+")


def format(source: Source, report: Report, limits: Limits = DEFAULT_LIMITS) -> str | None:
    """The canonical text of a source; None, and the errors in `report`, where it does not parse."""
    found = Report()
    module = parse(source, found, limits)
    for diagnostic in found.diagnostics:
        report.add(diagnostic)
    return _Formatter(source).module(module) if found.ok else None


class _Formatter:
    """Writes statements line by line; what is left of comments is written where it comes up."""

    def __init__(self, source: Source) -> None:
        self.tables = load_tables()
        self.trivia = Trivia(source, self.tables)
        self.expressions = Expressions(self.trivia)
        self.lines: list[str] = []
        self.widest = 0  # the length of the longest name of a setting in the `train` section at hand
        self.groups: list[list[tuple[int, str]]] = []  # the lines on which its settings begin, with their names, in groups

    def module(self, module: tree.Module) -> str:
        """The whole file."""
        self._statements(module.body, 0, 0, len(self.trivia.text))
        return "\n".join(self.lines) + "\n" if self.lines else ""

    # -------------------------------------------------------------------------------------------------- sequences
    def _statements(self, statements: tuple[tree.Node, ...], indent: int, start: int, end: int) -> None:
        """Statements between two offsets, with the remarks among them and the blank lines that group them."""
        previous, apart = start, False
        first = True
        for statement in statements:
            sets_apart = isinstance(statement, _SET_APART)
            for remark in self.trivia.before(statement.place.start):
                self._separate(not first and (self.trivia.blank_between(previous, remark.start) or apart or sets_apart))
                self._remark(remark, indent)
                previous, first, apart, sets_apart = remark.end, False, False, False
            self._separate(not first and (self.trivia.blank_between(previous, statement.place.start) or apart or sets_apart))
            self._statement(statement, indent)
            previous, first, apart = statement.place.end, False, isinstance(statement, _SET_APART)
            beside = self.trivia.beside(previous)
            if beside:
                self.lines[-1] += f"  {beside.text}"
                previous = beside.end
        for remark in self.trivia.before(end):
            self._separate(not first and (self.trivia.blank_between(previous, remark.start) or apart))
            self._remark(remark, indent)
            previous, first, apart = remark.end, False, False

    def _separate(self, blank: bool) -> None:
        if blank and self.lines and self.lines[-1]:
            self.lines.append("")

    def _remark(self, remark: Remark, indent: int) -> None:
        """A comment, or a documentation string moved to its indentation."""
        self.lines += _moved(remark.text, indent) if not remark.is_comment else [" " * indent + remark.text]

    def _put(self, indent: int, *parts: Part) -> None:
        """One statement without braces, or the head of one with braces."""
        text = render(list(parts), indent, WIDTH)
        self.lines += (" " * indent + text).split("\n")

    def _braces(self, indent: int, start: int, statements: tuple[tree.Node, ...]) -> int:
        """`{ … }` after the head that was written last. The offset after the `}`, which stands on a line of its own."""
        opening, closing = self.trivia.braces(start)
        self.lines[-1] += " {"
        beside = self.trivia.beside(opening + 1)
        before = len(self.lines)
        if beside:
            self.lines[-1] += f"  {beside.text}"
        self._statements(statements, indent + 2, opening + 1, closing)
        if len(self.lines) == before and not beside:
            self.lines[-1] += " }"
        else:
            self.lines.append(" " * indent + "}")
        return closing + 1

    # ------------------------------------------------------------------------------------------------- statements
    def _statement(self, statement: tree.Node, indent: int) -> None:
        """Any statement, by its kind."""
        getattr(self, f"_{type(statement).__name__.lower()}")(statement, indent)

    def _expression(self, node: tree.Expr, least: int = ARROW) -> list[Part]:
        return self.expressions.expression(node, least)

    def _typed(self, name: str, shape: tree.Shape | None) -> list[Part]:
        return [name, ": ", *self.expressions.shape(shape)] if shape else [name]

    def _input(self, node: tree.Input, indent: int) -> None:
        self._put(indent, "input ", *self._typed(node.name, node.shape))

    def _output(self, node: tree.Output, indent: int) -> None:
        name = [*self._typed(node.name, node.shape), " = "] if node.name else []
        self._put(indent, "output ", *name, *self._expression(node.value))

    def _bind(self, node: tree.Bind, indent: int) -> None:
        targets: list[Part] = []
        for target in node.targets:
            targets += [", ", *self._family(target.name, target.index)] if targets else self._family(target.name, target.index)
        shape = [": ", *self.expressions.shape(node.shape)] if node.shape else []
        self._put(indent, *targets, *shape, " = ", *self._expression(node.value))

    def _family(self, name: str, index: tree.Expr | None) -> list[Part]:
        return [name] if index is None else [f"{name}[", *self._expression(index), "]"]

    def _layerbind(self, node: tree.LayerBind, indent: int) -> None:
        self._put(indent, "layer ", *self._family(node.name, node.index), " = ", *self._expression(node.value))

    def _default(self, node: tree.Default, indent: int) -> None:
        self._put(indent, f"default {node.operator}", self.expressions.arguments(node.arguments, node.place.end - 1))

    def _expect(self, node: tree.Expect, indent: int) -> None:
        self._put(indent, "expect ", *self._expression(node.condition, CONDITIONAL))

    def _where(self, node: tree.Where, indent: int) -> None:
        self._put(indent, "where ", *self._expression(node.condition, CONDITIONAL))

    def _for(self, node: tree.For, indent: int) -> None:
        names = ", ".join(name.id for name in node.targets)
        self._put(indent, f"for {names} in ", *self._expression(node.over, RANGE))
        self._braces(indent, node.place.start, node.body)

    def _if(self, node: tree.If, indent: int) -> None:
        end = node.place.start
        for position, (condition, body) in enumerate(node.branches):
            word = "" if position == 0 else "else" if condition is None else "else "
            head: list[Part] = [word] if condition is None else [f"{word}if ", *self._expression(condition, CONDITIONAL)]
            if position == 0:
                self._put(indent, *head)
            else:
                self.lines[-1] += " " + render(head, indent + 2, WIDTH)
            end = self._braces(indent, end, body)

    def _init(self, node: tree.Init, indent: int) -> None:
        self._put(indent, "init")
        self._braces(indent, node.place.start, node.rules)

    def _initrule(self, rule: tree.InitRule, indent: int) -> None:
        parts: list[Part] = [self._selector(rule.selector), ": "]
        for position, argument in enumerate(rule.arguments):
            parts += [", "] * (position > 0) + self.expressions.item(argument)
        self._put(indent, *parts)

    def _weights(self, node: tree.Weights, indent: int) -> None:
        self._put(indent, "weights")
        self._braces(indent, node.place.start, node.renames)

    def _rename(self, node: tree.Rename, indent: int) -> None:
        self._put(indent, f"rename {quoted(node.old)}", Indent([Group([SPACE, f"-> {quoted(node.new)}"])]))

    def _selector(self, text: str) -> str:
        """A selector, in quotation marks only where it needs them."""
        words = re.findall(r"[^\W\d]\w*", text)
        reserved = ({*self.tables.words, "else"} - LEADING - COMPANION.keys()).intersection(words)
        bare = _BARE_SELECTOR.fullmatch(text) and ".." not in text and "**" not in text and not reserved
        return text if bare else quoted(text)

    # -------------------------------------------------------------------------------------------- `train` sections
    def _train(self, node: tree.Train, indent: int) -> None:
        """The names of settings are written as wide as the longest; then in each group as wide as the longest there."""
        self._put(indent, f"train {node.name} of {node.net}" if node.name else "train")
        self.widest = max((len(item.name) for item in node.items), default=0)
        self.groups = [[]]
        self._braces(indent, node.place.start, node.items)
        for group in self.groups:
            width = indent + 2 + max((len(name) for _, name in group), default=0)
            for line, name in group:
                head = " " * (indent + 2) + name
                self.lines[line] = f"{head:<{width}} {self.lines[line][len(head) :].lstrip()}"

    def _name(self, name: str) -> str:
        """The name of a setting that begins the next line. A blank line begins a new group of names."""
        group = self.groups[-1]
        if group and "" in self.lines[group[-1][0] :]:
            self.groups.append([])
        self.groups[-1].append((len(self.lines), name))
        return name.ljust(self.widest)

    def _setting(self, node: tree.Setting, indent: int) -> None:
        self._put(indent, f"{self._name(node.name)} = ", *self._expression(node.value))

    def _table(self, node: tree.Table, indent: int) -> None:
        """On one line where it was written on one and fits beside the longest name; else a row a line, which ends a group."""
        if node.flat or not (node.rows or "#" in node.place.text):
            rows = ", ".join(f"{self._selector(row.selector)}: {self.expressions.flat(row.value)}" for row in node.rows)
            inside = f"{{ {rows} }}" if rows else "{ }"
            if indent + self.widest + 1 + len(inside) <= WIDTH:
                self.lines.append(" " * indent + f"{self._name(node.name)} {inside}")
                return
        self.groups.append([])
        self._put(indent, node.name)
        self._braces(indent, node.place.start, node.rows)

    def _row(self, row: tree.Row, indent: int) -> None:
        self._put(indent, self._selector(row.selector), ": ", *self._expression(row.value))

    # ----------------------------------------------------------------------------------------------- declarations
    def _import(self, node: tree.Import, indent: int) -> None:
        names = [name if name == alias else f"{name} as {alias}" for name, alias in node.names]
        head = f"from {quoted(node.path) if node.path is not None else '.'.join(node.zoo)} import "
        line = head + ", ".join(names)
        beside = [Suffix(f"  {remark.text}") for remark in self.trivia.before(node.place.end) if remark.is_comment]
        if len(line) <= WIDTH:
            self._put(indent, line, *beside)
        else:
            self._put(indent, head, "(", *beside)
            self.lines += [" " * (indent + 2) + f"{name}," for name in names] + [" " * indent + ")"]

    def _head(self, word: str, node: tree.Def | tree.Block | tree.Net | tree.Extern) -> list[Part]:
        """`block name(parameters)`; no parentheses without parameters."""
        if not node.parameters:
            return [f"{word} {node.name}"]
        close = self.trivia.text.find(")", node.parameters[-1].place.end)
        return [f"{word} {node.name}", self.expressions.sequence("(", ")", list(node.parameters), close)]

    def _def(self, node: tree.Def, indent: int) -> None:
        self._put(indent, *self._head("def", node), " = ", *self._expression(node.value))

    def _block(self, node: tree.Block, indent: int) -> None:
        self._put(indent, *self._head("block", node))
        self._braces(indent, node.place.start, node.body)

    def _net(self, node: tree.Net, indent: int) -> None:
        variant: list[Part] = [" = ", *self._expression(node.variant)] if node.variant is not None else []
        self._put(indent, *self._head("net", node), *variant)
        if node.variant is None or self.trivia.text[node.place.end - 1] == "}":
            self._braces(indent, node.place.start, node.body)

    def _extern(self, node: tree.Extern, indent: int) -> None:
        self._put(indent, *self._head("extern", node))
        opening, closing = self.trivia.braces(node.place.start)
        self.lines[-1] += " {"
        self._statements(node.inputs, indent + 2, opening + 1, node.inputs[-1].place.end if node.inputs else opening + 1)
        for name, shape in node.outputs:
            self._put(indent + 2, f"output {name}: " if name else "output: ", *self.expressions.shape(shape))
        for key, value in (("torch", node.torch), ("onnx", node.onnx)):
            if value is not None:
                self._put(indent + 2, f"{key} {quoted(value)}")
        self._statements((), indent + 2, closing, closing)
        self.lines.append(" " * indent + "}")


def _moved(text: str, indent: int) -> list[str]:
    """The lines of a documentation string, its later lines moved with its first."""
    first, *rest = (line.rstrip() for line in text.expandtabs().split("\n"))
    shared = min((len(line) - len(line.lstrip()) for line in rest if line.strip() not in ("", '"""')), default=0)
    margin = " " * indent
    moved = [margin + line[shared:] if line.strip() != '"""' else margin + '"""' for line in rest]
    return [margin + first, *(line.rstrip() for line in moved)]
