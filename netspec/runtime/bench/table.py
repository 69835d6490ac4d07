"""The measurement as text: a table for each batch, with the fact that it is worth something in its head."""

from __future__ import annotations

from netspec.runtime.bench.result import Bench, Row, processor

_NUMBERS = ("median", "quartiles", "per s", "GFLOP/s", "memory", "first", "off by", "speed", "alike")


def table(found: Bench) -> str:
    """All of it, ready to print."""
    lines = [_title(found), _machine(found)]
    for facts in found.batches:
        rows = [row for row in found.rows if row.contender.batch == facts.batch]
        head = "" if facts.batch is None else f"batch {facts.batch}"
        if facts.flops:
            head += f"{', ' if head else ''}{_count(facts.flops)}FLOP an inference"
        lines += ["", head or "one inference", *_section(found, rows)]
    notes = _notes(found)
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def _title(found: Bench) -> str:
    sizes = ", ".join(f"{name} = {size}" for name, size in found.sizes.items())
    return f"{found.net}{f' at {sizes}' if sizes else ''}"


def _machine(found: Bench) -> str:
    versions = ", ".join(f"{name} {text}" if name != "device" else text for name, text in found.facts.items())
    threads = f"{found.threads} thread{'s' if found.threads > 1 else ''}"
    parts = [processor(), threads, versions, "TF32 allowed" if found.plan.tf32 else "no TF32"]
    if all(provider == "cpu" for provider in found.plan.providers):
        parts.pop()
    return " · ".join(part for part in parts if part)


def _section(found: Bench, rows: list[Row]) -> list[str]:
    cells = [[*_name(row), *_cells(row, found.flops(row.contender.batch))] for row in rows]
    alike = len(found.plan.providers) * len(found.plan.precisions) > 1
    heads = ["", "", "", *_NUMBERS]
    kept = [i for i, head in enumerate(heads) if (head != "alike" or alike) and (not head or any(c[i] for c in cells))]
    shown = [[heads[i] for i in kept], *([c[i] for i in kept] for c in cells)]
    widths = [max(len(line[i]) for line in shown) for i in range(len(kept))]
    lines = []
    for number, line in enumerate(shown):
        text = "  ".join(c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths)))
        row = rows[number - 1] if number else None
        if row is not None and row.seconds is None:
            text = "  ".join(c.ljust(w) for c, w in zip(line[:3], widths)) + f"  {row.reason}{f' [{row.code}]' if row.code else ''}"
        lines.append(f"  {text}{f'  ({row.note})' if row is not None and row.note else ''}".rstrip())
    return lines if any(row.seconds is not None for row in rows) else lines[1:]


def _name(row: Row) -> list[str]:
    own = row.contender
    return [own.engine, own.provider, own.precision]


def _cells(row: Row, flops: int | None) -> list[str]:
    if row.seconds is None:
        return [""] * len(_NUMBERS)
    s = row.seconds
    return [
        _time(s.median),
        _range(s.low, s.high),
        _figures(row.per_second or 0.0),
        _figures(flops / s.median / 1e9) if flops else "",
        _bytes(row.device_memory if row.device_memory is not None else row.memory),
        "" if row.loading is None else _time(row.loading),
        "" if row.off is None else f"{row.off:.0e}" if row.off else "0",
        f"{row.speed.median:.2f}×" if row.speed else "",
        f"{row.speed_alike.median:.2f}×" if row.speed_alike else "",
    ]


def _notes(found: Bench) -> list[str]:
    lines = []
    if found.roofline is not None:
        lines.append(str(found.roofline))
    if found.interrupted:
        lines.append("interrupted: this is what was measured until then")
    return lines


# ------------------------------------------------------------------------------------------------------------ numbers
def _unit(seconds: float) -> tuple[str, float]:
    return next(((unit, factor) for unit, factor in (("s", 1.0), ("ms", 1e3)) if seconds * factor >= 1), ("µs", 1e6))


def _time(seconds: float) -> str:
    unit, factor = _unit(seconds)
    return f"{_figures(seconds * factor)} {unit}"


def _range(low: float, high: float) -> str:
    unit, factor = _unit(low)
    return f"{_figures(low * factor)} … {_figures(high * factor)} {unit}"


def _figures(number: float) -> str:
    """Three figures or so."""
    if number < 0.1:
        return f"{number:.2g}"
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def _bytes(number: int | None) -> str:
    if number is None:
        return ""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if number >= factor or unit == "MB":
            return f"{_figures(number / factor)} {unit}"
    raise AssertionError(number)


def _count(number: int) -> str:
    for unit, factor in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= factor:
            return f"{_figures(number / factor)} {unit}"
    return f"{number} "
