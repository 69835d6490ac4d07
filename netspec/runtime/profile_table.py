"""A profile as plain text."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.analyses.columns import Column, lay_out
from netspec.analyses.totals import size_text
from netspec.runtime.profile import LayerTime, Profile

#: What is shown: blocks and layers that take at least such a part of the time, and so many layers.
LEAST, MOST = 0.01, 40


def profile_text(profile: Profile, width: int = 110) -> str:
    """Two tables, blocks and layers, with the time that each takes and what it gets done in it: the larger ones, in their order."""
    at = ", ".join(f"{name} = {size}" for name, size in profile.sizes)
    lines = [f"{_time(profile.seconds)} a run on {profile.provider}{f' at {at}' if at else ''}, median of {profile.runs}"]
    blocks = [row for row in profile.blocks if row.share >= LEAST]
    blocks = [row for row in blocks if not _same_as_parent(row, profile.blocks)]
    if blocks:
        lines += _table("block", blocks, width)
    slowest = sorted(profile.rows, key=lambda row: -row.seconds)[:MOST]
    rows = profile.rows if len(profile.rows) <= MOST else [row for row in profile.rows if row in slowest]
    lines += _table("layer", rows, width)
    if left := len(profile.rows) - len(rows):
        lines.append(f"and {left} smaller ones, {1 - sum(row.share for row in rows):.1%} together")
    return "\n".join([*lines, *profile.remarks])


def _same_as_parent(row: LayerTime, blocks: Sequence[LayerTime]) -> bool:
    """Whether a block is all of the one around it (`encoder.layer`, a mere family of labels)."""
    parent = row.label.rpartition(".")[0]
    return any(one.label == parent and (one.seconds, one.flops, one.nbytes) == (row.seconds, row.flops, row.nbytes) for one in blocks)


def _table(heading: str, rows: Sequence[LayerTime], width: int) -> list[str]:
    labels = tuple(_label(row) if heading == "layer" else "  " * row.label.count(".") + row.label for row in rows)
    columns = [Column(heading, labels, least=24)]
    if heading == "layer":
        columns.append(Column("onnxruntime", tuple(" ".join(row.operators) for row in rows), least=12))
    if len({row.provider for row in rows if row.provider}) > 1:
        columns.append(Column("provider", tuple(row.provider for row in rows)))
    columns += [
        Column("time", tuple(_time(row.seconds) for row in rows), right=True),
        Column("share", tuple(f"{row.share:.1%}" for row in rows), right=True),
    ]
    if any(row.flops for row in rows):
        columns.append(Column("multiply-adds", tuple(f"{row.macs:,}" if row.macs else "" for row in rows), right=True))
        columns.append(Column("GFLOP/s", tuple(f"{row.gflops:.1f}" if row.macs else "" for row in rows), right=True))
    columns += [
        Column("moved", tuple(size_text(row.nbytes) if row.nbytes else "" for row in rows), right=True),
        Column("GB/s", tuple(f"{row.gbytes:.1f}" if row.nbytes else "" for row in rows), right=True),
    ]
    return lay_out(columns, width)


def _label(row: LayerTime) -> str:
    """The layer, and what went into it by the last parts of their names: `layer1.0.conv2 + bn2 add1 relu2`."""
    place = row.label.rpartition(".")[0]
    shorts = [name.removeprefix(f"{place}.") if place else name for name in row.fused]
    return f"{row.label} + {' '.join(shorts)}" if shorts else row.label


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.2f} {unit}"
    return f"{seconds * 1e6:.1f} µs"
