"""What is said about broken text: one error a mistake, at its place, and the rest is still read."""

from __future__ import annotations

import random

import pytest

from netspec.syntax import tree
from tests.syntax.reading import RESNET, broken, errors

BODY = "net a {{\n  {}\n  output x\n}}\n"

MISTAKES = [
    # (statement, code, marked text, a word that the message or a help has)
    ("x = conv(64 3)", "NS101", "3", ","),
    ("x = ", "NS101", "", "expression"),
    ("x = y ->", "NS101", "", "layer after"),
    ("x = a +", "NS101", "", "`+`"),
    ("if a = 3 { }", "NS101", "=", "=="),
    ("x = True", "NS101", "True", "true"),
    ("x = None", "NS101", "None", "none"),
    ("x = 2**3", "NS101", "**", "^"),
    ("x = a && b", "NS101", "&&", "and"),
    ("x = !a", "NS101", "!", "not"),
    ("y = x |> f", "NS101", "|>", "->"),
    ("for i in 0..3: ", "NS101", ":", "braces"),
    ("def f(x): x", "NS101", ":", "="),
    ("for i = 0..3 { }", "NS101", "=", "in"),
    ("x = .5", "NS101", ".", "0.5"),
    ("x = 3y", "NS101", "y", "3 * y"),
    ("x += 1", "NS101", "+=", "x = x + …"),
    ("x = a < b < c", "NS101", "<", "chain"),
    ("x = a if b", "NS101", "", "else"),
    ("conv(3)", "NS101", "conv", "output"),
    ("layer = 3", "NS101", "layer", "another name"),
    ("x == 3", "NS101", "==", "="),
    ("while x { }", "NS101", "while", "for"),
    ("return x", "NS101", "return", "output"),
    ("input q, k", "NS101", ",", "one `input` a line"),
    ("if a { } elif b { }", "NS101", "elif", "else if"),
    ("x = 1 y = 2", "NS101", "y", "new line"),
    ("x = conv(64, 3", "NS102", "(", "never closed"),
    ("x = [1, 2", "NS102", "[", "never closed"),
    ("x = a)", "NS102", ")", "closes nothing"),
    ("x = f(a]", "NS102", "]", "closed by"),
    ("if a {", "NS102", "{", "never closed"),
    ('x = "abc', "NS103", '"abc', "not closed"),
    ("x = 'abc'", "NS104", "'abc'", "double"),
    ("x = “a”", "NS104", "“", '"'),
    ("x = a\u202eb", "NS104", "\u202e", "U+202E"),
    ("x = a\0b", "NS104", "\0", "U+0000"),
    ("x = " + "1" * 41, "NS106", "1" * 41, "40"),
    ("x = 1e999", "NS106", "1e999", "large"),
    ("net b { }", "NS107", "net b { }", "top of a file"),
    ('x = "a\\q"', "NS108", "\\q", "escape"),
    ('x = a as "l{i"', "NS108", "{", "partner"),
    ('x = a as "l{i +}"', "NS101", "}", "`+`"),
]


@pytest.mark.parametrize(("text", "code", "marked", "word"), MISTAKES)
def test_mistakes(text: str, code: str, marked: str, word: str) -> None:
    _, report = broken(BODY.format(text))
    (error,) = report.diagnostics
    assert error.code == code
    assert error.place is not None and error.place.text.strip() == marked.strip(" ")
    assert word in " ".join((error.message, *error.helps))


def test_every_mistake_at_once() -> None:
    """Independent mistakes in one file: each is found, none twice, and what is right is kept."""
    # those that leave a brace open, or bind the statement after them, cannot stand together
    alone = [text for text, *_ in MISTAKES if text not in ("if a {",) and not text.startswith(("for i in 0..3:", "def f(x):"))]
    module, report = broken("".join(BODY.format(text) for text in alone))
    assert len(report.diagnostics) == len(alone)
    assert [type(net) for net in module.body] == [tree.Net] * len(alone)
    assert all(isinstance(net.body[-1], tree.Output) for net in module.body if isinstance(net, tree.Net))


def test_a_broken_header_keeps_the_errors_of_its_body() -> None:
    assert errors("net a {\n for i on 0..3 {\n  x = = 1\n  y = 2\n }\n output z\n}\n") == ["NS101 2:8", "NS101 3:7"]


def test_holes_remember_names() -> None:
    module, _ = broken("block foo(x, {\n output x\n}\nnet a {\n y = 3 +\n output y\n}\nfrom x imports b\n")
    block, net, imports = module.body
    assert isinstance(block, tree.Hole) and block.names == ("foo",)
    assert isinstance(net.body[0], tree.Hole) and net.body[0].names == ("y",)
    assert isinstance(imports, tree.Hole)


def test_braces() -> None:
    assert errors("net a {\n input x\n if b {\n  y = x\n output y\n}\nnet c {\n output x\n}\n") == ["NS102 3:7"]
    assert errors("net a {\n input x\n output x\n\nnet c {\n output x\n}\n") == ["NS102 1:7"]
    assert errors("net a {\n input x\n }\n output x\n}\nnet c {\n output x\n}\n") == ["NS102 5:1"]
    assert errors("block b(x)\n  input x\n  output x\n}\n") == ["NS101 1:11"]
    assert errors("block b(x):\n  input x\n  output x\n") == ["NS101 1:11"]
    assert errors("net a {") == ["NS102 1:7"] and errors("}") == ["NS102 1:1"]


def test_placement() -> None:
    assert errors("input x\n") == ["NS107 1:1"]
    assert errors("train { }\n") == ["NS107 1:1"]
    assert errors("net a {\n if b { init { } }\n output x }\n") == ["NS107 2:9"]
    assert errors("weights { }\nblock a {\n weights { }\n output x }\n") == ["NS107 1:1", "NS107 3:2"]
    assert errors("net a {\n if b { weights { } }\n output x }\n") == ["NS107 2:9"]
    assert errors('def f = 1\n"""lost"""\nblock b { input x; output x }\n') == ["NS107 2:1"]


def test_mutated_text_is_read_without_exception() -> None:
    generator = random.Random(7)
    pieces = [*'()[]{}"\n=,\0# \\é', '"""', "->", "..", "if", "else", "net", "1e", "as", "init {", "train {", "then", "weights {"]
    for _ in range(300):
        text = RESNET
        for _ in range(generator.randrange(1, 6)):
            at, until = generator.randrange(len(text)), generator.randrange(4)
            text = text[:at] + generator.choice(["", generator.choice(pieces), text[at : at + 20]]) + text[at + until :]
        module, report = broken(text)
        assert all(d.place is not None and 0 <= d.place.start <= d.place.end <= len(text) for d in report.diagnostics)
        assert report.diagnostics or module.body
