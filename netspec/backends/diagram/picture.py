"""A network's picture, drawn when somebody asks for it, in the form that is asked for."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from functools import cached_property
from typing import Literal

from netspec.analyses.outline import Outline, View, outline
from netspec.backends.diagram.drawing.engine import Drawn, render
from netspec.backends.diagram.drawing.finish import Theme, finish
from netspec.backends.diagram.look import Look, Sketch
from netspec.backends.diagram.palette import DARK
from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.files import write_atomic
from netspec.graph import Graph

Style = Literal["cards", "maps"]

#: how pictures look: `cards` shows layers with their arguments, `maps` the tensors between them, as papers do
STYLES: tuple[Style, ...] = ("cards", "maps")
#: which colours: those of the reader's system, or fixed
THEMES: tuple[Theme, ...] = ("auto", "light", "dark")
#: the forms in which a picture is written, by the end of a file's name
FORMS = (".svg", ".png", ".pdf", ".dot", ".html")

_LIGHT = re.compile('"(#[0-9a-f]{6})"')


class Diagram:
    """A picture of a network: an image in a notebook, a file by `save`.

    `view` is what it shows, `look` how. Nothing is drawn before it is asked for; what has been drawn once is kept. `engine` names the
    renderer (`auto`: the first that is installed), and `drawn_by`, once something was drawn, which it was.
    """

    def __init__(self, view: View, look: Look, style: Style = "cards", engine: str = "auto", theme: Theme = "auto") -> None:
        self.view, self.look, self.style, self.engine, self.theme = view, look, style, engine, theme
        self.drawn_by: str | None = None
        #: writes the picture as a page with folding by click, where somebody can (see `Net.diagram`)
        self.page: Callable[[], str] | None = None

    @cached_property
    def sketch(self) -> Sketch:
        """The picture as DOT, with the words that appear over its parts."""
        if self.style == "maps":
            from netspec.backends.diagram.maps.sketch import sketch_maps

            return sketch_maps(self.view, self.look)
        from netspec.backends.diagram.cards.sketch import sketch

        return sketch(self.view, self.look)

    def like(self, view: View) -> str:
        """Another view drawn as this one, as one `<svg>` element."""
        other = Diagram(view, self.look, self.style, self.engine, self.theme)
        text = other.svg()
        self.drawn_by = other.drawn_by
        return text

    @property
    def dot(self) -> str:
        """The DOT text, which any Graphviz draws."""
        return self.sketch.dot

    def svg(self, prefix: str = "", declaration: bool = False) -> str:
        """The picture as one `<svg>` element with real text, and titles that tell of each part.

        `prefix` stands before every id, so that several pictures can stand on a page. Raises `Refusal`: NS016, NS740 to NS742.
        """
        sketch = self.sketch
        return finish(self._drawn.data, sketch.titles, sketch.label, prefix, self.theme, DARK, declaration)

    @cached_property
    def _drawn(self) -> Drawn:
        return self._render("svg", self.sketch.dot)

    def _render(self, form: Literal["svg", "png", "pdf"], dot: str) -> Drawn:
        drawn = render(dot, form, self.engine)
        self.drawn_by = drawn.engine
        return drawn

    def bytes(self, form: str) -> bytes:
        """The picture as the content of a file of one of `FORMS`. Raises `Refusal`: NS015, NS016, NS740 to NS743."""
        if form == ".dot":
            return self.sketch.dot.encode()
        if form == ".svg":
            return self.svg(declaration=True).encode()
        if form == ".html" and self.page is not None:
            return self.page().encode()
        if form not in (".png", ".pdf"):
            known = ", ".join(FORMS)
            raise Refusal("NS015", f"a picture cannot be written as `{form}`", helps=(f"end the file's name in one of {known}",), status=2)
        dot = self.sketch.dot if self.theme != "dark" else _LIGHT.sub(lambda found: f'"{DARK.get(found[1], found[1])}"', self.sketch.dot)
        return self._render("png" if form == ".png" else "pdf", dot).data

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to a `.svg`, `.png`, `.pdf`, `.dot` or `.html` file: the whole of it, or nothing.

        Raises `Refusal`: as `bytes`, and NS020 where the file cannot be written.
        """
        write_atomic(path, self.bytes(os.path.splitext(os.fsdecode(path))[1].lower()))

    def _repr_svg_(self) -> str:
        """The picture in a notebook."""
        digest = hashlib.sha256(self.sketch.dot.encode()).hexdigest()
        return self.svg(prefix=f"d{digest[:8]}-")


def draw(
    graph: Graph | Outline,
    depth: int | None = None,
    only: str = "",
    style: Style = "cards",
    look: Look | None = None,
    engine: str = "auto",
    theme: Theme = "auto",
) -> Diagram:
    """The picture of a network: all of it down to `depth` (the one that fits a page), or the block `only`.

    Raises `Refusal`: NS015 for a style or theme that there is not and a depth below 0, NS021 for a block.
    """
    if style not in STYLES:
        raise Refusal(
            "NS015", f"there is no style `{style}`", helps=suggestion(style, STYLES) or (f"styles: {', '.join(STYLES)}",), status=2
        )
    if theme not in THEMES:
        raise Refusal("NS015", f"there is no theme `{theme}`", helps=(f"themes: {', '.join(THEMES)}",), status=2)
    if depth is not None and (not isinstance(depth, int) or depth < 0):
        raise Refusal("NS015", f"a depth is a whole number, at least 0, not {depth!r}", status=2)
    found = graph if isinstance(graph, Outline) else outline(graph)
    return Diagram(found.view(depth, only, wide=style == "maps"), look or Look(), style, engine, theme)
