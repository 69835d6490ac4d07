"""Recurrent layers over a time axis: Elman's network, long short-term memory, and the gated recurrent unit."""

from typing import Any, ClassVar, Literal, final

from pydantic import Field

from netspec.op import Accepts, Limitation, Needs, Operator, Reject, Rejects, Site, Weight, torch_default
from netspec.ops._arguments import changed
from netspec.ops._inputs import require_floats, require_rank
from netspec.ops._recurrence import GATES, Stack, recurrent_terms
from netspec.ops._recurrent_torch import OVER_LENGTHS, RESET_BEFORE, UNPACKED
from netspec.reach import All, AxisReach, Causal, Reach, Same
from netspec.sizes.dim import Size, product, total
from netspec.sizes.tensor import TensorType
from netspec.terms import Call, In, Item, OnnxTerm, Self, Support, Torch, call, module


class _Recurrent(Operator):
    """What the three share: `layers` of `hidden` units, one above the other, in one direction of time or both."""

    FAMILY: ClassVar[str] = "recurrent"
    #: the kind of node in ONNX
    KIND: ClassVar[str]
    LIMITATIONS: ClassVar[tuple[Limitation, ...]] = (
        Limitation("torch", "torch.export with an open number of steps", "torch writes the steps out, and so fixes how many there are"),
    )

    hidden: int = Field(gt=0, description="number of units of each layer and direction")
    layers: int = Field(1, gt=0, description="how many layers stand one above the other")
    bidirectional: bool = Field(False, description="whether a second set of units runs back in time, beside the first")
    dropout: float = Field(0.0, ge=0, le=1, description="dropout on what each layer but the last puts out, in training")
    bias: bool = Field(True, description="whether there are biases, two for each gate as in torch")
    states: bool = Field(False, description="whether the last states are further outputs")
    h0: bool = Field(False, description="initial states `[layers * directions, N, hidden]`, a tensor; zeros without")
    lengths: bool = Field(False, description="how many steps each sequence has, a tensor int64 `[N]` of 1 to T; all have T without")

    def _stack(self) -> Stack:
        return Stack(self.KIND, self.hidden, self._width(), self.layers, self.bidirectional, self.bias)

    def _width(self) -> int:
        """How many numbers of each direction a step puts out and feeds back."""
        return self.hidden

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType | tuple[TensorType, ...]:
        """`[N, T, directions * hidden]`, and each last state as its initial one."""
        x = inputs[0]
        require_floats(self.NAME, *inputs[: 1 + self._given(inputs)])
        require_rank(self.NAME, x, 3, 3, help="[N, T, C]: the batch, the steps, the features")
        need.at_least(x.shape[1], 1, f"`{self.NAME}` needs one step at least")
        stack = self._stack()
        kinds = tuple(x.with_shape((stack.states, x.shape[0], width)) for width in self._widths())
        for number, (given, kind) in enumerate(zip(inputs[1 : self._given(inputs) + 1], kinds), start=1):
            self._check_state(given, kind, number, need)
        if self.lengths:
            self._check_lengths(inputs[-1], x, len(inputs) - 1, need)
        sequence = x.with_shape((*x.shape[:2], stack.directions * self._width()))
        return (sequence, *kinds) if self.states else sequence

    def _widths(self) -> tuple[int, ...]:
        """The features of each kind of state."""
        return (self._width(),)

    def _check_state(self, given: TensorType, kind: TensorType, number: int, need: Needs) -> None:
        require_rank(self.NAME, given, 3, 3, input=number, help="[layers * directions, N, hidden]")
        if given.dtype != kind.dtype:
            raise Reject("NS403", f"the initial state is {given.dtype}, and the input {kind.dtype}", input=number)
        for what, have, want in zip(("layers times directions", "the batch", "the features"), given.shape, kind.shape):
            need.equal(have, want, f"the initial state and the layer differ in {what}")

    def _given(self, inputs: tuple[TensorType, ...]) -> int:
        """How many initial states there are among the inputs; they follow the sequence, and lengths come last."""
        return len(inputs) - 1 - self.lengths

    def _check_lengths(self, lengths: TensorType, x: TensorType, number: int, need: Needs) -> None:
        if lengths.dtype != "int64":
            raise Reject("NS403", f"lengths are int64, not {lengths.dtype}", argument="lengths", input=number)
        require_rank(self.NAME, lengths, 1, 1, input=number, help="[N]: one for each sequence")
        need.equal(lengths.shape[0], x.shape[0], "there are not as many lengths as sequences")

    def params(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        """For every layer and direction: the matrices of the input and of the state, their biases, the projection."""
        stack, start, dtype = self._stack(), torch_default(self.hidden), inputs[0].dtype
        rows, width = len(GATES[self.KIND]) * self.hidden, self._width()
        found: list[Weight] = []
        for layer in range(self.layers):
            into = stack.directions * width if layer else inputs[0].shape[2]
            for suffix in stack.suffixes(layer):
                found.append(Weight(f"weight_ih{suffix}", (rows, into), start, into, rows, dtype))
                found.append(Weight(f"weight_hh{suffix}", (rows, width), start, width, rows, dtype))
                if self.bias:
                    found += [Weight(f"bias_{side}{suffix}", (rows,), start, dtype=dtype, role="bias") for side in ("ih", "hh")]
                if width != self.hidden:
                    found.append(Weight(f"weight_hr{suffix}", (width, self.hidden), start, self.hidden, width, dtype))
        return tuple(found)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """A step sees the steps up to it, or, in both directions, all; the last states see all of them."""
        given = self._given(inputs)
        time = All(1) if self.bidirectional else Causal(1)
        rows: AxisReach = Same(0) if self.layers == 1 else All(0) if self.bidirectional else Causal(0)
        ends: list[tuple[tuple[AxisReach | None, ...], ...]] = [((Same(0), None, None),), ((None, Same(0), None),)]
        whole, last = ends if self.lengths else ((), ())
        sequence = Reach(((Same(0), time, All(2)), *(((Same(1), All(0), All(2)),) * given), *whole))
        state = Reach(((None, Same(0), All(2)), *(((rows, Same(1), All(2)),) * given), *last))
        return (sequence, *((state,) * (len(outputs) - 1)))

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> Size:
        """All matrices, once a step and example, each sequence at its full length."""
        matrices = total(product(w.shape) for w in self.params(inputs) if w.role == "weight")
        return product((*inputs[0].shape[:2], matrices))

    def _module_arguments(self, site: Site) -> tuple[tuple[Any, ...], dict[str, Any]]:
        named = {**changed(self, num_layers="layers"), **changed(self, "bias", "dropout", "bidirectional")}
        return (site.weight("weight_ih_l0").shape[1], self.hidden), {**named, "batch_first": True}

    def torch(self, site: Site) -> Torch:
        """`nn.RNN` or `nn.GRU`, batch first; the sequence alone is the first thing that it returns."""
        (into, hidden), named = self._module_arguments(site)
        own = module(f"nn.{self.KIND}", into, hidden, **named)
        if self.states and not self.lengths:
            return Torch(own)
        return Torch(own, self._applied(site) if self.states else Item(self._applied(site), 0), self._supports())

    def onnx(self, site: Site) -> OnnxTerm | tuple[OnnxTerm, ...]:
        """A node a layer, between transposes: onnxruntime takes the time first."""
        count = self._given(site.inputs)
        given = dict(zip(("h0", "c0"), (In(i) for i in range(1, count + 1))))
        lengths = In(count + 1) if self.lengths else None
        terms = recurrent_terms(self._stack(), site.input.shape[1], lengths=lengths, **given)
        return terms if self.states else terms[0]

    def _applied(self, site: Site) -> Call:
        """The submodule applied to all inputs; an LSTM takes its two states as one."""
        count = self._given(site.inputs)
        states = tuple(In(i) for i in range(1, count + 1))
        packed = (states,) if len(states) > 1 else states
        return call(OVER_LENGTHS, Self(), In(), In(count + 1), *packed) if self.lengths else call(Self(), In(), *packed)

    def _supports(self) -> tuple[Support, ...]:
        return (OVER_LENGTHS,) if self.lengths else ()


@final
class Rnn(_Recurrent):
    """A recurrent network as Elman had it: `h[t] = tanh(W x[t] + b + R h[t - 1] + c)` at every step t.

    Input `[N, T, C]` with any number of steps, output `[N, T, directions * hidden]`: every step of the last layer, the way
    back behind the way forward. With `states` there is a second output, `h`: `[layers * directions, N, hidden]`, the
    state of every layer at the last step (for the way back the first), the batch second as in torch. `h0` is one like it.
    `y, h = x -> rnn(64, states = true)`, or `f = x -> rnn(64, states = true)` with `f.y`, `f.h`.

    PyTorch: `nn.RNN(batch_first=True)`, of packed sequences where there are lengths. ONNX: RNN, one node a layer.
    Elman, "Finding Structure in Time", Cognitive Science 14, 1990, doi:10.1207/s15516709cog1402_1.
    """

    NAME: ClassVar[str] = "rnn"
    KIND: ClassVar[str] = "RNN"
    TENSOR_ARGUMENTS: ClassVar[tuple[str, ...]] = ("h0", "lengths")
    OUTPUTS: ClassVar[tuple[str, ...]] = ("y", "h")
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("rnn(6)", ("[N, T = 5, 4]",), "[N, T, 6]", "nn.RNN(4, 6, batch_first=True)"),
        Accepts("rnn(3, nonlinearity = relu, bias = false)", ("[2, T = 1, 4]",), "[2, T, 3]"),
        Accepts("rnn(3, layers = 2, bidirectional = true, states = true)", ("[N, T = 4, 5]",), ("[N, T, 6]", "[4, N, 3]")),
        Accepts("rnn(3, nonlinearity = relu, bidirectional = true)", ("[N, 4, 5]",), "[N, 4, 6]"),
        Accepts("rnn(3, layers = 2, states = true, h0 = h0)", ("[N, T = 4, 5]", "[2, N, 3]"), ("[N, T, 3]", "[2, N, 3]")),
        Accepts("rnn(3, bidirectional = true, states = true, lengths = n)", ("[N, T = 4, 5]", "int64 [N]"), ("[N, T, 6]", "[2, N, 3]")),
        Rejects("rnn(0)", ("[N, T, 4]",), "NS310"),
        Rejects("rnn(3, nonlinearity = sigmoid)", ("[N, T, 4]",), "NS310"),
        Rejects("rnn(3)", ("[N, 4]",), "NS401"),
        Rejects("rnn(3)", ("int64 [N, T, 4]",), "NS403"),
        Rejects("rnn(3)", ("[N, 0, 4]",), "NS402"),
        Rejects("rnn(3, h0 = h0)", ("[N, T, 4]", "[2, N, 3]"), "NS412"),
        Rejects("rnn(3, h0 = h0)", ("[N, T, 4]", "[N, 3]"), "NS401"),
        Rejects("rnn(3, lengths = n)", ("[N, T, 4]", "int32 [N]"), "NS403"),
        Rejects("rnn(3, lengths = n)", ("[N, T, 4]", "int64 [N, 1]"), "NS401"),
        Rejects("rnn(3, lengths = n)", ("[2, T, 4]", "int64 [3]"), "NS412"),
    )

    nonlinearity: Literal["tanh", "relu"] = Field("tanh", description="what is applied to the sum")

    def _stack(self) -> Stack:
        named = {"tanh": "Tanh", "relu": "Relu"}[self.nonlinearity]
        activations = (("activations", (named,) * (2 if self.bidirectional else 1)),)
        return Stack(self.KIND, self.hidden, self.hidden, self.layers, self.bidirectional, self.bias, activations)

    def _module_arguments(self, site: Site) -> tuple[tuple[Any, ...], dict[str, Any]]:
        sizes, named = super()._module_arguments(site)
        return sizes, {**changed(self, "nonlinearity"), **named}


@final
class Gru(_Recurrent):
    """The gated recurrent unit: a reset gate r and an update gate z, of the input and the last state, make the next state
    `h[t] = (1 - z) * n + z * h[t - 1]`.

    Input `[N, T, C]` with any number of steps, output `[N, T, directions * hidden]`; `states`, `h0`, `lengths` and the
    names of the outputs as in `rnn`.

    reset: where r acts on the last state: `after` the product with its matrix, as in torch and cuDNN,
        `n = tanh(W x[t] + b + r * (R h[t - 1] + c))`, or `before` it, as in the paper,
        `n = tanh(W x[t] + b + R (r * h[t - 1]) + c)`.

    PyTorch: `nn.GRU(batch_first=True)`; with `reset = before` a subclass with a loop over the steps. ONNX: GRU, one node a
    layer, with linear_before_reset 1 or 0. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder",
    arXiv:1406.1078.
    """

    NAME: ClassVar[str] = "gru"
    KIND: ClassVar[str] = "GRU"
    SCALE: ClassVar[float] = 1.0
    TENSOR_ARGUMENTS: ClassVar[tuple[str, ...]] = ("h0", "lengths")
    OUTPUTS: ClassVar[tuple[str, ...]] = ("y", "h")
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("gru(6)", ("[N, T = 5, 4]",), "[N, T, 6]", "nn.GRU(4, 6, batch_first=True)"),
        Accepts("gru(3, bidirectional = true, bias = false)", ("[N, T = 4, 5]",), "[N, T, 6]"),
        Accepts("gru(3, layers = 2, states = true, h0 = h0)", ("[N, T = 4, 5]", "[2, N, 3]"), ("[N, T, 3]", "[2, N, 3]")),
        Accepts("gru(4, reset = before)", ("[N, T = 5, 3]",), "[N, T, 4]"),
        Accepts("gru(4, layers = 2, h0 = h0, lengths = n)", ("[N, T = 5, 3]", "[2, N, 4]", "int64 [N]"), "[N, T, 4]"),
        Accepts(
            "gru(3, bidirectional = true, states = true, reset = before, lengths = n)",
            ("[N, T = 4, 5]", "int64 [N]"),
            ("[N, T, 6]", "[2, N, 3]"),
        ),
        Accepts(
            "gru(3, layers = 2, bidirectional = true, states = true, reset = before, h0 = h0)",
            ("[N, T = 3, 5]", "[4, N, 3]"),
            ("[N, T, 6]", "[4, N, 3]"),
        ),
        Accepts("gru(3, layers = 2, bias = false, reset = before)", ("[N, 4, 2]",), "[N, 4, 3]"),
        Rejects("gru(3, reset = never)", ("[N, T, 4]",), "NS310"),
        Rejects("gru(3, layers = 0)", ("[N, T, 4]",), "NS310"),
        Rejects("gru(3)", ("[N, C, H, W]",), "NS401"),
        Rejects("gru(3, h0 = h0)", ("[N, T, 4]", "float64 [1, N, 3]"), "NS403"),
    )

    reset: Literal["after", "before"] = Field("after", description="where the reset gate acts: after the product with the state, or before")

    def _stack(self) -> Stack:
        after = (("linear_before_reset", 1),) if self.reset == "after" else ()
        return Stack(self.KIND, self.hidden, self.hidden, self.layers, self.bidirectional, self.bias, after)

    def torch(self, site: Site) -> Torch:
        """`nn.GRU`, or the subclass that resets before."""
        if self.reset == "after":
            return super().torch(site)
        (into, hidden), named = self._module_arguments(site)
        own = module(RESET_BEFORE, into, hidden, **named)
        return Torch(own, self._applied(site) if self.states else Item(self._applied(site), 0), (RESET_BEFORE,))

    def _applied(self, site: Site) -> Call:
        """The subclass takes the lengths itself, behind the state."""
        if self.reset == "after" or not self.lengths:
            return super()._applied(site)
        return call(Self(), In(), *((In(1), In(2)) if self.h0 else (None, In(1))))


@final
class Lstm(_Recurrent):
    """Long short-term memory: a cell c that an input gate i and a forget gate f change, `c[t] = f * c[t - 1] + i * g`, and
    that an output gate o shows, `h[t] = o * tanh(c[t])`.

    Input `[N, T, C]` with any number of steps, output `[N, T, directions * hidden]`. With `states` there are two further
    outputs, `h` and `c`, each `[layers * directions, N, hidden]` with the batch second as in torch: the states of every
    layer at the last step (for the way back the first). Initial states are given both or neither; `lengths` as in
    `rnn`.
    `y, h, c = x -> lstm(64, states = true)`, or `f = x -> lstm(64, states = true)` with `f.y`, `f.h`, `f.c`.

    proj: h is multiplied by a matrix of so many rows; that is what is put out and fed back (h has `proj` features then, c
        has `hidden`). Sak et al., arXiv:1402.1128.

    PyTorch: `nn.LSTM(batch_first=True)`. ONNX: LSTM, one node a layer; with a projection the product of both matrices is
    the state's. Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9, 1997; with forget gates, Gers
    et al., 2000, doi:10.1162/089976600300015015.
    """

    NAME: ClassVar[str] = "lstm"
    KIND: ClassVar[str] = "LSTM"
    SCALE: ClassVar[float] = 1.0
    TENSOR_ARGUMENTS: ClassVar[tuple[str, ...]] = ("h0", "c0", "lengths")
    OUTPUTS: ClassVar[tuple[str, ...]] = ("y", "h", "c")
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("lstm(6)", ("[N, T = 5, 4]",), "[N, T, 6]", "nn.LSTM(4, 6, batch_first=True)"),
        Accepts("lstm(3, layers = 2, bidirectional = true, states = true)", ("[N, T = 4, 5]",), ("[N, T, 6]", "[4, N, 3]", "[4, N, 3]")),
        Accepts("lstm(3, bias = false, h0 = h0, c0 = c0)", ("[N, T = 4, 5]", "[1, N, 3]", "[1, N, 3]"), "[N, T, 3]"),
        Accepts("lstm(5, proj = 2, layers = 2)", ("[N, T = 4, 3]",), "[N, T, 2]"),
        Accepts(
            "lstm(4, proj = 3, layers = 2, bidirectional = true, states = true, h0 = h0, c0 = c0)",
            ("[N, T = 4, 5]", "[4, N, 3]", "[4, N, 4]"),
            ("[N, T, 6]", "[4, N, 3]", "[4, N, 4]"),
        ),
        Accepts(
            "lstm(4, proj = 3, bidirectional = true, states = true, h0 = h0, c0 = c0, lengths = n)",
            ("[N, T = 4, 5]", "[2, N, 3]", "[2, N, 4]", "int64 [N]"),
            ("[N, T, 6]", "[2, N, 3]", "[2, N, 4]"),
        ),
        Rejects("lstm(3, proj = 3)", ("[N, T, 4]",), "NS310"),
        Rejects("lstm(3, dropout = 1.5)", ("[N, T, 4]",), "NS310"),
        Rejects("lstm(3, h0 = h0)", ("[N, T, 4]", "[1, N, 3]"), "NS310"),
        Rejects("lstm(3, h0 = h0, c0 = c0)", ("[N, T, 4]", "[1, N, 3]", "[1, N, 4]"), "NS412"),
        Rejects("lstm(3)", ("[N, 4]",), "NS401"),
    )

    proj: int | None = Field(None, gt=0, description="features of the projected state, fewer than `hidden`")
    c0: bool = Field(False, description="initial cells `[layers * directions, N, hidden]`, a tensor; zeros without")

    def _width(self) -> int:
        return self.proj or self.hidden

    def _widths(self) -> tuple[int, ...]:
        return (self._width(), self.hidden)

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType | tuple[TensorType, ...]:
        """`[N, T, directions * hidden]`, or `proj` in place of `hidden`, and each last state as its initial one."""
        if self.proj is not None and self.proj >= self.hidden:
            raise Reject("NS310", f"a projection to {self.proj} features makes {self.hidden} no fewer", argument="proj")
        if self.h0 != self.c0:
            missing, given = ("c0", "h0") if self.h0 else ("h0", "c0")
            raise Reject("NS310", f"`{given}` is given, and `{missing}` is not: an LSTM starts from both", argument=given)
        return super().shape(inputs, need)

    def torch(self, site: Site) -> Torch:
        """`nn.LSTM`; its states are a pair inside of what it returns."""
        (into, hidden), named = self._module_arguments(site)
        own = module("nn.LSTM", into, hidden, **named, **({"proj_size": self.proj} if self.proj else {}))
        if self.states:
            return Torch(own, call(UNPACKED, self._applied(site)), (UNPACKED, *self._supports()))
        return Torch(own, Item(self._applied(site), 0), self._supports())
