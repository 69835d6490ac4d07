"""Prints a renderer's SVG on paper: a PDF of one page, with its font in it and its words as words.

A picture is made of four things: paths, polygons, ellipses and text. PDF draws paths by the same curves as SVG, so what is left is
to write them in its words, to set the text in letters that the file brings along, and to list where everything stands. The same
SVG gives the same bytes: nothing in the file is dated. (ISO 32000-1: operators in annex A, fonts in 9.7, structure in 7.5.)
"""

from __future__ import annotations

import re
from math import ceil, cos, radians, sin
from typing import TYPE_CHECKING, Iterator, Mapping

from netspec.backends.diagram.drawing.finish import parsed, tag_of
from netspec.backends.diagram.drawing.pdf_file import pdf
from netspec.backends.diagram.drawing.typeface import Typeface, typeface

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

#: the longest side of a page, in units; one unit is a point unless the page is longer (ISO 32000-1, annex C)
_LONGEST = 14_400
#: four curves that pass for a quarter of a circle each
_ROUND = 0.5522847498
_NUMBER = re.compile(r"-?\d*\.?\d+(?:e-?\d+)?")
_STEP = re.compile(r"([A-Za-z])([^A-Za-z]*)")
_NAMED = {"white": "#ffffff", "black": "#000000", "gray": "#808080", "grey": "#808080", "lightgrey": "#d3d3d3", "red": "#ff0000"}
#: what stands higher or lower, in sizes of the font
_SHIFTS = {"super": 0.33, "sub": -0.2}

_Face = tuple[bool, bool]


def to_pdf(svg: bytes) -> bytes:
    """The picture as a PDF. Raises Refusal (NS742) for what is not the SVG of a renderer, ImportError without the extra `pdf`."""
    root = parsed(svg)
    letters: dict[_Face, set[str]] = {}
    for node in root.iter():
        if tag_of(node) == "text":
            letters.setdefault(_face(node), set()).update(words_of(node))
    page = _Page({face: typeface(letters[face], *face) for face in sorted(letters)}, _stops(root))
    width, height = _view(root)
    unit = max(1, ceil(max(width, height) / _LONGEST))
    page.content.append(_matrix((1 / unit, 0, 0, -1 / unit, 0, height / unit)))
    page.draw(root)
    fonts = {page.fonts[face]: font for face, font in page.faces.items()}
    opacities = {name: values for values, name in page.opacities.items()}
    return pdf(page.content, fonts, opacities, (width / unit, height / unit), unit)


def _stops(root: Element) -> dict[str, str]:
    """The colour with which each gradient begins."""
    found = {}
    for node in root.iter():
        if tag_of(node) in ("linearGradient", "radialGradient") and len(node):
            colour = re.search("stop-color:(#[0-9a-f]{6})", node[0].get("style", ""))
            found[node.get("id", "")] = colour[1] if colour else "none"
    return found


def _view(root: Element) -> tuple[float, float]:
    """The width and height of the picture, in points."""
    numbers = _numbers(root.get("viewBox", ""))
    return (numbers[2], numbers[3]) if len(numbers) == 4 else (612.0, 792.0)


class _Page:
    """What is drawn on the page, in order, and the fonts and opacities that it takes."""

    def __init__(self, faces: Mapping[_Face, Typeface], stops: Mapping[str, str]) -> None:
        self.faces, self.stops = faces, stops
        self.fonts = {face: f"F{number}" for number, face in enumerate(faces)}
        self.opacities: dict[tuple[float, float], str] = {}
        self.content: list[str] = []

    def draw(self, node: Element) -> None:
        """Draw an element and what is in it."""
        tag = tag_of(node)
        if tag in ("svg", "g", "a"):
            move = node.get("transform") if tag != "svg" else None
            self.content.extend(["q", *_transforms(move)] if move else [])
            for child in node:
                self.draw(child)
            self.content.extend(["Q"] if move else [])
        elif tag == "text":
            self._text(node)
        elif tag in ("path", "polygon", "polyline", "ellipse"):
            self._shape(node, " ".join(_outline(tag, node)))

    def _shape(self, node: Element, outline: str) -> None:
        """A shape, filled and stroked as it says: black inside and no line, where it says nothing."""
        fill, stroke = self._colour(node.get("fill", "black")), self._colour(node.get("stroke", "none"))
        if not (fill or stroke) or not outline:
            return
        style = [f"{fill} rg"] if fill else []
        if stroke:
            dashes = " ".join(_short(number) for number in _numbers(node.get("stroke-dasharray", "")))
            style += [f"{stroke} RG", f"{_short(float(node.get('stroke-width', 1)))} w", f"[{dashes}] 0 d"]
        paint = "B" if fill and stroke else "f" if fill else "S"
        self.content.append(" ".join([*self._opacity(node), *style, outline, paint]))

    def _text(self, node: Element) -> None:
        """Words, in letters of the font; those that the font lacks are boxes to see, and themselves to copy and to search."""
        words, size = words_of(node), float(node.get("font-size", 14))
        if not words.strip():
            return
        face = _face(node)
        font = self.faces[face]
        long = font.width(words) * size
        x = float(node.get("x", 0)) - long * {"middle": 0.5, "end": 1.0}.get(node.get("text-anchor", ""), 0.0)
        y = float(node.get("y", 0)) - size * _SHIFTS.get(node.get("baseline-shift", ""), 0.0)
        colour = self._colour(node.get("fill", "black")) or "0 0 0"
        codes = "".join(f"{font.glyphs.get(character, 0):04x}" for character in words)
        place = f"{_short(size)} 0 0 {_short(-size)} {_short(x)} {_short(y)} Tm"
        shown = f"BT {colour} rg /{self.fonts[face]} 1 Tf {place} <{codes}> Tj ET"
        if any(character not in font.glyphs for character in words):
            shown = f"/Span <</ActualText <{_utf16(chr(0xFEFF) + words)}>>> BDC {shown} EMC"
        self.content.append(" ".join([*self._opacity(node), shown]))
        self._lines(node, colour, x, y, long, size)

    def _lines(self, node: Element, colour: str, x: float, y: float, long: float, size: float) -> None:
        """What goes under or through words."""
        for name, height in (("underline", 0.1), ("line-through", -0.25), ("overline", -0.75)):
            if name in node.get("text-decoration", ""):
                box = " ".join(map(_short, (x, y + height * size, long, size * 0.06)))
                self.content.append(f"{colour} rg {box} re f")

    def _opacity(self, node: Element) -> list[str]:
        """The state that an element's opacity needs, if any element before it had another than full."""
        values = float(node.get("fill-opacity", 1)), float(node.get("stroke-opacity", 1))
        if values == (1.0, 1.0) and not self.opacities:
            return []
        return [f"/{self.opacities.setdefault(values, f'A{len(self.opacities)}')} gs"]

    def _colour(self, colour: str) -> str:
        """Red, green and blue from 0 to 1; empty for none. Of a gradient, the colour at which it begins."""
        if colour.startswith("url(#"):
            colour = self.stops.get(colour[5:-1], "none")
        code = _NAMED.get(colour, colour)
        if not re.fullmatch("#[0-9a-fA-F]{6}", code):
            return ""
        return " ".join(_short(int(code[i : i + 2], 16) / 255, 3) for i in (1, 3, 5))


def _outline(tag: str, node: Element) -> Iterator[str]:
    """The path of a shape, in PDF's words."""
    if tag == "ellipse":
        yield from _ellipse(*(float(node.get(name, 0)) for name in ("cx", "cy", "rx", "ry")))
        return
    if tag == "path":
        for letter, values in _STEP.findall(node.get("d", "")):
            yield from _steps(letter, _numbers(values))
        return
    numbers = _numbers(node.get("points", ""))
    yield from _steps("M", numbers)
    if tag == "polygon":
        yield "h"


def _steps(letter: str, numbers: list[float]) -> Iterator[str]:
    """A step of a path as Graphviz writes them: to a point, by lines or by curves; more numbers are more of the same."""
    if letter in "Zz":
        yield "h"
        return
    count, word = {"M": (2, "m"), "L": (2, "l"), "C": (6, "c")}[letter]
    for start in range(0, len(numbers) - count + 1, count):
        yield " ".join([*map(_short, numbers[start : start + count]), "l" if word == "m" and start else word])


def _ellipse(x: float, y: float, across: float, down: float) -> Iterator[str]:
    kx, ky = across * _ROUND, down * _ROUND
    yield f"{_short(x + across)} {_short(y)} m"
    for points in (
        (x + across, y + ky, x + kx, y + down, x, y + down),
        (x - kx, y + down, x - across, y + ky, x - across, y),
        (x - across, y - ky, x - kx, y - down, x, y - down),
        (x + kx, y - down, x + across, y - ky, x + across, y),
    ):
        yield " ".join([*map(_short, points), "c"])
    yield "h"


def _transforms(text: str) -> Iterator[str]:
    """The steps of a `transform` as matrices, in their order."""
    for name, values in re.findall(r"(\w+)\(([^)]*)\)", text):
        numbers = _numbers(values)
        if name == "translate":
            yield _matrix((1, 0, 0, 1, numbers[0], numbers[1] if len(numbers) > 1 else 0))
        elif name == "scale" and numbers != [1, 1]:
            yield _matrix((numbers[0], 0, 0, numbers[-1], 0, 0))
        elif name == "rotate" and numbers[0]:
            cosine, sine = cos(radians(numbers[0])), sin(radians(numbers[0]))
            x, y = numbers[1:] or (0.0, 0.0)
            yield _matrix((cosine, sine, -sine, cosine, x - x * cosine + y * sine, y - x * sine - y * cosine))


def _matrix(values: tuple[float, ...]) -> str:
    return " ".join([*(_short(value, 6) for value in values), "cm"])


def words_of(node: Element) -> str:
    """The text of a `<text>`, on one line."""
    return "".join(node.itertext()).replace("\n", " ")


def _face(node: Element) -> _Face:
    return node.get("font-weight") == "bold", node.get("font-style") == "italic"


def _numbers(text: str) -> list[float]:
    return [float(number) for number in _NUMBER.findall(text)]


def _short(number: float, places: int = 2) -> str:
    """A number as a PDF takes it: no exponent, and no more digits than needed."""
    return f"{number:.{places}f}".rstrip("0").rstrip(".") if places else str(number)


def _utf16(text: str) -> str:
    return text.encode("utf-16-be", "replace").hex()
