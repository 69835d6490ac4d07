"""The networks that ship: all of them, or the text of one family, which `--copy` puts into this folder."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from netspec.api import compile, nets_of, open_spec
from netspec.diagnostics.model import Refusal, Report
from netspec.diagnostics.nearest import suggestion
from netspec.files import write_atomic
from netspec.locate import data_path
from netspec.reading import read_source
from netspec.source import Source


def arguments(parser: argparse.ArgumentParser) -> None:
    """A family's name, the format, and `--copy`."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="a family (resnet) or one of its nets (resnet:resnet50)")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--copy", action="store_true", help="write NAME.net into this folder")


def run(options: argparse.Namespace) -> int:
    """Print the list, or one file; or copy it."""
    if options.name is None:
        rows = [row for family in _families() for row in _rows(family)]
        print(json.dumps(rows, indent=2) if options.format == "json" else _table(rows))
        return 0
    family = options.name.removeprefix("zoo.").partition(":")[0]
    if family not in _families():
        raise Refusal("NS018", f"no family `{family}` ships", helps=(*suggestion(family, _families()), "netspec zoo"), status=2)
    source = read_source(str(data_path("specs", f"{family}.net")), name=f"{family}.net")
    if not options.copy:
        sys.stdout.write(source.text)
        return 0
    return _copy(source, f"{family}.net")


def _copy(source: Source, target: str) -> int:
    if os.path.exists(target):
        raise Refusal("NS019", f"{target} is there already; it is left as it is", status=2)
    write_atomic(target, source.text.encode())
    print(f"{target}: written", file=sys.stderr)
    return 0


def _families() -> list[str]:
    return sorted(p.stem for p in data_path("specs").glob("*.net"))


def _rows(family: str) -> list[dict[str, Any]]:
    from netspec.elaborate.expand import totals
    from netspec.syntax.parse import parse

    source, _ = open_spec(f"zoo.{family}")
    module = parse(source, Report())
    rows = []
    for net in nets_of(module):
        if any(p.default is None for p in net.parameters):
            continue
        done = compile(source, net.name)
        if done.graph is not None:
            parameters, macs = totals(done.graph)
            inputs = ", ".join(str(done.graph.values[p.value].type) for p in done.graph.inputs)
            title = next((line.strip() for line in (module.doc or "").splitlines() if line.strip()), "")
            rows.append(
                {"spec": f"zoo.{family}:{net.name}", "parameters": parameters, "macs": macs, "input": inputs, "source": title}
            )  # fmt: skip
    return rows


def _table(rows: list[dict[str, Any]]) -> str:
    width = max(len(r["spec"]) for r in rows)
    lines = [f"{'spec':<{width}}  {'parameters':>12}  {'multiply-adds':>15}  input"]
    lines.extend(f"{r['spec']:<{width}}  {r['parameters']:>12,}  {r['macs']:>15,}  {r['input']}" for r in rows)
    return "\n".join([*lines, "", "`netspec zoo FAMILY` shows the text, `--copy` puts it here."])
