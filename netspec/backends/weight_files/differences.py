"""The table of what does not fit: each tensor with what the network has, what the file has, and the source line that asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from netspec.graph import Tensor
from netspec.origin import Origin
from netspec.record import record

#: How many tensors of one kind a table lists, and how wide a column of it may be.
_SHOWN, _WIDEST = 8, 60
#: The kinds of differences, in the order of a table, and what more of them are called.
_KINDS = {"missing": "missing", "other": "of another shape or type", "unexpected": "that the network does not store"}


@record
class Difference:
    """A tensor that a file lacks (`missing`), has in another shape or type (`other`), or has too many (`unexpected`, by its name in the
    file). `network` and `file` are what each has, `float32 [10, 8]`; empty for nothing."""

    kind: str
    tensor: str
    network: str
    file: str
    origin: Origin | None

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        where = {"source": self.origin.file, "line": self.origin.line} if self.origin else {"source": None, "line": None}
        return {"kind": self.kind, "tensor": self.tensor, "network": self.network or None, "file": self.file or None, **where}


def table(differences: Sequence[Difference], most: int = _SHOWN) -> Iterator[str]:
    """The lines of a table: of each kind the first `most`, then how many more there are."""
    kinds = {kind: [one for one in differences if one.kind == kind] for kind in _KINDS}
    rows = {kind: [_row(one) for one in found[:most]] for kind, found in kinds.items()}
    lines = columns([("tensor", "in the network", "in the file", "source"), *(row for found in rows.values() for row in found)])
    yield next(lines)
    for kind, words in _KINDS.items():
        yield from (next(lines) for _ in rows[kind])
        if len(kinds[kind]) > most:
            yield f"… and {len(kinds[kind]) - most:,} more {words}"


def drawn_table(tensors: Sequence[Tensor], most: int = 40) -> Iterator[str]:
    """The lines of a table of tensors that are drawn, with their initializers and source lines."""
    rows = [(tensor.name, f"{tensor.dtype} {list(tensor.shape)}", str(tensor.init), line_of(tensor.origin)) for tensor in tensors[:most]]
    yield from columns([("tensor", "type", "drawn from", "source"), *rows])
    if len(tensors) > most:
        yield f"… and {len(tensors) - most:,} more"


def line_of(origin: Origin | None) -> str:
    """`unet.net:12`."""
    return f"{origin.file}:{origin.line}" if origin else ""


def columns(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Rows as lines, their cells below each other."""
    cells = [[cell if len(cell) <= _WIDEST else f"{cell[: _WIDEST // 2]}…{cell[-_WIDEST // 2 + 1 :]}" for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    for row in cells:
        yield "   ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()


def _row(one: Difference) -> tuple[str, str, str, str]:
    return one.tensor, one.network or "-", one.file or "-", line_of(one.origin)
