"""One update of the weights: forward, loss, backward, step, and as little besides as the section asks for.

`make_update` chooses once what every step then does. The plain case, whole batches on one device in one precision, is what a loop
written by hand would be; the others add exactly one thing each: parts of a batch (accumulation), shares of a batch (several processes),
a scaled loss (fp16), an optimizer that asks for the loss again (LBFGS).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Callable, Sequence, Union

import torch
from torch import Tensor, nn

from netspec.record import record

#: a batch: inputs of the net and targets, by name
Batch = dict[str, Tensor]
#: from a batch, and how many of the examples of the whole batch are in it, of how many, to its mean loss; the weights are updated
Update = Callable[[Batch, int, int], Tensor]


@record
class Parts:
    """What an update is made of. `network` is what is called (compiled, or one of several processes'), `module` what it was made of.

    `piece` is how many examples at most go through the network at once, where a batch is more. `before` and `after` are what is done
    before and after the optimizer's step (clipping, a bound on norms); `seed` starts the random numbers of an update; `check` looks at
    the loss, and where the origin of a NaN is sought at gradients, before they are used.
    """

    module: nn.Module
    network: Callable[..., Any]
    inputs: tuple[str, ...]
    objective: Any
    optimizer: torch.optim.Optimizer
    parameters: Sequence[nn.Parameter]
    before: Callable[[], Any] | None = None
    after: Callable[[], None] | None = None
    autocast: Callable[[], AbstractContextManager[Any]] | None = None
    scaler: Any = None
    piece: int | None = None
    world: int = 1
    closure: bool = False
    seed: Callable[[], None] | None = None
    check: Callable[[Tensor], None] | None = None


def make_update(parts: Parts) -> Update:
    """The function that does one update, as plain as the section allows."""
    gradients = _whole(parts) if parts.piece is None and parts.world == 1 and parts.scaler is None else _in_parts(parts)
    if parts.closure:
        return _closure(parts, gradients)
    if parts.scaler is not None:
        return _scaled(parts, gradients)
    step, before, after, check = parts.optimizer.step, parts.before, parts.after, parts.check

    def update(batch: Batch, local: int, total: int) -> Tensor:
        loss = gradients(batch, local, total)
        if check is not None:
            check(loss)
        if before is not None:
            before()
        step()
        if after is not None:
            after()
        return loss

    return update


def forward_of(network: Callable[..., Any], inputs: tuple[str, ...]) -> Callable[[Batch], Any]:
    """What calls a network with its inputs out of a batch."""
    if len(inputs) == 1:
        (name,) = inputs
        return lambda batch: network(batch[name])
    return lambda batch: network(*[batch[name] for name in inputs])


#: how much a piece of a batch counts in the loss of the whole: a number, or one for each term of the loss
Share = Union[float, Tensor]


def loss_of(parts: Parts) -> Callable[[Batch], Tensor]:
    """The mean loss of a batch, in the section's precision."""
    forward, compute, module, autocast = forward_of(parts.network, parts.inputs), parts.objective.compute, parts.module, parts.autocast

    def plain(batch: Batch) -> Tensor:
        return compute(forward(batch), batch, module)

    def mixed(batch: Batch) -> Tensor:
        with autocast():  # type: ignore[misc]
            return compute(forward(batch), batch, module)

    return plain if autocast is None else mixed


def share_of_loss(parts: Parts) -> Callable[[Batch, Share], Tensor]:
    """What a piece of a batch contributes to the loss of the whole, in the section's precision."""
    forward, objective, module = forward_of(parts.network, parts.inputs), parts.objective, parts.module
    autocast: Callable[[], AbstractContextManager[Any]] = parts.autocast or nullcontext

    def contribution(piece: Batch, share: Share) -> Tensor:
        with autocast():
            outputs = forward(piece)
            if isinstance(share, Tensor):
                return objective.compute_shared(outputs, piece, module, share)  # type: ignore[no-any-return]
            return objective.compute(outputs, piece, module) * share  # type: ignore[no-any-return]

    return contribution


def _whole(parts: Parts) -> Update:
    """Gradients of a batch in one piece."""
    loss_for, parameters, seed = loss_of(parts), tuple(parts.parameters), parts.seed

    def gradients(batch: Batch, local: int, total: int) -> Tensor:
        if seed is not None:
            seed()
        loss = loss_for(batch)
        for parameter in parameters:  # what `zero_grad` does, at a tenth of its price
            parameter.grad = None
        loss.backward()
        return loss

    return gradients


def _in_parts(parts: Parts) -> Update:
    """Gradients of this process's share of a batch, in several pieces, each counting as much as `shares_of` says.

    Several processes' gradients are averaged by `DistributedDataParallel`, so that a share is multiplied by their number. A process
    without examples in a small last batch goes through the motions with some that do not count. The loss returned is this process's
    part of the whole batch's, as a mean over its own examples: those of all processes, weighed by their numbers, are the whole's.
    """
    loss_for, scaler, world, most = share_of_loss(parts), parts.scaler, parts.world, parts.piece

    def gradients(batch: Batch, local: int, total: int) -> Tensor:
        if parts.seed is not None:
            parts.seed()
        for parameter in parts.parameters:
            parameter.grad = None
        pieces = cut(batch, local or 1, most or local or 1)
        own: Any = 0.0
        for number, ((piece, _), share) in enumerate(zip(pieces, shares_of(parts, pieces, local, total))):
            with _apart(parts.network, world > 1 and number < len(pieces) - 1):
                loss = loss_for(piece, share)
                scaled = loss * world
                (scaled if scaler is None else scaler.scale(scaled)).backward()
            own = own + loss.detach()
        return own * (total / local) if local else own

    return gradients


def shares_of(parts: Parts, pieces: Sequence[tuple[Batch, int]], local: int, total: int) -> Sequence[Share]:
    """How much each piece of this process counts in the batch of all: by its examples, or, where a mean is not over those (masks,
    ignored or weighted classes), term by term by what it is over. All processes must ask for it together."""
    alone = parts.world == 1 and len(pieces) == 1
    counts = [] if alone else [counts for piece, _ in pieces if (counts := parts.objective.counts(piece)) is not None]
    if not counts:
        return [count / total if local else 0.0 for _, count in pieces]
    own = torch.stack(counts) if local else torch.zeros_like(torch.stack(counts))
    whole = own.sum(0) if parts.world == 1 else everywhere(own.sum(0))
    return list(own / torch.where(whole > 0, whole, 1.0))  # of a term that is over nothing anywhere, nothing


def _apart(network: Any, hold: bool) -> AbstractContextManager[Any]:
    """While gradients are still being gathered, other processes need not hear of them."""
    made: AbstractContextManager[Any] = network.no_sync() if hold else nullcontext()
    return made


def cut(batch: Batch, count: int, most: int) -> list[tuple[Batch, int]]:
    """A batch of `count` examples in pieces of at most `most`, of sizes that differ by one at most, each with its size."""
    ends = ends_of(count, most)
    if len(ends) == 2:
        return [(batch, count)]
    return [({name: column[start:end] for name, column in batch.items()}, end - start) for start, end in zip(ends, ends[1:])]


def ends_of(count: int, most: int) -> list[int]:
    """Where pieces of at most `most` of `count` examples begin and end."""
    pieces = max(1, -(-count // most))
    return [count * number // pieces for number in range(pieces + 1)]


def _scaled(parts: Parts, gradients: Update) -> Update:
    """An update with a scaled loss: gradients are brought back to size before anything looks at them."""
    scaler, optimizer = parts.scaler, parts.optimizer

    def update(batch: Batch, local: int, total: int) -> Tensor:
        loss = gradients(batch, local, total)
        if parts.before is not None:
            scaler.unscale_(optimizer)
            parts.before()
        scaler.step(optimizer)
        scaler.update()
        if parts.after is not None:
            parts.after()
        return loss

    return update


def _closure(parts: Parts, gradients: Update) -> Update:
    """An update by an optimizer that calls for loss and gradients as often as it likes; the loss told is the first."""

    def update(batch: Batch, local: int, total: int) -> Tensor:
        losses: list[Tensor] = []

        def closure() -> Tensor:
            with torch.enable_grad():
                loss = gradients(batch, local, total)
            losses.append(loss)
            if parts.check is not None:
                parts.check(loss)
            if parts.before is not None:
                parts.before()
            return loss if parts.world == 1 else everywhere(loss * (local / total))

        parts.optimizer.step(closure)
        if parts.after is not None:
            parts.after()
        return losses[0]

    return update


def everywhere(value: Tensor) -> Tensor:
    """The sum over all processes."""
    value = value.clone()
    torch.distributed.all_reduce(value)
    return value
