"""What each layer reaches of what the machine can do: achieved operations a second over operations a byte.

Times are onnxruntime's by layer (`runtime.profile`: what it fuses is one layer), operations and bytes the cost model's, the roofs
measured (`peaks`); all on the CPU with the same threads. Layers without arithmetic (reshapes, joins, copies) have no place in it; the
time that they take is told.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import Any

from netspec.analyses.bodies import with_bodies
from netspec.analyses.cost.layers import at_every_step, tensor_bytes
from netspec.analyses.cost.storage import storages
from netspec.analyses.cost.typed import typed
from netspec.backends.onnx import save
from netspec.backends.weight_files import weights_of
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph
from netspec.record import record
from netspec.runtime.bench.peaks import Peaks, measure_peaks
from netspec.runtime.bench.plan import Plan
from netspec.runtime.bench.subject import of_graph
from netspec.runtime.profile import Profile
from netspec.sizes.dim import evaluate

#: runs that are profiled, and before them
_RUNS, _WARM = 20, 5


@record
class LayerPoint:
    """One layer with what was fused into it: operations and bytes of one inference, and the seconds that it takes."""

    label: str
    fused: tuple[str, ...]
    family: str
    flops: int
    nbytes: int
    seconds: float

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.flops / self.nbytes

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.flops / self.seconds


@record
class Roofline:
    """The layers of a network at one batch (None: fixed), the machine's peaks, and the seconds of one inference under the profiler."""

    peaks: Peaks
    points: tuple[LayerPoint, ...]
    seconds: float
    batch: int | None
    sizes: Mapping[str, int]

    @property
    def placed(self) -> float:
        """The share of the time that layers with arithmetic take."""
        return min(sum(point.seconds for point in self.points) / self.seconds, 1.0) if self.seconds else 0.0

    @property
    def rate(self) -> float:
        """Operations a second of the whole network, all of its time counted."""
        return sum(point.flops for point in self.points) / self.seconds if self.seconds else 0.0

    @property
    def reached(self) -> float:
        """What share of the time the layers would need if each ran at its roof (that of main memory)."""
        best = sum(point.flops / self.peaks.roof(point.intensity) for point in self.points)
        spent = sum(point.seconds for point in self.points)
        return best / spent if spent else 0.0

    def data(self) -> dict[str, Any]:
        """As plain data: rates in 10⁹ a second."""
        return {
            "batch": self.batch,
            "peak_gflops": round(self.peaks.flops / 1e9, 3),
            "memory_gbytes": round(self.peaks.memory / 1e9, 3),
            "cache_gbytes": round(self.peaks.cache / 1e9, 3),
            "ms": round(1e3 * self.seconds, 6),
            "placed": round(self.placed, 4),
            "reached": round(self.reached, 4),
            "layers": [
                {
                    "label": point.label, "fused": list(point.fused), "family": point.family, "flops": point.flops,
                    "bytes": point.nbytes, "ms": round(1e3 * point.seconds, 6), "intensity": round(point.intensity, 4),
                    "gflops": round(point.rate / 1e9, 4),
                }
                for point in self.points
            ],
        }  # fmt: skip

    def __str__(self) -> str:
        peaks = self.peaks
        roofs = f"{peaks.flops / 1e9:.3g} GFLOP/s, {peaks.memory / 1e9:.3g} GB/s from memory, {peaks.cache / 1e9:.3g} GB/s from cache"
        layers = f"the network runs at {self.rate / 1e9:.3g} GFLOP/s; its layers reach {self.reached:.0%} of their roofs"
        return f"peaks of this machine: {roofs}; in onnxruntime {layers}"

    def save(self, path: str | os.PathLike[str], name: str) -> None:
        """Draw it into a `.png`, `.svg` or `.pdf` file. Raises `Refusal`: NS015 for another end of the name, NS020."""
        from netspec.backends.plot.roofline_figure import RooflinePoint, Roofs, save_roofline

        points = [RooflinePoint(p.label, p.family, p.intensity, p.rate, p.seconds / self.seconds) for p in self.points]
        at = [] if self.batch is None else [f"batch {self.batch}"]
        at += [f"{size} = {value}" for size, value in self.sizes.items()]
        left = f", {1 - self.placed:.0%} of it outside of these layers" if self.placed < 0.995 else ""
        below = f"{', '.join(at)}{': ' if at else ''}{1e3 * self.seconds:.3g} ms an inference{left}"
        save_roofline(path, points, Roofs(self.peaks.flops, self.peaks.memory, self.peaks.cache), name, below)


def measure_roofline(graph: Graph, plan: Plan, threads: int, batch: int | None) -> Roofline:
    """Profile the network in onnxruntime on the CPU in float32, and measure the machine's peaks. Raises `Refusal`: NS758 where no layer
    has arithmetic and time, and as `Session` and `bench` do."""
    from netspec.runtime.session import Session

    subject = of_graph(graph, plan)
    arrays = subject.inputs(batch)
    with tempfile.TemporaryDirectory(prefix="netspec-bench-") as folder:
        path = os.path.join(folder, "model.onnx")
        save(graph, path, weights_of(graph, plan.seed, plan.weights))
        found = Session(path, provider="cpu", graph=graph, threads=threads).profile(arrays, runs=_RUNS, warmup=_WARM)
    points = points_of(graph, found)
    if not points:
        raise Refusal("NS758", f"no layer of {graph.name} computes anything that a roofline could show", status=2)
    peaks = measure_peaks(threads)
    flops = max(peaks.flops, *(point.rate for point in points))  # what a layer has reached, the machine can do
    return Roofline(Peaks(flops, peaks.memory, peaks.cache), points, found.seconds, batch, subject.sizes(None))


def points_of(graph: Graph, found: Profile) -> tuple[LayerPoint, ...]:
    """The layers that compute something, in the order in which they ran."""
    moved = _Moved(graph, dict(found.sizes))
    families = {node.name: node.op.FAMILY for node in moved.whole.nodes}
    points = []
    for row in found.rows:
        nbytes = moved.by(row.label, *row.fused) if row.label in families else 0
        if row.flops and nbytes and row.seconds:
            points.append(LayerPoint(row.label, row.fused, families[row.label], row.flops, nbytes, row.seconds))
    return tuple(points)


class _Moved:
    """What layers move by the cost model: what one that is fused hands on to the next stays in registers, and is not moved.

    (onnxruntime's own count leaves out weights, which it has laid out anew beforehand.)
    """

    def __init__(self, graph: Graph, sizes: dict[str, int]) -> None:
        self.whole = with_bodies(graph)[0]
        self.at = typed(self.whole, {**graph.typical, **sizes})
        self.costs = at_every_step(self.whole, self.at, storages(self.whole, self.at.types))
        self.number = {node.name: number for number, node in enumerate(self.whole.nodes)}
        self.given = {port.value for port in self.whole.outputs}
        self.readers: dict[int, list[int]] = {}
        for number, node in enumerate(self.whole.nodes):
            for value in node.inputs:
                self.readers.setdefault(value, []).append(number)

    def by(self, *labels: str) -> int:
        """Bytes read and written by layers that are one."""
        group = {self.number[label] for label in labels}
        total = sum(self.costs[number].bytes for number in group)
        for number in group:
            for value in self.whole.nodes[number].outputs:
                inside = [reader for reader in self.readers.get(value, ()) if reader in group]
                nbytes = evaluate(tensor_bytes(self.at.types[value]), {})
                total -= sum(nbytes for reader in inside if self.costs[reader].read >= nbytes)
                stays = inside and len(inside) == len(self.readers[value]) and value not in self.given
                total -= nbytes if stays and self.costs[number].written >= nbytes else 0
        return max(total, 0)
