"""A stack of recurrent layers in ONNX: one node a layer, of one or two directions, over a time of open length.

torch keeps a matrix for the input and one for the state, the rows of all gates below each other; so does ONNX, with the gates in
another order and a leading axis for the direction. Weights keep torch's names and order here: nodes over constants bring them into
ONNX's, and a runtime folds those when it loads the model.
"""

from __future__ import annotations

from typing import Any

from netspec.ops._layout import size_vector, sliced
from netspec.record import record
from netspec.sizes.dim import Size, total
from netspec.terms import ONNX_ELEMENT, In, OnnxTerm, Out, Own, SizeScalar, op, scalar, vector

#: for each gate in ONNX's order (and node), its place in torch's: input, forget, cell, output against input, output, forget, cell
GATES = {"RNN": (0,), "LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}


@record
class Stack:
    """Layers of one kind of node: `hidden` units each, of which `projected` numbers are fed back (`hidden`, if there is no
    projection). `attributes` are those of the node beside its size and direction. `cell`: one step of a single layer, whose
    parameters need no layer's name."""

    kind: str
    hidden: int
    projected: int
    layers: int
    bidirectional: bool
    bias: bool
    attributes: tuple[tuple[str, Any], ...] = ()
    cell: bool = False

    @property
    def directions(self) -> int:
        """One or two."""
        return 2 if self.bidirectional else 1

    @property
    def states(self) -> int:
        """How many rows of states there are: one for each layer and direction."""
        return self.layers * self.directions

    def suffixes(self, layer: int) -> tuple[str, ...]:
        """What the names of a layer's parameters end in, by direction."""
        return ("",) if self.cell else (f"_l{layer}", f"_l{layer}_reverse")[: self.directions]


@record
class Given:
    """How long the sequences are: T steps in all, or fewer in each (int64 `[N]`)."""

    steps: Size
    each: OnnxTerm | None = None


def recurrent_terms(
    stack: Stack, length: Size, h0: OnnxTerm | None = None, c0: OnnxTerm | None = None, lengths: OnnxTerm | None = None
) -> tuple[OnnxTerm, ...]:
    """The sequence, and the last states of all layers (h, and for LSTM c), of the input `In(0)`, `[N, T, C]` with T = `length`.

    The initial states are `[layers * directions, N, …]`, or None for zeros. `lengths` are the steps of each sequence, int64
    `[N]`, or None for T: the nodes put out zeros behind them, hand on the states at the ends, and go back from there.
    """
    given = Given(length, lengths)
    sequence: OnnxTerm = op("Transpose", In(), perm=(1, 0, 2))
    last: list[tuple[OnnxTerm, ...]] = []
    for layer in range(stack.layers):
        h, c = (_rows(stack, layer, state) for state in (h0, c0))
        steps, *states = (_projected if stack.projected != stack.hidden else _plain)(stack, layer, sequence, given, h, c)
        last.append(tuple(states))
        sequence = _side_by_side(stack, steps)
    ends = (states[0] if stack.layers == 1 else op("Concat", *states, axis=0) for states in zip(*last))
    return (op("Transpose", sequence, perm=(1, 0, 2)), *ends)


def cell_terms(stack: Stack, h: OnnxTerm | None = None, c: OnnxTerm | None = None) -> tuple[OnnxTerm, ...]:
    """The next states, of the input `In(0)`, `[N, C]`, and of states `[N, H]`, or None for zeros."""
    before = (None if term is None else op("Unsqueeze", term, vector((0,))) for term in (h, c))
    x = op("Unsqueeze", In(), vector((0,)))
    _, *states = _plain(stack, 0, x, Given(1), *before)
    return tuple(op("Squeeze", state, vector((0,))) for state in states)


def _rows(stack: Stack, layer: int, state: OnnxTerm | None) -> OnnxTerm | None:
    """A layer's rows of the initial states."""
    if state is None or stack.layers == 1:
        return state
    return sliced(state, (0,), (layer * stack.directions,), ((layer + 1) * stack.directions,))


def _side_by_side(stack: Stack, steps: OnnxTerm) -> OnnxTerm:
    """`[T, directions, N, H]` as `[T, N, directions * H]`."""
    if not stack.bidirectional:
        return op("Squeeze", steps, vector((1,)))
    return op("Reshape", op("Transpose", steps, perm=(0, 2, 1, 3)), vector((0, 0, 2 * stack.projected)))


def _plain(stack: Stack, layer: int, x: OnnxTerm, long: Given, h: OnnxTerm | None, c: OnnxTerm | None) -> tuple[OnnxTerm, ...]:
    suffixes = stack.suffixes(layer)
    into = _stacked(stack, tuple(Own(f"weight_ih{s}") for s in suffixes))
    back = _stacked(stack, tuple(Own(f"weight_hh{s}") for s in suffixes))
    return _node(stack, layer, x, long, into, back, h, c)


def _projected(stack: Stack, layer: int, x: OnnxTerm, long: Given, h: OnnxTerm | None, c: OnnxTerm | None) -> tuple[OnnxTerm, ...]:
    """ONNX knows no projection h = P m of the cell's output m. But the gates see h through R h alone, which is (R P) m: an LSTM
    with the state's matrix R P gives every m, and P m the outputs. An initial h, which need be no P m, comes in as further
    features of the input, zero at all steps but the first."""
    suffixes, width = stack.suffixes(layer), stack.projected
    into: list[OnnxTerm] = [Own(f"weight_ih{s}") for s in suffixes]
    if h is not None:
        first = [op("Pad", Own(f"weight_hh{s}"), vector(_beside(stack, i, width))) for i, s in enumerate(suffixes)]
        into = [op("Concat", *pair, axis=1) for pair in zip(into, first)]
        starts = [_at_its_start(row, i, long) for i, row in enumerate(_by_direction(stack, h))]
        x = op("Concat", x, *starts, axis=2)
    narrow = _joined(tuple(op("Unsqueeze", Own(f"weight_hr{s}"), vector((0,))) for s in suffixes))
    back = op("MatMul", _stacked(stack, tuple(Own(f"weight_hh{s}") for s in suffixes)), narrow)
    steps, last, cell = _node(stack, layer, x, long, _stacked(stack, tuple(into)), back, None, c)
    across = op("Transpose", narrow, perm=(0, 2, 1))
    return op("MatMul", steps, across), op("MatMul", last, across), cell


def _beside(stack: Stack, direction: int, width: int) -> tuple[int, ...]:
    """Pads that leave room for the other direction's columns."""
    room = width * (stack.directions - 1)
    return (0, room, 0, 0) if direction else (0, 0, 0, room)


def _at_its_start(state: OnnxTerm, direction: int, long: Given) -> OnnxTerm:
    """A state `[1, N, P]` as features of all steps `[T, N, P]`: zero but at the first, or where the way back begins."""
    others = total((long.steps, -1))
    if not direction:
        return op("Pad", state, size_vector((0, 0, 0, others, 0, 0)))
    if long.each is None:
        return op("Pad", state, size_vector((others, 0, 0, 0, 0, 0)))
    ends = op("Unsqueeze", op("Sub", long.each, scalar(1, "int64")), vector((0, 2)))
    steps = op("Range", scalar(0, "int64"), _count(long.steps), scalar(1, "int64"))
    here = op("Equal", op("Unsqueeze", steps, vector((1, 2))), ends)
    return op("Mul", op("CastLike", here, state), state)


def _count(size: Size) -> OnnxTerm:
    return scalar(size, "int64") if isinstance(size, int) else SizeScalar(size)


def _by_direction(stack: Stack, h: OnnxTerm) -> tuple[OnnxTerm, ...]:
    if not stack.bidirectional:
        return (h,)
    rows = op("Split", h, vector((1, 1)), axis=0, outputs=2)
    return Out(rows, 0), Out(rows, 1)


def _node(
    stack: Stack, layer: int, x: OnnxTerm, long: Given, into: OnnxTerm, back: OnnxTerm, h: OnnxTerm | None, c: OnnxTerm | None
) -> tuple[OnnxTerm, ...]:
    """The node of a layer; its outputs: the steps `[T, directions, N, H]` and the last states `[directions, N, H]`."""
    count = 3 if stack.kind == "LSTM" else 2
    direction = {"direction": "bidirectional"} if stack.bidirectional else {}
    attributes: dict[str, Any] = {"hidden_size": stack.hidden, **direction, **dict(stack.attributes)}
    lengths = None if long.each is None else op("Cast", long.each, to=ONNX_ELEMENT["int32"])
    inputs = (x, into, back, _biases(stack, layer), lengths, h, c)
    used = max(i for i, term in enumerate(inputs) if term is not None) + 1
    node = op(stack.kind, *inputs[:used], outputs=count, **attributes)
    return tuple(Out(node, i) for i in range(count))


def _biases(stack: Stack, layer: int) -> OnnxTerm | None:
    """`[directions, 2 * gates * H]`: that of the input, then that of the state."""
    if not stack.bias:
        return None
    sides = (tuple(Own(f"bias_{side}{s}") for s in stack.suffixes(layer)) for side in ("ih", "hh"))
    return op("Concat", *(_stacked(stack, side) for side in sides), axis=1)


def _stacked(stack: Stack, tensors: tuple[OnnxTerm, ...]) -> OnnxTerm:
    """A tensor for each direction, its gates in ONNX's order, along a new first axis."""
    return _joined(tuple(op("Unsqueeze", _reordered(stack, t), vector((0,))) for t in tensors))


def _joined(tensors: tuple[OnnxTerm, ...]) -> OnnxTerm:
    return tensors[0] if len(tensors) == 1 else op("Concat", *tensors, axis=0)


def _reordered(stack: Stack, rows: OnnxTerm) -> OnnxTerm:
    order = GATES[stack.kind]
    if len(order) == 1:
        return rows
    gates = op("Split", rows, vector((stack.hidden,) * len(order)), axis=0, outputs=len(order))
    return op("Concat", *(Out(gates, place) for place in order), axis=0)
