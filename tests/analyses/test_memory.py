"""Memory: peaks against torch's own storages, orders against all orders there are, and what training keeps against autograd."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

import netspec
from netspec import ops
from netspec.analyses.constraints import valid_sizes
from netspec.analyses.cost import batch_sizes, cost
from netspec.analyses.cost.liveness import Tasks, course, peak
from netspec.analyses.cost.schedule import best_order, segments
from netspec.analyses.cost.storage import bytes_of, contiguous, storages, view_strides
from netspec.analyses.cost.training import KEEPS, Site, saved
from netspec.analyses.cost.typed import closed, typed
from netspec.op import Accepts
from netspec.op import Site as Place
from netspec.sizes.dim import evaluate
from netspec.sizes.tensor import TensorType
from tests.ops.harness import accept
from tests.shipped import daily


# ----------------------------------------------------------------------------------------------------------- orders
def tasks_at_random(random: Random, nodes: int) -> Tasks:
    """Nodes that each read up to three earlier storages and make one or two; some outputs, one or two inputs."""
    before, uses, makes, maker = [], [], [], {}
    first = tuple(range(random.randint(1, 2)))
    number = len(first)
    for node in range(nodes):
        read = tuple(sorted(random.sample(range(number), min(number, random.randint(1, 3)))))
        uses.append(read)
        before.append(tuple(dict.fromkeys(maker[s] for s in read if s in maker)))
        made = tuple(range(number, number + random.choice((1, 1, 1, 2))))
        maker.update(dict.fromkeys(made, node))
        number += len(made)
        makes.append(made)
    users = {s: tuple(n for n, read in enumerate(uses) if s in read) for s in range(number)}
    sizes = tuple(random.choice((0, 1, 2, 3, 5, 8, 20)) for _ in range(number))
    kept = frozenset((number - 1, *random.sample(range(number), random.randint(0, 1))))
    return Tasks(tuple(before), tuple(uses), tuple(makes), {s: u for s, u in users.items() if u}, sizes, first, kept)


def orders(tasks: Tasks, done: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """All orders of execution."""
    if len(done) == len(tasks.before):
        yield done
    for node in range(len(tasks.before)):
        if node not in done and all(b in done for b in tasks.before[node]):
            yield from orders(tasks, (*done, node))


@pytest.mark.parametrize("seed", range(120))
def test_no_order_needs_less_than_the_best(seed: int) -> None:
    random = Random(seed)
    tasks = tasks_at_random(random, random.randint(1, 7))
    found = best_order(tasks)
    assert found.exact and sorted(found.order) == list(range(len(tasks.before)))
    assert found.bytes == peak(tasks, found.order).bytes == min(peak(tasks, order).bytes for order in orders(tasks))


@pytest.mark.parametrize("seed", range(40))
def test_the_best_order_of_many_nodes_is_an_order_and_no_worse(seed: int) -> None:
    random = Random(seed)
    tasks = tasks_at_random(random, 60)
    found = best_order(tasks)
    place = {node: index for index, node in enumerate(found.order)}
    assert all(place[b] < place[n] for n, nodes in enumerate(tasks.before) for b in nodes)
    assert found.bytes == peak(tasks, found.order).bytes <= peak(tasks, range(60)).bytes
    assert found == best_order(tasks)


@pytest.mark.parametrize("seed", range(30))
def test_a_peak_is_what_is_alive_at_it(seed: int) -> None:
    tasks = tasks_at_random(Random(seed), 9)
    found = peak(tasks, range(9))
    assert (
        sum(tasks.size[s] for s in found.alive)
        == found.bytes
        == max(sum(map(tasks.size.__getitem__, tasks.first)), *course(tasks, range(9)).during)
    )


def test_segments_end_where_one_node_holds_all_that_follows() -> None:
    net = netspec.loads("net t { input x: [N, 4, 8, 8]\n a = x -> relu\n b = a -> conv(4, 1)\n c = b -> relu\n output y = c + a }")
    from netspec.analyses.cost.liveness import tasks_of

    at = typed(net.graph, {"N": 1})
    assert segments(tasks_of(net.graph, storages(net.graph, at.types))) == [range(0, 1), range(1, 4)]


def test_a_better_order_is_found() -> None:
    """Both wide branches are narrowed at once, not one after the other."""
    body = "a = x -> conv(64, 1)\n b = x -> conv(64, 1)\n c = a -> conv(1, 1)\n d = b -> conv(1, 1)\n output y = c + d"
    found = cost(netspec.loads(f"net t {{ input x: [N, 1, 16, 16]\n {body} }}").graph).memory
    assert found.peak.bytes == 4 * 256 * (1 + 64 + 64) and found.best == 4 * 256 * (1 + 64 + 1) and found.exact
    assert found.order in ((0, 2, 1, 3, 4), (1, 3, 0, 2, 4))


# ---------------------------------------------------------------------------------------------------------- storage
@pytest.mark.parametrize("seed", range(60))
def test_reshapes_are_views_where_torch_says_so(seed: int) -> None:
    torch = pytest.importorskip("torch")
    random = Random(seed)
    for _ in range(50):
        x = torch.zeros([random.choice((1, 2, 3, 4)) for _ in range(random.randint(1, 4))])
        x = x.permute(random.sample(range(x.dim()), x.dim()))[..., : random.randint(1, x.shape[-1])]
        target = _other_shape(random, x.numel())
        ours = view_strides(tuple(x.shape), x.stride(), target)
        try:
            theirs = x.view(target).stride()
        except RuntimeError:
            assert ours is None
        else:
            assert ours is not None
            assert [a for a, n in zip(ours, target) if n != 1] == [a for a, n in zip(theirs, target) if n != 1]


def _other_shape(random: Random, count: int) -> tuple[int, ...]:
    found = []
    while count > 1:
        size = random.choice([n for n in range(2, count + 1) if count % n == 0])
        found.append(size)
        count //= size
    ones = [1] * random.randint(0, 2)
    return tuple(random.sample([*found, *ones], len(found) + len(ones)))


def test_contiguous() -> None:
    assert contiguous((2, 3, 4)) == (12, 4, 1) and contiguous(()) == ()


VIEWS = """net views { input x: [N, 12, H = 6, W = 6]
 a, b, c = x -> chunk(3)
 d = a -> permute((0, 2, 3, 1)) -> flatten(1, 2) -> flatten
 e = b -> crop(1) -> dropout -> relu -> flatten(2)
 f = c -> unsqueeze(-1) -> squeeze(-1) -> select(0, axis = 2) -> flatten
 g = x -> flatten -> linear(8) -> reshape((N, 2, 4))
 h = d -> linear(3)
 i = f -> linear(3)
 j = g -> sum((1, 2)) -> unsqueeze(-1)
 output y = h + i + j
 output w = e -> mean((1, 2))
 output z = g -> permute((0, 2, 1)) -> flatten }"""


@pytest.mark.parametrize("spec", [VIEWS, "zoo.alexnet", "zoo.googlenet", "zoo.squeezenet:squeezenet1_1", "zoo.autoencoder"])
def test_the_peak_is_what_torchs_storages_take(spec: str) -> None:
    pytest.importorskip("torch")
    net = netspec.loads(spec) if "{" in spec else netspec.load(spec)
    found = cost(net.graph, {"N": 2})
    assert _measured_peak(net, dict(found.sizes)) == found.memory.peak.bytes


def _measured_peak(net: Any, sizes: dict[str, int]) -> int:
    """Node by node in torch: a value is dropped after its last use, and live storages are counted, each once."""
    from netspec.backends.torch_source.lower import site
    from tests.backends.torch.interpreter import _Node, example_inputs

    graph, state = net.graph, net.torch().state_dict()
    inputs = example_inputs(graph, sizes)
    stored = {t.untyped_storage().data_ptr() for t in state.values()}
    last = {v: index for index, node in enumerate(graph.nodes) for v in node.inputs}
    last.update({p.value: len(graph.nodes) for p in graph.outputs})
    values = {port.value: tensor for port, tensor in zip(graph.inputs, inputs)}
    most = 0
    for index, node in enumerate(graph.nodes):
        result = _Node(node.op.torch(site(graph, node)), node.label, state, [values[v] for v in node.inputs], sizes).run()
        values.update(zip(node.outputs, result if isinstance(result, (tuple, list)) else [result]))
        alive = {s.data_ptr(): s.nbytes() for s in (t.untyped_storage() for t in values.values())}
        most = max(most, sum(size for place, size in alive.items() if place not in stored))
        for value in [v for v in values if last.get(v, index) <= index]:
            del values[value]
    return most


# --------------------------------------------------------------------------------------------------------- training
def test_every_operator_says_what_it_keeps() -> None:
    assert set(KEEPS) == set(ops.names())


class Kept:
    """Counts the bytes of storages that autograd saves, parameters and buffers left out."""

    def __init__(self, own: list[Any]) -> None:
        import torch

        self.own = {t.untyped_storage().data_ptr() for t in own}
        self.found: dict[int, int] = {}
        self.alive: list[Any] = []
        self.hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda tensor: tensor)

    def _pack(self, tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        kept = tensor.detach()  # with its history it would hold itself, in a circle that nothing collects
        self.alive.append(kept)
        if storage.data_ptr() not in self.own:
            self.found[storage.data_ptr()] = storage.nbytes()
        return kept

    @property
    def bytes(self) -> int:
        """All of them."""
        return sum(self.found.values())


@pytest.mark.filterwarnings("ignore:Using padding='same'", "ignore:TF32 acceleration")
@pytest.mark.parametrize("name", ops.names())
def test_what_each_operator_keeps_is_what_autograd_saves(name: str) -> None:
    pytest.importorskip("torch")
    for example in ops.lookup(name).EXAMPLES:
        if isinstance(example, Accepts) and example.call not in UNUSUAL and "lengths = " not in example.call:
            _compare(example)  # of packed sequences torch keeps what their lengths ask for, which only the data knows


#: batches of one value, which do not train; sizes inside of arguments, which `closed` does not reach; parameters alone
UNUSUAL = frozenset({
    "instance_norm(affine = true, track_running_stats = true)", "pad(((0, -H % 4), (0, -W % 4)))",
    "crop(size = (4, W - 2), offset = (0, 1))", "reshape((N, 2, 8))", "reshape((N, -1, 4))", "reshape((N, T, 2, -1))",
    "reshape((N, 2, -1))", "reshape((N, T // 2, 2, -1))", "expand((N, N, 8))", "split((1, T - 1), axis = -2)", "slice(stop = T // 2)",
    "select(T // 2)", "add(left = W)", "div(T)", "param((1, 197, 768))", "param(())",
    "where(left = T, right = 0)", "roll(T // 2)", "less_equal(T)", "remainder(T)", "floor_divide(T)", "tile((1, 1, T))",
    "triu(S - T + 1)",
})  # fmt: skip


def _compare(example: Accepts) -> None:
    import torch

    from tests.ops.torch_terms import Runner

    case = accept(example.call, example.inputs)
    inputs, outputs = (tuple(TensorType(closed(t.shape, case.typical), t.dtype) for t in types) for types in (case.inputs, case.outputs))
    if inputs[:1] == (TensorType((1, 3, 1, 1)),):
        return
    tensors = [_example(t) for t in inputs]
    runner = Runner(case.operator, Place(inputs, outputs, case.weights, 21))
    if runner.module is not None:
        runner.module.train()
    kept = Kept([] if runner.module is None else [*runner.module.parameters(), *runner.module.buffers()])
    with torch.backends.mkldnn.flags(enabled=False), kept.hooks:  # whose LSTM keeps a workspace
        runner(*tensors)
    flows = tuple(t.requires_grad for t in tensors)
    if not any(flows) and not any(w.trainable for w in case.weights):
        return
    what = saved(Site(case.operator, inputs, outputs, flows))
    ours = sum(bytes_of(inputs[i]) for i in set(what.inputs)) + sum(bytes_of(outputs[i]) for i in set(what.outputs))
    assert ours + what.more == kept.bytes, f"{example.call} {torch.__version__}"


def _example(kind: TensorType) -> Any:
    import torch

    floating = kind.dtype.startswith(("float", "bfloat"))
    tensor = (
        torch.rand(kind.shape).add(0.1).to(getattr(torch, kind.dtype))
        if floating
        else torch.zeros(kind.shape, dtype=getattr(torch, kind.dtype))
    )
    return tensor.requires_grad_(floating)


def _inputs(net: Any, sizes: dict[str, int]) -> list[Any]:
    """Numbers drawn; ones for indices, truth values, and as lengths."""
    import torch

    shapes = [([evaluate(s, sizes) for s in v.shape], v.dtype) for v in (net.graph.values[p.value] for p in net.graph.inputs)]
    return [torch.randn(shape) if kind.startswith("float") else torch.ones(shape, dtype=getattr(torch, kind)) for shape, kind in shapes]


QUICK = (
    "zoo.alexnet:alexnet",
    "zoo.resnet:resnet18",
    "zoo.mobilenet:mobilenet_v2",
    "zoo.perceptron:mlp",
    "zoo.lenet:lenet5",
    "zoo.unet:unet",
)


#: with the lengths of sequences as an input: of packed ones torch keeps what the data decides
PACKED = frozenset({"zoo.tagger:char_tagger", "zoo.tagger:bilstm_tagger"})

#: whose heads go into `scaled_dot_product` and out of it by way of a `permute`: torch's kernel may put its output where the copy
#: would be, and what is told is then the more, by one or two tensors a layer
HEADS = frozenset({"zoo.gpt2:gpt2", "zoo.gpt2:gpt2_medium", "zoo.gpt2:gpt2_large", "zoo.llama:smollm_135m"})


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
@pytest.mark.parametrize("spec", [s if s in QUICK else pytest.param(s, marks=pytest.mark.slow) for s in daily("memory") if s not in PACKED])
def test_training_keeps_what_autograd_saves(spec: str) -> None:
    torch = pytest.importorskip("torch")
    net = netspec.load(spec)
    small = {name: 96 for name, typical in net.graph.typical.items() if typical > 96}
    small = small if valid_sizes(net.graph).contains(small) else {}
    found = cost(net.graph, {**small, **dict.fromkeys(batch_sizes(net.graph), 2)})
    module = net.torch().train()
    kept = Kept([*module.parameters(), *module.buffers()])
    with torch.backends.mkldnn.flags(enabled=False), kept.hooks:  # whose recurrences keep a workspace
        module(*_inputs(net, dict(found.sizes)))
    assert kept.bytes <= found.memory.kept <= kept.bytes * (1.15 if spec in HEADS else 1)
    sizes = [(t.numel() * t.element_size(), t.requires_grad) for t in (*module.parameters(), *module.buffers())]
    assert found.memory.parameters == found.memory.gradients == sum(s for s, trained in sizes if trained)
    assert found.memory.buffers == sum(s for s, trained in sizes if not trained)
    assert found.memory.training == found.memory.kept + found.memory.parameters + sum(s for s, _ in sizes)


@pytest.mark.parametrize("spec", daily("memory"))
def test_shipped_networks_are_ordered_exactly(spec: str) -> None:
    found = cost(netspec.load(spec).graph).memory
    assert found.exact and found.best <= found.peak.bytes
