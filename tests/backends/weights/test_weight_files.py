"""Weights files: read strictly, written the same every time, and refused with a reason where they are damaged or hostile."""

from __future__ import annotations

import io
import json
import struct
import zipfile

import numpy as np
import pytest

from netspec.backends.archive import read_npz
from netspec.backends.weight_files import Entry, match, read_entries, save_safetensors, weights_of
from netspec.backends.weights import Arrays, Initial, arrays_of
from netspec.diagnostics.model import Refusal
from netspec.graph import Rename
from tests.backends.networks import small

GRAPH = small()
ARRAYS = arrays_of(GRAPH, Initial(3))


def refused(code: str, path, graph=GRAPH, **keywords) -> str:
    """Reading the file must be refused with `code`; gives all the words."""
    with pytest.raises(Refusal) as caught:
        arrays_of(graph, weights_of(graph, 0, str(path), **keywords))
    finding = caught.value.diagnostic
    assert finding.code == code, finding
    return " ".join((finding.message, *finding.notes, *finding.helps))


def equal(weights) -> bool:
    return all(np.array_equal(weights.array(t), ARRAYS[t.name]) and weights.array(t).dtype == t.dtype for t in GRAPH.weights)


# ------------------------------------------------------------------------------------------------------- well-meant
def test_safetensors_back_and_forth(tmp_path):
    path, again = tmp_path / "w.safetensors", tmp_path / "v.safetensors"
    save_safetensors(path, GRAPH, Initial(3))
    assert equal(weights_of(GRAPH, 0, str(path)))
    save_safetensors(again, GRAPH, weights_of(GRAPH, 0, str(path)))
    assert path.read_bytes() == again.read_bytes()
    theirs = pytest.importorskip("safetensors.numpy").load_file(path)
    assert theirs.keys() == ARRAYS.keys() and all(np.array_equal(theirs[n], a) for n, a in ARRAYS.items())


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    save(tmp_path / "w.npz", **ARRAYS)
    assert equal(weights_of(GRAPH, 0, str(tmp_path / "w.npz")))
    archive = read_npz(str(tmp_path / "w.npz"))
    assert list(archive) == list(ARRAYS) and np.array_equal(archive["fc.weight"], ARRAYS["fc.weight"])


def test_npz_in_fortran_and_foreign_byte_order(tmp_path):
    arrays = {n: a.astype(a.dtype.newbyteorder(">")).copy(order="F") for n, a in ARRAYS.items()}
    np.savez(tmp_path / "w.npz", **arrays)
    assert equal(weights_of(GRAPH, 0, str(tmp_path / "w.npz")))


def test_pt(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({n: torch.from_numpy(a.copy()) for n, a in ARRAYS.items()}, tmp_path / "w.pt")
    assert equal(weights_of(GRAPH, 0, str(tmp_path / "w.pt")))


def test_counters_of_old_files_are_filled(tmp_path):
    np.savez(tmp_path / "w.npz", **{n: a for n, a in ARRAYS.items() if not n.endswith("num_batches_tracked")})
    weights = weights_of(GRAPH, 0, str(tmp_path / "w.npz"))
    assert equal(weights) and weights.match.filled == ("stem.bn1.num_batches_tracked",)


def test_narrow_numbers_are_widened_and_wide_ones_are_not_cut(tmp_path):
    np.savez(tmp_path / "w.npz", **{n: a.astype("float16") if a.dtype == "float32" else a for n, a in ARRAYS.items()})
    weights = weights_of(GRAPH, 0, str(tmp_path / "w.npz"))
    assert all(weights.array(t).dtype == t.dtype for t in GRAPH.weights)
    np.savez(tmp_path / "w.npz", **{n: a.astype("float64") if a.dtype == "float32" else a for n, a in ARRAYS.items()})
    words = " ".join(refused("NS624", tmp_path / "w.npz").split())
    assert "stem.conv1.weight float32 [4, 3, 3, 3] float64 [4, 3, 3, 3]" in words


def test_bfloat16(tmp_path):
    torch = pytest.importorskip("torch")
    save_file = pytest.importorskip("safetensors.torch").save_file
    state = {n: torch.from_numpy(a.copy()) for n, a in ARRAYS.items()}
    narrow = {n: t.bfloat16() if t.is_floating_point() else t for n, t in state.items()}
    save_file(narrow, tmp_path / "w.safetensors")
    torch.save(narrow, tmp_path / "w.pt")
    for name in ("w.safetensors", "w.pt"):
        weights = weights_of(GRAPH, 0, str(tmp_path / name))
        for tensor in GRAPH.weights:
            np.testing.assert_array_equal(weights.array(tensor), narrow[tensor.name].to(state[tensor.name].dtype).numpy())


# --------------------------------------------------------------------------------------------------- other networks
def test_every_difference_is_named(tmp_path):
    arrays = {**ARRAYS, "extra": np.zeros(3, "float32"), "fc.weight": np.zeros((7, 3), "float32")}
    del arrays["fc.bias"]
    np.savez(tmp_path / "w.npz", **arrays)
    words = " ".join(refused("NS624", tmp_path / "w.npz").split())
    assert "1 missing, 1 unexpected, 1 of another shape or type" in words
    assert "fc.bias float32 [7] - fc.weight float32 [7, 120] float32 [7, 3] extra - float32 [3]" in words


def test_prefixes_are_dropped_only_when_asked(tmp_path):
    np.savez(tmp_path / "w.npz", **{f"module.{n}": a for n, a in ARRAYS.items()})
    assert "--strip module." in refused("NS624", tmp_path / "w.npz")
    assert equal(weights_of(GRAPH, 0, str(tmp_path / "w.npz"), strip="module."))


def test_renames():
    old = {n.replace("stem.", "backbone.0."): n for n in ARRAYS}
    entries = {n: Entry(str(ARRAYS[o].dtype), ARRAYS[o].shape, lambda: None) for n, o in old.items()}
    graph = GRAPH.model_copy(update={"renames": (Rename(old="backbone.0.*", new="stem.*"),)})
    assert match(graph, entries).ok and match(graph, {f"module.{n}": e for n, e in entries.items()}, "module.").ok
    assert not match(GRAPH, entries).ok
    with pytest.raises(Refusal, match="NS624"):
        match(GRAPH, {"a.x": None, "x": None}, "a.")


# ------------------------------------------------------------------------------------------------- hostile: headers
def container(header, data: bytes = b"", length: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def f32(start: int, stop: int, shape, dtype="F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


DAMAGED = {
    "nothing": b"",
    "short": b"\1\2\3",
    "long header": container({}, length=1 << 40),
    "just longer": container({}, length=3),
    "no json": container(b"{nope}"),
    "latin": container(b'{"\xff": 1}'),
    "list": container(b"[]"),
    "deep": container(b'{"a":' + b"[" * 10_000),
    "number": container({"a": 3}),
    "twice": container(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)
    ),
    "twice inside": container(b'{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
    "metadata": container({"__metadata__": {"a": 1}}),
    "dtype": container({"a": f32(0, 4, [1], "F33")}, bytes(4)),
    "dtype list": container({"a": f32(0, 4, [1], ["F32"])}, bytes(4)),
    "negative": container({"a": f32(0, 4, [-1])}, bytes(4)),
    "float size": container({"a": f32(0, 4, [1.0])}, bytes(4)),
    "true size": container({"a": f32(0, 4, [True])}, bytes(4)),
    "huge": container({"a": f32(0, 4, [1 << 62])}, bytes(4)),
    "overflow": container({"a": f32(0, 0, [1 << 32, 1 << 32])}),
    "axes": container({"a": f32(0, 4, [1] * 1000)}, bytes(4)),
    "other bytes": container({"a": f32(0, 8, [1])}, bytes(8)),
    "backwards": container({"a": f32(4, 0, [1])}, bytes(4)),
    "overlap": container({"a": f32(0, 8, [2]), "b": f32(4, 8, [1])}, bytes(8)),
    "same place": container({"a": f32(0, 4, [1]), "b": f32(0, 4, [1])}, bytes(4)),
    "hole": container({"a": f32(0, 4, [1]), "b": f32(8, 12, [1])}, bytes(12)),
    "past the end": container({"a": f32(0, 4, [1])}, bytes(3)),
    "left over": container({"a": f32(0, 4, [1])}, bytes(5)),
    "more keys": container({"a": {**f32(0, 4, [1]), "x": 1}}, bytes(4)),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_safetensors(tmp_path, name):
    (tmp_path / "w.safetensors").write_bytes(DAMAGED[name])
    refused("NS622", tmp_path / "w.safetensors")


def test_too_many_tensors(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(container({f"t{i}": f32(0, 0, [0]) for i in range(20_000)}))
    refused("NS625", tmp_path / "w.safetensors")


def test_mutated_safetensors(tmp_path):
    """Any byte changed: read or refused, never an exception of another kind."""
    path = tmp_path / "w.safetensors"
    save_safetensors(path, GRAPH, Initial(3))
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        bad = bytearray(good)
        for place in rng.integers(0, 1200, rng.integers(1, 4)):
            bad[place] = rng.integers(256)
        path.write_bytes(bytes(bad[: rng.integers(len(bad)) if rng.random() < 0.1 else len(bad)]))
        try:
            arrays_of(GRAPH, weights_of(GRAPH, 0, str(path)))
        except Refusal as refusal:
            assert refusal.diagnostic.code in ("NS622", "NS624", "NS625")


# ------------------------------------------------------------------------------------------------ hostile: archives
def npy(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def archive(path, members, compression=zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in members:
            file.writestr(name, data)


def header_of(text: str, version=(1, 0)) -> bytes:
    raw = text.encode()
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(raw)) + raw


ONE = npy(np.zeros(3, "float32"))
ARCHIVES = {
    "outside": [("../a.npy", ONE)],
    "backslash": [("..\\a.npy", ONE)],
    "absolute": [("/a.npy", ONE)],
    "drive": [("C:a.npy", ONE)],
    "no array": [("a.txt", b"hello")],
    "objects": [("a.npy", npy(np.array([{"a": 1}], dtype=object)))],
    "records": [("a.npy", npy(np.zeros(2, [("x", "f4")])))],
    "strings": [("a.npy", npy(np.array(["x"])))],
    "cut": [("a.npy", ONE[:-1])],
    "long": [("a.npy", ONE + b"\0")],
    "empty": [("a.npy", b"")],
    "no magic": [("a.npy", b"hello world, this is no array at all")],
    "code": [("a.npy", header_of("{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,)}") + bytes(4))],
    "negative": [("a.npy", header_of("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}\n") + bytes(4))],
    "huge": [("a.npy", header_of("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}\n") + bytes(4))],
    "version": [("a.npy", header_of("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}\n", (9, 0)) + bytes(4))],
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_hostile_npz(tmp_path, name):
    archive(tmp_path / "w.npz", ARCHIVES[name])
    refused("NS622", tmp_path / "w.npz")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_npz_with_two_members_of_one_name(tmp_path):
    archive(tmp_path / "w.npz", [("a.npy", ONE), ("a.npy", ONE)])
    refused("NS622", tmp_path / "w.npz")


def test_bombs(tmp_path):
    archive(tmp_path / "w.npz", [(f"{i}.npy", npy(np.zeros(5_000_000, "float32"))) for i in range(4)], zipfile.ZIP_DEFLATED)
    assert "times its size" in refused("NS625", tmp_path / "w.npz")


@pytest.mark.parametrize("name", ["w.npz", "w.pt"])
def test_no_archive(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\3\4 not really")
    refused("NS622", tmp_path / name)


def test_damaged_data_is_found_when_read(tmp_path):
    np.savez(tmp_path / "w.npz", **ARRAYS)
    good = bytearray((tmp_path / "w.npz").read_bytes())
    place = good.find(ARRAYS["fc.weight"].tobytes()[:64]) + 8
    good[place] ^= 1
    (tmp_path / "w.npz").write_bytes(good)
    refused("NS622", tmp_path / "w.npz")


class Trap:
    def __reduce__(self):
        return print, ("code from a weights file ran",)


def test_pt_runs_no_code(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    import pickle

    torch.save({"a": Trap()}, tmp_path / "w.pt")
    words = refused("NS622", tmp_path / "w.pt")
    assert "weights_only" not in words and "Trap" not in words
    (tmp_path / "v.pt").write_bytes(pickle.dumps({"a": Trap()}))
    refused("NS622", tmp_path / "v.pt")
    assert "ran" not in capsys.readouterr().out


def test_pt_with_something_else_inside(tmp_path):
    torch = pytest.importorskip("torch")
    one = torch.zeros(2, 3)
    for value in ([one], {"a": 3}, {1: one}, {"a": one.to_sparse()}, {"a": one.to(torch.complex64)}, one):
        torch.save(value, tmp_path / "w.pt")
        refused("NS622", tmp_path / "w.pt")
    torch.save({"state_dict": {"a": one}, "epoch": 3}, tmp_path / "w.pt")
    assert "state_dict" in refused("NS622", tmp_path / "w.pt")
    torch.save({"a": one}, tmp_path / "w.pt", _use_new_zipfile_serialization=False)
    refused("NS622", tmp_path / "w.pt")


def test_no_file_and_other_kinds(tmp_path):
    refused("NS620", tmp_path / "none.safetensors")
    (tmp_path / "d.npz").mkdir()
    refused("NS620", tmp_path / "d.npz")
    refused("NS621", tmp_path / "w.h5")
    with pytest.raises(Refusal):
        read_entries(str(tmp_path / "none.pt"))


def test_arrays_are_accepted_wherever_weights_are(tmp_path):
    save_safetensors(tmp_path / "a.safetensors", GRAPH, Arrays(ARRAYS))
    assert equal(weights_of(GRAPH, 0, str(tmp_path / "a.safetensors")))


def test_what_lies_where_a_tensor_lies_is_that_tensor(tmp_path):
    """A tied weight, which PyTorch's state dict has twice; an equal tensor elsewhere in the file is another one."""
    torch = pytest.importorskip("torch")
    weights = {n: torch.from_numpy(a.copy()) for n, a in ARRAYS.items()}
    weight, path = weights["fc.weight"], tmp_path / "w.pt"
    torch.save(weights | {"again": weight}, path)
    assert equal(weights_of(GRAPH, 0, str(path)))
    torch.save(weights | {"again": weight.clone()}, path)
    assert match(GRAPH, read_entries(str(path))).unexpected == ("again",)
    torch.save(weights | {"part": weight[:1]}, path)
    assert match(GRAPH, read_entries(str(path))).unexpected == ("part",)
