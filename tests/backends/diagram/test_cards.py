"""The cards: every layer has its row, every number is the analyses', and nothing that a user wrote is read as markup."""

from __future__ import annotations

import re
from html import unescape
from xml.etree import ElementTree

import pytest

from netspec import load, loads
from netspec.analyses.cost import cost
from netspec.analyses.outline import outline
from netspec.analyses.outline.model import View
from netspec.backends.diagram.cards.card import Cards, last_of
from netspec.backends.diagram.cards.heat import scale
from netspec.backends.diagram.cards.legend import shown_families
from netspec.backends.diagram.cards.sketch import sketch
from netspec.backends.diagram.figures import Figures
from netspec.backends.diagram.look import Look
from netspec.backends.diagram.palette import FAMILIES, SCALE
from netspec.backends.diagram.wording import count, name
from tests.backends.diagram.dot_reading import read
from tests.shipped import daily


def view_of(spec: str, depth: int | None = None) -> View:
    return outline(load(spec).graph).view(depth)


def texts(label: str) -> list[str]:
    """The words of an HTML label, cell by cell."""
    found = ElementTree.fromstring(f"<X>{label}</X>")
    words = (" ".join("".join(cell.itertext()).split()) for cell in found.iter("TD") if cell.find("TABLE") is None)
    return [text.replace("\\\\", "\\") for text in words if text]


@pytest.mark.parametrize("spec", daily("diagram cards"))
def test_every_label_is_markup_and_names_its_operators(spec: str) -> None:
    view = view_of(spec)
    cards = Cards(view, Figures(view.graph, Look()), None)
    for number, box in enumerate(view.boxes):
        words = texts(cards.label(number))
        for place, row in enumerate(box.rows):
            node = view.graph.nodes[row]
            assert words[place].startswith(name(node.op))
        if box.kind in ("input", "output"):
            assert words[0] == box.name[:30]


def test_a_card_tells_parameters_and_what_it_sees() -> None:
    view = view_of("zoo.resnet:resnet18", 1)
    label = Cards(view, Figures(view.graph, Look()), None).label(1)
    assert texts(label) == ["conv 64 · 7×7 · /2", "batch norm", "relu", "9.54 k params · RF 7"]


def test_a_folded_block_tells_how_often_and_its_share() -> None:
    view = view_of("zoo.resnet:resnet50", 2)
    number, box = next((n, box) for n, box in enumerate(view.boxes) if box.name == "layer3.1")
    words = texts(Cards(view, Figures(view.graph, Look()), None).label(number))
    layers = cost(view.graph).layers
    parameters = sum(layers[node].parameters for node in box.nodes)
    assert any(cell == "layer3.1 × 5" for cell in words)
    assert any(cell.startswith(f"{count(parameters)} params · 22 %") for cell in words)


def test_ports_tell_shape_and_type() -> None:
    view = view_of("zoo.tagger:bilstm_tagger")
    cards = Cards(view, Figures(view.graph, Look()), None)
    assert texts(cards.label(0)) == ["words", "int64 N×32"]
    assert texts(cards.label(len(view.boxes) - 1)) == ["scores", "N×32×18"]


def test_titles_tell_call_shape_cost_and_place() -> None:
    view = view_of("zoo.resnet:resnet18", 1)
    found = sketch(view).titles
    lines = found["row-1-0"].split("\n")
    assert lines[0] == "conv1" and lines[1] == "conv(64, 7, stride = 2, padding = 3, bias = false)"
    assert lines[2] == "makes N×64×112×112" and lines[3] == "9.41 k parameters (< 0.1 %), 118 M MACs (6.5 %)"
    assert lines[4] == "sees H 7, W 7" and re.fullmatch(r"zoo\.resnet:\d+", lines[5])
    assert set(found) >= {f"box-{n}" for n in range(len(view.boxes))} | {f"link-{n}" for n in range(len(view.links))}


def test_recurrent_layers_loop() -> None:
    lines = read(sketch(view_of("zoo.tagger:bilstm_tagger")).dot).lines
    loops = [line for line in lines if "self" in line.kinds]
    assert len(loops) == 1 and loops[0].tail == loops[0].head


def test_short_chains_run_sideways() -> None:
    assert "rankdir=LR" in sketch(view_of("zoo.tagger:bilstm_tagger")).dot
    assert "rankdir=TB" in sketch(view_of("zoo.resnet:resnet18")).dot
    assert "rankdir=LR" in sketch(view_of("zoo.resnet:resnet18"), Look(rankdir="LR")).dot
    assert "rankdir=TB" in sketch(view_of("zoo.tagger:bilstm_tagger"), Look(rankdir="TB")).dot


@pytest.mark.parametrize("kind", ["parameters", "macs", "bytes", "field"])
def test_heat_grows_with_the_value(kind: str) -> None:
    view = view_of("zoo.resnet:resnet50", 2)
    figures = Figures(view.graph, Look())
    found = scale(view, figures, kind)  # type: ignore[arg-type]
    boxes = sorted(found.values, key=lambda box: found.values[box])
    steps = [SCALE.index(found.colour(box)) for box in boxes]
    assert steps == sorted(steps) and steps[-1] == len(SCALE) - 1
    dot = sketch(view, Look(heat=kind)).dot  # type: ignore[arg-type]
    assert all(unescape(found.text(box)) in unescape(dot) for box in boxes if view.boxes[box].kind != "merge")


def test_heat_is_what_the_analysis_counts() -> None:
    view = view_of("zoo.resnet:resnet50", 2)
    layers = cost(view.graph).layers
    found = scale(view, Figures(view.graph, Look()), "macs")
    for box, value in found.values.items():
        assert value == sum(layers[node].macs for node in view.boxes[box].nodes)


def test_the_legend_lists_what_occurs_and_nothing_else() -> None:
    view = view_of("zoo.tagger:bilstm_tagger")
    dot = sketch(view).dot
    assert shown_families(view) == ["linear", "recurrent", "regularizer"]
    assert all((FAMILIES[kind].words in dot) == (kind in shown_families(view)) for kind in FAMILIES if kind != "io")
    assert "bilstm_tagger" in dot and "1.52 M parameters" in dot
    assert "labelloc" not in sketch(view, Look(legend=False)).dot


def test_names_end_where_they_say_something() -> None:
    assert [last_of(text) for text in ("layer1", "body.layer1", "body.layer1.0", "a.b.0.1", "0.1")] == [
        "layer1",
        "layer1",
        "layer1.0",
        "b.0.1",
        "0.1",
    ]


HOSTILE = ["<B>x</B>", "&lt;b&gt;", "a\\N\\l", '"];n0->n1;"', "a:b", "<<TABLE>>", "x" * 300, "ä→日本", "]]>", "\\", "a\u202eb"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_text(text: str) -> None:
    graph = loads("net a { input x: [N, 4, H, W]; output y = x -> conv(4, 3, padding = 1) as one -> relu }").graph
    ports = [port.model_copy(update={"name": text}) for port in graph.inputs]
    graph = graph.model_copy(update={"inputs": tuple(ports), "name": text})
    view = outline(graph).view()
    found = sketch(view)
    drawing = read(found.dot)
    assert set(drawing.nodes) == {"n0", "n1", "n2"} and len(drawing.lines) == 2
    (cell, _) = texts(Cards(view, Figures(view.graph, Look()), None).label(0))
    assert cell == text.replace("\u202e", "") or cell.endswith("…")
    assert "\n" not in found.titles["box-0"].split("\n")[0]


def test_a_large_view_is_sketched_fast() -> None:
    import time

    view = view_of("zoo.densenet:densenet201", 4)
    assert len(view.boxes) > 300
    start = time.process_time()
    sketch(view)
    assert time.process_time() - start < 1.5  # a tenth of it on a quiet machine
