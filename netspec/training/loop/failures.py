"""What PyTorch fails with in the midst of a run through no fault of ours, in words that help."""

from __future__ import annotations

import torch

from netspec.diagnostics.model import Refusal


def failure_of(error: Exception, compiled: bool) -> Refusal | None:
    """The refusal for an exception of PyTorch's; None for one that nobody foresaw.

    NS819 where there is too little memory, NS818 where `torch.compile` cannot compile.
    """
    words = str(error)
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in words:
        helps = ("a smaller batch, or `accumulate = 4`: equal results, a quarter of the activations", "precision = bf16")
        return Refusal("NS819", "there is too little memory for a step of this run", notes=_first_line(words), helps=helps)
    if compiled and type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        helps = ("compile = false", "PyTorch compiles for processors with the C++ compiler that it finds, g++ or clang++")
        return Refusal("NS818", "`torch.compile` cannot compile this network here", notes=_first_line(words), helps=helps)
    return None


def _first_line(words: str) -> tuple[str, ...]:
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return (lines[0][:200],) if lines else ()
