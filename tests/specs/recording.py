"""What reference implementations said of the networks that ship: how it is recorded, and what an entry means.

`recorded/FAMILY.json` holds an entry for each network: which code was asked (package and version, or repository and
commit), how many tensors its state dict has, the digest of their names and shapes in order, and what it puts out for
the inputs of `arrays` on the weights of `fill`. The reference itself is needed to record, never to test.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.specs.zoo_reference import digest, fill

FOLDER = Path(__file__).with_name("recorded")

#: an input: its shape and, where it holds indices, how many there are: `([2, 3, 64, 64], None)`, `([2, 7], 100)`; True where
#: it holds truth values
Inputs = Mapping[str, tuple[list[int], int | None]]

#: how many numbers of an output are kept, evenly spread over it
KEPT = 12


def arrays(inputs: Inputs) -> dict[str, np.ndarray]:
    """Noise in [-1, 1] for every input, or indices; the same everywhere."""
    made = {}
    for number, (name, (shape, below)) in enumerate(inputs.items(), start=1):
        rng = np.random.Generator(np.random.PCG64(number))
        noise = rng.random(shape)
        if below is True:
            made[name] = noise < 0.8
        else:
            made[name] = (noise * 2 - 1).astype(np.float32) if below is None else (noise * below).astype(np.int64)
    return made


def kept(output: np.ndarray) -> list[float]:
    """A few numbers of an output, evenly spread over it, the first and the last among them."""
    flat = output.reshape(-1).astype(np.float64)
    return [float(f"{flat[i]:.7g}") for i in np.linspace(0, flat.size - 1, min(KEPT, flat.size)).round().astype(int)]


def describe(outputs: list[np.ndarray]) -> list[dict[str, Any]]:
    """Shape, largest magnitude and a few numbers of each output."""
    return [{"shape": list(o.shape), "scale": float(f"{np.abs(o).max():.7g}"), "kept": kept(o)} for o in outputs]


def flat(result: Any) -> list[Any]:
    """The tensors of a nested result, in order."""
    if isinstance(result, Mapping):
        return [t for value in result.values() for t in flat(value)]
    return [t for value in result for t in flat(value)] if isinstance(result, (tuple, list)) else [result]


def record(module: Any, trials: list[Inputs], source: str, *, gain: float = 1.0, call: Any = None) -> dict[str, Any]:
    """The entry of a reference's `torch.nn.Module`. `trials` are the inputs of each run, in the order of its arguments; `call`
    applies it where that takes more than `module(*tensors)`; `source` says which code it is, with version or commit."""
    import torch

    state = module.state_dict()
    module.load_state_dict({name: torch.from_numpy(value) for name, value in fill(state, gain=gain).items()})
    module.eval()
    runs = []
    for inputs in trials:
        tensors = [torch.from_numpy(a) for a in arrays(inputs).values()]
        with torch.no_grad():
            result = call(module, *tensors) if call else module(*tensors)
        outputs = [t.numpy() for t in flat(result)]
        assert all(np.isfinite(o).all() and np.abs(o).max() > 1e-4 for o in outputs), "these weights hide what is computed: change `gain`"
        runs.append({"inputs": {name: [list(shape), below] for name, (shape, below) in inputs.items()}, "outputs": describe(outputs)})
    return {**names_of(module, source), "gain": gain, "runs": runs}


def names_of(module: Any, source: str) -> dict[str, Any]:
    """An entry without runs: names, shapes and order alone. A module on the meta device will do."""
    state = module.state_dict()
    parameters = sum(math.prod(p.shape) for p in module.parameters())
    tensors = [(name, tuple(t.shape)) for name, t in state.items()]
    return {"source": source, "parameters": parameters, "tensors": len(tensors), "digest": digest(tensors)}


def save(family: str, entries: dict[str, dict[str, Any]]) -> None:
    """Write a family's entries, by the name of the net (`seresnet50`), or the net with arguments (`wide(depth = 16)`)."""
    lines = [f" {json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items()]
    (FOLDER / f"{family}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def recorded() -> dict[str, dict[str, Any]]:
    """All entries, by spec: `zoo.senet:seresnet50`."""
    found = {}
    for path in sorted(FOLDER.glob("*.json")):
        for name, entry in json.loads(path.read_text()).items():
            found[f"zoo.{path.stem}:{name}"] = entry
    return found
