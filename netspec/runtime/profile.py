"""Where the time of a run goes: by layer and by block of the spec, joined with what each layer has to compute.

    session.profile({"image": image}).rows[0].gflops

Times are onnxruntime's own, medians over several runs; bytes are those of the tensors that its nodes read and wrote; floating-point
operations are the cost model's (`analyses.cost`): two a multiply-add, and the elementwise ones.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from math import prod
from statistics import median
from typing import TYPE_CHECKING, Any

from netspec.analyses.bodies import with_bodies
from netspec.analyses.cost.layers import LayerCost, at_every_step, together
from netspec.analyses.cost.storage import storages
from netspec.analyses.cost.typed import typed
from netspec.diagnostics.model import Refusal
from netspec.record import record
from netspec.runtime.profile_events import Call, Run, read_runs
from netspec.runtime.profile_functions import has_functions, written_out
from netspec.runtime.profile_layers import INLINED, Share, bare_name, shares
from netspec.runtime.providers import PROVIDERS, first_line, label_of, start

if TYPE_CHECKING:
    from netspec.graph import Graph
    from netspec.runtime.options import SessionSettings
    from netspec.runtime.session import Session

#: Where the weights beside a model are, for one in memory.
_FOLDER = "session.model_external_initializers_file_folder_path"
#: What is no layer's: the arithmetic of sizes, and what onnxruntime does between nodes.
SIZES, BETWEEN = "(sizes)", "(between nodes)"


@record
class LayerTime:
    """A layer, with those that onnxruntime has put into it (`fused`); or several together, as a block.

    `operators` are onnxruntime's, `seconds` the median of a run, `share` the part of the whole run, `nbytes` what was read and written.
    """

    label: str
    fused: tuple[str, ...]
    operators: tuple[str, ...]
    provider: str
    seconds: float
    share: float
    macs: int
    flops: int
    nbytes: int

    @property
    def gflops(self) -> float:
        """10⁹ floating-point operations a second; 0 where nothing is computed, or nothing known of it."""
        return self.flops / self.seconds / 1e9 if self.seconds else 0.0

    @property
    def gbytes(self) -> float:
        """10⁹ bytes a second."""
        return self.nbytes / self.seconds / 1e9 if self.seconds else 0.0


@record
class Profile:
    """Where the time of a run goes. `rows` are layers in the order in which they ran, then what is no layer's; `blocks` the blocks of
    the spec in that order, each with all that is in it. `seconds` is the median of a whole run; `sizes` are the open sizes of it."""

    provider: str
    seconds: float
    runs: int
    sizes: tuple[tuple[str, int], ...]
    rows: tuple[LayerTime, ...]
    blocks: tuple[LayerTime, ...]
    remarks: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """The profile as JSON has it; `gflops` and `gbytes` are rates in 10⁹ a second."""

        def row(one: LayerTime) -> dict[str, Any]:
            return {**asdict(one), "gflops": one.gflops, "gbytes": one.gbytes}  # type: ignore[call-overload]

        return {
            "provider": self.provider, "seconds": self.seconds, "runs": self.runs, "sizes": dict(self.sizes),
            "layers": [row(one) for one in self.rows], "blocks": [row(one) for one in self.blocks], "remarks": list(self.remarks),
        }  # fmt: skip


def profile(model: Any, arrays: Mapping[str, Any], session: Session, *, runs: int, warmup: int) -> Profile:
    """The profile of runs on these inputs, in a session like the one given but for the profiler.

    Raises Refusal: NS733 for a number of runs, NS734 where a run fails, and what `start` does.
    """
    if runs < 1 or warmup < 0 or runs + warmup > 10_000:
        raise Refusal("NS733", f"a profile takes 1 to 10,000 runs, and a warm-up of 0 or more, not {runs} and {warmup}", status=2)
    with tempfile.TemporaryDirectory() as folder:
        settings = replace(session.settings, cuda_graph=False)  # of a replayed run the profiler sees nothing
        timed, plain = _started(model, session, settings, os.path.join(folder, "profile"))
        try:
            for _ in range(warmup + runs):
                session.compute(timed, arrays)
        except Exception as error:  # onnxruntime has no class of its own for all of them
            raise Refusal("NS734", f"onnxruntime failed: {first_line(error)}") from error
        found = read_runs(timed.end_profiling())[warmup:]
    if not found or not found[0].calls:
        raise Refusal("NS734", "onnxruntime's profiler has written nothing down")
    remarks = [] if len(found) == runs else [f"the profiler kept {len(found)} of {runs} runs: it has room for a million events"]
    if PROVIDERS[session.provider].device != "cpu":
        remarks.append("a device works on while the next node is sent to it: times of nodes are those of sending, the total is real")
    if not plain:
        remarks.append("its functions could not be written out: what runs inside of them is told of by operator, not by layer")
    return _Times(found, session, arrays, plain).profile(remarks)


def _started(model: Any, session: Session, settings: SessionSettings, prefix: str) -> tuple[Any, bool]:
    """onnxruntime's session with its profiler on, and whether its nodes have the names of layers: calls of functions are written out
    before, for onnxruntime, which would do so itself, does not tell them apart."""
    if not has_functions(model):
        return start(model, session.provider, settings, prefix).session, True
    flat = written_out(model, session.graph)
    if flat is not None:
        beside = {} if isinstance(model, bytes) else {_FOLDER: os.path.dirname(os.path.abspath(model))}
        try:
            found = start(flat, session.provider, replace(settings, session_options={**settings.session_options, **beside}), prefix)
            return found.session, True
        except Refusal:  # onnxruntime before 1.21 finds no weights beside a model in memory
            pass
    return start(model, session.provider, settings, prefix).session, False


class _Times:
    """The calls of several runs, put together by node. `plain` is whether nodes are called as layers, those of functions too."""

    def __init__(self, runs: Sequence[Run], session: Session, arrays: Mapping[str, Any], plain: bool) -> None:
        self.session, self.arrays, self.plain, self.count = session, arrays, plain, len(runs)
        self.total = median(run.time for run in runs) / 1e6
        self.calls = _once(runs[0].calls)
        times: list[dict[str, float]] = []
        for run in runs:
            of_run: dict[str, float] = {}
            for call in run.calls:
                of_run[call.node] = of_run.get(call.node, 0.0) + call.time
            times.append(of_run)
        self.seconds = [median(of_run.get(call.node, 0.0) for of_run in times) / 1e6 for call in self.calls]

    def profile(self, remarks: Sequence[str]) -> Profile:
        graph, sizes = self.session.graph, self.session.signature.sizes(self.arrays)
        rows, places = self._layers(graph, sizes) if graph is not None else self._nodes()
        blocks = self._blocks(rows, places)
        spent = sum(row.seconds for row in rows)
        rows.append(self._row(BETWEEN, (), (), max(0.0, self.total - spent)))
        provider = self.session.provider
        return Profile(provider, self.total, self.count, tuple(sizes.items()), tuple(rows), tuple(blocks), tuple(remarks))

    def _layers(self, graph: Graph, sizes: Mapping[str, int]) -> tuple[list[LayerTime], list[str]]:
        """A row for each layer, and the path of the block in which it stands."""
        whole, _ = with_bodies(graph)
        at = typed(whole, {**graph.typical, **sizes})
        costs = at_every_step(whole, at, storages(whole, at.types))
        found, without = shares(whole, self.calls, costs, [kind.shape for kind in at.types], self.plain)
        rows, places = [], []
        for share in found:
            names = [whole.nodes[number].name for number in share.layers]
            row = self._row(names[0], names[1:], share.calls, None, [costs[number] for number in share.layers])
            rows.append(replace(row, nbytes=row.nbytes + self._packed(whole, share)))
            places.append(whole.scopes[whole.frames[whole.nodes[share.layers[0]].frame].scope].path)
        others: dict[str, list[int]] = {}
        for number in without:
            call = self.calls[number]
            inside = " in a function" if not self.plain and call.node.startswith(INLINED) else ""
            others.setdefault(SIZES if call.node.startswith("size/") else f"({call.op_type}{inside})", []).append(number)
        rows += [self._row(label, (), numbers) for label, numbers in others.items()]
        return rows, places

    def _packed(self, graph: Graph, share: Share) -> int:
        """The bytes of parameters that kernels have packed for themselves: what onnxruntime does not count of those of the layer."""
        calls = [self.calls[number] for number in share.calls]
        stored = {weight for number in share.layers[:1] for weight in graph.nodes[number].weights}
        if graph.nodes[share.layers[0]].op.NAME == "embedding":
            return 0
        nbytes = sum(prod(graph.weights[weight].shape) for weight in stored) * max(call.width for call in calls)
        return max(0, nbytes - sum(call.parameters for call in calls))

    def _nodes(self) -> tuple[list[LayerTime], list[str]]:
        """The same by the names of nodes alone, whose dots are taken for those of blocks."""
        found: dict[str, list[int]] = {}
        for number, call in enumerate(self.calls):
            found.setdefault(SIZES if call.node.startswith("size/") else _label(call), []).append(number)
        labels = sorted(found, key=lambda label: label == SIZES)
        return [self._row(label, (), found[label]) for label in labels], [label.rpartition(".")[0] for label in labels]

    def _blocks(self, rows: Sequence[LayerTime], places: Sequence[str]) -> list[LayerTime]:
        """A row for each block, with all that stands in it, in the order in which they first ran."""
        members: dict[str, list[LayerTime]] = {}
        for row, place in zip(rows, places):
            parts = place.split(".") if place else []
            for depth in range(1, len(parts) + 1):
                members.setdefault(".".join(parts[:depth]), []).append(row)
        return [_together(label, inside) for label, inside in members.items()]

    def _row(
        self, label: str, fused: Iterable[str], calls: Iterable[int], seconds: float | None = None, costs: Iterable[LayerCost] = ()
    ) -> LayerTime:  # fmt: skip
        numbers, cost = list(calls), together(costs)
        took = sum(self.seconds[number] for number in numbers) if seconds is None else seconds
        ours = {one.theirs: name for name, one in PROVIDERS.items()}
        providers = dict.fromkeys(ours.get(p, p) for p in (self.calls[number].provider for number in numbers))
        return LayerTime(
            label, tuple(fused), tuple(dict.fromkeys(self.calls[number].op_type for number in numbers)), ", ".join(providers), took,
            took / self.total if self.total else 0.0, cost.macs, cost.flops,
            sum(self.calls[number].activations + self.calls[number].parameters for number in numbers),
        )  # fmt: skip


def _label(call: Call) -> str:
    """The label in a node's name, without what onnxruntime has put behind it."""
    return label_of(bare_name(call.node)) or f"({call.op_type})"


def _once(calls: Sequence[Call]) -> list[Call]:
    """A run's calls, each node once: what a scan runs in each step together."""
    found: dict[str, Call] = {}
    for call in calls:
        known = found.setdefault(call.node, call)
        if known is not call:
            moved = {"activations": known.activations + call.activations, "parameters": known.parameters + call.parameters}
            found[call.node] = replace(known, **moved)
    return list(found.values())


def _together(label: str, rows: Sequence[LayerTime]) -> LayerTime:
    operators = tuple(dict.fromkeys(name for row in rows for name in row.operators))
    providers = ", ".join(dict.fromkeys(row.provider for row in rows))
    return LayerTime(
        label, (), operators, providers, sum(row.seconds for row in rows), sum(row.share for row in rows),
        sum(row.macs for row in rows), sum(row.flops for row in rows), sum(row.nbytes for row in rows),
    )  # fmt: skip
