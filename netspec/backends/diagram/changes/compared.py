"""A difference of two networks that can draw itself."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from netspec.analyses.diff import Difference, Pairing, compare
from netspec.graph import Graph
from netspec.record import record

if TYPE_CHECKING:
    from netspec.backends.diagram.changes.picture import ChangesDiagram
    from netspec.backends.diagram.drawing.finish import Theme


@record
class Compared(Difference):
    """Everything that is different between two networks, and the networks themselves."""

    pair: Pairing = field(compare=False, repr=False)

    def diagram(self, depth: int | None = None, *, engine: str = "auto", theme: Theme = "auto", **look: Any) -> ChangesDiagram:
        """Both networks as one picture: an image in a notebook, a file by `.save("changes.svg")` (`.png`, `.pdf`, `.dot`, `.html`).

        What changed is open down to `depth` (as far as fits a page), the rest is folded. `look` are `rankdir` and `legend`
        (`backends.diagram.look.Look`). Raises `Refusal`: NS015 for a choice that there is not.
        """
        from netspec.backends.diagram.changes.picture import draw_changes
        from netspec.backends.diagram.look import look_of

        return draw_changes(self.pair, self, depth, look_of(look), engine, theme)


def compared(old: Graph, new: Graph, old_name: str = "", new_name: str = "") -> Compared:
    """Compare two networks, as `analyses.diff.diff` does."""
    pair = Pairing(old, new)
    found = compare(pair, old_name, new_name)
    return Compared(**{name: getattr(found, name) for name in Difference.__match_args__}, pair=pair)
