"""Which networks are drawn as a U, and what stands where in it."""

from __future__ import annotations

import pytest

from netspec import load, loads
from netspec.analyses.outline import outline
from netspec.analyses.outline.model import View
from netspec.backends.diagram.cards.arms import Arms, arms, levels
from netspec.backends.diagram.cards.sketch import sketch
from netspec.backends.diagram.figures import Figures, sized_links
from netspec.backends.diagram.look import Look
from tests.backends.diagram.dot_reading import read


def view_of(spec: str, depth: int | None = 1) -> View:
    return outline(load(spec).graph).view(depth)


def arms_of(view: View) -> Arms | None:
    return arms(view, Figures(view.graph, Look()), sized_links(view))


@pytest.mark.parametrize(
    "spec",
    ["zoo.unet:unet", "zoo.unet:unet_valid", "zoo.unet:unet_bilinear", "zoo.attention_unet:attention_unet", "zoo.nested_unet:nested_unet",
     "zoo.segnet:segnet", "zoo.linknet:linknet", "zoo.unet3d:unet3d", "zoo.unet_resnet:unet_resnet34", "zoo.autoencoder:autoencoder"],
)  # fmt: skip
def test_encoder_decoders_are_us(spec: str) -> None:
    assert arms_of(view_of(spec)) or arms_of(view_of(spec, None))


@pytest.mark.parametrize(
    "spec",
    ["zoo.resnet:resnet18", "zoo.densenet:densenet121", "zoo.googlenet:googlenet", "zoo.dbpn:dbpn_x4", "zoo.srresnet:srresnet_x4",
     "zoo.transformer:transformer_base", "zoo.swin:swin_t", "zoo.hrnet:hrnet_w18", "zoo.tagger:char_tagger", "zoo.senet:seresnet18",
     "zoo.segmentation:deeplabv3_resnet50", "zoo.vae:vae"],
)  # fmt: skip
def test_others_are_not(spec: str) -> None:
    view = view_of(spec)
    assert arms_of(view) is None and arms_of(view_of(spec, None)) is None


def test_levels_are_those_of_the_strides() -> None:
    view = view_of("zoo.unet:unet_valid")
    found = dict(zip((box.name for box in view.boxes), levels(view, Figures(view.graph, Look()))))
    assert [found[name] for name in ("image", "enc.0", "enc.1", "enc.2", "enc.3", "mid", "dec.3", "dec.0", "mask")] == [
        0,
        0,
        1,
        2,
        3,
        4,
        3,
        0,
        0,
    ]


def test_rows_hold_equal_levels_and_skips_cross() -> None:
    view = view_of("zoo.unet:unet")
    found = arms_of(view)
    assert found is not None
    depth = levels(view, Figures(view.graph, Look()))
    assert len(found.rows) == 4 and all(len({depth[box] for box in row}) == 1 for row in found.rows)
    skips = {number for number, link in enumerate(view.links) if link.course == "skip"}
    assert found.crossing == skips
    assert all(row[0] not in found.rising and row[-1] in found.rising for row in found.rows)


def test_the_right_arm_is_drawn_upwards() -> None:
    view = view_of("zoo.unet:unet")
    found = arms_of(view)
    drawing = read(sketch(view).dot)
    assert found is not None
    for line in drawing.lines:
        number = line.id.split("-")[1]
        climbs = view.links[int(number)].target in found.rising and int(number) not in found.flat
        assert ("backward" in line.kinds) == climbs


def test_a_pyramid_has_bridges_and_exits() -> None:
    view = outline(load("zoo.fpn:resnet50_fpn").graph).view()
    found = arms_of(view)
    assert found is not None
    names = [[view.boxes[box].name for box in row] for row in found.rows]
    middle = next(row for row in names if "fpn.inner_blocks.1.0" in row)
    assert middle[1:] == ["fpn.inner_blocks.1.0", "fpn.add2", "fpn.layer_blocks.1.0", "p3"]


def test_a_nested_net_is_a_ladder() -> None:
    view = view_of("zoo.nested_unet:nested_unet")
    found = arms_of(view)
    assert found is not None
    top = next(row for row in found.rows if view.boxes[row[0]].name == "conv0_0")
    assert [view.boxes[box].name for box in top if view.boxes[box].kind == "block"] == [
        "conv0_0",
        "conv0_1",
        "conv0_2",
        "conv0_3",
        "conv0_4",
    ]


def test_an_autoencoder_through_a_flat_code_is_a_u() -> None:
    text = """
    net a {
      input x: [N, 1, 32, 32]
      code = x -> conv(8, 3, stride = 2, padding = 1) -> relu -> conv(16, 3, stride = 2, padding = 1) -> relu -> flatten -> linear(10)
      output y = code -> linear(1024) -> reshape([N, 16, 8, 8]) -> conv_transpose(8, 2, stride = 2) -> relu
        -> conv_transpose(1, 2, stride = 2)
    }
    """
    view = outline(loads(text).graph).view()
    found = arms_of(view)
    assert found is not None and view.boxes.index(next(b for b in view.boxes if b.kind == "output")) in found.rising


def test_a_network_without_inputs_has_no_levels() -> None:
    view = outline(loads("net a { output y = param([2, 3]) -> relu }").graph).view()
    assert arms_of(view) is None and sketch(view).dot
