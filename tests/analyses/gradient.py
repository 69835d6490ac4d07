"""The gradient oracle: which input positions an output position depends on, as PyTorch's own derivative says.

The generated module runs in float64 as the linear network that has its paths and nothing that hides one: activations and
norms over channels are the identity, maxima are means, products are sums, every weight is the same positive number. Then
no two paths cancel, and an input position is seen exactly where the gradient of a seeded output is not zero. Nothing here
knows of `netspec.reach`: convolution, padding, pooling, interpolation and slicing are torch's.

Since all weights are equal, a convolution is one of the mean over its channels, widened again without copying; so
networks of a hundred million parameters are differentiated in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from netspec.api import Net
from netspec.backends.torch_module import build_module
from netspec.sizes.dim import evaluate

#: taps of an interpolation that are smaller are rounding, not taps
_ROUNDING = 1e-9


class Gradient:
    """A network made linear once, to be asked for many positions. Its batch must be open: each position is a sample."""

    def __init__(self, net: Net) -> None:
        graph = net.graph
        self.typical = graph.typical
        self.shapes = [graph.values[p.value].shape for p in graph.inputs]
        self.outputs = [p.name for p in graph.outputs]
        self.batch = str(self.shapes[0][0])
        assert self.batch in self.typical, "each position is a sample: the batch must be open"
        self.module = _constant(build_module(net.source(), graph).double().eval())

    def value(self, of: str | None, samples: int, sizes: Mapping[str, int]) -> tuple[Tensor, Tensor]:
        """The first input, and what layer or output `of` gives for it. What follows the layer is not run."""
        env = {**self.typical, **sizes, self.batch: samples}
        inputs = [torch.ones([evaluate(s, env) for s in shape], dtype=torch.float64) for shape in self.shapes]
        return inputs[0].requires_grad_(), _value(self.module, inputs, of, self.outputs)

    def length(self, of: str | None, axis: int, sizes: Mapping[str, int]) -> int:
        """How long an axis of a value is."""
        with torch.no_grad():
            return int(self.value(of, 1, sizes)[1].shape[axis])

    def seen(self, of: str | None, positions: Iterable[int], axis: int, sizes: Mapping[str, int]) -> list[set[int]]:
        """For each position along `axis` of what `of` gives, the positions of the first input along the same axis that it
        depends on. All positions along the other axes are seeded together."""
        wanted = list(positions)
        image, value = self.value(of, len(wanted), sizes)
        seeds = torch.zeros(value.shape, dtype=torch.float64)
        for sample, position in enumerate(wanted):
            seeds[sample].select(axis - 1, position).fill_(1.0)
        (gradient,) = torch.autograd.grad(value, image, seeds)
        hits = (gradient != 0).sum(dim=[a for a in range(1, gradient.ndim) if a != axis])
        return [set(torch.nonzero(row).flatten().tolist()) for row in hits]


def seen_by_gradient(net: Net, of: str | None, positions: Iterable[int], axis: int, sizes: Mapping[str, int]) -> list[set[int]]:
    """For each of `positions` along `axis` of what layer or output `of` gives (None: the first output), the positions of the
    first input that it depends on. `of` is the label of a layer that is a module, or an output's name; `sizes` are values of
    the open sizes."""
    return Gradient(net).seen(of, positions, axis, sizes)


class _Reached(Exception):
    """The layer that was asked for has run: the rest of the network need not."""


def _value(module: nn.Module, inputs: Sequence[Tensor], of: str | None, outputs: list[str]) -> Tensor:
    """What a layer or an output gives, of the linearized network."""
    found: list[Tensor] = []

    def stop(_: nn.Module, __: Any, result: Tensor) -> None:
        found.append(result)
        raise _Reached

    layers = dict(module.named_modules())
    hook = layers[of].register_forward_hook(stop) if of in layers and of not in outputs else None
    with Linear():
        try:
            result = module(*inputs)
        except _Reached:
            return found[0]
        finally:
            if hook is not None:
                hook.remove()
    return result[outputs.index(of) if of in outputs else 0] if isinstance(result, tuple) else result


def _constant(module: nn.Module) -> nn.Module:
    """Every parameter a one of its shape, without storage for it."""
    one = torch.ones((), dtype=torch.float64)
    for part in module.modules():
        for name, parameter in list(part._parameters.items()):
            if parameter is not None:
                part._parameters[name] = nn.Parameter(one.expand(parameter.shape), requires_grad=False)
    return module


class Linear(TorchFunctionMode):
    """A mode in which torch's functions are those of the linear network with the same paths. What it does not know is an
    error, so that nothing nonlinear slips through."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.__name__.strip("_")
        if name in _KEPT:
            return func(*args, **(kwargs or {}))
        if name in _IDENTITY:
            return args[0]
        if name in _LINEAR:
            return _LINEAR[name](func, *args, **(kwargs or {}))
        raise NotImplementedError(f"{name} has no linear form in the oracle")


# ------------------------------------------------------------------------------------------------ layers with weights
def _thin(x: Tensor, groups: int) -> Tensor:
    """The mean over the channels of each group."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]).mean(2)


def _wide(y: Tensor, channels: int) -> Tensor:
    """Each group's channel as all the channels that it stands for."""
    groups = y.shape[1]
    return y.unsqueeze(2).expand(-1, -1, channels // groups, *y.shape[2:]).reshape(y.shape[0], channels, *y.shape[2:])


def _taps(x: Tensor, kernel: Sequence[int]) -> Tensor:
    return x.new_ones((x.shape[1], 1, *kernel)) / torch.Size(kernel).numel()


def _conv(
    func: Any, x: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    x = _thin(x, groups)
    return _wide(func(x, _taps(x, weight.shape[2:]), None, stride, padding, dilation, groups), weight.shape[0])


def _transposed(
    func: Any, x: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Tensor:  # fmt: skip
    x = _thin(x, groups)
    y = func(x, _taps(x, weight.shape[2:]), None, stride, padding, output_padding, groups, dilation)
    return _wide(y, weight.shape[1] * groups)


def _linear(func: Any, x: Tensor, weight: Tensor, bias: Any = None) -> Tensor:
    return x.mean(-1, keepdim=True).expand(*x.shape[:-1], weight.shape[0])


# ------------------------------------------------------------------------------------------------------------- pools
def _max_pool(
    func: Any, x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:  # fmt: skip
    """The mean over each window, which torch's own maximum counts out."""
    axes = x.ndim - 2
    kernel, pads, gaps = (v if isinstance(v, tuple) else (v,) * axes for v in (kernel_size, padding, dilation))
    steps = kernel if stride in (None, ()) else stride if isinstance(stride, tuple) else (stride,) * axes
    pooled = func(x.detach(), kernel_size, stride, padding, dilation, ceil_mode=ceil_mode).shape[2:]
    border: list[int] = []
    for n, m, k, s, p, d in reversed(list(zip(x.shape[2:], pooled, kernel, steps, pads, gaps))):
        border += [p, max(0, (m - 1) * s + d * (k - 1) + 1 - n - p)]
    flat = F.pad(x.reshape(-1, 1, *x.shape[2:]), border)
    y = getattr(F, f"conv{axes}d")(flat, _taps(flat, kernel), None, steps, 0, gaps)
    return y[(..., *(slice(m) for m in pooled))].reshape(*x.shape[:2], *pooled)


def _adaptive_max_pool(func: Any, x: Tensor, size: Any, *_: Any, **__: Any) -> Tensor:
    return getattr(F, f"adaptive_avg_pool{x.ndim - 2}d")(x, size)


def _lp_pool(func: Any, x: Tensor, norm: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    return getattr(F, f"avg_pool{x.ndim - 2}d")(x, kernel_size, stride, 0, ceil_mode)


def _reduced(func: Any, x: Tensor, dim: Any = None, keepdim: bool = False, **_: Any) -> Tensor:
    """A mean in the place of a maximum, a product, …"""
    return x.mean(dim=tuple(range(x.ndim)) if dim is None else dim, keepdim=keepdim)


# ------------------------------------------------------------------------------------------------- norms and attention
def _along(func: Any, x: Tensor, dim: Any = -1, *_: Any, **__: Any) -> Tensor:
    """Softmax: each position of the axis sees all of it."""
    return x.mean(dim, keepdim=True).expand_as(x)


def _layer_norm(func: Any, x: Tensor, shape: Sequence[int], *_: Any, **__: Any) -> Tensor:
    return x.mean(tuple(range(-len(shape), 0)), keepdim=True).expand_as(x)


def _group_norm(func: Any, x: Tensor, groups: int, *_: Any, **__: Any) -> Tensor:
    parts = x.reshape(x.shape[0], groups, -1)
    return parts.mean(2, keepdim=True).expand_as(parts).reshape(x.shape)


def _instance_norm(func: Any, x: Tensor, *args: Any, use_input_stats: bool = True, **_: Any) -> Tensor:
    return x.mean(tuple(range(2, x.ndim)), keepdim=True).expand_as(x) if (args[4] if len(args) > 4 else use_input_stats) else x


def _batch_norm(
    func: Any, x: Tensor, mean: Any, var: Any, weight: Any = None, bias: Any = None, training: bool = False, *_: Any, **__: Any
) -> Tensor:  # fmt: skip
    assert not training, "statistics over the batch mix the samples, which are the oracle's positions"
    return x


# --------------------------------------------------------------------------------------------------------- resampling
def _interpolate(
    func: Any, x: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: Any = None,
    antialias: bool = False, **_: Any,
) -> Tensor:  # fmt: skip
    """Each axis by torch's own matrix for it, with positive taps: cubic ones are of both signs and might cancel."""
    axes = x.ndim - 2
    for place in range(axes):
        matrix = _matrix(func, x.shape, place, size, scale_factor, mode, align_corners, antialias)
        x = torch.movedim(torch.movedim(x, 2 + place, -1) @ matrix.T, -1, 2 + place)
    return x


def _matrix(
    func: Any, shape: torch.Size, place: int, size: Any, scale_factor: Any, mode: str, align_corners: Any, antialias: bool
) -> Tensor:  # fmt: skip
    """`[out, in]`: how one axis is interpolated while the others have their true sizes."""
    axes, n = len(shape) - 2, shape[2 + place]
    basis = torch.eye(n, dtype=torch.float64).reshape(n, 1, *(n if a == place else 1 for a in range(axes)))
    basis = basis.expand(n, 1, *shape[2:])
    arguments = {"align_corners": align_corners} if align_corners is not None else {}
    if antialias:
        arguments["antialias"] = True
    y = func(basis, size=size, scale_factor=scale_factor, mode=mode, **arguments)
    middle = tuple(slice(None) if a == place else y.shape[2 + a] // 2 for a in range(axes))
    matrix = y[(slice(None), 0, *middle)].T.abs()
    return torch.where(matrix > _ROUNDING, matrix, torch.zeros_like(matrix))


# ------------------------------------------------------------------------------------------------------------- merges
def _merged(func: Any, x: Any, y: Any, *_: Any, **__: Any) -> Any:
    """Two tensors are added, whatever the sign; a number changes nothing."""
    if not isinstance(x, Tensor) or not isinstance(y, Tensor):
        return x if isinstance(x, Tensor) else y
    return x + y


def _halves(func: Any, x: Tensor, dim: int = -1) -> Tensor:
    left, right = x.chunk(2, dim)
    return left + right


#: linear with positive weights already, or about shapes
_KEPT = frozenset(
    "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d mean sum cat concat stack chunk "
    "split tensor_split getitem flatten reshape view permute transpose movedim squeeze unsqueeze expand pad pixel_shuffle "
    "pixel_unshuffle unfold einsum size dim select narrow contiguous double float to unflatten flip roll repeat_interleave "
    "broadcast_to is_floating_point matmul get".split()
)
#: functions of one number: what they are told of is where they look, not how
_IDENTITY = frozenset(
    "relu relu6 gelu silu elu celu selu mish softplus hardtanh hardswish hardsigmoid sigmoid tanh leaky_relu prelu softsign logsigmoid "
    "threshold dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout local_response_norm abs exp log sqrt neg clamp "
    "clamp_min clamp_max positive weight_norm".split()
)
_LINEAR: dict[str, Callable[..., Any]] = {
    **{f"conv{d}d": _conv for d in (1, 2, 3)},
    **{f"conv_transpose{d}d": _transposed for d in (1, 2, 3)},
    **{f"max_pool{d}d": _max_pool for d in (1, 2, 3)},
    **{f"lp_pool{d}d": _lp_pool for d in (1, 2, 3)},
    **{f"adaptive_max_pool{d}d": _adaptive_max_pool for d in (1, 2, 3)},
    **dict.fromkeys(("add", "sub", "mul", "div", "true_divide", "rsub", "radd", "rmul", "rdiv", "rtruediv", "truediv"), _merged),
    **dict.fromkeys(("maximum", "minimum", "pow", "rpow"), _merged),
    **dict.fromkeys(("amax", "amin", "prod", "logsumexp"), _reduced),
    **dict.fromkeys(("softmax", "log_softmax"), _along),
    "linear": _linear, "layer_norm": _layer_norm, "rms_norm": _layer_norm, "group_norm": _group_norm, "instance_norm": _instance_norm,
    "batch_norm": _batch_norm, "interpolate": _interpolate, "upsample": _interpolate, "glu": _halves,
}  # fmt: skip
