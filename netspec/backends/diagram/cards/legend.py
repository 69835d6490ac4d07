"""The legend: the families of operators that occur, or the heat scale, and what the network is and costs."""

from __future__ import annotations

from netspec.analyses.outline.model import View
from netspec.backends.diagram.cards.card import font
from netspec.backends.diagram.cards.heat import WORDS, Scale
from netspec.backends.diagram.escape import html, short
from netspec.backends.diagram.figures import Figures
from netspec.backends.diagram.palette import FAMILIES, GREY, INK, LINE, MERGE_INK, SCALE, SKIP, TEXT, family
from netspec.backends.diagram.wording import count, name

#: so many families stand on one line
_ACROSS = 6


def legend(view: View, figures: Figures, heat: Scale | None, across: int = _ACROSS) -> str:
    """The HTML of the legend: a line or two of families, or a bar of colours, and a line about the network."""
    if heat is None:
        entries = _families(view)
        count = max(1, -(-len(entries) // across))
        size = -(-len(entries) // count)  # lines of about equal length
        lines = ["".join(entries[start : start + size]) for start in range(0, len(entries), max(1, size))]
    else:
        lines = [_scale(heat)]
    drawn = "".join(f"<TR><TD>{line}</TD></TR>" for line in (*lines, _about(view, figures)))
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2">{drawn}</TABLE>'


def shown_families(view: View) -> list[str]:
    """The families of the operators that stand on a row of a card, in the palette's order."""
    found = {view.graph.nodes[number].op.FAMILY for box in view.boxes if box.kind == "layers" for number in box.rows}
    return [name for name in FAMILIES if name in found] + sorted(found - set(FAMILIES))


def _families(view: View) -> list[str]:
    entries = [font("■ ", family(kind).ink, 11) + font(f"{html(family(kind).words)}    ", TEXT, 9) for kind in shown_families(view)]
    for symbol, words in sorted(_symbols(view)):
        entries.append(font(f"{html(symbol)} ", MERGE_INK, 10, bold=True) + font(f"{html(words)}    ", TEXT, 9))
    if any(link.course == "skip" for link in view.links):
        entries.append(font("- - ", SKIP, 10, bold=True) + font("skip    ", TEXT, 9))
    return entries


def _symbols(view: View) -> set[tuple[str, str]]:
    """What stands in circles and is no sign of arithmetic, with what it means."""
    operators = [view.graph.nodes[box.rows[0]].op for box in view.boxes if box.kind == "merge"]
    return {(op.SYMBOL, name(op)) for op in operators if op.SYMBOL}


def _scale(heat: Scale) -> str:
    steps = "".join(f'<TD WIDTH="22" HEIGHT="9" FIXEDSIZE="TRUE" BGCOLOR="{colour}"></TD>' for colour in SCALE)
    low, high = (count(value) if heat.kind != "field" else str(int(value)) for value in (heat.low, heat.high))
    words = WORDS[heat.kind][0] + (", logarithmic" if heat.logarithmic else "")
    return (
        '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR>'
        f"<TD>{font(f'{html(words)}   {html(low)} ', TEXT, 9)}</TD>"
        f'<TD><TABLE BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0" COLOR="{LINE}"><TR>{steps}</TR></TABLE></TD>'
        f"<TD>{font(f'  {html(high)}', TEXT, 9)}</TD></TR></TABLE>"
    )


def _about(view: View, figures: Figures) -> str:
    parts = [f"{count(figures.total.parameters)} parameters"]
    if figures.total.macs:
        parts.append(f"{count(figures.total.macs)} MACs")
    name = html(short(view.graph.name + (f" · {view.only}" if view.only else ""), 48))
    return font(name, INK, 10, bold=True) + font(f"   {html(' · '.join(parts))}", GREY, 9)
