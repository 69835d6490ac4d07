"""Benchmarks: the arithmetic of rounds, spreads and agreement by itself, then whole measurements of tiny networks."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netspec.api import loads
from netspec.diagnostics.model import Refusal
from netspec.runtime import binding, providers
from netspec.runtime.bench import Plan, bench, bench_file, child, engines, measure
from netspec.runtime.bench.agreement import PLACES, difference, sample
from netspec.runtime.bench.child import Host
from netspec.runtime.bench.engines import Task
from netspec.runtime.bench.failures import ending, reason
from netspec.runtime.bench.memory import device_free, peak, reset_peak, resident
from netspec.runtime.bench.plan import Contender, checked, matches, meaningless, schedule, turned
from netspec.runtime.bench.process import Child, Failure
from netspec.runtime.bench.statistics import settled, speeds, spread
from netspec.runtime.bench.subject import of_graph

TINY = loads(
    "net tiny { input x: [N, 3, H = 8, W = 8]; output y = x -> conv(4, 3) -> bn -> relu -> global_avg_pool -> flatten -> linear(5) }"
)
FAST = {"threads": 1, "runs": 12}


# ---------------------------------------------------------------------------------------------------------- arithmetic
def test_a_spread_is_numpys() -> None:
    numbers = list(np.random.default_rng(0).lognormal(size=37))
    found = spread(numbers)
    assert (found.low, found.median, found.high) == pytest.approx(tuple(np.quantile(numbers, [0.25, 0.5, 0.75])))
    assert found.deviation == pytest.approx(np.median(np.abs(numbers - np.median(numbers)))) and found.count == 37
    with pytest.raises(ValueError):
        spread([])


@pytest.mark.parametrize(
    ("times", "over"),
    [([1.0, 1.0, 1.0], False), ([1.0] * 4, True), ([9, 5, 3, 2, 1.5, 1.2], False), ([9, 1.0, 1.3, 0.99, 1.1], True), ([], False)],
)  # fmt: skip
def test_warm_up_is_over_when_nothing_is_gained(times: list[float], over: bool) -> None:
    assert settled(times) is over


def test_what_slows_a_whole_round_is_no_difference() -> None:
    weather = [1.0, 7.0, 1.5, 30.0]
    ratio = speeds([[3.0 * w, 3.3 * w, 90.0 * w] for w in weather], [[1.1 * w] for w in weather])
    assert ratio is not None and (ratio.low, ratio.median, ratio.high) == pytest.approx((3.0, 3.0, 3.0))
    assert speeds([[1.0], []], [[], [1.0]]) is None


def test_rounds_take_the_time_that_is_given() -> None:
    plan = schedule([0.001, 0.01, 0.05], 3.0)
    assert len(plan) == 30 and plan[0] == (100, 10, 2)
    slow = schedule([4.0, 0.001], 3.0)
    assert len(slow) == 5 and slow[0] == (1, 600)
    assert schedule([], 1.0) and all(calls >= 1 for turn in schedule([1e-9, 0.2], 0.01) for calls in turn)


@pytest.mark.parametrize("runs", [1, 2, 7, 10, 23, 1000])
def test_runs_are_exact(runs: int) -> None:
    plan = schedule([0.5, 0.001], 3.0, runs)
    assert [sum(turn[i] for turn in plan) for i in (0, 1)] == [runs, runs] and all(min(turn) > 0 for turn in plan)


def test_everyone_begins_equally_often() -> None:
    orders = [turned("abc", number) for number in range(12)]
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert [sum(order[0] == who for order in orders) for who in "abc"] == [4, 4, 4]
    followers = {pair for order in orders for pair in zip(order, order[1:])}
    assert len(followers) == 6 and turned([], 3) == []


def test_the_plan_is_a_table_of_words() -> None:
    plan = checked(Plan(("ort", "eager", "ort"), ("cpu", "cuda"), ("fp32", "bf16"), (8, 1)), ("cpu", "cuda"))
    (first, second) = matches(plan, plan.batches)
    assert first[0] == Contender("ort", "cpu", "fp32", 8) and second[-1] == Contender("eager", "cuda", "bf16", 1) and len(first) == 8
    assert matches(Plan(also="a.onnx"), [None])[0][-1] == Contender("ort", "cpu", "file", None)
    assert [meaningless(Contender(e, p, n, 1), "x86_64") != "" for e, p, n in (
        ("eager", "cpu", "fp32"), ("eager", "cpu", "bf16"), ("ort", "cpu", "bf16"), ("ort", "cpu", "fp16"), ("eager", "tensorrt", "fp32"),
        ("ort", "tensorrt", "fp16"), ("compile", "cuda", "fp16"),
    )] == [False, False, True, True, True, False, False]  # fmt: skip
    assert not meaningless(Contender("eager", "cpu", "fp16", 1), "aarch64")


@pytest.mark.parametrize(
    "given",
    [{"engines": ("eagre",)}, {"providers": ("cude",)}, {"precisions": ("fp8",)}, {"batches": (0,)}, {"seconds": 0.0}, {"runs": 0},
     {"engines": ()}, {"threads": -1}, {"seconds": float("nan")}],
)  # fmt: skip
def test_a_plan_that_cannot_be_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as refused:
        checked(Plan(**given), ("cpu", "cuda"))
    assert refused.value.diagnostic.code == "NS758" and refused.value.status == 2


# ----------------------------------------------------------------------------------------------------------- agreement
def test_a_difference_is_a_share_of_the_scale() -> None:
    wanted = {"y": np.array([[1.0, -50.0]], "float32"), "k": np.array([1, 2, 3, 4])}
    found = difference(sample(wanted), sample({"y": np.array([[1.5, -50.0]], "float16"), "k": np.array([1, 2, 3, 4])}))
    assert (found.output, found.share, found.expected, found.found) == ("y", pytest.approx(0.01), 1.0, 1.5)
    assert difference(sample(wanted), sample({**wanted, "k": np.array([1, 2, 0, 4])})).share == 0.25


def test_what_is_no_number_differs_from_what_is_one() -> None:
    odd = {"y": np.array([np.nan, np.inf, 1.0], "float32")}
    assert difference(sample(odd), sample(odd)).share == 0.0
    for other in ([1.0, np.inf, 1.0], [np.nan, -np.inf, 1.0], [np.nan, np.inf, np.nan]):
        assert difference(sample(odd), sample({"y": np.array(other, "float32")})).share == np.inf
    assert difference(sample(odd), {}).share == np.inf
    zeros = {"y": np.zeros(3, "float32")}
    assert difference(sample(zeros), sample({"y": np.full(3, 1e-9, "float32")})).share == np.inf
    assert difference(sample({"y": np.zeros((0, 3))}), sample({"y": np.zeros((0, 3))})).share == 0.0


def test_large_outputs_are_sampled() -> None:
    picked = sample({"y": np.arange(3 * PLACES + 5, dtype="int32")})["y"]
    assert len(picked) <= PLACES and picked[0] == 0 and len(set(np.diff(picked))) == 1


# ------------------------------------------------------------------------------------------------------------ failures
@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (MemoryError(), "NS758", "out of memory"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: you tried …"), "NS758", "out of memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"), "NS758", "out of memory"),
        (Refusal("NS734", "onnxruntime failed: Failed to allocate memory for requested buffer of size 1"), "NS734", "out of memory"),
        (Refusal("NS730", "this onnxruntime has no provider `cuda`"), "NS730", "no provider"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "NS016", "`torch` is not installed"),
        (RuntimeError("InvalidCxxCompiler: No working C++ compiler found in …"), "NS758", "no C++ compiler"),
        (ValueError("first\nsecond"), "NS758", "ValueError: first"),
        (KeyError(), "NS758", "KeyError"),
    ],
)
def test_failures_have_a_line_and_a_code(error: Exception, code: str, words: str) -> None:
    found = reason(error)
    assert found[0] == code and words in found[1] and "\n" not in found[1]


def test_a_killed_process_ran_out_of_memory_most_likely() -> None:
    assert "out of memory" in ending(-9)[1] and "signal 11" in ending(-11)[1] and ending(3, "boom")[1].endswith("status 3: boom")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not tell")
def test_memory_is_the_peak_since_it_was_reset() -> None:
    np.ones(16 << 20)
    reset_peak()
    before = resident()
    assert abs(peak() - before) < 24 << 20
    held = np.ones(8 << 20)
    assert held.nbytes * 0.9 < peak() - before < held.nbytes * 1.5


# --------------------------------------------------------------------------------------------------- whole measurements
class InProcess:
    """A child that is none: the same requests, answered here."""

    changed: Callable[[Task, tuple[Any, ...]], tuple[Any, ...]] = staticmethod(lambda task, answer: answer)
    turns = 0

    def __init__(self, threads: int) -> None:
        self.host, self.task = Host(), None

    def ask(self, word: str, *given: Any) -> tuple[Any, ...]:
        self.task = given[0] if word == "load" else self.task
        try:
            answer = self.host.answer(word, *given)
        except Exception as error:
            raise Failure(*reason(error)) from error
        return type(self).changed(self.task, answer) if word == "load" else answer

    def close(self) -> None:
        self.host.engine = None


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> type[InProcess]:
    """Measurements without processes, which take seconds to begin."""

    class Child(InProcess):
        pass

    monkeypatch.setattr(measure, "Child", Child)
    return Child


def test_engines_are_measured_side_by_side(here: type[InProcess]) -> None:
    pytest.importorskip("torch")
    found = bench(TINY.graph, Plan(batches=(1, 3), precisions=("fp32", "bf16"), sizes={"H": 9}, **FAST))
    assert [str(row.contender) for row in found.measured] == [
        f"{engine} on cpu in {precision}, batch {batch}"
        for batch in (1, 3) for engine, precision in (("eager", "fp32"), ("ort", "fp32"), ("eager", "bf16"))
    ]  # fmt: skip
    assert [row.reason[:11] for row in found.rows if row.seconds is None] == ["onnxruntime"] * 2
    for row in found.measured:
        assert row.seconds is not None and row.seconds.count == 12 and 0 < row.seconds.low <= row.seconds.median <= row.seconds.high
        assert row.off is not None and row.off < (1e-5 if row.contender.precision == "fp32" else 0.1) and row.warm and row.loading
        assert row.speed is not None and row.speed_alike is not None
        assert row.per_second == pytest.approx(row.contender.batch / row.seconds.median)
    assert [row.speed_alike.median for row in found.measured if row.contender.engine == "eager"] == [1.0] * 4
    assert [one.sizes for one in found.batches] == [{"N": 1, "H": 9, "W": 8}, {"N": 3, "H": 9, "W": 8}]
    assert found.flops(3) == 3 * found.flops(1)


def test_the_table_and_the_data_say_the_same(here: type[InProcess]) -> None:
    found = bench(TINY.graph, Plan(engines=("ort",), providers=("cpu", "openvino"), **FAST))
    data = json.loads(json.dumps(found.data()))
    (measured, missing) = data["rows"]
    assert measured["runs"] == 12 and measured["gflops"] == pytest.approx(found.flops(1) / measured["ms"]["median"] / 1e6, rel=0.01)
    assert missing["code"] == "NS730" and "ms" not in missing and data["costs"][0]["flops"] == found.flops(1)
    text = str(found)
    assert "tiny at H = 8, W = 8" in text and "batch 1" in text and "[NS730]" in text and "GFLOP/s" in text and "no TF32" in text
    assert max(map(len, text.splitlines())) < 140


def test_an_engine_that_fails_is_a_row(here: type[InProcess]) -> None:
    def fails(task: Task, answer: tuple[Any, ...]) -> tuple[Any, ...]:
        raise Failure("NS758", "out of memory")

    here.changed = staticmethod(fails)
    found = bench(TINY.graph, Plan(engines=("ort",), batches=(1, 2), **FAST))
    assert [(row.code, row.reason) for row in found.rows] == [("NS758", "out of memory")] * 2 and not found.measured


def test_a_weight_may_be_an_output_and_a_file_of_another_network(here: type[InProcess], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    path = str(tmp_path / "tiny.onnx")
    TINY.save_onnx(path)
    graph = loads("net weight { input z: [N, 8]; output learned = param([2]); output y = z -> linear(2) }").graph
    found = bench(graph, Plan(also=path, **FAST))
    assert [row.reason for row in found.rows[:2]] == ["", ""] and "it is of another network: its inputs are " in found.rows[2].reason


def test_who_computes_something_else_is_not_timed(here: type[InProcess]) -> None:
    def wrong(task: Task, answer: tuple[Any, ...]) -> tuple[Any, ...]:
        seconds, outputs, *rest = answer
        return (seconds, {name: a * (1.01 if task.model else 1.0) for name, a in outputs.items()}, *rest)

    here.changed = staticmethod(wrong)
    pytest.importorskip("torch")
    found = bench(TINY.graph, Plan(**FAST))
    eager, ort = found.rows
    assert eager.seconds is not None and not eager.wrong
    assert ort.wrong and ort.seconds is None and ort.code == "NS758" and "`y` is off by 0.01" in ort.reason


def test_what_was_measured_stays_when_it_is_interrupted(here: type[InProcess]) -> None:
    def tell(line: str) -> None:
        if line.startswith("round 4"):
            raise KeyboardInterrupt

    found = bench(TINY.graph, Plan(engines=("ort",), batches=(1, 2), threads=1, runs=20), tell)
    assert found.interrupted and "interrupted" in str(found) and found.data()["interrupted"]
    (row,) = found.rows
    assert row.seconds is not None and row.seconds.count == 6


def test_a_file_is_measured_alone_and_beside_its_network(here: type[InProcess], tmp_path: Path) -> None:
    path = str(tmp_path / "tiny.onnx")
    TINY.save_onnx(path)
    found = bench_file(path, Plan(batches=(2,), sizes={"H": 8, "W": 10}, **FAST))
    assert [(row.contender.engine, bool(row.reason)) for row in found.rows] == [("eager", True), ("ort", False)]
    assert found.measured[0].contender.batch == 2 and found.flops(2) is None
    beside = bench(TINY.graph, Plan(engines=("ort",), also=path, **FAST))
    assert [row.contender.precision for row in beside.measured] == ["fp32", "file"] and beside.rows[1].off == 0.0
    for sizes in ({}, {"H": 8, "W": 8, "D": 3}):
        with pytest.raises(Refusal, match="open"):
            bench_file(path, Plan(sizes=sizes))
    with pytest.raises(Refusal, match="network, not an .onnx file"):
        found.save_roofline(str(tmp_path / "a.png"))


def test_sizes_and_batches_that_do_not_fit_are_refused(here: type[InProcess]) -> None:
    fixed = loads("net fixed { input x: [4, 8]; output y = x -> linear(2) }").graph
    with pytest.raises(Refusal, match="batch of fixed is fixed"):
        bench(fixed, Plan(batches=(1,)))
    assert bench(fixed, Plan(engines=("ort",), **FAST)).measured[0].contender.batch is None
    halves = loads("net halves { input x: [N, 1, H = 8, W = 8]; output y = x + (x -> max_pool(2) -> upsample(2)) }").graph
    with pytest.raises(Refusal) as refused:
        bench(halves, Plan(sizes={"H": 9}))
    assert refused.value.diagnostic.code == "NS723"
    with pytest.raises(Refusal, match="no open size `Q`"):
        bench(halves, Plan(sizes={"Q": 9}))


def test_what_is_bound_to_a_device_gives_the_same(here: type[InProcess], monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of a GPU, on the CPU: the engine binds its inputs and outputs, and asks the driver for memory."""
    usual = Plan(engines=("ort",), **FAST)
    plain = bench(TINY.graph, usual)
    monkeypatch.setattr(binding, "PROVIDERS", providers.PROVIDERS)  # which places the buffers
    monkeypatch.setattr(providers, "PROVIDERS", {"cpu": replace(providers.PROVIDERS["cpu"], device="cuda")})
    free = iter([900, 650])
    monkeypatch.setattr(engines, "device_free", lambda: next(free))
    monkeypatch.setattr(child, "device_free", lambda: next(free))
    samples: list[Any] = []
    here.changed = staticmethod(lambda task, answer: samples.append(answer[1]) or answer)
    (row,) = bench(TINY.graph, usual).rows
    assert row.seconds is not None and row.device_memory == 250 and not row.note and plain.rows[0].device_memory is None
    expected = TINY.session(provider="cpu").run(of_graph(TINY.graph, usual).inputs(1))
    assert difference(sample(expected), samples[0]).share < 1e-6


@pytest.mark.parametrize("status", [0, 100])
def test_free_memory_is_the_drivers_word(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    class Driver:
        def __getattr__(self, name: str) -> Callable[..., int]:
            def call(*given: Any) -> int:
                if name == "cuMemGetInfo_v2":
                    given[0]._obj.value = 12345
                return status if name == "cuInit" else 0

            return call

    monkeypatch.setattr("ctypes.CDLL", lambda name: Driver())
    assert device_free() == (12345 if status == 0 else None)


def test_a_gpu_is_measured(here: type[InProcess]) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available() or "cuda" not in providers.available():
        pytest.skip("there is no GPU, or onnxruntime has no CUDA")
    found = bench(TINY.graph, Plan(providers=("cuda",), precisions=("fp32", "fp16"), batches=(4,), **FAST))
    assert len(found.measured) == 4 and all(row.device_memory is not None for row in found.rows)


def test_each_engine_has_a_process() -> None:
    """With real processes: onnxruntime measured, and one that ends without a word."""
    (row,) = bench(TINY.graph, Plan(engines=("ort",), threads=1, runs=3)).rows
    assert row.seconds is not None and row.memory and row.memory > 0 and not row.reason
    silent = Child(1)
    try:
        silent._process.kill()
        with pytest.raises(Failure) as failed:
            silent.ask("memory")
        assert "out of memory" in failed.value.reason
    finally:
        silent.close()
