"""Who runs which trial: each place once, and what a process that died has left is taken up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from netspec.training.sweep.queue import FOLDER, HOST, PLACE, Queue
from netspec.training.sweep.storage import open_storage, open_study, silence

optuna = pytest.importorskip("optuna")


@pytest.fixture(autouse=True)
def _silent() -> Any:
    with silence():
        yield


def queue(tmp_path: Path, total: int = 3, folder: str = "trials", storage: str | None = None) -> Queue:
    """A queue as one process has it."""
    opened = open_storage(storage or str(tmp_path / "s.journal"))
    return Queue(open_study(opened, "a", "min", {}), opened, total, str(tmp_path / folder), lambda place: None)


@pytest.mark.parametrize("url", ["", "sqlite:///{}/s.db"])
def test_each_place_is_taken_once(tmp_path: Path, url: str) -> None:
    where = url.format(tmp_path) or None
    one, two = queue(tmp_path, storage=where), queue(tmp_path, storage=where)
    one.fill()
    two.fill()
    claims = [(q.claim(), q) for q in (one, two, one, two)]
    assert [claim.place if claim else None for claim, _ in claims] == [0, 1, 2, None]
    for claim, q in claims[:3]:
        assert claim is not None and not claim.resumed
        q.study.tell(claim.trial, 1.0)
        claim.release()
    assert one.claim() is two.claim() is None


def test_a_place_that_was_made_twice_is_run_once(tmp_path: Path) -> None:
    one, two = queue(tmp_path, 1), queue(tmp_path, 1)
    for q in (one, two):  # both have seen that nothing is there
        q.study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.WAITING, user_attrs={PLACE: 0}))
    claim = two.claim()
    assert claim is not None and claim.trial.number == 0
    assert one.claim() is None


def test_more_places_later_and_fewer(tmp_path: Path) -> None:
    queue(tmp_path, 2).fill()
    more = queue(tmp_path, 4)
    more.fill()
    assert list(more.places()) == [0, 1, 2, 3]
    assert list(queue(tmp_path, 1).places()) == [0]


def test_what_a_process_that_died_has_left_is_taken_up(tmp_path: Path) -> None:
    code = (
        "import sys, os; from pathlib import Path; from tests.training.test_sweep_queue import queue\n"
        "q = queue(Path(sys.argv[1])); q.fill(); c = q.claim(); c.trial.suggest_float('x', 0, 1); os._exit(9)"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=root).returncode == 9
    here = queue(tmp_path)
    claim = here.claim()
    assert claim is not None and claim.place == 0 and claim.resumed
    (left,) = [trial for trial in here.study.get_trials() if trial.number == 0]
    assert claim.trial.suggest_float("x", 0, 1) == left.params["x"]  # its values are kept
    other = queue(tmp_path).claim()
    assert other is not None and other.place == 1  # it is alive again


def test_what_runs_on_another_machine_is_left_alone(tmp_path: Path) -> None:
    here, elsewhere = queue(tmp_path, 2), queue(tmp_path, 2, "elsewhere")
    here.fill()
    claim = elsewhere.claim()
    assert claim is not None
    claim.trial.set_user_attr(HOST, "another-machine")
    claim.release()  # as if that machine's lock were not to be seen from here
    found = here.claim()
    assert found is not None and found.place == 1
    assert here.claim() is None


def test_what_ran_on_this_machine_in_another_folder_is_taken_up_when_it_is_dead(tmp_path: Path) -> None:
    here, moved = queue(tmp_path, 1), queue(tmp_path, 1, "moved")
    here.fill()
    claim = here.claim()
    assert claim is not None and moved.claim() is None
    claim.release()
    again = moved.claim()
    assert again is not None and again.resumed
    assert moved.study.get_trials()[0].user_attrs[FOLDER].endswith("moved")


def test_a_trial_that_is_being_taken_is_left_alone(tmp_path: Path) -> None:
    one = queue(tmp_path, 1)
    one.fill()
    identity = one.storage.get_trial_id_from_study_id_trial_number(one.storage.get_study_id_from_name("a"), 0)
    assert one.storage.set_trial_state_values(identity, optuna.trial.TrialState.RUNNING)
    assert one.claim() is None  # who has taken it has not yet said where its files are


def test_a_database_that_another_process_is_making_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two commands that are started at once find tables half made by one another."""
    from netspec.training.sweep import storage

    tried, plain = [], storage._database

    class IntegrityError(Exception):
        """As SQLAlchemy's."""

    def busy(url: str) -> object:
        tried.append(url)
        if len(tried) < 3:
            raise IntegrityError("UNIQUE constraint failed")
        return plain(url)

    monkeypatch.setattr(storage, "_database", busy)
    monkeypatch.setattr(storage, "_PAUSES", (0.0, 0.0, 0.0))
    assert storage.open_storage(f"sqlite:///{tmp_path}/s.db") is not None and len(tried) == 3
