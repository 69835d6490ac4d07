"""How an expression is laid out: spaces, the parentheses that it needs, and where it may be broken."""

from __future__ import annotations

from netspec.syntax import tree
from netspec.syntax.document import HARD, SOFT, SPACE, Group, IfBroken, Indent, Line, Part, Suffix, group
from netspec.syntax.trivia import Trivia

ARROW, LABEL, CONDITIONAL, RANGE, OR, AND, NOT, COMPARE, CONCAT, SUM, PRODUCT, SIGN, POWER, POSTFIX, ATOM = range(15)
"""How tightly a form binds, as in the grammar."""

_BINARY = {"or": OR, "and": AND, "+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "//": PRODUCT, "%": PRODUCT, "^": POWER}
_LEVELS = {
    tree.Arrow: ARROW,
    tree.Label: LABEL,
    tree.Conditional: CONDITIONAL,
    tree.Range: RANGE,
    tree.Concat: CONCAT,
    tree.Call: POSTFIX,
    tree.Index: POSTFIX,
    tree.Attribute: POSTFIX,
}
# The least level of the left operand of what continues to the left, and of the right operand of a binary operator.
_LEFT = {OR: OR, AND: AND, COMPARE: CONCAT, SUM: SUM, PRODUCT: PRODUCT, POWER: POSTFIX}
_RIGHT = {OR: AND, AND: NOT, COMPARE: CONCAT, SUM: PRODUCT, PRODUCT: SIGN, POWER: SIGN}
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"})


def level(node: tree.Expr) -> int:
    """How tightly a node binds."""
    if isinstance(node, tree.Binary):
        return _BINARY.get(node.op, COMPARE)
    if isinstance(node, tree.Unary):
        return NOT if node.op == "not" else SIGN
    return _LEVELS.get(type(node), ATOM)


def quoted(text: str) -> str:
    """A string in quotation marks."""
    return f'"{text.translate(_ESCAPES)}"'


class Expressions:
    """Makes documents of expressions, taking the comments among them from `trivia` on the way, in their order."""

    def __init__(self, trivia: Trivia) -> None:
        self.trivia = trivia

    def expression(self, node: tree.Expr, least: int = ARROW) -> list[Part]:
        """A document for a node, in parentheses if it binds less tightly than `least`."""
        if level(node) >= least:
            return self._spine(node)
        inner = self._spine(node, hang=False)
        return [group(["(", Indent([SOFT, *inner]), SOFT, ")"])]

    def _spine(self, node: tree.Expr, hang: bool = True) -> list[Part]:
        """A node and everything that continues to its left, without recursion: a sum or a chain may be very long."""
        above: list[tree.Expr] = []
        while True:
            left, least = _left(node)
            if left is None:
                parts = self._closed(node)
                break
            above.append(node)
            node = left
            if level(node) < least:
                parts = self.expression(node, least)
                break
        arrows: list[Part] = []
        while above:
            outer = above.pop()
            if isinstance(outer, tree.Arrow):
                arrows += self._arrow(_left(outer)[0], outer.right)
            else:
                parts = [*parts, *arrows] if arrows else parts
                arrows = []
                parts += self._tail(outer)
        if arrows:
            parts = [*parts, Indent(arrows)] if hang else [*parts, *arrows]
        return parts

    def _arrow(self, left: tree.Expr | None, right: tree.Expr) -> list[Part]:
        """` -> right`, on a line of its own where the author put it there, or a comment stands before it."""
        comments = self._between(left.place.end if left else right.place.start, right.place.start)
        breaks = bool(comments) or self.trivia.joint_begins_line(self.trivia.arrows, right.place.start)
        arrow: list[Part] = ["-> ", *self.expression(right, LABEL)]
        return [*comments, HARD, *arrow] if breaks else [Group([SPACE, *arrow])]

    def _then(self, node: tree.Then) -> list[Part]:
        """`a then b`, each `then` on a line of its own as the arrows are."""
        first, *others = node.parts
        parts: list[Part] = []
        before, head = first, self.expression(first)
        for part in others:
            comments = self._between(before.place.end, part.place.start)
            breaks = bool(comments) or self.trivia.joint_begins_line(self.trivia.thens, part.place.start)
            joint: list[Part] = ["then ", *self.expression(part)]
            parts += [*comments, HARD, *joint] if breaks else [Group([SPACE, *joint])]
            before = part
        return [*head, Indent(parts)]

    def _between(self, end: int, start: int) -> list[Part]:
        """The comments between two operands: one on the first one's line, the others on lines of their own."""
        parts: list[Part] = []
        beside = self.trivia.beside(end)
        if beside:
            parts.append(Suffix(f"  {beside.text}"))
        for remark in self.trivia.before(start):
            parts += [HARD, remark.text]
        return parts

    # ------------------------------------------------------------------------------ what continues to the left
    def _tail(self, node: tree.Expr) -> list[Part]:
        """What stands to the right of the left operand."""
        if isinstance(node, tree.Binary):
            sign = node.op if node.op == "^" else f" {node.op} "
            return [sign, *self.expression(node.right, _RIGHT[level(node)])]
        if isinstance(node, tree.Call):
            return [self.arguments(node.arguments, node.place.end - 1)]
        if isinstance(node, tree.Index):
            return ["[", *self.expression(node.index), "]"]
        if isinstance(node, tree.Attribute):
            return [f".{node.name}"]
        assert isinstance(node, tree.Label)
        index: list[Part] = ["[", *self.expression(node.index), "]"] if node.index is not None else []
        return [" as ", self._label_text(node) if node.name is None else node.name, *index]

    def _label_text(self, node: tree.Label) -> str:
        """A label in quotation marks, with its expressions in braces."""
        pieces = [
            piece.translate(_ESCAPES).replace("{", "{{").replace("}", "}}") if isinstance(piece, str) else f"{{{self.flat(piece)}}}"
            for piece in node.pieces
        ]
        return f'"{"".join(pieces)}"'

    def flat(self, node: tree.Expr) -> str:
        """An expression on one line, whatever its length."""
        stack, text = list(reversed(self.expression(node))), ""
        while stack:
            part = stack.pop()
            if isinstance(part, (Group, Indent)):
                stack += reversed(part.parts)
            elif isinstance(part, Line):
                text += part.flat
            elif isinstance(part, str):
                text += part
        return text

    # -------------------------------------------------------------------------------------- closed and prefixed
    def _closed(self, node: tree.Expr) -> list[Part]:
        if isinstance(node, tree.Name):
            return [node.id]
        if isinstance(node, tree.Literal):
            return [_literal(node)]
        if isinstance(node, tree.ListExpr):
            return [self.sequence("[", "]", list(node.items), node.place.end - 1)]
        if isinstance(node, tree.TupleExpr):
            return [self.sequence("(", ")", list(node.items), node.place.end - 1)]
        if isinstance(node, tree.Then):
            return self._then(node)
        if isinstance(node, tree.Concat):
            first, *others = (self.expression(item, SUM) for item in node.items)
            return first + [part for item in others for part in (" ++ ", *item)]
        if isinstance(node, tree.Unary):
            return ["not " if node.op == "not" else "-", *self.expression(node.operand, level(node))]
        if isinstance(node, tree.Range):
            return [*self.expression(node.start, SIGN), "..", *self.expression(node.stop, SIGN)]  # `0..(n + 1)` reads better
        if isinstance(node, tree.Conditional):
            then, test = self.expression(node.then, RANGE), self.expression(node.condition, RANGE)
            return [*then, " if ", *test, " else ", *self.expression(node.otherwise, CONDITIONAL)]
        assert isinstance(node, tree.Comprehension)
        return [self._comprehension(node)]

    def _comprehension(self, node: tree.Comprehension) -> Group:
        parts: list[Part] = [*self.expression(node.item), SPACE, f"for {', '.join(name.id for name in node.targets)} in "]
        parts += self.expression(node.over, RANGE)
        if node.condition is not None:
            parts += [SPACE, "if ", *self.expression(node.condition, RANGE)]
        return group(["[", Indent([SOFT, *parts]), SOFT, "]"])

    # -------------------------------------------------------------------------------------------------- sequences
    def arguments(self, arguments: tuple[tree.Argument, ...], close: int) -> Group:
        """`(a, name = b)`; `close` is the offset of the closing parenthesis."""
        return self.sequence("(", ")", list(arguments), close)

    def sequence(self, opening: str, closing: str, items: list[tree.Node], close: int) -> Group:
        """Things between brackets, with a comma after each: on one line, or a line each. Numbers fill lines."""
        fills = len(items) > 8 and all(isinstance(item, tree.Literal) for item in items)
        parts: list[Part] = []
        for position, item in enumerate(items):
            last = position == len(items) - 1
            for remark in self.trivia.before(item.place.start):
                parts += [remark.text, HARD]
            parts += self.item(item)
            only = opening == "(" and len(items) == 1 and isinstance(item, tree.Expr)
            parts.append("," if not last or only else IfBroken(","))
            beside = self.trivia.beside(item.place.end)
            parts += [Suffix(f"  {beside.text}")] if beside else []
            if not last:
                parts.append(Group([SPACE]) if fills else SPACE)
        for remark in self.trivia.before(close):
            parts += [HARD, remark.text] if parts else [Suffix(remark.text)]
        return group([opening, Indent([SOFT, *parts]), SOFT, closing]) if parts else Group([opening, closing])

    def item(self, item: tree.Node) -> list[Part]:
        """An argument, a parameter, an axis of a shape, or an expression."""
        if isinstance(item, tree.Argument):
            return self._named(item.name, item.value)
        if isinstance(item, tree.Parameter):
            return self._named(item.name, item.default)
        if isinstance(item, tree.Dim):
            size = self.expression(item.size)
            return size if item.typical is None else [*size, " = ", *self.expression(item.typical)]
        assert isinstance(item, tree.Expr)
        return self.expression(item)

    def _named(self, name: str | None, value: tree.Expr | None) -> list[Part]:
        if value is None:
            return [name or ""]
        return [f"{name} = ", *self.expression(value)] if name else self.expression(value)

    def shape(self, shape: tree.Shape) -> list[Part]:
        """`int64 [N, T = 128]`."""
        return [f"{shape.dtype} " if shape.dtype else "", self.sequence("[", "]", list(shape.dims), shape.place.end - 1)]


def _left(node: tree.Expr) -> tuple[tree.Expr | None, int]:
    """The left operand of what continues to the left, and the least level that it has without parentheses."""
    if isinstance(node, tree.Binary):
        return node.left, _LEFT[level(node)]
    if isinstance(node, tree.Arrow):
        return node.left, ARROW
    if isinstance(node, tree.Label):
        return node.value, LABEL
    if isinstance(node, tree.Call):
        return node.function, POSTFIX
    if isinstance(node, (tree.Index, tree.Attribute)):
        return node.value, POSTFIX
    return None, ATOM


def _literal(node: tree.Literal) -> str:
    """As it was written; by its value where it was not."""
    if node.text:
        return node.text
    if isinstance(node.value, str):
        return quoted(node.value)
    if node.value is None or isinstance(node.value, bool):
        return {True: "true", False: "false", None: "none"}[node.value]
    return repr(node.value)
