"""From recognized rules to the tree: one method a rule of the grammar, named like it, `_on_conditional` for `conditional`.

Each takes the children that the rule keeps (`c`: tokens and nodes) and the characters that it covers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netspec.diagnostics.model import Report
from netspec.limits import Limits
from netspec.record import record
from netspec.source import Place, Source
from netspec.syntax import tree
from netspec.syntax.lexer import Token
from netspec.syntax.text import dedent, label_parts, unescape

_ESCAPES = 'the escapes are `\\"` `\\\\` `\\n` `\\t` `\\u{…}`; in a label a brace is written `{{` or `}}`'
_CONSTANTS = {"true": True, "false": False, "none": None}
_FOREIGN_CONSTANTS = {"True": ("true", True), "False": ("false", False), "None": ("none", None)}


@record
class Documentation(tree.Stmt):
    """A documentation string that has not yet found what it documents."""

    text: str


class Builder:
    """Makes nodes, and reports what the grammar cannot say: long numbers, bad escapes, chains of operators too deep."""

    def __init__(self, source: Source, report: Report, limits: Limits, interpolate: Callable[[int, int], tree.Expr]) -> None:
        self.source = source
        self.report = report
        self.limits = limits
        self.interpolate = interpolate
        self.holes: dict[int, tree.Hole | tree.Setting] = {}  # by the offset of the HOLE token, or of the brace after a broken header

    def action(self, name: str) -> Callable[[list[Any], int, int], Any] | None:
        """What builds the value of a rule, by `Rule.action`; None where its only child is passed on."""
        if not name:
            return None
        return _children if name.startswith("_") else getattr(self, f"_on_{name}")

    def place(self, start: int, end: int) -> Place:
        """The stretch of this source."""
        return Place(self.source, start, end)

    def at(self, token: Token) -> Place:
        """The stretch of a token."""
        return Place(self.source, token.start, token.end)

    def complain(self, message: str, start: int, end: int) -> None:
        """Report what is wrong inside a string."""
        self.report.error("NS108", message, self.place(start, end), helps=(_ESCAPES,))

    # ------------------------------------------------------------------------------------------------ structure
    def _on_module(self, c: list[Any], start: int, end: int) -> list[tree.Stmt]:
        return c

    def _on_body(self, c: list[Any], start: int, end: int) -> tuple[tree.Stmt, ...]:
        return tuple(c)

    def _on_documentation(self, c: list[Any], start: int, end: int) -> Documentation:
        return Documentation(self.place(start, end), dedent(c[0].text[3:-3]))

    # --------------------------------------------------------------------------------------------- declarations
    def _on_import(self, c: list[Any], start: int, end: int) -> tree.Import:
        origin, *names = c
        path = unescape(origin.text[1:-1], origin.start + 1, self.complain) if isinstance(origin, Token) else None
        return tree.Import(self.place(start, end), path, () if path is not None else origin, tuple(names))

    def _on_path(self, c: list[Any], start: int, end: int) -> tuple[str, ...]:
        return tuple(name.text for name in c)

    def _on_imported(self, c: list[Any], start: int, end: int) -> tuple[str, str]:
        name, alias = c
        return name.text, (alias or name).text

    def _on_def(self, c: list[Any], start: int, end: int) -> tree.Def:
        name, parameters, value = c
        return tree.Def(self.place(start, end), name.text, parameters or (), value)

    def _on_block(self, c: list[Any], start: int, end: int) -> tree.Block:
        name, parameters, body = c
        return tree.Block(self.place(start, end), name.text, parameters or (), body)

    def _on_net(self, c: list[Any], start: int, end: int) -> tree.Net:
        name, parameters, body = c
        return tree.Net(self.place(start, end), name.text, parameters or (), body)

    def _on_variant(self, c: list[Any], start: int, end: int) -> tree.Net:
        name, parameters, base, body = c
        return tree.Net(self.place(start, end), name.text, parameters or (), body or (), base)

    def _on_parameters(self, c: list[Any], start: int, end: int) -> tuple[tree.Parameter, ...]:
        return tuple(c)

    def _on_parameter(self, c: list[Any], start: int, end: int) -> tree.Parameter:
        return tree.Parameter(self.place(start, end), c[0].text, c[1])

    def _on_extern(self, c: list[Any], start: int, end: int) -> tree.Extern:
        name, parameters, *items = c
        inputs = tuple(item for item in items if isinstance(item, tree.Input))
        outputs = tuple(item[1] for item in items if isinstance(item, tuple) and item[0] == "output")
        targets: dict[str, str] = {}
        doc = None
        for item in items:
            if isinstance(item, Documentation):
                doc = item.text
            elif isinstance(item, tuple) and item[0] == "target":
                self._add_target(targets, *item[1])
        place = self.place(start, end)
        return tree.Extern(place, name.text, parameters or (), inputs, outputs, targets.get("torch"), targets.get("onnx"), doc)

    def _add_target(self, targets: dict[str, str], key: Token, value: Token) -> None:
        if key.text not in ("torch", "onnx"):
            helps = ("write `torch` or `onnx` before the name in quotes",)
            self.report.error("NS101", f"`{key.text}` is no target of an extern", self.at(key), helps=helps)
        elif key.text in targets:
            self.report.error("NS101", f"`{key.text}` is given twice", self.at(key))
        targets[key.text] = unescape(value.text[1:-1], value.start + 1, self.complain)

    def _on_extern_output(self, c: list[Any], start: int, end: int) -> tuple[str, tuple[str | None, tree.Shape]]:
        return "output", (c[0] and c[0].text, c[1])

    def _on_extern_target(self, c: list[Any], start: int, end: int) -> tuple[str, tuple[Token, Token]]:
        return "target", (c[0], c[1])

    # ----------------------------------------------------------------------------------------------- statements
    def _on_hole(self, c: list[Any], start: int, end: int) -> tree.Hole | tree.Setting:
        return self.holes.pop(c[0].start)

    def _on_input(self, c: list[Any], start: int, end: int) -> tree.Input:
        return tree.Input(self.place(start, end), c[0].text, c[1], self.at(c[0]))

    def _on_output(self, c: list[Any], start: int, end: int) -> tree.Output:
        return tree.Output(self.place(start, end), None, None, c[0])

    def _on_named_output(self, c: list[Any], start: int, end: int) -> tree.Output:
        return tree.Output(self.place(start, end), c[0].text, None, c[1])

    def _on_typed_output(self, c: list[Any], start: int, end: int) -> tree.Output:
        return tree.Output(self.place(start, end), c[0].text, c[1], c[2])

    def _on_bind(self, c: list[Any], start: int, end: int) -> tree.Bind:
        *targets, value = c
        return tree.Bind(self.place(start, end), tuple(targets), None, value)

    def _on_typed_bind(self, c: list[Any], start: int, end: int) -> tree.Bind:
        name, shape, value = c
        return tree.Bind(self.place(start, end), (tree.Target(self.at(name), name.text),), shape, value)

    def _on_target(self, c: list[Any], start: int, end: int) -> tree.Target:
        return tree.Target(self.place(start, end), c[0].text, c[1])

    def _on_layer(self, c: list[Any], start: int, end: int) -> tree.LayerBind:
        name, index, value = c
        return tree.LayerBind(self.place(start, end), name.text, value, index)

    def _on_for(self, c: list[Any], start: int, end: int) -> tree.For:
        *names, over, body = c
        return tree.For(self.place(start, end), self._names(names), over, body)

    def _names(self, tokens: list[Token]) -> tuple[tree.Name, ...]:
        return tuple(tree.Name(self.at(token), token.text) for token in tokens)

    def _on_if(self, c: list[Any], start: int, end: int) -> tree.Node:
        if start in self.holes:
            return self.holes.pop(start)
        *pairs, otherwise = c
        branches = [(pairs[i], pairs[i + 1]) for i in range(0, len(pairs), 2)]
        if otherwise is not None:
            branches.append((None, otherwise))
        return tree.If(self.place(start, end), tuple(branches))

    def _on_default(self, c: list[Any], start: int, end: int) -> tree.Default:
        return tree.Default(self.place(start, end), c[0].text, tuple(c[1:]))

    def _on_expect(self, c: list[Any], start: int, end: int) -> tree.Expect:
        return tree.Expect(self.place(start, end), c[0])

    def _on_where(self, c: list[Any], start: int, end: int) -> tree.Where:
        return tree.Where(self.place(start, end), c[0])

    def _on_init(self, c: list[Any], start: int, end: int) -> tree.Init:
        return tree.Init(self.place(start, end), tuple(c))

    def _on_init_rule(self, c: list[Any], start: int, end: int) -> tree.InitRule:
        return tree.InitRule(self.place(start, end), c[0], tuple(c[1:]))

    def _on_selector(self, c: list[Any], start: int, end: int) -> str:
        if c[0].kind == "STRING":
            return unescape(c[0].text[1:-1], start + 1, self.complain)
        for before, token in zip(c, c[1:], strict=False):
            if before.end < token.start and {before.kind, token.kind} <= {"NAME", "NUMBER"}:
                helps = (f"write a new line between `{before.text}` and `{token.text}`, or one word",)
                self.report.error("NS101", "a selector has no spaces in it", self.at(token), helps=helps)
        return "".join(token.text for token in c)

    def _on_weights(self, c: list[Any], start: int, end: int) -> tree.Weights:
        return tree.Weights(self.place(start, end), tuple(item for item in c if isinstance(item, tree.Rename)))

    def _on_rename(self, c: list[Any], start: int, end: int) -> tree.Rename | tree.Hole:
        word, *names = c
        if word.text != "rename":
            helps = ('write `rename "old.*" -> "new.*"`',)
            self.report.error("NS101", f"`{word.text}` is no word of a `weights` section", self.at(word), helps=helps)
            return tree.Hole(self.place(start, end))
        old, new = (unescape(name.text[1:-1], name.start + 1, self.complain) for name in names)
        return tree.Rename(self.place(start, end), old, new)

    def _on_train(self, c: list[Any], start: int, end: int) -> tree.Train | tree.Hole:
        name, net, *items = c
        place = self.place(start, end)
        if any(isinstance(item, tree.Hole) for item in items):  # it may have given any setting
            return tree.Hole(place)
        return tree.Train(place, name and name.text, net and net.text, tuple(items))

    def _on_setting(self, c: list[Any], start: int, end: int) -> tree.Setting:
        return tree.Setting(self.place(start, end), c[0].text, c[1])

    def _on_then(self, c: list[Any], start: int, end: int) -> tree.Then:
        return tree.Then(self.place(start, end), tuple(c))

    def _on_table(self, c: list[Any], start: int, end: int) -> tree.Table:
        name, *rows = c
        place = self.place(start, end)
        read = tuple(row for row in rows if isinstance(row, tree.Row))
        return tree.Table(place, name.text, read, flat="\n" not in place.text)

    def _on_row(self, c: list[Any], start: int, end: int) -> tree.Row:
        return tree.Row(self.place(start, end), c[0], c[1])

    def _on_shape(self, c: list[Any], start: int, end: int) -> tree.Shape:
        dtype, *dims = c
        return tree.Shape(self.place(start, end), dtype and dtype.text, tuple(dims))

    def _on_dim(self, c: list[Any], start: int, end: int) -> tree.Dim:
        return tree.Dim(self.place(start, end), c[0])

    def _on_open_dim(self, c: list[Any], start: int, end: int) -> tree.Dim:
        name, typical = c
        return tree.Dim(self.place(start, end), tree.Name(self.at(name), name.text), typical)

    # ---------------------------------------------------------------------------------------------- expressions
    def _on_arrow(self, c: list[Any], start: int, end: int) -> tree.Expr:
        return tree.Arrow(self.place(start, end), c[0], c[1])

    def _on_label(self, c: list[Any], start: int, end: int) -> tree.Expr:
        value, name, index = c
        return tree.Label(self.place(start, end), value, name.text, index)

    def _on_text_label(self, c: list[Any], start: int, end: int) -> tree.Expr:
        value, text = c
        parts = label_parts(text.text[1:-1], text.start + 1, self.complain)
        pieces = tuple(part if isinstance(part, str) else self.interpolate(*part) for part in parts)
        if not pieces:
            self.report.error("NS108", "a label is not empty", self.at(text))
        return tree.Label(self.place(start, end), value, None, None, pieces)

    def _on_conditional(self, c: list[Any], start: int, end: int) -> tree.Expr:
        then, condition, otherwise = c
        return self._bounded(tree.Conditional(self.place(start, end), then, condition, otherwise))

    def _on_range(self, c: list[Any], start: int, end: int) -> tree.Expr:
        return tree.Range(self.place(start, end), c[0], c[1])

    def _on_binary(self, c: list[Any], start: int, end: int) -> tree.Expr:
        left, op, right = c
        node = tree.Binary(self.place(start, end), op.text, left, right, self.at(op))
        return self._bounded(node) if op.text == "^" else node

    def _on_unary(self, c: list[Any], start: int, end: int) -> tree.Expr:
        return self._bounded(tree.Unary(self.place(start, end), c[0].text, c[1]))

    def _bounded(self, node: tree.Expr) -> tree.Expr:
        """The node, or a hole where it tops a chain of right-nested operators (`- - - x`) deeper than the bound."""
        depth, below = 0, node
        while depth <= self.limits.nesting:
            if isinstance(below, tree.Unary):
                below = below.operand
            elif isinstance(below, tree.Conditional):
                below = below.otherwise
            elif isinstance(below, tree.Binary) and below.op == "^":
                below = below.right
            else:
                return node
            depth += 1
        self.report.error("NS105", f"operators are nested more than {self.limits.nesting} deep (limit `nesting`)", node.place)
        return tree.ExprHole(node.place)

    def _on_concat(self, c: list[Any], start: int, end: int) -> tree.Expr:
        return tree.Concat(self.place(start, end), tuple(c[::2]), self.at(c[1]))

    def _on_call(self, c: list[Any], start: int, end: int) -> tree.Expr:
        return tree.Call(self.place(start, end), c[0], tuple(c[1:]))

    def _on_index(self, c: list[Any], start: int, end: int) -> tree.Expr:
        return tree.Index(self.place(start, end), c[0], c[1])

    def _on_attribute(self, c: list[Any], start: int, end: int) -> tree.Expr:
        return tree.Attribute(self.place(start, end), c[0], c[1].text)

    def _on_positional(self, c: list[Any], start: int, end: int) -> tree.Argument:
        return tree.Argument(self.place(start, end), None, c[0])

    def _on_keyword(self, c: list[Any], start: int, end: int) -> tree.Argument:
        return tree.Argument(self.place(start, end), c[0].text, c[1])

    # ---------------------------------------------------------------------------------------------------- atoms
    def _on_name(self, c: list[Any], start: int, end: int) -> tree.Expr:
        text = c[0].text
        if text in _FOREIGN_CONSTANTS:
            ours, value = _FOREIGN_CONSTANTS[text]
            self.report.error("NS101", f"`{text}` is written `{ours}` here", self.place(start, end), helps=(f"write `{ours}`",))
            return tree.Literal(self.place(start, end), value, ours)
        return tree.Name(self.place(start, end), text)

    def _on_number(self, c: list[Any], start: int, end: int) -> tree.Expr:
        text = c[0].text
        place = self.place(start, end)
        if len(text) > self.limits.literal_digits:
            self.report.error("NS106", f"a number has at most {self.limits.literal_digits} digits (limit `literal_digits`)", place)
            return tree.ExprHole(place)
        value: int | float = int(text) if text.isdigit() else float(text)
        if value == float("inf"):
            self.report.error("NS106", "this number is too large", place, helps=("the largest is about 1.8e308",))
            return tree.ExprHole(place)
        return tree.Literal(place, value, text)

    def _on_string(self, c: list[Any], start: int, end: int) -> tree.Expr:
        text = c[0].text
        return tree.Literal(self.place(start, end), unescape(text[1:-1], start + 1, self.complain), text)

    def _on_constant(self, c: list[Any], start: int, end: int) -> tree.Expr:
        return tree.Literal(self.place(start, end), _CONSTANTS[c[0].text], c[0].text)

    def _on_parenthesized(self, c: list[Any], start: int, end: int) -> tree.Expr:
        return c[0]

    def _on_tuple(self, c: list[Any], start: int, end: int) -> tree.Expr:
        return tree.TupleExpr(self.place(start, end), tuple(c))

    def _on_list(self, c: list[Any], start: int, end: int) -> tree.Expr:
        return tree.ListExpr(self.place(start, end), tuple(c))

    def _on_comprehension(self, c: list[Any], start: int, end: int) -> tree.Expr:
        item, *names, over, condition = c
        return tree.Comprehension(self.place(start, end), item, self._names(names), over, condition)


def _children(children: list[Any], start: int, end: int) -> list[Any]:
    """The value of a rule that only groups: its children, for the rule around it."""
    return children
