"""What flows along an edge: a shape of sizes, and an element type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netspec.record import record
from netspec.sizes.dim import Size, product, show

#: The element types, with the bytes of one element.
DTYPES: Mapping[str, int] = {
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "float64": 8,
    "int64": 8,
    "int32": 4,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}


@record
class TensorType:
    """The type of a tensor: batch first, then channels, then the spatial axes, as PyTorch lays them out."""

    shape: tuple[Size, ...]
    dtype: str = "float32"

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def channels(self) -> Size:
        """Axis 1. Raises ValueError where there is none."""
        return self._axis(1, "channels", 2)

    @property
    def spatial(self) -> tuple[Size, ...]:
        """The axes after the channels, from the outermost."""
        return self.shape[2:]

    @property
    def height(self) -> Size:
        """The last axis but one, of at least four. Raises ValueError on fewer."""
        return self._axis(-2, "height", 4)

    @property
    def width(self) -> Size:
        """The last of at least four axes. Raises ValueError on fewer."""
        return self._axis(-1, "width", 4)

    @property
    def length(self) -> Size:
        """The last axis. Raises ValueError on a scalar."""
        return self._axis(-1, "length", 1)

    def with_shape(self, shape: tuple[Size, ...]) -> TensorType:
        """The same element type, another shape."""
        return replace(self, shape=tuple(shape))

    def _axis(self, index: int, what: str, rank: int) -> Size:
        if len(self.shape) < rank:
            raise ValueError(f"a tensor of shape {self} has no {what}: that takes at least {rank} axes")
        return self.shape[index]

    def __str__(self) -> str:
        axes = f"[{', '.join(map(show, self.shape))}]"
        return axes if self.dtype == "float32" else f"{self.dtype} {axes}"


def count(tensor: TensorType) -> Size:
    """The number of elements."""
    return product(tensor.shape)
