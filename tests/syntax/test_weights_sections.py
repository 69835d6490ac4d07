"""`weights` sections: how they are read, what is said about mistakes in them, how they are written."""

from __future__ import annotations

import random

import pytest

from netspec.syntax import tree
from tests.syntax.reading import broken, errors, read, statement
from tests.syntax.test_format import formatted

IN_A_NET = 'net n {{\n input x\n weights {{\n  rename "a" -> "b"\n  {}\n  rename "c.*" -> "*"\n }}\n output x\n}}\n'


def renames(text: str) -> list[tuple[str, str]]:
    """The renames of a section in a net."""
    (net,) = read(f"net n {{ weights {{ {text} }} }}\n").body
    assert isinstance(net, tree.Net) and isinstance(net.body[0], tree.Weights)
    return [(rename.old, rename.new) for rename in net.body[0].renames]


def test_names_are_strings() -> None:
    assert renames(r'rename "module.*" -> "*"; rename "a\u{e9}" -> "b\"c"') == [("module.*", "*"), ("aé", 'b"c')]
    assert renames('\n rename "a" # why\n\n -> "b"\n\n') == [("a", "b")] and renames("") == []


def test_the_word_is_one_before_a_brace_alone() -> None:
    for text in ("weights = x", "weights: [N] = x", "weights[0] = x", "weights, y = x", "y = weights", "layer weights = f"):
        assert not isinstance(statement(text), tree.Weights)
    (net,) = read("net n { train { weights = 1\n weights { a: 1 } } }\n").body
    assert isinstance(net, tree.Net) and len(net.body[0].items) == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "line",
    ['rename a -> "b"', 'rename "a" "b"', 'rename "a" -> b', '"a" -> "b"', 'rename "a" = "b"', 'rename "a" => "b"', 'rename "a", "b"',
     'rename "a" -> "b" rename "c" -> "d"', 'renam "a" -> "b"', 'rename "a" ->', "rename", 'rename "a', "conv: zeros",
     'rename ("a" -> "b")', "rename 'a' -> 'b'", 'rename "a" -> "b" -> "c"', "=", 'output "a" -> "b"'],
)  # fmt: skip
def test_a_mistake_costs_one_line(line: str) -> None:
    module, report = broken(IN_A_NET.format(line))
    (finding,) = report.diagnostics
    assert finding.place is not None and finding.place.line == 5 and finding.code in ("NS101", "NS103", "NS104")
    (net,) = module.body
    assert isinstance(net, tree.Net) and isinstance(net.body[1], tree.Weights)
    assert [(rename.old, rename.new) for rename in net.body[1].renames] in ([("a", "b"), ("c.*", "*")], [("a", "b")])


def test_what_is_wrong_is_said() -> None:
    _, report = broken(IN_A_NET.format('rename "a" = "b"'))
    (finding,) = report.diagnostics
    assert finding.message == "a line of `weights` is `rename`, a name, `->`, a name" and finding.marks[0].text == "expected `->`"
    _, report = broken(IN_A_NET.format('renam "a" -> "b"'))
    assert report.diagnostics[0].message == "`renam` is no word of a `weights` section"


def test_mistakes_in_braces() -> None:
    assert errors('net n {\n weights {\n  rename "a" -> "b"\n output x\n}\n')[0].startswith("NS102")
    assert errors("net n {\n weights\n { }\n output x\n}\n")[0].startswith("NS101 2:")


def test_mutated_sections_are_read_without_exception() -> None:
    generator = random.Random(11)
    pieces = [*'()[]{}"\n=,;:.*#->', "->", "rename", '"a.*"', "weights {", "if", "else", "as", '"""']
    for _ in range(200):
        text = IN_A_NET.format('rename "d.*"\n -> "*"')
        for _ in range(generator.randrange(1, 5)):
            at, until = generator.randrange(len(text)), generator.randrange(4)
            text = text[:at] + generator.choice(pieces) + text[at + until :]
        module, report = broken(text)
        assert all(d.place is not None and 0 <= d.place.start <= d.place.end <= len(text) for d in report.diagnostics)
        if report.ok:
            formatted(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("weights{}", "  weights { }\n"),
     ('weights { rename   "a"->"b";rename "c.*"\n->"*" }', '  weights {\n    rename "a" -> "b"\n    rename "c.*" -> "*"\n  }\n'),
     ('weights { # why\n\n# own\nrename "a" -> "b" # here\n\n\n rename "c" -> "d"\n# last\n}',
      '  weights {  # why\n    # own\n    rename "a" -> "b"  # here\n\n    rename "c" -> "d"\n    # last\n  }\n'),
     (f'weights {{ rename "{"a" * 50}" -> "{"b" * 50}" }}', f'  weights {{\n    rename "{"a" * 50}"\n      -> "{"b" * 50}"\n  }}\n')],
)  # fmt: skip
def test_how_it_is_written(text: str, expected: str) -> None:
    assert formatted(f"net n {{ {text} }}") == f"net n {{\n{expected}}}\n"
