"""The catalogue of operators: all of them by family, or one with its arguments, examples and limits.

With `--train` that of `train` sections: optimizers, schedules, losses, metrics, augmentations … with the source of each formula.
"""

from __future__ import annotations

import argparse
import inspect
import json
from typing import Any

from netspec import ops, recipe
from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.elaborate.wording import signature, spell
from netspec.op import Accepts, Operator
from netspec.recipe.entry import Entry, Measure
from netspec.recipe.section import Section


def arguments(parser: argparse.ArgumentParser) -> None:
    """An operator's name, which catalogue, and the format."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="an operator, or a short name such as bn")
    parser.add_argument("--train", action="store_true", help="what `train` sections may say: NAME is an optimizer, a loss, or all losses")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(options: argparse.Namespace) -> int:
    """Print the catalogue or one operator's page."""
    if options.train:
        return _run_train(options.name, options.format)
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


# ------------------------------------------------------------------------------------------------------------ `train` sections
#: the settings that take the entries of a slot, where they are not called alike
_SETTINGS = {
    "penalty": "loss", "metric": "metrics", "augmentation": "augment", "normalization": "normalize", "constraint": "max_norm",
    "scaling": "scale_lr", "pretrained": "weights",
}  # fmt: skip


def _run_train(name: str | None, form: str) -> int:
    """Print the catalogue of `train` sections, that of one setting, or the page of a name: of all that are called so."""
    known = recipe.known()
    chosen = [slot for slot in known if name in (None, slot, _SETTINGS.get(slot, slot))]
    found = [recipe.lookup(slot, entry) for slot in chosen for entry in known[slot]]
    if not found and name is not None:
        found = [recipe.lookup(slot, name) for slot in known if recipe.is_known(slot, name)]
    if not found:
        words = [*(n for slot in known for n in known[slot]), *known, *_SETTINGS.values(), *(a for s in recipe.ALIASES.values() for a in s)]
        helps = (*suggestion(name or "", words), "netspec ops --train")
        raise Refusal("NS018", f"`train` sections have nothing called `{name}`", helps=helps, status=2)
    if form == "json":
        print(json.dumps([_entry_data(entry) for entry in found], indent=2))
    else:
        print(_entries(chosen) if chosen else "\n\n".join(map(_entry_page, found)))
    return 0


def _entries(slots: list[str]) -> str:
    from netspec.training.sections import PLAIN

    values = {name: Section.model_fields[name].default for name in PLAIN}
    lines = ["numbers, words and lists"] * (len(slots) > 1)
    lines += [f"  {name} = {spell(value)}" for name, value in values.items()] if len(slots) > 1 else []
    for slot in slots:
        lines.append(f"{_SETTINGS.get(slot, slot)}" + (f" ({slot})" if slot in _SETTINGS else ""))
        lines.extend(f"  {_entry_signature(recipe.lookup(slot, name))}" for name in recipe.known()[slot])
        short = ", ".join(f"{alias} = {full}" for alias, full in recipe.ALIASES.get(slot, {}).items())
        lines += [f"  also: {short}"] if short else []
    return "\n".join([*lines, "", "`netspec ops --train NAME` tells more of each."])


def _entry_signature(entry: type[Entry]) -> str:
    """The call in words: of a measure first the tensors that it compares."""
    tensors = [*entry.TENSORS, *(f"{name} = …" for name in entry.OPTIONAL)] if issubclass(entry, Measure) else []
    defaults = {n: None if f.is_required() else spell(f.default) or '""' for n, f in entry.model_fields.items()}
    fields = [name if value is None else f"{name} = {value}" for name, value in defaults.items()]
    return f"{entry.NAME}({', '.join(tensors + fields)})"


def _entry_page(entry: type[Entry]) -> str:
    lines = [f"{_SETTINGS.get(entry.SLOT, entry.SLOT)}: {_entry_signature(entry)}", "", inspect.cleandoc(entry.__doc__ or "")]
    lines += [f"  {name}: {field.description}" for name, field in entry.model_fields.items() if field.description]
    return "\n".join([*lines, *(["", f"source: {entry.SOURCE}"] if entry.SOURCE else [])])


def _entry_data(entry: type[Entry]) -> dict[str, Any]:
    return {
        "name": entry.NAME, "slot": entry.SLOT, "setting": _SETTINGS.get(entry.SLOT, entry.SLOT), "signature": _entry_signature(entry),
        "doc": inspect.cleandoc(entry.__doc__ or ""), "source": entry.SOURCE,
    }  # fmt: skip
