"""The folders that runs keep their files in: none is written over unless somebody says so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.diagnostics.model import Refusal
from netspec.training.logs import LOG
from netspec.training.loop.checkpoint import BEST, LAST, WEIGHTS
from netspec.training.loop.events import Event, Started
from netspec.training.loop.job import folder_of

if TYPE_CHECKING:
    from netspec.training.loop.job import Request

#: the files of a run, with those of TensorBoard
_FILES = (LAST, BEST, WEIGHTS, LOG, "log.csv", "events.out.tfevents.*")
#: those by which one knows that there was a run
_MARKS = (LAST, WEIGHTS, LOG)


def folders_of(request: "Request") -> list[str]:
    """The folder of every section, in order; none where a run writes nothing."""
    found = [folder_of(request, number) for number in range(len(request.sections))]
    return [folder for folder in found if folder is not None]


def check_folders(request: "Request") -> None:
    """Raises `Refusal` (NS823) where a folder has a run that this one does not go on with. On other machines than the first of several
    nothing is written, and nothing checked."""
    if request.resume or request.hardware.rank > 0:
        return
    for folder in dict.fromkeys((request.out, *folders_of(request))):
        if folder is not None and any(os.path.exists(os.path.join(folder, name)) for name in _MARKS):
            helps = ("--resume goes on with it", "-o DIR keeps it, and writes to another folder", "--force replaces it")
            raise Refusal("NS823", f"{folder} has a run already", helps=helps, status=2)


def clear_folder(event: Event) -> None:
    """A watcher that takes away what an earlier run left in the folder of a section that begins anew: at its start, when the data have
    been read and checked, so that a call which fails before loses nothing."""
    if isinstance(event, Started) and not event.resumed and event.folder is not None:
        for pattern in _FILES:
            for path in Path(event.folder).glob(pattern):
                path.unlink(missing_ok=True)
