"""Missing and surplus brackets: found, reported, and repaired, so that one of them costs one error and not the file.

Braces are stronger than the brackets of expressions: a `}` ends whatever is open inside its block.
"""

from __future__ import annotations

from dataclasses import field

from netspec.record import draft
from netspec.syntax.lexer import BREAKS, CLOSERS, LEADING, OPENERS, Token

TEXT = {"LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "LBRACE": "{", "RBRACE": "}"}
# Words that begin a line only at the top of a file: an open brace before one is a forgotten `}`.
_TOP = frozenset(("from", "block", "net", "extern"))
_GOES_ON = frozenset(OPENERS) | set("COMMA EQUAL PLUS MINUS STAR SLASH CARET COMPARE CONCAT AND OR NOT COLON DOT _ARROW".split())
_JOINS = frozenset("COMMA PLUS MINUS STAR SLASH CARET COMPARE CONCAT AND OR DOT _ARROW _ELSE EQUAL".split()) | CLOSERS | OPENERS.keys()


@draft
class Repairs:
    """What was done: `unclosed` pairs an opening bracket with the token put in for it; `offsets` are all places."""

    unclosed: list[tuple[Token, Token]] = field(default_factory=list)
    mismatched: list[tuple[Token, Token]] = field(default_factory=list)
    surplus: list[Token] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    guessed: list[int] = field(default_factory=list)  # those of ( ) [ ], whose statements can only be guessed at


def balance(tokens: list[Token], nesting: int, repairs: Repairs) -> list[Token]:
    """The tokens with every bracket closed, no closing one left over, and what is nested too deep as one DEEP token."""
    return _Balancer(tokens, nesting, repairs).run()


def _column(line_end: Token) -> int:
    """The indentation of the line that begins behind a line end."""
    return len(line_end.text) - line_end.text.rfind("\n") - 1


def _unclosed(tokens: list[Token]) -> set[int]:
    """The indices of the opening brackets that nothing closes.

    Where a brace is missing, the indentation tells which: that of the first block inside whose `}` stands further left.
    """
    lost: set[int] = set()
    dedented: list[int] = []
    stack: list[tuple[int, int]] = []  # an opening bracket, and the indentation of its line
    indentation = 0
    for index, token in enumerate(tokens):
        if token.kind == "_NEWLINE":
            indentation = _column(token)
        elif token.kind in OPENERS:
            stack.append((index, indentation))
        elif token.kind == "RBRACE":
            while stack and tokens[stack[-1][0]].kind != "LBRACE":
                lost.add(stack.pop()[0])
            if stack:
                opener, column = stack.pop()
                if tokens[index - 1].kind == "_NEWLINE" and indentation < column:
                    dedented.append(opener)
        elif token.kind in CLOSERS and stack and tokens[stack[-1][0]].kind != "LBRACE":
            inside = _closed_inside(tokens, index, [i for i, _ in stack])
            if inside is not None:
                lost.update(i for i, _ in stack[len(stack) - inside :])
                del stack[len(stack) - inside - 1 :]
    for index, _ in stack:
        inner = min((i for i in dedented if i > index), default=index) if tokens[index].kind == "LBRACE" else index
        dedented = [i for i in dedented if i > inner]
        lost.add(inner)
    return lost


def _closed_inside(tokens: list[Token], index: int, stack: list[int]) -> int | None:
    """How many open brackets a closing one leaves unclosed inside the one that it closes; None where it closes nothing.

    `f([a)` leaves one. In `f(a])` the `]` is too much, for the right one follows; in `f(a]` it is a slip for `)`.
    """
    closer = tokens[index].kind
    for depth, opener in enumerate(reversed(stack)):
        if tokens[opener].kind == "LBRACE":
            break
        if OPENERS[tokens[opener].kind] == closer:
            return depth
    open_since = 0
    for token in tokens[index + 1 :]:
        if token.kind in BREAKS or token.kind in ("LBRACE", "RBRACE"):
            return 0
        if not open_since and token.kind in CLOSERS:
            return None if token.kind == OPENERS[tokens[stack[-1]].kind] else 0
        open_since += (token.kind in OPENERS) - (token.kind in CLOSERS)
    return 0


class _Balancer:
    def __init__(self, tokens: list[Token], nesting: int, repairs: Repairs) -> None:
        self.tokens = tokens
        self.nesting = nesting
        self.repairs = repairs
        self.lost = _unclosed(tokens)
        self.lost_brace = any(tokens[index].kind == "LBRACE" for index in self.lost)
        self.out: list[Token] = []
        self.stack: list[int] = []
        self.forced = 0  # braces closed early, whose own `}` will be left over

    def run(self) -> list[Token]:
        for index, token in enumerate(self.tokens):
            if token.kind in OPENERS:
                self._open(index, token)
            elif token.kind in CLOSERS:
                self._close(index, token)
            else:
                if token.kind in BREAKS:
                    self._line_end(index)
                self._put(token)
        while self.stack:
            self._insert_closer()
        self.repairs.offsets.sort()
        return self.out

    def _put(self, token: Token) -> None:
        if len(self.stack) <= self.nesting:
            self.out.append(token)

    def _open(self, index: int, token: Token) -> None:
        self.stack.append(index)
        if len(self.stack) == self.nesting + 1:
            self.out.append(Token("DEEP", token.text, token.start, token.end))
        self._put(token)

    def _close(self, index: int, token: Token) -> None:
        if token.kind == "RBRACE":
            while self.stack and (self._top().kind != "LBRACE" or self.stack[-1] in self.lost):
                self._insert_closer()
        if not self.stack or (token.kind != "RBRACE" and self._top().kind == "LBRACE"):
            if self.forced and token.kind == "RBRACE":
                self.forced -= 1
                return
            self._drop(token)
            return
        inside = _closed_inside(self.tokens, index, self.stack) if token.kind != "RBRACE" else 0
        if inside is None:
            self._drop(token)
            return
        for _ in range(inside):
            self._insert_closer()
        opener = self._top()
        expected = OPENERS[opener.kind]
        if expected != token.kind:
            self.repairs.mismatched.append((opener, token))
            self._note(token.start, token.kind)
        self._put(Token(expected, token.text, token.start, token.end))
        self.stack.pop()

    def _drop(self, closer: Token) -> None:
        """Leave a closing bracket out, and report it."""
        self.repairs.surplus.append(closer)
        self._note(closer.start, closer.kind)

    def _note(self, offset: int, kind: str) -> None:
        self.repairs.offsets.append(offset)
        if kind != "RBRACE":
            self.repairs.guessed.append(offset)

    def _top(self) -> Token:
        return self.tokens[self.stack[-1]]

    def _insert_closer(self) -> None:
        """Close the innermost bracket at the end of what was read; report it if it is one that nothing closes."""
        index = self.stack[-1]
        opener = self.tokens[index]
        place = self.out[-1].end if self.out else opener.end
        kind = OPENERS[opener.kind]
        closer = Token(kind, "", place, place)
        self._put(closer)
        self.stack.pop()
        self._note(place, kind)
        if index in self.lost:
            self.repairs.unclosed.append((opener, closer))
        elif kind == "RBRACE":
            self.forced += 1

    def _line_end(self, index: int) -> None:
        """Where an unclosed bracket is open: does the statement end here?"""
        following = self.tokens[index + 1] if index + 1 < len(self.tokens) else None
        if following is None or not self.stack:
            return
        after = self.tokens[index + 2].kind if index + 2 < len(self.tokens) else ""
        word = following.text if following.kind == "NAME" and after not in ("EQUAL", "COMMA", "RPAR", "RSQB") else ""
        if self._top().kind != "LBRACE" and any(i in self.lost for i in self._innermost()):
            previous = self.out[-1].kind if self.out else ""
            binds = after == "EQUAL" and _column(self.tokens[index]) <= self._column_of(self.stack[-1])
            ends = previous not in _GOES_ON and following.kind not in _JOINS
            if word in LEADING or following.kind == "RBRACE" or binds or ends:
                while self.stack and self._top().kind != "LBRACE":
                    self._insert_closer()
        if self.lost_brace and word in _TOP and any(i in self.lost for i in self.stack):
            while self.stack:
                self._insert_closer()

    def _column_of(self, index: int) -> int:
        """The indentation of the line in which a token stands."""
        while index and self.tokens[index].kind != "_NEWLINE":
            index -= 1
        return _column(self.tokens[index])

    def _innermost(self) -> list[int]:
        """The brackets of expressions that are open, up to the nearest brace."""
        found = []
        for index in reversed(self.stack):
            if self.tokens[index].kind == "LBRACE":
                break
            found.append(index)
        return found
