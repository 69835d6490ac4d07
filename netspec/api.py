"""The pipeline, in reading order, and what it gives: `compile` for tools, `load` and `loads` for people."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from numbers import Integral
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from netspec.collector import paused
from netspec.diagnostics.model import Refusal, Report, SpecError
from netspec.diagnostics.nearest import suggestion
from netspec.limits import DEFAULT_LIMITS, Limits
from netspec.locate import data_path
from netspec.network import Compilation, Net, advice
from netspec.reading import decode, read_source
from netspec.source import Source
from netspec.syntax import tree

if TYPE_CHECKING:
    from netspec.analyses.lint import Settings
    from netspec.backends.diagram.changes.compared import Compared
    from netspec.graph import Graph


# ------------------------------------------------------------------------------------------------------ the pipeline
def compile(
    source: Source,
    net: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    sizes: Mapping[str, int] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    static: Mapping[str, int] | None = None,
) -> Compilation:
    """Compile one net of a source. Never raises on a bad spec: read `.report`.

    `net` may be left out where the file has one net that needs no arguments; `arguments` are the net's parameters,
    `sizes` typical values of open sizes that replace the written ones, `static` those that are numbers from here on.
    Raises `Refusal`: NS014 for a size that the network does not have, NS015 for one that is no positive whole number.

    >>> done = compile(Source("a.net", "net a { input x: [N, 4]; output x -> lineer(2) }"))
    >>> done.graph is None, [(d.code, d.place.line, d.helps[0]) for d in done.report.errors]
    (True, [('NS201', 1, 'did you mean `linear`?')])
    """
    from netspec.syntax.parse import parse

    sizes, static = _plain(sizes), _plain(static)
    report = Report()
    module = parse(source, report, limits)  #                text → tree, holes where it was broken
    name = choose_net(module, net, report)  #                which net is meant
    if name is None:
        return Compilation(source, module, net or "", None, report)
    return _compile(module, name, dict(arguments or {}), sizes, report, limits, static)


def _plain(sizes: Mapping[str, int] | None) -> dict[str, int]:
    """The sizes, whole numbers of other libraries (numpy's) as Python's. Raises `Refusal` (NS015) for anything else."""
    for name, size in (sizes or {}).items():
        if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
            raise Refusal("NS015", f"a size is a positive whole number, not {name} = {size!r}", status=2)
    return {name: int(size) for name, size in (sizes or {}).items()}


@paused()
def _compile(
    module: tree.Module, name: str, arguments: dict[str, Any], sizes: dict[str, int], report: Report, limits: Limits,
    static: Mapping[str, int] = MappingProxyType({}),
) -> Compilation:  # fmt: skip
    from netspec.elaborate.expand import expand

    expansion = expand(module, name, arguments, sizes, report, limits, static)  # names, blocks → one flat graph
    check_sizes(expansion.graph, {**sizes, **static}, module.source, expansion.fixed)
    expansion.settle(_smallest_field)  #                     what waited for the finished network
    return Compilation(module.source, module, name, expansion.graph if report.ok else None, report, expansion.sources)


def _smallest_field(graph: "Graph", value: int) -> int | float:
    """What `expect receptive_field(y) >= 64` asks; the analysis is imported where a spec does."""
    from netspec.analyses.field import smallest_field

    return smallest_field(graph, value)


@paused()
def check_source(
    source: Source, net: str | None = None, limits: Limits = DEFAULT_LIMITS, settings: "Settings | None" = None, **given: Any
) -> list[Compilation]:  # fmt: skip
    """Compile every net of a source that needs no arguments (or the named one), and read every block that none of them uses.

    `settings` say which lints are run on what compiles; without it none is. The first entry is the file itself.
    """
    from netspec.elaborate.expand import survey
    from netspec.elaborate.resolve import resolve
    from netspec.syntax.parse import parse

    report = Report()
    module = parse(source, report, limits)
    resolve(module, report)
    survey(module, report, limits)
    names = [s.name for s in nets_of(module) if not _open_parameters(module, s)]
    if net is not None:
        named = choose_net(module, net, report)
        names = [named] if named is not None else []
    arguments, sizes = dict(given.get("arguments") or {}), dict(given.get("sizes") or {})
    done = [_compile(module, name, dict(arguments), sizes, Report(), limits) for name in names]
    if settings is not None and module.body:
        _advise(source, done, report, settings, whole=net is None)
    return [Compilation(source, module, "", None, report), *done]


def _advise(source: Source, done: list[Compilation], report: Report, settings: "Settings", whole: bool) -> None:
    """Lint every net that compiled; then, if all of a file's were, tell which silencing comments nothing needs."""
    from netspec.analyses.lint import silences, unneeded

    silenced = {name: silences(text, name == source.name) for compilation in done for name, text in compilation.sources.items()}
    for compilation in done:
        compilation.report.diagnostics.extend(advice(compilation, settings, silenced))
    if whole and done and all(compilation.graph is not None for compilation in done):
        report.diagnostics.extend(unneeded(silenced.get(source.name, ()), settings))


def nets_of(module: tree.Module) -> list[tree.Net]:
    """The nets that a file defines, in order."""
    return [s for s in module.body if isinstance(s, tree.Net)]


def _open_parameters(module: tree.Module, net: tree.Net) -> bool:
    """Whether a net cannot stand alone: some of its own parameters have no default. (A variant's base is its call's business.)"""
    return any(p.default is None for p in net.parameters)


def choose_net(module: tree.Module, net: str | None, report: Report) -> str | None:
    """The net that is meant: the one named, or the only one that needs no arguments; None after reporting otherwise."""
    nets = nets_of(module)
    if net is not None:
        if any(s.name == net for s in nets):
            return net
        report.error("NS010", f"{module.source.name} has no net `{net}`", helps=suggestion(net, [s.name for s in nets]))
        return None
    complete = [s.name for s in nets if not _open_parameters(module, s)] or [s.name for s in nets]
    if len(complete) == 1:
        return complete[0]
    if not nets:
        if report.ok:
            report.error("NS011", f"{module.source.name} defines no net", helps=("a net begins with `net name {`",))
        return None
    shown = ", ".join(complete)
    report.error("NS012", f"{module.source.name} has several nets: {shown}", helps=(f"name one: `{module.source.name}:{complete[-1]}`",))
    return None


def check_sizes(graph: "Graph | None", sizes: Mapping[str, int], source: Source, fixed: Collection[str] = ()) -> None:
    """Raises `Refusal` (NS014) for a size given from outside that the network does not have, nor had (`fixed`)."""
    known = [*(s.name for s in graph.sizes), *fixed] if graph is not None else list(sizes)
    for name in sizes:
        if name not in known:
            raise Refusal("NS014", f"{source.name} has no open size `{name}`", helps=suggestion(name, known), status=2)


# ---------------------------------------------------------------------------------------------------- finding a spec
def open_spec(spec: str, limits: Limits = DEFAULT_LIMITS, stdin: bytes | None = None) -> tuple[Source, str | None]:
    """The source that a SPEC argument means, and the net it names, if any.

    `unet.net`, `models.net:unet`, `zoo.resnet:resnet50`, or `-` with the bytes of standard input. Raises `Refusal`.
    """
    path, _, net = spec.rpartition(":") if ":" in spec and not spec.endswith(".net") else (spec, "", "")
    if path in ("-", "") and stdin is not None:
        return decode(stdin, "<stdin>", None, limits), net or None
    if path.startswith("zoo.") and not path.endswith(".net"):
        file = data_path("specs", path[4:].replace(".", "/") + ".net")
        if not file.exists() or not all(p.isidentifier() for p in path.split(".")):
            known = sorted("zoo." + p.stem for p in data_path("specs").glob("*.net"))
            raise Refusal("NS001", f"`{path}` is not among the shipped specs", helps=suggestion(path, known), status=2)
        return read_source(str(file), limits, path), net or None
    return read_source(path, limits), net or None


def diff(old: "Net | str", new: "Net | str") -> "Compared":
    """What changed between two networks (compiled ones, or SPECs): prints as a table, `.data()` as JSON, `.same` where nothing did.
    `.diagram()` is both as one picture.

    >>> one = loads("net a { input x: [N, 3, H = 8, W = 8]; output y = x -> conv(4, 3) }")
    >>> print(diff(one, loads("net a { input x: [N, 3, H = 8, W = 8]; output y = x -> conv(4, 5) }")).data()["consequences"][0])
    {'what': 'parameters', 'of': '', 'from': 112, 'to': 304}
    """
    from netspec.backends.diagram.changes.compared import compared

    a, b = (load(given) if isinstance(given, str) else given for given in (old, new))
    return compared(a.graph, b.graph, *(given if isinstance(given, str) else given.graph.name for given in (old, new)))


# -------------------------------------------------------------------------------------------------------- the result
def load(
    spec: str, /, *, sizes: Mapping[str, int] | None = None, static: Mapping[str, int] | None = None, limits: Limits = DEFAULT_LIMITS,
    **parameters: Any,
) -> "Net":  # fmt: skip
    """Compile a spec: a path, `path.net:net`, or `zoo.family:net`. Raises `SpecError` with all errors, `Refusal` for no file.

    Keyword arguments are the net's parameters; `sizes` replaces typical values of open sizes (`sizes={"H": 512}`); `static` makes them
    numbers, as if they were written so: the network then takes nothing else.

    >>> load("zoo.resnet:resnet18", classes=10).summary().parameters
    11181642
    """
    source, net = open_spec(spec, limits)
    return Net(_accept(compile(source, net, parameters, sizes, limits, static)))


def loads(
    text: str, net: str | None = None, /, *, sizes: Mapping[str, int] | None = None, static: Mapping[str, int] | None = None,
    limits: Limits = DEFAULT_LIMITS, **parameters: Any,
) -> "Net":  # fmt: skip
    """Compile spec text; `net` names one of several nets. As `load`.

    >>> loads("net a(width) { input x: [N, 4]; output y = x -> linear(width) }", width=3).graph.weights[0].shape
    (3, 4)
    """
    return Net(_accept(compile(decode(text.encode(), "<string>", None, limits), net, parameters, sizes, limits, static)))


def _accept(done: Compilation) -> Compilation:
    if done.graph is None:
        raise SpecError(done.report.errors)
    return done
