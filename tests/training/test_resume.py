"""A run that was stopped anywhere and resumed is equal, to the last bit, to one that was not."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from netspec.backends.weight_files.safetensors import read_safetensors
from netspec.diagnostics.model import Refusal
from netspec.training.loop.checkpoint import LAST
from netspec.training.loop.events import Saved, Started, Step
from netspec.training.loop.job import Hardware
from tests.training import runs


class Killed(BaseException):
    """What a test has instead of kill -9: nothing after it is done."""


def stopping_at(step: int):
    """A watcher in which the process dies after that update."""

    def watch(event) -> None:
        if isinstance(event, Step) and event.step >= step:
            raise Killed

    return watch


MANNERS = {
    "plain": ({}, {}),
    "accumulated": ({"accumulate": 3}, {}),
    "bf16": ({"precision": "bf16"}, {}),
    "checkpoints at ends of epochs alone": ({}, {"every": None}),
}


@pytest.mark.parametrize("manner", MANNERS)
def test_a_run_killed_at_any_step_goes_on_as_if_it_had_not_been(manner, tmp_path):
    settings, options = MANNERS[manner]
    options = {"every": 1, **options}
    whole = runs.run(settings=settings)
    for step in range(1, whole.step + 1) if manner == "plain" else (3, 8, 14):
        folder = str(tmp_path / str(step))
        with pytest.raises(Killed):
            runs.run(settings=settings, watch=stopping_at(step), out=folder, log_every=1, **options)
        log = runs.Log()
        again = runs.run(settings=settings, watch=log, out=folder, resume=True, log_every=1, **options)
        assert log.of(Started)[0].step == log.of(Step)[0].step - 1 if log.of(Step) else log.of(Started)[0].epoch == 4
        assert runs.same(whole.weights, again.weights)
        assert whole.history == again.history and whole.metrics == again.metrics and whole.best == again.best


@pytest.mark.parametrize("optimizer", ["lbfgs(lr = 0.1, max_iter = 3)", "ftrl(lr = 0.1)", "sgd(lr = 0.1, momentum = 0.9)", "asgd", "lion"])
def test_what_optimizers_keep_is_resumed(optimizer, tmp_path):
    text = runs.STATEFUL.replace("adam(lr = 0.02)", optimizer).replace("clip      = norm(1.0)\n", "")
    text = text.replace("warmup(1) then plateau(patience = 0)", "one_cycle(max_lr = 0.1)" if "sgd(" in optimizer else "cosine")
    whole = runs.run(text)
    for step in (2, 7):
        folder = str(tmp_path / str(step))
        with pytest.raises(Killed):
            runs.run(text, watch=stopping_at(step + 1), out=folder, every=1, log_every=1)
        assert runs.same(whole.weights, runs.run(text, out=folder, resume=True).weights)


def test_a_run_whose_end_was_reached_stays_as_it_is(tmp_path):
    whole = runs.run(out=str(tmp_path))
    before = (tmp_path / "weights.safetensors").read_bytes()
    log = runs.Log()
    again = runs.run(out=str(tmp_path), resume=True, watch=log)
    assert not log.of(Step) and runs.same(whole.weights, again.weights) and again.metrics == whole.metrics
    assert (tmp_path / "weights.safetensors").read_bytes() == before


def test_two_runs_write_the_same_files(tmp_path):
    runs.run(out=str(tmp_path / "a"))
    runs.run(out=str(tmp_path / "b"))
    for name in ("weights.safetensors", "best.safetensors", "last.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_run_leaves_the_callers_random_numbers_and_threads_alone():
    torch.manual_seed(5)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    runs.run(hardware=Hardware("cpu", threads=1))
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


# ------------------------------------------------------------------------------------------------- checkpoints that are none
def interrupted(folder, **options):
    with pytest.raises(Killed):
        runs.run(watch=stopping_at(5), out=str(folder), every=1, log_every=1, **options)


def refused(folder, **options) -> Refusal:
    with pytest.raises(Refusal) as caught:
        runs.run(out=str(folder), resume=True, **options)
    return caught.value


@pytest.mark.parametrize("change", ["settings", "data", "network"])
def test_the_checkpoint_of_another_run_is_refused(change, tmp_path):
    interrupted(tmp_path)
    given = {
        "settings": {"settings": {"optimizer.lr": 0.5}},
        "data": {"given": runs.data(seed=1)},
        "network": {"text": runs.STATEFUL.replace("relu", "tanh")},
    }[change]
    diagnostic = refused(tmp_path, **given).diagnostic
    assert diagnostic.code == "NS812"
    assert {"settings": "optimizer", "data": "data", "network": "network"}[change] in diagnostic.notes[0]


def test_a_comment_in_the_spec_makes_no_other_run(tmp_path):
    interrupted(tmp_path)
    runs.run("# as before\n" + runs.STATEFUL, out=str(tmp_path), resume=True)


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "other", "facts"])
def test_a_damaged_checkpoint_is_refused_with_a_code(damage, tmp_path):
    interrupted(tmp_path)
    path = tmp_path / LAST
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = raw[8 : 8 + length]
    path.write_bytes(
        {
            "cut": raw[: len(raw) // 2],
            "bit": raw[:9] + b"\0" + raw[10:],
            "empty": b"",
            "other": (2).to_bytes(8, "little") + b"{}",
            "facts": raw[:8] + header.replace(b'\\"epoch\\"', b'\\"Epoch\\"') + raw[8 + length :],
        }[damage]
    )
    assert refused(tmp_path).diagnostic.code == "NS811"


def test_every_cut_of_a_checkpoint_is_refused(tmp_path):
    interrupted(tmp_path)
    path = tmp_path / LAST
    raw = path.read_bytes()
    for end in range(0, len(raw), max(1, len(raw) // 40)):
        path.write_bytes(raw[:end])
        assert refused(tmp_path).diagnostic.code == "NS811"


def test_a_checkpoint_is_plain_safetensors(tmp_path):
    interrupted(tmp_path)
    entries = read_safetensors(str(tmp_path / LAST), 1000)
    assert "weights/linear1.weight" in entries and any(name.startswith("optimizer") for name in entries)
    from safetensors.numpy import load_file

    assert load_file(tmp_path / LAST).keys() == entries.keys()


# ----------------------------------------------------------------------------------------------------------- signals and disks
def test_a_signal_saves_and_stops(tmp_path):
    def watch(event) -> None:
        if isinstance(event, Step) and event.step == 6:
            os.kill(os.getpid(), signal.SIGINT)

    outcome = runs.run(out=str(tmp_path), watch=watch, log_every=1, interval=0)
    assert outcome.interrupted and 6 <= outcome.step <= 7 and (tmp_path / LAST).exists()
    assert not (tmp_path / "weights.safetensors").exists()
    assert runs.same(runs.run(out=str(tmp_path), resume=True).weights, runs.run().weights)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_during_an_evaluation(tmp_path, monkeypatch):
    from netspec.training.loop import engine

    plain, calls = engine.evaluate, []

    def evaluate(*given, **options):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(*given, **options)

    monkeypatch.setattr(engine, "evaluate", evaluate)
    outcome = runs.run(out=str(tmp_path))
    assert outcome.interrupted and outcome.epoch == 1
    monkeypatch.undo()
    again = runs.run(out=str(tmp_path), resume=True)
    whole = runs.run()
    assert runs.same(again.weights, whole.weights) and again.history == whole.history


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    from netspec import files

    plain, calls = files.os.fsync, []

    def full(descriptor):
        calls.append(1)
        if len(calls) == 7:
            raise OSError(28, "No space left on device")
        return plain(descriptor)

    log = runs.Log()
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(Refusal) as caught:
        runs.run(out=str(tmp_path), every=1, watch=log)
    monkeypatch.undo()
    assert caught.value.diagnostic.code == "NS020" and "No space" in caught.value.diagnostic.message
    assert sorted(p.name for p in tmp_path.iterdir()) == [LAST]
    assert log.of(Saved)
    assert runs.same(runs.run(out=str(tmp_path), resume=True).weights, runs.run().weights)


@pytest.mark.skipif(os.geteuid() == 0, reason="the system refuses root nothing")
def test_a_folder_that_cannot_be_written_is_known_at_once(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(Refusal) as caught:
        runs.run(out=str(tmp_path / "run"))
    assert caught.value.diagnostic.code == "NS020"


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(Refusal) as caught:
        runs.run(out=str(tmp_path / "run"))
    assert caught.value.diagnostic.code == "NS020"


CHILD = """
import sys
from tests.training import runs
runs.run(settings={"epochs": 400, "stop.patience": 400}, out=sys.argv[1], resume=True, every=7)
"""


@pytest.mark.slow
def test_kill_9_at_random_moments(tmp_path):
    """Three kills in a row, each at a random moment; then to the end."""
    chance = random.Random(0)
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    kills = 0
    while kills < 3:
        child = subprocess.Popen(command)
        _wait_for_progress(child, tmp_path / LAST)
        time.sleep(chance.uniform(0, 0.5))
        child.send_signal(signal.SIGKILL)
        kills += child.wait() == -signal.SIGKILL
        assert not (tmp_path / "weights.safetensors").exists()
    subprocess.run(command, check=True)
    whole = runs.run(settings={"epochs": 400, "stop.patience": 400})
    stored = read_safetensors(str(tmp_path / "weights.safetensors"), 100)
    assert all(np.array_equal(stored[name].load(), tensor.numpy()) for name, tensor in whole.weights.items())


def _wait_for_progress(child: subprocess.Popen, path) -> None:
    """Until the child has written a checkpoint of its own."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    while child.poll() is None and (not path.exists() or path.stat().st_mtime_ns == before):
        time.sleep(0.01)


def test_the_facts_of_a_checkpoint_are_json(tmp_path):
    from netspec.backends.weight_files import read_metadata

    interrupted(tmp_path)
    facts = json.loads(read_metadata(str(tmp_path / LAST))["netspec.training"])
    assert facts["progress"]["total"] == 4 and facts["version"] == 1
