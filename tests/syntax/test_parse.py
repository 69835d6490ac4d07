"""What valid text means."""

from __future__ import annotations

import logging
import pickle

import pytest

from netspec.locate import data_path
from netspec.syntax import tree
from tests.syntax.reading import RESNET, expression, read, shape_of, statement


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y + x -> relu", ("->", ("+", "y", "x"), "relu")),
        ("a -> b -> c", ("->", ("->", "a", "b"), "c")),
        ("a -> (b -> c)", ("->", "a", ("->", "b", "c"))),
        ("A as a -> B as b", ("->", ("as", "A", "a"), ("as", "B", "b"))),
        ("(A -> B) as ab", ("as", ("->", "A", "B"), "ab")),
        ("3 * L as x", ("as", ("*", 3, "L"), "x")),
        ("a if b else c if d else e", ("if", "a", "b", ("if", "c", "d", "e"))),
        ("a or b and not c == d", ("or", "a", ("and", "b", ("not", ("==", "c", "d"))))),
        ("a ++ b ++ c + 1", ("++", "a", "b", ("+", "c", 1))),
        ("a - b - c", ("-", ("-", "a", "b"), "c")),
        ("a / b * c % d // e", ("//", ("%", ("*", ("/", "a", "b"), "c"), "d"), "e")),
        ("-2^2", ("-", ("^", 2, 2))),
        ("2^-1^3", ("^", 2, ("-", ("^", 1, 3)))),
        ("a^b^c", ("^", "a", ("^", "b", "c"))),
        ("f(1)(x = 2)[3].c", (".", ("[]", ("()", ("()", "f", 1), ("x", 2)), 3), "c")),
        ("e[0..depth]", ("[]", "e", ("..", 0, "depth"))),
        ("0..n + 1", ("..", 0, ("+", "n", 1))),
        ("1e-4 + 0.5 + 3", ("+", ("+", 1e-4, 0.5), 3)),
        ("[f(i) for i in 0..n if i % 2 == 0]", ("for", ("()", "f", "i"), "i", ("..", 0, "n"), ("==", ("%", "i", 2), 0))),
        ("[c for i, c in enumerate(w)]", ("for", "c", "i", "c", ("()", "enumerate", "w"), None)),
        ("(a,)", ("tuple", "a")),
        ("[]", ["list"]),
        ("[1, 2,]", ["list", 1, 2]),
        ("(q, k, v) -> attention(heads = 8)", ("->", ("tuple", "q", "k", "v"), ("()", "attention", ("heads", 8)))),
        ("x -> crop(from = 3, like = input)", ("->", "x", ("()", "crop", ("from", 3), ("like", "input")))),
        (
            "block(64) as layer -> f.output.none as if",
            ("->", ("as", ("()", "block", 64), "layer"), ("as", (".", (".", "f", "output"), "none"), "if")),
        ),
        ('"a\\n\\u{41}\\""', 'a\nA"'),
        ("x # c\n  # own line\n\n  -> y", ("->", "x", "y")),
        ("x # -> y\n# -> z\n  # else\n-> y", ("->", "x", "y")),
        ("f(\n a,\n\n # c\n b\n)", ("()", "f", "a", "b")),
        ("a if b\n else c", ("if", "a", "b", "c")),
    ],
)
def test_expressions(text: str, expected: object) -> None:
    assert shape_of(expression(text)) == expected


def test_label_with_expressions() -> None:
    label = expression('L as "dense{{x}}{i + 1}_{n}"')
    assert isinstance(label, tree.Label) and label.name is None
    assert label.pieces[0] == "dense{x}" and label.pieces[2] == "_"
    assert shape_of(label.pieces[1]) == ("+", "i", 1)
    assert label.pieces[1].place.text == "i + 1"
    assert shape_of(expression("L as dec[i]")) == ("as", "L", "dec")


def test_statements() -> None:
    assert statement("input x") == statement(" input x # c") and statement("input x").shape is None
    typed = statement("input t: int64 [N, T = 128, 2 * C]")
    assert typed.shape.dtype == "int64" and [d.typical is not None for d in typed.shape.dims] == [False, True, False]
    assert statement("output x -> f").name is None
    assert statement("output y: [N] = x").shape is not None
    assert [t.name for t in statement("a, b[i] = f(x)").targets] == ["a", "b"]
    assert statement("y: [N, 64] = x").shape is not None
    assert statement("layer f[i] = conv(3)").index is not None
    assert statement("default conv(bias = false)").operator == "conv"
    assert [len(body) for _, body in statement("if a { x = 1; y = 2 }\n# c\nelse if b { }\nelse { z = 3 }").branches] == [2, 0, 1]
    assert [n.id for n in statement("for i, w in enumerate(ws) { }").targets] == ["i", "w"]
    assert isinstance(statement("where H % 32 == 0 and H >= 64"), tree.Where)
    assert isinstance(statement("expect params < 5e6"), tree.Expect)


def test_init_selectors() -> None:
    text = 'conv: he_normal(mode = fan_out)\n linear: normal(std = 0.01), bias = zeros; layer*.0.bn[12]: ones\n "a b": zeros'
    rules = statement(f"init {{ {text} }}").rules
    assert [rule.selector for rule in rules] == ["conv", "linear", "layer*.0.bn[12]", "a b"]
    assert [argument.name for argument in rules[1].arguments] == [None, "bias"]


def test_declarations() -> None:
    module = read(
        '"""The file."""\n'
        'from "a/b.net" import x, y as z\nfrom zoo.resnet import (\n  bottleneck,\n)\n'
        '"""The def."""\ndef f(x, y = 2) = x\n'
        'net a(n = 1) {\n  """The net."""\n  output n\n}\nnet b = a(3)\nnet c(k) = a(k) { expect k > 1 }\n'
        'extern e(n) { input x: [N]; output y: [N, n]; torch "p:C"; onnx "d::E" }\n'
        "train fast of a { loss = f(x) # }\n }\n"
    )
    files, zoo, function, net, variant, extended, extern, train = module.body
    assert module.doc == "The file."
    assert files.path == "a/b.net" and files.names == (("x", "x"), ("y", "z"))
    assert zoo.zoo == ("zoo", "resnet") and zoo.names == (("bottleneck", "bottleneck"),)
    assert function.doc == "The def." and function.parameters[1].default is not None
    assert net.doc == "The net." and len(net.body) == 1
    assert variant.variant is not None and not variant.body and len(extended.body) == 1
    assert extern.torch == "p:C" and extern.onnx == "d::E" and [name for name, _ in extern.outputs] == ["y"]
    assert (train.name, train.net, [item.name for item in train.items]) == ("fast", "a", ["loss"])


def test_places() -> None:
    module = read(RESNET)
    net = module.body[-1]
    assert net.place.text.startswith("net resnet50") and net.place.text.endswith("}")
    image, logits, init = net.body
    assert image.name_place.text == "image" and image.shape.place.text == "[N, 3, H = 224, W = 224]"
    assert logits.value.right.place.text == "linear(classes) as fc"
    assert init.rules[1].place.text == "layer*.*.bn3: weight = zeros"
    assert module.body[1].body[-1].value.left.op_place.text == "+"


def test_line_ends_and_marks() -> None:
    assert read(RESNET.replace("\n", "\r\n")).body == read(RESNET).body
    assert read("\ufeff" + RESNET).body == read(RESNET).body
    assert len(read("x = 1\n# not -> this\n # else\ny = 2").body) == 2
    assert read("").body == read("\n \n# c\n;;\n").body == ()


def test_nodes_are_plain_data() -> None:
    assert hash(read(RESNET).body) == hash(read(RESNET).body)
    assert pickle.loads(pickle.dumps(expression("a + b(c)"))) == expression("a + b(c)")


def test_grammar_has_no_conflicts(caplog: pytest.LogCaptureFixture) -> None:
    lark = pytest.importorskip("lark")
    from netspec.syntax.tables import compute_tables

    caplog.set_level(logging.DEBUG, logger=lark.logger.name)
    lark.logger.setLevel(logging.DEBUG)
    lark.logger.addHandler(caplog.handler)
    try:
        compute_tables(data_path("grammar", "netspec.lark").read_text(encoding="utf-8"))
    finally:
        lark.logger.removeHandler(caplog.handler)
        lark.logger.setLevel(logging.CRITICAL)
    assert not [record.getMessage() for record in caplog.records if "onflict" in record.getMessage()]
