"""What is done to the numbers of an input before the network sees them, by statistics of the training data.

`normalize` is one step or a list of steps for every floating-point input, each measured on what those before it give. `per` says which
numbers share their statistics: `channel` those along axis 1 (`[N, C, …]`), `feature` those along the last axis (`[N, T, F]`), `all`
all. What is measured is stored with the weights.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from netspec.op import Reject
from netspec.recipe.entry import Entry, Finite, NonNegative, Positive, Slot

Per = Literal["channel", "feature", "all"]


class Standardize(Entry):
    """`standardize`: `(x - mean) / std`, so that the training data have mean 0 and variance 1.

    `std` is that of the population (divided by the count), and 1 where the data do not vary. Given statistics (`mean = [0.485, 0.456,
    0.406], std = [0.229, 0.224, 0.225]`) are not measured: those that pretrained weights were trained with.
    """

    NAME: ClassVar[str] = "standardize"
    SLOT: ClassVar[Slot] = "normalization"
    SOURCE: ClassVar[str] = "LeCun, Bottou, Orr, Mueller 1998, Efficient BackProp, section 4.3"
    per: Per = "channel"
    mean: Annotated[tuple[Finite, ...], Field(min_length=1)] | Finite | None = None
    std: Annotated[tuple[Positive, ...], Field(min_length=1)] | Positive | None = None

    def check(self) -> None:
        """Mean and deviation are given together, and are as many."""
        if (self.mean is None) != (self.std is None):
            raise Reject("NS353", "`mean` and `std` are given together, or both measured", argument="std" if self.std is None else "mean")
        if isinstance(self.mean, tuple) and isinstance(self.std, tuple) and len(self.mean) != len(self.std):
            raise Reject("NS353", f"{len(self.mean)} means have {len(self.std)} deviations", argument="std")
        if self.per == "all" and (isinstance(self.mean, tuple) or isinstance(self.std, tuple)):
            raise Reject("NS353", "one mean and one deviation are for `all`", argument="per")


class MinMax(Entry):
    """`min_max`: linearly, so that the training data go from `low` to `high`. Other data may go beyond; constant data become `low`."""

    NAME: ClassVar[str] = "min_max"
    SLOT: ClassVar[Slot] = "normalization"
    SOURCE: ClassVar[str] = "Han, Kamber, Pei 2011, Data Mining, section 3.5.2"
    low: Finite = 0.0
    high: Finite = 1.0
    per: Per = "channel"

    def check(self) -> None:
        """The range is not empty."""
        if self.low >= self.high:
            raise Reject("NS353", f"a range from {self.low:g} to {self.high:g} is empty", argument="high")


class Log(Entry):
    """`log`: `ln(x + offset)`, for counts and other numbers whose ratios matter. No number of the data may be `-offset` or less."""

    NAME: ClassVar[str] = "log"
    SLOT: ClassVar[Slot] = "normalization"
    SOURCE: ClassVar[str] = "Bartlett 1947, The Use of Transformations, Biometrics 3"
    offset: NonNegative = 1.0
