"""The texts of a network as they are formatted: words told apart, and at the end of each line the shape of what it makes."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from netspec import ops
from netspec.analyses.bodies import with_bodies
from netspec.diagnostics.model import Report
from netspec.graph import Frame, Graph, Origin
from netspec.record import record
from netspec.report.shapes import Shapes
from netspec.source import Source
from netspec.syntax import tree
from netspec.syntax.format import format
from netspec.syntax.lexer import BREAKS, layout, scan
from netspec.syntax.parse import parse
from netspec.syntax.tables import load_tables

#: so many tokens ahead, two texts are looked through for the place from which on they are the same again
_FAR = 12
#: beyond so many different shapes on a line, the first and the last are shown
_MOST_SHAPES = 3
#: what a terminal is to a reader; names are told apart by `_name`
_KINDS = {"COMMENT": "c", "DOC": "s", "STRING": "s", "NUMBER": "n", "_ARROW": "k", "_ELSE": "k"}

#: terminals that take the lines before them along, comments too, and how long they are themselves
_SWALLOWS = {"_ARROW": len("->"), "_ELSE": len("else")}
_NOTE = re.compile(r"#[^\n]*")


@record
class Piece:
    """Characters of one kind: `k` a word of the language, `o` an operator, `n` a number, `s` a string, `c` a comment, or ``."""

    kind: str
    text: str


@record
class Line:
    """One line of a text. `shapes` are those of what it makes, at typical sizes, and `exact` the same with open sizes.

    `used` is False where the network has nothing of the definition that the line is part of.
    """

    number: int
    anchor: str
    pieces: tuple[Piece, ...]
    shapes: str = ""
    exact: str = ""
    used: bool = True


@record
class Listing:
    """A text. `formatted` tells that it is not as it was written, and lines may have other numbers."""

    name: str
    lines: tuple[Line, ...]
    formatted: bool


class Texts:
    """The texts of a network: the spec's own first, then those of its imports that layers come from."""

    def __init__(self, graph: Graph, source: Source, sources: Mapping[str, Source], shapes: Shapes) -> None:
        self.graph, _ = with_bodies(graph)
        self.shapes = shapes
        named = dict.fromkeys([source.name, *(node.origin.file for node in self.graph.nodes if node.origin)])
        found = {source.name: source, **sources}
        self.texts = {name: _Text(found[name], number) for number, name in enumerate(n for n in named if n in found)}

    def anchor(self, origin: Origin | None) -> str:
        """The anchor of the line on which something was written; empty where its text is not shown."""
        text = self.texts.get(origin.file) if origin else None
        return text.anchor(text.line_of(origin.start)) if text and origin else ""

    def line(self, origin: Origin | None) -> int:
        """The number of that line as it is shown; 0 where it is not."""
        text = self.texts.get(origin.file) if origin else None
        return text.line_of(origin.start) if text and origin else 0

    def listings(self) -> tuple[Listing, ...]:
        """All texts."""
        return tuple(self._listing(text) for text in self.texts.values())

    def _listing(self, text: _Text) -> Listing:
        made = self._made(text)
        unused = text.unused(self._definitions(text))
        lines = []
        for number, pieces in enumerate(text.pieces, 1):
            found = made.get(number, ()) if number not in unused else ()
            typical = list(dict.fromkeys(self.shapes.typical(shape) for shape in found))
            exact = list(dict.fromkeys(self.shapes.exact(shape) for shape in found))
            lines.append(Line(number, text.anchor(number), pieces, _several(typical), ", ".join(exact[:40]), number not in unused))
        return Listing(text.source.name, tuple(lines), text.formatted)

    @cached_property
    def _nets(self) -> set[str]:
        """The net, and what it is a variant of."""
        nets = {s.name: s for text in self.texts.values() for s in text.module.body if isinstance(s, tree.Net)}
        name, found = self.graph.scopes[0].definition, set[str]()
        while name in nets and name not in found:
            found.add(name)
            variant = nets[name].variant
            name = getattr(getattr(variant, "function", variant), "id", "")
        return found

    # ------------------------------------------------------------------------------------------------- what a line makes
    def _made(self, text: _Text) -> dict[int, list[tuple[Any, ...]]]:
        """The shapes that each line makes, in order: of the last layer that it applies in each block, of a block that it
        applies, and of what it names."""
        graph, found = self.graph, dict[int, list[tuple[Any, ...]]]()
        for (line, _), values in self._results(text).items():
            found.setdefault(line, []).extend(graph.values[value].shape for value in values)
        for line, pattern in text.labels:
            named = [f.outputs[0].value for f in graph.frames[1:] if f.outputs and self._is_named(f, text.definition(line), pattern)]
            if named:
                found[line] = [graph.values[value].shape for value in named]
        return found

    def _results(self, text: _Text) -> dict[tuple[int, int], list[int]]:
        """The last value of a line in each application of its block (by the frame's number); in a loop, of each turn."""
        found: dict[tuple[int, int], list[int]] = {}
        seen: dict[tuple[int, int], set[int]] = {}
        for origin, frame, value in self._applications:
            if origin.file != text.source.name:
                continue
            place = text.line_of(origin.start), self._home(frame)
            turn = seen.setdefault(place, set())
            if not turn or origin.start in turn:
                found.setdefault(place, []).append(value)
                turn.clear()
            turn.add(origin.start)
            found[place][-1] = value
        return found

    @cached_property
    def _applications(self) -> list[tuple[Origin, int, int]]:
        """What layers and blocks make, in the order in which it is made: where they are applied, in which frame, and the value."""
        graph = self.graph
        made = [(n, node.origin, node.frame, node.outputs[0]) for n, node in enumerate(graph.nodes) if node.outputs]
        maker = {value: number for number, node in enumerate(graph.nodes) for value in node.outputs}
        for frame in graph.frames[1:]:
            if frame.outputs and graph.scopes[frame.scope].kind == "block":
                value = frame.outputs[0].value
                made.append((maker.get(value, 0), frame.origin, frame.parent or 0, value))
        made.sort(key=lambda one: one[0])  # stable: a block behind the layer that makes its value
        return [(origin, frame, value) for _, origin, frame, value in made if origin]

    def _is_named(self, frame: Frame, within: str, pattern: re.Pattern[str]) -> bool:
        """Whether a label in the definition of that name is an application's own."""
        around = self.graph.frames[self._home(frame.parent or 0)]
        own = around.parent is None or self.graph.scopes[around.scope].definition == within
        return own and (around.parent is None) == (within in self._nets) and bool(pattern.search(self.graph.scopes[frame.scope].path))

    def _home(self, frame: int) -> int:
        """The application of the block or net in whose text a chain is written."""
        while self.graph.scopes[self.graph.frames[frame].scope].kind in ("chain", "family"):
            frame = self.graph.frames[frame].parent or 0
        return frame

    def _definitions(self, text: _Text) -> set[str]:
        """The definitions of a text that the network has something of; for a variant also what it varies."""
        used = {scope.definition for scope in self.graph.scopes} | self._nets
        origins = (*(node.origin for node in self.graph.nodes), *(frame.origin for frame in self.graph.frames))
        places = [origin.start for origin in origins if origin and origin.file == text.source.name]
        for statement in text.module.body:
            if any(statement.place.start <= start < statement.place.end for start in places):
                used.add(getattr(statement, "name", ""))
        return used


def _several(shapes: Sequence[str]) -> str:
    return ", ".join(shapes) if len(shapes) <= _MOST_SHAPES else f"{shapes[0]} … {shapes[-1]}"


class _Text:
    """One text, formatted, and where its lines have gone."""

    def __init__(self, source: Source, number: int) -> None:
        self.source = source
        self.prefix = "L" if number == 0 else f"F{number + 1}-L"
        shown = format(source, Report()) or source.text
        self.formatted = shown != source.text
        self.shown = Source(source.name, shown) if self.formatted else source
        self.module = parse(source, Report())

    def anchor(self, line: int) -> str:
        """The anchor of a line, by its number."""
        return f"{self.prefix}{line}"

    def line_of(self, offset: int) -> int:
        """The line, as it is shown, of what stands at an offset of the text as it was written."""
        if not self.formatted:
            return self.source.position(offset)[0]
        starts, moved = self._moves
        return self.shown.position(moved[max(bisect_right(starts, offset) - 1, 0)])[0] if moved else 1

    @cached_property
    def _moves(self) -> tuple[list[int], list[int]]:
        """The offsets at which tokens begin that are there before and after formatting, and where they begin afterwards."""
        before, after = (self._words(text) for text in (self.source.text, self.shown.text))
        pairs, i, j = list[tuple[int, int]](), 0, 0
        while i < len(before) and j < len(after):
            ahead = ((d, total - d) for total in range(_FAR) for d in range(total + 1))
            same = ((d, e) for d, e in ahead if i + d < len(before) and j + e < len(after) and before[i + d][0] == after[j + e][0])
            skipped = next(same, None)  # (0, 0) nearly always: formatting adds and drops a comma or a bracket here and there
            if skipped is None:
                i, j = i + 1, j + 1
                continue
            i, j = i + skipped[0], j + skipped[1]
            pairs.append((before[i][1], after[j][1]))
            i, j = i + 1, j + 1
        return [start for start, _ in pairs], [start for _, start in pairs]

    @staticmethod
    def _words(text: str) -> list[tuple[str, int]]:
        """The tokens of a text but line ends, and where they begin."""
        return [(" ".join(token.text.split()), token.start) for token in scan(text, load_tables()) if token.kind not in BREAKS]

    @cached_property
    def _lines_of(self) -> list[tuple[str, range]]:
        """The definitions of nets, blocks and layers, and their lines."""
        found = [s for s in self.module.body if isinstance(s, (tree.Net, tree.Block, tree.Def))]
        return [(s.name, range(self.line_of(s.place.start), self.line_of(max(s.place.end - 1, s.place.start)) + 1)) for s in found]

    def definition(self, line: int) -> str:
        """The name of the definition in which a line stands; empty outside of any."""
        return next((name for name, lines in self._lines_of if line in lines), "")

    def unused(self, used: set[str]) -> set[int]:
        """The lines of definitions that are not among these."""
        return {line for name, lines in self._lines_of if name not in used for line in lines}

    @cached_property
    def pieces(self) -> list[tuple[Piece, ...]]:
        """The lines, words told apart."""
        text = self.shown.text.replace("\t", " ")  # a tab is one column here
        pieces, kinds, before = list[Piece](), self._kinds(), 0
        for start, end, kind in kinds:
            if kind:
                pieces += [Piece("", text[before:start]), Piece(kind, text[start:end])]
                before = end
        pieces.append(Piece("", text[before:]))
        lines: list[list[Piece]] = [[]]
        for piece in pieces:
            for number, part in enumerate(piece.text.split("\n")):
                if number:
                    lines.append([])
                if part:
                    lines[-1].append(Piece(piece.kind, part))
        while len(lines) > 1 and not lines[-1]:
            lines.pop()
        return [tuple(line) for line in lines]

    def _kinds(self) -> list[tuple[int, int, str]]:
        """Every terminal's place and what it is to a reader."""
        tables, text, found = load_tables(), self.shown.text, list[tuple[int, int, str]]()
        tokens, _ = layout(scan(text, tables), tables.words, 10_000)
        reserved = {token.start for token in tokens if token.text in tables.words and token.kind == tables.words[token.text]}
        for match in tables.scanner().finditer(text):
            start, end = match.span()
            kind = _KINDS.get(match.lastgroup or "", "")
            if match.lastgroup in _SWALLOWS:
                found += [(start + note.start(), start + note.end(), "c") for note in _NOTE.finditer(match.group())]
                start = end - _SWALLOWS[match.lastgroup]
            if match.lastgroup == "NAME":
                known = ops.known(match.group()) and text[start - 1 : start] != "."
                kind = "k" if start in reserved else "o" if known else ""
            found.append((start, end, kind))
        return found

    @cached_property
    def labels(self) -> list[tuple[int, re.Pattern[str]]]:
        """The lines that end in a label, `… as name`, and what the dotted names of that end in."""
        tokens, found = scan(self.shown.text, load_tables()), list[tuple[int, re.Pattern[str]]]()
        line = [self.shown.position(token.start)[0] for token in tokens] + [0]
        for at, (word, name) in enumerate(zip(tokens, tokens[1:])):
            if word.text != "as" or name.kind not in ("NAME", "STRING"):
                continue
            behind, indexed = at + 2, at + 2 < len(tokens) and tokens[at + 2].text == "[" and tokens[at + 2].start == name.end
            while indexed and tokens[behind - 1].text != "]":
                behind += 1
            while behind < len(tokens) and tokens[behind].text == ")":
                behind += 1
            if line[behind] != line[at] or tokens[behind].kind == "_NEWLINE":
                parts = re.split(r"\{[^}]*\}", name.text.strip('"'))
                pattern = "[^.]+".join(map(re.escape, parts)) + (r"\.[^.]+" if indexed else "")
                found.append((line[at], re.compile(rf"(?:^|\.){pattern}$")))
        return found
