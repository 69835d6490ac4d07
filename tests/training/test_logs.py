"""Logs, progress and curves, of events as a run gives them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from netspec import Refusal
from netspec.training.curves import curves_of, save_curves
from netspec.training.logs import Logs, kinds_of, read_log
from netspec.training.loop.events import EpochEnd, Evaluated, Event, Remark, Saved, Started, Step, Stopped
from netspec.training.progress import Progress, duration

STEPS, EPOCHS = 4, 5


def started(folder: Path | None, epoch: int = 0, step: int = 0, resumed: bool = False) -> Started:
    where = None if folder is None else str(folder)
    groups = "group  lr\nall    0.1"
    return Started("digits", 1, 1, EPOCHS, STEPS, 8, 32, 8, 100, 90, groups, "cpu", 1, where, epoch, step, resumed)


def events(folder: Path | None, first: int = 0, last: int = STEPS * EPOCHS, resumed: bool = False) -> Iterator[Event]:
    """A run from update `first` to `last`, as the loop tells it: a regular step in every second, and others in between."""
    yield started(folder, first // STEPS, first, resumed)
    for step in range(first + 1, last + 1):
        epoch = (step - 1) // STEPS
        yield Step("digits", step, epoch, 1 / step, 1.5 / step, 0.1 / (epoch + 1), 1000.0 + first, regular=step % 2 == 0)
        if step % STEPS == 0:
            metrics = {"train.loss": 1 / step, "val.loss": 2 / step, "val.accuracy": 1 - 1 / step}
            yield EpochEnd("digits", epoch + 1, step, metrics, {"val.accuracy": "max"}, 0.1 / (epoch + 2), 0.5 + first, best=epoch < 3)
            yield Saved("digits", "last", "last.safetensors", epoch + 1, step)
    over = last == STEPS * EPOCHS
    if over:
        yield Evaluated("digits", EPOCHS, last, {"test.loss": 0.5, "test.accuracy": 0.75})
    yield Stopped("digits", "finished" if over else "interrupted", last // STEPS, last, 12.0, 3 if over else 0)


def log(folder: Path, *runs: Iterator[Event], kinds: tuple[str, ...] = ("jsonl", "csv")) -> None:
    for run in runs:
        logs = Logs(kinds)
        for event in run:
            logs(event)
        logs.close()


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("log.*")}


# --------------------------------------------------------------------------------------------------------------- the lines
def test_a_run_has_a_line_for_every_regular_step_and_epoch(tmp_path: Path) -> None:
    log(tmp_path, events(tmp_path))
    lines = read_log(tmp_path)
    assert [line["event"] for line in lines[:4]] == ["start", "step", "step", "epoch"]
    assert [line["step"] for line in lines if line["event"] == "step"] == list(range(2, 21, 2))
    assert lines[3] == {
        "event": "epoch", "epoch": 1, "step": 4, "lr": 0.05, "best": True, "train.loss": 0.25, "val.loss": 0.5, "val.accuracy": 0.75,
    }  # fmt: skip
    assert [line["event"] for line in lines[-2:]] == ["test", "end"] and lines[-1]["best"] == 3
    assert (tmp_path / "log.csv").read_text().splitlines()[:2] == [
        "epoch,step,lr,train.loss,val.loss,val.accuracy",
        "1,4,0.05,0.25,0.5,0.75",
    ]


@pytest.mark.parametrize("stop", [0, 1, 4, 6, 11, 19])
@pytest.mark.parametrize("checkpoint", [0, 1, 4, 6, 9])
def test_the_log_of_a_resumed_run_is_that_of_an_uninterrupted_one(tmp_path: Path, stop: int, checkpoint: int) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    log(whole, events(whole))
    log(broken, events(broken, 0, stop), events(broken, min(checkpoint, stop), resumed=True))
    assert files(broken) == files(whole)


def test_a_line_that_a_crash_cut_short_is_dropped(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    log(whole, events(whole))
    log(broken, events(broken, 0, 9))
    for path in broken.glob("log.*"):
        path.write_text(path.read_text().rstrip("\n")[:-9])
    log(broken, events(broken, 4, resumed=True))
    assert files(broken) == files(whole)


def test_a_run_that_begins_anew_replaces_the_log(tmp_path: Path) -> None:
    log(tmp_path, events(tmp_path, 0, 9))
    log(tmp_path, events(tmp_path))
    assert sum(line["event"] == "start" for line in read_log(tmp_path)) == 1


def test_numbers_that_are_none_are_null(tmp_path: Path) -> None:
    log(tmp_path, iter([started(tmp_path), EpochEnd("digits", 1, 4, {"train.loss": float("nan")}, {}, 0.1, 1.0)]))
    assert read_log(tmp_path)[-1]["train.loss"] is None
    assert "NaN" not in (tmp_path / "log.jsonl").read_text() and "nan" not in (tmp_path / "log.csv").read_text()


def test_a_new_metric_widens_the_table(tmp_path: Path) -> None:
    ends = [EpochEnd("digits", n, 4 * n, {"train.loss": 1.0, **({"val.loss": 2.0} if n > 1 else {})}, {}, 0.1, 1.0) for n in (1, 2, 3)]
    log(tmp_path, iter([started(tmp_path), *ends]))
    assert (tmp_path / "log.csv").read_text() == (
        "epoch,step,lr,train.loss,val.loss\n1,4,0.1,1.0,\n2,8,0.1,1.0,2.0\n3,12,0.1,1.0,2.0\n"
    )  # fmt: skip


def test_a_run_without_a_folder_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log(tmp_path, events(None))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal) as caught:
        log(tmp_path, events(tmp_path / "file"))
    assert caught.value.diagnostic.code == "NS020"


def test_a_full_disk_is_a_refusal(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    logs, (first, *others) = Logs(("jsonl", "csv")), events(tmp_path)
    logs(first)
    for writer in logs._open:
        writer._file = full.open("w")
    with pytest.raises(Refusal) as caught:
        for event in others:
            logs(event)
    assert caught.value.diagnostic.code == "NS020"
    logs.close()


def test_kinds_of_logs() -> None:
    assert kinds_of("jsonl") == ("jsonl",) and kinds_of("csv, tensorboard,csv") == ("jsonl", "csv", "tensorboard")
    with pytest.raises(Refusal) as caught:
        kinds_of("tensorbord")
    assert caught.value.diagnostic.code == "NS015" and "did you mean `tensorboard`?" in caught.value.diagnostic.helps


def test_tensorboard_forgets_what_is_done_again(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    log(tmp_path, events(tmp_path, 0, 11), events(tmp_path, 6, resumed=True), kinds=("tensorboard",))
    found = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert {"step/loss", "step/lr", "train/loss", "val/loss", "val/accuracy", "test/accuracy"} <= set(found.Tags()["scalars"])
    assert [(e.step, round(e.value, 6)) for e in found.Scalars("val/loss")] == [(4 * n, round(2 / (4 * n), 6)) for n in range(1, 6)]
    assert [e.step for e in found.Scalars("step/loss")] == list(range(1, 21))


# ------------------------------------------------------------------------------------------------------------- the curves
def test_curves_are_those_of_the_log(tmp_path: Path) -> None:
    log(tmp_path, events(tmp_path))
    found = curves_of(read_log(tmp_path), "digits")
    assert [name for name, _ in found.panels] == ["loss", "accuracy", "learning rate"] and found.best == 3
    (_, losses), (_, accuracies), (_, rates) = found.panels
    assert [curve.name for curve in losses] == ["train", "val"] and losses[0].y == tuple(1 / s for s in range(4, 21, 4))
    assert [curve.name for curve in accuracies] == ["val"] and rates[0].x[0] == 0.5
    assert "test.accuracy 0.75" in found.below


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_curves_are_drawn(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("matplotlib")
    log(tmp_path, events(tmp_path))
    path = tmp_path / f"curves.{kind}"
    found = curves_of(read_log(tmp_path), "digits")
    save_curves(path, [found, found])
    first = path.read_bytes()
    save_curves(path, [found, found])
    assert path.read_bytes() == first and len(first) > 5000


def test_there_is_nothing_to_draw_of_no_epochs(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as caught:
        save_curves(tmp_path / "curves.png", [curves_of([], "digits")])
    assert caught.value.diagnostic.code == "NS825"


# --------------------------------------------------------------------------------------------------------------- progress
class Clock:
    """A clock that goes on by so many seconds each time it is read."""

    def __init__(self, by: float) -> None:
        self.now, self.by = 0.0, by

    def __call__(self) -> float:
        self.now += self.by
        return self.now


def told(by: float, *more: Event, live: bool = False) -> str:
    stream = io.StringIO()
    with Progress(stream, live, Clock(by)) as progress:
        for event in (*events(None), *more):
            progress(event)
    return stream.getvalue()


def test_where_there_is_no_terminal_lines_tell_of_epochs() -> None:
    lines = told(0.3).splitlines()
    assert lines[0] == "digits: 5 epochs of 4 steps, batch 8; 32 examples, 8 for validation; 100 parameters, 90 trained; cpu"
    assert lines[1:3] == ["group  lr", "all    0.1"]
    assert lines[3].startswith("epoch 1/5  train.loss 0.25  val.loss 0.5  val.accuracy 0.75  0.50 s *")
    assert lines[-1] == "done after epoch 5, 20 steps, 12.0 s; the weights are those of epoch 3, the best"


def test_short_epochs_have_few_lines_and_the_last_has_one() -> None:
    lines = [line for line in told(0.01).splitlines() if line.startswith("epoch")]
    assert [line.split()[1] for line in lines] == ["1/5", "5/5"]


def test_steps_of_long_epochs_have_lines() -> None:
    line = next(line for line in told(20).splitlines() if "step " in line)
    assert line.startswith("epoch 1/5  step 1/4  loss 1.5  lr 0.1  125 steps/s  1,000 examples/s  0:") and line.endswith(" left")


def test_remarks_are_told() -> None:
    assert "note[NS812]: mind this\n" in told(0.3, Remark("digits", "mind this", "NS812"))


def test_a_terminal_has_a_bar_and_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("NO_COLOR", "1")
    text = told(0.3, live=True)
    assert "epoch 5/5  train.loss 0.05" in text and "done after epoch 5" in text and "\x1b[3" not in text


@pytest.mark.parametrize("seconds, text", [(None, ""), (0.2, "0:00:00"), (59.6, "0:01:00"), (3725, "1:02:05")])
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
