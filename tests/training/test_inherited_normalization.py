"""A section without `normalize` takes its inputs as the weights that it begins with were trained to have them."""

import os

import numpy as np
import pytest

from netspec.backends.normalization import facts_of
from netspec.diagnostics.model import Refusal
from netspec.training.loop.checkpoint import WEIGHTS
from netspec.training.loop.events import Remark
from tests.training import runs

NET = """
net one {
  input x: [N, 6]
  output logits = x -> linear(8) as a -> relu -> linear(3) as b
}
train first of one {
  loss = cross_entropy(logits, label)
  metrics = accuracy
  optimizer = adam(lr = 0.05)
  epochs = 4
  batch = 8
  split = [0.75, 0.25]
  NORMALIZE
}
"""
#: a second section, which predicts alone
AGAIN = NET[NET.index("train") :].replace("first", "again").replace("NORMALIZE", "only = []\n  REST")
STANDARDIZE = "normalize = standardize"


def trained(folder, normalize: str = STANDARDIZE):
    return runs.run(NET.replace("NORMALIZE", normalize), out=str(folder))


def one_of(normalize: str, rest: str = "") -> str:
    return NET.replace("NORMALIZE", f"only = []\n  {rest}\n  {normalize}")


def measured(outcome) -> dict[str, float]:
    return {name: value for name, value in outcome.metrics.items() if name.startswith("val.")}


def remarks(log: runs.Log) -> list[str]:
    return [event.text for event in log.of(Remark) if "no `normalize`" in event.text]


@pytest.mark.parametrize("normalize", [STANDARDIZE, "normalize = [log(offset = 20), standardize]", "normalize = min_max"])
def test_predicting_with_weights_of_a_file(normalize, tmp_path):
    first, log = trained(tmp_path, normalize), runs.Log()
    path = str(tmp_path / WEIGHTS)
    for text, options in ((one_of(""), {"weights": path}), (one_of("", f'weights = "{WEIGHTS}"'), {"base": str(tmp_path)})):
        found = runs.run(text, watch=log, out=str(tmp_path / "again"), **options)
        assert measured(found) == measured(first)
        assert facts_of(str(tmp_path / "again" / WEIGHTS)) == facts_of(path)
    assert len(remarks(log)) == 2 and "`x`" in remarks(log)[0] and path in remarks(log)[0]


def test_sections_in_order(tmp_path):
    """Each takes over from the one before; a section that has its own, which here changes nothing, takes over nothing."""
    log, own = runs.Log(), "normalize = standardize(mean = 0, std = 1)"
    text = NET.replace("NORMALIZE", STANDARDIZE) + AGAIN.replace("REST", "") + AGAIN.replace("again", "third").replace("REST", "")
    text += AGAIN.replace("again", "own").replace("REST", own)
    last = runs.run(text, watch=log, out=str(tmp_path))
    first, again, third = last.before
    assert measured(first) == measured(again) == measured(third) != measured(last)
    assert [event.section for event in log.of(Remark) if "no `normalize`" in event.text] == ["again", "third"]
    folders = sorted(os.listdir(tmp_path))[:3]
    assert len({facts_of(str(tmp_path / folder / WEIGHTS)).write() for folder in folders}) == 1


def test_some_weights_of_a_file(tmp_path):
    """Of a network with another input there may be some, whose normalization is not this one's; not all."""
    trained(tmp_path)
    rest = f'weights = file("{WEIGHTS}", only = ["b"])'
    log = runs.Log()
    runs.run(one_of("", rest), watch=log, base=str(tmp_path))
    assert len(remarks(log)) == 1
    given = runs.data()
    given["z"] = given.pop("x")
    runs.run(one_of("", rest).replace("input x", "input z").replace("= x", "= z"), given, watch=log, base=str(tmp_path))
    assert len(remarks(log)) == 1
    whole = one_of("", f'weights = "{WEIGHTS}"').replace("input x", "input z").replace("= x", "= z")
    with pytest.raises(Refusal) as caught:
        runs.run(whole, given, base=str(tmp_path))
    assert caught.value.diagnostic.code == "NS840" and "`x`" in caught.value.diagnostic.message
    own = whole.replace("only = []", f"only = []\n  {STANDARDIZE}")
    assert np.isfinite(runs.run(own, given, base=str(tmp_path)).metrics["val.loss"])


def test_weights_that_were_trained_on_data_as_they_are(tmp_path):
    first, log = trained(tmp_path, ""), runs.Log()
    assert measured(runs.run(one_of(""), watch=log, weights=str(tmp_path / WEIGHTS))) == measured(first) and not remarks(log)


def test_a_run_is_resumed_with_the_normalization_that_it_had(tmp_path):
    """Other weights at the same place make another run."""
    trained(tmp_path)
    options = {"weights": str(tmp_path / WEIGHTS), "out": str(tmp_path / "again")}
    first = runs.run(NET.replace("NORMALIZE", ""), **options)
    assert measured(runs.run(NET.replace("NORMALIZE", ""), resume=True, **options)) == measured(first)
    trained(tmp_path, "normalize = min_max")
    with pytest.raises(Refusal) as caught:
        runs.run(NET.replace("NORMALIZE", ""), resume=True, **options)
    assert caught.value.diagnostic.code == "NS812"
