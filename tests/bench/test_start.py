"""What a user waits for at the shell: checking, and that its time grows as the file does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.conftest import LONG
from tests.bench.process import ROOT, best_ratio, cpu_seconds, netspec_seconds

pytestmark = pytest.mark.bench
RAISED = ("--limit", "nodes=1000000", "--limit", "file_bytes=100000000", "--limit", "steps=100000000", "--limit", "seconds=1000")
RAISED_MORE = (*RAISED, "--limit", "parameters=100000000000")


def test_checking_resnet152_takes_a_quarter_of_importing_torch() -> None:
    pytest.importorskip("torch")
    check = ("check", str(ROOT / "specs/resnet.net") + ":resnet152")
    netspec_seconds(*check)
    cpu_seconds("-c", "import torch")
    assert best_ratio(lambda: cpu_seconds("-c", "import torch"), lambda: netspec_seconds(*check), 4) >= 4


def _long_file(lines: int, folder: Path) -> str:
    path = folder / f"lines{lines}.net"
    body = "  x = x -> conv(64, 3, padding = 1) -> bn -> relu\n" * lines
    path.write_text(f"net long {{\n  input x: [N, 3, H, W]\n{body}  output y = x\n}}\n")
    return str(path)


@pytest.mark.parametrize("lines", [10_000, pytest.param(100_000, marks=pytest.mark.skipif(not LONG, reason="set NETSPEC_LONG=1"))])
def test_the_time_of_a_check_is_proportional_to_the_file(lines: int, tmp_path: Path) -> None:
    small, large, none = (_long_file(n, tmp_path) for n in (lines // 10, lines, 1))

    def each(path: str, count: int) -> float:
        return (netspec_seconds("check", path, *RAISED_MORE) - netspec_seconds("check", none)) / count

    netspec_seconds("check", none)
    assert best_ratio(lambda: each(small, lines // 10), lambda: each(large, lines), 0.7) >= 0.7
