"""The networks over sequences that ship: states carried from call to call, causality, lengths, and what papers publish."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from tests.specs.recording import flat
from tests.specs.zoo_reference import fill, write

torch = pytest.importorskip("torch")


class Both:
    """A network in PyTorch and in onnxruntime, on the same weights."""

    def __init__(self, net: Any, folder: Path, gain: float = 1.0) -> None:
        weights = fill({w.name: w for w in net.graph.weights}, gain=gain)
        self.state = {name: torch.from_numpy(value) for name, value in weights.items()}
        self.module = net.torch(seed=0).eval()
        self.module.load_state_dict(self.state, strict=True)
        self.session = net.session(weights=write(weights, folder))
        self.inputs = [port.name for port in net.graph.inputs]
        self.outputs = [port.name for port in net.graph.outputs]

    def __call__(self, *arrays: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs by name, those of PyTorch, once it is seen that onnxruntime's are the same."""
        with torch.no_grad():
            result = self.module(*(torch.from_numpy(a) for a in arrays))
        ours = [t.numpy() for t in flat(result)]
        theirs = self.session(**dict(zip(self.inputs, arrays, strict=True)))
        for name, mine in zip(self.outputs, ours, strict=True):
            assert mine.shape == theirs[name].shape
            assert np.abs(mine - theirs[name]).max() <= 1e-4 * max(np.abs(mine).max(), 1e-3), name
        return dict(zip(self.outputs, ours, strict=True))


def noise(*shape: int, seed: int = 1) -> np.ndarray:
    """Numbers in [-1, 1]."""
    return (np.random.Generator(np.random.PCG64(seed)).random(shape) * 2 - 1).astype(np.float32)


def tokens(*shape: int, below: int, least: int = 0, seed: int = 1) -> np.ndarray:
    """Numbers from `least` up to, not including, `below`."""
    return np.random.Generator(np.random.PCG64(seed)).integers(least, below, shape)


def squashed(x: np.ndarray) -> np.ndarray:
    """The logistic function."""
    return 1 / (1 + np.exp(-x))


def close(a: np.ndarray, b: np.ndarray, tolerance: float = 1e-5) -> bool:
    """Whether two arrays are equal up to rounding."""
    return a.shape == b.shape and bool(np.abs(a - b).max() <= tolerance * max(np.abs(b).max(), 1e-3))


# -------------------------------------------------------------------------------------------------- language models
MODELS = {
    **{f"word_{unit}": {"vocabulary": 40, "width": 10, "layers": 2} for unit in ("rnn_tanh", "rnn_relu", "gru", "lstm", "lstm_tied")},
    "char_rnn": {"characters": 40, "hidden": 10},
    "char_gru": {"characters": 40, "hidden": 10},
}


@pytest.mark.parametrize("name", MODELS)
def test_a_text_read_in_pieces_gives_what_the_whole_text_gives(name: str, tmp_path: Path) -> None:
    model = Both(netspec.load(f"zoo.language:{name}", **MODELS[name]), tmp_path)
    text = tokens(3, 11, below=40)
    start = [noise(2, 3, 10, seed=2 + i) for i in range(len(model.inputs) - 1)]
    whole = model(text, *start)
    scores, states = [], start
    for piece in (text[:, :4], text[:, 4:5], text[:, 5:]):
        found = list(model(piece, *states).values())
        scores.append(found[0])
        states = found[1:]
    first, *last = whole.values()
    assert close(np.concatenate(scores, 1), first)
    assert all(close(a, b) for a, b in zip(states, last, strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_language_knows_nothing_of_what_follows(name: str, tmp_path: Path) -> None:
    model = Both(netspec.load(f"zoo.language:{name}", **MODELS[name]), tmp_path)
    text, start = tokens(1, 8, below=40), [np.zeros((2, 1, 10), np.float32)] * (len(model.inputs) - 1)
    other = text.copy()
    other[:, 5:] = (other[:, 5:] + 1) % 40
    a, b = (next(iter(model(t, *start).values())) for t in (text, other))
    assert close(a[:, :5], b[:, :5]) and not close(a[:, 5:], b[:, 5:])


def test_scores_of_words_are_logarithms_of_probabilities(tmp_path: Path) -> None:
    model = Both(netspec.load("zoo.language:word_gru", **MODELS["word_gru"]), tmp_path)
    scores = model(tokens(2, 5, below=40), noise(2, 2, 10))["scores"]
    assert np.allclose(np.exp(scores).sum(-1), 1, atol=1e-5)


def test_a_tied_model_stores_its_words_once() -> None:
    names = [w.name for w in netspec.load("zoo.language:word_lstm_tied").graph.weights]
    assert names[0] == "encoder.weight" and names[-1] == "decoder.bias" and "decoder.weight" not in names


def test_a_tied_model_takes_a_checkpoint_that_has_its_words_twice(tmp_path: Path) -> None:
    net = netspec.load("zoo.language:word_lstm_tied", **MODELS["word_lstm_tied"])
    model = Both(net, tmp_path)
    torch.save(model.state | {"decoder.weight": model.state["encoder.weight"]}, tmp_path / "tied.pt")
    text, states = tokens(2, 5, below=40), [noise(2, 2, 10, seed=seed) for seed in (2, 3)]
    session = net.session(weights=str(tmp_path / "tied.pt"))
    assert close(session(tokens=text, h0=states[0], c0=states[1])["scores"], model(text, *states)["scores"])


def test_karpathys_program_counts_as_many_parameters() -> None:
    """Four gates of 65 or 128 inputs, 128 states and two biases, and the decoder; his gates have two biases, too."""
    count = 4 * 128 * (65 + 128 + 2) + 4 * 128 * (128 + 128 + 2) + 129 * 65
    assert netspec.load("zoo.language:char_rnn").summary().parameters == count == 240_321


def test_words_start_where_the_papers_start() -> None:
    starts = {n: {str(w.init) for w in netspec.load(f"zoo.language:{n}").graph.weights} for n in ("word_lstm_medium", "word_lstm_large")}
    assert starts == {"word_lstm_medium": {"uniform(low = -0.05, high = 0.05)"}, "word_lstm_large": {"uniform(low = -0.04, high = 0.04)"}}


# ---------------------------------------------------------------------------------------- causal convolutions
@pytest.mark.parametrize("stacks", [1, 2, 3])
def test_a_wavenet_sees_1024_samples_with_its_first_stack_and_1023_with_each_other(stacks: int) -> None:
    net = netspec.load("zoo.wavenet:stacked", stacks=stacks, skips=4, ends=4)
    (condition,) = {str(c) for i in net.summary().inputs for c in i["constraints"]}
    assert condition == f"T >= {1 + 1023 * stacks}"


def wavenet_by_hand(state: dict[str, Any], x: Any, dilations: list[int]) -> Any:
    """Figure 4 of the paper, with convolutions that pad nothing."""
    import torch.nn.functional as F

    x, total = F.conv1d(x, state["start_conv.weight"]), 0
    length = x.shape[2] - sum(dilations)
    for i, d in enumerate(dilations):
        filter, gate = (F.conv1d(x, state[f"{kind}_convs.{i}.weight"], dilation=d) for kind in ("filter", "gate"))
        y = torch.tanh(filter) * torch.sigmoid(gate)
        total = total + F.conv1d(y, state[f"skip_convs.{i}.weight"])[:, :, -length:]
        x = F.conv1d(y, state[f"residual_convs.{i}.weight"]) + x[:, :, d:]
    x = F.conv1d(F.relu(total), state["end_conv_1.weight"], state["end_conv_1.bias"])
    return F.conv1d(F.relu(x), state["end_conv_2.weight"], state["end_conv_2.bias"])


@pytest.mark.parametrize(("batch", "length"), [(1, 15), (3, 16), (2, 40)])
def test_a_wavenet_computes_what_its_paper_draws(batch: int, length: int, tmp_path: Path) -> None:
    net = Both(netspec.load("zoo.wavenet:stacked", stacks=2, layers=3, width=5, gates=6, skips=7, ends=8), tmp_path)
    x = noise(batch, 256, length)
    expected = wavenet_by_hand(net.state, torch.from_numpy(x), [1, 2, 4, 1, 2, 4]).numpy()
    assert expected.shape == (batch, 256, length - 14)
    assert close(net(x)["scores"], expected)


@pytest.mark.parametrize(("name", "field"), [("adding", 3061), ("mnist", 3061), ("copy", 3571), ("music", 121)])
def test_a_temporal_network_never_looks_ahead_and_sees_far_back(name: str, field: int, tmp_path: Path) -> None:
    """The last score of a sequence, and that of the same sequence with more behind it, are equal at the same place."""
    net = netspec.load(f"zoo.tcn:tcn_{name}")
    kernel, levels = {"adding": (7, 8), "mnist": (7, 8), "copy": (8, 8), "music": (5, 4)}[name]
    assert field == 1 + 2 * (kernel - 1) * (2**levels - 1)
    if name not in ("copy", "music"):  # they say one thing of a whole sequence
        return
    both, axis = Both(net, tmp_path), 2 if name == "copy" else 1
    x = noise(2, 1, 30) if name == "copy" else noise(2, 30, 88)
    whole = next(iter(both(x).values()))
    part = next(iter(both(np.ascontiguousarray(x.take(range(17), axis))).values()))
    assert close(whole[:, :17], part)


def test_a_temporal_network_loads_what_pytorch_stored_before_it_renamed_normalized_weights(tmp_path: Path) -> None:
    net = netspec.load("zoo.tcn:tcn_mnist", width=6, levels=3)
    both = Both(net, tmp_path)
    x = torch.from_numpy(noise(2, 1, 20))
    with torch.no_grad():
        expected = both.module(x)
    renamed = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    old = {next((n.replace(new, before) for new, before in renamed.items() if new in n), n): t for n, t in both.state.items()}
    assert sum("weight_g" in n for n in old) == 6
    fresh = net.torch(seed=1).eval()
    fresh.load_state_dict(old, strict=True)
    with torch.no_grad():
        assert torch.equal(fresh(x), expected)
    twice = {n.replace("conv1", "net.0").replace("conv2", "net.4"): t for n, t in old.items()}  # as the authors' blocks have it
    torch.save(old | twice, tmp_path / "old.pt")
    theirs = net.session(weights=str(tmp_path / "old.pt"))(x=x.numpy())["scores"]
    assert close(theirs, expected.numpy())


# --------------------------------------------------------------------------------------------------------- taggers
def test_the_tag_of_a_word_depends_on_what_follows(tmp_path: Path) -> None:
    tagger = Both(netspec.load("zoo.tagger:bilstm_tagger", vocabulary=30, width=6, hidden=5, tags=4), tmp_path)
    text = tokens(2, 7, below=30)
    other = text.copy()
    other[:, -1] = (other[:, -1] + 1) % 30
    a, b = tagger(text)["scores"], tagger(other)["scores"]
    assert a.shape == (2, 7, 4) and np.abs(a[:, 0] - b[:, 0]).max() > 1e-4


def char_tagger_by_hand(state: dict[str, Any], words: Any, chars: list[Any]) -> Any:
    """One sentence without padding: figure 4 of Lample et al., in torch's own layers."""

    def lstm(name: str, inputs: int, hidden: int) -> Any:
        made = torch.nn.LSTM(inputs, hidden, bidirectional=True, batch_first=True)
        made.load_state_dict({n.removeprefix(f"{name}."): t for n, t in state.items() if n.startswith(f"{name}.")})
        return made

    letters, read = lstm("char_lstm", 3, 3), lstm("lstm", 5 + 6, 4)
    spelled = torch.stack([letters(state["char_embeds.weight"][word][None])[1][0].reshape(6) for word in chars])
    x = read(torch.cat((state["word_embeds.weight"][words], spelled), 1)[None])[0][0]
    x = torch.tanh(x @ state["h2_h1.weight"].T + state["h2_h1.bias"])
    return x @ state["hidden2tag.weight"].T + state["hidden2tag.bias"]


def test_padding_of_words_and_letters_changes_no_tag(tmp_path: Path) -> None:
    net = netspec.load("zoo.tagger:char_tagger", words=30, letters=20, width=5, small=3, hidden=4, tags=6)
    tagger = Both(net, tmp_path)
    words, chars = tokens(3, 5, below=30), tokens(3, 5, 7, below=20, seed=2)
    lengths, spelled = np.array([5, 2, 4]), tokens(3, 5, below=8, least=1, seed=3)
    scores = tagger(words, chars, spelled, lengths)["scores"]
    for n, length in enumerate(lengths):
        spellings = [torch.from_numpy(chars[n, t, : spelled[n, t]]) for t in range(length)]
        with torch.no_grad():
            expected = char_tagger_by_hand(tagger.state, torch.from_numpy(words[n, :length]), spellings).numpy()
        assert close(scores[n, :length], expected)


# ------------------------------------------------------------------------------------------------ text in images
@pytest.mark.parametrize(("width", "steps"), [(4, 2), (15, 4), (100, 26)])
def test_a_line_of_text_has_a_step_for_every_four_columns(width: int, steps: int, tmp_path: Path) -> None:
    net = Both(netspec.load("zoo.crnn:crnn", hidden=8, classes=5), tmp_path)
    assert net(noise(2, 1, 32, width))["scores"].shape == (steps, 2, 5)


# --------------------------------------------------------------------------------------------- networks of a course
def test_hidden_units_of_an_irnn_start_by_remembering() -> None:
    state = netspec.load("zoo.recurrent:irnn").torch(seed=3).state_dict()
    assert torch.equal(state["rnn.weight_hh_l0"], torch.eye(100))
    assert all(not state[name].any() for name in ("rnn.bias_ih_l0", "rnn.bias_hh_l0", "fc.bias"))
    assert 0.0005 < state["rnn.weight_ih_l0"].std() < 0.0015


@pytest.mark.parametrize(("batch", "length"), [(1, 1), (3, 2), (2, 5)])
def test_jordans_network_hears_what_it_said(batch: int, length: int, tmp_path: Path) -> None:
    net = Both(netspec.load("zoo.recurrent:jordan", inputs=3, hidden=4, outputs=2), tmp_path)
    cell = {n.removeprefix("cell."): t.numpy() for n, t in net.state.items()}
    x, said, steps = noise(batch, length, 3), np.zeros((batch, 2), np.float32), []
    for t in range(length):
        h = squashed(x[:, t] @ cell["hear.weight"].T + cell["hear.bias"] + said @ cell["recall.weight"].T)
        said = squashed(h @ cell["say.weight"].T + cell["say.bias"])
        steps.append(said)
    assert close(net(x)["y"], np.stack(steps, 1))


@pytest.mark.parametrize(("batch", "length"), [(1, 1), (3, 2), (2, 5)])
def test_peepholes_show_the_gates_their_cell(batch: int, length: int, tmp_path: Path) -> None:
    net = Both(netspec.load("zoo.recurrent:peephole_lstm", inputs=3, hidden=4, outputs=2), tmp_path)
    state = {n.removeprefix("cell."): t.numpy() for n, t in net.state.items()}
    look = {gate: state[f"peephole_{gate}"] for gate in "ifo"}
    x, h, c, steps = noise(batch, length, 3), np.zeros((batch, 4), np.float32), np.zeros((batch, 4), np.float32), []
    for t in range(length):
        sums = x[:, t] @ state["input.weight"].T + state["input.bias"] + h @ state["state.weight"].T
        i, f, g, o = np.split(sums, 4, 1)
        c = squashed(f + look["f"] * c) * c + squashed(i + look["i"] * c) * np.tanh(g)
        h = squashed(o + look["o"] * c) * np.tanh(c)
        steps.append(squashed(h @ state["fc.weight"].T + state["fc.bias"]))
    assert close(net(x)["y"], np.stack(steps, 1))


@pytest.mark.parametrize("length", [1, 4, 9])
def test_a_regressor_reads_each_sequence_to_its_end(length: int, tmp_path: Path) -> None:
    net = Both(netspec.load("zoo.recurrent:regressor", inputs=3, hidden=5), tmp_path)
    x, lengths = noise(4, length, 3), np.array([length, 1, (length + 1) // 2, length])
    together = net(x, lengths)["value"]
    alone = [net(x[n : n + 1, :k].copy(), np.array([k]))["value"][0] for n, k in enumerate(lengths)]
    assert close(together, np.array(alone))


@pytest.mark.parametrize("length", [1, 6])
def test_an_autoencoder_of_sequences_tells_its_decoder_one_vector(length: int, tmp_path: Path) -> None:
    net = Both(netspec.load("zoo.recurrent:sequence_autoencoder", features=4, code=5), tmp_path)
    layers = {name: torch.nn.LSTM(size, 5, batch_first=True) for name, size in (("encoder", 4), ("decoder", 5))}
    for name, layer in layers.items():
        layer.load_state_dict({n.removeprefix(f"{name}."): t for n, t in net.state.items() if n.startswith(f"{name}.")})
    x = noise(3, length, 4)
    with torch.no_grad():
        code = layers["encoder"](torch.from_numpy(x))[1][0][0]
        y = layers["decoder"](code[:, None].repeat(1, length, 1))[0]
        expected = (y @ net.state["head.weight"].T + net.state["head.bias"]).numpy()
    assert close(net(x)["same"], expected)


# --------------------------------------------------------------------------------------------- sequence to sequence
def luong_by_hand(state: dict[str, Any], source: Any, lengths: Any, given: Any, hidden: int, layers: int) -> tuple[Any, Any]:
    """The chatbot of PyTorch's tutorial: its encoder on packed sequences, and its decoder word by word."""

    def gru(name: str, both_ways: bool) -> Any:
        made = torch.nn.GRU(hidden, hidden, layers, bidirectional=both_ways, batch_first=True)
        made.load_state_dict({n.removeprefix(f"{name}."): t for n, t in state.items() if n.startswith(f"{name}.")})
        return made

    table, decoder = state["embedding.weight"], gru("decoder.gru", False)
    packed = torch.nn.utils.rnn.pack_padded_sequence(table[source], lengths, batch_first=True, enforce_sorted=False)
    steps, h = gru("encoder.gru", True)(packed)
    memory = torch.nn.utils.rnn.pad_packed_sequence(steps, batch_first=True, total_length=source.shape[1])[0]
    memory, h = memory[..., :hidden] + memory[..., hidden:], h[:layers]
    words, weights = [], []
    for t in range(given.shape[1]):
        y, h = decoder(table[given[:, t : t + 1]], h)
        weights.append(torch.softmax((y * memory).sum(2), 1))
        context = (weights[-1][:, None] @ memory)[:, 0]
        x = torch.tanh(torch.cat((y[:, 0], context), 1) @ state["decoder.concat.weight"].T + state["decoder.concat.bias"])
        words.append(torch.softmax(x @ state["decoder.out.weight"].T + state["decoder.out.bias"], 1))
    return torch.stack(words, 1), torch.stack(weights, 1)


@pytest.mark.parametrize(("source", "target"), [(6, 4), (1, 1), (3, 8)])
def test_a_decoder_with_luongs_attention_is_one_that_goes_word_by_word(source: int, target: int, tmp_path: Path) -> None:
    net = Both(netspec.load("zoo.seq2seq_attention:luong", vocabulary=30, hidden=6), tmp_path)
    read, given = tokens(3, source, below=30), tokens(3, target, below=30, seed=2)
    lengths = np.array([source, 1, (source + 1) // 2])
    found = net(read, lengths, given)
    with torch.no_grad():
        words, weights = luong_by_hand(net.state, *(torch.from_numpy(a) for a in (read, lengths, given)), 6, 2)
    assert close(found["words"], words.numpy()) and close(found["weights"], weights.numpy())


@pytest.mark.parametrize("length", [1, 5])
def test_a_translation_word_by_word_is_the_one_with_all_words_given(length: int, tmp_path: Path) -> None:
    whole = Both(netspec.load("zoo.seq2seq_attention:bahdanau", sources=30, targets=20, width=5, hidden=6), tmp_path)
    read, given = tokens(2, 7, below=30), tokens(2, length, below=20, seed=2)
    found = whole(read, given)
    step = netspec.load("zoo.seq2seq_attention:bahdanau_step", targets=20, width=5, hidden=6)
    decoder = {name: t for name, t in whole.state.items() if name.startswith("decoder.")}
    module = step.torch(seed=0).eval()
    module.load_state_dict(decoder, strict=True)
    session = step.session(weights=write({name: t.numpy() for name, t in decoder.items()}, tmp_path))
    with torch.no_grad():
        memory, h = whole.module.encoder(torch.from_numpy(read))
        for t in range(length):
            word = given[:, t]
            theirs = session(word=word, memory=memory.numpy(), h0=h.numpy())
            scores, weights, h = module(torch.from_numpy(word), memory, h)
            for ours in (scores.numpy(), theirs["scores"]):
                assert close(ours, found["scores"][:, t])
            for ours in (weights.numpy(), theirs["weights"]):
                assert close(ours, found["weights"][:, t])
