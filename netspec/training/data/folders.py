"""Folders: one of `.npy` files, one of images, one a class, or one a column whose files go together by their stems."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from netspec.diagnostics.model import Refusal
from netspec.runtime.arrays import IMAGES
from netspec.training.data.archives import load_npy
from netspec.training.data.options import Options
from netspec.training.data.pictures import Pictures
from netspec.training.data.raw import Stored
from netspec.training.data.source import Source, from_arrays

#: names of folders that are parts of a data set, not classes
_PARTS = frozenset(("train", "training", "val", "valid", "validation", "dev", "test"))


def read_folder(where: str, names: Sequence[str], options: Options) -> Source:
    """What a folder holds. `names` are the columns that are looked for: where one of them is a folder in it, folders are columns, and
    else classes. Hidden files are passed over. Raises Refusal NS712 for a folder of anything else, NS804 for files without partner."""
    folders, files = _entries(where)
    endings = {os.path.splitext(file)[1].lower() for file in files}
    if files and not folders and endings == {".npy"}:
        return from_arrays(where, _Arrays({os.path.splitext(os.path.basename(file))[0]: file for file in files}, options))
    if folders and not endings & {".npy", *IMAGES}:
        inside = {os.path.basename(folder): images(folder) for folder in folders}
        if set(inside) & set(names):
            return _by_column(where, {name: inside[name] for name in inside if inside[name] and name in names})
        if set(map(str.lower, inside)) <= _PARTS:
            flags = {part: "data" if part.lower().startswith("train") else "test" if part.lower() == "test" else "val" for part in inside}
            told = " ".join(f"--{flag} {where}/{part}" for part, flag in flags.items())
            raise Refusal("NS712", f"{where} holds {', '.join(inside)}, which are parts of a data set", helps=(told,), status=2)
        if any(inside.values()):
            return _by_class(where, inside)
    found = [file for file in files if os.path.splitext(file)[1].lower() in IMAGES]
    if found and not folders:
        return Source(where, {"image": Pictures(found)}, loose=True)
    helps = ("a folder of .npy files, of images, of a folder of images a class, or a column",)
    raise Refusal("NS712", f"{where} is no folder of data", helps=helps, status=2)


def images(folder: str) -> list[str]:
    """The images of a folder, sorted by name."""
    return [file for file in _entries(folder)[1] if os.path.splitext(file)[1].lower() in IMAGES]


def _entries(folder: str) -> tuple[list[str], list[str]]:
    """The folders and the files in a folder, each sorted by name."""
    with os.scandir(folder) as entries:
        seen = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
        return [entry.path for entry in seen if entry.is_dir()], [entry.path for entry in seen if entry.is_file()]


def _by_class(where: str, inside: Mapping[str, list[str]]) -> Source:
    """A folder a class: images, and the names of their folders."""
    files = [file for name in inside for file in inside[name]]
    labels = np.array([name for name in inside for _ in inside[name]], object)
    return Source(where, {"image": Pictures(files), "label": Stored(labels)}, loose=True)


def _by_column(where: str, inside: Mapping[str, list[str]]) -> Source:
    """A folder a column: the images of one stem are one sample."""
    stems = {name: {os.path.splitext(os.path.basename(file))[0]: file for file in files} for name, files in inside.items()}
    every = sorted({stem for found in stems.values() for stem in found})
    for name, found in stems.items():
        lacking = [stem for stem in every if stem not in found]
        if lacking or len(found) < len(inside[name]):
            told = f"no image `{lacking[0]}`, as others have" if lacking else "two images of one stem"
            more = f" ({len(lacking):,} are missing)" if len(lacking) > 1 else ""
            raise Refusal("NS804", f"the folder {name} of {where} has {told}{more}")
    return Source(where, {name: Pictures([found[stem] for stem in every]) for name, found in stems.items()})


class _Arrays(Mapping[str, np.ndarray]):
    """Arrays of `.npy` files by stem, each read when it is asked for."""

    def __init__(self, files: Mapping[str, str], options: Options) -> None:
        self._files, self._options = files, options

    def __getitem__(self, name: str) -> np.ndarray:
        return load_npy(self._files[name], self._options)

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)
