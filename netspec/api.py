"""The pipeline, in reading order, and what it gives: `compile` for tools, `load` and `loads` for people."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Mapping

from netspec.collector import paused
from netspec.diagnostics.model import Diagnostic, Refusal, Report, SpecError
from netspec.diagnostics.nearest import suggestion
from netspec.limits import DEFAULT_LIMITS, Limits
from netspec.locate import data_path
from netspec.reading import decode, read_source
from netspec.record import record
from netspec.source import Source
from netspec.syntax import tree

if TYPE_CHECKING:
    import onnx
    import torch

    from netspec.analyses.field import AxisField
    from netspec.analyses.summary import Summary
    from netspec.graph import Graph
    from netspec.runtime.session import Session
    from netspec.runtime.verify import Verdict


# ------------------------------------------------------------------------------------------------------ the pipeline
@record
class Compilation:
    """Everything that netspec can say about one net of a spec. `graph` is None where the spec has errors."""

    source: Source
    tree: tree.Module
    name: str
    graph: "Graph | None"
    report: Report


def compile(
    source: Source,
    net: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    sizes: Mapping[str, int] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Compilation:
    """Compile one net of a source. Never raises on a bad spec: read `.report`.

    `net` may be left out where the file has one net that needs no arguments; `arguments` are the net's parameters,
    `sizes` typical values of open sizes that replace the written ones. Raises `Refusal` (NS014) for a size that the network
    does not have.

    >>> done = compile(Source("a.net", "net a { input x: [N, 4]; output x -> lineer(2) }"))
    >>> done.graph is None, [(d.code, d.place.line, d.helps[0]) for d in done.report.errors]
    (True, [('NS201', 1, 'did you mean `linear`?')])
    """
    from netspec.syntax.parse import parse

    report = Report()
    module = parse(source, report, limits)  #                text → tree, holes where it was broken
    name = choose_net(module, net, report)  #                which net is meant
    if name is None:
        return Compilation(source, module, net or "", None, report)
    return _compile(module, name, dict(arguments or {}), dict(sizes or {}), report, limits)


@paused()
def _compile(
    module: tree.Module, name: str, arguments: dict[str, Any], sizes: dict[str, int], report: Report, limits: Limits
) -> Compilation:  # fmt: skip
    from netspec.analyses.field import smallest_field
    from netspec.elaborate.expand import expand

    check_call(module, name, arguments, report)
    expansion = expand(module, name, arguments, sizes, report, limits)  # names, blocks → one flat graph
    check_sizes(expansion.graph, sizes, module.source)
    expansion.settle(smallest_field)  #                      what waited for the finished network
    return Compilation(module.source, module, name, expansion.graph if report.ok else None, report)


@paused()
def check_source(source: Source, net: str | None = None, limits: Limits = DEFAULT_LIMITS, **given: Any) -> list[Compilation]:
    """Compile every net of a source that needs no arguments (or the named one), and read every block that none of them uses."""
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
    return [Compilation(source, module, "", None, report), *done]


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


def check_call(module: tree.Module, name: str, arguments: dict[str, Any], report: Report) -> None:
    """Report arguments given from outside that the net does not have; they are dropped."""
    statement = next(s for s in nets_of(module) if s.name == name)
    if statement.variant is not None:
        return
    known = [p.name for p in statement.parameters]
    for given in [a for a in arguments if a not in known]:
        del arguments[given]
        report.error("NS013", f"the net `{name}` has no parameter `{given}`", helps=suggestion(given, known))


def check_sizes(graph: "Graph | None", sizes: Mapping[str, int], source: Source) -> None:
    """Raises `Refusal` (NS014) for a size given from outside that the network does not have."""
    known = [s.name for s in graph.sizes] if graph is not None else list(sizes)
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


# -------------------------------------------------------------------------------------------------------- the result
def load(spec: str, /, *, sizes: Mapping[str, int] | None = None, limits: Limits = DEFAULT_LIMITS, **parameters: Any) -> "Net":
    """Compile a spec: a path, `path.net:net`, or `zoo.family:net`. Raises `SpecError` with all errors, `Refusal` for no file.

    Keyword arguments are the net's parameters; `sizes` replaces typical values of open sizes (`sizes={"H": 512}`).

    >>> load("zoo.resnet:resnet18", classes=10).summary().parameters
    11181642
    """
    source, net = open_spec(spec, limits)
    return Net(_accept(compile(source, net, parameters, sizes, limits)))


def loads(
    text: str, net: str | None = None, /, *, sizes: Mapping[str, int] | None = None, limits: Limits = DEFAULT_LIMITS, **parameters: Any
) -> "Net":
    """Compile spec text; `net` names one of several nets. As `load`.

    >>> loads("net a(width) { input x: [N, 4]; output y = x -> linear(width) }", width=3).graph.weights[0].shape
    (3, 4)
    """
    return Net(_accept(compile(decode(text.encode(), "<string>", None, limits), net, parameters, sizes, limits)))


def _accept(done: Compilation) -> Compilation:
    if done.graph is None:
        raise SpecError(done.report.errors)
    return done


@record
class Net:
    """A compiled network. Everything heavy (torch, onnxruntime) is imported when it is asked for."""

    compilation: Compilation = field(repr=False)

    @property
    def name(self) -> str:
        """The net's name."""
        return self.graph.name

    @property
    def graph(self) -> "Graph":
        """The graph IR: frozen Pydantic, `model_dump_json()` round-trips."""
        assert self.compilation.graph is not None
        return self.compilation.graph

    def check(self) -> list[Diagnostic]:
        """What there is to say about the spec: warnings and remarks (errors never get this far)."""
        return list(self.compilation.report.diagnostics)

    def summary(self) -> "Summary":
        """The layer table with totals; prints as a table.

        Multiply-accumulates and bytes are for the typical sizes (`analyses.summary` says how they are counted).

        >>> facts = loads("net a { input x: [N, 3, H = 8, W = 8]; output y = x -> conv(4, 3) -> max_pool(2) }").summary()
        >>> facts.parameters, facts.macs, facts.inputs[0]["constraints"]
        (112, 3888, ['H >= 4', 'W >= 4'])
        """
        from netspec.analyses.summary import summarize

        return summarize(self.graph)

    def receptive_field(self) -> "dict[str, dict[str, AxisField]]":
        """For each output and axis (`["mask"]["H"]`), what one position sees, in input positions: `size`, `stride`, `padding`,
        `start`, `end`; at the typical sizes, in evaluation mode (`analyses.field`).

        >>> net = loads("net a { input x: [N, 3, H = 32, W = 32]; output y = x -> 2 * conv(4, 3, stride = 2, padding = 1) }")
        >>> seen = net.receptive_field()["y"]["H"]
        >>> int(seen.size), int(seen.stride), int(seen.padding)
        (7, 4, 3)
        """
        from netspec.analyses.field import receptive_field

        return receptive_field(self.graph)

    def source(self) -> str:
        """The network as stand-alone PyTorch source, which imports torch alone; the same graph gives the same bytes."""
        from netspec.backends.torch_source import write_source

        return write_source(self.graph)

    def torch(self, seed: int = 0, *, weights: str | None = None, allow_extern: bool = False) -> "torch.nn.Module":
        """The network as a `torch.nn.Module`: the source executed, parameters named by label, in training mode.

        Weights start from `seed`, bit for bit those of `onnx`, or are read strictly from a file (.safetensors, .npz, .pt).
        The code that an `extern` names is imported only with `allow_extern`. Raises `Refusal`: NS620 to NS625 for a file, NS706
        and NS707 for an `extern`; ModuleNotFoundError without torch.
        """
        from netspec.backends.torch_module import build_module, load_weights
        from netspec.backends.weight_files import weights_of
        from netspec.backends.weights import arrays_of

        module = build_module(self.source(), self.graph, allow_extern=allow_extern)
        load_weights(module, arrays_of(self.graph, weights_of(self.graph, seed, weights)))
        return module

    def onnx(self, seed: int = 0, *, weights: str | None = None, **options: Any) -> "onnx.ModelProto":
        """The network as an ONNX model in memory. Options are those of `OnnxOptions`: `opset`, `fold`, …

        Raises `Refusal`: NS620 to NS625 for a weights file, NS702 past 2 GiB, NS703 for an opset, NS704 for what ONNX cannot say.
        """
        import onnx

        return onnx.load_from_string(self._onnx_bytes(seed, weights, options))

    def save_onnx(self, path: str, seed: int = 0, *, weights: str | None = None, **options: Any) -> None:
        """Write the network as an ONNX file, atomically; weights stream to it, and past 2 GiB into a file beside it.

        Options and `Refusal`s as in `onnx`, but for NS702; NS020 where the file cannot be written.
        """
        from netspec.backends.onnx import OnnxOptions, save
        from netspec.backends.weight_files import weights_of

        save(self.graph, path, weights_of(self.graph, seed, weights), OnnxOptions(**options))

    def session(self, seed: int = 0, *, weights: str | None = None, provider: str = "auto", **options: Any) -> "Session":
        """An onnxruntime session: `session(image=array)` gives `{"logits": array}`.

        Options are those of `Session`: `optimize`, `threads`, `tf32`. Each call holds its arrays against the declared types and
        the conditions on open sizes. A provider that was asked for and cannot be used is a `Refusal` (NS730, NS731), never a
        silent run on the CPU.
        """
        from netspec.runtime.session import Session

        return Session(self._onnx_bytes(seed, weights, {}), provider=provider, graph=self.graph, **options)

    def _onnx_bytes(self, seed: int, weights: str | None, options: dict[str, Any]) -> bytes:
        from netspec.backends.onnx import OnnxOptions, model_bytes
        from netspec.backends.weight_files import weights_of

        return model_bytes(self.graph, weights_of(self.graph, seed, weights), OnnxOptions(**options))

    def verify(self, seed: int = 0, **options: Any) -> "Verdict":
        """PyTorch against onnxruntime on the same weights and inputs, node by node and end to end, over several sizes.

        Options are those of `runtime.verify.verify`: `count`, `batches`, `sizes`, `weights`, `opset`, `nodes`.
        """
        from netspec.runtime.verify import verify

        return verify(self.graph, seed=seed, **options)
