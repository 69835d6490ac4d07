"""What a newcomer's data and commands hold that a first reading of the page does not foresee."""

import io
import zipfile

import numpy as np
import pytest

from netspec.diagnostics.model import Refusal
from netspec.training.data.archives import read_npz
from netspec.training.data.options import Options


def test_strings_in_an_archive_need_no_pickle(tmp_path):
    """Arrays of strings are plain bytes: only arrays of objects would have to be unpickled."""
    path = str(tmp_path / "data.npz")
    np.savez(path, x=np.zeros((2, 3), np.float32), label=np.array(["cat", "dog"]))
    assert set(read_npz(path, Options()).columns) == {"x", "label"}


def test_objects_in_an_archive_are_refused(tmp_path):
    """An array of objects is a pickle, whatever else the archive has."""
    path = str(tmp_path / "data.npz")
    np.savez(path, text=np.array(["a", "b"]), label=np.array(["cat", "dog"], dtype=object))
    with pytest.raises(Refusal) as refused:
        read_npz(path, Options())
    assert refused.value.diagnostic.code == "NS807"


def test_strings_are_held_against_the_size_of_what_is_stored(tmp_path):
    """A header that promises more than the archive has is refused before anything is allocated."""
    path, member = str(tmp_path / "data.npz"), io.BytesIO()
    np.save(member, np.array(["cat", "dog"]))
    text = member.getvalue().replace(b"(2,)", b"(9,)")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("label.npy", text)
    with pytest.raises(Refusal) as refused:
        read_npz(path, Options())
    assert refused.value.diagnostic.code == "NS622"


def test_a_dataset_over_which_the_library_hangs_is_given_up(tmp_path, monkeypatch):
    """The HDF5 library may hang over damaged data of variable length; a process of its own finds that out."""
    import h5py

    from netspec.training.data import hdf5

    path = str(tmp_path / "data.h5")
    with h5py.File(path, "w") as file:
        made = file.create_dataset("tokens", (2,), h5py.vlen_dtype(np.int64))
        made[0], made[1] = [1, 2], [3]
    assert set(hdf5.read_hdf5(path).columns) == {"tokens"}
    monkeypatch.setattr(hdf5, "_TRIAL", "import time; time.sleep(60)")
    monkeypatch.setattr(hdf5, "_SECONDS", 0.2)
    with pytest.raises(Refusal) as refused:
        hdf5.read_hdf5(path).columns["tokens"]
    assert refused.value.diagnostic.code == "NS713" and "does not come back" in str(refused.value)
