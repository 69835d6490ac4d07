"""What an expression can be worth while a spec is expanded: numbers, sizes, tensors and layers.

Integers, floats, booleans, strings, lists, tuples, None and symbolic sizes stand for themselves. The classes here are
the rest: tensors (a value of the graph under construction) and layers (something that can be applied to tensors).
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Callable, Union

from netspec.op import Operator
from netspec.record import draft, record
from netspec.sizes.dim import Size
from netspec.sizes.tensor import TensorType
from netspec.source import Place
from netspec.syntax import tree

if TYPE_CHECKING:
    from netspec.elaborate.environment import Environment


class Poison:
    """What stands for a value that could not be made. Its error has been reported; whatever meets it stays silent."""

    def __repr__(self) -> str:
        return "poison"


POISON = Poison()


@record
class Tensor:
    """A value of a graph: its number and its type. `step` tells the graphs of scanned steps apart; 0 is the network's own."""

    number: int
    type: TensorType
    step: int = 0

    def __str__(self) -> str:
        return str(self.type)


@record
class Tensors:
    """Several outputs of one layer, by name where they have one."""

    names: tuple[str | None, ...]
    items: tuple[Tensor | Poison, ...]


@draft
class Family:
    """`e` after `e[0] = …`: values by index."""

    name: str
    members: dict[Any, Any] = field(default_factory=dict)


# ------------------------------------------------------------------------------------------------------------ layers
@record
class Definition:
    """A block, net, def or extern as it stands in a file, with the environment in which it was written."""

    statement: tree.Block | tree.Net | tree.Def | tree.Extern
    home: "Environment"

    @property
    def name(self) -> str:
        """The name it was given where it is defined."""
        return self.statement.name


@record
class OperatorRef:
    """The bare name of an operator: a layer with every argument at its default, or something to call.

    `defaults` are those that `default` statements give it where its name stands, as (argument, value) pairs.
    """

    operator: type[Operator]
    defaults: tuple[tuple[tree.Argument, Any], ...]
    place: Place


@record
class OperatorLayer:
    """An operator with its arguments. `tensors` are those of its arguments that are tensors (`resize(like = e)`).

    `init` is what `init = …` said for this layer; `marks` are the places of its arguments, for diagnostics.
    """

    operator: Operator
    place: Place
    tensors: tuple[Tensor, ...] = ()
    init: Any = None
    marks: tuple[tuple[str, Place], ...] = ()


@record
class BlockLayer:
    """A block or a net with its arguments bound.

    `name` labels it where nothing else does: the block's, or the variant's by which it was called. `after` are the
    statements that variants add (`expect`, `init`), each with the environment in which they were written.
    """

    definition: Definition
    arguments: tuple[tuple[str, Any], ...]
    place: Place
    name: str
    after: tuple[tuple[tuple[tree.Stmt, ...], "Environment"], ...] = ()


@record
class DefLayer:
    """The layer that a def gave: one part in a chain, labelled by the def's name where nothing else labels it."""

    name: str
    layer: "Layer"
    arguments: tuple[tuple[str, Any], ...]
    place: Place


@record
class Native:
    """A function of the compiler's own, such as `receptive_field`, where an `expect` may ask for it."""

    name: str
    function: Callable[..., Any]


@record
class Chain:
    """`A -> B -> C`: its parts, none of them a chain itself."""

    parts: tuple["Layer", ...]
    place: Place


@record
class Labelled:
    """`layer as label`; dots in the label nest."""

    layer: "Layer"
    label: str
    place: Place


@draft
class SharedLayer:
    """`layer f = L`: one set of weights. `path` is the label under which they are stored, `frame` where it was made."""

    label: str
    layer: "Layer"
    frame: Any
    place: Place
    applications: int = 0


@record
class ScanLayer:
    """`scan(block, over = T)`: a block applied step by step. `over` is the number of steps, by which the axis is found where
    `axis` does not say it; `marks` are the places of the arguments."""

    block: BlockLayer
    axis: int | None
    over: Size | None
    reverse: bool
    states: bool
    place: Place
    label: str | None = None
    marks: tuple[tuple[str, Place], ...] = ()


Layer = Union[OperatorRef, OperatorLayer, Definition, BlockLayer, DefLayer, Chain, Labelled, SharedLayer, ScanLayer]
LAYERS = (OperatorRef, OperatorLayer, Definition, BlockLayer, DefLayer, Chain, Labelled, SharedLayer, ScanLayer)


def parts(layer: Layer | None) -> tuple[Layer, ...]:
    """What a layer contributes to a chain: a chain its parts, `none` nothing, everything else itself."""
    if layer is None:
        return ()
    return layer.parts if isinstance(layer, Chain) else (layer,)


def describe(value: Any) -> str:
    """What a value is, in the words of the language, for messages."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return f"the number {value}"
    if isinstance(value, float):
        return f"the number {value:g}"
    if isinstance(value, str):
        return f'the string "{value}"'
    if value is None:
        return "none"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, Tensor):
        return f"a tensor {value.type}"
    if isinstance(value, Tensors):
        return f"{len(value.items)} tensors"
    if isinstance(value, Family):
        return f"the family `{value.name}`"
    if isinstance(value, LAYERS):
        return "a layer"
    return f"the size {value}"
