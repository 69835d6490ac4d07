"""Gridding: NS544 against sums of taps, for all small stacks, and where a resolution begins and ends."""

from __future__ import annotations

from itertools import product

import pytest

from netspec.analyses.field import reaching
from netspec.analyses.lint.dilation import whole_rates
from netspec.api import compile
from netspec.source import Source
from tests.check import check, compilations, diagnostics


def _net(body: str) -> str:
    return f"net a {{\n  input x: [N, 8, T = 64]\n  output y = {body}\n}}\n"


def _fires(body: str) -> bool:
    return [f.code for f in check(_net(body), lints=("NS544",))] == ["NS544"]


def _sums(kernel: int, rates: tuple[int, ...] | list[int]) -> set[int]:
    seen = {0}
    for rate in rates:
        seen = {s + rate * j for s in seen for j in range(kernel)}
    return seen


def _stack(rates: tuple[int, ...], kernel: int = 3) -> str:
    return "x -> " + " -> ".join(f"conv(8, {kernel}, padding = {r * (kernel // 2)}, dilation = {r})" for r in rates)


@pytest.mark.parametrize("kernel", [3, 5])
def test_all_triples_of_rates_up_to_six(kernel: int) -> None:
    for rates in product(range(1, 7), repeat=3):
        if list(rates) != sorted(rates):
            continue
        seen = _sums(kernel, rates)
        assert _fires(_stack(rates, kernel)) == (len(seen) <= max(seen)), rates


def test_holes_are_drawn_and_better_rates_offered() -> None:
    (found,) = diagnostics(compilations(_net(_stack((2, 4, 8))), lints=("NS544",)))
    assert found.message == "dilations of 2, 4, 8 reach 15 of the 29 positions that they span"
    assert found.notes[0] == "#.#.#.#.#.#.#.#.#.#.#.#.#.#.#"
    assert "refuses them: M₂ = 4, K = 3" in found.notes[1]
    assert found.helps[0] == "dilations of 1, 3, 9 leave no hole"
    (found,) = diagnostics(compilations(_net(_stack((2, 2, 2))), lints=("NS544",)))
    assert "passes them: M₂ = 2, K = 3" in found.notes[1]
    assert found.helps[0] == "dilations of 1, 2, 3 leave no hole"


@pytest.mark.parametrize(
    ("body", "fires"),
    [
        ("x -> conv(8, 3, dilation = 2)", True),
        ("x -> conv(8, 3, dilation = 2) -> conv(8, 3)", False),
        ("x -> conv(8, 3, dilation = 3) -> conv(8, 2)", True),
        ("x -> conv(8, 3, dilation = 3) -> conv(8, 3)", False),
        ("x -> conv(8, 3, dilation = 2) -> max_pool(2)", False),  # the window that shrinks fills the holes
        ("x -> conv(8, 3, dilation = 2) -> conv(8, 1, stride = 2)", True),
        ("x -> conv(8, 3) -> max_pool(2) -> conv(8, 3, dilation = 2)", True),  # the finer map does not help the coarser one
        ("x -> conv(8, 3, dilation = 2) -> global_avg_pool", True),
        ("x -> conv(8, 3, dilation = 2) -> upsample(2) -> conv(8, 3)", True),
        ("x + (x -> conv(8, 3, padding = 2, dilation = 2)) -> relu", True),
        ("(x -> conv(8, 3, padding = 1)) + (x -> conv(8, 3, padding = 2, dilation = 2))", False),
        ("x -> conv(8, 2, dilation = 1, padding = (1, 0)) -> conv(8, 2, dilation = 2, padding = (2, 0))", False),
        ("x -> conv(8, 2, dilation = 2, padding = (2, 0)) -> conv(8, 2, dilation = 4, padding = (4, 0))", True),
        ("x -> conv(8, 1, dilation = 2)", False),
        ("x -> conv(8, 3, dilation = 2) * (x -> global_avg_pool) -> conv(8, 3)", False),  # a gate ends nothing
    ],
)
def test_where_a_resolution_begins_and_ends(body: str, fires: bool) -> None:
    assert _fires(body) == fires


def test_of_branches_the_dilated_one_is_named() -> None:
    body = "x ++ (x -> conv(8, 3, padding = 4, dilation = 4)) ++ (x -> max_pool(2) -> upsample)"
    (found,) = diagnostics(compilations(_net(body), lints=("NS544",)))
    assert found.message == "dilations of 4 reach 3 of the 9 positions that they span"
    assert found.notes == ("#...#...#",)


@pytest.mark.parametrize("kernel", [2, 3, 5])
def test_offered_rates_have_no_holes_and_reach_farthest(kernel: int) -> None:
    for layers in (2, 3):
        for total in range(layers, 15):
            offered = whole_rates(kernel, total, layers)
            assert len(_sums(kernel, offered)) == 1 + (kernel - 1) * sum(offered)
            others = (r for r in product(range(1, total + 1), repeat=layers) if sum(r) <= total)
            whole = (sum(r) for r in others if len(_sums(kernel, r)) == 1 + (kernel - 1) * sum(r))
            assert sum(offered) == max(whole)


def test_a_stack_in_one_axis_of_two() -> None:
    text = "net a {\n  input x: [N, 8, H = 32, W = 32]\n  output y = x -> conv(8, 3, dilation = (1, 2))\n}\n"
    (found,) = diagnostics(compilations(text, lints=("NS544",)))
    assert found.message == "dilations of 2 reach 3 of the 5 positions that they span along the width"


def test_a_long_stack_takes_time_in_proportion() -> None:
    text = "net a {\n  input x: [N, 2, T = 64]\n  output y = x -> 2000 * conv(2, 3, padding = 2, dilation = 2)\n}\n"
    (found,) = diagnostics(compilations(text, lints=("NS544",)))
    assert found.message.endswith("reach 4001 of the 8001 positions that they span")


@pytest.mark.parametrize(
    "body",
    [
        "(x -> conv(8, 3, padding = 2, dilation = 2)) + (x -> conv(8, 3, padding = 6, dilation = 6)) -> conv(8, 3, dilation = 4)",
        "x ++ (x -> conv(8, 3, padding = 4, dilation = 4)) -> conv(8, 5, dilation = 3) -> max_pool(2, stride = 1)",
        "x -> pad((3, 0)) -> conv(8, 2, dilation = 3) -> relu -> conv(8, 2, dilation = 5)",
    ],
)
def test_the_drawing_is_the_exact_field(body: str) -> None:
    net = _net(body)
    (found,) = diagnostics(compilations(net, lints=("NS544",)))
    graph = compile(Source("a.net", net)).graph
    assert graph is not None
    seen = reaching(graph, graph.outputs[0].value, 20, borders=False)[graph.inputs[0].value][2]
    start, end = int(seen.start), int(seen.end)
    assert found.notes[0] == "".join("#" if p in seen else "." for p in range(start, end + 1))
