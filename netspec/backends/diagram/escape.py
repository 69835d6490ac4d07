"""Text in DOT: nothing that a user wrote is ever read as markup, as a port or as an escape."""

from __future__ import annotations

import re

#: what XML cannot hold, and what would end a line of the picture
_UNSPEAKABLE = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
#: what turns the text around it
_TURNING = re.compile("[\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
#: markup; and backslashes, for Graphviz puts the name of a node for `\N` even in an HTML label, where `\\N` is what was written
_MARKS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "\\": "\\\\"})

ELLIPSIS = "…"


def clean(text: str) -> str:
    """The text on one line, without control characters and without marks that turn the direction of what follows."""
    return _TURNING.sub("", _UNSPEAKABLE.sub(" ", text))


def short(text: str, most: int = 36) -> str:
    """The cleaned text in at most so many characters, with an ellipsis where something is left out."""
    text = clean(text).strip()
    return text if len(text) <= most else text[: most - 1].rstrip(" ,·") + ELLIPSIS


def html(text: str) -> str:
    """The text as the content of an HTML label; a space where there is nothing, because Graphviz takes no empty tags."""
    return clean(text).translate(_MARKS) or " "
