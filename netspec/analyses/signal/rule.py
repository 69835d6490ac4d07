"""What a rule is asked, and what it answers: one operator at initialization, as a map of moments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, cast

from netspec import reach as r
from netspec.analyses.signal.activation import Curve
from netspec.analyses.signal.law import Law, law_of
from netspec.analyses.signal.moments import Moments, Profile
from netspec.graph import Tensor
from netspec.op import Operator
from netspec.record import draft, record
from netspec.sizes.tensor import TensorType

#: what each word in `Signal.note` says of how the number was found
NOTES: dict[str, str] = {
    "": "the plain recursion: independent weights, many of them",
    "fresh": "a sum with a branch that ends in freshly drawn weights of mean zero, uncorrelated with everything before them",
    "correlated": "branches share a source: their covariance was followed through the linear parts of every operator between",
    "independent": "branches were taken for uncorrelated: how they depend on each other was not followed",
    "positions": "neighbouring positions were taken for as independent as two examples, which they are for white noise",
    "gaussian": "the numbers were taken for normal, which they are not quite",
    "means": "weights whose mean is not zero: the terms of each sum were taken for uncorrelated",
    "concentrated": "a sum over the axis was taken for its expectation",
    "edge": "the largest singular value was taken for that of a large random matrix",
    "unknown": "there is no rule for this operator, or none for such inputs: nothing is known from here on",
}


@record
class Effect:
    """The answer: moments of every output, and what each input has to do with them.

    `gains`: for each input, the second moment of the gradient at it over that at the output (None: unknown). For a sliding window
    (`looks`, one a spatial axis) the number of outputs that an input reaches is left out: the borders decide it.
    `carries`: for each input, the regression of the output on it, at the same place: 0 where there is none (drawn weights),
    None where that was not worked out. `centred`: the units' own means do not pass.
    `curve`: the output is this function of a normal variable with these moments. `selected`: the output is chosen among
    values of the input's curve; E f'² over the chosen ones. `energy`: for a layer of stored weights, the squared norm of the
    gradient at the input over that at the output: terms of a sum times E w². `normal`: sums of many terms are.
    `harmonic`: the mean over units of their variance, times that of its inverse: 1 where all are alike; None: as the input's.
    `mixture`: the output is a function of a normal variable with the first moments, plus a normal one with the second.
    """

    outputs: tuple[Moments | None, ...]
    gains: tuple[float | None, ...] = ()
    carries: tuple[float | None, ...] = ()
    note: str = ""
    unit: int | None = None
    profile: Profile = ()
    looks: tuple[r.AxisReach, ...] = ()
    centred: bool = False
    curve: tuple[Curve, Moments] | None = None
    selected: float | None = None
    energy: float | None = None
    normal: bool = False
    harmonic: float | None = None
    mixture: tuple[Curve, Moments, Moments] | None = None


@draft
class Place:
    """The question: an operator with what is known of its inputs, at given sizes.

    `units` names the axis of each input along which units differ (channels, features; None: not known). `covariance(i, j)` is
    the covariance of two inputs, in all and between examples, with the note that belongs to it.
    """

    op: Operator
    inputs: tuple[Moments | None, ...]
    types: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]
    units: tuple[int | None, ...]
    profiles: tuple[Profile, ...]
    curves: tuple[tuple[Curve, Moments] | None, ...]
    harmonics: tuple[float, ...]
    mixture: tuple[Curve, Moments, Moments] | None
    weights: Mapping[str, Tensor]
    train: bool
    covariance: Callable[[int, int], tuple[float, float, str]]
    normals: tuple[bool, ...] = ()  #: which inputs are sums of many terms, and so close to normal
    same: bool = False  #: both inputs are one value

    @property
    def x(self) -> Moments:
        """The first input, which is known where a rule is asked for it."""
        found = self.inputs[0]
        assert found is not None
        return found

    @property
    def before(self) -> tuple[int, ...]:
        """The shape of the first input: all sizes are numbers here."""
        return cast("tuple[int, ...]", self.types[0].shape)

    @property
    def after(self) -> tuple[int, ...]:
        """The shape of the first output."""
        return cast("tuple[int, ...]", self.outputs[0].shape)

    @property
    def normal(self) -> bool:
        """Whether all inputs are close to normal."""
        return all(self.normals)

    @property
    def ratio(self) -> float:
        """Elements of the first output over elements of the first input."""
        return self.elements(self.outputs[0]) / self.elements(self.types[0])

    @staticmethod
    def elements(tensor: TensorType) -> int:
        """How many elements a tensor of closed sizes has."""
        return prod(cast("tuple[int, ...]", tensor.shape))

    def law(self, name: str) -> Law | None:
        """The law of a stored tensor by its local name."""
        tensor = self.weights.get(name)
        return law_of(tensor) if tensor is not None else None

    def looks(self) -> tuple[r.AxisReach, ...]:
        """How the spatial axes of the output look at the first input."""
        axes = self.op.reach(self.types, self.outputs)[0].inputs[0][2:]
        return tuple(look if look is not None else r.All(a) for a, look in enumerate(axes, start=2))

    def unit(self) -> int | None:
        """The axis along which the first input's units differ."""
        return self.units[0] if self.units else None


Rule = Callable[[Place], "Effect | None"]


def pointwise(place: Place, output: Moments, gain: float | None, carry: float | None, note: str = "", **more: Any) -> Effect:
    """An effect on one input that keeps its shape, unit axis and borders."""
    more.setdefault("profile", place.profiles[0])
    more.setdefault("normal", place.normal)
    return Effect((output,), (gain,), (carry,), note, place.unit(), **more)
