"""Which lints are on, and how bad their findings are: what a project, a command line and a comment may say of it."""

from __future__ import annotations

from typing import Any, Mapping

from netspec.analyses.lint.rule import Rule
from netspec.diagnostics.codes import CODES
from netspec.diagnostics.model import Refusal, Severity
from netspec.diagnostics.nearest import suggestion
from netspec.record import record

_KEYS = ("ignore", "enable", "levels")


@record
class Settings:
    """`ignore` and `enable` are codes (`NS512`), beginnings of codes (`NS54`) or `all`; the longer one wins, `ignore` at equal
    length. `levels` gives codes another severity. `only`, where it is not empty, leaves out every other code.
    """

    ignore: tuple[str, ...] = ()
    enable: tuple[str, ...] = ()
    levels: tuple[tuple[str, Severity], ...] = ()
    only: tuple[str, ...] = ()

    def severity(self, rule: Rule) -> Severity | None:
        """How bad the findings of a rule are; None where it is off."""
        if self.only and not _longest(self.only, rule.code):
            return None
        off, on = _longest(self.ignore, rule.code), _longest(self.enable, rule.code)
        if off and off >= on or not (rule.on or on or self.only):
            return None
        return dict(self.levels).get(rule.code, rule.severity)

    def join(self, other: Settings) -> Settings:
        """These settings with others that come after, and win over, them."""
        return Settings(
            tuple(i for i in self.ignore if i not in other.enable) + other.ignore,
            tuple(e for e in self.enable if e not in other.ignore) + other.enable, self.levels + other.levels,
            other.only or self.only,
        )  # fmt: skip


def _longest(patterns: tuple[str, ...], code: str) -> int:
    """The length of the longest pattern that fits a code, plus one; 0 where none does. `all` is as long as nothing."""
    return max((1 if p == "all" else len(p) + 1 for p in patterns if p == "all" or code.startswith(p)), default=0)


def settings_of(table: Mapping[str, Any], where: str) -> Settings:
    """Settings from `[tool.netspec.lint]`. Raises `Refusal` (NS022) for what it does not know; `where` names the file."""
    for key in table:
        if key not in _KEYS:
            raise Refusal("NS022", f"{where}: there is no setting `{key}` of lints", helps=suggestion(key, _KEYS), status=2)
    lists = {key: table.get(key, []) for key in ("ignore", "enable")}
    for key, value in lists.items():
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise Refusal("NS022", f"{where}: `{key}` is a list of codes", helps=(f'{key} = ["NS512"]',), status=2)
    levels = table.get("levels", {})
    if not isinstance(levels, dict):
        raise Refusal("NS022", f"{where}: `levels` is a table of codes", helps=('levels = { NS512 = "error" }',), status=2)
    return Settings(
        tuple(_pattern(v, where) for v in lists["ignore"]), tuple(_pattern(v, where) for v in lists["enable"]),
        tuple((_code(k, where), _level(v, where)) for k, v in levels.items()),
    )  # fmt: skip


def settings_from(ignore: list[str], enable: list[str], levels: list[str], select: list[str]) -> Settings:
    """Settings from a command line: lists of codes separated by commas, and of `CODE=level`. Raises `Refusal` (NS022)."""
    where = "the call"
    codes = [tuple(_pattern(c.strip(), where) for text in texts for c in text.split(",")) for texts in (ignore, enable, select)]
    pairs = [part.partition("=") for text in levels for part in text.split(",")]
    return Settings(codes[0], codes[1], tuple((_code(c.strip(), where), _level(v.strip(), where)) for c, _, v in pairs), codes[2])


def lints() -> tuple[str, ...]:
    """The codes of all lints; NS501 is a promise of the spec's own, and no lint."""
    return tuple(code for code in CODES if code.startswith("NS5") and code != "NS501")


def _pattern(text: str, where: str) -> str:
    if text == "all" or (len(text) >= 3 and any(code.startswith(text) for code in lints())):
        return text
    raise Refusal("NS022", f"{where}: `{text}` is the code of no lint", helps=suggestion(text, lints()), status=2)


def _code(text: str, where: str) -> str:
    if text not in lints():
        raise Refusal("NS022", f"{where}: `{text}` is the code of no lint", helps=suggestion(text, lints()), status=2)
    return text


def _level(text: Any, where: str) -> Severity:
    if text not in [s.value for s in Severity]:
        raise Refusal("NS022", f"{where}: a level is error, warning or info, not `{text}`", status=2)
    return Severity(text)
