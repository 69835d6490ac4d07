"""`verify` sees planted bugs, and sees none where there is none."""

from __future__ import annotations

import pytest

import netspec
from netspec.runtime.verify import verify
from tests.runtime.planted import BUGS, plant

torch = pytest.importorskip("torch")


@pytest.mark.slow
def test_planted_bugs_are_found() -> None:
    missed = []
    for bug in BUGS:
        graph = netspec.loads(bug.net).graph
        if verify(plant(graph, bug)).ok:
            missed.append(bug.name)
    assert len(BUGS) >= 50
    assert len(missed) <= len(BUGS) // 50, missed


def test_the_report_names_the_layer_and_its_line() -> None:
    bug = BUGS[0]
    verdict = verify(plant(netspec.loads(bug.net).graph, bug))
    first = verdict.differences[0]
    assert (first.where, first.operator, first.line) == ("bn1", "batch_norm", 3)
    assert "bn1" in str(verdict)


@pytest.mark.slow
def test_no_alarm_where_there_is_no_bug() -> None:
    for net in dict.fromkeys(bug.net for bug in BUGS):
        verdict = verify(netspec.loads(net).graph, seed=3)
        assert verdict.ok, f"{net}\n{verdict}"
