"""Parameter groups from selectors: rates, decay, what is frozen; and batch norms that stay as they are."""

from __future__ import annotations

from typing import Any

import pytest

import netspec
from netspec.diagnostics.model import Refusal
from netspec.recipe import lookup
from netspec.recipe.section import Section

torch = pytest.importorskip("torch")

from netspec.training.groups import freeze_statistics, frozen_modules, frozen_names, parameter_groups, table  # noqa: E402
from netspec.training.optimizers import make_optimizer  # noqa: E402

TEXT = """
def part(c) = conv(c, 3, padding = 1) -> bn -> relu -> dropout(0.5)
net n {
  input x: [N, 3, 8, 8]
  output y = x -> part(4) as layer1 -> part(6) as layer2 -> flatten -> linear(5) as fc
}
"""


def made(text: str = TEXT, **settings: Any) -> tuple[Any, Section, Any]:
    net = netspec.loads(text)
    settings.setdefault("optimizer", lookup("optimizer", "sgd")(lr=0.1, momentum=0.9, weight_decay=5e-4))
    return net.graph, Section(**settings), net.torch()


def groups_of(**settings: Any) -> dict[str, tuple[tuple[str, ...], float, float]]:
    found = parameter_groups(*made(**settings))
    return {g.name: (g.names, g.lr, g.weight_decay) for g in found}


def test_one_group_where_nothing_differs() -> None:
    graph, section, module = made()
    (group,) = parameter_groups(graph, section, module)
    assert group.names == tuple(dict(module.named_parameters())) and group.count == sum(p.numel() for p in module.parameters())
    assert (group.lr, group.weight_decay, group.factor) == (0.1, 5e-4, 1.0)


def test_groups_merge_what_has_the_same_factor_and_decay() -> None:
    found = groups_of(no_decay=("*.bias", "bn"), rates=(("fc", 10), ("layer2", 10), ("conv", 1)))
    assert {name: (len(names), lr, decay) for name, (names, lr, decay) in found.items()} == {
        "rest": (2, 0.1, 5e-4),  # both convolutions
        "no decay": (4, 0.1, 0.0),  # their biases, and the first norm
        "x10": (1, 1.0, 5e-4),
        "x10, no decay": (3, 1.0, 0.0),
    }
    assert found["x10"][0] == ("fc.weight",)


def test_later_rates_win_and_a_factor_of_zero_freezes() -> None:
    graph, section, module = made(rates=(("parameters", 0.0), ("fc", 2), ("fc.bias", 4)))
    found = parameter_groups(graph, section, module)
    assert [(g.names, g.lr) for g in found] == [(("fc.weight",), 0.2), (("fc.bias",), 0.4)]
    assert [n for n, p in module.named_parameters() if p.requires_grad] == ["fc.weight", "fc.bias"]


def test_what_is_frozen_has_no_gradient_and_a_later_section_trains_it_again() -> None:
    graph, section, module = made(freeze=("layer1",))
    for p in module.parameters():
        p.grad = torch.ones_like(p)
    parameter_groups(graph, section, module)
    assert all((p.grad is None) == (not p.requires_grad) == n.startswith("layer1.") for n, p in module.named_parameters())
    parameter_groups(graph, section.with_settings(freeze=(), only=("layer1",)), module)
    assert all(p.requires_grad == n.startswith("layer1.") for n, p in module.named_parameters())
    parameter_groups(graph, section.with_settings(freeze=("*.bias",), only=("fc",)), module)
    assert [n for n, p in module.named_parameters() if p.requires_grad] == ["fc.weight"]


def test_nothing_to_train_is_refused() -> None:
    for settings in ({"freeze": ("parameters",)}, {"optimizer": None}):
        with pytest.raises(Refusal, match="NS356"):
            parameter_groups(*made(**settings))
    with pytest.raises(Refusal, match="no parameters"):
        parameter_groups(*made("net n { input x: [N, 4]; output y = x -> relu }"))


TIED = "net n { input x: [N, 6]; layer f = linear(6); output y = x -> f -> tanh -> f -> linear(2) as fc }"


def test_what_is_shared_is_one_parameter() -> None:
    graph, section, module = made(TIED, rates=(("f", 3),))
    found = parameter_groups(graph, section, module)
    assert sorted(len(g.parameters) for g in found) == [2, 2]
    assert len({id(p) for g in found for p in g.parameters}) == 4


def test_what_a_module_ties_itself_is_one_parameter_under_any_of_its_names() -> None:
    graph, section, module = made("net n { input x: [N, 6]; output y = x -> linear(6) as a -> linear(6) as b }", rates=(("b.weight", 3),))
    module.b.weight = module.a.weight
    found = parameter_groups(graph, section, module)
    assert {g.factor: g.names for g in found} == {1.0: ("a.bias", "b.bias"), 3.0: ("a.weight",)}


@pytest.mark.parametrize("name, zeroed", [("adamw", ["weight_decay"]), ("ftrl", ["l1", "l2", "l2_shrinkage"]), ("lars", ["weight_decay"])])
def test_no_decay_takes_every_kind_of_decay_away(name: str, zeroed: list[str]) -> None:
    arguments = {"l1": 0.1, "l2": 0.2, "l2_shrinkage": 0.3} if name == "ftrl" else {"weight_decay": 0.1}
    graph, section, module = made(optimizer=lookup("optimizer", name)(lr=0.1, **arguments), no_decay=("*.bias",))
    decays, exempt = make_optimizer(graph, section, module).param_groups
    assert all(decays[key] > 0 and exempt[key] == 0 for key in zeroed)
    assert (decays["name"], exempt["name"]) == ("rest", "no decay")
    if name == "lars":
        assert decays["adapt"] and not exempt["adapt"]


def test_an_optimizer_without_decay_has_no_groups_for_it() -> None:
    assert list(groups_of(optimizer=lookup("optimizer", "rprop")(), no_decay=("*.bias",))) == ["all"]


def test_the_table_of_groups() -> None:
    section = {"no_decay": ("*.bias", "bn"), "rates": (("fc", 10),), "freeze": ("layer1",)}
    assert table(parameter_groups(*made(**section))).splitlines() == [
        "group          tensors  parameters  learning rate  weight decay",
        "rest                 1         216            0.1  0.0005 (L2)",
        "no decay             3          18            0.1  none",
        "x10                  1       1,920              1  0.0005 (L2)",
        "x10, no decay        1           5              1  none",
        "frozen               4         120              -  -",
    ]
    adagrad = lookup("optimizer", "proximal_adagrad")(lr=0.1, l1=0.001)
    assert table(parameter_groups(*made(optimizer=adagrad))).splitlines()[1].endswith("0.1  l1 0.001 (proximal)")
    assert "0.01 (decoupled)" in table(parameter_groups(*made(optimizer=lookup("optimizer", "adamw")())))


def test_frozen_batch_norms_keep_their_statistics_and_dropout_goes_on() -> None:
    graph, section, module = made(freeze=("layer1",))
    parameter_groups(graph, section, module)
    frozen = frozen_modules(graph, section, module)
    module.train()
    freeze_statistics(frozen)
    norms = {name: part.training for name, part in module.named_modules() if isinstance(part, torch.nn.BatchNorm2d)}
    assert sorted(norms.values()) == [False, True] and not next(t for n, t in norms.items() if n.startswith("layer1"))
    assert all(part.training for part in module.modules() if isinstance(part, torch.nn.Dropout))
    before = {n: b.clone() for n, b in module.named_buffers()}
    module(torch.randn(4, 3, 8, 8))
    assert {n for n, b in module.named_buffers() if not torch.equal(b, before[n])} == {n for n in before if n.startswith("layer2")}


def test_a_norm_without_parameters_is_frozen_by_its_buffers() -> None:
    text = "net n { input x: [N, 3, 8, 8]; output y = x -> conv(4, 3) as c -> bn(affine = false) as b -> flatten -> linear(2) as fc }"
    for settings in ({"only": ("fc",)}, {"freeze": ("b",)}):
        graph, section, module = made(text, **settings)
        assert module.b in frozen_modules(graph, section, module)
        assert (module.c in frozen_modules(graph, section, module)) == ("only" in settings)
    graph, section, module = made(text, freeze=("c",))
    assert frozen_modules(graph, section, module) == [module.c]
    assert frozen_names(graph, section) == {"c.weight", "c.bias"}


def test_the_last_layer_alone_moves_and_all_else_stays_bit_for_bit() -> None:
    graph, section, module = made(only=("fc",))
    optimizer = make_optimizer(graph, section, module)
    before = {n: t.clone() for n, t in module.state_dict().items()}
    module.train()
    freeze_statistics(frozen_modules(graph, section, module))
    for _ in range(3):
        optimizer.zero_grad()
        module(torch.randn(4, 3, 8, 8)).square().sum().backward()
        optimizer.step()
    assert {n for n, t in module.state_dict().items() if not torch.equal(t, before[n])} == {"fc.weight", "fc.bias"}
