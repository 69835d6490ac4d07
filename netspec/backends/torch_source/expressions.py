"""Terms of operators (`netspec.terms`) as forms local to one `forward` or `__init__`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netspec import terms
from netspec.backends.torch_source.form import Apply, Child, Dot, Form, Item, Literal, Operation, Sequence, Slice, Text
from netspec.backends.torch_source.torch_names import positional
from netspec.op import Operator
from netspec.sizes.dim import Dim


@dataclass(frozen=True, slots=True)
class Expressions:
    """Terms of one operator as forms. `near` are the values whose axes sizes are read off first, `device` makes a device's form."""

    op: Operator
    size: Any
    near: tuple[int, ...] = ()
    inputs: tuple[Form, ...] = ()
    path: tuple[str, ...] = ()
    owns: bool = False
    device: Any = None

    def form(self, term: Any, hint: str = "", usual: str = "") -> Form:
        """The form of any term."""
        if isinstance(term, Dim):
            return self.size(term, self.near)
        if _constant(term):
            return Literal(term, hint, usual)
        if isinstance(term, (tuple, list)):
            return Sequence(tuple(self.form(item, hint) for item in term), "(" if isinstance(term, tuple) else "[")
        if isinstance(term, slice):
            return Slice(*(None if bound is None else self.form(bound) for bound in (term.start, term.stop, term.step)))
        return _FORMS[type(term)](self, term)

    def function(self, function: Any) -> Form:
        """What is called: a dotted name, a class that the file carries, or a term."""
        if isinstance(function, terms.Support):
            return Text(function.name)
        return Text(function) if isinstance(function, str) else self.form(function)

    def call(self, term: Any, function: Form, known: Any) -> Apply:
        """A call; its positional arguments are called what torch calls them."""
        hints = positional(known, len(term.args))
        arguments = tuple(self.form(argument, hint) for argument, hint in zip(term.args, hints))
        defaults = self.defaults()
        usual = {name: repr(value) for name, value in defaults}
        keywords = tuple((name, self.form(value, name, usual.get(name, ""))) for name, value in term.kwargs)
        return Apply(function, arguments, keywords, defaults)

    def defaults(self) -> tuple[tuple[str, Any], ...]:
        """An operator's defaults are torch's: what an argument means that is not written."""
        fields = type(self.op).model_fields if isinstance(self.op, Operator) else {}
        return tuple((name, f.default) for name, f in fields.items() if not f.is_required() and _constant(f.default))


def _constant(term: Any) -> bool:
    if isinstance(term, tuple):
        return all(_constant(item) for item in term)
    return term is None or isinstance(term, (bool, int, float, str))


def _single(index: Any) -> Any:
    """An index of one axis without its parentheses, in which no slice may stand."""
    return index[0] if isinstance(index, tuple) and len(index) == 1 else index


_FORMS: dict[type, Any] = {
    terms.In: lambda self, term: self.inputs[term.index],
    terms.Own: lambda self, term: Child(self.path) if self.owns else Dot(Child(self.path), term.name),
    terms.Self: lambda self, term: Child(self.path),
    terms.Call: lambda self, term: self.call(term, self.function(term.function), term.function),
    terms.Module: lambda self, term: self.call(term, self.function(term.cls), term.cls),
    terms.Method: lambda self, term: self.call(term, Dot(self.form(term.receiver), term.name), term.name),
    terms.Infix: lambda self, term: Operation(term.op, self.form(term.left), self.form(term.right)),
    terms.Device: lambda self, term: self.device(tuple(self.form(size) for size in term.near)),
    terms.Item: lambda self, term: Item(self.form(term.value), self.form(_single(term.index))),
}
