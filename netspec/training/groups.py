"""Parameter groups: which parameters a section trains, at which learning rate each, and which of them decay.

Parameters are merged by learning-rate factor and by whether they decay, so that an optimizer has few groups, and each is one
pass over all of its tensors. What is tied is one parameter, however many names it has.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Iterable

from netspec.diagnostics.model import Refusal
from netspec.record import draft
from netspec.selection import all_selected, selected

if TYPE_CHECKING:
    from torch import nn

    from netspec.graph import Graph
    from netspec.recipe._optimizer import Optimizer
    from netspec.recipe.section import Section


@draft
class Group:
    """Parameters with one learning rate and one weight decay.

    `names` are those of a state dict, in the module's order; `factor` is what `rates` makes of the optimizer's learning rate, `lr`
    the product (and for a batch, where that scales it). `weight_decay` is 0 for an optimizer that has none. `options` are the
    other arguments of the optimizer in which this group differs (`l1 = 0` where nothing is to decay).
    """

    name: str
    names: tuple[str, ...]
    parameters: "tuple[nn.Parameter, ...]"
    lr: float
    weight_decay: float
    factor: float
    decays: bool = True
    decay: str = "none"
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many numbers it trains."""
        return sum(p.numel() for p in self.parameters)


class Groups(list[Group]):
    """The groups that are trained, and beside them those that are not: `frozen` holds names and parameters."""

    def __init__(self, groups: Iterable[Group], frozen: "dict[str, nn.Parameter]") -> None:
        super().__init__(groups)
        self.frozen = frozen


def parameter_groups(graph: "Graph", section: "Section", module: "nn.Module", batch: int | None = None) -> Groups:
    """The groups of a section, the factor 1 first and what decays before what does not; none of them is empty.

    Sets `requires_grad` of every parameter that trains: False, and no gradient, for what `freeze` selects, for what `only` does
    not, and for a factor of 0; True for all others (a section before may have frozen them). Of several `rates` that select a
    parameter the last counts. `batch` is the global batch, for `scale_lr` (the section's, unless given). Raises `Refusal`: NS356
    where nothing is left to train, or where the section has no optimizer.
    """
    optimizer = _optimizer(section)
    names, factors, exempt = _parameters(module), _factors(graph, section), all_selected(graph, section.no_decay)
    still = frozen_names(graph, section)
    found: dict[tuple[float, bool], list[tuple[str, Any]]] = {}
    frozen: dict[str, Any] = {}
    for parameter, called in names:
        factor = next((factors[name] for name in called if name in factors), 1.0)
        kept = factor == 0 or any(name in still for name in called)
        parameter.requires_grad_(not kept)
        if kept:
            parameter.grad, frozen[called[0]] = None, parameter
        else:
            decays = not optimizer.DECAYING or not any(name in exempt for name in called)
            found.setdefault((factor, decays), []).append((called[0], parameter))
    if not found:
        message = "nothing is left to train: every parameter is frozen" if names else "the network has no parameters to train"
        raise Refusal("NS356", message, helps=("`freeze` and `only` say what stays as it is",) if names else ())
    rate = optimizer.lr * scale(section, batch)
    order = sorted(found, key=lambda key: (key[0] != 1, key[0], not key[1]))
    return Groups((_group(optimizer, rate, *key, found[key], len(order) == 1) for key in order), frozen)


def _optimizer(section: "Section") -> "Optimizer":
    if section.optimizer is None:
        raise Refusal("NS356", "the section has no optimizer", helps=("optimizer = sgd(lr = 0.1, momentum = 0.9)",))
    optimizer: Optimizer = section.optimizer
    return optimizer


def _parameters(module: "nn.Module") -> list[tuple[Any, tuple[str, ...]]]:
    """Each parameter once, with all of its names."""
    found: dict[int, tuple[Any, list[str]]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        found.setdefault(id(parameter), (parameter, []))[1].append(name)
    return [(parameter, tuple(names)) for parameter, names in found.values()]


def _factors(graph: "Graph", section: "Section") -> dict[str, float]:
    """The learning-rate factor of every tensor that `rates` selects: that of the last row that does."""
    return {name: factor for selector, factor in section.rates for name in selected(graph, selector)}


def scale(section: "Section", batch: int | None = None) -> float:
    """What `scale_lr` multiplies learning rates by, for that global batch (the section's own, unless given)."""
    if section.scale_lr is None:
        return 1.0
    times = (batch or section.batch) / section.scale_lr.base
    return times**0.5 if section.scale_lr.NAME == "sqrt" else times


def _group(optimizer: "Optimizer", rate: float, factor: float, decays: bool, members: list[tuple[str, Any]], alone: bool) -> Group:
    options: dict[str, Any] = {} if decays else {**dict.fromkeys(optimizer.DECAYING, 0.0), **dict(optimizer.EXEMPT)}
    decay = options.get("weight_decay", getattr(optimizer, "weight_decay", 0.0))
    words = [f"x{factor:g}"] * (factor != 1) + ["no decay"] * (not decays)
    return Group(
        name=", ".join(words) or ("all" if alone else "rest"),
        names=tuple(name for name, _ in members),
        parameters=tuple(parameter for _, parameter in members),
        lr=rate * factor,
        weight_decay=decay,
        factor=factor,
        decays=decays,
        decay=_decay_words(optimizer, options),
        options=options,
    )


def _decay_words(optimizer: "Optimizer", options: dict[str, Any]) -> str:
    """How a group's weights decay, in words: `0.0005 (L2)`, `l1 0.001 (proximal)`, `none`."""
    values = {name: options.get(name, getattr(optimizer, name)) for name in optimizer.DECAYING}
    amounts = [f"{value:g}" if name == "weight_decay" else f"{name} {value:g}" for name, value in values.items() if value]
    return f"{', '.join(amounts)} ({optimizer.decay.replace('l2', 'L2')})" if amounts else "none"


def frozen_names(graph: "Graph", section: "Section") -> frozenset[str]:
    """The stored tensors, buffers among them, that a section leaves as they are: what `freeze` selects, and `only` does not."""
    kept = all_selected(graph, section.freeze)
    if section.only is None:
        return kept
    return kept | (frozenset(w.name for w in graph.weights) - all_selected(graph, section.only))


def frozen_modules(graph: "Graph", section: "Section", module: "nn.Module") -> "list[nn.Module]":
    """The modules all of whose parameters a section freezes; of those that have none, the ones all of whose buffers it does."""
    still = frozen_names(graph, section)
    shared = {id(p): called for p, called in _parameters(module)}
    found = []
    for path, part in module.named_modules():
        parameters = [any(name in still for name in shared[id(p)]) for p in part.parameters()]
        dotted = f"{path}." if path else ""
        buffers = [dotted + name in still for name, _ in part.named_buffers()]
        if parameters or buffers:
            found += [part] * all(parameters or buffers)
    return found


def freeze_statistics(modules: "Iterable[nn.Module]") -> None:
    """Put the norms with running statistics among those modules, and in them, into evaluation mode: they use their statistics, and leave
    them as they are. To be called after every `module.train()`, with what `frozen_modules` gave."""
    for module in modules:
        for part in module.modules():
            if getattr(part, "running_mean", None) is not None:
                part.eval()


def table(groups: "list[Group]") -> str:
    """The groups as a table of text: name, tensors, parameters, learning rate, weight decay; frozen tensors on a row of their own.

    >>> print(table([Group("all", ("a",), (), 0.1, 0.0, 1.0)]))
    group  tensors  parameters  learning rate  weight decay
    all          0           0            0.1  none
    """
    rows = [("group", "tensors", "parameters", "learning rate", "weight decay")]
    rows += [(g.name, str(len(g.parameters)), f"{g.count:,}", f"{g.lr:.6g}", g.decay) for g in groups]
    frozen = getattr(groups, "frozen", {})
    if frozen:
        rows.append(("frozen", str(len(frozen)), f"{sum(p.numel() for p in frozen.values()):,}", "-", "-"))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = []
    for name, tensors, count, rate, decay in rows:
        numbers = (value.rjust(width) for value, width in zip((tensors, count, rate), widths[1:4]))
        lines.append("  ".join((name.ljust(widths[0]), *numbers, decay)).rstrip())
    return "\n".join(lines)
