"""Runs a renderer over DOT text: the only place of netspec that starts another program to draw.

Three renderers are known. graphviz-pure comes with netspec: one binary that brings its font, so that a picture has the same bytes
on every machine. pygraphviz and the system's `dot` are taken where they are installed, and draw with the machine's fonts. Each runs
in a process of its own, reads DOT from its standard input and writes the picture to its standard output: no shell, no files, and a
limit on its time.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Literal

from netspec.backends.diagram.drawing.finish import carriable
from netspec.diagnostics.model import Refusal
from netspec.record import record

Form = Literal["svg", "png", "pdf"]

#: the renderers that are known, the preferred first; `auto` is the first that is installed
ENGINES = ("graphviz-pure", "pygraphviz", "dot")

#: seconds after which a renderer is stopped
TIME_LIMIT = 60.0

#: dots per inch of a PNG: three dots to the point are sharp on a page and on a screen …
_SHARP = 216
#: … unless that makes too many pixels in all, or on a side (many viewers stop at 2¹⁵) …
_PIXELS, _SIDE = 32_000_000, 32_000
#: … and never so few that nobody could read a word
_COARSE = 36

_POINTS_PER_INCH = 72
_SIZE = re.compile(rb'<svg[^>]*?width="([\d.]+)pt"[^>]*?height="([\d.]+)pt"')
#: what tells Graphviz to open files, and where in DOT it may stand: in no string, comment or HTML label, which begins with `<`
_FILE_TAKERS = ("image", "imagepath", "shapefile", "fontpath", "stylesheet", "_background")
_DOT_PARTS = re.compile(rf'"(?:[^"\\]|\\.)*"|/\*.*?\*/|//[^\n]*|<|(?<!\w)(?:{"|".join(_FILE_TAKERS)})(?!\w)', re.DOTALL | re.IGNORECASE)
_GETS = re.compile(r"(?:\s|/\*.*?\*/|//[^\n]*\n)*=", re.DOTALL)
_IMAGE = re.compile(r"<\s*img\b", re.IGNORECASE)
_DRAW_LESS = "draw less: `--depth 1` folds the blocks, `--only NAME` opens one of them"


@record
class Drawn:
    """A picture: its bytes, the name of the renderer that drew it, and, for a PNG, its dots per inch."""

    data: bytes
    engine: str
    dpi: int | None = None


def engines() -> tuple[str, ...]:
    """The names of the renderers that are installed here, the preferred first."""
    return tuple(name for name in ENGINES if _command(name))


def render(dot: str, form: Form, engine: str = "auto") -> Drawn:
    """Draw a graph by the renderer of that name, or (`auto`) by the first that is installed.

    An SVG is as the renderer wrote it: `finish` makes it ours. A PNG is drawn at 216 dots per inch, at fewer where that would be
    more than 32 million pixels. A PDF by graphviz-pure is its SVG, set in a font that the extra `pdf` brings; the others embed the
    machine's. Characters that no picture can carry (NUL, lone surrogates) become U+FFFD.

    Raises Refusal: NS016 where a renderer or the font is not installed, NS740 for a renderer that is not known, NS741 where it
    takes longer than `TIME_LIMIT`, NS742 where it fails or complains, NS743 where a PNG could not be read for its size.
    """
    name = _choose(engine, form)
    if opens_files(dot):
        raise Refusal("NS742", "the text of a picture names files to open, which netspec never writes and does not draw")
    text = carriable(dot).encode("utf-8")
    if form == "png":
        dpi = _resolution(_run(name, text, "-Tsvg"))
        return Drawn(_stamped(_run(name, text, "-Tpng", f"-Gdpi={dpi}"), dpi), name, dpi)
    if form == "pdf" and name == "graphviz-pure":
        from netspec.backends.diagram.drawing.pdf_page import to_pdf

        return Drawn(to_pdf(_run(name, text, "-Tsvg")), name)
    return Drawn(_run(name, text, f"-T{form}"), name)


def opens_files(dot: str) -> bool:
    """Whether a DOT text tells Graphviz to open a file: by an attribute for images, fonts or style sheets, or by an image in an HTML
    label. What people wrote stands in strings and, escaped, in HTML labels, and tells nothing."""
    place = 0
    while part := _DOT_PARTS.search(dot, place):
        place = part.end()
        if part[0] == "<":
            end = _end_of_label(dot, place)
            if _IMAGE.search(dot, place - 1, end):
                return True
            place = end
        elif part[0].strip('"').lower() in _FILE_TAKERS and _GETS.match(dot, place):
            return True
    return False


def _end_of_label(dot: str, place: int) -> int:
    """Where the HTML label ends whose first `<` stands before the place: at the `>` that closes it."""
    depth = 1
    for bracket in re.compile("[<>]").finditer(dot, place):
        depth += 1 if bracket[0] == "<" else -1
        if not depth:
            return bracket.end()
    return len(dot)


def _choose(engine: str, form: Form) -> str:
    """The name of the renderer to take."""
    if engine not in ("auto", *ENGINES):
        raise Refusal("NS740", f"there is no renderer `{engine}`", helps=(f"choose one of auto, {', '.join(ENGINES)}",), status=2)
    for name in ENGINES if engine == "auto" else (engine,):
        if _command(name) and (form != "pdf" or name != "graphviz-pure" or _font_is_here()):
            return name
    raise _missing(engine, form)


def _missing(engine: str, form: Form) -> Refusal:
    """What to install."""
    if form == "pdf" and engine in ("auto", "graphviz-pure") and _command("graphviz-pure"):
        what, fix = "a PDF needs a font and fontTools to put it in, which are not installed", "pip install 'netspec-lang[pdf]'"
    elif engine == "dot":
        what, fix = "`dot` is not installed", "install Graphviz from your system's packages, or leave `--engine` out"
    else:
        package = "graphviz-pure" if engine == "auto" else engine
        what, fix = f"drawing needs the package `{package}`, which is not installed", f"pip install {package}"
    return Refusal("NS016", what, helps=(fix, "`-o FILE.dot` writes the picture's text, which any Graphviz draws"), status=3)


def _command(engine: str) -> list[str]:
    """How to call a renderer, without its flags: all take those of `dot`. Empty where it is not installed."""
    from importlib.util import find_spec

    if engine == "pygraphviz":
        return [sys.executable, "-m", "netspec.backends.diagram.drawing.worker"] if find_spec("pygraphviz") else []
    program = shutil.which("dot") if engine == "dot" else _binary("graphviz-pure")
    return [program] if program else []


def _binary(name: str) -> str | None:
    """The program that a Python package brought: beside this Python, where it puts its scripts, on the path, or where its list of
    files says (an installation for one user, or into a folder)."""
    import sysconfig

    beside = os.pathsep.join((os.path.dirname(sys.executable), sysconfig.get_path("scripts")))
    return shutil.which(name, path=beside) or shutil.which(name) or _listed(name)


def _listed(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, files

    try:
        places = [file.locate() for file in files(name) or () if file.stem == name]
    except PackageNotFoundError:
        return None
    return next((str(Path(place).resolve()) for place in places if os.access(place, os.X_OK)), None)


def _font_is_here() -> bool:
    from importlib.util import find_spec

    return find_spec("fontTools") is not None and find_spec("fontpkg_arimo") is not None


def _run(engine: str, dot: bytes, *flags: str) -> bytes:
    """What the renderer writes for a DOT text. Raises Refusal (NS741, NS742)."""
    import subprocess

    try:
        done = subprocess.run([*_command(engine), *flags], input=dot, capture_output=True, timeout=TIME_LIMIT, env=_environment())
    except subprocess.TimeoutExpired:
        raise Refusal("NS741", f"{engine} was stopped after {TIME_LIMIT:g} seconds of drawing", helps=(_DRAW_LESS,)) from None
    except OSError as error:
        raise Refusal("NS742", f"{engine} does not start: {error.strerror or error}", helps=_another(engine)) from None
    said = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in said if line.startswith("Error:")]
    if errors or done.returncode or not done.stdout:
        reason = (errors or said[-1:] or [f"it ended with status {done.returncode}, and wrote nothing"])[0]
        raise Refusal("NS742", f"{engine} failed: {reason[:300]}", helps=_another(engine))
    return done.stdout


def _another(engine: str) -> tuple[str, ...]:
    """Advice to take another renderer, if there is one."""
    others = [name for name in engines() if name != engine]
    return (f"another renderer may do: `--engine {others[0]}`",) if others else ()


def _environment() -> dict[str, str]:
    """The environment of a renderer. A Graphviz that finds SERVER_NAME in it takes itself to serve strangers and opens no file that a
    picture names (the newest no longer asks); GV_FILE_PATH would name folders that it opens all the same. A worker finds the
    netspec that calls it."""
    kept = {key: value for key, value in os.environ.items() if key not in ("GV_FILE_PATH", "PYTHONPATH")}
    root = str(Path(__file__).resolve().parents[4])
    path = os.pathsep.join((root, *filter(None, [os.environ.get("PYTHONPATH")])))
    return {**kept, "SERVER_NAME": "netspec", "PYTHONPATH": path}


def _resolution(svg: bytes) -> int:
    """Dots per inch for a PNG of the same picture. Raises Refusal (NS743) where it is so large that nobody could read it."""
    size = _SIZE.search(svg[:2000])
    if size is None:
        return _SHARP
    width, height = (max(float(points), 1.0) / _POINTS_PER_INCH for points in size.groups())
    dpi = int(min(_SHARP, (_PIXELS / (width * height)) ** 0.5, _SIDE / max(width, height)))
    if dpi < _COARSE:
        message = f"a picture of {width:,.0f} by {height:,.0f} inches is too large for a PNG that could be read"
        raise Refusal("NS743", message, helps=("write `.svg` or `.pdf`, which have no pixels", _DRAW_LESS))
    return dpi


def _stamped(png: bytes, dpi: int) -> bytes:
    """The PNG with its resolution in it (a `pHYs` chunk, in pixels per metre), so that papers show it in its own size."""
    import struct
    import zlib

    header = 8 + 25  # the signature, and the chunk IHDR, which comes first
    if not png.startswith(b"\x89PNG\r\n\x1a\n") or b"pHYs" in png[header : header + 200]:
        return png
    per_metre = round(dpi / 0.0254)
    body = b"pHYs" + struct.pack(">IIB", per_metre, per_metre, 1)
    return png[:header] + struct.pack(">I", 9) + body + struct.pack(">I", zlib.crc32(body)) + png[header:]
