"""What a lint is: a code, how bad what it finds is, and one function from a network's facts to findings.

A rule states its exact condition in its docstring and decides nothing else: levels, comments that silence it, and how often
a finding is reported belong to `lint`. Its page, `diagnostics/explain/NS5xx.md`, shows what it finds and what it does not;
both run as tests.
"""

from __future__ import annotations

from typing import Callable, Iterator

from netspec.analyses.lint.facts import Facts
from netspec.diagnostics.model import Severity
from netspec.graph import Node, Origin
from netspec.record import record
from netspec.source import Place


@record
class Finding:
    """One thing that a rule found: `message` says what is wrong with the layer or place, and with which numbers.

    The place is `origin`, or that of `node`. `label` names the layer where the same text made many. `also` are further places,
    each with a word; `notes` are facts; `helps` are fixes, in the language where they can be. `severity` is for a finding that is
    less sure than its rule's others; a level that somebody sets wins over it.
    """

    message: str
    node: Node | None = None
    origin: Origin | Place | None = None
    also: tuple[tuple[Origin | Place, str], ...] = ()
    notes: tuple[str, ...] = ()
    helps: tuple[str, ...] = ()
    severity: Severity | None = None

    @property
    def label(self) -> str:
        """The layer's name; empty for a finding about no layer."""
        return self.node.name if self.node is not None else ""

    @property
    def place(self) -> Origin | Place | None:
        """Where it is."""
        return self.origin or (self.node.origin if self.node is not None else None)


Check = Callable[[Facts], Iterator[Finding]]


@record
class Rule:
    """A lint: its code, how bad its findings are, whether it is on unless somebody asks for it, and what finds them."""

    code: str
    severity: Severity
    on: bool
    check: Check


#: every rule by its code; filled by the modules that `rules` imports
RULES: dict[str, Rule] = {}


def rule(code: str, severity: Severity, *, on: bool = True) -> Callable[[Check], Check]:
    """Enter a function into the table of rules. Its docstring gives the exact condition, and the source of a number in it."""

    def enter(check: Check) -> Check:
        RULES[code] = Rule(code, severity, on, check)
        return check

    return enter
