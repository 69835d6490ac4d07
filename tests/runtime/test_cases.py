"""What networks are tried with: every open size takes another value in each case, wherever the network accepts that many."""

from __future__ import annotations

import pytest

import netspec
from netspec.runtime.cases import accepts, size_cases


@pytest.mark.parametrize("spec", ["zoo.language:char_rnn", "zoo.resnet:resnet20", "zoo.espcn:espcn_x2", "zoo.nested_unet:nested_unet"])
def test_every_case_has_sizes_of_its_own(spec: str) -> None:
    graph = netspec.load(spec).graph
    cases = size_cases(graph)
    assert all(accepts(graph, sizes) for sizes in cases)
    assert {name: len({sizes[name] for sizes in cases}) for name in cases[0]} == dict.fromkeys(cases[0], 3)


def test_a_sequence_is_more_than_one_step_long_in_a_batch_of_more_than_one() -> None:
    """At one step a state is never carried, and a batch of one hides which axis is time."""
    cases = size_cases(netspec.load("zoo.recurrent:elman").graph)
    assert any(sizes["N"] > 1 and sizes["T"] > 1 for sizes in cases)
    assert any(sizes["T"] == 1 for sizes in cases)


def test_a_network_of_one_size_is_tried_with_each_batch() -> None:
    assert size_cases(netspec.load("zoo.lenet:lenet5").graph) == [{"N": 1}, {"N": 3}, {"N": 2}]


def test_sizes_that_depend_on_each_other_are_still_found() -> None:
    graph = netspec.loads("net n { input a: [N, T = 8]; input b: [N, U = 8]; expect T == U; output y = a -> flatten }").graph
    cases = size_cases(graph)
    assert len(cases) == 3 and all(sizes["T"] == sizes["U"] for sizes in cases) and len({sizes["T"] for sizes in cases}) == 3
