"""What torch's recurrent layers lack, as source that a written network carries."""

from netspec.terms import Support

UNPACKED = Support(
    "unpacked",
    '''\
def unpacked(
    result: tuple[Tensor, tuple[Tensor, Tensor]],
) -> tuple[Tensor, Tensor, Tensor]:
    """What `nn.LSTM` returns with its pair of states taken apart: the sequence, h and c."""
    sequence, (h, c) = result
    return sequence, h, c
''',
)

OVER_LENGTHS = Support(
    "over_lengths",
    '''\
def over_lengths(
    layer: nn.RNNBase,
    x: Tensor,
    lengths: Tensor,
    states: Tensor | tuple[Tensor, Tensor] | None = None,
) -> tuple:
    """A recurrent layer over sequences that end after `lengths` steps.

    What it returns is zero from there on; the last states are those of the ends.
    """
    packed = nn.utils.rnn.pack_padded_sequence(
        x, lengths.cpu(), batch_first=True, enforce_sorted=False
    )
    steps, last = layer(packed, states)
    steps, _ = nn.utils.rnn.pad_packed_sequence(
        steps, batch_first=True, total_length=x.shape[1]
    )
    return steps, last
''',
)

RESET_BEFORE = Support(
    "ResetBeforeGRU",
    '''\
class ResetBeforeGRU(nn.GRU):
    """`nn.GRU` whose reset gate acts on the state before the product with its matrix, as in Cho et al., arXiv:1406.1078."""

    def forward(
        self, x: Tensor, h0: Tensor | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        directions = 2 if self.bidirectional else 1
        if h0 is None:
            h0 = x.new_zeros(self.num_layers * directions, x.shape[0], self.hidden_size)
        self._update_flat_weights()
        each = 4 if self.bias else 2
        last = []
        for layer in range(self.num_layers):
            if layer > 0:
                x = F.dropout(x, self.dropout, self.training)
            runs = []
            for direction in range(directions):
                number = layer * directions + direction
                weights = self._flat_weights[number * each : (number + 1) * each]
                steps, h = self.run(x, h0[number], weights, lengths, direction == 1)
                runs.append(steps)
                last.append(h)
            x = torch.cat(runs, 2)
        return x, torch.stack(last)

    def run(
        self,
        x: Tensor,
        h: Tensor,
        weights: list[Tensor],
        lengths: Tensor | None,
        back: bool,
    ) -> tuple[Tensor, Tensor]:
        """One layer in one direction: all steps, zero where a sequence has ended, and the last state."""
        sizes = [2 * self.hidden_size, self.hidden_size]
        weight_rz, weight_n = weights[1].split(sizes)
        bias_ih = weights[2] if self.bias else None
        bias_hh = weights[3] if self.bias else x.new_zeros(len(weights[1]))
        bias_rz, bias_n = bias_hh.split(sizes)
        steps = list(F.linear(x, weights[0], bias_ih).unbind(1))
        times = list(range(len(steps)))
        if back:
            times = times[::-1]
        for t in times:
            into_rz, into_n = steps[t].split(sizes, 1)
            r, z = (into_rz + F.linear(h, weight_rz, bias_rz)).sigmoid().chunk(2, 1)
            n = (into_n + F.linear(r * h, weight_n, bias_n)).tanh()
            steps[t] = (1 - z) * n + z * h
            if lengths is not None:
                here = (t < lengths).unsqueeze(1)
                h = torch.where(here, steps[t], h)
                steps[t] = torch.where(here, steps[t], 0)
            else:
                h = steps[t]
        return torch.stack(steps, 1), h
''',
)

RESET_BEFORE_CELL = Support(
    "ResetBeforeGRUCell",
    '''\
class ResetBeforeGRUCell(nn.GRUCell):
    """`nn.GRUCell` whose reset gate acts on the state before the product with its matrix, as in Cho et al., arXiv:1406.1078."""

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        if h is None:
            h = x.new_zeros(x.shape[0], self.hidden_size)
        sizes = (2 * self.hidden_size, self.hidden_size)
        steps = F.linear(x, self.weight_ih, self.bias_ih if self.bias else None)
        into_rz, into_n = steps.split(sizes, 1)
        weight_rz, weight_n = self.weight_hh.split(sizes)
        bias_rz, bias_n = self.bias_hh.split(sizes) if self.bias else (None, None)
        r, z = (into_rz + F.linear(h, weight_rz, bias_rz)).sigmoid().chunk(2, 1)
        n = (into_n + F.linear(r * h, weight_n, bias_n)).tanh()
        return (1 - z) * n + z * h
''',
)
