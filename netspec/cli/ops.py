"""The catalogue of operators: all of them by family, or one with its arguments, examples and limits."""

from __future__ import annotations

import argparse
import inspect
import json
from typing import Any

from netspec import ops
from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.elaborate.wording import signature
from netspec.op import Accepts, Operator


def arguments(parser: argparse.ArgumentParser) -> None:
    """An operator's name, and the format."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="an operator, or a short name such as bn")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(options: argparse.Namespace) -> int:
    """Print the catalogue or one operator's page."""
    if options.name is None:
        found = [ops.lookup(name) for name in (*ops.names(), *ops.MADE)]
        print(json.dumps([_data(o) for o in found], indent=2) if options.format == "json" else _catalogue())
        return 0
    if not ops.known(options.name) and options.name not in ops.MADE:
        known = [*ops.names(), *ops.MADE, *ops.ALIASES]
        raise Refusal("NS018", f"there is no operator `{options.name}`", helps=(*suggestion(options.name, known), "netspec ops"), status=2)
    operator = ops.lookup(options.name)
    print(json.dumps(_data(operator), indent=2) if options.format == "json" else _page(operator))
    return 0


def _catalogue() -> str:
    lines = []
    for family, names in (*ops.FAMILIES.items(), *((home, (name,)) for name, home in ops.MADE.items())):
        lines.append(f"{family}")
        lines.extend(f"  {signature(ops.lookup(name))}" for name in names)
    short = ", ".join(f"{alias} = {full}" for alias, full in ops.ALIASES.items())
    return "\n".join([*lines, "", f"short names: {short}", "`netspec ops NAME` tells more of each."])


def _page(operator: type[Operator]) -> str:
    lines = [signature(operator), "", inspect.cleandoc(operator.__doc__ or ""), ""]
    for example in operator.EXAMPLES:
        given = " and ".join(example.inputs) or "nothing"
        if isinstance(example, Accepts):
            output = example.output if isinstance(example.output, str) else ", ".join(example.output)
            lines.append(f"  {given} -> {example.call}   gives {output}")
        else:
            lines.append(f"  {given} -> {example.call}   is refused: {example.code}")
    lines.extend(f"  limit ({gap.facet}): {gap.condition}: {gap.reason}" for gap in operator.LIMITATIONS)
    return "\n".join(lines)


def _data(operator: type[Operator]) -> dict[str, Any]:
    examples = [
        {"call": e.call, "inputs": list(e.inputs), **({"output": e.output} if isinstance(e, Accepts) else {"refused": e.code})}
        for e in operator.EXAMPLES
    ]
    return {
        "name": operator.NAME, "family": operator.FAMILY, "signature": signature(operator), "doc": inspect.cleandoc(operator.__doc__ or ""),
        "examples": examples,
    }  # fmt: skip
