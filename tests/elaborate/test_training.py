"""`train` sections: what text becomes which section of the graph, and what is said of one that is wrong."""

from __future__ import annotations

import pytest

from netspec import api, load, loads
from netspec.graph import Graph
from netspec.recipe.section import Section
from netspec.source import Source

NET = """
net a(rounds = 7, lr = 0.2, method = "adam") {
  input x: [N, 8]
  input other: [N, 4]
  hidden = x -> linear(4) as first -> bn -> relu
  output y = hidden -> linear(3) as fc
  output z = hidden + other
  train {
%s
  }
}
"""


def section_of(settings: str, **parameters: object) -> Section:
    (section,) = loads(NET % settings, "a", **parameters).graph.training
    return section


def findings(settings: str, text: str = NET) -> list[tuple[str, str, str]]:
    """Code, marked text and first help of each finding."""
    report = api.compile(Source("a.net", text % settings if "%s" in text else text)).report
    return [(d.code, d.place.text if d.place else "", d.helps[0] if d.helps else "") for d in report.diagnostics]


def test_the_example_of_the_reference() -> None:
    section = section_of("""
      loss      = cross_entropy(y, label, label_smoothing = 0.1) + 1e-5 * l1(weights)
      optimizer = sgd(lr = lr / 2, momentum = 0.9, nesterov = true, weight_decay = 5e-4)
      schedule  = warmup(5) then cosine(epochs = 95)
      batch     = 128
      epochs    = 10 * rounds
      no_decay  = ["*.bias", "bn*"]
      rates     { fc: 10, "fir*": 0.5 }
      freeze    = ["first"]
      weights   = "start.safetensors"
      augment   = [noise(0.01)]
      normalize = standardize
      stop      = early(monitor = val.loss, patience = 10)
      metrics   = [accuracy, top_k(2)]
      search    { lr: log(1e-4, 1), momentum: [0, 0.9, 0.99] }
    """)
    loss, penalty = section.loss
    assert (loss.measure.NAME, loss.factor, loss.measure.label_smoothing) == ("cross_entropy", 1.0, 0.1)
    assert [(which, r.kind, r.name) for which, r in loss.tensors] == [("input", "output", "y"), ("target", "target", "label")]
    assert (penalty.measure.SLOT, penalty.factor, penalty.tensors[0][1].name) == ("penalty", 1e-5, "weights")
    assert section.optimizer.NAME == "sgd" and section.optimizer.lr == 0.1 and section.optimizer.nesterov is True
    assert [piece.NAME for piece in section.schedule] == ["warmup", "cosine"]
    assert (section.batch, section.epochs, section.no_decay, section.freeze) == (128, 70, ("*.bias", "bn*"), ("first",))
    assert section.rates == (("fc", 10.0), ("fir*", 0.5))
    assert section.weights.path == "start.safetensors"
    assert section.stop.monitor == "val.loss" and section.stop.patience == 10
    assert [m.measure.NAME for m in section.metrics] == ["accuracy", "top_k"]
    assert dict(section.search)["momentum"].values == (0, 0.9, 0.99) and dict(section.search)["lr"].low == 1e-4
    assert section.where("optimizer").line == 11


def test_the_json_of_a_graph_with_sections_reproduces_it() -> None:
    graph = loads(NET % "loss = 0.5 * mse(z, other) - l1(y, t) / 4\noptimizer = adam\nclip = 1\nsplit = [0.5, 0.5]", "a").graph
    assert Graph.read(graph.write()) == graph and Graph.read(graph.write()).write() == graph.write()
    assert [(t.factor, t.measure.NAME) for t in graph.training[0].loss] == [(0.5, "mse"), (-0.25, "l1")]


def test_values_of_the_spec_are_values_here() -> None:
    assert section_of("optimizer = method\nepochs = rounds if rounds > 3 else 3", rounds=2, method="sgd").optimizer.NAME == "sgd"
    assert section_of("epochs = rounds if rounds > 3 else 3", rounds=2).epochs == 3
    assert section_of("loss = (mse(z, t) if rounds > 3 else l1(z, t)) * 2", rounds=2).loss[0].measure.NAME == "l1"


def test_a_def_may_be_a_loss() -> None:
    text = "def both(p, t, w = 2) = mse(p, t) + w * l1(p, t)\n" + NET % "loss = 3 * both(z, goal, w = 0.5)"
    (section,) = loads(text).graph.training
    assert [(t.factor, t.measure.NAME, t.tensors[1][1].name) for t in section.loss] == [(3, "mse", "goal"), (1.5, "l1", "goal")]


def test_short_forms() -> None:
    section = section_of('clip = 2.5\nmax_norm = 3\nonly = "fc"\naugment = noise(0.1)\nnormalize { x: min_max, other: [0, 1] }'.replace(
        ", other: [0, 1]", ""))  # fmt: skip
    assert (section.clip.NAME, section.clip.most, section.max_norm.most, section.only) == ("norm", 2.5, 3, ("fc",))
    assert len(section.augment) == 1 and section.normalize[0][0] == "x"
    assert section_of('no_decay = ["*.bias", bn]\nonly = fc').no_decay == ("*.bias", "bn")
    assert section_of("only = []").only == () and section_of("batch = 3").only is None


def test_sections_by_name_and_of_variants() -> None:
    text = NET % "epochs = 2" + "train more of a { epochs = 3 }\nnet b = a(5)\ntrain last of b { epochs = 4 }\n"
    assert [(s.name, s.epochs) for s in loads(text, "a").graph.training] == [("", 2), ("more", 3)]
    assert [(s.name, s.epochs) for s in loads(text, "b").graph.training] == [("", 2), ("more", 3), ("last", 4)]


def test_the_section_of_a_net_that_another_applies_is_not_meant() -> None:
    text = "net inner { input x: [N, 4]; output y = x -> linear(2); train { epochs = 3 } }\n"
    assert loads(text + "net outer { input x: [N, 4]; output y = x -> inner }", "outer").graph.training == ()


@pytest.mark.parametrize(
    "settings, code, place, help",
    [
        ("optimiser = sgd", "NS350", "optimiser = sgd", "did you mean `optimizer`?"),
        ("batch = 3\nbatch = 4", "NS351", "batch = 4", ""),
        ("optimizer = adamm", "NS352", "adamm", "did you mean `adam`?"),
        ("optimizer = 3", "NS352", "3", ""),
        ("loss = cross_entrpy(y, label)", "NS352", "cross_entrpy", "did you mean `cross_entropy`?"),
        ("loss = mse(z, t) * mse(z, t)", "NS352", "*", ""),
        ("loss = 3", "NS352", "3", ""),
        ("metrics = [acuracy]", "NS352", "acuracy", "did you mean `accuracy`?"),
        ("optimizer = sgd(lr = -1)", "NS353", "-1", ""),
        ('optimizer = sgd(lr = "fast")', "NS353", '"fast"', ""),
        ("optimizer = sgd(rl = 1)", "NS303", "rl = 1", ""),
        ("optimizer = sgd(lr = 1, lr = 2)", "NS303", "lr = 2", ""),
        ("epochs = 1.5", "NS353", "1.5", ""),
        ("batch = true", "NS353", "true", ""),
        ("split = [0.5, 0.2]", "NS353", "[0.5, 0.2]", ""),
        ("precision = fp8", "NS353", "fp8", ""),
        ("freeze = [3]", "NS353", "[3]", ""),
        ("rates { fc: -2 }", "NS353", "-2", ""),
        ("rates = 3", "NS353", "rates = 3", "write `rates { name: value }`"),
        ("batch { fc: 2 }", "NS353", "batch { fc: 2 }", "write `batch = …`"),
        ("search { lr: log(1, 1e-4) }", "NS353", "1e-4", ""),
        ("search { lr: 3 }", "NS353", "3", ""),
        ("loss = mse(hidden, t)", "NS354", "hidden", "make it an output: `output hidden`"),
        ("loss = mse(a, b)", "NS354", "mse(a, b)", "the outputs are y, z"),
        ("loss = mse(z)", "NS303", "mse(z)", ""),
        ('loss = l1("nothing")', "NS354", '"nothing"', ""),
        ("freeze = [\"frist\"]", "NS355", 'freeze = ["frist"]', "did you mean `first`?"),
        ("normalize { xx: standardize }", "NS353", "normalize { xx: standardize }", "did you mean `x`?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_where_it_is(settings: str, code: str, place: str, help: str) -> None:
    assert (code, place, help) in [(c, p, h if help else "") for c, p, h in findings(settings)]
    assert len(findings(settings)) == 1


def test_every_mistake_is_reported() -> None:
    codes = [c for c, _, _ in findings("optimizer = adamm\nbatch = 0\nloss = mze(z, t) + l1(hidden, t)\nbatches = 3")]
    assert codes == ["NS352", "NS353", "NS352", "NS354", "NS350"]


def test_a_section_for_no_net_and_two_of_one_name() -> None:
    assert [c for c, _, _ in findings("", NET.replace("%s", "") + "train x of b { epochs = 3 }")] == ["NS201"]
    assert [c for c, _, _ in findings("", NET.replace("%s", "") + "train x of a { epochs = 3 }\ntrain x of a { epochs = 3 }")] == ["NS202"]


def test_a_section_takes_part_in_no_shape() -> None:
    plain = load("zoo.lenet:lenet5")
    assert plain.graph.training == ()
