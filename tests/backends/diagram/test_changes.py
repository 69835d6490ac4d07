"""The picture of two networks, read back: every box, row and link is drawn as what became of it, with signs that need no colours."""

from __future__ import annotations

import re
from functools import cache

import pytest

from netspec import load, loads
from netspec.analyses.diff import Pairing, compare
from netspec.analyses.diff.overlay import Comparable, Overlay
from netspec.analyses.diff.union import Status
from netspec.api import diff
from netspec.backends.diagram import palette
from netspec.backends.diagram.changes.card import GROUNDS, INKS, within
from netspec.backends.diagram.changes.sketch import sketch_changes
from netspec.backends.diagram.changes.words import SIGNS
from netspec.backends.diagram.drawing.engine import render
from netspec.backends.diagram.look import Look, Sketch
from netspec.backends.diagram.palette import ADDED, DARK, FLOW, REMOVED
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph
from tests.analyses.test_diff_union import BASE, EDITS, SHIPPED, edited, laid
from tests.backends.diagram.dot_reading import Drawing, read
from tests.backends.diagram.test_cards import HOSTILE
from tests.backends.diagram.test_palette import contrast

CASES = [*EDITS, *SHIPPED]


@cache
def overlay_of(case: str | tuple[str, str]) -> Overlay:
    return laid(*(edited(case) if isinstance(case, str) else (load(spec).graph for spec in case))).at()


def drawn(overlay: Overlay, look: Look = Look()) -> tuple[Sketch, Drawing]:
    found = sketch_changes(overlay, look)
    return found, read(found.dot)


def words(html: str) -> list[str]:
    """The texts of an HTML label."""
    return [text.strip() for text in re.findall(r">([^<>]+)<", html) if text.strip()]


def rows(html: str) -> dict[str, list[str]]:
    """The texts of each row of a card that shows a layer, by its id."""
    return {found[1]: words(found[2]) for found in re.finditer(r'<TD ID="(row-\d+-\d+)"(.*?)</TD>', html)}


# ---------------------------------------------------------------------------------------------------------- what is drawn
@pytest.mark.parametrize("case", CASES, ids=str)
def test_boxes_and_links_are_drawn_as_what_became_of_them(case: str | tuple[str, str]) -> None:
    overlay = overlay_of(case)
    found, drawing = drawn(overlay)
    view = overlay.view
    boxes = {number: node for node in drawing.nodes.values() if (number := node.get("id", "")).startswith("box-")}
    assert boxes.keys() == {f"box-{n}" for n in range(len(view.boxes))}
    for number, (box, status) in enumerate(zip(view.boxes, overlay.boxes)):
        label = boxes[f"box-{number}"]["label"]
        assert boxes[f"box-{number}"]["class"] == f"{box.kind} {status}"
        if status in ("added", "removed"):
            assert SIGNS[status] in words(label) and INKS[status] in label
            assert ("DOTTED" in label) == (status == "removed") == ("<S>" in label)
        shown = rows(label)
        if "<TABLE" in label and box.rows:
            assert list(shown) == [f"row-{number}-{place}" for place in range(len(box.rows))]
        assert f"box-{number}" in found.titles and shown.keys() <= found.titles.keys()
    assert drawing.ends() == {number: (link.source, link.target) for number, link in enumerate(view.links)}
    for number, fate in enumerate(overlay.links):
        line = next(line for line in drawing.lines if line.id == f"link-{number}")
        assert fate in line.kinds and line.attributes["color"] == {"same": FLOW, "added": ADDED, "removed": REMOVED}[fate]
        assert (line.attributes.get("style") == "dotted") == (fate == "removed")
        assert (float(line.attributes.get("penwidth", "1.1")) > 2) == (fate == "added")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_changed_layer_says_what_changed(case: str | tuple[str, str]) -> None:
    overlay = overlay_of(case)
    found, drawing = drawn(overlay)
    for number, box in enumerate(overlay.view.boxes):
        label = next(node["label"] for node in drawing.nodes.values() if node.get("id") == f"box-{number}")
        signs = [text for text in words(label) if text in SIGNS.values()]
        marks = [overlay.union.marks[row].status for row in box.rows]
        if "<TABLE" in label and box.rows:
            assert signs == [SIGNS[status] for status in marks if status not in ("same", "follows")]
        for place, row in enumerate(box.rows):
            mark = overlay.union.marks[row]
            if mark.status == "changed":
                first = next(c for c in mark.changes if c.cause)
                assert "→" in label
                assert all(text in found.titles[f"row-{number}-{place}"] for text in (first.old or "none", first.new or "none"))


def test_a_change_stands_on_its_row() -> None:
    overlay = overlay_of("an argument")
    _, drawing = drawn(overlay)
    number = next(n for n, box in enumerate(overlay.view.boxes) if box.key == "two.conv1")
    label = next(node["label"] for node in drawing.nodes.values() if node.get("id") == f"box-{number}")
    assert rows(label)[f"row-{number}-0"] == ["conv", "64 · 3×3", "dilation 1 → 2"] and "padding 1 → 2" in words(label)


@pytest.mark.parametrize("name", ["a layer less", "a block more", "a block in place of a layer", "a new skip", "another input"])
def test_exchanging_the_networks_exchanges_green_and_red(name: str) -> None:
    graphs = edited(name)
    counts = []
    for old, new in (graphs, graphs[::-1]):
        dot = sketch_changes(laid(old, new).at(), Look(legend=False)).dot
        lines = read(dot).lines
        boxes = [node["class"].split()[1] for node in read(dot).nodes.values() if node.get("id", "").startswith("box-")]
        fates = [sum(fate in line.kinds for line in lines) for fate in ("added", "removed")]
        counts.append((fates, [boxes.count("added"), boxes.count("removed")]))
    assert (
        counts[0][0] == counts[1][0][::-1]
        and counts[0][1] == counts[1][1][::-1]
        and any(counts[0][0] + counts[0][1])
        or name == "a layer less"
    )


def test_nothing_changed() -> None:
    found, drawing = drawn(overlay_of("nothing"))
    assert len(drawing.lines) == 2 and "the same network" in found.label
    assert "the same network: nothing changed" in words(found.dot) and "unchanged" in found.dot
    assert ADDED not in found.dot and REMOVED not in found.dot


# ---------------------------------------------------------------------------------------------------------------- the title
def test_the_title_tells_names_and_totals() -> None:
    found = diff("zoo.resnet:resnet18", "zoo.resnet:resnet34").diagram()
    told = words(found.dot)
    for text in (
        "zoo.resnet:resnet18",
        "zoo.resnet:resnet34",
        "params 11.69 M → 21.80 M",
        "(+86.5 %)",
        "MACs 1.81 G → 3.66 G",
        "(+102.0 %)",
        "RF all",
    ):
        assert text in told
    assert "layers +56" in found.dot and "of a checkpoint fit 122 of 218 tensors" in found.dot


def test_receptive_fields_in_the_title() -> None:
    text = "net a {{ input x: [N, 3, H = 64, W = 64]; output y = x -> conv(4, {0}) -> relu }}"
    told = words(diff(loads(text.format(3)), loads(text.format(5))).diagram().dot)
    assert "RF 3 → 5" in told and "(+66.7 %)" in told and "params 112 → 304" in told


def test_numbers_that_look_equal_are_written_out() -> None:
    old = "net a { input x: [N, 1000]; output y = x -> linear(1000) -> linear(1000) }"
    told = words(diff(loads(old), loads(old.replace("-> linear(1000) }", "-> linear(1000, bias = false) -> relu }"))).diagram().dot)
    assert "params 2,002,000 → 2,001,000" in told and "(−1,000)" in told or "params 2.00 M → 2.00 M" not in told


# ------------------------------------------------------------------------------------------------------------------- files
def test_pictures_are_drawn() -> None:
    found = diff(*(loads(text) for text in (BASE, BASE.replace(" -> dropout(0.1)", "")))).diagram()
    svg = found.svg()
    assert (
        found.drawn_by
        and svg.startswith("<svg")
        and "<title>" in svg
        and 'class="link same flow"' in svg
        or 'class="link flow same"' in svg
    )
    assert found.bytes(".png").startswith(b"\x89PNG") and found.bytes(".dot").decode() == found.dot
    page = found.bytes(".html").decode()
    assert (
        page.startswith("<!doctype html>")
        and "<svg" in page
        and "- dropout1" in page
        and "http" not in page.replace("http://www.w3.org/2000/svg", "")
    )
    with pytest.raises(Refusal) as caught:
        found.bytes(".gif")
    assert caught.value.diagnostic.code == "NS015"


@pytest.mark.parametrize("case", [case for case in CASES if isinstance(case, tuple)], ids=str)
def test_renderers_take_it(case: tuple[str, str]) -> None:
    assert render(sketch_changes(overlay_of(case)).dot, "svg").data


def test_a_depth() -> None:
    found = diff(loads(BASE), loads(BASE.replace("-> dropout(0.1)", "-> sigmoid")))
    assert [len(found.diagram(depth).view.groups) for depth in (0, 1, 2)] == [0, 0, 1]
    folded = found.diagram(1)
    box = next(box for box in folded.view.boxes if box.kind == "block")
    assert box.repeat == 3 and "+3 −3 of 27 layers" in words(folded.dot)
    with pytest.raises(Refusal):
        found.diagram(-1)


def test_directions_and_legend() -> None:
    found = diff(loads(BASE), loads(BASE.replace(" -> dropout(0.1)", "")))
    assert "rankdir=LR" in found.diagram(rankdir="LR").dot and "rankdir=LR" not in found.diagram(rankdir="TB").dot
    assert "unchanged" in words(found.diagram().dot) and "unchanged" not in words(found.diagram(legend=False).dot)
    with pytest.raises(Refusal):
        found.diagram(rankdir="up")


# ----------------------------------------------------------------------------------------------------------- hostile names
def renamed(graph: Graph, text: str) -> Graph:
    """The graph with a text in place of every name."""
    ports = {kind: tuple(p.model_copy(update={"name": text}) for p in getattr(graph, kind)) for kind in ("inputs", "outputs")}
    scopes = tuple(
        s.model_copy(update={"path": s.path and f"{s.path}{text}", "definition": text, "arguments": (("c", text),)}) for s in graph.scopes
    )
    nodes = tuple(n.model_copy(update={"name": f"{n.name}{text}"}) for n in graph.nodes)
    return graph.model_copy(update={**ports, "scopes": scopes, "nodes": nodes, "name": text, "arguments": (("a", text),)})


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", ["a block in place of a layer", "an argument"])
def test_hostile_names_stay_text(text: str, name: str) -> None:
    plain = sketch_changes(overlay_of(name))
    pair = Pairing(*(renamed(graph, text) for graph in edited(name)))
    found = sketch_changes(Comparable(pair, compare(pair, f"1{text}", f"2{text}")).at())
    assert len(read(found.dot).nodes) == len(read(plain.dot).nodes) and len(read(found.dot).lines) == len(read(plain.dot).lines)
    svg = render(found.dot, "svg").data.decode()
    assert "<script" not in svg and svg.count("<g id") == render(plain.dot, "svg").data.decode().count("<g id")


# ------------------------------------------------------------------------------------------------------------------ looks
@pytest.mark.parametrize("status", ["added", "removed", "changed"])
def test_colours_can_be_read(status: Status) -> None:
    for ink, ground in (
        (INKS[status], GROUNDS[status]),
        (INKS[status], palette.CARD),
        (palette.TEXT, GROUNDS[status]),
        (palette.INK, GROUNDS[status]),
    ):
        assert contrast(ink, ground) >= 4.5 and contrast(DARK[ink], DARK[ground]) >= 4.5
    assert contrast(INKS[status], palette.GROUPS[-1]) >= 4 and contrast(palette.GREY, palette.SHEET) >= 4.5


def test_every_colour_has_a_dark_one() -> None:
    for case in CASES:
        assert set(re.findall(r"#[0-9a-f]{6}", sketch_changes(overlay_of(case)).dot)) <= set(DARK)


@pytest.mark.parametrize(
    "name, around, wanted",
    [
        ("layer1.0", "layer1", "layer1.0"), ("features.2.block", "features.2", "block"),
        ("features.2.block", "features", "features.2.block"),
        ("body.one", "body", "one"), ("one", "", "one"), ("bodyguard.one", "body", "bodyguard.one"),
    ],
)  # fmt: skip
def test_names_leave_out_the_block_around(name: str, around: str, wanted: str) -> None:
    assert within(name, around) == wanted
