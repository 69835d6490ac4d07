"""Random convolutional networks with one open size `S`, as text: everything that changes the length of an axis is in them."""

from __future__ import annotations

import random

#: The inputs: along the open axis alone, or with a second axis that goes with it.
_INPUTS = {
    "row": ("[N, 4, S = {t}]",),
    "square": ("[N, 4, S = {t}, S]",),
    "oblong": ("[N, 4, S = {t}, 2 * S]",),
    "fixed": ("[N, 4, S = {t}, 7]",),
    "pair": ("[N, 4, S = {t}, S]", "[N, 4, {other}, {other}]"),
}
_OTHERS = ("S", "2 * S", "S + 3", "3 * S - 1", "S + 8")


class Writer:
    """Writes one network. `axes` says on which of its spatial axes it works: on a fixed one windows are 1."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.kind = self.dice.choice(("row", "row", "square", "square", "fixed", "oblong", "pair"))
        self.lines: list[str] = []
        self.count = 0

    def text(self) -> str:
        """The spec, with `{t}` where the typical size belongs."""
        other = self.dice.choice(_OTHERS)
        for number, shape in enumerate(_INPUTS[self.kind]):
            self.lines.append(f"input x{number}: {shape.replace('{other}', other)}")
        here = "x0"
        if self.kind == "pair":
            here = self.merge(self.chain("x0", 2), self.chain("x1", 2))
        for _ in range(self.dice.randint(1, 2)):
            here = self.branched(here) if self.dice.random() < 0.5 else self.chain(here, 3)
        self.lines.append(f"output y = {here}{self.dice.choice(['', '', self.head()])}")
        return "net random {\n  " + "\n  ".join(self.lines) + "\n}\n"

    def bind(self, value: str) -> str:
        """A new name for a value."""
        self.count += 1
        self.lines.append(f"v{self.count} = {value}")
        return f"v{self.count}"

    def chain(self, here: str, most: int) -> str:
        """Some layers, one after the other."""
        return self.bind(" -> ".join([here, *(self.layer() for _ in range(self.dice.randint(1, most)))]))

    def branched(self, here: str) -> str:
        """Two ways that meet: down and up again beside a skip, or two different chains; sometimes repaired."""
        if self.dice.random() < 0.2:
            return self.merge(here, self.chain(here, 2))
        factor = self.dice.choice((2, 2, 3))
        down = self.dice.choice((f"max_pool({factor})", f"conv(4, 3, stride = {factor}, padding = 1)"))
        up = self.dice.choice((f"upsample({factor})", f"conv_transpose(4, {factor}, stride = {factor})", f"resize({factor})"))
        middle = self.layer() if self.dice.random() < 0.4 else self.flat(f"conv(4, {self.dice.choice((1, 3, 5))}, padding = same)")
        return self.merge(here, self.bind(f"{here} -> {self.flat(down)} -> {middle} -> {self.flat(up)}"))

    def merge(self, left: str, right: str) -> str:
        """One value of two."""
        repair = self.dice.choice(("", "", "", f" -> resize(like = {left})", f" -> crop(like = {left})"))
        if self.dice.random() < 0.5:
            return self.bind(f"{left} + ({right}{repair})")
        return self.bind(f"{left} ++ ({right}{repair}) -> {self.flat('conv(4, 1)')}")

    def layer(self) -> str:
        """One layer; four channels stay four."""
        pick, number = self.dice.choice, self.dice.randint
        k, s, d = pick((1, 2, 3, 3, 5)), pick((1, 2, 2, 3)), pick((1, 1, 2))
        half = number(0, k // 2)
        return self.flat(
            pick(
                (
                    f"conv(4, {k}, stride = {s}, padding = {number(0, 2)}, dilation = {d})",
                    f"conv(4, {k}, stride = {s}, padding = {number(0, 2)}, dilation = {d})",
                    f"conv(4, {k}, padding = same, dilation = {d})",
                    f"conv(4, {k}, stride = {s}, padding = same_upper)",
                    f"max_pool({k}, stride = {s}, padding = {half}, ceil_mode = {pick(('true', 'false'))})",
                    f"max_pool({k}, stride = {s}, dilation = {d}, ceil_mode = {pick(('true', 'false'))})",
                    f"avg_pool({k}, stride = {s}, padding = {half}, ceil_mode = {pick(('true', 'false'))})",
                    f"max_pool({k}, stride = {s}, padding = same_upper)",
                    f"conv_transpose(4, {k}, stride = {s}, padding = {number(0, 2)}, output_padding = {number(0, s - 1)}, dilation = {d})",
                    f"upsample({pick((2, 3))})",
                    f"resize({pick((1.5, 0.5, 2.5))})",
                    f"pad({number(1, 4)}, {pick(('constant', 'reflect', 'replicate', 'circular'))})",
                    f"crop({number(1, 4)})",
                    f"slice({number(0, 3)}, -{number(1, 3)}, axis = 2)",
                    f"slice(step = {s}, axis = 2)",
                    "conv(16, 1) -> pixel_shuffle(2)",
                    "pixel_unshuffle(2) -> conv(4, 1)",
                    "bn -> relu",
                    f"conv(4, {k}, stride = {k})",
                )
            )
        )

    def flat(self, layer: str) -> str:
        """The layer where an axis is not to be touched, or where there is but one."""
        if self.kind == "row" and "pixel" in layer:
            return "max_pool(2)" if "unshuffle" in layer else "upsample(2)"
        if self.kind == "fixed" and not layer.startswith(("slice", "bn", "conv(16")):
            return self._one_axis(layer)
        if self.kind == "fixed" and "shuffle" in layer:
            return "relu"
        if layer.startswith("slice") and self.kind == "square":
            return f"{layer} -> {layer.replace('axis = 2', 'axis = 3')}"
        return layer

    def _one_axis(self, layer: str) -> str:
        """`conv(4, 3, stride = 2)` as `conv(4, (3, 1), stride = (2, 1))`."""
        name, inside = layer.rstrip(")").split("(", 1)
        if name in ("pixel_unshuffle", "resize", "upsample", "pad", "crop"):
            return {"pixel_unshuffle": "max_pool((2, 1))", "pad": "pad(((1, 2), 0))", "crop": "crop((1, 0))"}.get(name, "resize((1.5, 1))")
        parts = []
        for place, part in enumerate(inside.split(", ")):
            key, _, value = part.rpartition(" = ")
            size = place == (1 if name.startswith("conv") else 0) and not key
            rest = {"stride": 1, "padding": 0, "dilation": 1, "output_padding": 0}.get(key)
            parts.append(f"({value}, 1)" if size else f"{key} = ({value}, {rest})" if rest is not None and value.isdigit() else part)
        return f"{name}({', '.join(parts)})"

    def head(self) -> str:
        """The end of a classifier."""
        return self.dice.choice(
            (
                " -> flatten -> linear(3)",
                " -> global_avg_pool -> flatten -> linear(3)",
                " -> flatten -> linear(3)",
                f" -> {'adaptive_max_pool(2)' if self.dice.random() < 0.5 else 'adaptive_avg_pool(3)'} -> flatten -> linear(2)",
            )
        )
