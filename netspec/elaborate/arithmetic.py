"""Arithmetic of the language on numbers, sizes, lists and strings. Tensors and layers are the caller's business.

Integers are exact and bounded in bits; `/` on integers and sizes is exact division, whose remainder must be zero.
"""

from __future__ import annotations

import math
from typing import Any, Callable

from netspec.limits import Limits
from netspec.sizes.dim import Dim, exact_div
from netspec.sizes.solve import Condition


class Wrong(Exception):
    """Operands that an operation does not take. `code` and the message become a diagnostic; `help` is the fix."""

    def __init__(self, code: str, message: str, help: str = "") -> None:
        self.code, self.help = code, help
        super().__init__(message)


class Divides(Exception):
    """Not a failure: a quotient that is exact only under a condition, which the caller must keep."""

    def __init__(self, value: Any, condition: Condition) -> None:
        self.value, self.condition = value, condition
        super().__init__()


def is_number(value: Any) -> bool:
    """An integer or float, not a boolean."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_size(value: Any) -> bool:
    """An integer or a symbolic size."""
    return isinstance(value, Dim) or (isinstance(value, int) and not isinstance(value, bool))


def binary(op: str, left: Any, right: Any, limits: Limits) -> Any:
    """`left op right` for `+ - * / // % ^`. Raises `Wrong`; raises `Divides` where `/` of sizes needs a condition."""
    if isinstance(left, (list, tuple)) or isinstance(right, (list, tuple)):
        return _on_lists(op, left, right, limits)
    if isinstance(left, str) and isinstance(right, str) and op == "+":
        return left + right
    if is_size(left) and is_size(right):
        return _bounded(_on_sizes(op, left, right, limits), limits)
    if is_number(left) and is_number(right):
        return _on_floats(op, float(left), float(right))
    raise Wrong("NS304", f"`{op}` does not join these two")


def _bounded(value: Any, limits: Limits) -> Any:
    if isinstance(value, int) and value.bit_length() > limits.integer_bits:
        raise Wrong("NS005", f"an integer of more than {limits.integer_bits:,} bits (limit `integer_bits`)")
    return value


def _on_lists(op: str, left: Any, right: Any, limits: Limits) -> Any:
    if op == "+" and isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return [*left, *right]
    if op == "*" and isinstance(left, int) and isinstance(right, (list, tuple)):
        left, right = right, left
    if op == "*" and isinstance(left, (list, tuple)) and isinstance(right, int):
        if len(left) * max(right, 0) > limits.loop:
            raise Wrong("NS006", f"a list of more than {limits.loop:,} items (limit `loop`)")
        return list(left) * right
    raise Wrong("NS304", f"`{op}` does not join these two")


def _on_sizes(op: str, left: Any, right: Any, limits: Limits) -> Any:
    if op in ("/", "//", "%") and isinstance(right, int) and right == 0:
        raise Wrong("NS305", "division by zero")
    if op == "^":
        return _power(left, right, limits)
    if op == "/":
        return _exact(left, right)
    return _SIZE_OPERATIONS[op](left, right)


def _exact(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int):
        if left % right:
            help = f"write `{left} // {right}` for the floor, or `{left}.0 / {right}` for a fraction"
            raise Wrong("NS306", f"{left} / {right} is not a whole number", help)
        return left // right
    condition = Condition("==", left % right, 0)
    status = condition.status()
    if status is True:
        return exact_div(left, right)
    if status is False:
        raise Wrong("NS306", f"{left} / {right} is never a whole number")
    raise Divides(exact_div(left, right), condition)


def _power(left: Any, right: Any, limits: Limits) -> Any:
    if not isinstance(right, int):
        raise Wrong("NS304", "an exponent must be a number, not an open size")
    if right < 0:
        if not isinstance(left, int):
            raise Wrong("NS304", "a size cannot have a negative exponent")
        return _on_floats("^", float(left), float(right))
    bits = left.bit_length() if isinstance(left, int) else 8
    if bits > 1 and bits * right > limits.integer_bits + bits:
        raise Wrong("NS005", f"this power has more than {limits.integer_bits:,} bits (limit `integer_bits`)")
    return left**right


def _on_floats(op: str, left: float, right: float) -> float:
    try:
        if op == "^":
            result = left**right
            if isinstance(result, complex):
                raise Wrong("NS305", f"{left:g} ^ {right:g} is not a real number")
            return result
        return _SIZE_OPERATIONS[op](left, right)
    except ZeroDivisionError:
        raise Wrong("NS305", "division by zero") from None
    except OverflowError:
        raise Wrong("NS305", "the result is too large for a float") from None


_SIZE_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def compare(op: str, left: Any, right: Any) -> bool | tuple[Condition, bool]:
    """`left op right`. For open sizes: a truth where it holds for all of them or none, else (condition, negated)."""
    if isinstance(left, Dim) or isinstance(right, Dim):
        if not (is_size(left) and is_size(right)):
            if op in ("==", "!="):
                return op == "!="
            raise Wrong("NS304", f"`{op}` compares numbers; a size is a whole number")
        return _compare_sizes(op, left, right)
    if op not in ("==", "!=") and not (is_number(left) and is_number(right)) and not (isinstance(left, str) and isinstance(right, str)):
        raise Wrong("NS304", f"`{op}` compares numbers")
    return _COMPARE[op](left, right)


def _compare_sizes(op: str, left: Any, right: Any) -> bool | tuple[Condition, bool]:
    if op in ("==", "!="):
        condition, negated = Condition("==", left, right), op == "!="
    elif op in (">=", ">"):
        condition, negated = Condition(">=", left, right + 1 if op == ">" else right), False
    else:
        condition, negated = Condition(">=", right, left + 1 if op == "<" else left), False
    status = condition.status()
    return (condition, negated) if status is None else status != negated


def function(name: str, values: tuple[Any, ...]) -> Any:
    """A built-in function of numbers and lists. Raises `Wrong` for arguments that it does not take."""
    try:
        return FUNCTIONS[name](*values)
    except Wrong:
        raise
    except (ValueError, OverflowError, ZeroDivisionError):
        raise Wrong("NS305", f"`{name}` has no value for these arguments") from None
    except TypeError:
        raise Wrong("NS307", f"`{name}` does not take these arguments") from None


def _extreme(pick: Callable[..., Any], sizes: str) -> Callable[..., Any]:
    def over(*values: Any) -> Any:
        items = list(values[0]) if len(values) == 1 and isinstance(values[0], (list, tuple)) else list(values)
        if any(isinstance(v, Dim) for v in items):
            from netspec.sizes import dim

            return getattr(dim, sizes)(*items)
        return pick(items)

    return over


def _sum(items: Any) -> Any:
    """Numbers are added, lists joined."""
    total: Any = [] if items and isinstance(items[0], list) else 0
    for item in items:
        total = total + item
    return total


def _number(value: Any) -> Any:
    if isinstance(value, Dim):
        raise Wrong("NS307", "a number is needed here; the value of an open size is not known while compiling")
    if not is_number(value):
        raise Wrong("NS307", "a number is needed here")
    return value


#: numbers with names, which anything that is bound may hide
CONSTANTS: dict[str, float] = {"inf": math.inf, "pi": math.pi}

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "len": len,
    "sum": _sum,
    "min": _extreme(min, "minimum"),
    "max": _extreme(max, "maximum"),
    "abs": lambda x: abs(_number(x)),
    "round": lambda x, digits=None: round(_number(x), digits) if digits is not None else round(_number(x)),
    "floor": lambda x: x if isinstance(x, Dim) else math.floor(_number(x)),
    "ceil": lambda x: x if isinstance(x, Dim) else math.ceil(_number(x)),
    "sqrt": lambda x: math.sqrt(_number(x)),
    "log": lambda x, *base: math.log(_number(x), *base),
    "exp": lambda x: math.exp(_number(x)),
    "sin": lambda x: math.sin(_number(x)),
    "cos": lambda x: math.cos(_number(x)),
    "enumerate": lambda items, start=0: [list(pair) for pair in enumerate(items, start)],
    "zip": lambda *lists: [list(group) for group in zip(*lists)],
    "reversed": lambda items: list(reversed(items)),
}
