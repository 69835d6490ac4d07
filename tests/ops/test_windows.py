"""Windows that slide, by brute force: the closed formulas for sizes against torch at every small setting, and the numbers
of both back ends at settings drawn at random."""

from __future__ import annotations

import random
from itertools import product

import pytest
import torch
import torch.nn.functional as F

from netspec.ops._window import Window
from netspec.ops.pooling import _rounded_up
from tests.ops.compare import disagreements
from tests.ops.harness import Refused, accept

SETTINGS = [(k, s, p, d) for k, s, p, d in product((1, 2, 3, 4), (1, 2, 3, 4), (0, 1, 2), (1, 2, 3)) if 2 * p <= k]


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_positions(ceil_mode: bool) -> None:
    """Kernel, stride, padding, dilation up to 4, 4, 2, 3, lengths up to 14: as many positions as torch has, or none where it refuses."""
    for (k, s, p, d), n in product(SETTINGS, range(1, 15)):
        window = Window(k, s, d, p, p)
        counted = (_rounded_up(window) if ceil_mode else window).output(n)
        try:
            found = F.max_pool2d(torch.zeros(1, 1, n, 4), (k, 1), (s, 1), (p, 0), (d, 1), ceil_mode=ceil_mode).shape[2]
        except RuntimeError:
            found = 0
        assert max(counted, 0) == found, (k, s, p, d, n)


def _numbers(draw: random.Random, rank: int, least: int, most: int) -> str:
    values = [str(draw.randint(least, most)) for _ in range(rank)]
    return values[0] if rank == 1 else f"({', '.join(values)})"


def _padding(draw: random.Random, rank: int, most: int) -> str:
    pairs = "".join(f"({draw.randint(0, most)}, {draw.randint(0, most)}), " for _ in range(rank))
    return draw.choice(["same", "same_upper", str(draw.randint(0, most)), _numbers(draw, rank, 0, most), f"({pairs})"])


def _call(draw: random.Random, kind: str, rank: int) -> str:
    kernel, stride = _numbers(draw, rank, 1, 4), _numbers(draw, rank, 1, 4)
    dilation, truth = _numbers(draw, rank, 1, 3), draw.choice(["true", "false"])
    if kind == "conv":
        mode = draw.choice(["zeros", "zeros", "reflect", "replicate", "circular"])
        return f"conv(4, {kernel}, {stride}, {_padding(draw, rank, 3)}, {dilation}, {draw.choice('12')}, {truth}, {mode})"
    if kind == "conv_transpose":
        padding = _numbers(draw, rank, 0, 3)
        return f"conv_transpose(4, {kernel}, {stride}, {padding}, {_numbers(draw, rank, 0, 2)}, {draw.choice('12')}, {truth}, {dilation})"
    if kind == "local_conv":
        return f"local_conv(3, {kernel}, {stride}, {_numbers(draw, rank, 0, 2)}, {dilation}, {truth})"
    if kind == "max_pool":
        return f"max_pool({kernel}, {stride}, {_padding(draw, rank, 2)}, {dilation}, {truth})"
    if kind == "avg_pool":
        return f"avg_pool({kernel}, {stride}, {_padding(draw, rank, 2)}, {truth}, {draw.choice(['true', 'false'])})"
    return f"{kind}({_numbers(draw, rank, 1, 6)})"


KINDS = ("conv", "conv_transpose", "local_conv", "max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool")


@pytest.mark.parametrize("kind", KINDS)
def test_numbers(kind: str) -> None:
    """Forty settings each, some axes open: where the operator accepts them, torch and onnxruntime agree at two sizes."""
    draw = random.Random(kind)
    ran = 0
    for _ in range(40):
        rank = draw.choice([1, 2, 2, 3])
        sizes = ", ".join(
            f"{axis} = {n}" if draw.random() < 0.7 else str(n) for axis, n in zip("DHW", (draw.randint(2, 9) for _ in range(rank)))
        )
        try:
            case = accept(_call(draw, kind, rank), f"[N, 4, {sizes}]")
        except Refused as refused:
            assert refused.code in ("NS310", "NS402"), refused
            continue
        for env in case.environments(2):
            assert disagreements(case, env, draw.choice([17, 18, 21, 26])) == []
            ran += 1
    assert ran >= 20
