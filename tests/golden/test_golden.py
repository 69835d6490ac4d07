"""Every case of every page in this folder, and of the language reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.literate import Case, cases, run

HERE = Path(__file__).parent
REFERENCE = HERE.parents[1] / "grammar" / "reference.md"
CASES = [case for page in [*sorted(HERE.rglob("*.md")), REFERENCE] for case in cases(page)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case, tmp_path: Path) -> None:
    run(case, tmp_path)
