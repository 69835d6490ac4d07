"""The graph of every shipped network: exact JSON, sizes that commute with substitution, order, names, origins."""

from __future__ import annotations

import pytest

import netspec
from netspec.graph import Graph
from netspec.op import Needs
from netspec.sizes.dim import evaluate
from netspec.sizes.tensor import TensorType
from tests.shipped import daily


@pytest.fixture(scope="module", params=daily("graph"))
def graph(request: pytest.FixtureRequest) -> Graph:
    return netspec.load(request.param).graph


def test_json_round_trip_is_exact(graph: Graph) -> None:
    text = graph.model_dump_json()
    again = Graph.model_validate_json(text)
    assert again == graph
    assert again.model_dump_json() == text


def test_nodes_are_in_topological_order_with_unique_names(graph: Graph) -> None:
    known = {p.value for p in graph.inputs}
    for node in graph.nodes:
        assert set(node.inputs) <= known
        known.update(node.outputs)
    assert len({n.name for n in graph.nodes}) == len(graph.nodes)
    assert len({v.name for v in graph.values}) == len(graph.values)
    assert len({w.name for w in graph.weights}) == len(graph.weights)


def test_every_node_knows_where_it_was_written(graph: Graph) -> None:
    assert all(n.origin is not None and n.origin.line >= 1 and n.origin.end > n.origin.start for n in graph.nodes)


def test_substituting_then_computing_equals_computing_then_substituting(graph: Graph) -> None:
    """Run every shape rule again on numbers: the symbolic results, evaluated, are the same."""
    for shift in (0, 32):
        sizes = {s.name: s.typical + (shift if s.typical > 1 else 2) for s in graph.sizes}
        if not all(r.condition.at(sizes) for r in graph.requirements):
            continue
        numbers = {p.value: _at(graph.values[p.value].type, sizes) for p in graph.inputs}
        for node in graph.nodes:
            if any(not isinstance(getattr(node.op, f), (int, float, str, bool, tuple, type(None))) for f in type(node.op).model_fields):
                continue
            found = node.op.shape(tuple(numbers.get(i, _at(graph.values[i].type, sizes)) for i in node.inputs), Needs())
            for number, output in zip(node.outputs, found if isinstance(found, tuple) else (found,)):
                numbers[number] = _at(output, sizes)  # a `reshape` to open sizes holds them itself
                assert numbers[number] == _at(graph.values[number].type, sizes), node.name


def _at(kind: TensorType, sizes: dict[str, int]) -> TensorType:
    return TensorType(tuple(s if isinstance(s, int) else evaluate(s, sizes) for s in kind.shape), kind.dtype)
