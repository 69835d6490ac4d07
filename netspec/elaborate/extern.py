"""Operators of the user's own: an `extern` statement becomes an operator class with the facets that it states."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from pydantic import create_model

from netspec.op import Needs, Operator, Reject, Site
from netspec.reach import All, Reach
from netspec.sizes.dim import Dim, Size
from netspec.sizes.tensor import TensorType
from netspec.syntax import tree
from netspec.terms import In, Module, OnnxTerm, Op, Out, Torch

_IMPORTABLE = re.compile(r"(?!(?:torch|netspec)\b)[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


class ExternOperator(Operator):
    """An operator declared by `extern`: its shape rule is the written one, its code the user's package.

    It sees all of its input (nothing else is known of it). Checking and drawing it imports nothing; the PyTorch back end
    imports its class only where that was allowed.
    """

    FAMILY: ClassVar[str] = "extern"
    STATEMENT: ClassVar[tree.Extern]

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType | tuple[TensorType, ...]:
        """Match the written input shapes, which bind their names; the outputs' shapes are written in those names."""
        bound: dict[str, Size] = {k: v for k, v in self._arguments().items() if isinstance(v, (int, Dim)) and not isinstance(v, bool)}
        for statement, given in zip(self.STATEMENT.inputs, inputs):
            if statement.shape is not None:
                _match(statement.shape, given, bound, need, statement.name)
        outputs = tuple(
            TensorType(tuple(_size(d.size, bound) for d in shape.dims), shape.dtype or inputs[0].dtype)
            for _, shape in self.STATEMENT.outputs
        )
        return outputs[0] if len(outputs) == 1 else outputs

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Everything: an operator that nobody knows may look anywhere."""
        return tuple(Reach(tuple(tuple(All(min(a, i.rank - 1)) for a in range(o.rank)) for i in inputs)) for o in outputs)

    def torch(self, site: Site) -> Torch:
        """An instance of the named class, with the arguments as keywords."""
        if self.STATEMENT.torch is None:
            raise Reject("NS705", f'`{self.NAME}` names no PyTorch class (`torch "package.module:Class"`)')
        package, _, name = self.STATEMENT.torch.partition(":")
        if not _IMPORTABLE.fullmatch(self.STATEMENT.torch):
            raise Reject("NS705", f'`torch "{self.STATEMENT.torch}"` names no class; it is written "package.module:Class"')
        return Torch(Module(f"{package}.{name}", (), tuple(self._arguments().items())), imports=(package,))

    def onnx(self, site: Site) -> OnnxTerm | tuple[OnnxTerm, ...]:
        """One node of the named domain and type, with the arguments as attributes."""
        if self.STATEMENT.onnx is None:
            raise Reject("NS705", f'`{self.NAME}` names no ONNX operator (`onnx "domain::Op"`)')
        domain, _, name = self.STATEMENT.onnx.rpartition("::")
        attributes = tuple((k, v) for k, v in self._arguments().items() if v is not None)
        node = Op(name, tuple(In(i) for i in range(len(site.inputs))), attributes, len(site.outputs), domain)
        return node if len(site.outputs) == 1 else tuple(Out(node, i) for i in range(len(site.outputs)))

    def _arguments(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in type(self).model_fields}


def operator_of(statement: tree.Extern) -> type[Operator]:
    """The operator class that an `extern` statement declares; the same class for the same statement."""
    known = _CLASSES.get(id(statement))
    if known is None:
        fields: dict[str, Any] = {p.name: (Any, ...) for p in statement.parameters}
        made = create_model(statement.name, __base__=ExternOperator, __doc__=statement.doc or "An operator of the user's own.", **fields)
        made.NAME, made.STATEMENT, made.ARITY = statement.name, statement, max(len(statement.inputs), 1)
        known = _CLASSES[id(statement)] = made, statement
    return known[0]


#: by the identity of the statement, which is kept alive beside its class
_CLASSES: dict[int, tuple[type[Operator], tree.Extern]] = {}


def _match(shape: tree.Shape, given: TensorType, bound: dict[str, Size], need: Needs, name: str) -> None:
    if len(shape.dims) != given.rank:
        raise Reject("NS413", f"`{name}` has {len(shape.dims)} axes, and {given} is given")
    for axis, (dim, size) in enumerate(zip(shape.dims, given.shape)):
        if isinstance(dim.size, tree.Name) and dim.size.id not in bound:
            bound[dim.size.id] = size
        else:
            need.equal(size, _size(dim.size, bound), f"axis {axis} of `{name}`", "NS413")


def _size(expression: tree.Expr, bound: dict[str, Size]) -> Size:
    """A written size: whole numbers, bound names and `+ - * // %`."""
    if isinstance(expression, tree.Literal) and isinstance(expression.value, int):
        return expression.value
    if isinstance(expression, tree.Name):
        if expression.id not in bound:
            raise Reject("NS201", f"nothing is called `{expression.id}` in the shapes of this extern")
        return bound[expression.id]
    if isinstance(expression, tree.Binary) and expression.op in ("+", "-", "*", "//", "%"):
        left, right = _size(expression.left, bound), _size(expression.right, bound)
        if expression.op == "+":
            return left + right
        if expression.op == "-":
            return left - right
        if expression.op == "*":
            return left * right
        return left // right if expression.op == "//" else left % right
    raise Reject("NS213", "a size in an extern is made of whole numbers, names and `+ - * // %`")
