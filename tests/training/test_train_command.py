"""`netspec train` as a person calls it, in this process, on small networks."""

from __future__ import annotations

import io
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netspec.cli.main import main
from netspec.diagnostics.codes import page
from netspec.training.devices import check_hardware
from netspec.training.loop.job import Hardware

NET = """\
net tiny {
  input x: [N, 4]
  output y: [N, 3] = x -> linear(8) as hidden -> relu -> linear(3) as fc
"""
BODY = """\
    loss      = cross_entropy(y, label)
    optimizer = sgd(lr = 0.1, momentum = 0.9)
    schedule  = warmup(1) then cosine
    batch     = 16
    epochs    = 4
    split     = [0.7, 0.15, 0.15]
    metrics   = [accuracy]
"""
SPEC = NET + "  train {\n" + BODY + "    rates { fc: 2 }\n  }\n}\n"
TWO = (
    NET
    + "}\ntrain warm of tiny {\n"
    + BODY
    + '    only = ["fc"]\n}\n'
    + ("train fine of tiny {\n  loss = cross_entropy(y, label)\n  optimizer = adam(lr = 0.01)\n  epochs = 2\n  batch = 16\n}\n")
)


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)

    @property
    def code(self) -> str:
        return self.err.partition("[")[2].partition("]")[0]


Train = Callable[..., Outcome]


def make_data(path: Path, count: int = 120, **columns: Any) -> Path:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 4)).astype(np.float32)
    label = np.argmax(x[:, :3] + 0.1 * rng.normal(size=(count, 3)), axis=1)
    np.savez(path, **{"x": x, "label": label, **columns})
    return path


@pytest.fixture
def train(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Train:
    """`train("--epochs", "2")` on `tiny.net` and `d.npz`, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.net").write_text(SPEC)
    (tmp_path / "two.net").write_text(TWO)
    make_data(tmp_path / "d.npz")

    def call(*given: str, spec: str = "tiny.net", data: str = "d.npz") -> Outcome:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
        capsys.readouterr()
        status = main(["train", spec, *(["--data", data] if data else []), *given])
        return Outcome(status, *capsys.readouterr())

    return call


# ---------------------------------------------------------------------------------------------------------------- a run
def test_a_run_tells_its_metrics_and_leaves_its_files(train: Train, tmp_path: Path) -> None:
    done = train()
    assert done.status == 0, done.err
    head, columns, *splits, weights = done.out.splitlines()
    assert head.startswith("tiny: ") and "24 steps" in head and columns.split() == ["loss", "accuracy"]
    assert [row.split()[0] for row in splits] == ["train", "val", "test"] and weights == "weights: runs/tiny/weights.safetensors"
    assert {"weights.safetensors", "last.safetensors", "log.jsonl"} <= {p.name for p in (tmp_path / "runs" / "tiny").iterdir()}
    assert "group" in done.err and "x2" in done.err and "epoch 4/4" in done.err and "\x1b" not in done.err


def test_the_json_says_the_same(train: Train) -> None:
    facts = train("--format", "json", "-o", "here").data
    assert (facts["net"], facts["reason"], facts["epochs"], facts["steps"]) == ("tiny", "finished", 4, 24)
    assert set(facts["metrics"]) == {"train", "val", "test"} and set(facts["metrics"]["test"]) == {"loss", "accuracy"}
    assert facts["weights"] == "here/weights.safetensors" and facts["folder"] == "here" and facts["seconds"] > 0 and facts["before"] == []


def test_settings_of_the_call_come_before_those_of_the_spec(train: Train) -> None:
    facts = train("--format", "json", "--epochs", "1", "--batch", "84", "--set", "optimizer.lr=0.01", "--set", "metrics.average=macro").data
    assert facts["epochs"] == 1 and facts["steps"] == 1


def test_sections_run_in_order_each_in_its_folder(train: Train, tmp_path: Path) -> None:
    done = train("--format", "json", "--epochs", "1", spec="two.net")
    assert done.data["section"] == "fine" and [one["section"] for one in done.data["before"]] == ["warm"]
    assert sorted(p.name for p in (tmp_path / "runs" / "tiny").iterdir()) == ["1-warm", "2-fine", "weights.safetensors"]
    assert train("--epochs", "1", "--section", "warm", spec="two.net").status == 0
    assert (tmp_path / "runs" / "tiny-warm" / "weights.safetensors").is_file()
    assert train("--epochs", "1", "--section", "2", "-o", "runs/tiny", spec="two.net").code == "NS823"


def test_separate_data_for_validation_and_test(train: Train, tmp_path: Path) -> None:
    make_data(tmp_path / "v.npz", 20)
    done = train("--epochs", "1", "--val", "v.npz", "--test", "v.npz", "--format", "json")
    assert set(done.data["metrics"]) == {"train", "val", "test"} and "120 examples, 20 for validation" in done.err


def test_columns_may_be_called_otherwise(train: Train, tmp_path: Path) -> None:
    arrays = np.load(tmp_path / "d.npz")
    np.savez(tmp_path / "other.npz", features=arrays["x"], kind=arrays["label"])
    assert train("--epochs", "1", data="other.npz").status == 1
    assert train("--epochs", "1", "--column", "x=features,label=kind", data="other.npz").status == 0


def test_logs_and_curves(train: Train, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = train("--log", "csv", "--plot", "curves.svg")
    assert done.status == 0 and "curves.svg" in done.err and b"accuracy" in (tmp_path / "curves.svg").read_bytes()
    assert len((tmp_path / "runs/tiny/log.csv").read_text().splitlines()) == 5


def test_trained_weights_go_on(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    train()
    weights = "runs/tiny/weights.safetensors"
    assert main(["verify", "tiny.net", "--weights", weights, "--cases", "1"]) == 0
    assert train("--weights", weights, "--epochs", "1", "-o", "again").status == 0
    capsys.readouterr()


# --------------------------------------------------------------------------------------------------- again, and interrupted
def test_a_run_is_not_written_over(train: Train, tmp_path: Path) -> None:
    train("--epochs", "1")
    before = {p.name: p.read_bytes() for p in (tmp_path / "runs/tiny").iterdir()}
    again = train("--epochs", "2")
    assert (again.status, again.code) == (2, "NS823") and all(word in again.err for word in ("--resume", "-o DIR", "--force"))
    assert {p.name: p.read_bytes() for p in (tmp_path / "runs/tiny").iterdir()} == before
    assert train("--force", data="nowhere.npz").status != 0
    assert {p.name: p.read_bytes() for p in (tmp_path / "runs/tiny").iterdir()} == before
    assert train("--epochs", "2", "--force").status == 0


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from netspec.training.logs import Logs
    from netspec.training.loop.events import EpochEnd

    assert train("-o", "whole").status == 0
    take = Logs.__call__

    def interrupting(self: Logs, event: Any) -> None:
        take(self, event)
        if isinstance(event, EpochEnd) and event.epoch == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Logs, "__call__", interrupting)
    stopped = train("-o", "broken")
    assert stopped.status == 130 and "--resume" in stopped.err
    monkeypatch.setattr(Logs, "__call__", take)
    assert train("-o", "broken", "--resume").status == 0
    for name in ("weights.safetensors", "log.jsonl"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_section_may_only_predict(train: Train) -> None:
    done = train("--set", "only=[]", "--plot", "curves.png")
    assert done.status == 0 and "nothing is trained" in done.err and "not drawn" in done.err
    assert done.out.startswith("tiny: predicted, ") and [row.split()[0] for row in done.out.splitlines()[2:4]] == ["val", "test"]


def test_there_may_be_nothing_to_resume(train: Train) -> None:
    done = train("--epochs", "1", "--resume")
    assert done.status == 0 and "nothing to go on from" in done.err


# -------------------------------------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    "given, status, code",
    [
        (("--section", "warm"), 2, "NS820"),
        (("--set", "bach=3"), 2, "NS350"),
        (("--set", "optimizer.lr=fast"), 2, "NS353"),
        (("--set", "optimizer"), 2, "NS015"),
        (("--batch", "0"), 2, "NS353"),
        (("--device", "tpu"), 2, "NS821"),
        (("--devices", "0"), 2, "NS821"),
        (("--threads", "0"), 2, "NS821"),
        (("--set", "loss.weight=[1,2]"), 2, "NS354"),
        (("--nodes", "2"), 2, "NS821"),
        (("--nodes", "2", "--node-rank", "2", "--master", "a:1"), 2, "NS821"),
        (("--master", "a:1"), 2, "NS821"),
        (("--device", "cuda:1", "--devices", "2"), 2, "NS821"),
        (("--device", "cuda:99"), 2, "NS822"),
        (("--log", "xml"), 2, "NS015"),
        (("--plot", "a.gif"), 2, "NS015"),
        (("--checkpoint-every", "0"), 2, "NS015"),
        (("--column", "x"), 2, "NS015"),
        (("--resume", "--force"), 2, "NS015"),
        (("--find-lr", "--lr-range", "1"), 2, "NS015"),
        (("--find-lr", "--lr-range", "1,0.1"), 2, "NS015"),
    ],
)
def test_a_call_that_cannot_be_is_refused(train: Train, tmp_path: Path, given: tuple[str, ...], status: int, code: str) -> None:
    done = train(*given)
    assert (done.status, done.code) == (status, code), done.err
    assert page(code) and not (tmp_path / "runs").exists()


def test_a_selector_that_selects_nothing_is_told(train: Train) -> None:
    done = train("--epochs", "1", "--set", "rates.hiden=2", "--set", "freeze=hidden")
    assert done.status == 0 and done.err.count("warning[NS355]") == 1 and "did you mean `hidden`?" in done.err


def test_data_are_needed(train: Train) -> None:
    assert train(data="").code == "NS015"


def test_a_net_without_a_section_says_what_to_write(train: Train, tmp_path: Path) -> None:
    (tmp_path / "bare.net").write_text(NET + "}\n")
    done = train(spec="bare.net")
    assert (done.status, done.code) == (1, "NS356") and "optimizer = sgd(" in done.err


def test_more_gpus_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from netspec import Refusal

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_hardware(Hardware("cuda", 2))
    check_hardware(Hardware("cuda:1"))
    for hardware in (Hardware("cuda", 3), Hardware("auto", 3), Hardware("cuda:2")):
        with pytest.raises(Refusal) as caught:
            check_hardware(hardware)
        assert caught.value.diagnostic.code == "NS822"
    check_hardware(Hardware("cpu", 3))


# -------------------------------------------------------------------------------------------------------------- dry run
def test_a_dry_run_shows_what_would_be_done(train: Train, tmp_path: Path) -> None:
    done = train("--dry-run", "--format", "json")
    (plan,) = done.data["sections"]
    assert plan["examples"] == {"train": 84, "val": 18, "test": 18} and (plan["epochs"], plan["steps"], plan["batch"]) == (4, 6, 16)
    assert [(c["name"], c["kind"]) for c in plan["columns"]] == [("x", "input"), ("label", "target")]
    assert plan["rates"][0]["lr"] == pytest.approx(0.1 / 6) and plan["rates"][-1]["lr"] < 0.005
    assert {point["epoch"] for point in plan["rates"]} >= {0, 1}
    trained = 4 * (8 * 4 + 8 + 3 * 8 + 3)
    assert plan["memory"]["gradients"] == plan["memory"]["optimizer"] == trained and plan["memory"]["activations"] > 0
    assert "x2" in plan["groups"] and not (tmp_path / "runs").exists()
    text = train("--dry-run").out
    assert "6 steps" in text and "learning rate" in text and "memory" in text and "wanted" in text


def test_a_dry_run_finds_what_is_wrong_with_the_data(train: Train, tmp_path: Path) -> None:
    make_data(tmp_path / "wrong.npz", x=np.zeros((120, 5), np.float32))
    done = train("--dry-run", data="wrong.npz")
    assert done.status == 1 and done.code.startswith("NS80") and "tiny.net:2" in done.err


def test_a_dry_run_of_sections_has_a_plan_for_each(train: Train) -> None:
    first, second = train("--dry-run", "--format", "json", spec="two.net").data["sections"]
    assert (first["section"], second["section"]) == ("warm", "fine") and "frozen" in first["groups"]
    assert first["memory"]["gradients"] == 4 * 27 and second["memory"]["optimizer"] == 2 * second["memory"]["gradients"]


# ---------------------------------------------------------------------------------------------------------- the vocabulary
def test_the_vocabulary_is_listed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    from netspec.recipe import known

    assert main(["ops", "--train"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name}(" in text for names in known().values() for name in names) and "  batch = 32" in text
    assert main(["ops", "--train", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {(one["slot"], one["name"]) for one in found} == {(slot, name) for slot, names in known().items() for name in names}
    assert all(one["doc"] and one["signature"].startswith(f"{one['name']}(") for one in found)
    assert all(one["source"] for one in found if one["slot"] in ("optimizer", "schedule", "loss", "metric"))


@pytest.mark.parametrize(
    "name, shown", [("adam", ["optimizer: adam(", "source: Kingma"]), ("cosine", ["schedule: ", "loss: "]), ("bce", ["loss: "])]
)
def test_a_name_has_a_page_for_each_of_its_meanings(capsys: pytest.CaptureFixture[str], name: str, shown: list[str]) -> None:
    assert main(["ops", "--train", name]) == 0
    text = capsys.readouterr().out
    assert all(part in text for part in shown)


def test_a_setting_lists_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", "--train", "augment"]) == 0
    text = capsys.readouterr().out
    assert "  hflip(" in text and "adam" not in text and "batch" not in text


def test_an_unknown_name_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", "--train", "adamm"]) == 2
    assert "did you mean `adam`?" in capsys.readouterr().err
