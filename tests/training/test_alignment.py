"""Columns of unequal length are held against one another sample by sample, not by their longest and shortest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.diagnostics.model import Refusal
from netspec.training.data import check_data, open_for

TAGGER = """
net tagger {
  input tokens: int64 [N, T]
  output scores = tokens -> embedding(20, 8) -> LAYERS -> linear(4)
  train { loss = LOSS; optimizer = adam; batch = 8 METRICS }
}
"""
RANDOM = np.random.default_rng(1)


def spec(layers: str = "tanh", loss: str = "cross_entropy(scores, tags, axis = 2)", metrics: str = "") -> str:
    return TAGGER.replace("LAYERS", layers).replace("LOSS", loss).replace("METRICS", f"; metrics = [{metrics}]" if metrics else "")


def uneven(name: str, lengths, below: int = 4) -> dict[str, np.ndarray]:
    """A column of whole numbers, of samples of these lengths."""
    lengths = np.asarray(lengths)
    return {name: RANDOM.integers(1, below, lengths.sum()), f"{name}.lengths": lengths}


def checked(folder: Path, text: str, **columns: np.ndarray) -> None:
    graph = netspec.loads(text).graph
    np.savez(folder / "d.npz", **columns)
    check_data(open_for(str(folder / "d.npz"), graph, graph.training[0]), graph, graph.training[0])


def refused(folder: Path, text: str, code: str = "NS802", **columns: np.ndarray) -> str:
    with pytest.raises(Refusal) as caught:
        checked(folder, text, **columns)
    assert caught.value.diagnostic.code == code, caught.value.diagnostic
    return caught.value.diagnostic.message


def lengths(count: int = 40, **others: int) -> np.ndarray:
    """So many sixes, but for some: `s3 = 5`."""
    found = np.full(count, 6)
    for sample, length in others.items():
        found[int(sample[1:])] = length
    return found


def test_equal_extremes_do_not_make_equal_samples(tmp_path: Path) -> None:
    said = refused(tmp_path, spec(), **uneven("tokens", lengths(s3=5)), **uneven("tags", lengths(s5=5)))
    assert "`tags` of" in said and "has length 6 in sample 3, and T = 5 is needed: `tokens` of" in said
    assert said.endswith("has length 5 (2 of the 40 samples do not fit)")


def test_other_extremes_name_the_sample_too(tmp_path: Path) -> None:
    said = refused(tmp_path, spec(), **uneven("tokens", lengths()), **uneven("tags", lengths(s7=9)))
    assert "length 9 in sample 7" in said and "has length 6 (1 of" in said and "shape" not in said


def test_an_array_beside_samples_of_unequal_length(tmp_path: Path) -> None:
    said = refused(tmp_path, spec(), **uneven("tokens", lengths(s2=4)), tags=RANDOM.integers(0, 4, (40, 6)))
    assert "`tags` of" in said and "has length 6 in sample 2, and T = 4 is needed" in said


def test_lengths_that_the_network_shortens(tmp_path: Path) -> None:
    text = spec("permute((0, 2, 1)) -> max_pool(2) -> permute((0, 2, 1))")
    many = RANDOM.integers(2, 12, 40)
    checked(tmp_path, text, **uneven("tokens", many), **uneven("tags", many // 2))
    wrong = many // 2
    wrong[11] += 1
    said = refused(tmp_path, text, **uneven("tokens", many), **uneven("tags", wrong))
    assert f"has length {wrong[11]} in sample 11" in said and f"has length {many[11]} (1 of the 40" in said


def test_labels_of_a_transcription_are_as_many_as_they_are(tmp_path: Path) -> None:
    text = spec(loss="ctc(scores, one) + ctc(scores, two)", metrics="label_error_rate(scores, one)")
    some = {**uneven("one", RANDOM.integers(1, 4, 40)), **uneven("two", RANDOM.integers(0, 3, 40))}
    checked(tmp_path, text, **uneven("tokens", RANDOM.integers(6, 12, 40)), **some)


def test_a_condition_that_only_a_sample_between_breaks(tmp_path: Path) -> None:
    text = spec("tanh").replace("int64 [N, T]", "int64 [N, T]\n  where T % 2 == 0")
    checked(tmp_path, text, **uneven("tokens", lengths(s1=4, s9=8)), **uneven("tags", lengths(s1=4, s9=8)))
    some = lengths(s1=4, s9=8, s20=5)
    said = refused(tmp_path, text, "NS809", **uneven("tokens", some), **uneven("tags", some))
    assert "T = 5" in said and said.endswith("in sample 20")


def test_samples_of_no_length(tmp_path: Path) -> None:
    checked(tmp_path, spec(), **uneven("tokens", lengths(s4=0)), **uneven("tags", lengths(s4=0)))


@pytest.mark.parametrize("metrics", ["", "accuracy", "accuracy(scores, tags)"])
def test_labels_of_another_width_beside_a_metric(tmp_path: Path, metrics: str) -> None:
    said = refused(tmp_path, spec(metrics=metrics), tokens=RANDOM.integers(1, 20, (40, 7)), tags=RANDOM.integers(0, 4, (40, 4)))
    assert "axis 1 of `tags` must be 7 (T = 7 by axis 1 of `tokens`), not 4: it has shape [40, 4]" in said


def test_a_target_of_two_outputs_has_the_shape_of_both(tmp_path: Path) -> None:
    """An open size that meets a number is still that of the input."""
    text = """
    net two {
      input a: [N, T, 3]
      input b: [N, 4, 3]
      output y = a -> tanh
      output z = b -> tanh
      train { loss = cross_entropy(y, label, axis = 2) + cross_entropy(z, label, axis = 2); optimizer = adam }
    }
    """
    a, b, label = RANDOM.normal(size=(9, 7, 3)), RANDOM.normal(size=(9, 4, 3)), RANDOM.integers(0, 3, (9, 4))
    checked(tmp_path, text, a=a[:, :4], b=b, label=label)
    assert "must be 7 (T = 7 by axis 1 of `a`), not 4" in refused(tmp_path, text, a=a, b=b, label=label)


def test_many_samples_take_no_time(tmp_path: Path) -> None:
    many = RANDOM.integers(1, 9, 50_000)
    checked(tmp_path, spec(), **uneven("tokens", many), **uneven("tags", many))
