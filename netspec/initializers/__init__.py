"""Initializers: what the language calls them, and the distributions that they come to for a tensor of given fans."""

from netspec.initializers.table import GAINS, INITIALIZERS, make, resolve

__all__ = ["GAINS", "INITIALIZERS", "make", "resolve"]
