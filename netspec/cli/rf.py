"""The receptive field of each output, axis by axis: how many input positions one output position sees, in which steps, from where to
where, with its holes; and within how many of them most of the gradient arrives at initialization.

Numbers are for the typical sizes (`--size`), in evaluation mode, borders aside: a field may be larger than the input. `size` is the
largest over the position's phases, `least` that of the narrowest path, `padding` how far before the input position 0 begins. From the
middle of the output, or from `--at`.

The JSON is {"net", "outputs": {output: {axis: {"size", "stride", "padding", "start", "end", "aligned", "coverage", …}}}, "local",
"checkerboards"}: `size` is "all" where the whole axis is seen, `stride` a number (0.5 after upsampling twice). "holes" are
[first, last] counted from `start`, "phases" is there where phases differ, "effective" has "centre", "deviation" and "within" (the
shortest stretch with 68 % of the gradient). "local" names, for outputs that see everything, the last layer that does not;
"checkerboards" are the transposed convolutions that overlap unevenly, with how many inputs they sum by axis and phase.
"""

from __future__ import annotations

import argparse
import json
import shutil
from typing import TYPE_CHECKING, Any

from netspec.cli.output import compiled, pairs, spec_arguments
from netspec.diagnostics.model import Refusal

if TYPE_CHECKING:
    from netspec.analyses.field import Fields
    from netspec.analyses.field.report import At
    from netspec.graph import Graph


def arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC, what is looked at and from where, a figure, and the format."""
    spec_arguments(parser)
    parser.add_argument("--of", metavar="LABEL", help="a layer, block or name instead of the outputs")
    parser.add_argument("--at", metavar="Y,X", help="the output position to look from, from 0: an index an axis, or H=3,W=5")
    parser.add_argument("--plot", metavar="FILE", help="draw field, coverage and effective field (.png, .svg, .pdf)")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(options: argparse.Namespace) -> int:
    """Print the fields; draw them where a figure is asked for."""
    from netspec.analyses.field import fields

    at = _position(options.at)
    done = compiled(options)
    graph = done.graph
    assert graph is not None
    labels = [options.of] if options.of is not None else [port.name for port in graph.outputs]
    found = fields(graph)
    print(_json(graph, found, labels, at) if options.format == "json" else _text(graph, found, labels, at))
    if options.plot:
        from netspec.backends.plot import save_field_figure

        save_field_figure(graph, options.plot, options.of, at)
    return 0


def _position(text: str | None) -> At:
    """`3`, `3,5` or `H=3,W=5` as a position. Raises `Refusal` (NS015) for anything else."""
    if text is None:
        return None
    parts = text.split(",")
    if "=" in text:
        given = pairs([text], "a position")
        if all(value.isdigit() for value in given.values()):
            return {name: int(value) for name, value in given.items()}
    elif all(part.strip().isdigit() for part in parts):
        return int(parts[0]) if len(parts) == 1 else tuple(int(part) for part in parts)
    raise Refusal("NS015", f"a position is an index an axis, such as 3,5 or H=3,W=5, not `{text}`", status=2)


# --------------------------------------------------------------------------------------------------------------- text
def _text(graph: Graph, found: Fields, labels: list[str], at: At) -> str:
    from netspec.analyses.cost import batch_sizes
    from netspec.analyses.field import value_of
    from netspec.analyses.field_table import place
    from netspec.analyses.local import last_local

    batch = batch_sizes(graph)
    sizes = ", ".join(f"{name} = {value}" for name, value in graph.typical.items() if name not in batch)
    parts, told = [f"{graph.name}{f' at {sizes}' if sizes else ''}"], set[str]()
    for label in labels:
        border = last_local(found, value_of(graph, label)) if at is None else None
        if border is None:
            parts.append(_section(graph, found, label, at))
            continue
        last, first = border
        parts.append(f"{label} sees everything, from {place(first)} on; the last layer that does not is {last.name}:")
        if last.name not in told:
            parts[-1] += "\n\n" + _section(graph, found, last.name, None)
        told.add(last.name)
    return "\n\n".join(parts)


def _section(graph: Graph, found: Fields, label: str, at: At) -> str:
    from netspec.analyses.effective import effective_at
    from netspec.analyses.field import fields_by_input, value_of
    from netspec.analyses.field_table import Sight, field_text, joins_text, overlaps_text

    value, several = value_of(graph, label), len(graph.inputs) > 1
    sights = [
        Sight(f"{source}.{name}" if several else name, field, effective_at(found, value, field))
        for source, axes in fields_by_input(graph, label, at)[label].items()
        for name, field in axes.items()
    ]
    width = max(60, min(shutil.get_terminal_size((100, 24)).columns, 120))
    return field_text(label, graph.values[value], sights, joins_text(found, value) + overlaps_text(graph, value), width)


# --------------------------------------------------------------------------------------------------------------- JSON
def _json(graph: Graph, found: Fields, labels: list[str], at: At) -> str:
    from netspec.analyses.effective import effective_at
    from netspec.analyses.field import receptive_field, uneven, value_of
    from netspec.analyses.local import last_local

    outputs: dict[str, dict[str, Any]] = {}
    local: dict[str, str] = {}
    boards: dict[str, dict[str, list[int]]] = {}
    for label in labels:
        value = value_of(graph, label)
        outputs[label] = {}
        for name, field in receptive_field(graph, label, at)[label].items():
            effective = effective_at(found, value, field)
            numbers = {"centre": round(effective.centre, 4), "deviation": round(effective.deviation, 4), "within": effective.within()}
            stride = field.stride.numerator if field.stride.denominator == 1 else float(field.stride)
            outputs[label][name] = {**field.data(), "stride": stride, "effective": numbers}
        border = last_local(found, value)
        if border is not None:
            local[label] = border[0].name
        boards.update({node.name: {str(axis): list(of) for axis, of in counts.items()} for node, counts in uneven(graph, value)})
    return json.dumps({"net": graph.name, "outputs": outputs, "local": local, "checkerboards": boards}, indent=2)
