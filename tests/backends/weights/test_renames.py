"""Names of weights files become the network's: patterns, whole files, files that have less, and what is suggested for others."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netspec
from netspec.backends.weight_files import Partial, save_safetensors, weights_of
from netspec.backends.weights import arrays_of
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph
from netspec.renaming import Renames, covers, matches

NET = """\
block unit(c) {
  input x
  output x -> conv(c, 3, padding = 1, bias = false) -> bn -> relu
}
net plain(classes = 10) {
  input image: [N, 3, H = 8, W = 8]
  output y = image -> 3 * unit(4) as body -> global_avg_pool -> flatten -> linear(classes) as fc
}
net named = plain {
  weights {
    rename "backbone.body.*" -> "body.*"
    rename "classifier.*" -> "fc.*"
  }
}
net moved = plain { weights { rename "body.0.*" -> "body.1.*"; rename "body.1.*" -> "body.2.*"; rename "stem.*" -> "body.0.*" } }
"""
PLAIN, NAMED, MOVED = (netspec.loads(NET, name).graph for name in ("plain", "named", "moved"))
ARRAYS = arrays_of(PLAIN, weights_of(PLAIN, 3))
EACH = [f'rename "{number}.*" -> "body.{number}.*"' for number in range(3)]


def foreign(name: str) -> str:
    return name.replace("body.", "backbone.body.").replace("fc.", "classifier.")


def stored(folder: Path, arrays: dict[str, np.ndarray]) -> str:
    np.savez(folder / "w.npz", **arrays)
    return str(folder / "w.npz")


def equal(graph: Graph, path: str, strip: str = "") -> bool:
    found = arrays_of(graph, weights_of(graph, 0, path, strip))
    return all(np.array_equal(found[name], array) for name, array in ARRAYS.items())


def refused(graph: Graph, path: str, **how: object) -> Refusal:
    with pytest.raises(Refusal) as caught:
        weights_of(graph, 0, path, **how)  # type: ignore[arg-type]
    assert caught.value.diagnostic.code == "NS624"
    return caught.value


# ----------------------------------------------------------------------------------------------------------- patterns
_TEXT = st.text("ab.", max_size=4)
_PATTERN = st.one_of(_TEXT, st.builds("{}*{}".format, _TEXT, _TEXT))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_PATTERN, _TEXT, _TEXT), max_size=5), st.text("ab.", max_size=6))
def test_the_first_that_fits_applies(rules: list[tuple[str, str, str]], name: str) -> None:
    pairs = [(old, f"{head}*{tail}" if "*" in old else head) for old, head, tail in rules]
    wanted = name
    for old, new in pairs:
        found = re.fullmatch(re.escape(old).replace(r"\*", "(.*)"), name)
        if found:
            wanted = new.replace("*", found[1]) if "*" in old else new
            break
    assert Renames(pairs)(name) == wanted


@settings(max_examples=60, deadline=None)
@given(_PATTERN, _PATTERN, _TEXT)
def test_what_is_covered_never_applies(first: str, second: str, inside: str) -> None:
    if covers(first, second):
        assert matches(first, second.replace("*", inside))


def test_a_star_is_any_text_with_dots_and_without() -> None:
    become = Renames([("a.*.w", "b.*.w"), ("a*", "c*")])
    assert [become(name) for name in ("a.x.y.w", "a..w", "a.w", "a", "b")] == ["b.x.y.w", "b..w", "c.w", "c", "b"]


# -------------------------------------------------------------------------------------------------------- whole files
def test_a_file_of_other_names(tmp_path: Path) -> None:
    path = stored(tmp_path, {foreign(name): array for name, array in ARRAYS.items()})
    assert equal(NAMED, path)
    refused(PLAIN, path)


def test_strip_goes_before(tmp_path: Path) -> None:
    path = stored(tmp_path, {"module." + foreign(name): array for name, array in ARRAYS.items()})
    assert equal(NAMED, path, "module.")


def test_a_file_of_the_networks_own_names_is_read_as_it_is(tmp_path: Path) -> None:
    path = str(tmp_path / "w.safetensors")
    save_safetensors(path, MOVED, weights_of(MOVED, 3))
    assert equal(MOVED, path) and equal(NAMED, path)
    moved = {re.sub(r"^body\.(\d)", lambda m: ("stem", "body.0", "body.1")[int(m[1])], name): array for name, array in ARRAYS.items()}
    assert equal(MOVED, stored(tmp_path, moved))


def test_two_names_that_become_one(tmp_path: Path) -> None:
    arrays = {foreign(name): array for name, array in ARRAYS.items()}
    refusal = refused(NAMED, stored(tmp_path, arrays | {"fc.bias": ARRAYS["fc.bias"]}))
    assert "would both be called `fc.bias`: `classifier.bias` and `fc.bias`" in str(refusal)


def test_everywhere_that_weights_are_read(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    onnx = pytest.importorskip("onnx")
    path = stored(tmp_path, {foreign(name): array for name, array in ARRAYS.items()})
    net = netspec.loads(NET, "named")
    assert torch.equal(net.torch(weights=path).state_dict()["fc.weight"], torch.from_numpy(ARRAYS["fc.weight"]))
    model = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in net.onnx(weights=path).graph.initializer}
    assert np.array_equal(model["fc.weight"], ARRAYS["fc.weight"])


# ----------------------------------------------------------------------------------------------------------- the table
def test_the_table_is_bounded_and_says_the_lines(tmp_path: Path) -> None:
    arrays = {"fc.weight": np.zeros((10, 5), "float32"), "x": np.zeros(1), "fc.bias": ARRAYS["fc.bias"]}
    found = refused(PLAIN, stored(tmp_path, arrays)).diagnostic
    assert found.message.endswith("15 missing, 1 unexpected, 1 of another shape or type")
    cells = [re.split(r"\s{2,}", note) for note in found.notes]
    assert cells[0] == ["tensor", "in the network", "in the file", "source"]
    assert cells[1] == ["body.0.conv1.weight", "float32 [4, 3, 3, 3]", "-", "<string>:3"] and cells[9] == ["… and 7 more missing"]
    assert cells[10] == ["fc.weight", "float32 [10, 4]", "float32 [10, 5]", "<string>:7"] and cells[11] == ["x", "-", "float64 [1]"]


@pytest.mark.parametrize(
    ("old", "new", "helps"),
    [("", "module.", ('write into the net: `weights { rename "module.*" -> "*" }`', "or drop the prefix with `--strip module.`")),
     ("body.", "net.stages.", ('write into the net: `weights { rename "net.stages.*" -> "body.*" }`',)),
     ("body.", "", (f"write into the net: `weights {{ {'; '.join(EACH)} }}`",))],
)  # fmt: skip
def test_a_rename_is_suggested_that_makes_it_fit(tmp_path: Path, old: str, new: str, helps: tuple[str, ...]) -> None:
    path = stored(tmp_path, {name.replace(old, new, 1): array for name, array in ARRAYS.items()})
    found = refused(PLAIN, path).diagnostic
    assert found.helps == helps
    section = re.search(r"`(weights .*)`", found.helps[0])
    assert section and equal(netspec.loads(f"{NET}net helped = plain {{ {section[1]} }}\n", "helped").graph, path)


def test_what_is_not_certain_is_not_suggested(tmp_path: Path) -> None:
    twice = {f"{net}.{name}": array for name, array in ARRAYS.items() for net in ("model", "ema")}
    assert "rename" not in str(refused(PLAIN, stored(tmp_path, twice)).diagnostic.helps)
    alike = {re.sub(r"^body\.(\d)", lambda m: "layer" + "zyx"[int(m[1])], name): array for name, array in ARRAYS.items()}
    assert not re.search("rename.*(1|2)", str(refused(PLAIN, stored(tmp_path, alike)).diagnostic.helps))


# ------------------------------------------------------------------------------------------------------------- partial
def test_what_a_partial_file_lacks_is_drawn_from_the_seed(tmp_path: Path) -> None:
    path = stored(tmp_path, {name: array for name, array in ARRAYS.items() if not name.startswith("fc.")})
    refused(PLAIN, path)
    weights = weights_of(PLAIN, 5, path, partial=True)
    assert isinstance(weights, Partial) and list(weights.lacking) == ["fc.weight", "fc.bias"]
    drawn, found = arrays_of(PLAIN, weights_of(PLAIN, 5)), arrays_of(PLAIN, weights)
    for name, array in found.items():
        assert np.array_equal(array, (drawn if name.startswith("fc.") else ARRAYS)[name])


def test_partial_is_about_what_is_missing_alone(tmp_path: Path) -> None:
    refused(PLAIN, stored(tmp_path, {"fc.bias": ARRAYS["fc.bias"], "x": np.zeros(1)}), partial=True)
    refused(PLAIN, stored(tmp_path, {"fc.bias": np.zeros(3, "float32")}), partial=True)
    refused(PLAIN, stored(tmp_path, {"x": np.zeros(1)}), partial=True)
    assert not isinstance(weights_of(PLAIN, 0, stored(tmp_path, ARRAYS), partial=True), Partial)
