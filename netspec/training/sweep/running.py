"""A sweep run to its end, by this process or by several of its children; any number of commands may work on the same storage."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Iterator, Sequence

from netspec.diagnostics.model import Refusal
from netspec.training.sweep.queue import Queue
from netspec.training.sweep.storage import open_storage, open_study, silence
from netspec.training.sweep.trial import Interrupted, Tell, run_trial

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from optuna.study import Study

    from netspec.training.sweep.plan import Sweep


def run_sweep(sweep: "Sweep", jobs: int, tell: Tell) -> bool:
    """Run all trials that are not done and that no other process runs; whether all went so, and nothing interrupted it.

    Raises `Refusal`: NS835 and NS836 for the storage, and what would stop every trial alike.
    """
    with silence():
        places = _prepared(sweep)[1]
        places.fill()
        if jobs > 1:
            return _share(sweep, jobs, tell)
        return work(sweep, tell)


def opened(sweep: "Sweep") -> "Study":
    """The study of a sweep, with all that is in its storage now."""
    return _prepared(sweep)[0]


def work(sweep: "Sweep", tell: Tell) -> bool:
    """Run trials in this process until there are none to take; False where it was interrupted."""
    study, places = _prepared(sweep)
    while sweep.deadline is None or time.time() < sweep.deadline:
        claim = places.claim()
        if claim is None:
            break
        try:
            run_trial(sweep, study, claim, tell)
        except Interrupted:
            return False
        finally:
            claim.release()
    return True


def _prepared(sweep: "Sweep") -> "tuple[Study, Queue]":
    storage = open_storage(sweep.storage)
    study = open_study(storage, sweep.study, sweep.mode, sweep.facts())
    study.pruner = sweep.make_pruner()
    grid = sweep.grid()
    return study, Queue(study, storage, sweep.trials, sweep.folder, lambda place: grid[place] if grid is not None else None)


# ----------------------------------------------------------------------------------------------------- several processes
def _share(sweep: "Sweep", jobs: int, tell: Tell) -> bool:
    """Start child processes, and pass on what they tell. They end with this process, however it ends."""
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    messages: Any = context.Queue()
    over: Any = context.Event()
    plans = [_for_child(sweep, jobs, number) for number in range(jobs)]
    children = [context.Process(target=_child, args=(plan, messages, over), name="netspec sweep") for plan in plans]
    main_thread = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, _interrupt) if main_thread else None
    try:
        with _deaf() if main_thread else nullcontext():  # children hear of Ctrl-C from us alone, from their first moment on
            for child in children:
                child.start()
        return _listen(children, messages, tell)
    except BaseException:
        over.set()
        _stop(children)
        raise
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _deaf() -> Iterator[None]:
    """Ignore Ctrl-C for a moment."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _for_child(sweep: "Sweep", jobs: int, number: int) -> "Sweep":
    """The sweep as one of several processes is to run it: with its share of the processor, and, of several GPUs, one of its own."""
    hardware = sweep.request.hardware
    if hardware.threads is None:
        hardware = replace(hardware, threads=max(1, (os.cpu_count() or 1) // jobs))
    if hardware.device in ("auto", "cuda") and hardware.devices == 1:
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count > 1:
            hardware = replace(hardware, device=f"cuda:{number % count}")
    return replace(sweep, request=replace(sweep.request, hardware=hardware))


def _listen(children: "Sequence[BaseProcess]", messages: Any, tell: Tell) -> bool:
    """Pass on messages until all children have ended; whether none was interrupted. Raises what a child could not go on for."""
    running, whole = len(children), True
    while running:
        try:
            kind, content = messages.get(timeout=0.5)
        except queue.Empty:
            if not any(child.is_alive() for child in children) and messages.empty():
                return False  # killed from outside: their trials are taken up again by the next command
            continue
        if kind == "told":
            tell(content)
        elif kind == "refused":
            code, message, notes, helps, status = content
            raise Refusal(code, message, notes=notes, helps=helps, status=status)
        elif kind == "failed":
            raise RuntimeError(content)
        else:
            running -= 1
            whole = whole and content
    for child in children:
        child.join()
    return whole


def _stop(children: "Sequence[BaseProcess]") -> None:
    """Ask all children to save and end, and wait for them."""
    for child in children:
        if child.is_alive() and child.pid is not None:
            os.kill(child.pid, signal.SIGINT if sys.platform != "win32" else signal.SIGTERM)
    for child in children:
        child.join()


def _child(sweep: "Sweep", messages: Any, over: Any) -> None:
    """A child process: work, and tell the parent. `over` is set when it is to end; it is then interrupted, too."""
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C reaches the parent alone, which asks each child once
    whole = False
    try:
        try:
            signal.signal(signal.SIGINT, _interrupt_once)
            _follow_parent()
            with silence():
                whole = not over.is_set() and work(sweep, lambda told: messages.put(("told", told)))
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        pass
    except Refusal as refusal:
        found = refusal.diagnostic
        messages.put(("refused", (found.code, found.message, found.notes, found.helps, refusal.status)))
    except Exception as failure:
        messages.put(("failed", f"{type(failure).__name__}: {failure}"))
    messages.put(("done", whole))


def _interrupt_once(number: int, frame: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _follow_parent() -> None:
    """Be interrupted when the parent is gone: nobody would wait for what this process does."""
    from multiprocessing import connection, parent_process

    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            connection.wait([parent.sentinel])
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()
