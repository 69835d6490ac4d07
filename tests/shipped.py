"""Every network that ships, as a SPEC argument."""

from __future__ import annotations

import os

from netspec.api import nets_of, open_spec
from netspec.diagnostics.model import Report
from netspec.locate import data_path
from netspec.syntax.parse import parse


def _shipped() -> list[str]:
    found = []
    for path in sorted(data_path("specs").glob("*.net")):
        source, _ = open_spec(f"zoo.{path.stem}")
        nets = nets_of(parse(source, Report()))
        found.extend(f"zoo.{path.stem}:{net.name}" for net in nets if all(p.default is not None for p in net.parameters))
    return found


SHIPPED = _shipped()

#: deeper or wider than a sister that has the same blocks: measured with NETSPEC_LONG=1
_SISTERS = frozenset(
    """
    convnext_small convnext_base convnext_large
    efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6 efficientnet_b7
    efficientnet_v2_m efficientnet_v2_l
    mnasnet0_75 mnasnet1_0 mnasnet1_3
    regnet_x_800mf regnet_x_1_6gf regnet_x_3_2gf regnet_x_8gf regnet_x_16gf regnet_x_32gf
    regnet_y_800mf regnet_y_1_6gf regnet_y_3_2gf regnet_y_8gf regnet_y_16gf regnet_y_32gf regnet_y_128gf
    resnext101_32x8d resnext101_64x4d wide_resnet101_2
    shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0
    fcn_resnet101 deeplabv3_resnet101 deeplabv3_mobilenet_v3_large
    """.split()
)

#: what costly measurements are made of every day
DAILY = SHIPPED if os.environ.get("NETSPEC_LONG") else [spec for spec in SHIPPED if spec.partition(":")[2] not in _SISTERS]
