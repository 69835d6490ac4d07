"""One self-contained HTML page: what stands in it is gathered here, how it looks is in the templates, `page.css` and `page.js`."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netspec.analyses.cost import OPTIMIZERS
from netspec.analyses.outline import View, outline
from netspec.analyses.summary import Summary
from netspec.analyses.table import size_text
from netspec.backends.diagram.palette import DARK, FAMILIES, OTHER, PAGE
from netspec.collector import paused
from netspec.diagnostics.model import Refusal
from netspec.diagnostics.render import show
from netspec.record import record
from netspec.report.axes import compact
from netspec.report.charts import charts
from netspec.report.findings import findings
from netspec.report.layers import MOST_ROWS, families, layer_rows, moment
from netspec.report.listing import Texts
from netspec.report.prose import paragraphs, runs
from netspec.report.shapes import Shapes
from netspec.report.states import Draw, States, states
from netspec.report.validity import open_sizes, rules
from netspec.version import VERSION

if TYPE_CHECKING:
    from jinja2 import Environment

    from netspec.network import Net

_FOLDER = Path(__file__).resolve().parent


@record
class Page:
    """A written page: its HTML, what there is to say about it (what was left out, and why), and the renderer that drew its diagram."""

    text: str
    remarks: tuple[str, ...] = ()
    drawn_by: str | None = None


@paused()
def report_page(net: Net, draw: Draw | None) -> Page:
    """The whole report of a network. Where there is no `draw`, it has no diagram, and says so."""
    summary, source = net.summary(), net.compilation.source
    shapes = Shapes(net.graph)
    texts = Texts(net.graph, source, net.compilation.sources, shapes)
    rows = layer_rows(summary, texts, shapes)
    drawn, refused = _drawn(net, draw)
    context = {
        **_header(net, summary),
        "rows": rows[:MOST_ROWS],
        "layers": len(rows),
        "families": families(rows),
        "total": summary.cost.total,
        "total_bytes": size_text(summary.cost.total.bytes),
        "charts": charts(summary, rows),
        "open_sizes": open_sizes(summary),
        "rules": rules(summary, texts),
        "findings": findings(net.check()),
        "listings": texts.listings(),
        "whole": True,
    }
    return _page(context, drawn, refused)


@paused()
def diagram_page(net: Net, draw: Draw, start: View | None = None) -> Page:
    """A page with the diagram alone: of the network, or of the block that `start` shows, which is then seen first.

    Raises `Refusal` where nothing draws.
    """
    return _page({**_header(net, net.summary()), "whole": False}, states(net.graph, outline(net.graph), draw, start))


def _drawn(net: Net, draw: Draw | None) -> tuple[States | None, str]:
    """The views of the diagram; where none can be drawn, why."""
    try:
        return (states(net.graph, outline(net.graph), draw), "") if draw else (None, "nobody was asked to draw")
    except Refusal as refusal:
        return None, refusal.diagnostic.message


def _header(net: Net, summary: Summary) -> dict[str, Any]:
    """What a network is called and takes, and its totals."""
    graph, memory = net.graph, summary.cost.memory
    doc = net.compilation.tree.doc or ""
    return {
        "name": net.name,
        "doc": paragraphs(graph.doc),
        "paper": paragraphs(doc if doc != graph.doc else ""),
        "arguments": [(name, _written(value)) for name, value in graph.arguments],
        "typical": summary.typical,
        "inputs": [{**port, "shape": ", ".join(map(str, port["shape"]))} for port in summary.inputs],
        "outputs": [{**port, "shape": ", ".join(map(str, port["shape"]))} for port in summary.outputs],
        "bound": any(port["constraints"] for port in summary.inputs),
        "totals": _totals(summary),
        "optimizers": [(name, size_text(memory.training + memory.optimizer(name))) for name in OPTIMIZERS],
        "source_name": graph.source,
        "digest": graph.digest,
        "version": VERSION,
    }


def _totals(summary: Summary) -> list[tuple[str, str, str]]:
    """The header's figures: what, how much in short, and exactly."""
    memory = summary.cost.memory
    return [
        ("Parameters", compact(summary.parameters), f"{summary.parameters:,} ({size_text(memory.parameters)})"),
        ("Multiply-accumulates", compact(summary.macs), f"{summary.macs:,}"),
        ("Activations", size_text(summary.activation_bytes), "at the peak, at inference"),
        ("Training memory", size_text(memory.training), f"with Adam {size_text(memory.training + memory.optimizer('adam'))}"),
    ]


def _written(value: Any) -> str:
    """An argument as it is written in the language."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str).replace("null", "none")


# --------------------------------------------------------------------------------------------------------------- the page
def _page(context: dict[str, Any], drawn: States | None, refused: str = "") -> Page:
    style, script = _asset("page.css"), _asset("page.js")
    assets = {"colours": _colours(), "style": style, "script": script, "script_hash": _digest(script)}
    text = _environment().get_template("page.html.j2").render(**context, **assets, states=drawn, refused=refused, data=_embedded(drawn))
    return Page(text, tuple(_remarks(drawn, refused)))


def _remarks(drawn: States | None, refused: str) -> list[str]:
    if drawn is None:
        return [f"the page has no diagram: {refused}"]
    return ["deeper views of the diagram are left out: the page would become too large"] if drawn.left_out else []


def _embedded(drawn: States | None) -> str:
    """What the script needs at once, as JSON that cannot end the element in which it stands."""
    if drawn is None:
        return "null"
    data = {"start": drawn.start, "depths": drawn.depths, "titles": [s.title for s in drawn.views], "first": drawn.first.facts}
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@lru_cache(maxsize=1)
def _colours() -> str:
    """The colours of the families, in light and dark, as the diagram has them."""
    inks = {"paper": PAGE, "other": OTHER.ink, **{name: family.ink for name, family in FAMILIES.items()}}
    return ":root{" + "".join(f"--{name}:light-dark({ink},{DARK.get(ink, ink)});" for name, ink in inks.items()) + "}"


@lru_cache(maxsize=None)
def _asset(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    """By which the page's policy knows its script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """The templates. Every foreign text is escaped; control and invisible characters in it are spelled out."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def spelled(value: Any) -> Any:
        return show(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=spelled
    )  # fmt: skip
    environment.filters.update(moment=moment, runs=runs, number=lambda value: f"{value:,}" if value else "")
    return environment
