"""Which trial is next: numbered places of which each is taken once, by whatever process comes first.

All processes over one storage work through the same numbered list. A place is a waiting trial of the storage; who takes it moves it
to running, which the storage lets one process do. As long as it runs, its process holds the lock of the trial's folder: a running
trial whose lock is free was left by a process that died, and is taken up where it stopped.
"""

from __future__ import annotations

import os
import socket
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Callable, Iterator

from netspec.record import draft
from netspec.training.sweep.locks import Held, is_held

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

#: attributes of a trial: its place in the list, and where its files are
PLACE, FOLDER, HOST = "place", "folder", "host"
#: seconds within which who has taken a trial has said where its files are
_TAKING = 60


@draft
class Claim:
    """A trial that this process is to run, with its place in the list and its folder, whose lock is held until `release`."""

    trial: "Trial"
    place: int
    folder: str
    lock: Held = field(repr=False)
    resumed: bool = False

    def release(self) -> None:
        """The trial is over, or left to be resumed."""
        self.lock.give_back()


@draft
class Queue:
    """The list of `total` places of a study. `folder` has a folder for each trial; `fixed(place)` gives the values that a place has
    from the outset (those of a grid), None where they are drawn when it is taken."""

    study: "Study"
    storage: "BaseStorage"
    total: int
    folder: str
    fixed: Callable[[int], dict[str, Any] | None]

    def fill(self) -> None:
        """Make the places that are still missing. Two processes may both make one; the later trial is then left alone."""
        from optuna.trial import TrialState, create_trial

        known = {trial.user_attrs[PLACE] for trial in self._trials()}
        for place in range(self.total):
            if place not in known:
                values = self.fixed(place)
                system = {} if values is None else {"fixed_params": values}
                self.study.add_trial(create_trial(state=TrialState.WAITING, user_attrs={PLACE: place}, system_attrs=system))

    def claim(self) -> Claim | None:
        """Take the next trial: a waiting one, or one that a process which died has left; None where there is none to take."""
        from optuna.trial import TrialState

        for trial in self.places().values():
            if trial.state.is_finished() or (trial.state == TrialState.RUNNING and not self._is_here(trial)):
                continue
            place = trial.user_attrs[PLACE]
            folder = os.path.join(self.folder, f"trial-{place:04d}")
            os.makedirs(folder, exist_ok=True)
            lock = Held(os.path.join(folder, "lock"))
            if not lock.take():
                continue
            taken = self._take(trial.number)
            if taken is not None:
                return Claim(taken[0], place, folder, lock, taken[1])
            lock.give_back()
        return None

    def _take(self, number: int) -> "tuple[Trial, bool] | None":
        """Move a trial to running, or take up a running one, whose lock we hold; None where another process was faster."""
        import optuna
        from optuna.trial import TrialState

        study = self.storage.get_study_id_from_name(self.study.study_name)
        identity = self.storage.get_trial_id_from_study_id_trial_number(study, number)
        state = self.storage.get_trial(identity).state
        if state == TrialState.WAITING:
            try:
                if not self.storage.set_trial_state_values(identity, TrialState.RUNNING):
                    return None
            except optuna.exceptions.UpdateFinishedTrialError:
                return None
        elif state != TrialState.RUNNING:
            return None
        self.storage.set_trial_user_attr(identity, HOST, socket.gethostname())
        self.storage.set_trial_user_attr(identity, FOLDER, os.path.abspath(self.folder))
        return optuna.trial.Trial(self.study, identity), state == TrialState.RUNNING

    def _is_here(self, trial: "FrozenTrial") -> bool:
        """Whether the lock of our folder says if a running trial is alive: its files are in it, or were on this machine. One that says
        nothing of its folder has just been taken, unless that is long ago."""
        folder = trial.user_attrs.get(FOLDER)
        if folder is None:
            began = trial.datetime_start
            return began is None or (datetime.now(began.tzinfo) - began).total_seconds() > _TAKING
        if os.path.realpath(folder) == os.path.realpath(self.folder):
            return True
        return trial.user_attrs.get(HOST) == socket.gethostname() and not is_held(
            os.path.join(folder, f"trial-{trial.user_attrs[PLACE]:04d}", "lock")
        )

    def places(self) -> "dict[int, FrozenTrial]":
        """The trial of every place, in order; of two for the same place, the earlier one."""
        found: dict[int, FrozenTrial] = {}
        for trial in self._trials():
            found.setdefault(trial.user_attrs[PLACE], trial)
        return {place: found[place] for place in sorted(found) if place < self.total}

    def _trials(self) -> "Iterator[FrozenTrial]":
        for trial in sorted(self.study.get_trials(deepcopy=False), key=lambda trial: trial.number):
            if PLACE in trial.user_attrs:
                yield trial
