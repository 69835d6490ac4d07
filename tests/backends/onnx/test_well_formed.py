"""Networks that ship, in every form: taken by onnx's checker, of the types that they state, and of the same numbers."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path
from zlib import crc32

import pytest

import netspec
from netspec.runtime.cases import inputs, size_cases
from tests.backends.onnx.forms import FORMS, distance, hollow, outputs, well_formed
from tests.shipped import _COSTS, SHIPPED

LONG = bool(os.environ.get("NETSPEC_LONG"))
#: how far a form may be from the plain one, as a share of the largest number: folding and fusing round, float16 has three digits
FAR = {"functions": 2e-6, "fold": 2e-5, "fp16": 1e-2}


def sample(measure: str, share: int) -> list[str]:
    """The cheapest of some families, another choice for every measure; all that ship with NETSPEC_LONG=1."""
    if LONG:
        return SHIPPED
    cheapest = [min(costs, key=lambda spec: costs[spec]) for costs in _COSTS.values() if costs]
    return [spec for spec in cheapest if crc32(f"{measure} {spec}".encode()) % share == 0 and cost(spec) < 2_000_000_000]


def cost(spec: str) -> int:
    """The multiply-accumulates of a network."""
    return next(costs[spec] for costs in _COSTS.values() if spec in costs)


@pytest.mark.parametrize("spec", sample("form", 16))
def test_every_form_is_well_formed(spec: str, tmp_path: Path) -> None:
    graph = netspec.load(spec).graph
    sizes = size_cases(graph, 1)[0]
    for name, options in FORMS.items():
        assert not well_formed(hollow(graph, options, tmp_path), sizes), name


@pytest.mark.parametrize("spec", [spec for spec in sample("numbers", 2) if cost(spec) < (10_000_000_000 if LONG else 30_000_000)])
def test_every_form_gives_the_same_numbers(spec: str) -> None:
    graph = netspec.load(spec).graph
    if sum(prod(tensor.shape) for tensor in graph.weights) > (100_000_000 if LONG else 2_000_000):
        pytest.skip("many weights: with NETSPEC_LONG=1 only")
    feeds = inputs(graph, size_cases(graph, 1)[0], "normal")
    plain = outputs(graph, FORMS["plain"], feeds)
    for name, options in FORMS.items():
        bound = max((far for part, far in FAR.items() if part in name), default=0.0)
        assert distance(plain, outputs(graph, options, feeds)) <= bound, name
