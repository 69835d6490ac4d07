"""Write a starting file: a small network that checks, runs and trains, to be changed into yours."""

from __future__ import annotations

import argparse
import os
import sys

from netspec.diagnostics.model import Refusal
from netspec.files import write_atomic

_START = '''"""{name}: a small image classifier, to begin with."""

def stage(width) = conv(width, 3, padding = 1, bias = false) -> bn -> relu -> max_pool(2)

net {name}(classes = 10) {{
  input image: [N, 3, H = 32, W = 32]
  output logits: [N, classes] = image
    -> stage(32) as stage1
    -> stage(64) as stage2
    -> stage(128) as stage3
    -> global_avg_pool -> flatten -> dropout(0.2) -> linear(classes) as head

  init {{
    conv: he_normal(mode = fan_out)
  }}
}}
'''


def arguments(parser: argparse.ArgumentParser) -> None:
    """The network's name."""
    parser.add_argument("name", metavar="NAME", help="letters, digits and _; the file is NAME.net")


def run(options: argparse.Namespace) -> int:
    """Write NAME.net, unless it is there."""
    name = options.name.removesuffix(".net")
    if not (name.isidentifier() and name.isascii()):
        raise Refusal("NS015", f"`{name}` cannot be a net's name: letters, digits and `_`", status=2)
    target = f"{name}.net"
    if os.path.exists(target):
        raise Refusal("NS019", f"{target} is there already; it is left as it is", status=2)
    write_atomic(target, _START.format(name=name).encode())
    print(f"{target}: written; now `netspec check {target}`", file=sys.stderr)
    return 0
