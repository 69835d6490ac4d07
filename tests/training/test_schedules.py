"""Schedules against PyTorch's own, at whole epochs, with parameter groups of different rates; and what PyTorch has no counterpart for."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch.optim import lr_scheduler as theirs

from netspec.diagnostics.model import Refusal
from netspec.op import Reject
from netspec.recipe import known, lookup
from netspec.recipe.entry import read_entry, write_entry
from netspec.recipe.schedules import (
    Constant,
    Cosine,
    Exponential,
    MultiStep,
    OneCycle,
    Plateau,
    Polynomial,
    Step,
    Warmup,
    check_schedule,
)
from netspec.recipe.section import Section
from netspec.training.schedules import make_schedule
from tests.timing import in_time

EPOCHS = 24


def optimizer(kind=torch.optim.SGD, **options):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(2))], "lr": lr} for lr in (0.1, 1.0, 0.003)]
    return kind(groups, lr=0.1, **options)


def ours(*pieces, epochs=EPOCHS, steps=1, opt=None):
    opt = opt or optimizer()
    section = Section(schedule=pieces, epochs=epochs)
    return make_schedule(section, opt, steps), opt


def rates(schedule, opt, count):
    """The rates of every group before each of that many updates."""
    found = []
    for _ in range(count):
        found.append([group["lr"] for group in opt.param_groups])
        opt.step()
        schedule.step()
    return found


def same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second):
        assert a == pytest.approx(b, rel=1e-9, abs=1e-15)


PAIRS = {
    "constant": (Constant(), lambda o: theirs.LambdaLR(o, lambda epoch: 1.0)),
    "factor": (Constant(factor=0.5), lambda o: theirs.ConstantLR(o, 0.5, 1000)),
    "step": (Step(every=5), lambda o: theirs.StepLR(o, 5)),
    "step by half": (Step(every=3, factor=0.5), lambda o: theirs.StepLR(o, 3, 0.5)),
    "multi_step": (MultiStep(at=(4, 9, 20), factor=0.3), lambda o: theirs.MultiStepLR(o, [4, 9, 20], 0.3)),
    "exponential": (Exponential(gamma=0.9), lambda o: theirs.ExponentialLR(o, 0.9)),
    "polynomial": (Polynomial(), lambda o: theirs.PolynomialLR(o, EPOCHS)),
    "poly 0.9": (Polynomial(epochs=10, power=0.9), lambda o: theirs.PolynomialLR(o, 10, 0.9)),
    "cosine": (Cosine(), lambda o: theirs.CosineAnnealingLR(o, EPOCHS)),
    "cosine to 1e-3": (Cosine(eta_min=1e-3), lambda o: theirs.CosineAnnealingLR(o, EPOCHS, 1e-3)),
    "warmup": (Warmup(epochs=5), lambda o: theirs.LinearLR(o, 1 / 5, 1.0, 4)),
    "warmup from": (Warmup(epochs=4, start=0.2), lambda o: theirs.LinearLR(o, 0.4, 1.0, 3)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_as_torch(name):
    piece, make = PAIRS[name]
    opt = optimizer()
    reference = rates(make(opt), opt, EPOCHS)
    schedule, mine = ours(piece)
    same(rates(schedule, mine, EPOCHS), reference)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("steps", [3, 7])
def test_updates_between_epochs(name, steps):
    """At the first update of every epoch the rates are those of stepping by epochs; warm-up alone counts updates."""
    if name.startswith("warmup"):
        return
    piece, _ = PAIRS[name]
    by_epoch = rates(*ours(piece), EPOCHS)
    by_update = rates(*ours(piece, steps=steps), EPOCHS * steps)
    same(by_update[::steps], by_epoch)
    if isinstance(piece, (Exponential, Polynomial, Cosine)):
        first = [row[0] for row in by_update]
        assert all(a >= b for a, b in zip(first, first[1:])) and first[1] < first[0]


def test_warmup_then_cosine_as_sequential():
    opt = optimizer()
    reference = theirs.SequentialLR(opt, [theirs.LinearLR(opt, 1 / 5, 1.0, 4), theirs.CosineAnnealingLR(opt, EPOCHS - 5)], [5])
    same(rates(*ours(Warmup(epochs=5), Cosine()), EPOCHS), rates(reference, opt, EPOCHS))


def test_three_pieces_as_sequential():
    opt = optimizer()
    parts = [theirs.ConstantLR(opt, 0.1, 100), theirs.ExponentialLR(opt, 0.8), theirs.StepLR(opt, 4, 0.5)]
    reference = rates(theirs.SequentialLR(opt, parts, [3, 9]), opt, EPOCHS)
    same(rates(*ours(Constant(epochs=3, factor=0.1), Exponential(gamma=0.8, epochs=6), Step(every=4, factor=0.5)), EPOCHS), reference)


def test_warmup_by_updates():
    schedule, opt = ours(Warmup(epochs=2, start=0.1), Constant(), steps=5)
    found = [row[1] for row in rates(schedule, opt, 12)]
    assert found == pytest.approx([0.1 + 0.9 * (s + 1) / 10 for s in range(10)] + [1.0, 1.0])


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("three_phase", [False, True])
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_one_cycle_as_torch(strategy, three_phase, kind):
    options = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    opt = optimizer(kind, **options)
    peaks = [group["lr"] for group in opt.param_groups]
    reference = theirs.OneCycleLR(opt, peaks, 60, anneal_strategy=strategy, three_phase=three_phase, pct_start=0.37)
    schedule, mine = ours(
        OneCycle(anneal_strategy=strategy, three_phase=three_phase, pct_start=0.37), epochs=6, steps=10, opt=optimizer(kind, **options)
    )
    for update in range(60):
        for a, b in zip(mine.param_groups, opt.param_groups):
            assert a["lr"] == pytest.approx(b["lr"], rel=1e-9)
            if kind is torch.optim.SGD:
                assert a["momentum"] == pytest.approx(b["momentum"], rel=1e-9)
            else:
                assert a["betas"] == pytest.approx(b["betas"], rel=1e-9)
        opt.step(), mine.step(), schedule.step()
        if update < 59:
            reference.step()


def test_one_cycle_with_a_peak_of_its_own():
    opt = optimizer()
    opt.param_groups[1]["factor"] = 10.0
    schedule, _ = ours(OneCycle(max_lr=2.0, cycle_momentum=False, div_factor=4.0), epochs=10, opt=opt)
    assert [group["lr"] for group in opt.param_groups] == pytest.approx([0.5, 5.0, 0.5])


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("seed", range(6))
def test_plateau_as_torch(mode, threshold_mode, seed):
    draw = torch.Generator().manual_seed(seed)
    options = {"factor": 0.5, "patience": 1 + seed % 3, "threshold": 0.05, "cooldown": seed % 2 * 2, "min_lr": 1e-3}
    opt = optimizer()
    reference = theirs.ReduceLROnPlateau(opt, mode, threshold_mode=threshold_mode, **options)
    schedule, mine = ours(Plateau(mode=mode, threshold_mode=threshold_mode, **options), epochs=60)
    for value in torch.rand(60, generator=draw).tolist():
        opt.step(), mine.step()
        reference.step(value)
        schedule.step(value)
        assert [g["lr"] for g in mine.param_groups] == pytest.approx([g["lr"] for g in opt.param_groups], rel=1e-12)


def test_plateau_after_warmup_observes_its_own_epochs():
    schedule, opt = ours(Warmup(epochs=2), Plateau(patience=0, factor=0.5), steps=2)
    seen = []
    for _ in range(6):
        for _ in range(2):
            schedule.step()
        schedule.observe(1.0)
        seen.append(opt.param_groups[1]["lr"])
    assert seen == [0.75, 1.0, 0.5, 0.25, 0.125, 0.0625]
    assert schedule.monitor == "val.loss"


def test_plateau_knows_what_is_good():
    lower, _ = ours(Plateau(monitor="val.loss"))
    upper, _ = ours(Plateau(monitor="val.accuracy"))
    asked = make_schedule(Section(schedule=(Plateau(monitor="val.kappa_loss"),)), optimizer(), 1, lambda name: "max")
    assert [list(s._memories.values())[0].largest for s in (lower, upper, asked)] == [False, True, True]


def test_nothing_new_is_better_than_nan():
    schedule, opt = ours(Plateau(patience=1, factor=0.5))
    for _ in range(4):
        schedule.observe(math.nan)
    assert opt.param_groups[1]["lr"] == 0.25


RESUMED = [
    (Warmup(epochs=2), Cosine()),
    (Warmup(epochs=1.5, start=0.01), MultiStep(at=(2, 5)),),
    (OneCycle(),),
    (Warmup(epochs=1), Plateau(patience=1, factor=0.7, cooldown=1)),
    (Exponential(gamma=0.8, epochs=3), Polynomial(power=2.0)),
    (),
]  # fmt: skip


@pytest.mark.parametrize("pieces", RESUMED, ids=lambda pieces: "_".join(p.NAME for p in pieces) or "none")
def test_resumed_at_any_update(pieces):
    """The state through JSON, loaded before or after the optimizer's: from then on, the very same rates."""

    def going_on(schedule, opt, start):
        found = []
        for update in range(start, 40):
            found.append([(g["lr"], g.get("momentum")) for g in opt.param_groups])
            schedule.step()
            if (update + 1) % 5 == 0:
                schedule.observe(float(update % 3))
        return found

    new = lambda: optimizer(momentum=0.9)  # noqa: E731
    whole = going_on(*ours(*pieces, epochs=8, steps=5, opt=new()), 0)
    for stop in (1, 4, 5, 9, 17, 30, 39):
        schedule, opt = ours(*pieces, epochs=8, steps=5, opt=new())
        for update in range(stop):
            schedule.step()
            if (update + 1) % 5 == 0:
                schedule.observe(float(update % 3))
        state, theirs_state = json.loads(json.dumps(schedule.state_dict())), opt.state_dict()
        for first in (True, False):
            again, other = ours(*pieces, epochs=8, steps=5, opt=new())
            if first:
                again.load_state_dict(state)
            other.load_state_dict(theirs_state)
            if not first:
                again.load_state_dict(state)
            assert going_on(again, other, stop) == whole[stop:]


def test_state_of_another_schedule():
    schedule, _ = ours(Plateau())
    other, _ = ours(Cosine())
    with pytest.raises(ValueError):
        other.load_state_dict(schedule.state_dict())


def test_past_the_end_the_rate_stays():
    schedule, opt = ours(Cosine(epochs=4, eta_min=0.01), epochs=10)
    found = [row[1] for row in rates(schedule, opt, 10)]
    assert found[4:] == [0.01] * 6


def test_pieces_must_end_before_others_begin():
    with pytest.raises(Reject) as refused:
        check_schedule((Cosine(), Constant()))
    assert refused.value.code == "NS353"
    with pytest.raises(Refusal) as refusal:
        ours(Step(every=3), Cosine())
    assert refusal.value.diagnostic.code == "NS353"


def test_one_cycle_needs_a_momentum():
    sgd, adam, adagrad = (lookup("optimizer", name)(lr=0.1) for name in ("sgd", "adam", "adagrad"))
    check_schedule((OneCycle(),), sgd)
    check_schedule((OneCycle(),), adam)
    check_schedule((OneCycle(cycle_momentum=False),), adagrad)
    with pytest.raises(Reject):
        check_schedule((OneCycle(),), adagrad)


def test_rates_that_are_tensors_stay_those():
    parameter = torch.nn.Parameter(torch.zeros(2))
    opt = torch.optim.Adam([parameter], lr=torch.tensor(0.5))
    kept = opt.param_groups[0]["lr"]
    schedule, _ = ours(Step(every=1, factor=0.5), opt=opt)
    schedule.step()
    assert opt.param_groups[0]["lr"] is kept and kept.item() == 0.25 and schedule.get_last_lr() == [0.25]


@pytest.mark.parametrize("name", known()["schedule"])
def test_entries(name):
    """Every entry is documented, names its source, and is the same after JSON."""
    entry = lookup("schedule", name)
    made = {"step": {"every": 3}, "multi_step": {"at": (1, 2)}, "exponential": {"gamma": 0.9}, "warmup": {"epochs": 5}}.get(name, {})
    whole = entry(**made)
    whole.check()
    assert read_entry(json.loads(json.dumps(write_entry(whole)))) == whole
    assert entry.__doc__ and entry.SOURCE and issubclass(type(make_schedule(Section(schedule=(whole,)), optimizer())), theirs.LRScheduler)


def test_milestones_in_order():
    with pytest.raises(Reject):
        MultiStep(at=(5, 2)).check()


@pytest.mark.bench
@pytest.mark.parametrize("pieces, most", [((), 0.5e-6), ((Warmup(epochs=5), Cosine()), 5e-6)])
def test_cost_of_a_step(pieces, most):
    schedule, _ = ours(*pieces, epochs=1000, steps=100)
    assert in_time(500 * most, lambda: [schedule.step() for _ in range(500)])
