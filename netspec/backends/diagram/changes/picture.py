"""The picture of two networks, drawn when somebody asks for it."""

from __future__ import annotations

from functools import cached_property

from netspec.analyses.diff import Difference, Pairing
from netspec.analyses.diff.overlay import Comparable, Overlay
from netspec.backends.diagram.changes.sketch import sketch_changes
from netspec.backends.diagram.drawing.finish import Theme
from netspec.backends.diagram.escape import html
from netspec.backends.diagram.look import Look, Sketch
from netspec.backends.diagram.palette import DARK, INK, PAGE
from netspec.backends.diagram.picture import Diagram
from netspec.diagnostics.model import Refusal

_PAGE = """<!doctype html>
<html lang="en"{theme}>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font: 15px/1.5 Helvetica, Arial, sans-serif; background: {page}; color: {ink} }}
@media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ background: {dark_page}; color: {dark_ink} }} }}
:root[data-theme=dark] {{ background: {dark_page}; color: {dark_ink} }}
body {{ margin: 1.5rem auto; max-width: 72rem; padding: 0 1rem }}
figure {{ margin: 0; overflow-x: auto; text-align: center }}
svg {{ max-width: 100%; height: auto }}
pre {{ overflow-x: auto }}
</style>
<main>
<h1>{title}</h1>
<figure>{svg}</figure>
<h2>In words</h2>
<pre>{text}</pre>
</main>
</html>
"""


class ChangesDiagram(Diagram):
    """A picture of what changed between two networks: an image in a notebook, a file by `save`.

    `overlay` is what it shows: both networks in one view, and what became of each box and link.
    """

    def __init__(self, overlay: Overlay, look: Look, engine: str = "auto", theme: Theme = "auto") -> None:
        super().__init__(overlay.view, look, "cards", engine, theme)
        self.overlay = overlay
        self.page = self._page

    @cached_property
    def sketch(self) -> Sketch:
        """The picture as DOT, with the words that appear over its parts."""
        return sketch_changes(self.overlay, self.look)

    def _page(self) -> str:
        """The picture, and the same in words, as an HTML page that needs nothing beside it."""
        difference = self.overlay.difference
        return _PAGE.format(
            title=html(f"{difference.old} → {difference.new}"), svg=self.svg(), text="\n".join(map(html, str(difference).split("\n"))),
            theme="" if self.theme == "auto" else f' data-theme="{self.theme}"',
            page=PAGE, ink=INK, dark_page=DARK[PAGE], dark_ink=DARK[INK],
        )  # fmt: skip


def draw_changes(
    pair: Pairing, difference: Difference, depth: int | None = None, look: Look | None = None, engine: str = "auto", theme: Theme = "auto"
) -> ChangesDiagram:
    """The picture of two networks and their difference, what changed open down to `depth` (as far as fits a page).

    Raises `Refusal`: NS015 for a depth below 0.
    """
    if depth is not None and depth < 0:
        raise Refusal("NS015", f"a depth is at least 0, not {depth}", status=2)
    return ChangesDiagram(Comparable(pair, difference).at(depth), look or Look(), engine, theme)
