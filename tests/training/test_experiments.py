"""Whole experiments: the specs of `examples/training` and `zoo.digits`, run as a user runs them, do what the course says they do."""

from __future__ import annotations

import json
import runpy
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.cli.main import main

EXAMPLES = Path(__file__).parents[2] / "examples" / "training"
DATA = runpy.run_path(str(EXAMPLES / "data.py"))

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def train(spec: str, data: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    """The command's JSON."""
    np.savez("data.npz", **data)
    capsys.readouterr()
    assert main(["train", spec, "--data", "data.npz", "--format", "json", *more]) == 0
    return json.loads(capsys.readouterr().out)


def test_digits_as_the_readme_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    """98 % of the test digits; the ONNX file, which takes raw pixels, predicts the same."""
    data, begun = DATA["digits"](), time.perf_counter()
    done = train("zoo.digits", data, capsys)
    assert done["metrics"]["test"]["accuracy"] >= 0.98 and time.perf_counter() - begun < 240  # alone it takes a tenth of that
    assert main(["build", "zoo.digits", "--weights", done["weights"], "--with-normalization", "-o", "digits.onnx"]) == 0
    from netspec.runtime.session import Session

    predicted = Session("digits.onnx")(image=data["image"])["logits"].argmax(1)
    assert (predicted == data["label"]).mean() >= 0.99
    inner = netspec.load("zoo.digits")
    mean, std = data["image"].mean(), data["image"].std()  # near those of the training part
    module = inner.torch(weights=done["weights"]).eval()
    import torch

    theirs = module(torch.from_numpy((data["image"] - mean) / std)).argmax(1).numpy()
    assert (theirs == predicted).mean() > 0.995


def test_a_unet_segments_shapes(capsys: pytest.CaptureFixture[str]) -> None:
    done = train(str(EXAMPLES / "shapes.net"), DATA["shapes"](400, 48), capsys)
    assert done["metrics"]["val"]["dice"] > 0.9


def test_an_lstm_learns_to_add(capsys: pytest.CaptureFixture[str]) -> None:
    """Far below 1/6, the error of the answer 1."""
    done = train(str(EXAMPLES / "adding.net"), DATA["adding"](6000, 30), capsys)
    assert done["metrics"]["val"]["mse"] < 0.02


def test_what_the_signals_predict_of_thirty_layers(capsys: pytest.CaptureFixture[str]) -> None:
    """SELU trains where a sigmoid does not; `check` says so beforehand, and the predicted gradients differ by many powers of ten."""
    spec, found = str(EXAMPLES / "deep.net"), {}
    for name in ("selu_net", "sigmoid_net"):
        found[name] = train(f"{spec}:{name}", DATA["pixels"](), capsys)["metrics"]["val"]["accuracy"]
    assert found["selu_net"] > 0.9 and found["sigmoid_net"] < 0.3
    gradients = {name: netspec.load(f"{spec}:{name}").signals()["layer.0"].gradient for name in found}
    assert gradients["selu_net"] > 1e-3 > 1e20 * gradients["sigmoid_net"]
    assert {d.code for d in netspec.load(f"{spec}:sigmoid_net").check()} >= {"NS523", "NS537"}


def test_espcn_beats_bicubic_interpolation(capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    data = DATA["photographs"]()
    done = train(str(EXAMPLES / "superresolution.net"), data, capsys)
    from netspec.training.data import split

    rows = split(len(data["image"]), (0.9, 0.1), 0)[1]
    size = data["original"].shape[-1]
    enlarged = [np.asarray(Image.fromarray(x).resize((size, size), Image.Resampling.BICUBIC)) for x in data["image"][rows, 0]]
    bicubic = 10 * np.log10(1 / np.mean((np.stack(enlarged) - data["original"][rows, 0]) ** 2))
    assert done["metrics"]["val"]["psnr"] > bicubic + 0.1


def test_a_stack_of_autoencoders_a_layer_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    """Each section starts from the one before, trains its own pair of layers alone, and the last improves on it."""
    done = train(str(EXAMPLES / "stack.net"), DATA["pixels"](), capsys)
    outer, inner = done["before"]
    from netspec.backends.weight_files import read_entries

    first, second, last = ({n: e.load() for n, e in read_entries(run["weights"]).items()} for run in (outer, inner, done))
    for name, value in first.items():
        assert np.array_equal(value, second[name]) == name.startswith(("encode1", "decode1")), name
        assert not np.array_equal(second[name], last[name]), name
    assert done["metrics"]["train"]["loss"] < inner["metrics"]["train"]["loss"]
