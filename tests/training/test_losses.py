"""Every loss equals PyTorch's own, or its formula in NumPy's float64; and its gradient is that of finite differences."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import netspec
from netspec.diagnostics.model import Refusal
from netspec.network import Net
from netspec.recipe import known, lookup
from netspec.recipe.section import Reference, Section, Term
from netspec.training.losses import make_objective
from netspec.training.losses.objective import prepare

IMAGE = (2, 3, 4, 5)


def made(shape: tuple[int, ...], seed: int = 0, positive: bool = False) -> torch.Tensor:
    """Numbers of a normal distribution, or between 0.05 and 0.95."""
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return 0.05 + 0.9 * values.sigmoid() if positive else values


def classes(shape: tuple[int, ...], below: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, below, shape, generator=torch.Generator().manual_seed(seed))


def shares(shape: tuple[int, ...], seed: int = 2) -> torch.Tensor:
    return made(shape, seed).softmax(1)


def loss(name: str, *tensors: torch.Tensor, **given) -> torch.Tensor:
    """A loss by name; keywords are its arguments, and its optional tensors."""
    optional = {key: value for key, value in given.items() if isinstance(value, torch.Tensor)}
    return prepare(lookup("loss", name)(**{k: v for k, v in given.items() if k not in optional}))(*tensors, **optional)


P, Y, LABEL, TARGET = made((6, 4)), made((6, 4), 3), classes((6,), 4), made((6, 4), 5, positive=True)
PIXELS, LABELS, MASKS = made(IMAGE), classes((2, 4, 5), 3), (made(IMAGE, 7) > 0).double()
WEIGHTS = (0.5, 1.0, 2.0)
W = torch.tensor(WEIGHTS, dtype=torch.float64)

EQUAL = {
    "cross_entropy": (loss("cross_entropy", P, LABEL), F.cross_entropy(P, LABEL)),
    "cross_entropy, smoothed": (
        loss("cross_entropy", PIXELS, LABELS, label_smoothing=0.1),
        F.cross_entropy(PIXELS, LABELS, label_smoothing=0.1),
    ),
    "cross_entropy, weighted": (loss("cross_entropy", PIXELS, LABELS, weight=WEIGHTS), F.cross_entropy(PIXELS, LABELS, W)),
    "cross_entropy, all of it": (
        loss("cross_entropy", PIXELS, LABELS, weight=WEIGHTS, label_smoothing=0.2, ignore_index=1),
        F.cross_entropy(PIXELS, LABELS, W, label_smoothing=0.2, ignore_index=1),
    ),
    "cross_entropy, ignoring": (loss("cross_entropy", PIXELS, LABELS, ignore_index=2), F.cross_entropy(PIXELS, LABELS, ignore_index=2)),
    "cross_entropy, probabilities": (loss("cross_entropy", P, shares((6, 4))), F.cross_entropy(P, shares((6, 4)))),
    "cross_entropy, last axis": (loss("cross_entropy", PIXELS.movedim(1, -1), LABELS, axis=-1), F.cross_entropy(PIXELS, LABELS)),
    "nll": (loss("nll", P.log_softmax(1), LABEL), F.nll_loss(P.log_softmax(1), LABEL)),
    "nll, ignoring": (
        loss("nll", PIXELS, LABELS, ignore_index=0, weight=WEIGHTS),
        F.nll_loss(PIXELS, LABELS, W, ignore_index=0),
    ),
    "binary_cross_entropy": (loss("binary_cross_entropy", TARGET, TARGET.flip(0)), F.binary_cross_entropy(TARGET, TARGET.flip(0))),
    "binary_cross_entropy, summed": (
        loss("bce", TARGET, TARGET.flip(0), over="batch"),
        F.binary_cross_entropy(TARGET, TARGET.flip(0), reduction="sum") / 6,
    ),
    "binary_cross_entropy_with_logits": (
        loss("binary_cross_entropy_with_logits", PIXELS, MASKS, pos_weight=WEIGHTS),
        F.binary_cross_entropy_with_logits(PIXELS, MASKS, pos_weight=W[:, None, None]),
    ),
    "binary_cross_entropy_with_logits, one weight": (
        loss("bce_with_logits", P, TARGET, pos_weight=3),
        F.binary_cross_entropy_with_logits(P, TARGET, pos_weight=torch.tensor(3.0)),
    ),
    "focal, gamma 0": (loss("focal", P, LABEL, gamma=0.0), F.cross_entropy(P, LABEL)),
    "kl_div": (loss("kl_div", P.log_softmax(1), shares((6, 4))), F.kl_div(P.log_softmax(1), shares((6, 4)), reduction="batchmean")),
    "kl_div, of logits": (
        loss("kl_div", P, shares((6, 4)).log(), logits=True, log_target=True, over="all"),
        F.kl_div(P.log_softmax(1), shares((6, 4)).log(), log_target=True, reduction="sum") / 24,
    ),
    "mse": (loss("mse", P, Y), F.mse_loss(P, Y)),
    "mse, over samples": (loss("mse", P, Y, over="batch"), (P - Y).square().sum(1).mean()),
    "squared_error": (loss("squared_error", P, Y), 0.5 * (P - Y).square().sum(1).mean()),
    "l1": (loss("mae", P, Y), F.l1_loss(P, Y)),
    "huber": (loss("huber", P, Y, delta=0.7), F.huber_loss(P, Y, delta=0.7)),
    "smooth_l1": (loss("smooth_l1", P, Y, beta=0.7), F.smooth_l1_loss(P, Y, beta=0.7)),
    "cosine": (loss("cosine", P, Y), (1 - F.cosine_similarity(P, Y)).mean()),
    "cosine, signs": (
        loss("cosine", P, Y, sign=torch.tensor([1, -1, 1, 0, 0, 1]), margin=0.1),
        F.cosine_embedding_loss(P, Y, torch.tensor([1, -1, 1, -1, -1, 1]), margin=0.1),
    ),
    "triplet": (loss("triplet", P, Y, TARGET, margin=0.5, swap=True), F.triplet_margin_loss(P, Y, TARGET, margin=0.5, swap=True)),
}  # fmt: skip


@pytest.mark.parametrize("case", EQUAL)
def test_equal_to_pytorch(case: str) -> None:
    found, expected = EQUAL[case]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def softmax(values: np.ndarray) -> np.ndarray:
    raised = np.exp(values - values.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


def test_focal_is_the_papers_formula() -> None:
    p = softmax(PIXELS.numpy())
    true = np.take_along_axis(p, LABELS.numpy()[:, None], 1)[:, 0]
    alpha = np.array(WEIGHTS)[LABELS.numpy()]
    assert loss("focal", PIXELS, LABELS, alpha=WEIGHTS).item() == pytest.approx(-(alpha * (1 - true) ** 2 * np.log(true)).mean(), abs=1e-9)
    q, t = 1 / (1 + np.exp(-PIXELS.numpy())), MASKS.numpy()
    right, share = np.where(t == 1, q, 1 - q), np.where(t == 1, 0.25, 0.75)
    found = loss("focal", PIXELS, MASKS, alpha=0.25, gamma=1.5, activation="sigmoid")
    assert found.item() == pytest.approx(-(share * (1 - right) ** 1.5 * np.log(right)).mean(), abs=1e-9)


def test_focal_of_one_hot_probabilities_is_that_of_classes() -> None:
    hot = F.one_hot(LABELS, 3).movedim(-1, 1).double()
    torch.testing.assert_close(loss("focal", PIXELS, hot), loss("focal", PIXELS, LABELS))
    torch.testing.assert_close(loss("focal", PIXELS.softmax(1), LABELS, activation="none"), loss("focal", PIXELS, LABELS))


@pytest.mark.parametrize("per", ["sample", "batch"])
def test_overlaps_are_their_formulas(per: str) -> None:
    p, t = softmax(PIXELS.numpy()), np.eye(3)[LABELS.numpy()].transpose(0, 3, 1, 2)
    axes = (2, 3) if per == "sample" else (0, 2, 3)
    both, left, right = (p * t).sum(axes), p.sum(axes), t.sum(axes)
    dice, jaccard = 1 - (2 * both + 1) / (left + right + 1), 1 - (both + 1) / (left + right - both + 1)
    assert loss("dice", PIXELS, LABELS, per=per).item() == pytest.approx(dice.mean(), abs=1e-9)
    assert loss("jaccard", PIXELS, LABELS, per=per).item() == pytest.approx(jaccard.mean(), abs=1e-9)
    assert loss("dice", PIXELS, LABELS, per=per, background=False).item() == pytest.approx(dice[..., 1:].mean(), abs=1e-9)
    weighted = (dice * WEIGHTS).sum(-1) / sum(WEIGHTS)
    assert loss("dice", PIXELS, LABELS, per=per, weight=WEIGHTS).item() == pytest.approx(weighted.mean(), abs=1e-9)


def test_dice_with_squares_and_sigmoid() -> None:
    p, t = 1 / (1 + np.exp(-PIXELS.numpy())), MASKS.numpy()
    expected = 1 - (2 * (p * t).sum((2, 3)) + 1) / ((p * p).sum((2, 3)) + t.sum((2, 3)) + 1)
    assert loss("dice", PIXELS, MASKS, squared=True, activation="sigmoid").item() == pytest.approx(expected.mean(), abs=1e-9)
    one, flat = PIXELS[:, :1], MASKS[:, 0]
    torch.testing.assert_close(loss("dice", one, flat), loss("dice", one, MASKS[:, :1]))


@pytest.mark.parametrize("name", ["dice", "jaccard"])
def test_the_overlap_of_nothing_with_nothing_is_whole(name: str) -> None:
    assert loss(name, torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), activation="none", smooth=0.0) == 0


@pytest.mark.parametrize("name", ["dice", "jaccard", "focal", "cross_entropy"])
def test_ignored_pixels_do_not_count(name: str) -> None:
    ignored = LABELS.clone()
    ignored[:, 1] = 255
    found = loss(name, PIXELS, ignored, ignore_index=255)
    rest = [0, 2, 3]
    torch.testing.assert_close(found, loss(name, PIXELS[:, :, rest], LABELS[:, rest]))
    mask = torch.ones(2, 4, 5)
    mask[:, 1] = 0
    for shaped in (mask, mask.bool(), mask[:, None]):
        torch.testing.assert_close(loss(name, PIXELS, LABELS, mask=shaped), found)


def test_total_variation() -> None:
    x = PIXELS.numpy()
    expected = np.abs(np.diff(x, axis=2)).sum() + np.abs(np.diff(x, axis=3)).sum()
    assert loss("total_variation", PIXELS).item() == pytest.approx(expected / 2)
    assert loss("total_variation", PIXELS, over="all").item() == pytest.approx(expected / x.size)


def test_gaussian_kl_is_that_of_the_distributions() -> None:
    standard = torch.distributions.Normal(torch.zeros_like(P), torch.ones_like(P))
    expected = torch.distributions.kl_divergence(torch.distributions.Normal(P, (0.5 * Y).exp()), standard).sum(1).mean()
    torch.testing.assert_close(loss("gaussian_kl", P, Y), expected)


def alignments(p: np.ndarray, text: list[int]) -> float:
    """The probability of a text, by going through all alignments: blanks are 0."""
    steps, width = p.shape
    total = 0.0
    for path in np.ndindex(*(width,) * steps):
        merged = [c for i, c in enumerate(path) if i == 0 or c != path[i - 1]]
        if [c for c in merged if c] == text:
            total += np.prod([p[i, c] for i, c in enumerate(path)])
    return total


def test_ctc_sums_over_all_alignments() -> None:
    logits = made((2, 5, 3))
    p = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(2, keepdims=True)
    text, lengths, steps = torch.tensor([[1, 2, 1], [2, 0, 0]]), torch.tensor([3, 1]), torch.tensor([5, 4])
    expected = -np.mean([math.log(alignments(p[0], [1, 2, 1])) / 3, math.log(alignments(p[1, :4], [2])) / 1])
    found = loss("ctc", logits, text, target_lengths=lengths, input_lengths=steps)
    assert found.item() == pytest.approx(expected, abs=1e-9)
    turned = loss("ctc", logits.log_softmax(2).transpose(1, 2), text, target_lengths=lengths, input_lengths=steps, axis=1, logits=False)
    torch.testing.assert_close(turned, found)
    assert loss("ctc", logits[:1], text[:1]).item() == pytest.approx(-math.log(alignments(p[0], [1, 2, 1])) / 3)


ELEMENTWISE = ("mse", "l1", "huber", "smooth_l1", "squared_error", "binary_cross_entropy_with_logits", "kl_div")


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_masks_and_lengths_leave_out_what_they_say(name: str) -> None:
    y, t = made((3, 4, 2)), made((3, 4, 2), 9, positive=True)
    lengths = torch.tensor([4, 1, 3])
    mask = torch.arange(4) < lengths[:, None]
    broken = t.clone()
    broken[~mask] = math.nan
    samples = loss(name, y, t, mask=torch.tensor([True, False, False]))
    torch.testing.assert_close(samples, loss(name, y[:1], t[:1]) / (3 if name in ("squared_error", "kl_div") else 1))
    expected = loss(name, y, t, mask=mask)
    torch.testing.assert_close(loss(name, y, broken, lengths=lengths), expected)
    torch.testing.assert_close(loss(name, y, t, mask=mask[..., None].expand(3, 4, 2).double()), expected)
    if name not in ("squared_error", "kl_div"):
        torch.testing.assert_close(expected, loss(name, y[mask], t[mask]))


@pytest.mark.parametrize("name", ["mse", "cross_entropy", "nll", "focal"])
def test_a_mean_of_nothing_is_nothing(name: str) -> None:
    y = made((3, 4)).requires_grad_()
    t = Y[:3] if name == "mse" else LABEL[:3]
    found = loss(name, y, t, mask=torch.zeros(3))
    found.backward()
    assert found == 0 and not y.grad.any()


def test_one_number_a_sample_fits_a_column_of_it() -> None:
    torch.testing.assert_close(loss("mse", P[:, :1], Y[:, 0]), F.mse_loss(P[:, 0], Y[:, 0]))
    with pytest.raises(Refusal, match="NS354"):
        loss("mse", P, Y[:, :1])
    with pytest.raises(Refusal, match="NS354"):
        loss("mse", P, Y, mask=torch.ones(5))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(dtype: torch.dtype) -> None:
    half = P.to(dtype)
    assert loss("cross_entropy", half, LABEL).dtype == torch.float32
    torch.testing.assert_close(loss("mse", half, Y.float()), F.mse_loss(half.float(), Y.float()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        p = half.sigmoid()
        assert loss("bce", p, TARGET.float()).dtype == torch.float32


SMOOTH = {
    "cross_entropy": ((PIXELS,), (LABELS,), {"weight": WEIGHTS, "label_smoothing": 0.1, "ignore_index": 0}),
    "nll": ((P,), (LABEL,), {}),
    "binary_cross_entropy": ((TARGET,), (TARGET.flip(0),), {}),
    "binary_cross_entropy_with_logits": ((P,), (TARGET,), {"pos_weight": 2.0}),
    "focal": ((PIXELS,), (LABELS,), {"gamma": 0.5}),
    "kl_div": ((P,), (shares((6, 4)),), {"logits": True}),
    "ctc": ((made((2, 5, 3)),), (torch.tensor([[1, 2], [2, 1]]),), {}),
    "mse": ((P,), (Y,), {}),
    "squared_error": ((P,), (Y,), {}),
    "l1": ((P,), (Y,), {}),
    "huber": ((P,), (Y,), {}),
    "smooth_l1": ((P,), (Y,), {}),
    "cosine": ((P, Y), (), {}),
    "triplet": ((P, Y, TARGET), (), {"margin": 3.0}),
    "dice": ((PIXELS,), (LABELS,), {}),
    "jaccard": ((PIXELS,), (LABELS,), {"per": "batch"}),
    "total_variation": ((PIXELS,), (), {}),
    "gaussian_kl": ((P, Y), (), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_are_finite_differences(name: str) -> None:
    free, fixed, arguments = SMOOTH[name]
    inputs = tuple(tensor.clone().requires_grad_() for tensor in free)
    assert torch.autograd.gradcheck(lambda *given: loss(name, *given, *fixed, **arguments), inputs)


def test_every_loss_is_tested() -> None:
    assert set(SMOOTH) == set(known()["loss"])


def test_every_loss_says_where_it_comes_from() -> None:
    for slot in ("loss", "metric", "penalty"):
        for name in known()[slot]:
            entry = lookup(slot, name)
            assert entry.SOURCE and entry.__doc__ and name in entry.__doc__


# the objective


def output(name: str) -> Reference:
    return Reference(kind="output", name=name)


def target(name: str) -> Reference:
    return Reference(kind="target", name=name)


def term(measure, *references: Reference, factor: float = 1.0, **named: Reference) -> Term:
    return Term(factor=factor, measure=measure, tensors=(*zip(type(measure).TENSORS, references), *named.items()))


def weights(selector: str) -> tuple[tuple[str, Reference], ...]:
    return (("weights", Reference(kind="weights", name=selector)),)


VAE = """net vae(code = 3) {
  input x: [N, 8]
  h = x -> linear(6) -> relu
  output mu = h -> linear(code)
  output logvar = h -> linear(code)
  output y = mu -> linear(8) -> sigmoid
}"""


@pytest.fixture(scope="module")
def vae() -> Net:
    return netspec.loads(VAE)


def test_a_bound_of_a_variational_autoencoder(vae: Net) -> None:
    section = Section(
        loss=(
            term(lookup("loss", "bce")(over="batch"), output("y"), Reference(kind="input", name="x")),
            term(lookup("loss", "gaussian_kl")(), output("mu"), output("logvar"), factor=2.0),
        )
    )
    objective, module, x = make_objective(vae.graph, section), vae.torch(), torch.rand(5, 8)
    outputs = module(x)
    kl = -0.5 * (1 + outputs.logvar - outputs.mu**2 - outputs.logvar.exp()).sum(1).mean()
    expected = F.binary_cross_entropy(outputs.y, x, reduction="sum") / 5 + 2 * kl
    torch.testing.assert_close(objective(outputs, inputs=x), expected)
    torch.testing.assert_close(objective(outputs._asdict(), x=x), expected)
    torch.testing.assert_close(objective(tuple(outputs), inputs={"x": x}), expected)
    terms = objective.terms(outputs, {"x": x})
    assert objective.targets == () and list(terms) == ["binary_cross_entropy", "gaussian_kl"]
    torch.testing.assert_close(sum(terms.values()), expected)


def test_several_outputs_and_targets(vae: Net) -> None:
    mse = lookup("loss", "mse")()
    loss = (term(mse, output("mu"), target("a"), mask=target("valid")), term(mse, output("y"), target("b"), factor=0.5))
    objective = make_objective(vae.graph, Section(loss=loss))
    assert objective.targets == ("a", "valid", "b")
    outputs, a, b, valid = vae.torch()(torch.rand(4, 8)), torch.rand(4, 3), torch.rand(4, 8), torch.tensor([1, 0, 1, 1])
    expected = F.mse_loss(outputs.mu[valid > 0], a[valid > 0]) + 0.5 * F.mse_loss(outputs.y, b)
    torch.testing.assert_close(objective(outputs, (a, valid, b)), expected)
    torch.testing.assert_close(objective(outputs, {"a": a, "b": b}, valid=valid), expected)
    assert list(objective.terms(outputs, {"a": a, "b": b, "valid": valid})) == ["mse", "mse_2"]


def test_penalties(vae: Net) -> None:
    l1, l2 = lookup("penalty", "l1")(), lookup("penalty", "l2")()
    section = Section(
        loss=(
            term(lookup("loss", "mse")(), output("y"), target("t")),
            Term(factor=0.1, measure=l1, tensors=weights("weights")),
            Term(factor=0.2, measure=l2, tensors=weights("linear2")),
        )
    )
    objective, module = make_objective(vae.graph, section), vae.torch()
    outputs, t = module(torch.rand(4, 8)), torch.rand(4, 8)
    absolute = sum(p.abs().sum() for name, p in module.named_parameters() if name.endswith("weight"))
    squared = 0.5 * (module.linear2.weight.square().sum() + module.linear2.bias.square().sum())
    torch.testing.assert_close(objective(outputs, t, module=module), F.mse_loss(outputs.y, t) + 0.1 * absolute + 0.2 * squared)
    outside = torch.compile(module, backend="eager")
    torch.testing.assert_close(objective(outputs, t, module=outside), objective(outputs, t, module=module))
    with pytest.raises(Refusal, match="NS354"):
        objective(outputs, t)
    with pytest.raises(Refusal, match="NS355"):
        make_objective(vae.graph, Section(loss=(Term(measure=l2, tensors=weights("nothing")),)))


def test_what_is_missing_is_said(vae: Net) -> None:
    objective = make_objective(vae.graph, Section(loss=(term(lookup("loss", "mse")(), output("y"), target("t")),)))
    outputs = vae.torch()(torch.rand(4, 8))
    for call in (
        lambda: objective(outputs),
        lambda: objective(outputs, {"u": torch.rand(4, 8)}),
        lambda: objective(outputs, (torch.rand(4, 8), torch.rand(4, 8))),
        lambda: objective(outputs.y, torch.rand(4, 8)),
        lambda: objective({"mu": outputs.mu}, torch.rand(4, 8)),
    ):
        with pytest.raises(Refusal, match="NS354"):
            call()
    with pytest.raises(Refusal, match="NS356"):
        make_objective(vae.graph, Section())


TAGGER = "net tagger(T = 5) { input x: [N, T, 4]; output tags = x -> linear(3) }"


def test_padding_does_not_count() -> None:
    net = netspec.loads(TAGGER)
    entry = lookup("loss", "cross_entropy")
    y, tags, lengths = torch.randn(3, 5, 3), classes((3, 5), 3), torch.tensor([5, 2, 1])
    keep = torch.arange(5) < lengths[:, None]
    expected = F.cross_entropy(y[keep], tags[keep])
    silent = make_objective(net.graph, Section(loss=(term(entry(axis=-1), output("tags"), target("t")),)))
    said = make_objective(net.graph, Section(loss=(term(entry(axis=-1), output("tags"), target("t"), lengths=target("x.lengths")),)))
    torch.testing.assert_close(silent.compute(y, {"t": tags, "t.lengths": lengths}), expected)
    torch.testing.assert_close(said.compute(y, {"t": tags, "x.lengths": lengths}), expected)
    torch.testing.assert_close(said.compute(y, {"t": tags}), F.cross_entropy(y.flatten(0, 1), tags.flatten()))
    assert silent.targets == said.targets == ("t",)


def test_the_net_of_two_two_and_two() -> None:
    """Mazur's worked example of backpropagation: the total error before the first step."""
    net = netspec.loads("net two { input x: [N, 2]; output y = x -> linear(2) as a -> sigmoid -> linear(2) as b -> sigmoid }")
    module = net.torch()
    with torch.no_grad():
        module.a.weight.copy_(torch.tensor([[0.15, 0.20], [0.25, 0.30]]))
        module.b.weight.copy_(torch.tensor([[0.40, 0.45], [0.50, 0.55]]))
        module.a.bias.fill_(0.35)
        module.b.bias.fill_(0.60)
    objective = make_objective(net.graph, Section(loss=(term(lookup("loss", "squared_error")(), output("y"), target("t")),)))
    error = objective(module(torch.tensor([[0.05, 0.10]])), torch.tensor([[0.01, 0.99]]))
    assert error.item() == pytest.approx(0.298371109, abs=1e-7)
    error.backward()
    assert (module.b.weight - 0.5 * module.b.weight.grad)[0, 0].item() == pytest.approx(0.35891648, abs=1e-7)
    assert (module.a.weight - 0.5 * module.a.weight.grad)[0, 0].item() == pytest.approx(0.149780716, abs=1e-7)


UNEVEN = {
    "samples": ({}, {}),
    "class weights": ({"weight": WEIGHTS}, {}),
    "ignored classes": ({"ignore_index": 1, "weight": WEIGHTS}, {}),
    "a mask": ({}, {"mask": target("valid")}),
    "lengths": ({}, {"lengths": target("t.lengths")}),
    "all of it": ({"ignore_index": 0, "weight": WEIGHTS}, {"mask": target("valid"), "lengths": target("t.lengths")}),
}  # fmt: skip


@pytest.mark.parametrize("case", UNEVEN)
def test_parts_of_a_batch_add_up_to_it(case: str) -> None:
    given, optional = UNEVEN[case]
    net = netspec.loads(TAGGER)
    entry = lookup("loss", "cross_entropy")(axis=-1, **given)
    loss = (
        term(entry, output("tags"), target("t"), **optional),
        term(lookup("loss", "squared_error")(), output("tags"), target("u"), factor=0.5, **{k: v for k, v in optional.items()}),
        term(lookup("loss", "mse")(), output("tags"), target("u"), **optional),
    )
    objective = make_objective(net.graph, Section(loss=loss))
    outputs = torch.randn(7, 5, 3)
    batch = {"t": classes((7, 5), 3), "u": torch.randn(7, 5, 3), "valid": classes((7, 5), 2, 9), "t.lengths": 1 + classes((7,), 5)}
    batch = batch if "lengths" in optional else {name: column for name, column in batch.items() if name != "t.lengths"}
    parts = [({name: column[rows] for name, column in batch.items()}, outputs[rows]) for rows in (slice(0, 2), slice(2, 7))]
    counts = [objective.counts(part) for part, _ in parts]
    whole, sums = objective.compute(outputs, batch), objective.sums()
    for part, out in parts:
        objective.add(sums, out, part)
    assert (sums[0] / sums[1]).nansum().item() == pytest.approx(whole.item(), rel=1e-6)
    if case == "samples":
        assert counts == [None, None]
        return
    shares = [count / sum(counts) for count in counts]
    found = sum(objective.compute_shared(out, part, None, share) for (part, out), share in zip(parts, shares))
    torch.testing.assert_close(found, whole)
