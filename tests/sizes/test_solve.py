"""Conditions: what they say, whether they always hold, and exactly which sizes satisfy them (against brute force)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.sizes import Dim, ceil_div, maximum, minimum
from netspec.sizes.solution import Solution
from netspec.sizes.solve import Condition, solve

H, W, N = Dim.name("H"), Dim.name("W"), Dim.name("N")
LIMIT = 600


def equal(left, right):
    return Condition("==", left, right)


def at_least(left, right):
    return Condition(">=", left, right)


# ---------------------------------------------------------------------------------------------------- brute force
windows = st.tuples(st.integers(1, 7), st.integers(1, 3), st.integers(0, 3))
steps = st.one_of(
    st.tuples(st.sampled_from(["conv", "pool", "transpose"]), windows),
    st.tuples(st.sampled_from(["double", "three_halves", "concat_half"]), st.none()),
    st.tuples(st.sampled_from(["clip", "raise", "crop"]), st.integers(1, 60)),
)


def through(size, chain, conditions):
    """A size after a chain of operators, as their shape rules compute it, with the conditions they state."""
    for kind, argument in chain:
        if kind in ("conv", "pool", "transpose"):
            k, s, p = argument
            p = min(p, k // 2)
            if kind == "conv":
                size = (size + 2 * p - k) // s + 1
            elif kind == "pool":
                size = minimum(ceil_div(size + 2 * p - k, s) + 1, ceil_div(size + p, s))
            else:
                size = (size - 1) * s - 2 * p + k
            conditions.append(at_least(size, 1))
        elif kind == "double":
            size = size * 2
        elif kind == "three_halves":
            size = size * 3 // 2
        elif kind == "concat_half":
            size = size + H // 2
        elif kind == "crop":
            size = size - argument % 4
        else:
            size = minimum(size, argument) if kind == "clip" else maximum(size, argument)
    return size


@st.composite
def problems(draw):
    """Conditions in H: two branches, each a chain, and how they must meet."""
    conditions: list[Condition] = []
    left = through(H, draw(st.lists(steps, max_size=6)), conditions)
    right = through(draw(st.sampled_from([H, left])), draw(st.lists(steps, max_size=4)), conditions)
    number = draw(st.integers(1, 300))
    meet = draw(st.sampled_from(["join", "flatten", "linear", "divide", "none"]))
    if meet == "join":
        conditions.append(equal(left, right))
    elif meet == "flatten":
        conditions.append(equal(left * right, number))
    elif meet == "linear":
        conditions.append(equal(left, number % 30))
    elif meet == "divide":
        conditions.append(equal(left % (number % 6 + 1), 0))
    return conditions


@settings(max_examples=250, deadline=None)
@given(problems(), st.integers(1, 300))
def test_solve_is_exact(conditions, value):
    solution = solve(conditions, "H")
    if not solution.decided:
        assert solution.reason
        return
    members = [n for n in range(1, LIMIT + 1) if all(condition.at({"H": n}) for condition in conditions)]
    assert [n for n in range(1, LIMIT + 1) if n in solution] == members
    below, above = solution.nearest(value)
    assert below == max((n for n in members if n <= value), default=None)
    expected = min((n for n in members if n >= value), default=None)
    assert above == expected or (expected is None and above > LIMIT and all(c.at({"H": above}) for c in conditions))


@settings(max_examples=250, deadline=None)
@given(problems())
def test_status_and_text_of_each_condition_are_exact(conditions):
    for condition in conditions:
        seen = {condition.at({"H": n}) for n in range(1, LIMIT + 1)}
        assert condition.status() is None or seen == {condition.status()}
        if condition.status() is None:
            alone = solve([condition], "H")
            assert not alone.decided or not (alone.everything or alone.empty)
        assert str(condition)


@settings(max_examples=150, deadline=None)
@given(problems(), st.integers(1, 4), st.integers(1, 4))
def test_status_in_two_names_is_sound(conditions, a, b):
    for condition in conditions:
        mixed = condition.substitute({"H": a * H + b * W})
        verdict = mixed.status()
        if verdict is not None:
            assert {mixed.at({"H": h, "W": w}) for h in range(1, 13) for w in range(1, 13)} == {verdict}


# -------------------------------------------------------------------------------------------------------- known answers
def test_text_of_conditions():
    texts = {
        "H % 2 == 0": equal(2 * (H // 2), H),
        "H >= 7": at_least((H - 7) // 2 + 1, 1),
        "28 <= H <= 31": equal((H // 4) ** 2, 49),
        "H <= 131072": at_least(131_072, H),
        "H == W": equal(2 * H, 2 * W),
        "N * W >= H": at_least(N * W, H),
        "(H // 4) * (W // 4) == 64": equal(64 * (H // 4) * (W // 4), 4096),
        "(H + W) % 4 == 0": equal(3 * (H + W), 12 * ((H + W) // 4)),
        "H * N >= 12": at_least(H * N // 3, 4),
        "H * N <= 11": at_least(5 - H * N // 2, 0),
        "H >= 7 or H <= 3": at_least(H * H - 10 * H + 21, 0),
        "3 >= 4": at_least(3, 4),
    }
    assert {text: str(condition) for text, condition in texts.items()} == {text: text for text in texts}


def test_status():
    assert equal((H - 1) * H % 2, 0).status() is True
    assert equal((H + W) % 2 + (H + W) // 2 * 2, H + W).status() is True
    assert equal(H % 2 + 2 * (H // 2) + W, W + H).status() is True
    assert equal((2 * H + 4 * W) % 2, 0).status() is True
    assert equal((H * W - H) % 2 * 2, 1).status() is False
    assert at_least(minimum(H, W), 1).status() is True
    assert at_least(H // 2, 1).status() is None
    assert equal(H, W).status() is None
    assert equal(H + W, W).status() is False
    assert equal(4, 4).status() is True and at_least(3, 4).status() is False
    assert equal(3 * (H // (W + 1)), 7).status() is None


def unet(depth, size=H):
    """A U-Net of `depth` halvings by pooling and doublings by transposed convolution, joined at every level."""
    conditions, levels = [], []
    for _ in range(depth):
        levels.append(size)
        size = size // 2
    conditions.append(at_least(size, 1))
    for level in reversed(levels):
        size = size * 2
        conditions.append(equal(size, level))
        size = level
    return conditions


def valid_unet():
    """The U-Net of 2015: convolutions without padding, so every level must be even where it is pooled."""
    size, conditions = H, []
    for _ in range(4):
        size = size - 4
        conditions += [equal(size % 2, 0), at_least(size, 2)]
        size = size // 2
    size = size - 4
    conditions.append(at_least(size, 1))
    for _ in range(4):
        size = size * 2 - 4
        conditions.append(at_least(size, 1))
    return conditions


def test_solutions_of_known_networks():
    assert str(solve(unet(4), "H")) == "H % 16 == 0"
    assert str(solve(valid_unet(), "H")) == "H % 16 == 12 and H >= 188"
    assert solve(valid_unet(), "H").nearest(200) == (188, 204)
    assert solve(valid_unet(), "H").nearest(572) == (572, 572)
    assert solve(valid_unet(), "H").nearest(100) == (None, 188)


def test_least_size_of_alexnet():
    size, conditions = H, []
    for k, s, p in [(11, 4, 2), (3, 2, 0), (5, 1, 2), (3, 2, 0), (3, 1, 1), (3, 1, 1), (3, 1, 1), (3, 2, 0)]:
        size = (size + 2 * p - k) // s + 1
        conditions.append(at_least(size, 1))
    assert str(solve(conditions, "H")) == "H >= 63"


def test_flatten_then_linear_takes_a_range():
    """A classifier for 32 x 32 also takes 33 where the division rounds down: the exact set, not one number."""
    out = ((H - 4) // 2 - 4) // 2
    assert str(solve([equal(16 * out * out, 400)], "H")) == "32 <= H <= 35"


def test_pyramid_that_rounds():
    """Sizes repaired by rounding up, then upsampled by nearest and added: residues next to a multiple of 32."""
    sizes = [H]
    for _ in range(5):
        sizes.append(ceil_div(sizes[-1], 2))
    conditions = [equal(2 * small, large) for small, large in zip(sizes[3:], sizes[2:-1])]
    assert str(solve(conditions, "H")) == "H % 32 in {0, 29..31}"


def test_text_of_solutions():
    texts = {
        "H >= 1": Solution("H"),
        "no H": Solution("H", residues=()),
        "H >= 63": Solution("H", start=63),
        "H == 32": solve([equal(H, 32)], "H"),
        "31 <= H <= 40": solve([at_least(H, 31), at_least(40, H)], "H"),
        "H % 4 != 1": solve([at_least((H - 1) % 4, 1)], "H"),
        "H % 2 == 0 and H != 8": solve([equal(H % 2, 0), at_least((H - 8) ** 2, 1)], "H"),
        "H in {5, 9}": solve([equal((H - 5) * (H - 9), 0)], "H"),
        f"H <= {10**30}": solve([at_least(10**30, H)], "H"),
        f"H % 3 == 0 and H >= {3 * 10**12}": solve([equal(H % 3, 0), at_least(H, 3 * 10**12 - 2)], "H"),
    }
    assert {text: str(solution) for text, solution in texts.items()} == {text: text for text in texts}


def test_what_cannot_be_decided_is_said():
    for condition, word in (
        (equal(H, W), "W"),
        (equal(H // 99_991 + H // 99_989, 3), "100000"),
        (equal(100 // H, 3), "open size"),
        (at_least(minimum(H * H, 10**15 * H) + H // 2, 10**9), "200000"),
    ):
        solution = solve([condition], "H")
        assert not solution.decided and word in solution.reason and "not decided" in str(solution)
        with pytest.raises(ValueError, match="not decided"):
            solution.contains(3)
        with pytest.raises(ValueError, match="not decided"):
            solution.nearest(3)


def test_no_conditions_and_contradictions():
    assert solve([], "H").everything
    assert solve([equal(3, 4)], "H").empty
    assert solve([equal(H % 2, 0), equal(H % 4, 1)], "H").empty
    assert not solve([equal(H, 5)], "H").everything
    assert 0 not in solve([], "H") and -3 not in solve([], "H")
