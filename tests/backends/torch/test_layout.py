"""Lines break where `ruff format` breaks them: random forms, written by us, left alone by it."""

from __future__ import annotations

import random
import shutil
import subprocess

import pytest

from netspec.backends.torch_source.form import (
    Apply,
    Child,
    Dot,
    Extent,
    Form,
    Item,
    Literal,
    Local,
    Operation,
    Repeat,
    Sequence,
    Slice,
    Table,
    Text,
    align,
    constants,
    skeleton,
)
from netspec.backends.torch_source.layout import Writer, constant
from netspec.backends.torch_source.naming import attribute, class_name, identifier
from netspec.backends.torch_source.text import docstring


class Forms:
    """Random forms of the kinds that stand in generated source."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def atom(self) -> Form:
        return self.random.choice(
            [Local(0), Local(1), Literal(3), Literal(-1), Literal(1e-05), Literal("same"), Literal((1, 2)), Literal((3,)),
             Child(("conv1",)), Extent(1, 2), Literal(None), Literal(True)]
        )  # fmt: skip

    def simple(self) -> Form:
        return self.random.choice([Local(0), Local(1), Literal(3), Extent(0, 3)])

    def size(self, depth: int) -> Form:
        if depth == 0:
            return self.simple()
        return Operation(self.random.choice(["+", "-", "*", "//", "%", "**"]), self.size(depth - 1), self.simple())

    def any(self, depth: int) -> Form:
        if depth == 0:
            return self.atom()
        return self.random.choice([self.call, self.method, self.display, self.table, self.chain, self.index, self.arithmetic])(depth)

    def call(self, depth: int) -> Form:
        arguments = tuple(self.any(depth - 1) for _ in range(self.random.randrange(4)))
        keywords = tuple((name, self.any(depth - 1)) for name in self.random.sample(["stride", "padding", "dilation", "bias"], 2))
        return Apply(Text(self.random.choice(["nn.Conv2d", "F.interpolate", "torch.cat", "InvertedResidual"])), arguments, keywords)

    def method(self, depth: int) -> Form:
        return Apply(Dot(Local(self.random.randrange(2)), "reshape"), tuple(self.any(depth - 1) for _ in range(3)))

    def display(self, depth: int) -> Form:
        return Sequence(tuple(self.any(depth - 1) for _ in range(self.random.randrange(1, 5))), self.random.choice("(["))

    def table(self, depth: int) -> Form:
        return Table(tuple((str(i), self.any(depth - 1)) for i in range(self.random.randrange(1, 4))))

    def chain(self, depth: int) -> Form:
        items = [Repeat(self.call(depth - 1 or 1), Literal(4)) if self.random.random() < 0.4 else self.call(1) for _ in range(3)]
        return Apply(Text("nn.Sequential"), tuple(items))

    def index(self, depth: int) -> Form:
        bounds = [Slice(None, None, None), Slice(self.simple(), self.size(1), None), Slice(self.simple(), None, Literal(2)), self.simple()]
        return Item(Local(0), Sequence(tuple(self.random.choice(bounds) for _ in range(3))))

    def arithmetic(self, depth: int) -> Form:
        return self.size(2)


@pytest.mark.skipif(shutil.which("ruff") is None, reason="ruff is a tool of development")
def test_ruff_leaves_random_statements_alone(tmp_path) -> None:
    writer = Writer(str, local=["x", "embedding"].__getitem__, child=lambda path: "self." + ".".join(path))
    lines = ["class A:", "    def f(self, x, embedding):"]
    forms = Forms(0)
    for i in range(300):
        lines += writer.lines(forms.any(forms.random.randrange(1, 4)), 2, f"y{i} = ")
    file = tmp_path / "random.py"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = subprocess.run(["ruff", "format", "--diff", "-q", "--isolated", str(file)], capture_output=True, text=True)
    assert not done.stdout and not done.stderr, done.stdout[:4000] + done.stderr


@pytest.mark.skipif(shutil.which("ruff") is None, reason="ruff is a tool of development")
def test_ruff_leaves_docstrings_alone(tmp_path) -> None:
    docs = [
        "Plain.",
        'Ends with a "quote"',
        "Two\n  lines\n",
        'A """ inside',
        "back\\slash \\",
        "  space  ",
        "tab\there",
        "bell\x07 \u202e é",
        "a\n\n    b\n  c",
    ]
    lines = [line for i, doc in enumerate(docs) for line in ["", "", f"class A{i}:", *docstring(doc, 1)]]
    file = tmp_path / "docs.py"
    file.write_text("\n".join(lines[2:]) + "\n", encoding="utf-8")
    done = subprocess.run(["ruff", "format", "--diff", "-q", "--isolated", str(file)], capture_output=True, text=True)
    assert not done.stdout and not done.stderr, done.stdout + done.stderr
    names: dict[str, type] = {}
    exec(file.read_text(encoding="utf-8"), names)
    assert names["A3"].__doc__ == 'A """ inside'


def test_constants_read_back() -> None:
    for value in (1, -1, 1.0, 1e-05, float("inf"), float("-inf"), True, None, "a'b\"c\\\n", (1, (2.5, "é")), ()):
        assert eval(constant(value)) == value


def test_names_are_made() -> None:
    assert [identifier(text) for text in ("e[0]", "layer1.0.conv", "class", "é", "3x", "self")] == [
        "e0",
        "layer1_0_conv",
        "class_",
        "x",
        "x3x",
        "self_",
    ]
    assert [class_name(text) for text in ("inverted_residual", "resnet50", "module", "3d", "Ж")] == [
        "InvertedResidual", "Resnet50", "ModuleBlock", "Block3d", "Block",
    ]  # fmt: skip
    assert [label for label in ("conv1", "type", "0", "class", "__x", "forward", "forward2", "é") if attribute(label)] == ["conv1"]


def test_what_is_left_to_its_default_aligns_with_what_is_said() -> None:
    defaults = (("stride", 1), ("bias", True))
    plain = Apply(Text("nn.Conv2d"), (Literal(8),), (), defaults)
    strided = Apply(Text("nn.Conv2d"), (Literal(16),), (("stride", Literal(2)),), defaults)
    assert skeleton(plain) == skeleton(strided)
    first, second = align([plain, strided])
    assert [literal.value for literal in constants(first)] == [8, 1]
    assert [literal.value for literal in constants(second)] == [16, 2]
    assert skeleton(Apply(Text("nn.Linear"), (Literal(8),))) != skeleton(plain)
