"""Names inside of texts."""

from __future__ import annotations

import re
from collections.abc import Mapping


def rename(text: str, names: Mapping[str, str]) -> str:
    """A condition with its names replaced, all at once: `H % 2 == 0` as `height % 2 == 0`."""
    return re.sub(r"[A-Za-z_]\w*", lambda m: names.get(m[0], m[0]), text) if names else text
