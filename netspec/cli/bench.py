"""Measure a network in PyTorch, eager or through torch.compile, and in onnxruntime: the same weights, inputs and threads, side by side.

Every engine has a process of its own. Its outputs are held against the others' first: who computes something else is not timed. All
warm up until they get no faster, then take turns in short rounds, so that whatever else the machine does hits all alike. Shown are
medians and quartiles of single inferences, examples a second, GFLOP/s by the cost model, memory beyond that of the library, seconds to
the first result (`first`), the largest difference from the first float32 engine's outputs as a share of their scale (`off by`), and how
many times as fast as the first row each is (`speed`; `alike`: as the first engine of the same provider and precision).

An engine that cannot be measured is a row with its reason. `--precision fp16,bf16` casts the PyTorch module, and writes the ONNX file
so. Of an .onnx file in place of SPEC, or beside it (`--also int8.onnx`), onnxruntime alone is measured. `--plot` draws a roofline:
each layer's GFLOP/s by onnxruntime's profile on the CPU, under the measured peaks of the machine.

The JSON is {"net", "sizes", "processor", "threads", "tf32", "versions", "seed", "weights", "also", "interrupted", "costs": [{"batch",
"flops", "bytes"}], "rows": [{"engine", "provider", "precision", "batch", "ms": {"median", "low", "high", "deviation"}, "runs",
"per_second", "gflops", "memory_bytes", "device_memory_bytes", "speed", "speed_alike", "off", …}]}; a row without times has "code" and
"reason" instead. Exit status: 1 where nothing was measured or outputs disagree, 130 where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from netspec.cli.output import call_of, compiled, positive, spec_arguments
from netspec.diagnostics.model import Refusal

if TYPE_CHECKING:
    from netspec.runtime.bench import Bench, Plan


def arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC, what is measured, how, and the format."""
    spec_arguments(parser)
    what = parser.add_argument_group("what is measured")
    what.add_argument("--engines", metavar="NAMES", default="eager,ort", help="of eager, compile, ort (default eager,ort)")
    what.add_argument("--compile", action="store_true", help="torch.compile as well (needs a C++ compiler on the CPU)")
    what.add_argument("--providers", metavar="NAMES", default="cpu", help="of cpu, cuda, tensorrt, … (default cpu)")
    what.add_argument("--precision", metavar="NAMES", default="fp32", help="of fp32, fp16, bf16 (default fp32)")
    what.add_argument("--batch", dest="batches", metavar="N,…", default="", help="batches (default 1)")
    what.add_argument("--also", metavar="FILE", default="", help="an .onnx file of the same network, beside the others")
    what.add_argument("--weights", metavar="FILE", help=".safetensors, .npz or .pt (default: initial weights)")
    what.add_argument("--seed", type=int, default=0, help="of the initial weights and the inputs")
    how = parser.add_argument_group("how")
    how.add_argument("--threads", type=positive, default=0, metavar="N", help="of every engine (default: one a core)")
    how.add_argument("--seconds", type=float, default=3.0, metavar="S", help="of measuring for each engine and batch (default 3)")
    how.add_argument("--runs", type=positive, metavar="N", help="exactly so many inferences each, instead")
    how.add_argument("--tf32", action="store_true", help="let GPUs round float32 products to 10 bits")
    parser.add_argument("--plot", metavar="FILE", help="draw a roofline of the layers (.png, .svg, .pdf)")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(options: argparse.Namespace) -> int:
    """Measure, and print what came out."""
    plan = _plan(options)
    if options.plot:
        from netspec.backends.plot.style import check_format

        check_format(options.plot)
    found = _measured(options, plan)
    _tell("")
    if options.plot and not found.interrupted:
        found.save_roofline(options.plot)
    print(json.dumps(found.data(), indent=2) if options.format == "json" else found)
    if found.interrupted:
        return 130
    return 0 if found.measured and not any(row.wrong for row in found.rows) else 1


def _measured(options: argparse.Namespace, plan: "Plan") -> "Bench":
    from netspec.runtime.bench import bench, bench_file

    if options.spec.endswith(".onnx"):
        if options.weights or options.parameters:
            raise Refusal("NS015", "an .onnx file has its weights and parameters in itself", status=2)
        return bench_file(options.spec, plan, _tell)
    done = compiled(options)
    assert done.graph is not None
    return bench(done.graph, plan, _tell)


def _plan(options: argparse.Namespace) -> "Plan":
    from netspec.runtime.bench import Plan

    file = options.spec.endswith(".onnx")
    engines = ("ort",) if file and options.engines == "eager,ort" else _words(options.engines)
    if options.compile and "compile" not in engines:
        engines = (*engines[:1], "compile", *engines[1:]) if engines[:1] == ("eager",) else (*engines, "compile")
    given: dict[str, Any] = {name: getattr(options, name) for name in ("threads", "seconds", "runs", "tf32", "seed", "weights", "also")}
    return Plan(
        engines=engines, providers=_words(options.providers), precisions=_words(options.precision), batches=_batches(options.batches),
        sizes=call_of(options)[1] if file else {}, **given,
    )  # fmt: skip


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _batches(text: str) -> tuple[int, ...]:
    for word in _words(text):
        if not word.isdigit() or int(word) < 1:
            raise Refusal("NS015", f"a batch is a positive whole number, not `{word}`", status=2)
    return tuple(int(word) for word in _words(text))


def _tell(line: str) -> None:
    """What is being done, on a line of its own that the next one overwrites, where somebody looks on."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
