"""The sizes for which a network is well defined: published numbers, and what PyTorch says size by size."""

from __future__ import annotations

import os
import re
from collections import Counter
from functools import lru_cache

import pytest

from netspec.analyses.constraints import ValidSizes, constraints, valid_sizes
from netspec.api import Net, load, loads
from netspec.diagnostics.model import SpecError
from tests.analyses.random_networks import Writer
from tests.analyses.shape_oracle import Oracle
from tests.shipped import daily

LONG = bool(os.environ.get("NETSPEC_LONG"))
#: Sizes that are tried one by one.
SIZES = range(1, 301)


def valid(body: str) -> ValidSizes:
    """The valid sizes of a net with this body."""
    return valid_sizes(loads("net a {\n" + body + "\n}").graph)


def texts(body: str) -> list[str]:
    return [str(part) for part in valid(body).parts]


# ------------------------------------------------------------------------------------------------------ published numbers
def test_the_original_unet() -> None:
    graph = load("zoo.unet:unet_valid").graph
    found = valid_sizes(graph)
    assert constraints(graph) == {"N": [], "H": ["H % 16 == 12", "H >= 188"], "W": ["W % 16 == 12", "W >= 188"]}
    assert str(found.solution("H")) == "H % 16 == 12 and H >= 188" and found.decided
    assert found.nearest("H", {"H": 570}) == (556, 572) and found.nearest("H", {"H": 20}) == (None, 188)
    assert found.contains({"H": 188}) and not found.contains({"H": 512})
    from netspec.sizes import evaluate

    mask = graph.values[graph.outputs[0].value].shape
    assert [evaluate(size, graph.typical) for size in mask[2:]] == [388, 388]


@pytest.mark.parametrize("depth", range(1, 6))
def test_a_padded_unet_of_depth_d_divides_by_two_to_the_d(depth: int) -> None:
    found = constraints(load("zoo.unet:unet", depth=depth, base=4).graph)
    assert found["H"] == [f"H % {2**depth} == 0"] and found["W"] == [f"W % {2**depth} == 0"]


@pytest.mark.parametrize(
    ("spec", "least"),
    [("zoo.alexnet", 63), ("zoo.vgg:vgg16", 32), ("zoo.densenet:densenet121", 29), ("zoo.googlenet", 15)],
)
def test_the_least_sizes_of_classifiers(spec: str, least: int) -> None:
    assert constraints(load(spec).graph) == {"N": [], "H": [f"H >= {least}"], "W": [f"W >= {least}"]}


def test_the_least_size_of_inception_v3() -> None:
    stem = "conv(4, 3, stride = 2) -> conv(4, 3) -> conv(4, 3, padding = 1) -> max_pool(3, stride = 2) -> conv(4, 1) -> conv(4, 3)"
    rest = "max_pool(3, stride = 2) -> conv(4, 3, stride = 2) -> conv(4, 3, stride = 2) -> global_avg_pool"
    assert texts(f"input x: [N, 3, H = 299, W = 299]\n output x -> {stem} -> {rest}") == ["H >= 75", "W >= 75"]


def test_a_pyramid_of_rounded_levels() -> None:
    body = """
      input x: [N, 3, H = 224, 64]
      down = conv(4, 3, stride = 2, padding = 1)
      c3 = x -> 3 * down
      c4 = c3 -> down
      c5 = c4 -> down
      p4 = c4 + (c5 -> upsample(2))
      output c3 + (p4 -> upsample(2))
    """
    assert texts(body) == ["H % 32 in {0, 25..31}"]


def test_exact_sets_where_one_size_is_not_the_whole_truth() -> None:
    row = "input x: [N, 4, H = 32, 5]\n output x -> "
    assert texts(row + "conv(8, 3, stride = 2, padding = 1) -> flatten -> linear(10)") == ["H in {31, 32}"]
    assert texts(row.replace("5", "6") + "pixel_unshuffle(2)") == ["H % 2 == 0"]
    assert texts("input x: [N, 4, H = 10, 5]\n y = x -> slice(step = 2, axis = 2)\n output y -> upsample(2) -> crop(size = (9, 5))") == [
        "H >= 9"
    ]
    assert texts(row + "adaptive_avg_pool(3) -> flatten -> linear(4)") == []


def test_repairs_take_the_condition_away() -> None:
    body = "input x: [N, 3, H = {h}, W = 32]\n y = x -> max_pool(4) -> upsample(4){repair}\n output {left} ++ y"
    assert texts(body.format(h=32, repair="", left="x")) == ["H % 4 == 0", "W % 4 == 0"]
    assert texts(body.format(h=33, repair=" -> resize(like = x)", left="x")) == ["H >= 4", "W >= 4"]
    assert texts(body.format(h=33, repair="", left="(x -> crop(like = y))")) == ["H >= 4", "W >= 4"]


# ------------------------------------------------------------------------------------------------------------ several sizes
@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("input x: [N, 4, H = 8, W = 8]\n output x -> reshape([N, 4, H // 2, 2, W // 2, 2])", ["H % 2 == 0", "W % 2 == 0"]),
        ("input x: [N, 4, H = 8, W = 8]\n output x -> reshape([N, 4 * H * W])", []),
        ("input x: [N, 1, H = 224, W = 224]\n output x -> max_pool(32) -> flatten -> linear(3)",
         ["H >= 32", "W >= 32", "(H // 32) * (W // 32) == 49"]),
        ("input x: [N, 1, H = 65, W = 37]\n output x -> max_pool(32) -> flatten -> linear(3)",
         ["H >= 32", "W >= 32", "(H // 32) * (W // 32) == 2"]),
        ("input x: [N, 4, H = 8, W = 8]\n output x -> instance_norm", ["H * W >= 2"]),
        ("input x: [N, 4, H = 8, W = 8]\n output x -> conv(4, 3) -> conv(4, 2) -> pad(1) -> instance_norm", ["H >= 4", "W >= 4"]),
        ("input x: [N, 4, H = 8]\n input y: [N, 4, G = 8]\n output (x -> max_pool(2) -> upsample(2)) + y",
         ["H >= 2", "2 * (H // 2) == G"]),
        ("input x: [N, 4, H = 8]\n input y: [N, 4, G = 8]\n output x + y + (y -> max_pool(4) -> upsample(4))",
         ["H % 4 == 0", "G % 4 == 0", "H == G"]),
    ],
)  # fmt: skip
def test_conditions_on_several_sizes(body: str, wanted: list[str]) -> None:
    found = valid(body)
    assert sorted(map(str, found.parts)) == sorted(wanted) and found.decided
    assert found.contains({})


def test_what_ties_sizes_moves_them_together() -> None:
    found = valid("input x: [N, 4, H = 8]\n input y: [N, 4, G = 8]\n output x + y + (y -> max_pool(4) -> upsample(4))")
    assert found.nearest("H", {"H": 9, "G": 9}) == (8, 12)
    assert found.contains({"H": 12, "G": 12}) and not found.contains({"H": 12, "G": 16})
    square = valid("input x: [N, 1, H = 224, W = 224]\n output x -> max_pool(32) -> flatten -> linear(3)")
    assert square.nearest("H", {"H": 300}) == (255, None) and square.contains({"H": 32, "W": 49 * 32})


def test_what_is_not_decided_is_said() -> None:
    found = valid("input x: [N, 4, H = 200]\n where H // 99991 + H // 99989 == 0\n output x -> pixel_unshuffle(1) -> max_pool(2)"
                  .replace("pixel_unshuffle(1) -> ", ""))  # fmt: skip
    assert not found.decided
    assert [str(part) for part in found.parts] == ["H >= 2", "H // 99989 + H // 99991 == 0 (not decided)"]
    assert found.nearest("H") == (200, 200) and not found.contains({"H": 99_990})


# -------------------------------------------------------------------------------------------------------------------- blame
def test_blame_names_where_sizes_meet_and_where_they_were_rounded() -> None:
    found = valid(
        "input x: [N, 3, H = 32, 8]\n y = x -> conv(4, 3, padding = 1)\n z = y -> max_pool(2) -> relu\n output y ++ (z -> upsample(2))"
    )
    (part,) = [p for p in found.parts if p.names == ("H",)]
    assert part.text == "H % 2 == 0"
    assert [cause.text for cause in part.causes] == ["`++` at line 5 meets `max_pool` at line 4"]
    assert part.causes[0].nodes == ("concat1", "max_pool1") and [o.line for o in part.causes[0].origins] == [5, 4]
    assert found.data()[0]["because"][0]["places"][0]["line"] == 5


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("input x: [N, 3, 32, W = 32]\n output x -> max_pool(2) -> flatten -> linear(3)",
         "`linear` at line 3 has weights for 768, the typical 48 * (W // 2)"),
        ("input x: [N, 3, 32, W = 32]\n y = x -> max_pool(2)\n output y: [N, 3, 16, W / 2] = y", "`W / 2` must be a whole number (line 4)"),
        ("input x: [N, 3, 32, W = 32]\n output y: [N, 3, 32, W] = x -> max_pool((1, 2)) -> resize((1, 2))",
         "the shape written at line 3 meets `max_pool` at line 3"),
        ("input x: [N, 3, 32, W = 32]\n where W >= 17\n output x", "`W >= 17` is stated by `where` (line 3)"),
        ("input x: [N, 3, 32, W = 32]\n output x -> conv(4, 3) -> conv(4, 5)", "`conv` at line 3 needs W - 2 >= 5"),
        ("input x: [N, 4, 32, W = 32]\n output x -> pixel_unshuffle(2)", "`pixel_unshuffle` at line 3 needs W % 2 == 0"),
        ("input x: [N, 4, 32, W = 32]\n input y: [N, 4, 32, V = 32]\n output x + y", "`+` at line 4 needs W == V"),
    ],
)  # fmt: skip
def test_blame_for_every_kind_of_condition(body: str, wanted: str) -> None:
    assert [cause.text for part in valid(body).parts for cause in part.causes] == [wanted]


def test_only_what_it_takes_is_blamed() -> None:
    deep = " -> ".join(["conv(4, 3)"] * 40)
    (part,) = valid(f"input x: [N, 3, L = 99]\n output x -> {deep} -> max_pool(2)").parts
    assert part.text == "L >= 82" and [cause.text for cause in part.causes] == ["`max_pool` at line 3 needs L - 80 >= 2"]
    found = valid_sizes(load("zoo.unet:unet", base=4).graph)
    (cause,) = found.of("H")[0].causes
    assert cause.text == "`++` at line 25 meets `max_pool` at line 20, 4 times" and len(cause.nodes) == 8


# ------------------------------------------------------------------------------------------------------------ typical sizes
def refusal(body: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        loads("net a {\n" + body + "\n}")
    return caught.value


def test_typical_sizes_that_break_conditions() -> None:
    body = """
      input x: [N, 3, H = 225, W = 230]
      y = x -> max_pool(2)
      z = y ++ (y -> max_pool(4) -> upsample(4))
      output x ++ (z -> upsample(2))
    """
    found = refusal(body).diagnostics
    assert [d.message for d in found] == [
        "the inputs of a concat differ along axis 3: at W = 230, W // 2 = 115 is not 4 * (W // 8) = 112",
        "the inputs of a concat differ along axis 2: at H = 225, H = 225 is not 2 * (H // 2) = 224",
    ]
    assert {d.helps for d in found} == {("the nearest sizes that work: H = 224 or H = 232; W = 224 or W = 232",)}
    assert all("the network needs H % 8 == 0, W % 8 == 0" in d.notes for d in found)


def test_sizes_that_break_one_merge_are_one_error() -> None:
    body = "input x: [N, 3, H = 225, W = 225]\n output x ++ (x -> max_pool(2) -> upsample(2))"
    (found,) = refusal(body).diagnostics
    assert "likewise: at W = 225, W = 225 is not 2 * (W // 2) = 224" in found.notes
    assert found.helps == ("the nearest sizes that work: H = 224 or H = 226; W = 224 or W = 226",)


def test_advice_comes_from_all_conditions() -> None:
    """The first condition that fails asks for even sizes; the rest of the network for more."""
    body = """
      input x: [N, 3, L = 33]
      y = x ++ (x -> max_pool(2) -> upsample(2))
      where L >= 50
      output y ++ (y -> max_pool(6) -> upsample(6))
    """
    found = refusal(body).diagnostics
    assert [d.code for d in found] == ["NS412", "NS414"]
    assert {d.helps for d in found} == {("the nearest sizes that work: L = 54",)}


def test_contradictions_are_said() -> None:
    found = refusal("input x: [N, 3, L = 33]\n where L % 2 == 0\n where L % 4 == 1\n output x").diagnostics
    assert {d.helps for d in found} == {("no L works: the conditions on it contradict each other",)}


# ----------------------------------------------------------------------------------------------------------- PyTorch's word
@lru_cache
def random_net(seed: int) -> Net | None:
    """A random network at a typical size that fits; None where no size does. The advice of the first try must be good."""
    text = Writer(seed).text()
    try:
        return loads(text.replace("{t}", "64"))
    except SpecError as error:
        advice = [re.findall(r"S = (\d+)", help) for d in error.diagnostics for help in d.helps if "nearest sizes" in help]
        if not advice or any("for every size" in d.message for d in error.diagnostics):
            return None
        return loads(text.replace("{t}", advice[0][-1]))


def disagreements(net: Net, name: str, sizes: range = SIZES) -> dict[int, bool]:
    """Sizes of which PyTorch says otherwise than the analysis, and what PyTorch says."""
    found = valid_sizes(net.graph)
    assert found.decided
    oracle = Oracle(net)
    others = {**net.graph.typical, "N": 2}
    assert not any(r.code in ("NS414", "NS501") for r in net.graph.requirements)  # what an author promises, PyTorch does not know
    return {n: ran for n in sizes if (ran := oracle.takes({**others, name: n})) != found.contains({**others, name: n})}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", range(100 if LONG else 4))
def test_random_networks_are_valid_exactly_where_pytorch_runs_them(part: int) -> None:
    """More than forty networks a part, every size to 300."""
    seeds = [seed for seed in range(part * 60, part * 60 + 60) if random_net(seed) is not None]
    wrong = {seed: disagreements(random_net(seed), "S") for seed in seeds}  # type: ignore[arg-type]
    assert {seed: sizes for seed, sizes in wrong.items() if sizes} == {}
    kinds = Counter(bool(valid_sizes(random_net(seed).graph).parts) for seed in seeds)  # type: ignore[union-attr]
    assert len(seeds) >= 40 and kinds[True] >= 25


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("spec", daily("sizes"))
def test_shipped_networks_are_valid_exactly_where_pytorch_runs_them(spec: str) -> None:
    net = load(spec)
    steps = any(node.op.FAMILY == "recurrent" for node in net.graph.nodes)  # PyTorch takes them one by one
    for name in [size.name for size in net.graph.sizes if size.name != "N"][:1]:
        assert disagreements(net, name, range(1, 13) if steps else SIZES) == {}
