"""Fixtures of the tests of the specs that ship."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from zoo_reference import GOLDEN, import_torchvision


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


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes seconds or a gigabyte; runs where NETSPEC_SLOW is set")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not os.environ.get("NETSPEC_SLOW"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: set NETSPEC_SLOW"))
