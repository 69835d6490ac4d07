"""What onnxruntime's profiler writes, as calls of nodes: which node ran, for how long, on how many bytes.

The profile is a list of events as Chrome's trace viewer takes them (https://onnxruntime.ai/docs/performance/tune-performance/
profiling-tools.html): one `model_run` a run, and for each node a `…_kernel_time` within it. A node that runs a graph (Scan) takes as
long as all that happens in it; here a call has the time that is its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from netspec.record import record

_KERNEL = "_kernel_time"
#: Bytes of an element, by onnxruntime's names here.
_BYTES = {"float": 4, "double": 8, "float16": 2, "bfloat16": 2, "int8": 1, "uint8": 1, "bool": 1, "int32": 4, "int64": 8}


@record
class Call:
    """A node that ran: its name in onnxruntime's graph, its operator there, the provider, how long it took itself (µs), the bytes of the
    activations and parameters that it read and wrote, those of an element, and the shapes that it put out.

    Where a kernel has packed its parameters for itself, onnxruntime does not count them.
    """

    node: str
    op_type: str
    provider: str
    time: float
    activations: int
    parameters: int
    width: int
    shapes: tuple[tuple[int, ...], ...]


@record
class Run:
    """One run of the model: how long it took in all (µs), and its calls in order."""

    time: float
    calls: tuple[Call, ...]


def read_runs(path: str) -> list[Run]:
    """The runs in a profile, in order."""
    with open(path, encoding="utf-8") as file:
        events = json.load(file)
    nodes = sorted(
        (event for event in events if event.get("cat") == "Node" and event["name"].endswith(_KERNEL)),
        key=lambda event: (event["ts"], -event["dur"]),
    )
    found, next_one = [], 0
    for event in sorted((e for e in events if e.get("name") == "model_run"), key=lambda e: e["ts"]):
        end = event["ts"] + event["dur"]
        while next_one < len(nodes) and nodes[next_one]["ts"] < event["ts"]:
            next_one += 1
        first = next_one
        while next_one < len(nodes) and nodes[next_one]["ts"] <= end:
            next_one += 1
        found.append(Run(event["dur"], _calls(nodes[first:next_one])))
    return found


def _calls(events: Sequence[Mapping[str, Any]]) -> tuple[Call, ...]:
    """The calls of a run, each with its own time: what ran inside of it, in the same thread, is taken off."""
    own = [float(event["dur"]) for event in events]
    around: dict[Any, list[int]] = {}  # of each thread, the calls that are not over
    for number, event in enumerate(events):
        stack = around.setdefault(event.get("tid"), [])
        while stack and event["ts"] >= events[stack[-1]]["ts"] + events[stack[-1]]["dur"]:
            stack.pop()
        if stack and event["dur"]:
            own[stack[-1]] -= event["dur"]
        stack.append(number)
    return tuple(_call(event, max(0.0, time)) for event, time in zip(events, own))


def _call(event: Mapping[str, Any], time: float) -> Call:
    facts = event.get("args", {})
    read, written, parameters = (int(facts.get(key) or 0) for key in ("activation_size", "output_size", "parameter_size"))
    op_type, outputs = facts.get("op_name", ""), facts.get("output_type_shape", ())
    if op_type.startswith("Gather"):
        parameters = min(parameters, written)  # of a table, the rows that are looked up
    shapes = tuple(tuple(shape) for one in outputs for shape in one.values())
    width = next((_BYTES.get(kind, 4) for one in outputs for kind in one), 4)
    return Call(event["name"][: -len(_KERNEL)], op_type, facts.get("provider", ""), time, read + written, parameters, width, shapes)
