"""Examples in docstrings run."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

MODULES = (
    "netspec.api",
    "netspec.network",
    "netspec.analyses.summary",
    "netspec.analyses.field",
    "netspec.runtime.session",
    "netspec.runtime.verify",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0


def test_there_are_some() -> None:
    assert doctest.testmod(import_module("netspec.network")).attempted >= 8
