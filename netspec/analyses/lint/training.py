"""What a `train` section says, as far as advice needs it: its batch, and which losses take which outputs.

The section is kept as text. It is read for assignments `batch = 32` and for calls of known losses, `cross_entropy(logits, y)`;
what is not understood is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from netspec.analyses.lint.facts import Facts
from netspec.record import record
from netspec.source import Place
from netspec.syntax import tree

_COMMENT = re.compile(r"#[^\n]*")
_BATCH = re.compile(r"\b(?:batch|batch_size)\s*[=:]\s*(\d+)\b(?!\s*[*/.])")
_CALL = re.compile(r"\b(?P<name>[A-Za-z_]\w*)\s*(?P<open>\()?")
_INPUT = re.compile(r"(?:input|logits|prediction|x)\s*=\s*(?P<value>.*)$", re.DOTALL)

#: what each loss takes, by its name in small letters without `_` and `loss`
LOSSES = {
    "crossentropy": "logits",
    "softmaxcrossentropy": "logits",
    "softmaxcrossentropywithlogits": "logits",
    "sparsesoftmaxcrossentropywithlogits": "logits",
    "bcewithlogits": "one logit",
    "binarycrossentropywithlogits": "one logit",
    "sigmoidcrossentropywithlogits": "one logit",
    "nll": "log probabilities",
    "negativeloglikelihood": "log probabilities",
}


@record
class Loss:
    """A loss of a `train` section: its name as written, what it takes, the text of its first argument, and its place."""

    name: str
    takes: str
    argument: str
    place: Place


def sections(net: Facts) -> list[tree.Train]:
    """The `train` sections of a network: in its net, in the net that this is a variant of, and those at the top of the file
    that name one of the two."""
    if net.module is None:
        return []
    nets = {s.name: s for s in net.module.body if isinstance(s, tree.Net)}
    found: list[tree.Train] = []
    name: str | None = net.graph.name
    seen: set[str] = set()
    while name in nets and name not in seen:
        seen.add(name)
        found.extend(s for s in nets[name].body if isinstance(s, tree.Train))
        variant = nets[name].variant
        called = variant.function if isinstance(variant, tree.Call) else variant
        name = called.id if isinstance(called, tree.Name) else None
    found.extend(s for s in net.module.body if isinstance(s, tree.Train) and s.net in seen)
    return found


def batch(net: Facts) -> int | None:
    """How many examples a training step sees, where a `train` section says it; or the first axis of the first input, where that
    is a number."""
    for section in sections(net):
        said = _BATCH.search(_text(section))
        if said:
            return int(said[1])
    first = net.graph.values[net.graph.inputs[0].value].shape if net.graph.inputs else ()
    return first[0] if first and isinstance(first[0], int) else None


def losses(net: Facts) -> Iterator[Loss]:
    """The losses of the network's `train` sections. A loss without arguments takes the only output."""
    for section in sections(net):
        text = _text(section)
        for call in _CALL.finditer(text):
            takes = LOSSES.get(call["name"].lower().replace("_", "").removesuffix("loss"))
            if takes is None or (call["open"] is None and not _is_value(text, call.start())):
                continue
            argument = _first_argument(text, call.end()) if call["open"] else ""
            start = section.body_place.start + call.start("name")
            yield Loss(call["name"], takes, argument, Place(section.body_place.source, start, start + len(call["name"])))


def _text(section: tree.Train) -> str:
    """A section as it stands, its comments blanked, so that offsets remain."""
    return _COMMENT.sub(lambda found: " " * len(found[0]), section.body_place.text)


def _is_value(text: str, at: int) -> bool:
    """Whether what begins there is assigned, as in `loss = cross_entropy`, perhaps in quotes."""
    return text[:at].rstrip().removesuffix('"').rstrip().endswith(("=", ":"))


def _first_argument(text: str, start: int) -> str:
    """The argument that holds the prediction: the first, or that of its name; `start` is behind the parenthesis."""
    depth, arguments = 0, [""]
    for character in text[start:]:
        depth += character in "([{"
        depth -= character in ")]}"
        if depth < 0:
            break
        if character == "," and depth == 0:
            arguments.append("")
        else:
            arguments[-1] += character
    named = (found["value"] for a in arguments if (found := _INPUT.match(a.strip())))
    return next(named, arguments[0]).strip()
