"""Weights in shards: read as one file, and refused where the index and its files disagree or lead elsewhere."""

from __future__ import annotations

import json

import numpy as np
import pytest

from netspec.backends.weight_files import read_entries, weights_of
from netspec.backends.weight_files.findings import fit
from netspec.backends.weight_files.safetensors import write_arrays
from netspec.backends.weights import Initial, arrays_of
from netspec.diagnostics.model import Refusal
from tests.backends.networks import small

GRAPH = small()
ARRAYS = arrays_of(GRAPH, Initial(3))
NAMES = sorted(ARRAYS)
SHARDS = {f"m-{number + 1:05}-of-00003.safetensors": NAMES[number::3] for number in range(3)}


def write(folder, index=None, shards=None, name: str = "m.safetensors.index.json"):
    """A checkpoint in shards; `index` and `shards` replace what they would be. The path of its index."""
    for shard, names in (shards or SHARDS).items():
        (folder / shard).parent.mkdir(parents=True, exist_ok=True)
        write_arrays(folder / shard, {n: (str(ARRAYS[n].dtype), ARRAYS[n]) for n in names}, {})
    placed = {n: shard for shard, names in (shards or SHARDS).items() for n in names}
    text = index if isinstance(index, str) else json.dumps(index or {"metadata": {"total_size": 1}, "weight_map": placed})
    (folder / name).write_text(text)
    return folder / name


def refused(code: str, path) -> str:
    with pytest.raises(Refusal) as caught:
        arrays_of(GRAPH, weights_of(GRAPH, 0, str(path)))
    finding = caught.value.diagnostic
    assert finding.code == code, finding
    return " ".join((finding.message, *finding.notes, *finding.helps))


def placed(**changed) -> dict:
    """A `weight_map` with some entries of another file."""
    return {"weight_map": {**{n: shard for shard, names in SHARDS.items() for n in names}, **changed}}


def test_an_index_or_its_folder(tmp_path):
    index = write(tmp_path)
    for path in (index, tmp_path):
        weights = weights_of(GRAPH, 0, str(path))
        assert all(np.array_equal(weights.array(t), ARRAYS[t.name]) for t in GRAPH.weights)
        assert fit(GRAPH, str(path)).findings == ()
    assert list(read_entries(str(index))) == [n for names in SHARDS.values() for n in names]


def test_shards_in_folders_below(tmp_path):
    write(tmp_path, shards={"a/1.safetensors": NAMES[:3], "a/b/2.safetensors": NAMES[3:]})
    assert len(read_entries(str(tmp_path))) == len(NAMES)


def test_folders_without_an_index_or_with_several(tmp_path):
    assert "has no *.safetensors.index.json" in refused("NS620", tmp_path)
    write(tmp_path)
    write(tmp_path, name="n.safetensors.index.json")
    assert "has several" in refused("NS620", tmp_path)
    refused("NS620", tmp_path / "none.safetensors.index.json")


DAMAGED = {
    "nothing": "",
    "no json": "{nope",
    "list": "[]",
    "no map": "{}",
    "empty map": '{"weight_map": {}}',
    "numbers": '{"weight_map": {"a": 1}}',
    "twice": '{"weight_map": {"a": "m-00001-of-00003.safetensors", "a": "m-00002-of-00003.safetensors"}}',
    "deep": '{"weight_map": ' + "[" * 100_000,
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_indices(tmp_path, name):
    refused("NS631", write(tmp_path, DAMAGED[name]))


@pytest.mark.parametrize(
    "shard",
    ["../m.safetensors", "a/../../m.safetensors", "/etc/m.safetensors", "C:m.safetensors", "..\\m.safetensors", "a//m.safetensors",
     "./m.safetensors", "m\0.safetensors", "m.pt", "", ".safetensors/.."],
)  # fmt: skip
def test_shards_elsewhere(tmp_path, shard):
    (tmp_path / "in").mkdir()
    index = write(tmp_path / "in", placed(**{NAMES[0]: shard}))
    write_arrays(tmp_path / "m.safetensors", {NAMES[0]: (str(ARRAYS[NAMES[0]].dtype), ARRAYS[NAMES[0]])}, {})
    refused("NS631", index)


@pytest.mark.parametrize("inside", [True, False])
def test_links(tmp_path, inside):
    (tmp_path / "in").mkdir()
    index, shard = write(tmp_path / "in"), next(iter(SHARDS))
    target = tmp_path / ("in/blob" if inside else "blob")
    (tmp_path / "in" / shard).rename(target)
    (tmp_path / "in" / shard).symlink_to(target)
    if inside:
        assert len(read_entries(str(index))) == len(NAMES)
    else:
        assert "leads out" in refused("NS631", index)


def test_shards_that_are_not_what_the_index_says(tmp_path):
    first, second, _ = SHARDS
    index = write(tmp_path, placed(**{SHARDS[first][0]: second}))
    assert f"{first} holds `{SHARDS[first][0]}`, which {index} says is in {second}" in refused("NS632", index)
    write(tmp_path, placed(more=first))
    assert f"{first} does not hold `more`" in refused("NS632", index)
    write(tmp_path, {"weight_map": {n: s for s, names in SHARDS.items() for n in names if n != SHARDS[second][0]}})
    assert "does not name" in refused("NS632", index)
    write(tmp_path)
    (tmp_path / second).unlink()
    assert f"there is no {second}" in refused("NS632", index)


def test_two_shards_with_one_tensor(tmp_path):
    first, second, third = SHARDS
    index = write(tmp_path, placed(), {**SHARDS, second: [*SHARDS[second], SHARDS[first][0]]})
    refused("NS632", index)


def test_a_shard_that_is_cut_off(tmp_path):
    index = write(tmp_path)
    shard = tmp_path / next(iter(SHARDS))
    shard.write_bytes(shard.read_bytes()[:-5])
    assert "end 5 bytes before" in refused("NS632", index)
    assert [finding.code for finding in fit(GRAPH, str(index)).findings] == ["NS629"]
    shard.write_bytes(b"\1\2")
    refused("NS622", index)


def test_bounds(tmp_path):
    refused("NS625", write(tmp_path, {"weight_map": {f"t{i}": "m.safetensors" for i in range(20_000)}}))
    refused("NS625", write(tmp_path, '{"weight_map": {}' + " " * (12 << 20) + "}"))
