"""The modules that define rules, by what they are about. Importing one enters its rules into the table."""

from functools import cache
from importlib import import_module

MODULES = (
    "usage",
    "definitions",
    "broadcasting",
    "normalization",
    "depth",
    "activation",
    "loss",
    "attention",
    "initial",
    "selu",
    "window",
    "transposed",
    "dilation",
    "shaping",
    "field",
    "merging",
    "recurrent",
)


@cache
def load_rules() -> None:
    """Fill `rule.RULES`. Once a process: rules never change."""
    for name in MODULES:
        import_module(f"netspec.analyses.lint.{name}")
