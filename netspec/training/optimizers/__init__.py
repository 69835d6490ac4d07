"""Optimizers at work: PyTorch's own, and those of the vocabulary that it lacks, as subclasses of `torch.optim.Optimizer`."""

from netspec.training.optimizers.make import make_optimizer

__all__ = ["make_optimizer"]
