"""What was measured: a row an engine, batch by batch; prints as a table, and is plain data."""

from __future__ import annotations

import os
import platform
from dataclasses import field
from typing import TYPE_CHECKING, Any

from netspec.diagnostics.model import Refusal
from netspec.record import draft
from netspec.runtime.bench.plan import Contender, Plan
from netspec.runtime.bench.statistics import Spread

if TYPE_CHECKING:
    from netspec.graph import Graph
    from netspec.runtime.bench.roofline import Roofline
    from netspec.runtime.bench.subject import BatchFacts


@draft
class Row:
    """One contender. `seconds` are those of one inference, None where there are none: then `code` and `reason` say why.

    loading: seconds from the library being there until the first result (compiling, for torch.compile). warm: runs before it was steady.
    memory, device_memory: bytes beyond those of the library alone, at most while it ran.
    off: the largest difference from the first float32 engine's outputs, as a share of their scale; wrong: that is too much.
    speed: how many times as fast as the first row of its batch; speed_alike: as the first engine on that provider in that precision.
    """

    contender: Contender
    seconds: Spread | None = None
    speed: Spread | None = None
    speed_alike: Spread | None = None
    loading: float | None = None
    warm: int | None = None
    memory: int | None = None
    device_memory: int | None = None
    off: float | None = None
    wrong: bool = False
    code: str = ""
    reason: str = ""
    note: str = ""

    @property
    def per_second(self) -> float | None:
        """Examples a second."""
        return None if self.seconds is None else (self.contender.batch or 1) / self.seconds.median

    def data(self, flops: int | None = None) -> dict[str, Any]:
        """As plain data; times in milliseconds."""
        own = self.contender
        found: dict[str, Any] = {"engine": own.engine, "provider": own.provider, "precision": own.precision, "batch": own.batch}
        if self.seconds is None:
            return {**found, "code": self.code, "reason": self.reason}
        s = self.seconds
        times = {"median": s.median, "low": s.low, "high": s.high, "deviation": s.deviation}
        return {
            **found,
            "ms": {name: round(1e3 * time, 6) for name, time in times.items()},
            "runs": s.count,
            "per_second": round(self.per_second or 0.0, 3),
            "gflops": None if flops is None else round(flops / s.median / 1e9, 3),
            "memory_bytes": self.memory,
            "device_memory_bytes": self.device_memory,
            "speed": _ratio(self.speed),
            "speed_alike": _ratio(self.speed_alike),
            "off": self.off,
            "loading_seconds": None if self.loading is None else round(self.loading, 3),
            "warm_up_runs": self.warm,
            "note": self.note,
        }


def _ratio(found: Spread | None) -> dict[str, float] | None:
    return None if found is None else {"median": round(found.median, 4), "low": round(found.low, 4), "high": round(found.high, 4)}


@draft
class Bench:
    """The measurement of one network. `facts` are versions and devices; `batches` what each costs; `graph` is None for a file."""

    net: str
    plan: Plan
    threads: int
    sizes: dict[str, int]
    rows: list[Row] = field(default_factory=list)
    batches: list["BatchFacts"] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    roofline: "Roofline | None" = None
    graph: "Graph | None" = field(default=None, repr=False)

    @property
    def measured(self) -> list[Row]:
        """The rows that have times."""
        return [row for row in self.rows if row.seconds is not None]

    def flops(self, batch: int | None) -> int | None:
        """Floating-point operations of one inference at a batch, by the cost model."""
        return next((one.flops for one in self.batches if one.batch == batch), None)

    def save_roofline(self, path: str | os.PathLike[str]) -> None:
        """Measure the roofline at the first batch, and draw it into a `.png`, `.svg` or `.pdf` file; from then on it is part of the data.

        Raises `Refusal`: NS758 for what is no network of ours or has no arithmetic, NS015 for another end of the name, NS020.
        """
        from netspec.runtime.bench.roofline import measure_roofline

        if self.graph is None:
            raise Refusal("NS758", "a roofline needs the network, not an .onnx file: what each layer computes is not in it", status=2)
        self.roofline = measure_roofline(self.graph, self.plan, self.threads, self.batches[0].batch)
        self.roofline.save(path, self.net)

    def data(self) -> dict[str, Any]:
        """As plain data: the JSON of `netspec bench --format json`."""
        found = {
            "net": self.net,
            "sizes": self.sizes,
            "processor": processor(),
            "threads": self.threads,
            "tf32": self.plan.tf32,
            "versions": dict(self.facts),
            "seed": self.plan.seed,
            "weights": self.plan.weights,
            "also": self.plan.also or None,
            "interrupted": self.interrupted,
            "costs": [{"batch": one.batch, "flops": one.flops, "bytes": one.bytes} for one in self.batches],
            "rows": [row.data(self.flops(row.contender.batch)) for row in self.rows],
        }
        if self.roofline is not None:
            found["roofline"] = self.roofline.data()
        return found

    def __str__(self) -> str:
        from netspec.runtime.bench.table import table

        return table(self)


def processor() -> str:
    """The processor's name, as well as the system knows it."""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
