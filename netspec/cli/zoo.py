"""The networks that ship: all of them, or the text of one family, which `--copy` puts into this folder."""

from __future__ import annotations

import argparse
import json
import os
import sys

from netspec.cli.zoo_index import Family, families, family_of
from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.files import write_atomic
from netspec.locate import data_path
from netspec.reading import read_source


def arguments(parser: argparse.ArgumentParser) -> None:
    """A family's name, the format, and `--copy`."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="a family (resnet) or one of its nets (resnet50, resnet:resnet50)")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--copy", action="store_true", help="write FAMILY.net into this folder")


def run(options: argparse.Namespace) -> int:
    """Print the list, or one file; or copy it."""
    if options.name is None:
        if options.copy:
            raise Refusal("NS018", "--copy takes the name of a family or a net", helps=("netspec zoo resnet --copy",), status=2)
        found = families()
        print(json.dumps([row for f in found for row in f.rows], indent=2) if options.format == "json" else _list(found))
        return 0
    family = _named(options.name)
    source = read_source(str(data_path("specs", f"{family.name}.net")), name=f"{family.name}.net")
    if options.copy:
        return _copy(source.text, f"{family.name}.net")
    if options.format == "json":
        print(json.dumps({"family": family.name, "nets": family.rows, "text": source.text}, indent=2))
    else:
        sys.stdout.write(source.text)
    return 0


def _named(name: str) -> Family:
    """The family of that name, or that has a net of that name."""
    first, _, net = name.removeprefix("zoo.").partition(":")
    found = family_of(first)
    nets = [row["spec"].partition(":")[2] for row in found.rows] if found else []
    if found is None or net and f"net {net}" not in read_source(str(data_path("specs", f"{found.name}.net"))).text:
        known = nets if found else [n for f in families() for n in (f.name, *(row["spec"].partition(":")[2] for row in f.rows))]
        what = f"`{first}` has no net `{net}`" if found else f"no family or net `{first}` ships"
        raise Refusal("NS018", what, helps=(*suggestion(net or first, known), "netspec zoo"), status=2)
    return found


def _copy(text: str, target: str) -> int:
    if os.path.exists(target):
        raise Refusal("NS019", f"{target} is there already; it is left as it is", status=2)
    write_atomic(target, text.encode())
    print(f"{target}: written", file=sys.stderr)
    return 0


def _list(found: list[Family]) -> str:
    """A block a family: its name and paper, then its nets."""
    rows = [row for family in found for row in family.rows]
    name = max(len(row["spec"].partition(":")[2]) for row in rows)
    lines = []
    for family in found:
        lines.append(f"zoo.{family.name}: {family.source}" if family.source else f"zoo.{family.name}")
        for row in family.rows:
            net = row["spec"].partition(":")[2]
            lines.append(f"  {net:<{name}}  {row['parameters']:>13,}  {_short(row['macs']):>8}  {row['input']}")
            if row["source"] != family.source:
                lines.append(f"  {'':<{name}}  {row['source']}")
        lines.append("")
    head = f"  {'net':<{name}}  {'parameters':>13}  {'MACs':>8}  input"
    foot = f"{len(rows)} nets. `netspec zoo NAME` shows a family's text, `--copy` puts it here; `zoo.resnet:resnet50` is a SPEC."
    return "\n".join([head, "", *lines, foot])


def _short(count: int) -> str:
    """Three digits and a letter: 4.09 G."""
    for letter, unit in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= unit:
            return f"{count / unit:.3g} {letter}" if count < 999.5 * unit else f"{count / unit:.0f} {letter}"
    return str(count)
