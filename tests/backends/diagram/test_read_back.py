"""What a picture says is what the graph has: every box, row, shape and line of the SVG, read back, for shipped networks."""

from __future__ import annotations

import pytest

import netspec
from netspec.analyses.cost import batch_sizes
from netspec.analyses.outline import Box, View, outline
from netspec.backends.diagram.look import Look
from netspec.backends.diagram.picture import Diagram
from netspec.graph import Graph
from netspec.sizes.dim import substitute
from tests.backends.diagram.svg_reading import Picture, read
from tests.shipped import daily

#: more boxes take the renderer long, and say nothing new
MOST = 260


@pytest.mark.slow
@pytest.mark.parametrize("spec", daily("outlines"))
def test_every_network(spec: str) -> None:
    _check(outline(netspec.load(spec).graph).view())


@pytest.mark.slow
@pytest.mark.parametrize("spec", daily("pictures"))
def test_every_depth(spec: str) -> None:
    found = outline(netspec.load(spec).graph)
    for depth in range(found.depths + 1):
        if len((view := found.view(depth)).boxes) <= MOST:
            _check(view)


@pytest.mark.slow
@pytest.mark.parametrize("spec", daily("maps"))
def test_feature_maps_have_every_box_and_link(spec: str) -> None:
    view = outline(netspec.load(spec).graph).view(wide=True)
    picture = read(Diagram(view, Look(), "maps").svg())
    assert {f"box-{n}" for n in range(len(view.boxes))} <= set(picture.areas)
    for number in range(len(view.links)):
        assert any(name == f"link-{number}" or name.startswith(f"link-{number}-") for name in picture.lines), f"no link {number}"


def _check(view: View) -> None:
    picture = read(Diagram(view, Look()).svg())
    shapes = _Shapes(view.graph)
    assert {name for name in picture.areas if name.startswith("box-")} == {f"box-{n}" for n in range(len(view.boxes))}
    assert {name for name in picture.areas if name.startswith("group-")} == {f"group-{n}" for n in range(len(view.groups))}
    for number, box in enumerate(view.boxes):
        _check_box(view, picture, number, box, shapes)
    for number, group in enumerate(view.groups):
        title = picture.areas[f"group-{number}"].title.splitlines()
        assert title[0] == f"{group.name} × {group.repeat}" if group.repeat > 1 else group.name
        assert f"{len(group.nodes)} layers" in title
    for number, link in enumerate(view.links):
        assert picture.lines[f"link-{number}"].title.endswith(shapes.of(link.shown))
        if link.course != "loop":
            assert picture.ends(f"link-{number}") == (f"box-{link.source}", f"box-{link.target}"), f"{link} of {view.graph.name}"


def _check_box(view: View, picture: Picture, number: int, box: Box, shapes: "_Shapes") -> None:
    area = picture.areas[f"box-{number}"]
    written = " ".join(area.texts)
    if box.kind in ("input", "output"):
        ports = {port.name: port.value for port in (view.graph.inputs if box.kind == "input" else view.graph.outputs)}
        value = ports[box.name]
        assert area.texts[0] == box.name and written.endswith(shapes.of(value))
    if box.repeat > 1:
        assert f"× {box.repeat}" in written
    if box.kind == "layers":
        rows = [picture.areas[f"row-{number}-{place}"] for place in range(len(box.rows))]
        assert f"row-{number}-{len(box.rows)}" not in picture.areas
        for row, node in zip(rows, (view.graph.nodes[n] for n in box.rows)):
            assert row.texts[0] == node.op.NAME.replace("_", " ")
            assert row.title.splitlines()[0] == node.name and f"makes {shapes.of(node.outputs[0])}" in row.title.splitlines()
            assert node.origin is None or row.title.endswith(f"{node.origin.file}:{node.origin.line}")
    if box.kind == "block":
        assert box.name.rpartition(".")[2] in written and f"{len(box.nodes)} layers" in area.title
        assert box.call.replace("  ", " ") in area.title


class _Shapes:
    """Shapes as a reader expects them: numbers at the typical sizes, the batch as its name."""

    def __init__(self, graph: Graph) -> None:
        batch = batch_sizes(graph)
        self._values = graph.values
        self._sizes = {name: size for name, size in graph.typical.items() if name not in batch}

    def of(self, value: int) -> str:
        """The sizes of a value, with crosses between them, and sums in brackets."""
        sizes = [str(substitute(size, self._sizes)) for size in self._values[value].shape]
        return "×".join(f"({size})" if " + " in size or " - " in size else size.replace(" * ", "·") for size in sizes) or "scalar"


def test_a_skip_within_a_block_says_what_it_carries() -> None:
    block = "block b(c) { input x; output x + (x -> conv(c, 3, padding = 1) -> bn -> conv(c, 1)) }\n"
    net = netspec.loads(block + "net a { input x: [N, 8, H = 9, W = 7]; output y = x -> 2 * b(8) }")
    labels = [joint.texts for joint in read(Diagram(outline(net.graph).view(), Look()).svg()).joints if joint.texts]
    assert labels == [("8×9×7",)]
