"""Batches are a function of seed and epoch: from any step on, on any rank, out of memory or files, they are the same rows."""

from __future__ import annotations

import threading
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from netspec.diagnostics.model import Refusal
from netspec.recipe.entry import Wanted
from netspec.sizes.dim import Dim
from netspec.sizes.tensor import TensorType
from netspec.training.data import Batches, Options, Table, open_data
from netspec.training.data.order import by_length, in_windows, permutation

N, T = Dim.name("N"), Dim.name("T")
COUNT = 103


@pytest.fixture(scope="module", params=["memory", "mapped", "hdf5"])
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Rows that are known by their numbers, in memory and read ahead."""
    folder = tmp_path_factory.mktemp("data")
    x = np.arange(COUNT * 3, dtype=np.float32).reshape(COUNT, 3)
    path, options = folder / "x.npz", Options()
    if request.param == "hdf5":
        h5py = pytest.importorskip("h5py")
        path, options = folder / "x.h5", Options(memory=0)
        with h5py.File(path, "w") as file:
            file.create_dataset("x", data=x, chunks=(8, 3))
            file["row"] = np.arange(COUNT)
    elif request.param == "mapped":
        path, options = folder, Options(memory=0)
        np.save(folder / "x.npy", x)
        np.save(folder / "row.npy", np.arange(COUNT))
    else:
        np.savez(path, x=x, row=np.arange(COUNT))
    found = open_data(str(path), {"row": (Wanted("count", (N,)),)}, {"x": TensorType((N, 3))}, options=options)
    assert found.resident == (request.param == "memory")
    return found


def rows(batches: Batches, epoch: int, start: int = 0) -> list[list[int]]:
    found = []
    for batch in batches.epoch(epoch, start):
        assert torch.equal(batch["x"][:, 0], 3.0 * batch["row"])
        found.append(batch["row"].tolist())
    return found


def made(table: Table, indices: np.ndarray | None = None, batch: int = 10, **options) -> Batches:
    return Batches(table, np.arange(COUNT) if indices is None else indices, batch, **{"seed": 1, "shuffle": True, **options})


def test_every_row_once_and_another_order_each_epoch(table: Table) -> None:
    batches = made(table)
    first, second = rows(batches, 0), rows(batches, 1)
    assert batches.steps == len(first) == 11
    assert sorted(sum(first, [])) == sorted(sum(second, [])) == list(range(COUNT))
    assert first != second and first == rows(made(table), 0) != rows(made(table, seed=2), 0)


def test_an_epoch_goes_on_from_any_step(table: Table) -> None:
    batches = made(table)
    whole = rows(batches, 4)
    for start in (0, 1, 7, 10, 11):
        assert rows(batches, 4, start) == whole[start:]


@pytest.mark.parametrize("world", [2, 3, 4])
@pytest.mark.parametrize("batch", [1, 10, 32])
def test_ranks_share_every_batch(table: Table, world: int, batch: int) -> None:
    whole = rows(made(table, batch=batch), 2)
    ranks = [made(table, batch=batch, rank=rank, world=world) for rank in range(world)]
    shares = [rows(rank, 2) for rank in ranks]
    for step, rank in ((s, r) for s in range(len(whole)) for r in range(world)):
        assert ranks[rank].sizes(step) == (len(shares[rank][step]), len(whole[step]))
    for step, everything in enumerate(whole):
        parts = [share[step] for share in shares]
        assert sum(parts, []) == everything
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_without_shuffling_and_without_the_rest(table: Table) -> None:
    indices = np.array([5, 3, 8, 1, 9])
    assert rows(made(table, indices, 2, shuffle=False), 7) == [[5, 3], [8, 1], [9]]
    batches = made(table, indices, 2, shuffle=False, drop_last=True)
    assert batches.steps == 2 and rows(batches, 0) == [[5, 3], [8, 1]]
    for wrong in ({"indices": indices[:0]}, {"indices": indices, "batch": 6, "drop_last": True}):
        with pytest.raises(Refusal, match="NS808"):
            made(table, **wrong)


def test_global_random_state_is_left_alone(table: Table) -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    state, numpys = torch.random.get_rng_state(), np.random.get_state()[1].tolist()
    rows(made(table), 0)
    assert torch.equal(state, torch.random.get_rng_state()) and numpys == np.random.get_state()[1].tolist()
    before = rows(made(table), 0)
    torch.manual_seed(6)
    assert rows(made(table), 0) == before


def test_whoever_stops_early_leaves_no_thread(table: Table) -> None:
    epoch = made(table).epoch(0)
    list(islice(epoch, 2))
    epoch.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("netspec")]


def test_batches_may_be_changed_in_place(table: Table) -> None:
    batches = made(table, shuffle=False)
    next(batches.epoch(0))["x"].zero_()
    assert rows(batches, 0)[0] == list(range(10))


#: the order of ten rows by seed 0 in epochs 0 and 1, as it was when first written: a run that goes on after an upgrade must find it so
RECORDED = [[3, 4, 8, 9, 6, 0, 5, 7, 2, 1], [1, 8, 7, 0, 3, 6, 9, 5, 2, 4]]


def test_the_order_is_recorded() -> None:
    assert [permutation(10, 0, epoch=epoch).tolist() for epoch in (0, 1)] == RECORDED
    assert permutation(10, -1).tolist() != permutation(10, 1).tolist()


def test_an_order_by_windows_reads_few_blocks_at_a_time() -> None:
    indices = np.setdiff1d(np.arange(1000), np.arange(0, 1000, 7))
    order = in_windows(indices, 10, 5, seed=3, epoch=0)
    assert sorted(order) == list(indices) and not np.array_equal(order, in_windows(indices, 10, 5, seed=3, epoch=1))
    blocks = order // 10
    for start in range(0, len(order) - 20, 20):
        assert len(set(blocks[start : start + 20])) <= 10
    assert [list(blocks).index(b) for b in set(blocks)]
    assert len({int(b) for b in blocks[:40]}) <= 5


def test_each_block_of_a_file_is_read_once_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h5py = pytest.importorskip("h5py")
    from netspec.training.data import hdf5

    monkeypatch.setattr(hdf5, "_BLOCK", 400)
    monkeypatch.setattr(hdf5, "_WINDOW", 4000)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=np.zeros((1000, 10), np.float32), chunks=(10, 10))
    found = open_data(str(tmp_path / "x.h5"), {}, {"x": TensorType((N, 10))}, options=Options(memory=0))
    assert found.blocks == (10, 10)
    read: list[int] = []
    raw = found.columns["x"].raw
    data = raw._dataset
    raw._dataset = type(
        "Counted", (), {"__getitem__": lambda self, at: (read.append(at.start), data[at])[1], "__len__": lambda self: 1000}
    )()
    batches = Batches(found, np.arange(1000), 8, seed=0, shuffle=True)
    assert sum(len(batch["x"]) for batch in batches.epoch(0)) == 1000
    assert sorted(read) == list(range(0, 1000, 10))


@pytest.fixture
def sentences(tmp_path: Path) -> Table:
    lengths = np.random.default_rng(0).integers(1, 40, 200)
    np.savez(tmp_path / "d.npz", **{"tokens": np.repeat(np.arange(200), lengths), "tokens.lengths": lengths})
    return open_data(str(tmp_path / "d.npz"), {}, {"tokens": TensorType((N, T), "int64")})


def test_unequal_lengths_are_padded_to_the_longest_of_a_batch(sentences: Table) -> None:
    for batch in Batches(sentences, np.arange(200), 16, seed=0, shuffle=True).epoch(0):
        assert batch["tokens"].shape == (len(batch["tokens.lengths"]), int(batch["tokens.lengths"].max()))
        for row, length in zip(batch["tokens"], batch["tokens.lengths"]):
            assert len(set(row[:length].tolist())) == 1 and not row[length:].any()


def test_buckets_waste_less(sentences: Table) -> None:
    plain = Batches(sentences, np.arange(200), 16, seed=0, shuffle=True)
    buckets = Batches(sentences, np.arange(200), 16, seed=0, shuffle=True, bucket=True)
    sizes = [sum(batch["tokens"].numel() for batch in some.epoch(3)) for some in (plain, buckets)]
    assert sizes[1] < 0.75 * sizes[0]
    assert sorted(buckets.rows(3)) == list(range(200)) and not np.array_equal(buckets.rows(3), buckets.rows(4))
    np.testing.assert_array_equal(buckets.rows(3), buckets.rows(3))


def test_by_length_keeps_the_rest_last() -> None:
    order = by_length(np.arange(23), np.arange(23)[::-1], 5, seed=0, epoch=0)
    assert sorted(order) == list(range(23)) and sorted(order[-3:]) == [0, 1, 2]


def test_what_fails_while_reading_is_raised_at_its_turn(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.where(np.arange(3000)[:, None] == 2500, np.nan, np.zeros((3000, 1))))
    found = open_data(str(tmp_path), {}, {"x": TensorType((N, 1))}, options=Options(memory=0))
    steps = 0
    with pytest.raises(Refusal, match="NS806.*sample 2500"):
        for _ in Batches(found, np.arange(3000), 100, seed=0, shuffle=False).epoch(0):
            steps += 1
    assert steps == 25


@pytest.mark.bench
def test_overhead_of_a_batch(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", x=rng.random((50_000, 64)), y=rng.integers(0, 10, 50_000))
    found = open_data(str(tmp_path / "d.npz"), {"y": (Wanted("index", (N,), 10),)}, {"x": TensorType((N, 64))})
    batches = Batches(found, np.arange(50_000), 32, seed=0, shuffle=True)
    x, y = (torch.from_numpy(found.columns[name].array) for name in "xy")
    bare, ours = [], []
    for number in range(100):
        cuts = torch.from_numpy(batches.rows(number)).split(32)[:300]
        epoch = batches.epoch(number)
        next(epoch)
        begin = time.process_time()
        for cut in cuts:
            x.index_select(0, cut), y.index_select(0, cut)
        middle = time.process_time()
        for _ in islice(epoch, 300):
            pass
        bare.append(middle - begin)
        ours.append(time.process_time() - middle)
    assert (min(ours) - min(bare)) / 300 < 8e-6
