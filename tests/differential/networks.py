"""Random valid networks as text.

A network grows by statements: one is proposed, the text is compiled, and it stays if nothing is wrong. So the operators'
own `shape` facets say what is valid, and the generator knows nothing of them. `Coverage` counts what was drawn, and makes
what was met least the likeliest.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from netspec import ops
from netspec.api import compile
from netspec.graph import Graph
from netspec.sizes.dim import evaluate
from netspec.sizes.tensor import TensorType
from netspec.source import Source
from tests.differential.arguments import call

#: what a step in the input makes a jump in the output: whole runs in float32 cannot be held against each other
JUMPS = frozenset({"argmax", "threshold", "cast", "one_hot"})
#: small enough to run in a moment
LARGEST = 20_000

INPUTS = (
    "[N, {c}, H = {a}, W = {b}]",
    "[N, {c}, H = {a}, W = {b}]",
    "[N, {c}, {a}, {b}]",
    "[2, {c}, H = {a}, {b}]",
    "[N, {c}, H = {a}, H]",
    "[N, {c}, H = {a}, 2 * H]",
    "[N, {c}, T = {a}]",
    "[N, T = {a}, {c}]",
    "[N, {c}, {a}]",
    "[N, {c}]",
    "[3, {c}]",
    "[N, {c}, D = {d}, H = {d}, W = {d}]",
    "[N, {c}, {d}, 5, W = {d}]",
    "int64 [N, T = {a}]",
    "int64 [N, {c}]",
)

SIZES = {"a": (7, 8, 9, 12), "b": (5, 6, 11), "c": (1, 2, 3, 4, 6, 8), "d": (3, 4, 5)}

#: operators of two tensors and more
MERGES = ("matmul", "maximum", "minimum", "concat", "stack", "add", "mul", "pow")
#: operators that are not proposed where there are no spatial axes
SPATIAL = frozenset(
    "conv conv_transpose local_conv max_pool avg_pool lp_pool adaptive_avg_pool adaptive_max_pool global_avg_pool global_max_pool "
    "instance_norm channel_dropout resize upsample pixel_shuffle pixel_unshuffle crop".split()
)

#: what a statement is made of: definitions before the net, statements in it, and the name that these bind
Statement = tuple[list[str], list[str], str]


@dataclass
class Coverage:
    """What was drawn so far: operators, their arguments' bins, statements; and how many proposals were refused."""

    operators: Counter[str] = field(default_factory=Counter)
    bins: Counter[tuple[str, str]] = field(default_factory=Counter)
    statements: Counter[str] = field(default_factory=Counter)
    kept: int = 0
    refused: int = 0


@dataclass(frozen=True)
class Network:
    """A valid network: its text, what it was made from, and whether small steps in make small steps out."""

    seed: int
    text: str
    graph: Graph
    smooth: bool


def network(seed: int, coverage: Coverage | None = None) -> Network:
    """The network of a seed (and of what was drawn before)."""
    writer = _Writer(random.Random(seed), coverage or Coverage())
    for _ in range(writer.rng.randrange(3, 9)):
        writer.step()
    text, graph = writer.finish()
    used = {node.op.NAME for node in graph.nodes}
    writer.coverage.operators.update(used)
    return Network(seed, text, graph, not used & JUMPS)


class _Writer:
    """A network in the making."""

    def __init__(self, rng: random.Random, coverage: Coverage) -> None:
        self.rng, self.coverage = rng, coverage
        self.head: list[str] = ["default conv(bias = false)"] if rng.random() < 0.15 else []
        self.body: list[str] = []
        self.live: dict[str, TensorType] = {}
        self.typical: dict[str, int] = {}
        self.count = 0
        self.inputs: tuple[str, ...] = ()
        shape = rng.choice(INPUTS)
        for _ in range(2 if rng.random() < 0.2 else 1):
            sizes = {axis: rng.choice(choices) for axis, choices in SIZES.items()}
            name = self.fresh()
            self.keep([], [f"input {name}: {shape.format(**sizes)}"], name)
        self.inputs = tuple(self.live)

    # ---------------------------------------------------------------------------------------------------- compiling
    def text(self, head: list[str], body: list[str], output: list[str]) -> str:
        """The whole file, with more statements and these outputs."""
        inner = [*self.body, *body, *output]
        return "\n".join([*self.head, *head, "net random {", *(f"  {line}" for line in "\n".join(inner).split("\n")), "}"]) + "\n"

    def keep(self, head: list[str], body: list[str], name: str) -> bool:
        """Add statements that bind `name`, if they are valid."""
        done = compile(Source("random.net", self.text(head, body, [f"output {name}"])))
        if done.graph is None or len(done.graph.outputs) > 1 or not self._small(done.graph):
            self.coverage.refused += 1
            return False
        self.coverage.kept += 1
        self.head += head
        self.body += body
        self.typical = done.graph.typical
        self.live[name] = done.graph.values[done.graph.outputs[0].value].type
        return True

    def _small(self, graph: Graph) -> bool:
        for value in graph.values:
            count = 1
            for size in value.shape:
                count *= size if isinstance(size, int) else evaluate(size, graph.typical)
            if not 0 < count <= LARGEST:
                return False
        return sum(w.shape[0] if w.shape else 1 for w in graph.weights) < LARGEST

    def fresh(self) -> str:
        """A new name."""
        self.count += 1
        return f"x{self.count}"

    def pick(self) -> str:
        """A tensor, most often the newest."""
        names = list(self.live)
        return names[-1] if self.rng.random() < 0.7 else self.rng.choice(names)

    # --------------------------------------------------------------------------------------------------- operators
    def operator(self, x: str) -> str:
        """A call of an operator of one tensor, the least used first."""
        type_ = self.live[x]
        taken = () if x in self.inputs else ("embedding", "one_hot")  # a computed index may be none of the table's
        unfit = SPATIAL if type_.rank < 3 else frozenset()
        names = [n for n in ops.names() if n not in taken and n not in unfit and ops.lookup(n).ARITY in (1, (1, 2), (1, None))]
        weights = [1 / (1 + self.coverage.operators[n]) for n in names]
        name = self.rng.choices(names, weights)[0]
        return call(name, self.rng, self.coverage.bins, type_, self.typical).replace("x.shape", f"{x}.shape")

    def plain(self, x: str) -> str:
        """A call that most often keeps the shape."""
        channels = self.live[x].shape[1] if self.live[x].rank > 1 else 1
        image = [f"conv({channels}, 3, padding = 1)", "bn", "batch_norm(eps = 0.01)", "max_pool(3, stride = 1, padding = 1)", "conv(4, 1)"]
        return self.rng.choice(["relu", "gelu", "tanh", "elu", "identity", "prelu", *(image if self.live[x].rank > 2 else ["linear(4)"])])

    def layers(self, x: str) -> str:
        """A layer or a chain of some."""
        chosen = [self.plain(x) if self.rng.random() < 0.5 else self.operator(x) for _ in range(self.rng.choice((1, 1, 2, 3)))]
        chain = " -> ".join(chosen)
        if self.rng.random() < 0.12:
            chain = f"2 * ({chain})"
        elif self.rng.random() < 0.08:
            chain = f"chain([{', '.join(chosen)}])"
        return chain

    # --------------------------------------------------------------------------------------------------- statements
    def step(self) -> None:
        """Add one statement, after as many proposals as it takes."""
        kinds = [m for m in dir(self) if m.startswith("make_")]
        for _ in range(30):
            kind = self.rng.choices(kinds, [4 if k in ("make_single", "make_family") else 1 for k in kinds])[0]
            x = self.pick()
            head, body, name = getattr(self, kind)(x, self.fresh())
            if self.keep(head, body, name):
                self.coverage.statements[kind[5:]] += 1
                return

    def make_layer(self, x: str, y: str) -> Statement:
        label = self.rng.choice(["", "", f" as part{self.count}", f" as part{self.count}[{self.rng.randrange(3)}]"])
        return [], [f"{y} = {x} -> ({self.layers(x)}){label}" if label else f"{y} = {x} -> {self.layers(x)}"], y

    def make_single(self, x: str, y: str) -> Statement:
        return [], [f"{y} = {x} -> {self.operator(x)}"], y

    def make_skip(self, x: str, y: str) -> Statement:
        sign = self.rng.choice(("+", "+", "++", "-", "*", "/"))
        return [], [f"{y} = {x} {sign} ({x} -> {self.layers(x)})"], y

    def make_merge(self, x: str, y: str) -> Statement:
        other, name = self.rng.choice(list(self.live)), self.rng.choice(MERGES)
        more = f", {x}" if name in ("concat", "stack") and self.rng.random() < 0.3 else ""
        argument = f"(axis = {self.rng.randrange(-2, 3)})" if name in ("concat", "stack") and self.rng.random() < 0.5 else ""
        return [], [f"{y} = ({x}, {other}{more}) -> {name}{argument}"], y

    def make_like(self, x: str, y: str) -> Statement:
        smaller = self.rng.choice(("max_pool(2)", "conv(3, 3, stride = 2, padding = 1)", "avg_pool(3, ceil_mode = true)", "crop(1)"))
        if self.rng.random() < 0.5:
            return [], [f"{y} = {x} ++ ({x} -> {smaller} -> resize(like = {x}, mode = nearest))"], y
        return [], [f"{y}s = {x} -> {smaller}", f"{y} = {y}s ++ ({x} -> crop(like = {y}s))"], y

    def make_pieces(self, x: str, y: str) -> Statement:
        calls = self.rng.choice(("chunk(2)", "split((1, {rest}))", "chunk(2, axis = -1)"))
        channels = self.live[x].shape[1] if self.live[x].rank > 1 else 2
        calls = calls.format(rest=channels - 1 if isinstance(channels, int) else 1)
        joined = self.rng.choice((f"{y}a ++ ({y}b -> relu)", f"{y}a + {y}b", f"{y}b ++ {y}a", f"{y}a * ({y}b -> sigmoid)"))
        return [], [f"{y}a, {y}b = {x} -> {calls}", f"{y} = {joined}"], y

    def make_block(self, x: str, y: str) -> Statement:
        name, inner = f"unit{self.count}", self.layers(x).replace(f"{x}.", "x.")
        skip = self.rng.choice(("y", "y", "x + y", "y ++ x"))
        head = f"block {name}(act = relu, wide = 4, tail = none) {{"
        block = [head, "  input x", f"  y = x -> {inner} -> act -> tail", f"  output {skip}", "}"]
        arguments = self.rng.choice(("", "(act = gelu)", "(act = elu(alpha = 0.5), tail = bn)", "(wide = 2)"))
        use = self.rng.choice((f"{name}{arguments}", f"2 * {name}{arguments}", f"{name} -> {name}{arguments}"))
        return ["\n".join(block)], [f"{y} = {x} -> {use}"], y

    def make_definition(self, x: str, y: str) -> Statement:
        name = f"def{self.count}"
        body = f"{self.plain(x)} -> {self.operator(x)}"
        if ".shape" in body:  # what is applied to is not known in a def
            return [], [f"{y} = {x} -> {body}"], y
        width = self.rng.choice((2, 3, 4))
        extra = " -> conv(c, k, padding = k // 2)" if self.live[x].rank > 2 else " -> linear(c * k)"
        return [f"def {name}(c, k = 3) = {body}{extra}"], [f"{y} = {x} -> {name}({width}{self.rng.choice(('', ', 1', ', k = 5'))})"], y

    def make_loop(self, x: str, y: str) -> Statement:
        times = self.rng.choice(("0..2", "2..0", "0..3", "[2, 4]"))
        inner = self.rng.choice((self.layers(x), f"{self.plain(x)} -> conv(2 * i + 1, 1)"))
        return [], [f"{y} = {x}", f"for i in {times} {{\n  {y} = {y} -> {inner.replace(f'{x}.', f'{y}.')}\n}}"], y

    def make_family(self, x: str, y: str) -> Statement:
        down, up = self.rng.choice((("max_pool(2)", "upsample(2)"), ("conv(3, 2, stride = 2)", "conv_transpose(3, 2, stride = 2)")))
        depth, join = self.rng.choice((1, 2)), self.rng.choice(("++", "++", "+"))
        return [], [
            f"{y} = {x}",
            f"for i in 0..{depth} {{\n  e{y}[i] = {y} -> {self.plain(x)}\n  {y} = e{y}[i] -> {down}\n}}",
            f"for i in {depth}..0 {{\n  {y} = e{y}[i] {join} ({y} -> {up}) -> {self.plain(x)} as dec{self.count}[i]\n}}",
        ], y  # fmt: skip

    def make_shared(self, x: str, y: str) -> Statement:
        uses = ("({x} -> {f}) + ({x} -> relu -> {f})", "{x} -> {f} -> {f}", "({x} -> {f}) ++ ({x} -> tanh -> {f})")
        return [], [f"layer s{y} = {self.layers(x)}", f"{y} = {self.rng.choice(uses).format(x=x, f=f's{y}')}"], y

    def make_decision(self, x: str, y: str) -> Statement:
        tests = ("{x}.channels > 3", "{x}.rank == 4", "{x}.rank > 2 and {x}.channels % 2 == 0", '{x}.dtype == "float32"')
        inner = [
            f"if {self.rng.choice(tests).format(x=x)} {{\n  {y} = {x} -> {self.layers(x)}\n}} else {{\n  {y} = {x} -> {self.layers(x)}\n}}"
        ]
        return [], inner, y

    def make_number(self, x: str, y: str) -> Statement:
        formulas = ("2 * {x} - 1", "1 - {x}", "-{x}", "({x} + 0.5) / 2", "{x} ^ 2", "2 ^ {x}", "{x} / 3 + {x}")
        return [], [f"{y} = {self.rng.choice(formulas).format(x=x)}"], y

    def make_source(self, x: str, y: str) -> Statement:
        rank = self.live[x].rank
        per_channel = "(1, {0}.channels".format(x) + ", 1" * (rank - 2) + ")"
        sizes = self.rng.choice((per_channel, f"({x}.shape[{rank - 1}],)", "(1,)"))
        made = self.rng.choice((f"param({sizes})", "constant(0.5)", "constant([0.25])", f"param({sizes}) as gain{self.count}"))
        return [], [f"p{y} = {made}", f"{y} = {x} {self.rng.choice('+*-')} p{y}"], y

    def make_embedding(self, x: str, y: str) -> Statement:
        if x not in self.inputs or not self.live[x].dtype.startswith("int"):
            return self.make_layer(x, y)
        return [], [f"{y} = {x} -> " + self.rng.choice(("embedding(7, 4)", "embedding(5, 6, padding_idx = 0)", "one_hot(5)"))], y

    # ------------------------------------------------------------------------------------------------------- the end
    def finish(self) -> tuple[str, Graph]:
        """The text with its outputs, initializers and promises, and its graph."""
        names = list(self.live)
        outputs = [f"output {names[-1]}"]
        if self.rng.random() < 0.3:
            outputs = [f"output first = {names[-1]}", f"output second = {self.rng.choice(names)}"]
        extras = [
            "expect params >= 0",
            "expect params < 1e9 and macs >= 0",
            "init {\n  conv: he_normal(mode = fan_out), bias = zeros\n}",
            "init {\n  linear: weight = xavier_uniform, bias = 0.5\n  x*: normal(std = 0.1)\n}",
            "where N >= 1",
        ]
        self.rng.shuffle(extras)
        for extra in [*extras[: self.rng.randrange(3)], ""]:
            text = self.text([], [], [*outputs, *([extra] if extra else [])])
            done = compile(Source("random.net", text))
            if done.graph is not None:
                return text, done.graph
        raise AssertionError(f"each statement was valid, and all together are not:\n{text}\n{done.report.diagnostics}")
