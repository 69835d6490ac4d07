"""The syntax tree: what was written, with the place of every part, and nothing about what it means.

Every class is frozen data. Expressions are `Expr`, statements `Stmt`; a `Hole` stands where text was broken.
"""

from __future__ import annotations

from dataclasses import field

from netspec.record import record
from netspec.source import Place, Source
from netspec.syntax.expression_tree import (
    Argument,
    Arrow,
    Attribute,
    Binary,
    Call,
    Comprehension,
    Concat,
    Conditional,
    Expr,
    ExprHole,
    Index,
    Label,
    ListExpr,
    Literal,
    Name,
    Node,
    Range,
    Then,
    TupleExpr,
    Unary,
)

__all__ = [
    "Argument", "Arrow", "Attribute", "Binary", "Bind", "Block", "Call", "Comprehension", "Concat", "Conditional", "Def", "Default",
    "Dim", "Expect", "Expr", "ExprHole", "Extern", "For", "Hole", "If", "Import", "Index", "Init", "InitRule", "Input", "Label",
    "LayerBind", "ListExpr", "Literal", "Module", "Name", "Net", "Node", "Output", "Parameter", "Range", "Rename", "Row", "Setting",
    "Shape", "Stmt", "Table", "Target", "Then", "Train", "TupleExpr", "Unary", "Weights", "Where",
]  # fmt: skip


# ----------------------------------------------------------------------------------------------------- statements
class Stmt(Node):
    """A statement."""

    __slots__ = ()


@record
class Parameter(Node):
    """A parameter of a block, net, def or extern: `name` or `name = default`."""

    name: str
    default: Expr | None = None


@record
class Dim(Node):
    """One entry of a written shape: an expression, or `NAME = typical`. `typical` is None for the former."""

    size: Expr
    typical: Expr | None = None


@record
class Shape(Node):
    """A written type: `int64 [N, T = 128]`, `[N, 3, H, W]`. `dtype` is None where it is not written."""

    dtype: str | None
    dims: tuple[Dim, ...]


@record
class Input(Stmt):
    """`input name`, `input name: [dims]`."""

    name: str
    shape: Shape | None
    name_place: Place = field(compare=False, repr=False)


@record
class Output(Stmt):
    """`output expr`, `output name = expr`, `output name: [dims] = expr`."""

    name: str | None
    shape: Shape | None
    value: Expr


@record
class Target(Node):
    """The left side of a binding: `name`, or `family[index]`."""

    name: str
    index: Expr | None = None


@record
class Bind(Stmt):
    """`name = expr`, `name: [dims] = expr`, `a, b = expr`, `family[i] = expr`."""

    targets: tuple[Target, ...]
    shape: Shape | None
    value: Expr


@record
class LayerBind(Stmt):
    """`layer f = L`: one set of weights, shared by every application."""

    name: str
    value: Expr
    index: Expr | None = None


@record
class For(Stmt):
    """`for i in a..b { … }`, `for i, w in enumerate(ws) { … }`."""

    targets: tuple[Name, ...]
    over: Expr
    body: tuple[Stmt, ...]


@record
class If(Stmt):
    """`if c { … } else if d { … } else { … }`: `branches` pairs conditions with bodies; a None condition is `else`."""

    branches: tuple[tuple[Expr | None, tuple[Stmt, ...]], ...]


@record
class Default(Stmt):
    """`default conv(bias = false)`."""

    operator: str
    arguments: tuple[Argument, ...]


@record
class Expect(Stmt):
    """`expect expr`, decided while compiling."""

    condition: Expr


@record
class Where(Stmt):
    """`where expr`: a stated restriction on the open sizes."""

    condition: Expr


@record
class InitRule(Node):
    """`selector: initializer, bias = zeros`: `arguments` are positional (the weight) or named by the parameter."""

    selector: str
    arguments: tuple[Argument, ...]


@record
class Init(Stmt):
    """`init { rules }`."""

    rules: tuple[InitRule, ...]


@record
class Rename(Node):
    """`rename "module.*" -> "*"` in a `weights` section: what names of a weights file become."""

    old: str
    new: str


@record
class Weights(Stmt):
    """`weights { … }`: renames, in the order in which they were written."""

    renames: tuple[Rename, ...]


@record
class Setting(Node):
    """`loss = cross_entropy(logits, label)` in a `train` section."""

    name: str
    value: Expr


@record
class Row(Node):
    """`fc: 10` in a table of a `train` section."""

    selector: str
    value: Expr


@record
class Table(Node):
    """`rates { fc: 10 }` in a `train` section. `flat` says whether its rows stand on one line, parted by commas."""

    name: str
    rows: tuple[Row, ...]
    flat: bool = field(default=False, compare=False)


@record
class Train(Stmt):
    """`train { … }`, `train name of net { … }`: settings and tables, in the order in which they were written."""

    name: str | None
    net: str | None
    items: tuple[Setting | Table, ...]


@record
class Import(Stmt):
    """`from "path.net" import a, b as c`, `from zoo.resnet import bottleneck`. `names` pairs name with alias."""

    path: str | None
    zoo: tuple[str, ...]
    names: tuple[tuple[str, str], ...]


@record
class Def(Stmt):
    """`def name(params) = expr`."""

    name: str
    parameters: tuple[Parameter, ...]
    value: Expr
    doc: str | None = None


@record
class Block(Stmt):
    """`block name(params) { … }`. A documentation string that opens the body is `doc`, not a statement."""

    name: str
    parameters: tuple[Parameter, ...]
    body: tuple[Stmt, ...]
    doc: str | None = None


@record
class Net(Stmt):
    """`net name(params) { … }`, or a variant `net name(params) = base(arguments)`, which may add `{ expect … }`."""

    name: str
    parameters: tuple[Parameter, ...]
    body: tuple[Stmt, ...]
    variant: Expr | None = None
    doc: str | None = None


@record
class Extern(Stmt):
    """`extern name(params) { input …; output … : [dims]; torch "package.module:Class"; onnx "domain::Op" }`."""

    name: str
    parameters: tuple[Parameter, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[tuple[str | None, Shape], ...]
    torch: str | None
    onnx: str | None
    doc: str | None = None


@record
class Hole(Stmt):
    """A statement that could not be read; already reported. `names` are those that it may have bound or declared."""

    names: tuple[str, ...] = ()


@record
class Module:
    """A whole file."""

    source: Source
    body: tuple[Stmt, ...]
    doc: str | None = None
