"""Augmentation of training batches: a pure function of the seed, the epoch, the step, and a sample's place in its batch.

`make_augment(graph, section)` gives a function of a batch, None where the section asks for nothing. Inputs are changed before they are
normalized: whoever augments applies `Normalization.apply` to what comes out, batch by batch. The numbers of a sample do not depend on how
many processes share its batch, with two exceptions: what it is mixed with (`mixup`, `cutmix`) is another sample of its own process's share,
and the noise on sequences of unequal length depends on the longest of that share.
"""

from netspec.training.augmentation.apply import Augment, make_augment

__all__ = ["Augment", "make_augment"]
