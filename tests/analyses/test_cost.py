"""Cost: what is counted, held against torch's counter and against worked numbers; expressions against numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import netspec
from netspec import ops
from netspec.analyses.constraints import valid_sizes
from netspec.analyses.cost import batch_sizes, cost, expressed
from netspec.analyses.cost.grouping import by_block, by_operator, in_order
from netspec.analyses.cost.operations import FAMILIES, OPERATIONS, operations
from netspec.analyses.cost.storage import LOOKS, QUIET, REGROUP, STORED, storages
from netspec.analyses.cost.typed import typed
from netspec.op import Accepts
from netspec.sizes.dim import evaluate, show
from tests.ops.harness import accept
from tests.shipped import daily


def graph_of(body: str, shape: str = "[N, 3, H = 8, W = 8]") -> Any:
    """The graph of a net of one input `x`."""
    return netspec.loads(f"net t {{ input x: {shape}\n {body} }}").graph


# ------------------------------------------------------------------------------------------------------- the tables
def test_every_operator_has_a_line() -> None:
    assert set(OPERATIONS) == set(ops.names())
    assert LOOKS | QUIET | REGROUP | STORED <= set(ops.names())
    assert {ops.lookup(name).FAMILY for name in ops.names()} <= set(FAMILIES)


@pytest.mark.parametrize("name", ops.names())
def test_operations_of_every_example_as_numbers_and_as_expressions(name: str) -> None:
    for example in ops.lookup(name).EXAMPLES:
        if not isinstance(example, Accepts):
            continue
        case = accept(example.call, example.inputs)
        close = {t: t.with_shape(tuple(evaluate(s, case.typical) for s in t.shape)) for t in (*case.inputs, *case.outputs)}
        numbers = operations(case.operator, tuple(close[t] for t in case.inputs), tuple(close[t] for t in case.outputs))
        assert evaluate(operations(case.operator, case.inputs, case.outputs), case.typical) == numbers >= 0


WORKED = {
    "conv(4, 3)": 4 * 36,  # the bias
    "conv(4, 3, bias = false)": 0,
    "batch_norm": 2 * 192,  # a scale and a shift
    "batch_norm(track_running_stats = false)": 7 * 192,
    "layer_norm": 7 * 192,
    "layer_norm(affine = false)": 5 * 192,
    "rms_norm": 4 * 192,
    "local_response_norm(5)": 9 * 192,
    "relu": 192,
    "sigmoid": 4 * 192,
    "gelu(approximate = tanh)": 9 * 192,
    "max_pool(2)": 3 * 48,
    "max_pool((2, 3), 1)": 5 * 3 * 7 * 6,
    "avg_pool(2)": 4 * 48,
    "global_avg_pool": 192,
    "resize(2)": 0,
    "resize(2, mode = bilinear)": 7 * 768,
    "resize(2, mode = bicubic)": 31 * 768,
    "clamp(0, 6)": 2 * 192,
    "softmax(1)": 5 * 192,
    "cast(float64)": 192,
    "cast(float32)": 0,
    "flatten": 0,
    "pixel_unshuffle(2)": 0,
    "dropout": 0,
    "mean((2, 3))": 192,
    "weight_norm(conv(4, 3))": 4 * 36 + 3 * 4 * 27,
}


@pytest.mark.parametrize("call", WORKED)
def test_operations_by_hand(call: str) -> None:
    assert cost(graph_of(f"output y = x -> {call}")).total.operations == WORKED[call]


# ------------------------------------------------------------------------------------------------------------ bytes
def test_bytes_of_a_convolution() -> None:
    layer = cost(graph_of("output y = x -> conv(4, 3)")).layers[0]
    assert (layer.read, layer.written) == (4 * (192 + 4 * 27 + 4), 4 * 4 * 36)
    assert (layer.flops, layer.bytes) == (2 * 36 * 4 * 27 + 144, 4 * (304 + 144))
    assert layer.intensity == layer.flops / layer.bytes


@pytest.mark.parametrize(
    ("body", "moved"),
    [
        ("output y = x -> flatten", 0),
        ("output y = x -> permute((0, 2, 3, 1)) -> flatten(1, 2)", 0),  # height and width lie together still
        ("output y = x -> permute((0, 2, 3, 1)) -> flatten", 2 * 4 * 192),  # a copy
        ("output y = x -> slice(0, 1) -> flatten", 0),
        ("output y = x -> slice(0, 1, axis = 2) -> flatten", 2 * 4 * 24),
        ("output y = x -> crop(1) -> reshape((N, 3, 36))", 2 * 4 * 108),
        ("output y = x -> dropout", 0),
        ("output y = x -> cast(float64)", (4 + 8) * 192),
        ("a, b, c = x -> chunk(3)\n output y = a ++ c", 2 * 4 * 128),
        ("output y = x + x", 2 * 4 * 192),  # read once
        ("output y = x -> pixel_unshuffle(2) -> resize(like = x)", 4 * (192 + 192 + 192 + 768)),  # `like` is not read
        ("p = param((1, 3, 1, 1))\n output y = x + p", 4 * (2 * 192 + 3)),
        ("output y = x -> batch_norm", 4 * (2 * 192 + 4 * 3)),  # no counter of batches
    ],
)
def test_bytes_moved(body: str, moved: int) -> None:
    assert cost(graph_of(body)).total.bytes == moved


def test_an_embedding_reads_the_rows_that_it_looks_up() -> None:
    layer = cost(graph_of("output y = x -> embedding(1000, 16)", "int64 [N, T = 5]")).layers[0]
    assert (layer.parameters, layer.read, layer.written) == (16_000, 8 * 5 + 4 * 80, 4 * 80)


def test_shared_weights_count_once_and_their_work_each_time() -> None:
    found = cost(graph_of("layer f = conv(3, 3, padding = 1)\n output y = x -> f -> f -> f"))
    assert [layer.parameters for layer in found.layers] == [84, 0, 0]
    assert found.total.macs == 3 * 64 * 81 and found.layers[0].read == found.layers[2].read


# ------------------------------------------------------------------------------------------------------ expressions
@pytest.mark.parametrize("spec", daily("cost"))
def test_expressions_are_the_numbers_at_every_size(spec: str) -> None:
    graph = netspec.load(spec).graph
    opened = expressed(graph, cost(graph))
    for sizes in _choices(graph):
        found = cost(graph, sizes)
        env = dict(found.sizes)
        total = opened.total.at(env)
        assert (total.parameters, total.flops) == (found.total.parameters, found.total.flops)
        if _copies(graph, found.sizes) != _copies(graph, cost(graph).sizes):
            continue  # bytes are of the copies at the typical sizes: at others a `reshape` may be a look, as where one window is all
        assert total == found.total
        assert [layer.at(env) for layer in opened.layers] == list(found.layers)
        if all(env[n] > 1 for n in batch_sizes(graph)) or not RECURRENT & {n.op.NAME for n in graph.nodes}:
            assert evaluate(opened.memory.kept, env) == found.memory.kept
        assert evaluate(opened.memory.peak, env) <= found.memory.peak.bytes  # the peak may be another one there


#: they keep a copy of their input with the time first, of one example the input itself: an expression is of several
RECURRENT = {"rnn", "gru", "lstm"}


def _copies(graph: Any, sizes: Any) -> tuple[bool, ...]:
    """Which nodes make no copy at these sizes, in evaluation and in training."""
    types = typed(graph, dict(sizes)).types
    return (*storages(graph, types).view, *storages(graph, types, training=True).view)


def _choices(graph: Any) -> list[Mapping[str, int]]:
    """The typical sizes, three examples, and other sizes for which the network is well defined."""
    batch, valid = {"N": 3}, valid_sizes(graph)
    more = {name: 3 * value // 2 // 32 * 32 for name, value in graph.typical.items() if value >= 64}
    return [{}, batch, *([{**more, **batch}] if more and valid.contains(more) else [])]


def test_the_batch_is_a_symbol() -> None:
    graph = graph_of("output y = x -> conv(4, 3, padding = 1) -> relu")
    total = expressed(graph, cost(graph)).total
    assert [show(s) for s in (total.macs, total.operations)] == ["108 * H * N * W", "8 * H * N * W"]
    assert show(total.read + total.written) == "60 * H * N * W + 448"


# ----------------------------------------------------------------------------------------------------------- oracle
@pytest.mark.slow
@pytest.mark.parametrize("spec", ["zoo.alexnet", "zoo.resnet:resnet50", "zoo.unet:unet", "zoo.mobilenet:mobilenet_v2"])
def test_multiply_accumulates_are_half_of_torchs_flops(spec: str) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    net = netspec.load(spec)
    found = cost(net.graph, {"H": 96, "W": 96})
    shape = [evaluate(s, dict(found.sizes)) for s in net.graph.values[net.graph.inputs[0].value].shape]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.torch().eval()(torch.zeros(shape))
    assert counter.get_total_flops() == 2 * found.total.macs


def test_published_costs() -> None:
    published = {
        "zoo.resnet:resnet50": (25_557_032, 4.089), "zoo.vgg:vgg16": (138_357_544, 15.470), "zoo.densenet:densenet121": (7_978_856, 2.834),
        "zoo.mobilenet:mobilenet_v2": (3_504_872, 0.301), "zoo.alexnet": (61_100_840, 0.714),
    }  # fmt: skip
    for spec, (parameters, gmacs) in published.items():
        total = cost(netspec.load(spec).graph).total
        assert total.parameters == parameters and total.macs / 1e9 == pytest.approx(gmacs, abs=6e-4)


# --------------------------------------------------------------------------------------------------------- grouping
def test_groups_have_everything_once() -> None:
    graph = netspec.load("zoo.resnet:resnet18").graph
    found = cost(graph)
    for groups in (by_operator(graph, found.layers), by_block(graph, found.layers), by_block(graph, found.layers, 2)):
        assert sorted(n for g in groups for n in g.layers) == list(range(len(graph.nodes)))
        assert sum(g.cost.macs for g in groups) == found.total.macs and sum(g.cost.parameters for g in groups) == 11_689_512
    blocks = by_block(graph, found.layers)
    assert [g.label for g in blocks if g.label.startswith("layer")] == ["layer1", "layer2", "layer3", "layer4"]
    assert "layer1.0" in [g.label for g in by_block(graph, found.layers, 2)]
    sizes = [g.cost.macs for g in in_order(blocks, "macs")]
    assert sizes == sorted(sizes, reverse=True) and in_order(blocks) == blocks
    assert [g.label for g in in_order(blocks, "label")] == sorted(g.label for g in blocks)


def test_other_sizes() -> None:
    graph = graph_of("output y = x -> conv(4, 3, padding = 1)")
    assert cost(graph, {"H": 16, "N": 5}).total.macs == 10 * cost(graph).total.macs
    with pytest.raises(KeyError):
        cost(graph, {"Q": 1})
