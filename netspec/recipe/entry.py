"""The contract of what a `train` section may say: an optimizer, a schedule, a loss … is one small class, as an operator is.

An entry states its arguments as Pydantic fields, in the order in which they may be given without a name, and documents itself with
the source of its formula. What it computes lives in `training`; here is only what can be known, and checked, without PyTorch.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Mapping

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from netspec.record import record
from netspec.sizes.dim import Size
from netspec.sizes.tensor import TensorType

#: what a setting of a `train` section takes
Slot = Literal[
    "optimizer", "schedule", "loss", "penalty", "metric", "augmentation", "normalization", "clip", "constraint", "stop", "scaling",
    "search", "pretrained",
]  # fmt: skip

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
#: from 0, and below 1: a decay rate, a momentum
Fraction = Annotated[float, Field(ge=0, lt=1)]
#: from 0 to 1: a probability, a share
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=10**9)]


class Entry(BaseModel):
    """Base of all entries. Fields are the arguments, in positional order; they are frozen and strictly typed (lists are tuples).

    A word without quotes that nothing in the spec is called arrives as a string (`monitor = val.loss`, `mode = max`).
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True, ser_json_inf_nan="constants")

    #: the name in the language
    NAME: ClassVar[str]
    #: which setting it is for
    SLOT: ClassVar[Slot]
    #: where its formula stands: paper and equation or algorithm, or the library whose definition it follows
    SOURCE: ClassVar[str] = ""

    def check(self) -> None:
        """What fields alone cannot say. Raises `op.Reject`, with `argument` the field at fault."""


@record
class Wanted:
    """What a tensor of the data may be: its shape (the net's own, with open sizes), and what its numbers are.

    `kind` is `index` (whole numbers in [0, below)), `float` (any number), `share` (numbers in [0, 1]), `mask` (booleans, or 0 and 1),
    or `count` (whole numbers from 0: lengths). `ignore` is a value that is allowed besides (`ignore_index`). `also` are further shapes
    that it must have at once, of other outputs that it is compared with.
    """

    kind: Literal["index", "float", "share", "mask", "count"]
    shape: tuple[Size, ...]
    below: int | None = None
    ignore: int | None = None
    also: tuple[tuple[Size, ...], ...] = ()


class Measure(Entry):
    """Base of losses and metrics: they compare tensors. Tensors come first, by position or by these names; fields follow by name."""

    #: tensors that must be given, in order: the net's outputs or inputs, or columns of the data
    TENSORS: ClassVar[tuple[str, ...]] = ("input", "target")
    #: tensors that may be given, by name (`mask = valid`)
    OPTIONAL: ClassVar[tuple[str, ...]] = ()

    def wants(self, given: Mapping[str, TensorType]) -> dict[str, tuple[Wanted, ...]]:
        """For each tensor that is not of the net, what the data may have for it: one of several forms.

        `given` has the types of those of `TENSORS` and `OPTIONAL` that are outputs or inputs of the net, by those names; what is
        written and not among them is to be found in the data, and only for those the answer counts. Raises `op.Reject` (NS354)
        where the net's tensors do not fit the measure or one another.
        """
        return {}


def write_entry(entry: Entry) -> dict[str, Any]:
    """An entry as JSON: which setting it is for, its name, and its arguments where they are not at their default."""
    return {"slot": entry.SLOT, "name": entry.NAME, "arguments": entry.model_dump(mode="json", exclude_defaults=True)}


def read_entry(value: Any) -> Entry:
    """An entry itself, or from its JSON. Raises ValueError for anything else."""
    if isinstance(value, Entry):
        return value
    if not isinstance(value, dict) or set(value) != {"slot", "name", "arguments"} or not isinstance(value["arguments"], dict):
        raise ValueError("an entry of a `train` section is needed here, such as sgd(lr = 0.1)")
    from netspec.recipe import known, lookup  # the registry imports the families, and they import this

    if value["slot"] not in known() or value["name"] not in known()[value["slot"]]:
        raise ValueError(f"there is no {value['slot']} {value['name']!r}")
    return lookup(value["slot"], value["name"]).model_validate_json(_json(value["arguments"]))


def _json(arguments: dict[str, Any]) -> str:
    """Arguments as text: Pydantic reads lists as tuples from JSON alone, where it is strict."""
    import json

    return json.dumps(arguments)


EntryField = Annotated[Any, BeforeValidator(read_entry), PlainSerializer(write_entry)]
