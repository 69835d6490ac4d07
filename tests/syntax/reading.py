"""How these tests read a text: its tree, or its errors as `CODE "marked text"`."""

from __future__ import annotations

from netspec.diagnostics.model import Report
from netspec.limits import DEFAULT_LIMITS, Limits
from netspec.source import Source
from netspec.syntax import tree
from netspec.syntax.parse import parse

RESNET = """\
default conv(bias = false)

block bottleneck(width, stride = 1) {
  input x
  y = x -> conv(width, 1) -> bn -> relu
    -> conv(width, 3, stride = stride, padding = 1) -> bn -> relu
    -> conv(4 * width, 1) -> bn
  if stride != 1 or x.channels != 4 * width {
    x = x -> (conv(4 * width, 1, stride = stride) -> bn) as downsample
  }
  output y + x -> relu
}

def stage(width, depth, stride = 2) = bottleneck(width, stride) -> (depth - 1) * bottleneck(width)

net resnet50(classes = 1000) {
  input image: [N, 3, H = 224, W = 224]
  output logits: [N, classes] = image
    -> conv(64, 7, stride = 2, padding = 3) -> bn -> relu -> max_pool(3, stride = 2, padding = 1)
    -> stage(64, 3, stride = 1) as layer1
    -> stage(128, 4) as layer2
    -> global_avg_pool -> flatten -> linear(classes) as fc

  init {
    conv: he_normal(mode = fan_out)
    layer*.*.bn3: weight = zeros
  }
}
"""


def read(text: str) -> tree.Module:
    """The tree of a text that has no errors."""
    report = Report()
    module = parse(Source("test.net", text), report)
    assert report.ok, [str(d) for d in report.diagnostics]
    return module


def statement(text: str) -> tree.Stmt:
    """The only statement in the body of a block."""
    (block,) = read(f"block test {{\n{text}\n}}\n").body
    assert isinstance(block, tree.Block)
    (found,) = block.body
    return found


def expression(text: str) -> tree.Expr:
    """The tree of an expression."""
    found = statement(f"it = {text}")
    assert isinstance(found, tree.Bind)
    return found.value


def shape_of(node: object) -> object:
    """An expression as nested tuples: `("+", "a", "b")`."""
    match node:
        case tree.Name(id=name):
            return name
        case tree.Literal(value=value):
            return value
        case tree.Binary(op=op, left=left, right=right):
            return (op, shape_of(left), shape_of(right))
        case tree.Unary(op=op, operand=operand):
            return (op, shape_of(operand))
        case tree.Arrow(left=left, right=right):
            return ("->", shape_of(left), shape_of(right))
        case tree.Label(value=value, name=name):
            return ("as", shape_of(value), name)
        case tree.Conditional(then=a, condition=b, otherwise=c):
            return ("if", shape_of(a), shape_of(b), shape_of(c))
        case tree.Range(start=a, stop=b):
            return ("..", shape_of(a), shape_of(b))
        case tree.Concat(items=items):
            return ("++", *map(shape_of, items))
        case tree.Attribute(value=value, name=name):
            return (".", shape_of(value), name)
        case tree.Index(value=value, index=index):
            return ("[]", shape_of(value), shape_of(index))
        case tree.Call(function=function, arguments=arguments):
            return ("()", shape_of(function), *((a.name, shape_of(a.value)) if a.name else shape_of(a.value) for a in arguments))
        case tree.TupleExpr(items=items):
            return ("tuple", *map(shape_of, items))
        case tree.ListExpr(items=items):
            return ["list", *map(shape_of, items)]
        case tree.Comprehension(item=item, targets=targets, over=over, condition=condition):
            return ("for", shape_of(item), *map(shape_of, targets), shape_of(over), condition and shape_of(condition))
    raise AssertionError(node)


def broken(text: str, limits: Limits = DEFAULT_LIMITS) -> tuple[tree.Module, Report]:
    """The tree of a text that may have errors, and what was said about it."""
    report = Report()
    return parse(Source("test.net", text), report, limits), report


def errors(text: str) -> list[str]:
    """The errors of a text, each as `CODE line:column`."""
    _, report = broken(text)
    return ["{} {}:{}".format(d.code, *d.place.source.position(d.place.start)) for d in report.diagnostics if d.place]
