"""Expansion: from the definitions of a file to one flat graph."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from netspec import graph as g
from netspec.diagnostics.model import Report
from netspec.diagnostics.nearest import suggestion
from netspec.elaborate.build import TooLarge
from netspec.elaborate.context import Activation, Deferred, Failed
from netspec.elaborate.environment import Environment
from netspec.elaborate.finish import finish
from netspec.elaborate.modules import Modules
from netspec.elaborate.training import Training
from netspec.elaborate.values import POISON, BlockLayer, Definition, Native, Tensor, Tensors, describe
from netspec.elaborate.violations import report_violations
from netspec.elaborate.weight_names import renames_of
from netspec.limits import Limits
from netspec.record import draft
from netspec.sizes.dim import SizeTooLarge
from netspec.source import Place, Source
from netspec.syntax import tree


class Expander(Training):
    """One expansion of one net."""

    # --------------------------------------------------------------------------------------------------- variants
    def parameters(self, definition: Definition) -> dict[str, tree.Parameter]:
        """A definition's own parameters; a variant's also those of its base that it leaves open."""
        own = {p.name: p for p in definition.statement.parameters}
        statement = definition.statement
        if isinstance(statement, tree.Net) and statement.variant is not None:
            base, arguments = self._base_of(definition)
            inherited = self.parameters(base)
            given = {a.name for a in arguments if a.name} | set(list(inherited)[: sum(a.name is None for a in arguments)])
            own.update({name: p for name, p in inherited.items() if name not in given and name not in own})
        return own

    def _base_of(self, definition: Definition) -> tuple[Definition, tuple[tree.Argument, ...]]:
        """The net that a variant is made of, and the arguments that it gives it."""
        found = self._next_base(definition)
        here, steps = found[0], 0
        while isinstance(here.statement, tree.Net) and here.statement.variant is not None:
            here, steps = self._next_base(here)[0], steps + 1
            if steps >= self.limits.block_depth:
                message = f"variants are nested more than {self.limits.block_depth} deep (limit `block_depth`)"
                helps = (f"is `{definition.name}` a variant of itself?",)
                self.fail("NS007", message, definition.statement.variant.place, helps=helps)  # type: ignore[union-attr]
        return found

    def _next_base(self, definition: Definition) -> tuple[Definition, tuple[tree.Argument, ...]]:
        variant = definition.statement.variant  # type: ignore[union-attr]
        called = isinstance(variant, tree.Call)
        callee = self.evaluate(variant.function if called else variant, definition.home)  # type: ignore[union-attr]
        if not isinstance(callee, Definition) or not isinstance(callee.statement, tree.Net):
            self.fail("NS214", f"a variant is made of a net, not of {describe(callee)}", variant.place)  # type: ignore[union-attr]
        return callee, variant.arguments if called else ()  # type: ignore[union-attr]

    def lineage(self, definition: Definition) -> set[str]:
        """The names of a net, and of the nets that it is a variant of."""
        names = {definition.name}
        while isinstance(definition.statement, tree.Net) and definition.statement.variant is not None:
            definition = self._next_base(definition)[0]
            names.add(definition.name)
        return names

    def variant_layer(self, definition: Definition, values: dict[str, Any], place: Place) -> BlockLayer:
        """The base net with the arguments that the variant gives it, and what the variant adds."""
        statement = definition.statement
        assert isinstance(statement, tree.Net)
        env = definition.home.child()
        env.names.update(values)
        base, arguments = self._base_of(definition)
        known = list(self.parameters(base))
        given: dict[str, Any] = {}
        if self._gather(base.name, arguments, known, frozenset(), env, given, {}):
            raise Failed
        own = {p.name for p in statement.parameters}
        inherited = {k: v for k, v in values.items() if k in known and k not in given and k not in own}
        bound = self._with_defaults(base, self.parameters(base), {**given, **inherited})
        layer = self._of_net(base, bound, place)
        return BlockLayer(layer.definition, layer.arguments, place, definition.name, (*layer.after, (statement.body, env)))

    def _of_net(self, definition: Definition, bound: dict[str, Any], place: Place) -> BlockLayer:
        statement = definition.statement
        if isinstance(statement, tree.Net) and statement.variant is not None:
            return self.variant_layer(definition, bound, place)
        return BlockLayer(definition, tuple(bound.items()), place, definition.name)

    # ------------------------------------------------------------------------------------------------------- root
    def run_root(self, definition: Definition, given: dict[str, Any]) -> BlockLayer:
        """Run a net as the network itself. Raises `Failed` where it cannot even begin."""
        statement = definition.statement
        assert isinstance(statement, tree.Net)
        known = self.parameters(definition)
        for name in [name for name in given if name not in known]:
            del given[name]
            self.report.error("NS013", f"the net `{statement.name}` has no parameter `{name}`", helps=suggestion(name, list(known)))
        missing = [name for name, p in known.items() if p.default is None and name not in given]
        if missing:
            helps = (f"give it: `-p {missing[0]}=…`, or write a net that does: `net mine = {statement.name}({missing[0]} = …)`",)
            self.fail("NS303", f"the net `{statement.name}` needs {' and '.join(f'`{m}`' for m in missing)}", statement.place, helps=helps)
        values = self._with_defaults(definition, known, dict(given))
        layer = self._of_net(definition, values, statement.place)
        net = layer.definition.statement
        assert isinstance(net, tree.Net)
        scope = self.builder.open_scope(None, "net", statement.place, definition=layer.name, doc=statement.doc or net.doc or "")
        frame = self.builder.open_frame(scope, None, statement.place)
        home = layer.definition.home
        env = Environment(home.source, home, dict(layer.arguments))
        self.activation = Activation(layer.definition, frame, env, is_root=True)
        self.run_block(layer, self.activation)
        self._collect_outputs(self.activation, statement)
        return layer

    def _collect_outputs(self, activation: Activation, statement: tree.Net) -> None:
        taken = set(self.builder.input_names)
        if not activation.outputs and not activation.broken and self.report.ok:
            self.fail("NS210", f"the net `{statement.name}` has no `output`", statement.place)
        for name, value, place in activation.outputs:
            if value is POISON:
                continue
            assert isinstance(value, Tensor)
            if name in self.builder.input_names:
                name = None  # `x = x -> relu`, then `output x`
            chosen = name or "output"
            if name is not None and name in taken:
                self.fail("NS215", f"two outputs are called `{name}`", place)
            number = 2
            while chosen in taken:
                chosen, number = f"output{number}", number + 1
            taken.add(chosen)
            self.builder.outputs.append((chosen, value.number, place))
            activation.frame.outputs.append((chosen, value.number))

    # --------------------------------------------------------------------------------------------------- promises
    def settle(self, deferred: Deferred, facts: dict[str, Any]) -> None:
        """Decide an `expect` that waited for the finished network."""
        env = deferred.environment
        env.names = {**facts, **env.names}
        try:
            self.decide(deferred.statement.condition, env, "NS501", "expected")
        except Failed:
            pass


@draft
class Expansion:
    """The outcome: a graph (None where the spec is too broken for one), and what is still to be decided with it."""

    graph: g.Graph | None
    expander: Expander
    sources: dict[str, Source]

    @property
    def fixed(self) -> set[str]:
        """The open sizes that became numbers."""
        return self.expander.builder.fixed

    def settle(self, receptive_field: Callable[[g.Graph, int], Any]) -> None:
        """Decide the `expect`s on parameters, cost and receptive field. The cost is the one at the sizes that the file has
        written: what it says of itself stays true where somebody asks for other sizes, and is not asked where sizes became numbers."""
        if self.graph is None or self.fixed:
            return
        for deferred in self.expander.deferred:
            params, macs = totals(self.graph, deferred.path, self.expander.builder.written)
            field = Native("receptive_field", lambda t: receptive_field(self.graph, t.number))  # type: ignore[arg-type]
            if deferred.inner:
                field = Native("receptive_field", _of_a_step)
            self.expander.settle(deferred, {"params": params, "parameters": params, "macs": macs, "receptive_field": field})


def totals(graph: g.Graph, path: str = "", sizes: dict[str, int] | None = None) -> tuple[int, int]:
    """Trainable parameters, and multiply-accumulates at these sizes (the typical ones), of everything under a scope's path;
    of what is scanned, those of one step at typical sizes."""
    from math import prod

    from netspec.sizes.dim import evaluate

    inside = path + "." if path else ""
    params = sum(prod(w.shape) for w in graph.weights if w.trainable and w.name.startswith(inside))
    typical = graph.typical | (sizes or {})
    macs = 0
    for node in graph.nodes:
        if node.label.startswith(inside):
            macs += evaluate(node.op.macs(graph.types(node.inputs), graph.types(node.outputs)), typical)
        elif node.body is not None and inside.startswith(node.label + "."):
            macs += totals(graph.bodies[node.body], path)[1]
    return params, macs


def _of_a_step(tensor: Any) -> Any:
    """The receptive field of a tensor inside of a scan, which nothing that one step gives tells."""
    raise ValueError("the receptive field of what is scanned is asked for outside of it")


def expand(
    module: tree.Module, net: str, arguments: dict[str, Any], sizes: dict[str, int], report: Report, limits: Limits,
    static: Mapping[str, int] | None = None,
) -> Expansion:  # fmt: skip
    """One net of a file as a graph. Never raises on a bad spec: errors are in the report, and the graph is then None.

    `static` are open sizes that are numbers here, as if they were written so.
    """
    expander = Expander(report, limits)
    expander.typical_values, expander.fixed_sizes = dict(sizes), dict(static or {})
    sources = {module.source.name: module.source}
    with _room_to_recurse():
        try:
            modules = Modules(report, limits, expander.default_pairs, expander.run)
            env = modules.enter(module)
            sources.update((d.statement.place.source.name, d.statement.place.source) for d in modules.definitions)
            definition = env.names.get(net)
            if not isinstance(definition, Definition):
                return Expansion(None, expander, sources)
            try:
                layer = expander.run_root(definition, {k: _argument(expander, v, env) for k, v in arguments.items()})
            finally:
                report_violations(expander.violations, expander.builder, report)
            if report.ok:
                expander.initialize()
            graph = finish(expander.builder, layer.name, layer.arguments, module.source) if report.ok else None
            if graph is not None and expander.trainings:
                graph = graph.model_copy(update={"training": expander.train_sections(graph, expander.lineage(definition), module.source)})
            if graph is not None and expander.weight_sections:
                graph = graph.model_copy(update={"renames": renames_of(expander.weight_sections, graph, report)})
            return Expansion(graph if report.ok else None, expander, sources)
        except Failed:
            pass
        except (TooLarge, SizeTooLarge) as bound:
            place = expander.trail[-1].place if expander.trail else _place_of(module, net)
            report.error("NS004", str(bound), place, trail=tuple(expander.trail))
    return Expansion(None, expander, sources)


def survey(module: tree.Module, report: Report, limits: Limits) -> None:
    """Read what a file imports, defines and gives defaults to, without running any of it."""
    expander = Expander(report, limits)
    with _room_to_recurse():
        Modules(report, limits, expander.default_pairs, expander.run).enter(module)


def _argument(expander: Expander, value: Any, env: Environment) -> Any:
    """A net's argument from outside: a string that names an operator or a definition means it."""
    if isinstance(value, str):
        found = expander.find(value, Place(env.source, 0, 0), env)
        return found if not isinstance(found, (Tensor, Tensors, type(None))) and type(found) is not object else value
    return list(value) if isinstance(value, tuple) else value


def _place_of(module: tree.Module, net: str) -> Place:
    for statement in module.body:
        if isinstance(statement, tree.Net) and statement.name == net:
            return statement.place
    return Place(module.source, 0, 0)


@contextmanager
def _room_to_recurse() -> Iterator[None]:
    """Blocks nest to a bounded depth; the interpreter's own bound must not come first."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 20_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
