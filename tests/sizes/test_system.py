"""Conditions on several sizes: taken apart, solved together, and the nearest sizes, against brute force."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.sizes import Dim, ceil_div
from netspec.sizes.factor import factor
from netspec.sizes.responsible import responsible
from netspec.sizes.solve import Condition, alone
from netspec.sizes.system import put_together

H, W, N = Dim.name("H"), Dim.name("W"), Dim.name("N")
GRID = range(1, 21)


def equal(left, right):
    return Condition("==", left, right)


def at_least(left, right):
    return Condition(">=", left, right)


@st.composite
def sides(draw, name):
    """What layers make of one size."""
    size = name
    for _ in range(draw(st.integers(0, 2))):
        k = draw(st.integers(2, 4))
        size = draw(st.sampled_from([size // k, ceil_div(size, k), k * size, k * (size // k), size - k, size + k]))
    return size


@st.composite
def conditions(draw):
    """One condition on `H` and `W`, of the kinds that networks ask for: products, sums, merges, bounds."""
    h, w, h2, w2 = draw(sides(H)), draw(sides(W)), draw(sides(H)), draw(sides(W))
    number = draw(st.integers(0, 40))
    factor_ = draw(st.integers(1, 6))
    return draw(
        st.sampled_from(
            [
                equal(h * w, number),
                equal(factor_ * h * w, h2 * w2),
                equal(H * W, factor_ * h2 * w2),
                equal(N * H * W, N * h2 * w2),
                equal(h + w, number),
                equal(h + w, h2 + w2),
                equal(h, w),
                equal(H, W),
                equal(h, h2),
                at_least(h * w, number % 5),
                at_least(h + w, number),
                at_least(h, number % 9),
                at_least(w, h),
                equal(w % (number % 4 + 1), 0),
                equal(H * W, 4 * (H // 2) * (W // 2)),
                equal(2 * (H // 2) + 3 * (W // 3), H + W),
            ]
        )
    )


def brute(found, n=1):
    return {(h, w) for h in GRID for w in GRID if all(c.at({"H": h, "W": w, "N": n}) for c in found)}


@settings(max_examples=300, deadline=None)
@given(conditions())
def test_parts_say_the_same_as_the_whole(condition):
    assert brute(factor(condition)) == brute([condition])


@settings(max_examples=200, deadline=None)
@given(st.lists(conditions(), min_size=1, max_size=4))
def test_a_system_is_exact(found):
    system = put_together(found, ["N", "H", "W"])
    wanted = brute(found, 3)
    assert {(h, w) for h in GRID for w in GRID if system.holds({"H": h, "W": w, "N": 3})} == wanted
    for name, place in (("H", 0), ("W", 1)):  # nothing that fits is outside of the set of one size
        assert all(pair[place] in system.solutions[name] for pair in wanted)
    for sizes in ({"H": 7, "W": 7, "N": 3}, {"H": 12, "W": 5, "N": 3}):
        assert bool(system.broken(sizes)) == (not system.holds(sizes))
        below, above = system.nearest("H", sizes)
        if not system.same and sizes["W"] in system.solutions["W"]:
            relevant = [c for c in found if "H" in c.names()]
            fits = [n for n in range(1, 200) if all(c.at({**sizes, "H": n}) for c in relevant) and n in system.solutions["H"]]
            assert below == max((n for n in fits if n <= sizes["H"]), default=None)
            assert above == min((n for n in fits if n >= sizes["H"]), default=None) or (above or 0) >= 200


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(sides(H).map(lambda s: equal(s % 2, 0)), sides(H).map(lambda s: at_least(s, 3)), conditions()), max_size=5))
def test_those_responsible_are_enough_and_none_is_superfluous(found):
    system = put_together(found, ["N", "H", "W"])
    solution = system.solutions["H"]
    parts = responsible(solution, system.alone["H"])
    assert [text for text, _ in parts] == ([] if solution.everything else list(solution.parts()))
    chosen = {piece.condition: piece for _, pieces in parts for piece in pieces}
    if "H" not in system.same:
        members = [n for n in range(1, 200) if all(n in alone(condition, "H") for condition in chosen)]
        assert members == [n for n in range(1, 200) if n in solution]


@pytest.mark.parametrize(
    ("condition", "parts"),
    [
        (equal(N * 3 * H * W, N * 12 * (H // 2) * (W // 2)), ["H % 2 == 0", "W % 2 == 0"]),
        (equal(2 * (H // 2) + 2 * (W // 2), H + W), ["H % 2 == 0", "W % 2 == 0"]),
        (equal(H * W, H * (2 * (W // 2))), ["W % 2 == 0"]),
        (at_least((H // 4) * (W // 4), 1), ["H >= 4", "W >= 4"]),
        (equal(N * (H // 32) * (W // 32), 49 * N), ["(H // 32) * (W // 32) == 49"]),
        (equal((H // 8 + 6) * (W // 8 + 6), 37), ["1 == 0"]),
        (equal((H // 8 + 6) * (W // 8 + 6), 36), ["H <= 7", "W <= 7"]),
        (at_least(H + W, 2), []),
        (equal(H + W, 1), ["1 == 0"]),
    ],
)
def test_known_factors(condition, parts):
    assert [str(part) for part in factor(condition)] == parts


def test_conditions_that_follow_from_the_sets_are_not_asked_again():
    system = put_together([at_least(H * W, 2), at_least(H, 3)], ["H", "W"])
    assert system.joint == () and str(system.solutions["H"]) == "H >= 3"
    system = put_together([equal(H * W % 4, 0), equal(H % 2, 0), equal(W % 2, 0)], ["H", "W"])
    assert system.joint == ()


def test_advice():
    both = put_together([equal(H % 16, 0), equal(W % 16, 0)], ["H", "W"])
    assert both.advice({"H": 225, "W": 225}) == "the nearest sizes that work: H = 224 or H = 240; W = 224 or W = 240"
    assert both.advice({"H": 224, "W": 224}) == ""
    area = put_together([equal(H * W, 36)], ["H", "W"])
    assert area.advice({"H": 9, "W": 5}) == "the nearest sizes that work: W = 4"
    assert area.advice({"H": 12, "W": 4}) == "the nearest sizes that work: H = 9, or W = 3"
    tied = put_together([equal(H, W), equal(H % 4, 0)], ["H", "W"])
    assert tied.advice({"H": 6, "W": 6}) == "the nearest sizes that work: H = 4 or H = 8; W = 4 or W = 8"
