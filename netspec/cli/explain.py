"""What a diagnostic means: when it is given, an example, and what to do."""

from __future__ import annotations

import argparse

from netspec.diagnostics.codes import CODES, page
from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion


def arguments(parser: argparse.ArgumentParser) -> None:
    """A code."""
    parser.add_argument("code", nargs="?", metavar="CODE", help="such as NS412; without one, all of them")


def run(options: argparse.Namespace) -> int:
    """Print a page, or the list."""
    if options.code is None:
        print("\n".join(f"{code}  {title}" for code, title in CODES.items()))
        return 0
    code = options.code.upper()
    if code not in CODES:
        raise Refusal("NS018", f"there is no diagnostic `{options.code}`", helps=(*suggestion(code, CODES), "netspec explain"), status=2)
    print(page(code).rstrip())
    return 0
