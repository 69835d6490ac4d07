"""Sessions: what was asked for runs, and a wrong input is an explained refusal."""

from __future__ import annotations

import numpy as np
import pytest

from netspec.backends.onnx import model_bytes
from netspec.backends.weights import Initial
from netspec.diagnostics.model import Refusal
from netspec.graph import Requirement
from netspec.runtime.session import Session, available
from netspec.sizes.dim import Dim
from tests.backends import networks as nets

N, H, W = (Dim.name(n) for n in "NHW")


def network():
    b = nets.Builder()
    x = b.input("image", N, 3, H, W)
    y = b.input("mask", N, 3, H, 2 * W)
    first = b.add("conv", nets.Conv(channels=2), x)
    graph = b.graph(a=first, b=b.add("relu", nets.Plain(), y))
    need = Requirement(relation="==", left=H % 16, right=0, code="NS404", reason="the sizes along axis 2 differ", node="cat1")
    return graph.model_copy(update={"requirements": (need,)})


GRAPH = network()
MODEL = model_bytes(GRAPH, Initial(0))


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(MODEL, graph=GRAPH)


def inputs(n=1, h=16, w=5, dtype="float32", c=3):
    return {"image": np.ones((n, c, h, w), dtype), "mask": np.ones((n, c, h, 2 * w), dtype)}


def test_runs(session):
    out = session(**inputs(n=2, h=32))
    assert {k: v.shape for k, v in out.items()} == {"a": (2, 2, 32, 5), "b": (2, 3, 32, 10)}
    assert session.provider in available()
    assert session.inputs == {"image": (None, 3, None, None), "mask": (None, 3, None, None)}


def test_lists_are_converted(session):
    out = session(image=inputs()["image"].tolist(), mask=inputs()["mask"].tolist())
    assert out["a"].dtype == np.float32


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"mask": None}, "NS720", "`mask` is missing"),
        ({"imaeg": np.zeros(3)}, "NS720", "did you mean `image`?"),
        ({"image": np.ones((1, 3, 16, 5))}, "NS721", 'astype("float32")'),
        ({"image": [["a"]]}, "NS721", "cannot be read"),
        ({"image": np.ones((3, 16, 5), "float32")}, "NS722", "array[None]"),
        ({"image": np.ones((1, 4, 16, 5), "float32")}, "NS722", "must be 3"),
        ({"mask": np.ones((2, 3, 16, 10), "float32")}, "NS722", "N = 1 by axis 0 of `image`"),
        ({"mask": np.ones((1, 3, 16, 11), "float32")}, "NS722", "must be 10 (2 * W, W = 5"),
        (inputs(h=20), "NS723", "the nearest sizes that work: H = 16 or H = 32"),
    ],
)
def test_wrong_inputs(session, change, code, words):
    given = {k: v for k, v in {**inputs(), **change}.items() if v is not None}
    with pytest.raises(Refusal) as caught:
        session(**given)
    finding = caught.value.diagnostic
    assert finding.code == code
    assert words in " ".join((finding.message, *finding.notes, *finding.helps))


def test_a_model_without_its_graph(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(MODEL)
    session = Session(path, provider="cpu", optimize="none", threads=1)
    assert session.provider == "cpu"
    assert session(**inputs(h=32))["a"].shape == (1, 2, 32, 5)
    with pytest.raises(Refusal, match="NS722"):
        session(image=inputs()["image"], mask=inputs(n=2)["mask"])
    with pytest.raises(Refusal, match="NS723"):  # the conditions are in the metadata
        session(**inputs(h=20))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"provider": "tpu"}, "NS733"),
        ({"optimize": "most"}, "NS733"),
        ({"provider": "tensorrt"}, "NS730"),
    ],
)
def test_wrong_options(arguments, code):
    if arguments.get("provider") in available():
        pytest.skip("this provider is installed here")
    with pytest.raises(Refusal, match=code):
        Session(MODEL, **arguments)


def test_a_provider_that_does_not_start_is_no_silent_fallback(monkeypatch):
    """As with CUDA on a machine whose driver is missing: built in, but not in use."""
    monkeypatch.setattr("netspec.runtime.providers.available", lambda: ("cpu", "cuda"))
    with pytest.warns(UserWarning), pytest.raises(Refusal, match="NS731"):
        Session(MODEL, provider="cuda")


def test_models_that_are_none(tmp_path):
    with pytest.raises(Refusal, match="NS732"):
        Session(b"not a model")
    with pytest.raises(Refusal, match="NS732"):
        Session(tmp_path / "missing.onnx")


def test_auto_takes_the_next_that_starts(monkeypatch):
    monkeypatch.setattr("netspec.runtime.providers.available", lambda: ("cpu", "cuda"))
    with pytest.warns(UserWarning):
        assert Session(MODEL, provider="auto").provider == "cpu"
