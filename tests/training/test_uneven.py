"""Parts of a batch in which not every sample counts the same: together they are the batch, however it is divided."""

import numpy as np
import pytest

from netspec.training.loop.events import Step
from netspec.training.loop.job import Hardware
from tests.training import runs

#: what is written in the section; the classes are `label`, and `valid` and the lengths say which positions count
CASES = {
    "ignored": "cross_entropy(logits, label, ignore_index = 0)",
    "class weights": "cross_entropy(logits, label, weight = [0.2, 3, 1])",
    "a weight of 0": "cross_entropy(logits, label, weight = [0, 3, 1])",
    "a mask": "cross_entropy(logits, label, mask = valid)",
    "lengths": "cross_entropy(logits, label, lengths = count)",
    "several terms": "cross_entropy(logits, label, ignore_index = 0) + 0.3 * mse(logits, goal, mask = valid) + 1e-2 * l2(weights)",
}  # fmt: skip
NET = """
net tagger {
  input x: [N, 6, 4]
  output logits = x -> conv(8, 1) -> tanh -> conv(3, 1)
  train {
    loss      = LOSS
    optimizer = sgd(lr = 0.3, momentum = 0.9)
    batch     = 8
    epochs    = 3
    split     = [0.75, 0.25]
  }
}
"""


def spec(case: str) -> str:
    return NET.replace("LOSS", CASES[case])


def data(count: int = 60) -> dict[str, np.ndarray]:
    """Samples of which some have nothing that counts: all of class 0, none valid."""
    random = np.random.default_rng(1)
    x = random.normal(size=(count, 6, 4)).astype("float32")
    label = x[:, :3].argmax(1)
    label[::3] = 0
    valid = random.random((count, 4)) < np.linspace(0, 1, count)[:, None]
    goal = random.normal(size=(count, 3, 4)).astype("float32")
    return {"x": x, "label": label, "valid": valid, "count": random.integers(1, 5, count), "goal": goal}


def compare(one, two, logs) -> None:
    for name, tensor in one.weights.items():
        assert np.abs(tensor.numpy() - two.weights[name].numpy()).max() <= 1e-6, name
    for a, b in zip(one.history, two.history):
        assert a.keys() == b.keys() and np.allclose(list(a.values()), list(b.values()), rtol=0, atol=1e-6)
    losses = [[event.loss for event in log.of(Step) if event.regular] for log in logs]
    assert len(losses[0]) == len(losses[1]) == one.step and np.allclose(*losses, rtol=0, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_parts_are_weighed_by_what_counts_in_them(case):
    logs = runs.Log(), runs.Log()
    whole, parts = (runs.run(spec(case), data(), {"accumulate": n}, log, log_every=1) for n, log in zip((1, 3), logs))
    compare(whole, parts, logs)


@pytest.mark.slow
@pytest.mark.parametrize(("case", "change"), [("ignored", {}), ("several terms", {"accumulate": 2}), ("class weights", {"batch": 44})])
def test_two_processes_share_what_counts(case, change):
    """With batches of 44, the second process has nothing in the last one."""
    logs = runs.Log(), runs.Log()
    two = Hardware("cpu", devices=2, threads=1)
    compare(
        runs.run(spec(case), data(), change, logs[0], log_every=1),
        runs.run(spec(case), data(), change, logs[1], log_every=1, hardware=two),
        logs,
    )


@pytest.mark.parametrize("case", CASES)
def test_the_loss_of_an_evaluation_is_that_of_all_examples_at_once(case):
    one, many = (runs.run(spec(case), data(), {"only": (), "batch": batch, "split": (0.2, 0.8)}) for batch in (100, 5))
    assert one.metrics["val.loss"] == pytest.approx(many.metrics["val.loss"], rel=1e-6)


def test_a_batch_in_which_nothing_counts_changes_nothing():
    given = data()
    given["label"][:] = 0
    start = runs.run(spec("ignored"), given, {"only": ()})
    for settings in ({}, {"accumulate": 3}):
        found = runs.run(spec("ignored"), given, settings)
        assert runs.same(found.weights, start.weights) and found.history[-1] == {"train.loss": 0.0, "val.loss": 0.0}
