"""The number of channels of an input whose weights depend on it."""

from __future__ import annotations

from netspec.op import Reject
from netspec.sizes.tensor import TensorType


def channels_of(operator: str, x: TensorType) -> int:
    """The number of input channels. Rejects (NS405) an open one: weights have a fixed shape."""
    if isinstance(x.channels, int):
        return x.channels
    message = f"the weights of `{operator}` would depend on the open number of channels of {x}"
    raise Reject("NS405", message, input=0, help="write the number of channels in the type of the input")
