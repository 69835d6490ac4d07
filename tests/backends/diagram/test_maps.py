"""The picture of feature maps: everything of the view is in it, nothing lies on anything else, and places tell resolutions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from netspec import load, loads
from netspec.analyses.outline import outline
from netspec.analyses.outline.model import View
from netspec.backends.diagram.drawing.engine import render
from netspec.backends.diagram.drawing.finish import finish
from netspec.backends.diagram.look import Look
from netspec.backends.diagram.maps.bars import Bar, bars
from netspec.backends.diagram.maps.facts import Facts
from netspec.backends.diagram.maps.grid import Grid, grid
from netspec.backends.diagram.maps.plan import Plan, plan
from netspec.backends.diagram.maps.routes import routes
from netspec.backends.diagram.maps.sketch import sketch_maps
from netspec.backends.diagram.palette import DARK
from tests.backends.diagram.dot_reading import read
from tests.shipped import daily

#: larger views are not what anyone draws, and pairs of all their bars take long to compare
LARGEST = 130


def view_of(spec: str, depth: int | None = None) -> View:
    return outline(load(spec).graph).view(depth, wide=True)


def laid_out(view: View, look: Look = Look()) -> tuple[Plan, Grid]:
    facts = Facts(view, look)
    found = bars(view, facts)
    places = grid(view, found)
    words = [facts.words(number) for number in range(len(view.links))]
    return plan(view, found, places, routes(view, found, places), words), places


def views(spec: str) -> Iterator[View]:
    """The view that fits a page, one of folded blocks, and the deepest, where they are not too large."""
    made = outline(load(spec).graph)
    for depth in (None, 1, made.depths):
        view = made.view(depth, wide=True)
        if len(view.boxes) <= LARGEST:
            yield view


# ------------------------------------------------------------------------------------------------- every shipped network
@pytest.mark.parametrize("spec", daily("diagram maps"))
def test_every_box_and_link_is_drawn_and_no_other(spec: str) -> None:
    for view in views(spec):
        drawing = read(sketch_maps(view, Look()).dot)
        boxes = [number for name in drawing.nodes if (number := drawing.box(name)) is not None]
        assert sorted(boxes) == list(range(len(view.boxes)))
        assert drawing.ends() == {number: (link.source, link.target) for number, link in enumerate(view.links)}


@pytest.mark.parametrize("spec", daily("diagram maps"))
def test_bars_stand_apart_and_lines_run_between_them(spec: str) -> None:
    for view in views(spec):
        placed, places = laid_out(view)
        standing = [placed.bars[box] for box in places.column]
        for place, bar in enumerate(standing):
            assert not any(apart_by(bar, other) < 2 for other in standing[:place])
        for line in placed.lines:
            link = view.links[line.link]
            own = {places.cell(link.source), places.cell(link.target)}
            for (x, y), (u, v) in zip(line.points, line.points[1:]):
                assert abs(x - u) < 0.01 or abs(y - v) < 0.01, "lines are level or upright"
                for bar in standing:
                    assert bar.box in own or not crosses(bar, min(x, u), max(x, u), min(y, v), max(y, v))


@pytest.mark.parametrize("spec", daily("diagram maps"))
def test_lines_lead_from_their_source_to_their_target(spec: str) -> None:
    view = view_of(spec)
    placed, places = laid_out(view)
    for line in placed.lines:
        link = view.links[line.link]
        for box, (x, y) in ((link.source, line.points[0]), (link.target, line.points[-1])):
            bar = placed.bars[places.cell(box)]
            assert bar.left - 0.1 <= x <= bar.right + 0.1
            assert bar.y - bar.height / 2 - 0.1 <= y <= bar.y + bar.height / 2 + 0.1


def apart_by(one: Bar, other: Bar) -> float:
    """How far bars are from each other: negative where they lie on each other."""
    across = max(one.left, other.left) - min(one.right, other.right)
    along = abs(one.y - other.y) - (one.height + other.height) / 2
    return max(across, along)


def crosses(bar: Bar, left: float, right: float, top: float, bottom: float) -> bool:
    inside = right > bar.left + 0.5 and left < bar.x + bar.width / 2 - 0.5
    return inside and bottom > bar.y - bar.height / 2 + 0.5 and top < bar.y + bar.height / 2 - 0.5


# --------------------------------------------------------------------------------------------------------------- places
def named(placed: Plan, view: View) -> dict[str, Bar]:
    return {box.key: placed.bars[number] for number, box in enumerate(view.boxes)}


def test_a_u_net_stands_as_a_u() -> None:
    view = view_of("zoo.unet:unet")
    placed, places = laid_out(view)
    assert places.upright and len(places.rows) == 5
    bar = named(placed, view)
    rows = [
        ("enc.0.0", "enc.0.3", "dec.0.0", "head"),
        ("max_pool1", "enc.1.0", "dec.1.3"),
        ("enc.3.3", "up.3", "dec.3.0"),
        ("mid.0", "mid.3"),
    ]
    heights = [{bar[key].y for key in row} for row in rows]
    assert all(len(found) == 1 for found in heights) and sorted(map(min, heights)) == [min(found) for found in heights]
    assert bar["enc.0.3"].x == bar["max_pool1"].x, "what is pooled stands right above"
    assert bar["mid.3"].x == pytest.approx(bar["up.3"].x), "what is enlarged goes right up"
    assert bar["mid.0"].height < bar["enc.3.0"].height < bar["enc.0.0"].height


def test_what_is_joined_stands_side_by_side() -> None:
    view = view_of("zoo.unet:unet")
    placed, places = laid_out(view)
    bar = named(placed, view)
    joined = bar["concat1"]
    assert [segment.family for segment in joined.segments] == ["skip", "upsample"]
    assert joined.segments[1].glued == bar["up.3"].box and places.cell(bar["up.3"].box) == joined.box
    assert joined.segments[0].x < joined.segments[1].x and joined.segments[0].width == joined.segments[1].width


def test_a_cropped_map_stands_in_the_joined_one() -> None:
    view = view_of("zoo.unet:unet_valid")
    placed, places = laid_out(view)
    bar = named(placed, view)
    joined = bar["concat1"]
    glued = [placed.bars[segment.glued] for segment in joined.segments if segment.glued is not None]
    assert places.upright and [one.making.family for one in glued] == ["reshape", "upsample"]
    assert glued[0].box == bar["crop1"].box and {places.cell(one.box) for one in glued} == {joined.box}


@pytest.mark.parametrize("spec", ["zoo.vgg:vgg16", "zoo.autoencoder:autoencoder", "zoo.resnet:resnet18", "zoo.mixer:mixer_s32_224"])
def test_other_networks_stand_in_a_row(spec: str) -> None:
    view = view_of(spec)
    placed, places = laid_out(view)
    assert not places.upright
    middle = placed.bars[0].y
    assert sum(bar.y == middle for bar in placed.bars) >= len(placed.bars) - 4


def test_branches_run_in_lanes() -> None:
    view = outline(load("zoo.googlenet:googlenet").graph).view(only="inception3a")
    placed, places = laid_out(view)
    assert len(places.rows) == 4
    (joined,) = [bar for bar in placed.bars if bar.kind == "joined"]
    assert len(joined.segments) == 4 and joined.above == "256"


def test_back_projection_goes_up_and_down() -> None:
    view = view_of("zoo.dbpn:dbpn_x4")
    placed, places = laid_out(view)
    bar = named(placed, view)
    assert places.upright and len(places.rows) == 2
    assert len({bar[f"up{n}"].y for n in range(1, 7)}) == len({bar[f"down{n}"].y for n in range(1, 6)}) == 1
    assert bar["up1"].y < bar["down1"].y and bar["up1"].making.family == "upsample"


def test_a_step_leads_back() -> None:
    view = view_of("zoo.recurrent:peephole_lstm")
    placed, _ = laid_out(view)
    loops = [line for line in placed.lines if view.links[line.link].course == "loop"]
    assert loops and all(line.points[-1][0] < line.points[0][0] for line in loops)


# ---------------------------------------------------------------------------------------------------------------- words
def words(dot: str) -> list[str]:
    """What is written in a picture, beside its legend."""
    nodes = read(dot).nodes
    return [node["label"] for name, node in nodes.items() if re.fullmatch(r"w\d+", name)]


def test_bars_tell_channels_and_resolutions_once_a_level() -> None:
    dot = sketch_maps(view_of("zoo.unet:unet"), Look(legend=False)).dot
    assert [text for text in words(dot) if text.endswith("²")] == ["512²", "256²", "128²", "64²", "32²"]
    channels = [text for text in words(dot) if re.fullmatch("[0-9]+", text)]
    assert channels[:8] == ["1", "64", "64", "64", "128", "128", "128", "256"] and channels.count("1024") == 3
    assert {line.attributes.get("label") for line in read(dot).lines} >= {"3×3", "2×2", "2×2 ↑2", "64×512×512", "512×64×64"}


def test_sizes_can_be_expressions_of_the_same_proportions() -> None:
    view = view_of("zoo.unet:unet")
    typical, symbolic = laid_out(view)[0], laid_out(view, Look(sizes="symbolic"))[0]
    assert [bar.height for bar in typical.bars] == [bar.height for bar in symbolic.bars]
    found = words(sketch_maps(view, Look(sizes="symbolic")).dot)
    assert "H×W" in found and "(H // 2)×(W // 2)" in found


def test_other_typical_sizes_are_told() -> None:
    assert "96×64" in words(sketch_maps(view_of("zoo.unet:unet"), Look(typical={"H": 96, "W": 64})).dot)


def test_the_legend_tells_operators() -> None:
    dot = sketch_maps(view_of("zoo.unet:unet"), Look()).dot
    told = ["Conv 3×3, BN, ReLU", "MaxPool 2×2", "ConvTranspose 2×2 ↑2", "Conv 1×1", "copy and concatenate"]
    assert [text for text in words(dot) if text in told] == told
    assert words(dot)[-1] == "unet · 31 M parameters · 192 G MACs"
    assert "key-0" in dot and "key-0" not in sketch_maps(view_of("zoo.unet:unet"), Look(legend=False)).dot


def test_repeated_blocks_tell_how_often() -> None:
    dot = sketch_maps(view_of("zoo.resnet:resnet50", 2), Look()).dot
    assert {"× 2", "× 3", "× 5"} <= set(words(dot))
    sheets = [name for name in read(dot).nodes if re.fullmatch(r"n\d+b\d", name)]
    assert len(sheets) == 1 + 2 + 2 + 1, "edges of others show behind them, at most two"


def test_brackets_name_opened_blocks() -> None:
    lines = read(sketch_maps(view_of("zoo.resnet:resnet50"), Look()).dot).lines
    brackets = {line.id: line.attributes.get("label") for line in lines if line.id.startswith("group-")}
    assert "layer1.1 · bottleneck × 2" in brackets.values() and "layer1 · stage" in brackets.values()


def test_a_heat_scale_is_shown_and_told() -> None:
    dot = sketch_maps(view_of("zoo.resnet:resnet50", 1), Look(heat="parameters")).dot
    assert {"parameters, logarithmic  9.54 k", "15 M", "9.54 k params", "15 M params"} <= set(words(dot))


def test_every_colour_has_a_dark_one() -> None:
    for spec, look in (("zoo.unet:unet", Look()), ("zoo.gpt2:gpt2", Look()), ("zoo.recurrent:peephole_lstm", Look(heat="macs"))):
        assert set(re.findall(r"#[0-9a-f]{6}", sketch_maps(view_of(spec), look).dot)) <= set(DARK)


# ---------------------------------------------------------------------------------------------------------------- facts
def test_what_enlarges_is_an_upsampling_whatever_it_is() -> None:
    net = """net a {
      input x: [N, 8, H = 16, W = 16]
      output y = x -> conv_transpose(4, 2, stride = 2) -> upsample(2) -> conv_transpose(4, 3, padding = 1) -> pixel_shuffle(2)
    }"""
    view = outline(loads(net).graph).view(wide=True)
    found = [bar.making.family for bar in bars(view, Facts(view, Look())) if bar.kind == "map"]
    assert found == ["io", "upsample", "upsample", "conv", "upsample"]


def test_a_wrapped_layer_is_what_it_wraps() -> None:
    view = view_of("zoo.tcn:tcn_adding")
    making = next(bar.making for bar in bars(view, Facts(view, Look())) if "WeightNorm" in bar.making.told)
    assert making.family == "conv" and "Conv k=7 (WeightNorm)" in making.told


def test_channels_stand_where_operators_look_for_them() -> None:
    view = view_of("zoo.deit:vit_base_patch16_224")
    by_key = {view.boxes[bar.box].key: bar for bar in bars(view, Facts(view, Look()))}
    assert all(
        bar.above == "768" for key, bar in by_key.items() if key.startswith("blocks.0") and bar.kind == "map" and bar.above != "3072"
    )
    assert {by_key[key].extent for key in by_key if key.startswith("blocks.0")} == {"197", ""}


def test_vectors_are_thin_and_as_high_as_they_are_long() -> None:
    view = view_of("zoo.deep_autoencoder:deep_autoencoder")
    found = [bar for bar in bars(view, Facts(view, Look())) if bar.kind == "vector"]
    assert [bar.above for bar in found] == ["784", "1000", "500", "250", "30", "250", "500", "1000", "784"]
    assert len({bar.width for bar in found}) == 1 and min(found, key=lambda bar: bar.height).above == "30"


# ------------------------------------------------------------------------------------------------------------ renderers
def test_a_renderer_draws_it_as_it_is() -> None:
    view = view_of("zoo.unet:unet")
    sketch = sketch_maps(view, Look())
    svg = ElementTree.fromstring(finish(render(sketch.dot, "svg").data, sketch.titles, sketch.label))
    ids = {element.get("id") for element in svg.iter()}
    assert {f"box-{number}" for number in range(len(view.boxes))} | {f"link-{number}" for number in range(len(view.links))} <= ids
    texts = ["".join(element.itertext()) for element in svg.iter() if element.tag.endswith("text")]
    assert "512²" in texts and "Conv 3×3, BN, ReLU" in texts and "mask" in texts
    assert sketch.label == "Feature maps of the network unet: 32 maps, 31 M parameters"


def test_hostile_names_are_words() -> None:
    hostile = ['"];x[label="', "<B>b</B>", "\\N\\G\\E", "]]>&amp;", "\u202eback\x00"]
    view = view_of("zoo.resnet:resnet50", 1)
    boxes = tuple(replace(box, name=hostile[number % 5], call=f"{hostile[number % 5]}(1)") for number, box in enumerate(view.boxes))
    sketch = sketch_maps(replace(view, boxes=boxes), Look())
    svg = finish(render(sketch.dot, "svg").data, sketch.titles, sketch.label)
    ElementTree.fromstring(svg)
    drawing = read(sketch.dot)
    assert len(drawing.ends()) == len(view.links) and "x" not in drawing.nodes
    assert "<B>" not in svg and "resnet50" in svg
