"""Folded or not, a view shows the connections that the graph has, and no others: shipped networks, at every depth."""

from __future__ import annotations

import pytest

import netspec
from netspec.analyses.bodies import with_bodies
from netspec.analyses.outline import View, outline
from netspec.graph import Graph
from tests.shipped import SHIPPED, daily


@pytest.mark.parametrize("spec", daily("connections"))
def test_at_every_depth(spec: str) -> None:
    graph = netspec.load(spec).graph
    found = outline(graph)
    for depth in (None, *range(found.depths + 1)):
        check(graph, found.view(depth))


@pytest.mark.parametrize("spec", SHIPPED[::9])
def test_each_block_alone(spec: str) -> None:
    graph = netspec.load(spec).graph
    found = outline(graph)
    for key in found.blocks[:: max(1, len(found.blocks) // 8)]:
        shown = found.view(only=key)
        check(graph, shown, whole=False)
        assert shown.only == key


def check(graph: Graph, view: View, whole: bool = True) -> None:
    """A view against the graph that it shows."""
    home = {node: number for number, box in enumerate(view.boxes) for node in box.nodes}
    runners = {number for number, node in enumerate(view.graph.nodes) if node.op.NAME == "scan"} - set(home)
    assert sum(len(box.nodes) for box in view.boxes) == len(home), "a layer stands in one box"
    if whole:
        assert set(home) | runners == set(range(len(view.graph.nodes))), "every layer stands in a box"
    assert len({box.key for box in view.boxes}) == len(view.boxes)
    linked = {(link.source, link.target) for link in view.links if link.course != "loop"}
    wanted = _connections(view, home, _aliases(graph))
    repeated = _repeated(view, home)
    assert linked <= wanted, f"links that the graph does not have: {_names(view, linked - wanted)}"
    assert wanted - linked <= repeated, f"connections that are not shown: {_names(view, wanted - linked - repeated)}"


def _connections(view: View, home: dict[int, int], alias: dict[int, int]) -> set[tuple[int, int]]:
    """Pairs of boxes of which one makes what the other takes, from the graph alone."""
    graph = view.graph
    maker: dict[int, int] = {}
    for number, box in enumerate(view.boxes):
        if box.kind == "input":
            maker[_end(alias, box.gives[0])] = number
    for number, node in enumerate(graph.nodes):
        if number in home:
            maker.update((value, home[number]) for value in node.outputs if value not in alias)
    found = set()
    for number, node in enumerate(graph.nodes):
        if number in home and node.op.NAME != "scan":
            found |= {(maker[v], home[number]) for v in (_end(alias, i) for i in node.inputs) if v in maker}
    for number, box in enumerate(view.boxes):
        if box.kind == "output":
            found.add((maker[_end(alias, box.takes[0])], number))
    return {(a, b) for a, b in found if a != b}


def _aliases(graph: Graph) -> dict[int, int]:
    """What goes into a step is what goes into its scan, and what comes out of the scan is what comes out of its steps."""
    flat, regions = with_bodies(graph)
    found: dict[int, int] = {}
    for number, region in regions.items():
        found.update(zip(region.inputs, flat.nodes[number].inputs))
        found.update(zip(flat.nodes[number].outputs, region.outputs))
    return found


def _end(alias: dict[int, int], value: int) -> int:
    while value in alias:
        value = alias[value]
    return value


def _repeated(view: View, home: dict[int, int]) -> set[tuple[int, int]]:
    """Pairs of boxes in one repeated group: the next repetition begins where the one before it ends."""
    found: set[tuple[int, int]] = set()
    for group in view.groups:
        if group.repeat > 1:
            inside = {home[node] for node in group.nodes if node in home}
            found |= {(a, b) for a in inside for b in inside}
    return found


def _names(view: View, pairs: set[tuple[int, int]]) -> list[str]:
    return [f"{view.boxes[a].key} -> {view.boxes[b].key}" for a, b in sorted(pairs)[:5]]


def test_repetition_is_counted() -> None:
    text = "block b(c) { input x; output x + (x -> conv(c, 3, padding = 1) -> bn) }\n"
    found = outline(netspec.loads(text + "net a { input x: [N, 8, H = 9, W = 9]; output y = x -> 6 * b(8) }").graph)
    box = found.view(1).boxes[1]
    assert (box.repeat, box.kind, len(box.nodes), box.call) == (6, "block", 18, "b(c = 8)")
    opened = found.view(2)
    assert [group.repeat for group in opened.groups] == [6]
    assert sum(len(b.nodes) for b in opened.boxes) == 18


@pytest.mark.parametrize("spec", ["zoo.hrnet:hrnet_w18", "zoo.wavenet:wavenet_large", "zoo.resnet:resnet152", "zoo.swin:swin_b"])
def test_the_default_fits_a_page(spec: str) -> None:
    boxes = [box for box in outline(netspec.load(spec).graph).view().boxes if box.kind not in ("input", "output")]
    assert 20 <= len(boxes) <= 40


def test_a_network_without_layers_is_its_ports() -> None:
    graph = netspec.loads("net a { input x: [N, 4]; output y = x }").graph
    for depth in (None, 0, 1):
        view = outline(graph).view(depth)
        assert [box.key for box in view.boxes] == ["input:x", "output:y"]
        check(graph, view)


def test_around_a_scan_tensors_have_all_their_steps() -> None:
    graph = netspec.load("zoo.recurrent:peephole_lstm").graph
    found = outline(graph)
    for depth in (1, 2):
        view = found.view(depth)
        for link in view.links:
            if view.boxes[link.source].kind == "input" or view.boxes[link.target].key == "fc":
                assert [str(size) for size in view.graph.values[link.shown].shape] == ["N", "T", "1"]
    (folded,) = (box for box in found.view(1).boxes if box.key == "cell")
    assert [[str(size) for size in graph.values[value].shape] for value in folded.gives] == [["N", "T", "1"]]
