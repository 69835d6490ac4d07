"""What the backward pass keeps of a whole network: what its operators save (`training.py`), every storage once."""

from __future__ import annotations

from typing import Any

from netspec.analyses.cost.layers import tensor_bytes
from netspec.analyses.cost.storage import Storages, storages
from netspec.analyses.cost.training import Saved, Site, saved
from netspec.analyses.cost.typed import Typed, typed
from netspec.graph import Graph
from netspec.ops._inputs import FLOATS
from netspec.record import record
from netspec.sizes.dim import Size, product, substitute, total


@record
class Kept:
    """What the backward pass keeps: `storages` by number, `more` bytes that operators keep of their own, one a node."""

    storages: tuple[int, ...]
    more: tuple[Size, ...]


def kept_for_backward(graph: Graph, at: Typed, held: Storages, flowing: frozenset[int] = frozenset()) -> Kept:
    """What the backward pass keeps, at these types. Gradients flow back to what parameters make, and to the inputs `flowing`.

    `held` are the storages of training, at closed types; the types may be open.
    """
    flows = set(flowing)
    trainable = [w.trainable for w in graph.weights]
    found: dict[int, None] = {}
    more: list[Size] = []
    known: dict[Any, Saved] = {}
    for node, kind, copied in zip(graph.nodes, at.kinds, held.copied):
        through = tuple([i in flows for i in node.inputs])
        if not (True in through or any([trainable[w] for w in node.weights])) or at.types[node.outputs[0]].dtype not in FLOATS:
            more.append(0)
            continue
        flows.update(node.outputs)
        what = known.get((kind, through))
        if what is None:
            inputs, outputs = (tuple(at.types[v] for v in values) for values in (node.inputs, node.outputs))
            site = Site(node.op, inputs, outputs, through)
            what = known[kind, through] = saved(site) if node.body is None else _of_steps(graph.bodies[node.body], site)
        if copied and what.inputs:
            what = Saved((), what.outputs, total((what.more, tensor_bytes(at.types[node.inputs[0]]))))
        for number in what.inputs:
            found[held.of[node.inputs[number]]] = None
        for number in what.outputs:
            found[held.of[node.outputs[number]]] = None
        more.append(what.more)
    return Kept(tuple(s for s in found if held.size[s]), tuple(more))


def _of_steps(body: Graph, site: Site) -> Saved:
    """What all steps of a body save: what one does, as often. A step's input is a look at the whole one. A state that a step puts
    out is the one that the next takes, and is kept once; the first one's is there beside them."""
    closed, op = typed(body, body.typical), site.op
    inside = storages(body, closed.types, training=True)
    free = len(op.step.sliced)
    flows = frozenset(p.value for i, p in enumerate(body.inputs) if i >= free or site.flows[i])
    opened = typed(body)
    kept = kept_for_backward(body, opened, inside, flows)
    given = [inside.of[port.value] for port in body.inputs]
    carried = zip(given[free:], (inside.of[port.value] for port in body.outputs[op.step.stacked :]))
    steps, sizes = op.length(site.inputs), op.sizes(site.inputs)
    every = [*(tensor_bytes(opened.types[s]) for s in kept.storages if s not in given), *kept.more]
    found, last = [product((steps, substitute(total(every), sizes)))], []
    for number, (before, after) in enumerate(carried):
        state = substitute(tensor_bytes(opened.types[before]), sizes)
        if before in kept.storages:
            found += [0 if after in kept.storages else product((steps - 1, state)), 0 if op.initial else state]
        if after in kept.storages and op.states:  # an output is the last of them
            found.append(product((-1, state)))
            last.append(op.step.stacked + number)
    return Saved(tuple(i for i in range(len(site.inputs)) if given[i] in kept.storages), tuple(last), total(found))
