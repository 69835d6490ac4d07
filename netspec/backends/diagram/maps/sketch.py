"""The picture of a network's feature maps, as papers have it: a bar for every tensor, coloured arrows for what makes it.

`sketch_maps` takes five steps: what each box's tensor is (`facts`), how large its bar is (`bars`), in which column, row
and lane it stands (`grid`), how links run (`routes`), and where all of that is in points (`plan`). The DOT that
comes of it (`source`) has every place fixed (Graphviz's layout `nop2`): a renderer draws it as it is.
"""

from __future__ import annotations

from netspec.analyses.outline.model import View
from netspec.backends.diagram.cards.heat import scale
from netspec.backends.diagram.look import Look, Sketch
from netspec.backends.diagram.maps.bars import Bar, bars
from netspec.backends.diagram.maps.facts import Facts
from netspec.backends.diagram.maps.grid import grid
from netspec.backends.diagram.maps.key import key
from netspec.backends.diagram.maps.plan import plan
from netspec.backends.diagram.maps.routes import routes
from netspec.backends.diagram.maps.source import MapsDot
from netspec.backends.diagram.titles import titles
from netspec.backends.diagram.wording import count

#: a legend is at least so wide, in points
_LEGEND = 320.0


def sketch_maps(view: View, look: Look = Look()) -> Sketch:
    """The picture of a view in the style `maps`, from left to right.

    Boxes are `box-3`, links `link-7`, brackets under opened blocks `group-1`; the numbers are those of the view. The segments of
    a joined map that are no box's own bar are `part-3-0`, samples in the legend `key-0`.
    """
    facts = Facts(view, look)
    heat = scale(view, facts.figures, look.heat) if look.heat else None
    found = bars(view, facts)
    if heat is not None:
        for bar in found:
            bar.names += tuple(filter(None, (heat.text(bar.box),)))
    places = grid(view, found)
    ways = routes(view, found, places)
    placed = plan(view, found, places, ways, [facts.words(number) for number in range(len(view.links))])
    legend = key(view, found, facts, heat, max(placed.width, _LEGEND)) if look.legend else None
    notes = ("the style `maps` runs from left to right",) if look.rankdir == "TB" else ()
    return Sketch(MapsDot(view, placed, legend, heat).source(), titles(view, facts.figures), _label(view, facts, found), notes)


def _label(view: View, facts: Facts, found: list[Bar]) -> str:
    """What the picture shows, for who cannot see it."""
    what = f"{view.graph.name}, block {view.only}" if view.only else view.graph.name
    maps = sum(bar.kind in ("map", "vector", "joined") for bar in found)
    return f"Feature maps of the network {what}: {maps} maps, {count(facts.figures.total.parameters)} parameters"
