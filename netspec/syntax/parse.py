"""`parse`: from the text of a file to its syntax tree.

The steps, each in a module of its own: `tables` (the grammar, as an automaton), `lexer` (text to tokens), `brackets`
(missing and surplus brackets), `machine` (tokens to rules, and what happens after an error), `build` (rules to nodes),
`placement` (which statement may stand where), `mistakes` (what to say about an error).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

from netspec.collector import paused
from netspec.diagnostics.model import Mark, Report
from netspec.limits import DEFAULT_LIMITS, Limits
from netspec.source import Place, Source
from netspec.syntax import tree
from netspec.syntax.brackets import TEXT, Repairs, balance
from netspec.syntax.build import Builder
from netspec.syntax.lexer import OPENERS, Token, layout, scan
from netspec.syntax.machine import ITEM, STATEMENT, Machine
from netspec.syntax.mistakes import Situation, explain, header_without_brace
from netspec.syntax.placement import settle
from netspec.syntax.repaired import unguessed
from netspec.syntax.tables import BROKEN, Tables, load_tables


def parse(source: Source, report: Report, limits: Limits = DEFAULT_LIMITS) -> tree.Module:
    """The syntax tree of a file. Never raises on bad text: what is broken is reported, and a `Hole` in the tree.

    Codes: NS003 (file too large) and NS101 to NS108.
    """
    size = len(source.text) if source.text.isascii() else len(source.text.encode("utf-8", "surrogatepass"))
    if size > limits.file_bytes:
        message = f"the file has {size:,} bytes; at most {limits.file_bytes:,} are read (limit `file_bytes`)"
        report.error("NS003", message, Place(source, 0, 0))
        return tree.Module(source, (tree.Hole(Place(source, 0, len(source.text))),))
    with paused():
        parser = _Parser(source, limits)
        module = parser.module()
    in_order = sorted(parser.findings.diagnostics, key=lambda found: found.place.start if found.place else 0)
    report.diagnostics += in_order[: limits.diagnostics]
    return module


class _Parser:
    """One parse: owns the parts and answers the machine's questions."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self.source = source
        self.findings = Report()
        self.limits = limits
        self.tables: Tables = load_tables()
        self.builder = Builder(source, self.findings, limits, self.interpolated)
        self.actions = [self.builder.action(rule.action) for rule in self.tables.rules]
        self.repaired: list[int] = []  # where a bracket was put in or left out, in order
        self.guessed: list[int] = []  # those among them whose statement may mean something else
        self.surplus: list[Token] = []  # closing braces with nothing to close, not yet reported
        self.last = -1  # the offset of the last token that did not fit
        self.misleading = False  # whether a brace is missing or too much, so that nobody knows what stands where

    def module(self) -> tree.Module:
        """The whole file."""
        text = self.source.text
        tokens = self._tokens(1 if text.startswith("\ufeff") else 0, len(text))
        statements = Machine(self.tables, self.actions, self).run(tokens, "module")
        for brace in self.surplus:
            self._surplus(brace)
        read = unguessed(statements, self.guessed) if self.guessed else statements
        body, doc = settle(read, self.findings, trust=not self.misleading)
        return tree.Module(self.source, body, doc)

    def interpolated(self, start: int, end: int) -> tree.Expr:
        """The expression in the braces of a label."""
        tokens = self._tokens(start, end, inside=True)
        value = Machine(self.tables, self.actions, self).run(tokens, "expression")
        return tree.ExprHole(Place(self.source, start, end)) if value is None else value

    def _tokens(self, start: int, end: int, inside: bool = False) -> list[Token]:
        """The tokens of a stretch of the text (`inside`: of one expression), balanced, with `$END` behind them."""
        text, words, nesting = self.source.text, self.tables.words, self.limits.nesting
        found = scan(text, self.tables, start, end)
        tokens, sound = layout(found, words, nesting, inside)
        if not sound:
            repairs = Repairs()
            found = balance(found, nesting, repairs)
            tokens, _ = layout(found, words, nesting, inside)
            self._report_repairs(repairs)
        tokens.append(Token("$END", "", end, end))
        return tokens

    # ------------------------------------------------------------------------------- what the machine asks of us
    def report(self, tokens: list[Token], first: int, at: int, end: int, part: str, accepts: Callable[[str], bool]) -> None:
        """One error for the statement `tokens[first:end]`, unless one of its brackets has been reported.

        Where a brace is missing, what stands in a `train` section may be statements: nothing is said about that.
        """
        doubtful = part != STATEMENT and self.misleading and tokens[at].kind not in BROKEN
        if self._enough() or doubtful or tokens[at].start == self.last:
            return
        self.last = tokens[at].start
        low, high = tokens[first].start, tokens[end].start
        position = bisect_left(self.repaired, low)
        situation = Situation(self.source, tokens, first, at, end, part, accepts)
        if header_without_brace(situation):
            self.misleading = True
            del self.surplus[:1]
        elif position < len(self.repaired) and self.repaired[position] <= high:
            return
        finding = explain(situation, self.limits)
        self.findings.error(finding.code, finding.message, finding.place, finding.mark, helps=finding.helps)

    def _enough(self) -> bool:
        return len(self.findings.diagnostics) >= self.limits.diagnostics

    def hole(self, tokens: list[Token], first: int, end: int, part: str, brace: bool) -> Token:
        """What stands for a broken statement: the builder makes it a `Hole` with the names that it may have declared.

        A broken item of a `train` section is a setting with a broken value, if its name is known.
        """
        start, stop = tokens[first].start, tokens[end - 1].end if end > first else tokens[first].end
        place = Place(self.source, start, stop)
        names = _declared(tokens[first:end]) if part == STATEMENT else ()
        named = part == ITEM and tokens[first].kind == "NAME"
        hole = tree.Setting(place, tokens[first].text, tree.ExprHole(place)) if named else tree.Hole(place, names)
        self.builder.holes[tokens[end].start if brace else start] = hole
        return Token("HOLE", "", start, stop)

    # ------------------------------------------------------------------------------------------------- brackets
    def _report_repairs(self, repairs: Repairs) -> None:
        self.repaired = sorted(self.repaired + repairs.offsets)
        self.guessed = sorted(self.guessed + repairs.guessed)
        self.misleading |= any(token.kind == "LBRACE" for token, _ in repairs.unclosed) or any(t.kind == "RBRACE" for t in repairs.surplus)
        for opener, closer in repairs.unclosed[: self.limits.diagnostics]:
            message = f"`{opener.text}` is never closed"
            missing = Mark(self._at(closer), f"a `{TEXT[closer.kind]}` is missing here, if not earlier")
            self.findings.error("NS102", message, self._at(opener), also=(missing,))
        for opener, closer in repairs.mismatched[: self.limits.diagnostics]:
            message = f"`{opener.text}` is closed by `{closer.text}`"
            expected = TEXT[OPENERS[opener.kind]]
            opened = Mark(self._at(opener), "opened here")
            self.findings.error("NS102", message, self._at(closer), f"`{expected}` was expected", also=(opened,))
        for closer in repairs.surplus[: self.limits.diagnostics]:
            if closer.kind == "RBRACE":
                self.surplus.append(closer)
            else:
                self._surplus(closer)

    def _surplus(self, closer: Token) -> None:
        self.findings.error("NS102", f"this `{closer.text}` closes nothing", self._at(closer), helps=("leave it out, or open it before",))

    def _at(self, token: Token) -> Place:
        return Place(self.source, token.start, token.end)


def _declared(tokens: list[Token]) -> tuple[str, ...]:
    """The names that a broken statement may have bound: those before a `=` outside of brackets, or after its first word."""
    names: list[str] = []
    depth = 0
    for index, token in enumerate(tokens):
        depth += (token.kind in OPENERS) - (token.kind in OPENERS.values())
        if token.kind == "NAME" and depth == 0:
            leads = index == 1 and tokens[0].kind != "NAME"
            bound = index + 1 < len(tokens) and tokens[index + 1].kind in ("EQUAL", "COMMA", "COLON", "LSQB") and index < _equals(tokens)
            imported = tokens[0].kind == "FROM" and index > 2
            if leads or bound or imported:
                names.append(token.text)
    return tuple(dict.fromkeys(names))


def _equals(tokens: list[Token]) -> int:
    """The index of the first `=`, or 0."""
    return next((index for index, token in enumerate(tokens) if token.kind == "EQUAL"), 0)
