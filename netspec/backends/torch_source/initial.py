"""`reset_parameters`: the ejected network starts as the spec says, where that is not what torch does by itself."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from netspec.backends.torch_source.form import Apply, Form, Literal, Sequence, Text
from netspec.backends.torch_source.layout import INDENT, Writer
from netspec.backends.torch_source.lower import Lowering, site
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

Keywords = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Start:
    """One parameter and the call that starts it: `function(parameter, **keywords)`; then row `zero_row` is made zero.

    `module` is the class that stores the parameter. Of `copies` rows that are to be equal, the call starts the first alone.
    """

    name: str
    local: str
    module: str
    function: str
    keywords: Keywords
    zero_row: int | None = None
    copies: int = 1

    def call(self, parameter: str) -> Form:
        """The call for a parameter of that name."""
        return Apply(Text(f"nn.init.{self.function}"), (Text(parameter),), tuple((k, Literal(v)) for k, v in self.keywords))


def reset_parameters(lowering: Lowering) -> list[str]:
    """The lines of the method; none where torch's own defaults are what the spec asks for."""
    starts = _starts(lowering)
    writer = Writer(lambda number: "")
    written = _written(lowering, writer)
    if not starts and not written:
        return []
    rules, rest = _by_class(starts, lowering)
    lines = [
        f"{INDENT}def reset_parameters(self) -> None:",
        f'{INDENT * 2}"""Start as the spec says; what is not named here starts as torch starts it."""',
        *_class_loop(rules, writer),
    ]
    named = [line for group in _alike(rest) for line in _names_loop(group, writer)]
    named += [line for start in starts if start.zero_row is not None for line in _zero_row(start, writer)]
    if copied := _copies(rest, writer) + _lengths(starts, lowering, writer) + written:
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
                found[tensor.name] = Start(tensor.name, tensor.local, cls, *_call(tensor, wanted), row, copies)
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
    """torch empties columns; Martens' rule empties rows, which are the columns of the transpose (see `_parameter`)."""
    rows, columns = tensor.shape
    if wanted.zeros_per_column is not None:
        return "sparse_", (("sparsity", wanted.zeros_per_column / rows), ("std", wanted.std))
    return "sparse_ ", (("sparsity", (columns - (wanted.kept_per_row or 0)) / columns), ("std", wanted.std))


# ------------------------------------------------------------------------------------------------------------- loops
@dataclass(frozen=True, slots=True)
class ClassRule:
    """How the parameter `start.local` of all modules of a class starts; `guarded` where some of them lack it."""

    start: Start
    guarded: bool


def _by_class(starts: list[Start], lowering: Lowering) -> tuple[dict[str, list[ClassRule]], list[Start]]:
    """Rules for what most modules of one class have in common, and the parameters that they do not hold for."""
    modules, stored = _inventory(lowering)
    rules: dict[str, list[ClassRule]] = defaultdict(list)
    rest: list[Start] = []
    alike: dict[tuple[str, str], list[Start]] = defaultdict(list)
    for start in starts:
        alike[start.module, start.local].append(start)
    for (cls, local), group in alike.items():
        calls = Counter((start.function, repr(start.keywords)) for start in group if start.copies == 1)
        usual, count = calls.most_common(1)[0] if calls else ("", 0)
        if stored[cls, local] == len(group) > 1 and count > 1:
            first = next(start for start in group if start.copies == 1 and (start.function, repr(start.keywords)) == usual)
            rules[cls].append(ClassRule(first, len(group) < modules[cls]))
            group = [start for start in group if start.copies > 1 or (start.function, repr(start.keywords)) != usual]
        rest += group
    return rules, rest


def _inventory(lowering: Lowering) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """How many modules there are of each class, and how many of them store a parameter of each name.

    Only classes of `nn` that store their parameters themselves: a loop over modules would reach into others.
    """
    modules: Counter[str] = Counter()
    stored: Counter[tuple[str, str]] = Counter()
    labels = set()
    for node, torch in zip(lowering.graph.nodes, lowering.torch):
        tensors = [lowering.graph.weights[w] for w in node.weights]
        if any("." in tensor.local for tensor in tensors):
            return Counter(), Counter()
        if torch.module is None or torch.owns or node.label in labels or not isinstance(torch.module.cls, str):
            continue
        labels.add(node.label)
        modules[torch.module.cls] += 1
        stored.update((torch.module.cls, tensor.local) for tensor in tensors)
    return modules, stored


def _class_loop(rules: dict[str, list[ClassRule]], writer: Writer) -> list[str]:
    if not rules:
        return []
    branches: list[tuple[list[str], str, list[str]]] = []
    for cls, of_class in rules.items():
        only = of_class[0] if len(of_class) == 1 and of_class[0].guarded else None
        guard = f" and module.{only.start.local} is not None" if only else ""
        body = []
        for rule in of_class:
            nested = rule.guarded and rule is not only
            body += [f"{INDENT * 4}if module.{rule.start.local} is not None:"] if nested else []
            body += writer.lines(rule.start.call(f"module.{rule.start.local}"), 5 if nested else 4)
        if branches and branches[-1][1:] == (guard, body):
            branches[-1][0].append(cls)
        else:
            branches.append(([cls], guard, body))
    lines = [f"{INDENT * 2}for module in self.modules():"]
    for word, (classes, guard, body) in zip(("if", *("elif",) * len(branches)), branches):
        kinds = classes[0] if len(classes) == 1 else f"({', '.join(classes)})"
        lines += [f"{INDENT * 3}{word} isinstance(module, {kinds}){guard}:", *body]
    return lines


def _alike(starts: list[Start]) -> list[list[Start]]:
    """Parameters that one loop can start: the same function with the same keywords, whatever the numbers, on as many rows."""
    groups: dict[Any, list[Start]] = defaultdict(list)
    for start in starts:
        groups[start.function, start.copies, tuple(name for name, _ in start.keywords)].append(start)
    return list(groups.values())


def _names_loop(group: list[Start], writer: Writer) -> list[str]:
    """One parameter, or a loop over names with the numbers that differ between them."""
    first = group[0]
    if len(group) == 1:
        return writer.lines(first.call(_parameter(first, f"parameters[{writer.text(Literal(first.name))}]")), 2)
    columns = list(zip(*(start.keywords for start in group)))
    varying = [column[0][0] for column in columns if len({repr(value) for _, value in column}) > 1]
    fixed = tuple((name, value) for name, value in first.keywords if name not in varying)
    rows: list[Form] = []
    for start in group:
        numbers = [Literal(value) for name, value in start.keywords if name in varying]
        rows.append(Sequence((Literal(start.name), *numbers)) if numbers else Literal(start.name))
    call = Apply(
        Text(f"nn.init.{first.function.strip()}"),
        (Text(_parameter(first, "parameters[name]")),),
        (*((name, Text(name)) for name in varying), *((name, Literal(value)) for name, value in fixed)),
    )
    head = writer.lines(Sequence(tuple(rows)), 2, f"for {', '.join(['name', *varying])} in ", ":")
    return [*head, *writer.lines(call, 3)]


def _parameter(start: Start, access: str) -> str:
    """The part of a parameter that the call starts."""
    if start.copies > 1:
        access += f"[::{start.copies}]"
    return f"{access}.detach().T" if start.function.endswith(" ") else access
