"""Every network that ships, as a SPEC argument."""

from __future__ import annotations

import os

from netspec.cli.zoo_index import families

#: all of them, with their multiply-accumulates at the sizes written
_COSTS: dict[str, dict[str, int]] = {f.name: {row["spec"]: row["macs"] for row in f.rows} for f in families()}

SHIPPED = [spec for costs in _COSTS.values() for spec in costs]

#: nets that have other blocks than the cheapest of their family
_OTHERS = """
    zoo.resnet:resnet20 zoo.resnet:resnet50 zoo.resnet:resnext50_32x4d zoo.vgg:vgg11_bn zoo.mobilenet_v3:mobilenet_v3_large
    zoo.regnet:regnet_y_400mf zoo.segmentation:deeplabv3_resnet50 zoo.unet:unet_valid zoo.lenet:lenet5 zoo.dilated:context_large
    zoo.preact_resnet:preact_resnet50 zoo.perceptron:nand
""".split()


def _daily() -> list[str]:
    cheapest = [min(costs, key=lambda spec: costs[spec]) for costs in _COSTS.values() if costs]
    return [spec for spec in SHIPPED if spec in cheapest or spec in _OTHERS]


#: what costly measurements are made of every day: the cheapest of each family; all of them with NETSPEC_LONG=1
DAILY = SHIPPED if os.environ.get("NETSPEC_LONG") else _daily()
