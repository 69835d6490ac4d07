"""The graph: the waist of the compiler. Left of it is text; right of it nobody knows that there was text.

Flat and topologically ordered, with a tree of scopes (which instance of which block each node stands in) and the frames
in which they ran (a shared block has one scope and a frame for every application). Frozen, versioned, and exactly
reproduced by its JSON.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, PlainSerializer

from netspec.op import Initializer
from netspec.ops._layer import OperatorField
from netspec.origin import Origin, Record
from netspec.recipe.section import Section
from netspec.sizes.dim import Dim, Size, parse, show
from netspec.sizes.solve import Condition
from netspec.sizes.tensor import TensorType


def fresh(name: str, taken: set[str], mark: str = ":") -> str:
    """`name`, or with a number behind a mark where something is called so; it is taken from then on."""
    chosen, count = name, 1
    while chosen in taken:
        count += 1
        chosen = f"{name}{mark}{count}"
    taken.add(chosen)
    return chosen


def _read_size(value: Any) -> Size:
    if isinstance(value, Dim) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str):
        return parse(value)
    raise ValueError("a size is an integer or an expression such as 'H // 2'")


SizeField = Annotated[Any, BeforeValidator(_read_size), PlainSerializer(lambda s: s if isinstance(s, int) else show(s))]


class OpenSize(Record):
    """A size that stays open until the network runs, with its typical value."""

    name: str
    typical: int


class Value(Record):
    """A tensor in the graph. Its number is its place in `Graph.values`; `name` is unique and made of labels.

    `hint` is what the author called it where it was bound (`y`), for readable code; empty where nobody named it.
    """

    name: str
    hint: str = ""
    dtype: str
    shape: tuple[SizeField, ...]

    @property
    def type(self) -> TensorType:
        """Dtype and shape as the operators know them."""
        return TensorType(self.shape, self.dtype)


class Port(Record):
    """An input or output of the network, or of a frame: its name and the number of its value."""

    name: str
    value: int
    origin: Origin | None = None


class Tensor(Record):
    """A stored tensor: parameter or buffer (`trainable` False), named as in a state dict."""

    name: str
    local: str
    shape: tuple[int, ...]
    dtype: str
    init: Initializer
    fan_in: float
    fan_out: float
    trainable: bool
    role: str
    origin: Origin | None = None


class Scope(Record):
    """A module: an instance of a block, def, net, chain or family of labels. Scope 0 is the network itself.

    `label` is its own part of the dotted name, `path` the whole. `kind` is `net`, `block`, `def`, `chain` or `family`
    (the `dec` of `dec[0]`); `definition` the name of what it is an instance of, `arguments` what that was given.
    """

    label: str
    path: str
    parent: int | None
    kind: Literal["net", "block", "def", "chain", "family"]
    definition: str = ""
    arguments: tuple[tuple[str, Any], ...] = ()
    doc: str = ""
    origin: Origin | None = None


class Frame(Record):
    """One application of a scope: what went in, what came out, and the frame in which it happened. Frame 0 is the net's."""

    scope: int
    parent: int | None
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    origin: Origin | None = None


class Node(Record):
    """One application of an operator.

    `label` is the dotted name under which it stores its tensors, `name` the same made unique (`f` and `f:2` for the two
    applications of a shared layer). `inputs` and `outputs` number values, `weights` numbers `Graph.weights`. A node with a
    `body`, which numbers `Graph.bodies`, is a region: it runs that graph (`scan`, once a step).
    """

    name: str
    label: str
    op: OperatorField
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    weights: tuple[int, ...] = ()
    frame: int = 0
    origin: Origin | None = None
    body: int | None = None


class Requirement(Record):
    """A condition on the open sizes, the words for it, and the place and node that ask for it."""

    relation: Literal["==", ">="]
    left: SizeField
    right: SizeField
    code: str
    reason: str
    node: str = ""
    origin: Origin | None = None

    @property
    def condition(self) -> Condition:
        """The condition itself."""
        return Condition(self.relation, self.left, self.right)


class Rename(Record):
    """What names of a weights file become before they are held against the network's: `module.*` becomes `*`."""

    old: str
    new: str
    origin: Origin | None = None


class Graph(Record):
    """A whole network. `weights` are in the order of a state dict; `nodes` in the order in which they were written.

    `bodies` are the graphs that nodes run inside (`Node.body`). A body stands alone: its sizes are names that the shapes of its
    inputs tell. Its labels and its weights' names are those of the whole network, which has its weights among its own.
    `training` are the `train` sections, in the order in which they are run; `renames` those of the `weights` section, of which the
    first that fits a name applies (`renaming.Renames`).
    """

    format: Literal["netspec.graph"] = "netspec.graph"
    version: Literal[1] = 1
    name: str
    doc: str = ""
    arguments: tuple[tuple[str, Any], ...] = ()
    source: str = ""
    digest: str = ""
    sizes: tuple[OpenSize, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    values: tuple[Value, ...]
    nodes: tuple[Node, ...]
    weights: tuple[Tensor, ...]
    scopes: tuple[Scope, ...]
    frames: tuple[Frame, ...]
    requirements: tuple[Requirement, ...] = ()
    bodies: tuple["Graph", ...] = ()
    training: tuple[Section, ...] = ()
    renames: tuple[Rename, ...] = ()

    @property
    def typical(self) -> dict[str, int]:
        """The typical value of every open size."""
        return {s.name: s.typical for s in self.sizes}

    def all_nodes(self) -> Iterator[Node]:
        """Every node, those of bodies behind the node that runs them."""
        for node in self.nodes:
            yield node
            if node.body is not None:
                yield from self.bodies[node.body].all_nodes()

    def all_bodies(self) -> Iterator["Graph"]:
        """The bodies, and theirs."""
        for body in self.bodies:
            yield body
            yield from body.all_bodies()

    def types(self, numbers: tuple[int, ...]) -> tuple[TensorType, ...]:
        """The types of the values of these numbers."""
        return tuple(self.values[n].type for n in numbers)

    def write(self) -> str:
        """The graph as JSON; `Graph.read` gives back an equal one, whose JSON is the same to the byte."""
        return self.model_dump_json()

    @classmethod
    def read(cls, text: str) -> "Graph":
        """A graph from its JSON. Raises pydantic's `ValidationError` for anything else."""
        return cls.model_validate_json(text)
