"""The font of a PDF: of Arimo, which has the widths of Helvetica and Arial, the letters that a picture uses, in one weight and slope.

Renderers place words by the widths of Helvetica, so words set in Arimo stand where the picture wants them. The font comes from the
package `fontpkg-arimo` (OFL), as variable fonts; fontTools cuts out what is needed. The only place that imports either.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Iterable

from netspec.record import record

#: weights of the axis `wght`
_REGULAR, _BOLD = 400, 700
#: tables about how letters join and which designs there are: large, and of no use to letters placed one by one
_LAYOUT = frozenset(("GSUB", "GPOS", "GDEF", "STAT", "DSIG"))


@record
class Typeface:
    """A font program of some letters. `glyphs` numbers the glyph of each character that the font has, `widths` are the advances of
    all glyphs in thousandths of the font's size, and the rest are its measures in the same unit, as a PDF asks for them."""

    name: str
    program: bytes
    glyphs: dict[str, int]
    widths: tuple[int, ...]
    box: tuple[int, int, int, int]
    ascent: int
    descent: int
    cap_height: int

    def width(self, text: str) -> float:
        """How wide a text is, in sizes of the font; a letter that the font lacks is as wide as the box that stands for it."""
        return sum(self.widths[self.glyphs.get(character, 0)] for character in text) / 1000


def typeface(letters: Iterable[str], bold: bool = False, italic: bool = False) -> Typeface:
    """Arimo with these letters. The same letters give the same bytes. Raises ImportError where the extra `pdf` is missing."""
    import fontpkg_arimo
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont
    from fontTools.varLib.instancer import instantiateVariableFont

    files = Path(fontpkg_arimo.__file__).parent / "files"
    font = TTFont(files / f"Arimo{'-Italic' if italic else ''}[wght].ttf", recalcTimestamp=False)
    for table in _LAYOUT & set(font.keys()):
        del font[table]
    options = Options(hinting=False, layout_features=[], name_IDs=[], notdef_outline=True)
    subsetter = Subsetter(options)
    subsetter.populate(text="".join(sorted(set(letters))))
    subsetter.subset(font)
    instantiateVariableFont(font, {"wght": _BOLD if bold else _REGULAR}, inplace=True)
    return _measured(font, "Arimo" + ("-" if bold or italic else "") + "Bold" * bold + "Italic" * italic)


def _measured(font, name: str) -> Typeface:  # noqa: ANN001  a TTFont
    """A font with its measures, in thousandths."""
    head, line, metrics = font["head"], font["hhea"], font["hmtx"]
    numbers = font.getReverseGlyphMap()
    written = BytesIO()
    font.save(written, reorderTables=False)

    def thousandths(units: int) -> int:
        return round(1000 * units / head.unitsPerEm)

    return Typeface(
        name,
        written.getvalue(),
        {chr(code): numbers[glyph] for code, glyph in font.getBestCmap().items()},
        tuple(thousandths(metrics[glyph][0]) for glyph in font.getGlyphOrder()),
        (thousandths(head.xMin), thousandths(head.yMin), thousandths(head.xMax), thousandths(head.yMax)),
        thousandths(line.ascent),
        thousandths(line.descent),
        thousandths(getattr(font["OS/2"], "sCapHeight", 0) or line.ascent),
    )
