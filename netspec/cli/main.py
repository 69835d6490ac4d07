"""The entry point: which command is meant, and how every outcome becomes an exit status.

0 fine, 1 the spec (or what was checked) is at fault, 2 the call is at fault, 3 an extra is missing, 70 our bug,
130 interrupted. Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from importlib import import_module
from typing import NoReturn, Sequence

from netspec.diagnostics.model import Refusal, SpecError

COMMANDS: dict[str, str] = {
    "check": "parse, expand, infer shapes; report everything that is wrong",
    "fmt": "format in place",
    "summary": "the layer table: labels, shapes, parameters, multiply-accumulates, valid input sizes",
    "rf": "receptive fields: size, stride, alignment, holes, and the effective field; `--plot`",
    "diagram": "draw a network: .svg, .png, .pdf, .dot, or a page on which blocks open by a click",
    "report": "everything about a network on one page: diagram, layers, plots, sizes, diagnostics, source",
    "build": "compile to .onnx, .py, .pt2, .ts, .safetensors or .json; packages for servers",
    "run": "run a spec or an .onnx file in onnxruntime",
    "bench": "measure a network in PyTorch and onnxruntime side by side: time, memory, GFLOP/s; a roofline",
    "verify": "hold PyTorch and onnxruntime against each other",
    "train": "run the spec's `train` sections on data: progress, checkpoints, resume, metrics",
    "sweep": "search the values with which a network trains best: grid, random, Bayesian",
    "diff": "what changed between two networks: layers, shapes, cost, receptive field, checkpoints",
    "explain": "what a diagnostic means, with examples",
    "ops": "the catalogue of operators",
    "zoo": "the networks that ship",
    "new": "write a starting file",
}


#: which extra of ours brings a package that is imported on demand
_EXTRAS = {
    "torch": "torch", "PIL": "images", "h5py": "hdf5", "matplotlib": "plot", "fontTools": "pdf", "fontpkg_arimo": "pdf",
    "torchmetrics": "train", "kornia": "train", "rich": "train", "tensorboard": "tensorboard", "optuna": "sweep", "pyarrow": "data",
}  # fmt: skip


class Parser(argparse.ArgumentParser):
    """argparse with our own manner of refusing: a coded line, exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Refuse a call that cannot be understood."""
        raise Refusal("NS015", message[0].lower() + message[1:], helps=(f"{self.prog} --help",), status=2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; its exit status. Never raises (but under `--debug`)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [a for a in given if a != "--debug"]
    # Pydantic would read the metadata of every installed package for plugins, a tenth of our start-up; we use none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _write_what_can_be()
    try:
        return _dispatch(given)
    except BaseException as failure:
        if debug and not isinstance(failure, SystemExit):
            raise
        return _status(failure, given[0] if given else "")


def _write_what_can_be() -> None:
    """Let standard output show `?` for what its encoding lacks (lines and arrows in ASCII, names that are no text), as standard error
    does in its own way: a table with marks in it is better than none."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")


def _dispatch(given: list[str]) -> int:
    if not given or given[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0 if given else 2
    if given[0] in ("-V", "--version"):
        from netspec import __version__

        print(f"netspec {__version__}")
        return 0
    name = given[0]
    if name not in COMMANDS:
        from netspec.diagnostics.nearest import suggestion

        raise Refusal("NS015", f"there is no command `{name}`", helps=(*suggestion(name, COMMANDS), "netspec --help"), status=2)
    command = import_module(f"netspec.cli.{name}")
    parser = Parser(prog=f"netspec {name}", description=command.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.arguments(parser)
    status: int = command.run(parser.parse_args(given[1:]))
    sys.stdout.flush()
    return status


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = ["netspec: the language in which neural networks are written down", "", "usage: netspec COMMAND …", ""]
    lines.extend(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())
    return "\n".join([*lines, "", "`netspec COMMAND --help` tells more of each."])


def _status(failure: BaseException, command: str) -> int:
    """The exit status for a failure, after saying what it was."""
    from netspec.cli.output import complain

    if isinstance(failure, SystemExit):
        return failure.code if isinstance(failure.code, int) else 2
    if isinstance(failure, Refusal):
        complain([failure.diagnostic])
        return failure.status
    if isinstance(failure, SpecError):
        complain(failure.diagnostics)
        return 1
    if isinstance(failure, KeyboardInterrupt):
        return 130
    if isinstance(failure, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return _unexpected(failure, command)


def _unexpected(failure: BaseException, command: str) -> int:
    from netspec.cli.output import complain
    from netspec.diagnostics.model import Diagnostic

    if isinstance(failure, ModuleNotFoundError) and failure.name and not failure.name.startswith("netspec"):
        package = failure.name.partition(".")[0]
        extra = command if command in _EXTRAS.values() and package == "torch" else _EXTRAS.get(package)
        helps = (f"pip install 'netspec-lang[{extra}]'" if extra else f"pip install {package}",)
        complain([Diagnostic("NS016", f"this needs the package `{package}`, which is not installed", helps=helps)])
        return 3
    if isinstance(failure, OSError):
        complain([Diagnostic("NS017", f"{failure.filename or 'the system'}: {failure.strerror or failure}")])
        return 1
    text = f"{type(failure).__name__}: {failure}"
    helps = ("this is a bug in netspec: please report it, with the spec if you can", "`--debug` shows the traceback")
    complain([Diagnostic("NS900", text, helps=helps)])
    return 70
