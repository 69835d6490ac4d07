"""The one entry: graph in, source text out, and a last look at what came out."""

from __future__ import annotations

import ast

from netspec.backends.torch_source.file import File, own_packages
from netspec.graph import Graph
from netspec.version import VERSION

#: The syntax that generated source may consist of. Anything else has come from a hole in the generator.
_ALLOWED = (
    ast.Module, ast.Import, ast.ImportFrom, ast.alias, ast.ClassDef, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Assign,
    ast.AnnAssign, ast.AugAssign, ast.Expr, ast.For, ast.If, ast.With, ast.withitem, ast.Pass, ast.Raise, ast.Call, ast.keyword,
    ast.Attribute, ast.Name, ast.Load, ast.Store, ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Subscript, ast.Slice, ast.BinOp,
    ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Starred, ast.ListComp, ast.GeneratorExp, ast.comprehension, ast.JoinedStr,
    ast.FormattedValue, ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip
_MODULES = frozenset({"torch", "torch.nn.functional", "math", "collections", "typing"})


def write_source(graph: Graph) -> str:
    """The network as a Python file that imports torch alone, formatted as `ruff format` leaves it.

    The same graph gives the same bytes. State-dict names and their order are those of `graph.weights`. Raises
    `SourceError` where the graph asks for what a PyTorch module cannot do.
    """
    file = File(graph, VERSION)
    text = file.text()
    check(text, own_packages(file.lowering))
    return text


def check(text: str, own: tuple[str, ...] = ()) -> None:
    """Generated source must parse, and hold only the syntax and the imports that the generator writes, and the packages
    that an `extern` names (`own`)."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, _ALLOWED):
            raise AssertionError(f"generated source holds {type(node).__name__} in line {getattr(node, 'lineno', 0)}")
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if not _MODULES.union(own).issuperset(names):
            raise AssertionError(f"generated source imports {', '.join(names)}")
