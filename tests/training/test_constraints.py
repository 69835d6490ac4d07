"""Clipping before a step and max-norm after it."""

from __future__ import annotations

from typing import Any

import pytest

import netspec
from netspec.diagnostics.model import Refusal
from netspec.recipe import lookup
from netspec.recipe.section import Section

torch = pytest.importorskip("torch")

from netspec.training.constraints import clip, constrain, prepare  # noqa: E402
from netspec.training.groups import parameter_groups  # noqa: E402

MLP = "net n { input x: [N, 6]; output y = x -> linear(5) as a -> relu -> linear(4) as b }"


def made(text: str, **settings: Any) -> tuple[Any, Section, Any]:
    net = netspec.loads(text)
    module = net.torch()
    return net.graph, Section(optimizer=lookup("optimizer", "sgd")(), **settings), module


def with_gradients(module: Any, size: float) -> list[Any]:
    torch.manual_seed(0)
    for p in module.parameters():
        p.grad = size * torch.randn_like(p)
    return [p.grad.clone() for p in module.parameters()]


def test_nothing_to_do_is_none() -> None:
    found = prepare(*made(MLP))
    assert found.before_step is None and found.after_step is None
    assert clip(made(MLP)[1], []) is None


@pytest.mark.parametrize("size", [1e-3, 10.0])
def test_clipping_by_norm_scales_all_gradients_together(size: float) -> None:
    graph, section, module = made(MLP, clip=lookup("clip", "norm")(most=1.5))
    before = with_gradients(module, size)
    norm = float(torch.cat([g.flatten() for g in before]).norm())
    found = prepare(graph, section, module).before_step()
    assert float(found) == pytest.approx(norm, rel=1e-5)
    for gradient, p in zip(before, module.parameters()):
        assert torch.allclose(p.grad, gradient * min(1, 1.5 / norm), rtol=1e-5)


def test_the_error_cliff_does_not_throw_a_step_far() -> None:
    """A gradient of 10^6 moves the weights by no more than the rate times the bound, in its own direction."""
    graph, section, module = made(MLP, clip=lookup("clip", "norm")(most=1.0))
    before = with_gradients(module, 1e6)
    assert clip(section, module.parameters()) > 1e6
    after = torch.cat([p.grad.flatten() for p in module.parameters()])
    assert float(after.norm()) == pytest.approx(1.0, rel=1e-4)
    assert float(torch.cosine_similarity(after, torch.cat([g.flatten() for g in before]), dim=0)) == pytest.approx(1.0, abs=1e-5)


def test_clipping_by_value_cuts_every_number() -> None:
    graph, section, module = made(MLP, clip=lookup("clip", "value")(most=0.5))
    before = with_gradients(module, 1.0)
    assert prepare(graph, section, module).before_step() is None
    assert all(torch.equal(p.grad, g.clamp(-0.5, 0.5)) for g, p in zip(before, module.parameters()))


def test_frozen_parameters_are_neither_clipped_nor_held() -> None:
    graph, section, module = made(
        MLP, clip=lookup("clip", "norm")(most=1.0), max_norm=lookup("constraint", "max_norm")(most=0.1), freeze=("a",)
    )
    parameter_groups(graph, section, module)
    found, before = prepare(graph, section, module), module.a.weight.clone()
    for p in (module.b.weight, module.b.bias):
        p.grad = torch.ones_like(p)
    assert float(found.before_step()) == pytest.approx(24**0.5)
    found.after_step()
    assert torch.equal(module.a.weight, before) and float(module.b.weight.detach().norm(dim=1).max()) == pytest.approx(0.1, rel=1e-5)


#: a layer, the shape of its input, and the norms of each unit's weights
LAYERS = {
    "linear(5)": ("6", lambda w: w.norm(dim=1)),
    "conv(6, 3, groups = 2)": ("4, 9, 9", lambda w: w.flatten(1).norm(dim=1)),
    "conv_transpose(6, 3, stride = 2, groups = 2)": (
        "4, 9, 9",
        lambda w: torch.stack([w[2 * g : 2 * g + 2, k].norm() for g in range(2) for k in range(3)]),
    ),
    "conv_transpose(6, 3)": ("4, 9, 9", lambda w: w.transpose(0, 1).flatten(1).norm(dim=1)),
    "local_conv(3, 2)": ("2, 4, 5", lambda w: w.flatten(3).norm(dim=3)),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_max_norm_holds_the_incoming_weights_of_every_unit(layer: str) -> None:
    shape, norms = LAYERS[layer]
    graph, section, module = made(
        f"net n {{ input x: [N, {shape}]; output y = x -> {layer} as u }}", max_norm=lookup("constraint", "max_norm")(most=1.0)
    )
    with torch.no_grad():
        module.u.weight.copy_(torch.randn_like(module.u.weight))
        most = float(norms(module.u.weight).median())  # so that half of the units are beyond it
        section = section.with_settings(max_norm=lookup("constraint", "max_norm")(most=most))
        before, bias = module.u.weight.clone(), module.u.bias.clone()
        constrain(graph, section, module)
        assert torch.allclose(norms(module.u.weight), norms(before).clamp(max=most), rtol=1e-5)
        within = norms(before) < most * 0.999
        assert within.any() and not within.all()
        assert torch.allclose(norms(module.u.weight - before)[within], torch.zeros(()), atol=0)
        assert torch.equal(module.u.bias, bias)


def test_max_norm_of_a_selection_and_of_units_at_zero() -> None:
    graph, section, module = made(MLP, max_norm=lookup("constraint", "max_norm")(most=0.01, of=("b",)))
    with torch.no_grad():
        module.b.weight[0].zero_()
    before = module.a.weight.clone()
    prepare(graph, section, module).after_step()
    assert torch.equal(module.a.weight, before)
    assert torch.equal(module.b.weight[0], torch.zeros(5)) and torch.isfinite(module.b.weight).all()
    with pytest.raises(Refusal, match="NS353"):
        prepare(graph, section.with_settings(max_norm=lookup("constraint", "max_norm")(most=1.0, of=("*.bias",))), module)


def test_max_norm_knows_recurrent_layers_and_leaves_parametrized_ones() -> None:
    text = "net n { input x: [N, T = 5, 3]; output y = x -> lstm(4) as r -> weight_norm(linear(2)) as w }"
    graph, section, module = made(text, max_norm=lookup("constraint", "max_norm")(most=0.1))
    before = module.w.parametrizations.weight.original1.clone()
    prepare(graph, section, module).after_step()
    held = {n: p for n, p in module.named_parameters() if n.startswith("r.weight")}
    assert len(held) == 2 and all(float(p.detach().norm(dim=1).max()) <= 0.1 + 1e-6 for p in held.values())
    assert torch.equal(module.w.parametrizations.weight.original1, before)
