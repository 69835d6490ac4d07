"""Every network that ships, as a SPEC argument."""

from __future__ import annotations

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
