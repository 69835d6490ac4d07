"""A network as one self-contained HTML page that needs no network, no server and no extra."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from netspec.files import write_atomic
from netspec.report.page import Page, diagram_page, report_page
from netspec.report.states import Draw

if TYPE_CHECKING:
    from netspec.analyses.outline import View
    from netspec.network import Net

__all__ = ["Draw", "Page", "diagram_page", "report_page", "save_page", "write_diagram_page", "write_report"]


def write_report(net: Net, draw: Draw | None = None) -> str:
    """The report of a network: diagram, layer table, plots, valid sizes, findings and source, as one HTML page."""
    return report_page(net, draw).text


def write_diagram_page(net: Net, draw: Draw, start: View | None = None) -> str:
    """The diagram of a network alone, in which blocks open and fold, as one HTML page; `start` is what is seen first."""
    return diagram_page(net, draw, start).text


def save_page(page: Page, path: str | os.PathLike[str]) -> None:
    """Write a page to a file, atomically. Raises `Refusal` (NS020) where the system says no."""
    write_atomic(path, page.text.encode())
