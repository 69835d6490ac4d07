"""How the tensors that a loss or a metric names are had from what the network returned, and from a batch of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Mapping

from torch import Tensor

from netspec.diagnostics.model import Refusal
from netspec.recipe.section import Reference, Term
from netspec.recipe.wanted import LENGTHS

if TYPE_CHECKING:
    from netspec.graph import Graph

#: from outputs and batch to a tensor; None for the lengths of a column that a batch does not have
Reader = Callable[[Any, Mapping[str, Tensor]], Any]


def may_lack(reference: Reference) -> bool:
    """Whether batches need not have it: the lengths of a column, which has them where samples were padded."""
    return reference.kind == "target" and reference.name.endswith(LENGTHS)


class Reading:
    """Makes readers for the tensors of one net's terms."""

    def __init__(self, graph: "Graph") -> None:
        self._places = {port.name: place for place, port in enumerate(graph.outputs)}

    def tensors(self, term: Term) -> list[Reader]:
        """Readers of the tensors that must be there, in the measure's order."""
        given = dict(term.tensors)
        return [self._reader(given[name]) for name in term.measure.TENSORS]

    def optional(self, term: Term) -> dict[str, Reader]:
        """Readers of the others that were given; and of the lengths of a target that was padded, where none were."""
        given = dict(term.tensors)
        found = {name: self._reader(given[name]) for name in term.measure.OPTIONAL if name in given}
        option = next((name for name in ("lengths", "target_lengths") if name in term.measure.OPTIONAL), None)
        target = given.get("target")
        if option is not None and option not in found and target is not None and target.kind in ("target", "input"):
            found[option] = _from_batch(target.name + LENGTHS)
        return found

    def _reader(self, reference: Reference) -> Reader:
        name = reference.name
        if may_lack(reference):
            return _from_batch(name)
        return _from_outputs(name, self._places) if reference.kind == "output" else lambda outputs, batch: batch[name]


def _from_batch(column: str) -> Reader:
    return lambda outputs, batch: batch.get(column)


def _from_outputs(name: str, places: Mapping[str, int]) -> Reader:
    """An output of what a module returned: a tensor, a tuple in the order of the outputs, or a dict. It may raise `Refusal`."""
    place, alone = places[name], len(places) == 1

    def read(outputs: Any, batch: Any) -> Tensor:
        if alone and isinstance(outputs, Tensor):
            return outputs
        if isinstance(outputs, Mapping):
            if name not in outputs:
                raise Refusal("NS354", f"the output `{name}` is missing: there are {', '.join(map(str, outputs)) or 'none'}")
            return outputs[name]
        if not isinstance(outputs, (tuple, list)) or len(outputs) != len(places):
            raise Refusal("NS354", f"the network's outputs are {', '.join(places)}: one tensor for each is needed")
        return outputs[place]

    return read
