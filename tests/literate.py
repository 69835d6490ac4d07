"""Literate cases: ```net blocks of a Markdown page, whose comments say what must come of them.

At the end of a line of a block, or on a line of its own below it (then it is about the line above):

    # error: [NS413] "64"        an error of that code there; the marked text, if given, is this one (`warning:`, `info:` likewise)
    # shape: [N, 64, H, W]       the type of each tensor that the line binds, in the order in which it is bound: `a then b`
    # value: 16                  the same of what is no tensor

Anywhere in a net, or after it:

    # parameters: a.weight [8, 3, 3, 3], a.bias    all stored tensors, in order (several lines go on; `…` leaves the rest open)
    # labels: a, b, c.0          the labels of all layers, in order
    # init: a.bias zeros       how some tensors start
    # requires: H % 2 == 0       what the network asks of its open sizes

A block without `error:` and `warning:` must give neither; remarks are held only where
some `info:` asks for them. Of the lints those run that a block names, and on the page of
a lint that one. A block that begins with `# file: name.net` is no case but a file that
the other blocks under the same heading can import; its own `error:` comments hold for each
of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from netspec.analyses.constraints import constraints
from netspec.elaborate.statements import Statements
from netspec.elaborate.values import Tensor
from netspec.graph import Graph
from netspec.syntax import tree
from tests.check import Finding, compilations, findings

_FINDING = re.compile(r'(error|warning|info): \[?(NS\d{3})\]?(?: "(.*?)"(?=\s*$|\s+(?:error|warning|info):))?')
_FACT = re.compile(r"#\s*(shape|value|parameters|labels|requires|init): (.*)$")
_ITEM = {
    "parameters": r"[\w.…]+(?: \[[^\]]*\])?",
    "labels": r"[\w.…:]+",
    "init": r"[\w.]+ \w+(?:\((?:[^()]|\([^)]*\))*\))?",
    "requires": r"[^\s,][^,]*[^\s,]",
}


@dataclass(frozen=True)
class Case:
    """One block: the page, the heading above it, the line of the page on which it begins, its text, and files beside it."""

    page: str
    heading: str
    line: int
    text: str
    files: dict[str, str] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.heading}"


def cases(path: Path) -> list[Case]:
    """The cases of a page."""
    found: list[Case] = []
    heading, files = "", {}
    lines = path.read_text(encoding="utf-8").split("\n")
    number = 0
    while number < len(lines):
        line = lines[number]
        if line.startswith("#"):
            heading, files = line.lstrip("# "), {}
        elif line.strip() == "```net":
            end = lines.index("```", number)
            text = "\n".join(lines[number + 1 : end]) + "\n"
            named = re.match(r"# file: (\S+)", text)
            if named:
                files[named[1]] = text
            else:
                found.append(Case(path.stem, heading, number + 2, text, files))
            number = end
        number += 1
    return found


def run(case: Case, folder: Path) -> None:
    """Compile the block and hold it against its comments."""
    for name, text in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    lints = tuple(sorted({code for code in re.findall(r"NS5\d\d", f"{case.page} {case.text}") if code != "NS501"}))
    with _bindings() as bound:
        done = compilations(case.text, folder, lints=lints)
    wanted = [w for name, text in {"": case.text, **case.files}.items() for w in _wanted(text, name)]
    got = [f for f in findings(done) if f.severity != "info" or "# info:" in case.text or f.code in lints]
    assert [_short(f, w) for f, w in zip(got, wanted)] == [_short(w, w) for w in wanted] and len(got) == len(wanted), _story(got, done)
    graphs = {c.name: c.graph for c in done if c.graph is not None}
    _hold_bindings(case, done[0].tree, bound)
    for net, facts in _facts(case.text, done[0].tree).items():
        _hold_facts(graphs[net], facts)


def _story(got: list[Finding], done: list[Any]) -> str:
    return "\n".join([*map(str, got), *(str(d) for c in done for d in c.report.diagnostics)])


# ------------------------------------------------------------------------------------------------------------- findings
def _wanted(text: str, file: str) -> list[Finding]:
    found = []
    for line, _, comment in _commented(text):
        for kind, number, marked in _FINDING.findall(comment):
            found.append(Finding(number, marked, line, kind, file))
    return found


def _short(finding: Finding, wanted: Finding) -> tuple[object, ...]:
    return (finding.severity, finding.code, finding.file, finding.line, finding.marked if wanted.marked else "")


def _commented(text: str) -> Iterator[tuple[int, str, str]]:
    """(line, code, comment) of each comment; one that stands alone is about the last line above it that has code."""
    last = 1
    for number, line in enumerate(text.split("\n"), start=1):
        code, sign, comment = line.partition("# ")
        if code.strip():
            last = number
        if sign:
            yield last, code, comment


# ---------------------------------------------------------------------------------------------------------------- types
@contextmanager
def _bindings() -> Iterator[list[tuple[int, Any]]]:
    """Every (line, value) that statements bind while specs are expanded inside."""
    bound: list[tuple[int, Any]] = []
    assign, check_input, check_output = Statements._assign, Statements._input, Statements._output

    def recording(self: Any, target: tree.Target, value: Any, env: Any) -> None:
        bound.append((target.place.line, value))
        assign(self, target, value, env)

    def recording_input(self: Any, s: tree.Input, env: Any) -> None:
        check_input(self, s, env)
        bound.append((s.place.line, env.names[s.name]))

    def recording_output(self: Any, s: tree.Output, env: Any) -> None:
        check_output(self, s, env)
        bound.append((s.place.line, self.activation.outputs[-1][1]))

    with (
        patch.object(Statements, "_assign", recording),
        patch.dict("netspec.elaborate.statements._EXECUTE", {tree.Input: recording_input, tree.Output: recording_output}),
    ):
        yield bound


def _hold_bindings(case: Case, module: tree.Module, bound: list[tuple[int, Any]]) -> None:
    lines = _first_lines(module.body)
    for last, _, comment in _commented(case.text):
        fact = _FACT.search("# " + comment)
        if fact is None or fact[1] not in ("shape", "value"):
            continue
        wanted = [part.strip() for part in fact[2].split(" then ")]
        line = lines.get(last, last)
        values = [v for at, v in bound if at == line]
        got = [str(v.type) if isinstance(v, Tensor) else _spell(v) for v in values]
        assert got[-len(wanted) :] == wanted, f"line {line}: {got}"


def _first_lines(body: tuple[tree.Stmt, ...]) -> dict[int, int]:
    """For each line of a statement that binds: the line on which the statement begins."""
    found: dict[int, int] = {}
    for s in body:
        branches = s.branches if isinstance(s, tree.If) else ((None, s.body),) if isinstance(s, (tree.Block, tree.Net, tree.For)) else ()
        for _, inner in branches:
            found |= _first_lines(inner)
        if isinstance(s, (tree.Bind, tree.Input, tree.Output)):
            end = s.place.source.position(s.place.end)[0]
            found.update(dict.fromkeys(range(s.place.line, end + 1), s.place.line))
    return found


def _spell(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(map(_spell, value))}]" if isinstance(value, (list, tuple)) else str(value)


# ---------------------------------------------------------------------------------------------------------------- facts
def _facts(text: str, module: tree.Module) -> dict[str, dict[str, list[str]]]:
    """For each net, what is said of it: kind of fact to items."""
    nets = [s for s in module.body if isinstance(s, tree.Net)]
    found: dict[str, dict[str, list[str]]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        fact = _FACT.search(line)
        if fact is None or fact[1] in ("shape", "value"):
            continue
        net = [n for n in nets if n.place.line <= number][-1]
        items = re.findall(_ITEM[fact[1]], fact[2])
        found.setdefault(net.name, {}).setdefault(fact[1], []).extend(items)
    return found


def _hold_facts(graph: Graph, facts: dict[str, list[str]]) -> None:
    for kind, wanted in facts.items():
        if kind == "parameters":
            with_shape = {item.split(" ")[0] for item in wanted if " [" in item}
            got = [f"{w.name} {list(w.shape)}" if w.name in with_shape else w.name for w in graph.weights]
        elif kind == "init":
            starts = {w.name: f"{w.name} {w.init}" for w in graph.weights}
            got = [starts[item.split(" ")[0]] for item in wanted]
        elif kind == "labels":
            got = [node.name for node in graph.nodes]
        else:
            got = [c for conditions in constraints(graph).values() for c in conditions]
        if wanted[-1] == "…":
            wanted, got = wanted[:-1], got[: len(wanted) - 1]
        assert got == wanted
