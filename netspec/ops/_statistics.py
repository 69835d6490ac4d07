"""What the norms share: what they store, and means and variances in ONNX."""

from __future__ import annotations

from netspec.op import ONES, ZEROS, Weight
from netspec.sizes.dim import Size
from netspec.terms import Const, In, OnnxTerm, Own, op, scalar, vector


def scale_and_bias(shape: tuple[Size, ...], dtype: str) -> tuple[Weight, Weight]:
    """The learned factor and summand of a norm, one an element of `shape`: `weight` and `bias`."""
    return Weight("weight", shape, ONES, dtype=dtype, role="scale"), Weight("bias", shape, ZEROS, dtype=dtype, role="bias")


def running_statistics(channels: Size, dtype: str) -> tuple[Weight, ...]:
    """The buffers of a norm that follows mean and variance through training, in torch's order."""
    return (
        Weight("running_mean", (channels,), ZEROS, dtype=dtype, trainable=False, role="statistic"),
        Weight("running_var", (channels,), ONES, dtype=dtype, trainable=False, role="statistic"),
        Weight("num_batches_tracked", (), ZEROS, dtype="int64", trainable=False, role="counter"),
    )


def full(count: int, value: float, dtype: str) -> Const:
    """A vector that holds one value."""
    return Const(dtype, (count,), (value,) * count)


def mean(x: OnnxTerm, axes: tuple[int, ...], opset: int) -> OnnxTerm:
    """The mean over `axes`, which stay with size 1. The axes became an input in opset 18."""
    return op("ReduceMean", x, vector(axes), keepdims=1) if opset >= 18 else op("ReduceMean", x, axes=axes, keepdims=1)


def standardized(x: OnnxTerm, axes: tuple[int, ...], eps: float, dtype: str, opset: int) -> OnnxTerm:
    """`(x - mean) / sqrt(var + eps)` over `axes`, with the variance of what is centred already: a difference of squares
    loses all digits where the mean is far greater than the deviation."""
    centred = op("Sub", x, mean(x, axes, opset))
    variance = mean(op("Mul", centred, centred), axes, opset)
    return op("Div", centred, op("Sqrt", op("Add", variance, scalar(eps, dtype))))


def per_channel(vector_of_channels: OnnxTerm, rank: int) -> OnnxTerm:
    """A vector `[C]` as `[C, 1, …]`, so that it meets axis 1 of a tensor of that rank, not its last."""
    return op("Reshape", vector_of_channels, vector((-1,) + (1,) * (rank - 2))) if rank > 2 else vector_of_channels


def scaled_by_channel(x: OnnxTerm, rank: int) -> OnnxTerm:
    """`x * weight + bias`, the operator's own, along axis 1."""
    return op("Add", op("Mul", x, per_channel(Own("weight"), rank)), per_channel(Own("bias"), rank))


def by_running_statistics(eps: float, affine: bool, channels: int, dtype: str) -> OnnxTerm:
    """Evaluation with the stored mean and variance: ONNX's BatchNormalization, which demands a scale and a bias."""
    scale, bias = (Own("weight"), Own("bias")) if affine else (full(channels, 1.0, dtype), full(channels, 0.0, dtype))
    return op("BatchNormalization", In(), scale, bias, Own("running_mean"), Own("running_var"), epsilon=eps)
