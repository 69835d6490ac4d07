"""Which elements a mask is of: one answer for the recipe, the loss, its metrics and the amounts that parts of a batch count by."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics.model import Refusal, SpecError
from netspec.network import Net
from netspec.recipe.wanted import describe, wanted
from netspec.training.data import check_data, open_for
from netspec.training.losses import make_objective
from netspec.training.losses.reduction import kept
from netspec.training.metrics import make_metrics

IMAGES = "net a {{ input x: [N, {c}, {h}, 8]; output y = x -> relu; train {{ loss = {loss}; optimizer = adam; metrics = [{metric}] }} }}"


def images(c: int, loss: str = "mse(y, t, mask = m)", metric: str = "mae", h: int = 8) -> Net:
    return netspec.loads(IMAGES.format(c=c, loss=loss, metric=metric, h=h))


def judged(net: Net, y: torch.Tensor, **columns: torch.Tensor) -> tuple[float, float]:
    """The loss of a section, and its metric."""
    section = net.graph.training[0]
    metrics = make_metrics(net.graph, section)
    metrics.update(y, columns)
    return float(make_objective(net.graph, section)(y, columns)), next(iter(metrics.compute().values()))


def batch(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    numbers = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=numbers), torch.randn(shape, generator=numbers)


def some(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(9)) > 0.4


@pytest.mark.parametrize("channels", [1, 3, 8])
def test_a_mask_of_pixels_is_of_pixels_whatever_the_channels_are(channels: int) -> None:
    """Also where channels, height and width are equal, so that it could be of channels and rows."""
    (y, t), mask = batch(5, channels, 8, 8), some(5, 8, 8)
    left_out = mask[:, None].expand_as(y)
    expected = ((y - t) ** 2)[left_out].mean(), (y - t).abs()[left_out].mean()
    for shaped in (mask, mask[:, None], left_out, mask.long()):
        found = judged(images(channels), y, t=t, m=shaped)
        assert found == (pytest.approx(float(expected[0])), pytest.approx(float(expected[1])))


def test_data_and_calls_read_a_mask_alike(tmp_path) -> None:
    (y, t), mask = batch(6, 8, 8, 8), some(6, 8, 8)
    net = images(8)
    section = net.graph.training[0]
    np.savez(tmp_path / "d.npz", x=y, t=t, m=mask)
    table = open_for(str(tmp_path / "d.npz"), net.graph, section)
    check_data(table, net.graph, section)
    columns = {name: torch.as_tensor(values) for name, values in table.take(np.arange(6)).items()}
    assert judged(net, y, **columns) == judged(net, y, t=t, m=mask)


def test_masks_of_channels_samples_and_steps() -> None:
    (y, t), channels = batch(5, 8, 8, 8), some(5, 8)
    loss, mae = judged(images(8), y, t=t, m=channels)
    assert loss == pytest.approx(float(((y - t) ** 2)[channels].mean())) and mae == pytest.approx(float((y - t).abs()[channels].mean()))
    (y, t), steps = batch(5, 7, 7), some(5, 7)
    net = netspec.loads("net a { input x: [N, T, 7]; output y = x -> relu; train { loss = mse(y, t, mask = m); metrics = [mae] } }")
    loss, mae = judged(net, y, t=t, m=steps)
    assert loss == pytest.approx(float(((y - t) ** 2)[steps].mean())) and mae == pytest.approx(float((y - t).abs()[steps].mean()))


def test_a_sequence_of_one_channel_may_leave_it_out() -> None:
    (y, t), steps = batch(5, 1, 7), some(5, 7)
    net = netspec.loads("net a { input x: [N, 1, T]; output y = x -> relu; train { loss = mse(y, t, mask = m); metrics = [mae] } }")
    assert judged(net, y, t=t, m=steps) == judged(net, y, t=t, m=steps[:, None])


@pytest.mark.parametrize("loss", ["bce_with_logits(y, t, mask = m)", "focal(y, t, activation = sigmoid, mask = m)"])
def test_several_labels_are_left_out_alike_by_loss_and_metric(loss: str) -> None:
    """Of `[N, 7, 7]` a mask `[N, 7]` is of axis 1 to a loss of each number, and of pixels to one that takes all labels together."""
    (y, goal), mask = batch(5, 7, 7), some(5, 7)
    t = (goal > 0).float()
    net = netspec.loads(f"net a {{ input x: [N, 7, 7]; output y = x -> relu; train {{ loss = {loss}; metrics = [accuracy] }} }}")
    whole = (mask[:, :, None] if "bce" in loss else mask[:, None]).expand_as(y)
    assert judged(net, y, t=t, m=mask)[1] == pytest.approx(float(((y > 0) == (t > 0.5))[whole].float().mean()))


def test_a_mask_that_loss_and_metric_would_read_differently_is_not_asked_for() -> None:
    """A square error of one-hot classes has a number for each class, their accuracy one for all."""
    net = images(8, metric="accuracy")
    forms = [describe(form) for form in wanted(net.graph, net.graph.training[0])["m"]]
    assert forms == [f"booleans of shape [{axes}]" for axes in ("N, 8, 8", "N", "N, 1, 8, 8")]
    net = "net a { input x: [N, 7, 7]; input m: [N, 7]; output y = x -> relu; output k = m; train { LOSS; metrics = [accuracy] } }"
    with pytest.raises(SpecError, match="is of classes to mse, and accuracy has one number for all of them"):
        netspec.loads(net.replace("LOSS", "loss = mse(y, t, mask = m)"))


@pytest.mark.parametrize("axis", [1, -1])
def test_a_divergence_lacks_the_axis_of_its_classes(axis: int) -> None:
    (y, goal), mask = batch(4, 5, 5, 5), some(4, 5, 5)
    spec = f"kl_div(y, t, logits = true, over = all, axis = {axis}, mask = m)"
    net = netspec.loads(f"net a {{ input x: [N, 5, 5, 5]; output y = x -> relu; train {{ loss = {spec} }} }}")
    t = goal.softmax(axis)
    elements = t * (t.log() - y.log_softmax(axis))
    expected = float(elements[mask.unsqueeze(axis).expand_as(y)].mean())
    assert float(net.loss()(y, {"t": t, "m": mask})) == pytest.approx(expected, rel=1e-5)


def test_messages_name_the_shape_that_was_given() -> None:
    y, t = batch(4, 3, 8, 8)
    with pytest.raises(Refusal, match=r"a mask of shape \[4, 8, 5\] does not fit elements of shape \[4, 3, 8, 8\]"):
        images(3).loss()(y, {"t": t, "m": some(4, 8, 5)})
    with pytest.raises(Refusal, match=r"\[4, 3, 6\]"):  # channels and rows: never read as anything
        images(3, h=6).loss()(y[:, :, :6], {"t": t[:, :, :6], "m": some(4, 3, 6)})


def test_parts_of_a_batch_count_what_masks_and_lengths_leave() -> None:
    net = images(8, "mse(y, t, mask = m, lengths = n)")
    (y, t), mask, lengths = batch(6, 8, 8, 8), some(6, 8, 8), torch.tensor([1, 8, 3, 5, 2, 8])
    objective = make_objective(net.graph, net.graph.training[0])
    counted = kept(y, mask, lengths, channel=1)
    assert objective.counts({"t": t, "m": mask, "n": lengths}) == counted.sum()
    assert float(objective(y, {"t": t, "m": mask, "n": lengths})) == pytest.approx(float(((y - t) ** 2)[counted].mean()))


def test_labels_of_another_width_are_refused_with_a_code() -> None:
    net = netspec.loads("net a { input x: [N, T, 4]; output y = x -> relu; train { loss = cross_entropy(y, t, axis = 2) } }")
    told = r"a target of shape \[8, 4\] does not fit a prediction of shape \[8, 7, 4\] with the classes along axis 2"
    with pytest.raises(Refusal, match=told):
        net.loss()(torch.randn(8, 7, 4), torch.zeros(8, 4, dtype=torch.int64))
