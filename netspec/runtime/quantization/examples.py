"""Calibration data: examples of what a network will be given, held against what it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field

import numpy as np

from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.record import record
from netspec.runtime.arguments import Signature

#: Fewer examples tell no range; from the second number on they tell it well.
FEWEST, ENOUGH = 8, 64
#: Rows that are run at once where the network leaves their number open.
ROWS = 8
#: A normalized input stays within this many standard deviations; grey values up to 255 do not.
_FAR = 30.0


@record
class Examples:
    """Examples for a network, checked. `arrays` by input: of the input's rank, rows along the first axis, or with one axis more, along
    which lie whole inputs. `count` is their number, `step` how many rows go into one run, `remarks` what looks odd."""

    signature: Signature
    arrays: Mapping[str, np.ndarray]
    count: int
    step: int
    remarks: tuple[str, ...] = field(default=())

    def batches(self, most: int | None = None) -> Iterator[dict[str, np.ndarray]]:
        """What to run the network on, one piece after the other; of `most` examples, spread over all of them."""
        starts = range(0, self.count - self.step + 1, self.step)
        wanted = len(starts) if most is None else min(len(starts), max(1, most // self.step))
        for number in range(wanted):
            yield self._feed(starts[number * len(starts) // wanted])

    def _feed(self, start: int) -> dict[str, np.ndarray]:
        feed = {}
        for name, kind in self.signature.inputs.items():
            array = self.arrays[name]
            feed[name] = np.ascontiguousarray(array[start : start + self.step] if array.ndim == kind.rank else array[start])
        return feed


def examples_of(signature: Signature, arrays: Mapping[str, np.ndarray], raw: bool = False) -> Examples:
    """The arrays as examples for a network with these inputs. They are read piece by piece: they may lie in mapped files. `raw` says that
    the network normalizes them itself: no range is odd then.

    Raises Refusal NS752: an input without data or data without an input, another element type or shape, numbers of examples that differ
    or are below `FEWEST`, and values that are no numbers.
    """
    for name in arrays:
        if name not in signature.inputs:
            helps = suggestion(name, signature.inputs) or (f"its inputs are {', '.join(signature.inputs)}",)
            raise Refusal("NS752", f"the network has no input `{name}` to calibrate", helps=helps, status=2)
    missing = [name for name in signature.inputs if name not in arrays]
    if missing:
        raise Refusal(
            "NS752", f"there is no calibration data for {', '.join(missing)}", helps=(f"--calibrate {missing[0]}=x.npy",), status=2
        )
    counts = {name: len(arrays[name]) if arrays[name].ndim else 0 for name in signature.inputs}
    count = min(counts.values(), default=0)
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{name} has {number}" for name, number in counts.items())
        raise Refusal("NS752", f"the inputs have different numbers of examples: {shown}")
    step = _step(signature, arrays, count)
    if count < max(FEWEST, step):
        why = f"; the network takes {step} at once" if step > FEWEST else ""
        raise Refusal("NS752", f"{count} examples are too few to measure ranges: give at least {max(FEWEST, step)}{why}")
    found = Examples(signature, arrays, count, step)
    low, high = _checked(found)
    remarks = [f"{count} examples are few: ranges are surer from {ENOUGH} on"] if count < ENOUGH else []
    for name in low:
        if not raw and max(-low[name], high[name]) > _FAR:
            remarks.append(f"`{name}` reaches from {low[name]:.4g} to {high[name]:.4g}: calibrate with data as the network is given them")
    return Examples(signature, arrays, count, step, tuple(remarks))


def _step(signature: Signature, arrays: Mapping[str, np.ndarray], count: int) -> int:
    """How many rows go into one run: as many as the network says, one where whole inputs are given."""
    fixed = 0
    for name, kind in signature.inputs.items():
        if arrays[name].ndim == kind.rank + 1:
            return 1
        if kind.rank and isinstance(kind.shape[0], int):
            fixed = kind.shape[0]
    return fixed or min(ROWS, max(count, 1))


def _checked(examples: Examples) -> tuple[dict[str, float], dict[str, float]]:
    """The least and the greatest value of every floating input. Raises Refusal NS752 for what the network does not take."""
    low: dict[str, float] = {}
    high: dict[str, float] = {}
    for number, feed in enumerate(examples.batches()):
        try:
            examples.signature.check(feed)
        except Refusal as error:
            why = error.diagnostic
            raise Refusal("NS752", f"the calibration data do not fit: {why.message}", notes=why.notes, helps=why.helps, status=2) from None
        for name, array in feed.items():
            if not np.issubdtype(array.dtype, np.floating):
                continue
            least, most = float(array.min(initial=np.inf)), float(array.max(initial=-np.inf))
            if not np.isfinite(array).all():
                raise Refusal("NS752", f"`{name}` has values that are no numbers, from example {number * examples.step} on")
            low[name], high[name] = min(low.get(name, least), least), max(high.get(name, most), most)
    return low, high
