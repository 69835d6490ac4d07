"""Lints about recurrent layers."""

from __future__ import annotations

from collections.abc import Iterator

from netspec.analyses.lint.facts import Facts
from netspec.analyses.lint.rule import Finding, rule
from netspec.diagnostics.model import Severity


@rule("NS539", Severity.WARNING)
def dropout_of_one_layer(net: Facts) -> Iterator[Finding]:
    """`rnn`, `gru` or `lstm` with one layer and a dropout above 0: it acts between layers, and there is no between."""
    for node in net.of("rnn", "gru", "lstm"):
        if node.op.layers == 1 and node.op.dropout > 0:
            yield Finding(
                f"the dropout of {node.op.NAME} acts between its layers, and there is one: nothing is dropped",
                node,
                helps=(f"`{node.op.NAME}(…) -> dropout({node.op.dropout:g})` drops what it puts out", "`layers = 2` has a place for it"),
            )
