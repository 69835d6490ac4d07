"""What a picture writes of operators, shapes and counts: short, and the way papers write it.

An operator's arguments are told from its fields alone: a number that is a size of its output stands by itself (`64`), sizes
along the spatial axes are crossed (`3×3`), a stride is a division (`/2`) or, where it enlarges, a factor (`×2`), and what is at its
default, or only settles how wide a border is, stays out. The whole call stands in the title.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from netspec.analyses.summary import spell, spelled
from netspec.graph import Node
from netspec.op import Operator
from netspec.reach import Blocks, Resample, Transposed
from netspec.sizes.tensor import TensorType

#: how signs are set; a sign that is not there is set as it is written in the language
_SIGNS = {"-": "−", "*": "×", "/": "÷", "<=": "≤", ">=": "≥", "!=": "≠"}
#: arguments that tell nothing that the shapes do not, or nothing that a reader of a picture asks for
QUIET = frozenset(
    """
    padding output_padding bias eps momentum padding_idx affine track_running_stats count_include_pad ceil_mode align_corners like
    keepdim dtype states power_iterations
    """.split()
)
#: arguments by which an axis grows or shrinks
_FACTORS = frozenset({"scale", "factor"})
#: arguments that count things, which are named behind the number
_COUNTS = frozenset({"groups", "heads", "layers", "pieces", "classes"})
#: arguments that say which axis is meant
_AXES = frozenset({"axis", "axes"})
#: arguments that say enough by themselves
_ALONE = frozenset({"left", "right", "size", "p"})
#: more parts of a joined axis are counted, not listed
_LISTED = 3


def sign(op: Operator) -> str:
    """The sign in a merge's circle: `+`, `−`, `×`; empty where it has none."""
    written = op.SYMBOL or str(getattr(op, "SIGN", ""))
    return _SIGNS.get(written, written)


def name(op: Operator) -> str:
    """The operator's name as words: `batch norm`."""
    return op.NAME.replace("_", " ").strip()


def arguments(
    op: Operator, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...], without: Collection[str] = ()
) -> str:  # fmt: skip
    """What tells this operator from others of its kind: `64 · 3×3 · /2`, `8 heads`, `bilinear`; not the arguments of names in `without`."""
    joined = _joined(op, inputs, outputs)
    parts = [joined] if joined else []
    spatial = max(1, inputs[0].rank - 2) if inputs else 1
    enlarges = _enlarges(op, inputs, outputs)
    for field, facts in type(op).model_fields.items():
        value = getattr(op, field)
        if field in without:
            continue
        if field == "stride" and value is None:
            value = getattr(op, "kernel", None)
        elif field in QUIET or field in op.TENSOR_ARGUMENTS or (joined and field == "axis") or _is_left_out(field, value, facts):
            continue
        text = _argument(field, value, spatial, enlarges, outputs, facts.is_required(), _is_per_axis(facts.annotation))
        if text:
            parts.append(text)
    return " · ".join(parts)


def _is_left_out(field: str, value: Any, facts: Any) -> bool:
    """Whether an argument is at a default that goes without saying."""
    return not facts.is_required() and value == facts.default and field not in _FACTORS


def _argument(field: str, value: Any, spatial: int, enlarges: bool, outputs: tuple[TensorType, ...], asked: bool, crossed: bool) -> str:
    """One argument; empty where it says nothing. `asked`: it has no default; `crossed`: there may be one for each spatial axis."""
    words = field.replace("_", " ")
    if value is None or isinstance(value, bool):
        return words if value else ""
    if field in _FACTORS:
        return ("×" if enlarges else "/") + "×".join(map(spelled, value if isinstance(value, tuple) else (value,)))
    if crossed and field == "stride":
        stride = str(value) if isinstance(value, int) else _crossed(value, spatial)
        return "" if stride == "1" else f"×{stride}" if enlarges else f"/{stride}"
    if crossed and field not in _AXES:
        sizes = _crossed(value, spatial)
        return sizes if asked or field == "size" else f"{words} {sizes if isinstance(value, tuple) else value}"
    if isinstance(value, int) and field in _COUNTS and not (asked and any(value in type_.shape for type_ in outputs)):
        return f"{value} {words if value != 1 else words[:-1]}"
    plain = spelled(value)
    alone = isinstance(value, str) or field in _ALONE or (asked and field not in _AXES)
    return plain if alone else f"{words} {plain}"


def _is_per_axis(annotation: Any) -> bool:
    """Whether a field holds a number, or a number for each axis."""
    parts = getattr(annotation, "__args__", ())
    return any(str(part).startswith("tuple[") for part in parts) and any("int" in str(part) for part in parts)


def _crossed(value: Any, count: int) -> str:
    """`3×3`; a number by itself where there is one axis."""
    sizes = value if isinstance(value, tuple) else (value,) * count
    return "×".join(map(str, sizes))


def _enlarges(op: Operator, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> bool:
    """Whether an output has more positions than the input."""
    looks = op.reach(inputs, outputs)
    first = looks[0].inputs[0] if looks and looks[0].inputs else ()
    return any(isinstance(look, (Transposed, Resample)) or (isinstance(look, Blocks) and look.up) for look in first)


def _joined(op: Operator, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> str:
    """`64 + 64 → 128`, where the inputs stand one behind the other along an axis; empty for what does something else."""
    if len(inputs) < 2 or any(t.rank != outputs[0].rank for t in inputs):
        return ""
    for axis, whole in enumerate(outputs[0].shape):
        sizes = [t.shape[axis] for t in inputs]
        if all(isinstance(s, int) for s in (whole, *sizes)) and sum(sizes) == whole:
            if len(sizes) <= _LISTED:
                return f"{' + '.join(map(str, sizes))} → {whole}"
            alike = len(set(sizes)) == 1
            return f"{len(sizes)} × {sizes[0]} → {whole}" if alike else f"{len(sizes)} inputs → {whole}"
    return ""


def call(node: Node) -> str:
    """The layer as the language writes it: `conv(64, 7, stride = 2)`."""
    given = spell(node)
    return f"{node.op.NAME}({given})" if given else node.op.NAME


def count(value: float) -> str:
    """A count in four characters and a letter: `64`, `9.41 k`, `118 M`, `4.09 G`."""
    for power, letter in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if value >= 10**power:
            return f"{value / 10**power:.3g} {letter}" if value < 999.5 * 10**power else f"{value / 10**power:.0f} {letter}"
    return f"{value:.0f}"


def share(part: float, whole: float) -> str:
    """A part of a whole in percent: `28 %`, `0.4 %`, `< 0.1 %`."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 0.1:
        return "< 0.1 %"
    return f"{percent:.0f} %" if percent >= 9.95 or percent == 0 else f"{percent:.1f} %"
