"""A reader of sizes as `show` writes them, for graphs that come back from JSON.

Operator precedence with an explicit stack (no recursion: the text may come from anyone), over any algebra: the caller
says what a name and what `min` and `max` mean, Python's operators do the rest.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

#: The longest text read, in characters; the longest number, in digits and as a result in bits; the highest exponent.
MAX_TEXT = 1_000_000
MAX_DIGITS = 1_300
MAX_BITS = 8_192
MAX_EXPONENT = 64

_TOKEN = re.compile(r"\s*(?:(\d+)|([A-Za-z_]\w*)|(//|[-+*/%^(),]))", re.ASCII)
_BINARY: dict[str, tuple[int, Callable[[Any, Any], Any]]] = {
    "+": (1, operator.add),
    "-": (1, operator.sub),
    "*": (2, operator.mul),
    "//": (2, operator.floordiv),
    "/": (2, operator.floordiv),  # exact, by a condition that travels beside the size
    "%": (2, operator.mod),
    "^": (4, operator.pow),
}
_NEGATE = 3  # binds tighter than a product, looser than a power: -H^2 is -(H^2)


def read(text: str, name: Callable[[str], Any], functions: Mapping[str, Callable[..., Any]]) -> Any:
    """The value of `text`. Raises ValueError where it is not a size."""
    if len(text) > MAX_TEXT:
        raise ValueError(f"a size is written in at most {MAX_TEXT} characters")
    return _Reader(text, name, functions).run()


class _Reader:
    """One reading: values wait on one stack; operators, parentheses and calls on another."""

    def __init__(self, text: str, name: Callable[[str], Any], functions: Mapping[str, Callable[..., Any]]) -> None:
        self.text, self.name, self.functions = text, name, functions
        self.values: list[Any] = []
        self.waiting: list[tuple[str, int]] = []  # (operator, precedence); "(" and calls have precedence 0
        self.counts: list[int] = []  # arguments so far, one entry an open parenthesis
        self.called = False  # the next parenthesis is that of a call

    def run(self) -> Any:
        operand_next = True
        position, end = 0, len(self.text.rstrip())
        while position < end:
            match = _TOKEN.match(self.text, position)
            if match is None:
                raise self._wrong(position)
            start, position = match.start(match.lastindex or 0), match.end()
            if operand_next:
                operand_next = self._operand(match, start, position)
            else:
                operand_next = self._after(match, start)
        if operand_next or self.counts:
            raise ValueError(f"the size {self._quoted()} ends too early")
        self._apply(0)
        return self.values.pop()

    def _operand(self, match: re.Match[str], start: int, end: int) -> bool:
        """Take a token where a value is due; whether one is still due after it."""
        digits, word, mark = match.groups()
        if digits is not None:
            if len(digits) > MAX_DIGITS:
                raise ValueError(f"a number in a size has at most {MAX_DIGITS} digits")
            self.values.append(int(digits))
            return False
        if word is not None:
            if word in self.functions and self.text[end : end + 1] == "(":
                self.waiting.append((word, 0))
                self.called = True
                return True
            self.values.append(self.name(word))
            return False
        if mark == "(":
            if not self.called:
                self.waiting.append(("(", 0))
            self.called = False
            self.counts.append(1)
            return True
        if mark == "-":
            self.waiting.append(("negate", _NEGATE))
            return True
        raise self._wrong(start)

    def _after(self, match: re.Match[str], start: int) -> bool:
        """Take a token where a value has ended; whether another is due."""
        mark = match.group(3)
        if mark in _BINARY:
            rank = _BINARY[mark][0]
            self._apply(rank + 1 if mark == "^" else rank)
            self.waiting.append((mark, rank))
            return True
        if not self.counts or mark not in (",", ")"):
            raise self._wrong(start)
        self._apply(1)
        opener = self.waiting[-1][0]
        if mark == "," and opener != "(":
            self.counts[-1] += 1
            return True
        if mark == ",":
            raise self._wrong(start)
        self.waiting.pop()
        count = self.counts.pop()
        if opener != "(":
            arguments = self.values[-count:]
            del self.values[-count:]
            self.values.append(self.functions[opener](*arguments))
        return False

    def _apply(self, rank: int) -> None:
        """Compute what waits and binds at least as tightly as `rank`, down to the nearest open parenthesis."""
        while self.waiting and self.waiting[-1][1] >= max(rank, 1):
            mark = self.waiting.pop()[0]
            right = self.values.pop()
            if mark == "negate":
                self.values.append(-right)
                continue
            left = self.values.pop()
            if mark == "^" and not (isinstance(right, int) and 0 <= right <= MAX_EXPONENT):
                raise ValueError(f"the exponent in the size {self._quoted()} is not an integer from 0 to {MAX_EXPONENT}")
            try:
                value = _BINARY[mark][1](left, right)
            except ZeroDivisionError:
                raise ValueError(f"the size {self._quoted()} divides by zero") from None
            if isinstance(value, int) and value.bit_length() > MAX_BITS:
                raise ValueError(f"a number in the size {self._quoted()} has more than {MAX_BITS} bits")
            self.values.append(value)

    def _wrong(self, position: int) -> ValueError:
        return ValueError(f"the size {self._quoted()} cannot be read from column {position + 1}")

    def _quoted(self) -> str:
        return repr(self.text if len(self.text) <= 60 else self.text[:57] + "...")
