"""What the machine can do at most, measured: arithmetic by large products, bandwidth by sums of large and of small arrays.

Measured in onnxruntime with the same threads, so that the roof is that of the engine whose layers stand under it. After Williams,
Waterman and Patterson, "Roofline: an insightful visual performance model", CACM 52(4), 2009, doi:10.1145/1498765.1498785; bandwidth is
counted as STREAM does (McCalpin 1995): what is read and what is written, and no line that a write fetches first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from netspec.backends.onnx import wire
from netspec.backends.onnx.encode import Types, node_bytes, opset_bytes
from netspec.backends.onnx.model import Attributes, Operation
from netspec.record import record
from netspec.sizes.tensor import TensorType

#: seconds of each probe, in so many turns
_SECONDS, _ROUNDS = 0.4, 10
#: the bytes of one array in memory, larger than caches; in cache; and how many sums a run of each chains
_LARGE, _SMALL, _SUMS = 1 << 26, 1 << 17, (2, 16)
_OPSET, _IR = 17, 8


@record
class Peaks:
    """The roofs: `flops` operations a second, `memory` and `cache` bytes a second."""

    flops: float
    memory: float
    cache: float

    def roof(self, intensity: float) -> float:
        """The most operations a second at so many operations a byte of main memory."""
        return min(self.flops, self.memory * intensity)

    @property
    def ridge(self) -> float:
        """Operations a byte beyond which main memory no longer limits."""
        return self.flops / self.memory


@record
class Probe:
    """Something that takes time: how much work one run of it does, operations or bytes."""

    work: float
    run: Callable[[], Any]


def measure_peaks(threads: int, seconds: float = _SECONDS) -> Peaks:
    """Measure this machine, for so many seconds a probe, on the CPU with so many threads."""
    products = [_product(size, threads) for size in (256, 512, 1024)]
    memory, cache = _sums(_LARGE, _SUMS[0], threads), _sums(_SMALL, _SUMS[1], threads)
    *flops, of_memory, of_cache = best_rates([*products, _convolution(threads), memory, cache], seconds)
    return Peaks(max(flops), of_memory, of_cache)


def best_rates(probes: Sequence[Probe], seconds: float) -> list[float]:
    """The most work a second that each probe did: what a machine can do is its best. They take turns, so that one quiet moment of a
    busy machine is enough for all."""
    least = [math.inf] * len(probes)
    for probe in probes:
        probe.run()
    for _ in range(_ROUNDS):
        for number, probe in enumerate(probes):
            end = perf_counter() + seconds / _ROUNDS
            while True:
                begun = perf_counter()
                probe.run()
                done = perf_counter()
                least[number] = min(least[number], done - begun)
                if done >= end:
                    break
    return [probe.work / max(time, 1e-9) for probe, time in zip(probes, least)]


def _product(size: int, threads: int) -> Probe:
    """The operations of a product of square matrices, the second one known beforehand, as weights are."""
    shape = (size, size)
    model = _model([Operation("MatMul", ("x", "w"), ("y",), "product")], {"x": shape}, {"w": shape}, {"y": shape})
    return _probe(model, {"x": shape}, threads, 2 * size**3)


def _convolution(threads: int, channels: int = 256, side: int = 28) -> Probe:
    """The same of a 3 × 3 convolution, which onnxruntime lays out in blocks of channels and runs closer to the peak."""
    data, kernel = (1, channels, side, side), (channels, channels, 3, 3)
    attributes = Attributes([("kernel_shape", (3, 3)), ("pads", (1, 1, 1, 1))])
    model = _model([Operation("Conv", ("x", "w"), ("y",), "conv", attributes)], {"x": data}, {"w": kernel}, {"y": data})
    return _probe(model, {"x": data}, threads, 2 * channels * channels * 9 * side * side)


def _sums(nbytes: int, sums: int, threads: int) -> Probe:
    """The bytes of sums of two arrays, each of so many bytes: two are read and one is written."""
    shape = (nbytes // 4,)
    names = ["x", *(f"s{i}" for i in range(sums - 1)), "y"]
    nodes = [Operation("Add", (a, "x"), (b,), b) for a, b in zip(names, names[1:])]
    model = _model(nodes, {"x": shape}, {}, {"y": shape})
    return _probe(model, {"x": shape}, threads, 3 * nbytes * sums)


Shapes = dict[str, tuple[int, ...]]


def _model(nodes: list[Operation], inputs: Shapes, weights: Shapes, outputs: Shapes) -> bytes:
    types = Types()
    graph = wire.GRAPH.encode(
        node=[node_bytes(node) for node in nodes],
        name="probe",
        initializer=[wire.tensor(name, "float32", shape, _numbers(shape).tobytes()) for name, shape in weights.items()],
        input=[types.value(name, TensorType(shape)) for name, shape in inputs.items()],
        output=[types.value(name, TensorType(shape)) for name, shape in outputs.items()],
    )
    return wire.MODEL.encode(ir_version=_IR, graph=graph, opset_import=opset_bytes(_OPSET, ()))


def _numbers(shape: tuple[int, ...]) -> np.ndarray:
    """Ordinary numbers: sums of denormal ones would take longer."""
    return np.full(shape, 1 / 64, "float32")


def _probe(model: bytes, inputs: Shapes, threads: int, work: float) -> Probe:
    from netspec.runtime.session import Session

    bound = Session(model, provider="cpu", threads=threads).bind(**{name: _numbers(shape) for name, shape in inputs.items()})
    return Probe(work, bound.run)
