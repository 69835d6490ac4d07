"""The best spec as text: values at their places, comments kept, and the very network and section of the best trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping

import pytest

from netspec.diagnostics.model import Refusal
from netspec.source import Source
from netspec.training import sections
from netspec.training.sweep import Spec
from netspec.training.sweep.ranges import shown
from netspec.training.sweep.space import target_of
from netspec.training.sweep.writing import Best, best_text

NET = """\
# What it is for.
net a(width = 8, act = relu) {  # the header
  input x: [N, 4]
  output y = x -> linear(width) -> act -> linear(3)
}
"""


def write(
    text: str, parameters: Mapping[str, Any], settings: Mapping[str, Any], net: str = "a", path: str | None = None, **more: Any
) -> str:  # fmt: skip
    """The text of the best spec, when a trial had these parameters and settings."""
    spec = Spec(Source("a.net", text, path), net, **more.pop("spec", {}))
    graph = spec.graph(parameters)
    before = spec.section(graph)
    changed = tuple(target_of(before, name) for name in settings)
    made = sections.overridden(before, {target.path: value for target, value in zip(changed, settings.values())})
    return best_text(spec, before, Best({**spec.arguments, **parameters}, made, changed, graph), **more)


def section(body: str, parameters: Mapping[str, Any] | None = None, **settings: Any) -> str:
    """What is in the braces of a section, when a trial had these settings (`__` for a dot)."""
    text = f"{NET}\ntrain of_a of a {{\n{body}}}\n"
    given = {name.replace("__", "."): value for name, value in settings.items()}
    written = write(text, parameters or {}, given)
    return written.partition("train of_a of a {\n")[2].removesuffix("}\n")


LOSS = "  loss      = mse(y, t)\n"


def test_values_take_the_place_of_those_that_stand_there() -> None:
    body = """\
  # the loss
  loss = cross_entropy(y, label, label_smoothing = 0.1)  # smoothed
  optimizer = sgd(lr = 0.1, momentum = 0.9)
  batch = 32
  search { lr: log(1e-4, 1), momentum: [0, 0.9] }
  epochs = 5  # short
"""
    assert (
        section(body, lr=0.0123, momentum=0.5, batch=64, loss__label_smoothing=0.2)
        == """\
  # the loss
  loss      = cross_entropy(y, label, label_smoothing = 0.2)  # smoothed
  optimizer = sgd(lr = 0.0123, momentum = 0.5)
  batch     = 64
  epochs    = 5  # short
"""
    )


@pytest.mark.parametrize(
    ("optimizer", "written"),
    [
        ("sgd(0.1, 0.9)", "sgd(0.25, 0.5)"),
        ("sgd(lr = 0.1)", "sgd(lr = 0.25, momentum = 0.5)"),
        ("sgd(0.1, nesterov = true, momentum = 0.9)", "sgd(0.25, nesterov = true, momentum = 0.5)"),
        ("sgd", "sgd(lr = 0.25, momentum = 0.5)"),
        ("sgd(lr = 0.1 if width > 4 else 1, momentum = 0.9)", "sgd(lr = 0.25, momentum = 0.5)"),
        ("sgd(lr = 2 * 0.05)", "sgd(lr = 0.25, momentum = 0.5)"),
        ("sgd(lr = 0.1, momentum = 0.9) if 1 > 2 else sgd(0.3)", "sgd(lr = 0.25, momentum = 0.5)"),
    ],
)
def test_arguments_by_position_by_name_and_missing(optimizer: str, written: str) -> None:
    if "width" in optimizer:
        optimizer = optimizer.replace("width", "8")
    assert section(f"{LOSS}  optimizer = {optimizer}\n", lr=0.25, momentum=0.5) == f"{LOSS}  optimizer = {written}\n"


def test_schedules_terms_tables_and_short_forms() -> None:
    body = """\
  loss      = mse(y, t) + 1e-4 * huber(y, t, delta = 2)
  optimizer = adam
  schedule  = warmup(1) then cosine(3) then cosine(epochs = 4)
  rates     { linear1: 2 }
  clip      = 1.0
  stop      = early
"""
    schedule = {"schedule__2__epochs": 7, "warmup__epochs": 2}
    rates = {"rates__linear1": 3, "rates__linear2": 0.5}
    written = section(body, **schedule, **rates, huber__delta=0.5, clip__most=2.5, stop__patience=3)
    assert (
        written
        == """\
  loss      = mse(y, t) + 1e-4 * huber(y, t, delta = 0.5)
  optimizer = adam
  schedule  = warmup(2) then cosine(3) then cosine(epochs = 7)
  rates     { linear1: 3, linear2: 0.5 }
  clip      = 2.5
  stop      = early(patience = 3)
"""
    )


def test_a_missing_setting_takes_the_place_of_the_table() -> None:
    body = f"{LOSS}  optimizer = adam\n\n  search {{\n    # how many\n    batch: [16, 32]\n  }}\n  epochs    = 3\n"
    assert section(body, batch=16) == f"{LOSS}  optimizer = adam\n\n  batch  = 16\n  epochs = 3\n"
    assert section(f"{LOSS}  optimizer = adam\n", batch=16).endswith("  batch     = 16\n")


def test_one_line() -> None:
    text = NET + "train t of a { loss = mse(y, t); optimizer = adam(lr = 0.1); search { lr: [0.1, 0.2] } }\n"
    assert "optimizer = adam(lr = 0.2)" in (written := write(text, {}, {"lr": 0.2})) and "search" not in written


@pytest.mark.parametrize("value", [1e-05, 3, 0.1, 1e-12, 123456.789])
def test_numbers_are_exact(value: float) -> None:
    assert section(f"{LOSS}  optimizer = adam(lr = 0.1)\n", lr=value)  # what is written has been held against the trial


# -------------------------------------------------------------------------------------------------- the net's parameters
def net_text(head: str, tail: str = "") -> str:
    """A net that begins so, with a section in it."""
    body = "  input x: [N, 4]\n  output y = x -> linear(width) -> act -> linear(3)\n\n"
    return f"{head} {{\n{body}  train {{\n    loss      = mse(y, t)\n    optimizer = adam\n  }}\n}}\n{tail}"


def test_defaults_in_the_header() -> None:
    text = net_text("net a(width = 2 * 4, act = relu)")
    assert write(text, {"width": 16, "act": "gelu"}, {}) == net_text("net a(width = 16, act = gelu)")


def test_a_parameter_without_a_default_gets_one() -> None:
    text = net_text("net a(width, act)").replace("{", "{  # both", 1)
    assert "net a(width = 16, act = relu) {  # both" in write(text, {"width": 16, "act": "relu"}, {})


def test_parameters_of_the_command_line_are_written_too() -> None:
    text = net_text("net a(width = 8, act = relu)")
    assert write(text, {"act": "gelu"}, {}, spec={"arguments": {"width": 5}}) == net_text("net a(width = 5, act = gelu)")


@pytest.mark.parametrize(
    ("variant", "written"),
    [
        ("net b = a", "net b = a(width = 16)"),
        ("net b = a(act = gelu)", "net b = a(act = gelu, width = 16)"),
        ("net b = a()", "net b = a(width = 16)"),
        ("net b(width = 4) = a(width)", "net b(width = 16) = a(width)"),
    ],
)
def test_variants(variant: str, written: str) -> None:
    text = net_text("net a(width = 8, act = relu)", f"\n{variant}\n")
    assert write(text, {"width": 16}, {}, "b") == net_text("net a(width = 8, act = relu)", f"\n{written}\n")


def test_lists_strings_booleans() -> None:
    text = """\
net a(widths = [8], wide = false, name = "x") {
  input x: [N, 4]
  output y = x -> chain(linear(w) for w in widths) -> linear(9 if wide else 3) as name
  train {
    loss = mse(y, t)
    optimizer = adam
  }
}
""".replace("chain(linear(w) for w in widths)", "linear(widths[0])").replace(" as name", "")
    written = write(text, {"widths": (16, 4), "wide": True, "name": 'a"b'}, {})
    assert 'net a(widths = [16, 4], wide = true, name = "a\\"b") {' in written


# ------------------------------------------------------------------------------------------------------- other files
def test_paths_are_those_of_the_new_folder(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "parts.net").write_text("block half(n) { input x; output x -> linear(n) -> relu }\n")
    text = """\
from "parts.net" import half

net a {
  input x: [N, 4]
  output y = x -> half(3)

  train {
    loss      = mse(y, t)
    optimizer = adam
    weights   = "start.safetensors"
  }
}
"""
    path = str(tmp_path / "nets" / "a.net")
    assert write(text, {}, {"lr": 0.5}, path=path) == text.replace("adam", "adam(lr = 0.5)")
    moved = write(text, {}, {"lr": 0.5}, path=path, folder=str(tmp_path / "out"))
    assert 'from "../nets/parts.net" import half' in moved and 'weights   = "../nets/start.safetensors"' in moved
    spec = Spec(Source("best.net", moved, str(tmp_path / "out" / "best.net")), "a")
    assert spec.graph({}).training[0].optimizer.lr == 0.5


def test_a_section_of_another_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "base.net").write_text(net_text("net a(width = 8, act = relu)"))
    text = 'from "base.net" import a\nnet b = a(width = 3)\n'
    with pytest.raises(Refusal, match="NS834"):
        write(text, {}, {"lr": 0.5}, "b", str(tmp_path / "b.net"))


def test_what_is_written_is_held_against_the_trial() -> None:
    text = net_text("net a(width = 8, act = relu)")
    spec = Spec(Source("a.net", text), "a")
    graph = spec.graph({})
    before = spec.section(graph)
    other = Best({}, sections.overridden(before, {"lr": 0.5}), (), graph)  # a change that nothing is told of
    with pytest.raises(Refusal, match="NS834") as caught:
        best_text(spec, before, other)
    assert "optimizer" in caught.value.diagnostic.notes[0]


def test_other_sections_and_their_tables_stay() -> None:
    text = NET + (
        "\ntrain one of a {\n  loss      = mse(y, t)\n  optimizer = adam\n  search    { lr: [0.1, 0.2] }\n}\n"
        "\ntrain two of a {\n  loss      = mse(y, t)\n  optimizer = adam\n  search    { lr: [0.1, 0.2] }\n}\n"
    )  # fmt: skip
    written = write(text, {}, {"lr": 0.2}, spec={"name": "two"})
    spec = Spec(Source("a.net", written), "a")
    one, two = spec.graph({}).training
    assert (one.optimizer.lr, two.optimizer.lr, [shown(r) for _, r in one.search], two.search) == (1e-3, 0.2, ["[0.1, 0.2]"], ())
