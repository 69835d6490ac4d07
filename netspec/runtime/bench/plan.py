"""What is measured against what, and in which order: engines × providers × precisions at each batch, in rounds.

Pure: nothing here runs a network. All contenders of one batch take turns, so that whatever else the machine does in the meantime hits
all alike (paired, interleaved measurement: Georges et al., "Statistically rigorous Java performance evaluation", OOPSLA 2007, section 3).
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TypeVar

from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.record import record

T = TypeVar("T")

#: engines by name, and what they are
ENGINES: Mapping[str, str] = {"eager": "PyTorch", "compile": "torch.compile", "ort": "onnxruntime"}
PRECISIONS = ("fp32", "fp16", "bf16")
#: what stands for a precision where a file is given, in whatever it computes
GIVEN = "file"
#: processors that compute in float32 where float16 is asked for (some of the newest do not, and PyTorch and onnxruntime still do)
_EMULATED = ("x86_64", "amd64", "i686", "i386", "x86")
#: where PyTorch runs
TORCH_PROVIDERS = ("cpu", "cuda")
#: seconds of one turn, the fewest and the most rounds, and the most calls of a turn
TURN, FEWEST, MOST, LONGEST = 0.1, 5, 60, 20_000


@record
class Plan:
    """What a user asks for. `batches` empty: the batch is 1, or what the network fixes. `threads` 0: one a core of this process.

    Each contender is measured for about `seconds`, or exactly `runs` times. `sizes` are values of open sizes in place of typical ones;
    `also` is an .onnx file of the same network, which onnxruntime runs beside the others.
    """

    engines: tuple[str, ...] = ("eager", "ort")
    providers: tuple[str, ...] = ("cpu",)
    precisions: tuple[str, ...] = ("fp32",)
    batches: tuple[int, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    threads: int = 0
    seconds: float = 3.0
    runs: int | None = None
    tf32: bool = False
    seed: int = 0
    weights: str | None = None
    also: str = ""


@record
class Contender:
    """One row: an engine on a provider, in a precision (`file`: that of a file which is given), at a batch (None: it is fixed)."""

    engine: str
    provider: str
    precision: str
    batch: int | None

    def __str__(self) -> str:
        batch = "" if self.batch is None else f", batch {self.batch}"
        return f"{self.engine} on {self.provider} in {self.precision}{batch}"


def checked(plan: Plan, providers: Sequence[str]) -> Plan:
    """The plan, each of its words once. Raises `Refusal`: NS758 for a word or a number that there is not; `providers` are the known."""
    words = (("engine", plan.engines, tuple(ENGINES)), ("provider", plan.providers, providers), ("precision", plan.precisions, PRECISIONS))
    for what, given, known in words:
        for word in given:
            if word not in known:
                helps = suggestion(word, known) or (f"known are {', '.join(known)}",)
                raise Refusal("NS758", f"there is no {what} `{word}`", helps=helps, status=2)
        if not given:
            raise Refusal("NS758", f"no {what} is given", helps=(f"known are {', '.join(known)}",), status=2)
    numbers = {"batch": min(plan.batches, default=1), "runs": 1 if plan.runs is None else plan.runs, "seconds": plan.seconds}
    for what, number in numbers.items():
        if not number > 0:
            raise Refusal("NS758", f"{what} = {number} is not positive", status=2)
    if plan.threads < 0:
        raise Refusal("NS758", f"threads = {plan.threads} is negative", status=2)
    return Plan(
        _once(plan.engines), _once(plan.providers), _once(plan.precisions), _once(plan.batches), plan.sizes, plan.threads, plan.seconds,
        plan.runs, plan.tf32, plan.seed, plan.weights, plan.also,
    )  # fmt: skip


def _once(items: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))


def matches(plan: Plan, batches: Sequence[int | None]) -> list[list[Contender]]:
    """The contenders of each batch; the first of each is what the others are compared with."""
    found = []
    for batch in batches:
        match = [Contender(e, provider, p, batch) for provider in plan.providers for p in plan.precisions for e in plan.engines]
        given = [Contender("ort", provider, GIVEN, batch) for provider in plan.providers] if plan.also else []
        found.append([*match, *given])
    return found


def meaningless(contender: Contender, machine: str = platform.machine()) -> str:
    """Why a contender is not measured on such a machine, whatever is installed; nothing where it is."""
    torch, cpu = contender.engine != "ort", contender.provider == "cpu"
    if torch and contender.provider not in TORCH_PROVIDERS:
        return f"PyTorch runs on {' and '.join(TORCH_PROVIDERS)}"
    if cpu and contender.precision == "fp16" and machine.lower() in _EMULATED:
        return "float16 is emulated on this processor: it saves memory, no time"
    if cpu and contender.precision == "bf16" and not torch:
        return "onnxruntime's CPU provider has no bfloat16 kernels"
    return ""


# ------------------------------------------------------------------------------------------------------------- rounds
def schedule(estimates: Sequence[float], seconds: float, runs: int | None = None) -> list[tuple[int, ...]]:
    """How many calls each contender makes in each round, given what one call of each takes, in seconds.

    By time: as many rounds as fit, each turn as long as the others', and at least one call. By `runs`: as many calls for everyone.
    """
    if runs is not None:
        rounds = min(runs, 2 * FEWEST)
        return [(runs // rounds + (number < runs % rounds),) * len(estimates) for number in range(rounds)]
    slowest = max((TURN, *estimates))
    rounds = max(FEWEST, min(MOST, int(seconds / slowest)))
    calls = tuple(max(1, min(LONGEST, int(seconds / rounds / max(estimate, 1e-9)))) for estimate in estimates)
    return [calls] * rounds


def turned(items: Sequence[T], number: int) -> list[T]:
    """The items in the order of round `number`: each round begins with another one, and every other one goes backwards, so that
    nobody always runs after the same neighbour."""
    if not items:
        return []
    start = number % len(items)
    order = [*items[start:], *items[:start]]
    return order[::-1] if number // len(items) % 2 else order
