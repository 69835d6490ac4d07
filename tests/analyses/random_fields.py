"""Random networks whose fields are hard: as text, with every operator that moves positions.

A network grows by statements that are proposed, compiled, and kept if they are valid. Most have one spatial axis, which
is the quickest to differentiate and the whole difficulty; those with two mix operators that need pictures (bicubic,
pixel shuffle). The input's size is open, and small.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from netspec.api import compile
from netspec.sizes.dim import evaluate
from netspec.source import Source

#: no axis is longer, so that every output position can be differentiated
LONGEST = 90


@dataclass
class RandomField:
    """A network by its text, with its number of spatial axes and the kinds of statement that it is made of."""

    seed: int
    text: str
    axes: int
    kinds: Counter[str] = field(default_factory=Counter)


def random_fields(count: int, first: int = 0) -> Iterator[RandomField]:
    """`count` networks, each decided by its seed alone."""
    for seed in range(first, first + count):
        yield _Writer(seed).network()


class _Writer:
    """A network in the making. `x` is always the value that the next statement looks at."""

    def __init__(self, seed: int) -> None:
        self.seed, self.rng = seed, random.Random(f"field {seed}")
        self.axes = 2 if self.rng.random() < 0.25 else 1
        size = self.rng.randrange(9, 34) if self.axes == 1 else self.rng.randrange(8, 17)
        shape = f"H = {size}" if self.axes == 1 else f"H = {size}, W = {self.rng.randrange(8, 13)}"
        self.lines = [f"input image: [N, 4, {shape}]", "x = image"]
        self.kinds: Counter[str] = Counter()

    def network(self) -> RandomField:
        """Between two and six statements that are valid."""
        wanted = self.rng.randrange(2, 7)
        for _ in range(12 * wanted):
            kind = self.rng.choice(_KINDS)
            lines = getattr(self, f"_{kind}")()
            if self._valid([*self.lines, *lines]):
                self.lines += lines
                self.kinds[kind] += 1
            if self.kinds.total() == wanted:
                break
        return RandomField(self.seed, self._text(self.lines), self.axes, self.kinds)

    def _text(self, lines: list[str]) -> str:
        return "net random {\n" + "".join(f"  {line}\n" for line in [*lines, "output y = x"]) + "}\n"

    def _valid(self, lines: list[str]) -> bool:
        graph = compile(Source("random.net", self._text(lines))).graph
        if graph is None:
            return False
        sizes = {**graph.typical, "N": 1}
        shapes = [[evaluate(s, sizes) for s in v.shape] for v in graph.values]
        return all(len(s) == self.axes + 2 and s[1] <= 48 and max(s[2:]) <= LONGEST and min(s) > 0 for s in shapes)

    # --------------------------------------------------------------------------------------------------------- words
    def one(self, *choices: object) -> str:
        """One of some spellings."""
        return str(self.rng.choice(choices))

    def flag(self) -> str:
        """Yes or no."""
        return self.one("true", "false")

    def padding(self) -> str:
        """Padding as a number, as a pair an axis, or as a word."""
        sides = [f"({self.one(0, 1, 2, 3)}, {self.one(0, 1, 2, 4)})" for _ in range(self.axes)]
        pair = f"({', '.join(sides)})" if self.axes > 1 else sides[0]
        return self.one(0, 1, 2, 3, pair, pair, "same", "same_upper", "valid")

    def linear(self) -> str:
        """What linear interpolation is called here."""
        return "linear" if self.axes == 1 else "bilinear"

    # ---------------------------------------------------------------------------------------------- one value, one path
    def conv(self) -> str:
        """A convolution of any geometry."""
        mode = self.one("zeros", "zeros", "zeros", "reflect", "replicate", "circular")
        geometry = f"stride = {self.one(1, 1, 1, 2, 2, 3)}, dilation = {self.one(1, 1, 2, 3, 4)}, padding = {self.padding()}"
        return f"conv(4, {self.one(1, 2, 3, 3, 4, 5)}, {geometry}, padding_mode = {mode})"

    def _conv(self) -> list[str]:
        return [f"x = x -> {self.conv()}{self.one('', ' -> relu', ' -> bn -> relu')}"]

    def _transposed(self) -> list[str]:
        stride = self.rng.randrange(1, 5)
        more = f"padding = {self.one(0, 0, 1, 2)}, output_padding = {self.rng.randrange(stride)}, dilation = {self.one(1, 1, 2, 3)}"
        return [f"x = x -> conv_transpose(4, {self.one(1, 2, 2, 3, 4, 5)}, stride = {stride}, {more})"]

    def _pool(self) -> list[str]:
        kernel = self.rng.randrange(2, 5)
        more = f"stride = {self.one(1, 2, 2, 3, 4)}, padding = {self.rng.randrange(kernel // 2 + 1)}, ceil_mode = {self.flag()}"
        dilated = f"max_pool({kernel}, {more}, dilation = {self.one(1, 1, 2)})"
        return [f"x = x -> {self.one(dilated, f'avg_pool({kernel}, {more})', f'lp_pool(2, {kernel}, stride = {kernel})')}"]

    def interpolation(self) -> str:
        """A resize of any mode, by a factor or to a size."""
        cubic = "bicubic" if self.axes == 2 else "nearest"
        mode = self.one("nearest", "nearest", "nearest_exact", "area", self.linear(), self.linear(), cubic)
        smooth = mode in ("linear", "bilinear", "bicubic")
        corners = f", align_corners = {self.flag()}" if smooth else ""
        filtered = ", antialias = true" if smooth and self.axes == 2 and self.rng.random() < 0.3 else ""
        target = self.one("2", "2", "3", "4", "1.5", "0.5", "2.5", "0.75", "size = 11", "size = 24", "size = 2 * H - 1", "size = H")
        return f"resize({target}, mode = {mode}{corners}{filtered})"

    def _resize(self) -> list[str]:
        return [f"x = x -> {self.interpolation()}"]

    def _upsample(self) -> list[str]:
        return [f"x = x -> upsample({self.one(2, 2, 3)}, mode = {self.one('nearest', self.linear())})"]

    def _border(self) -> list[str]:
        mode = self.one("zeros", "reflect", "replicate", "circular")
        amount = self.one(1, 2, "(1, 3)", "(0, 2)", "(2, -1)") if self.axes == 1 else self.one(1, 2, "((1, 3), (0, 2))")
        strided = f"slice({self.one(0, 1, 3)}, H, step = {self.one(1, 2, 3)}, axis = 2)"
        return [f"x = x -> {self.one(f'pad({amount}, mode = {mode})', f'crop({self.one(1, 2)})', strided)}"]

    def _shuffle(self) -> list[str]:
        factor = self.one(2, 2, 3)
        up = f"conv({4 * int(factor) ** 2}, 1) -> pixel_shuffle({factor})"
        return [f"x = x -> {self.one(up, f'pixel_unshuffle({factor}) -> conv(4, 1)')}"]

    def _gate(self) -> list[str]:
        everywhere = "x * (x -> global_avg_pool -> conv(4, 1) -> sigmoid)"
        return [f"x = {self.one(everywhere, 'x -> adaptive_avg_pool(5)', 'x -> adaptive_max_pool(7)', 'x -> softmax(axis = -1)')}"]

    # -------------------------------------------------------------------------------------------------------- several
    def _residual(self) -> list[str]:
        rate, kernel = self.one(1, 2, 3, 5), self.one(3, 5)
        branch = f"x -> conv(4, {kernel}, dilation = {rate}, padding = same){self.one('', ' -> relu')}"
        return [f"x = x {self.one('+', '++', '-')} ({branch})", "x = x -> conv(4, 1)"]

    def _shifted(self) -> list[str]:
        """Branches of unequal centre: one-sided padding."""
        left = f"x -> conv(4, 3, padding = {self.one('(2, 0)', 1)})" if self.axes == 1 else "x -> conv(4, 3, padding = ((2, 0), (1, 1)))"
        right = self.one("x -> conv(4, 5, dilation = 2, padding = same)", "x -> max_pool(3, stride = 1, padding = 1)", "x")
        return [f"x = ({left}) + ({right})"]

    def _hourglass(self) -> list[str]:
        """Down and up again to the size that there was, beside what there was."""
        down = self.one("max_pool(2)", self.conv(), "conv(4, 3, stride = 2, padding = 1)", "avg_pool(3, stride = 2, ceil_mode = true)")
        up = self.one("conv(4, 3, padding = 1)", "conv_transpose(4, 3, stride = 2)", "relu")
        mode = self.one("nearest", self.linear(), "nearest_exact", "area")
        return [f"d = x -> {down} -> {up}", f"x = x {self.one('+', '++')} (d -> resize(like = x, mode = {mode}))", "x = x -> conv(4, 1)"]

    def _unet(self) -> list[str]:
        """A valid convolution's U: the skip is cropped to what came back."""
        deep = "x -> conv(4, 3) -> max_pool(2) -> conv(4, 3) -> upsample(2)"
        return [f"u = {deep}", "x = u ++ (x -> crop(like = u)) -> conv(4, 3)"]

    def _pieces(self) -> list[str]:
        taps = [f"conv(4, {self.one(1, 3)}, padding = same, dilation = {self.one(1, 2, 4)})" for _ in range(2)]
        return ["a, b = x -> conv(4, 1) -> chunk(2)", f"x = (a -> {taps[0]}) ++ (b -> {taps[1]}) -> conv(4, 1)"]

    def _stack(self) -> list[str]:
        """Dilations in a row, with holes or without."""
        rates = [self.one(1, 2, 3, 4, 5) for _ in range(self.rng.randrange(2, 4))]
        return [f"x = x -> {' -> '.join(f'conv(4, 3, dilation = {r}, padding = {r})' for r in rates)}"]


_KINDS = [name[1:] for name in vars(_Writer) if name.startswith("_") and not name.startswith("__") and name not in ("_text", "_valid")]
