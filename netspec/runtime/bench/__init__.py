"""Benchmarks: the same network in PyTorch and in onnxruntime, by provider, precision and batch."""

from netspec.runtime.bench.measure import bench, bench_file
from netspec.runtime.bench.plan import Plan
from netspec.runtime.bench.result import Bench, Row

__all__ = ["Bench", "Plan", "Row", "bench", "bench_file"]
