"""A loss that is not a number stops the run, with the layer in which that began and its line."""

import numpy as np
import pytest

from netspec.diagnostics.model import Refusal
from netspec.training.loop.checkpoint import LAST
from netspec.training.loop.events import Remark, Saved, Stopped
from tests.training import runs

TRAIN = """
  train {{
    loss = mse(y, t)
    optimizer = sgd(lr = {lr})
    batch = 8
    epochs = 20
  }}
}}
"""


def spec(body: str, lr: float = 0.01) -> str:
    return "net odd {\n  input x: [N, 4]\n" + body + TRAIN.format(lr=lr)


def numbers(**columns):
    random = np.random.default_rng(0)
    return {"x": random.normal(size=(64, 4)).astype("float32"), "t": random.normal(size=(64, 1)).astype("float32"), **columns}


def stopped(text: str, given=None, **options):
    with pytest.raises(Refusal) as caught:
        runs.run(text, numbers() if given is None else given, **options)
    assert caught.value.diagnostic.code == "NS810"
    return caught.value.diagnostic


def test_an_activation_that_is_none_is_named_with_its_line():
    found = stopped(spec("  h = x -> linear(3) -> log\n  output y = h -> linear(1)\n"))
    assert "log" in found.message and "<string>:3" in found.message and "gives NaN" in found.message and "update 1," in found.message


def test_functions_within_expressions_are_seen():
    found = stopped(spec("  a = x -> linear(3)\n  b = sqrt(a)\n  output y = b -> linear(1)\n"))
    assert "`sqrt" in found.message and "<string>:4" in found.message


ROOT = "  h = x -> linear(3, bias = false)\n  output y = sqrt(h * h) -> linear(1)\n"


def with_a_zero():
    """Data with one example that is 0: the square root of its square has no slope."""
    given = numbers()
    given["x"][35] = 0
    return given


def test_a_gradient_that_is_none_where_all_values_are(tmp_path):
    """The loss shows it one update late, when all weights are NaN; the last good checkpoint is of before that."""
    log = runs.Log()
    found = stopped(spec(ROOT), with_a_zero(), out=str(tmp_path), every=1, watch=log)
    assert found.message.startswith("the gradient of `sqrt") and "<string>:4" in found.message and "its input" in found.message
    assert not log.of(Stopped) and any(LAST in note for note in found.notes)
    last = log.of(Saved)[-1].step
    assert last > 0 and f"at update {last + 1}, in epoch 1" in found.message
    from netspec.backends.weight_files.safetensors import read_safetensors

    assert all(np.isfinite(entry.load()).all() for entry in read_safetensors(str(tmp_path / LAST), 100).values())


def test_a_run_without_checkpoints_is_repeated_from_its_beginning():
    log = runs.Log()
    found = stopped(spec(ROOT), with_a_zero(), watch=log)
    assert found.message.startswith("the gradient of `sqrt") and "repeated" in log.of(Remark)[0].text


def test_a_learning_rate_that_is_too_large():
    found = stopped(spec("  output y = x -> linear(8) as a -> linear(1) as b\n", lr=1e6))
    assert "infinity" in found.message or "NaN" in found.message
    assert any("learning rate" in line for line in found.helps)


def test_a_loss_that_is_none():
    text = spec("  output y = x -> linear(1) -> softplus\n").replace("mse(y, t)", "kl_div(y, t)")
    given = numbers(t=np.full((64, 1), -1.0, "float32"))
    with pytest.raises(Refusal) as caught:
        runs.run(text, given)
    assert caught.value.diagnostic.code in ("NS810", "NS805", "NS803", "NS806")


def test_data_that_are_none_are_told_apart():
    """Data are checked before the first step; what a dataset makes up later is seen in the batch."""
    from netspec.training.loop.engine import Engine
    from netspec.training.loop.interrupt import Interrupts
    from netspec.training.loop.watch import find
    from netspec.training.run import jobs

    engine = Engine(next(iter(jobs(runs.request(spec("  output y = x -> linear(1)\n"), numbers())))), lambda event: None, Interrupts())
    batch = next(iter(engine.setup.batches.epoch(0)))
    batch["x"][3, 1] = float("nan")
    found = find(engine, batch)
    assert (found.kind, found.where) == ("data", "x") and "example 3" in found.notes[0]


def test_weights_that_are_none_are_told_apart(tmp_path, monkeypatch):
    """Those of a file are refused before anything is trained; should others get in, they are not taken for activations."""
    from netspec.backends.weight_files import stored
    from netspec.training.loop.checkpoint import write_tensors

    text = spec("  output y = x -> linear(1) as only\n")
    good = runs.run(text, numbers(), settings={"epochs": 1}).weights
    good["only.bias"][0] = float("nan")
    write_tensors(str(tmp_path / "w.safetensors"), good, {})
    with pytest.raises(Refusal, match="NS633.*`only.bias` at \\[0\\]"):
        runs.run(text, numbers(), weights=str(tmp_path / "w.safetensors"))
    monkeypatch.setattr(stored, "_first_odd", lambda *arguments, **keywords: None)
    found = stopped(text, weights=str(tmp_path / "w.safetensors"))
    assert "`only.bias`, <string>:3, has NaN among its weights" in found.message
