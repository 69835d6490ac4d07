"""The known word nearest to one that nobody knows."""

from __future__ import annotations

from typing import Iterable


def nearest(word: str, known: Iterable[str], count: int = 1) -> list[str]:
    """Up to `count` of `known` that `word` was probably meant to be, the likeliest first."""
    from difflib import get_close_matches

    names = sorted(set(known))
    lowered = {name.lower(): name for name in names}
    if word.lower() in lowered:
        return [lowered[word.lower()]]
    return get_close_matches(word, names, count, 0.6)


def suggestion(word: str, known: Iterable[str]) -> tuple[str, ...]:
    """A help line "did you mean `…`?", if there is anything to suggest."""
    found = nearest(word, known)
    return (f"did you mean `{found[0]}`?",) if found else ()
