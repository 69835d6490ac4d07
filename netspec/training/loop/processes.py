"""Several processes, on one machine or several: started by torchrun's own Python API, each with a share of every batch.

The first process of a machine's `elastic_launch` only launches: the work is done in its children, which open the spec and the data for
themselves out of a `Request`. Rank 0 tells its events back through a connection, over which each child also says why it failed: so a
refusal looks the same however many processes there are.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import Client, Connection, Listener
from typing import Any, Callable

import torch
from torch import distributed, nn

from netspec.diagnostics.model import Refusal
from netspec.training.loop.events import Event, Pruned
from netspec.training.loop.job import Hardware, Place, Request
from netspec.training.loop.setup import Setup
from netspec.training.loop.tally import Watch

#: how long processes wait for one another before they give up: an evaluation or a checkpoint on one of them may take long
_PATIENCE = timedelta(minutes=30)
_ELASTIC = "torch.distributed.elastic"
#: what logs, in this process, that a child failed, or that somebody wants to stop
_LOUD = (
    _ELASTIC,
    f"{_ELASTIC}.agent.server.api",
    f"{_ELASTIC}.multiprocessing.api",
    "torch.distributed.launcher.api",
    "torch.multiprocessing.spawn",
)
#: the status of a child that has saved because somebody wanted to stop
_INTERRUPTED = 130
#: signals to stop that not every system has
_OF_UNIX = [getattr(signal, name) for name in ("SIGHUP", "SIGQUIT") if hasattr(signal, name)]
#: the variable that says from which level on PyTorch's C++ code logs
_CPP_LEVEL = "TORCH_CPP_LOG_LEVEL"


# --------------------------------------------------------------------------------------------------- within a process
def distribute(setup: Setup) -> None:
    """Let processes share gradients, and compile what is called in training, where that is wanted."""
    place = setup.job.place
    if setup.job.trains and place.world > 1:
        if place.device != "cpu":
            setup.module = nn.SyncBatchNorm.convert_sync_batchnorm(setup.module)
        with warnings.catch_warnings():  # newer PyTorch has another name for it, which would give away what each process has gathered
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            setup.network = nn.parallel.DistributedDataParallel(
                setup.module, device_ids=None if place.device == "cpu" else [place.device], broadcast_buffers=False,
                find_unused_parameters=_has_unused(setup),
            )  # fmt: skip
    if setup.job.trains and setup.section.compile:
        setup.network = torch.compile(setup.network)


def _has_unused(setup: Setup) -> bool:
    """Whether the loss does without some parameters that are to be trained: then gradients that never come must not be waited for."""
    reached = _reached(setup)
    return any(parameter.requires_grad and name not in reached for name, parameter in setup.module.named_parameters())


def _reached(setup: Setup) -> frozenset[str]:
    """The names of parameters that the loss depends on, by the graph."""
    graph, section = setup.job.graph, setup.section
    wanted = {reference.name for term in section.loss for _, reference in term.tensors if reference.kind == "output"}
    values = {port.value for port in graph.outputs if port.name in wanted}
    weights: set[int] = set()
    for node in reversed(graph.nodes):
        if values.intersection(node.outputs):
            values.update(node.inputs)
            weights.update(node.weights)
    return frozenset(graph.weights[number].name for number in weights)


def share_buffers(setup: Setup) -> None:
    """Give every process the running statistics of the first, so that all evaluate the same network."""
    if setup.job.place.world > 1:
        for buffer in setup.module.buffers():
            distributed.broadcast(buffer, 0)


def agree(setup: Setup, *values: float) -> list[float]:
    """The largest of each value over all processes."""
    if setup.job.place.world == 1:
        return list(values)
    gathered = torch.tensor(values, dtype=torch.float64, device=setup.job.place.device)
    distributed.all_reduce(gathered, distributed.ReduceOp.MAX)
    found: list[float] = gathered.tolist()
    return found


def from_first(place: Place, get: Callable[[], Any]) -> Any:
    """What the first process gets, in all: other machines need not have its files."""
    if place.world == 1:
        return get()
    found = [get() if place.first else None]
    distributed.broadcast_object_list(found, 0, device=torch.device(place.device))
    return found[0]


def first_of(setup: Setup, mine: Any) -> Any:
    """Of what all processes have, the first that is not None."""
    if setup.job.place.world == 1:
        return mine
    every: list[Any] = [None] * setup.job.place.world
    distributed.all_gather_object(every, mine)
    return next((one for one in every if one is not None), None)


# --------------------------------------------------------------------------------------------------- starting processes
def is_shared(hardware: Hardware) -> bool:
    """Whether a run is one of several processes."""
    return hardware.devices * hardware.nodes > 1


Work = Callable[[Request, Place, Watch], Any]


def launch(request: Request, watch: Watch, work: Work) -> Any:
    """Do `work` in every process of this machine, `watch` being told here what the first of all processes tells; what `work` gave there,
    None where that process is on another machine.

    `work` is a function of a module, which children can import. Raises the `Refusal` of the first that was refused, NS813 where one
    died without a word.
    """
    post = _Post(watch)
    try:
        _start(request, post, work)
    finally:
        post.close()
    if post.refusal is not None:
        raise post.refusal from None
    return post.result


def _start(request: Request, post: "_Post", work: Work) -> None:
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    hardware = request.hardware
    several = hardware.nodes > 1
    config = LaunchConfig(
        min_nodes=hardware.nodes, max_nodes=hardware.nodes, nproc_per_node=hardware.devices, max_restarts=0, monitor_interval=0.1,
        start_method="spawn", run_id="netspec", rdzv_backend="static" if several else "c10d",
        rdzv_endpoint=hardware.master if several else "127.0.0.1:0", rdzv_configs={"rank": hardware.rank, "timeout": 600},
        local_addr=None if several else "127.0.0.1",
    )  # fmt: skip
    try:
        with _quiet(), _signals_as_before():
            elastic_launch(config, _child)(pickle.dumps((request, work)), post.address, post.key)
    except ChildFailedError as failed:
        if post.refusal is None and post.result is None:
            rank, failure = failed.get_first_failure()
            post.refusal = Refusal("NS813", f"process {rank} of the run ended with status {failure.exitcode}", notes=_last_words(failure))
    except SignalException:
        pass  # the children were told, too: they have saved, and said so


@contextmanager
def _signals_as_before() -> Iterator[None]:
    """Give this process its own signal handlers back: the launcher leaves those that it has put in their place."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, *_OF_UNIX)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                if handler is not None:  # one that Python did not put there cannot be put back
                    signal.signal(number, handler)


@contextmanager
def _quiet() -> Iterator[None]:
    """What the launcher would log of children that fail or are told to stop: it is said by us, in our words. Each of its modules has
    set a level for itself, so that one for all of them would not do. And what the children's C++ would, short of errors: DDP warns of
    weights that are in the network's outputs and not in the loss, which it is told to expect."""
    loud = [logging.getLogger(name) for name in _LOUD]
    levels = [logger.level for logger in loud]
    ours = _CPP_LEVEL not in os.environ  # who sets it wants to see them
    os.environ.setdefault(_CPP_LEVEL, "ERROR")
    try:
        for logger in loud:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in zip(loud, levels):
            logger.setLevel(level)
        if ours:
            del os.environ[_CPP_LEVEL]


def _last_words(failure: Any) -> tuple[str, ...]:
    text = str(failure.message).strip()
    return (text.splitlines()[-1],) if text else ()


class _Post:
    """This end of the connections to the children: passes on events, and keeps the first refusal."""

    def __init__(self, watch: Watch) -> None:
        self.key = os.urandom(32)
        self.refusal: BaseException | None = None
        self.result: Any = None
        self._watch, self._closed = watch, False
        self._listener = Listener(("127.0.0.1", 0), authkey=self.key)
        self._threads: list[threading.Thread] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> Any:
        """Where children find it."""
        return self._listener.address

    def close(self) -> None:
        """Wait until all that was sent has been passed on, and take no more."""
        self._closed = True
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection = self._listener.accept()
            except (OSError, EOFError):
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: Connection) -> None:
        """Answer a child until it hangs up: to an event, with nothing, or with what the watcher raised."""
        with connection:
            while True:
                try:
                    what, content = connection.recv()
                except (EOFError, OSError):
                    return
                if what == "failed":
                    self.refusal = self.refusal or content
                elif what == "done":
                    self.result = pickle.loads(content)
                else:
                    connection.send(self._pass_on(content))

    def _pass_on(self, event: Event) -> BaseException | None:
        try:
            self._watch(event)
        except Pruned as pruned:
            return pruned
        except BaseException as error:
            self.refusal = self.refusal or error
            return Refusal("NS813", "the process that was told of the run failed")
        return None


def _child(packed: bytes, address: Any, key: bytes) -> None:
    """What a child process does: joins the others, works, and says why it failed if it did."""
    connection = Client(address, authkey=key)
    try:
        request, work = pickle.loads(packed)  # from our own parent
        place = _join(request)
        try:
            result = work(request, place, _told_over(connection))
            if place.first:
                connection.send(("done", pickle.dumps(result)))  # not by the connection's own pickling, which shares memory of tensors
            interrupted = bool(getattr(result, "interrupted", False))
            if interrupted:
                distributed.barrier()  # what the first has to write is written
        finally:
            distributed.destroy_process_group()
        if interrupted:
            os._exit(_INTERRUPTED)  # the launcher, told to stop, takes no result, for which a child that returns would wait
    except BaseException as error:
        connection.send(("failed", _passable(error)))
        raise SystemExit(1) from None
    finally:
        connection.close()


def _told_over(connection: Connection) -> Watch:
    def tell(event: Event) -> None:
        connection.send(("event", event))
        answer = connection.recv()
        if answer is not None:
            raise answer

    return tell


def _passable(error: BaseException) -> BaseException:
    """An exception as another process can have it."""
    if isinstance(error, (Refusal, ModuleNotFoundError, KeyboardInterrupt)):
        return error
    import traceback

    frames = traceback.extract_tb(error.__traceback__)[-1:]
    notes = tuple(f"{os.path.basename(frame.filename)}:{frame.lineno}" for frame in frames)
    return Refusal("NS813", f"a process of the run failed: {type(error).__name__}: {str(error).strip()[:300]}", notes=notes)


def _join(request: Request) -> Place:
    """Join the other processes, and find the own place among them."""
    rank, world, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    device = request.hardware.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device != "cpu":
        device = f"cuda:{local}"
        torch.cuda.set_device(device)
    distributed.init_process_group("gloo" if device == "cpu" else "nccl", timeout=_PATIENCE)
    return Place(device, rank, world)
