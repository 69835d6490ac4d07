"""Networks compared as networks."""

from __future__ import annotations

import random
import re

import pytest

from netspec.analyses.diff import Difference, diff
from netspec.analyses.diff.align import Likeness, align, rising, shortest_edit
from netspec.analyses.diff.folding import fold_renamed, places
from netspec.analyses.diff.model import Renaming
from netspec.analyses.diff.text import text_of
from netspec.api import compile, load
from netspec.graph import Graph
from netspec.source import Source
from tests.timing import in_time

BASE = """\
block unit(c, stride = 1) {
  input x
  y = x -> conv(c, 3, stride = stride, padding = 1) -> bn -> relu
  output y
}
net small(classes = 10) {
  input image: [N, 3, H = 32, W = 32]
  x = image -> conv(8, 3, padding = 1) as stem -> 3 * unit(8) as body -> unit(16, 2) as last
  output y = x -> global_avg_pool -> flatten -> linear(classes) as fc
}
"""


def graph(text: str, net: str | None = None, **arguments: object) -> Graph:
    done = compile(Source("test.net", text), net, arguments)
    assert done.graph is not None, [str(d) for d in done.report.errors]
    return done.graph


def edited(*edits: tuple[str, str], **arguments: object) -> Difference:
    """The base against itself, edited."""
    text = BASE
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return diff(graph(BASE), graph(text, **arguments), "a", "b")


def changes(d: Difference) -> dict[str, list[str]]:
    """What somebody changed, by layer."""
    return {c.new_name: [f"{x.what}: {x.old} -> {x.new}" for x in c.causes] for c in d.changed if c.causes}


def consequence(d: Difference, what: str, of: str = "") -> tuple[object, object]:
    found = next(c for c in d.consequences if (c.what, c.of) == (what, of))
    return found.old, found.new


# -------------------------------------------------------------------------------------------------------------- layers
def test_formatting_and_comments_are_no_difference() -> None:
    d = edited(("  y = x -> conv(c, 3,", "  # a remark\n\n  y = (x)   -> conv(c, kernel = 3,"), ("output y\n", "output result = y\n"))
    assert d.same and str(d) == "a and b: the same network"
    assert d.data()["same"] is True and d.checkpoint.whole


def test_a_kernel_written_for_both_axes_is_the_same() -> None:
    assert edited(("conv(8, 3, padding = 1) as stem", "conv(8, [3, 3], padding = [1, 1]) as stem")).same


def test_the_order_of_definitions_is_no_difference() -> None:
    net, block = BASE[BASE.index("net") :], BASE[: BASE.index("net")]
    assert diff(graph(BASE), graph(net + block)).same


def test_an_argument() -> None:
    d = edited(("3, stride = stride, padding = 1", "5, stride = stride, padding = 2"))
    wanted = ["kernel: 3 -> 5", "padding: 1 -> 2"]
    assert changes(d) == {f"{block}.conv1": wanted for block in ("body.0", "body.1", "body.2", "last")}
    assert not d.added and not d.removed and not d.renamed
    assert "~ conv1  kernel: 3 -> 5; padding: 1 -> 2  in body.0, body.1, … last (4 blocks)" in str(d)
    assert [s.name for s in d.checkpoint.reshaped] == [f"{b}.conv1.weight" for b in ("body.0", "body.1", "body.2", "last")]


def test_a_layer_put_in_between() -> None:
    d = edited(("bn -> relu", "bn -> relu -> dropout(0.1)"))
    assert [layer.name for p in d.added for layer in p.layers] == [f"{b}.dropout1" for b in ("body.0", "body.1", "body.2", "last")]
    assert not changes(d) and not d.renamed  # what comes after takes what comes before
    assert "+ dropout1  dropout(p = 0.1)  in body.0, body.1, … last (4 blocks)" in str(d)
    back = edited()
    assert back.same


def test_a_layer_left_out() -> None:
    d = edited((" -> bn -> relu", " -> relu"))
    assert [p.kind for p in d.removed] == ["batch_norm"] * 4 and not changes(d)
    assert len(d.checkpoint.unexpected) == 4 * 5 and not d.checkpoint.missing


def test_an_operator_exchanged() -> None:
    d = edited(("relu", "gelu"))
    assert changes(d) == {f"{b}.gelu1": ["operator: relu -> gelu"] for b in ("body.0", "body.1", "body.2", "last")}


def test_a_renamed_block() -> None:
    d = edited(("as body", "as trunk"))
    assert not d.added and not d.removed and not changes(d)
    assert {(r.old, r.new) for r in d.renamed if r.stores} == {
        (f"body.{i}.{layer}", f"trunk.{i}.{layer}") for i in range(3) for layer in ("conv1", "bn1")
    }
    assert len(d.checkpoint.renamed) == len(d.checkpoint.missing) == len(d.checkpoint.unexpected) == 3 * 7
    assert "> body" in str(d) and "now trunk  (6 layers with weights)" in str(d)


def test_a_layer_moved_into_a_block() -> None:
    d = edited(("conv(8, 3, padding = 1) as stem", "(conv(8, 3, padding = 1) -> relu) as stem"))
    assert [(r.old, r.new) for r in d.renamed] == [("stem", "stem.0")]
    assert [layer.name for p in d.added for layer in p.layers] == ["stem.1"] and not d.removed


def test_copies_added_to_a_chain() -> None:
    d = edited(("3 * unit", "5 * unit"))
    assert [p.name for p in d.added] == ["body.3", "body.4"] and not d.removed and not d.renamed and not d.changed
    assert "+ body.3, body.4  unit, 3 layers each  1,200 parameters" in str(d)


def test_shifted_numbers_tell_of_one_insertion() -> None:
    text = "net a { input x: [N, 4, H = 8, W = 8]; output x -> (conv(4, 3) -> relu -> %sconv(5, 3) -> relu -> conv(6, 1)) as body }"
    d = diff(graph(text % ""), graph(text % "conv(4, 1) -> "))
    assert [layer.name for p in d.added for layer in p.layers] == ["body.2"]
    assert [(r.old, r.new) for r in d.renamed] == [("body.2", "body.3"), ("body.3", "body.4"), ("body.4", "body.5")]
    assert not changes(d)


def test_of_equal_layers_the_one_is_gone_whose_label_is() -> None:
    text = "net a {{ input x: [N, 4]; output x -> {} linear(4) as b -> linear(4) as c2 }}"
    d = diff(graph(text.format("linear(4) as c1 -> ")), graph(text.format("")))
    assert [p.name for p in d.removed] == ["c1"] and not d.renamed and not d.added


def test_counted_labels_of_a_definition() -> None:
    text = "def half(c) = linear(c)\nnet a {{ input x: [N, 8]; output x -> {}half(6) -> half(4) }}"
    d = diff(graph(text.format("")), graph(text.format("half(8) -> ")))
    assert [p.name for p in d.added] == ["half1"] and [(r.old, r.new) for r in d.renamed] == [("half1", "half2"), ("half2", "half3")]


def test_colour() -> None:
    d = edited(("3, stride = stride, padding = 1", "5, stride = stride, padding = 2"))
    assert "\x1b" not in str(d) and re.sub(r"\x1b\[\d*m", "", text_of(d, colour=True)) == str(d)
    assert "\x1b[33m~ conv1\x1b[0m  kernel" in text_of(d, colour=True)


def test_wiring() -> None:
    text = """net a {{
      input x: [N, 4, H = 8, W = 8]
      p = x -> conv(4, 1) as one
      q = p -> conv(4, 1) as two
      output q {} -> relu
    }}"""
    d = diff(graph(text.format("+ p")), graph(text.format("+ x")))
    assert changes(d) == {"add1": ["1: one -> x"]}
    assert "add1  input 1: one -> x" in str(d)
    assert diff(graph(text.format("+ p")), graph(text.format("+ p"))).same


def test_an_output_taken_elsewhere() -> None:
    text = "net a { input x: [N, 4]; y = x -> relu; z = y -> tanh; output out = %s; output z }"
    d = diff(graph(text % "y"), graph(text % "x"))
    assert [(c.kind, c.what, c.old, c.new) for c in d.ports] == [("output", "out", "relu1", "x")]


def test_initializers() -> None:
    d = edited(("output y = x", "init { conv: he_normal }\n  output y = x"))
    assert changes(d)["stem"] == ["weight: torch_default(fan = 27) -> he_normal"] and not d.same
    assert "weight starts as: torch_default" in str(d)


def test_shapes_follow() -> None:
    d = edited(("unit(16, 2) as last", "unit(24, 2) as last"))
    assert changes(d) == {"last.conv1": ["channels: 16 -> 24"]}
    assert {c.name for c in d.changed if not c.causes} == {"last.bn1", "last.relu1", "global_avg_pool1", "flatten1", "fc"}
    assert re.search(r"5 layers +follow in shape: last\.bn1\.weight \[16\] -> \[24\], …", str(d))
    assert {"last": ["argument c: 16 -> 24"]} == {c.name: [f"{x.kind} {x.what}: {x.old} -> {x.new}" for x in c.changes] for c in d.blocks}


def test_sharing_undone() -> None:
    text = "net a {{ input x: [N, 4]; {}; output x -> f -> {} }}"
    d = diff(graph(text.format("layer f = linear(4)", "f")), graph(text.format("layer f = linear(4); layer g = linear(4)", "g")))
    assert [(r.old, r.new) for r in d.renamed] == [("f:2", "g")]
    assert [s.name for s in d.checkpoint.missing] == ["g.weight", "g.bias"]


# -------------------------------------------------------------------------------------------------- ports, sizes, totals
def test_renamed_sizes() -> None:
    d = edited(("H = 32, W = 32", "height = 32, width = 32"))
    assert [(c.what, c.old, c.new) for c in d.sizes] == [("open size", "H", "height"), ("open size", "W", "width")]
    assert not d.changed and not d.ports and all(c.same for c in d.consequences)


def test_sizes_that_are_open_no_longer() -> None:
    d = edited(("H = 32, W = 32", "H = 64, 32"))
    assert [(c.what, c.old, c.new) for c in d.sizes] == [("open size", "W", None), ("typical H", "32", "64")]
    assert [(c.kind, c.what, c.old, c.new) for c in d.ports] == [("input", "image", "[N, 3, H, W]", "[N, 3, H, 32]")]


def test_ports() -> None:
    d = edited(("input image", "input photo"), ("= image", "= photo"), ("output y =", "output logits: [N, classes] ="))
    assert [(c.kind, c.what, c.old, c.new) for c in d.ports] == [("input", "name", "image", "photo"), ("output", "name", "y", "logits")]
    assert not d.changed


def test_consequences() -> None:
    d = edited(("padding = 1) -> bn", "padding = 1, dilation = 2) -> bn"), ("-> global_avg_pool -> flatten -> linear(classes) as fc", ""))
    assert [p.kind for p in d.removed] == ["global_avg_pool", "flatten", "linear"]
    assert consequence(d, "receptive_field", "y H") == ("all", 19)
    rest = (3 * 8 * 9 + 8) + 3 * (8 * 8 * 9 + 8 + 16) + (8 * 16 * 9 + 16 + 32)
    assert consequence(d, "parameters") == (rest + 10 * 16 + 10, rest)
    assert "receptive field  y H, W: all -> 19" in str(d)


def test_valid_sizes() -> None:
    text = "net a {{ input x: [N, 1, H = 32, W = 32]; output (x -> {} * max_pool(2) -> {} * upsample(2)) + x }}"
    d = diff(graph(text.format(2, 2)), graph(text.format(3, 3)))
    assert consequence(d, "constraints", "H") == ("H % 4 == 0", "H % 8 == 0")
    assert "valid sizes      H, W % 4 == 0 -> H, W % 8 == 0" in str(d)


def test_the_nets_own_parameters() -> None:
    d = edited(classes=12)
    assert [(c.what, c.old, c.new) for c in d.net] == [("classes", "10", "12")]
    assert [(s.name, s.type, s.new_type) for s in d.checkpoint.reshaped] == [
        ("fc.weight", "[10, 16]", "[12, 16]"), ("fc.bias", "[10]", "[12]"),
    ]  # fmt: skip


def test_weights_that_would_load_into_another_layer() -> None:
    text = "net a {{ input x: [N, 4]; output x -> ({}linear(4) -> relu -> linear(4) -> tanh -> linear(2)) as mlp }}"
    d = diff(graph(text.format("")), graph(text.format("linear(4) -> tanh -> ")))
    assert not d.removed and [p.kind for p in d.added] == ["tanh", "linear"]
    assert [(s.name, s.new_name) for s in d.checkpoint.misplaced] == [("mlp.2.weight", "mlp.4.weight"), ("mlp.2.bias", "mlp.4.bias")]
    assert "mlp.2.weight is now mlp.4.weight, and 1 more: these load into another layer" in str(d)


# ---------------------------------------------------------------------------------------------------------- shipped specs
def test_resnet18_and_34() -> None:
    d = diff(load("zoo.resnet:resnet18").graph, load("zoo.resnet:resnet34").graph)
    assert not d.removed and not d.changed and not d.renamed
    assert [p.name for p in d.added] == ["layer1.2", "layer2.2", "layer2.3", *(f"layer3.{i}" for i in range(2, 6)), "layer4.2"]
    assert consequence(d, "parameters") == (11_689_512, 21_797_672)
    assert d.checkpoint.fitting == 122 and len(d.checkpoint.missing) == 218 - 122


def test_unet_one_level_deeper() -> None:
    d = diff(load("zoo.unet:unet").graph, load("zoo.unet:unet", depth=5).graph)
    assert {layer.name.rpartition(".")[0] or layer.name for p in d.added for layer in p.layers} == {
        "enc.4", "max_pool5", "up", "concat1", "dec.4",
    }  # fmt: skip
    assert consequence(d, "receptive_field", "mask H")[0] == 204
    assert consequence(d, "constraints", "H") == ("H % 16 == 0", "H % 32 == 0")


def test_vgg_with_batch_norm() -> None:
    d = diff(load("zoo.vgg:vgg16").graph, load("zoo.vgg:vgg16_bn").graph)
    assert {p.kind for p in d.added} == {"batch_norm"} and len(d.added) == 13 and not d.removed and not changes(d)


# --------------------------------------------------------------------------------------------------------------- alignment
LETTERS = Likeness(key=str.encode, name=lambda x: None, score=lambda a, b: 1 if a == b else None)


def longest(first: str, second: str) -> int:
    """The length of the longest common subsequence, by the textbook."""
    row = [0] * (len(second) + 1)
    for a in first:
        above, row = row, [0]
        for j, b in enumerate(second):
            row.append(above[j] + 1 if a == b else max(above[j + 1], row[j]))
    return row[-1]


@pytest.mark.parametrize("seed", range(60))
def test_alignment_is_a_longest_common_subsequence(seed: int) -> None:
    rng = random.Random(seed)
    first, second = ("".join(rng.choices("abc", k=rng.randrange(25))) for _ in range(2))
    for pairs in (align(first, second, LETTERS), shortest_edit(first, second)):
        assert len(pairs) == longest(first, second)
        assert all(first[i] == second[j] for i, j in pairs)
        assert all(a[0] < b[0] and a[1] < b[1] for a, b in zip(pairs, pairs[1:]))
    assert align(second, first, LETTERS) == [(j, i) for i, j in align(first, second, LETTERS)]


def test_rising() -> None:
    assert rising([(0, 3), (1, 1), (2, 2), (3, 0), (4, 5)]) == [(1, 1), (2, 2), (4, 5)]
    assert rising([]) == []


def test_places() -> None:
    assert places(["a.x", "b.x"]) == ("x", "in a, b")
    assert places([f"{i}.x" for i in range(6)]) == ("x", "in 0, 1, … 5 (6 blocks)")
    assert places(["a.x", "b.y"]) == ("a.x, b.y", "") and places(["x"]) == ("x", "")


def test_renamings_are_told_by_what_they_exchange() -> None:
    pairs = [("enc.0.conv1", "down.0.conv1"), ("enc.1.conv1", "down.1.conv1"), ("f.2", "f.3"), ("f.5", "f.7")]
    moves = fold_renamed([Renaming(old, new, True) for old, new in pairs])
    assert [(m.old, m.new, m.count) for m in moves] == [("f.2 … 5", "f.3 … 7", 2), ("enc", "down", 2)]


# ------------------------------------------------------------------------------------------------------------------- size
CHANGES = [
    "6000 * (conv(8, 1) -> relu)",
    "3000 * (conv(8, 1) -> relu) -> tanh -> 2900 * (conv(8, 1) -> relu)",
    "5000 * (bn -> relu)",
    "6000 * (conv(16, 1) -> relu)",
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("layers", [1_000, pytest.param(12_000, marks=pytest.mark.slow)])
def test_long_networks(change: str, layers: int) -> None:
    """Time grows in proportion: seconds for ten thousand layers in one block, whatever changed."""
    text = "net a {{ input x: [N, 8, H = 8, W = 8]; output x -> {} }}"
    made = [text.format(re.sub(r"\d+(?= \*)", lambda m: str(int(m[0]) * layers // 12_000), c)) for c in (CHANGES[0], change)]
    old, new = map(graph, made)
    found: list[Difference] = []
    assert in_time(30 * layers / 12_000 + 1, lambda: found.append(diff(old, new)))
    assert found[0].same == (change == CHANGES[0])
