"""Arguments from outside: a net takes those that it, or the net that it is a variant of, leaves open, and no others."""

from __future__ import annotations

import pytest

import netspec

TEXT = """
net base(depth, width = 4) { input x: [N, 4]; output x -> depth * linear(width) }
net two = base(2)
net again = two
"""


@pytest.mark.parametrize("net", ["two", "again"])
def test_a_variant_takes_what_its_base_leaves_open(net: str) -> None:
    assert netspec.loads(TEXT, net, width=7).graph.values[-1].shape[1] == 7


@pytest.mark.parametrize("net", ["two", "again", "base"])
@pytest.mark.parametrize("argument", ["widht", "nonsense"])
def test_what_a_net_does_not_have_is_an_error(net: str, argument: str) -> None:
    with pytest.raises(netspec.SpecError, match="NS013.*no parameter") as caught:
        netspec.loads(TEXT, net, **{argument: 3}, **({"depth": 1} if net == "base" else {}))
    (found,) = caught.value.diagnostics
    assert ("did you mean `width`?" in found.helps) == (argument == "widht")


def test_what_a_variant_has_set_is_no_argument_of_it() -> None:
    with pytest.raises(netspec.SpecError, match="NS013.*`depth`"):
        netspec.loads(TEXT, "two", depth=3)
