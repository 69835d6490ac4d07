"""Which statement may stand where, and what each documentation string documents.

The grammar lets every statement stand in every body; saying here that one is misplaced makes a better message than
a syntax error would, and costs no more than the statement.
"""

from __future__ import annotations

from dataclasses import replace

from netspec.diagnostics.model import Report
from netspec.syntax import tree
from netspec.syntax.build import Documentation
from netspec.syntax.repaired import unread

_WORDS = {
    tree.Input: "input",
    tree.Output: "output",
    tree.LayerBind: "layer",
    tree.For: "for",
    tree.If: "if",
    tree.Where: "where",
    tree.Init: "init",
    tree.Weights: "weights",
    tree.Import: "from",
    tree.Block: "block",
    tree.Net: "net",
    tree.Extern: "extern",
    tree.Train: "train",
}
_IN_BODIES = (tree.Input, tree.Output, tree.LayerBind, tree.For, tree.If, tree.Where, tree.Init)
_AT_TOP = (tree.Import, tree.Block, tree.Net, tree.Extern)


def settle(statements: list[tree.Stmt], report: Report, trust: bool) -> tuple[tuple[tree.Stmt, ...], str | None]:
    """The statements of a file, each in its place, and the file's documentation.

    With `trust` false (a brace was missing, so nobody knows what stands where) misplaced statements are not reported.
    """
    if any(isinstance(statement, tree.Hole) for statement in statements):
        trust = False
    return _Settler(report, trust).body(statements, "file")


class _Settler:
    def __init__(self, report: Report, trust: bool) -> None:
        self.report = report
        self.trust = trust

    def body(self, statements: list[tree.Stmt] | tuple[tree.Stmt, ...], where: str) -> tuple[tuple[tree.Stmt, ...], str | None]:
        """The statements of a file, block, net or of braces inside one (`where`), and its documentation."""
        out: list[tree.Stmt] = []
        doc: str | None = None
        pending: Documentation | None = None
        for position, statement in enumerate(statements):
            if isinstance(statement, Documentation):
                self._lost(pending)
                pending = statement
                if position == 0 and where != "braces":
                    doc, pending = statement.text, None
                continue
            if isinstance(statement, tree.Def) and pending:
                statement, pending = replace(statement, doc=pending.text), None
            self._lost(pending)
            pending = None
            self._check(statement, where)
            inside = self._inside(statement)
            stray = where != "file" and isinstance(inside, _AT_TOP) or where != "net" and isinstance(inside, tree.Weights)
            out.append(unread(inside) if stray else inside)
        self._lost(pending)
        return tuple(out), doc

    def _inside(self, statement: tree.Stmt) -> tree.Stmt:
        """The statement with its own braces settled."""
        if isinstance(statement, (tree.Block, tree.Net)):
            body, doc = self.body(statement.body, "block" if isinstance(statement, tree.Block) else "net")
            return replace(statement, body=body, doc=doc)
        if isinstance(statement, tree.For):
            return replace(statement, body=self.body(statement.body, "braces")[0])
        if isinstance(statement, tree.If):
            return replace(statement, branches=tuple((test, self.body(body, "braces")[0]) for test, body in statement.branches))
        return statement

    def _check(self, statement: tree.Stmt, where: str) -> None:
        word = f"`{_WORDS[type(statement)]}`" if type(statement) in _WORDS else ""
        if where == "file":
            if isinstance(statement, _IN_BODIES):
                self._misplaced(statement, f"{word} stands in a block or a net, not at the top of a file")
            elif isinstance(statement, tree.Weights):
                self._misplaced(statement, "`weights` stands in a net, not at the top of a file")
            elif isinstance(statement, tree.Train) and statement.net is None:
                self._misplaced(statement, "a `train` section outside of a net says which net it is for", "write `train name of net { … }`")
        elif isinstance(statement, _AT_TOP):
            self._misplaced(statement, f"{word} stands at the top of a file, not inside braces", "is a `}` missing before it?")
        elif where != "net" and isinstance(statement, tree.Train):
            self._misplaced(statement, "`train` stands in a net, or at the top of a file")
        elif where != "net" and isinstance(statement, tree.Weights):
            self._misplaced(statement, "`weights` stands in a net, not in a block or in the braces of `for` or `if`")
        elif where == "braces" and isinstance(statement, tree.Init):
            self._misplaced(statement, "`init` stands in a block or a net, not in the braces of `for` or `if`")

    def _lost(self, documentation: Documentation | None) -> None:
        if documentation is not None:
            message = 'a `"""…"""` string documents the file, block or net that it opens, or the `def` after it; here is none of these'
            self._misplaced(documentation, message, "a remark is a comment: `# …`")

    def _misplaced(self, statement: tree.Stmt, message: str, *helps: str) -> None:
        if self.trust:
            place = statement.place
            end = min(place.end, place.start + len(place.text.split("\n", 1)[0].rstrip()))
            self.report.error("NS107", message, place._replace(end=end), helps=helps)
