"""The loop: epochs of updates, an evaluation at the end of each, checkpoints in between, and every way in which a run may end.

Nothing in it depends on when it is looked at or interrupted. A run is a function of its job: the order of the data, random numbers and
sums are those of seed, epoch and step, and what is remembered from one step to the next is `Progress` and what `_snapshot` keeps.
"""

from __future__ import annotations

import os
from time import perf_counter
from typing import Any

import torch

from netspec.diagnostics.model import Refusal
from netspec.training.data import Batches
from netspec.training.loop import processes, watch
from netspec.training.loop.checkpoint import BEST, WEIGHTS, Snapshot, Store, damaged, write_tensors
from netspec.training.loop.evaluate import Interrupted, evaluate
from netspec.training.loop.events import EpochEnd, Evaluated, Event, Pruned, Remark, Saved, Started, Step, Stopped
from netspec.training.loop.failures import failure_of
from netspec.training.loop.interrupt import Interrupts
from netspec.training.loop.job import Job, Outcome
from netspec.training.loop.manners import Seeding
from netspec.training.loop.setup import Setup, in_order, prepare, test_batches
from netspec.training.loop.state import Progress, put_together, taken_apart
from netspec.training.loop.stopping import Monitor
from netspec.training.loop.tally import NonFinite, Tally, Watch, make_tally
from netspec.training.loop.update import Parts, Update, make_update

#: checkpoints at the ends of epochs are at least so many seconds apart: of epochs that take milliseconds not each is worth a file
_APART = 1.0
#: what of a setup has a state of its own
_STATEFUL = ("optimizer", "schedule", "scaler")


class Engine:
    """One section in one process. `run` does all of it; `seek` repeats it to find where a NaN came from."""

    def __init__(self, job: Job, tell: Watch, interrupts: Interrupts, limit: int | None = None) -> None:
        """Make everything ready. Raises `Refusal` for what cannot be. `limit` is for a run that is repeated: its last update."""
        self.job, self.section, self.place = job, job.section, job.place
        self.tell = tell if self.place.first else _nobody
        self.interrupts, self.limit = interrupts, limit
        self.progress = Progress()
        self.store = Store(job.folder, job.digest, job.settings)
        self.setup: Setup = prepare(job)
        self.monitor = Monitor(self.setup)
        #: the best weights so far, the batch at hand, and the norm of the last gradient
        self.best: dict[str, torch.Tensor] = {}
        self.batch: dict[str, torch.Tensor] | None = None
        self.norm: Any = None
        self._best_is_new = False

    # ----------------------------------------------------------------------------------------------------------- the run
    def run(self) -> Outcome:
        """Train to the end, or to where something stops it; then keep the weights, and try them on the test data."""
        if self.place.first:
            self.store.prepare()
        resumed = self.job.resume and self._resume()
        processes.distribute(self.setup)
        self._announce(resumed)
        began = perf_counter()
        if self.job.trains:
            self._train()
        else:
            self.progress.reason = "predicted"
        return self._finish(began)

    def _train(self) -> None:
        progress = self.progress
        self._begin()
        while not progress.reason:
            began = perf_counter()
            try:
                whole = self._steps() and self._end_epoch(began)
                if not whole or progress.reason or self._is_due(_APART):
                    self._save()
            except NonFinite:
                raise watch.explain(self) from None
            except (RuntimeError, MemoryError) as error:
                refusal = failure_of(error, self.section.compile)
                if refusal is None:
                    raise
                raise refusal from error
            if not whole:
                progress.reason = "interrupted"

    def _begin(self) -> None:
        """Before the first update of this process."""
        progress, place = self.progress, self.place
        self.tally: Tally = make_tally(progress, place.device, place.world)
        self._saved = self._told = perf_counter()
        self._told_at = progress.total
        self._update = self._make_update()

    def _make_update(self) -> Update:
        setup, section, progress = self.setup, self.section, self.progress
        seeding, bounds = Seeding(section, self.job.number, self.place.rank, self.place.device), setup.constraints
        check = watch.is_finite if self.tally.beat == 1 and self.place.world == 1 else None
        return make_update(
            Parts(
                setup.module, setup.network, tuple(port.name for port in self.job.graph.inputs), setup.objective, setup.optimizer,
                setup.trained, before=self._clip if bounds.before_step is not None else None, after=bounds.after_step,
                autocast=setup.autocast, scaler=setup.scaler, piece=setup.piece, world=self.place.world,
                closure=type(section.optimizer).CLOSURE, seed=lambda: seeding(progress.total),
                check=check if self.limit is None else watch.all_gradients(setup.trained),
            )
        )  # fmt: skip

    def _clip(self) -> None:
        self.norm = self.setup.constraints.before_step()

    def _steps(self) -> bool:
        """The updates of an epoch that are still to be done; False where somebody wants to stop, in between or after the last."""
        setup, progress, tally, update = self.setup, self.progress, self.tally, self._update
        schedule, augment, normalize, batches, seed = setup.schedule, setup.augment, self.job.normalize, setup.batches, self.section.seed
        every, log_every, beat = self.job.every, self.job.log_every, tally.beat
        tail = batches.steps - 1
        (local, total), last = batches.sizes(0), batches.sizes(tail)
        setup.train_mode()
        for batch in batches.epoch(progress.epoch, progress.step):
            if progress.step == tail:
                local, total = last
                batch = batch if local else _stand_in(batches, progress.epoch)
            if augment is not None:
                batch = augment(batch, seed, progress.epoch, progress.step, total * self.place.rank // self.place.world)
            if normalize is not None:
                batch = normalize(batch)
            self.batch = batch
            loss = update(batch, local, total)
            tally.add(loss, local, total)
            if schedule is not None:
                schedule.step()
            progress.step += 1
            progress.total = done = progress.total + 1
            if done % beat == 0 or done % log_every == 0 or progress.step > tail or (every and done % every == 0):
                if self._look_up(done % log_every == 0, every is not None and done % every == 0 and progress.step <= tail):
                    return False
        return True

    def _look_up(self, regular: bool, save: bool) -> bool:
        """Between two updates: tell how it goes, and keep a checkpoint, where it is time; whether to stop."""
        tally, now = self.tally, perf_counter()
        tally.settle(self.interrupts.asked, now - self._saved >= self.job.seconds)
        if regular or now - self._told >= self.job.interval:
            self._tell_step(now, regular)
        if self.limit is not None and self.progress.total > self.limit:
            raise NonFinite
        if (save or tally.save) and not tally.stop:
            self._save()
        return tally.stop

    # ------------------------------------------------------------------------------------------------- the end of an epoch
    def _end_epoch(self, began: float) -> bool:
        """Evaluate, and decide what comes next; False where somebody does not want to wait for that."""
        progress, setup = self.progress, self.setup
        processes.share_buffers(setup)
        try:
            metrics = self._measure()
        except Interrupted:
            return False
        progress.history.append(metrics)
        progress.epoch, progress.step, progress.loss, progress.examples = progress.epoch + 1, 0, 0.0, 0
        best, stop = self.monitor.note(metrics, progress)
        if best:
            self.best, self._best_is_new = self._weights(), True
        if setup.schedule is not None and setup.schedule.monitor is not None:
            setup.schedule.observe(metrics[setup.schedule.monitor])
        better = {name: setup.better(name) for name in metrics}
        try:
            self.tell(EpochEnd(self.job.name, progress.epoch, progress.total, metrics, better, self._rate(), perf_counter() - began, best))
            pruned = False
        except Pruned:
            pruned = True
        if processes.agree(setup, pruned)[0]:
            progress.reason = "pruned"
        elif stop:
            progress.reason = "early"
        elif progress.epoch >= self.section.epochs:
            progress.reason = "finished"
        return True

    def _measure(self) -> dict[str, float]:
        """The values of an epoch. Raises Interrupted."""
        progress, setup = self.progress, self.setup
        asked = (lambda: self.interrupts.asked) if self.place.world == 1 else (lambda: False)
        metrics = {"train.loss": progress.mean}
        if self.monitor.on_training_data:
            metrics.update(evaluate(setup, in_order(setup), "train", asked), **metrics)
        if setup.val is not None:
            metrics.update(evaluate(setup, setup.val, "val", asked))
        return metrics

    # ------------------------------------------------------------------------------------------------------ the whole end
    def _finish(self, began: float) -> Outcome:
        """Choose and keep the final weights, and try them on the data that were kept apart."""
        progress, job = self.progress, self.job
        interrupted, restored = progress.reason == "interrupted", 0
        if self.monitor.restores and self.best and not interrupted:
            restored = progress.best
            _put_weights(self.setup.module, self.best)
        number = restored or progress.epoch
        metrics = dict(progress.history[number - 1]) if number else {}
        weights, path = self._weights(), None
        if not interrupted:
            metrics.update(self._evaluate_last())
            path = self._write(WEIGHTS, weights, "weights")
        seconds = perf_counter() - began
        self.tell(Stopped(job.name, progress.reason, progress.epoch, progress.total, seconds, restored, metrics))  # type: ignore[arg-type]
        return Outcome(
            job.name, progress.reason, weights, metrics, tuple(progress.history), progress.epoch, progress.total, restored, path,
        )  # type: ignore[arg-type]  # fmt: skip

    def _evaluate_last(self) -> dict[str, float]:
        """The final weights on the test data. Where there are none, and nothing was measured yet: on what there is."""
        setup, progress = self.setup, self.progress
        test = test_batches(setup)
        found = evaluate(setup, test, "test") if test is not None else {}
        if not self.job.trains and setup.val is not None:
            found.update(evaluate(setup, setup.val, "val"))
        if not found and (not self.job.trains or (setup.val is None and self.section.metrics)):
            found = evaluate(setup, in_order(setup), "train")
        if found:
            self.tell(Evaluated(self.job.name, progress.epoch, progress.total, found))
        return found

    # --------------------------------------------------------------------------------------------------------- checkpoints
    def _is_due(self, apart: float) -> bool:
        """Whether the last checkpoint was so many seconds ago, for all processes alike."""
        return processes.agree(self.setup, perf_counter() - self._saved >= apart)[0] > 0

    def _save(self) -> None:
        """Keep a checkpoint, and the best weights where they are new. Raises NonFinite where the weights are not worth it."""
        if self.limit is not None:
            return
        module, progress = self.setup.module, self.progress
        if not watch.all_finite(module.parameters()):
            raise NonFinite
        if self.place.first:
            self.store.save(self._snapshot())
            if self.store.path is not None:
                self.tell(Saved(self.job.name, "last", self.store.path, progress.epoch, progress.total))
            if self._best_is_new:
                self._write(BEST, self.best, "best")
        self._best_is_new, self._saved = False, perf_counter()

    def _snapshot(self) -> Snapshot:
        """All that a resumed run needs. The best weights are in it, too: one file is written at once, two are not."""
        setup = self.setup
        tensors = {f"weights/{name}": tensor for name, tensor in setup.module.state_dict().items()}
        tensors.update({f"best/{name}": tensor for name, tensor in self.best.items()})
        kept = {name: getattr(setup, name).state_dict() for name in _STATEFUL if getattr(setup, name) is not None}
        facts = {name: taken_apart(state, name, tensors) for name, state in kept.items()}
        return Snapshot(tensors, {"progress": self.progress.facts(), "threads": torch.get_num_threads(), **facts})

    def _resume(self) -> bool:
        """Go on from the checkpoint; False where there is none. Raises Refusal: NS811 where it is damaged, NS812 for another run's."""
        snapshot = processes.from_first(self.place, self.store.load)
        if snapshot is None:
            return False
        try:
            self._adopt(snapshot)
        except (KeyError, ValueError, TypeError, IndexError, AttributeError, RuntimeError) as error:
            raise damaged(self.store.path, "what it holds is not what this network and optimizer keep") from error
        return True

    def _adopt(self, snapshot: Snapshot) -> None:
        facts, tensors, setup = snapshot.facts, snapshot.tensors, self.setup
        _put_weights(setup.module, _named(tensors, "weights/"))
        self.best = _named(tensors, "best/")
        self._best_is_new = bool(self.best)
        for name in _STATEFUL:
            if getattr(setup, name) is not None:
                getattr(setup, name).load_state_dict(put_together(facts[name], tensors))
        self.progress.adopt(facts["progress"])
        torch.set_num_threads(facts["threads"])

    def _write(self, file: str, weights: dict[str, torch.Tensor], kind: Any) -> str | None:
        """Write weights alone, as `net.torch(weights=…)` reads them; their path, or None where nothing is written."""
        if self.job.folder is None or not self.place.first:
            return None
        path = os.path.join(self.job.folder, file)
        write_tensors(path, weights, self.job.metadata)
        self.tell(Saved(self.job.name, kind, path, self.progress.epoch, self.progress.total))
        return path

    def _weights(self) -> dict[str, torch.Tensor]:
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in self.setup.module.state_dict().items()}

    # -------------------------------------------------------------------------------------------------------------- telling
    def _announce(self, resumed: bool) -> None:
        job, setup, progress = self.job, self.setup, self.progress
        parameters = list(setup.module.parameters())
        self.tell(
            Started(
                job.name, job.number, job.sections, self.section.epochs if job.trains else 0, setup.batches.steps, self.section.batch,
                len(job.train), 0 if job.val is None else len(job.val), sum(p.numel() for p in parameters),
                sum(p.numel() for p in setup.trained), setup.table, self.place.device, self.place.world, job.folder,
                progress.epoch, progress.total, resumed, float(setup.optimizer.param_groups[0]["lr"]) if job.trains else None,
            )
        )  # fmt: skip
        for text in (*job.remarks, *setup.remarks, *remarks(setup)):
            self.tell(Remark(job.name, text))

    def _tell_step(self, now: float, regular: bool) -> None:
        progress = self.progress
        rate = (progress.total - self._told_at) * self.section.batch / max(now - self._told, 1e-9)
        self._told, self._told_at = now, progress.total
        norm = None if self.norm is None else float(self.norm)
        self.tell(Step(self.job.name, progress.total, progress.epoch, self.tally.last, progress.mean, self._rate(), rate, norm, regular))

    def _rate(self) -> float:
        return float(self.setup.optimizer.param_groups[0]["lr"])

    # --------------------------------------------------------------------------------------------------------- once more
    def again(self) -> "Engine":
        """The same run from its last checkpoint, to be looked at closely; it tells nobody, and keeps nothing."""
        self.tell(Remark(self.job.name, "the loss is not finite: the run is repeated from its last checkpoint to find out why"))
        made = Engine(self.job, _nobody, self.interrupts, self.progress.total + 2 * self.tally.beat)
        made.store = self.store
        return made

    def seek(self) -> Refusal:
        """Go on from the last checkpoint until a loss or a gradient is not finite, and say where that began."""
        self._resume()
        processes.distribute(self.setup)
        self._begin()
        try:
            while not self.progress.reason and self._steps():
                self._end_epoch(perf_counter())
        except NonFinite:
            return watch.explain(self)
        return watch.refusal(self, None)


def remarks(setup: Setup) -> list[str]:
    """What is worth knowing before a run begins."""
    world, names = setup.job.place.world, ("batch_norm",)
    found = []
    if world > 1 and setup.job.place.device == "cpu" and any(node.op.NAME in names for node in setup.job.graph.all_nodes()):
        found.append(f"each of the {world} processes normalizes by its own share of a batch in its batch norms")
    return found


def _stand_in(batches: Batches, epoch: int) -> dict[str, torch.Tensor]:
    """Some examples for a process that has none in the last batch; they do not count."""
    before = next(iter(batches.epoch(epoch, batches.steps - 2)))
    return {name: column[:2] for name, column in before.items()}


def _named(tensors: Any, prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _put_weights(module: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Copy weights into a module, strictly. Raises KeyError and RuntimeError where they do not fit."""
    stored = module.state_dict(keep_vars=True)
    if stored.keys() != weights.keys():
        raise KeyError("other names")
    with torch.no_grad():
        for name, tensor in stored.items():
            if tensor.shape != weights[name].shape or tensor.dtype != weights[name].dtype:
                raise RuntimeError(f"{name} has another shape or type")
            tensor.copy_(weights[name])


def _nobody(event: Event) -> None:
    """A watcher that does not look."""
