"""Words of the spec in the source: comments and docstrings, in which nothing can end the string or hide."""

from __future__ import annotations

from netspec.backends.torch_source.layout import INDENT


def comment(text: str) -> str:
    """Text for one comment line: printable ASCII, anything else escaped."""
    return ascii(text)[1:-1]


def docstring(text: str, indent: int) -> list[str]:
    """A docstring as `ruff format` leaves it."""
    room = INDENT * indent
    lines = [_escaped(line) for line in _dedented(text)]
    if not lines:
        return []
    if len(lines) == 1:
        line = lines[0][:-1] + '\\"' if lines[0].endswith('"') else lines[0]
        return [f'{room}"""{line}"""']
    return [f'{room}"""{lines[0]}', *(f"{room}{line}" if line else "" for line in lines[1:]), f'{room}"""']


def _dedented(text: str) -> list[str]:
    """The lines without the blank ones around them, the indent that they share, and trailing spaces."""
    lines = [line.rstrip() for line in text.expandtabs(4).splitlines()]
    while lines and not lines[-1].strip():
        lines.pop()
    while lines and not lines[0].strip():
        lines.pop(0)
    margin = min((len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()), default=0)
    return [line.strip() if i == 0 else line[margin:] for i, line in enumerate(lines)]


def _escaped(line: str) -> str:
    """Printable characters as they are; the rest, backslashes and runs of quotes escaped."""
    safe = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line.replace("\\", "\\\\"))
    return safe.replace('"""', '\\"\\"\\"')
