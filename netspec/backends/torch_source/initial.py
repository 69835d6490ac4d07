"""`reset_parameters`: the ejected network starts as the spec says, where that is not what torch does by itself."""

from __future__ import annotations

import math
from typing import Any

from netspec.backends.torch_source.classes import Classes
from netspec.backends.torch_source.form import Apply, Literal, Text
from netspec.backends.torch_source.layout import INDENT, Writer
from netspec.backends.torch_source.lower import Lowering, site
from netspec.backends.torch_source.starts import Keywords, Loops, Start, by_name
from netspec.backends.torch_source.tree import Place
from netspec.graph import Tensor
from netspec.initializers import GAINS, resolve
from netspec.initializers.distributions import (
    Constant,
    Dirac,
    Distribution,
    Eye,
    Normal,
    NormOf,
    Orthogonal,
    Repeated,
    Sparse,
    TruncatedNormal,
    Uniform,
    Values,
)  # fmt: skip
from netspec.op import Initializer


def reset_parameters(lowering: Lowering, classes: Classes, root: Place, names: dict[int, str]) -> list[str]:
    """The lines of the method; none where torch's own defaults are what the spec asks for. `names` are those of the classes."""
    starts = _starts(lowering)
    writer = Writer(names.__getitem__)
    written = _written(lowering, writer)
    if not starts and not written:
        return []
    loops = Loops(starts, lowering, classes, root, names)
    lines = [
        f"{INDENT}def reset_parameters(self) -> None:",
        f'{INDENT * 2}"""Start as the spec says; what is not named here starts as torch starts it."""',
        *loops.lines(writer),
    ]
    named = by_name(loops.rest, writer)
    named += [line for start in starts if start.zero_row is not None for line in _zero_row(start, writer)]
    if copied := _copies(starts, writer) + _lengths(starts, lowering, writer) + written:
        named += [f"{INDENT * 2}with torch.no_grad():", *copied]
    return [*lines, *([f"{INDENT * 2}parameters = dict(self.named_parameters())"] if named else []), *named]


def _zero_row(start: Start, writer: Writer) -> list[str]:
    """An embedding's padding."""
    row = Text(f"parameters[{writer.text(Literal(start.name))}][{start.zero_row}]")
    return writer.lines(Apply(Text("nn.init.zeros_"), (row,)), 2)


def _copies(starts: list[Start], writer: Writer) -> list[str]:
    """Each of the rows that were drawn, over those behind it that are to be equal."""
    lines: list[str] = []
    for start in starts:
        if start.copies > 1:
            parameter = f"parameters[{writer.text(Literal(start.name))}]"
            rows = Apply(Text(f"{parameter}[::{start.copies}].repeat_interleave"), (Literal(start.copies),), (("dim", Literal(0)),))
            lines += writer.lines(Apply(Text(f"{parameter}.copy_"), (rows,)), 3)
    return lines


def _written(lowering: Lowering, writer: Writer) -> list[str]:
    """Parameters that start as numbers that are written."""
    lines: list[str] = []
    for tensor in lowering.graph.weights:
        law = _resolve(tensor)
        if tensor.trainable and isinstance(law, Values):
            values = Apply(Text("torch.tensor"), (Literal(list(law.values)),))
            lines += writer.lines(Apply(Text(f"parameters[{writer.text(Literal(tensor.name))}].copy_"), (values,)), 3)
    return lines


def _lengths(starts: list[Start], lowering: Lowering, writer: Writer) -> list[str]:
    """Weight normalization stores lengths beside directions: where the directions start anew, so do they."""
    anew = {start.name for start in starts}
    lines: list[str] = []
    for tensor in lowering.graph.weights:
        law = _resolve(tensor)
        if isinstance(law, NormOf) and (sibling := tensor.name.removesuffix(tensor.local) + law.tensor) in anew:
            values = Text(f"parameters[{writer.text(Literal(sibling))}]")
            norm = Apply(Text("torch.norm_except_dim"), (values, Literal(2), Literal(-1 if law.axis is None else law.axis)))
            lines += writer.lines(Apply(Text(f"parameters[{writer.text(Literal(tensor.name))}].copy_"), (norm,)), 3)
    return lines


def _starts(lowering: Lowering) -> list[Start]:
    """The parameters that do not start as torch starts them."""
    graph, found = lowering.graph, {}
    for node, torch in zip(graph.nodes, lowering.torch):
        if not node.weights or (torch.module is None and not torch.owns):
            continue
        usual = {w.name: w for w in node.op.params(site(graph, node).inputs)}
        cls = torch.module.cls if torch.module is not None else "nn.Parameter"
        cls = cls if isinstance(cls, str) else cls.name
        for tensor in (graph.weights[w] for w in node.weights):
            wanted = _resolve(tensor)
            if (
                tensor.trainable
                and not isinstance(wanted, Values)
                and tensor.name not in found
                and wanted != (Constant(0.0) if torch.owns else _default(tensor, usual[tensor.local]))
            ):
                row = wanted.zero_row if isinstance(wanted, Normal) else None
                copies = wanted.copies if isinstance(wanted, Repeated) else 1
                found[tensor.name] = Start(tensor.name, tensor.local, cls, *_call(tensor, wanted), row, copies, _by_rows(wanted))
    return list(found.values())


def _resolve(tensor: Tensor) -> Distribution:
    return resolve(tensor.init, tensor.shape, tensor.fan_in, tensor.fan_out)


def _default(tensor: Tensor, usual: Any) -> Distribution | None:
    """What torch does; None where that depends on an open size."""
    if not all(isinstance(value, (int, float, str, type(None))) for _, value in usual.init.arguments):
        return _resolve(tensor) if tensor.init.name == usual.init.name else None
    return resolve(usual.init, tensor.shape, tensor.fan_in, tensor.fan_out)


# ------------------------------------------------------------------------------------------------------------- calls
def _call(tensor: Tensor, wanted: Distribution) -> tuple[str, Keywords]:
    """The function of `torch.nn.init` and its keywords: by the rule's own name where torch means the same by it."""
    given = dict(tensor.init.arguments)
    if isinstance(wanted, Repeated):
        rows = tensor.shape[0] // wanted.copies
        init = given.get("init", Initializer("he_normal"))
        return _call(tensor.model_copy(update={"init": init, "shape": (rows, *tensor.shape[1:])}), wanted.law)
    rule = _RULES.get(tensor.init.name)
    if rule is not None and len(tensor.shape) >= 2:
        named = rule(tensor, given)
        if named is not None and _same(named[2], wanted):
            return named[0], named[1]
    return _plain(wanted, tensor)


def _fans(tensor: Tensor) -> dict[str, float]:
    """As `torch.nn.init` counts them: from the shape alone."""
    taps = math.prod(tensor.shape[2:])
    return {"fan_in": tensor.shape[1] * taps, "fan_out": tensor.shape[0] * taps}


def _he(tensor: Tensor, given: dict[str, Any]) -> tuple[str, Keywords, float] | None:
    mode, nonlinearity, slope = given.get("mode", "fan_in"), given.get("nonlinearity", "relu"), given.get("a", 0)
    if mode == "fan_avg" or given.get("gain") is not None or given.get("truncated"):
        return None
    if slope:
        nonlinearity = "leaky_relu"
    gain = math.sqrt(2 / (1 + slope * slope)) if nonlinearity == "leaky_relu" else GAINS[nonlinearity]
    keywords = ([("a", slope)] if slope else []) + [("mode", mode)] * (mode != "fan_in") + [("nonlinearity", nonlinearity)]
    form = "uniform" if tensor.init.name == "he_uniform" else "normal"
    return f"kaiming_{form}_", tuple(keywords), gain / math.sqrt(max(_fans(tensor)[mode], 1))


def _xavier(tensor: Tensor, given: dict[str, Any]) -> tuple[str, Keywords, float] | None:
    gain = given.get("gain", 1.0)
    number = GAINS[gain] if isinstance(gain, str) else float(gain)
    if given.get("truncated"):
        return None
    std = number * math.sqrt(2 / max(sum(_fans(tensor).values()), 1))
    return f"{tensor.init.name}_", ((("gain", number),) if number != 1 else ()), std


_RULES = {"he_normal": _he, "he_uniform": _he, "xavier_normal": _xavier, "xavier_uniform": _xavier}


def _same(std: float, wanted: Distribution) -> bool:
    if isinstance(wanted, Uniform):
        return math.isclose(std * math.sqrt(3), wanted.high, rel_tol=1e-9) and wanted.low == -wanted.high
    return isinstance(wanted, Normal) and wanted.mean == 0 and math.isclose(std, wanted.std, rel_tol=1e-9)


def _plain(wanted: Distribution, tensor: Tensor) -> tuple[str, Keywords]:
    """A distribution by its numbers."""
    if isinstance(wanted, Constant):
        named = {0.0: "zeros_", 1.0: "ones_"}.get(wanted.value)
        return (named, ()) if named else ("constant_", (("val", wanted.value),))
    if isinstance(wanted, Uniform):
        return "uniform_", (("a", wanted.low), ("b", wanted.high))
    if isinstance(wanted, Normal):
        return "normal_", (*((("mean", wanted.mean),) if wanted.mean else ()), ("std", wanted.std))
    if isinstance(wanted, TruncatedNormal):
        keywords = (("mean", wanted.mean, 0.0), ("std", wanted.std, 1.0), ("a", wanted.low, -2.0), ("b", wanted.high, 2.0))
        return "trunc_normal_", tuple((name, value) for name, value, usual in keywords if value != usual)
    if isinstance(wanted, Orthogonal):
        return "orthogonal_", ((("gain", wanted.gain),) if wanted.gain != 1 else ())
    if isinstance(wanted, Dirac):
        return "dirac_", ((("groups", wanted.groups),) if wanted.groups != 1 else ())
    if isinstance(wanted, Eye):
        return "eye_", ()
    return _sparse(wanted, tensor)


def _sparse(wanted: Sparse, tensor: Tensor) -> tuple[str, Keywords]:
    """torch empties columns; Martens' rule empties rows, which are the columns of the transpose."""
    rows, columns = tensor.shape
    if wanted.zeros_per_column is not None:
        return "sparse_", (("sparsity", wanted.zeros_per_column / rows), ("std", wanted.std))
    return "sparse_", (("sparsity", (columns - (wanted.kept_per_row or 0)) / columns), ("std", wanted.std))


def _by_rows(wanted: Distribution) -> bool:
    """Whether torch's function has to be given the transpose."""
    law = wanted.law if isinstance(wanted, Repeated) else wanted
    return isinstance(law, Sparse) and law.zeros_per_column is None
