"""Normalization: measured on the training rows, applied alike to columns, batches and graphs, and read back from files of anyone."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from netspec import loads
from netspec.backends.normalization import KEY, Affine, Facts, Log, Normalized, facts_of, parse_facts, raw_arrays, with_normalization
from netspec.backends.weight_files import weights_of, write_arrays
from netspec.backends.weights import arrays_of
from netspec.cli.main import main
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph
from netspec.op import Reject
from netspec.recipe import normalizations as recipe
from netspec.recipe.section import Section
from netspec.training.data import open_data
from netspec.training.data.conversion import Conversion
from netspec.training.data.need import Form, Need
from netspec.training.data.raw import Uneven
from netspec.training.data.table import Column, Table
from netspec.training.normalization import Moments, Normalization, measure

PICTURES = "net a { input image: [N, 3, H = 8, W = 8]; output y = image -> conv(4, 3) -> relu -> global_avg_pool -> linear(5) }"
SEQUENCES = "net a { input x: [N, T, 6]; output y = x -> linear(3) }"
ROWS = "net a { input x: [N, 4]; output y = x -> linear(3) }"


def table_of(tmp_path, graph, **columns):
    path = tmp_path / "data.npz"
    np.savez(path, **columns)
    inputs = {port.name: graph.values[port.value].type for port in graph.inputs}
    return open_data(str(path), {}, inputs)


def section(*entries, name=""):
    return Section(normalize=tuple((name, entry) for entry in entries))


def steps_of(found, name):
    return found.facts.inputs[name].steps


def test_standardize_by_the_training_rows_alone(tmp_path):
    graph = loads(PICTURES).graph
    data = np.random.default_rng(0).normal(3, 2, (40, 3, 8, 8)).astype(np.float32) * np.float32([1, 5, 0.1])[:, None, None]
    rows = np.random.default_rng(1).permutation(40)[:25]
    data[np.setdiff1d(np.arange(40), rows)] = 1e6
    table = table_of(tmp_path, graph, image=data)
    found = measure(table, rows, graph, section(recipe.Standardize()))
    (step,) = steps_of(found, "image")
    assert step.axis == 1
    assert np.allclose(step.shift, data[rows].mean((0, 2, 3), dtype=np.float64), rtol=1e-12)
    assert np.allclose(step.scale, data[rows].std((0, 2, 3), dtype=np.float64), rtol=1e-12)
    made = found.apply_column("image", table.columns["image"].array)
    assert np.abs(made[rows].mean((0, 2, 3), dtype=np.float64)).max() < 1e-6
    assert np.abs(made[rows].std((0, 2, 3), dtype=np.float64) - 1).max() < 1e-6
    whole = found.apply_table(table)
    assert np.array_equal(whole.columns["image"].array, made) and np.array_equal(table.columns["image"].array, data)


@pytest.mark.parametrize("per, axis, over", [("channel", 1, (0, 2, 3)), ("feature", 3, (0, 1, 2)), ("all", None, None)])
def test_statistics_of_what(tmp_path, per, axis, over):
    graph = loads("net a { input image: [N, 3, H = 8, 8]; output y = image -> conv(4, 3) }").graph
    data = np.random.default_rng(2).gamma(2, 3, (30, 3, 8, 8)).astype(np.float32)
    table = table_of(tmp_path, graph, image=data)
    (step,) = steps_of(measure(table, np.arange(30), graph, section(recipe.Standardize(per=per))), "image")
    assert step.axis == axis
    assert np.allclose(step.shift, np.ravel(data.mean(over, dtype=np.float64)), rtol=1e-12)
    (step,) = steps_of(measure(table, np.arange(30), graph, section(recipe.MinMax(low=-1, high=1, per=per))), "image")
    made = (data - step.along(4)[0]) / step.along(4)[1]
    assert np.allclose(made.min(over), -1, atol=1e-6) and np.allclose(made.max(over), 1, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 4)), elements=st.floats(-1e3, 1e3, width=32)),
    st.floats(-1e7, 1e7),
    st.lists(st.integers(1, 39), max_size=4),
)
def test_moments_joined_from_pieces(values, offset, cuts):
    values = values + offset
    moments = Moments(1)
    for piece in np.split(values, sorted(c for c in set(cuts) if c < len(values))):
        moments.add(piece)
    spread = max(float(np.ptp(values)), 1e-9 * abs(offset), 1e-30)
    assert moments.count == len(values)
    assert np.allclose(moments.mean, values.mean(0), rtol=1e-14, atol=1e-9 * spread)
    assert np.allclose(
        moments.variance, values.var(0), rtol=1e-9, atol=1e-12 * spread**2 + (len(values) * np.abs(values).max() * 2.3e-16) ** 2
    )


def test_large_mean_small_deviation():
    values = np.random.default_rng(3).normal(1e7, 1, (200_000, 1))
    moments = Moments(1)
    for piece in np.array_split(values, 37):
        moments.add(piece)
    assert abs(float(moments.variance[0]) - values.var()) < 1e-9


def test_numbers_that_do_not_vary(tmp_path):
    graph = loads(ROWS).graph
    data = np.random.default_rng(4).normal(size=(9, 4)).astype(np.float32)
    data[:, 1], data[:, 3] = 0.1, 0
    table = table_of(tmp_path, graph, x=data)
    for entry, constant in ((recipe.Standardize(), 0.0), (recipe.MinMax(low=2, high=3), 2.0)):
        found = measure(table, np.arange(9), graph, section(entry))
        made = found.apply_column("x", data)
        assert np.isfinite(made).all() and np.allclose(made[:, [1, 3]], constant, atol=1e-6)
        assert steps_of(found, "x")[0].scale[1] == 1.0


def test_steps_are_measured_one_after_the_other(tmp_path):
    graph = loads(ROWS).graph
    data = np.random.default_rng(5).gamma(1, 30, (50, 4)).astype(np.float32)
    table = table_of(tmp_path, graph, x=data)
    found = measure(table, np.arange(50), graph, section(recipe.Log(offset=2.0), recipe.Standardize()))
    expected = np.log(data.astype(np.float64) + 2)
    expected = (expected - expected.mean(0)) / expected.std(0)
    assert np.allclose(found.apply_column("x", data), expected, atol=1e-5)


def test_named_inputs_alone(tmp_path):
    graph = loads(
        "net a { input x: [N, 4]; input z: [N, 2]; input i: int64 [N]; output y = x -> linear(3); output w = z -> linear(2); output v = i }"
    ).graph
    data = np.random.default_rng(6).normal(5, 3, (12, 4)).astype(np.float32)
    table = table_of(tmp_path, graph, x=data, z=data[:, :2], i=np.arange(12))
    one = measure(table, np.arange(12), graph, section(recipe.Standardize(), name="z"))
    assert one.inputs == ("z",)
    assert measure(table, np.arange(12), graph, section(recipe.Standardize())).inputs == ("x", "z")
    assert measure(table, np.arange(12), graph, section()).inputs == ()
    for name in ("i", "q"):
        with pytest.raises(Refusal) as refused:
            measure(table, np.arange(12), graph, section(recipe.Standardize(), name=name))
        assert refused.value.diagnostic.code == "NS842"


def test_given_statistics(tmp_path):
    graph = loads(PICTURES).graph
    table = table_of(tmp_path, graph, image=np.ones((2, 3, 8, 8), np.float32))
    entry = recipe.Standardize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    assert steps_of(measure(table, np.arange(2), graph, section(entry)), "image") == (Affine(entry.mean, entry.std, 1),)
    one = recipe.Standardize(mean=0.5, std=0.25)
    assert steps_of(measure(table, np.arange(2), graph, section(one)), "image") == (Affine((0.5,), (0.25,)),)
    mixed = recipe.Standardize(mean=(1.0, 2.0, 3.0), std=2.0)
    assert steps_of(measure(table, np.arange(2), graph, section(mixed)), "image")[0].scale == (2.0, 2.0, 2.0)
    with pytest.raises(Refusal):
        measure(table, np.arange(2), graph, section(recipe.Standardize(mean=(1.0, 2.0), std=1.0)))


@pytest.mark.parametrize(
    "entry",
    [
        recipe.Standardize(mean=1.0),
        recipe.Standardize(mean=(1.0, 2.0), std=(1.0, 2.0, 3.0)),
        recipe.Standardize(per="all", mean=(1.0, 2.0), std=1.0),
        recipe.MinMax(low=1, high=1),
    ],
)
def test_arguments(entry):
    with pytest.raises(Reject):
        entry.check()


def test_what_cannot_be_normalized(tmp_path):
    graph = loads(SEQUENCES).graph
    data = np.random.default_rng(7).normal(size=(5, 7, 6)).astype(np.float32)
    table = table_of(tmp_path, graph, x=data)
    for entry in (recipe.Standardize(), recipe.Log(offset=0.5)):
        with pytest.raises(Refusal) as refused:
            made = measure(table, np.arange(5), graph, section(entry))
            made.apply_column("x", data)
        assert refused.value.diagnostic.code == "NS842" and refused.value.diagnostic.helps
    assert steps_of(measure(table, np.arange(5), graph, section(recipe.Standardize(per="feature"))), "x")[0].axis == 2


def test_what_fills_up_sequences_does_not_count():
    graph = loads(SEQUENCES).graph
    rng, lengths = np.random.default_rng(8), np.array([3, 9, 1, 5])
    flat = rng.normal(4, 2, (lengths.sum(), 6)).astype(np.float32)
    form = Form("float", graph.values[graph.inputs[0].value].shape, "float32")
    column = Column("x", Uneven(flat, lengths), Need("x", (form,)), form, Conversion("float32"), fill=7.0)
    (step,) = steps_of(measure(Table({"x": column}), np.arange(4), graph, section(recipe.Standardize(per="feature"))), "x")
    assert np.allclose(step.shift, flat.mean(0, dtype=np.float64)) and np.allclose(step.scale, flat.std(0, dtype=np.float64))


def test_batches_and_columns_get_the_same_numbers(tmp_path):
    graph = loads(PICTURES).graph
    data = np.random.default_rng(9).gamma(2, 3, (20, 3, 8, 8)).astype(np.float32)
    found = measure(table_of(tmp_path, graph, image=data), np.arange(20), graph, section(recipe.Standardize(), recipe.MinMax()))
    given = {"image": torch.from_numpy(data), "label": torch.arange(20)}
    batch = found.apply(given)
    assert np.array_equal(batch["image"].numpy(), found.apply_column("image", data))
    assert batch["label"] is given["label"] and np.array_equal(given["image"].numpy(), data)
    again = Normalization.parse(found.metadata())
    assert again.facts == found.facts and again.metadata() == found.metadata()
    assert np.array_equal(again.apply(given)["image"].numpy(), batch["image"].numpy())


def both(graph, facts, tmp_path, raw, pipeline):
    """Predictions of PyTorch on what training feeds, and of onnxruntime on the data as they are."""
    from netspec.backends.onnx import model_bytes
    from netspec.runtime.session import Session

    weights = weights_of(graph, 3)
    net = loads_graph(graph)
    with torch.no_grad():
        expected = net(torch.from_numpy(pipeline)).numpy()
    front = with_normalization(graph, facts)
    assert Graph.read(front.write()) == front
    return expected, Session(model_bytes(front, weights), provider="cpu", graph=front)(image=raw)["y"]


def loads_graph(graph):
    from netspec.backends.torch_module import build_module, load_weights
    from netspec.backends.torch_source import write_source

    module = build_module(write_source(graph), graph)
    load_weights(module, arrays_of(graph, weights_of(graph, 3)))
    return module.eval()


@pytest.mark.parametrize(
    "entries",
    [(recipe.Standardize(),), (recipe.MinMax(per="all"),), (recipe.Log(), recipe.Standardize()), ()],
    ids=["std", "minmax", "log", "none"],
)
@pytest.mark.parametrize("pixels", [True, False])
def test_onnx_on_raw_data_as_torch_on_normalized(tmp_path, entries, pixels):
    graph = loads(PICTURES).graph
    rng = np.random.default_rng(10)
    raw = rng.integers(0, 256, (16, 3, 8, 8), dtype=np.uint8) if pixels else rng.gamma(2, 40, (16, 3, 8, 8)).astype(np.float32)
    table = table_of(tmp_path, graph, image=raw)
    found = measure(table, np.arange(12), graph, section(*entries))
    expected, given = both(graph, found.facts, tmp_path, raw, found.apply_table(table).columns["image"].array)
    assert np.abs(given - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())
    front = with_normalization(graph, found.facts)
    assert front.values[front.inputs[0].value].dtype == ("uint8" if pixels else "float32")
    assert [w.name for w in front.weights] == [w.name for w in graph.weights] and front.outputs == graph.outputs


def test_an_input_that_is_an_output(tmp_path):
    graph = loads("net a { input image: [N, 3, 4, 4]; output y = image -> flatten -> linear(2); output same = image }").graph
    front = with_normalization(graph, Facts({"image": Normalized((Affine((1.0,), (2.0,)),), False)}))
    raw = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    from netspec.backends.onnx import model_bytes
    from netspec.runtime.session import Session

    found = Session(model_bytes(front, weights_of(front, 0)), provider="cpu", graph=front)(image=raw)
    assert np.allclose(found["same"], (raw - 1) / 2, atol=1e-6)


def weights_file(tmp_path, graph, text):
    path = str(tmp_path / "weights.safetensors")
    arrays_ = {name: ("float32", array) for name, array in arrays_of(graph, weights_of(graph, 3)).items()}
    write_arrays(path, arrays_, {} if text is None else {KEY: text})
    return path


FACTS = Facts({"image": Normalized((Log(1.0), Affine((0.4, 0.5, 0.6), (0.2, 0.3, 0.1), 1)), True)})


def test_command_line(tmp_path, capsys):
    spec, graph = tmp_path / "a.net", loads(PICTURES).graph
    spec.write_text(PICTURES)
    path, model = weights_file(tmp_path, graph, FACTS.write()), str(tmp_path / "a.onnx")
    raw = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "x.npy", raw)
    build = ["build", str(spec), "--weights", path, "--with-normalization", "-o"]
    assert main([*build, model]) == 0
    results = []
    for run in ([model], [str(spec), "--weights", path, "--with-normalization"]):
        assert main(["run", *run, "--input", f"image={tmp_path / 'x.npy'}", "-o", str(tmp_path / "y.npz")]) == 0
        results.append(np.load(tmp_path / "y.npz")["y"])
    with torch.no_grad():
        expected = loads_graph(graph)(Normalization(FACTS).apply({"image": torch.from_numpy(raw).float() / 255})["image"]).numpy()
    assert np.array_equal(*results) and np.allclose(results[0], expected, atol=1e-5)
    assert main(["verify", str(spec), "--weights", path, "--with-normalization"]) == 0
    assert main([*build, str(tmp_path / "a.py")]) == 0 and main([*build, str(tmp_path / "a.json")]) == 0
    capsys.readouterr()
    option = "--with-normalization"
    for refused in (
        [*build, str(tmp_path / "b.safetensors")],
        ["build", str(spec), option, "-o", model],
        ["run", model, option, "--input", "image=x"],
        ["verify", str(spec), option],
    ):
        assert main(refused) == 2
        assert "NS015" in capsys.readouterr().err
    bare = weights_file(tmp_path, graph, None)
    assert main(["build", str(spec), "--weights", bare, "--with-normalization", "-o", model]) == 2
    assert "NS841" in capsys.readouterr().err


def test_images_for_inputs_of_grey_values(tmp_path):
    from PIL import Image

    from netspec.runtime.arrays import read_array

    picture = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    path = str(tmp_path / "p.png")
    Image.fromarray(picture).save(path)
    grey = read_array(path, (None, 3, None, None), dtype="uint8")
    assert grey.dtype == np.uint8 and np.array_equal(grey[0], picture.transpose(2, 0, 1))
    assert np.allclose(read_array(path, (None, 3, None, None)), grey / 255.0)
    with pytest.raises(Refusal):
        read_array(path, (None, 3, None, None), "imagenet", "uint8")


def test_raw_data_for_verification():
    image = np.random.default_rng(0).normal(size=(3, 3, 8, 8)).astype(np.float32)
    facts = Facts({"image": Normalized((Log(1.0), Affine((2.0,), (0.5,))))})
    again = Normalization(facts).apply_column("image", raw_arrays(facts, {"image": image})["image"])
    assert np.allclose(again, image, atol=1e-4)


WHOLE = json.loads(FACTS.write())


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "NaN", '{"version": 1}', '{"version": 2, "inputs": {}}', '{"version": 1, "inputs": []}', "[" * 100_000,
        '{"version": 1, "inputs": {"image": {"pixels": 1, "steps": []}}}',
        '{"version": 1, "inputs": {"image": {"pixels": true, "steps": [{"kind": "eval", "offset": 1}]}}}',
        '{"version": 1, "inputs": {"image": {"pixels": true, "steps": [{"kind": "log", "offset": NaN}]}}}',
        '{"version": 1, "inputs": {"image": {"pixels": true, "steps": [{"kind": "log", "offset": "1"}]}}}',
        '{"version": 1, "inputs": {"image": {"pixels": true, "steps": [{"kind": "log", "offset": 1e999}]}}}',
        '{"version": 1, "inputs": {"image": {"pixels": true, "steps": [{"kind": "log", "offset": 1' + "0" * 400 + "}]}}}",
        '{"version": 1, "inputs": {"image": {"pixels": true, "steps": [{"kind": "affine", "axis": 1, "shift": [1], "scale": [0]}]}}}',
        '{"version": 1, "inputs": {"image": {"pixels": true, "steps": [{"kind": "affine", "axis": -1, "shift": [1], "scale": [1]}]}}}',
        '{"version": 1, "inputs": {"image": {"pixels": true, "steps": [{"kind": "affine", "axis": null, "shift": [1, 2], "scale": [1]}]}}}',
        '{"version": 1, "inputs": {"image": {"pixels": true, "steps": [{"kind": "affine", "axis": 1, "shift": [], "scale": []}]}}}',
        '{"version": 1, "inputs": {"image": {"pixels": true, "steps": [{"kind": "affine", "axis": 1, "shift": [true], "scale": [1]}]}}}',
    ],
)  # fmt: skip
def test_hostile_metadata(tmp_path, text):
    with pytest.raises(Refusal) as refused:
        facts_of(weights_file(tmp_path, loads(PICTURES).graph, text))
    assert refused.value.diagnostic.code == "NS840"


WORDS = st.sampled_from(["version", "inputs", "image", "pixels", "steps", "kind", "axis", "shift", "scale"])
ATOMS = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)
JSON = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=12)


@settings(max_examples=150, deadline=None)
@given(JSON, st.integers(0, 6))
def test_any_metadata_is_read_or_refused(value, where):
    """A part of a right description replaced by anything: facts, or NS840."""
    text = json.loads(json.dumps(WHOLE))
    image = text["inputs"]["image"]
    step = image["steps"][1]
    parts = [(text, "inputs"), (text["inputs"], "image"), (image, "steps"), (image["steps"], 1), (step, "axis"), (step, "shift")]
    table, key = [*parts, (step, "scale")][where]
    table[key] = value
    try:
        with_normalization(loads(PICTURES).graph, parse_facts(json.dumps(text)))
    except Refusal as refused:
        assert refused.diagnostic.code == "NS840"


@pytest.mark.parametrize(
    "facts",
    [
        Facts({"picture": Normalized((Log(1.0),))}),
        Facts({"image": Normalized((Affine((1.0, 2.0), (1.0, 2.0), 1),))}),
        Facts({"image": Normalized((Affine((1.0,) * 8, (1.0,) * 8, 3),))}),
        Facts({"image": Normalized((Affine((1.0,), (1.0,), 9),))}),
    ],
)
def test_facts_of_another_network(facts):
    with pytest.raises(Refusal) as refused:
        with_normalization(loads(PICTURES).graph, facts)
    assert refused.value.diagnostic.code == "NS840"


def test_names_that_are_taken(tmp_path):
    text = (
        "net a { input image: [N, 3, 4, 4]; output image_normalized = image -> conv(3, 1) as image_shift -> conv(3, 1) as image_centred }"
    )
    front = with_normalization(loads(text).graph, FACTS)
    from netspec.runtime.verify import verify

    assert verify(front, count=1).ok
