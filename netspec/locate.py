"""Where the data files that ship with the package lie: in a wheel, and in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data_path(kind: str, name: str = "") -> Path:
    """The path of a shipped file (or, with no name, of its folder); `kind` is `grammar` or `specs`.

    A wheel carries these folders inside the package, as `netspec/_data/<kind>`; in a checkout they lie beside it.
    Whether the file exists is for the caller to see.
    """
    packaged = _PACKAGE / "_data" / kind
    folder = packaged if packaged.is_dir() else _PACKAGE.parent / kind
    return folder / name if name else folder
