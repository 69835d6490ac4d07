"""The worker that draws by pygraphviz, in a process of its own: what Graphviz's C code does to a process is then its own affair.

`python -m netspec.backends.diagram.drawing.worker -Tsvg` is called as `dot` is: DOT on its standard input, the picture on its standard
output, complaints on standard error. Those that mean failure begin with `Error:`.
"""

from __future__ import annotations

import sys


def draw(dot: str, form: str, options: list[str]) -> bytes:
    """The picture of a DOT text, by options of `dot`. Raises ValueError where Graphviz cannot read, lay out or draw it."""
    import pygraphviz

    graph = pygraphviz.AGraph(string=dot)
    return graph.draw(format=form, prog=graph.graph_attr.get("layout") or "dot", args=" ".join(options)) or b""


def main(flag: str, *options: str) -> int:
    """Draw what stands on standard input in the form that the flag (`-Tsvg`) says; the exit status."""
    try:
        picture = draw(sys.stdin.buffer.read().decode("utf-8"), flag.removeprefix("-T"), list(options))
    except Exception as error:
        print(f"Error: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
