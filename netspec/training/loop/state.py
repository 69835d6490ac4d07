"""Where a run stands, as tensors and plain facts: everything from which it goes on as if it had never stopped.

What optimizers, schedules and scalers keep is nested tables with tensors somewhere inside. `taken_apart` gives the tensors names and
leaves JSON; `put_together` is its exact inverse (JSON keeps every float).
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Mapping

import torch

from netspec.record import draft


@draft
class Progress:
    """How far a section is: `epoch` whole epochs, `step` updates of the next one, `total` updates in all.

    `loss` is the sum of the losses of the epoch's examples so far, `examples` their number. `best` is the epoch (from 1) with the best
    monitored value, `value` that value; `mark` is the value that early stopping compares with, `waiting` the epochs since it was
    reached. `history` has the metrics of every epoch. `reason` says why the section is over, where it is.
    """

    epoch: int = 0
    step: int = 0
    total: int = 0
    loss: float = 0.0
    examples: int = 0
    best: int = 0
    value: float | None = None
    mark: float | None = None
    waiting: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    reason: str = ""

    @property
    def mean(self) -> float:
        """The mean loss of the epoch so far."""
        return self.loss / max(self.examples, 1)

    def facts(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}  # type: ignore[attr-defined]

    def adopt(self, facts: Mapping[str, Any]) -> None:
        """Become what `facts` gave. Raises KeyError where something is missing."""
        for name in self.__dataclass_fields__:  # type: ignore[attr-defined]
            setattr(self, name, facts[name])
        self.history = [dict(row) for row in self.history]


def taken_apart(value: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    """A nested value as JSON, its tensors put into `tensors` under names that begin with `name`. Raises TypeError for what is neither."""
    if isinstance(value, torch.Tensor):
        tensors[name] = value.detach()
        return {"tensor": name}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        items = [taken_apart(item, f"{name}.{number}", tensors) for number, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, Mapping):
        return {"table": [[taken_apart(k, name, tensors), taken_apart(v, f"{name}.{k}", tensors)] for k, v in value.items()]}
    raise TypeError(f"{name} keeps a {type(value).__name__}, which cannot be saved")


def put_together(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """The value that was taken apart. Raises KeyError for a tensor that is missing, ValueError for what was never made that way."""
    if isinstance(value, list):
        return [put_together(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"tensor"}:
        return tensors[value["tensor"]]
    if value.keys() == {"tuple"}:
        return tuple(put_together(item, tensors) for item in value["tuple"])
    if value.keys() == {"table"}:
        return {put_together(k, tensors): put_together(v, tensors) for k, v in value["table"]}
    raise ValueError("no table of that kind is ever written")
