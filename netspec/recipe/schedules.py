"""Learning-rate schedules, one after the other with `then`. Times are in epochs, and rates move with every update in between.

Every piece gives the rate as a function of the group's own base rate and the time since the piece began, so that it does not matter
how the rate came to be what it was. At whole epochs the numbers are those of PyTorch's scheduler of the same name; `training.schedules`
has the formulas.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Sequence

from pydantic import Field

from netspec.op import Reject
from netspec.recipe.entry import Entry, NonNegative, Positive, Share, Slot

#: a number of epochs: where it is not given, the piece lasts to the end of the section
Duration = Positive | None


class Piece(Entry):
    """Base of the pieces of a schedule. The one that is not the last needs `epochs`, which is how long it lasts; the last one goes on
    with its final rate where its `epochs` end before the section does."""

    SLOT: ClassVar[Slot] = "schedule"


class Constant(Piece):
    """`constant`: the base rate, or a factor of it."""

    NAME: ClassVar[str] = "constant"
    SOURCE: ClassVar[str] = "torch.optim.lr_scheduler.ConstantLR"
    epochs: Duration = None
    factor: NonNegative = 1.0


class Step(Piece):
    """`step(30)`: times `factor` every `every` epochs."""

    NAME: ClassVar[str] = "step"
    SOURCE: ClassVar[str] = "torch.optim.lr_scheduler.StepLR"
    every: Positive
    factor: Positive = 0.1
    epochs: Duration = None


class MultiStep(Piece):
    """`multi_step(at = [30, 60, 80])`: times `factor` at each of these epochs."""

    NAME: ClassVar[str] = "multi_step"
    SOURCE: ClassVar[str] = "torch.optim.lr_scheduler.MultiStepLR"
    at: Annotated[tuple[Positive, ...], Field(min_length=1)]
    factor: Positive = 0.1
    epochs: Duration = None

    def check(self) -> None:
        """The epochs are in order."""
        if list(self.at) != sorted(self.at):
            raise Reject("NS353", "the epochs of `multi_step` are to be in order", argument="at")


class Exponential(Piece):
    """`exponential(0.95)`: times `gamma` every epoch, smoothly: `base * gamma^t`."""

    NAME: ClassVar[str] = "exponential"
    SOURCE: ClassVar[str] = "torch.optim.lr_scheduler.ExponentialLR"
    gamma: Positive
    epochs: Duration = None


class Polynomial(Piece):
    """`polynomial(power = 0.9)`: `(base - eta_min) * (1 - t / epochs)^power + eta_min`; linear at power 1."""

    NAME: ClassVar[str] = "polynomial"
    SOURCE: ClassVar[str] = "torch.optim.lr_scheduler.PolynomialLR; DeepLab v2, Chen et al. 2016, arXiv:1606.00915, section 4.1"
    epochs: Duration = None
    power: Positive = 1.0
    eta_min: NonNegative = 0.0


class Cosine(Piece):
    """`cosine`: half a wave, from the base rate down to `eta_min`: `eta_min + (base - eta_min) * (1 + cos(pi * t / epochs)) / 2`.

    Past its epochs it stays there, where torch's would rise again.
    """

    NAME: ClassVar[str] = "cosine"
    SOURCE: ClassVar[str] = "Loshchilov, Hutter 2017, SGDR, arXiv:1608.03983, equation 5, without restarts; torch's CosineAnnealingLR"
    epochs: Duration = None
    eta_min: NonNegative = 0.0


class OneCycle(Piece):
    """`one_cycle`: up from `max_lr / div_factor`, and down to that by `final_div_factor`, with momentum (or Adam's first beta) the
    other way about. Without `max_lr` the peak is each group's base rate; with it, times the group's factor (`rates`).

    Counted in updates, as torch's is: the peak is at update `pct_start * updates - 1`.
    """

    NAME: ClassVar[str] = "one_cycle"
    SOURCE: ClassVar[str] = "Smith, Topin 2017, Super-Convergence, arXiv:1708.07120; torch.optim.lr_scheduler.OneCycleLR"
    max_lr: Positive | None = None
    epochs: Duration = None
    pct_start: Share = 0.3
    anneal_strategy: Literal["cos", "linear"] = "cos"
    cycle_momentum: bool = True
    base_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.85
    max_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.95
    div_factor: Positive = 25.0
    final_div_factor: Positive = 1e4
    three_phase: bool = False


class Warmup(Piece):
    """`warmup(5)`: from `start` of the base rate to all of it, in equal steps: `start + (1 - start) * (s + 1) / S` of it at update `s`
    of `S`, so that the first update already moves and the last has the base rate."""

    NAME: ClassVar[str] = "warmup"
    SOURCE: ClassVar[str] = "Goyal et al. 2017, arXiv:1706.02677, section 2.2, gradual warmup"
    epochs: Positive
    start: Share = 0.0


class Plateau(Piece):
    """`plateau(monitor = val.loss)`: times `factor` where the monitored value has not been better for more than `patience` epochs.

    Better is by more than `threshold`, of the best (`rel`) or in itself (`abs`); then come `cooldown` epochs that do not count.
    No rate goes below `min_lr`, or moves by less than `eps`. `mode` says whether small or large is good (`auto`: as the monitored
    value has it).
    """

    NAME: ClassVar[str] = "plateau"
    SOURCE: ClassVar[str] = "torch.optim.lr_scheduler.ReduceLROnPlateau"
    monitor: str = "val.loss"
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    patience: Annotated[int, Field(ge=0)] = 10
    threshold: NonNegative = 1e-4
    threshold_mode: Literal["rel", "abs"] = "rel"
    cooldown: Annotated[int, Field(ge=0)] = 0
    min_lr: NonNegative = 0.0
    eps: NonNegative = 1e-8
    mode: Literal["auto", "min", "max"] = "auto"
    epochs: Duration = None


def check_schedule(pieces: Sequence[Entry], optimizer: Entry | None = None) -> None:
    """What no piece can know alone. Raises `op.Reject` NS353: a piece before the last has no end, or `one_cycle` is to move the
    momentum of an optimizer that has none."""
    for piece in pieces[:-1]:
        if getattr(piece, "epochs", None) is None:
            raise Reject("NS353", f"`{piece.NAME}` goes on to the end, so nothing comes after it", help="give it `epochs`")
    for piece in pieces:
        if isinstance(piece, OneCycle) and piece.cycle_momentum and optimizer is not None:
            if not {"momentum", "betas"} & set(type(optimizer).model_fields):
                raise Reject(
                    "NS353", f"`one_cycle` moves the momentum, and `{optimizer.NAME}` has none", help="one_cycle(cycle_momentum = false)"
                )
