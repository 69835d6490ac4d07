"""A compiled network, and what can be asked of it and made of it."""

from __future__ import annotations

import os
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Mapping

from netspec.diagnostics.model import Diagnostic, Refusal, Report
from netspec.record import record
from netspec.source import Source
from netspec.syntax import tree

if TYPE_CHECKING:
    import numpy
    import onnx
    import torch

    from netspec.analyses.field import AxisField
    from netspec.analyses.lint import Settings, Silence
    from netspec.analyses.signal import Signals
    from netspec.analyses.summary import Summary
    from netspec.backends.diagram.drawing.finish import Theme
    from netspec.backends.diagram.picture import Diagram, Style
    from netspec.graph import Graph
    from netspec.recipe.section import Section
    from netspec.report import Page
    from netspec.runtime.bench import Bench
    from netspec.runtime.data_initial import DataInitial
    from netspec.runtime.session import Session
    from netspec.runtime.verify import Verdict
    from netspec.training.loop.events import Event
    from netspec.training.loop.job import Data, Outcome
    from netspec.training.loop.tally import Watch
    from netspec.training.losses import Objective
    from netspec.training.schedules import Schedule

    #: The path of a file.
    File = str | os.PathLike[str]


@record
class Compilation:
    """Everything that netspec can say about one net of a spec. `graph` is None where the spec has errors.

    `sources` are the texts that took part, the spec's own and those that it imports, by their names.
    """

    source: Source
    tree: tree.Module
    name: str
    graph: "Graph | None"
    report: Report
    sources: Mapping[str, Source] = field(default_factory=dict, compare=False, repr=False)


def advice(compilation: Compilation, settings: "Settings", silenced: "Mapping[str, list[Silence]]") -> list[Diagnostic]:
    """What the lints say of a compilation; nothing where it failed. `silenced` are the comments of its texts, by their names."""
    from netspec.analyses.lint import lint

    if compilation.graph is None:
        return []
    comments = [silence for found in silenced.values() for silence in found]
    return lint(compilation.graph, compilation.tree, compilation.sources, settings, comments)


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
        """What there is to say about the spec: warnings, remarks and advice, in the order of the text.

        What stops a compilation never gets this far; a lint may still call something an error.

        >>> from netspec import loads
        >>> [(d.code, d.place.line) for d in loads("net a { input x: [N, 4]; output y = x -> linear(4) -> bn }").check()]
        [('NS510', 1)]
        """
        from netspec.analyses.lint import Settings, silences

        silenced = {name: silences(text, name == self.compilation.source.name) for name, text in self.compilation.sources.items()}
        return [*self.compilation.report.diagnostics, *advice(self.compilation, Settings(), silenced)]

    def summary(self) -> "Summary":
        """The layer table with totals; prints as a table.

        Multiply-accumulates and bytes are for the typical sizes (`analyses.summary` says how they are counted).

        >>> from netspec import loads
        >>> facts = loads("net a { input x: [N, 3, H = 8, W = 8]; output y = x -> conv(4, 3) -> max_pool(2) }").summary()
        >>> facts.parameters, facts.macs, facts.inputs[0]["constraints"]
        (112, 3888, ['H >= 4', 'W >= 4'])
        """
        from netspec.analyses.summary import summarize

        return summarize(self.graph)

    def diagram(
        self,
        depth: int | None = None,
        only: str = "",
        *,
        style: "Style" = "cards",
        engine: str = "auto",
        theme: "Theme" = "auto",
        **look: Any,
    ) -> "Diagram":
        """The network's picture: an image in a notebook, a file by `.save("net.svg")` (`.png`, `.pdf`, `.dot`, `.html`).

        Blocks are open down to `depth` (as far as fits a page), or `only` is the one that is shown; `style` is `cards` or `maps`. The
        rest are choices of `backends.diagram.look.Look`: `rankdir`, `sizes`, `heat`, `legend`. Raises `Refusal`: NS015 for a choice that
        there is not, NS021 for a block.

        >>> from netspec import loads
        >>> picture = loads("net a { input x: [N, 4]; output y = x -> linear(8) -> relu }").diagram()
        >>> [box.name for box in picture.view.boxes]
        ['x', 'linear1', 'y']
        """
        from netspec.backends.diagram.look import look_of
        from netspec.backends.diagram.picture import draw

        found = draw(self.graph, depth, only, style, look_of(look), engine, theme)
        found.page = lambda: self._diagram_page(found)
        return found

    def _diagram_page(self, found: "Diagram") -> str:
        from netspec.report import diagram_page

        return diagram_page(self, found.like, found.view).text

    def report(self, path: str | None = None, **look: Any) -> "Page":
        """Everything about the network on one HTML page, which needs nothing beside it; written to `path`, if there is one.

        `look` are choices of the diagram, as in `diagram`. The page has its HTML as `text`, `remarks` on what was left out (the
        diagram where nothing can draw), and `drawn_by`. Raises `Refusal`: NS015 for a choice that there is not, NS020.
        """
        from netspec.report import report_page, save_page

        picture = self.diagram(**look)
        page = replace(report_page(self, picture.like), drawn_by=picture.drawn_by)
        if path is not None:
            save_page(page, path)
        return page

    def _repr_html_(self) -> str:
        """The picture in a notebook, and below it the summary; the summary alone where there is nothing that could draw."""
        try:
            picture = f'<div style="overflow: auto; max-height: 48em" tabindex="0">{self.diagram()._repr_svg_()}</div>'
        except Refusal:
            picture = ""
        return picture + self.summary()._repr_html_()

    def receptive_field(
        self, of: str | None = None, at: "Mapping[str, int] | tuple[int, ...] | int | None" = None, sizes: Mapping[str, int] | None = None
    ) -> "dict[str, dict[str, AxisField]]":  # fmt: skip
        """For each output and axis (`["mask"]["H"]`), what one position sees, in input positions: `size` (`inf`: all), `stride`,
        `padding`, `start`, `end`, `aligned`, `coverage`, `holes`, `phases`; in evaluation mode (`analyses.field`).

        `of` names an output, layer, block or bound name instead; `at` is the output position for `start` and `end` (the middle, unless
        given); `sizes` replaces typical sizes. Raises `Refusal`: NS021 for a label, NS025 for a position.

        >>> from netspec import loads
        >>> net = loads("net a { input x: [N, 3, H = 32, W = 32]; output y = x -> 2 * conv(4, 3, stride = 2, padding = 1) }")
        >>> seen = net.receptive_field()["y"]["H"]
        >>> int(seen.size), int(seen.stride), int(seen.padding)
        (7, 4, 3)
        """
        from netspec.analyses.field import receptive_field

        return receptive_field(self.graph, of, at, sizes)

    def signals(self, **options: Any) -> "Signals":
        """Predicted moments of every activation and gradient at initialization (`analyses.signal.signals`).

        Options are those of `signals`: `sizes`, `train`, `input`. `.rows()` has one `Signal` a layer: `mean`, `second`, `gradient`.

        >>> from netspec import loads
        >>> net = loads("net a { input x: [N, 64]; output y = x -> linear(64); init { linear: he_normal, bias = zeros } }")
        >>> round(net.signals()["y"].second, 3)
        2.0
        """
        from netspec.analyses.signal import signals

        return signals(self.graph, **options)

    def initial(self, method: str, data: "Mapping[str, numpy.ndarray]", seed: int = 0) -> "DataInitial":
        """Initial weights from data: `method` is `lsuv` or `data`; `data` an array an input, its examples along the first axis.

        What `build --init` writes: see `runtime.data_initial`. Raises `Refusal`: NS630 where the data tell nothing, NS720 to NS723
        for data that do not fit the inputs.
        """
        from netspec.runtime.data_initial import data_initial

        return data_initial(self.graph, method, data, seed)

    def source(self) -> str:
        """The network as stand-alone PyTorch source, which imports torch alone; the same graph gives the same bytes."""
        from netspec.backends.torch_source import write_source

        return write_source(self.graph)

    def torch(self, seed: int = 0, *, weights: File | None = None, allow_extern: bool = False) -> "torch.nn.Module":
        """The network as a `torch.nn.Module`: the source executed, parameters named by label, in training mode.

        Weights start from `seed`, bit for bit those of `onnx`, or are read strictly from a file (.safetensors or its index, .npz, .pt).
        The code that an `extern` names is imported only with `allow_extern`. Raises `Refusal`: NS620 to NS625 for a file, NS706
        and NS707 for an `extern`; ModuleNotFoundError without torch.
        """
        from netspec.backends.torch_module import build_module, load_weights
        from netspec.backends.weight_files import weights_of
        from netspec.backends.weights import arrays_of

        module = build_module(self.source(), self.graph, allow_extern=allow_extern)
        load_weights(module, arrays_of(self.graph, weights_of(self.graph, seed, weights)))
        return module

    def onnx(self, seed: int = 0, *, weights: File | None = None, **options: Any) -> "onnx.ModelProto":
        """The network as an ONNX model in memory.

        Options are those of `OnnxOptions`: `opset`, `fold`, `precision` (`fp16`, `bf16`, `int8-weights`, `int4-weights`), `io`,
        `functions`, `metadata`; and `target`, a release of onnxruntime that is to read it (`ort-1.17`). Raises `Refusal`: NS620 to
        NS625 for a weights file, NS702 past 2 GiB, NS703 for an opset, NS704 for what ONNX cannot say, NS750 for a precision, NS751
        for a target.
        """
        import onnx

        return onnx.load_from_string(self._onnx_bytes(seed, weights, options))

    def save_onnx(self, path: File, seed: int = 0, *, weights: File | None = None, **options: Any) -> None:
        """Write the network as an ONNX file, atomically; weights stream to it, and past 2 GiB into a file beside it.

        Options and `Refusal`s as in `onnx`, but for NS702; NS020 where the file cannot be written.
        """
        from netspec.backends.onnx import save
        from netspec.backends.onnx.targets import options_for
        from netspec.backends.weight_files import weights_of

        save(self.graph, path, weights_of(self.graph, seed, weights), options_for(**options))

    def export(self, path: File, seed: int = 0, *, weights: File | None = None) -> None:
        """Write the network as a program of PyTorch's, atomically: a `.pt2` of torch.export, or a `.ts` of TorchScript.

        It is in evaluation mode, holds its weights, and takes every size that the spec allows (`torch.export.load(path).module()(image)`),
        but for very small ones of a few networks: the file's `netspec.json` has the sizes. Raises `Refusal`: NS015 for another suffix,
        NS620 to NS625 for a weights file, NS755 for what torch cannot export, NS020.
        """
        from netspec.backends.weight_files import weights_of
        from netspec.runtime.torch_program import save_exported, save_scripted

        writers = {".pt2": save_exported, ".ts": save_scripted}
        write = writers.get(os.path.splitext(path)[1])
        if write is None:
            raise Refusal("NS015", f"`{path}` is no .pt2 and no .ts file", helps=("`save_onnx` writes .onnx, `source` gives .py",))
        write(self.graph, path, weights_of(self.graph, seed, weights))

    def session(
        self, seed: int = 0, *, weights: File | None = None, provider: str = "auto", model: Mapping[str, Any] | None = None, **options: Any
    ) -> "Session":  # fmt: skip
        """An onnxruntime session: `session(image=array)` gives `{"logits": array}`.

        `model` are options of `onnx` (`{"precision": "fp16"}`); `options` those of a session (`runtime.options.SessionSettings`):
        `threads`, `optimize`, `strict`, `cuda_graph`, `session_options`, `provider_options`, … Each call holds its arrays against the
        declared types and the conditions on open sizes. A provider that was asked for and cannot be used is a `Refusal` (NS730, NS731),
        never a silent run on the CPU; layers that it leaves to the CPU are `session.fallback`. `session.bind` keeps buffers for one
        choice of sizes, `session.profile` says where the time goes.

        >>> import numpy
        >>> from netspec import loads
        >>> net = loads("net a { input x: [N, 4]; output y = x -> linear(2) as fc }")
        >>> bound = net.session(provider="cpu", threads=1).bind({"N": 8})
        >>> bound(x=numpy.ones((8, 4), "float32"))["y"].shape
        (8, 2)
        """
        from netspec.runtime.session import Session

        given = dict(model or {})
        graph = self.graph if given.get("io", "fp32") == "fp32" else None  # else the file says what its inputs are
        return Session(self._onnx_bytes(seed, weights, given), provider=provider, graph=graph, **options)

    def _onnx_bytes(self, seed: int, weights: File | None, options: dict[str, Any]) -> bytes:
        from netspec.backends.onnx import model_bytes
        from netspec.backends.onnx.targets import options_for
        from netspec.backends.weight_files import weights_of

        return model_bytes(self.graph, weights_of(self.graph, seed, weights), options_for(**options))

    def verify(self, seed: int = 0, **options: Any) -> "Verdict":
        """PyTorch against onnxruntime on the same weights and inputs, node by node and end to end, over several sizes.

        Options are those of `runtime.verify.verify`: `count`, `batches`, `sizes`, `weights`, `opset`, `nodes`.
        """
        from netspec.runtime.verify import verify

        return verify(self.graph, seed=seed, **options)

    def bench(self, **options: Any) -> "Bench":
        """The same network in PyTorch and in onnxruntime, timed side by side: prints as a table, `.data()` as JSON, and
        `.save_roofline("roofline.png")` draws what each layer reaches of what the machine can do.

        Options are those of `runtime.bench.Plan`: `engines` (of eager, compile, ort), `providers`, `precisions`, `batches`, `sizes`,
        `threads`, `seconds`, `runs`, `tf32`, `seed`, `weights`, `also`. Raises `Refusal`: NS758, NS722 and NS723 for sizes.
        """
        from netspec.runtime.bench import Plan, bench

        return bench(self.graph, Plan(**options))

    # -------------------------------------------------------------------------------------------------------- training
    def train(
        self, data: "Data", out: str | None = None, *, section: str | None = None, watch: "Watch | None" = None,
        settings: Mapping[str, Any] | None = None, **options: Any,
    ) -> "Outcome":  # fmt: skip
        """Train as the spec's `train` sections say, in order, or as the named one does; the outcome of the last, with `.weights`.

        `data` is a path, or arrays by the names of inputs and targets; files go to the folder `out`, if there is one. `settings` replace
        those of the sections (`{"epochs": 3, "optimizer.lr": 0.01}`), `watch` is told every event. Options are those of
        `training.Request`: `val`, `test`, `resume`, `hardware`, `allow_code`, … Raises `Refusal` (NS356, NS80x, NS81x, NS82x).

        >>> import numpy
        >>> from netspec import loads
        >>> net = loads("net a { input x: [N, 2]; output y = x -> linear(1); train { loss = mse(y, t); optimizer = sgd(0.1) } }")
        >>> x = numpy.random.default_rng(0).normal(size=(64, 2)).astype("float32")
        >>> net.train({"x": x, "t": x.sum(1, keepdims=True)}, settings={"epochs": 40}).metrics["train.loss"] < 1e-3
        True
        """
        from netspec import training

        sections = tuple(training.overridden(one, settings or {}) for one in training.chosen(self.graph, section))
        for one in sections:
            training.check_complete(one)
            training.check_fits(self.graph, one)
        folder = os.path.dirname(self.compilation.source.path or "")
        request = training.Request(self.graph, sections, data, out=out, **{"base": folder, **options})
        logs = training.Logs()

        def tell(event: "Event") -> None:
            logs(event)
            if watch is not None:
                watch(event)

        return training.train(request, tell)

    def optimizer(self, module: "torch.nn.Module", section: str | None = None) -> "torch.optim.Optimizer":
        """The optimizer of a `train` section (the first, unless named) over the parameters of a module of this network, in groups as the
        section says; what it freezes no longer asks for gradients. Raises `Refusal`: NS356 without a section, NS820 for a name."""
        from netspec.training.optimizers import make_optimizer

        return make_optimizer(self.graph, self._section(section), module)

    def loss(self, section: str | None = None) -> "Objective":
        """The loss of a `train` section: `net.loss()(module(x), target)`; `module = …` besides where weights are penalized.

        >>> import torch
        >>> from netspec import loads
        >>> net = loads("net a { input x: [N, 2]; output y = x -> linear(1); train { loss = mse(y, t) } }")
        >>> float(net.loss()(torch.ones(3, 1), torch.zeros(3, 1)))
        1.0
        """
        from netspec.training.losses import make_objective

        return make_objective(self.graph, self._section(section))

    def schedule(self, optimizer: "torch.optim.Optimizer", section: str | None = None, steps_per_epoch: int = 1) -> "Schedule":
        """The learning rates of a `train` section over time, as a PyTorch scheduler: `step()` after each epoch, or after each update where
        an epoch has `steps_per_epoch` of them. Raises `Refusal` (NS353) for a schedule that does not fit the optimizer."""
        from netspec.training.schedules import make_schedule

        return make_schedule(self._section(section), optimizer, steps_per_epoch)

    def _section(self, name: str | None) -> "Section":
        from netspec.training.sections import chosen

        return chosen(self.graph, name)[0]
