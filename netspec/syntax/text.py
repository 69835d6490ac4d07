"""What is inside quotation marks: escapes, the parts of a label, documentation."""

from __future__ import annotations

import re
from collections.abc import Callable

_ESCAPE = re.compile(r"\\(?:u\{([0-9A-Fa-f]{1,6})\}|(.?))", re.DOTALL)
_SIMPLE = {'"': '"', "\\": "\\", "n": "\n", "t": "\t"}
_PIECE = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]")

Complaint = Callable[[str, int, int], None]
"""Called with a message and the characters, from and up to, that it is about."""


def unescape(text: str, offset: int, complain: Complaint) -> str:
    r"""The characters that `text`, the inside of a string, means: `\"`, `\\`, `\n`, `\t`, `\u{1F600}`."""
    if "\\" not in text:
        return text

    def one(match: re.Match[str]) -> str:
        code, letter = match.groups()
        if code is not None and (int(code, 16) < 0xD800 or 0xE000 <= int(code, 16) <= 0x10FFFF):
            return chr(int(code, 16))
        if letter in _SIMPLE:
            return _SIMPLE[letter]
        complain(f"`{match.group()}` is not an escape", offset + match.start(), offset + match.end())
        return match.group()

    return _ESCAPE.sub(one, text)


def label_parts(text: str, offset: int, complain: Complaint) -> list[str | tuple[int, int]]:
    """The parts of a label: plain text, or the characters (from, up to) of an expression in braces."""
    parts: list[str | tuple[int, int]] = []
    plain = ""
    done = 0
    for match in _PIECE.finditer(text):
        plain += unescape(text[done : match.start()], offset + done, complain)
        done = match.end()
        found = match.group()
        if found in ("{{", "}}"):
            plain += found[0]
        elif len(found) == 1:
            complain(f"`{found}` has no partner in this label", offset + match.start(), offset + done)
        else:
            if plain:
                parts.append(plain)
            plain = ""
            parts.append((offset + match.start() + 1, offset + done - 1))
    plain += unescape(text[done:], offset + done, complain)
    return [*parts, plain] if plain else parts


def dedent(text: str) -> str:
    """A text of several lines without the indentation that they share, and with no blank lines around it."""
    first, *rest = (line.rstrip() for line in text.expandtabs().splitlines() or [""])
    margin = min((len(line) - len(line.lstrip()) for line in rest if line), default=0)
    return "\n".join([first.lstrip(), *(line[margin:] for line in rest)]).strip("\n")
