"""The summary as a table of plain text that fits a terminal."""

from __future__ import annotations

import shutil
from typing import Any, Protocol

from netspec.sizes.dim import show


class Tabular(Protocol):
    """What a table shows: rows, totals, ports and the sizes at which they hold (`analyses.summary.Summary`)."""

    net: str
    rows: tuple[Any, ...]
    parameters: int
    macs: int
    activation_bytes: int
    inputs: tuple[dict[str, Any], ...]
    outputs: tuple[dict[str, Any], ...]
    typical: tuple[tuple[str, int], ...]


_HEADINGS = ("layer", "operator", "output", "parameters", "multiply-adds")


def summary_text(summary: Tabular, width: int | None = None) -> str:
    """The layer table, then the totals, then what the sizes must satisfy."""
    width = width or shutil.get_terminal_size((110, 24)).columns
    cells = [
        (r.label, f"{r.op}({r.arguments})" if r.arguments else r.op, _shape(r.shape), f"{r.parameters:,}" if r.parameters else "",
         f"{r.macs:,}" if r.macs else "")
        for r in summary.rows
    ]  # fmt: skip
    widths = [max(len(h), *(len(c[i]) for c in cells)) if cells else len(h) for i, h in enumerate(_HEADINGS)]
    excess = sum(widths) + 2 * (len(widths) - 1) - width
    if excess > 0:
        widths[1] = max(12, widths[1] - excess)
    rule = "─" * min(width, sum(widths) + 2 * (len(widths) - 1))
    lines = [f"net {summary.net}", rule, _line(_HEADINGS, widths), rule]
    lines.extend(_line(c, widths) for c in cells)
    return "\n".join([*lines, rule, *_totals(summary)])


def _line(cells: Any, widths: list[int]) -> str:
    clipped = [c if len(c) <= w else c[: w - 1] + "…" for c, w in zip(cells, widths)]
    left = [f"{c:<{w}}" for c, w in zip(clipped[:3], widths[:3])]
    right = [f"{c:>{w}}" for c, w in zip(clipped[3:], widths[3:])]
    return "  ".join(left + right).rstrip()


def _shape(shape: Any) -> str:
    return "[" + ", ".join(str(s) if isinstance(s, int) else show(s) for s in shape) + "]"


def _totals(summary: Tabular) -> list[str]:
    at = ", ".join(f"{n} = {v}" for n, v in summary.typical)
    lines = [
        f"parameters     {summary.parameters:,}",
        f"multiply-adds  {summary.macs:,}" + (f"   (at {at})" if at else ""),
        f"activations    {_bytes(summary.activation_bytes)} at the peak, float32, at these sizes",
    ]
    for kind, ports in (("input", summary.inputs), ("output", summary.outputs)):
        for port in ports:
            shape = ", ".join(str(s) for s in port["shape"])
            asks = "   where " + " and ".join(port["constraints"]) if port.get("constraints") else ""
            dtype = "" if port["dtype"] == "float32" else f" {port['dtype']}"
            lines.append(f"{kind:<13}  {port['name']}:{dtype} [{shape}]{asks}")
    return lines


def _bytes(count: int) -> str:
    if count < 1 << 20:
        return f"{count / 1024:.1f} KiB"
    return f"{count / (1 << 20):.1f} MiB" if count < 1 << 30 else f"{count / (1 << 30):.2f} GiB"
