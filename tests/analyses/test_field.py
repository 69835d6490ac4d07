"""Receptive fields: the algebra of tracks and sets against sets spelt out, and what the report says of small networks."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspec import reach as r
from netspec.analyses.field import (
    EVERYWHERE,
    Positions,
    fields,
    fields_by_input,
    overlap,
    position_axes,
    reaching,
    receptive_field,
    smallest_field,
    value_of,
)  # fmt: skip
from netspec.analyses.field.exact import inside, through
from netspec.analyses.field.taps import border_of, taps_of
from netspec.analyses.field.track import ITSELF, compose, join
from netspec.api import Net, loads
from netspec.diagnostics.model import Refusal
from tests.ops.field import said


def net(body: str, inputs: str = "input x: [N, 2, H = 64, W = 48]", **arguments: Any) -> Net:
    return loads(f"net a {{\n{inputs}\n{body}\n}}", **arguments)


# --------------------------------------------------------------------------------------------------- sets of positions
@given(st.sets(st.integers(-40, 60)), st.sets(st.integers(-40, 60)), st.integers(-9, 9), st.integers(1, 5))
def test_sets(left: set[int], right: set[int], by: int, factor: int) -> None:
    ours = Positions.of(left)
    assert list(ours) == sorted(left) and len(ours) == len(left) and bool(ours) == bool(left)
    assert set(ours | Positions.of(right)) == left | right
    assert set(ours.moved(by)) == {p + by for p in left}
    assert set(ours.spread(factor)) == {p * factor for p in left}
    assert set(ours.within(30)) == {p for p in left if 0 <= p < 30}
    assert set(ours.every(factor, by)) == {(p - by) // factor for p in left if (p - by) % factor == 0}
    for taps in (range(by, by + 7, factor), (by, by + 1, by + 5)):
        assert set(ours.tapped(taps)) == {p + t for p in left for t in taps}
    for border in ("reflect", "replicate", "circular", "zeros"):
        placed = {q for p in left for q in said(r.Shift(0, p, mode=border), 0, 30, 1, {})}
        assert set(inside(ours, 30, border)) == placed


@given(st.sets(st.integers(-40, 60), min_size=1))
def test_runs_and_holes(found: set[int]) -> None:
    ours = Positions.of(found)
    assert (ours.start, ours.end, ours.size) == (min(found), max(found), max(found) - min(found) + 1)
    assert {p for run in ours.runs for p in run} == found
    assert {p for hole in ours.holes for p in hole} == set(range(min(found), max(found) + 1)) - found
    assert ours.coverage == len(found) / ours.size
    assert all(p in ours for p in found) and min(found) - 1 not in ours and max(found) + 1 not in ours
    assert ours == Positions.of(found) and hash(ours) == hash(Positions.of(found))


def test_everywhere() -> None:
    assert (EVERYWHERE.start, EVERYWHERE.end, EVERYWHERE.count, EVERYWHERE.coverage) == (-math.inf, math.inf, math.inf, 1.0)
    assert EVERYWHERE | Positions.span(0, 3) is EVERYWHERE is Positions.span(0, 3) | EVERYWHERE
    assert repr(Positions.of([1, 3, 4, 5])) == "Positions({1, 3..5})"


# -------------------------------------------------------------------------------------------------- operators, in chains
def looks(rng: random.Random, n: int) -> tuple[r.AxisReach, int]:
    """A random look at an axis of length n, and how long its output is."""
    kind, k, s, d = rng.randrange(8), rng.randrange(1, 6), rng.randrange(1, 5), rng.randrange(1, 4)
    extent = d * (k - 1) + 1
    p = rng.randrange(0, extent + 1)
    if kind == 0:
        return r.Window(0, k, s, p, d), (n + 2 * p - extent) // s + 1
    if kind == 1:
        return r.Transposed(0, k, s, p, d), (n - 1) * s - 2 * p + extent
    if kind == 2:
        return r.Blocks(0, s, True), n * s
    if kind == 3:
        return r.Blocks(0, s, False), n // s
    if kind == 4:
        return r.Shift(0, -p, rng.randrange(1, 3)), n // 2
    if kind == 5:
        return r.Adaptive(0), max(1, n * rng.randrange(1, 5) // 3)
    m = max(2, n * rng.randrange(2, 10) // 4)
    mode = rng.choice(("nearest", "nearest-exact", "linear", "cubic", "area"))
    corners = mode in ("linear", "cubic") and rng.random() < 0.5
    scale = None if corners or mode == "area" or rng.random() < 0.5 else Fraction(rng.randrange(2, 12), 4)
    return r.Resample(0, mode, corners, scale), m if scale is None else math.floor(n * scale)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(150))
def test_chains_against_sets(seed: int) -> None:
    """Away from the borders, tracks hold the ends of the sets, and the sets are those that the definitions spell out."""
    rng = random.Random(seed)
    lengths, chain, track = [rng.randrange(150, 260)], [], ITSELF
    while len(chain) < 4 and 20 <= lengths[-1] <= 900:
        look, m = looks(rng, lengths[-1])
        taps = taps_of(look, lengths[-1], m)
        assert taps is not None
        track = compose(track, taps, m)
        chain.append((look, taps))
        lengths.append(m)
    compared = 0
    for o in range(0, lengths[-1], max(1, lengths[-1] // 60)):
        expected, ours, clear = {o}, Positions.of([o]), True
        for (look, taps), n, m in reversed(list(zip(chain, lengths, lengths[1:]))):
            expected = {p for q in expected for p in said(look, q, n, m, {})}
            endless = through(taps, ours)
            ours = inside(endless, n, border_of(look))
            clear = clear and endless == ours
            assert set(ours) == expected, (look, n, m)
        if clear:
            compared += 1
            assert track.at(o) == ((min(expected), max(expected)) if expected else None), chain
    assert compared or not track.size or len(chain) < 2 or track.size > 30


@pytest.mark.parametrize("seed", range(40))
def test_joins(seed: int) -> None:
    """A join holds both tracks at every position, and touches them."""
    rng = random.Random(1000 + seed)
    length, tracks = 60, []
    for _ in range(2):
        look, m = looks(rng, 120)
        tracks.append(compose(ITSELF, taps_of(look, 120, m), m))  # type: ignore[arg-type]
    both = join(*tracks, length)
    for o in range(length):
        ends = [e for e in (t.at(o) for t in tracks) if e is not None]
        assert both.at(o) == ((min(e[0] for e in ends), max(e[1] for e in ends)) if ends else None)
    assert not both.approximate


def test_bounds_where_a_table_would_be_too_long() -> None:
    """A waveform of 20,000 samples, resampled by 147 / 160 and joined with itself: intervals of one stride that hold both."""
    down = taps_of(r.Resample(0, "linear"), 20_000, 18_375)
    assert down is not None
    resampled, cut = compose(ITSELF, down, 18_375), compose(ITSELF, taps_of(r.Shift(0, 800), 20_000, 18_375), 18_375)  # type: ignore[arg-type]
    assert resampled.period == 147 and not resampled.approximate
    both = join(cut, resampled, 18_375)
    assert both.approximate and not both.aligned
    for o in range(0, 18_375, 7):
        (low, high), inner = both.at(o), (*cut.at(o), *resampled.at(o))  # type: ignore[misc]
        assert low <= min(inner) and high >= max(inner)
    assert join(cut, resampled, 10**7).whole and join(cut, resampled, 10**7).approximate


def test_period_is_the_shortest() -> None:
    up = taps_of(r.Blocks(0, 4, True), 30, 120)
    down = taps_of(r.Blocks(0, 4, False), 120, 30)
    assert up is not None and down is not None
    assert compose(compose(ITSELF, up, 120), down, 30) == ITSELF
    assert compose(compose(ITSELF, down, 30), up, 120).period == 4


# ---------------------------------------------------------------------------------------------------------- small nets
def test_position_and_label() -> None:
    x = net("x = x -> conv(2, 3, padding = 1) as first -> conv(2, 5, stride = 2, padding = 2) as second\noutput y = x -> relu")
    assert x.graph and receptive_field(x.graph, of="first")["first"]["H"].size == 3
    seen = receptive_field(x.graph, of="second", at=(3, 5))["second"]
    assert (seen["H"].start, seen["H"].end, seen["H"].position) == (3, 9, 3)
    assert (seen["W"].start, seen["W"].end, seen["W"].position) == (7, 13, 5)
    assert receptive_field(x.graph, at={"W": 0})["y"]["W"].start == -3 == -seen["W"].padding
    assert receptive_field(x.graph, sizes={"H": 100})["y"]["H"].position == 25
    assert receptive_field(x.graph)["y"]["H"].data() == {
        "size": 7, "stride": 2, "padding": 3, "start": 29, "end": 35, "aligned": True, "coverage": 1.0, "holes": [],
        "smallest": 7, "least": 7, "position": 16, "input": "x",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ({"of": "frist"}, "NS021", "first"),
        ({"at": (1, 2, 3)}, "NS025", "2 numbers (H, W)"),
        ({"at": {"D": 1}}, "NS025", "`D`"),
        ({"at": 47}, "NS025", "the last one is 45"),
        ({"at": (-1, 0)}, "NS025", "no position -1"),
        ({"sizes": {"K": 1}}, "NS014", "`K`"),
        ({"sizes": {"H": 2}}, "NS723", "H >= 3"),
    ],
)
def test_refusals(arguments: dict[str, Any], code: str, words: str) -> None:
    graph = net("output y = x -> conv(2, 3) as first").graph
    with pytest.raises(Refusal) as caught:
        receptive_field(graph, **arguments)
    finding = caught.value.diagnostic
    assert finding.code == code and words in " ".join((finding.message, *finding.helps))


def test_labels() -> None:
    graph = loads(
        """block twice(k) { input x; output x -> 2 * conv(2, k, padding = same) }
        net a { input x: [N, 2, H = 64, W = 64]; half = x -> twice(3) as lower; output y = half -> twice(5) as upper }"""
    ).graph
    sizes = {label: receptive_field(graph, of=label)[label]["H"].size for label in ("lower", "upper", "half", "y", "x", "lower.conv1")}
    assert sizes == {"lower": 5, "upper": 13, "half": 5, "y": 13, "x": 1, "lower.conv1": 3}
    assert value_of(graph, "upper") == graph.outputs[0].value


def test_several_inputs() -> None:
    graph = net(
        "output y = (left -> conv(2, 3, padding = 1)) + (right -> conv(2, 7, padding = 3))\noutput z = left -> relu",
        "input left: [N, 2, H = 32, W = 32]\ninput right: [N, 2, H, W]",
    ).graph
    found = fields_by_input(graph)
    assert {name: axes["H"].size for name, axes in found["y"].items()} == {"left": 3, "right": 7}
    assert list(found["z"]) == ["left"]
    seen = receptive_field(graph)["y"]["H"]
    assert (seen.size, seen.input) == (7, "right")
    assert smallest_field(graph, graph.outputs[0].value) == 7


def test_gates_see_everything() -> None:
    """A squeeze-and-excitation gate sees all of the map; what is left without it is the convolution's."""
    graph = net("y = x -> conv(4, 3, padding = 1)\noutput z = y * (y -> global_avg_pool(keepdim = true) -> conv(4, 1) -> sigmoid)").graph
    found, value, x = fields(graph), graph.outputs[0].value, graph.inputs[0].value
    assert found.size(value) == {"H": math.inf, "W": math.inf}
    assert found.local(value)[x][2].size == 3 == found.least(value)[x][2].size
    assert receptive_field(graph)["z"]["H"].data()["size"] == "all"
    assert reaching(graph, value, 3)[x][2] == Positions.span(0, 63)
    assert reaching(graph, value, 3, borders=False)[x][2] is EVERYWHERE


def test_skips_are_the_narrowest_path() -> None:
    seen = net("for i in 0..3 { x = x + (x -> conv(2, 3, padding = 1) -> relu) }\noutput y = x").receptive_field()["y"]["H"]
    assert (seen.size, seen.least, seen.aligned) == (7, 1, True)


def test_branches_out_of_centre() -> None:
    graph = net("output y = (x -> pad(((0, 2), (0, 2))) -> conv(2, 3)) + (x -> conv(2, 3, padding = 1))").graph
    found = fields(graph)
    assert [graph.nodes[m.node].name for m in found.misaligned] == ["add1", "add1"]
    first = found.misaligned[0]
    assert first.strides == (1, 1) and first.centres == (1, 0) and "centred at 1 and 0" in first.text
    assert not receptive_field(graph)["y"]["H"].aligned


def test_branches_that_drift_apart() -> None:
    """Upsampling with aligned corners does not undo pooling: its steps are 31/63 of what they should be."""
    text = "output y = x ++ (x -> max_pool(2) -> upsample(2, mode = bilinear, align_corners = true))"
    graph = net(text).graph
    found, value, x = fields(graph), graph.outputs[0].value, graph.inputs[0].value
    assert {m.strides for m in found.misaligned} == {(1, Fraction(62, 63)), (1, Fraction(46, 47))}
    assert "drift apart" in found.misaligned[0].text
    track = found.of(value)[x][2]
    assert not track.aligned and not track.approximate
    for o in range(64):
        reached = reaching(graph, value, {2: o})[x][2]
        assert track.at(o) == (reached.start, reached.end)


def test_pieces_of_an_axis() -> None:
    """Tensors one behind the other: each position sees one of them, and the interval is only a bound."""
    graph = net("output y = (x -> conv(2, 3, padding = 1), x -> conv(2, 5, padding = 2)) -> concat(axis = 2)").graph
    value, x = graph.outputs[0].value, graph.inputs[0].value
    assert list(reaching(graph, value, {2: 10})[x][2]) == [9, 10, 11]
    assert list(reaching(graph, value, {2: 70}, borders=False)[x][2]) == [4, 5, 6, 7, 8]
    assert fields(graph).of(value)[x][2].approximate and receptive_field(graph)["y"]["H"].approximate


def test_one_of_two_halves_of_the_channels() -> None:
    """A path that is cut off by a later split does not reach the output."""
    graph = net("a, b = (x -> conv(2, 3, padding = 1)) ++ (x -> conv(2, 9, padding = 4)) -> chunk(2)\noutput y = a -> relu").graph
    assert reaching(graph, graph.outputs[0].value, 20)[graph.inputs[0].value][2] == Positions.span(19, 21)
    assert receptive_field(graph)["y"]["H"].size == 3


@pytest.mark.parametrize(
    ("mode", "position", "expected"),
    [("zeros", 0, {0, 1, 2}), ("reflect", 0, {0, 1, 2}), ("replicate", 63, {61, 62, 63}), ("circular", 0, {0, 1, 2, 62, 63})],
)
def test_borders(mode: str, position: int, expected: set[int]) -> None:
    graph = net(f"output y = x -> conv(2, 5, padding = 2, padding_mode = {mode})").graph
    value, x = graph.outputs[0].value, graph.inputs[0].value
    assert set(reaching(graph, value, {2: position})[x][2]) == expected
    assert set(reaching(graph, value, {2: position}, borders=False)[x][2]) == set(range(position - 2, position + 3))


def test_positions_out_of_range() -> None:
    graph = net("output y = x -> conv(2, 3)").graph
    for position in ({2: 62}, {4: 0}, 46):
        with pytest.raises(IndexError):
            reaching(graph, graph.outputs[0].value, position)


# --------------------------------------------------------------------------------------------------- axes of positions
@pytest.mark.parametrize(
    ("written", "axes"),
    [
        ("[N, 3, H = 8, W = 8]", (2, 3)), ("[N, 3, 8, 8]", (2, 3)), ("[N, 8, T = 9]", (2,)), ("[N, T = 9, 8]", (1,)),
        ("[N, H = 8, W = 8, 3]", (1, 2)), ("[N, T = 9]", (1,)), ("[N, 16]", ()), ("int64 [N, T = 9]", (1,)),
        ("int64 [N, 128]", (1,)), ("[N]", ()), ("[N, 2, D = 4, H = 4, W = 4]", (2, 3, 4)),
    ],
)  # fmt: skip
def test_position_axes(written: str, axes: tuple[int, ...]) -> None:
    graph = loads(f"net a {{ input x: {written}; output y = x }}").graph
    assert position_axes(graph.values[graph.inputs[0].value]) == axes


def test_sequences() -> None:
    """Tokens, embedded, mixed along time by a convolution between two permutations, then by attention."""
    graph = net(
        """e = tokens -> embedding(100, 8)
        c = e -> permute((0, 2, 1)) -> pad((4, 0)) -> conv(8, 3, dilation = 2) -> permute((0, 2, 1)) -> linear(8) as local
        output y = (c, c -> permute((0, 2, 1))) -> matmul -> softmax
        output z = c -> select(-1)""",
        "input tokens: int64 [N, T = 20]",
    ).graph
    seen = receptive_field(graph, of="local")["local"]["T"]
    assert (seen.size, seen.padding, seen.coverage, seen.holes, seen.along) == (5, 4, 3 / 5, (range(1, 2), range(3, 4)), 1)
    assert receptive_field(graph)["y"]["T"].size == math.inf
    last = receptive_field(graph)["z"]["T"]
    assert (last.size, last.start, last.end, last.stride, last.coverage) == (5, 15, 19, 0, 3 / 5)


def test_fixed_sizes_go_by_number() -> None:
    seen = net("output y = x -> conv(4, 5) -> max_pool(2) -> conv(4, 5) -> flatten -> linear(3)", "input x: [N, 1, 14, 14]")
    assert {name: (f.size, f.stride, f.start, f.end) for name, f in seen.receptive_field()["y"].items()} == {
        "2": (14, 0, 0, 13), "3": (14, 0, 0, 13),
    }  # fmt: skip


# -------------------------------------------------------------------------------------------------------- checkerboards
@pytest.mark.parametrize(("k", "s"), [(k, s) for k in range(1, 8) for s in range(1, 5)])
def test_overlap(k: int, s: int) -> None:
    """Phase f receives `ceil((k - f) / s)` inputs, before the padding rotates the phases."""
    graph = net(f"output y = x -> conv_transpose(2, {k}, stride = {s})").graph
    by_phase = tuple(max(0, -(-(k - f) // s)) for f in range(s))
    assert overlap(graph, graph.nodes[0]) == {2: by_phase, 3: by_phase}
    seen = receptive_field(graph)["y"]["H"]
    assert (seen.size, seen.smallest) == (max(by_phase), min(by_phase)) and seen.stride == Fraction(1, s)
    assert bool(seen.phases) == (k % s != 0)


def test_other_operators_have_no_overlap() -> None:
    graph = net("output y = x -> conv(2, 3) -> upsample(2)").graph
    assert [overlap(graph, node) for node in graph.nodes] == [{}, {}]


def test_empty_phases() -> None:
    """A kernel shorter than its stride leaves outputs that see nothing."""
    seen = net("output y = x -> conv_transpose(2, 2, stride = 3)").receptive_field()["y"]["H"]
    assert (seen.size, seen.smallest) == (1, 0)
    assert [(p.size, p.coverage) for p in seen.phases] == [(1, 1.0), (1, 1.0), (0, 0.0)]


def test_only_phases_that_there_are_count() -> None:
    """19 phases and 17 positions, or strides that part (no period at all): the same from wherever one looks, as in the summary."""
    resized = net("output y = x -> resize(size = 19) -> conv(2, 3)", "input x: [N, 2, L = 48]")
    parting = "output y = (x -> conv(2, 3, padding = 1) -> slice(0, 8, axis = 2)) + (x -> conv(2, 3, stride = 4, padding = 1))"
    apart = net(parting, "input x: [N, 2, L = 32]")
    for at in (None, 0, 7):
        assert resized.receptive_field(at=at)["y"]["L"].size == 6 == resized.summary().seen[-1]["L"]
        seen = apart.receptive_field(at=at)["y"]["L"]
        assert [phase.size for phase in seen.phases] == [3, 6, 9, 12, 15, 18, 21, 24] and seen.size == 24 == apart.summary().seen[-1]["L"]


def test_phases_of_one_axis_are_not_those_of_another() -> None:
    """Nothing reaches the odd rows; every column is reached."""
    seen = net("output y = x -> conv_transpose(2, 3, stride = (2, 3), dilation = 2)").receptive_field()["y"]
    assert [phase.size for phase in seen["H"].phases] == [3, 0] and (seen["W"].size, seen["W"].smallest) == (1, 1)


def test_phases_that_begin_unevenly_are_told() -> None:
    """From each position to the next the field moves by 2 and by 0, not by the stride of 1."""
    seen = net("output y = x -> conv(2, 3, stride = 2, padding = 1) -> conv_transpose(2, 4, stride = 2, padding = 1)").receptive_field()
    found = seen["y"]["H"]
    assert (found.stride, found.padding, [(p.size, p.start) for p in found.phases]) == (1, 3, [(5, -3), (5, -1)])
    assert not net("output y = x -> conv(2, 3) -> upsample(2)").receptive_field()["y"]["H"].phases


def test_a_bound_holds_at_every_position() -> None:
    """The last two thirds of an axis before the first: most positions see 3, those at the seam 12."""
    rolled = net("output y = (x -> slice(4, 12, axis = 2), x -> slice(0, 4, axis = 2)) -> concat(axis = 2) -> conv(2, 3, padding = 1)",
                 "input x: [N, 2, L = 12]")  # fmt: skip
    seen = [rolled.receptive_field(at=at)["y"]["L"] for at in range(12)]
    assert {f.size for f in seen} == {rolled.summary().seen[-1]["L"]} and seen[0].approximate
    assert max(f.end - f.start + 1 for f in seen) == 12 <= seen[0].size and seen[6].smallest == 3


def test_closes_what_depends_on_sizes() -> None:
    """Paddings and crops that are expressions of the open sizes have numbers at the typical ones."""
    graph = net("output y = x -> pad(((H % 5, 0), (0, -W % 32))) -> conv(2, 3, stride = 2, padding = same_upper)").graph
    seen = receptive_field(graph)["y"]
    assert (seen["H"].size, seen["H"].padding, seen["W"].padding) == (3, 4, 0)
