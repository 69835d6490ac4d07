"""The legend of a picture of feature maps: what each arrow stands for, by its operators, the heat scale, and what the network costs."""

from __future__ import annotations

from netspec.analyses.outline.model import View
from netspec.backends.diagram.cards.heat import WORDS, Scale
from netspec.backends.diagram.escape import short
from netspec.backends.diagram.maps.bars import TEXT, Bar, text_width
from netspec.backends.diagram.maps.facts import Facts
from netspec.backends.diagram.palette import FLOW, GREY, INK, SCALE, SKIP, family
from netspec.backends.diagram.wording import count
from netspec.record import draft

#: of more kinds of arrows, families are told instead
_MOST = 16
#: how many characters of operators are told, and of a network's name
_LONGEST, _NAME = 48, 48
#: points: a sample with the space behind it, the space between entries, from line to line, and a step of the scale
_SAMPLE, _APART, _LINE, _STEP = 23.0, 16.0, 14.0, 22.0


@draft
class Entry:
    """A sample of an arrow, with its words; its place is that of its left end, in the legend."""

    words: str
    colour: str
    dashed: bool = False
    bold: bool = False
    x: float = 0.0
    y: float = 0.0


@draft
class Key:
    """The whole legend, as wide as `width`: samples, lines of text (words, colour, middle) and steps of the scale (colour, middle)."""

    entries: list[Entry]
    texts: list[tuple[str, str, float, float]]
    steps: list[tuple[str, float, float]]
    width: float


def key(view: View, bars: list[Bar], facts: Facts, heat: Scale | None, room: float) -> Key:
    """The legend of a view, in lines no longer than `room`."""
    lines = _lines(_entries(view, bars, facts), room)
    width = max(map(_width, lines))
    y = 0.0
    for line in lines:
        x = (width - _width(line)) / 2
        for entry in line:
            entry.x, entry.y = x, y
            x += _SAMPLE + text_width(entry.words, TEXT) + _APART
        y += _LINE
    found = Key([entry for line in lines for entry in line], [], [], width)
    if heat is not None:
        _add_scale(found, heat, y)
        y += _LINE
    total = facts.figures.total
    costs = [f"{count(total.parameters)} parameters", *([f"{count(total.macs)} MACs"] if total.macs else [])]
    name = short(view.graph.name + (f" · {view.only}" if view.only else ""), _NAME)
    found.texts.append((" · ".join((name, *costs)), GREY, width / 2, y + 3))
    return found


def _add_scale(found: Key, heat: Scale, y: float) -> None:
    """The colours of the scale, with its ends in words."""
    low, high = (count(value) if heat.kind != "field" else str(int(value)) for value in (heat.low, heat.high))
    before, middle = f"{WORDS[heat.kind][0]}{', logarithmic' if heat.logarithmic else ''}  {low}", found.width / 2
    left = middle - _STEP * len(SCALE) / 2
    found.steps.extend((colour, left + _STEP * (place + 0.5), y) for place, colour in enumerate(SCALE))
    found.texts.append((before, INK, left - 6 - text_width(before, TEXT) / 2, y))
    found.texts.append((high, INK, left + _STEP * len(SCALE) + 6 + text_width(high, TEXT) / 2, y))


def _lines(entries: list[Entry], room: float) -> list[list[Entry]]:
    lines: list[list[Entry]] = [[]]
    for entry in entries:
        if lines[-1] and _width([*lines[-1], entry]) > room:
            lines.append([])
        lines[-1].append(entry)
    return lines


def _width(line: list[Entry]) -> float:
    return sum(_SAMPLE + text_width(entry.words, TEXT) for entry in line) + _APART * (len(line) - 1)


def _entries(view: View, bars: list[Bar], facts: Facts) -> list[Entry]:
    entries = _operators(view, bars, facts)
    skips = [bars[link.target].kind == "joined" for link in view.links if link.course == "skip"]
    if any(skips):
        entries.append(Entry("copy and concatenate", SKIP, dashed=True))
    if not all(skips):
        entries.append(Entry("skip", SKIP, dashed=True))
    if any(link.course == "loop" for link in view.links):
        entries.append(Entry("to the next step", family("recurrent").ink, dashed=True))
    return entries or [Entry("tensor", FLOW)]


def _operators(view: View, bars: list[Bar], facts: Facts) -> list[Entry]:
    """The arrows that make maps, each kind once, in the order of the network; by families where there are very many."""
    made = [bar.making for bar in bars if bar.making.told and bar.kind not in ("sign", "port") and not facts.joins(view.boxes[bar.box])]
    kinds = dict.fromkeys((making.family, short(making.told, _LONGEST), making.block) for making in made)
    if len(kinds) > _MOST:
        kinds = dict.fromkeys((kind, f"{family(kind).words}{' (block)' if block else ''}", block) for kind, _, block in kinds)
    return [Entry(words, family(kind).ink, bold=block) for kind, words, block in kinds]
