"""Every optimizer against its paper's formula in NumPy, and PyTorch's against its own class; and what the vocabulary says of them."""

from __future__ import annotations

import copy
import inspect
import io
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.diagnostics.model import Refusal
from netspec.op import Reject
from netspec.recipe import VOCABULARY, known, lookup
from netspec.recipe.entry import read_entry, write_entry
from netspec.recipe.section import Section
from tests.training import reference_optimizers

torch = pytest.importorskip("torch")

from netspec.training.optimizers import make_optimizer  # noqa: E402

NAMES = known()["optimizer"]
PLAIN = [name for name in NAMES if name != "lbfgs"]
TORCHS = [name for name in NAMES if name in VOCABULARY["optimizer"]["optimizers"]]
#: those that have no learning rate of their own
NEEDED = {"adagrad_da": 0.3, "proximal_gradient_descent": 0.1, "proximal_adagrad": 0.1, "lars": 2.0}

CASES: list[tuple[str, dict[str, Any]]] = [(name, {"lr": NEEDED[name]} if name in NEEDED else {}) for name in PLAIN] + [
    ("sgd", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("sgd", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("adagrad", {"lr": 0.1, "lr_decay": 0.01, "weight_decay": 0.1, "initial_accumulator_value": 0.2, "eps": 1e-3}),
    ("adadelta", {"lr": 0.7, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1}),
    ("rmsprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1, "momentum": 0.8, "centered": True}),
    ("rmsprop", {"momentum": 0.5}),
    ("adam", {"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1, "amsgrad": True}),
    ("adam", {"lr": 0.03, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("adamw", {"lr": 0.03, "betas": (0.8, 0.95), "weight_decay": 0.2, "amsgrad": True}),
    ("nadam", {"lr": 0.03, "betas": (0.8, 0.95), "weight_decay": 0.1, "momentum_decay": 0.1}),
    ("nadam", {"lr": 0.03, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("radam", {"lr": 0.03, "betas": (0.8, 0.95), "weight_decay": 0.1}),
    ("radam", {"lr": 0.03, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("adamax", {"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    ("rprop", {"lr": 0.02, "etas": (0.4, 1.3), "step_sizes": (0.01, 0.05)}),
    ("asgd", {"lr": 0.05, "lambd": 0.1, "alpha": 0.6, "t0": 3.0, "weight_decay": 0.1}),
    ("adagrad_da", {"lr": 0.3, "initial_gradient_squared_accumulator_value": 0.5, "l1": 0.2, "l2": 0.3}),
    ("ftrl", {"lr": 0.3, "l1": 0.5, "l2": 0.3, "l2_shrinkage": 0.1, "beta": 1.0}),
    ("ftrl", {"lr": 0.3, "learning_rate_power": -0.7, "initial_accumulator_value": 0.4, "l1": 0.5}),
    ("ftrl", {"lr": 0.3, "initial_accumulator_value": 0.0, "beta": 1.0, "l1": 0.5, "l2": 0.25}),
    ("proximal_gradient_descent", {"lr": 0.1, "l1": 0.3, "l2": 0.4}),
    ("proximal_adagrad", {"lr": 0.2, "initial_accumulator_value": 0.3, "l1": 0.3, "l2": 0.4}),
    ("lars", {"lr": 3.0, "momentum": 0.5, "weight_decay": 0.1, "trust": 0.01, "eps": 1e-3}),
    ("lion", {"lr": 0.03, "betas": (0.8, 0.95), "weight_decay": 0.2}),
]
#: learning rates of 20 steps, as parts of the optimizer's own: one that stays, one that a schedule changes
RATES = {"constant": [1.0] * 20, "scheduled": [1.0] * 6 + [0.5] * 7 + [0.2] * 7}
#: PyTorch keeps some rates in float32, whatever the weights are
SINGLE = {"asgd": 2e-7, "nadam": 1e-8}
SHAPES = ((5, 6), (5,))


def text(case: Any) -> str:
    name, arguments = case
    return f"{name}({', '.join(f'{k}={v}' for k, v in arguments.items())})"


def problem() -> tuple[list[Any], Any]:
    """Weights to start from, and the gradient of Σ a (w - c)² / 2 - 0.3 cos(3 w) at some weights, for each tensor."""
    rng = np.random.default_rng(7)
    first = [rng.normal(size=shape) for shape in SHAPES]
    curvature, centre = [rng.uniform(1, 3, shape) for shape in SHAPES], [rng.normal(size=shape) for shape in SHAPES]
    return first, lambda n, w: curvature[n] * (w - centre[n]) + 0.9 * np.sin(3 * w)


def network(first: list[Any]) -> tuple[Any, Any]:
    """A net of one layer and its module, with those weights, in their precision."""
    net = netspec.loads("net n { input x: [N, 6]; output y = x -> linear(5) as fc }")
    module = net.torch().to(torch.tensor(first[0]).dtype)
    module.load_state_dict({"fc.weight": torch.tensor(first[0]), "fc.bias": torch.tensor(first[1])})
    return net.graph, module


def set_gradients(parameters: Any, gradient: Any) -> None:
    for number, parameter in enumerate(parameters):
        parameter.grad = torch.tensor(gradient(number, parameter.detach().numpy()), dtype=parameter.dtype)


def run(optimizer: Any, parameters: list[Any], gradient: Any, rates: list[float]) -> list[list[Any]]:
    """The weights after each step."""
    base, path = [group["lr"] for group in optimizer.param_groups], []
    for rate in rates:
        for group, lr in zip(optimizer.param_groups, base):
            group["lr"] = lr * rate
        set_gradients(parameters, gradient)
        optimizer.step()
        path.append([p.detach().numpy().copy() for p in parameters])
    return path


def trained(name: str, arguments: dict[str, Any], rates: list[float]) -> list[list[Any]]:
    first, gradient = problem()
    graph, module = network(first)
    optimizer = make_optimizer(graph, Section(optimizer=lookup("optimizer", name)(**arguments)), module)
    return run(optimizer, list(module.parameters()), gradient, rates)


def furthest(left: list[list[Any]], right: list[list[Any]]) -> float:
    assert len(left) == len(right) == 20
    return max(float(np.abs(a - b).max()) for one, other in zip(left, right) for a, b in zip(one, other))


@pytest.mark.parametrize("rates", RATES.values(), ids=RATES)
@pytest.mark.parametrize("case", CASES, ids=text)
def test_twenty_steps_are_those_of_the_formula(case: Any, rates: list[float]) -> None:
    name, arguments = case
    lr = arguments.get("lr", lookup("optimizer", name).model_fields["lr"].default)
    weights, gradient = problem()
    own = {k: v for k, v in arguments.items() if k != "lr"}
    steps, path = [getattr(reference_optimizers, name)(**own) for _ in weights], []
    for t, rate in enumerate(rates, start=1):
        weights = [step(w, gradient(n, w), t, lr * rate) for n, (step, w) in enumerate(zip(steps, weights))]
        path.append(weights)
    assert furthest(trained(name, arguments, rates), path) < SINGLE.get(name, 1e-11)
    assert furthest([problem()[0]] * 20, path) > 1e-3  # and it moves


@pytest.mark.parametrize("case", [c for c in CASES if c[0] in TORCHS], ids=text)
def test_twenty_steps_are_those_of_pytorchs_own_class(case: Any) -> None:
    name, arguments = case
    first, gradient = problem()
    parameters = [torch.nn.Parameter(torch.tensor(w)) for w in first]
    theirs = {kind.lower(): getattr(torch.optim, kind) for kind in torch.optim.__all__ if kind != "lr_scheduler"}[name]
    path = run(theirs(parameters, **arguments), parameters, gradient, RATES["scheduled"])
    assert furthest(trained(name, arguments, RATES["scheduled"]), path) < SINGLE.get(name, 1e-12)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_takes_the_loss_as_a_function(search: str | None) -> None:
    first, gradient = problem()
    graph, module = network(first)
    entry = lookup("optimizer", "lbfgs")(lr=0.5, max_iter=1 if search is None else 3, line_search_fn=search)
    optimizer, parameters = make_optimizer(graph, Section(optimizer=entry), module), list(module.parameters())
    copies = [torch.nn.Parameter(p.detach().clone()) for p in parameters]
    theirs = torch.optim.LBFGS(copies, lr=0.5, max_iter=entry.max_iter, line_search_fn=search)

    def closure(of: list[Any]) -> Any:
        def value() -> Any:
            set_gradients(of, gradient)
            return _loss(of)

        return value

    ours, other = [], []
    for _ in range(20):
        before = float(_loss(parameters))
        assert float(optimizer.step(closure(parameters))) == before
        theirs.step(closure(copies))
        ours.append(np.concatenate([p.detach().numpy().ravel() for p in parameters]))
        other.append(np.concatenate([p.detach().numpy().ravel() for p in copies]))
    assert entry.CLOSURE and np.array_equal(ours, other)
    if search is None:
        flat = lambda w: np.concatenate([gradient(0, w[:30].reshape(5, 6)).ravel(), gradient(1, w[30:])])  # noqa: E731
        path = reference_optimizers.lbfgs(flat, np.concatenate([w.ravel() for w in first]), 0.5, 20)
        assert np.abs(np.array(ours) - np.array(path)).max() < 1e-8


def _loss(parameters: list[Any]) -> Any:
    """The function that `problem` has the gradient of."""
    rng = np.random.default_rng(7)
    [rng.normal(size=shape) for shape in SHAPES]
    curvature, centre = [rng.uniform(1, 3, shape) for shape in SHAPES], [rng.normal(size=shape) for shape in SHAPES]
    parts = zip(parameters, map(torch.tensor, curvature), map(torch.tensor, centre))
    return sum((a * (p.detach() - c) ** 2 / 2 - 0.3 * torch.cos(3 * p.detach())).sum() for p, a, c in parts)


@pytest.mark.parametrize("name", ["adagrad_da", "ftrl", "proximal_gradient_descent", "proximal_adagrad"])
def test_proximal_methods_make_exact_zeros(name: str) -> None:
    arguments = {"lr": 0.2, "l1": 2.5 if name == "ftrl" else 1.5}  # FTRL's threshold is for the whole sum, not for each step
    last = trained(name, arguments, [1.0] * 20)[-1]
    zeros = sum(int((w == 0).sum()) for w in last)
    assert 3 <= zeros < 35
    assert not any(np.signbit(w[w == 0]).any() for w in last)
    without = trained(name, {"lr": 0.2}, [1.0] * 20)[-1]
    assert not any((w == 0).any() for w in without)


def test_ftrl_of_the_paper_is_that_of_tensorflow_with_other_names() -> None:
    """McMahan's α, β, λ₁, λ₂, from n = 0 and w = 0: l2 is half of λ₂, and a coordinate without a gradient stays 0 (not 0 / 0)."""
    alpha, beta, l1, l2 = 0.4, 1.0, 0.3, 0.7
    entry = lookup("optimizer", "ftrl")(lr=alpha, beta=beta, l1=l1, l2=l2 / 2, initial_accumulator_value=0.0)
    graph, module = network([np.zeros(shape) for shape in SHAPES])
    optimizer = make_optimizer(graph, Section(optimizer=entry), module)
    rng = np.random.default_rng(1)
    n, z, w = np.zeros(5), np.zeros(5), np.zeros(5)
    for _ in range(20):
        g = rng.normal(size=5) * [1, 1, 1, 1, 0]
        module.fc.weight.grad, module.fc.bias.grad = torch.zeros(5, 6).double(), torch.tensor(g)
        optimizer.step()
        sigma = (np.sqrt(n + g**2) - np.sqrt(n)) / alpha
        z, n = z + g - sigma * w, n + g**2
        w = np.where(np.abs(z) <= l1, 0, -(z - np.sign(z) * l1) / ((beta + np.sqrt(n)) / alpha + l2))
        assert np.abs(module.fc.bias.detach().numpy() - w).max() < 1e-12
    assert torch.equal(module.fc.weight, torch.zeros(5, 6).double()) and (w[:4] != 0).any()


@pytest.mark.parametrize("case", CASES, ids=text)
def test_a_run_goes_on_from_its_state_as_if_it_had_not_stopped(case: Any) -> None:
    name, arguments = case
    first, gradient = problem()
    first = [w.astype(np.float32) for w in first]  # as nets are
    section = Section(optimizer=lookup("optimizer", name)(**arguments), no_decay=("*.bias",), rates=(("*.bias", 2.0),))
    graph, module = network(first)
    optimizer = make_optimizer(graph, section, module)
    run(optimizer, list(module.parameters()), gradient, [1.0] * 7)
    stored = io.BytesIO()
    torch.save([optimizer.state_dict(), module.state_dict()], stored)
    stored.seek(0)
    other_graph, other = network(first)
    again = make_optimizer(other_graph, section, other)
    state, weights = torch.load(stored, weights_only=True)
    again.load_state_dict(state), other.load_state_dict(weights)
    ends = [run(o, list(m.parameters()), gradient, [1.0] * 7)[-1] for o, m in ((optimizer, module), (again, other))]
    assert all(np.array_equal(a, b) for a, b in zip(*ends))
    assert [g["name"] for g in again.param_groups] == [g["name"] for g in optimizer.param_groups]


@pytest.mark.parametrize("name", [n for n in PLAIN if n not in TORCHS])
def test_our_own_take_a_closure_and_skip_what_has_no_gradient(name: str) -> None:
    graph, module = network(problem()[0])
    optimizer = make_optimizer(graph, Section(optimizer=lookup("optimizer", name)(lr=0.02)), module)
    x, bias = torch.ones(2, 6).double(), module.fc.bias.detach().clone()

    def closure() -> Any:
        optimizer.zero_grad()
        loss = ((x @ module.fc.weight.T) ** 2).sum()
        loss.backward()
        return loss

    before = float(closure().detach())
    assert float(optimizer.step(closure).detach()) == before
    assert float(closure().detach()) < before or name == "lars"
    assert torch.equal(module.fc.bias, bias)
    module.fc.weight.grad = torch.ones(5, 6).double().to_sparse()
    with pytest.raises(RuntimeError, match="sparse"):
        optimizer.step()


@pytest.mark.parametrize("name", [n for n in PLAIN if n not in TORCHS])
def test_how_tensors_are_put_together_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = {"lr": 0.1, **({} if name in ("lars", "lion") else {"l1": 0.1, "l2": 0.1})}
    together = trained(name, arguments, [1.0] * 20)
    monkeypatch.setattr("netspec.training.optimizers.listwise._LARGE", 10)
    apart = trained(name, arguments, [1.0] * 20)
    assert all(np.array_equal(a, b) for one, other in zip(together, apart) for a, b in zip(one, other))


def test_the_fastest_way_is_taken() -> None:
    graph, module = network(problem()[0])
    found = {n: make_optimizer(graph, Section(optimizer=lookup("optimizer", n)()), module).defaults for n in TORCHS if n != "lbfgs"}
    assert {n for n, defaults in found.items() if defaults.get("fused")} == {"sgd", "adagrad", "adam", "adamw"}


@pytest.mark.parametrize("name, factor", [("linear", 4.0), ("sqrt", 2.0)])
def test_learning_rates_grow_with_the_batch_where_asked_to(name: str, factor: float) -> None:
    graph, module = network(problem()[0])
    section = Section(optimizer=lookup("optimizer", "sgd")(lr=0.1), scale_lr=lookup("scaling", name)(), batch=256)
    assert make_optimizer(graph, section, module).param_groups[0]["lr"] == pytest.approx(0.1)
    assert make_optimizer(graph, section, module, batch=1024).param_groups[0]["lr"] == pytest.approx(0.1 * factor)


def test_the_vocabulary_is_what_the_files_define_and_every_entry_documents_itself() -> None:
    for file, names in VOCABULARY["optimizer"].items():
        module = __import__(f"netspec.recipe.{file}", fromlist=["x"])
        defined = [v for v in vars(module).values() if inspect.isclass(v) and v.__module__ == module.__name__ and "NAME" in vars(v)]
        assert tuple(kind.NAME for kind in defined) == names
        for kind in defined:
            assert kind.SLOT == "optimizer" and len(kind.__doc__) > 80 and kind.SOURCE, kind.NAME


@pytest.mark.parametrize("name", NAMES)
def test_arguments_are_those_of_the_class_that_computes_it(name: str) -> None:
    from netspec.training.optimizers.make import _class_of

    entry = lookup("optimizer", name)
    theirs = inspect.signature(_class_of(entry)).parameters
    for argument, facts in entry.model_fields.items():
        default = theirs[argument].default
        assert (default is inspect.Parameter.empty) == facts.is_required() and (facts.is_required() or default == facts.default), argument
    ours = list(entry.model_fields)
    assert ours == [argument for argument in theirs if argument in ours]  # in the same order
    assert set(entry.DECAYING) <= set(ours) and (entry.DECAY == "none") == (not entry.DECAYING)
    made = entry(**({} if not entry.model_fields["lr"].is_required() else {"lr": 0.1}))
    made.check()
    assert read_entry(write_entry(made)) == made


@pytest.mark.parametrize(
    "name, arguments",
    [(name, {"lr": lr}) for name in NAMES for lr in (0.0, -1.0, float("inf"), float("nan"), "fast", True)]
    + [
        ("sgd", {"momentum": 1.0}),
        ("sgd", {"weight_decay": -1e-4}),
        ("sgd", {"nestrov": True}),
        ("adam", {"betas": (0.9, 1.0)}),
        ("adam", {"betas": 0.9}),
        ("adam", {"betas": (0.9,)}),
        ("adamw", {"eps": -1e-8}),
        ("rmsprop", {"alpha": 1.5}),
        ("rprop", {"etas": (1.2, 0.5)}),
        ("lbfgs", {"max_iter": 0}),
        ("lbfgs", {"line_search_fn": "weak_wolfe"}),
        ("ftrl", {"learning_rate_power": 0.5}),
        ("adagrad_da", {"lr": 0.1, "initial_gradient_squared_accumulator_value": 0.0}),
        ("lars", {}),
        ("lion", {"betas": (-0.1, 0.9)}),
    ],
    ids=str,
)
def test_values_that_cannot_be_are_refused(name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        lookup("optimizer", name)(**arguments)


@pytest.mark.parametrize(
    "name, arguments, at",
    [
        ("sgd", {"nesterov": True}, "nesterov"),
        ("sgd", {"momentum": 0.9, "dampening": 0.1, "nesterov": True}, "dampening"),
        ("rprop", {"step_sizes": (1.0, 0.1)}, "step_sizes"),
    ],
)
def test_values_that_do_not_fit_one_another_are_refused(name: str, arguments: dict[str, Any], at: str) -> None:
    with pytest.raises(Reject) as refused:
        lookup("optimizer", name)(**arguments).check()
    assert (refused.value.code, refused.value.argument) == ("NS353", at)


def test_lbfgs_has_one_group() -> None:
    graph, module = network(problem()[0])
    entry = lookup("optimizer", "lbfgs")()
    assert make_optimizer(graph, Section(optimizer=entry, rates=(("fc", 0.5),)), module).param_groups[0]["lr"] == 0.5
    with pytest.raises(Refusal, match="NS353"):
        make_optimizer(graph, Section(optimizer=entry, rates=(("*.bias", 0.5),)), module)


def test_what_weight_decay_is_each_says() -> None:
    kinds = {name: lookup("optimizer", name).DECAY for name in NAMES}
    assert {n for n, kind in kinds.items() if kind == "decoupled"} == {"adamw", "lion"}
    assert {n for n, kind in kinds.items() if kind == "none"} == {"rprop", "lbfgs"}
    assert lookup("optimizer", "nadam")(decoupled_weight_decay=True).decay == "decoupled"
    assert copy.deepcopy(lookup("optimizer", "nadam")()).decay == "l2"
