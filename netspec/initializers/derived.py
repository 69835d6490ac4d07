"""How tensors start that no spec initializes: the buffers of an operator, and what a reparametrized layer stores beside its weight."""

from __future__ import annotations

from netspec.initializers.distributions import Distribution, NormOf, SingularVector, Values
from netspec.initializers.rule import REQUIRED, Argument, Rule, Target


def _values(target: Target, values: tuple[float, ...]) -> Distribution:
    """Numbers that are written."""
    return Values(values)


def _norm_of(target: Target, tensor: str, axis: int | None) -> Distribution:
    """The lengths of another tensor's slices along `axis`, so that a weight-normalized layer starts as the plain one.
    Salimans and Kingma, "Weight Normalization", 2016, arXiv:1602.07868, equation 2."""
    return NormOf(tensor, axis)


def _singular_vector(target: Target, tensor: str, axis: int, side: str) -> Distribution:
    """The first left or right singular vector of another tensor, as a matrix whose rows are the indices along `axis`.
    Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018, arXiv:1802.05957, algorithm 1."""
    return SingularVector(tensor, axis, side == "left")


#: What reparametrized layers and buffers ask for; nobody writes these.
DERIVED = (
    Rule("values", (Argument("values", "word", REQUIRED, ""),), _values),
    Rule("norm_of", (Argument("tensor", "word", REQUIRED, ""), Argument("axis", "integer", None, "")), _norm_of),
    Rule(
        "singular_vector",
        (Argument("tensor", "word", REQUIRED, ""), Argument("axis", "integer", REQUIRED, ""), Argument("side", "word", REQUIRED, "")),
        _singular_vector,
    ),
)
