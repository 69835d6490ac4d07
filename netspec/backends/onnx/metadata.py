"""What an ONNX file says of itself beside its spec: the names of classes, the normalization of its inputs, the licence.

Under ONNX's `metadata_props`, texts by name, which runtimes hand out before anything is run. `netspec.` is ours, and every other
name the author's. The text of `netspec.labels` is a JSON list of class names in the order of the scores, or, where training had
several columns of classes, a table of such lists by column. `netspec.normalization` is what `netspec.backends.normalization` reads,
and `netspec.normalization.where` says where it happens: `inside` the model, or `outside`, by whoever calls it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netspec.backends.normalization import KEY, parse_facts
from netspec.backends.weight_files import read_metadata
from netspec.backends.weight_files.entry import kind, malformed
from netspec.diagnostics.model import Refusal

if TYPE_CHECKING:
    from netspec.graph import Graph

#: The names of facts. `CLASSES` is what `netspec train` writes into a weights file: class names by column.
LABELS, LICENSE, WHERE, CLASSES = "netspec.labels", "netspec.license", f"{KEY}.where", "netspec.classes"
#: Names that begin so are ours.
RESERVED = "netspec."

#: Bounds: of a file of class names, of how many there are and how long one is; of the facts that a caller adds.
_FILE_BYTES, _MOST_NAMES, _LONGEST_NAME = 8 << 20, 100_000, 1_000
_MOST_PAIRS, _LONGEST_KEY, _LONGEST_VALUE = 100, 200, 1 << 16


def facts(
    weights: str | None = None, labels: str | None = None, license: str | None = None, pairs: Sequence[str] = (), *,
    inside: bool = False, graph: "Graph | None" = None,
) -> dict[str, str]:  # fmt: skip
    """The facts of a file, by name: those of the weights file at `weights`, class names of the file `labels`, and what is given.

    `pairs` are written `KEY=VALUE`; `inside` says that the normalization is part of the graph. Class names are counted against the
    outputs of `graph`. Raises Refusal: NS015 for a pair or a licence that is none, NS711 to NS713 for the file of class names, NS622
    and NS840 for what a weights file says of itself.
    """
    found = _of_weights(weights, inside) if weights else {}
    if labels:
        names = read_labels(labels)
        if graph is not None:
            _count(names, graph, labels)
        found[LABELS] = _json(names)
    if license is not None:
        found[LICENSE] = _sensible(license, "a licence")
    return {**found, **_given(pairs)}


def read_labels(path: str) -> list[str]:
    """Class names of a file, in order: a line each, or a `.json` list. Raises Refusal: NS711 to NS713."""
    if not os.path.isfile(path):
        raise Refusal("NS711", f"there is no file {path}", status=2)
    try:
        if os.path.getsize(path) > _FILE_BYTES:
            raise Refusal("NS713", f"{path} has more than the {_FILE_BYTES:,} bytes that class names may have", status=2)
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
        names = json.loads(text) if kind(path) == ".json" else [line.strip() for line in text.rstrip().splitlines()]
    except (OSError, ValueError, RecursionError) as error:
        raise Refusal("NS713", f"{path} cannot be read as class names: {error}", status=2) from error
    if not _are_names(names):
        helps = ("write one name a line, in the order of the scores; or a JSON list of them in a `.json` file",)
        raise Refusal("NS712", f"{path} holds no list of class names", helps=helps, status=2)
    return list(names)


def labels_in(metadata: Mapping[str, str]) -> dict[str, list[str]]:
    """The class names in the metadata of an ONNX file or a weights file, by column; under `""` those of the only one.

    What is no such text, in a file that may be anyone's, is as if it were not there.
    """
    text = metadata.get(LABELS) or metadata.get(CLASSES) or ""
    try:
        value = json.loads(text) if 0 < len(text) <= _FILE_BYTES else None
    except (ValueError, RecursionError):
        return {}
    columns = value if isinstance(value, dict) else {"": value}
    if not all(_are_names(names) for names in columns.values()):
        return {}
    return columns if len(columns) != 1 else {"": next(iter(columns.values()))}


def _of_weights(path: str, inside: bool) -> dict[str, str]:
    """What a weights file says of itself, as the ONNX file is to say it."""
    if kind(path) != ".safetensors":
        return {}
    try:
        metadata = read_metadata(path)
    except OSError as error:
        raise Refusal("NS620", f"{path} cannot be read: {error.strerror or error}", status=2) from error
    found: dict[str, str] = {}
    if CLASSES in metadata:
        columns = labels_in({CLASSES: metadata[CLASSES]})
        if not columns:
            raise malformed(path, f"its `{CLASSES}` is no table of names")
        found[LABELS] = _json(columns.get("", columns))
    if KEY in metadata:
        found[KEY] = parse_facts(metadata[KEY], path).write()
        found[WHERE] = "inside" if inside else "outside"
    if metadata.get(LICENSE):
        found[LICENSE] = _sensible(metadata[LICENSE], "a licence")
    return found


def _given(pairs: Sequence[str]) -> dict[str, str]:
    """The facts that a caller adds. Raises Refusal NS015."""
    if len(pairs) > _MOST_PAIRS:
        raise Refusal("NS015", f"at most {_MOST_PAIRS} facts are added to a file", status=2)
    found: dict[str, str] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        name = name.strip()
        if not sign or not name or not name.isprintable() or len(name) > _LONGEST_KEY:
            raise Refusal("NS015", f"a fact is written KEY=VALUE, not `{pair[:80]}`", status=2)
        if name.lower().startswith(RESERVED):
            known = {LABELS: "--labels", LICENSE: "--license"}.get(name.lower())
            helps = (f"write {known}",) if known else ("choose another name",)
            raise Refusal("NS015", f"`{name}`: names that begin with `{RESERVED}` are netspec's own", helps=helps, status=2)
        if name in found:
            raise Refusal("NS015", f"`{name}` is given twice", status=2)
        if len(value) > _LONGEST_VALUE:
            raise Refusal("NS015", f"the value of `{name}` has more than {_LONGEST_VALUE:,} characters", status=2)
        found[name] = value.strip()
    return found


def _sensible(text: str, what: str) -> str:
    text = text.strip()
    if not text or len(text) > _LONGEST_NAME or not text.isprintable():
        raise Refusal("NS015", f"{what} is a name such as `MIT` or `Apache-2.0`, on one line", status=2)
    return text


def _are_names(value: Any) -> bool:
    return (
        isinstance(value, list) and 0 < len(value) <= _MOST_NAMES
        and all(isinstance(name, str) and name and len(name) <= _LONGEST_NAME and name.isprintable() for name in value)
    )  # fmt: skip


def _count(names: Sequence[str], graph: "Graph", path: str) -> None:
    """Raises Refusal NS712 where no output can have a score for each name, along axis 1 or the last; one is enough for two of them."""
    fits = {len(names), 1} if len(names) == 2 else {len(names)}
    for port in graph.outputs:
        shape = graph.values[port.value].shape[1:]
        known = {size for size in (*shape[:1], *shape[-1:]) if isinstance(size, int)}
        if shape and (not known or known & fits):
            return
    shown = ", ".join(f"`{port.name}` {graph.values[port.value].type}" for port in graph.outputs[:4])
    raise Refusal("NS712", f"{path} has {len(names):,} class names, and no output has so many scores", notes=(shown,), status=2)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
