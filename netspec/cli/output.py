"""What commands share: where results and remarks go, and the arguments that every command with a SPEC takes."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any, Iterable

from netspec.api import Compilation, compile, open_spec
from netspec.diagnostics.model import Diagnostic, Refusal, Severity, SpecError
from netspec.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from netspec.graph import Graph


def coloured(stream: Any) -> bool:
    """Whether a stream wants colour: a terminal, and no `NO_COLOR`."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def complain(diagnostics: Iterable[Diagnostic], limits: Limits = DEFAULT_LIMITS) -> None:
    """Write findings to standard error, the first hundred whole."""
    from netspec.diagnostics.render import render

    found = list(diagnostics)
    for diagnostic in found[: limits.diagnostics]:
        print(render(diagnostic, coloured(sys.stderr)), end="\n\n", file=sys.stderr)
    if len(found) > limits.diagnostics:
        print(f"… and {len(found) - limits.diagnostics} more", file=sys.stderr)


def spec_arguments(parser: argparse.ArgumentParser, many: bool = False) -> None:
    """SPEC, `-p`, `--size` and `--limit`."""
    parser.add_argument("spec", metavar="SPEC", nargs="+" if many else None, help="file.net, file.net:net, zoo.family:net, or -")
    call_arguments(parser)


def call_arguments(parser: argparse.ArgumentParser) -> None:
    """`-p`, `--size` and `--limit`."""
    parser.add_argument("-p", dest="parameters", metavar="NAME=VALUE", action="append", default=[], help="a parameter of the net")
    parser.add_argument("--size", dest="sizes", metavar="H=512,…", action="append", default=[], help="typical values of open sizes")
    parser.add_argument("--limit", dest="limits", metavar="NAME=N", action="append", default=[], help="raise a bound, e.g. nodes=500000")


def static_arguments(parser: argparse.ArgumentParser) -> None:
    """`--static` and `--batch`."""
    parser.add_argument("--static", metavar="H=512,…", action="append", default=[], help="make open sizes these numbers: nothing else fits")
    parser.add_argument("--batch", type=positive, metavar="N", help="the same of the batch")


def positive(text: str) -> int:
    """An argument that is a positive whole number."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no positive whole number")
    return int(text)


def pairs(texts: list[str], what: str) -> dict[str, str]:
    """`["H=512,W=512"]` as a mapping. Raises `Refusal` for anything else, and for a name with two values."""
    found: dict[str, str] = {}
    for text in texts:
        for item in _split(text):
            name, sign, value = item.partition("=")
            if not sign or not name.strip().isidentifier():
                raise Refusal("NS015", f"{what} is written NAME=VALUE, not `{item}`", status=2)
            if found.setdefault(name.strip(), value.strip()) != value.strip():
                raise Refusal("NS015", f"`{name.strip()}` is given twice: {found[name.strip()]} and {value.strip()}", status=2)
    return found


def _split(text: str) -> list[str]:
    """Split at commas outside of brackets."""
    items, depth, start = [], 0, 0
    for index, character in enumerate(text):
        depth += (character in "[(") - (character in "])")
        if character == "," and depth == 0:
            items.append(text[start:index])
            start = index + 1
    return [*items, text[start:]]


def value_of(text: str) -> Any:
    """A parameter's value as written on a command line: a number, true, false, none, a list of these, or a word."""
    text = text.strip()
    if text in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[text]
    if text.startswith("[") and text.endswith("]"):
        return [value_of(item) for item in _split(text[1:-1])] if text[1:-1].strip() else []
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text


def limits_of(options: argparse.Namespace) -> Limits:
    """The bounds, with those raised that `--limit` names."""
    from dataclasses import replace

    given = pairs(options.limits, "a limit")
    for name, value in given.items():
        if name not in Limits.__dataclass_fields__ or not value.isdigit():
            known = ", ".join(Limits.__dataclass_fields__)
            raise Refusal("NS015", f"there is no limit `{name}={value}`", helps=(f"limits: {known}",), status=2)
    return replace(DEFAULT_LIMITS, **{name: int(value) for name, value in given.items()})


def call_of(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, int]]:
    """The net's parameters and the typical sizes that a command line gives."""
    parameters = {name: value_of(text) for name, text in pairs(options.parameters, "a parameter").items()}
    return parameters, _sizes(options.sizes)


def static_of(options: argparse.Namespace) -> dict[str, int]:
    """The open sizes that a command line makes numbers (`--static H=512`)."""
    return _sizes(getattr(options, "static", []))


def _sizes(texts: list[str]) -> dict[str, int]:
    sizes = pairs(texts, "a size")
    for name, text in sizes.items():
        if not text.isdigit() or int(text) < 1:
            raise Refusal("NS015", f"a size is a positive whole number, not `{name}={text}`", status=2)
    return {name: int(text) for name, text in sizes.items()}


def compiled(options: argparse.Namespace) -> Compilation:
    """The one net that a command line means. Raises `SpecError` or `Refusal`; warnings go to standard error."""
    limits = limits_of(options)
    source, net = open_spec(options.spec, limits, read_stdin(options.spec))
    (parameters, sizes), static = call_of(options), static_of(options)
    for name in sizes.keys() & static.keys():
        raise Refusal("NS015", f"`{name}` is open with --size, and a number with --static", helps=("give one of them",), status=2)
    done = compile(source, net, parameters, sizes, limits, static)
    if done.graph is not None and getattr(options, "batch", None):
        done = compile(source, net, parameters, sizes, limits, {**static, **_batch(done.graph, options.batch)})
    if done.graph is None:
        raise SpecError(done.report.errors)
    complain(d for d in done.report.diagnostics if d.severity is Severity.WARNING)
    return done


def _batch(graph: "Graph", batch: int) -> dict[str, int]:
    """The open sizes of the batch, as that number. Raises `Refusal` (NS015) where there is none."""
    from netspec.analyses.summary import batch_sizes

    names = batch_sizes(graph)
    if not names:
        first = [f"`{port.name}` {graph.values[port.value].type}" for port in graph.inputs[:4]]
        raise Refusal("NS015", f"--batch {batch}: no input of {graph.name} begins with an open size", notes=(", ".join(first),), status=2)
    return dict.fromkeys(names, batch)


def read_stdin(spec: str) -> bytes | None:
    """Standard input, where the spec is `-`."""
    return sys.stdin.buffer.read() if spec == "-" or spec.startswith("-:") else None
