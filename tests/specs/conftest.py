"""Fixtures of the tests of the specs that ship."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.specs.zoo_reference import GOLDEN, import_torchvision


@pytest.fixture(scope="session")
def torchvision() -> Any:
    """torchvision, or the test is skipped."""
    pytest.importorskip("torch")
    try:
        return import_torchvision()
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchvision cannot be imported: {error}")


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    """What torchvision said of each network when the golden file was made."""
    return json.loads(GOLDEN.read_text())["networks"]
