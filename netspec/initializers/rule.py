"""What the table of initializers is made of: arguments, the tensor that is asked about, and rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from netspec.initializers.distributions import Distribution
from netspec.op import Initializer, Reject
from netspec.record import record


@record
class Argument:
    """An argument of an initializer: `kind` is number, number or list of them, integer, boolean, word or initializer (its name,
    or what `make` gave)."""

    name: str
    kind: str
    default: Any
    doc: str
    words: tuple[str, ...] = ()

    def check(self, value: Any) -> str:
        """What is wrong with `value`, or an empty string."""
        if value is None and self.default is None:
            return ""
        if self.words and isinstance(value, str):
            return "" if value in self.words else f"one of {', '.join(self.words)}"
        number = _is_number(value)
        fits = {
            "number": number,
            "number or list of them": number or (isinstance(value, (list, tuple)) and len(value) > 0 and all(map(_is_number, value))),
            "integer": number and isinstance(value, int),
            "boolean": isinstance(value, bool),
            "word": False,
            "initializer": isinstance(value, (str, Initializer)),
        }[self.kind]
        return "" if fits else (f"one of {', '.join(self.words)}" if self.words else f"a{'n' if self.kind[0] == 'i' else ''} {self.kind}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


REQUIRED: Any = object()  #: the default of an argument that must be given


@record
class Target:
    """What an initializer may know of the tensor: its shape and its two fans (0 where the notion does not apply)."""

    shape: tuple[int, ...]
    fan_in: float
    fan_out: float

    def fan(self, mode: str, compat: str) -> float:
        """The fan that `mode` asks for, positive. `compat = torch` counts as `torch.nn.init` does, from the shape alone:
        without groups, and a transposed convolution the wrong way round."""
        fan_in, fan_out = self.fan_in, self.fan_out
        if compat == "torch":
            if len(self.shape) < 2:
                raise Reject("NS332", f"torch counts fans from two axes on; this tensor has {len(self.shape)}")
            taps = math.prod(self.shape[2:])
            fan_in, fan_out = self.shape[1] * taps, self.shape[0] * taps
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
        if fan <= 0:
            raise Reject("NS332", f"this tensor has no {mode}", help="start it with zeros, ones, constant(…), normal(…) or uniform(…)")
        return fan


@record
class Rule:
    """An initializer of the language: its name and aliases, its arguments in positional order, what it draws from, its doc.

    `layers` are the operators whose weights it can start; all where it is empty.
    """

    name: str
    arguments: tuple[Argument, ...]
    draw: Callable[..., Distribution]
    aliases: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()

    @property
    def doc(self) -> str:
        """What it computes, and where the formula comes from."""
        return self.draw.__doc__ or ""
