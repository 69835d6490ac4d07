"""What is to be trained, and what came of it. `Request` is what somebody asked for, `Job` is one section of it in one process."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Callable, Mapping, Union

from netspec.record import record
from netspec.training.loop.events import Reason

if TYPE_CHECKING:
    import numpy as np

    from netspec.graph import Graph
    from netspec.recipe.section import Section

#: where data come from: a path or `module:object`, or arrays by column name
Data = Union[str, Mapping[str, Any]]


@record
class Hardware:
    """Where a run computes. `device` is `auto`, `cpu`, `cuda`, `cuda:1`; `devices` the processes of one machine, of `nodes` machines.

    `master` is `HOST:PORT` of the first machine, `rank` this machine's number. `threads` are PyTorch's for each process (its own
    choice, unless given; a resumed run takes the checkpoint's).
    """

    device: str = "auto"
    devices: int = 1
    nodes: int = 1
    rank: int = 0
    master: str = ""
    threads: int | None = None
    deterministic: bool = True


@record
class Request:
    """A whole training: `sections` of `graph`, one after the other, on the same data. It can be pickled, and so reach other processes.

    `data` are divided by the section's `split`, unless `val` and `test` are given apart. `out` is the folder for all files, None to
    write nothing: several sections get a folder each in it, named by `folder_of`. `weights` is a file to start from, in place of what
    the first section says. `every` and `seconds` say how often a checkpoint is written between those at the ends of epochs: after so
    many steps, after so much time. `interval` is the least time between two `Step` events, beside one every `log_every` steps.
    `options` go to `data.open_data`.
    """

    graph: "Graph"
    sections: "tuple[Section, ...]"
    data: Data
    val: Data | None = None
    test: Data | None = None
    out: str | None = None
    resume: bool = False
    weights: str | None = None
    hardware: Hardware = Hardware()
    every: int | None = None
    seconds: float = 60.0
    interval: float = 0.2
    log_every: int = 50
    allow_code: bool = False
    allow_pickle: bool = False
    base: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@record
class Place:
    """This process among those of the run, and its device (`cpu`, `cuda:1`). The first, rank 0, alone writes and tells."""

    device: str = "cpu"
    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and tells."""
        return self.rank == 0


@record
class Part:
    """A table of data, and which of its examples are meant: `train`, `val` or `test`."""

    table: Any
    indices: "np.ndarray"

    def __len__(self) -> int:
        return len(self.indices)


@record
class Job:
    """One section in one process, its data opened. `start` are the weights that it begins with, by name, as NumPy arrays.

    `name` is what events call the section. `normalize` is done to every batch, where it was not done to the tables at once. `digest`
    tells the run from all others, and `settings` are what it is of (`checkpoint.identity`): a checkpoint with another one is not
    resumed. `metadata` go into the files of weights (`netspec.normalization`, `netspec.classes`); `remarks` are on the data.
    """

    graph: "Graph"
    section: "Section"
    train: Part
    start: Mapping[str, Any]
    name: str = ""
    val: Part | None = None
    test: Part | None = None
    number: int = 1
    sections: int = 1
    place: Place = Place()
    folder: str | None = None
    resume: bool = False
    every: int | None = None
    seconds: float = 60.0
    interval: float = 0.2
    log_every: int = 50
    threads: int | None = None
    deterministic: bool = True
    allow_code: bool = False
    digest: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    normalize: "Callable[[Any], Any] | None" = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def trains(self) -> bool:
        """Whether there is anything to train: `only = []` predicts."""
        return self.section.only != ()


@record
class Outcome:
    """What came of a section: the final weights by name (tensors on the CPU), and how well they did.

    `metrics` are those of the best epoch, or the last where nothing was monitored, and `test.…` where there are test data; `history`
    has one table an epoch. `path` is the file with the weights.
    """

    section: str
    reason: Reason
    weights: Mapping[str, Any] = field(repr=False)
    metrics: Mapping[str, float]
    history: tuple[Mapping[str, float], ...] = field(repr=False)
    epoch: int
    step: int
    best: int = 0
    path: str | None = None
    before: "tuple[Outcome, ...]" = field(default=(), repr=False)

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped by Ctrl-C or a signal: the command then ends with status 130."""
        return self.reason == "interrupted"


def folder_of(request: Request, number: int) -> str | None:
    """The folder of section `number` (from 0) of a request: its own where there are several."""
    import os

    if request.out is None or len(request.sections) == 1:
        return request.out
    name = request.sections[number].name
    return os.path.join(request.out, f"{number + 1}-{name}" if name else str(number + 1))
