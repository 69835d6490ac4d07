"""What the arguments of every operator are drawn from, as text.

Numbers come in bins (1, 2, a prime, the size of the axis, more than half of it), and the bin that an argument has met
least is the likeliest, so that a few hundred networks meet every pair of an argument and a bin.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Callable

from netspec import ops
from netspec.sizes.dim import evaluate
from netspec.sizes.tensor import TensorType

BINS = ("one", "two", "prime", "size", "half")


class Draw:
    """Draws the arguments of one call: the tensor that it applies to, at its typical sizes, and what was drawn before."""

    def __init__(self, rng: random.Random, coverage: Counter[tuple[str, str]], type_: TensorType, typical: dict[str, int]) -> None:
        self.rng, self.coverage, self.typical = rng, coverage, typical
        self.names = [str(s) for s in type_.shape if str(s) in typical]
        self.shape = tuple(s if isinstance(s, int) else evaluate(s, typical) for s in type_.shape) or (1,)
        self.rank = len(self.shape)
        self.channels = self.shape[1] if self.rank > 1 else 1
        self.spatial = self.shape[2:]
        self.slot = ""

    def argument(self, operator: str, field: str, flag: bool, named: bool) -> str:
        """One argument as text."""
        self.slot = f"{operator}.{field}"
        drawer = DRAWERS.get(self.slot) or DRAWERS.get(field)
        text = str(drawer(self)) if drawer and not flag else self.word("true", "false")
        return f"{field} = {text}" if named else text

    # ------------------------------------------------------------------------------------------------------ numbers
    def bin(self, names: tuple[str, ...]) -> str:
        """One of some bins of the argument that is drawn, the least met first."""
        chosen = self.rng.choices(names, [1 / (1 + self.coverage[self.slot, name]) for name in names])[0]
        self.coverage[self.slot, chosen] += 1
        return chosen

    def number(self, size: int, most: int = 1 << 30) -> int:
        """A number for an axis of that size."""
        value = {"one": 1, "two": 2, "prime": self.rng.choice((3, 5, 7)), "size": size, "half": size // 2 + 1}[self.bin(BINS)]
        return max(1, min(value, most))

    def per_axis(self, most: int = 1 << 30) -> str:
        """A number for all spatial axes, or one for each."""
        if self.rng.random() < 0.6 or len(self.spatial) < 2:
            return self.spell(self.number(min(self.spatial, default=1), most))
        return "(" + ", ".join(str(self.number(n, most)) for n in self.spatial) + ")"

    def spell(self, value: int) -> str:
        """A number as it is, or as arithmetic."""
        if self.rng.random() > 0.15 or value < 0:
            return str(value)
        ways = [f"{value + 3} - 3", f"{2 * value} // 2", f"max({value}, 1)", f"len({[0] * min(value, 20)})" if value <= 20 else f"{value}"]
        return self.rng.choice([*ways, f"{value} * 2^0", f"{value} if {value} > 0 else 1", f"sum([{value}])"])

    def axis(self, least: int = 0, new: int = 0) -> int:
        """An axis from either end, not before `least`; `new` allows the one past the last."""
        rank = self.rank + new
        axis = self.rng.randrange(least, max(rank, least + 1))
        return axis - rank if self.rng.random() < 0.5 else axis

    def word(self, *words: str) -> str:
        """One of some spellings."""
        return self.bin(words)

    def entry(self, most: int) -> str:
        """A padding of one axis: a number, or a pair."""
        one = self.rng.randrange(most + 1)
        return str(one) if self.rng.random() < 0.5 else f"({one}, {self.rng.randrange(most + 1)})"

    def padding(self, words: tuple[str, ...] = ("same", "same_upper", "valid")) -> str:
        """Padding in each of its forms."""
        form = self.bin(("number", "pairs", *words))
        if form == "number":
            return self.spell(self.rng.randrange(4))
        if form == "pairs":
            return "(" + ", ".join(self.entry(3) for _ in self.spatial) + ("," if len(self.spatial) == 1 else "") + ")"
        return form

    def real(self, *values: float) -> str:
        """A real number."""
        return str(self.rng.choice(values))

    def scale(self) -> str:
        """A factor, or one an axis."""
        factors = ("2.0", "3.0", "1.5", "0.5", "1.0", "2.5")
        if self.rng.random() < 0.6:
            return self.word(*factors)
        return "(" + ", ".join(self.rng.choice(factors) for _ in self.spatial) + ("," if len(self.spatial) == 1 else "") + ")"

    def sizes(self) -> str:
        """Target sizes of the spatial axes, some of them open."""
        found = [self.rng.choice([str(self.number(n)), *self.names]) for n in self.spatial]
        return found[0] if self.rng.random() < 0.3 else "(" + ", ".join(found) + ("," if len(found) == 1 else "") + ")"

    def axes(self) -> str:
        """An axis, several, or none."""
        return self.rng.choice([str(self.axis(1)), str(self.axis()), "(" + ", ".join(map(str, range(1, self.rank))) + ",)", "none"])

    def mode(self) -> str:
        """How to interpolate."""
        linear = {1: ("linear",), 2: ("bilinear", "bicubic"), 3: ("trilinear",)}.get(len(self.spatial), ())
        return self.word("nearest", "nearest_exact", "area", *linear)

    def reshaped(self) -> str:
        """Another shape of as many elements."""
        x = "x.shape[0]"
        whole = [f"({x}, -1)", f"({x}, x.shape[1], -1)", f"({x}, 1, -1, x.shape[1])", "(-1,)"]
        return self.rng.choice([*whole, f"({x}, -1, 2)", "(" + ", ".join(f"x.shape[{i}]" for i in range(self.rank)) + ")"])

    def permutation(self) -> str:
        """Every axis once."""
        order = list(range(self.rank))
        self.rng.shuffle(order)
        return "(" + ", ".join(map(str, order)) + ",)"

    def pieces(self) -> str:
        """Lengths that add up to the channels."""
        cut = self.rng.randrange(1, max(self.channels, 2))
        return f"({cut}, {max(self.channels - cut, 1)})"

    def inner(self) -> str:
        """A layer with a weight."""
        layers = [f"conv({self.rng.choice((2, 4))}, {self.rng.choice((1, 3))}, padding = 1)", "conv_transpose(3, 2, stride = 2)"]
        return self.rng.choice(layers if self.rank > 2 else ["linear(5)", "linear(3, bias = false)"])


#: a drawer for `operator.argument`, else for `argument`; it gives text. `bool` arguments need none.
DRAWERS: dict[str, Callable[[Draw], object]] = {
    "channels": lambda d: d.spell(d.number(d.channels, 12)),
    "features": lambda d: d.spell(d.number(d.shape[-1], 16)),
    "kernel": lambda d: d.per_axis(7),
    "stride": lambda d: d.per_axis(4),
    "dilation": lambda d: d.per_axis(3),
    "output_padding": lambda d: d.rng.randrange(3),
    "padding": lambda d: d.padding(),
    "conv_transpose.padding": lambda d: d.padding(()),
    "local_conv.padding": lambda d: d.padding(("same", "valid")),
    "groups": lambda d: d.number(d.channels),
    "padding_mode": lambda d: d.word("zeros", "reflect", "replicate", "circular"),
    "divisor_override": lambda d: d.rng.choice((1, 3, 10)),
    "p": lambda d: d.word("1", "2", "3.0", "1.5"),
    "size": lambda d: d.per_axis(9),
    "resize.size": lambda d: d.sizes(),
    "crop.size": lambda d: d.sizes(),
    "crop.offset": lambda d: d.rng.choice(("0", "1")),
    "local_response_norm.size": lambda d: d.number(d.channels, 7),
    "count": lambda d: d.rng.choice((2, 3, 7)),
    "chunk.count": lambda d: d.number(d.channels, 4),
    "padding_idx": lambda d: d.rng.choice((0, 1, -1)),
    "eps": lambda d: d.real(1e-5, 1e-3, 0.1),
    "momentum": lambda d: d.real(0.1, 0.01, 0.9),
    "alpha": lambda d: d.real(0.5, 1.0, 2.0),
    "local_response_norm.alpha": lambda d: d.real(0.5, 1e-4),
    "beta": lambda d: d.real(0.75, 1.0, 2.0),
    "k": lambda d: d.real(1.0, 2.0),
    "axis": lambda d: d.axis(),
    "layer_norm.axis": lambda d: d.axis(1),
    "rms_norm.axis": lambda d: d.axis(1),
    "weight_norm.axis": lambda d: d.word("0", "1", "none"),
    "spectral_norm.axis": lambda d: d.word("0", "1", "none"),
    "power_iterations": lambda d: 2,
    "layer": lambda d: d.inner(),
    "unsqueeze.axis": lambda d: d.axis(1, new=1),
    "stack.axis": lambda d: d.axis(1, new=1),
    "pad.axis": lambda d: d.rng.choice([d.axis(1), "none"]),
    **{
        f"{name}.axis": lambda d: d.axes()
        for name in ("mean", "sum", "max", "min", "prod", "logsumexp", "var", "std", "vector_norm", "any", "all", "flip")
    },
    "repeats": lambda d: d.number(3, 3),
    "tile.repeats": lambda d: "(" + ", ".join(str(d.number(2, 2)) for _ in range(d.rank)) + ",)",
    "diagonal": lambda d: d.rng.choice((-1, 0, 2)),
    "correction": lambda d: d.rng.choice((0, 1)),
    "negative_slope": lambda d: d.real(0.1, 0.3, 0.0),
    "threshold": lambda d: d.real(0.5, -0.25, 20.0),
    "value": lambda d: d.real(0.0, -3.0, 0.5),
    "hard_tanh.min": lambda d: d.real(-1.0, -0.5),
    "hard_tanh.max": lambda d: d.real(1.0, 0.5),
    "min": lambda d: d.real(-1.0, 0.5),
    "max": lambda d: d.real(1.0, 0.25),
    "pieces": lambda d: d.number(d.channels),
    "approximate": lambda d: d.word("tanh", "none"),
    "scale": lambda d: d.scale(),
    "mode": lambda d: d.mode(),
    "pad.mode": lambda d: d.word("zeros", "constant", "reflect", "replicate", "circular"),
    "factor": lambda d: d.word("1", "2", "3"),
    "amount": lambda d: d.rng.choice([str(d.rng.randrange(3)), "(" + ", ".join(d.entry(2) for _ in d.spatial) + ",)"]),
    "start": lambda d: d.rng.choice((0, 1, 2)),
    "end": lambda d: d.rng.choice((-1, -2)),
    "stop": lambda d: d.rng.choice(("none", "2", "-1", "3")),
    "step": lambda d: d.number(3, 3),
    "index": lambda d: d.rng.choice((0, -1, 1)),
    "sizes": lambda d: d.reshaped(),
    "expand.sizes": lambda d: "(" + ", ".join(["3", *["-1"] * d.rank][d.rng.randrange(2) :]) + ",)",
    "split.sizes": lambda d: d.rng.choice([d.pieces(), str(d.number(d.channels))]),
    "axes": lambda d: d.permutation(),
    "dtype": lambda d: d.word("float32", "float64", "int64", "int32", "bool"),
    "one_hot.dtype": lambda d: d.word("float32", "int64"),
    "classes": lambda d: d.rng.choice((2, 5)),
    "right": lambda d: d.real(2, 0.5, -1.5, 3),
    "left": lambda d: d.real(2, 0.5, -1.5, 3),
    "init": lambda d: d.rng.choice(("he_normal", "orthogonal", "xavier_uniform(gain = 2.0)", "normal(std = 0.02)")),
}

#: at most one argument of each set is given
EXCLUSIVE = ({"scale", "size"}, {"amount", "size"}, {"amount", "offset"}, {"right", "left"})
#: those of which one is needed, though none is by itself
CHOICES = {"resize": ("scale", "size"), "crop": ("amount", "size"), "clamp": ("min", "max")}
CHOICES |= {name: ("right", "left") for name in ("add", "sub", "mul", "div", "pow")}
CHOICES |= {"remainder": ("right",), "floor_divide": ("right",)}


def call(name: str, rng: random.Random, coverage: Counter[tuple[str, str]], type_: TensorType, typical: dict[str, int]) -> str:
    """The text of one call of an operator on one tensor called `x`; it may well be refused."""
    fields = ops.lookup(name).model_fields
    draw = Draw(rng, coverage, type_, typical)
    needed = [field for field, info in fields.items() if info.is_required()]
    free = [field for field in fields if field not in needed and field not in ops.lookup(name).TENSOR_ARGUMENTS]
    if name in CHOICES:
        needed.append(rng.choice(CHOICES[name]))
        free = [field for field in free if field not in _excluded(needed[-1])]
    positional = name not in CHOICES  # the needed ones come first
    written = [draw.argument(name, field, fields[field].annotation is bool, named=not positional) for field in needed]
    written += [draw.argument(name, field, fields[field].annotation is bool, named=True) for field in free if rng.random() < 0.3]
    return f"{name}({', '.join(written)})" if written or rng.random() < 0.3 else name


def _excluded(field: str) -> set[str]:
    return {other for group in EXCLUSIVE if field in group for other in group}
