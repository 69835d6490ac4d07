"""Random networks: valid ones on which everything agrees, ones with one mistake, and texts that make no sense.

With NETSPEC_LONG=1 in the environment there are ten times as many, from other seeds.
"""

from __future__ import annotations

import os
import subprocess
import time
from functools import lru_cache
from pathlib import Path

import pytest

from netspec import ops
from netspec.api import check_source, compile
from netspec.backends.torch_source import write_source
from netspec.diagnostics.model import Refusal
from netspec.limits import Limits
from tests.check import compilations, diagnostics
from tests.differential.checks import check_compilers, check_numbers, check_onnx, check_text, check_torch
from tests.differential.edits import edit
from tests.differential.mutations import mutated, source_of
from tests.differential.networks import MERGES, Coverage, Network, network

LONG = os.environ.get("NETSPEC_LONG") == "1"
FIRST, TIMES = (100_000, 10) if LONG else (0, 1)
NETWORKS, EDITS, MUTATIONS = 60 * TIMES, 150 * TIMES, 200 * TIMES
#: runs in onnxruntime, node by node, and through torch's compilers take longest
COMPARED, COMPILED = 20 * TIMES, 4 * TIMES
#: seconds that any text may take; machines are busy
PATIENCE = 2.0
#: a mutation may turn a depth of 36 into one of 3636
LIMITS = Limits(nodes=5_000)


@lru_cache
def networks() -> tuple[tuple[Network, ...], Coverage]:
    coverage = Coverage()
    return tuple(network(FIRST + i, coverage) for i in range(NETWORKS)), coverage


def test_the_generator_reaches_every_operator() -> None:
    made, coverage = networks()
    within = {name for name in ops.names() if name in MERGES or ops.lookup(name).ARITY in (1, (1, 2), (1, None))}
    reached = {name for name in within if coverage.operators[name]}
    assert len(reached) >= 0.75 * len(within), sorted(within - reached)
    assert coverage.kept > coverage.refused and len(coverage.statements) >= 14


@pytest.mark.parametrize("number", range(NETWORKS))
def test_text_graph_and_back_ends_agree(number: int) -> None:
    made = networks()[0][number]
    try:
        check_text(made)
        check_torch(made)
        check_onnx(made)
        if number < COMPARED:
            check_numbers(made)
    except Exception as error:
        raise AssertionError(f"seed {made.seed}\n{made.text}") from error


def test_compilers_take_the_source() -> None:
    for made in networks()[0][:COMPILED]:
        check_compilers(made)


def test_a_formatter_and_a_linter_have_nothing_to_say(tmp_path: Path) -> None:
    for made in networks()[0]:
        (tmp_path / f"network_{made.seed}.py").write_text(write_source(made.graph), encoding="utf-8")
    for command in (["format", "--diff"], ["check"]):
        done = subprocess.run(["ruff", *command, "-q", "--isolated", str(tmp_path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_one_mistake_is_one_error_in_its_place() -> None:
    found = 0
    for seed in range(FIRST, FIRST + EDITS):
        broken = edit(networks()[0][seed % NETWORKS], seed)
        if broken is None:
            continue
        found += 1
        begin = time.process_time()
        errors = [d for d in diagnostics(compilations(broken.text)) if d.severity.value == "error"]
        assert time.process_time() - begin < PATIENCE, broken
        said = f"{broken.kind}, seed {seed}: {[str(d) for d in errors]}\n{broken.text}"
        assert len(errors) == 1 and errors[0].code in broken.codes, said
        place = errors[0].place
        assert place is not None and place.start <= broken.end and place.end >= broken.start, said
    assert found > EDITS // 2


def test_no_text_makes_an_exception() -> None:
    for seed in range(FIRST, FIRST + MUTATIONS):
        try:
            source = source_of(mutated(seed))
        except Refusal:
            continue  # these bytes are no text
        begin = time.process_time()
        compile(source, limits=LIMITS)
        check_source(source, limits=LIMITS)
        assert time.process_time() - begin < 2 * PATIENCE, seed
