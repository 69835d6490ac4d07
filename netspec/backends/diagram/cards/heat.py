"""A heat scale: how light or dark a box is, by what it costs or how far it sees."""

from __future__ import annotations

import math
from collections.abc import Mapping

from netspec.analyses.outline.model import View
from netspec.backends.diagram.figures import Figures, last_value
from netspec.backends.diagram.look import Heat
from netspec.backends.diagram.palette import PAGE, SCALE
from netspec.backends.diagram.wording import count
from netspec.record import record

#: what the legend calls a scale, and the unit that stands behind a number
WORDS: Mapping[Heat, tuple[str, str]] = {
    "parameters": ("parameters", "params"), "macs": ("multiply-accumulates", "MACs"),
    "bytes": ("bytes moved", "B"), "field": ("receptive field", "RF"),
}  # fmt: skip
#: from so many times the least value to the most on, steps are those of the logarithm
_DECADES = 50.0


@record
class Scale:
    """The values of boxes, by their numbers, and where the scale begins and ends. Boxes without a value are not there."""

    kind: Heat
    values: Mapping[int, float]
    low: float
    high: float

    @property
    def logarithmic(self) -> bool:
        """Whether equal steps are equal factors."""
        return self.low > 0 and self.high / self.low > _DECADES

    def colour(self, box: int) -> str:
        """The colour of a box; of the page where it has no value."""
        return SCALE[self._step(self.values[box])] if box in self.values else PAGE

    def text(self, box: int) -> str:
        """The value as it is written on a box: `118 M MACs`, `RF 43`; empty where there is none."""
        if box not in self.values:
            return ""
        value, unit = self.values[box], WORDS[self.kind][1]
        number = "all" if math.isinf(value) else str(int(value)) if self.kind == "field" else count(value)
        return f"{unit} {number}" if self.kind == "field" else f"{number} {unit}"

    def _step(self, value: float) -> int:
        if self.high <= self.low or value >= self.high:
            return len(SCALE) - 1 if self.high > self.low or math.isinf(value) else 0
        part = (
            math.log(value / self.low) / math.log(self.high / self.low) if self.logarithmic else (value - self.low) / (self.high - self.low)
        )
        return min(len(SCALE) - 1, max(0, int(part * len(SCALE))))


def scale(view: View, figures: Figures, kind: Heat) -> Scale:
    """The scale of a view: of all layers that a box stands for, its repetitions included; of a field, the largest axis."""
    values: dict[int, float] = {}
    for number, box in enumerate(view.boxes):
        if not box.nodes:
            continue
        if kind == "field":
            made = last_value(view, box)
            value = max(figures.field(made).values(), default=0.0) if made is not None else 0.0
        else:
            value = float(getattr(figures.cost(box.nodes), kind))
        if value > 0:
            values[number] = value
    finite = [value for value in values.values() if not math.isinf(value)]
    return Scale(kind, values, min(finite, default=0.0), max(finite, default=0.0))
