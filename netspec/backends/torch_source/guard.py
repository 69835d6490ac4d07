"""The check of sizes at the top of a network's `forward`: a size that breaks a condition is named, with the nearest that do not.

It costs a few integer operations a call, and nothing where sizes are symbols: while `torch.compile`, `torch.export` and tracing
look at the network it returns at once, so that no size is fixed and none is guarded.
"""

from __future__ import annotations

from collections.abc import Iterable

from netspec.backends.torch_source.extents import Extents
from netspec.backends.torch_source.form import Apply, Form, Literal, Local, Operation, Sequence, Text
from netspec.backends.torch_source.layout import Writer
from netspec.backends.torch_source.lower import Body
from netspec.graph import Graph
from netspec.sizes.dim import Dim, names
from netspec.sizes.solution import Solution, size_of
from netspec.sizes.solve import Condition
from netspec.sizes.system import put_together
from netspec.terms import Support

#: The most sizes below the regular ones; a network with more of them goes unchecked in that size.
MAX_OTHERS = 10_000

CHECK_SIZE = Support(
    "check_size",
    '''
def check_size(
    size: int,
    needed: str,
    period: int = 1,
    remainders: range | tuple[int, ...] = (0,),
    start: int = 1,
    others: range | tuple[int, ...] = (),
) -> None:
    """Raise ValueError for a size that the network does not take, with the nearest.

    It takes `others`, and from `start` on what leaves one of `remainders` by `period`.
    """
    if type(size) is not int or torch.compiler.is_compiling():
        return

    def fits(n: int) -> bool:
        return (n >= start and n % period in remainders) or n in others

    if not fits(size):
        above = range(size, size + min(start + 2 * period, 1_000_000))
        nearest = [next(filter(fits, ns), None) for ns in (range(size, 0, -1), above)]
        shown = " and ".join(str(n) for n in nearest if n is not None)
        raise ValueError(f"{needed} is needed, not {size}; the nearest: {shown}")
''',
)

CHECK_SIZES = Support(
    "check_sizes",
    '''
def check_sizes(holds: bool, needed: str, *inputs: Tensor) -> None:
    """Raise ValueError for sizes that the network does not take together."""
    if isinstance(holds, bool) and not torch.compiler.is_compiling() and not holds:
        shown = " and ".join(str(list(x.shape)) for x in inputs)
        raise ValueError(f"{needed} is needed, not {shown}")
''',
)


class Guard:
    """What the network's own `forward` checks of a graph's sizes."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        system = put_together([requirement.condition for requirement in graph.requirements], [size.name for size in graph.sizes])
        self.single = [s for s in system.solutions.values() if not s.everything and sum(map(size_of, s.exceptions)) <= MAX_OTHERS]
        self.joint = [piece.condition for piece in (*system.joint, *system.undecided)]

    @property
    def supports(self) -> list[Support]:
        """The functions that the file needs for it."""
        return ([CHECK_SIZE] if self.single else []) + ([CHECK_SIZES] if self.joint else [])

    def lines(self, body: Body, writer: Writer) -> list[str]:
        """The statements, one for each size that not every value is allowed for, and one for each condition on several."""
        extents = Extents()
        shapes = [self.graph.values[port.value].shape for port in self.graph.inputs]
        for number, shape in zip(body.inputs, shapes):
            extents.add(number, shape)
        local = {port.name: number for port, number in zip(self.graph.inputs, body.inputs)}
        found = [self._single(s, extents) for s in self.single] + [self._joint(c, extents, local) for c in self.joint]
        return [line for form in found if form is not None for line in writer.lines(form, 2)]

    def _single(self, solution: Solution, extents: Extents) -> Form | None:
        size = extents.find(Dim.name(solution.name))
        if size is None:
            return None
        arguments = [size, Literal(f"{self._inputs((solution.name,))[1]}: {solution}")]
        keywords: list[tuple[str, Form]] = []
        if not solution.residues:
            keywords.append(("remainders", Sequence((), "(")))
        elif len(solution.residues) < solution.period:
            arguments += [Literal(solution.period), _numbers(solution.residues)]
        first = min((solution.start + (r - solution.start) % solution.period for r in solution.residues), default=1)
        if first > min((r or solution.period for r in solution.residues), default=1):
            keywords.append(("start", Literal(first)))
            if len(arguments) == 4:
                arguments.append(keywords.pop()[1])
        if solution.exceptions:
            keywords.append(("others", _numbers([n for part in solution.exceptions for n in part])))
        return Apply(Text("check_size"), tuple(arguments), tuple(keywords))

    def _joint(self, condition: Condition, extents: Extents, local: dict[str, int]) -> Form | None:
        sides = [extents.find(side) for side in (condition.left, condition.right)]
        if None in sides:
            return None
        holds = Operation(condition.relation, *sides)  # type: ignore[arg-type]
        ports, words = self._inputs(condition.names())
        typical = ", ".join(f"{name} = {self.graph.typical[name]}" for name in sorted(condition.names()))
        text = f"{words}: {condition} (as with {typical})"
        return Apply(Text("check_sizes"), (holds, Literal(text), *(Local(local[port]) for port in ports)))

    def _inputs(self, wanted: Iterable[str]) -> tuple[list[str], str]:
        """The inputs that have these sizes, each the first that does, and the same in words."""
        left, found = set(wanted), []
        for port in self.graph.inputs:
            here = {name for size in self.graph.values[port.value].shape for name in names(size)} & left
            found += [port.name] if here else []
            left -= here
        return found, " and ".join(found)


def _numbers(numbers: Iterable[int]) -> Form:
    """Numbers as a tuple, or, of more than one, the range that they are."""
    ordered = sorted(numbers)
    step = ordered[1] - ordered[0] if len(ordered) > 1 else 0
    if step and all(after - before == step for before, after in zip(ordered, ordered[1:])):
        given = (*((ordered[0],) if ordered[0] or step != 1 else ()), ordered[-1] + 1, *((step,) if step != 1 else ()))
        return Text(f"range({', '.join(map(str, given))})")
    return Sequence(tuple(Literal(n) for n in ordered), "(")
