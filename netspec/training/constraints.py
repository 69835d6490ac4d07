"""What bounds a step: gradients are clipped before it, and the weights of every unit held to a norm after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from netspec.diagnostics.model import Refusal
from netspec.record import record
from netspec.selection import all_selected

if TYPE_CHECKING:
    from torch import nn

    from netspec.graph import Graph, Node
    from netspec.recipe.section import Section

#: how the weights of units lie in a tensor: the shape to see it in, and the axes along which those of one unit lie
Layout = tuple[tuple[int, ...], tuple[int, ...]]


@record
class Constraints:
    """What to do around every step; None where there is nothing to do.

    `before_step()` clips the gradients, and returns their norm before that as a tensor without axes where it is the norm that is
    clipped (nothing has to wait for it on a GPU), None where single values are. `after_step()` holds weights to their norm.
    """

    before_step: Callable[[], Tensor | None] | None = None
    after_step: Callable[[], None] | None = None


def prepare(graph: "Graph", section: "Section", module: "nn.Module") -> Constraints:
    """The constraints of a section, on the parameters of a module of that graph that are trained (after `parameter_groups`).

    Raises `Refusal` (NS353) where `max_norm` is to hold something that is not the weight of units.
    """
    trained = [p for p in module.parameters() if p.requires_grad]
    bound: Any = section.max_norm
    units = _units(graph, bound.of, module) if bound is not None else []
    before = (lambda: _clip(section, trained)) if section.clip is not None and trained else None
    after = (lambda: hold(units, bound.most)) if units else None
    return Constraints(before, after)


def clip(section: "Section", parameters: Iterable[Tensor]) -> float | None:
    """Clip the gradients of parameters as a section says; the norm that all together had before, or None where no norm is clipped."""
    norm = _clip(section, list(parameters))
    return None if norm is None else float(norm)


def _clip(section: "Section", parameters: list[Any]) -> Tensor | None:
    """`norm`: all gradients times `most / norm` where that is below 1; `value`: every number cut to [-most, most]."""
    if section.clip is None:
        return None
    if section.clip.NAME == "norm":
        return torch.nn.utils.clip_grad_norm_(parameters, section.clip.most)
    torch.nn.utils.clip_grad_value_(parameters, section.clip.most)
    return None


def constrain(graph: "Graph", section: "Section", module: "nn.Module") -> None:
    """Hold the weights of every unit to the norm of `max_norm`, once."""
    after = prepare(graph, section, module).after_step
    if after is not None:
        after()


@torch.no_grad()
def hold(units: "list[tuple[Tensor, Layout]]", most: float) -> None:
    """Scale the weights of every unit to the norm `most` where theirs is larger, in place."""
    for tensor, (shape, axes) in units:
        weight = tensor.view(shape)
        norms = torch.linalg.vector_norm(weight, dim=axes, keepdim=True)
        weight.mul_((most / norms).clamp_(max=1.0))


def _units(graph: "Graph", selectors: tuple[str, ...], module: "nn.Module") -> "list[tuple[Tensor, Layout]]":
    """What `max_norm` holds: trained weights, and how units lie in them.

    All weights that multiply, or those that `selectors` select; there, what does not multiply is passed over if something does.
    """
    named = dict(module.named_parameters(remove_duplicate=False))
    meant = all_selected(graph, selectors) if selectors else None
    layouts = _layouts(graph)
    if meant is not None and not meant & layouts.keys():
        message = f"{', '.join(selectors)}: nothing there is the weight of units, which `max_norm` could hold"
        raise Refusal("NS353", message, helps=("`max_norm` is for layers that multiply, such as linear and conv",))
    found: dict[int, tuple[Tensor, Layout]] = {}
    for name, layout in layouts.items():
        if (meant is None or name in meant) and named[name].requires_grad:
            found.setdefault(id(named[name]), (named[name], layout))
    return list(found.values())


def _layouts(graph: "Graph") -> dict[str, Layout]:
    """How units lie in each tensor that multiplies. Not in one that is parametrized, whose norm is not that of the weight it makes."""
    found: dict[str, Layout] = {}
    for here in (graph, *graph.all_bodies()):
        for node in here.nodes:
            for tensor in (here.weights[number] for number in node.weights):
                units = tensor.trainable and tensor.role == "weight" and tensor.fan_in and len(tensor.shape) > 1
                if units and not tensor.local.startswith("parametrizations."):
                    found[tensor.name] = _layout(node, tensor.shape)
    return found


def _layout(node: "Node", shape: tuple[int, ...]) -> Layout:
    """A unit is an index of the first axis; but a transposed convolution has inputs first, which its groups part among the outputs, and
    a convolution that shares nothing has units at every position. A unit of an embedding is a vector of its table."""
    if node.op.NAME == "conv_transpose":
        groups = node.op.groups
        return (groups, shape[0] // groups, *shape[1:]), (1, *range(3, len(shape) + 1))
    if node.op.NAME == "local_conv":
        spatial = (len(shape) - 2) // 2
        return (prod(shape[: spatial + 1]), *shape[spatial + 1 :]), tuple(range(1, spatial + 2))
    return shape, tuple(range(1, len(shape)))
