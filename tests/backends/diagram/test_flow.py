"""How links are routed: nothing is lost by points and rails, and what is drawn is what the view says."""

from __future__ import annotations

from collections import Counter

import pytest

from netspec import load, loads
from netspec.analyses.outline import outline
from netspec.backends.diagram.cards.flow import route
from netspec.backends.diagram.cards.sketch import sketch
from netspec.backends.diagram.look import Look
from tests.backends.diagram.dot_reading import read
from tests.shipped import daily

RESIDUAL = """
block unit(c) { input x; output x + (x -> conv(c, 3, padding = 1) -> bn -> relu -> conv(c, 3, padding = 1)) -> relu }
net a { input x: [N, 8, H, W]; output y = x -> conv(8, 1) -> unit(8) as one -> unit(8) as two }
"""


def views(spec: str):
    """A network's default view, and those at every depth."""
    found = outline(load(spec).graph)
    return [found.view(depth) for depth in (None, *range(1, found.depths + 1))]


@pytest.mark.parametrize("spec", daily("diagram links"))
def test_the_lines_lead_where_the_links_lead(spec: str) -> None:
    for view in views(spec):
        for look in (Look(), Look(rankdir="LR")):
            drawing = read(sketch(view, look).dot)
            assert drawing.ends() == {number: (link.source, link.target) for number, link in enumerate(view.links)}
            boxes = [name for name in drawing.nodes if drawing.box(name) is not None]
            assert len(boxes) == len(view.boxes)


@pytest.mark.parametrize("spec", ["zoo.resnet:resnet18", "zoo.dbpn:dbpn_x4", "zoo.densenet:densenet121", "zoo.unet:unet"])
def test_ids_are_unique(spec: str) -> None:
    for view in views(spec):
        drawing = read(sketch(view).dot)
        ids = [line.id for line in drawing.lines] + [found["id"] for found in drawing.nodes.values() if "id" in found]
        assert not [name for name, times in Counter(ids).items() if times > 1]


def test_a_tensor_used_twice_enters_a_block_once() -> None:
    view = outline(loads(RESIDUAL).graph).view(2)
    flow = route(view)
    assert len(flow.points) == len(view.groups) and {point.group for point in flow.points} == set(range(len(view.groups)))
    shared = [leg for leg in flow.legs if not leg.last]
    assert len(shared) == len(flow.points) and all(leg.id.endswith("-a") for leg in shared)


def test_a_skip_is_dashed_and_light_and_the_spine_is_heavy() -> None:
    view = outline(loads(RESIDUAL).graph).view(2)
    legs = [leg for leg in route(view).legs if leg.last]
    skips = [leg for leg in legs if view.links[leg.link].course == "skip"]
    assert skips and all(leg.dashed and leg.weight == 1 for leg in skips)
    assert all(leg.weight >= 20 for leg in legs if leg not in skips)


def test_a_projection_is_drawn_as_a_shortcut() -> None:
    view = outline(load("zoo.resnet:resnet18").graph).view(3)
    legs = [leg for leg in route(view).legs if leg.last and leg.dashed and view.links[leg.link].course == "flow"]
    names = {view.boxes[view.links[leg.link].target].name.split(".")[-1] for leg in legs}
    assert any("downsample" in name for name in names) and names <= {"downsample", "add1"}


def test_many_skips_of_a_tensor_share_a_rail() -> None:
    view = outline(load("zoo.dbpn:dbpn_x4").graph).view(1)
    flow = route(view)
    rails = [point for point in flow.points if point.side]
    assert {point.side for point in rails} == {"left", "right"}  # high and low resolution
    for leg in flow.legs:
        if leg.last and leg.tail.startswith("p"):
            assert sum(other.head == leg.tail for other in flow.legs) == 1


def test_links_of_which_only_the_size_matters_are_dotted_and_lead_past_nothing() -> None:
    view = outline(load("zoo.unet:unet_valid").graph).view(1)
    lines = read(sketch(view).dot).lines
    dotted = [line for line in lines if "size" in line.kinds]
    assert dotted and all(line.attributes["style"] == "dotted" for line in dotted)
    # beside a crop `like` a tensor, what that tensor itself takes is the way of the network, and no skip
    legs = route(view, {int(line.id.split("-")[1]) for line in dotted}).legs
    assert not [leg for leg in legs if leg.dashed and leg.last]


def test_loops_settle_no_height() -> None:
    view = outline(load("zoo.recurrent:peephole_lstm").graph).view()
    loops = [line for line in read(sketch(view).dot).lines if "loop" in line.kinds]
    assert loops and all(line.attributes["constraint"] == "false" and "t − 1" in line.attributes["label"] for line in loops)
