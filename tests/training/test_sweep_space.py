"""What a sweep searches: the values of ranges, what searched names mean, and what is refused before the first trial."""

from __future__ import annotations

from typing import Any

import pytest

from netspec.diagnostics.model import Refusal, SpecError
from netspec.recipe.settings import Choice, Int, Log, Uniform
from netspec.source import Source
from netspec.training import sections
from netspec.training.sweep import Spec, check_space, compile_once, range_of, space_of, total_of
from netspec.training.sweep.ranges import between, shown, spelled, values
from netspec.training.sweep.space import split_values, target_of

NET = """\
net a(width = 8, act = relu) {
  input x: [N, 4]
  output y = x -> linear(width) -> act -> linear(3)

  train {
    loss      = cross_entropy(y, label, label_smoothing = 0.1)
    optimizer = sgd(lr = 0.1, momentum = 0.9)
    schedule  = warmup(1) then cosine(3) then cosine(4)
    rates     { linear: 2 }
    clip      = 1.0
    SEARCH
  }
}
"""


def prepared(search: str, **options: Any) -> tuple[Spec, Any, Any, Any]:
    """The spec with a `search` table, its tree, its network and its section."""
    spec = Spec(Source("a.net", NET.replace("SEARCH", search)), "a", **options)
    module = spec.module()
    graph = compile_once(spec, module, {})
    return spec, module, graph, spec.section(graph)


def space(search: str) -> Any:
    spec, module, _, section = prepared(search)
    found = space_of(section, {}, spec.parameters(module))
    check_space(found, spec, module, section)
    return found


# ----------------------------------------------------------------------------------------------------------- ranges
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[0, 0.9, 0.99, 0.9]", (0, 0.9, 0.99)),
        ("[true, 1, 1.0]", (True, 1, 1.0)),
        ("int(1, 8, step = 3)", (1, 4, 7)),
        ("uniform(0, 0.3, step = 0.1)", (0.0, 0.1, 0.2, 0.3)),
        ("uniform(0, 1, step = 0.4)", (0.0, 0.4, 0.8)),
        ("uniform(2, 8, step = 2)", (2, 4, 6, 8)),
        ("uniform(0, 1)", None),
        ("log(1e-4, 1)", None),
    ],
)
def test_values(text: str, expected: Any) -> None:
    found = values(range_of("lr", text))
    assert found == expected
    if found is not None:
        assert [type(value) for value in found] == [type(value) for value in expected]


def test_values_of_continuous_ranges_by_their_number() -> None:
    assert values(Log(low=1e-4, high=1), 5) == (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    assert values(Uniform(low=0, high=1), 3) == (0.0, 0.5, 1.0)
    assert values(Int(low=1, high=100, log=True), 3) == (1, 10, 100)
    assert values(Int(low=1, high=3), 2) == (1, 2, 3)  # a range of whole numbers has its own steps


def test_ends_are_kept_and_numbers_are_short() -> None:
    low, high = 0.123456789, 0.987654321
    assert [between(Uniform(low=low, high=high), part) for part in (0, 0.5, 1)] == [low, 0.5556, high]


@pytest.mark.parametrize("value", [0, -3, 0.1, 1e-05, 1e22, -2.5, True, None, 'a "b" \n\\', [1, (2.5, "x")], 123456789.125])
def test_a_value_is_spelled_so_that_it_compiles_to_itself(value: Any) -> None:
    found = values(range_of("x", f"[{spelled(value)}, 77]"))
    assert found is not None
    expected = (1, (2.5, "x")) if isinstance(value, list) else value
    assert found[0] == expected and type(found[0]) is type(expected)


@pytest.mark.parametrize(
    "text", ["log(0.0001, 1.0)", "uniform(0.0, 0.5)", "uniform(0.0, 1.0, step = 0.25)", "int(1, 8)", "int(1, 64, log = true)"]
)
def test_a_range_is_shown_as_it_is_written(text: str) -> None:
    assert shown(range_of("x", text)) == text


def test_text_that_is_no_range() -> None:
    for text in ("log(1, 1e-4)", "log(0, 1)", "3", "between(1, 2)", "[1, 2", "nothing"):
        with pytest.raises(Refusal, match="NS833"):
            range_of("lr", text)


# ------------------------------------------------------------------------------------------------------------ names
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("width", "width"),
        ("lr", "optimizer.sgd.lr"),
        ("optimizer.lr", "optimizer.sgd.lr"),
        ("sgd.weight_decay", "optimizer.sgd.weight_decay"),
        ("batch", "batch"),
        ("warmup.epochs", "schedule.warmup.epochs"),
        ("schedule.0.epochs", "schedule.warmup.epochs"),
        ("schedule.2.epochs", "schedule.cosine2.epochs"),
        ("cosine1.epochs", "schedule.cosine1.epochs"),
        ("label_smoothing", None),
        ("loss.label_smoothing", "loss.cross_entropy.label_smoothing"),
        ("clip.most", "clip.norm.most"),
        ("rates.linear", "rates.linear"),
    ],
)
def test_what_a_name_means(name: str, path: str | None) -> None:
    _, _, _, section = prepared("")
    if path is None:
        with pytest.raises(Refusal, match="NS832"):
            target_of(section, name, ["width", "act"])
        return
    assert target_of(section, name, ["width", "act"]).path == path


def test_every_name_can_be_overridden() -> None:
    _, _, _, section = prepared("")
    drawn = {"lr": 0.01, "schedule.2.epochs": 7, "clip.most": 2.0, "rates.linear": 3.0, "loss.label_smoothing": 0.2, "batch": 64}
    found = space_of(section, {name: Choice(values=(value,)) for name, value in drawn.items()}, {})
    made = sections.overridden(section, split_values(found, drawn)[1])
    assert (made.optimizer.lr, made.schedule[2].epochs, made.schedule[1].epochs, made.clip.most) == (0.01, 7, 3, 2.0)
    assert (dict(made.rates)["linear"], made.loss[0].measure.label_smoothing, made.batch) == (3.0, 0.2, 64)
    assert made.optimizer.momentum == 0.9


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(Refusal, match="NS832") as caught:
        space("search { learn: log(1e-4, 1), lr: [0.1] }")
    assert any("there are" in text for text in caught.value.diagnostic.helps)
    assert any("a.net:11" in text for text in caught.value.diagnostic.notes)
    with pytest.raises(Refusal) as caught:
        space("search { momentun: [0, 0.9] }")
    assert "did you mean `momentum`?" in caught.value.diagnostic.helps


def test_a_name_that_could_be_several_lists_them() -> None:
    with pytest.raises(Refusal, match="any of several") as caught:
        space("search { schedule.epochs: int(1, 4) }")
    assert caught.value.diagnostic.helps == (
        "name one: schedule.warmup.epochs, schedule.cosine1.epochs, schedule.cosine2.epochs",
    )  # fmt: skip


def test_one_setting_by_two_names() -> None:
    with pytest.raises(Refusal, match="the same setting"):
        space("search { lr: [0.1], optimizer.lr: [0.2] }")


def test_nothing_to_search() -> None:
    with pytest.raises(Refusal, match="NS831"):
        space("")


def test_the_command_line_replaces_ranges_and_adds_some() -> None:
    spec, module, _, section = prepared("search { lr: log(1e-4, 1), batch: [16, 32] }")
    found = space_of(section, {"lr": Choice(values=(0.5,)), "width": Int(low=1, high=4)}, spec.parameters(module))
    assert [(one.name, shown(one.range)) for one in found] == [("lr", "[0.5]"), ("batch", "[16, 32]"), ("width", "int(1, 4)")]


def test_what_the_command_line_gives_a_value_is_not_searched() -> None:
    spec, module, _, section = prepared("search { lr: log(1e-4, 1), optimizer.momentum: [0, 0.9], width: [4, 8] }")
    parameters = spec.parameters(module)
    assert [one.name for one in space_of(section, {}, parameters, ["momentum", "width"])] == ["lr"]
    with pytest.raises(Refusal, match="NS832"):
        space_of(section, {"width": Int(low=1, high=2)}, parameters, ["width"])
    with pytest.raises(Refusal, match="NS831"):
        space_of(section, {}, parameters, ["momentum", "width", "optimizer.lr"])


# --------------------------------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    ("search", "help_"),
    [
        ("batch: log(16, 256)", "int(16, 256)"),
        ("momentum: uniform(0, 2)", None),
        ("momentum: [0, 0.9, 1.5]", None),
        ("lr: [0.1, true]", None),
        ("epochs: [0, 3]", None),
        ("clip.most: uniform(-1, 1)", None),
        ("cosine2.epochs: int(-3, 3)", None),
        ("rates.linear: [-1.0]", None),
    ],
)
def test_ranges_that_a_setting_cannot_have(search: str, help_: str | None) -> None:
    with pytest.raises(Refusal, match="NS833") as caught:
        space(f"search {{ {search} }}")
    if help_:
        assert any(help_ in text for text in caught.value.diagnostic.helps)


def test_a_net_may_be_impossible_for_some_values_but_not_for_all() -> None:
    assert len(space("search { width: [0, 4, 8] }")) == 1
    with pytest.raises(SpecError):
        space("search { width: [0, -1] }")
    with pytest.raises(SpecError):
        space("search { width: uniform(0.1, 0.9) }")


def test_a_parameter_without_a_default_has_its_first_value() -> None:
    text = NET.replace("SEARCH", "search { width: [5, 6] }").replace("width = 8", "width")
    spec = Spec(Source("a.net", text), "a")
    graph = compile_once(spec, spec.module(), {})
    assert graph.weights[0].shape == (5, 4)


def test_words_of_operators_and_settings() -> None:
    words = space("search { act: [relu, gelu, tanh], precision: [fp32, bf16] }")
    assert [one.range.values for one in words] == [("relu", "gelu", "tanh"), ("fp32", "bf16")]
    spec, _, graph, _ = prepared("search { act: [relu, gelu], lr: log(1e-4, 1) }")
    assert type(graph).read(graph.write()) == graph
    assert [node.op.NAME for node in spec.graph({"act": "gelu"}).nodes] == ["linear", "gelu", "linear"]


def test_totals() -> None:
    found = space("search { lr: log(1e-4, 1), batch: [16, 32], width: int(1, 3) }")
    assert total_of(found, "random", None, None) == 20
    assert total_of(found, "grid", None, 4) == 24
    assert total_of(found, "grid", 10, 4) == 10
    for arguments in (("grid", None, None), ("random", 0, None), ("grid", None, 100_000)):
        with pytest.raises(Refusal, match="NS837"):
            total_of(found, *arguments)


def test_several_sections() -> None:
    both = "train one of a { loss = mse(y, t) \n optimizer = adam }\ntrain two of a { loss = mse(y, t) \n optimizer = adam \n SEARCH }\n"
    net = "net a { input x: [N, 4]; output y = x -> linear(1) }\n"

    def section(search: str, name: str | None = None) -> Any:
        spec = Spec(Source("a.net", net + both.replace("SEARCH", search)), "a", name=name)
        return spec.section(spec.graph({}))

    assert section("search { lr: [0.1, 0.2] }").name == "two"
    assert section("", "one").name == "one"
    with pytest.raises(Refusal, match="NS830"):
        section("")
