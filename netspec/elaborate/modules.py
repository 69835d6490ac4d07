"""Files and what they define: definitions by name, and imports by path and from the shipped specs."""

from __future__ import annotations

import os
from typing import Any, Callable

from netspec.diagnostics.model import Mark, Refusal, Report
from netspec.diagnostics.nearest import suggestion
from netspec.elaborate.context import Failed
from netspec.elaborate.environment import Environment
from netspec.elaborate.values import POISON, Definition
from netspec.limits import Limits
from netspec.locate import data_path
from netspec.reading import DISK, Files
from netspec.source import Source
from netspec.syntax import tree
from netspec.syntax.parse import parse

DefaultPairs = Callable[[tree.Default, Environment], Any]
Execute = Callable[[tuple[tree.Stmt, ...], Environment], None]


class Modules:
    """Loads files, each once, and makes an environment of each. Nothing outside the project's folder is read."""

    def __init__(self, report: Report, limits: Limits, default_pairs: DefaultPairs, execute: Execute) -> None:
        self._report, self._limits, self._default_pairs, self._execute = report, limits, default_pairs, execute
        self._environments: dict[str, Environment] = {}
        self._loading: list[str] = []
        self._bytes = 0
        self._root: str | None = None
        self.definitions: list[Definition] = []

    def enter(self, module: tree.Module) -> Environment:
        """The environment of a parsed file: its definitions and imports by name."""
        source = module.source
        files = _files_of(source)
        if self._root is None and source.path is not None:
            self._root = _project_of(source.path, files)
            self._loading.append(files.real(source.path))
        env = Environment(source)
        if source.path is not None:
            self._environments[files.real(source.path)] = env
        home, defaults = env, []
        for statement in module.body:
            if isinstance(statement, tree.Default):
                home = home.child()
                defaults.append((statement, home))
            elif isinstance(statement, tree.Import):
                self._import(statement, source, env)
            elif isinstance(statement, (tree.Block, tree.Def, tree.Net, tree.Extern)):
                self._define(statement, env, home)
            elif isinstance(statement, tree.Hole):
                env.names.update({name: POISON for name in statement.names if name not in env.names})
        self._execute(tuple(s for s in module.body if isinstance(s, (tree.Bind, tree.Expect, tree.Train))), env)
        for statement in module.body:
            if isinstance(statement, tree.Train) and statement.net is not None:
                self._check_net(statement, module)
        for statement, scope in defaults:  # once everything has its name: definitions stand in any order
            self._set_default(statement, scope)
        return env

    def _check_net(self, statement: tree.Train, module: tree.Module) -> None:
        nets = [s.name for s in module.body if isinstance(s, tree.Net)]
        if statement.net not in nets:
            message = f"the file defines no net `{statement.net}` to train"
            helps = suggestion(statement.net or "", nets) or ("an imported one is trained as a variant: `net mine = theirs`",)
            self._report.error("NS201", message, statement.place, helps=helps)

    def _set_default(self, statement: tree.Default, scope: Environment) -> None:
        try:
            scope.defaults = {statement.operator: self._default_pairs(statement, scope)}
        except Failed:
            pass

    def _define(self, statement: Any, env: Environment, home: Environment) -> None:
        known = env.names.get(statement.name)
        if isinstance(known, Definition):
            also = (Mark(known.statement.place, "first defined here"),)
            self._report.error("NS202", f"`{statement.name}` is defined twice", statement.place, also=also)
            return
        definition = Definition(statement, home)
        env.names[statement.name] = definition
        self.definitions.append(definition)

    # ---------------------------------------------------------------------------------------------------- imports
    def _import(self, statement: tree.Import, source: Source, env: Environment) -> None:
        other = self._load(statement, source)
        for name, alias in statement.names:
            if other is None:
                env.names[alias] = POISON
                continue
            value = other.names.get(name)
            if value is None:
                env.names[alias] = POISON
                self._report.error(
                    "NS203", f"{other.source.name} defines no `{name}`", statement.place, helps=suggestion(name, other.names)
                )
                continue
            env.names[alias] = value

    def _load(self, statement: tree.Import, source: Source) -> Environment | None:
        try:
            files = DISK if statement.path is None else _files_of(source)
            path, shown = self._resolve(statement, source)
            real = files.real(path)
            if real in self._loading:
                raise Refusal("NS008", f"{shown} imports itself, directly or through others")
            if real in self._environments:
                return self._environments[real]
            return self._read(files, path, shown, real)
        except Refusal as refusal:
            d = refusal.diagnostic
            self._report.error(d.code, d.message, statement.place, notes=d.notes, helps=d.helps)
            return None

    def _read(self, files: Files, path: str, shown: str, real: str) -> Environment:
        if len(self._loading) >= self._limits.import_depth:
            raise Refusal("NS008", f"imports are nested more than {self._limits.import_depth} deep (limit `import_depth`)")
        text = files.read(path, self._limits, shown)
        self._bytes += len(text.text)
        if self._bytes > self._limits.import_bytes:
            raise Refusal("NS003", f"the imported files have more than {self._limits.import_bytes:,} bytes (limit `import_bytes`)")
        self._loading.append(real)
        try:
            return self.enter(parse(text, self._report, self._limits))
        finally:
            self._loading.pop()

    def _resolve(self, statement: tree.Import, source: Source) -> tuple[str, str]:
        if statement.path is None:
            return _in_zoo(statement.zoo)
        written = statement.path
        if not written.endswith(".net"):
            raise Refusal("NS009", f'"{written}" is not a `.net` file')
        if os.path.isabs(written) or "\\" in written or "\0" in written:
            raise Refusal("NS009", f'"{written}" must be relative to the importing file')
        files = _files_of(source)
        folder = os.path.dirname(source.path) if source.path else os.getcwd()
        path = os.path.normpath(os.path.join(folder, written))
        root = self._root or files.real(folder)
        if os.path.commonpath([root, files.real(path)]) != root:
            raise Refusal("NS009", f'"{written}" lies outside the project ({os.path.basename(root) or root})')
        return path, path if not os.path.isabs(source.name) and not source.path else _shown(source, written)


def _shown(source: Source, written: str) -> str:
    """The imported file's name for messages: beside the importing file's."""
    return os.path.normpath(os.path.join(os.path.dirname(source.name), written))


def _in_zoo(parts: tuple[str, ...]) -> tuple[str, str]:
    name = ".".join(parts)
    if len(parts) < 2 or parts[0] != "zoo" or not all(p.isidentifier() for p in parts):
        raise Refusal("NS001", f"`{name}` names no shipped spec", helps=('write `from zoo.resnet import …` or `from "file.net" import …`',))
    path = str(data_path("specs", "/".join(parts[1:]) + ".net"))
    if not os.path.exists(path):
        raise Refusal("NS001", f"`{name}` is not among the shipped specs", helps=("`netspec zoo` lists them",))
    return path, name


def _files_of(source: Source) -> Files:
    """What a source's imports are read from."""
    return source.files or DISK


def _project_of(path: str, files: Files) -> str:
    """The folder that imports must stay inside: the nearest one with a `pyproject.toml` or `.git`, else the file's own."""
    folder = start = os.path.dirname(files.real(path))
    while True:
        if any(files.exists(os.path.join(folder, mark)) for mark in ("pyproject.toml", ".git")):
            return folder
        above = os.path.dirname(folder)
        if above == folder:
            return start
        folder = above
