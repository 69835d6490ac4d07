"""What a net's `weights` section comes to in the graph."""

from __future__ import annotations

import json

import pytest

import netspec
from netspec.graph import Graph

BASE = """\
net base {
  input x: [N, 8]
  output x -> linear(2) as fc
  weights {
    rename "module.head.*" -> "fc.*"
    rename "module.*" -> "*"
  }
}
"""


def renames(text: str, net: str) -> list[tuple[str, str, int]]:
    """The renames of a net, with their lines."""
    graph = netspec.loads(text, net).graph
    return [(rename.old, rename.new, rename.origin.line) for rename in graph.renames if rename.origin]


def test_they_stand_in_the_order_of_the_text() -> None:
    assert renames(BASE, "base") == [("module.head.*", "fc.*", 5), ("module.*", "*", 6)]


def test_those_of_a_variant_come_before_its_bases() -> None:
    text = BASE + 'net one = base { weights { rename "a" -> "fc.bias" } }\nnet two = one { weights { rename "b" -> "fc.bias" } }\n'
    assert [old for old, _, _ in renames(text, "two")] == ["b", "a", "module.head.*", "module.*"]


def test_those_of_a_part_do_not_count() -> None:
    assert renames(BASE + "net whole {\n input x: [N, 8]\n output x -> base as body -> linear(3)\n}\n", "whole") == []


def test_json_back_and_forth_and_of_before() -> None:
    graph = netspec.loads(BASE).graph
    assert Graph.read(graph.write()) == graph and Graph.read(graph.write()).write() == graph.write()
    data = json.loads(graph.write())
    del data["renames"]
    assert Graph.read(json.dumps(data)).renames == ()


def test_a_run_is_the_same_whatever_a_file_calls_its_weights() -> None:
    pytest.importorskip("torch")
    from netspec.recipe.section import Section
    from netspec.training.loop.checkpoint import identity

    graph = netspec.loads(BASE).graph
    one, other = (identity(g, Section(name=""), {}, 1)[0] for g in (graph, graph.model_copy(update={"renames": ()})))
    assert one == other


def test_too_many() -> None:
    lines = "\n".join(f'rename "a{number}" -> "fc.weight"' for number in range(1_001))
    with pytest.raises(netspec.SpecError, match="NS360"):
        netspec.loads(f"net a {{\n input x: [N, 8]\n output x -> linear(2) as fc\n weights {{\n{lines}\n }}\n}}\n")


def test_a_difference_is_told() -> None:
    new = BASE.replace('"fc.*"', '"fc*"').replace('    rename "module.*" -> "*"\n', "")
    found = netspec.diff(netspec.loads(BASE), netspec.loads(new))
    assert found.same and str(found).splitlines()[0].endswith("the same network, its weights named otherwise")
    assert [(change["what"], change["from"], change["to"]) for change in found.data()["weights"]] == [
        ('rename "module.head.*"', "fc.*", "fc*"), ('rename "module.*"', "*", None),
    ]  # fmt: skip
    turned = BASE.replace("module.head.*", "?").replace("module.*", "module.head.*").replace("?", "module.*").replace('"fc.*"', '"%"')
    turned = turned.replace('"*"', '"fc.*"').replace('"%"', '"*"')
    (order,) = netspec.diff(netspec.loads(BASE), netspec.loads(turned)).data()["weights"]
    assert order["what"] == "order of renames"
