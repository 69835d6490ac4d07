"""Writes: the old file or the new one, whatever goes wrong in between."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from netspec import files
from netspec.diagnostics.model import Refusal
from netspec.files import write_all, write_atomic, write_together


def names(folder) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "a"
    write_atomic(path, b"one")
    write_atomic(path, lambda file: write_all(file, b"two"))
    assert path.read_bytes() == b"two" and names(tmp_path) == ["a"]


def test_modes(tmp_path):
    path = tmp_path / "a"
    old = os.umask(0o027)
    try:
        write_atomic(path, b"")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    write_atomic(path, b"")
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_exception_leaves_the_old_file(tmp_path, error, old):
    path = tmp_path / "a"
    if old is not None:
        path.write_bytes(old)

    def produce(file):
        file.write(b"half of i")
        raise error

    with pytest.raises(error):
        write_atomic(path, produce)
    assert names(tmp_path) == ([] if old is None else ["a"])
    assert old is None or path.read_bytes() == old


class Full:
    """A file on a disk that is full after `room` bytes."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        if self.room <= 0:
            raise OSError(28, "No space left on device")
        taken = self.file.write(memoryview(data)[: self.room])
        self.room -= taken
        return taken


@pytest.mark.parametrize("room", [0, 1, 5, 9])
def test_disk_full(tmp_path, room):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(Refusal, match="NS020.*No space left"):
        write_atomic(path, lambda file: write_all(Full(file, room), b"0123456789"))
    assert path.read_bytes() == b"old" and names(tmp_path) == ["a"]


@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
def test_a_system_call_fails(tmp_path, monkeypatch, call):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fail(*arguments, **keywords):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(Refusal, match="NS020"):
        write_atomic(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old" and names(tmp_path) == ["a"]


def test_missing_folder_and_folder_in_place_of_a_file(tmp_path):
    with pytest.raises(Refusal, match="NS020"):
        write_atomic(tmp_path / "no" / "a", b"")
    with pytest.raises(Refusal, match="NS020"):
        write_atomic(tmp_path, b"")


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("old", [False, True])
def test_a_pair_is_replaced_together_or_not_at_all(tmp_path, monkeypatch, nth, old):
    paths = [tmp_path / n for n in "abc"]
    if old:
        for path in paths:
            path.write_bytes(b"old " + path.name.encode())
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    replace, calls = os.replace, []
    monkeypatch.setattr(files, "_exchange", lambda *_: False)  # as on systems that cannot

    def fail(source, target):
        if str(source).endswith(".tmp"):
            calls.append(target)
            if len(calls) == nth:
                raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(Refusal, match="NS020"):
        write_together([(path, b"new") for path in paths])
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    monkeypatch.undo()
    write_together([(path, b"new") for path in paths])
    assert {p.read_bytes() for p in tmp_path.iterdir()} == {b"new"} and names(tmp_path) == ["a", "b", "c"]


def test_a_file_that_is_replaced_never_has_two_names(tmp_path, monkeypatch):
    paths = [tmp_path / n for n in "ab"]
    for path in paths:
        path.write_bytes(b"old " + path.name.encode())
    if not files._exchange(*paths):
        pytest.skip("this system does not exchange names")
    assert [path.read_bytes() for path in paths] == [b"old b", b"old a"]
    replace = os.replace

    def stop(source, target):
        assert {path.stat().st_nlink for path in tmp_path.iterdir()} == {1}
        if target == paths[1]:
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(Refusal, match="NS020"):
        write_together([(path, b"new") for path in paths])
    assert [path.read_bytes() for path in paths] == [b"old b", b"old a"] and names(tmp_path) == ["a", "b"]


def test_links_are_followed(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_atomic(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"


def test_a_pipe_is_written_straight(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_atomic(pipe, b"through")
    reader.join(5)
    assert got == [b"through"]


def test_two_writers_at_once(tmp_path):
    path = tmp_path / "a"
    contents = [bytes([n]) * 300_000 for n in range(4)]
    writers = [threading.Thread(target=lambda c=c: [write_atomic(path, c) for _ in range(5)]) for c in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert path.read_bytes() in contents and names(tmp_path) == ["a"]


_ENDLESS = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs in the background begins with it ignored
from netspec import files
from netspec.files import write_all, write_atomic
def produce(file):
    write_all(file, b"x" * 100_000)
    print("half", flush=True)
    import time; time.sleep(60)
write_atomic(sys.argv[1], produce)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_halfway(tmp_path, how):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    paths = os.pathsep.join(p for p in sys.path if p)
    child = subprocess.Popen(
        [sys.executable, "-c", _ENDLESS, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert child.stdout is not None and child.stdout.readline() == b"half\n"
    time.sleep(0.05)
    child.send_signal(how)
    child.wait(10)
    assert path.read_bytes() == b"old"
    assert how == signal.SIGKILL or names(tmp_path) == ["a"]


# ---------------------------------------------------------------------------------------------- what is left, and cleared
def test_a_killed_writer_leaves_nothing_for_good(tmp_path):
    """Its temporary file is removed by the next writer of that file: not before it is dead, nor one of another file."""
    path, other = tmp_path / "a", tmp_path / "ab"
    with writer(path) as first, writer(other) as second:
        assert len(names(tmp_path)) == 2
        write_atomic(path, b"new")
        assert len(names(tmp_path)) == 3  # that of a writer which lives is kept
        first.kill()
        first.wait(10)
        write_atomic(path, b"newer")
        assert len(names(tmp_path)) == 2 and path.read_bytes() == b"newer"
        second.kill()
        second.wait(10)
    (tmp_path / ".a.0123456789abcdef.old").write_bytes(b"")  # a second name that nobody gave back
    (tmp_path / ".a.notes.tmp").write_bytes(b"")  # somebody's own
    (tmp_path / ".a.0000000000000000.tmp").symlink_to("/etc/passwd")
    write_atomic(other, b"")
    write_atomic(path, b"newest")
    assert names(tmp_path) == [".a.0000000000000000.tmp", ".a.notes.tmp", "a", "ab"]


@contextmanager
def writer(path):
    """A process that is in the middle of writing a file, and never comes to its end."""
    paths = os.pathsep.join(p for p in sys.path if p)
    child = subprocess.Popen(
        [sys.executable, "-c", _ENDLESS, str(path)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    try:
        assert child.stdout is not None and child.stdout.readline() == b"half\n"
        yield child
    finally:
        child.kill()
        child.wait(10)


def test_a_file_cleared_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    """Between its making and its lock somebody may take it for one that is left."""
    from netspec import files

    lock, cleared = files._lock, []

    def late(descriptor: int, wait: bool) -> bool:
        if wait and not cleared:
            cleared.extend(tmp_path.iterdir())
            cleared[0].unlink()
        return lock(descriptor, wait)

    monkeypatch.setattr(files, "_lock", late)
    write_atomic(tmp_path / "a", b"new")
    assert cleared and (tmp_path / "a").read_bytes() == b"new" and names(tmp_path) == ["a"]


def test_no_locks(tmp_path, monkeypatch):
    """Where the system has none, files are written all the same, and nothing is cleared."""
    from netspec import files

    monkeypatch.setattr(files, "fcntl", None)
    (tmp_path / ".a.0123456789abcdef.tmp").write_bytes(b"")
    write_together([(tmp_path / n, b"new") for n in "ab"])
    write_together([(tmp_path / n, b"newer") for n in "ab"])
    assert names(tmp_path) == [".a.0123456789abcdef.tmp", "a", "b"]
