"""Which `train` sections are meant, and other values for their settings."""

from __future__ import annotations

from typing import Any

import pytest

from netspec import Refusal, loads
from netspec.graph import Graph
from netspec.recipe.optimizers import Sgd
from netspec.recipe.schedules import Cosine, Warmup
from netspec.recipe.section import Section, Term
from netspec.recipe.settings import L1, L2, Early
from netspec.training.sections import check_complete, chosen, names, overridden, override, title

NET = "net small { input x: [N, 4]; output y = x -> linear(3) }"
FULL = Section(
    name="fine",
    loss=(Term(measure=L1()), Term(measure=L2())),
    optimizer=Sgd(lr=0.1),
    schedule=(Warmup(epochs=5), Cosine()),
    stop=Early(),
    rates=(("fc", 10.0),),
    only=("fc",),
)


def graph(*sections: Section) -> Graph:
    return loads(NET).graph.model_copy(update={"training": sections})


def code(call: Any, *given: Any) -> str:
    with pytest.raises(Refusal) as caught:
        call(*given)
    return caught.value.diagnostic.code


# ------------------------------------------------------------------------------------------------------------- the choice
def test_all_sections_come_in_order() -> None:
    sections = (Section(name="warm"), Section(name="fine"))
    assert chosen(graph(*sections)) == sections


@pytest.mark.parametrize("name", ["fine", "2"])
def test_one_is_chosen_by_name_or_number(name: str) -> None:
    assert [s.name for s in chosen(graph(Section(name="warm"), Section(name="fine")), name)] == ["fine"]


def test_a_lone_section_without_a_name_is_called_as_the_net() -> None:
    here = graph(Section())
    assert title(here, here.training[0]) == "small" and chosen(here, "small") == here.training


def test_no_section_says_what_to_write() -> None:
    with pytest.raises(Refusal) as caught:
        chosen(graph())
    assert caught.value.diagnostic.code == "NS356" and "optimizer = sgd(" in caught.value.diagnostic.helps[0]


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(Refusal) as caught:
        chosen(graph(Section(name="warm"), Section(name="fine")), "fime")
    assert caught.value.diagnostic.code == "NS820" and "did you mean `fine`?" in caught.value.diagnostic.helps


@pytest.mark.parametrize("lacking", ["loss", "optimizer"])
def test_a_section_that_lacks_something_says_how_to_write_it(lacking: str) -> None:
    section = FULL.with_settings(**{lacking: () if lacking == "loss" else None})
    with pytest.raises(Refusal) as caught:
        check_complete(section)
    assert caught.value.diagnostic.code == "NS356" and f"`{lacking} = " in caught.value.diagnostic.helps[0]


# ----------------------------------------------------------------------------------------------------------- other values
@pytest.mark.parametrize(
    "name, value, read",
    [
        ("batch", 64, lambda s: s.batch == 64),
        ("compile", True, lambda s: s.compile is True),
        ("freeze", ["a", "b"], lambda s: s.freeze == ("a", "b")),
        ("freeze", "a", lambda s: s.freeze == ("a",)),
        ("only", None, lambda s: s.only is None),
        ("split", [0.8, 0.1, 0.1], lambda s: s.split == (0.8, 0.1, 0.1)),
        ("optimizer.lr", 0.5, lambda s: s.optimizer.lr == 0.5),
        ("optimizer.lr", 1, lambda s: s.optimizer.lr == 1.0),
        ("lr", 0.5, lambda s: s.optimizer.lr == 0.5),
        ("stop.patience", 3, lambda s: s.stop.patience == 3 and s.stop.monitor == "val.loss"),
        ("schedule.warmup.epochs", 2, lambda s: [p.epochs for p in s.schedule] == [2.0, None]),
        ("schedule.eta_min", 0.01, lambda s: s.schedule[1].eta_min == 0.01),
        ("rates.fc", 2, lambda s: s.rates == (("fc", 2.0),)),
        ("rates.layer1.*", 0.1, lambda s: s.rates == (("fc", 10.0), ("layer1.*", 0.1))),
    ],
)
def test_a_value_is_put_in_its_place(name: str, value: Any, read: Any) -> None:
    changed = override(FULL, name, value)
    assert read(changed) and changed != FULL


def test_values_are_put_in_one_after_the_other() -> None:
    assert overridden(FULL, {"batch": 8, "epochs": 2}).model_dump() == FULL.with_settings(batch=8, epochs=2).model_dump()


@pytest.mark.parametrize(
    "name, value, wanted",
    [
        ("batch", 0, "NS353"),
        ("batch", 1.5, "NS353"),
        ("batch", True, "NS353"),
        ("precision", "fp8", "NS353"),
        ("optimizer.lr", -1, "NS353"),
        ("optimizer..lr", 1, "NS350"),
        ("optimizer.lr", "fast", "NS353"),
        ("stop.mode", "maxx", "NS353"),
        ("rates.fc", "much", "NS353"),
        ("bach", 1, "NS350"),
        ("optimizer.rate", 1, "NS350"),
        ("optimizer", "adam", "NS350"),
        ("schedule.epochs", 3, "NS350"),
        ("clip.most", 3, "NS350"),
        ("origin", 3, "NS350"),
    ],
)
def test_what_cannot_be_is_refused(name: str, value: Any, wanted: str) -> None:
    assert code(override, FULL, name, value) == wanted


def test_every_name_that_is_told_is_known() -> None:
    for name in names(FULL):
        with pytest.raises(Refusal) as caught:
            override(FULL, name, object())
        assert caught.value.diagnostic.code == "NS353", name
