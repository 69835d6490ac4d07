"""Comments that silence a lint: where they may stand, what they are about, and what is said of those that nothing needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from netspec.analyses.lint import silences
from netspec.source import Source
from tests.check import check

_LINTS = ("NS500", "NS510", "NS520")


def _codes(text: str, folder: Path | None = None) -> list[tuple[str, int]]:
    return [(f.code, f.line) for f in check(text, folder, lints=_LINTS)]


def _net(*lines: str) -> str:
    return "\n".join(["net a {", "  input x: [N, 8]", *lines, "}"]) + "\n"


@pytest.mark.parametrize(
    "lines",
    [
        ("  output y = x -> linear(4) -> bn  # netspec: ignore NS510 because of the weights",),
        ("  # netspec: ignore NS510 because of the weights", "  output y = x -> linear(4) -> bn"),
        ("  # netspec: ignore NS510 because of the weights", "", "  # and another remark", "  output y = x -> linear(4) -> bn"),
        ("  #netspec: ignore NS510 because of the weights", "  output y = x -> linear(4) -> bn"),
        ("  # netspec: ignore NS520, NS510 two at once", "  output y = x -> linear(8) -> linear(4) -> bn"),
        ("  # netspec: ignore-file NS510 because of the weights", "  output y = x -> linear(4) -> bn"),
        ("  output y = x -> linear(4) -> bn", "  # netspec: ignore-file NS510 because of the weights"),
        ("  output y = x", "    -> linear(4)  # netspec: ignore NS510 on a line of its own", "    -> bn"),
        ("  output y = x", "    # netspec: ignore NS510 above a line of its own", "    -> linear(4)", "    -> bn"),
        ("  # netspec: ignore NS510 above a chain with a gap", "  output y = x", "    -> relu", "", "    # on", "    -> linear(4) -> bn"),
        ("  for i in 0..2 {", "    x = x -> linear(8) -> bn -> relu  # netspec: ignore NS510 twice the same", "  }", "  output x"),
    ],
)
def test_places(lines: tuple[str, ...]) -> None:
    assert _codes(_net(*lines)) == []


@pytest.mark.parametrize(
    "lines",
    [
        ("  # netspec: ignore NS510 about another line", "  z = x -> relu", "  output y = z -> linear(4) -> bn"),
        ("  output y = x -> linear(4) -> bn", "  # netspec: ignore NS510 below the line"),
        ("  output y = x", "    -> linear(4)", "    -> bn -> relu # netspec: ignore NS510 on the line of the norm"),
    ],
)
def test_a_comment_in_the_wrong_place_is_told(lines: tuple[str, ...]) -> None:
    assert sorted(code for code, _ in _codes(_net(*lines))) == ["NS500", "NS510"]


def test_another_code_silences_nothing() -> None:
    assert _codes(_net("  output y = x -> linear(4) -> bn  # netspec: ignore NS520 wrong code")) == [("NS510", 3), ("NS500", 3)]


def test_a_comment_above_braces_is_about_all_inside_them() -> None:
    inside = ["  for i in 0..2 {", "    if i > 0 {", "      x = x -> linear(8) -> bn -> relu", "    }", "  }"]
    after = "  output y = x -> linear(4) -> bn"
    assert _codes(_net("  # netspec: ignore NS510 because of the weights", *inside, after)) == [("NS510", 9)]
    block = "# netspec: ignore NS510 all of the block\nblock b {\n  input x\n  y = x -> linear(8) -> bn\n  output y -> relu\n}\n"
    assert _codes(block + _net("  output y = x -> b -> linear(4) -> bn")) == [("NS510", 9)]


def test_a_comment_above_a_net() -> None:
    text = "# netspec: ignore NS510 all of the net\n" + _net("  output y = x -> linear(4) -> bn")
    assert _codes(text) == []
    assert _codes(text + _net("  output y = x -> linear(4) -> bn").replace("net a", "net b")) == [("NS510", 8)]


@pytest.mark.parametrize("word", ["NS999", "bias", "NS501", "NS413"])
def test_a_code_of_no_lint_is_told(word: str) -> None:
    (found,) = check(_net(f"  output y = x -> linear(4)  # netspec: ignore {word} whatever"), lints=("NS500",))
    assert found.code == "NS500" and found.severity == "warning" and found.marked.startswith("# netspec: ignore")


def test_a_comment_without_a_code_is_told() -> None:
    text = "net a {\n  input x: [N, 8]\n  output y = x -> linear(4)  # netspec: ignore\n}\n"
    assert [f.code for f in check(text, lints=("all",))] == ["NS500"]


def test_a_comment_for_a_lint_that_is_switched_off_is_left_alone() -> None:
    text = _net("  output y = x -> linear(4)  # netspec: ignore NS510 needs no bias")
    assert check(text, lints=("NS500",)) == []
    assert [f.code for f in check(text, lints=("NS500", "NS510"))] == ["NS500"]
    assert check(text, lints=("NS510",)) == []


def test_one_net_of_several_is_enough() -> None:
    variants = (
        "net v(act = relu, norm = none) {\n  input x: [N, 8]\n  output y = x -> linear(8) -> norm -> act  # netspec: ignore NS510 in w\n}\n"
    )
    assert _codes(variants) == [("NS500", 3)]
    assert _codes(variants + "net w = v(norm = bn)\n") == []


def test_a_text_in_quotes_is_no_comment() -> None:
    text = _net('  """Says # netspec: ignore NS510 here."""', "  output y = x -> linear(4) -> bn").replace("  input x: [N, 8]\n", "", 1)
    text = text.replace('here."""', 'here."""\n  input x: [N, 8]')
    assert _codes(text) == [("NS510", 4)]


def test_a_comment_in_an_imported_file(tmp_path: Path) -> None:
    body = "block b {\n  input x\n  output x -> linear(8) -> bn  # netspec: ignore NS510 in the library\n}\n"
    (tmp_path / "blocks.net").write_text(body, encoding="utf-8")
    text = 'from "blocks.net" import b\n' + _net("  output y = x -> b")
    assert check(text, tmp_path, lints=_LINTS) == []
    (tmp_path / "blocks.net").write_text(body.replace("  # netspec: ignore NS510 in the library", ""), encoding="utf-8")
    assert [(f.code, f.file) for f in check(text, tmp_path, lints=_LINTS)] == [("NS510", "blocks.net")]


def test_an_imported_files_unneeded_comment_is_its_own_business(tmp_path: Path) -> None:
    (tmp_path / "blocks.net").write_text("block b {\n  input x\n  output x -> linear(8)  # netspec: ignore NS510 needs no bias\n}\n")
    assert check('from "blocks.net" import b\n' + _net("  output y = x -> b"), tmp_path, lints=_LINTS) == []


def test_what_a_comment_says() -> None:
    text = "# netspec: ignore-file NS512 all small\nnet a {  # netspec: ignore NS510,NS520 both\n}\n# netspec: ignored\n"
    found = silences(Source("a.net", text))
    assert [(s.codes, s.first) for s in found] == [(("NS512",), 1), (("NS510", "NS520"), 2)]
    assert found[0].last >= 4 and found[1].last == 2
