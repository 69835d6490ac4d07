"""Weights files whose values are no numbers, that change while they are read, that would take all memory, or have any byte changed."""

from __future__ import annotations

import os
import struct

import numpy as np
import pytest

from netspec.backends.weight_files import read_entries, save_safetensors, weights_of, write_arrays
from netspec.backends.weights import Arrays, Initial, arrays_of
from netspec.diagnostics.model import Refusal
from tests.backends.weights.test_weight_files import ARRAYS, GRAPH, container, refused


def changed(name: str, value: float) -> dict[str, np.ndarray]:
    """The arrays with one value in one of them."""
    array = ARRAYS[name].copy()
    array.reshape(-1)[array.size // 2] = value
    return {**ARRAYS, name: array}


@pytest.mark.parametrize("narrow", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(tmp_path, value, narrow):
    def write(name: str) -> str:
        arrays = changed(name, value)
        if narrow == "bfloat16":
            stored = {
                n: ("bfloat16", (a.view("uint32") >> 16).astype("uint16")) if a.dtype == "float32" else (str(a.dtype), a)
                for n, a in arrays.items()
            }
        else:
            stored = {n: (narrow, a.astype(narrow)) if a.dtype == "float32" else (str(a.dtype), a) for n, a in arrays.items()}
        write_arrays(tmp_path / "w.safetensors", stored, {})
        return str(tmp_path / "w.safetensors")

    assert "`fc.weight` at [3, 60]" in refused("NS633", write("fc.weight"))
    path = write("stem.bn1.running_mean")  # a buffer
    if np.isnan(value):
        assert "`stem.bn1.running_mean` at [2]" in refused("NS633", path)
    else:
        assert np.isinf(arrays_of(GRAPH, weights_of(GRAPH, 0, path))["stem.bn1.running_mean"]).sum() == 1


@pytest.mark.parametrize(
    "save", [np.savez, lambda path, **a: __import__("torch").save({n: __import__("torch").tensor(v) for n, v in a.items()}, path)]
)
def test_no_number_in_other_files(tmp_path, save):
    path = tmp_path / ("w.npz" if save is np.savez else "w.pt")
    save(path, **changed("fc.bias", np.nan))
    refused("NS633", path)


def test_large_numbers_are_numbers(tmp_path):
    """Whose sum is none."""
    arrays = {**ARRAYS, "fc.weight": np.full_like(ARRAYS["fc.weight"], 3e38)}
    save_safetensors(tmp_path / "w.safetensors", GRAPH, Arrays(arrays))
    assert np.array_equal(arrays_of(GRAPH, weights_of(GRAPH, 0, str(tmp_path / "w.safetensors")))["fc.weight"], arrays["fc.weight"])


@pytest.mark.parametrize("change", ["touch", "cut", "grow", "replace", "remove"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_file_that_changes_while_it_is_read(tmp_path, change, suffix):
    path = tmp_path / f"w{suffix}"
    if suffix == ".pt":
        torch = pytest.importorskip("torch")
        torch.save({n: torch.from_numpy(a.copy()) for n, a in ARRAYS.items()}, path)
    else:
        save_safetensors(path, GRAPH, Initial(3))
    weights = weights_of(GRAPH, 0, str(path))
    content = path.read_bytes()
    path.unlink() if change in ("replace", "remove") else None
    if change != "remove":
        path.write_bytes({"cut": content[:-9], "grow": content + b"1"}.get(change, content))
        os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))
    with pytest.raises(Refusal, match="NS634" if change != "remove" else "NS620"):
        arrays_of(GRAPH, weights)


def test_headers_that_would_take_memory(tmp_path):
    """A table of a few megabytes may stand for a gigabyte of empty lists."""
    (tmp_path / "w.safetensors").write_bytes(container(b'{"a":[' + b"[]," * 500_000 + b"[]]}"))
    refused("NS625", tmp_path / "w.safetensors")
    with open(tmp_path / "v.safetensors", "wb") as file:  # nothing but a length, and a file that is as long
        file.write(struct.pack("<Q", 90_000_000))
        file.truncate(100_000_000)
    refused("NS625", tmp_path / "v.safetensors")


def test_archives_with_a_long_table(tmp_path):
    for name in ("w.npz", "w.pt"):
        with open(tmp_path / name, "wb") as file:
            file.truncate(60_000_000)
            file.seek(0, 2)
            file.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 50_000_000, 10_000_000, 0))
        refused("NS625", tmp_path / name)


def test_mutated_archives(tmp_path):
    """Any byte of an archive changed: read or refused, never an exception of another kind."""
    torch = pytest.importorskip("torch")
    torch.save({n: torch.from_numpy(a.copy()) for n, a in ARRAYS.items()}, tmp_path / "w.pt")
    np.savez(tmp_path / "w.npz", **ARRAYS)
    rng = np.random.default_rng(0)
    for name in ("w.pt", "w.npz"):
        good = (tmp_path / name).read_bytes()
        for _ in range(60):
            bad = bytearray(good)
            for place in rng.integers(0, len(good), rng.integers(1, 6)):
                bad[place if rng.random() < 0.5 else -1 - place % 3000] = rng.integers(256)
            (tmp_path / f"bad{name}").write_bytes(bytes(bad[: rng.integers(len(bad)) if rng.random() < 0.1 else len(bad)]))
            try:
                arrays_of(GRAPH, weights_of(GRAPH, 0, str(tmp_path / f"bad{name}")))
            except Refusal as refusal:
                assert refusal.diagnostic.code in ("NS622", "NS624", "NS625", "NS633")


@pytest.mark.parametrize("maps", [True, False])
def test_pt_is_read_in_parts_where_the_system_says_where_it_lies(tmp_path, monkeypatch, maps):
    """Other systems than Linux read what PyTorch has mapped; so are transposed and repeated tensors read everywhere."""
    torch = pytest.importorskip("torch")
    from netspec.backends import torch_weights

    if not maps:
        monkeypatch.setattr(torch_weights, "_stretches", lambda status: ())
    state = {n: torch.from_numpy(a.copy()) for n, a in ARRAYS.items()}
    state["fc.weight"] = state["fc.weight"].t().contiguous().t()
    state["fc.bias"] = state["fc.bias"][:1].expand(7)
    state["shared.weight"] = torch.nn.Parameter(torch.cat((state["shared.weight"],) * 2)[4:])
    torch.save(state, tmp_path / "w.pt")
    entries = read_entries(str(tmp_path / "w.pt"))
    if os.path.exists("/proc/self/maps"):
        assert {n for n, entry in entries.items() if entry.span is None} == ({"fc.weight", "fc.bias"} if maps else set(ARRAYS))
    weights = weights_of(GRAPH, 0, str(tmp_path / "w.pt"))
    for tensor in GRAPH.weights:
        np.testing.assert_array_equal(weights.array(tensor), state[tensor.name].detach().numpy())


def test_pt_with_tensors_that_are_not_what_is_stored(tmp_path):
    torch = pytest.importorskip("torch")
    negated = torch.zeros(3, dtype=torch.complex64).conj().imag
    assert negated.is_neg()
    torch.save({"a": negated}, tmp_path / "w.pt")
    refused("NS622", tmp_path / "w.pt")
    torch.save({"a": torch.zeros(1).expand(1 << 40)}, tmp_path / "w.pt")  # four terabytes in four bytes
    refused("NS624", tmp_path / "w.pt")


def test_pt_of_before_1_6_says_how_it_is_written_again(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.zeros(3)}, tmp_path / "w.pt", _use_new_zipfile_serialization=False)
    assert "before 1.6" in refused("NS622", tmp_path / "w.pt")
