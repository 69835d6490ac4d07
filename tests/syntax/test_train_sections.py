"""The inside of `train` sections: how it is read, what is said about mistakes in it, how it is written."""

from __future__ import annotations

import random

import pytest

from netspec.syntax import tree
from tests.syntax.reading import broken, errors, expression, read, shape_of
from tests.syntax.test_format import formatted

DIGITS = """\
train digits of lenet {
  loss      = cross_entropy(logits, label, label_smoothing = 0.1) + 1e-5 * l1(weights)
  optimizer = sgd(lr = 0.1, momentum = 0.9, nesterov = true, weight_decay = 5e-4)
  schedule  = warmup(5) then cosine(epochs = 95)
  batch     = 128
  no_decay  = ["*.bias", "bn*"]
  rates     { fc: 10 }  # learning-rate factors by selector
  freeze    = ["layer1.*"]
  augment   = [random_crop(28, padding = 4), hflip, noise(0.01)]
  stop      = early(monitor = val.loss, patience = 10)
  search    { lr: log(1e-4, 1), momentum: [0, 0.9, 0.99] }
}
"""
IN_A_NET = "net n {{\n input x\n train {{\n  first = 1\n  {}\n  last = 2\n }}\n output x\n}}\n"


def section(text: str) -> tree.Train:
    """The section with this inside."""
    (found,) = read(f"train it of net1 {{\n{text}\n}}\n").body
    assert isinstance(found, tree.Train)
    return found


def value(text: str) -> tree.Expr:
    """The value of a setting."""
    (item,) = section(f"it = {text}").items
    assert isinstance(item, tree.Setting)
    return item.value


def rows(text: str) -> list[tuple[str, object]]:
    """The rows of a table, each as its name and its value."""
    (item,) = section(f"it {{{text}}}").items
    assert isinstance(item, tree.Table)
    return [(row.selector, shape_of(row.value)) for row in item.rows]


# ------------------------------------------------------------------------------------------------------- reading
def test_the_settings_of_a_section() -> None:
    (digits,) = read(DIGITS).body
    assert isinstance(digits, tree.Train) and (digits.name, digits.net) == ("digits", "lenet")
    names = "loss optimizer schedule batch no_decay rates freeze augment stop search".split()
    assert [item.name for item in digits.items] == names
    assert [item.name for item in digits.items if isinstance(item, tree.Table)] == ["rates", "search"]


def test_values_are_expressions_of_the_language() -> None:
    for text in ("f(a, b = 1) + 1e-5 * g(b)", "val.loss", "[c for c in 0..3]", "a if big else b", "[0.9, 0.99]", '"file.npz"', "x -> f"):
        assert value(text) == expression(text)


def test_then_is_the_loosest_operator() -> None:
    found = value("warmup(5) then a if b else c then x -> y")
    assert isinstance(found, tree.Then)
    assert [shape_of(part) for part in found.parts] == [("()", "warmup", 5), ("if", "a", "b", "c"), ("->", "x", "y")]


def test_a_line_that_begins_with_then_goes_on() -> None:
    assert value("a\n\n  # a remark\n  then b  # another\n then c") == value("a then b then c")


def test_then_is_a_name_everywhere_else() -> None:
    (net,) = read("net n {\n input then\n y = then\n then = y\n output then as then\n init { then: zeros }\n}\n").body
    assert len(net.body) == 5
    assert shape_of(value("val.then")) == (".", "val", "then") and rows("then: 1") == [("then", 1)]


def test_words_that_begin_statements_are_names_in_a_section() -> None:
    words = "from def block net extern train input output layer init default expect where import of".split()
    assert [item.name for item in section("\n".join(f"{word} = {word}" for word in words)).items] == words
    assert [name for name, _ in rows("; ".join(f"{word}: 1" for word in words))] == words
    assert [item.name for item in section("of = 1; layer { init: 2 }\ninput = 3").items] == ["of", "layer", "input"]
    (net,) = read("net n { train { of = 1 } }").body
    assert net.body[0].items[0].name == "of"


@pytest.mark.parametrize(
    "text", ["a: 1, b: 2", "a: 1; b: 2", "\n a: 1\n b: 2\n", " a: 1,\n b: 2,\n", "\n a: 1  # c\n\n b: 2,", ";a: 1;;\n;b: 2;"]
)
def test_how_rows_are_parted(text: str) -> None:
    assert rows(text) == [("a", 1), ("b", 2)]


def test_selectors_of_rows() -> None:
    assert [name for name, _ in rows('layer*.0.bn[12]: 1, "a b": 2, *: 3, optimizer.lr: 4')] == [
        "layer*.0.bn[12]",
        "a b",
        "*",
        "optimizer.lr",
    ]
    assert rows("") == rows("\n # nothing\n") == []
    assert rows("lr: log(1e-4, 1), m: [0, 0.9]") == [("lr", ("()", "log", 1e-4, 1)), ("m", ["list", 0, 0.9])]


def test_flat_tables_are_known() -> None:
    flat, tall = section("a { x: 1, y: 2 }\n b { x: 1,\n y: 2 }").items
    assert isinstance(flat, tree.Table) and isinstance(tall, tree.Table)
    assert flat.flat and not tall.flat and flat.rows == tall.rows


def test_places() -> None:
    (digits,) = read(DIGITS).body
    assert digits.place.text == DIGITS.rstrip()
    batch, rates = digits.items[3], digits.items[5]
    assert batch.place.text == "batch     = 128" and batch.value.place.text == "128"
    assert rates.place.text == "rates     { fc: 10 }" and rates.rows[0].place.text == "fc: 10"
    then = digits.items[2].value
    assert then.place.text == "warmup(5) then cosine(epochs = 95)" and then.parts[1].place.text == "cosine(epochs = 95)"


# ------------------------------------------------------------------------------------------------------ mistakes
MISTAKES = [
    # (an item, code, marked text, a word that the message or a help has)
    ("loss cross_entropy(a)", "NS101", "cross_entropy", "name = value"),
    ("loss: f", "NS101", ":", "name = value"),
    ("loss == f", "NS101", "==", "="),
    ("hflip", "NS101", "", "name = value"),
    ("x[0] = 3", "NS101", "[", "name = value"),
    ("rates x { fc: 10 }", "NS101", "x", "table"),
    ("loss = f { x }", "NS101", "{", "{"),
    ("loss = ", "NS101", "", "expression"),
    ("loss = a b", "NS101", "b", "new setting"),
    ("loss = a, optimizer = b", "NS101", ",", "commas"),
    ("loss = f(a then b)", "NS101", "then", "outside of brackets"),
    ("schedule = a then", "NS101", "", "then"),
    ("then = 3", "NS101", "then", "before it"),
    ("schedule = a then then b", "NS101", "then", "then"),
    ("3 = a", "NS101", "3", "no setting"),
    ("for = 3", "NS101", "for", "no setting"),
    ("rates = { fc: 10 }", "NS101", "{", "expression"),
    ("rates { fc 10 }", "NS101", "", "name: value"),
    ("rates { fc = 10 }", "NS101", "=", "name: value"),
    ("rates { fc: 10 conv: 3 }", "NS101", "conv", "`,`"),
    ("rates { fc: 10,, a: 3 }", "NS101", ",", "no row"),
    ("rates { conv bn: 10 }", "NS101", "bn", "spaces"),
    ("rates { fc: , a: 1 }", "NS101", ",", "after the `:`"),
    ("rates { a: { b: 3 } }", "NS101", "{", "`:`"),
    ("rates { a: 1 } freeze = 3", "NS101", "freeze", "new setting"),
    ("rates { a: 1 }, freeze = 3", "NS101", ",", "begin"),
    ("loss = f(a", "NS102", "(", "never closed"),
    ("rates { a: f(3 }", "NS102", "(", "never closed"),
    ("loss = 'x'", "NS104", "'x'", "double"),
    ("loss = a £", "NS104", "£", "U+00A3"),
]


@pytest.mark.parametrize(("text", "code", "marked", "word"), MISTAKES)
def test_mistakes(text: str, code: str, marked: str, word: str) -> None:
    """One error a mistake, at its place."""
    _, report = broken(IN_A_NET.format(text))
    (error,) = report.diagnostics
    assert error.code == code
    assert error.place is not None and error.place.text.strip() == marked
    assert word in " ".join((error.message, *error.helps))


def test_a_broken_setting_costs_itself() -> None:
    module, _ = broken(IN_A_NET.format("loss = f(3\n  rates { a: 1 +, b: 2; c = 3\n d: 4 }"))
    training = module.body[0].body[1]
    assert [item.name for item in training.items] == ["first", "loss", "rates", "last"]
    assert isinstance(training.items[1].value, tree.ExprHole)
    assert [row.selector for row in training.items[2].rows] == ["b", "d"]


def test_a_setting_without_a_name_makes_a_hole_of_the_section() -> None:
    """It may have given anything, so that nothing can be said to be missing; the errors of the others are reported all the same."""
    text = IN_A_NET.format("= 3\n  loss = = 4")
    module, _ = broken(text)
    assert [type(s) for s in module.body[0].body] == [tree.Input, tree.Hole, tree.Output]
    assert errors(text) == ["NS101 5:3", "NS101 6:10"]


def test_every_mistake_at_once() -> None:
    _, report = broken("".join(IN_A_NET.format(text) for text, *_ in MISTAKES))
    assert len(report.diagnostics) == len(MISTAKES)


def test_heads_and_braces() -> None:
    assert errors("train a {\n x = = 1\n}\n") == ["NS101 1:9"]
    assert errors("train a of b\nx = 1\n") == ["NS101 1:13"]
    assert errors(IN_A_NET.format("rates { a: 1")) == ["NS102 3:8"]
    assert errors("train a of b {\n x = 1\n\nnet n {\n input x\n output x\n}\n") == ["NS102 1:14"]


def test_mutated_sections_are_read_without_exception() -> None:
    generator = random.Random(11)
    pieces = [*'()[]{}"\n=,;:.*#', "then", "\nthen ", "->", "..", "if", "else", "for", "1e", "of", "train {", "a: 1", "a {"]
    sound = 0
    for _ in range(400):
        text = DIGITS
        for _ in range(generator.randrange(1, 4)):
            at, until = generator.randrange(len(text)), generator.randrange(4)
            text = text[:at] + generator.choice(["", " ", generator.choice(pieces), text[at : at + 20]]) + text[at + until :]
        _, report = broken(text)
        assert all(d.place is not None and 0 <= d.place.start <= d.place.end <= len(text) for d in report.diagnostics)
        if report.ok:
            sound += 1
            formatted(text)
    assert sound > 40


# ------------------------------------------------------------------------------------------------------- writing
PAIRS = [
    ("a=1;bcd=2", "  a   = 1\n  bcd = 2\n"),
    ("a=1\n\nbcd=2", "  a = 1\n\n  bcd = 2\n"),
    ("a=1 # x\n# y\nbcd=2", "  a   = 1  # x\n  # y\n  bcd = 2\n"),
    ("a=1;rates{x:1,}", "  a     = 1\n  rates { x: 1 }\n"),
    ("a=1;rates{\n x:1,y:2}\nbc=3;d=4", "  a = 1\n  rates {\n    x: 1\n    y: 2\n  }\n  bc = 3\n  d  = 4\n"),
    ("rates{ # a\nx:1, # b\n\n# c\n'y z':2 # d\n# e\n} # f".replace("'", '"'),
     '  rates {  # a\n    x: 1  # b\n\n    # c\n    "y z": 2  # d\n    # e\n  }  # f\n'),
    ("abc=1;r{}\ns{\n}\nt{\n# x\n}", "  abc = 1\n  r   { }\n  s   { }\n  t {\n    # x\n  }\n"),
    ("s=a   then b\nthen c # d\n # e\n then f", "  s = a then b\n    then c  # d\n    # e\n    then f\n"),
    ("s=(a if b else c)then d", "  s = a if b else c then d\n"),
    ("# only", "  # only\n"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), PAIRS)
def test_pairs(text: str, expected: str) -> None:
    assert formatted(f"train a of b {{\n{text}\n}}") == f"train a of b {{\n{expected}}}\n"


def test_canonical_text_is_kept() -> None:
    assert formatted(DIGITS) == DIGITS
    assert formatted("train a of b{}") == "train a of b { }\n"
    assert formatted("net n{train{a=1}}") == "net n {\n  train {\n    a = 1\n  }\n}\n"


def test_long_lines_are_broken() -> None:
    call = "f(" + ", ".join(f"argument{i} = {i}" for i in range(6)) + ")"
    assert len(formatted(f"train a of b {{ rates {{ x: {call[:70]}) }} }}").splitlines()) == 3
    for text in (f"x = {call} + 1\nlonger_name = {call}", f"longer_name {{ x: {call}, y: {call} }}", "s = " + " then ".join([call] * 3)):
        lines = formatted(f"train a of b {{\n{text}\n}}").splitlines()
        assert len(lines) > 4 and all(len(line) <= 100 for line in lines)


def test_generated_sections_are_stable() -> None:
    generator = random.Random(5)
    values = [
        "1",
        "sgd(lr = 0.1)",
        "[a, b]",
        "a then b",
        "a\n then b",
        "f(a, # c\n b)",
        "a # c\n then b",
        "a if b else c",
        "f(" + "abcdefgh, " * 11 + "a)",
    ]
    breaks = ["\n", ";", "\n\n", " # note\n", "\n# own\n", "\n\n# apart\n\n"]
    for _ in range(60):
        text = ""
        for _ in range(generator.randrange(6)):
            name = "n" * generator.randrange(1, 9)
            if generator.random() < 0.5:
                text += f"{name}={generator.choice(values)}"
            else:
                part = generator.choice([", ", ";", "\n", ",\n", " # c\n"])
                inside = part.join(
                    f"{generator.choice(['a', 'b.*', chr(34) + 'x y' + chr(34)])}: {generator.choice(values[:3])}"
                    for _ in range(generator.randrange(4))
                )
                text += f"{name} {{{generator.choice(['', ' ', chr(10)])}{inside}{generator.choice(['', ' ', chr(10)])}}}"
            text += generator.choice(breaks)
        formatted(f"train a of b {{{generator.choice(['', chr(10)])}{text}}}\n")
