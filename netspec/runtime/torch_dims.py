"""Open sizes as torch.export takes them: a `Dim` a name, with bounds, and derived ones where only multiples are allowed.

torch knows one form, `a * x + b` of a fresh `x` between two bounds. The sets that our conditions come to (`sizes.solution`) are
mostly of that form: `H % 32 == 0` is `32 * _H`, `H % 16 == 12 and H >= 188` is `16 * _H + 12` with `_H >= 11`. Others are left to
torch, which then finds out for itself what it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from netspec.analyses.constraints import valid_sizes
from netspec.analyses.summary import batch_sizes
from netspec.graph import Graph
from netspec.record import record
from netspec.sizes.dim import Dim, Size, evaluate, names, substitute
from netspec.sizes.solution import Solution, size_of

if TYPE_CHECKING:
    from torch.export import ExportedProgram

#: the most single sizes that are looked at for a progression
LISTED = 10_000


@record
class Progression:
    """The numbers `step * k + offset`, with `k` from `first` to `last` (None: without end)."""

    step: int = 1
    offset: int = 0
    first: int = 1
    last: int | None = None


def progression(found: Solution) -> Progression | None:
    """A set of sizes as one progression; None where it is no such thing, or not known."""
    if not found.decided or found.empty:
        return None
    if found.residues:
        steps = _steps(found)
        if found.exceptions or steps is None:
            return None
        step, residue = steps
        return Progression(step, residue, max(-(-(found.start - residue) // step), 1 if not residue else 0))
    if sum(map(size_of, found.exceptions)) > LISTED and len(found.exceptions) > 1:
        return None
    if len(found.exceptions) == 1:
        only = found.exceptions[0]
        numbers: Any = only
    else:
        numbers = sorted(n for part in found.exceptions for n in part)
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    if any(after - before != step for before, after in zip(numbers, numbers[1:])):
        return None
    offset = numbers[0] % step
    return Progression(step, offset, (numbers[0] - offset) // step, (numbers[-1] - offset) // step)


def _steps(found: Solution) -> tuple[int, int] | None:
    """Step and remainder where the remainders are evenly apart: all of a period are a step of one."""
    count = len(found.residues)
    if found.period % count:
        return None
    step, first = found.period // count, found.residues[0]
    return (step, first % step) if all(r == first + i * step for i, r in enumerate(found.residues)) else None


def affine(size: Dim) -> tuple[str, int, int] | None:
    """`2 * H + 1` as `("H", 2, 1)`; None for a size that is not of this form."""
    if len(names(size)) != 1:
        return None
    (name,) = names(size)
    try:
        offset = substitute(size, {name: 0})
        factor = substitute(size, {name: 1}) - offset
    except ZeroDivisionError:  # `8 // H`
        return None
    if isinstance(offset, int) and isinstance(factor, int) and factor > 0 and factor * Dim.name(name) + offset == size:
        return name, factor, offset
    return None


def dims(graph: Graph, least: Mapping[str, int] | None = None) -> list[dict[int, Any]]:
    """For each input of a graph the open axes, as our conditions have them; an axis that torch has no form for is left to it.

    `least` are sizes that are asked for beyond the conditions."""
    from torch.export import Dim as TorchDim

    roots = _roots(graph, least or {})

    def of(size: Dim) -> Any:
        form = affine(size)
        if form is None or form[0] not in roots:
            return TorchDim.AUTO
        name, factor, offset = form
        root, own = roots[name]
        return _scaled(root, factor * own.step, factor * own.offset + offset)

    return [{axis: of(size) for axis, size in _open_axes(graph, port.value)} for port in graph.inputs]


def roomy(graph: Graph) -> dict[str, int]:
    """The least sizes, but for the batch, at which no axis inside is 1 any more, by name, where the conditions ask for less."""
    found = {}
    batch = batch_sizes(graph)
    for name, own in ((name, own) for name, own in _progressions(graph).items() if name not in batch):
        shapes = [value.shape for value in graph.values]
        inside = {size for shape in shapes for size in shape if not isinstance(size, int) and name in names(size)}
        for k in range(own.first, min(own.first + LISTED, own.last or LISTED)):
            sizes = {**graph.typical, name: own.step * k + own.offset}
            if all(evaluate(size, sizes) > 1 for size in inside):
                found.update({name: sizes[name]} if k > own.first else {})
                break
    return found


def _progressions(graph: Graph) -> dict[str, Progression]:
    sizes = valid_sizes(graph)
    found = {size.name: progression(sizes.solution(size.name)) for size in graph.sizes}
    return {name: own for name, own in found.items() if own is not None}


def _roots(graph: Graph, least: Mapping[str, int]) -> dict[str, tuple[Any, Progression]]:
    """A dimension of torch's for each open size whose set is a progression."""
    from torch.export import Dim as TorchDim

    roots = {}
    for name, own in _progressions(graph).items():
        plain = own.step == 1 and own.offset == 0
        first = max(own.first, -(-(least.get(name, 0) - own.offset) // own.step))
        roots[name] = (TorchDim(name if plain else f"_{name}", min=first, max=own.last), own)
    return roots


def _scaled(root: Any, factor: int, offset: int) -> Any:
    scaled = root if factor == 1 else factor * root
    return scaled if not offset else scaled + offset if offset > 0 else scaled - -offset


def _open_axes(graph: Graph, value: int) -> list[tuple[int, Dim]]:
    shape: tuple[Size, ...] = graph.values[value].shape
    return [(axis, size) for axis, size in enumerate(shape) if not isinstance(size, int)]


def fixed(graph: Graph, program: "ExportedProgram") -> list[str]:
    """The open axes that a program holds as numbers, in words (`N of image`)."""
    given = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    found = []
    for port, name in zip(graph.inputs, program.graph_signature.user_inputs, strict=True):
        axes = _open_axes(graph, port.value)
        found += [f"{size} of {port.name}" for axis, size in axes if isinstance(given[name].shape[axis], int)]
    return found
