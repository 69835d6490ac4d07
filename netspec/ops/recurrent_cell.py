"""One step of a recurrent layer, for loops of one's own: `h, c = (x, h, c) -> cell`, where `layer cell = lstm_cell(64)`."""

from typing import ClassVar, Literal, final

from pydantic import Field

from netspec.op import Accepts, Needs, Operator, Reject, Rejects, Site, Weight, torch_default
from netspec.ops._arguments import changed
from netspec.ops._inputs import require_floats, require_rank
from netspec.ops._recurrence import GATES, Stack, cell_terms
from netspec.ops._recurrent_torch import RESET_BEFORE_CELL
from netspec.reach import All, Reach, Same
from netspec.sizes.dim import Size, product, total
from netspec.sizes.tensor import TensorType
from netspec.terms import In, OnnxTerm, Self, Torch, call, module


class _Cell(Operator):
    """What the three share: the input `[N, C]`, and states `[N, hidden]` that are zeros where none are given."""

    FAMILY: ClassVar[str] = "recurrent"
    ARITY: ClassVar[int | tuple[int, int | None]] = (1, 2)
    #: the kind of node in ONNX
    KIND: ClassVar[str]

    hidden: int = Field(gt=0, description="number of units")
    bias: bool = Field(True, description="whether there are biases, two for each gate as in torch")

    def _stack(self) -> Stack:
        return Stack(self.KIND, self.hidden, self.hidden, 1, False, self.bias, cell=True)

    def _check(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The type of a state, which the states given must have."""
        x = inputs[0]
        require_floats(self.NAME, *inputs)
        require_rank(self.NAME, x, 2, 2, help="[N, C]: one step of every example")
        state = x.with_shape((x.shape[0], self.hidden))
        for number, given in enumerate(inputs[1:], start=1):
            require_rank(self.NAME, given, 2, 2, input=number, help="[N, hidden]")
            if given.dtype != x.dtype:
                raise Reject("NS403", f"the state is {given.dtype}, and the input {x.dtype}", input=number)
            need.equal(given.shape[0], x.shape[0], "the state and the input differ in the batch")
            need.equal(given.shape[1], self.hidden, "the state and the cell differ in the features")
        return state

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType | tuple[TensorType, ...]:
        """`[N, hidden]`, each state."""
        return self._check(inputs, need)

    def params(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        """The matrices of the input and of the state, and their biases: the gates below each other in torch's order."""
        rows, into, start, dtype = len(GATES[self.KIND]) * self.hidden, inputs[0].shape[1], torch_default(self.hidden), inputs[0].dtype
        matrices = (
            Weight("weight_ih", (rows, into), start, into, rows, dtype),
            Weight("weight_hh", (rows, self.hidden), start, self.hidden, rows, dtype),
        )
        biases = tuple(Weight(f"bias_{side}", (rows,), start, dtype=dtype, role="bias") for side in ("ih", "hh"))
        return matrices + biases if self.bias else matrices

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Every unit sees all features and the whole state."""
        return (Reach(((Same(0), All(1)),) * len(inputs)),)

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> Size:
        """Both matrices, once an example."""
        return product((inputs[0].shape[0], total(product(w.shape) for w in self.params(inputs) if w.role == "weight")))

    def torch(self, site: Site) -> Torch:
        """`nn.RNNCell` or `nn.GRUCell`."""
        return Torch(module(f"nn.{self.KIND}Cell", site.weight("weight_ih").shape[1], self.hidden, **changed(self, "bias")))

    def onnx(self, site: Site) -> OnnxTerm | tuple[OnnxTerm, ...]:
        """The layer's node over a time of one step."""
        terms = cell_terms(self._stack(), *(In(i) for i in range(1, len(site.inputs))))
        return terms if len(terms) > 1 else terms[0]


@final
class RnnCell(_Cell):
    """One step of `rnn`: `h' = tanh(W x + b + R h + c)`. Inputs `[N, C]` and the state `[N, hidden]` (zeros without), output
    the next state.

    PyTorch: `nn.RNNCell`. ONNX: RNN over one step.
    """

    NAME: ClassVar[str] = "rnn_cell"
    KIND: ClassVar[str] = "RNN"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("rnn_cell(5)", ("[N, 3]", "[N, 5]"), "[N, 5]", "nn.RNNCell(3, 5)"),
        Accepts("rnn_cell(4, nonlinearity = relu, bias = false)", ("[N, 3]",), "[N, 4]"),
        Rejects("rnn_cell(5)", ("[N, 3]", "[N, 4]"), "NS412"),
        Rejects("rnn_cell(5)", ("[N, T, 3]",), "NS401"),
        Rejects("rnn_cell(5, nonlinearity = sigmoid)", ("[N, 3]",), "NS310"),
    )

    nonlinearity: Literal["tanh", "relu"] = Field("tanh", description="what is applied to the sum")

    def _stack(self) -> Stack:
        activations = (("activations", ({"tanh": "Tanh", "relu": "Relu"}[self.nonlinearity],)),)
        return Stack(self.KIND, self.hidden, self.hidden, 1, False, self.bias, activations, cell=True)

    def torch(self, site: Site) -> Torch:
        """`nn.RNNCell`."""
        named = changed(self, "bias", "nonlinearity")
        return Torch(module("nn.RNNCell", site.weight("weight_ih").shape[1], self.hidden, **named))


@final
class GruCell(_Cell):
    """One step of `gru`, whose page has the formulas. Inputs `[N, C]` and the state `[N, hidden]` (zeros without), output the
    next state.

    reset: `after` the product with the state's matrix, as in torch, or `before` it.

    PyTorch: `nn.GRUCell`, or a subclass for `reset = before`. ONNX: GRU over one step.
    """

    NAME: ClassVar[str] = "gru_cell"
    KIND: ClassVar[str] = "GRU"
    SCALE: ClassVar[float] = 1.0
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("gru_cell(5)", ("[N, 3]", "[N, 5]"), "[N, 5]", "nn.GRUCell(3, 5)"),
        Accepts("gru_cell(4, reset = before)", ("[N, 3]", "[N, 4]"), "[N, 4]"),
        Accepts("gru_cell(4, bias = false, reset = before)", ("[2, 3]",), "[2, 4]"),
        Rejects("gru_cell(5)", ("[N, 3]", "float64 [N, 5]"), "NS403"),
        Rejects("gru_cell(0)", ("[N, 3]",), "NS310"),
    )

    reset: Literal["after", "before"] = Field("after", description="where the reset gate acts: after the product with the state, or before")

    def _stack(self) -> Stack:
        after = (("linear_before_reset", 1),) if self.reset == "after" else ()
        return Stack(self.KIND, self.hidden, self.hidden, 1, False, self.bias, after, cell=True)

    def torch(self, site: Site) -> Torch:
        """`nn.GRUCell`, or the subclass that resets before."""
        if self.reset == "after":
            return super().torch(site)
        own = module(RESET_BEFORE_CELL, site.weight("weight_ih").shape[1], self.hidden, **changed(self, "bias"))
        return Torch(own, supports=(RESET_BEFORE_CELL,))


@final
class LstmCell(_Cell):
    """One step of `lstm`, whose page has the formulas. Inputs `[N, C]`, and the states h and c, `[N, hidden]` each (zeros
    without both); outputs the next h and c: `h, c = (x, h, c) -> lstm_cell(64)`.

    PyTorch: `nn.LSTMCell`. ONNX: LSTM over one step.
    """

    NAME: ClassVar[str] = "lstm_cell"
    KIND: ClassVar[str] = "LSTM"
    SCALE: ClassVar[float] = 1.0
    ARITY: ClassVar[int | tuple[int, int | None]] = (1, 3)
    OUTPUTS: ClassVar[tuple[str, ...]] = ("h", "c")
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("lstm_cell(5)", ("[N, 3]", "[N, 5]", "[N, 5]"), ("[N, 5]", "[N, 5]"), "nn.LSTMCell(3, 5)"),
        Accepts("lstm_cell(4, bias = false)", ("[N, 3]",), ("[N, 4]", "[N, 4]")),
        Rejects("lstm_cell(5)", ("[N, 3]", "[N, 5]"), "NS311"),
        Rejects("lstm_cell(5)", ("[N, 3]", "[N, 5]", "[2, N, 5]"), "NS401"),
        Rejects("lstm_cell(5)", ("int64 [N, 3]",), "NS403"),
    )

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> tuple[TensorType, ...]:
        """`[N, hidden]`, h and c."""
        if len(inputs) == 2:
            raise Reject("NS311", "`lstm_cell` takes the input alone, or with both states, h and c", help="(x, h, c) -> lstm_cell(64)")
        return (self._check(inputs, need),) * 2

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Every unit sees all features, the whole of h, and its own c."""
        whole = (Same(0), All(1))
        return (Reach((whole, whole, (Same(0), Same(1)))[: len(inputs)]),) * 2

    def torch(self, site: Site) -> Torch:
        """`nn.LSTMCell`, which takes its two states as one."""
        own = module("nn.LSTMCell", site.weight("weight_ih").shape[1], self.hidden, **changed(self, "bias"))
        return Torch(own, call(Self(), In(), (In(1), In(2)))) if len(site.inputs) > 1 else Torch(own)
