"""The weights of a file that has some of a network's: what it lacks is drawn from the seed, and said by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netspec.backends.span import Span
from netspec.backends.weight_files.stored import Stored
from netspec.backends.weights import Initial, Piece, Weights
from netspec.graph import Tensor
from netspec.record import record


@record
class Partial(Weights):
    """`stored` are those of the file; `lacking` is what it lacks, by name, which is drawn from `initial`."""

    stored: Stored
    initial: Initial
    lacking: Mapping[str, Tensor]

    def pieces(self, tensor: Tensor) -> Iterator[Piece]:
        """Those of the file, or of the seed where it has none."""
        return (self.initial if tensor.name in self.lacking else self.stored).pieces(tensor)

    def span(self, tensor: Tensor) -> Span | None:
        """The file's own bytes, of what it has."""
        return None if tensor.name in self.lacking else self.stored.span(tensor)
