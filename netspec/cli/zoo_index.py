"""What the shipped networks are, without compiling them: `specs/index.json`, one entry a family.

An entry carries the digest of the texts that it was made of; a family whose text is another is compiled instead, so that
the list never says what is no longer so. `python -m netspec.cli.zoo_index` writes the index.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from netspec.files import write_atomic
from netspec.locate import data_path
from netspec.record import record


@record
class Family:
    """A file of the zoo: its paper, and a row for each net that needs no arguments.

    A row has `spec`, `parameters`, `macs` (at the sizes written), `input` and `source` (the paper).
    """

    name: str
    digest: str
    source: str
    rows: list[dict[str, Any]]


def family_of(name: str) -> Family | None:
    """The family that is called so, or one of whose nets is."""
    path = data_path("specs", f"{name}.net")
    if name.isidentifier() and path.exists():
        return _family(name, _stored())
    return next((f for f in families() if any(row["spec"].endswith(f":{name}") for row in f.rows)), None)


def families() -> list[Family]:
    """All families, by name."""
    stored = _stored()
    return [_family(name, stored) for name in sorted(p.stem for p in data_path("specs").glob("*.net"))]


def _family(name: str, stored: dict[str, dict[str, Any]]) -> Family:
    digest = _digest(name)
    kept = stored.get(name)
    return Family(name, **kept) if kept is not None and kept["digest"] == digest else _compiled(name, digest)


def _stored() -> dict[str, dict[str, Any]]:
    path = data_path("specs", "index.json")
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _digest(name: str) -> str:
    """Of the text of a family, and of those that it imports."""
    texts: dict[str, str] = {}
    waiting = [name]
    while waiting:
        family = waiting.pop()
        path = data_path("specs", f"{family}.net")
        if family not in texts and path.exists():
            texts[family] = path.read_text(encoding="utf-8")
            waiting.extend(re.findall(r"^from zoo\.(\w+) import", texts[family], re.MULTILINE))
    return hashlib.sha256("\0".join(texts[family] for family in sorted(texts)).encode()).hexdigest()[:16]


def _compiled(name: str, digest: str) -> Family:
    from netspec.api import compile, nets_of, open_spec
    from netspec.diagnostics.model import Report
    from netspec.elaborate.expand import totals
    from netspec.syntax.parse import parse

    source, _ = open_spec(f"zoo.{name}")
    module = parse(source, Report())
    paper, rows = _paper(module.doc or ""), []
    for net in nets_of(module):
        graph = None if any(p.default is None for p in net.parameters) else compile(source, net.name).graph
        if graph is not None:
            parameters, macs = totals(graph)
            inputs = ", ".join(_written(graph, port.value) for port in graph.inputs)
            row = {"spec": f"zoo.{name}:{net.name}", "parameters": parameters, "macs": macs, "input": inputs}
            rows.append({**row, "source": _paper(net.doc or "") or paper})
    return Family(name, digest, paper, rows)


def _written(graph: Any, value: int) -> str:
    """An input's type with the sizes that the file has: `[N, 3, H = 224, W = 224]`."""
    from netspec.analyses.summary import batch_sizes

    typical = {name: size for name, size in graph.typical.items() if name not in batch_sizes(graph)}
    return re.sub(r"\b\w+\b(?=[,\]])", lambda m: f"{m[0]} = {typical[m[0]]}" if m[0] in typical else m[0], str(graph.values[value].type))


def _paper(doc: str) -> str:
    """The first reference in a documentation string: from the start of its paragraph to the year behind its title."""
    for paragraph in doc.split("\n\n"):
        found = re.match(r'[^"]+"[^"]+"[^"]*?\b(?:19|20)\d\d\b(?!\.\d)', " ".join(re.sub(r"(?<=\w)-\s+", "-", paragraph).split()))
        if found is not None:
            return found[0] + (")" if found[0].count("(") > found[0].count(")") else "")
    return ""


def main() -> None:
    """Write the index."""
    entries = {f.name: {"digest": f.digest, "source": f.source, "rows": f.rows} for f in families()}
    lines = [f"{json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}" for name, entry in entries.items()]
    write_atomic(str(data_path("specs", "index.json")), ("{\n" + ",\n".join(lines) + "\n}\n").encode())


if __name__ == "__main__":
    main()
