"""What to say about a syntax error, in words about the language and not about the grammar.

`explain` asks the experts below in turn; the first that knows the mistake answers. An expert looks at the token that
does not fit, at those around it, and at what would fit.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from netspec.limits import Limits
from netspec.record import record
from netspec.source import Place, Source
from netspec.syntax.lexer import BREAKS, LEADING, Token


@record
class Situation:
    """`tokens[at]` does not fit in the statement `tokens[first:end]`; `accepts(kind)` says which kind would.

    `part` is "statement", in a `train` section "item" (a setting or a table) or "row" (of a table), in `weights` "renaming".
    """

    source: Source
    tokens: list[Token]
    first: int
    at: int
    end: int
    part: str
    accepts: Callable[[str], bool]

    @property
    def token(self) -> Token:
        """What does not fit."""
        return self.tokens[self.at]

    @property
    def before(self) -> Token | None:
        """The token before it in the same statement."""
        return self.tokens[self.at - 1] if self.at > self.first else None

    @property
    def head(self) -> Token:
        """The first token of the statement."""
        return self.tokens[self.first]

    @property
    def ends(self) -> bool:
        """Whether the statement breaks off here."""
        return self.token.kind in BREAKS or self.token.kind in ("RBRACE", "$END")

    def finding(self, message: str, mark: str = "", *helps: str, code: str = "NS101", token: Token | None = None) -> Finding:
        """A finding at the token that does not fit, or at another one."""
        token = token or self.token
        return Finding(code, message, Place(self.source, token.start, token.end), mark, helps)


@record
class Finding:
    """A message, ready to be reported."""

    code: str
    message: str
    place: Place
    mark: str = ""
    helps: tuple[str, ...] = ()


def header_without_brace(s: Situation) -> bool:
    """Whether a block, loop or condition was begun as in Python, so that its body stands outside of it."""
    return s.head.kind in ("BLOCK", "NET", "FOR", "IF", "EXTERN") and (s.ends or s.token.kind == "COLON") and s.accepts("LBRACE")


def explain(s: Situation, limits: Limits) -> Finding:
    """The best description of a syntax error."""
    if s.token.kind == "DEEP":
        return s.finding(f"brackets are nested more than {limits.nesting} deep (limit `nesting`)", code="NS105")
    return next(filter(None, (expert(s) for expert in _EXPERTS)), None) or _anything(s)


# -------------------------------------------------------------------------------------------- letters and signs
_LOOKS_LIKE = dict(zip("“”„‘’«»`−–—×·÷；，：（）＝", '""""""""---**/;,:()=', strict=True)) | {
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "…": "..",
}


def _characters(s: Situation) -> Finding | None:
    token = s.token
    if token.kind == "BAD":
        return _bad_character(s)
    if token.kind == "OPEN_STRING":
        return s.finding("this string is not closed on its line", "", 'end it with `"`', code="NS103")
    if token.kind == "OPEN_DOC":
        opening = Token(token.kind, '"""', token.start, token.start + 3)
        return s.finding('this `"""` is never closed', "", 'end the text with `"""`', code="NS103", token=opening)
    if token.kind == "QUOTED":
        return s.finding("strings stand in double quotes", "", f'write "{token.text.strip(chr(39))}"', code="NS104")
    return None


def _bad_character(s: Situation) -> Finding:
    character = s.token.text
    code = f"U+{ord(character):04X}"
    name = unicodedata.name(character, "a control character" if unicodedata.category(character) == "Cc" else "an unnamed character").lower()
    shown = f"`{character}` " if character.isprintable() and not character.isspace() else ""
    helps = (f"write `{_LOOKS_LIKE[character]}`",) if character in _LOOKS_LIKE else ()
    if character.isspace():
        helps = ("write an ordinary space",)
    return s.finding(f"the character {shown}({code}, {name}) has no meaning here", "", *helps, code="NS104")


_FOREIGN = {
    "**": "a power is written `^`",
    "&&": "write `and`",
    "&": "write `and`",
    "||": "write `or`",
    "|": "write `or`, or `->` to apply a layer",
    "!": "write `not`",
    "~": "write `not`",
    "|>": "a layer is applied with `->`",
    "=>": "write `->` to apply a layer, `>=` to compare",
    ":=": "write `=`",
    "...": "a range is written `a..b`",
    "@": "a matrix product is `(a, b) -> matmul`",
}


def _foreign_operator(s: Situation) -> Finding | None:
    text = s.token.text
    if s.token.kind == "FOREIGN":
        if text[-1] == "=" and text not in _FOREIGN:
            name = s.before.text if s.before else "x"
            return s.finding(f"`{text}` is no operator here", "", f"write `{name} = {name} {text[:-1]} …`")
        return s.finding(f"`{text}` is no operator here", "", _FOREIGN.get(text, ""))
    if s.token.kind == "PLUS" and s.before and s.accepts("MINUS"):
        return s.finding("a number has no `+` before it", "", "leave the `+` out")
    if s.token.kind == "COMPARE" and not s.accepts("COMPARE") and s.accepts("AND"):
        return s.finding("comparisons do not chain", "", "write `a < b and b < c`")
    return None


_WORDS = {
    "elif": "write `else if`",
    "else": "`else` stands after the `}` of an `if`",
    "while": "loops are counted: `for i in 0..n { … }`",
    "lambda": "a layer made of layers is a `def`: `def name(a) = …`",
    "return": "write `output …`",
    "import": 'write `from "file.net" import name`, or `from zoo.family import name`',
    "class": "write `block name(parameters) { … }`",
    "function": "write `def name(parameters) = …`",
    "func": "write `def name(parameters) = …`",
    "fn": "write `def name(parameters) = …`",
    "let": "write `name = …`",
    "var": "write `name = …`",
    "const": "write `name = …`",
    "network": "write `net name { … }`",
    "model": "write `net name { … }`",
    "module": "write `block name { … }`",
    "assert": "write `expect …`",
    "param": "a shared layer is `layer name = …`",
    "pass": "an empty block is `{ }`",
    "switch": "write `if … { … } else if … { … }`",
    "is": "write `==`",
}


def _foreign_word(s: Situation) -> Finding | None:
    for token in (s.token, s.head):
        leads = token is s.head and s.at <= s.first + 1
        if token.kind in ("NAME", "_ELSE", "IMPORT") and token.text in _WORDS and (leads or token.text in ("lambda", "is", "elif", "else")):
            return s.finding(f"`{token.text}` is no word of the language here", "", _WORDS[token.text], token=token)
    if s.token.kind == "NAME" and s.token.text == "step":
        return s.finding("a range has no step", "", "take a list: `[2 * i for i in 0..n]`")
    return None


# --------------------------------------------------------------------------------------------- blocks and bodies
def _block_header(s: Situation) -> Finding | None:
    word = s.head.text
    if s.token.kind == "COLON" and s.accepts("LBRACE"):
        return s.finding("a body stands in braces", "", "write `{` … `}` in place of `:` and indentation")
    if s.head.kind == "DEF" and s.token.kind in ("COLON", "LBRACE") and s.accepts("EQUAL"):
        return s.finding("a `def` is one expression", "", "write `def name(parameters) = expression`, or a `block` for several statements")
    if s.ends and s.accepts("LBRACE") and s.head.kind in ("BLOCK", "NET", "FOR", "IF", "EXTERN", "INIT", "TRAIN"):
        return s.finding(f"the body of `{word}` is missing", "", f"write `{word} … {{`, its statements, and `}}`")
    if s.head.kind == "FOR" and s.token.kind in ("EQUAL", "NAME", "LPAR") and s.accepts("IN"):
        return s.finding("`for` needs `in` after its name", "", "write `for i in 0..n { … }`")
    return None


def _in_training(s: Situation) -> Finding | None:
    """Mistakes in a `train` section."""
    if s.token.kind == "EQUAL" and s.before and s.before.kind == "_THEN":
        return s.finding("`then` goes on with the value before it, so it cannot be the name of a setting", token=s.before)
    if s.token.kind == "_THEN":
        if s.at == s.first:
            return s.finding("`then` goes on with a value, and none stands before it")
        helps = ("in a value it stands outside of brackets: `schedule = warmup(5) then cosine(95)`",)
        return s.finding("`then` cannot stand here", "", *helps)
    if s.part == "item" and s.accepts("EQUAL") and s.accepts("LBRACE") and s.token.text != "==":
        message = "a setting is `name = value`, or a table: `name { row: value }`"
        return s.finding(message, "expected `=`", token=_after(s))
    if s.part == "row" and (s.accepts("COLON") or s.token.kind == "EQUAL"):
        return s.finding("a row of a table is `name: value`", "expected `:`" * s.accepts("COLON"), token=_after(s))
    if s.part == "row" and s.accepts("COMMA") and s.token.kind in _BEGINS_OPERAND:
        return s.finding("a `,` is missing before this")
    if s.part == "item" and s.token.kind == "COMMA" and (s.accepts("_THEN") or s.at == s.first):
        return s.finding("settings are not parted by commas", "", "begin a new setting on a new line, or after `;`")
    if s.part != "statement" and s.at == s.first and s.accepts("HOLE"):
        return s.finding(f"no {'row' if s.part == 'row' else 'setting'} begins with `{s.token.text}`")
    return None


def _in_weights(s: Situation) -> Finding | None:
    """Mistakes in a `weights` section."""
    if s.part != "renaming" and not (s.head.kind == "WEIGHTS" and s.accepts("STRING")):
        return None
    wanted = next((words for kind, words in (("STRING", "a name in quotes"), ("_ARROW", "`->`")) if s.accepts(kind)), "")
    if not wanted and s.accepts("_NEWLINE") and not s.at == s.first:
        return s.finding(f"`{s.token.text}` does not go on with what stands before it", "", "one `rename` a line, or after `;`")
    example = 'for example `rename "module.*" -> "*"`'
    return s.finding("a line of `weights` is `rename`, a name, `->`, a name", f"expected {wanted}" * bool(wanted), example, token=_after(s))


def _equals_sign(s: Situation) -> Finding | None:
    if s.token.kind == "COMPARE" and s.token.text == "==" and s.accepts("EQUAL"):
        return s.finding("`==` compares", "", "a name is given a value with `=`")
    if s.token.kind != "EQUAL":
        return None
    if s.head.kind in ("IF", "EXPECT", "WHERE") or s.accepts("COMPARE") and s.at - s.first > 3:
        return s.finding("`=` gives a name a value; it does not compare", "", "did you mean `==`?")
    if s.head.text in LEADING and s.at == s.first + 1:
        return s.finding(f"`{s.head.text}` begins a statement, so it cannot be given a value", "", "choose another name", token=s.head)
    return s.finding("only a name, or one of a family as `e[i]`, can be given a value")


def _in_statement(s: Situation) -> Finding | None:
    """Mistakes that belong to one kind of statement."""
    if s.ends and s.accepts("_ELSE") and not s.accepts("_NEWLINE"):
        return s.finding("`a if condition` needs `else b`", "expected here", token=_after(s))
    if s.head.kind == "INPUT" and s.token.kind == "COMMA" and s.at == s.first + 2:
        return s.finding("one `input` a line", "", "write each as a statement of its own: `input q`, `input k`")
    if s.head.kind == "INIT" and s.accepts("COLON"):
        example = "for example `conv: he_normal(mode = fan_out)`"
        return s.finding("a rule of `init` is `selector: initializer`", "expected `:`", example, token=_after(s))
    applies = s.token.kind in ("LPAR", "_ARROW", "DOT", "AS", *_OPERATORS)
    if s.head.kind == "NAME" and applies and s.accepts("EQUAL") and s.accepts("COMMA"):
        return s.finding("an expression alone does nothing", "", "write `name = …`, or `output …`", token=_whole(s))
    return None


# ------------------------------------------------------------------------------------- what is missing at the end
_NEEDS = {
    "EQUAL": "`=` needs an expression after it",
    "_ARROW": "expected a layer after `->`",
    "AS": "`as` needs a label after it",
    "DOT": "`.` needs a name after it",
    "COMMA": "something is missing after the `,`",
    "COLON": "something is missing after the `:`",
    "IN": "`in` needs a range or a list after it",
    "IMPORT": "`import` needs a name after it",
    "FROM": '`from` needs a file, as `"file.net"`, or a shipped spec, as `zoo.family`',
    "IF": "`if` needs a condition after it",
    "_ELSE": "`else` needs something after it",
    "_THEN": "`then` needs something after it",
    "EXPECT": "`expect` needs a condition after it",
    "WHERE": "`where` needs a condition after it",
    "OUTPUT": "`output` needs an expression after it",
    "LPAR": "nothing stands in these parentheses",
}
_OPERATORS = frozenset("PLUS MINUS STAR SLASH CARET COMPARE CONCAT AND OR NOT".split())
_ENDS_PART = _OPERATORS | frozenset("RPAR RSQB COMMA _ARROW LBRACE EQUAL COLON AS _ELSE".split())


def _broken_off(s: Situation) -> Finding | None:
    before = s.before
    if before is None or not (s.ends or s.token.kind in _ENDS_PART):
        return None
    if before.kind in _OPERATORS or before.text == "..":
        return s.finding(f"`{before.text}` needs something after it", "expected here", token=_after(s))
    if before.kind in _NEEDS and not s.accepts("EQUAL"):
        return s.finding(_NEEDS[before.kind], "expected here", token=_after(s))
    if before.kind in ("NET", "BLOCK", "DEF", "EXTERN", "LAYER", "INPUT", "DEFAULT", "FOR"):
        return s.finding(f"`{before.text}` needs a name after it", "expected here", token=_after(s))
    if s.ends and s.accepts("EQUAL"):
        return s.finding("a statement is missing its `=`", "", *_bare(s), token=_whole(s) if s.head.kind == "NAME" else _after(s))
    return None


def _bare(s: Situation) -> tuple[str, ...]:
    """Advice for an expression that stands alone."""
    alone = s.head.kind in _BEGINS_OPERAND | {"LPAR", "MINUS"}
    return ("an expression alone does nothing: write `name = …`, or `output …`",) if alone else ()


def _after(s: Situation) -> Token:
    """The place where something is missing: the token that does not fit, or, at the end of a line, the space after the last one."""
    if not s.ends or s.before is None:
        return s.token
    return Token("", "", s.before.end, s.before.end + (s.before.end < len(s.source.text) and s.source.text[s.before.end] != "\n"))


def _whole(s: Situation) -> Token:
    """All of the statement so far, as one token."""
    return Token("", "", s.head.start, s.tokens[s.at - 1].end if s.at > s.first else s.token.end)


# -------------------------------------------------------------------------------------- two things side by side
_BEGINS_OPERAND = frozenset("NAME NUMBER STRING TRUE FALSE NONE LSQB NOT".split())
_ENDS_OPERAND = frozenset("NAME NUMBER STRING TRUE FALSE NONE RPAR RSQB".split())


def _missing_comma(s: Situation) -> Finding | None:
    if s.before and s.token.kind in _BEGINS_OPERAND and s.before.kind in _ENDS_OPERAND and s.accepts("COMMA") and not s.accepts("_NEWLINE"):
        return s.finding("a `,` is missing before this", "", f"write `{s.before.text}, {s.token.text}`")
    return None


def _number(s: Situation) -> Finding | None:
    before, token = s.before, s.token
    if before and before.kind == "NUMBER" and token.kind == "NAME" and before.end == token.start:
        helps = (f"write `{before.text} * {token.text}`", "a name does not begin with a digit")
        helps = ("numbers have no `_`",) if token.text.startswith("_") else helps
        return s.finding(f"`{before.text}{token.text}` is neither a number nor a name", "", *helps)
    following = s.tokens[s.at + 1] if s.at + 1 < len(s.tokens) else None
    if token.kind == "DOT" and following and following.kind == "NUMBER" and following.start == token.end:
        return s.finding("a number needs a digit before its dot", "", f"write `0.{following.text}`")
    if before and before.kind == "DOT" and s.at - 2 >= s.first and s.tokens[s.at - 2].kind == "NUMBER":
        return s.finding("a number needs a digit after its dot", "", f"write `{s.tokens[s.at - 2].text}.0`")
    return None


def _new_line(s: Situation) -> Finding | None:
    text, kind = s.token.text, s.token.kind
    noun = "setting" if s.part == "item" else "statement"
    if s.at == s.first and not s.ends and not s.accepts("NAME") and s.accepts("_NEWLINE"):
        message = f"`{text}` does not go on with what stands before it"
        return s.finding(message, "", f"begin a new {noun} on a new line, or after `;`")
    if s.at == s.first:
        return s.finding(f"no statement begins with `{text}`", "", *_bare(s))
    if s.accepts("_NEWLINE") and not s.ends:
        if kind == "LBRACE":
            return s.finding("no `{` can stand here")
        if kind in _BEGINS_OPERAND or text in LEADING:
            message = f"`{text}` does not go on with what stands before it"
            return s.finding(message, "", f"begin a new {noun} on a new line, or after `;`")
    return None


_EXPECTED = (
    ("NUMBER", "an expression"),
    ("NAME", "a name"),
    ("EQUAL", "`=`"),
    ("LBRACE", "`{`"),
    ("COLON", "`:`"),
    ("IN", "`in`"),
    ("IMPORT", "`import`"),
    ("OF", "`of`"),
    ("RPAR", "`)`"),
    ("RSQB", "`]`"),
    ("STRING", "a string"),
    ("_NEWLINE", "the end of the statement"),
)


def _anything(s: Situation) -> Finding:
    fitting = [words for kind, words in _EXPECTED if s.accepts(kind)]
    if "an expression" in fitting:
        fitting = [words for words in fitting if words not in ("a name", "a string")]
    shown = "the end of the line" if s.ends and s.token.kind != "RBRACE" else f"`{s.token.text}`"
    expected = f"expected {_either(fitting)}" if fitting and len(fitting) <= 4 else ""
    return s.finding(f"{shown} does not fit here" + (f": {expected}" if expected else ""))


_EXPERTS = (
    _characters,
    _in_weights,
    _foreign_operator,
    _foreign_word,
    _number,
    _in_training,
    _block_header,
    _equals_sign,
    _in_statement,
    _broken_off,
    _missing_comma,
    _new_line,
)


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
