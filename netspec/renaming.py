"""What `rename "module.*" -> "*"` does to the names of a weights file: patterns with one `*`, which stands for any text, dots too.

Of several, the first whose left side is the whole name applies, and no other: what one has made is not renamed again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

#: How many renames a section may have.
MOST = 1_000


def is_pattern(text: str) -> bool:
    """Whether a text has at most one `*`."""
    return text.count("*") <= 1


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern is the whole name."""
    head, star, tail = pattern.partition("*")
    return name == head if not star else _between(head, tail, name)


def covers(earlier: str, later: str) -> bool:
    """Whether every name that the later pattern is, the earlier one is, too."""
    head, star, tail = later.partition("*")
    first, any_text, last = earlier.partition("*")
    return matches(earlier, later) if not star else bool(any_text) and head.startswith(first) and tail.endswith(last)


class Renames:
    """Renames in their order, as a function of names. Whole names and the beginnings of patterns are looked up, however many there are."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        """`pairs` are what names are now, and what they become; both sides have a `*`, or neither."""
        self._whole: dict[str, tuple[int, str]] = {}
        # by the length of what stands before the `*`, and by that
        self._starred: dict[int, dict[str, list[tuple[int, str, str, str]]]] = {}
        for place, (old, new) in enumerate(pairs):
            if "*" not in old:
                self._whole.setdefault(old, (place, new))
                continue
            (head, _, tail), (new_head, _, new_tail) = old.partition("*"), new.partition("*")
            self._starred.setdefault(len(head), {}).setdefault(head, []).append((place, tail, new_head, new_tail))

    def __call__(self, name: str) -> str:
        """What a name becomes; itself where no rename is for it."""
        first, found = self._whole.get(name, (sys.maxsize, name))
        for length, heads in self._starred.items():
            for place, tail, new_head, new_tail in heads.get(name[:length], ()):
                if place > first:
                    break
                if name.endswith(tail) and len(name) >= length + len(tail):
                    first, found = place, f"{new_head}{name[length : len(name) - len(tail)]}{new_tail}"
                    break
        return found


def _between(head: str, tail: str, name: str) -> bool:
    return len(name) >= len(head) + len(tail) and name.startswith(head) and name.endswith(tail)
