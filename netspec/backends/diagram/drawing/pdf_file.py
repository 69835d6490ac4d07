"""The file around one page: a PDF's objects, its fonts, and the table that says where each of them begins.

A PDF is a list of numbered objects that refer to each other, then a table of their places, then which of them to begin with
(ISO 32000-1, 7.5). Fonts take five objects each: letters by the number of their glyph (a composite font, 9.7), the measures of
the face, its program, and the map that leads from glyphs back to characters, by which words can be copied and searched (9.10.3).
"""

from __future__ import annotations

from hashlib import sha256
from typing import Iterable, Mapping
from zlib import compress

from netspec.backends.diagram.drawing.typeface import Typeface

#: of a font's flags (9.8.2): no symbols, upright or not
_NONSYMBOLIC, _ITALIC = 32, 64


class _Objects:
    """The objects of a file, numbered from 1."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def add(self, body: str) -> str:
        """Add an object; the reference to it."""
        return self._add(body.encode("ascii"))

    def stream(self, data: bytes, facts: str = "") -> str:
        """Add a stream of data, packed; the reference to it."""
        packed = compress(data, 9)
        head = f"<</Length {len(packed)}/Filter/FlateDecode{facts}>>stream\n"
        return self._add(head.encode("ascii") + packed + b"\nendstream")

    def _add(self, body: bytes) -> str:
        self.bodies.append(body)
        return f"{len(self.bodies)} 0 R"

    def file(self, root: str, facts: str) -> bytes:
        """All of them as a file."""
        out = bytearray(b"%PDF-1.6\n%\xe2\xe3\xcf\xd3\n")
        places = []
        for number, body in enumerate(self.bodies, start=1):
            places.append(len(out))
            out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
        table = len(out)
        out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
        out += b"".join(b"%010d 00000 n \n" % place for place in places)
        name = sha256(bytes(out)).hexdigest()[:32]
        trailer = f"<</Size {len(places) + 1}/Root {root}/Info {facts}/ID[<{name}><{name}>]>>"
        return bytes(out) + f"trailer\n{trailer}\nstartxref\n{table}\n%%EOF\n".encode("ascii")


def pdf(
    content: Iterable[str],
    faces: Mapping[str, Typeface],
    opacities: Mapping[str, tuple[float, float]],
    size: tuple[float, float],
    unit: int = 1,
) -> bytes:
    """A PDF of one page that shows the content: operators, which name its fonts and its opacities (of filling, of stroking).

    The page is `size` units wide and high, each `unit` points. The file is the same for the same content: it has no date.
    """
    objects = _Objects()
    fonts = "".join(f"/{name} {_font(objects, face)}" for name, face in faces.items())
    states = "".join(f"/{name}<</ca {fill:g}/CA {stroke:g}>>" for name, (fill, stroke) in opacities.items())
    stream = objects.stream("\n".join(content).encode("ascii"))
    parent = len(objects.bodies) + 2
    box = f"[0 0 {size[0]:.2f} {size[1]:.2f}]" + (f"/UserUnit {unit}" if unit > 1 else "")
    resources = f"<</Font<<{fonts}>>/ExtGState<<{states}>>>>"
    page = objects.add(f"<</Type/Page/Parent {parent} 0 R/MediaBox{box}/Resources{resources}/Contents {stream}>>")
    pages = objects.add(f"<</Type/Pages/Kids[{page}]/Count 1>>")
    root = objects.add(f"<</Type/Catalog/Pages {pages}>>")
    return objects.file(root, objects.add("<</Producer(netspec)>>"))


def _font(objects: _Objects, face: Typeface) -> str:
    """The reference to a font, after the objects that it is made of."""
    tag = "".join(chr(ord("A") + byte % 26) for byte in sha256(face.program).digest()[:6])
    name = f"/{tag}+{face.name}"
    program = objects.stream(face.program, f"/Length1 {len(face.program)}")
    slanted = "Italic" in face.name
    measures = (
        f"/FontBBox[{' '.join(map(str, face.box))}]/Ascent {face.ascent}/Descent {face.descent}/CapHeight {face.cap_height}"
        f"/StemV {140 if 'Bold' in face.name else 80}/ItalicAngle {-12 if slanted else 0}/Flags {_NONSYMBOLIC + _ITALIC * slanted}"
    )
    descriptor = objects.add(f"<</Type/FontDescriptor/FontName{name}{measures}/FontFile2 {program}>>")
    system = "/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/CIDToGIDMap/Identity"
    widths = f"/DW 0/W[0[{' '.join(map(str, face.widths))}]]"
    letters = objects.add(f"<</Type/Font/Subtype/CIDFontType2/BaseFont{name}{system}/FontDescriptor {descriptor}{widths}>>")
    back = objects.stream(_characters(face))
    kind = "/Type/Font/Subtype/Type0/Encoding/Identity-H"
    return objects.add(f"<<{kind}/BaseFont{name}/DescendantFonts[{letters}]/ToUnicode {back}>>")


def _characters(face: Typeface) -> bytes:
    """The map from glyphs to characters: a CMap, of at most a hundred entries a section."""
    entries = [f"<{glyph:04x}> <{character.encode('utf-16-be').hex()}>" for character, glyph in sorted(face.glyphs.items())]
    sections = [entries[start : start + 100] for start in range(0, len(entries), 100)]
    lines = [
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap",
        "/CMapName /netspec def /CMapType 2 def",
        "1 begincodespacerange <0000> <ffff> endcodespacerange",
        *(line for part in sections for line in (f"{len(part)} beginbfchar", *part, "endbfchar")),
        "endcmap CMapName currentdict /CMap defineresource pop end end",
    ]
    return "\n".join(lines).encode("ascii")
