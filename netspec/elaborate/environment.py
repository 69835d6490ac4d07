"""Where names are looked up while a spec is expanded."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from netspec.record import draft
from netspec.source import Source
from netspec.syntax import tree

MISSING = object()


@draft
class Environment:
    """One lexical scope: a file, a block's body, or a comprehension. `for` and `if` open none.

    `defaults` holds what `default` statements said: callable's name to (argument, value) pairs, the later last.
    """

    source: Source
    parent: Environment | None = None
    names: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, tuple[tuple[tree.Argument, Any], ...]] = field(default_factory=dict)

    def find(self, name: str) -> Any:
        """What `name` means here, or `MISSING`."""
        here: Environment | None = self
        while here is not None:
            value = here.names.get(name, MISSING)
            if value is not MISSING:
                return value
            here = here.parent
        return MISSING

    def visible(self) -> set[str]:
        """Every name that could be meant here (for "did you mean …?")."""
        found: set[str] = set()
        here: Environment | None = self
        while here is not None:
            found.update(here.names)
            here = here.parent
        return found

    def defaults_of(self, callee: str) -> list[tuple[tree.Argument, Any]]:
        """The default arguments stated for `callee`, outermost scope first."""
        if not self.has_defaults():
            return []
        chain: list[Environment] = []
        here: Environment | None = self
        while here is not None:
            if here.defaults:
                chain.append(here)
            here = here.parent
        return [pair for scope in reversed(chain) for pair in scope.defaults.get(callee, ())]

    def has_defaults(self) -> bool:
        """Whether any `default` statement is in force here."""
        here: Environment | None = self
        while here is not None:
            if here.defaults:
                return True
            here = here.parent
        return False

    def child(self) -> Environment:
        """A scope inside this one."""
        return Environment(self.source, self)
