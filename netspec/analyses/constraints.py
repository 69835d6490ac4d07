"""For which sizes a network is well defined: exactly, in as few words as possible, and with who asks for it.

The conditions that operators, merges, written shapes and promises ask of open sizes are solved together (`sizes.system`). Every
function of one open size that convolution, pooling, resampling and shuffling make is affine on each residue class from some
size on, so the set of one size is found exactly. Conditions on several sizes are taken apart where they factor; the others hold
as they stand. What cannot be worked out is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netspec.analyses.blame import Blame, Cause, merged
from netspec.graph import Graph
from netspec.record import record
from netspec.sizes.responsible import responsible
from netspec.sizes.solution import Solution
from netspec.sizes.system import Piece, System, put_together


@record
class Part:
    """A part of what must hold: `H % 16 == 0`. All parts hold together.

    `names` are the sizes that it is about, `causes` who asks for it. Where `decided` is False the sizes that satisfy it could
    not be worked out: the condition stands as it was asked for, in `text`, and can only be tried.
    """

    names: tuple[str, ...]
    text: str
    causes: tuple[Cause, ...]
    decided: bool = True

    def __str__(self) -> str:
        return self.text if self.decided else f"{self.text} (not decided)"


@record
class ValidSizes:
    """For which sizes a network is well defined: those that satisfy all `parts`, and no others.

    `system` has the same as sets: `system.solutions["H"]` is a `Solution`, which knows its members and the nearest ones.
    """

    parts: tuple[Part, ...]
    system: System
    typical: Mapping[str, int]

    @property
    def decided(self) -> bool:
        """Whether every condition on one size has been worked out."""
        return all(part.decided for part in self.parts)

    def solution(self, name: str) -> Solution:
        """The exact set of one size, by what is asked of it alone. Raises KeyError for a name that is no open size."""
        return self.system.solutions[name]

    def of(self, name: str) -> tuple[Part, ...]:
        """The parts about one size; those about several stand with the first of them, in alphabetical order."""
        return tuple(part for part in self.parts if part.names[0] == name)

    def contains(self, sizes: Mapping[str, int]) -> bool:
        """Whether the network is well defined at these sizes; those left out are typical."""
        return self.system.holds({**self.typical, **sizes})

    def nearest(self, name: str, sizes: Mapping[str, int] | None = None) -> tuple[int | None, int | None]:
        """The nearest valid values of one size, below (or equal) and above (or equal), the other sizes as given or typical."""
        return self.system.nearest(name, {**self.typical, **(sizes or {})})

    def data(self) -> list[dict[str, Any]]:
        """The parts as plain data, for JSON."""
        return [
            {
                "sizes": list(part.names),
                "condition": part.text,
                "decided": part.decided,
                "because": [
                    {
                        "text": cause.text,
                        "layers": list(cause.nodes),
                        "places": [{"file": o.file, "line": o.line, "column": o.column} for o in cause.origins],
                    }
                    for cause in part.causes
                ],
            }
            for part in self.parts
        ]


def valid_sizes(graph: Graph) -> ValidSizes:
    """For which sizes a graph is well defined, and which requirements ask for what."""
    system = put_together([requirement.condition for requirement in graph.requirements], [size.name for size in graph.sizes])
    blame = Blame(graph)

    def causes(pieces: Sequence[Piece]) -> tuple[Cause, ...]:
        first = sorted({piece.sources[0] for piece in pieces if piece.sources})
        return merged([blame.cause(graph.requirements[number]) for number in first])

    parts: list[Part] = []
    for name, solution in system.solutions.items():
        parts += [Part((name,), text, causes(pieces)) for text, pieces in responsible(solution, system.alone[name])]
    parts += [Part(_names(piece), str(piece.condition), causes([piece])) for piece in system.joint]
    parts += [Part(_names(piece), str(piece.condition), causes([piece]), decided=False) for piece in system.undecided]
    return ValidSizes(tuple(parts), system, graph.typical)


def _names(piece: Piece) -> tuple[str, ...]:
    return tuple(sorted(piece.condition.names()))


def constraints(graph: Graph) -> dict[str, list[str]]:
    """For each open size, what must hold of it, in words. Conditions on several sizes at once stand with the first of them."""
    found = valid_sizes(graph)
    return {size.name: [str(part) for part in found.of(size.name)] for size in graph.sizes}
