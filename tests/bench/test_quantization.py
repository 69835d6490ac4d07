"""ResNet-50 in int8 against float32, in onnxruntime, on a processor that multiplies bytes (VNNI)."""

from __future__ import annotations

from pathlib import Path
from time import process_time

import numpy as np
import pytest

from netspec.api import load
from netspec.backends.onnx import OnnxOptions, model_bytes
from netspec.backends.weights import Initial
from netspec.runtime.arguments import Signature
from netspec.runtime.quantization import examples_of, quantized_model
from tests.bench.process import best_ratio

pytestmark = pytest.mark.bench

_CPU = Path("/proc/cpuinfo")
_VNNI = _CPU.exists() and bool({"avx512_vnni", "avx_vnni"} & set(_CPU.read_text().split()))


@pytest.mark.skipif(not _VNNI, reason="this processor has no VNNI")
@pytest.mark.parametrize("batch", [1, 8])
def test_resnet50_is_two_and_a_half_times_as_fast_in_int8(batch: int) -> None:
    ort = pytest.importorskip("onnxruntime")
    graph = load("zoo.resnet:resnet50").graph
    images = np.random.default_rng(0).standard_normal((8, 3, 224, 224), dtype=np.float32)
    plain = model_bytes(graph, Initial(0), OnnxOptions(fold=True))
    low = quantized_model(plain, examples_of(Signature.of(graph), {"image": images}), leave_out=False).model.SerializeToString()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1

    def seconds(session: "ort.InferenceSession") -> float:
        start = process_time()
        for _ in range(8 // batch):
            session.run(None, {"image": images[:batch]})
        return process_time() - start

    before, after = (ort.InferenceSession(model, options, providers=["CPUExecutionProvider"]) for model in (plain, low))
    seconds(before), seconds(after)
    assert best_ratio(lambda: seconds(before), lambda: seconds(after), 2.5) >= 2.5
