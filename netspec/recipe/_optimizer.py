"""What the entries of all optimizers share: the learning rate, what weight decay means in them, and which class computes them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from netspec.op import Reject
from netspec.recipe.entry import Entry, Fraction, Positive, Slot

#: decay rates of two running means, of gradients and of their squares
Betas = tuple[Fraction, Fraction]
#: how weights are made small: `l2` adds `weight_decay * w` to the gradient, so that what the method does to gradients it does to that
#: too; `decoupled` takes `lr * weight_decay * w` off the weights themselves; `proximal` solves for the penalty exactly in each step
Decay = Literal["l2", "decoupled", "proximal", "none"]


class Optimizer(Entry):
    """Base of all optimizers. The arguments have the names, the order and the defaults of the class that computes them."""

    SLOT: ClassVar[Slot] = "optimizer"
    #: the class that computes it, `module:class`; it takes the entry's arguments by their names
    CLASS: ClassVar[str]
    #: what its weight decay is (see `decay` for one that lets one choose)
    DECAY: ClassVar[Decay] = "l2"
    #: the arguments that are 0 for the parameters that `no_decay` selects
    DECAYING: ClassVar[tuple[str, ...]] = ("weight_decay",)
    #: arguments that say that a group is one of `no_decay`, and what they are then (LARS does not adapt the rates of such)
    EXEMPT: ClassVar[tuple[tuple[str, object], ...]] = ()
    #: whether it needs the loss as a function, `optimizer.step(closure)`: it evaluates it several times a step
    CLOSURE: ClassVar[bool] = False
    #: whether parameters may be in several groups, each with a learning rate and a decay of its own
    GROUPS: ClassVar[bool] = True
    #: the kinds of device on which `class(fused=True)` is there: one kernel for all parameters, the fastest that PyTorch has
    FUSED: ClassVar[tuple[str, ...]] = ()

    lr: Positive

    @property
    def decay(self) -> Decay:
        """What weight decay is with these arguments."""
        return "decoupled" if getattr(self, "decoupled_weight_decay", False) else self.DECAY


def ordered(argument: str, pair: tuple[float, float], words: str) -> None:
    """Refuse a pair whose first is not below its second. Raises `Reject` (NS353)."""
    if not pair[0] < pair[1]:
        raise Reject("NS353", f"{words}: {pair[0]:g} is not below {pair[1]:g}", argument=argument)


#: from 0, and finite: what is added so that nothing is divided by zero
Epsilon = Annotated[float, Field(ge=0, allow_inf_nan=False)]
