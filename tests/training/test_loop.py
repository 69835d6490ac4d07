"""The loop against loops written by hand, and every way in which a section may be run."""

import json
import math

import numpy as np
import pytest
import torch

import netspec
from netspec.backends.weight_files import read_metadata
from netspec.diagnostics.model import Refusal
from netspec.training.loop.events import EpochEnd, Evaluated, Pruned, Remark, Saved, Started, Step, Stopped
from netspec.training.loop.job import Hardware
from netspec.training.run import jobs
from tests.training import runs


def spec(train: str, body: str = "x -> linear(8) as a -> relu -> linear(3) as b", more: str = "") -> str:
    return f"net one {{\n  input x: [N, 6]\n  output logits = {body}\n  train {{\n{train}\n  }}\n}}\n{more}"


PLAIN = """
    loss = cross_entropy(logits, label)
    optimizer = sgd(lr = 0.1, momentum = 0.9, weight_decay = 1e-3)
    batch = 8
    epochs = 3
"""


# ------------------------------------------------------------------------------------------------------ loops by hand
def by_hand(text: str, given, update) -> torch.nn.Module:
    """Weights after `update(module, batch, optimizer, schedule, loss)` for each batch of each epoch, by the parts that a net hands out."""
    request = runs.request(text, given)
    job = next(iter(jobs(request)))
    from netspec.training.data import Batches

    net = netspec.loads(text)
    module = net.torch(seed=job.section.seed)
    batches = Batches(job.train.table, job.train.indices, job.section.batch, seed=job.section.seed, shuffle=True)
    optimizer, loss = net.optimizer(module), net.loss()
    schedule = net.schedule(optimizer, steps_per_epoch=batches.steps)
    module.train()
    for epoch in range(job.section.epochs):
        for batch in batches.epoch(epoch):
            update(module, batch, optimizer, loss)
            schedule.step()
    return module


def plain(module, batch, optimizer, loss) -> None:
    value = loss(module(batch["x"]), batch["label"], module=module)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()


@pytest.mark.parametrize("schedule", ["", "    schedule = warmup(1) then cosine\n", "    schedule = step(1, 0.5)\n"])
@pytest.mark.parametrize("body", ["x -> linear(8) -> relu -> linear(3)", "x -> linear(8) -> bn -> tanh -> linear(3)"])
def test_it_is_the_loop_that_one_would_write(schedule, body):
    text = spec(PLAIN + schedule, body)
    assert runs.same(by_hand(text, runs.data(), plain).state_dict(), runs.run(text, hardware=Hardware("cpu")).weights)


def test_parts_of_a_batch_are_as_good_as_the_whole():
    """45 examples in batches of 8 leave 5; in parts of 3, 3, 2 and 3, 2."""
    whole, parts = (runs.run(spec(PLAIN), runs.data(45), {"accumulate": n}) for n in (1, 3))
    for name, tensor in whole.weights.items():
        assert torch.allclose(tensor, parts.weights[name], rtol=0, atol=1e-6)
    assert np.allclose([h["train.loss"] for h in whole.history], [h["train.loss"] for h in parts.history], rtol=0, atol=1e-6)


def test_an_optimizer_that_asks_for_the_loss():
    text = spec(PLAIN.replace("sgd(lr = 0.1, momentum = 0.9, weight_decay = 1e-3)", "lbfgs(lr = 0.5, max_iter = 4)"))

    def update(module, batch, optimizer, loss):
        def closure():
            optimizer.zero_grad()
            value = loss(module(batch["x"]), batch["label"])
            value.backward()
            return value

        optimizer.step(closure)

    assert runs.same(by_hand(text, runs.data(), update).state_dict(), runs.run(text, hardware=Hardware("cpu")).weights)


def test_the_mean_loss_counts_every_example_once():
    log = runs.Log()
    outcome = runs.run(spec(PLAIN), runs.data(45), watch=log, log_every=1)
    steps = [event for event in log.of(Step) if event.regular]
    first = [event.loss for event in steps if event.step <= 6]
    assert outcome.history[0]["train.loss"] == pytest.approx(sum(loss * n for loss, n in zip(first, (8, 8, 8, 8, 8, 5))) / 45)
    assert [event.step for event in steps] == list(range(1, 19)) and steps[-1].epoch == 2


def test_bf16_computes_in_bf16_and_keeps_float32():
    full, half = runs.run(spec(PLAIN)), runs.run(spec(PLAIN), settings={"precision": "bf16"})
    assert all(tensor.dtype == torch.float32 for tensor in half.weights.values())
    differences = [float((full.weights[n] - half.weights[n]).abs().max()) for n in full.weights]
    assert 1e-4 < max(differences) < 0.1


def test_fp16_is_for_gpus():
    with pytest.raises(Refusal) as caught:
        runs.run(spec(PLAIN), settings={"precision": "fp16"})
    assert caught.value.diagnostic.code == "NS814" and "bf16" in caught.value.diagnostic.helps[0]


@pytest.mark.slow
def test_a_compiled_network_learns_the_same(tmp_path):
    plain, compiled = (runs.run(spec(PLAIN), settings={"compile": flag}, out=str(tmp_path / str(flag))) for flag in (False, True))
    for name, tensor in plain.weights.items():
        assert torch.allclose(tensor, compiled.weights[name], rtol=0, atol=1e-5)


# ------------------------------------------------------------------------------------------------------------ events
def test_what_is_told_in_which_order(tmp_path):
    log = runs.Log()
    outcome = runs.run(spec(PLAIN + "    split = [0.5, 0.25, 0.25]\n    metrics = [accuracy]\n"), watch=log, out=str(tmp_path))
    kinds = [type(event) for event in log if not isinstance(event, (Step, Saved))]
    assert kinds == [Started, EpochEnd, EpochEnd, EpochEnd, Evaluated, Stopped]
    start, end, last = log.of(Started)[0], log.of(EpochEnd)[-1], log.of(Stopped)[0]
    assert (start.section, start.epochs, start.steps, start.batch, start.examples, start.validation) == ("one", 3, 3, 8, 24, 12)
    assert (start.parameters, start.trainable, start.processes, start.device) == (83, 83, 1, "cpu") and "83" in start.groups
    assert set(end.metrics) == {"train.loss", "val.loss", "val.accuracy"} and end.better["val.accuracy"] == "max"
    assert (end.epoch, end.step, last.reason, last.step) == (3, 9, "finished", 9)
    assert {"test.loss", "test.accuracy"} <= outcome.metrics.keys() and outcome.metrics["val.loss"] == outcome.history[-1]["val.loss"]
    assert [event.kind for event in log.of(Saved)][-1] == "weights" and {e.kind for e in log.of(Saved)} == {"last", "best", "weights"}


def test_the_loss_of_an_evaluation_is_the_mean_over_examples():
    outcome = runs.run(spec(PLAIN), runs.data(48), val=runs.data(13, seed=2), settings={"epochs": 1})
    module = netspec.loads(spec(PLAIN)).torch()
    module.load_state_dict(outcome.weights)
    given = runs.data(13, seed=2)
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(module(torch.from_numpy(given["x"])), torch.from_numpy(given["label"]))
    assert outcome.history[0]["val.loss"] == pytest.approx(float(loss), abs=1e-6)


def test_a_watcher_may_end_a_run():
    def watch(event) -> None:
        if isinstance(event, EpochEnd) and event.epoch == 2:
            raise Pruned

    outcome = runs.run(spec(PLAIN), watch=watch)
    assert (outcome.reason, outcome.epoch) == ("pruned", 2)


# ---------------------------------------------------------------------------------------------------------- stopping early
EARLY = PLAIN.replace("epochs = 3", "epochs = 60") + "    split = [0.5, 0.5]\n    stop = early(patience = 2)\n"


def test_stopping_early_restores_the_best(tmp_path):
    outcome = runs.run(spec(EARLY), out=str(tmp_path))
    losses = [row["val.loss"] for row in outcome.history]
    assert outcome.reason == "early" and outcome.epoch == outcome.best + 2 < 60
    assert outcome.best == 1 + int(np.argmin(losses)) and outcome.metrics["val.loss"] == min(losses)
    cut = runs.run(spec(EARLY), settings={"epochs": outcome.best, "stop.patience": 100})
    assert runs.same(cut.weights, outcome.weights)
    assert (tmp_path / "best.safetensors").read_bytes() == (tmp_path / "weights.safetensors").read_bytes()


@pytest.mark.parametrize("stop, epochs", [("early(patience = 2, min_delta = 100)", 3), ("early(patience = 0, min_delta = 100)", 2),
                                          ("early(patience = 1, min_delta = 100, warmup = 4)", 5)])  # fmt: skip
def test_patience(stop, epochs):
    """No epoch is better by 100 than the first."""
    assert runs.run(spec(EARLY.replace("early(patience = 2)", stop))).epoch == epochs


def test_a_large_value_may_be_the_good_one():
    text = spec(EARLY.replace("early(patience = 2)", "early(monitor = val.accuracy, patience = 3)") + "    metrics = [accuracy]\n")
    outcome = runs.run(text)
    found = [row["val.accuracy"] for row in outcome.history]
    assert outcome.best == 1 + int(np.argmax(found))


def test_metrics_of_the_training_data_are_measured_where_they_are_watched():
    text = spec(PLAIN + "    metrics = [accuracy]\n    stop = early(monitor = train.accuracy, patience = 9)\n")
    assert set(runs.run(text).history[0]) == {"train.loss", "train.accuracy"}


@pytest.mark.parametrize(
    "setting", ["stop = early()", "stop = early(monitor = val.accuracy)", "stop = early(monitor = train.f1)", "schedule = plateau()"]
)
def test_what_is_not_measured_cannot_be_watched(setting):
    with pytest.raises(Refusal) as caught:
        runs.run(spec(PLAIN + f"    {setting}\n"))
    assert caught.value.diagnostic.code == "NS815" and "<string>:10" in caught.value.diagnostic.notes[0]


# --------------------------------------------------------------------------------------------------------- fine-tuning
NORMED = "x -> linear(8) as a -> bn as n -> relu -> linear(3) as b"


def kept(outcome, start) -> set[str]:
    return {name for name, tensor in outcome.weights.items() if np.array_equal(tensor.numpy(), start[name].numpy())}


def start_of(text: str):
    return netspec.loads(text).torch().state_dict()


def test_all_layers():
    text = spec(PLAIN, NORMED)
    assert not kept(runs.run(text), start_of(text))


def test_the_last_layer_alone():
    """The statistics of a frozen norm stay as they are."""
    text = spec(PLAIN + '    only = ["b"]\n', NORMED)
    outcome = runs.run(text)
    assert kept(outcome, start_of(text)) == {name for name in outcome.weights if not name.startswith("b.")}


def test_frozen_parts_stay():
    text = spec(PLAIN + '    freeze = ["a", "n"]\n', NORMED)
    outcome = runs.run(text)
    assert kept(outcome, start_of(text)) == {name for name in outcome.weights if not name.startswith("b.")}


def test_predicting_alone(tmp_path):
    text = spec(PLAIN + "    only = []\n    split = [0.5, 0.25, 0.25]\n", NORMED)
    log = runs.Log()
    outcome = runs.run(text, watch=log, out=str(tmp_path))
    assert outcome.reason == "predicted" and set(outcome.metrics) == {"val.loss", "test.loss"} and not log.of(Step)
    assert kept(outcome, start_of(text)) == outcome.weights.keys() and log.of(Started)[0].epochs == 0


def test_weights_of_a_file(tmp_path):
    """All of them strictly, or those that selectors select; paths are relative to the spec's folder."""
    text = spec(PLAIN)
    first = runs.run(text, out=str(tmp_path)).weights
    for setting, taken in (('"weights.safetensors"', set(first)), ('file("weights.safetensors", only = ["a"])', {"a.weight", "a.bias"})):
        job = next(iter(jobs(runs.request(spec(PLAIN + f"    weights = {setting}\n    seed = 5\n"), base=str(tmp_path)))))
        fresh = netspec.loads(text).torch(seed=5).state_dict()
        for name, array in job.start.items():
            assert np.array_equal(array, (first if name in taken else fresh)[name].numpy())


@pytest.mark.parametrize(
    "setting, code",
    [('"nowhere.safetensors"', "NS620"), ('"other.safetensors"', "NS624"), ('file("weights.safetensors", only = ["zz"])', "NS816"),
     ('file("other.safetensors", only = ["a"])', "NS624")],
)  # fmt: skip
def test_weights_of_a_file_that_does_not_have_them(setting, code, tmp_path):
    runs.run(spec(PLAIN), out=str(tmp_path))
    runs.run(spec(PLAIN, "x -> linear(9) as a -> linear(3) as b"), out=str(tmp_path / "other"))
    (tmp_path / "other" / "weights.safetensors").rename(tmp_path / "other.safetensors")
    with pytest.raises(Refusal) as caught:
        runs.run(spec(PLAIN + f"    weights = {setting}\n"), base=str(tmp_path))
    assert caught.value.diagnostic.code in (code, "NS355")


# ----------------------------------------------------------------------------------------------------- several sections
STACK = """
net stack {
  input x: [N, 6]
  code = x -> linear(4) as enc1 -> tanh -> linear(2) as enc2 -> tanh
  output again = code -> linear(4) as dec2 -> tanh -> linear(6) as dec1
}
train outer of stack {
  loss = mse(again, x)
  optimizer = adam(lr = 0.01)
  only = ["enc1", "dec1"]
  epochs = 3
}
train inner of stack {
  loss = mse(again, x)
  optimizer = adam(lr = 0.01)
  only = ["enc2", "dec2"]
  epochs = 2
}
train all of stack {
  loss = mse(again, x)
  optimizer = adam(lr = 0.01)
  epochs = 2
}
"""


def test_sections_run_in_order_each_from_the_weights_before(tmp_path):
    given = {"x": runs.data()["x"]}
    log = runs.Log()
    last = runs.run(STACK, given, out=str(tmp_path), watch=log)
    outer, inner = last.before
    assert [(event.section, event.number, event.sections) for event in log.of(Started)] == [("outer", 1, 3), ("inner", 2, 3), ("all", 3, 3)]
    start = start_of(STACK)
    assert kept(outer, start) == {n for n in start if "2" in n} and kept(inner, outer.weights) == {n for n in start if "1" in n}
    assert kept(last, inner.weights) == set()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1-outer", "2-inner", "3-all", "weights.safetensors"]
    assert (tmp_path / "weights.safetensors").read_bytes() == (tmp_path / "3-all" / "weights.safetensors").read_bytes()


@pytest.mark.parametrize("stop", [1, 4, 5, 6, 8, 11, 13])
def test_sections_are_resumed_where_they_were(stop, tmp_path):
    given, total = {"x": runs.data()["x"]}, 0

    class Killed(BaseException):
        pass

    def watch(event) -> None:
        nonlocal total
        total += isinstance(event, Step) and event.regular
        if isinstance(event, Step) and total == stop:
            raise Killed

    whole = runs.run(STACK, given)
    with pytest.raises(Killed):
        runs.run(STACK, given, out=str(tmp_path), watch=watch, log_every=1, every=1)
    again = runs.run(STACK, given, out=str(tmp_path), resume=True, log_every=1)
    assert runs.same(whole.weights, again.weights)
    assert all(runs.same(a.weights, b.weights) for a, b in zip(whole.before, again.before))


# ---------------------------------------------------------------------------------------------------------------- results
def test_weights_go_on_to_everything_else(tmp_path):
    """They load strictly, and say how inputs were normalized and what classes are called."""
    given = {**runs.data(), "label": np.array(["cat", "dog", "owl"])[runs.data()["label"]]}
    outcome = runs.run(spec(PLAIN + "    normalize = standardize\n"), given, out=str(tmp_path))
    net = netspec.loads(spec(PLAIN))
    assert runs.same(net.torch(weights=outcome.path).state_dict(), outcome.weights)
    metadata = read_metadata(outcome.path)
    assert json.loads(metadata["netspec.classes"]) == {"label": ["cat", "dog", "owl"]} and "netspec.normalization" in metadata
    logits = net.session(weights=outcome.path)(x=runs.data()["x"])["logits"]
    assert logits.shape == (48, 3)


def test_a_seed_makes_a_run():
    one, same, other = (runs.run(runs.STATEFUL, settings={"seed": seed}) for seed in (1, 1, 2))
    assert runs.same(one.weights, same.weights) and one.history == same.history and not runs.same(one.weights, other.weights)


def test_dropout_differs_from_step_to_step_and_is_that_of_the_seed():
    from netspec.training.loop.manners import Seeding

    seeding = Seeding(runs.request().sections[0], 1, 0, "cpu")
    drawn = []
    for update in (0, 1, 0):
        seeding(update)
        drawn.append(torch.rand(4))
    assert torch.equal(drawn[0], drawn[2]) and not torch.equal(drawn[0], drawn[1])


def test_random_numbers_are_left_alone_where_none_are_drawn():
    from netspec.training.loop.manners import Seeding

    seeding = Seeding(runs.request().sections[0], 1, 0, "cpu")
    seeding(0)
    seeding(1)
    state = torch.get_rng_state()
    seeding(2)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_last_batch_of_one_is_left_out_where_it_cannot_be_normalized():
    log = runs.Log()
    outcome = runs.run(spec(PLAIN, NORMED), runs.data(41), watch=log)
    assert outcome.step == 15 and "left out" in log.of(Remark)[0].text
    assert runs.run(spec(PLAIN), runs.data(41)).step == 18


@pytest.mark.parametrize("settings", [{"batch": 1}, {"accumulate": 8}])
def test_a_norm_needs_two_examples(settings):
    with pytest.raises(Refusal) as caught:
        runs.run(spec(PLAIN, NORMED), settings=settings)
    assert caught.value.diagnostic.code == "NS817" and "`n`, <string>:3," in caught.value.diagnostic.message


def test_the_methods_of_a_net(tmp_path):
    net = netspec.loads(spec(PLAIN + "    schedule = cosine\n"))
    outcome = net.train(runs.data(), str(tmp_path), settings={"epochs": 2}, hardware=Hardware("cpu", threads=1))
    assert outcome.epoch == 2 and outcome.path == str(tmp_path / "weights.safetensors")
    module = net.torch()
    optimizer = net.optimizer(module)
    schedule = net.schedule(optimizer)
    for epoch in range(3):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * (1 + math.cos(math.pi * epoch / 3)) / 2)
        schedule.step()
    with pytest.raises(Refusal) as caught:
        net.loss("nothing")
    assert caught.value.diagnostic.code == "NS820"
    weighted = netspec.loads(spec(PLAIN.replace("label)", "label, weight = [1, 2, 3])")))
    with pytest.raises(Refusal) as caught:
        weighted.train(runs.data(), settings={"loss.weight": [1, 2]})
    assert caught.value.diagnostic.code in ("NS353", "NS354")


def test_a_net_without_a_section():
    with pytest.raises(Refusal) as caught:
        netspec.loads("net a { input x: [N, 2]; output y = x -> linear(1) }").train({"x": np.zeros((2, 2), "float32")})
    assert caught.value.diagnostic.code == "NS356"
