"""What a metric gets to see: predictions and targets of a batch, brought into one form for each task, once for all metrics."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from netspec.recipe.loss import Meaning, Task
from netspec.record import record
from netspec.training.losses.reduction import fitted, kept, kept_whole, widened

#: what an element is marked with that does not count, where elements cannot be left out
IGNORED = -1


@record
class View:
    """How predictions are to be read: of which task, what their numbers mean, where the classes are, and which one does not count
    (of a sequence, the blank). `pooled`: of several labels, a mask is of all together."""

    task: Task
    meaning: Meaning
    axis: int = 1
    ignore: int | None = None
    pooled: bool = False


class Seen:
    """Predictions and targets of one batch. What is derived from them is computed when the first metric asks for it."""

    def __init__(self, view: View, prediction: Tensor, target: Tensor, **optional: Tensor | None) -> None:
        self.view, self.optional = view, optional
        self.raw = (prediction.detach(), target.detach())
        if view.task == "sequence":
            self.scores, self.target = self.raw
            return
        make = {"multiclass": self._classes, "binary": self._yes_no, "multilabel": self._labels}.get(view.task, self._numbers)
        self.scores, self.target = make(widened(prediction.detach()), target.detach(), optional.get("mask"), optional.get("lengths"))

    def _classes(self, p: Tensor, t: Tensor, mask: Tensor | None, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """[M, C] and the class numbers [M] of what counts; a target that has probabilities is of the most probable class."""
        axis, ignore = self.view.axis, self.view.ignore
        t = t.argmax(axis) if t.dim() == p.dim() else t.long()
        keep = None if mask is None and lengths is None else kept(t, mask, lengths)
        if ignore is not None:
            keep = t != ignore if keep is None else keep & (t != ignore)
        p = p.movedim(axis, -1)
        p, t = p.reshape(-1, p.shape[-1]), t.reshape(-1)
        if keep is None:
            return p, t
        rows = keep.reshape(-1)
        return p[rows], t[rows]

    def _yes_no(self, p: Tensor, t: Tensor, mask: Tensor | None, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """[M] and 0 or 1 [M] of what counts."""
        t = t.reshape(p.shape)
        p, t = (p.squeeze(1), t.squeeze(1)) if p.dim() > 1 and p.shape[1] == 1 else (p, t)
        keep = None if mask is None and lengths is None else kept(p, mask, lengths)
        if self.view.ignore is not None:
            counted = t != self.view.ignore
            keep = counted if keep is None else keep & counted
        p, t = (p.reshape(-1), t.reshape(-1)) if keep is None else (p[keep], t[keep])
        return p, (t if t.dtype is torch.bool else t > 0.5).long()

    def _labels(self, p: Tensor, t: Tensor, mask: Tensor | None, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """[M, L] and 0 or 1 [M, L]; what does not count is marked."""
        decided = (t if t.dtype is torch.bool else t > 0.5).long()
        if self.view.ignore is not None:
            decided = torch.where(t == self.view.ignore, IGNORED, decided)
        if mask is not None or lengths is not None:
            keep = kept(p, None if self.view.pooled else mask, lengths, channel=1)
            keep = keep & kept_whole(p, mask) if self.view.pooled and mask is not None else keep
            decided = torch.where(keep, decided, IGNORED)
        return tuple(each.movedim(1, -1).reshape(-1, each.shape[1]) for each in (p, decided))  # type: ignore[return-value]

    def _numbers(self, p: Tensor, t: Tensor, mask: Tensor | None, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """Both of one shape; those that count alone, flat, where not all do."""
        p, t = fitted(p, t)
        if mask is None and lengths is None:
            return p, t
        keep = kept(p, mask, lengths, channel=1)
        return p[keep], t[keep]

    @cached_property
    def flat(self) -> tuple[Tensor, Tensor]:
        """Numbers, all of them in one row."""
        return self.scores.reshape(-1), self.target.reshape(-1)

    @property
    def images(self) -> tuple[Tensor, Tensor]:
        """Prediction and target as they came, of one shape."""
        return fitted(*self.raw)

    @cached_property
    def columns(self) -> tuple[Tensor, Tensor]:
        """Numbers, a column for each output of `[N, D]`; else all of them in one row."""
        if self.scores.dim() == 2 and self.scores.shape[1] > 1:
            return self.scores, self.target
        return self.flat

    @cached_property
    def probabilities(self) -> Tensor:
        """The scores as probabilities, where they are logits or logarithms; else as they are."""
        if self.view.meaning == "log_probabilities":
            return self.scores.exp()
        if self.view.meaning != "logits":
            return self.scores
        return self.scores.softmax(1) if self.view.task == "multiclass" else self.scores.sigmoid()

    @cached_property
    def logs(self) -> Tensor:
        """The scores as logarithms of probabilities, up to a constant."""
        return self.scores if self.view.meaning in ("logits", "log_probabilities") else self.scores.log()

    @cached_property
    def best(self) -> Tensor:
        """The class with the highest score, of each row."""
        return self.scores.argmax(1)

    def decisions(self, threshold: float) -> Tensor:
        """The predicted class, or 1 where the probability is above the threshold."""
        return self.best if self.view.task == "multiclass" else (self.probabilities > threshold).long()
