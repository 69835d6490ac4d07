"""A `train` section as data: what the compiler made of the text, checked, with every name resolved."""

from typing import Any, Literal

from pydantic import Field

from netspec.origin import Origin, Record
from netspec.recipe.entry import EntryField


class Reference(Record):
    """A tensor that a loss or a metric names: an output or an input of the net, or a column of the data (`target`).

    Of weights (`l1(weights)`), `name` is `weights` (all that multiply: neither biases nor scales of norms), `parameters` (all
    that train), or a selector.
    """

    kind: Literal["output", "input", "target", "weights"]
    name: str


class Term(Record):
    """One summand of the loss, `factor * loss(tensors)`, or one metric. `tensors` pairs the measure's own names with what was written;
    it is empty where a metric leaves them to be those of the loss."""

    factor: float = 1.0
    measure: EntryField
    tensors: tuple[tuple[str, Reference], ...] = ()
    origin: Origin | None = None


class Section(Record):
    """One `train` section. Selectors are label globs, parameter names or operators (`selection.selected`)."""

    name: str = ""
    loss: tuple[Term, ...] = ()
    optimizer: EntryField | None = None
    schedule: tuple[EntryField, ...] = ()
    batch: int = Field(32, ge=1)
    epochs: int = Field(10, ge=1)
    accumulate: int = Field(1, ge=1)
    seed: int = 0
    no_decay: tuple[str, ...] = ()
    rates: tuple[tuple[str, float], ...] = ()
    freeze: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    weights: EntryField | None = None
    augment: tuple[EntryField, ...] = ()
    normalize: tuple[tuple[str, EntryField], ...] = ()
    one_hot: tuple[str, ...] = ()
    split: tuple[float, ...] = ()
    stop: EntryField | None = None
    metrics: tuple[Term, ...] = ()
    clip: EntryField | None = None
    max_norm: EntryField | None = None
    scale_lr: EntryField | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    search: tuple[tuple[str, EntryField], ...] = ()
    origin: Origin | None = None
    origins: tuple[tuple[str, Origin], ...] = ()

    def where(self, setting: str) -> Origin | None:
        """Where a setting was written, if it was."""
        return dict(self.origins).get(setting)

    def with_settings(self, **changes: Any) -> "Section":
        """The section with other values of some settings."""
        return self.model_copy(update=changes)
