"""The catalogue is complete, and every page of it tells the truth."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netspec.diagnostics.codes import CODES, page
from tests.literate import cases, run

PACKAGE = Path(__file__).parents[2] / "netspec"
PAGES = PACKAGE / "diagnostics" / "explain"
CATALOGUE = PACKAGE / "diagnostics" / "codes.py"
#: findings of something else than the text of a spec: files, weights, data, sessions, our own faults
NOT_OF_TEXT = re.compile(r"NS0|NS356|NS60[2-5]|NS6[2-9]|NS7|NS8|NS9")


def _given() -> dict[str, str]:
    """Every code that stands in the source as a literal, with one file in which it does."""
    return {
        code: path.name
        for path in PACKAGE.rglob("*.py")
        if path != CATALOGUE
        for code in re.findall(r"[\"'](NS\d{3})[\"']", path.read_text(encoding="utf-8"))
    }


def test_every_code_that_is_given_is_in_the_catalogue() -> None:
    assert {code: file for code, file in _given().items() if code not in CODES} == {}


def test_every_code_in_the_catalogue_is_given() -> None:
    assert sorted(set(CODES) - set(_given())) == []


def test_the_catalogue_is_sorted() -> None:
    assert list(CODES) == sorted(CODES)


def test_every_page_is_of_a_code() -> None:
    assert sorted(path.stem for path in PAGES.iterdir()) == sorted(CODES)


@pytest.mark.parametrize("code", CODES)
def test_page(code: str, tmp_path: Path) -> None:
    text = page(code)
    assert text.startswith(f"# {code}: {CODES[code]}\n")
    assert 5 <= text.count("\n") <= 40
    examples = cases(PAGES / f"{code}.md")
    wrong = [e for e in examples if re.search(r"# (error|warning|info): ", e.text)]
    for example in wrong:
        assert set(re.findall(r"NS\d{3}", example.text)) == {code}
    assert len(examples) > len(wrong) > 0 or (NOT_OF_TEXT.match(code) and not wrong), "a page shows the mistake, and then its repair"
    for index, example in enumerate(examples):
        folder = tmp_path / str(index)
        folder.mkdir()
        run(example, folder)


def test_a_code_that_is_not_there_has_no_page() -> None:
    with pytest.raises(KeyError):
        page("NS999")
