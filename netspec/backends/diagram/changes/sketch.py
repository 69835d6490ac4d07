"""Two networks in one picture: what became of each box, and of each link between them.

Links that both have are thin, new ones thick and green, lost ones dotted and red. The title says what the changes come to.
"""

from __future__ import annotations

from netspec.analyses.diff.overlay import Overlay
from netspec.analyses.diff.union import Status
from netspec.analyses.outline.model import Link
from netspec.backends.diagram.cards.card import font
from netspec.backends.diagram.cards.flow import box_name, first_inside
from netspec.backends.diagram.changes.card import GROUNDS, INKS, ChangeCards, group_label
from netspec.backends.diagram.changes.titles import titles
from netspec.backends.diagram.changes.words import SIGNS, Words, figures_line, remarks, spell
from netspec.backends.diagram.dot import Dot
from netspec.backends.diagram.escape import html, short
from netspec.backends.diagram.look import Look, Sketch
from netspec.backends.diagram.palette import ADDED, CARD, FLOW, GREY, GROUP_LINE, GROUPS, INK, LINE, REMOVED, TEXT
from netspec.backends.diagram.wording import sign

#: so few boxes are drawn from left to right
_SHORT = 8
#: the most characters of a network's name in the title
_NAME = 48
#: how many lines of so many characters the title has for remarks
_LINES, _WIDTH = 3, 84


def sketch_changes(overlay: Overlay, look: Look = Look()) -> Sketch:
    """The picture of an overlay. Boxes are `box-3`, rows `row-3-0`, opened blocks `group-1`, links `link-7`; the numbers are those of
    `overlay.view`. In an SVG each has what became of it as a class: `added`, `removed`, `changed`, `follows`, `same`."""
    words = Words(overlay, look)
    difference = overlay.difference
    what = "the same network" if difference.same else ", ".join(remarks(difference)) or "no layer changed"
    label = f"Changes from the network {short(difference.old, _NAME)} to {short(difference.new, _NAME)}: {what}"
    return Sketch(_Drawing(overlay, look, words).source(), titles(overlay, words), label)


class _Drawing:
    def __init__(self, overlay: Overlay, look: Look, words: Words) -> None:
        self._overlay, self._view, self._look, self._words = overlay, overlay.view, look, words
        short = len(self._view.boxes) <= _SHORT and not self._view.groups
        self._sideways = look.rankdir == "LR" or (look.rankdir == "auto" and short)
        spread = {"rankdir": "LR", "nodesep": "0.3", "ranksep": "0.4"} if self._sideways else {"nodesep": "0.35", "ranksep": "0.28"}
        self._dot = Dot(labelloc="t", label=f"<{self._title()}>", **spread)

    def source(self) -> str:
        """The DOT text."""
        self._groups()  # first, so that their labels stand on the left
        self._boxes()
        for number, link in enumerate(self._view.links):
            self._link(number, link)
        return self._dot.source()

    # ------------------------------------------------------------------------------------------------------------ title
    def _title(self) -> str:
        difference = self._overlay.difference
        old, new = (html(short(name, _NAME)) for name in (difference.old, difference.new))
        between = "=" if difference.same else "→"
        lines = [f"{font(old, INK, 13, bold=True)}{font(f'  {between}  ', GREY, 13)}{font(new, INK, 13, bold=True)}"]
        facts = []
        for text, change in figures_line(difference):
            told = font(html(text), TEXT, 10)
            facts.append(told + (font(f"  ({html(change)})", GREY if change == "=" else INK, 10, bold=change != "=") if change else ""))
        lines.append(font("     ", GREY, 10).join(facts))
        if difference.same:
            lines.append(font("the same network: nothing changed", TEXT, 10, bold=True))
        lines += [font(html("     ".join(notes)), GREY, 9) for notes in _lines([short(note, _NAME) for note in remarks(difference)])]
        lines += [self._key()] if self._look.legend and not difference.same else []
        rows = "".join(f"<TR><TD>{line}</TD></TR>" for line in lines if line)
        return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2">{rows}</TABLE>'

    def _key(self) -> str:
        """What the signs mean, those that occur."""
        present = {mark.status for mark in self._overlay.union.marks} | set(self._overlay.boxes) | set(self._overlay.links)
        entries: tuple[tuple[Status, str], ...] = (
            ("added", "added, thick"), ("removed", "removed, dotted"), ("changed", "changed"), ("follows", "follows in shape"),
            ("same", "unchanged"),
        )  # fmt: skip
        cells, width = [], 3
        for status, word in entries:
            if status in present:
                width += 42 + 5 * len(word)
                styles = {"removed": ' STYLE="DOTTED"', "follows": ' STYLE="DASHED"'}.get(status, "")
                border = 1 if status in ("same", "follows") else 2
                inked = font(SIGNS[status] or " ", INKS[status], 9, bold=True)
                box = f'<TABLE BORDER="{border}" CELLBORDER="0" CELLPADDING="0" CELLSPACING="0" COLOR="{INKS[status]}"{styles}>'
                cells.append(f'<TD>{box}<TR><TD WIDTH="18" HEIGHT="11" BGCOLOR="{GROUNDS[status]}">{inked}</TD></TR></TABLE></TD>')
                cells.append(f"<TD>{font(f'{word}    ', TEXT, 9)}</TD>")
        # without a fixed size the swatches grow with the title; a letter of this size is at most five points wide
        size = f'FIXEDSIZE="TRUE" WIDTH="{width}" HEIGHT="18"'
        return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="3" CELLPADDING="0" {size}><TR>{"".join(cells)}</TR></TABLE>' if cells else ""

    # ------------------------------------------------------------------------------------------------------------ nodes
    def _boxes(self) -> None:
        cards = ChangeCards(self._overlay, self._words)
        for number, box in enumerate(self._view.boxes):
            status, name, identity = self._overlay.boxes[number], box_name(number), f"box-{number}"
            written = sign(self._view.graph.nodes[box.rows[0]].op) if box.kind == "merge" and status in ("same", "follows") else ""
            if written and len(written) <= 2:
                self._dot.node(
                    name, box.group, id=identity, kind=f"merge {status}", text=written, shape="circle", style="filled", fillcolor=CARD,
                    color=LINE, fontcolor=TEXT, fontsize="13" if len(written) == 1 else "10", width="0.28", height="0.28", fixedsize="true",
                )  # fmt: skip
                continue
            self._dot.node(name, box.group, id=identity, kind=f"{box.kind} {status}", html=cards.label(number), shape="plain")

    def _groups(self) -> None:
        first = first_inside(self._view)
        for number, group in enumerate(self._view.groups):
            status, union = self._overlay.groups[number], self._overlay.union
            depth, parent = 0, group.parent
            while parent is not None:
                depth, parent = depth + 1, self._view.groups[parent].parent
            alone = status in ("added", "removed")
            line = {
                "color": INKS[status] if alone else GROUP_LINE,
                "style": f"rounded,filled{',dotted' if status == 'removed' else ''}",
                "penwidth": "2" if alone else "1",
                "fillcolor": GROUPS[min(depth, len(GROUPS) - 1)],
            }
            changed = union.block(group.frame)
            told = [spell(change) for change in changed.changes] if changed else []
            told += self._words.changes(union.runner[group.frame], inputs=False) if group.steps else []
            label = group_label(group, self._around(group.parent), status, told, self._words.was(group.nodes, group.frame))
            look = {"id": f"group-{number}", "kind": f"group {status}", "margin": "9", **line}
            if self._sideways:
                self._dot.cluster(number, group.parent, html=label, labeljust="l", **look)
                continue
            self._dot.cluster(number, group.parent, label="", **look)
            self._dot.node(f"g{number}", number, id=f"group-{number}-label", kind="group-label", html=label, shape="plain")
            self._dot.rank(f"g{number}", first[number])
            self._dot.edge(f"g{number}", first[number], style="invis")

    def _around(self, parent: int | None) -> str:
        """The name of the block around something; empty for the network itself."""
        return "" if parent is None else self._view.groups[parent].name

    # ------------------------------------------------------------------------------------------------------------ lines
    def _link(self, number: int, link: Link) -> None:
        fate, skips = self._overlay.links[number], link.course == "skip"
        weight = {"same": 60, "added": 50, "removed": 4}[fate] if not skips else 0 if fate == "removed" else 1
        look = {"id": f"link-{number}", "kind": f"{link.course} {fate}", "weight": str(weight), "color": FLOW}
        if fate == "added":
            look |= {"color": ADDED, "penwidth": "2.2", "style": "dashed" if skips else "solid"}
        elif fate == "removed":
            look |= {"color": REMOVED, "penwidth": "1.8", "style": "dotted"}
        elif skips:
            look |= {"style": "dashed"}
        if link.course == "loop":
            look |= {"text": " t − 1", "constraint": "false", "fontcolor": look["color"]}
            look["style"] = "dotted" if fate == "removed" else "dashed"
        elif link.source > link.target:
            look |= {"constraint": "false"}
        self._dot.edge(box_name(link.source), box_name(link.target), **look)


def _lines(notes: list[str]) -> list[list[str]]:
    """Remarks on a few lines; what finds no room is counted."""
    found: list[list[str]] = []
    for place, note in enumerate(notes):
        if not found or sum(map(len, found[-1])) + len(note) > _WIDTH:
            if len(found) == _LINES:
                found[-1].append(f"and {len(notes) - place} more")
                break
            found.append([])
        found[-1].append(note)
    return found
