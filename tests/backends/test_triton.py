"""Packages for a Triton server: the configuration says what the spec says, and a folder is there whole or not at all.

The text is read by Google's parser against Triton's own schema where `NETSPEC_TRITON_SCHEMA` names `model_config_pb2.py` (of
`tritonclient`), and by a strict one of a few lines everywhere."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import Any

import onnx
import pytest

from netspec.api import loads
from netspec.backends import triton
from netspec.backends.triton import configuration, save_package
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph

IMAGE = "input image: [N, 3, H = 64, W = 64]\n output scores = image -> conv(4, 3, stride = 16, padding = 1) -> global_avg_pool -> flatten"
SCHEMA = os.environ.get("NETSPEC_TRITON_SCHEMA")


def graph(body: str, **options: Any) -> Graph:
    return loads("net a {\n " + body + "\n}", **options).graph


def model_writer(of: Graph) -> Any:
    from netspec.backends.onnx import save
    from netspec.backends.weights import Initial

    return lambda path: save(of, path, Initial(0, {t.name: t for t in of.weights}))


TOKEN = re.compile(
    r'\s+|#[^\n]*|(?P<text>"(?:[^"\\\n]|\\(?:[\\"nrt]|[0-7]{3}))*")|(?P<word>[A-Za-z_]\w*)|(?P<number>-?\d+)|(?P<sign>[{}\[\]:,])'
)


def tokens(text: str) -> list[str]:
    found, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        assert match is not None, f"no token at {text[at : at + 20]!r}"
        found += [match.group()] if match.lastgroup else []
        at = match.end()
    return found


def parse(text: str) -> dict[str, list[Any]]:
    """A message of the text format, every field as a list."""
    if SCHEMA:
        against_the_schema(text)
    left = tokens(text)[::-1]

    def value() -> Any:
        token = left.pop()
        if token == "{":
            return message()
        if token == "[":
            items: list[Any] = []
            while left[-1] != "]":
                items.append(value())
                assert left[-1] == "]" or left.pop() == ","
            left.pop()
            return items
        if token.startswith('"'):
            return re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), token[1:-1].encode()).decode()
        return int(token) if token.lstrip("-").isdigit() else token

    def message() -> dict[str, list[Any]]:
        fields: dict[str, list[Any]] = {}
        while left and left[-1] != "}":
            name = left.pop()
            assert name.isidentifier()
            if left[-1] == ":":
                left.pop()
            fields.setdefault(name, []).append(value())
        if left:
            left.pop()
        return fields

    return message()


def against_the_schema(text: str) -> None:
    from google.protobuf import text_format

    found = importlib.util.spec_from_file_location("model_config_pb2", str(SCHEMA))
    assert found is not None and found.loader is not None
    schema = importlib.util.module_from_spec(found)
    found.loader.exec_module(schema)
    text_format.Parse(text, schema.ModelConfig())


def test_the_batch_is_left_to_the_server() -> None:
    found = parse(configuration(graph(IMAGE)))
    assert found["name"] == ["a"] and found["backend"] == ["onnxruntime"] and found["max_batch_size"] == [32]
    assert found["input"] == [{"name": ["image"], "data_type": ["TYPE_FP32"], "dims": [[3, -1, -1]]}]
    assert found["output"] == [{"name": ["scores"], "data_type": ["TYPE_FP32"], "dims": [[4]]}]
    assert found["dynamic_batching"] == [{}] and found["instance_group"] == [{"count": [1], "kind": ["KIND_AUTO"]}]


@pytest.mark.parametrize(
    ("body", "options", "dims", "batch"),
    [
        (IMAGE, {"static": {"N": 4}}, [[4, 3, -1, -1], [4, 4]], 0),
        (IMAGE, {"static": {"H": 64, "W": 32}}, [[3, 64, 32], [4]], 32),
        ("input x: [N, 3]\n output y = x -> softmax(0)", {}, [[-1, 3], [-1, 3]], 0),
        ("input x: [N, 3]\n output y = x * (x -> mean([0]))", {}, [[-1, 3], [-1, 3]], 0),
        ("input x: [N, T = 4, 3]\n output y = x -> gru(2)", {}, [[-1, 3], [-1, 2]], 32),
        ("input x: [N, 4]\n output y = x -> mean([1])", {}, [[4], [1]], 32),
        ("input x: [N, 2]\n input t: [3]\n output y = x -> relu\n output z = t -> relu", {}, [[-1, 2], [3], [-1, 2], [3]], 0),
    ],
)
def test_shapes_are_those_of_the_spec(body: str, options: dict[str, Any], dims: list[list[int]], batch: int) -> None:
    found = parse(configuration(graph(body, **options)))
    assert [port["dims"][0] for port in (*found["input"], *found["output"])] == dims
    assert found["max_batch_size"] == [batch] and ("dynamic_batching" in found) == bool(batch)


def test_an_axis_alone_is_reshaped_to_none() -> None:
    found = parse(configuration(graph("input x: [N, 4]\n output y = x -> mean([1])")))
    assert found["output"][0]["reshape"] == [{"shape": [[]]}]


def test_types_follow_the_model() -> None:
    made = graph("input words: int64[N, T = 4]\n output y = words -> embedding(10, 3)")
    assert [p["data_type"] for kind in ("input", "output") for p in parse(configuration(made))[kind]] == [["TYPE_INT64"], ["TYPE_FP32"]]
    assert parse(configuration(made, low="float16"))["output"][0]["data_type"] == ["TYPE_FP16"]


def test_accelerators_and_text() -> None:
    found = parse(configuration(graph(IMAGE), accelerator="tensorrt"))
    assert found["optimization"] == [{"execution_accelerators": [{"gpu_execution_accelerator": [{"name": ["tensorrt"]}]}]}]
    for nasty in ('"', "\\", "a\nb", "}\0{", "grün", "\u2028"):
        quoted = triton._text(nasty)
        assert len(tokens(quoted)) == 1 and "\n" not in quoted


def test_a_package_holds_what_a_server_loads(tmp_path: Path) -> None:
    made = graph(IMAGE)
    package = save_package(made, tmp_path / "models", model_writer(made), {"netspec.labels": '["a","b","c","d"]'})
    files = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*"))
    assert files == ["models", "models/a", "models/a/1", "models/a/1/model.onnx", "models/a/config.pbtxt", "models/a/labels.txt"]
    found, model = parse((package / "config.pbtxt").read_text()), onnx.load(package / "1/model.onnx")
    assert found["output"][0]["label_filename"] == ["labels.txt"] and (package / "labels.txt").read_text() == "a\nb\nc\nd\n"
    for port, value in zip((*found["input"], *found["output"]), (*model.graph.input, *model.graph.output), strict=True):
        shape = [d.dim_value if d.HasField("dim_value") else -1 for d in value.type.tensor_type.shape.dim]
        assert port["name"] == [value.name] and port["dims"] == [shape[1:]]
    save_package(made, tmp_path / "models", model_writer(made))
    assert not (package / "labels.txt").exists() and sorted(p.name for p in tmp_path.iterdir()) == ["models"]


def test_a_folder_is_whole_or_absent(tmp_path: Path) -> None:
    made = graph(IMAGE)

    def fails(path: str) -> None:
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_package(made, tmp_path / "x" / "models", fails)
    assert not list(tmp_path.iterdir())
    package = save_package(made, tmp_path, model_writer(made))
    before = (package / "1/model.onnx").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        save_package(made, tmp_path, fails)
    assert (package / "1/model.onnx").read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["a"]


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    made = graph(IMAGE)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.pbtxt").write_text('name: "a"\n')
    with pytest.raises(Refusal, match="NS755.*did not write it"):
        save_package(made, tmp_path, model_writer(made))
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["config.pbtxt"]
    (tmp_path / "f").write_text("")
    with pytest.raises(Refusal, match="NS020"):
        save_package(made, tmp_path / "f", model_writer(made))
