"""Optimizers that PyTorch lacks, exact by their papers; where TensorFlow has them, with its defaults, and by the formulas of its kernels.

TensorFlow's names are written short: `l1` is its `l1_regularization_strength`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, final

from pydantic import Field

from netspec.recipe._optimizer import Betas, Decay, Epsilon, Optimizer
from netspec.recipe.entry import Fraction, NonNegative, Positive


@final
class AdagradDA(Optimizer):
    """Adagrad by dual averaging: the weights are a function of the sum of all gradients, exactly 0 where that is small.

    `G = G + g`, `s = s + g²`, `w = -lr sign(G) max(|G| - l1 t, 0) / (√s + l2 t lr)` at step t = 1, 2, …; s starts at
    `initial_gradient_squared_accumulator_value`. The weights that training started with are forgotten at the first step (they
    are 0 in the paper), so it is for linear models rather than for deep networks.
    """

    NAME: ClassVar[str] = "adagrad_da"
    SOURCE: ClassVar[str] = (
        "Duchi, Hazan, Singer 2011, JMLR 12, section 5.1, the primal-dual subgradient update; tf.raw_ops.ApplyAdagradDA, "
        "tf.compat.v1.train.AdagradDAOptimizer"
    )
    CLASS: ClassVar[str] = "netspec.training.optimizers.leader:AdagradDA"
    DECAY: ClassVar[Decay] = "proximal"
    DECAYING: ClassVar[tuple[str, ...]] = ("l1", "l2")

    lr: Positive
    initial_gradient_squared_accumulator_value: Positive = 0.1
    l1: NonNegative = 0.0
    l2: NonNegative = 0.0


@final
class Ftrl(Optimizer):
    """Follow the regularized leader, proximally: sparse weights with a learning rate for each.

    With `n' = n + g²`, `σ = (n'^-p - n^-p) / lr` for p = `learning_rate_power`, and `z = z + g + 2 l2_shrinkage w - σ w`:
    `w = 0` where `|z| ≤ l1`, else `w = (sign(z) l1 - z) / ((beta + n'^-p) / lr + 2 l2)`. n starts at
    `initial_accumulator_value`, z at 0; the paper has p = -1/2, n = 0, and λ₂ = 2 l2. The weights that training starts with count
    only through σ w (they are 0 in the paper), and a weight that never has a gradient becomes 0.
    """

    NAME: ClassVar[str] = "ftrl"
    SOURCE: ClassVar[str] = "McMahan et al. 2013, Ad Click Prediction, algorithm 1; tf.raw_ops.ApplyFtrlV2, tf.keras.optimizers.Ftrl"
    CLASS: ClassVar[str] = "netspec.training.optimizers.leader:Ftrl"
    DECAY: ClassVar[Decay] = "proximal"
    DECAYING: ClassVar[tuple[str, ...]] = ("l1", "l2", "l2_shrinkage")

    lr: Positive = 1e-3
    learning_rate_power: Annotated[float, Field(le=0, allow_inf_nan=False)] = -0.5
    initial_accumulator_value: NonNegative = 0.1
    l1: NonNegative = 0.0
    l2: NonNegative = 0.0
    l2_shrinkage: NonNegative = 0.0
    beta: NonNegative = 0.0


@final
class ProximalGradientDescent(Optimizer):
    """A gradient step, then the exact solution for the penalties `l1 |w| + l2 w² / 2` (forward-backward splitting).

    `v = w - lr g`, `w = sign(v) max(|v| - lr l1, 0) / (1 + lr l2)`: weights become exactly 0.
    """

    NAME: ClassVar[str] = "proximal_gradient_descent"
    SOURCE: ClassVar[str] = (
        "Duchi, Singer 2009, Efficient Online and Batch Learning Using Forward Backward Splitting, equations 2, 3 and section 5; "
        "tf.raw_ops.ApplyProximalGradientDescent"
    )
    CLASS: ClassVar[str] = "netspec.training.optimizers.proximal:ProximalGradientDescent"
    DECAY: ClassVar[Decay] = "proximal"
    DECAYING: ClassVar[tuple[str, ...]] = ("l1", "l2")

    lr: Positive
    l1: NonNegative = 0.0
    l2: NonNegative = 0.0


@final
class ProximalAdagrad(Optimizer):
    """Adagrad's step, then the exact solution for the penalties `l1 |w| + l2 w² / 2`, with the learning rate of each weight.

    `s = s + g²`, `η = lr / √s`, `v = w - η g`, `w = sign(v) max(|v| - η l1, 0) / (1 + η l2)`; s starts at
    `initial_accumulator_value`. (TensorFlow's page writes `lr` for η in the last formula; its kernels, and the paper, have η.)
    """

    NAME: ClassVar[str] = "proximal_adagrad"
    SOURCE: ClassVar[str] = (
        "Duchi, Hazan, Singer 2011, JMLR 12, section 5.1, the composite mirror descent update; tf.raw_ops.ApplyProximalAdagrad, "
        "tf.compat.v1.train.ProximalAdagradOptimizer"
    )
    CLASS: ClassVar[str] = "netspec.training.optimizers.proximal:ProximalAdagrad"
    DECAY: ClassVar[Decay] = "proximal"
    DECAYING: ClassVar[tuple[str, ...]] = ("l1", "l2")

    lr: Positive
    initial_accumulator_value: Positive = 0.1
    l1: NonNegative = 0.0
    l2: NonNegative = 0.0


@final
class Lars(Optimizer):
    """Layer-wise adaptive rates, for large batches: each tensor's step is in proportion to its own norm.

    `λ = trust ‖w‖ / (‖g‖ + weight_decay ‖w‖ + eps)`, which is 1 where ‖w‖ or ‖g‖ is 0; `v = momentum v + lr λ (g + weight_decay w)`,
    `w = w - v`. v has the learning rate in it, as the paper writes it. The tensors of `no_decay` (biases and the scales of norms, as a
    rule) have λ = 1 besides, as is usual. `weight_decay` is L2.
    """

    NAME: ClassVar[str] = "lars"
    SOURCE: ClassVar[str] = "You, Gitman, Ginsburg 2017, arXiv:1708.03888, algorithm 1"
    CLASS: ClassVar[str] = "netspec.training.optimizers.lars:Lars"
    EXEMPT: ClassVar[tuple[tuple[str, object], ...]] = (("adapt", False),)

    lr: Positive
    momentum: Fraction = 0.9
    weight_decay: NonNegative = 5e-4
    trust: Positive = 1e-3
    eps: Epsilon = 0.0


@final
class Lion(Optimizer):
    """Steps by the sign of a momentum that was found by search: all weights move by `lr`.

    `c = β₁ m + (1 - β₁) g`, `w = w - lr (sign(c) + weight_decay w)`, `m = β₂ m + (1 - β₂) g`. `weight_decay` is decoupled.
    """

    NAME: ClassVar[str] = "lion"
    SOURCE: ClassVar[str] = "Chen et al. 2023, arXiv:2302.06675, algorithm 2"
    CLASS: ClassVar[str] = "netspec.training.optimizers.lion:Lion"
    DECAY: ClassVar[Decay] = "decoupled"

    lr: Positive = 1e-4
    betas: Betas = (0.9, 0.99)
    weight_decay: NonNegative = 0.0
