"""The networks that ship, against what their reference implementations were recorded to say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest

import netspec
from tests.specs.recording import arrays, flat, kept, recorded
from tests.specs.zoo_reference import digest, fill, write

ENTRIES = recorded()
#: of those that take long a third, unless all are asked for
RUNS = [
    pytest.param(spec, marks=pytest.mark.slow if entry.get("slow") else ())
    for spec, entry in ENTRIES.items()
    if entry.get("runs") and not (entry.get("slow") and crc32(spec.encode()) % 3 and not os.environ.get("NETSPEC_LONG"))
]


def load(spec: str) -> Any:
    """The network of an entry, with the arguments that it names: `zoo.drn:drn_c_26`, with "arguments" beside."""
    return netspec.load(spec.partition("(")[0], **ENTRIES[spec].get("arguments", {}))


@pytest.mark.parametrize("spec", ENTRIES)
def test_names_shapes_and_order_are_the_references(spec: str) -> None:
    net, entry = load(spec), ENTRIES[spec]
    tensors = [(w.name, w.shape) for w in net.graph.weights]
    assert net.summary().parameters == entry["parameters"]
    assert (len(tensors), digest(tensors)) == (entry["tensors"], entry["digest"])


@pytest.mark.parametrize("spec", RUNS)
def test_outputs_are_the_references(spec: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    net, entry = load(spec), ENTRIES[spec]
    weights = fill({w.name: w for w in net.graph.weights}, gain=entry["gain"])
    module = net.torch(seed=0)
    module.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()}, strict=True)
    session = net.session(weights=write(weights, tmp_path))
    for run in entry["runs"]:
        given = arrays({name: (shape, below) for name, (shape, below) in run["inputs"].items()})
        with torch.no_grad():
            ours = [t.numpy() for t in flat(module.eval()(*(torch.from_numpy(a) for a in given.values())))]
        theirs = list(session(**given).values())
        for expected, mine, other in zip(run["outputs"], ours, theirs, strict=True):
            assert list(mine.shape) == list(other.shape) == expected["shape"]
            assert kept(mine) == pytest.approx(expected["kept"], abs=2e-5 * expected["scale"])
            assert np.abs(other - mine).max() <= 1e-4 * expected["scale"]
