"""`netspec run`: what is printed of results, and options that say nothing about what is run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Command

NET = """\
net two {
  input x: [N, 3]
  input hollow: [N, 0, 3]
  output y = x -> linear(2)
  output empty = hollow -> relu
}
"""


@pytest.fixture
def inputs(netspec: Command) -> list[str]:
    """The arguments of two inputs, in the folder of the command; beside them stand the spec and its model."""
    Path("two.net").write_text(NET)
    assert netspec("build", "two.net", "-o", "two.onnx").status == 0
    np.save("x.npy", np.full((2, 3), np.inf, "float32"))
    np.save("hollow.npy", np.zeros((2, 0, 3), "float32"))
    return ["--input", "x=x.npy", "--input", "hollow=hollow.npy"]


def test_outputs_without_elements_and_without_numbers(netspec: Command, inputs: list[str]) -> None:
    done = netspec("run", "two.onnx", *inputs)
    assert done.status == 0 and "empty: float32 [2, 0, 3], no elements" in done.out and "nan" in done.out
    facts = netspec("run", "two.onnx", *inputs, "--format", "json").data
    assert facts["empty"] == {"shape": [2, 0, 3], "dtype": "float32", "min": None, "max": None, "mean": None}
    assert facts["y"]["mean"] is None and len(facts["y"]["top"]) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["two.onnx", "--weights", "x.npz"], "--weights is for a spec, and two.onnx is written already"),
        (["two.onnx", "--seed", "3"], "--seed is for a spec"),
        (["two.onnx", "-p", "width=3"], "-p is for a spec"),
        (["two.onnx", "--with-normalization"], "an .onnx file carries its normalization in itself"),
        (["two.onnx", "--layers-of", "two.net"], "--layers-of is for --profile"),
        (["two.onnx", "--runs", "3"], "--runs is for --profile"),
        (["two.net", "--profile", "--layers-of", "two.net"], "--layers-of is for an .onnx file"),
        (["two.onnx", "--input", "x=y.npy"], "`x` is given twice: x.npy and y.npy"),
    ],
)
def test_options_that_do_not_suit_are_refused(netspec: Command, inputs: list[str], arguments: list[str], words: str) -> None:
    done = netspec("run", *arguments, *inputs) if "twice" not in words else netspec("run", *inputs, *arguments)
    assert done.status == 2 and "error[NS015]" in done.err and words in done.err


def test_the_spec_of_a_profiled_file_has_sizes(netspec: Command, inputs: list[str]) -> None:
    done = netspec("run", "two.onnx", *inputs, "--profile", "--runs", "1", "--layers-of", "two.net", "--size", "N=2")
    assert done.status == 0 and "linear1" in done.out
