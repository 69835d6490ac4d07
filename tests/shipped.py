"""Every network that ships, as a SPEC argument."""

from __future__ import annotations

import os
from zlib import crc32

from netspec.cli.zoo_index import families

#: all of them, with their multiply-accumulates at the sizes written
_COSTS: dict[str, dict[str, int]] = {f.name: {row["spec"]: row["macs"] for row in f.rows} for f in families()}

SHIPPED = [spec for costs in _COSTS.values() for spec in costs]

#: of every kind one, which every measurement takes
_ALWAYS = frozenset(
    """
    zoo.alexnet:alexnet zoo.densenet:densenet121 zoo.dilated:context_module zoo.googlenet:googlenet zoo.lenet:lenet5
    zoo.mobilenet_v3:mobilenet_v3_small zoo.perceptron:mlp zoo.perceptron:nand zoo.recurrent:jordan zoo.resnet:resnet18
    zoo.resnet:resnet20 zoo.resnet:resnet50 zoo.seq2seq:seq2seq_gru zoo.unet:unet zoo.unet:unet_valid
    """.split()
)


def daily(measure: str) -> list[str]:
    """What a costly measurement is made of every day: some of every kind, and of the cheapest of each family a quarter, another one
    for each measurement; all that ship with NETSPEC_LONG=1."""
    if os.environ.get("NETSPEC_LONG"):
        return SHIPPED
    cheapest = (min(costs, key=lambda spec: costs[spec]) for costs in _COSTS.values() if costs)
    drawn = {spec for spec in cheapest if crc32(f"{measure} {spec}".encode()) % 4 == 0}
    return [spec for spec in SHIPPED if spec in drawn or spec in _ALWAYS]
