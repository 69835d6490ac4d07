"""Two processes that share every batch train as one does."""

import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from netspec.backends.weight_files.safetensors import read_safetensors
from netspec.diagnostics.model import Refusal
from netspec.training.loop.checkpoint import LAST, WEIGHTS
from netspec.training.loop.events import EpochEnd, Pruned, Remark, Saved, Started, Step, Stopped
from netspec.training.loop.job import Hardware
from netspec.training.loop.processes import launch
from tests.training import runs

pytestmark = pytest.mark.slow

TWO = Hardware("cpu", devices=2, threads=1)

#: 45 examples in batches of 8 leave 5, shared 2 and 3; `side` has weights that the loss does without
NET = """
net shared {
  input x: [N, 6]
  h = x -> linear(8) as body -> tanh
  output logits = h -> linear(3) as head
  output side = h -> linear(2) as side
  train {
    loss      = cross_entropy(logits, label) + 1e-3 * l2(weights)
    optimizer = sgd(lr = 0.1, momentum = 0.9)
    schedule  = cosine
    batch     = 8
    epochs    = 3
    split     = [0.75, 0.25]
    clip      = norm(1.0)
  }
}
"""
DATA = runs.data(60)


def close(one, other, within: float = 1e-6) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert np.abs(one[name].numpy() - other[name].numpy()).max() <= within, name


@pytest.mark.parametrize(
    "change", [{}, {"accumulate": 2}, {"freeze": ("body",)}, {"batch": 44}], ids=["plain", "parts", "frozen", "rest of 1"]
)
def test_two_processes_give_the_curve_of_one(change, tmp_path, capfd):
    one, two = runs.Log(), runs.Log()
    first = runs.run(NET, DATA, change, watch=one, log_every=1)
    second = runs.run(NET, DATA, change, watch=two, log_every=1, hardware=TWO, out=str(tmp_path))
    assert two.of(Started)[0].processes == 2
    losses = [[event.loss for event in log.of(Step) if event.regular] for log in (one, two)]
    assert len(losses[0]) == len(losses[1]) == first.step and np.allclose(*losses, rtol=0, atol=1e-6)
    for a, b in zip(first.history, second.history):
        assert a.keys() == b.keys() and np.allclose(list(a.values()), list(b.values()), rtol=0, atol=1e-6)
    assert [event.epoch for event in two.of(EpochEnd)] == [1, 2, 3] and two.of(Stopped)
    close(first.weights, second.weights)
    assert {os.path.basename(event.path) for event in two.of(Saved)} >= {LAST, WEIGHTS}
    assert capfd.readouterr().err == ""


def test_a_run_of_two_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path):
    code = "from tests.training import runs, test_processes as t; import sys\n"
    code += "if __name__ == '__main__': runs.run(t.NET, t.DATA, {'epochs': 40}, hardware=t.TWO, out=sys.argv[1], every=3)"
    file = tmp_path / "child.py"
    file.write_text(code)
    whole = runs.run(NET, DATA, {"epochs": 40}, hardware=TWO)
    child = subprocess.Popen([sys.executable, str(file), str(tmp_path / "run")], start_new_session=True)
    while child.poll() is None and not (tmp_path / "run" / LAST).exists():
        time.sleep(0.005)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert not (tmp_path / "run" / WEIGHTS).exists()
    again = runs.run(NET, DATA, {"epochs": 40}, hardware=TWO, out=str(tmp_path / "run"), resume=True)
    assert runs.same(whole.weights, again.weights) and whole.history == again.history


def test_a_checkpoint_of_two_processes_is_not_one_of_one(tmp_path):
    runs.run(NET, DATA, hardware=TWO, out=str(tmp_path))
    with pytest.raises(Refusal) as caught:
        runs.run(NET, DATA, out=str(tmp_path), resume=True)
    assert caught.value.diagnostic.code == "NS812" and "processes" in caught.value.diagnostic.notes[0]


def test_ctrl_c_saves_and_stops_all(tmp_path):
    code = "from tests.training import runs, test_processes as t; import sys\n"
    code += "if __name__ == '__main__':\n    found = runs.run(t.NET, t.DATA, {'epochs': 100000}, hardware=t.TWO, out=sys.argv[1])\n"
    code += "    print(found.reason); sys.exit(130 if found.interrupted else 1)"
    file = tmp_path / "child.py"
    file.write_text(code)
    command = [sys.executable, str(file), str(tmp_path / "run")]
    child = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while child.poll() is None and not (tmp_path / "run" / LAST).exists():
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does: to all of them at once
    told, complaints = child.communicate(timeout=60)
    assert (told, child.returncode) == ("interrupted\n", 130), complaints
    assert complaints == ""
    assert runs.run(NET, DATA, {"epochs": 100000}, hardware=TWO, out=str(tmp_path / "run"), resume=True, watch=_ends_soon()).epoch > 0


def _ends_soon():
    def watch(event) -> None:
        if isinstance(event, EpochEnd):
            raise Pruned

    return watch


def test_a_watcher_may_end_a_run_of_several():
    found = runs.run(NET, DATA, {"epochs": 1000}, hardware=TWO, watch=_ends_soon())
    assert (found.reason, found.epoch) == ("pruned", 1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler  # the launcher's handlers are gone


def test_refusals_are_those_of_one_process(capfd):
    given = {**DATA, "label": DATA["label"] + 5}
    with pytest.raises(Refusal) as one:
        runs.run(NET, given)
    with pytest.raises(Refusal) as two:
        runs.run(NET, given, hardware=TWO)
    assert one.value.diagnostic == two.value.diagnostic
    assert "Traceback" not in capfd.readouterr().err


def test_a_nan_is_found_in_whichever_share_it_is():
    text = NET.replace("-> tanh", "-> log").replace("as body -> log", "as body -> relu -> log")
    with pytest.raises(Refusal) as caught:
        runs.run(text, DATA, hardware=TWO)
    assert caught.value.diagnostic.code == "NS810" and "`log1` (log), <string>:4," in caught.value.diagnostic.message


def test_a_process_that_dies_is_told():
    with pytest.raises(Refusal) as caught:
        launch(runs.request(NET, DATA, hardware=TWO), lambda event: None, die_on_rank_1)
    assert caught.value.diagnostic.code == "NS813" and "status -9" in caught.value.diagnostic.message


def die_on_rank_1(request, place, watch):
    if place.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(30)


def test_batch_norms_normalize_by_their_share_and_it_is_said():
    log = runs.Log()
    runs.run(runs.STATEFUL, settings={"epochs": 1}, hardware=TWO, watch=log)
    assert any("own share" in event.text for event in log.of(Remark))


def test_two_machines(tmp_path):
    """Two launchers on one machine, as on two: the second is told nothing, and writes nothing."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "from tests.training import runs, test_processes as t; import sys\nfrom netspec.training.loop.job import Hardware\n"
    code += "if __name__ == '__main__':\n    rank = int(sys.argv[1])\n"
    code += f"    hardware = Hardware('cpu', 1, 2, rank, '127.0.0.1:{port}', 1)\n"
    code += (
        "    log = runs.Log()\n    found = runs.run(t.NET, t.DATA, hardware=hardware, watch=log, out=sys.argv[2])\n    print(len(log) > 0)"
    )
    file = tmp_path / "child.py"
    file.write_text(code)
    out = str(tmp_path / "run")
    children = [subprocess.Popen([sys.executable, str(file), str(rank), out], stdout=subprocess.PIPE, text=True) for rank in range(2)]
    assert [child.communicate(timeout=120)[0].strip() for child in children] == ["True", "False"]
    whole = runs.run(NET, DATA).weights
    stored = read_safetensors(os.path.join(out, WEIGHTS), 100)
    assert all(np.abs(stored[name].load() - tensor.numpy()).max() <= 1e-6 for name, tensor in whole.items())
