"""Valid networks that one edit makes invalid, and what must be said of each: one error, of these codes, at the edit."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Callable

from netspec import ops
from netspec.graph import Graph
from tests.differential.networks import Network

_CALL = re.compile(r"\b([a-z_0-9]+)\(")
_KEYWORD = re.compile(r"\b([a-z_]+) = (?!\[)[^,()]+(?=[,)])")


@dataclass(frozen=True)
class Edit:
    """A text that is wrong in one place: between the offsets `start` and `end`, one of `codes` is due."""

    kind: str
    text: str
    start: int
    end: int
    codes: tuple[str, ...]


def edit(network: Network, seed: int) -> Edit | None:
    """The network with one mistake in it; None where the drawn kind of mistake has no place in it."""
    rng = random.Random(seed)
    kind = rng.choice(sorted(_KINDS))
    return _KINDS[kind](network, rng)


def _replaced(kind: str, text: str, start: int, end: int, new: str, *codes: str) -> Edit:
    return Edit(kind, text[:start] + new + text[end:], start, start + max(len(new), 1), codes)


# ------------------------------------------------------------------------------------------- what is there, and broken
def _read(text: str) -> str:
    """The text with blanks where nothing is evaluated, or something else than layers: branches and `init`."""
    return re.sub(r"(?ms)^  if .*?^  }$|^  init \{.*?^  }$", lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def _operator_calls(text: str) -> list[re.Match[str]]:
    """Calls of operators by name, `conv(…)`, in bodies and not in `default` or `init`."""
    start = text.index("\n") if text.startswith("default") else 0
    return [m for m in _CALL.finditer(_read(text), start) if ops.known(m[1]) and m[1] not in ("max", "sum", "min", "abs")]


def _typo_in_operator(network: Network, rng: random.Random) -> Edit | None:
    found = _operator_calls(network.text)
    if not found:
        return None
    m = rng.choice(found)
    return _replaced("typo_in_operator", network.text, *m.span(1), m[1] + "q", "NS201")


def _typo_in_argument(network: Network, rng: random.Random) -> Edit | None:
    read = _read(network.text)
    found = [m for m in _KEYWORD.finditer(read) if _inside_operator(read, m.start())]
    if not found:
        return None
    m = rng.choice(found)
    return _replaced("typo_in_argument", network.text, *m.span(1), m[1] + "q", "NS303")


def _inside_operator(text: str, at: int) -> bool:
    """Whether the bracket around an offset is that of an operator's call."""
    depth = 0
    for i in range(at - 1, -1, -1):
        depth += (text[i] == ")") - (text[i] == "(")
        if depth < 0:
            name = re.search(r"([a-z_0-9]+)$", text[:i])
            return bool(name and ops.known(name[1]) and "default" not in text[:i].rsplit("\n", 1)[-1])
    return False


def _unknown_name(network: Network, rng: random.Random) -> Edit | None:
    found = list(re.finditer(r"= (x\d+) ->", network.text))  # also where nothing is run: names are looked up everywhere
    if not found:
        return None
    m = rng.choice(found)
    return _replaced("unknown_name", network.text, *m.span(1), m[1] + "00", "NS201")


def _missing_argument(network: Network, rng: random.Random) -> Edit | None:
    needy = [m for m in _operator_calls(network.text) if any(f.is_required() for f in ops.lookup(m[1]).model_fields.values())]
    if not needy:
        return None
    m = rng.choice(needy)
    close = _closing(network.text, m.end() - 1)
    changed = network.text[: m.end()] + network.text[close:]
    return Edit("missing_argument", changed, m.start(), m.end() + 1, ("NS303",))


def _closing(text: str, opening: int) -> int:
    depth = 0
    for i in range(opening, len(text)):
        depth += (text[i] in "([") - (text[i] in ")]")
        if not depth:
            return i
    raise AssertionError(text)


def _bracket_left_out(network: Network, rng: random.Random) -> Edit | None:
    at = rng.choice([i for i, letter in enumerate(network.text) if letter in "()[]"])
    line = network.text.rfind("\n", 0, at) + 1
    if re.fullmatch(r"\s*((block|def) )?\w+", network.text[line:at]):
        return None  # what is defined here would have another name
    end = network.text.find("\n", at)
    changed = network.text[:at] + network.text[at + 1 :]
    return Edit("bracket_left_out", changed, line, end + 1, ("NS101", "NS102"))


def _bad_dtype(network: Network, rng: random.Random) -> Edit | None:
    m = re.search(r"input x1: (int64 )?\[", network.text)
    assert m is not None
    return _replaced("bad_dtype", network.text, m.start() + 10, m.end() - 1, "flaot32 ", "NS212")


def _bad_word(network: Network, rng: random.Random) -> Edit | None:
    found = list(re.finditer(r"(?:padding_mode|padding|mode) = ([a-z_]+)", _read(network.text)))
    if not found:
        return None
    m = rng.choice(found)
    return _replaced("bad_word", network.text, *m.span(1), rng.choice(("sane", "zeroes_")), "NS310", "NS201", "NS331")


def _bad_value(network: Network, rng: random.Random) -> Edit | None:
    found = list(re.finditer(r"\bconv\((\d+)(?=[,)])", _read(network.text)))
    if not found:
        return None
    m = rng.choice(found)
    return _replaced("bad_value", network.text, *m.span(1), rng.choice(("0", "-3", "2.5", '"8"', "none", "true", "[4]")), "NS310")


# ------------------------------------------------------------------------------------------------ a wrong statement more
def _statement(kind: str, *codes: str) -> Callable[[Callable[[str, Graph, random.Random], str | None]], None]:
    """Register a mistake that is a statement put before the outputs, in which `x` is the newest tensor."""

    def register(write: Callable[[str, Graph, random.Random], str | None]) -> None:
        def put(network: Network, rng: random.Random) -> Edit | None:
            at = network.text.index("\n  output ", network.text.index("net random"))
            name = re.findall(r"^  (x\d+) = ", network.text[network.text.index("net random") : at], re.M)
            line = write(name[-1] if name else "x1", network.graph, rng)
            if line is None:
                return None
            return Edit(kind, f"{network.text[:at]}\n  {line}{network.text[at:]}", at + 3, at + 3 + len(line), codes)

        _KINDS[kind] = put

    return register


_KINDS: dict[str, Callable[[Network, random.Random], Edit | None]] = {
    "typo_in_operator": _typo_in_operator,
    "typo_in_argument": _typo_in_argument,
    "unknown_name": _unknown_name,
    "missing_argument": _missing_argument,
    "bracket_left_out": _bracket_left_out,
    "bad_dtype": _bad_dtype,
    "bad_word": _bad_word,
    "bad_value": _bad_value,
}

#: kind: the statement, the codes that are due, and what stands for `{op}` in it
_FIXED = {
    "too_large_a_kernel": (
        "y = param((1, 2, 5, 5)) -> {op}", ("NS402",),
        ("conv(2, 9)", "max_pool(6)", "avg_pool((3, 8))", "conv(3, 4, dilation = 2)", "crop(3)"),
    ),
    "groups_that_do_not_divide": (
        "y = param((1, 6, 5, 5)) -> {op}", ("NS404",),
        ("conv(8, 3, groups = 4)", "conv(7, 1, groups = 3)", "group_norm(4)", "pixel_shuffle(2)"),
    ),
    "wrong_rank": (
        "y = param((2, 3)) -> {op}", ("NS401",),
        ("conv(2, 1)", "max_pool(2)", "instance_norm", "pixel_shuffle(1)", "resize(2.0)", "global_avg_pool"),
    ),
    "no_such_axis": (
        "y = param((2, 3)) -> {op}", ("NS406",),
        ("softmax(axis = 2)", "sum(axis = 5)", "glu(axis = -3)", "slice(1, axis = 4)", "squeeze(7)", "chunk(2, axis = 2)"),
    ),
    "two_labels": ("y = {x} -> identity as same; z = {x} -> identity as same", ("NS208",), ("",)),
    "mismatched_merge": ("y = param((2, 3, 4)) {op} param((2, 3, 5))", ("NS411",), ("+", "*", "-", "/")),
    "mismatched_concat": ("y = param((2, 3, 4)) {op} param((2, 3, 5))", ("NS412",), ("++",)),
    "mismatched_rank": ("y = param((2, 3, 4)) ++ param((2, 3){op})", ("NS401", "NS412"), ("",)),
    "too_many_tensors": ("y = ({x}, {x}) -> {op}", ("NS311",), ("relu", "conv(3, 1)", "flatten", "softmax")),
    "too_many_arguments": ("y = {x} -> {op}", ("NS303",), ("relu(3)", "linear(3, true, 4)", "sigmoid(1)", "flatten(1, -1, 2)")),
    "given_twice": ("y = {x} -> {op}", ("NS303",), ("linear(3, features = 4)", "softmax(1, axis = 1)", "flatten(1, start = 1)")),
    "no_remainder_allowed": ("y = {op}", ("NS306",), ("7 / 2", "[1, 2, 3][1] / 4", "(2 + 3) / 2")),
    "no_result": ("y = {op}", ("NS305", "NS307"), ("1 // 0", "sqrt(-1)", "log(0)", "5 % 0")),
    "index_too_large": ("y = [1, 2, 3][{op}]", ("NS205",), ("3", "-4", "10^6")),
    "no_such_property": ("y = {x}.{op}", ("NS204",), ("chanels", "widht", "shap", "foo")),
    "no_layer": ("y = {x} -> {op}", ("NS302",), ("3", '"relu"', "[1, 2]", "true")),
    "no_tensor": ("y = {op} -> relu", ("NS301", "NS302"), ("3", '"a"', "[1]")),
    "wrong_operands": ("y = {op}", ("NS304",), ('"a" + 1', "relu + 3", "-true", '"a" < 3', "[1] * [2]")),
    "wrong_call": ("y = {op}", ("NS307", "NS302", "NS304"), ("sqrt([1])", "len(3)", "round(relu)")),
    "open_decision": ("for i in 0..{x} {{ y = i }}", ("NS308",), ("",)),
    "no_expression": ("y = {op}", ("NS101",), ("", "3 +", "{x} ->", "1 2", "3 x")),
    "broken_promise": ("expect {op}", ("NS501",), ("params < 0", "1 == 2", "{x}.rank == 17", "macs < 0")),
    "written_otherwise": ("y: [{op}] = param((2, 3)) -> relu", ("NS413",), ("2, 4", "2, 3, 1", "3")),
    "open_string": ('y = {x} -> relu as "abc', ("NS103",), ("",)),
    "foreign_sign": ("y = {x} {op} {x}", ("NS101", "NS104"), ("@", "&&", "|>", "=>")),
    "shared_for_other_channels": ("layer s = linear(3); y = (param((2, 3)) -> s) + (param((2, 4)) -> s)", ("NS408",), ("",)),
    "integers_for_floats": ("y = constant([[1, 2]], dtype = int64) -> {op}", ("NS403",), ("relu", "linear(3)", "softmax", "bn", "gelu")),
    "elements_lost": ("y = param((2, 3)) -> reshape({op})", ("NS410", "NS404"), ("(5,)", "(4, -1)", "(2, 2)")),
    "unknown_initializer": ("y = param((2, 3)) -> linear(3, init = {op})", ("NS601", "NS201"), ("he_norml", "foo")),
}  # fmt: skip


def _register(kind: str, template: str, codes: tuple[str, ...], choices: tuple[str, ...]) -> None:
    @_statement(kind, *codes)
    def write(x: str, graph: Graph, rng: random.Random) -> str:
        return template.format(x=x, op=rng.choice(choices)).replace("{x}", x)


for _kind, (_template, _codes, _choices) in _FIXED.items():
    _register(_kind, _template, _codes, _choices)
