"""What a run tells those who watch it: the progress bar, the logs, a sweep. Small frozen records, in the order in which they happen.

A run is `Started`, then per epoch some `Step`s and one `EpochEnd`, `Saved` whenever a file was
written, and at last one `Stopped`; of several sections, one such run after the other. A section that only predicts has no steps.

Every event carries `section`. Positions count from the section's beginning: `step` updates of the weights and `epoch` whole epochs are
done. A resumed run begins with a `Started` whose `step` and `epoch` are those of the checkpoint: what a log has of later ones (a `Step`
with a larger `step`, an `EpochEnd` with a larger `epoch`) was made by steps that are done again, equally, and is to be cut off.
"""

from __future__ import annotations

from dataclasses import field
from typing import Literal, Mapping, Union

from netspec.record import record

#: why a run ended: all epochs done, by `stop = early(…)`, by Ctrl-C or a signal, because a watcher said so, or nothing was to be trained
Reason = Literal["finished", "early", "interrupted", "pruned", "predicted"]


@record
class Started:
    """A section begins, or goes on. `steps` are those of an epoch; `groups` is the table of parameter groups as text.

    `number` of `sections`, from 1. `folder` is where its files go, None where nothing is written. `examples` and `validation` are how
    many examples it has. `epoch` and `step` are where it begins: 0, unless `resumed`; `lr` is the learning rate of its first update.
    """

    section: str
    number: int
    sections: int
    epochs: int
    steps: int
    batch: int
    examples: int
    validation: int
    parameters: int
    trainable: int
    groups: str
    device: str
    processes: int
    folder: str | None = None
    epoch: int = 0
    step: int = 0
    resumed: bool = False
    lr: float | None = None


@record
class Step:
    """The state after update number `step`, in the epoch after `epoch` whole ones. `loss` is that of the last batch, `mean` that of the
    epoch so far; `rate` is in examples a second, over all processes; `norm` the gradient's, where it is clipped by norm.

    A step is `regular` where it is told in every run (`step % Job.log_every == 0`, whatever the time): those alone go to the logs, so
    that the log of a resumed run equals that of one that was never stopped. The others show progress.
    """

    section: str
    step: int
    epoch: int
    loss: float
    mean: float
    lr: float
    rate: float
    norm: float | None = None
    regular: bool = False


@record
class EpochEnd:
    """Epoch number `epoch` (from 1) is done. `metrics` has `train.loss`, `train.NAME`, and with validation data `val.loss`, `val.NAME`.

    `better` says which of them are good when they are large ("max") or small ("min"); `best` whether this was the best epoch so far.
    `seconds` is how long it took, evaluation included; `lr` the learning rate of the next one.
    """

    section: str
    epoch: int
    step: int
    metrics: Mapping[str, float]
    better: Mapping[str, str]
    lr: float
    seconds: float
    best: bool = False


@record
class Evaluated:
    """The final weights on the test data (or, where a section only predicts, on all data that there are): `test.loss`, `val.loss` …"""

    section: str
    epoch: int
    step: int
    metrics: Mapping[str, float]


@record
class Saved:
    """A file is on disk: a checkpoint to resume from (`last`), the best weights so far (`best`), the final ones (`weights`)."""

    section: str
    kind: Literal["last", "best", "weights"]
    path: str
    epoch: int
    step: int


@record
class Remark:
    """Something worth knowing that stops nothing; `code` is one of ours where there is a page on it."""

    section: str
    text: str
    code: str = ""


@record
class Stopped:
    """A section is over. `epoch` and `step` say how far it came; `best` is the epoch (from 1) whose weights the final ones are, or 0."""

    section: str
    reason: Reason
    epoch: int
    step: int
    seconds: float
    best: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)


Event = Union[Started, Step, EpochEnd, Evaluated, Saved, Remark, Stopped]


class Pruned(Exception):
    """A watcher raises it in its answer to an `EpochEnd` to end the run there: what a sweep does to a hopeless trial. The run saves,
    gives `Stopped` with the reason `pruned`, and returns its outcome."""
