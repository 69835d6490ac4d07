"""Data comes out of every kind of file as it went in, by the names of the spec; what does not fit is refused with the way to mend it."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from netspec.diagnostics.model import Refusal
from netspec.recipe.entry import Wanted
from netspec.sizes.dim import Dim
from netspec.sizes.tensor import TensorType
from netspec.training.data import Options, Table, open_data

N, T, H, W, K = (Dim.name(n) for n in "NTHWK")
LABEL = {"label": (Wanted("index", (N,), 3),)}
ROWS = np.array([2, 0, 4])


def opened(where: Path | str, inputs: dict[str, TensorType], wanted: dict | None = None, **options) -> Table:
    return open_data(str(where), wanted or {}, inputs, options=Options(**options))


def refused(code: str, where: Path | str, inputs: dict[str, TensorType], wanted: dict | None = None, **options) -> str:
    """What a refusal says, all of it."""
    with pytest.raises(Refusal) as caught:
        opened(where, inputs, wanted, **options)
    found = caught.value.diagnostic
    assert found.code == code, found
    return "\n".join((found.message, *found.notes, *found.helps))


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).random((6, 1, 4, 5)).astype(np.float32)


@pytest.fixture
def label() -> np.ndarray:
    return np.array([0, 1, 2, 0, 1, 2])


IMAGE = {"image": TensorType((N, 1, 4, 5))}


def test_npz_by_name(tmp_path: Path, image: np.ndarray, label: np.ndarray) -> None:
    np.savez(tmp_path / "d.npz", image=image.astype(np.float64), label=label.astype(np.int32), other=np.zeros(3))
    table = opened(tmp_path / "d.npz", IMAGE, LABEL)
    taken = table.take(ROWS)
    assert len(table) == 6 and table.resident and table.remarks == []
    assert taken["image"].dtype == np.float32 and taken["label"].dtype == np.int64
    np.testing.assert_array_equal(taken["image"], image[ROWS])
    np.testing.assert_array_equal(taken["label"], label[ROWS])


def test_a_lone_npy_is_the_one_input(tmp_path: Path, image: np.ndarray) -> None:
    np.save(tmp_path / "faces.npy", image)
    np.testing.assert_array_equal(opened(tmp_path / "faces.npy", IMAGE).take(ROWS)["image"], image[ROWS])
    assert "no column `image`, `label`" in refused("NS801", tmp_path / "faces.npy", IMAGE, LABEL)


@pytest.mark.parametrize("memory", [1 << 30, 0])
def test_a_folder_of_npy(tmp_path: Path, image: np.ndarray, label: np.ndarray, memory: int) -> None:
    np.save(tmp_path / "image.npy", image)
    np.save(tmp_path / "label.npy", label)
    table = opened(tmp_path, IMAGE, LABEL, memory=memory)
    assert table.resident == bool(memory)
    np.testing.assert_array_equal(table.take(ROWS)["image"], image[ROWS])


def test_other_names_are_said_not_guessed(tmp_path: Path, image: np.ndarray, label: np.ndarray) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, X=image, y=label)
    said = refused("NS801", path, IMAGE, LABEL)
    assert "X (float32 [6, 1, 4, 5])" in said and "--column image=X,label=y" in said
    np.testing.assert_array_equal(opened(path, IMAGE, LABEL, columns={"image": "X", "label": "y"}).take(ROWS)["label"], label[ROWS])
    np.savez(path, a=label, b=label)
    assert "a=" not in refused("NS801", path, IMAGE, LABEL)
    assert "asks for no column `lable`" in refused("NS801", path, IMAGE, LABEL, columns={"lable": "a"})


def test_a_missing_channel_is_put_in_and_a_last_one_refused(tmp_path: Path, image: np.ndarray) -> None:
    np.savez(tmp_path / "d.npz", image=image[:, 0])
    table = opened(tmp_path / "d.npz", IMAGE)
    assert table.take(ROWS)["image"].shape == (3, 1, 4, 5) and "axis 1 of size 1" in table.remarks[0]
    np.savez(tmp_path / "d.npz", image=image.transpose(0, 2, 3, 1))
    assert "array.transpose(0, 3, 1, 2)" in refused("NS802", tmp_path / "d.npz", IMAGE)
    np.savez(tmp_path / "d.npz", image=image.reshape(6, 20))
    assert "array.reshape(-1, 1, 4, 5)" in refused("NS802", tmp_path / "d.npz", IMAGE)


def test_pixels_become_shares_and_masks_of_0_and_1_stay(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 1, 4, 5), dtype=np.uint8)
    mask = (pixels > 128).astype(np.uint8)
    form = {"mask": (Wanted("share", (N, 1, H, W)),)}
    np.savez(tmp_path / "d.npz", image=pixels, mask=mask)
    table = opened(tmp_path / "d.npz", IMAGE, form)
    np.testing.assert_allclose(table.take(ROWS)["image"], pixels[ROWS] / 255, rtol=1e-6)
    np.testing.assert_array_equal(table.take(ROWS)["mask"], mask[ROWS])
    np.savez(tmp_path / "d.npz", image=pixels, mask=mask * 255)
    np.testing.assert_array_equal(opened(tmp_path / "d.npz", IMAGE, form).take(ROWS)["mask"], mask[ROWS])


@pytest.mark.parametrize(
    ("values", "kind", "dtype"),
    [
        (np.array([0.0, 1.0, 2.0]), "index", "int64"),
        (np.array([True, False, True]), "index", "int64"),
        (np.array([0, 1, 1]), "mask", "bool"),
        (np.array([0, 255, 255], np.uint8), "mask", "bool"),
        (np.array([3, -4, 1 << 24]), "float", "float32"),
        (np.array([3, 4, 5], np.uint8), "float", "float32"),
        (np.array([1, 2, 3], ">i2"), "count", "int64"),
    ],
)
def test_exact_conversions(tmp_path: Path, values: np.ndarray, kind: str, dtype: str) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((3, 2)), t=values)
    taken = opened(tmp_path / "d.npz", {"x": TensorType((N, 2))}, {"t": (Wanted(kind, (N,)),)}).take(np.arange(3))["t"]
    assert str(taken.dtype) == dtype
    np.testing.assert_array_equal(taken, values != 0 if kind == "mask" else values)


@pytest.mark.parametrize(
    ("values", "kind", "said"),
    [
        (np.array([0.0, 1.5, 2.0]), "index", "1.5, which is no whole number, in sample 1"),
        (np.array([0, 1, (1 << 24) + 1]), "float", "16777217, which is not exactly a number of float32"),
        (np.array([0, 1, 2]), "mask", "2, which is neither 0 nor 1"),
        (np.array([0, 1e300, 2]), "float", "1e+300, which is too large for float32"),
        (np.array([1j, 1, 1]), "float", ""),
    ],
)
def test_what_would_be_lost_is_refused(tmp_path: Path, values: np.ndarray, kind: str, said: str) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((3, 2)), t=values)
    code = "NS803" if said else "NS622"
    assert said in refused(code, tmp_path / "d.npz", {"x": TensorType((N, 2))}, {"t": (Wanted(kind, (N,)),)})


def test_a_form_is_chosen_by_what_the_data_is(tmp_path: Path) -> None:
    forms = {"t": (Wanted("index", (N,), 3), Wanted("share", (N, 3)))}
    for values, dtype in ((np.array([0, 1, 2, 0]), "int64"), (np.full((4, 3), 1 / 3), "float32")):
        np.savez(tmp_path / "d.npz", x=np.zeros((4, 2)), t=values)
        assert str(opened(tmp_path / "d.npz", {"x": TensorType((N, 2))}, forms).take(np.arange(2))["t"].dtype) == dtype


def test_objects_are_unpickled_only_where_that_is_allowed(tmp_path: Path) -> None:
    uneven = np.empty(3, object)
    uneven[:] = [np.array([1, 2]), np.array([3]), np.array([], np.int64)]
    inputs = {"tokens": TensorType((N, T), "int64")}
    np.savez(tmp_path / "d.npz", tokens=uneven)
    np.save(tmp_path / "tokens.npy", uneven)
    with open(tmp_path / "d.pkl", "wb") as file:
        pickle.dump({"tokens": uneven}, file)
    torch.save({"tokens": torch.tensor([[1, 2], [3, 0], [0, 0]])}, tmp_path / "d.pt")
    for name in ("d.npz", "tokens.npy", "d.pkl", "d.pt"):
        assert "--allow-pickle" in refused("NS807", tmp_path / name, inputs)
        taken = opened(tmp_path / name, inputs, allow_pickle=True).take(np.arange(3))
        np.testing.assert_array_equal(taken["tokens"], [[1, 2], [3, 0], [0, 0]])


def test_unequal_lengths_laid_end_to_end(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", **{"tokens": np.array([5, 6, 7, 8, 9], np.int32), "tokens.lengths": np.array([2, 0, 3])})
    table = opened(tmp_path / "d.npz", {"tokens": TensorType((N, T), "int64")}, pad={"tokens": -1})
    taken = table.take(np.array([0, 1]))
    np.testing.assert_array_equal(taken["tokens"], [[5, 6], [-1, -1]])
    np.testing.assert_array_equal(taken["tokens.lengths"], [2, 0])
    np.savez(tmp_path / "d.npz", **{"tokens": np.arange(5), "tokens.lengths": np.array([2, 4])})
    assert "does not tell the lengths" in refused("NS804", tmp_path / "d.npz", {"tokens": TensorType((N, T), "int64")})


def test_unequal_targets_are_filled_with_what_the_loss_ignores(tmp_path: Path) -> None:
    tags = {"tags": np.array([1, 1, 0], np.uint8), "tags.lengths": np.array([2, 1])}
    np.savez(tmp_path / "d.npz", x=np.zeros((2, 2)), **tags)
    form = {"tags": (Wanted("index", (N, T), 3, -100),)}
    np.testing.assert_array_equal(
        opened(tmp_path / "d.npz", {"x": TensorType((N, 2))}, form).take(np.arange(2))["tags"], [[1, 1], [0, -100]]
    )


@pytest.mark.parametrize("memory", [1 << 30, 0])
@pytest.mark.parametrize("chunks", [None, (2, 1, 4, 5)])
def test_hdf5(tmp_path: Path, image: np.ndarray, label: np.ndarray, memory: int, chunks: tuple | None) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file.create_dataset("train/image", data=image, chunks=chunks, compression="gzip" if chunks else None)
        file["label"] = label
    options = {"columns": {"image": "train/image"}, "memory": memory}
    table = opened(tmp_path / "d.h5", IMAGE, LABEL, **options)
    assert table.resident == bool(memory)
    np.testing.assert_array_equal(table.take(ROWS)["image"], image[ROWS])
    np.testing.assert_array_equal(table.take(ROWS)["label"], label[ROWS])


def test_hdf5_of_strings_and_unequal_lengths(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "d.h5", "w") as file:
        tokens = file.create_dataset("tokens", (2,), h5py.vlen_dtype(np.int32))
        tokens[0], tokens[1] = [1, 2, 3], [4]
        file.create_dataset("label", data=["cat", "ant"], dtype=h5py.string_dtype())
    table = opened(tmp_path / "d.h5", {"tokens": TensorType((N, T), "int64")}, LABEL)
    taken = table.take(np.arange(2))
    np.testing.assert_array_equal(taken["tokens"], [[1, 2, 3], [4, 0, 0]])
    np.testing.assert_array_equal(taken["label"], [1, 0])
    assert table.classes == {"label": ("ant", "cat")}


def test_hdf5_links_and_outside_storage_are_not_followed(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "secret.raw").write_bytes(b"\0" * 24)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros((3, 2))
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["soft"], file["out"] = h5py.SoftLink("/x"), h5py.ExternalLink("other.h5", "x")
        file.create_dataset("raw", (3, 1), "f8", external=[("secret.raw", 0, 24)])
        group = file.create_group("g")
        group["self"] = group
    inputs = {"x": TensorType((N, 2))}
    for name in ("soft", "out"):
        refused("NS801", tmp_path / "d.h5", inputs, columns={"x": name})
    assert "outside" in refused("NS713", tmp_path / "d.h5", inputs, columns={"x": "raw"})


CSV = "age,fare,port,y\n22,7.5,S,no\n38,71,C,yes\n26,8,S,yes\n"


def test_csv_columns_of_numbers_make_the_one_input(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "d.csv").write_text(CSV)
    target = {"y": (Wanted("index", (N,), 2),)}
    table = opened(tmp_path / "d.csv", {"x": TensorType((N, 2))}, target)
    taken = table.take(np.arange(3))
    np.testing.assert_array_equal(taken["x"], np.array([[22, 7.5], [38, 71], [26, 8]], np.float32))
    np.testing.assert_array_equal(taken["y"], [0, 1, 1])
    assert table.classes == {"y": ("no", "yes")}
    taken = opened(tmp_path / "d.csv", {"x": TensorType((N, 4))}, target, one_hot=("port",)).take(np.arange(3))
    np.testing.assert_array_equal(taken["x"][:, 2:], [[0, 1], [1, 0], [0, 1]])
    taken = opened(tmp_path / "d.csv", {"x": TensorType((N, 2))}, target, columns={"x": "fare+age"}).take(np.arange(1))
    np.testing.assert_array_equal(taken["x"], [[7.5, 22]])
    assert "no column `x`" in refused("NS801", tmp_path / "d.csv", {"x": TensorType((N, 3))}, target)


def test_classes_are_those_of_the_training_data(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "d.csv").write_text(CSV)
    (tmp_path / "v.csv").write_text("age,fare,port,y\n2,7,C,yes\n")
    inputs, target = {"x": TensorType((N, 4))}, {"y": (Wanted("index", (N,), 2),)}
    train = opened(tmp_path / "d.csv", inputs, target, one_hot=("port",))
    val = opened(tmp_path / "v.csv", inputs, target, one_hot=("port",), classes=train.classes).take(np.arange(1))
    np.testing.assert_array_equal(val["x"], [[2, 7, 1, 0]])
    np.testing.assert_array_equal(val["y"], [1])
    (tmp_path / "v.csv").write_text("age,fare,port,y\n2,7,Q,yes\n")
    said = refused("NS803", tmp_path / "v.csv", inputs, target, one_hot=("port",), classes=train.classes)
    assert "Q, which is no class of the training data, in sample 0" in said
    (tmp_path / "v.csv").write_text("age,fare,port,y\n2,7,C,perhaps\n2,7,C,no\n2,7,C,yes\n")
    assert "has 3 classes, and the network tells 2 apart" in refused("NS805", tmp_path / "v.csv", {"x": TensorType((N, 2))}, target)


def test_numbered_columns(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "d.csv").write_text("id,x0,x1,x2,y\n9,1,2,3,0\n9,4,5,6,1\n")
    taken = opened(tmp_path / "d.csv", {"x": TensorType((N, K))}, {"y": (Wanted("float", (N, 1)),)}).take(np.arange(2))
    np.testing.assert_array_equal(taken["x"], [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(taken["y"], [[0], [1]])


def test_csv_that_is_none(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path, inputs = tmp_path / "d.csv", {"x": TensorType((N, 2))}
    for text, code, said in (
        ("1,2\n3,4\n", "NS712", "must name the columns"),
        ("a;b\n1;2\n", "NS712", "parted by commas"),
        ("a,a\n1,2\n", "NS713", "two columns `a`"),
        ("a,b\n1,2,3\n", "NS713", "cannot be read as a table"),
        ("", "NS713", "cannot be read"),
        ("a,b\n", "NS804", "no samples"),
    ):
        path.write_text(text)
        assert said in refused(code, path, inputs)


def test_parquet_with_lists(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"tokens": [[1, 2], [], [3]], "pair": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "label": ["b", "a", "b"], "x.0": [1, 2, 3]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "d.parquet", row_group_size=2)
    inputs = {"tokens": TensorType((N, T), "int64"), "pair": TensorType((N, 2)), "x": TensorType((N, 1))}
    taken = opened(tmp_path / "d.parquet", inputs, LABEL).take(np.arange(3))
    np.testing.assert_array_equal(taken["tokens"], [[1, 2], [0, 0], [3, 0]])
    np.testing.assert_array_equal(taken["tokens.lengths"], [2, 0, 1])
    np.testing.assert_array_equal(taken["pair"], columns["pair"])
    np.testing.assert_array_equal(taken["label"], [1, 0, 1])
    (tmp_path / "d.parquet").write_bytes((tmp_path / "d.parquet").read_bytes()[:100])
    refused("NS713", tmp_path / "d.parquet", inputs, LABEL)


def _image(path: Path, pixels: np.ndarray) -> None:
    image = pytest.importorskip("PIL.Image")
    path.parent.mkdir(exist_ok=True, parents=True)
    image.fromarray(pixels).save(path)


@pytest.mark.parametrize("memory", [1 << 30, 0])
def test_a_folder_a_class(tmp_path: Path, memory: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
    for at, name in enumerate(("cat", "ant", "cat", "bee", "ant", "bee")):
        _image(tmp_path / name / f"{at}.png", pixels[at])
    table = opened(tmp_path, {"x": TensorType((N, 3, 4, 5))}, {"y": (Wanted("index", (N,), 3),)}, memory=memory)
    taken = table.take(np.arange(6))
    assert table.classes == {"y": ("ant", "bee", "cat")} and table.resident == bool(memory)
    np.testing.assert_array_equal(taken["y"], [0, 0, 1, 1, 2, 2])
    np.testing.assert_allclose(taken["x"], pixels[[1, 4, 3, 5, 0, 2]].transpose(0, 3, 1, 2) / 255, rtol=1e-6)
    grey = opened(tmp_path, {"x": TensorType((N, 1, 2, 2))}).take(np.arange(6))["x"]
    assert grey.shape == (6, 1, 2, 2)
    (tmp_path / "cat" / "0.png").write_bytes(b"no image")
    assert "cannot be read as an image" in refused("NS713", tmp_path, {"x": TensorType((N, 3, H, W))})


def test_a_folder_a_column(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels, masks = rng.integers(0, 256, (3, 4, 5, 3), dtype=np.uint8), rng.integers(0, 3, (3, 4, 5), dtype=np.uint8)
    for at in range(3):
        _image(tmp_path / "image" / f"{at}.bmp", pixels[at])
        _image(tmp_path / "mask" / f"{at}.png", masks[at])
    inputs = {"image": TensorType((N, 3, H, W))}
    taken = opened(tmp_path, inputs, {"mask": (Wanted("index", (N, H, W), 3),)}).take(np.array([2, 0]))
    np.testing.assert_array_equal(taken["mask"], masks[[2, 0]])
    np.testing.assert_allclose(taken["image"], pixels[[2, 0]].transpose(0, 3, 1, 2) / 255, rtol=1e-6)
    for at in range(3):
        _image(tmp_path / "mask" / f"{at}.png", (masks[at] > 1).astype(np.uint8) * 255)
    taken = opened(tmp_path, inputs, {"mask": (Wanted("share", (N, 1, H, W)),)}).take(np.array([2, 0]))
    np.testing.assert_array_equal(taken["mask"][:, 0], masks[[2, 0]] > 1)
    _image(tmp_path / "image" / "3.bmp", pixels[0][:2])
    said = refused("NS804", tmp_path, inputs, {"mask": (Wanted("index", (N, H, W), 3),)})
    assert "the folder mask" in said and "no image `3`" in said
    assert "differ in size" in refused("NS802", tmp_path, inputs)


def test_folders_that_are_parts_are_told_how(tmp_path: Path) -> None:
    for part in ("train", "val"):
        _image(tmp_path / part / "cat" / "1.png", np.zeros((4, 4), np.uint8))
    assert f"--data {tmp_path}/train --val {tmp_path}/val" in refused("NS712", tmp_path, IMAGE)


class Pairs(torch.utils.data.Dataset):
    """What people write: tuples of image and label."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, row: int):
        return torch.full((1, 4, 5), float(row)), row % 3


def test_objects_run_only_where_that_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_data.py").write_text(
        "import numpy as np\n"
        "from torch.utils.data import Dataset\n"
        "class Pairs(Dataset):\n"
        "    def __len__(self): return 6\n"
        "    def __getitem__(self, row): return np.full((1, 4, 5), float(row)), row % 3\n"
        "def arrays(): return {'image': np.zeros((6, 1, 4, 5)), 'label': np.arange(6) % 3}\n"
        "def wrong(): raise ValueError('no such disk')\n"
        "def text(): return 'text'\n"
    )
    monkeypatch.chdir(tmp_path)
    assert "--allow-code" in refused("NS807", "their_data:Pairs", IMAGE, LABEL)
    for memory in (1 << 30, 0):
        taken = opened("their_data:Pairs", IMAGE, LABEL, allow_code=True, memory=memory).take(ROWS)
        np.testing.assert_array_equal(taken["image"][:, 0, 0, 0], ROWS)
        np.testing.assert_array_equal(taken["label"], ROWS % 3)
    assert len(opened("their_data:arrays", IMAGE, LABEL, allow_code=True)) == 6
    assert "ValueError: no such disk" in refused("NS807", "their_data:wrong", IMAGE, LABEL, allow_code=True)
    assert "gives a str" in refused("NS807", "their_data:text", IMAGE, LABEL, allow_code=True)
    assert "AttributeError" in refused("NS807", "their_data:none", IMAGE, LABEL, allow_code=True)


def test_what_is_not_there_or_no_data(tmp_path: Path) -> None:
    np.save(tmp_path / "digits.npy", np.zeros((3, 2)))
    assert "did you mean `digits.npy`?" in refused("NS711", tmp_path / "digit.npy", IMAGE)
    (tmp_path / "d.txt").write_text("x")
    refused("NS712", tmp_path / "d.txt", IMAGE)
    (tmp_path / "empty").mkdir()
    refused("NS712", tmp_path / "empty", IMAGE)
    for name in ("d.npy", "d.npz", "d.h5", "d.parquet"):
        (tmp_path / name).write_bytes(b"\x93NUMPY\1\0 junk" * 9)
        with pytest.raises(Refusal):
            opened(tmp_path / name, IMAGE)


def test_columns_of_several_lengths(tmp_path: Path, image: np.ndarray, label: np.ndarray) -> None:
    np.savez(tmp_path / "d.npz", image=image, label=label[:5])
    assert "`image` has 6, `label` has 5" in refused("NS804", tmp_path / "d.npz", IMAGE, LABEL)
    np.savez(tmp_path / "d.npz", image=image[:0], label=label[:0])
    refused("NS804", tmp_path / "d.npz", IMAGE, LABEL)


def test_arrays_tensors_and_data_sets_at_hand(image: np.ndarray, label: np.ndarray) -> None:
    for data in ({"image": torch.from_numpy(image), "label": label}, {"image": image, "label": label.tolist()}, Pairs()):
        taken = opened_object(data).take(ROWS)
        np.testing.assert_array_equal(taken["label"], label[ROWS])
        assert taken["image"].shape == (3, 1, 4, 5) and taken["image"].dtype == np.float32
    with pytest.raises(Refusal, match="`image` of the data is float32 \\[6, 1, 4\\]"):
        opened_object({"image": image[..., 0], "label": label})


def opened_object(data: object) -> Table:
    return open_data(data, LABEL, IMAGE)


def test_an_image_is_what_its_ending_may_be(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    (tmp_path / "page.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n%%EOF\n")
    assert "cannot be read as an image" in refused("NS713", tmp_path, {"x": TensorType((N, 3, 4, 4))})


def test_hdf5_that_claims_more_than_it_holds(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file.create_dataset("label", (1 << 40,), h5py.string_dtype(), chunks=(1024,))
        file.create_dataset("x", (1 << 40, 2), "f4", chunks=(1 << 28, 2))
    assert "claims" in refused("NS713", tmp_path / "d.h5", {}, LABEL)
    assert "chunks of" in refused("NS713", tmp_path / "d.h5", {"x": TensorType((N, 2))})


def test_one_hot_is_of_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", kind=np.array([3, 7, 3]), y=np.array([0.5, 1, 2]))
    taken = opened(tmp_path / "d.npz", {"kind": TensorType((N, 2))}, one_hot=("kind",)).take(np.arange(3))
    np.testing.assert_array_equal(taken["kind"], [[1, 0], [0, 1], [1, 0]])
    assert "0.5 in sample 0" in refused("NS803", tmp_path / "d.npz", {"y": TensorType((N, 3))}, one_hot=("y",))
    assert "`kin`" in refused("NS801", tmp_path / "d.npz", {"kind": TensorType((N,))}, one_hot=("kin",))
    assert "its axis 1 is 2" in refused("NS802", tmp_path / "d.npz", {"kind": TensorType((N, 3))}, one_hot=("kind",))
