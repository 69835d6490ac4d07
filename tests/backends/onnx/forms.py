"""The forms that a network is written in, and what is asked of each: well-formed, of the types that it states, the same numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from netspec.backends.onnx import OnnxOptions, model_bytes
from netspec.backends.onnx.external import beside
from netspec.backends.onnx.write import _plan
from netspec.backends.weights import Piece, Weights
from netspec.graph import Graph, Tensor
from netspec.runtime.cases import Revealing
from netspec.sizes.dim import evaluate, parse

FORMS: dict[str, OnnxOptions] = {
    "plain": OnnxOptions(),
    "fold": OnnxOptions(fold=True),
    "functions": OnnxOptions(functions=True),
    "fold, functions": OnnxOptions(fold=True, functions=True),
    "fp16": OnnxOptions(precision="fp16"),
    "fp16, fold, functions": OnnxOptions(precision="fp16", fold=True, functions=True),
}


class Telling(Weights):
    """Weights that hide nothing, as a back end takes them."""

    def pieces(self, tensor: Tensor) -> Iterator[Piece]:
        """The tensor in one part."""
        yield Piece(int(np.prod(tensor.shape, dtype=np.int64)), lambda: Revealing(0).array(tensor).reshape(-1))


def hollow(graph: Graph, options: OnnxOptions, folder: Path) -> Path:
    """The model with a hole in place of its weights: all of its form, of any size, in the blink of an eye."""
    path = folder / "hollow.onnx"
    plan = _plan(graph, replace(options, external=True), Telling(), lambda model, _: beside(path, model.weights))
    buffer = BytesIO()
    plan.write_model(buffer)
    path.write_bytes(buffer.getvalue())
    if plan.outside.path is not None:
        with open(plan.outside.path, "wb") as file:
            os.truncate(file.fileno(), max((start + count for _, start, count in plan.outside.places.values()), default=0))
    return path


def well_formed(path: Path, sizes: Mapping[str, int]) -> str:
    """What is wrong with a model; nothing, if onnx's checker takes it, and strict shape inference finds the types that it states: with
    its inputs of these sizes, in which every size that it states is a number."""
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(str(path), load_external_data=False)
    stated = {value.name: value.type.tensor_type for value in (*model.graph.value_info, *model.graph.output)}
    stated = {name: (kind.elem_type, _sizes(kind, sizes)) for name, kind in stated.items()}
    del model.graph.value_info[:]
    for port in (*model.graph.input, *model.graph.output):
        for dim, size in zip(port.type.tensor_type.shape.dim, _sizes(port.type.tensor_type, sizes)):
            if port in model.graph.input:
                dim.dim_value = size  # type: ignore[assignment]
            else:
                dim.Clear()
    found = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    for value in (*found.graph.value_info, *found.graph.output):
        kind = value.type.tensor_type
        if value.name in stated and kind.HasField("shape") and not _agree(stated[value.name], (kind.elem_type, _sizes(kind, sizes))):
            return f"{value.name} is stated to be {stated[value.name]}, and inferred to be {(kind.elem_type, _sizes(kind, sizes))}"
    return ""


def _sizes(kind: onnx.TypeProto.Tensor, sizes: Mapping[str, int]) -> tuple[int | None, ...]:
    """The sizes of a type as numbers; None for one that shape inference made up."""
    return tuple(_size(dim, sizes) for dim in kind.shape.dim)


def _size(dim: onnx.TensorShapeProto.Dimension, sizes: Mapping[str, int]) -> int | None:
    if not dim.dim_param:
        return dim.dim_value if dim.HasField("dim_value") else None
    return None if dim.dim_param.startswith("unk__") else evaluate(parse(dim.dim_param), sizes)


def _agree(stated: tuple[int, tuple[int | None, ...]], found: tuple[int, tuple[int | None, ...]]) -> bool:
    if stated[0] != found[0] or len(stated[1]) != len(found[1]):
        return False
    return all(other is None or one == other for one, other in zip(stated[1], found[1]))


def outputs(graph: Graph, options: OnnxOptions, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """What onnxruntime makes of a form, on one thread."""
    settings = ort.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = 1, 3
    session = ort.InferenceSession(model_bytes(graph, Telling(), options), settings, providers=["CPUExecutionProvider"])
    return session.run(None, dict(feeds))


def distance(left: list[np.ndarray], right: list[np.ndarray]) -> float:
    """The largest difference of two results, as a share of the largest number of either."""
    worst = 0.0
    for a, b in zip(left, right, strict=True):
        a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
        assert a.shape == b.shape and np.array_equal(np.isnan(a), np.isnan(b))
        same = (a == b) | np.isnan(a)
        scale = max(np.abs(a[np.isfinite(a)]).max(initial=0.0), 1e-30)
        worst = max(worst, float(np.where(same, 0.0, np.abs(a - b)).max(initial=0.0) / scale))
    return worst
