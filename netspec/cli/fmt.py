"""Format specs in place. Comments and groups of lines stay; formatting twice changes nothing."""

from __future__ import annotations

import argparse
import difflib
import sys

from netspec.cli.output import complain, read_stdin
from netspec.diagnostics.model import Report
from netspec.files import write_atomic
from netspec.reading import decode, read_source
from netspec.source import Source


def arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC…, `--check`, `--diff`."""
    parser.add_argument("spec", metavar="SPEC", nargs="+", help="files to format, or - for standard input")
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 where something would change")
    parser.add_argument("--diff", action="store_true", help="change nothing; print what would change")


def run(options: argparse.Namespace) -> int:
    """Format all files; 1 where one cannot be read as a spec, or would change under `--check` or `--diff`."""
    status = 0
    for spec in options.spec:
        status = max(status, _format_one(spec, options))
    return status


def _format_one(spec: str, options: argparse.Namespace) -> int:
    from netspec.syntax.format import format

    stdin = read_stdin(spec)
    source = decode(stdin, "<stdin>", None) if stdin is not None else read_source(spec)
    report = Report()
    text = format(source, report)
    if text is None:
        complain(report.errors)
        return 1
    changed = text != source.text
    if options.diff and changed:
        _print_diff(source, text)
    if options.check or options.diff:
        if changed and options.check:
            print(f"{source.name} would be reformatted", file=sys.stderr)
        return int(changed)
    if stdin is not None:
        sys.stdout.write(text)
    elif changed:
        write_atomic(spec, text.encode())
        print(f"{source.name}: formatted", file=sys.stderr)
    return 0


def _print_diff(source: Source, text: str) -> None:
    before, after = source.text.splitlines(keepends=True), text.splitlines(keepends=True)
    sys.stdout.writelines(difflib.unified_diff(before, after, source.name, source.name))
