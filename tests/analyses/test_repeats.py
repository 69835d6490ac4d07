"""What a summary tells once: which blocks are equal, under which names, and that nothing is lost."""

from __future__ import annotations

import pytest

import netspec
from netspec.analyses.cost import cost
from netspec.analyses.cost.layers import together
from netspec.analyses.repeats import Line, flat, folded
from netspec.graph import Graph
from tests.shipped import daily

BLOCK = "block unit(c = 4, k = 3) {\n  input x\n  output x + (x -> conv(c, k, padding = same) -> relu)\n}\n"


def lines_of(body: str, head: str = BLOCK) -> list[Line]:
    """The lines of a net that makes its `y` from an input `x` of four channels."""
    return checked(netspec.loads(f"{head}net t {{\n  input x: [N, 4, H = 16]\n  {body}\n  output y\n}}").graph)


def checked(graph: Graph) -> list[Line]:
    """The lines of a graph: each layer in one of them, equal ones equal, and totals that add up."""
    costs = cost(graph).layers
    found = folded(graph, costs)
    assert [n for line in found if not line.depth for n in line.layers] == list(range(len(graph.nodes)))
    for place, line in enumerate(found):
        assert len(line.layers) % line.repeat == 0 and line.end in line.layers
        length = len(line.layers) // line.repeat
        for number in line.layers:
            first = graph.nodes[line.layers.start + (number - line.layers.start) % length]
            assert _facts(graph, number, costs) == _facts(graph, graph.nodes.index(first), costs)
        if length > 1:
            inner = [n for later in _below(found, place) for n in later.layers]
            assert inner == list(line.layers[:length])
            total = together(costs[n] for n in line.layers)
            assert together(costs[n] for n in inner).macs * line.repeat == total.macs
            assert together(costs[n] for n in inner).parameters * line.repeat == total.parameters
    return found


def _facts(graph: Graph, number: int, costs: tuple[object, ...]) -> object:
    node = graph.nodes[number]
    return node.op, graph.types(node.inputs), graph.types(node.outputs), costs[number]


def _below(lines: list[Line], place: int) -> list[Line]:
    """The lines that stand one deeper under a line."""
    own, found = lines[place].depth, []
    for line in lines[place + 1 :]:
        if line.depth <= own:
            break
        found += [line] if line.depth == own + 1 else []
    return found


def told(lines: list[Line]) -> list[str]:
    """Lines as a table shows them."""
    return ["  " * line.depth + line.label + (f" × {line.repeat}" if line.repeat > 1 else "") for line in lines]


@pytest.mark.parametrize("spec", daily("repeats"))
def test_nothing_is_lost_and_totals_add_up(spec: str) -> None:
    checked(netspec.load(spec).graph)


def test_blocks_in_a_row_are_told_once_and_named_by_the_first_and_the_last() -> None:
    found = lines_of("y = x -> unit -> unit -> unit -> relu")
    assert told(found) == ["unit1 … unit3 × 3", "  conv1", "  relu1", "  add1", "relu1"]
    assert found[0].call == "unit(c = 4, k = 3)" and found[0].layers == range(9)


@pytest.mark.parametrize(
    "body",
    ["y = x -> unit -> unit(k = 5)", "y = x -> unit(4) -> conv(8, 1) -> unit(8)", "layer a = unit\n  layer b = unit\n  y = x -> a -> b"],
    ids=["arguments", "not in a row", "names"],
)
def test_what_differs_is_told_apart(body: str) -> None:
    assert all(line.repeat == 1 for line in lines_of(body))


def test_equal_blocks_of_other_shapes_are_told_apart() -> None:
    found = lines_of("y = x -> grow -> grow", "block grow {\n  input x\n  output x ++ (x -> conv(4, 3, padding = same) -> relu)\n}\n")
    assert all(line.repeat == 1 for line in found)


def test_a_shared_block_stores_its_parameters_once() -> None:
    """So its first application is told apart from the others, which cost no parameters."""
    found = lines_of("layer f = unit\n  y = x -> f -> f -> f")
    assert told(found)[:3] == ["f.conv1", "f.relu1", "f.add1"] and told(found)[3] == "f:2 … f:3 × 2"


def test_several_parts_repeat_together() -> None:
    found = lines_of("y = x\n  for i in 0..3 {\n    y = y -> unit(k = 1) -> unit(k = 3)\n  }")
    assert told(found) == ["unit1 … unit6 × 3", *(f"  unit{n}.{layer}1" for n in (1, 2) for layer in ("conv", "relu", "add"))]
    assert found[0].call == "unit, unit"


def test_repeats_in_repeats() -> None:
    head = f"{BLOCK}block stage {{\n  input x\n  output x -> unit -> unit -> max_pool(1)\n}}\n"
    found = lines_of("y = x -> stage -> stage", head)
    assert told(found) == ["stage1 … stage2 × 2", "  unit1 … unit2 × 2", "    conv1", "    relu1", "    add1", "  max_pool1"]


def test_mere_layers_are_told_once_where_they_are_many() -> None:
    assert told(lines_of("y = x\n  for i in 0..100 {\n    y = y -> conv(4, 3, padding = same) -> relu\n  }"))[0] == "conv1 … relu100 × 100"
    assert told(lines_of("y = x\n  for i in 0..30 {\n    y = y -> relu\n  }")) == ["relu1 … relu30 × 30"]
    assert len(lines_of("y = x -> 4 * (conv(4, 3, padding = same) -> relu)")) == 8


def test_long_names_share_what_they_begin_with() -> None:
    found = checked(netspec.load("zoo.bert:bert_base").graph)
    (unit,) = (line for line in found if line.repeat == 12)
    assert unit.label == "encoder.layer.0 … .11" and len(found) < 40
    assert {"  attention.self.query", "  attention.self.key"} <= set(told(found))


def test_resnet152_is_a_page() -> None:
    graph = netspec.load("zoo.resnet:resnet152").graph
    found = checked(graph)
    assert len(graph.nodes) == len(flat(graph)) == 515 and len(found) < 100
    assert [line.repeat for line in found if line.repeat > 1] == [2, 7, 35, 2]
    assert all(graph.nodes[line.end].name.endswith("relu3") for line in found if line.repeat > 1)


def test_networks_that_run_networks_fold() -> None:
    """A scan is a layer; equal ones have equal bodies."""
    checked(netspec.load("zoo.dbpn_recurrent:dbpn_res_mr64_3_x2").graph)
    checked(netspec.load("zoo.recurrent:jordan").graph)
