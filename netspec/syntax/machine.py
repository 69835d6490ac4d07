"""The LALR machine: a stack of states, driven by tables, that goes on after an error.

An error costs one statement; in a `train` section one setting, in a table there one row, in a `weights` section one renaming.
What of it is on the stack is taken off, the rest of its tokens is skipped, and a hole takes its place. Where a statement has
braces that hold statements, their inside is parsed all the same, for the errors in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from netspec.syntax.lexer import BREAKS, OPENERS, Token, partners
from netspec.syntax.tables import Rule, Tables

_CLOSED = frozenset(("EXTERN", "INIT", "TRAIN", "WEIGHTS"))  # their braces hold no statements
STATEMENT, ITEM, ROW, RENAMING = _PARTS = ("statement", "item", "row", "renaming")  # the parts that a hole can stand for
_HEADER = ("IF", "TRUE")  # stands in for a broken header, so that the braces after it can be read

# What `_climb` found out; there are no more keys than the grammar has states and terminals.
_CLIMBS: dict[tuple[int, int, str], int] = {}


class Recovery(Protocol):
    """What the machine asks of its owner when a token does not fit."""

    def report(self, tokens: list[Token], first: int, at: int, end: int, part: str, accepts: Callable[[str], bool]) -> None:
        """`tokens[at]` does not fit in the statement `tokens[first:end]`, or the "item", "row" or "renaming" of a section."""

    def hole(self, tokens: list[Token], first: int, end: int, part: str, brace: bool) -> Token:
        """A HOLE token for that part. With `brace`, the `if` that will begin at `tokens[end]` is to become the hole."""


class Machine:
    """Runs the tables over tokens. `actions[r]` builds the value of rule r from (children, start, end)."""

    def __init__(self, tables: Tables, actions: list[Callable[[list[Any], int, int], Any] | None], recovery: Recovery) -> None:
        self.tables = tables
        self.reductions = [(rule.origin, rule.size, build, _needed(rule)) for rule, build in zip(tables.rules, actions, strict=True)]
        self.recovery = recovery
        self._partners: dict[int, int] | None = None

    def run(self, tokens: list[Token], start: str) -> Any:
        """The value of nonterminal `start` for balanced tokens that end in `$END`; None for an expression that fails."""
        table, reductions = self.tables.states, self.reductions
        states, values, firsts = [self.tables.starts[start]], [], []
        final = self.tables.ends[start]
        injected: list[Token] = []
        index = end = 0
        while True:
            token = injected[-1] if injected else tokens[index]
            kind = token[0]
            action = table[states[-1]].get(kind)
            if action is None:
                if start == "expression":
                    self.recovery.report(tokens, 0, index, len(tokens) - 1, STATEMENT, lambda k: self.accepts(states, k))
                    return None
                index, injected = self._recover(tokens, index, states, values, firsts)
                continue
            if action >= 0:
                states.append(action)
                values.append(token)
                firsts.append(index)
                end = token[3]
                if injected:
                    injected.pop()
                else:
                    index += 1
                continue
            origin, size, build, recipe = reductions[~action]
            if build is None:
                states[-1] = self._climb(states[-2], states[-1], kind)
            else:
                first = firsts[-size] if size else index
                children = values[-size:] if size else []
                if size:
                    del values[-size:], firsts[-size:], states[-size:]
                values.append(build(_kept(children, recipe) if recipe is not None else children, tokens[first][2], end))
                firsts.append(first)
                states.append(table[states[-1]][origin])
            if kind == "$END" and states[-1] == final:
                return values[-1]

    def _climb(self, below: int, state: int, kind: str) -> int:
        """The state after all reductions that only pass a child on, such as the twelve from a name up to an expression."""
        key = (below, state, kind)
        found = _CLIMBS.get(key)
        if found is None:
            table, found = self.tables.states, state
            while True:
                action = table[found].get(kind, 0)
                if action >= 0 or self.reductions[~action][2] is not None:
                    break
                found = table[below][self.reductions[~action][0]]
            _CLIMBS[key] = found
        return found

    def accepts(self, states: list[int], kind: str) -> bool:
        """Whether a token of this kind could come next."""
        table, rules = self.tables.states, self.tables.rules
        stack = list(states)
        while True:
            action = table[stack[-1]].get(kind)
            if action is None or action >= 0:
                return action is not None
            rule = rules[~action]
            if rule.size:
                del stack[-rule.size :]
            stack.append(table[stack[-1]][rule.origin])
            if kind == "$END" and stack[-1] in self.tables.ends.values():
                return True

    def _recover(self, tokens: list[Token], at: int, states: list[int], values: list[Any], firsts: list[int]) -> tuple[int, list[Token]]:
        """Take the broken statement off the stack. Where to go on, and the tokens to read before that, the last one first."""
        part = next(part for state in reversed(states) for part in _PARTS if part in self.tables.states[state])
        if tokens[at - 1].kind == "RBRACE" and not self.accepts(states, "HOLE") and self.accepts(states, "_NEWLINE"):
            around = ITEM if part == ROW else STATEMENT  # what ended with the brace
            self.recovery.report(tokens, at, at, at, around, lambda kind: kind == "_NEWLINE")
            place = tokens[at - 1].end
            return at, [Token("_NEWLINE", "", place, place)]
        snapshot = list(states)
        first = at
        if not self.accepts(states, "HOLE"):
            while part not in self.tables.states[states[-1]]:
                states.pop()
                values.pop()
                first = firsts.pop()
        end, brace = self._extent(tokens, first, at, part)
        self.recovery.report(tokens, first, at, end, part, lambda kind: self.accepts(snapshot, kind))
        hole = self.recovery.hole(tokens, first, end, part, brace)
        place = tokens[end].start
        return end, [Token(kind, "true", place, place) for kind in reversed(_HEADER)] if brace else [hole]

    def _extent(self, tokens: list[Token], first: int, at: int, part: str) -> tuple[int, bool]:
        """The index after the part that begins at `first`; or that of a statement's `{`, if its inside is yet to be read."""
        if self._partners is None:
            self._partners = partners(tokens)
        index, head, assigns = first, tokens[first].kind, False
        while True:
            kind = tokens[index].kind
            if kind in BREAKS or kind == "RBRACE" or kind == "$END" or (kind == "COMMA" and part == ROW):
                return index, False
            assigns = assigns or kind == "EQUAL"
            if kind in OPENERS:
                holds = part == STATEMENT and head not in _CLOSED and not (assigns and head == "NAME")
                if kind == "LBRACE" and index >= at and holds:
                    return index, True
                index = self._partners[index]
            index += 1


def _needed(rule: Rule) -> tuple[int, ...] | None:
    """The recipe, or None where it keeps everything as it is."""
    return None if rule.recipe == tuple(range(0, 2 * rule.size, 2)) else rule.recipe


def _kept(children: list[Any], recipe: tuple[int, ...]) -> list[Any]:
    """The children that the rule keeps; see `Rule.recipe`. A list that grows at its end is extended in place: linear."""
    if not recipe:
        return []
    kept = children[recipe[0] // 2] if recipe[0] > 0 and recipe[0] % 2 else None
    if kept is None:
        kept = [None if recipe[0] < 0 else children[recipe[0] // 2]]
    for code in recipe[1:]:
        if code < 0:
            kept.append(None)
        elif code % 2:
            kept += children[code // 2]
        else:
            kept.append(children[code // 2])
    return kept
