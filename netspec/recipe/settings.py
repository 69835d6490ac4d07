"""Entries of the smaller settings: what bounds gradients and weights, when to stop, and where weights come from."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from netspec.recipe.entry import Count, Entry, Measure, NonNegative, Positive, Slot


class Norm(Entry):
    """`clip = norm(1.0)`: gradients are scaled down together where their norm, over all of them, is larger than `most`."""

    NAME: ClassVar[str] = "norm"
    SLOT: ClassVar[Slot] = "clip"
    SOURCE: ClassVar[str] = "Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063, algorithm 1"
    most: Positive


class Value(Entry):
    """`clip = value(0.5)`: every gradient is cut to [-most, most]."""

    NAME: ClassVar[str] = "value"
    SLOT: ClassVar[Slot] = "clip"
    SOURCE: ClassVar[str] = "Goodfellow, Bengio, Courville 2016, section 10.11.1"
    most: Positive


class MaxNorm(Entry):
    """`max_norm = 3`: after each step, the incoming weights of every unit are scaled back to that norm where theirs is larger."""

    NAME: ClassVar[str] = "max_norm"
    SLOT: ClassVar[Slot] = "constraint"
    SOURCE: ClassVar[str] = "Srivastava et al. 2014, JMLR 15, section 5.1"
    most: Positive
    of: tuple[str, ...] = ()


class Early(Entry):
    """`stop = early(monitor = val.loss, patience = 10)`: end when the monitored value has not been better, by more than `min_delta`,
    for `patience` epochs; the best weights are restored. `mode` says whether small or large is good (a loss: small)."""

    NAME: ClassVar[str] = "early"
    SLOT: ClassVar[Slot] = "stop"
    SOURCE: ClassVar[str] = "Prechelt 1998, Early Stopping - But When?"
    monitor: str = "val.loss"
    patience: Annotated[int, Field(ge=0)] = 10
    min_delta: NonNegative = 0.0
    mode: Literal["auto", "min", "max"] = "auto"
    warmup: Annotated[int, Field(ge=0)] = 0


class File(Entry):
    """`weights = "resnet18.safetensors"`, or `file("…", only = ["layer*"])`: the weights to start from.

    All of the network's, strictly; or those that the selectors `only` select, the others starting as `init` says. `strip` is a
    prefix to drop from the file's names. A path is relative to the spec's folder.
    """

    NAME: ClassVar[str] = "file"
    SLOT: ClassVar[Slot] = "pretrained"
    path: str
    only: tuple[str, ...] | None = None
    strip: str = ""


class L1(Measure):
    """`1e-5 * l1(weights)` in a loss: the sum of absolute values."""

    NAME: ClassVar[str] = "l1"
    SLOT: ClassVar[Slot] = "penalty"
    SOURCE: ClassVar[str] = "Goodfellow, Bengio, Courville 2016, section 7.1.2"
    TENSORS: ClassVar[tuple[str, ...]] = ("weights",)


class L2(Measure):
    """`1e-4 * l2(weights)` in a loss: half of the sum of squares, whose gradient is the weight itself."""

    NAME: ClassVar[str] = "l2"
    SLOT: ClassVar[Slot] = "penalty"
    SOURCE: ClassVar[str] = "Goodfellow, Bengio, Courville 2016, section 7.1.1"
    TENSORS: ClassVar[tuple[str, ...]] = ("weights",)


class Linear(Entry):
    """`scale_lr = linear(256)`: learning rates are for batches of `base`, and grow with the batch."""

    NAME: ClassVar[str] = "linear"
    SLOT: ClassVar[Slot] = "scaling"
    SOURCE: ClassVar[str] = "Goyal et al. 2017, arXiv:1706.02677, section 2.1"
    base: Count = 256


class Sqrt(Entry):
    """`scale_lr = sqrt(256)`: learning rates are for batches of `base`, and grow with the square root of the batch."""

    NAME: ClassVar[str] = "sqrt"
    SLOT: ClassVar[Slot] = "scaling"
    SOURCE: ClassVar[str] = "Krizhevsky 2014, arXiv:1404.5997, section 5"
    base: Count = 256


class _Range(Entry):
    """Base of what a searched value is drawn from."""

    SLOT: ClassVar[Slot] = "search"


class Log(_Range):
    """`log(1e-4, 1)`: a number between two, its logarithm uniform."""

    NAME: ClassVar[str] = "log"
    low: Positive
    high: Positive

    def check(self) -> None:
        """The bounds are in order."""
        _ordered(self)


class Uniform(_Range):
    """`uniform(0, 0.5)`: a number between two; with `step`, one of those that many steps from the first."""

    NAME: ClassVar[str] = "uniform"
    low: float
    high: float
    step: Positive | None = None

    def check(self) -> None:
        """The bounds are in order."""
        _ordered(self)


class Int(_Range):
    """`int(1, 8)`: a whole number between two, both included; `log = true` for orders of magnitude."""

    NAME: ClassVar[str] = "int"
    low: int
    high: int
    step: Count = 1
    log: bool = False

    def check(self) -> None:
        """The bounds are in order; logarithms are of positive numbers, and have no steps."""
        _ordered(self)
        if self.log and (self.low < 1 or self.step != 1):
            from netspec.op import Reject

            raise Reject("NS353", "a logarithmic range begins at 1 or above, and has no step", argument="log")


class Choice(_Range):
    """`[0, 0.9, 0.99]`: one of several values."""

    NAME: ClassVar[str] = "choice"
    values: Annotated[tuple[Any, ...], Field(min_length=1)]


def _ordered(entry: Any) -> None:
    from netspec.op import Reject

    if not entry.low <= entry.high:
        raise Reject("NS353", f"a range from {entry.low:g} to {entry.high:g} is empty", argument="high")
