"""A network as a program of PyTorch's own: `.pt2` by `torch.export`, `.ts` by TorchScript.

Both hold the generated source in evaluation mode with its weights. Sizes that the spec leaves open stay open: what the conditions
come to (`H % 32 == 0`) is told to torch.export as derived dimensions (`32 * _H`); a program that has fixed a size is refused, not
written. Each is tried at further sizes against the module, number by number, before it takes its name.

torch.export: https://docs.pytorch.org/docs/stable/export.html; PyTorch deprecates TorchScript in favour of it.
"""

from __future__ import annotations

import copy
import io
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from netspec.analyses.constraints import constraints
from netspec.backends.torch_module import build_module, load_weights, with_plain_outputs
from netspec.backends.torch_source import write_source
from netspec.backends.weights import Weights, arrays_of
from netspec.diagnostics.model import Refusal
from netspec.files import write_atomic
from netspec.graph import Graph, Port
from netspec.runtime import torch_refusals as refusals
from netspec.runtime.cases import accepts, inputs, size_cases
from netspec.runtime.torch_dims import dims, fixed, roomy
from netspec.version import VERSION

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

#: the extra file in either kind that says where it is from
FACTS = "netspec.json"
#: how far a program may be from the module: torch may order sums otherwise, nothing else
RELATIVE, ABSOLUTE = 1e-4, 1e-5
#: batches of the trials: the first is what torch looks at, and 1 is a number that it likes to fix
BATCHES = (3, 1, 2)


def save_exported(
    graph: Graph, path: str | os.PathLike[str], weights: Weights, metadata: Mapping[str, str] | None = None
) -> dict[str, int]:  # fmt: skip
    """Write a `.pt2`, which `torch.export.load` opens, atomically. Gives the least sizes that it takes, where torch needs them larger
    than the network does. Raises Refusal: NS755 for what torch cannot export, NS020."""
    import torch

    program, least = exported(graph, weights)
    extra = {FACTS: _facts(graph, metadata or {}, least)}
    write_atomic(path, _through_buffer(lambda file: torch.export.save(program, file, extra_files=extra)))
    return least


def save_scripted(graph: Graph, path: str | os.PathLike[str], weights: Weights, metadata: Mapping[str, str] | None = None) -> None:
    """Write a `.ts`, which `torch.jit.load` opens (LibTorch as well), atomically. Raises Refusal as `save_exported` does."""
    program = scripted(graph, weights)
    extra = {FACTS: _facts(graph, metadata or {})}
    held = io.BytesIO()
    with _quiet():
        import torch

        torch.jit.save(program, held, _extra_files=extra)
    write_atomic(path, held.getvalue())


def exported(graph: Graph, weights: Weights) -> "tuple[torch.export.ExportedProgram, dict[str, int]]":
    """The network as torch.export sees it, every open size open; and the least sizes that it takes, where those are more than the
    network asks for: some programs cannot be told for axes inside that are 1. Raises Refusal NS755."""
    refusals.check_steps(graph, lambda: _scripts(graph, weights))
    module, wide = _module(graph, weights), roomy(graph)
    failures: list[Exception] = []
    for least, oblivious in (({}, True), ({}, False), *([(wide, False)] if wide else [])):
        trials = _trials(graph, least)
        try:
            program = _export(module, trials[0], dims(graph, least), oblivious)
            closed = fixed(graph, program)
            if closed:
                raise ValueError(f"{closed[0]} is specialized")
            _compare(graph, module, program.module(), trials, "torch.export")
            return program, least
        except Exception as error:  # torch raises what it likes
            failures.append(error)
    if isinstance(failures[0], Refusal):
        raise failures[0]
    raise refusals.refused(graph, module, failures[0], ".pt2") from failures[0]


def _export(module: "nn.Module", given: list["Tensor"], shapes: list[dict[int, Any]], oblivious: bool) -> "torch.export.ExportedProgram":
    """One attempt. torch takes every size for other than 1, inside too, unless it is `oblivious` of that; and what it cannot prove of
    sizes (`1 + (H - 1) // 2 == (H + 1) // 2`) is checked when the program runs, not refused now."""
    import torch
    from torch.fx.experimental import _config

    with _quiet(), _config.patch(backed_size_oblivious=oblivious):
        return torch.export.export(
            with_plain_outputs(module), tuple(given), dynamic_shapes=(tuple(shapes),), prefer_deferred_runtime_asserts_over_guards=True
        )


def scripted(graph: Graph, weights: Weights) -> "torch.jit.ScriptModule":
    """The network in TorchScript: compiled from its source, or traced where TorchScript does not take that, with the blocks that it
    does take compiled. Raises Refusal NS755."""
    import torch

    module, trials = _module(graph, weights), _trials(graph)
    with _quiet():
        try:
            program = torch.jit.script(module)
            _compare(graph, module, program, trials, "TorchScript")
            return program
        except Exception:  # outside of the part of Python that it knows, or of the arithmetic that it has
            pass
        try:
            program = torch.jit.trace(with_plain_outputs(_partly_scripted(module)), tuple(trials[0]), check_trace=False)
        except Exception as error:
            raise refusals.refused(graph, module, error, ".ts") from error
        _compare(graph, module, program, trials, "tracing")
    return cast("torch.jit.ScriptModule", program)


def _scripts(graph: Graph, weights: Weights) -> bool:
    try:
        scripted(graph, weights)
    except Refusal:
        return False
    return True


def _partly_scripted(module: "nn.Module") -> "nn.Module":
    """The same module (weights shared) with those blocks of its own source compiled that TorchScript takes: a trace keeps the loops
    of these, and writes out the others. torch's layers stay, for a compiled one takes no packed sequences."""
    import torch

    done: dict[int, nn.Module] = {}

    def of(part: "nn.Module") -> "nn.Module":
        if id(part) not in done:
            done[id(part)] = compiled(part) or rebuilt(part)
        return done[id(part)]

    def compiled(part: "nn.Module") -> "nn.Module | None":
        if part is module or type(part).__module__ != type(module).__module__:
            return None
        try:
            return cast("nn.Module", torch.jit.script(part))
        except Exception:  # outside of the part of Python that it knows
            return None

    def rebuilt(part: "nn.Module") -> "nn.Module":
        own = copy.copy(part)
        own._modules = {name: child and of(child) for name, child in part._modules.items()}
        return own

    return of(module)


# ------------------------------------------------------------------------------------------------------------- the module
def _module(graph: Graph, weights: Weights) -> "nn.Module":
    module = build_module(write_source(graph), graph)
    load_weights(module, arrays_of(graph, weights))
    return module.eval().requires_grad_(False)


def _trials(graph: Graph, least: Mapping[str, int] | None = None) -> list[list["Tensor"]]:
    """Inputs at three settings of the open sizes, as far as there are so many, none of them under `least`."""
    import torch

    found = []
    for sizes in size_cases(graph, 3, BATCHES):
        wide = {name: max(size, (least or {}).get(name, 0)) for name, size in sizes.items()}
        found += [wide] if wide not in found and accepts(graph, wide) else []
    found = found or [graph.typical]
    return [[torch.from_numpy(array) for array in inputs(graph, sizes, "normal", seed).values()] for seed, sizes in enumerate(found)]


def _compare(graph: Graph, module: "nn.Module", program: Any, trials: list[list["Tensor"]], tool: str) -> None:
    """Raise Refusal NS755 unless the program gives the module's numbers in every trial."""
    import torch

    for given in trials:
        with torch.no_grad():
            expected = _tuple(module(*given))
            try:
                got = _tuple(program(*given))
            except Exception as error:
                raise refusals.closed(graph, given, tool, error) from error
        for port, ours, theirs in zip(graph.outputs, expected, got, strict=True):
            if ours.shape != theirs.shape or not torch.allclose(ours, theirs, RELATIVE, ABSOLUTE, equal_nan=True):
                raise refusals.different(graph, given, tool, port.name)


def _tuple(outputs: Any) -> tuple["Tensor", ...]:
    return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)


# --------------------------------------------------------------------------------------------------------------- writing
def _facts(graph: Graph, metadata: Mapping[str, str], least: Mapping[str, int] | None = None) -> str:
    """What the file says of itself, as JSON."""
    ports = {"inputs": _types(graph, graph.inputs), "outputs": _types(graph, graph.outputs)}
    sizes = {
        name: [*texts, *([f"{name} >= {least[name]}"] if least and name in least else [])] for name, texts in constraints(graph).items()
    }
    facts = {"net": graph.name, "digest": graph.digest, "netspec": VERSION, **ports, "sizes": sizes, "metadata": dict(metadata)}
    return json.dumps(facts, ensure_ascii=False)


def _types(graph: Graph, ports: tuple[Port, ...]) -> dict[str, str]:
    return {port.name: graph.values[port.value].dtype for port in ports}


def _through_buffer(write: Callable[[BinaryIO], None]) -> Callable[[BinaryIO], None]:
    """A writer of an unbuffered file from one that takes it for granted that everything it hands over is written."""

    def produce(file: BinaryIO) -> None:
        buffered = io.BufferedWriter(cast("io.RawIOBase", file))
        write(cast("BinaryIO", buffered))
        buffered.flush()
        buffered.detach()

    return produce


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's warnings and logs to itself: that TorchScript is deprecated, what tracing may miss, why an export failed."""
    import logging

    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
