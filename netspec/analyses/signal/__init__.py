"""Signals at initialization: how large activations and gradients are before the first step, by mean-field recursions."""

from netspec.analyses.signal.chains import Problem
from netspec.analyses.signal.moments import Moments
from netspec.analyses.signal.propagate import signals
from netspec.analyses.signal.result import Signal, Signals
from netspec.analyses.signal.rule import NOTES

__all__ = ["NOTES", "Moments", "Problem", "Signal", "Signals", "signals"]
