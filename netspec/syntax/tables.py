"""From the grammar file to the tables that drive the lexer and the parser.

Lark reads `grammar/netspec.lark`, checks that it is LALR(1), and computes the automaton. That takes a fifth of a second,
more than checking a network does, so the result, plain numbers and names, is kept in the user's cache folder as
JSON, keyed by the grammar (an LALR(1) automaton depends on nothing else) and by `FORMAT`. Lark is then not even imported.
Without a cache folder that can be trusted the tables are computed each time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from netspec.locate import data_path
from netspec.record import record

STARTS = ("module", "expression")
BROKEN = ("FOREIGN", "OPEN_STRING", "OPEN_DOC", "QUOTED", "BAD")
SIGN = "SIGN"
FORMAT = 2


@record
class Rule:
    """One production: what the parser does when it has recognized its right-hand side.

    `size` symbols are taken off the stack and the nonterminal `origin` takes their place. Its value comes from the
    builder's method `action`; an empty action passes the only child on, and an action that begins with `_` makes a
    plain list. `recipe` says which children remain: `2 * i` keeps child i, `2 * i + 1` splices the list that child i
    is, and -1 stands for an optional part that was not written.
    """

    origin: str
    size: int
    action: str
    recipe: tuple[int, ...]


@record
class Tables:
    """Everything about the grammar that is needed at run time.

    `patterns` are (name, regular expression) in the order in which they are to be tried, `SIGN` among them; `signs` and
    `words` are the terminals that are one fixed text, by that text: `(`, `++`; `for`. `states[s]` maps a terminal or
    nonterminal to the next state, or to `~r` to reduce by rule r.
    """

    patterns: list[tuple[str, str]]
    signs: dict[str, str]
    words: dict[str, str]
    rules: list[Rule]
    states: list[dict[str, int]]
    starts: dict[str, int]
    ends: dict[str, int]

    def scanner(self) -> re.Pattern[str]:
        """One regular expression for all terminals; `lastgroup` of a match is a name of `patterns`."""
        return re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in self.patterns))


@lru_cache(maxsize=1)
def load_tables() -> Tables:
    """The tables of the shipped grammar: from the cache, or else computed by Lark and kept there."""
    grammar = data_path("grammar", "netspec.lark").read_text(encoding="utf-8")
    path = _cache_path(grammar)
    tables = _read_cache(path) if path else None
    if tables is None:
        data = compute_tables(grammar)
        if path:
            _write_cache(path, data)
        tables = _from_json(data)
    return tables


# ----------------------------------------------------------------------------------------------------- by Lark
def compute_tables(grammar: str) -> dict[str, Any]:
    """Lark's automaton for a grammar, as JSON data. Raises Lark's GrammarError where it is not LALR(1)."""
    import lark
    from lark.grammar import Rule as LarkRule
    from lark.lexer import TerminalDef

    class Broken:
        """Makes Lark keep the terminals that no rule uses."""

        always_accept = BROKEN

        def process(self, stream: Any) -> Any:
            return stream

    parser = lark.Lark(grammar, parser="lalr", lexer="basic", start=list(STARTS), postlex=Broken())
    data, memo = parser.memo_serialize([TerminalDef, LarkRule])
    automaton = data["parser"]["parser"]
    numbers: dict[int, int] = {}
    rules = []
    for key, entry in memo.items():
        if entry["__type__"] == "Rule":
            numbers[key] = len(rules)
            rules.append(_rule(entry))
    names = automaton["tokens"]
    states = [
        {names[symbol]: ~numbers[arg["@"]] if reduce else arg for symbol, (reduce, arg) in automaton["states"][s].items()}
        for s in range(len(automaton["states"]))
    ]
    return {
        **_terminals(parser.terminals),
        "rules": rules,
        "states": states,
        "starts": automaton["start_states"],
        "ends": automaton["end_states"],
    }


def _rule(entry: dict[str, Any]) -> list[Any]:
    """A rule's origin, size, action and recipe, by Lark's conventions on what a tree keeps."""
    options, expansion = entry["options"], entry["expansion"]
    origin = entry["origin"]["name"]
    absent = [len(ones) for ones in "".join(str(int(b)) for b in options["empty_indices"]).split("0")]
    recipe: list[int] = []
    for index, symbol in enumerate(expansion):
        recipe += [-1] * absent[index] if options["empty_indices"] else []
        if symbol["__type__"] == "NonTerminal":
            recipe.append(2 * index + symbol["name"].startswith("_"))
        elif options["keep_all_tokens"] or not symbol["filter_out"]:
            recipe.append(2 * index)
    if options["empty_indices"]:
        recipe += [-1] * absent[len(expansion)]
    passes = options["expand1"] and not entry["alias"] and len(recipe) == 1 and recipe[0] % 2 == 0
    return [origin, len(expansion), "" if passes else entry["alias"] or origin, recipe]


def _terminals(terminals: Any) -> dict[str, Any]:
    """Fixed texts by their text, and patterns in Lark's order of matching: priority, then the longer one."""
    words, signs, patterns = {}, {}, []
    for terminal in sorted(terminals, key=lambda t: (-t.priority, -t.pattern.max_width, -len(t.pattern.value), t.name)):
        literal = terminal.pattern.value
        if terminal.pattern.type == "re":
            patterns.append([terminal.priority, terminal.name, terminal.pattern.to_regexp()])
        elif literal.isidentifier():
            words[literal] = terminal.name
        else:
            signs[literal] = terminal.name
    patterns.append([-0.5, SIGN, "|".join(re.escape(sign) for sign in sorted(signs, key=len, reverse=True))])
    ordered = sorted(patterns, key=lambda entry: -entry[0])
    return {"patterns": [entry[1:] for entry in ordered], "signs": signs, "words": words}


def _from_json(data: dict[str, Any]) -> Tables:
    rules = [Rule(origin, size, action, tuple(recipe)) for origin, size, action, recipe in data["rules"]]
    patterns = [(name, pattern) for name, pattern in data["patterns"]]
    return Tables(patterns, data["signs"], data["words"], rules, data["states"], data["starts"], data["ends"])


# --------------------------------------------------------------------------------------------------- the cache
def _cache_path(grammar: str) -> Path | None:
    """The file for this grammar, in a folder that nobody else can write to; else None."""
    key = hashlib.sha256(f"{FORMAT}\n{sys.version_info[:2]}\n{grammar}".encode()).hexdigest()[:24]
    root = os.environ.get("XDG_CACHE_HOME") or (os.environ.get("LOCALAPPDATA") if os.name == "nt" else None)
    try:
        folder = (Path(root) if root else Path.home() / ".cache") / "netspec"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder / f"grammar-{key}.json" if _is_ours(folder) else None
    except (OSError, RuntimeError):
        return None


def _is_ours(path: Path) -> bool:
    """Whether a file or folder belongs to this user and only this user can change it."""
    if os.name == "nt":
        return True
    status = os.lstat(path)
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not stat.S_ISLNK(status.st_mode)


def _read_cache(path: Path) -> Tables | None:
    """The tables that were kept; None where there are none, or what is there is damaged."""
    try:
        return _from_json(json.loads(path.read_text(encoding="utf-8"))) if _is_ours(path) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_cache(path: Path, data: dict[str, Any]) -> None:
    """Write beside and rename, so that another process sees all of the file or none. A failure costs only time."""
    unfinished = path.with_suffix(f".{os.getpid()}")
    try:
        with open(unfinished, "x", encoding="utf-8") as file:
            json.dump(data, file, separators=(",", ":"))
        os.replace(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)
