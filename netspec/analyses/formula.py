"""Numbers written with names: the `1 / sqrt(n)` of `scaled(1 / sqrt(n))`, computed for each tensor.

The text is read by Python's parser and folded by a table of eleven node types; nothing in it is ever executed.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from typing import Any

#: Longer formulas are refused before they are read.
LONGEST = 200

_BINARY: dict[type, Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.Pow: lambda a, b: math.pow(a, b),
}
_UNARY: dict[type, Callable[[float], float]] = {ast.USub: lambda a: -a, ast.UAdd: lambda a: a}
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
    "min": min,
    "max": max,
    "abs": abs,
}


def evaluate(text: str, names: Mapping[str, float]) -> float:
    """The value of `text`, where `^` is power. Raises ValueError with what is wrong, also where it is no finite number."""
    if len(text) > LONGEST:
        raise ValueError(f"the formula has more than {LONGEST} characters")
    try:
        value = float(_fold(ast.parse(text.strip().replace("^", "**"), mode="eval").body, names))
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"{text!r} is not a formula") from None
    except ZeroDivisionError:
        raise ValueError(f"{text!r} divides by zero") from None
    except OverflowError:
        raise ValueError(f"{text!r} is too large") from None
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite number")
    return value


def _fold(node: ast.AST, names: Mapping[str, float]) -> Any:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return float(value)
        case ast.Name(id=name) if name in names:
            return float(names[name])
        case ast.Name(id=name):
            raise ValueError(f"there is no {name!r} here; known are {', '.join(names)}")
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _BINARY:
            return _BINARY[type(operation)](_fold(left, names), _fold(right, names))
        case ast.UnaryOp(op=operation, operand=operand) if type(operation) in _UNARY:
            return _UNARY[type(operation)](_fold(operand, names))
        case ast.Call(func=ast.Name(id=name), args=[_, *_] as arguments, keywords=[]) if name in _FUNCTIONS:
            return _call(name, [_fold(argument, names) for argument in arguments])
    raise ValueError("only numbers, names, + - * / // % ^ and sqrt, exp, log, min, max, abs are allowed")


def _call(name: str, arguments: list[float]) -> float:
    if name in ("min", "max"):
        return _FUNCTIONS[name](arguments)
    if len(arguments) != 1:
        raise ValueError(f"{name} takes one number")
    try:
        return _FUNCTIONS[name](arguments[0])
    except ValueError:
        raise ValueError(f"{name}({arguments[0]:g}) is not a number") from None
