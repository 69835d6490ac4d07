"""What PyTorch has one of in a process, and a run uses: random numbers, threads, the choice of algorithms."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from typing import Iterator

import torch

from netspec.recipe.section import Section
from netspec.training.loop.job import Job


class Seeding:
    """Starts PyTorch's random numbers for every update, as a function of seed, section, process and update alone: so a run goes on
    anywhere with nothing saved, and no two processes drop the same units. Where the first update uses none, it does no more."""

    def __init__(self, section: Section, number: int, rank: int, device: str) -> None:
        key = "\0".join(("netspec training 1", str(section.seed), str(number), str(rank)))
        self._base = int.from_bytes(blake2b(key.encode(), digest_size=6).digest(), "little")
        self._generators = [torch.default_generator]
        if torch.device(device).type == "cuda":
            self._generators.append(torch.cuda.default_generators[torch.device(device).index or 0])
        self._begun: list[torch.Tensor] | None = None
        self._idle = self._known = False

    def __call__(self, update: int) -> None:
        """Before update number `update`."""
        if self._idle:
            return
        if self._begun is not None:
            self._idle = all(map(torch.equal, self._begun, self._states()))
            self._begun = None
            if self._idle:
                return
        for generator in self._generators:
            generator.manual_seed(self._base + update)
        if not self._known:
            self._known, self._begun = True, self._states()

    def _states(self) -> list[torch.Tensor]:
        return [generator.get_state() for generator in self._generators]


@contextmanager
def manners(job: Job) -> Iterator[None]:
    """PyTorch's settings for a run, and those of the caller afterwards."""
    with ExitStack() as stack:
        stack.callback(torch.set_rng_state, torch.get_rng_state())
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        if job.threads is not None:
            torch.set_num_threads(job.threads)
        if job.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, matrix products on GPUs are not
            _deterministic(stack)
        yield


def _deterministic(stack: ExitStack) -> None:
    """Algorithms that give the same bits each time, where there are any; memory that is not yet written is not filled for it."""
    kept = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filled, tried = torch.utils.deterministic.fill_uninitialized_memory, torch.backends.cudnn.benchmark
    stack.callback(torch.use_deterministic_algorithms, kept[0], warn_only=kept[1])
    stack.callback(setattr, torch.utils.deterministic, "fill_uninitialized_memory", filled)
    stack.callback(setattr, torch.backends.cudnn, "benchmark", tried)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[assignment]
    torch.backends.cudnn.benchmark = False
