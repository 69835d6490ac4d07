"""Model files that are damaged, or made to do harm: refused before onnxruntime sees them, in bounded memory and time."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from netspec.backends.onnx import OnnxOptions, save, wire
from netspec.backends.weights import Initial
from netspec.diagnostics.model import Refusal
from netspec.runtime import model_file, model_tensors, wire_reader
from netspec.runtime.model_file import inspect
from netspec.runtime.session import Session
from netspec.sizes.dim import Dim
from tests.backends import networks as nets


def tensor(name="w", dims=(4,), dtype=1, raw=None, external=None, **fields) -> bytes:
    entries = [wire.ENTRY.encode(key=key, value=value) for key, value in (external or {}).items()]
    head = wire.TENSOR.encode(dims=dims, data_type=dtype, name=name, raw_data=raw)
    return head + wire.TENSOR.encode(external_data=entries, data_location=1 if external else None) + b"".join(fields.values())


def model(*initializers: bytes, nodes=(), functions=(), inner=b"") -> bytes:
    graph = wire.GRAPH.encode(node=list(nodes), name="g", initializer=list(initializers)) + inner
    return wire.MODEL.encode(ir_version=10, graph=graph, functions=list(functions))


def field(number: int, content: bytes) -> bytes:
    return wire.varint(number << 3 | 2) + wire.varint(len(content)) + content


@pytest.fixture
def refused(tmp_path):
    """Says what a model is refused for."""

    def why(data: bytes, code="NS756") -> str:
        path = tmp_path / "net.onnx"
        path.write_bytes(data)
        with pytest.raises(Refusal) as caught:
            inspect(path)
        assert caught.value.diagnostic.code == code
        return caught.value.diagnostic.message

    return why


def network():
    b = nets.Builder()
    x = b.input("x", Dim.name("N"), 4, 8, 8)
    return b.graph(y=b.add("conv", nets.Conv(channels=16), x))


def test_what_netspec_writes_is_whole(tmp_path):
    for options in (OnnxOptions(), OnnxOptions(external=True)):
        save(network(), tmp_path / "net.onnx", Initial(0), options)
        found = inspect(tmp_path / "net.onnx")
        assert (found.nodes, found.tensors) == (1, 1)
        assert [os.path.basename(path) for path in found.files] == (["net.onnx.data"] if options.external else [])
        Session(tmp_path / "net.onnx", provider="cpu")


def test_every_truncation_is_refused_or_harmless(tmp_path):
    """A file cut anywhere: it has no graph, or a field of it reaches past the end."""
    save(network(), tmp_path / "net.onnx", Initial(0))
    data = (tmp_path / "net.onnx").read_bytes()
    tail = data.index(b"netspec.version") - 4  # behind the graph a cut can fall between two fields
    for end in (*range(0, 60), *range(60, tail, 97)):
        (tmp_path / "cut.onnx").write_bytes(data[:end])
        with pytest.raises(Refusal, match="NS756"):
            inspect(tmp_path / "cut.onnx")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\0\0", "field 0"),
        (b"<html>not found</html>", "no field that ONNX has"),
        (wire.MODEL.encode(ir_version=10), "no graph"),
        (b"\x3a\xff\xff\xff\xff\x7f", "ends"),  # a graph of 32 GiB
        (b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "no end"),
        (model(inner=b"\x0b"), "no field that ONNX has"),  # a group
        (model(inner=b"\x08\x01"), "of another kind"),  # a number where a node should be
        (model(nodes=[b"\x1a\x02\xff\xfe"]), "no UTF-8"),
        (model(tensor(dims=(1 << 61, 1 << 61), raw=b"")), "a shape that nothing can have"),
        (model(tensor(dims=(-1,), raw=b"")), "a shape that nothing can have"),
        (model(tensor(dims=(1,) * 65, raw=bytes(4))), "a shape that nothing can have"),
        (model(tensor(dims=(1 << 40,), raw=bytes(4))), "another number of bytes"),
        (model(tensor(dims=(1 << 40,), float_data=field(4, bytes(4)))), "another number of bytes"),
        (model(tensor(dims=(3,))), "another number of bytes"),
        (model(tensor(dims=(1 << 30,), dtype=8)), "another number of bytes"),
        (model(inner=field(15, field(1, tensor(raw=bytes(16))) + b"\x18" + wire.varint(1 << 40))), "a sparse tensor"),
    ],
)  # fmt: skip
def test_broken_and_absurd(refused, data, words):
    assert words in refused(data)


def test_typed_fields_and_small_elements_are_counted_right(tmp_path):
    fine = [
        tensor("floats", (2,), float_data=field(4, bytes(8))),
        tensor("integers", (3,), dtype=7, int64_data=field(7, b"\x01\x02\x03")),
        tensor("none", (0, 5)),
        tensor("nibbles", (3,), dtype=22, raw=bytes(2)),
        tensor("texts", (2,), dtype=8, string_data=field(6, b"a") + field(6, b"b")),
        tensor("half", (2,), dtype=10, int32_data=field(5, b"\x00\x01")),
        tensor("one by one", (2,), dtype=6, int32_data=b"\x28\x05\x28\x06"),
    ]
    (tmp_path / "net.onnx").write_bytes(model(*fine))
    assert inspect(tmp_path / "net.onnx").tensors == len(fine)


def outside(place: str, **entries: str) -> bytes:
    return model(tensor(external={"location": place, "offset": "0", "length": "16", **entries}))


@pytest.mark.parametrize(
    "place", ["/etc/hostname", "../secret", "a/../../secret", "C:\\secret", "\\\\host\\secret", "link", "folder/link", ""]
)
def test_tensors_outside_of_the_folder(refused, tmp_path, place):
    """By an absolute path, by `..`, and by a link that leads out of it."""
    secret = tmp_path.parent / "secret"
    secret.write_bytes(bytes(16))
    (tmp_path / "link").symlink_to(secret)
    (tmp_path / "folder").symlink_to(tmp_path.parent)
    assert "outside of the model's folder" in refused(outside(place))


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"location": "missing.data"}, "which is not there"),
        ({"location": "*/_ORT_MEM_ADDR_/*"}, "which is not there"),  # onnxruntime's own name for its memory
        ({"location": "pipe"}, "no regular file"),
        ({"location": "."}, "no regular file"),
        ({"offset": "9"}, "ends at 24"),
        ({"offset": "999999999999999999", "length": "16"}, "ends at 24"),
        ({"length": "12"}, "another number of bytes"),
        ({"offset": "-8"}, "the offset of the tensor"),
        ({"length": "0x10"}, "the length of the tensor"),
    ],
)
def test_external_data_that_does_not_fit(refused, tmp_path, entries, words):
    (tmp_path / "net.data").write_bytes(bytes(24))
    os.mkfifo(tmp_path / "pipe")
    assert words in refused(outside("net.data", **entries))


def test_the_same_bytes_over_and_over(refused, tmp_path):
    """A few bytes beside the model must not become gigabytes in memory."""
    (tmp_path / "net.data").write_bytes(bytes(16))
    one = tensor(external={"location": "net.data", "offset": "0", "length": "16"})
    assert "over and over" in refused(model(*[one] * 17))


def test_depth_and_counts(refused, monkeypatch):
    deep = b""
    for _ in range(60):  # a graph in an attribute of a node of a graph …
        deep = field(1, field(5, field(6, deep)))
    assert "nested deeper" in refused(wire.MODEL.encode(ir_version=10, graph=deep))
    monkeypatch.setattr(model_file, "MOST_NODES", 100)
    monkeypatch.setattr(model_file, "MOST_TENSORS", 100)
    node = wire.NODE.encode(op_type="Relu")
    assert "more than 100 nodes" in refused(model(nodes=[node] * 101))
    assert "more than 100 tensors" in refused(model(*[tensor(raw=bytes(16))] * 101))
    monkeypatch.setattr(wire_reader, "MOST_FIELDS", 1000)
    assert "more than 1,000 fields" in refused(model(inner=b"\x98\x06\x01" * 2000))


def function(name: str, *calls: str) -> bytes:
    return wire.FUNCTION.encode(name=name, domain="d", node=[wire.NODE.encode(op_type=call, domain="d") for call in calls])


def test_functions_that_grow_without_bound(refused):
    call = wire.NODE.encode(op_type="f0", domain="d")
    doubling = [function(f"f{n}", f"f{n + 1}", f"f{n + 1}") for n in range(40)]
    assert "1,099,511,627,776 nodes" in refused(model(nodes=[call], functions=doubling))
    assert "without end" in refused(model(nodes=[call], functions=[function("f0", "f1"), function("f1", "f0")]))


def test_a_large_file_is_walked_without_its_tensors(tmp_path):
    """4 GiB that are a hole on disk: its walk holds a window of it."""
    path = tmp_path / "net.onnx"
    length = 4 << 30
    weight = wire.TENSOR.encode(dims=(length,), data_type=2, name="w") + wire.TENSOR.opening("raw_data", length)
    graph = wire.GRAPH.opening("initializer", len(weight) + length) + weight
    with open(path, "wb") as file:
        file.write(wire.MODEL.opening("graph", len(graph) + length) + graph)
        file.truncate(file.tell() + length)
    tracemalloc.start()
    assert inspect(path).tensors == 1
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<f2"])
def test_weights_that_are_no_numbers(tmp_path, dtype, monkeypatch):
    monkeypatch.setattr(model_tensors, "_CHUNK", 64)
    values = np.arange(100).astype(dtype)
    values[[3, 70]] = np.nan
    values[5] = np.inf  # a mask may have it
    number = {"<f4": 1, "<f8": 11, "<f2": 10}[dtype]
    (tmp_path / "net.data").write_bytes(values.tobytes())
    there = {"location": "net.data", "offset": "0", "length": str(values.nbytes)}
    bits = np.array([0x7FC0, 0x7F80, 0x3F80], "<u2").tobytes()  # NaN, infinity and 1 as bfloat16
    all_three = tensor("a", (100,), number, values.tobytes()), tensor("b", (100,), number, external=there), tensor("c", (3,), 16, bits)
    (tmp_path / "net.onnx").write_bytes(model(*all_three))
    with pytest.raises(Refusal, match="NS633") as refused:
        inspect(tmp_path / "net.onnx")
    assert [note.split(" values")[0] for note in refused.value.diagnostic.notes] == ["a has 2", "b has 2", "c has 1"]
    (tmp_path / "net.onnx").write_bytes(model(tensor("lone", (), 1, values[3:4].astype("<f4").tobytes())))
    assert inspect(tmp_path / "net.onnx").tensors == 1


def test_what_is_no_file(tmp_path):
    with pytest.raises(Refusal, match="NS732"):
        inspect(tmp_path / "missing.onnx")
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(Refusal, match="NS756"):
        inspect(tmp_path / "pipe.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(Refusal, match="NS756"):
        Session(tmp_path / "bad.onnx")


# ------------------------------------------------------------------------------------------------------------ at random
def mutated(data: bytes, random: np.random.Generator) -> bytes:
    """The bytes of a model with one fault: cut off, changed, longer, shorter, or with a length that reaches anywhere."""
    at = int(random.integers(len(data) if random.random() < 0.5 else min(len(data), 400)))
    some = random.bytes(int(random.integers(1, 12)))
    lengths = (b"\xff\xff\xff\xff\x0f", b"\x80" * 9 + b"\x01", b"\0", b"\x7f")
    return [
        lambda: data[:at],
        lambda: data[:at] + some + data[at + len(some) :],
        lambda: data[:at] + some + data[at:],
        lambda: data[:at] + data[at + len(some) :],
        lambda: data[:at] + lengths[int(random.integers(len(lengths)))] + data[at + 1 :],
    ][int(random.integers(5))]()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "net.onnx"
    save(network(), path, Initial(0), OnnxOptions(metadata={"netspec.labels": '["a", "b"]'}))
    return path.read_bytes()


def test_random_faults_end_in_refusals(whole, tmp_path):
    """Nothing but a refusal comes of a damaged file, and soon."""
    random, path, refusals = np.random.default_rng(0), tmp_path / "net.onnx", 0
    for _ in range(400):
        path.write_bytes(mutated(whole, random))
        try:
            inspect(path)
        except Refusal as refusal:
            assert refusal.diagnostic.code in ("NS756", "NS633")
            refusals += 1
    assert refusals > 100


#: Loads each file that it is told of and runs it, and says how that ended.
_CHILD = """
import sys
import numpy as np
from netspec.diagnostics.model import Refusal
from netspec.runtime.session import Session
for line in sys.stdin:
    try:
        session = Session(line.strip(), provider="cpu", threads=1)
        shapes = {name: [size if isinstance(size, int) else 2 for size in kind.shape] for name, kind in session.signature.inputs.items()}
        if all(np.prod(shape) < 1e6 for shape in shapes.values()):
            session.run({name: np.ones(shape, "float32") for name, shape in shapes.items()})
    except Refusal as refusal:
        pass
    print("done", flush=True)
"""


@pytest.mark.slow
def test_what_passes_does_not_bring_onnxruntime_down(whole, tmp_path):
    """Each file that is not refused is loaded and run by onnxruntime, in a process of its own: that ends by itself, with all of them."""
    random = np.random.default_rng(1)
    paths = []
    for number in range(int(os.environ.get("NETSPEC_FAULTS", "300"))):
        paths.append(tmp_path / f"{number}.onnx")
        paths[-1].write_bytes(mutated(whole, random))
    lines = "".join(f"{path}\n" for path in paths)
    done = subprocess.run([sys.executable, "-c", _CHILD], input=lines, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, f"after {paths[done.stdout.count('done')]}: {done.stderr[-2000:]}"
    assert done.stdout.count("done") == len(paths)
