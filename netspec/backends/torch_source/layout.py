"""Forms as lines of Python, broken where `ruff format` breaks them."""

from __future__ import annotations

import math
from typing import Any, Callable

from netspec.backends.torch_source.form import (
    Apply,
    Child,
    ClassName,
    Dot,
    Extent,
    Form,
    Item,
    Literal,
    Local,
    Operation,
    Parameter,
    Repeat,
    Sequence,
    Slice,
    Table,
    Text,
)  # fmt: skip
from netspec.backends.torch_source.tree import quote

WIDTH = 88
INDENT = "    "

_LEVELS = {sign: level for level, signs in enumerate((("<", "<=", ">", ">=", "==", "!="), ("|",), ("^",), ("&",), ("+", "-"),
           ("*", "/", "//", "%", "@"), ("-x",), ("**",)), 1) for sign in signs}  # fmt: skip
_ATOM = 9


def constant(value: Any) -> str:
    """A constant as source text; infinities and NaN by name."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(constant, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, float) and not math.isfinite(value):
        return f'-float("{-value}")' if value < 0 else f'float("{value}")'
    return repr(value)


class Writer:
    """Writes forms. `local` names variables, `child` writes the access to a submodule, `classes` names classes.

    `own` says how a parameter of the constructor is read: `width` in `__init__`, `self.width` in `forward`.
    """

    def __init__(
        self, classes: Callable[[int], str], local: Callable[[int], str] = str, child: Callable[[tuple[str, ...]], str] = str, own: str = ""
    ) -> None:
        self.classes, self.local, self.child, self.own = classes, local, child, own

    def text(self, form: Form, least: int = 0) -> str:
        """The form on one line, in parentheses where it binds less tightly than `least`."""
        text, level = self._leveled(form)
        return text if level >= least else f"({text})"

    def _leveled(self, form: Form) -> tuple[str, int]:
        if isinstance(form, Operation):
            return self._operation(form)
        if isinstance(form, Literal):
            text = constant(form.value)
            return text, _LEVELS["-x"] if text.startswith("-") else _ATOM
        return self._atom(form), _ATOM

    def _operation(self, form: Operation) -> tuple[str, int]:
        level = _LEVELS[form.sign]
        if form.sign == "**":
            left, right = self.text(form.left, _ATOM), self.text(form.right, _LEVELS["-x"])
            tight = _simple_operand(form.left) and _simple_operand(form.right)
            return (f"{left}**{right}" if tight else f"{left} ** {right}"), level
        if form.sign == "*" and form.left == Literal(-1):
            return f"-{self.text(form.right, _LEVELS['-x'])}", _LEVELS["-x"]
        return f"{self.text(form.left, level)} {form.sign} {self.text(form.right, level + 1)}", level

    def _atom(self, form: Form) -> str:
        if isinstance(form, Text):
            return form.source
        if isinstance(form, ClassName):
            return self.classes(form.number)
        if isinstance(form, Local):
            return self.local(form.index)
        if isinstance(form, Extent):
            return f"{self.local(form.local)}.shape[{form.axis}]"
        if isinstance(form, Child):
            return self.child(form.path)
        if isinstance(form, Parameter):
            return self.own + form.name
        if isinstance(form, Dot):
            return f"{self.text(form.value, _ATOM)}.{form.name}"
        if isinstance(form, Slice):
            return self._slice(form)
        if isinstance(form, Repeat):
            return f"*[{self.text(form.item)} for _ in range({self.text(form.count)})]"
        if _comprehension(form):
            return self.text(form.items[0])[1:]
        opening, items, closing = self.split(form)
        one = "," if isinstance(form, Sequence) and form.bracket == "(" and len(items) == 1 else ""
        return opening + ", ".join(prefix + self.text(item) for prefix, item in items) + one + closing

    def _slice(self, form: Slice) -> str:
        bounds = [form.start, form.stop] + ([form.step] if form.step is not None else [])
        space = "" if all(b is None or _simple_operand(b) for b in bounds) else " "
        texts = ["" if bound is None else self.text(bound) for bound in bounds]
        text = texts[0]
        for before, after in zip(texts, texts[1:]):
            text += (space if before else "") + ":" + (space if after else "")
            text += after
        return text

    def split(self, form: Form) -> tuple[str, list[tuple[str, Form]], str]:
        """A form with brackets: what opens it, its items with what stands before each, what closes it."""
        if isinstance(form, Apply):
            items = [("", a) for a in form.arguments] + [(f"{name}=", value) for name, value in form.keywords]
            return self.text(form.function, _ATOM) + "(", items, ")"
        if isinstance(form, Sequence):
            return form.bracket, [("", item) for item in form.items], {"(": ")", "[": "]"}[form.bracket]
        if isinstance(form, Table):
            return "{", [(f"{quote(key)}: ", value) for key, value in form.items], "}"
        if isinstance(form, Item):
            inside = form.index.items if isinstance(form.index, Sequence) and len(form.index.items) > 1 else (form.index,)
            return self.text(form.value, _ATOM) + "[", [("", item) for item in inside], "]"
        raise TypeError(f"{type(form).__name__} has no brackets")

    # --------------------------------------------------------------------------------------------------------- lines
    def lines(self, form: Form, indent: int, before: str = "", after: str = "") -> list[str]:
        """The form on as few lines as fit, `before` and `after` it on the first and last."""
        room = INDENT * indent
        whole = f"{room}{before}{self.text(form)}{after}"
        if _comprehension(form) and len(whole) > WIDTH:
            opening, *rest = self.lines(form.items[0], indent, "", after)
            return [f"{room}{before}[", *rest]
        if len(whole) <= WIDTH or isinstance(form, (Literal, Text, Local, Extent, Child, Parameter, ClassName, Slice, Dot)):
            return [whole]
        if isinstance(form, Operation):
            return self._operands(form, indent, before, after)
        if isinstance(form, Repeat):
            count = f"{room}{INDENT}for _ in range({self.text(form.count)})"
            return [f"{room}{before}*[", *self.lines(form.item, indent + 1), count, f"{room}]{after}"]
        opening, items, closing = self.split(form)
        if not items:
            return [whole]
        together = f"{room}{INDENT}" + ", ".join(prefix + self.text(item) for prefix, item in items)
        if isinstance(form, (Apply, Item)) and len(together) <= WIDTH:
            return [f"{room}{before}{opening}", together, f"{room}{closing}{after}"]
        comma = "," if len(items) > 1 or (isinstance(form, Sequence) and form.bracket == "(") else ""
        inside = [line for prefix, item in items for line in self.lines(item, indent + 1, prefix, comma)]
        return [f"{room}{before}{opening}", *inside, f"{room}{closing}{after}"]

    def _operands(self, form: Operation, indent: int, before: str, after: str) -> list[str]:
        """A long sum in parentheses of its own, an operand a line."""
        signs, forms = self._flat(form)
        level = _LEVELS[form.sign]
        inside = [self._operand(operand, indent + 1, sign, level + bool(sign)) for sign, operand in zip(signs, forms)]
        return [f"{INDENT * indent}{before}(", *(line for lines in inside for line in lines), f"{INDENT * indent}){after}"]

    def _operand(self, form: Form, indent: int, sign: str, least: int) -> list[str]:
        """An operand behind its sign: in parentheses where it binds less tightly, or where only they fit on a line."""
        room = INDENT * indent
        for text in (self.text(form, least), f"({self.text(form)})"):
            if len(room + sign + text) <= WIDTH:
                return [room + sign + text]
        return self.lines(form, indent, sign)

    def _flat(self, form: Operation) -> tuple[list[str], list[Form]]:
        """`a + b - c` as the operands, and what stands before each."""
        level, signs, forms = _LEVELS[form.sign], [], []
        left: Form = form
        while isinstance(left, Operation) and _LEVELS[left.sign] == level:
            signs.append(f"{left.sign} ")
            forms.append(left.right)
            left = left.left
        return ["", *signs[::-1]], [left, *forms[::-1]]


def _comprehension(form: Form) -> bool:
    """Whether a list is `[item for _ in range(count)]` as a whole."""
    return isinstance(form, Sequence) and form.bracket == "[" and len(form.items) == 1 and isinstance(form.items[0], Repeat)


def _simple_operand(form: Form) -> bool:
    """What `ruff format` takes for simple around `**` and `:`: names and numbers."""
    if isinstance(form, Operation):
        return form.sign == "*" and form.left == Literal(-1) and _simple_operand(form.right)
    return isinstance(form, (Local, Parameter)) or (isinstance(form, Literal) and isinstance(form.value, (int, float)))
