"""A folder that a Triton Inference Server loads: `models/unet/config.pbtxt` and `models/unet/1/model.onnx`.

The configuration follows https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto; the names, element
types and shapes in it are the spec's. An axis that is open is -1; where every input and output has the same open batch first, and no
condition is on it, that axis is left to the server, which then puts requests together.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from netspec.analyses.constraints import valid_sizes
from netspec.analyses.examples import apart
from netspec.analyses.summary import batch_sizes
from netspec.backends.onnx.metadata import labels_in
from netspec.diagnostics.model import Refusal
from netspec.files import write_atomic
from netspec.graph import Graph, Port

#: What a configuration of ours begins with; a folder with any other one is somebody else's.
HEADER = "# Written by netspec"
#: How many requests the server may put together, where it may.
MAX_BATCH = 32
#: What runs a part of the model, where the server's machine has it: as Triton calls it, and on what.
ACCELERATORS = {"tensorrt": "gpu", "openvino": "cpu"}
LABELS_FILE = "labels.txt"

_TYPES = {
    "bool": "TYPE_BOOL", "uint8": "TYPE_UINT8", "uint16": "TYPE_UINT16", "uint32": "TYPE_UINT32", "uint64": "TYPE_UINT64",
    "int8": "TYPE_INT8", "int16": "TYPE_INT16", "int32": "TYPE_INT32", "int64": "TYPE_INT64",
    "float16": "TYPE_FP16", "bfloat16": "TYPE_BF16", "float32": "TYPE_FP32", "float64": "TYPE_FP64",
}  # fmt: skip


def save_package(
    graph: Graph, folder: str | os.PathLike[str], write_model: Callable[[str], None], facts: Mapping[str, str] | None = None,
    *, low: str = "float32", accelerator: str | None = None,
) -> Path:  # fmt: skip
    """Make `folder/<net>`, whole or not at all; `write_model` is given the path of the ONNX file. The package's path.

    `facts` are the model's metadata, of which the class names become a file of labels; `low` is the element type of the model's
    float32 ports. One that netspec made before is replaced. Raises Refusal: NS755 where a folder of another kind has the name, NS020
    where the system says no, and what `write_model` does.
    """
    if not (graph.name.isascii() and graph.name.isidentifier()):
        raise Refusal("NS755", f"`{graph.name}` is no name for a folder of a model repository")
    labels = labels_in(facts or {}).get("", [])
    package = Path(folder) / graph.name
    try:
        with _replacing(package) as fresh:
            os.makedirs(fresh / "1")
            write_model(str(fresh / "1" / "model.onnx"))
            if any(_is_labelled(graph, port, labels) for port in graph.outputs):
                write_atomic(fresh / LABELS_FILE, "".join(f"{label}\n" for label in labels).encode())
            write_atomic(fresh / "config.pbtxt", configuration(graph, labels, low, accelerator).encode())
    except OSError as error:
        raise Refusal("NS020", f"{package} cannot be written: {error.strerror or error}") from error
    return package


# -------------------------------------------------------------------------------------------------------- configuration
def configuration(graph: Graph, labels: Sequence[str] = (), low: str = "float32", accelerator: str | None = None) -> str:
    """The text of `config.pbtxt`."""
    batch = served_batch(graph)
    lines = [f"{HEADER}: the shapes and types are those of the net `{graph.name}`.", *_conditions(graph, batch)]
    lines += [f"name: {_text(graph.name)}", 'backend: "onnxruntime"', 'default_model_filename: "model.onnx"']
    lines.append(f"max_batch_size: {MAX_BATCH if batch else 0}")
    for what, ports in (("input", graph.inputs), ("output", graph.outputs)):
        for port in ports:
            label = what == "output" and _is_labelled(graph, port, labels)
            lines += [f"{what} {{", *_port(graph, port, batch, low), *([f"  label_filename: {_text(LABELS_FILE)}"] if label else []), "}"]
    if batch:
        lines.append("dynamic_batching {\n}")
    lines.append("instance_group {\n  count: 1\n  kind: KIND_AUTO\n}")
    if accelerator:
        inner = f"    {ACCELERATORS[accelerator]}_execution_accelerator {{\n      name: {_text(accelerator)}\n    }}"
        lines.append(f"optimization {{\n  execution_accelerators {{\n{inner}\n  }}\n}}")
    return "\n".join(lines) + "\n"


def served_batch(graph: Graph) -> str | None:
    """The open size that the server may put requests together along: the first axis of every port, nowhere else, without conditions,
    and with examples that do not see one another; None where there is no such size."""
    return next((name for name in batch_sizes(graph) if valid_sizes(graph).solution(name).everything and apart(graph, name)), None)


def _port(graph: Graph, port: Port, batch: str | None, low: str) -> list[str]:
    """The fields of an input or output. Triton has no empty `dims`: one element, reshaped to none, stands for it."""
    value = graph.values[port.value]
    shape = value.shape[1:] if batch else value.shape
    dims = ", ".join(str(size) if isinstance(size, int) else "-1" for size in shape)
    dtype = low if value.dtype == "float32" else value.dtype
    fields = [f"  name: {_text(port.name)}", f"  data_type: {_TYPES[dtype]}", f"  dims: [ {dims or 1} ]"]
    return fields if shape else [*fields, "  reshape {\n    shape: [ ]\n  }"]


def _is_labelled(graph: Graph, port: Port, labels: Sequence[str]) -> bool:
    """Whether an output has a score for each class: `[N, classes]`."""
    shape = graph.values[port.value].shape
    return bool(labels) and len(shape) == 2 and shape[1] == len(labels)


def _conditions(graph: Graph, batch: str | None) -> list[str]:
    """What the server does not check, for who reads the file."""
    parts = [str(part) for part in valid_sizes(graph).parts]
    open_sizes = [size.name for size in graph.sizes if size.name != batch]
    return [f"# Open sizes: {', '.join(open_sizes)}", *(f"#   {part}" for part in parts)] if open_sizes else []


def _text(value: str) -> str:
    """A string of the protocol buffers' text format."""
    quoted = "".join(_ESCAPES.get(c) or (c if c.isprintable() else "".join(f"\\{byte:03o}" for byte in c.encode())) for c in value)
    return f'"{quoted}"'


_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


# --------------------------------------------------------------------------------------------------------------- folder
@contextmanager
def _replacing(package: Path) -> Iterator[Path]:
    """A fresh folder that takes the package's place when the block ends without an exception; otherwise nothing has happened."""
    _check_replaceable(package)
    made = [folder for folder in (package.parent, *package.parent.parents) if not folder.exists()]
    os.makedirs(package.parent, exist_ok=True)
    place = _beside(package.parent)
    mark = os.urandom(8).hex()
    fresh, old = place / f".{package.name}.{mark}.tmp", place / f".{package.name}.{mark}.old"
    whole = False
    try:
        fresh.mkdir()
        yield fresh
        if package.exists():
            os.rename(package, old)
        os.rename(fresh, package)
        whole = True
    finally:
        if old.exists() and not package.exists():
            os.rename(old, package)
        for folder in (fresh, old):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in [] if whole else made:
            _remove_empty(folder)


def _beside(repository: Path) -> Path:
    """Where to work: beside the repository, so that a server which watches it sees no half model; inside, if that is a disk of its own."""
    parent = repository.resolve().parent
    same = os.stat(parent).st_dev == os.stat(repository).st_dev
    return parent if same and os.access(parent, os.W_OK) else repository


def _check_replaceable(package: Path) -> None:
    if not os.path.lexists(package):
        return
    config = package / "config.pbtxt"
    try:
        ours = not package.is_symlink() and config.read_bytes()[: len(HEADER)] == HEADER.encode()
    except OSError:
        ours = False
    if not ours:
        helps = ("choose another folder, or remove this one",)
        raise Refusal("NS755", f"{package} is there, and netspec did not write it", helps=helps, status=2)


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # somebody else put something there
        pass
