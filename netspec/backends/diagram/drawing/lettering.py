"""How wide words are in Helvetica, and so in Arial, Liberation Sans and Arimo, which were made to have its widths.

Renderers place words and make boxes as wide as these say. Where a reader has another font, a finished SVG asks for the same widths.
"""

from __future__ import annotations

#: advances in thousandths of the font's size, and who has them (Adobe's metrics of Helvetica; beyond ASCII, Arimo)
_REGULAR = {
    188: "′", 191: "'", 222: "ijl‘’", 260: "|", 278: " !,./:;I[\\]ft\xa0", 333: "()-`r·²³“”", 334: "{}", 355: '"', 389: "*", 400: "°",
    469: "^", 500: "Jcksvxyz↑↓γλ", 549: "≤≥≈±÷√", 556: "#$0123456789?L_abdeghnopqu–", 575: "β", 576: "µ", 578: "α", 584: "+<=>~×−",
    611: "FTZ", 617: "σ", 618: "Σ", 667: "&ABEKPSVXY", 713: "∞", 722: "CDHNRUw", 778: "GOQ", 833: "Mm", 834: "½", 889: "%", 944: "W",
    1000: "→…—←", 1015: "@",
}  # fmt: skip
_BOLD = {
    238: "'", 240: "′", 278: " ,./I\\ijl\xa0‘’", 280: "|", 333: "!()-:;[]`ft·²³", 389: "*r{}", 400: "°", 474: '"', 500: "z↑↓“”",
    549: "≤≥≈±÷√", 556: "#$0123456789J_aceksvxy–γλ", 584: "+<=>^~×−", 600: "Σµ", 610: "β", 611: "?FLTZbdghnopqu", 615: "α",
    667: "EPSVXY", 684: "σ", 713: "∞", 722: "&ABCDHKNRU", 778: "GOQw", 833: "M", 834: "½", 889: "%m", 944: "W", 975: "@", 1000: "→…—←",
}  # fmt: skip
_WIDTHS = tuple({letter: width for width, letters in table.items() for letter in letters} for table in (_REGULAR, _BOLD))


def width(text: str, bold: bool = False) -> float | None:
    """The width of a text on one line, in sizes of the font; None where it has a letter whose width is not known here."""
    known = _WIDTHS[bold]
    try:
        return sum(map(known.__getitem__, text)) / 1000
    except KeyError:
        return None
