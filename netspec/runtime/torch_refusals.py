"""What to say where PyTorch cannot make a program of a network: its reason in short, the layer, and what can be done."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from netspec.diagnostics.model import Refusal
from netspec.graph import Graph, Node
from netspec.sizes.dim import names

if TYPE_CHECKING:
    from torch import Tensor, nn

_DATA = "what it does next depends on the numbers in a tensor"
_ONNX = "-o net.onnx says all of it"
#: how torch says it, and how we do
_WORDS = (
    (r"data[- ]dependent|unbacked|Could not guard|but got FakeTensor", _DATA),
    (r"specializ|constant|marked .* as dynamic|Not all values", "it takes an open size for the number that it was tried with"),
    (r"no kernel|not implemented|Unsupported|unsupported", "an operation is not known to it"),
)


def check_steps(graph: Graph, scripts: Callable[[], bool]) -> None:
    """Raise Refusal NS755 for a recurrence over an open number of steps, before torch takes its time to write every one of them out.

    `scripts` tells whether TorchScript takes the network: what is named as a way out is one."""
    node = _loop(graph)
    if node is None:
        return
    packed = _packed(graph)
    if packed is not None:
        why = f"{_DATA} at {packed.name}{_line(packed)}"
        helps: tuple[str, ...] = (_ONNX,)
    else:
        why = f"it writes out the steps of {node.name}{_line(node)}, and so fixes how many there are"
        helps = _helps(graph, " ".join(sorted(_steps(graph, node))))
    if scripts():
        helps = (*helps, "so does -o net.ts, TorchScript")
    raise Refusal("NS755", f"torch.export cannot make a .pt2 file of {graph.name}: {why}", helps=helps)


def refused(graph: Graph, module: "nn.Module", error: Exception, kind: str) -> Refusal:
    """The Refusal NS755 for an exception of torch's."""
    tool = {".pt2": "torch.export", ".ts": "TorchScript"}[kind]
    text = str(error)
    reason = next((words for pattern, words in _WORDS if re.search(pattern, text)), "it gives up")
    helps = (_ONNX,) if reason == _DATA else _helps(graph, text)
    node = _node(graph, module, error) or _loop(graph)
    where = f" at {node.name}{_line(node)}" if node is not None else ""
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return Refusal(
        "NS755", f"{tool} cannot make a {kind} file of {graph.name}: {reason}{where}",
        notes=(f"torch says: {first[:200]}",), helps=helps,
    )  # fmt: skip


def closed(graph: Graph, given: list["Tensor"], tool: str, error: Exception) -> Refusal:
    """A program that does not take sizes which the spec allows."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return _fixes(graph, given, tool, (f"torch says: {first[:200]}",))


def different(graph: Graph, given: list["Tensor"], tool: str, output: str) -> Refusal:
    """A program that gives other numbers at sizes which it was not made at."""
    return _fixes(graph, given, tool, (f"`{output}` is not what the network gives",))


def _fixes(graph: Graph, given: list["Tensor"], tool: str, notes: tuple[str, ...]) -> Refusal:
    shapes = ", ".join(f"{port.name} {list(x.shape)}" for port, x in zip(graph.inputs, given))
    node = next((loop for loop in _loops(graph) if tool == "tracing" and loop.op.NAME == "scan"), _loop(graph))
    where = f" (at {node.name}{_line(node)}, perhaps)" if node is not None else ""
    message = f"{tool} does not keep the sizes of {graph.name} open{where}: the program is wrong for {shapes}"
    return Refusal("NS755", message, notes=notes, helps=_helps(graph, ""))


def _helps(graph: Graph, text: str) -> tuple[str, ...]:
    """Sizes that can be made numbers: those that torch names, or all that are no batch."""
    every = [size for size in graph.sizes if size.name not in _batch(graph)] or list(graph.sizes)
    named = [size for size in every if re.search(rf"\b_?{re.escape(size.name)}\b", text)] or every
    if not named:
        return (_ONNX,)
    return (f"--static {','.join(f'{size.name}={size.typical}' for size in named)} makes them numbers", "-o net.onnx keeps every size open")


def _batch(graph: Graph) -> set[str]:
    from netspec.analyses.summary import batch_sizes

    return set(batch_sizes(graph))


def _node(graph: Graph, module: "nn.Module", error: BaseException) -> Node | None:
    """The layer whose module an exception came through, the innermost."""
    labels = {id(part): name for name, part in module.named_modules() if name}
    found = ""
    trace = error.__traceback__
    while trace is not None:
        held: Any = trace.tb_frame.f_locals.get("self")
        found = labels.get(id(held), found)
        trace = trace.tb_next
    return next((node for node in graph.all_nodes() if found and (node.label == found or node.label.startswith(f"{found}."))), None)


def _loop(graph: Graph) -> Node | None:
    """The first layer of many steps, of which torch.export is known to fix how many there are, where that is open."""
    return next(_loops(graph), None)


def _loops(graph: Graph) -> Iterator[Node]:
    for node in graph.nodes:
        if any("open number of steps" in limitation.condition for limitation in node.op.LIMITATIONS) and _steps(graph, node):
            yield node


def _packed(graph: Graph) -> Node | None:
    """The first recurrent layer whose sequences are packed by their lengths: torch.export knows no such thing, however many steps."""
    packs = (node for node in graph.all_nodes() if node.op.FAMILY == "recurrent" and getattr(node.op, "lengths", False))
    return next((node for node in packs if getattr(node.op, "reset", "after") == "after"), None)


def _steps(graph: Graph, node: Node) -> set[str]:
    """The open sizes, but for the batch, of what a recurrence goes through."""
    sizes = [size for number in node.inputs for size in graph.values[number].shape if not isinstance(size, int)]
    return {name for size in sizes for name in names(size)} - _batch(graph)


def _line(node: Node) -> str:
    return f" (line {node.origin.line})" if node.origin is not None else ""
