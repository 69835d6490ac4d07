"""What is known of a tensor's numbers at initialization: three moments, and how they vary towards the borders."""

from __future__ import annotations

from netspec.record import record

#: relative second moment by position along each spatial axis (mean 1); None where it is the same at every position
Profile = tuple["tuple[float, ...] | None", ...]


@record
class Moments:
    """Mean and second moment of a tensor's elements, over units (channels, features), positions, examples and draws of the
    weights; and what part of the second moment differs from example to example.

    `variance` is the variance of one unit over examples and positions: what batch norm divides by. The rest,
    `second - mean² - variance`, is the variance of the units' own means, which are the same for every input. None stands for
    all that there is: `second - mean²`.
    """

    mean: float = 0.0
    second: float = 1.0
    variance: float | None = None

    @property
    def spread(self) -> float:
        """The variance over everything: `second - mean²`, not negative."""
        return max(self.second - self.mean * self.mean, 0.0)

    @property
    def varying(self) -> float:
        """`variance`, or the spread where that was left open."""
        return self.spread if self.variance is None else self.variance

    @property
    def common(self) -> float:
        """The second moment of the units' means: what two examples share, `E x_a x_b`."""
        return max(self.second - self.varying, 0.0)

    def scaled(self, factor: float) -> Moments:
        """The moments of `factor * x`."""
        square = factor * factor
        return Moments(factor * self.mean, square * self.second, square * self.varying)

    def shifted(self, constant: float) -> Moments:
        """The moments of `x + constant`."""
        return Moments(self.mean + constant, self.second + 2 * constant * self.mean + constant * constant, self.varying)


NOTHING = Moments(0.0, 0.0, 0.0)


def mixture(parts: list[tuple[float, Moments]]) -> Moments:
    """The moments of a tensor of which shares (that add up to 1) have these moments."""
    return Moments(
        sum(share * m.mean for share, m in parts),
        sum(share * m.second for share, m in parts),
        sum(share * m.varying for share, m in parts),
    )
