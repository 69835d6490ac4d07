"""The operator that the architecture page shows is a whole one: nothing else must change for it to compile, run and verify."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

import netspec
from netspec import ops
from netspec.diagnostics.model import SpecError
from netspec.op import Accepts
from tests.docs.test_pages import ROOT, blocks


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The page's code as a family of operators."""
    (block,) = [b for b in blocks(ROOT / "grammar" / "architecture.md") if b.language == "python"]
    made = ModuleType("netspec.ops.shrinkage")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    exec(compile(block.text, "architecture.md", "exec"), vars(made))
    monkeypatch.setitem(ops.FAMILIES, "shrinkage", ("soft_shrink",))
    monkeypatch.setitem(ops._HOME, "soft_shrink", "shrinkage")
    return made


NET = """
net shrinks {
  input x: [N, 3, H = 9, W = 8]
  output y = x -> conv(4, 3) -> soft_shrink(0.3)
}
"""


def test_it_compiles_and_verifies(family: ModuleType) -> None:
    net = netspec.loads(NET)
    assert "nn.Softshrink(0.3)" in net.source()
    assert net.summary().rows[-1].label == "soft_shrink1"
    verdict = net.verify()
    assert verdict.ok, str(verdict)


def test_its_arguments_are_checked(family: ModuleType) -> None:
    with pytest.raises(SpecError, match="NS310"):
        netspec.loads(NET.replace("0.3", "-0.3"))


def test_its_examples_hold(family: ModuleType) -> None:
    for example in family.SoftShrink.EXAMPLES:
        text = f"net a {{\n  input x: {example.inputs[0]}\n  output y = x -> {example.call}\n}}\n"
        if isinstance(example, Accepts):
            assert str(netspec.loads(text).graph.values[-1].type) == example.output
        else:
            with pytest.raises(SpecError, match=example.code):
                netspec.loads(text)
