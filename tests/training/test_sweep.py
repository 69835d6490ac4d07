"""Sweeps: every trial once, whoever runs it and whatever stops it, and what comes of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netspec.cli.main import main
from netspec.training.sweep import trial as trial_module
from netspec.training.sweep.locks import Held, is_held

pytest.importorskip("optuna")

SPEC = """\
# The smallest of nets.
net a(width = 4) {
  input x: [N, 3]
  output y = x -> linear(width) -> relu -> linear(1)

  train {
    loss      = mse(y, t)
    optimizer = sgd(lr = 0.1)  # plain
    batch     = 16
    epochs    = 3
    split     = [0.75, 0.25]
    search    { lr: log(1e-3, 0.5), momentum: [0, 0.9] }
  }
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a spec and data, in which the command is run."""
    random = np.random.default_rng(0)
    x = random.normal(size=(64, 3)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x, t=(x @ [[1.0], [-2.0], [0.5]]).astype(np.float32))
    (tmp_path / "a.net").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Run:
    """What a command did: its status, its report, and what it told on the way."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str, spec: str = "a.net") -> None:
        self.status = main(["sweep", spec, "--data", "data.npz", "--device", "cpu", "--threads", "1", "--format", "json", *arguments])
        out, self.err = capsys.readouterr()
        self.data: dict[str, Any] = json.loads(out) if out.startswith("{") else {}

    @property
    def trials(self) -> list[dict[str, Any]]:
        """The trials in the order of their places."""
        return sorted(self.data["trials"], key=lambda row: row["trial"])

    @property
    def results(self) -> list[Any]:
        """Values, state and result of every trial."""
        return [(row["trial"], row["values"], row["state"], row["value"], row["epoch"]) for row in self.trials]


# ----------------------------------------------------------------------------------------------------------- the whole
def test_a_sweep_from_beginning_to_end(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "--trials", "5", "--sampler", "random", "-o", "best.net")
    assert run.status == 0, run.err
    assert [row["value"] for row in run.data["trials"]] == sorted(row["value"] for row in run.data["trials"])
    assert run.data["best"] == run.data["trials"][0] and run.data["monitor"] == "val.loss" and run.data["mode"] == "min"
    assert run.data["counts"]["complete"] == 5 and set(run.data["importances"]) == {"lr", "momentum"}
    best = run.data["best"]
    text = (folder / "best.net").read_text()
    assert f"sgd(lr = {best['values']['lr']}, momentum = {best['values']['momentum']})  # plain" in text and "search" not in text
    assert text.startswith("# The smallest of nets.\n")
    kept = sorted(path.parent.name for path in folder.glob("a.trials/*/*.safetensors"))
    assert set(kept) == {Path(best["folder"]).name}
    assert Path(run.data["weights"]).name == "weights.safetensors" and len(list(folder.glob("a.trials/*/log.jsonl"))) == 5
    assert main(["train", "best.net", "--data", "data.npz", "--device", "cpu", "--threads", "1", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["val"]["loss"] == pytest.approx(best["value"], rel=1e-6)


def test_the_same_seed_gives_the_same_trials_and_another_one_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [Run(capsys, "--trials", "6", "--storage", f"{n}.journal", "--seed", str(n // 2)) for n in range(3)]
    assert runs[0].results == runs[1].results != runs[2].results


def test_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Run(capsys, "--trials", "2", "--format", "text")
    assert main(["sweep", "a.net", "--data", "data.npz", "--device", "cpu", "--threads", "1", "--trials", "2"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split() == ["trial", "val.loss", "epoch", "time", "state", "lr", "momentum"]
    assert "best spec: a.trials/best.net" in out and err == ""  # all was done by the first one


@pytest.mark.parametrize("storage", ["s.journal", "sqlite:///s.db"])
def test_a_grid_goes_on_and_has_every_point_once(folder: Path, capsys: pytest.CaptureFixture[str], storage: str) -> None:
    grid = ("--sampler", "grid", "--grid-points", "3", "--storage", storage)
    first = Run(capsys, *grid, "--trials", "2")
    assert first.status == 0 and len(first.trials) == 2
    whole = Run(capsys, *grid)
    assert whole.results[:2] == first.results
    points = {(row["values"]["lr"], row["values"]["momentum"]) for row in whole.trials}
    assert points == {(lr, m) for lr in ("0.001", "0.02236", "0.5") for m in ("0", "0.9")} and len(whole.trials) == 6
    assert (folder / "s.trials" / "best.net").exists()


def test_net_parameters_and_other_names(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search = ("--search", "width=int(2, 6)", "--search", "batch=[8, 16]", "--search", "optimizer.weight_decay=[0, 0.001]")
    run = Run(capsys, "--trials", "3", "--epochs", "2", *search, "-o", "sub/best.net")
    best = run.data["best"]["values"]
    text = (folder / "sub" / "best.net").read_text()
    assert f"net a(width = {best['width']}) {{" in text and f"batch     = {best['batch']}" in text and "epochs    = 2" in text


# ------------------------------------------------------------------------------------------------------------- failures
def test_failed_trials_are_kept_and_the_sweep_goes_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search = ("--search", "lr=[0.1, 1e30]", "--search", "momentum=[0]", "--search", "width=[4, 0]")
    run = Run(capsys, "--sampler", "grid", *search)
    assert run.status == 0
    failures = {(row["values"]["lr"], row["values"]["width"]): row["failure"] for row in run.trials}
    assert failures["0.1", "4"] is None
    assert failures["1e30", "4"]["code"].startswith("NS81")
    assert failures["0.1", "0"]["code"] == failures["1e30", "0"]["code"] != failures["1e30", "4"]["code"]
    assert run.data["counts"] == {"complete": 1, "pruned": 0, "failed": 3, "running": 0, "waiting": 0}


def test_values_that_do_not_go_together_are_a_failed_trial(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "--sampler", "grid", "--search", "nesterov=[true, false]", "--search", "lr=[0.1]")
    states = {(row["values"]["nesterov"], row["values"]["momentum"]): row["state"] for row in run.trials}
    assert states.pop(("true", "0")) == "failed" and set(states.values()) == {"complete"} and len(states) == 3


def test_no_trial_completed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "--search", "lr=[1e30]", "--search", "momentum=[0]", "--sampler", "grid")
    assert run.status == 1 and run.data["best"] is None and run.data["spec"] is None


def test_what_would_stop_every_trial_stops_the_sweep(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.unlink("data.npz")
    run = Run(capsys)
    assert run.status != 0 and not run.data and "NS711" in run.err and run.err.count("trial ") == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--sampler", "grid"), "NS837"),
        (("--trials", "0"), "NS837"),
        (("--monitor", "val.accuracy"), "NS839"),
        (("--search", "learning=[1]"), "NS832"),
        (("--search", "batch=log(1, 8)"), "NS833"),
        (("--search", "batch"), "NS015"),
        (("--jobs", "0"), "NS015"),
        (("--storage", "data.npz"), "NS835"),
        (("--storage", "nosuch://x/y"), "NS835"),
        (("--storage", "sqlite:////no/such/folder/s.db"), "NS835"),
        (("--section", "other"), "NS820"),
    ],
)
def test_refusals_before_the_first_trial(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: str
) -> None:  # fmt: skip
    run = Run(capsys, *arguments)
    assert run.status == 2 and f"[{code}]" in run.err and "trial 0" not in run.err


def test_a_loss_that_other_values_make_unfit_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = SPEC.replace("linear(1)", "linear(3)").replace("mse(y, t)", "cross_entropy(y, c, weight = [1, 2, 3])")
    (folder / "a.net").write_text(spec)
    run = Run(capsys, "--set", "loss.weight=[1, 2]", "--trials", "1")
    assert run.status == 2 and ("[NS353]" in run.err or "[NS354]" in run.err) and "trial 0" not in run.err


def test_another_sweep_in_the_storage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Run(capsys, "--trials", "1").status == 0
    commented = SPEC.replace("# plain", "# a comment").replace("  batch ", "\n\n  batch ")
    (folder / "a.net").write_text(commented)
    assert Run(capsys, "--trials", "2").status == 0  # the layout of a text is no matter
    for change in (("--search", "lr=[1]"), ("--seed", "1"), ("--batch", "8"), ("-p", "width=3"), ("--monitor", "train.loss")):
        run = Run(capsys, "--trials", "3", *change)
        assert run.status == 2 and "NS836" in run.err
    (folder / "a.net").write_text(SPEC.replace("relu", "gelu"))
    run = Run(capsys, "--trials", "3")
    assert run.status == 2 and "network and section" in run.err


# -------------------------------------------------------------------------------------------------- going on, and sharing
def interrupt_at(monkeypatch: pytest.MonkeyPatch, epoch: int, trial: int) -> None:
    """Make a trial end by Ctrl-C after an epoch, once."""
    told = trial_module._train
    left = [1]

    def train(request: Any, sweep: Any, claim: Any, tell: Any) -> Any:
        def watch(what: Any) -> None:
            tell(what)
            event = getattr(what, "event", None)
            if claim.place == trial and type(event).__name__ == "EpochEnd" and event.epoch == epoch and left:
                left.pop()
                os.kill(os.getpid(), signal.SIGINT)

        return told(request, sweep, claim, watch)

    monkeypatch.setattr(trial_module, "_train", train)


@pytest.mark.parametrize("sampler", ["random", "bayesian"])
def test_an_interrupted_sweep_goes_on_where_it_was(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:  # fmt: skip
    whole = Run(capsys, "--trials", "7", "--sampler", sampler, "--storage", "whole.journal")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 2, 5)
        broken = Run(capsys, "--trials", "7", "--sampler", sampler, "--storage", "broken.journal")
    assert broken.status == 130 and broken.data["counts"]["complete"] == 5 and broken.data["counts"]["running"] == 1
    assert (folder / "broken.trials" / "best.net").exists()
    again = Run(capsys, "--trials", "7", "--sampler", sampler, "--storage", "broken.journal")
    assert again.status == 0 and "trial 5 of 7 goes on" in again.err and "trial 4" not in again.err
    assert again.results == whole.results


def test_pruning(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search = ("--search", "lr=[0.2, 0.1, 0.05, 0.15, 1e-4, 2e-4, 3e-4]", "--search", "momentum=[0]", "--epochs", "8")
    run = Run(capsys, "--sampler", "grid", "--pruner", "halving", *search)
    pruned = [row for row in run.trials if row["state"] == "pruned"]
    assert run.status == 0 and pruned and run.data["best"]["state"] == "complete"
    assert all(row["value"] >= run.data["best"]["value"] for row in pruned)
    lines = (Path(pruned[0]["folder"]) / "log.jsonl").read_text().splitlines()
    assert sum('"epoch"' in line.split(",")[0] for line in lines) < 8
    median = Run(capsys, "--sampler", "grid", "--pruner", "median", *search, "--storage", "median.journal")
    assert median.status == 0 and median.data["counts"]["complete"] >= 4


def test_equal_values_are_trained_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "--sampler", "random", "--trials", "5", "--search", "lr=[0.1]")
    trained = [row for row in run.trials if row["same_as"] is None]
    assert len(trained) <= 2 and len(run.trials) == 5
    for row in run.trials:
        if row["same_as"] is not None:
            assert run.trials[row["same_as"]]["value"] == row["value"] and run.trials[row["same_as"]]["values"] == row["values"]


def test_a_timeout_begins_no_more_trials(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "--trials", "4", "--timeout", "0")
    assert run.status == 1 and run.data["counts"]["waiting"] == 4
    assert Run(capsys, "--trials", "4").data["counts"]["complete"] == 4


def test_a_journal_whose_last_line_is_broken_is_mended(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Run(capsys, "--trials", "2").status == 0
    with open("a.journal", "ab") as file:
        file.write(b'{"op_code":8,"tri')
    run = Run(capsys, "--trials", "3")
    assert run.status == 0 and run.data["counts"]["complete"] == 3


def test_a_lock_is_one_process_s(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    assert not is_held(path)
    with Held(path) as lock:
        assert lock.take() and is_held(path) and not Held(path).take()
    assert not is_held(path)


# --------------------------------------------------------------------------------------------------- several processes
COMMAND = [sys.executable, "-m", "netspec", "sweep", "a.net", "--data", "data.npz", "--device", "cpu", "--threads", "1", "--format", "json"]


@pytest.mark.slow
def test_jobs_share_a_grid(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = ("--sampler", "grid", "--grid-points", "4")
    alone = Run(capsys, *grid, "--storage", "alone.journal")
    shared = Run(capsys, *grid, "--jobs", "2")
    assert shared.status == 0 and len(shared.trials) == 8
    assert shared.results == alone.results


@pytest.mark.slow
def test_what_stops_one_job_stops_all(folder: Path) -> None:
    os.unlink("data.npz")
    done = subprocess.run([*COMMAND, "--jobs", "2"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and "[NS711]" in done.stderr and "Traceback" not in done.stderr and done.stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["s.journal", "sqlite:///s.db"])
def test_commands_on_one_storage_run_each_trial_once(folder: Path, capsys: pytest.CaptureFixture[str], storage: str) -> None:
    command = [*COMMAND, "--sampler", "grid", "--grid-points", "4", "--storage", storage]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    begun = [line.split()[1] for _, err in told for line in err.splitlines() if " of 8: " in line]
    assert sorted(begun) == [str(place) for place in range(8)]
    after = Run(capsys, "--sampler", "grid", "--grid-points", "4", "--storage", storage)
    assert after.data["counts"]["complete"] == 8 and after.err == ""


@pytest.mark.slow
def test_killed_by_force_and_started_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--trials", "6", "--epochs", "60")
    whole = Run(capsys, *options, "--storage", "whole.journal")
    random = np.random.default_rng(1)
    for _ in range(4):
        command = [*COMMAND, *options, "--storage", "k.journal"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("trial"):
                break
        time.sleep(float(random.uniform(0, 1.0)))
        process.kill()
        process.communicate()
    again = Run(capsys, *options, "--storage", "k.journal")
    assert again.status == 0 and again.results == whole.results


@pytest.mark.slow
def test_an_interrupted_command_stops_its_children(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [*COMMAND, "--trials", "6", "--epochs", "4000", "--jobs", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("trial"):
            break
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130 and "goes on from here" in err and "Traceback" not in err
    assert json.loads(out)["counts"]["running"] >= 1
    assert not any(is_held(str(path)) for path in folder.glob("a.trials/*/lock"))
