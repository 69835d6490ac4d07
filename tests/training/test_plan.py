"""What a dry run says of memory, held against the optimizers themselves."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from netspec import loads
from netspec.recipe import known, lookup
from netspec.recipe.section import Section
from netspec.training.optimizers import make_optimizer
from netspec.training.plan import copies, memory_of

NET = loads("net small { input x: [N, 40]; output y = x -> linear(30) -> relu -> linear(2) }")
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in known()["optimizer"] if name != "lbfgs"),  # whose history is full only after many steps
    ("sgd", {"momentum": 0.9}),
    ("rmsprop", {"momentum": 0.9, "centered": True}),
    ("adam", {"amsgrad": True}),
    ("lbfgs", {"history_size": 5}),
]


@pytest.mark.parametrize("name, arguments", VARIANTS)
def test_an_optimizer_keeps_as_many_numbers_as_are_foreseen(name: str, arguments: dict[str, Any]) -> None:
    entry = lookup("optimizer", name).model_validate({"lr": 0.01, **({"max_iter": 1} if name == "lbfgs" else {}), **arguments})
    section, module = Section(optimizer=entry), NET.torch()
    optimizer = make_optimizer(NET.graph, section, module)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (module(torch.randn(4, 40)) ** 2).sum()
        loss.backward()
        return loss

    torch.manual_seed(0)
    for _ in range(2 * getattr(entry, "history_size", 1)):
        optimizer.step(closure)
    kept = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in _tensors(list(optimizer.state.values()))}
    trained = 4 * sum(p.numel() for p in module.parameters())
    assert sum(kept.values()) / trained == pytest.approx(copies(section), abs=0.1 if name != "lbfgs" else 4)


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [tensor for item in items for tensor in _tensors(item)]


def test_frozen_parameters_have_neither_gradients_nor_state() -> None:
    section = Section(optimizer=lookup("optimizer", "adam")(lr=0.01), freeze=("linear1",), batch=8)
    whole, part = (memory_of(NET.graph, section, processes) for processes in (1, 2))
    assert whole["gradients"] == 4 * 62 and whole["optimizer"] == 2 * 4 * 62 and whole["parameters"] == 4 * (41 * 30 + 62)
    assert part["activations"] * 2 == whole["activations"] > 0
