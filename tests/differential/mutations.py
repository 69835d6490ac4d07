"""Texts that nobody would write: shipped specs with tokens and bytes changed, left out, doubled and moved."""

from __future__ import annotations

import random
import re

from netspec.locate import data_path
from netspec.reading import decode
from netspec.source import Source

SPECS = [path.read_bytes() for path in sorted(data_path("specs").glob("*.net"))]
_TOKENS = re.compile(rb'"""|\w+|->|\+\+|\.\.|[<>=!]=|\s+|.', re.S)
_WORDS = (
    b'( ) [ ] { } , ; = == -> ++ .. + - * / // % ^ . : " """ # if else for in input output net block def layer as init train '
    b"default expect where from import not and or true false none 0 1 -1 2.5 1e9 10^9 10^400 99999999999 relu conv bn x y H N sum len "
    b"chain params channels shape"
).split(b" ")
_BYTES = (b"\0", b"\xff", b"\xc3", b"\r", b"\n", b"\t", b"\\", b"'", b"`", b"\xe2\x80\xae", b"\xef\xbb\xbf", b"~", b"@", b"$", b"?")


def mutated(seed: int) -> bytes:
    """A shipped spec after one to four mutations."""
    rng = random.Random(seed)
    data = rng.choice(SPECS)
    for _ in range(rng.choice((1, 1, 2, 4))):
        data = _bytes(data, rng) if rng.random() < 0.25 else _tokens(data, rng)
    return data


def _tokens(data: bytes, rng: random.Random) -> bytes:
    tokens = _TOKENS.findall(data)
    at, other = rng.randrange(len(tokens)), rng.randrange(len(tokens))
    change = rng.choice(("leave out", "double", "swap", "replace", "insert", "borrow", "cut"))
    if change == "leave out":
        del tokens[at : at + rng.choice((1, 1, 3))]
    elif change == "double":
        tokens[at:at] = tokens[at : at + rng.choice((1, 4, 40))]
    elif change == "swap":
        tokens[at], tokens[other] = tokens[other], tokens[at]
    elif change == "borrow":
        tokens[at] = tokens[other]
    elif change == "cut":
        del tokens[at:]
    else:
        tokens[at : at + (change == "replace")] = [b" " + rng.choice(_WORDS) + b" "]
    return b"".join(tokens)


def _bytes(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    put = rng.choice((rng.choice(_BYTES), bytes([rng.randrange(256)]), b""))
    return data[:at] + put + data[at + rng.choice((0, 1, 5)) :]


def source_of(data: bytes) -> Source:
    """The source as a file of these bytes would give it. Raises `Refusal` where they are no text."""
    return decode(data, "mutated.net", None)
