"""Two networks as one graph, and that graph as a picture shows it: nothing is lost, nothing is there twice, and nothing is made up."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from netspec.analyses.bodies import with_bodies
from netspec.analyses.diff import Difference, Pairing, compare
from netspec.analyses.diff.overlay import Comparable, Overlay
from netspec.analyses.diff.union import Union
from netspec.api import compile, load
from netspec.graph import Graph
from netspec.source import Source
from tests.analyses.test_diff_properties import drawn, variant

BASE = """\
block unit(c, dilation = 1) {
  input x
  a = x -> conv(c, 3, padding = dilation, dilation = dilation) -> bn -> relu
  b = a -> conv(c, 3, padding = 1) -> bn -> dropout(0.1)
  output y = b + x -> relu
}
net small(classes = 10) {
  input image: [N, 3, H = 32, W = 32]
  x = image -> conv(64, 3, padding = 1) -> bn -> relu
  x = x -> unit(64) as one -> unit(64) as two -> unit(64) as three
  output y = x -> global_avg_pool -> flatten -> linear(classes) as fc
}
"""

SQUEEZE = """\
block squeeze(c) {
  input x
  w = x -> global_avg_pool -> conv(c // 4, 1) -> relu -> conv(c, 1) -> sigmoid
  output y = x * w
}
"""

#: the base against itself, edited
EDITS = {
    "nothing": (),
    "an argument": (("unit(64) as two", "unit(64, dilation = 2) as two"),),
    "a layer less": ((" -> dropout(0.1)", ""),),
    "a layer more": (("-> bn -> relu\n  b", "-> bn -> gelu -> relu\n  b"),),
    "a layer in place of another": (("-> dropout(0.1)", "-> sigmoid"), ("-> bn -> relu\n  b", "-> bn -> gelu\n  b")),
    "a block in place of a layer": (("-> dropout(0.1)", "-> squeeze(c)"), ("block unit", SQUEEZE + "block unit")),
    "a block more": (("unit(64) as three", "unit(64) as more -> unit(64) as three"),),
    "a block less": (("unit(64) as two -> ", ""),),
    "a new skip": (("as two -> unit(64) as three\n", "as two -> unit(64) as three\n  x = x + (image -> conv(64, 1))\n"),),
    "another input": (("  x = image ->", "  input more: [N, 3, H, W]\n  x = (image + more) ->"),),
    "another output": (("  output y = x", "  output early = x -> relu\n  output y = x"),),
    "a wider stem": (("conv(64, 3, padding = 1) -> bn -> relu\n  x = x", "conv(64, 5, padding = 2) -> bn -> relu\n  x = x"),),
    "all wider": (("64", "32"),),
    "the end cut off": ((" -> flatten -> linear(classes) as fc", ""),),
    "a layer behind the end": (("as fc\n", "as fc -> softmax(1)\n"),),
}  # fmt: skip

SHIPPED = (
    ("zoo.resnet:resnet18", "zoo.resnet:resnet34"), ("zoo.resnet:resnet18", "zoo.resnet:resnet50"), ("zoo.vgg:vgg11", "zoo.vgg:vgg11_bn"),
    ("zoo.unet:unet", "zoo.unet:unet_valid"), ("zoo.tagger:bilstm_tagger", "zoo.tagger:char_tagger"),
    ("zoo.recurrent:elman", "zoo.recurrent:jordan"), ("zoo.recurrent:jordan", "zoo.recurrent:peephole_lstm"),
    ("zoo.seq2seq_attention:bahdanau", "zoo.seq2seq_attention:luong"), ("zoo.lenet:lenet5", "zoo.alexnet:alexnet"),
    ("zoo.vdsr:vdsr_x2", "zoo.vdsr:vdsr_x3"),
)  # fmt: skip


def graph(text: str) -> Graph:
    done = compile(Source("test.net", text))
    assert done.graph is not None, [str(d) for d in done.report.errors]
    return done.graph


@cache
def edited(name: str) -> tuple[Graph, Graph]:
    text = BASE
    for old, new in EDITS[name]:
        assert old in text
        text = text.replace(old, new)
    return graph(BASE), graph(text)


def laid(old: Graph, new: Graph) -> Comparable:
    pair = Pairing(old, new)
    return Comparable(pair, compare(pair, "old", "new"))


def depths(union: Union) -> list[int | None]:
    return [None, *range(max(union.levels.values(), default=0) + 2)]


# ------------------------------------------------------------------------------------------------ what a picture must have
def names(union: Union, status: str) -> list[str]:
    """The names of the layers to which something happened, as the network calls them that has them."""
    side = union.pair.before if status == "removed" else union.pair.after
    found = [mark.old if status == "removed" else mark.new for mark in union.marks if mark.status == status]
    return sorted(side.nodes[n].name for n in found if n is not None)


def hold_every_layer_once(overlay: Overlay, difference: Difference) -> None:
    """Each layer stands in one box, or is the head of an open scan; what the difference tells of layers is what their marks say."""
    union, view = overlay.union, overlay.view
    boxed = Counter(number for box in view.boxes for number in box.nodes)
    heads = {union.runner[group.frame] for group in view.groups if group.steps}
    assert set(boxed.values()) <= {1} and boxed.keys() | heads == set(range(len(union.graph.nodes))) and not boxed.keys() & heads
    told = {
        "added": [layer.name for piece in difference.added for layer in piece.layers],
        "removed": [layer.name for piece in difference.removed for layer in piece.layers],
        "changed": [c.new_name for c in difference.changed if c.causes],
        "follows": [c.new_name for c in difference.changed if not c.causes],
    }
    odd = Counter(n for n in names(union, "added") if n not in told["added"])  # a scan in place of a layer is another thing
    for status, layers in told.items():
        assert not Counter(layers) - Counter(names(union, status)) - (odd if status == "changed" else Counter()), status
    for number, box in enumerate(view.boxes):
        found = {union.marks[n].status for n in box.nodes}
        if box.nodes:
            assert overlay.boxes[number] == (found.pop() if len(found) == 1 else "follows" if found == {"same", "follows"} else "changed")


def hold_every_link(overlay: Overlay) -> None:
    """Contract each network to the boxes: a link that both have is the same, one that one has is that one's."""
    union, view = overlay.union, overlay.view
    box_of = {n: number for number, box in enumerate(view.boxes) for n in box.nodes}
    sides = [contracted(union, side, box_of, overlay) for side in (0, 1)]
    shown = {(link.source, link.target, link.course == "loop"): fate for link, fate in zip(view.links, overlay.links)}
    assert len(shown) == len(view.links)
    fates = {
        link: "same" if all(link in side for side in sides) else "added" if link in sides[1] else "removed" for link in sides[0] | sides[1]
    }
    for link, fate in fates.items():
        if link in shown:
            assert shown[link] == fate, (link, fate)
        else:  # from one repetition to the next
            assert repeated(overlay, link[0]) & repeated(overlay, link[1]), link
    assert shown.keys() <= fates.keys()


def repeated(overlay: Overlay, number: int) -> set[int]:
    """The groups of several equal blocks around a box."""
    found, group = set(), overlay.view.boxes[number].group
    while group is not None:
        if overlay.view.groups[group].repeat > 1:
            found.add(group)
        group = overlay.view.groups[group].parent
    return found


def contracted(union: Union, side: int, box_of: dict[int, int], overlay: Overlay) -> set[tuple[int, int, bool]]:
    """The links between boxes that one of the networks has, read from its own graph."""
    original = (union.pair.old, union.pair.new)[side]
    flat, regions = with_bodies(original)
    where = {(m.old, m.new)[side]: n for n, m in enumerate(union.marks)}
    inner = {value: source for n, r in regions.items() for value, source in zip(flat.nodes[n].outputs, r.outputs)}
    inner |= {value: source for n, r in regions.items() for value, source in zip(r.inputs, flat.nodes[n].inputs)}
    maker = {value: n for n, node in enumerate(flat.nodes) if n not in regions for value in node.outputs}
    boxes = overlay.view.boxes
    inputs = {(b.name, overlay.boxes[n] == "removed"): n for n, b in enumerate(boxes) if b.kind == "input"}
    old_name = union.pair.same.inputs

    def origin(value: int) -> int | None:
        while value in inner:
            value = inner[value]
        if value in maker:
            return box_of[where[maker[value]]]
        port = next((p.name for p in original.inputs if p.value == value), None)
        if port is None:
            return None
        return inputs[port, False] if side else inputs[old_name.get(port, port), port not in old_name]

    found = set()
    for n, node in enumerate(flat.nodes):
        if n not in regions:
            found |= {(origin(value), box_of[where[n]], False) for value in node.inputs}
    out = {(b.name, overlay.boxes[n] == "removed"): n for n, b in enumerate(boxes) if b.kind == "output"}
    renamed = union.pair.same.outputs
    for port in original.outputs:
        target = out[port.name, False] if side else out[renamed.get(port.name, port.name), port.name not in renamed]
        found.add((origin(port.value), target, False))
    for n, region in regions.items():
        step = flat.nodes[n].op.step
        for made, taken in zip(region.outputs[step.stacked :], region.inputs[len(step.sliced) :]):
            users = [m for m, node in enumerate(flat.nodes) if m not in regions and taken in node.inputs]
            found |= {(origin(made), box_of[where[m]], True) for m in users}
    return {(a, b, loop) for a, b, loop in found if a is not None and a != b}


def hold(old: Graph, new: Graph) -> None:
    found = laid(old, new)
    for depth in depths(found.union):
        overlay = found.at(depth)
        hold_every_layer_once(overlay, found.difference)
        hold_every_link(overlay)


@pytest.mark.parametrize("name", EDITS)
def test_edited(name: str) -> None:
    hold(*edited(name))
    hold(*reversed(edited(name)))


@pytest.mark.parametrize("specs", SHIPPED, ids=" ".join)
def test_shipped(specs: tuple[str, str]) -> None:
    hold(*(load(spec).graph for spec in specs))


@pytest.mark.parametrize("seed", range(10))
def test_random(seed: int) -> None:
    old = drawn(seed).graph
    for draw in range(2):
        hold(old, variant(seed, draw))
    hold(old, drawn(seed + 1).graph)


# ------------------------------------------------------------------------------------------------------------- symmetry
SWAP = {"added": "removed", "removed": "added"}


def fates(found: Comparable) -> tuple[Counter[object], Counter[object]]:
    """What became of layers, by both names, and of links, by how many there are at the deepest."""
    union, overlay = found.union, found.at(99)
    before, after = union.pair.before.nodes, union.pair.after.nodes
    layers = Counter(
        (m.status, None if m.old is None else before[m.old].name, None if m.new is None else after[m.new].name) for m in union.marks
    )
    return layers, Counter(overlay.links)  # type: ignore[return-value]


@pytest.mark.parametrize("name", EDITS)
def test_exchanged(name: str) -> None:
    there, back = (fates(laid(*graphs)) for graphs in (edited(name), edited(name)[::-1]))
    assert there[0] == Counter({(SWAP.get(s, s), new, old): n for (s, old, new), n in back[0].items()})  # type: ignore[misc]
    assert there[1] == Counter({SWAP.get(s, s): n for s, n in back[1].items()})  # type: ignore[call-overload]


# ---------------------------------------------------------------------------------------------------------- what is seen
def boxes(overlay: Overlay) -> list[tuple[str, str, int]]:
    return [(box.name, status, box.repeat) for box, status in zip(overlay.view.boxes, overlay.boxes)]


def test_what_did_not_change_is_one_box() -> None:
    overlay = laid(*edited("nothing")).at()
    assert boxes(overlay) == [("image", "same", 1), ("small", "same", 1), ("y", "same", 1)]
    assert overlay.links == ("same", "same") and not overlay.view.groups


def test_a_layer_put_into_a_chain_stands_in_its_card() -> None:
    overlay = laid(*edited("a layer more")).at()
    card = next(box for box in overlay.view.boxes if box.key == "one.conv1")
    rows = [(overlay.view.graph.nodes[row].op.NAME, overlay.union.marks[row].status) for row in card.rows]
    assert rows == [("conv", "same"), ("batch_norm", "same"), ("gelu", "added"), ("relu", "same")]
    assert set(overlay.links) == {"same"}


def test_removed_and_added_in_one_place_of_a_chain() -> None:
    old = graph("net a { input x: [N, 8]; output y = x -> linear(8) as p -> softplus as q -> linear(8) as r }")
    new = graph("net a { input x: [N, 8]; output y = x -> linear(8) as p -> dropout(0.1) as s -> linear(8) as r }")
    overlay = laid(old, new).at()
    rows = [[(overlay.view.graph.nodes[row].name, overlay.union.marks[row].status) for row in box.rows] for box in overlay.view.boxes]
    assert rows == [[], [("p", "same"), ("-q", "removed"), ("s", "added")], [("r", "same")], []]
    assert overlay.links == ("same", "same", "same")


def test_a_whole_new_block_is_folded_where_there_are_many() -> None:
    overlay = laid(load("zoo.resnet:resnet18").graph, load("zoo.resnet:resnet34").graph).at()
    added = [(box.name, box.repeat) for box, status in zip(overlay.view.boxes, overlay.boxes) if status == "added"]
    assert added[-3:] == [("layer2.2", 2), ("layer3.2", 4), ("layer4.2", 1)]


def test_the_default_fits_a_page() -> None:
    for specs in SHIPPED:
        overlay = laid(*(load(spec).graph for spec in specs)).at()
        assert len(overlay.view.boxes) <= 44, specs


def test_a_long_unchanged_stretch_is_one_box() -> None:
    chain = " -> ".join(f"linear({8 + n}) as f{n}" for n in range(40))
    old, new = (
        graph(f"net a {{ input x: [N, 8]; output y = x -> {text} }}") for text in (chain, chain + " -> linear(47, bias = false) as end")
    )
    overlay = laid(old, new).at()
    kinds = [(box.kind, len(box.nodes), status) for box, status in zip(overlay.view.boxes, overlay.boxes)]
    assert kinds == [("input", 0, "same"), ("stretch", 39, "same"), ("layers", 1, "same"), ("layers", 1, "added"), ("output", 0, "same")]
    assert Counter(overlay.links) == {"same": 2, "added": 2, "removed": 1}


def test_a_renamed_block_stays_the_same() -> None:
    old = graph(BASE)
    new = graph(BASE.replace("as two", "as second"))
    found = laid(old, new)
    overlay = found.at()
    assert set(overlay.boxes) == {"same"} and {mark.was for mark in found.union.marks if mark.was.startswith("two.")}
    frame = next(n for n in found.union.inside if found.union.path(n) == "second")
    assert found.union.was(frame) == "two"


def test_ports() -> None:
    overlay = laid(*edited("another input")).at()
    assert boxes(overlay)[:2] == [("image", "same", 1), ("more", "added", 1)]
    overlay = laid(*edited("another output")).at()
    assert boxes(overlay)[-2:] == [("early", "added", 1), ("y", "same", 1)]


def test_without_layers() -> None:
    one = graph("net a { input x: [N, 4]; output y = x }")
    assert boxes(laid(one, one).at()) == [("x", "same", 1), ("y", "same", 1)]
    assert boxes(laid(one, one).at(1)) == [("x", "same", 1), ("y", "same", 1)]
