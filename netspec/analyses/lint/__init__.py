"""Advice: what is well-formed, and probably not meant. `lint` runs the rules and reports each finding once, at its place."""

from __future__ import annotations

from typing import Iterable, Mapping

from netspec.analyses.lint.facts import Facts
from netspec.analyses.lint.rule import RULES, Finding, Rule
from netspec.analyses.lint.rules import load_rules
from netspec.analyses.lint.settings import Settings, settings_from, settings_of
from netspec.analyses.lint.silence import Silence, silences
from netspec.diagnostics.model import Diagnostic, Mark, Severity
from netspec.graph import Graph, Origin
from netspec.source import Place, Source
from netspec.syntax import tree

__all__ = ["Silence", "Settings", "lint", "settings_from", "settings_of", "silences", "unneeded"]

#: how many of the layers that one piece of text made are named
_NAMED = 4


def lint(
    graph: Graph,
    module: tree.Module | None = None,
    sources: Mapping[str, Source] | None = None,
    settings: Settings = Settings(),
    silenced: Iterable[Silence] = (),
) -> list[Diagnostic]:
    """Everything that the rules find in a network, in the order of the text.

    `sources` are the texts that origins name, by file; what stands in none of them is reported without a place. Findings of one
    code at one place are one diagnostic, which names the layers. What a comment silences is left out, and marked as used there.
    In what is scanned, what is wrong with a layer is found; its inputs and outputs are no network's.
    """
    load_rules()
    facts = [Facts(graph, module), *(Facts(body) for body in graph.all_bodies())]
    silenced = list(silenced)
    found: list[Diagnostic] = []
    for rule in RULES.values():
        severity = settings.severity(rule)
        if severity is not None:
            found.extend(_of_rule(rule, severity, facts, sources or {}, silenced))
    return sorted(found, key=lambda d: (d.place.source.name, d.place.start, d.code) if d.place else ("", -1, d.code))


def _of_rule(
    rule: Rule, severity: Severity, facts: list[Facts], sources: Mapping[str, Source], silenced: list[Silence]
) -> list[Diagnostic]:
    together: dict[object, list[Finding]] = {}
    scanned = (f for body in facts[1:] for f in rule.check(body) if f.node is not None and f.origin is None)
    for finding in (*rule.check(facts[0]), *scanned):
        place = finding.place
        key = (place.start, place.end, getattr(place, "file", None)) if place is not None else finding.message
        together.setdefault(key, []).append(finding)
    own = severity is rule.severity  # nobody has set another level
    diagnostics = (
        _diagnostic(rule.code, findings[0].severity or severity if own else severity, findings, sources) for findings in together.values()
    )
    return [d for d in diagnostics if not _is_silenced(d, silenced)]


def _diagnostic(code: str, severity: Severity, findings: list[Finding], sources: Mapping[str, Source]) -> Diagnostic:
    first = findings[0]
    marks = tuple(Mark(place, word) for given, word in ((first.place, ""), *first.also) if (place := _place(given, sources)))
    labels = list(dict.fromkeys(f.label for f in findings if f.label))
    notes = first.notes
    if len(labels) > 1:
        more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
        notes = (*notes, f"in {', '.join(labels[:_NAMED])}{more}")
    elif labels and not marks:
        notes = (*notes, f"in {labels[0]}")
    return Diagnostic(code, first.message, marks, severity, notes, first.helps)


def _place(given: Origin | Place | None, sources: Mapping[str, Source]) -> Place | None:
    if given is None or isinstance(given, Place):
        return given
    source = sources.get(given.file)
    return Place(source, given.start, given.end) if source is not None else None


def _is_silenced(diagnostic: Diagnostic, silenced: list[Silence]) -> bool:
    place = diagnostic.place
    covering = [s for s in silenced if place is not None and s.covers(diagnostic.code, place)]
    for silence in covering:
        silence.used.add(diagnostic.code)
    return bool(covering)


def unneeded(silenced: Iterable[Silence], settings: Settings) -> list[Diagnostic]:
    """Comments that name no lint, or one that finds nothing there (NS500). Ask when all nets of a text have been linted."""
    load_rules()
    severity = settings.severity(Rule("NS500", Severity.WARNING, True, lambda net: iter(())))
    if severity is None:
        return []
    found = []
    for silence in silenced:
        for code in silence.codes:
            help = "remove the comment"
            if not code:
                message, help = "a comment names the lints that it silences", "`# netspec: ignore NS512 because …`"
            elif code not in RULES:
                message = f"`{code}` is the code of no lint"
            elif code in silence.used or settings.severity(RULES[code]) is None:
                continue
            else:
                message = f"{code} finds nothing here"
            found.append(Diagnostic("NS500", message, (Mark(silence.place),), severity, helps=(help,)))
    return found
