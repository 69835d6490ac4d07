"""What stands below the table of a summary: totals, ports, and for which sizes the network is well defined, and why."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from netspec.analyses.columns import painted
from netspec.analyses.cost.layers import tensor_bytes
from netspec.record import record
from netspec.sizes.dim import Size, evaluate, show

if TYPE_CHECKING:
    from netspec.analyses.summary import Summary

#: the longest expression shown whole, in characters
LONGEST = 600


@record
class Fact:
    """A line below the table: what is told, its number, and words about it."""

    name: str
    number: str
    words: str = ""


def totals(summary: Summary, memory: bool = False) -> list[Fact]:
    """Parameters, arithmetic, bytes moved, and memory; with `memory`, what that consists of at the peak as well."""
    total, found = summary.cost.total, summary.cost.memory
    where = f" in {summary.rows[found.peak.node].label}" if found.peak.node >= 0 else ""
    saved = f"{size_text(found.best)} in the best order" + ("" if found.exact else " found")
    order = "no order needs less" if found.exact and found.best == found.peak.bytes else saved
    return [
        Fact("parameters", f"{summary.parameters:,}", size_text(found.parameters)),
        Fact("multiply-adds", f"{total.macs:,}"),
        Fact("operations", f"{total.operations:,}", "elementwise, beside them"),
        Fact("moved", size_text(total.bytes), f"{size_text(total.read)} read, {size_text(total.written)} written; "
             f"{total.intensity:.1f} floating-point operations a byte"),
        Fact("activations", size_text(found.peak.bytes), f"at the peak{where}; {order}"),
        *(_alive(summary) if memory else ()),
        Fact("training", size_text(found.training), _training(found)),
    ]  # fmt: skip


def _training(memory: Any) -> str:
    """What training memory consists of."""
    parameters, kept = size_text(memory.parameters + memory.buffers), size_text(memory.kept)
    told = f"{parameters} parameters + {size_text(memory.gradients)} gradients + {kept} kept for the backward pass"
    return f"{told}; Adam keeps {size_text(memory.optimizer('adam'))} more"


def _alive(summary: Summary) -> list[Fact]:
    """What is alive at the peak, largest first, and the order of execution where another one is better."""
    memory, graph = summary.cost.memory, summary.graph
    names = {o: node.name for node in graph.nodes for o in node.outputs}
    sizes = dict(summary.typical)
    alive = sorted(((_bytes_at(graph.values[s], sizes), names.get(s, graph.values[s].name)) for s in memory.peak.alive), reverse=True)
    facts = [Fact("" if number else "  alive then", size_text(size), name) for number, (size, name) in enumerate(alive) if size]
    if memory.best < memory.peak.bytes:
        facts.append(Fact("  best order", size_text(memory.best), ", ".join(graph.nodes[n].name for n in memory.order)))
    return facts


def _bytes_at(value: Any, sizes: dict[str, int]) -> int:
    return evaluate(tensor_bytes(value.type), sizes)


def ports(summary: Summary) -> list[tuple[str, str]]:
    """Inputs and outputs: which it is, and its name, element type and shape."""
    found = []
    for kind, declared in (("input", summary.inputs), ("output", summary.outputs)):
        for port in declared:
            dtype = "" if port["dtype"] == "float32" else f" {port['dtype']}"
            found.append((kind, f"{port['name']}:{dtype} [{', '.join(str(s) for s in port['shape'])}]"))
    return found


def conditions(summary: Summary) -> list[tuple[str, tuple[str, ...]]]:
    """What the sizes must satisfy, each with the lines that ask for it; conditions with the same causes together."""
    together: dict[tuple[str, ...], list[str]] = {}
    for part in summary.sizes.parts:
        together.setdefault(tuple(cause.text for cause in part.causes), []).append(str(part))
    return [(" and ".join(found), causes) for causes, found in together.items()]


def size_text(count: int) -> str:
    """A number of bytes in the largest unit that leaves a whole one: `576 B`, `12.3 KiB`, `9.2 MiB`, `1.28 GiB`."""
    if count < 1 << 10:
        return f"{count} B"
    if count < 1 << 20:
        return f"{count / (1 << 10):.1f} KiB"
    return f"{count / (1 << 20):.1f} MiB" if count < 1 << 30 else f"{count / (1 << 30):.2f} GiB"


# -------------------------------------------------------------------------------------------------------------------- text
def facts_text(summary: Summary, width: int, memory: bool = False, symbolic: bool = False, colour: bool = False) -> list[str]:
    """All of it as lines of at most `width` characters; with `symbolic`, totals as expressions as well."""
    facts = totals(summary, memory)
    column = max(len(fact.number) for fact in facts)
    lines = []
    for fact in facts:
        lines += wrapped(f"{fact.name:<13}  {fact.number:>{column}}", fact.words, width, colour)
    lines += _formulas(summary, width) if symbolic else []
    for kind, port in ports(summary):
        lines += wrapped(f"{kind:<13}", port, width)
    for number, (condition, causes) in enumerate(conditions(summary)):
        lines += wrapped("" if number else "valid sizes", condition, width)
        for cause in causes:
            told = textwrap.wrap(f"because {cause}", width, initial_indent=" " * 17, subsequent_indent=" " * 25)
            lines += [painted(line, "2", colour) for line in told]
    return lines


def _formulas(summary: Summary, width: int) -> list[str]:
    """The totals as expressions of the open sizes. The peak of the activations is that of the moment named above."""
    total, memory = summary.expressions.total, summary.expressions.memory
    parts = (
        ("multiply-adds", total.macs), ("operations", total.operations), ("bytes moved", total.read + total.written),
        ("activations", memory.peak), ("kept", memory.kept),
    )  # fmt: skip
    return ["as expressions", *(line for name, size in parts for line in wrapped(f"  {name:<14}", _whole(size), width))]


def _whole(size: Size) -> str:
    """An expression that is wrapped between its summands; spaces inside of one do not break."""
    text, depth, found = show(size), 0, []
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        breaks = depth == 0 and text[index + 1 : index + 3] in ("+ ", "- ")
        found.append("\0" if character == " " and not breaks else character)
    if len(text) > LONGEST:
        return "".join(found[:LONGEST]) + "… (whole with --format json)"
    return "".join(found)


def wrapped(head: str, words: str, width: int, bold: bool = False) -> list[str]:
    """A head and words behind it, which go on below where they are many; the head in bold where that is asked for."""
    head = f"{head:<13}  "
    if not words:
        return [painted(head.rstrip(), "1", bold)]
    room = max(width, len(head) + 24)
    for text in (words, words.replace("\0", " ")):  # a summand that is too long is broken after all
        lines = textwrap.wrap(text, room, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False)
        if max(map(len, lines)) <= room:
            break
    first, *others = [line.replace("\0", " ") for line in lines]
    return [painted(head, "1", bold) + first[len(head) :], *others]
