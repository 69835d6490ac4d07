"""Optimizers that PyTorch has: their arguments under its names, in its order and with its defaults.

The loss is minimized; one that is to be large is written with a negative factor, so there is no `maximize`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, final

from pydantic import Field

from netspec.op import Reject
from netspec.recipe._optimizer import Betas, Decay, Epsilon, Optimizer, ordered
from netspec.recipe.entry import Count, Fraction, NonNegative, Positive, Share


@final
class Sgd(Optimizer):
    """Gradient descent, with momentum, and Nesterov's: `sgd(lr = 0.1, momentum = 0.9, nesterov = true, weight_decay = 5e-4)`.

    With gradient g, momentum ρ and learning rate η, PyTorch computes (`momentum_buffer` b, which starts as the first g)

        b = ρ b + (1 - dampening) g        w = w - η b, with nesterov  w = w - η (g + ρ b)

    Textbooks print it with a velocity that has the learning rate in it, and starts at 0:

        v = ρ v - η ∇J(θ)                  θ = θ + v        momentum (Polyak 1964)
        v = ρ v - η ∇J(θ + ρ v)            θ = θ + v        Nesterov's (Sutskever et al. 2013)

    As long as η stays what it is the two are one: v = -η b. With momentum alone w is θ. With Nesterov's, w is θ + ρ v, the point
    ahead at which the gradient is taken; so the first gradient is taken at the same place, and θ = w + η ρ b is w without the
    look ahead. Where η changes they differ: PyTorch's whole velocity -η b is of the new η at once, the textbook's keeps the
    steps that were made at the old one. (b times old η / new η at every change gives that: the inverse of the momentum
    correction of Goyal et al. 2017, remark 2.)

    `weight_decay` is L2: `weight_decay * w` is added to the gradient.
    """

    NAME: ClassVar[str] = "sgd"
    SOURCE: ClassVar[str] = (
        "Robbins, Monro 1951; momentum: Polyak 1964; Nesterov's: Sutskever et al. 2013, On the importance of initialization and "
        "momentum in deep learning, equations 3 and 4; torch.optim.SGD"
    )
    CLASS: ClassVar[str] = "torch.optim:SGD"
    FUSED: ClassVar[tuple[str, ...]] = ("cpu", "cuda")

    lr: Positive = 1e-3
    momentum: Fraction = 0.0
    dampening: Share = 0.0
    weight_decay: NonNegative = 0.0
    nesterov: bool = False

    def check(self) -> None:
        """Nesterov's look ahead is along a momentum, and of one that is not dampened."""
        if self.nesterov and self.momentum == 0:
            raise Reject("NS353", "`nesterov` looks ahead along the momentum, and there is none", argument="nesterov")
        if self.nesterov and self.dampening != 0:
            raise Reject("NS353", "`nesterov` has no dampening", argument="dampening")


@final
class Adagrad(Optimizer):
    """A learning rate for each weight, `lr / (1 + t lr_decay)` over the root of the sum of its squared gradients.

    `s = s + g²`, `w = w - η g / (√s + eps)`; s starts at `initial_accumulator_value`. `weight_decay` is L2.
    """

    NAME: ClassVar[str] = "adagrad"
    SOURCE: ClassVar[str] = "Duchi, Hazan, Singer 2011, JMLR 12, section 1.1, equation 1 with a diagonal matrix; torch.optim.Adagrad"
    CLASS: ClassVar[str] = "torch.optim:Adagrad"
    FUSED: ClassVar[tuple[str, ...]] = ("cpu",)

    lr: Positive = 1e-2
    lr_decay: NonNegative = 0.0
    weight_decay: NonNegative = 0.0
    initial_accumulator_value: NonNegative = 0.0
    eps: Epsilon = 1e-10


@final
class Adadelta(Optimizer):
    """Steps in the units of the weights: the root of the mean squared step over that of the mean squared gradient.

    `s = ρ s + (1 - ρ) g²`, `d = g √(u + eps) / √(s + eps)`, `u = ρ u + (1 - ρ) d²`, `w = w - lr d`. `weight_decay` is L2.
    """

    NAME: ClassVar[str] = "adadelta"
    SOURCE: ClassVar[str] = "Zeiler 2012, arXiv:1212.5701, algorithm 1; torch.optim.Adadelta"
    CLASS: ClassVar[str] = "torch.optim:Adadelta"

    lr: Positive = 1.0
    rho: Share = 0.9
    eps: Epsilon = 1e-6
    weight_decay: NonNegative = 0.0


@final
class RmsProp(Optimizer):
    """Gradients over the root of the running mean of their squares; `centered`: over that of their variance.

    `s = α s + (1 - α) g²`, `w = w - lr g / (√s + eps)`, where centered s - m² for s, with m the running mean of g; with
    `momentum`, `b = momentum b + g / (√s + eps)` and `w = w - lr b`. `weight_decay` is L2.
    """

    NAME: ClassVar[str] = "rmsprop"
    SOURCE: ClassVar[str] = (
        "Hinton 2012, Neural Networks for Machine Learning, lecture 6e; centered: Graves 2013, arXiv:1308.0850, equations 38 to 45; "
        "torch.optim.RMSprop"
    )
    CLASS: ClassVar[str] = "torch.optim:RMSprop"

    lr: Positive = 1e-2
    alpha: Share = 0.99
    eps: Epsilon = 1e-8
    weight_decay: NonNegative = 0.0
    momentum: Fraction = 0.0
    centered: bool = False


@final
class Adam(Optimizer):
    """Running means of gradients and of their squares, both without the bias that starting at 0 gives them.

    `m = β₁ m + (1 - β₁) g`, `s = β₂ s + (1 - β₂) g²`, `w = w - lr m̂ / (√ŝ + eps)` with `m̂ = m / (1 - β₁ᵗ)`, `ŝ = s / (1 - β₂ᵗ)`;
    `amsgrad` takes the largest s so far. `weight_decay` is L2, with `decoupled_weight_decay` decoupled (which is `adamw`).
    """

    NAME: ClassVar[str] = "adam"
    SOURCE: ClassVar[str] = "Kingma, Ba 2015, arXiv:1412.6980, algorithm 1; amsgrad: Reddi et al. 2018, algorithm 2; torch.optim.Adam"
    CLASS: ClassVar[str] = "torch.optim:Adam"
    FUSED: ClassVar[tuple[str, ...]] = ("cpu", "cuda")

    lr: Positive = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Epsilon = 1e-8
    weight_decay: NonNegative = 0.0
    amsgrad: bool = False
    decoupled_weight_decay: bool = False


@final
class AdamW(Optimizer):
    """`adam` with decoupled weight decay: `w = w - lr weight_decay w` before Adam's own step, which does not see it."""

    NAME: ClassVar[str] = "adamw"
    SOURCE: ClassVar[str] = "Loshchilov, Hutter 2019, arXiv:1711.05101, algorithm 2; torch.optim.AdamW"
    CLASS: ClassVar[str] = "torch.optim:AdamW"
    DECAY: ClassVar[Decay] = "decoupled"
    FUSED: ClassVar[tuple[str, ...]] = ("cpu", "cuda")

    lr: Positive = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Epsilon = 1e-8
    weight_decay: NonNegative = 1e-2
    amsgrad: bool = False


@final
class NAdam(Optimizer):
    """Adam with Nesterov's momentum: the mean of gradients one step ahead, its rate `μ = β₁ (1 - 0.96^(t momentum_decay) / 2)`.

    `w = w - lr (μₜ₊₁ m / (1 - μ₁…μₜ₊₁) + (1 - μₜ) g / (1 - μ₁…μₜ)) / (√ŝ + eps)`. `weight_decay` is L2, or decoupled.
    """

    NAME: ClassVar[str] = "nadam"
    SOURCE: ClassVar[str] = "Dozat 2016, Incorporating Nesterov Momentum into Adam, algorithm 2; torch.optim.NAdam"
    CLASS: ClassVar[str] = "torch.optim:NAdam"

    lr: Positive = 2e-3
    betas: Betas = (0.9, 0.999)
    eps: Epsilon = 1e-8
    weight_decay: NonNegative = 0.0
    momentum_decay: NonNegative = 4e-3
    decoupled_weight_decay: bool = False


@final
class RAdam(Optimizer):
    """Adam whose first steps are plain momentum, until there are gradients enough to trust the mean of their squares.

    From the step on at which the approximated length ρₜ of that mean exceeds 5, Adam's step times the rectification
    `√((ρₜ - 4)(ρₜ - 2) ρ∞ / ((ρ∞ - 4)(ρ∞ - 2) ρₜ))`; before it `w = w - lr m̂`. `weight_decay` is L2, or decoupled.
    """

    NAME: ClassVar[str] = "radam"
    SOURCE: ClassVar[str] = "Liu et al. 2020, arXiv:1908.03265, algorithm 2; torch.optim.RAdam"
    CLASS: ClassVar[str] = "torch.optim:RAdam"

    lr: Positive = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Epsilon = 1e-8
    weight_decay: NonNegative = 0.0
    decoupled_weight_decay: bool = False


@final
class Adamax(Optimizer):
    """Adam with the largest gradient, forgotten slowly, in the place of the root of the mean square.

    `u = max(β₂ u, |g| + eps)`, `w = w - lr / (1 - β₁ᵗ) m / u`. `weight_decay` is L2.
    """

    NAME: ClassVar[str] = "adamax"
    SOURCE: ClassVar[str] = "Kingma, Ba 2015, arXiv:1412.6980, algorithm 2; torch.optim.Adamax"
    CLASS: ClassVar[str] = "torch.optim:Adamax"

    lr: Positive = 2e-3
    betas: Betas = (0.9, 0.999)
    eps: Epsilon = 1e-8
    weight_decay: NonNegative = 0.0


@final
class Rprop(Optimizer):
    """Steps by the signs of gradients alone, for the whole data in one batch: each weight has a step that grows by `etas[1]` while
    the sign stays, and shrinks by `etas[0]` where it turns (and that weight then waits a step). Steps start at `lr`, and stay
    within `step_sizes`. It has no weight decay."""

    NAME: ClassVar[str] = "rprop"
    SOURCE: ClassVar[str] = "Riedmiller, Braun 1993, A Direct Adaptive Method for Faster Backpropagation Learning; torch.optim.Rprop"
    CLASS: ClassVar[str] = "torch.optim:Rprop"
    DECAY: ClassVar[Decay] = "none"
    DECAYING: ClassVar[tuple[str, ...]] = ()

    lr: Positive = 1e-2
    etas: tuple[Annotated[float, Field(gt=0, lt=1)], Annotated[float, Field(gt=1, allow_inf_nan=False)]] = (0.5, 1.2)
    step_sizes: tuple[Positive, Positive] = (1e-6, 50.0)

    def check(self) -> None:
        """The least step is below the largest."""
        ordered("step_sizes", self.step_sizes, "the least step and the largest")


@final
class Lbfgs(Optimizer):
    """Limited-memory BFGS: a quasi-Newton step from the last `history_size` steps and changes of the gradient, for the whole data in
    one batch. A step is up to `max_iter` iterations, each of which evaluates the loss again (`max_eval` at most, which is
    1.25 max_iter unless given), or several times with `line_search_fn = strong_wolfe`. All parameters have one learning
    rate, and there is no weight decay."""

    NAME: ClassVar[str] = "lbfgs"
    SOURCE: ClassVar[str] = "Nocedal, Wright 2006, Numerical Optimization, algorithms 7.4 and 7.5; torch.optim.LBFGS"
    CLASS: ClassVar[str] = "torch.optim:LBFGS"
    DECAY: ClassVar[Decay] = "none"
    DECAYING: ClassVar[tuple[str, ...]] = ()
    CLOSURE: ClassVar[bool] = True
    GROUPS: ClassVar[bool] = False

    lr: Positive = 1.0
    max_iter: Count = 20
    max_eval: Count | None = None
    tolerance_grad: NonNegative = 1e-7
    tolerance_change: NonNegative = 1e-9
    history_size: Count = 100
    line_search_fn: Literal["strong_wolfe"] | None = None


@final
class Asgd(Optimizer):
    """Averaged gradient descent: `η = lr / (1 + lambd lr t)^alpha`, `w = (1 - lambd η) w - η g`; the mean of the weights from step
    `t0` on is kept in the optimizer's state as `ax`. `weight_decay` is L2; `lambd`, which also lets the learning rate fall, is
    for all parameters, those of `no_decay` among them."""

    NAME: ClassVar[str] = "asgd"
    SOURCE: ClassVar[str] = "Polyak, Juditsky 1992; Bottou 2012, Stochastic Gradient Descent Tricks; torch.optim.ASGD"
    CLASS: ClassVar[str] = "torch.optim:ASGD"

    lr: Positive = 1e-2
    lambd: NonNegative = 1e-4
    alpha: NonNegative = 0.75
    t0: NonNegative = 1e6
    weight_decay: NonNegative = 0.0
