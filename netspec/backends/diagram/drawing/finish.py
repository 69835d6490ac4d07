"""Makes a renderer's SVG ours: what it says stays, what surrounds it goes, and nothing in it leads outside.

Graphviz writes a file of its own kind: a DOCTYPE, comments, the names of its nodes as titles, links around everything that has a
tooltip, the font on every word. What leaves here is one `<svg>` element that stands in a file, in a page beside others, or in a
notebook: elements and attributes of two short lists, ids and classes of ours, titles of ours, and rules for dark pages.
"""

from __future__ import annotations

import re
from collections import Counter
from html import escape
from typing import TYPE_CHECKING, Collection, Literal, Mapping

from netspec.backends.diagram.drawing.lettering import width
from netspec.diagnostics.model import Refusal

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

Theme = Literal["auto", "light", "dark"]

#: what a finished SVG is made of, save its root, its titles and its style
ELEMENTS = frozenset("g a path polygon polyline ellipse text defs linearGradient radialGradient stop".split())
_NUMBERS = frozenset("d points x y cx cy rx ry r x1 y1 x2 y2 fx fy".split())
_NUMBERS |= frozenset("font-size stroke-width stroke-dasharray fill-opacity stroke-opacity stop-opacity".split())
_COLOURS = ("fill", "stroke", "stop-color")
_WORDS = frozenset("transform offset gradientUnits font-family font-weight font-style text-anchor text-decoration baseline-shift".split())
#: what an attribute is taken to be where it is not written
_DEFAULTS = {"text-anchor": "start", "stroke": "none", "stroke-width": "1", "stop-opacity": "1"}
#: what elements in a `<g>` inherit from the root, where it is most of them that say it
_SHARED = ("font-family", "font-size")

#: ours: a kind and numbers (`box-3`, `row-3-0`), and a part (`link-7-a`). Graphviz's own are `node1`, `clust1`, and `a_row-3-0`
#: for the link around a row
_OURS = re.compile(r"[a-z]+(-\d+)+(-[a-z]+)?")
_THEIRS = frozenset(("node", "edge", "cluster", "graph"))
_UNCARRIABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAME = re.compile(r"[A-Za-z][\w-]*", re.ASCII)
_INSIDE = re.compile(r"url\(#([^()\s\"'<>]+)\)")
_NAMED = {"white": "#ffffff", "black": "#000000", "transparent": "none"}
#: a number that is longer than it need be
_LONG = re.compile(r"-?\d*\.(?:\d{3,}|\d*0)(?!\d)")
_MARKUP = re.compile(f"[&<>\"'\n\r\t]|{_UNCARRIABLE.pattern}")
_STILL = re.compile(r"scale\(1 1\)\s*|rotate\(0\)\s*")
#: Helvetica by the names under which its widths are known: boxes are as wide as its words
_STACK = "Helvetica,Arial,Liberation Sans,Arimo,DejaVu Sans Condensed,sans-serif"
#: black on a dark page, where the palette does not say
_PALE = "#e2e8f0"


def carriable(text: str) -> str:
    """The text with U+FFFD for every character that XML cannot carry: control characters, lone surrogates, U+FFFE and U+FFFF."""
    return _UNCARRIABLE.sub("\ufffd", text)


def finish(
    svg: bytes,
    titles: Mapping[str, str],
    label: str,
    prefix: str = "",
    theme: Theme = "auto",
    colours: Mapping[str, str] = {},
    declaration: bool = False,
) -> str:
    """A renderer's SVG as one `<svg>` element: real text, our ids and titles, nothing that leads outside.

    `titles` gives the text shown on hovering over the thing of an id, `label` the accessible name of the whole. `prefix` stands
    before every id, so that two pictures on a page stay apart; the root is `<prefix>root`. `colours` gives a dark colour for light
    ones (`#rrggbb`): theme `auto` follows the reader's system, and the page's `data-theme` (`dark`, `light`) before it; `dark` and
    `light` are fixed. `declaration` puts the XML declaration first, for a file.

    Raises Refusal: NS742 for what is not the SVG of a renderer.
    """
    if prefix and not _NAME.fullmatch(prefix):
        raise ValueError(f"{prefix!r} is no prefix of ids")
    root = parsed(svg)
    dark = _normal({"#000000": _PALE, **colours}) if colours else {}
    picture = _Picture(titles, prefix, dark if theme == "dark" else {}, _shared(root))
    for child in root:
        picture.element(child)
    style = rules(dark, f"#{prefix}root", picture.painted) if theme == "auto" else ""
    parts = [_opening(root, label, prefix, picture.shared), f"<style>{style}</style>" if style else "", *picture.out, "</svg>"]
    return "".join(['<?xml version="1.0" encoding="UTF-8"?>\n', *parts, "\n"] if declaration else parts)


def rules(colours: Mapping[str, str], scope: str, painted: Collection[tuple[str, str]] | None = None) -> str:
    """CSS that gives dark pages dark colours, within the elements that the selector `scope` takes.

    On screens alone: paper is light. A page with many pictures may hold these rules once, and its pictures `finish`ed as `light`.
    `painted` limits them to pairs of an attribute and a colour that occur.
    """
    changes = [
        f'[{attribute}="{light}"]{{{attribute}:{dark}}}'
        for light, dark in _normal(colours).items()
        for attribute in _COLOURS
        if painted is None or (attribute, light) in painted
    ]
    system = "".join(f"{scope}:not([data-theme=light] *) {change}" for change in changes)
    chosen = "".join(f"[data-theme=dark] {scope} {change}" for change in changes)
    return f"@media screen and (prefers-color-scheme:dark){{{system}}}@media screen{{{chosen}}}" if changes else ""


def parsed(svg: bytes) -> Element:
    """The tree of a renderer's SVG. Raises Refusal (NS742) where it is none, or declares entities."""
    from xml.etree import ElementTree

    try:
        if b"<!ENTITY" in svg:
            raise ValueError("it declares entities")
        root = ElementTree.fromstring(svg)
        if tag_of(root) != "svg":
            raise ValueError(f"its root is `{tag_of(root)}`")
    except (ElementTree.ParseError, ValueError) as error:
        raise Refusal("NS742", f"the renderer wrote no SVG that can be read: {error}") from None
    return root


def _opening(root: Element, label: str, prefix: str, shared: Mapping[str, str]) -> str:
    """The root's tag."""
    facts = {"xmlns": "http://www.w3.org/2000/svg", "id": f"{prefix}root", "class": "diagram", "role": "img", "aria-label": label}
    size = {name: _numbers(root.get(name, "0")) for name in ("width", "height", "viewBox")}
    return f"<svg{_written({**facts, **size, **shared})}>"


class _Picture:
    """Elements as they are written, one after the other, and the colours that they are painted with."""

    def __init__(self, titles: Mapping[str, str], prefix: str, swap: Mapping[str, str], shared: Mapping[str, str]) -> None:
        self.titles, self.prefix, self.swap, self.shared = titles, prefix, swap, shared
        self.out: list[str] = []
        self.painted: set[tuple[str, str]] = set()
        self._open: list[str] = []

    def element(self, node: Element) -> None:
        """Write an element, without what is not ours."""
        tag = tag_of(node)
        if tag in ("g", "a"):
            self._group(node)
        elif tag == "text":
            self._words(node)
        elif tag in ELEMENTS:
            self._start(tag, self._attributes(node, tag))
            if len(node):
                self.out[-1] = self.out[-1].replace("/>", ">")
                self._children(node)
                self.out.append(f"</{tag}>")

    def _children(self, node: Element) -> None:
        for child in node:
            self.element(child)

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.out.append(f"<{tag}{_written(attributes)}/>")

    def _group(self, node: Element) -> None:
        """A group of ours with its title; of one that says nothing, what is in it."""
        name = (node.get("id") or "").removeprefix("a_")
        attributes = {"transform": _STILL.sub("", node.get("transform", "")).strip()}
        ours = bool(_OURS.fullmatch(name)) and name not in self._open
        if ours:
            own = [c for c in (node.get("class") or "").split() if c not in _THEIRS]
            attributes.update({"id": self.prefix + name, "class": " ".join(dict.fromkeys([name.partition("-")[0], *own]))})
        if not any(attributes.values()):
            return self._children(node)
        self._open.append(name)
        self.out.append(f"<g{_written(attributes)}>")
        if ours and self.titles.get(name):
            self.out.append(f"<title>{_text(self.titles[name])}</title>")
        self._children(node)
        self.out.append("</g>")
        self._open.pop()

    def _words(self, node: Element) -> None:
        """Text. A space at its edge would be lost without `xml:space`, and shift the words: it is written as one that stays."""
        words = "".join(node.itertext())
        if not words.strip():
            return
        edge = len(words) - len(words.lstrip(" ")), len(words) - len(words.rstrip(" "))
        words = "\xa0" * edge[0] + words.strip(" ") + "\xa0" * edge[1]
        attributes = {"fill": self._paint("fill", "#000000"), **self._attributes(node, "text"), **_length(node, words)}
        self.out.append(f"<text{_written(attributes)}>{_text(words)}</text>")

    def _attributes(self, node: Element, tag: str) -> dict[str, str]:
        """What an element says of itself, in our words and no more of them than needed."""
        kept: dict[str, str] = {}
        given = {**node.attrib, **_styles(node.get("style", ""))}
        for name, value in given.items():
            if name in _COLOURS:
                kept[name] = self._paint(name, value)
            elif name in _NUMBERS:
                kept[name] = _numbers(_open(value) if name == "points" and tag == "polygon" else value)
            elif name in _WORDS:
                kept[name] = _stack(value) if name == "font-family" else value
            elif name == "id":
                kept[name] = self.prefix + value
        return {name: value for name, value in kept.items() if _DEFAULTS.get(name) != value and self.shared.get(name) != value}

    def _paint(self, attribute: str, value: str) -> str:
        """A colour, as the theme has it; a gradient of this picture; or nothing at all."""
        if value.startswith("url("):
            inside = _INSIDE.fullmatch(value)
            return f"url(#{self.prefix}{inside[1]})" if inside else "none"
        colour = _colour(value)
        self.painted.add((attribute, colour))
        return self.swap.get(colour, colour)


def _length(node: Element, words: str) -> dict[str, str]:
    """How long the words are to be, which keeps them in their boxes where the reader's font is wider than Helvetica."""
    long = width(words, node.get("font-weight") == "bold")
    if long is None or len(words) < 3:
        return {}
    return {"textLength": _numbers(f"{long * float(node.get('font-size', 14)):.1f}"), "lengthAdjust": "spacingAndGlyphs"}


def _shared(root: Element) -> dict[str, str]:
    """What most texts say of their font, for the root to say once."""
    found = {}
    for name in _SHARED:
        values = Counter(value for node in root.iter() if tag_of(node) == "text" and (value := node.get(name)))
        if values:
            most = values.most_common(1)[0][0]
            found[name] = _stack(most) if name == "font-family" else _numbers(most)
    return found


def tag_of(node: Element) -> str:
    """The name of an element, without its namespace."""
    return str(node.tag).rpartition("}")[2]


def _written(attributes: Mapping[str, str]) -> str:
    return "".join(f' {name}="{_quoted(value)}"' for name, value in attributes.items() if value)


def _text(text: str) -> str:
    """Text between tags; `>` too, so that it cannot end what it stands in."""
    return escape(carriable(text), quote=False).replace("\r", "&#13;")


def _quoted(text: str) -> str:
    """Text in an attribute, with the line breaks and tabs that XML would make spaces of."""
    if not _MARKUP.search(text):
        return text
    return escape(carriable(text)).replace("\n", "&#10;").replace("\r", "&#13;").replace("\t", "&#9;")


def _numbers(text: str) -> str:
    """Numbers to two places: a hundredth of a point is less than a printer can show."""
    return _LONG.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), text)


def _open(points: str) -> str:
    """A polygon's points without its first one again at the end: it is closed as it is."""
    first, _, rest = points.strip().partition(" ")
    return f"{first} {rest.removesuffix(first).rstrip()}" if rest.endswith(f" {first}") else points


def _styles(style: str) -> dict[str, str]:
    """The declarations of a `style` attribute, in which Graphviz writes the stops of a gradient."""
    pairs = (declaration.partition(":") for declaration in style.split(";"))
    return {name.strip(): value.strip().rstrip(".") for name, _, value in pairs if name.strip().startswith("stop-")}


def _stack(family: str) -> str:
    """The fonts to try, the wanted one first."""
    first = family.split(",")[0].strip()
    return _STACK if first in ("Helvetica", "Arial") else re.sub("sans-Serif", "sans-serif", family)


def _colour(colour: str) -> str:
    """A colour in one spelling: `#rrggbb` in small letters, where it is one of those."""
    small = colour.strip().lower()
    return _NAMED.get(small, small)


def _normal(colours: Mapping[str, str]) -> dict[str, str]:
    return {_colour(light): _colour(dark) for light, dark in colours.items()}
