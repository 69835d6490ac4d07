"""From the graph to bodies: what the `forward` of each frame computes, in forms local to that frame.

A body knows nothing of the rest of the network. What it needs from outside (tensors that a chain captures, open sizes
that no axis at hand has) has become an argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from netspec import terms
from netspec.analyses.bodies import with_bodies
from netspec.backends.torch_source.expressions import Expressions
from netspec.backends.torch_source.extents import Extents
from netspec.backends.torch_source.form import (
    Apply,
    Child,
    Dot,
    Extent,
    Form,
    Literal,
    Local,
    Scan,
    Text,
    used,
    walk,
)  # fmt: skip
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph, Node
from netspec.op import Reject, Site, Weight
from netspec.sizes.dim import Dim, Size, show

Shape = tuple[Size, ...]


class SourceError(ValueError):
    """The graph cannot be written as PyTorch source; the message says why, in the words of the spec."""


@dataclass(frozen=True, slots=True)
class Loop:
    """The parts `start` to `stop` (not included) of a list of modules, each applied to what the one before gave."""

    family: tuple[str, ...]
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Step:
    """One statement: the variables it sets, and what it computes.

    `rank` says how much it is: LIGHT (a function, a norm), LAYER (has weights of its own), BLOCK (has parts); `inside`
    is the highest rank of what has been nested into it. With a `loop`, `form` is what goes into its first part.
    """

    targets: tuple[int, ...]
    form: Form
    rank: int = 0
    inside: int = 0
    loop: Loop | None = None


#: The ranks of a step.
LIGHT, LAYER, BLOCK = range(3)


@dataclass(slots=True)
class Body:
    """One `forward`: its arguments, its statements, and what it returns, as numbers of local variables.

    `captures` are the arguments that nobody declared: numbers of the graph's values, and open sizes. `names` are the
    spec's own words for variables, where it has some; `sizes` are the variables that hold an int.
    """

    inputs: list[int] = field(default_factory=list)
    captures: list[int | Dim] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    returns: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    names: dict[int, str] = field(default_factory=dict)
    sizes: set[int] = field(default_factory=set)

    def key(self) -> str:
        """Equal for bodies that one `forward` can serve."""
        return repr((self.inputs, self.steps, self.returns, sorted(self.sizes)))


def site(graph: Graph, node: Node) -> Site:
    """Where a node stands, its stored tensors with shapes in numbers."""
    stored = [graph.weights[w] for w in node.weights]
    weights = tuple(Weight(w.local, w.shape, w.init, w.fan_in, w.fan_out, w.dtype, w.trainable, w.role) for w in stored)
    return Site(graph.types(node.inputs), graph.types(node.outputs), weights)


def _term(graph: Graph, node: Node) -> terms.Torch:
    """The node in PyTorch. Raises Refusal for what its operator cannot say there (NS705)."""
    try:
        return node.op.torch(site(graph, node))
    except Reject as error:
        place = (f"{node.origin.file}:{node.origin.line}",) if node.origin else ()
        helps = (error.help,) if error.help else ()
        raise Refusal(error.code, f"{node.name} cannot be written in PyTorch: {error}", notes=place, helps=helps) from error


class Lowering:
    """All bodies of a graph, by frame, and what each node is in PyTorch."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.regions = graph, regions = with_bodies(graph)
        self.torch: list[terms.Torch] = [_term(graph, node) for node in graph.nodes]
        self.apart = {region.frame for region in regions.values()}
        self.items = _items(graph, self.apart)
        self.home = _homes(graph, self.apart)
        self.exports = _exports(graph, self.home, self.apart)
        self.bodies: dict[int, Body] = {}
        #: for each scope, its distinct bodies; for each frame, which of them it is
        self.variants: dict[int, list[Body]] = {}
        self.variant: dict[int, int] = {}
        for frame in sorted({0, *self.apart, *self.items}, key=lambda f: (-_depth(graph, f), f)):
            self._add(frame, _FrameLowering(self, frame).body())

    def labels(self, scope: int | None) -> set[str]:
        """The labels of the operators that a scope applies itself."""
        frames = [frame for frame in self.items if self.graph.frames[frame].scope == scope]
        nodes = [self.graph.nodes[n] for frame in frames for kind, n in self.items[frame] if kind == "node"]
        return {node.label.rpartition(".")[2] for node in nodes}

    def _add(self, frame: int, body: Body) -> None:
        """Keep a body; a shared block has one for all its frames, unless sizes or captured tensors make them differ."""
        self.bodies[frame] = body
        known = self.variants.setdefault(self.graph.frames[frame].scope, [])
        keys = [other.key() for other in known]
        if body.key() not in keys:
            known.append(body)
            keys.append(body.key())
        self.variant[frame] = keys.index(body.key())


def _depth(graph: Graph, frame: int) -> int:
    depth, parent = 0, graph.frames[frame].parent
    while parent is not None:
        depth, parent = depth + 1, graph.frames[parent].parent
    return depth


def _items(graph: Graph, apart: set[int]) -> dict[int, list[tuple[str, int]]]:
    """What each frame does, in order: nodes of its own, and frames inside it. Frames without any node do nothing.
    Those `apart` are run by a node, and by no frame."""
    items: dict[int, list[tuple[str, int]]] = {}
    for number, node in enumerate(graph.nodes):
        kind, member, frame = "node", number, node.frame
        while True:
            known = frame in items
            items.setdefault(frame, []).append((kind, member))
            parent = graph.frames[frame].parent
            if known or parent is None or frame in apart:
                break
            kind, member, frame = "frame", frame, parent
    return items


def _homes(graph: Graph, apart: set[int]) -> dict[int, int]:
    """The frame in which each value is made. The network's inputs are at home in frame 0, those of a frame apart in it."""
    homes = {port.value: 0 for port in graph.inputs}
    homes.update({port.value: frame for frame in apart for port in graph.frames[frame].inputs})
    for node in graph.nodes:
        homes.update(dict.fromkeys(node.outputs, node.frame))
    return homes


def _around(graph: Graph, frame: int) -> list[int]:
    """A frame and those around it, innermost first."""
    found: list[int] = []
    current: int | None = frame
    while current is not None:
        found.append(current)
        current = graph.frames[current].parent
    return found


def _exports(graph: Graph, home: dict[int, int], apart: set[int]) -> dict[int, list[int]]:
    """For each frame the values that it hands out: those it declares and makes, then others that are used outside; for one that is
    apart, all that it declares."""
    around = {frame: _around(graph, frame) for frame in range(len(graph.frames))}
    exports: dict[int, dict[int, None]] = {
        number: {p.value: None for p in frame.outputs if number in around[home[p.value]]} for number, frame in enumerate(graph.frames)
    }
    exports[0] = {}
    for node in graph.nodes:
        inside = set(around[node.frame])
        for value in node.inputs:
            for frame in around[home[value]]:
                if frame in inside:
                    break
                exports[frame].setdefault(value)
    whole = {frame: [port.value for port in graph.frames[frame].outputs] for frame in apart}
    return {frame: list(values) for frame, values in exports.items()} | whole


class _FrameLowering:
    """One frame's body while it grows."""

    def __init__(self, lowering: Lowering, frame: int) -> None:
        self.whole, self.graph = lowering, lowering.graph
        self.number, self.frame = frame, lowering.graph.frames[frame]
        self.base = self.graph.scopes[self.frame.scope].path
        self.result = Body()
        self.locals: dict[int, int] = {}
        self.extents = Extents()
        self.count = 0

    def body(self) -> Body:
        """The finished body."""
        for port in self.graph.inputs if self.number == 0 else self.frame.inputs:
            chain = self.graph.scopes[self.frame.scope].kind in ("chain", "def")
            local = self.new("" if chain else port.name)
            self.result.inputs.append(local)
            self.bind(local, port.value, keep=True)
        for kind, member in self.whole.items.get(self.number, []):
            self.result.steps.append(self.call(member) if kind == "frame" else self.node(member))
        handed = [p.value for p in self.graph.outputs] if self.number == 0 else self.whole.exports[self.number]
        self.result.outputs = tuple(handed)
        self.result.returns = tuple(self.local(value) for value in handed)
        self.name_outputs()
        self.result.steps = _live(self.result)
        return self.result

    def name_outputs(self) -> None:
        """Several named outputs name the variables that hold them, where nothing else does."""
        ports = self.graph.outputs if self.number == 0 else self.frame.outputs
        for port in ports:
            local = self.locals.get(port.value)
            if local is not None and local not in self.result.inputs and len(ports) > 1:
                self.result.names.setdefault(local, port.name)

    # ------------------------------------------------------------------------------------------------------ variables
    def new(self, name: str = "") -> int:
        """The number of a new variable."""
        local, self.count = self.count, self.count + 1
        if name:
            self.result.names[local] = name
        return local

    def bind(self, local: int, value: int, keep: bool = False) -> None:
        """A variable holds a value, whose axes are at hand from here on. `keep`: one that has it already stays its name."""
        if not keep or value not in self.locals:
            self.locals[value] = local
        self.extents.add(local, self.graph.values[value].shape)

    def local(self, value: int) -> int:
        """The variable of a value; one from outside becomes an argument."""
        if value not in self.locals:
            if self.number == 0:
                raise SourceError(f"the value {self.graph.values[value].name} is used before it is made")
            local = self.new(self.graph.values[value].hint or self.graph.values[value].name.rpartition(".")[2])
            self.result.inputs.append(local)
            self.result.captures.append(value)
            self.bind(local, value)
        return self.locals[value]

    def size(self, size: Size, near: tuple[int, ...]) -> Form:
        """A size as an expression; one that follows from nothing at hand becomes an argument."""
        shapes = tuple((self.local(v), self.graph.values[v].shape) for v in near)
        found = self.extents.find(size, shapes)
        if found is not None:
            return found
        assert isinstance(size, Dim)
        if self.number == 0:
            raise SourceError(f"the size {show(size)} does not follow from the shapes of the network's inputs")
        local = self.new(show(size).lower())
        self.result.inputs.append(local)
        self.result.captures.append(size)
        self.result.sizes.add(local)
        self.extents.add_size(local, size)
        return Local(local)

    def device(self, near: tuple[Form, ...]) -> Form:
        """The device of a variable whose sizes are read near by, of any that is at hand, or else of an input of the network."""
        read = [p.local for form in near for p in walk(form) if isinstance(p, Extent)] or list(self.locals.values())
        read = read or [self.local(port.value) for port in self.graph.inputs[:1]]
        return Dot(Local(read[0]), "device") if read else Literal(None)

    # ---------------------------------------------------------------------------------------------------------- steps
    def path(self, label: str) -> tuple[str, ...]:
        """A dotted label from here."""
        inside = f"{self.base}." if self.base else ""
        if not label.startswith(inside):
            raise SourceError(f"{label} is applied in {self.base}, which does not contain it")
        return tuple(label[len(inside) :].split("."))

    def node(self, number: int) -> Step:
        """The application of an operator."""
        if number in self.whole.regions:
            return self.scan(number)
        node, torch = self.graph.nodes[number], self.whole.torch[number]
        arguments = tuple(Local(self.local(v)) for v in node.inputs)
        if torch.forward is None:
            form: Form = Apply(Child(self.path(node.label)), arguments)
        else:
            inside = Expressions(node.op, self.size, node.inputs, arguments, self.path(node.label), torch.owns, self.device)
            form = inside.form(torch.forward)
        layer = any(self.graph.weights[w].role == "weight" for w in node.weights) and not torch.owns
        return Step(self.targets(node.outputs), form, LAYER if layer else LIGHT)

    def scan(self, number: int) -> Step:
        """The application of an operator to a body, step by step."""
        node, region = self.graph.nodes[number], self.whole.regions[number]
        frame, step = self.graph.frames[region.frame], node.op.step
        given: dict[int, tuple[str, Form]] = {}
        for index, value in enumerate(region.inputs):
            cut = index < len(step.sliced)
            role = "state" if not cut else "step" if step.sliced[index] else "same"
            start = Local(self.local(node.inputs[index])) if index < len(node.inputs) else self.zeros(node, index)
            given[value] = role, start
        states = dict(zip((port.name for port in frame.inputs if given[port.value][0] == "state"), region.outputs[step.stacked :]))
        roles, arguments = zip(*(given[port.value] for port in frame.inputs))
        results = tuple(port.name if port.name in states else "" for port in frame.outputs)
        names = tuple(port.name for port in frame.inputs)
        form = Scan(self.module(region.frame), arguments, names, roles, results, node.op.axis, node.op.reverse)
        return Step(self.targets(node.outputs), form, BLOCK)

    def zeros(self, node: Node, index: int) -> Form:
        """A state that starts as zeros, like the first input."""
        types = self.graph.types(node.inputs)
        kind = node.op.step.type(node.op.step.inputs[index], node.op.sizes(types))
        sizes = tuple(self.size(size, node.inputs) for size in kind.shape)
        dtype = () if kind.dtype == types[0].dtype else (("dtype", Text(f"torch.{kind.dtype}")),)
        return Apply(Dot(Local(self.local(node.inputs[0])), "new_zeros"), sizes, dtype)

    def targets(self, values: tuple[int, ...] | list[int]) -> tuple[int, ...]:
        """New variables for values."""
        found = []
        for value in values:
            local = self.new(self.graph.values[value].hint)
            self.bind(local, value)
            found.append(local)
        return tuple(found)

    def call(self, frame: int) -> Step:
        """The application of a module inside."""
        body, inner = self.whole.bodies[frame], self.graph.frames[frame]
        arguments: list[Form] = [Local(self.local(port.value)) for port in inner.inputs]
        for captured in body.captures:
            arguments.append(self.size(captured, ()) if isinstance(captured, Dim) else Local(self.local(captured)))
        return Step(self.targets(body.outputs), Apply(self.module(frame), tuple(arguments)), BLOCK)

    def module(self, frame: int) -> Form:
        """What is called to run a frame: its module, or another `forward` of it."""
        function = Child(self.path(self.graph.scopes[self.graph.frames[frame].scope].path))
        variant = self.whole.variant[frame]
        return Dot(function, f"forward{variant + 1}") if variant else function


def _live(body: Body) -> list[Step]:
    """The steps that something returned depends on."""
    needed, kept = set(body.returns), []
    for step in reversed(body.steps):
        if needed.intersection(step.targets):
            kept.append(step)
            needed.update(used(step.form))
    return kept[::-1]
