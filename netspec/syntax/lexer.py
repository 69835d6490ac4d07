"""From text to tokens: one regular expression, then the few things that are not context-free.

Lexing never fails: what belongs to no terminal becomes a token that no rule accepts, and so one error of the parser.
"""

from __future__ import annotations

from typing import NamedTuple

from netspec.syntax.tables import SIGN, Tables

# The words that begin a statement; everywhere else they are ordinary names.
LEADING = frozenset("from def block net extern train input output layer init weights default expect where".split())
# Of these, the ones that begin a statement only where a brace follows: `weights = …` binds a name.
BRACED = frozenset(("weights",))
# Words with a meaning in one statement only, which its first word tells.
COMPANION = {"import": "FROM", "of": "TRAIN"}
# A word between the settings of a `train` section only, where it goes on with the line before.
THEN = "then"

OPENERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
CLOSERS = frozenset(OPENERS.values())
BREAKS = frozenset(("_NEWLINE", "SEMICOLON"))
TRIVIA = frozenset(("SPACE", "COMMENT"))

_BEFORE_STATEMENT = BREAKS | {"", "LBRACE", "RBRACE"}
_NAMES_FOLLOW = frozenset(("DOT", "AS"))
_SWALLOWS_LINES = frozenset(("_ARROW", "_ELSE"))
_TABLE = "TABLE"  # stands in for the first token of a table in a `train` section
_NO_STATEMENTS = frozenset(("INIT", "TRAIN", "WEIGHTS", _TABLE))  # inside their braces no line begins with a word


class Token(NamedTuple):
    """A terminal, its text, and the characters that it covers. An empty one was put in to repair a bracket."""

    kind: str
    text: str
    start: int
    end: int


def scan(text: str, tables: Tables, start: int = 0, end: int | None = None) -> list[Token]:
    """The tokens of `text[start:end]` but spaces and comments, not yet knowing the statements that they stand in.

    `->` and `else` are without the line ends that may stand before them.
    """
    tokens = []
    signs = tables.signs
    for match in tables.scanner().finditer(text, start, len(text) if end is None else end):
        kind = match.lastgroup
        if kind in TRIVIA:
            continue
        first, last = match.span()
        word = match.group()
        if kind == SIGN:
            kind = signs[word]
        elif kind in _SWALLOWS_LINES and len(word) > 2:
            word = "->" if kind == "_ARROW" else "else"
            first = last - len(word)
        tokens.append(Token(kind, word, first, last))
    return tokens


def layout(tokens: list[Token], words: dict[str, str], nesting: int, inside: bool = False) -> tuple[list[Token], bool]:
    """The parser's tokens: words told from names, line ends inside brackets dropped. `inside`: they are one expression.

    Also whether all brackets match and none is nested deeper than `nesting`; if not, the tokens are incomplete.
    """
    out: list[Token] = []
    open_brackets: list[str] = []  # the closers that are waited for
    heads: list[str] = []  # the first token of each statement whose braces are open
    head, previous = "", "LPAR" if inside else ""
    for place, token in enumerate(tokens):
        kind = token.kind
        if kind == "_NEWLINE" and open_brackets and open_brackets[-1] != "RBRACE":
            continue
        begins = previous in _BEFORE_STATEMENT
        if kind == "NAME":
            if token.text in words:
                leads = begins and (token.text not in BRACED or _opens(tokens, place + 1))
                token = _word(token, words[token.text], leads, previous, head, heads)
                kind = token.kind
            elif token.text == THEN and heads and heads[-1] == "TRAIN" and previous not in _NAMES_FOLLOW:
                token, begins = Token("_THEN", token.text, token.start, token.end), False
                kind = token.kind
                if previous == "_NEWLINE":
                    out.pop()
        elif kind in OPENERS:
            open_brackets.append(OPENERS[kind])
            if len(open_brackets) > nesting:
                return out, False
            if kind == "LBRACE":
                heads.append(_TABLE if heads and heads[-1] == "TRAIN" else head)
        elif kind in CLOSERS:
            if not open_brackets or open_brackets.pop() != kind:
                return out, False
            if kind == "RBRACE":
                head = heads.pop()
        elif kind == "_ELSE" and previous in _NAMES_FOLLOW:
            token = Token("NAME", token.text, token.start, token.end)
        if begins and kind != "RBRACE":
            head = kind
        out.append(token)
        previous = kind
    return out, not open_brackets


def _opens(tokens: list[Token], place: int) -> bool:
    return place < len(tokens) and tokens[place].kind == "LBRACE"


def _word(token: Token, kind: str, begins: bool, previous: str, head: str, heads: list[str]) -> Token:
    """A name, or the reserved word that it is where it stands."""
    text = token.text
    if text in LEADING:
        reserved = begins and not (heads and heads[-1] in _NO_STATEMENTS)
    elif text in COMPANION:
        reserved = head == COMPANION[text] and not begins
    else:
        reserved = True
    return Token(kind, text, token.start, token.end) if reserved and previous not in _NAMES_FOLLOW else token


def partners(tokens: list[Token]) -> dict[int, int]:
    """For every opening bracket of a balanced list of tokens, by its index, the index of its closing one."""
    found: dict[int, int] = {}
    waiting: list[int] = []
    for index, token in enumerate(tokens):
        if token.kind in OPENERS:
            waiting.append(index)
        elif token.kind in CLOSERS:
            found[waiting.pop()] = index
    return found
