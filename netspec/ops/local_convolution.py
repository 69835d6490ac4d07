"""Convolution whose weights are not shared: every output position has a kernel of its own."""

from math import prod
from typing import Any, ClassVar, Literal, final

from pydantic import Field

from netspec.op import Accepts, Needs, Operator, Rejects, Site, Weight, torch_default
from netspec.ops._channels import channels_of
from netspec.ops._inputs import require_floats
from netspec.ops._padding import Amount, padded, windows
from netspec.ops._window import PerAxis, Window, spatial
from netspec.reach import All, Reach, Same
from netspec.sizes.dim import Size, product
from netspec.sizes.tensor import TensorType
from netspec.terms import Const, In, OnnxTerm, Own, Support, Torch, module, op

#: one letter an axis: those of the output, and those of the kernel
_PLACES, _TAPS = "xyz", "uvw"

LOCAL_CONV = Support(
    "LocalConv",
    '''\
class LocalConv(nn.Module):
    """A convolution with weights of its own at every output position: `weight[*position]` is what `nn.ConvNd` would have."""

    def __init__(
        self, in_channels, channels, size, kernel, stride, padding, dilation, bias=True
    ):
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.padding, self.dilation = padding, dilation
        self.weight = nn.Parameter(torch.empty(*size, channels, in_channels, *kernel))
        self.bias = nn.Parameter(torch.empty(channels, *size)) if bias else None
        bound = 1 / math.sqrt(in_channels * math.prod(kernel))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x):
        x = F.pad(x, [side for sides in reversed(self.padding) for side in sides])
        steps = zip(self.kernel, self.stride, self.dilation)
        for axis, (taps, stride, dilation) in enumerate(steps, start=2):
            x = x.unfold(axis, dilation * (taps - 1) + 1, stride)[..., ::dilation]
        places, taps = "xyz"[: len(self.kernel)], "uvw"[: len(self.kernel)]
        equation = f"nc{places}{taps},{places}oc{taps}->no{places}"
        y = torch.einsum(equation, x, self.weight)
        return y if self.bias is None else y + self.bias
''',
)


@final
class LocalConv(Operator):
    """A locally connected layer: a convolution that learns a kernel for every output position (LeCun, 1989).

    Input `[N, C, L]`, `[N, C, H, W]` or `[N, C, D, H, W]`; output `[N, channels, …]`, sized as for `conv`. `weight` is
    `[out…, channels, C, kernel…]`: `weight[i, j]` is the weight that `conv` would have, for the output position (i, j).
    `bias` is `[channels, out…]`, one number for each place of the output. So the output's size is fixed: an open input
    is held at its typical size, or at those that give as many positions.

    padding: zeros around; a number, an entry an axis, pairs `(before, after)`, `same` or `valid`, as for `conv`.

    PyTorch: a module of its own, on `Tensor.unfold` and `einsum`. ONNX: `Gather` by constant tables of indices, `Einsum`.
    """

    NAME: ClassVar[str] = "local_conv"
    FAMILY: ClassVar[str] = "conv"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("local_conv(4, 3)", ("[N, 2, H = 6, W = 5]",), "[N, 4, H - 2, W - 2]"),
        Accepts(
            "local_conv(4, 3, stride = 2, padding = same, bias = false)",
            ("[N, 2, H = 6, W = 5]",),
            "[N, 4, (H - 1) // 2 + 1, (W - 1) // 2 + 1]",
        ),
        Accepts("local_conv(3, 2, dilation = 2, padding = (1, 0))", ("[N, 4, 7]",), "[N, 3, 6]"),
        Accepts("local_conv(2, (1, 2, 3), (1, 2, 1), ((0, 0), (1, 0), (1, 1)))", ("[2, 2, 2, 3, 4]",), "[2, 2, 2, 2, 4]"),
        Rejects("local_conv(4, 3)", ("[N, 3]",), "NS401"),
        Rejects("local_conv(4, 3)", ("[N, 3, 2]",), "NS402"),
        Rejects("local_conv(4, 3)", ("int64 [N, 3, 9]",), "NS403"),
        Rejects("local_conv(4, 3)", ("[N, C = 3, 9]",), "NS405"),
        Rejects("local_conv(4, 3, padding = same_upper)", ("[N, 3, 9]",), "NS310"),
        Rejects("local_conv(4, (3, 3))", ("[N, 3, 9]",), "NS310"),
    )

    channels: int = Field(gt=0, description="number of output channels")
    kernel: PerAxis = Field(description="size of the kernel, one number or one an axis")
    stride: PerAxis = Field(1, description="step between outputs")
    padding: Amount | tuple[Amount | tuple[Amount, Amount], ...] | Literal["same", "valid"] = Field(0, description="zeros around")
    dilation: PerAxis = Field(1, description="step between the taps of the kernel")
    bias: bool = Field(True, description="add a learned number at each place of the output")

    def _windows(self, x: TensorType) -> tuple[Window, ...]:
        return windows(self.padding, self.kernel, self.stride, self.dilation, x.spatial)

    def _size(self, x: TensorType) -> tuple[Size, ...]:
        return tuple(w.output(n) for w, n in zip(self._windows(x), x.spatial))

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The batch, `channels`, and an output length an axis."""
        (x,) = inputs
        require_floats(self.NAME, x)
        sizes = spatial(self.NAME, x)
        channels_of(self.NAME, x)
        for window, n in zip(self._windows(x), sizes):
            window.check(n, need)
        return x.with_shape((x.shape[0], self.channels, *self._size(x)))

    def params(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        """`weight`, and `bias` unless it is left out."""
        (x,) = inputs
        found = self._windows(x)
        taps = tuple(w.kernel for w in found)
        into, size = channels_of(self.NAME, x), self._size(x)
        fan_in = into * prod(taps)
        fan_out = self.channels * prod(taps)
        weight = Weight("weight", (*size, self.channels, into, *taps), torch_default(fan_in), fan_in, fan_out, x.dtype)
        bias = Weight("bias", (self.channels, *size), torch_default(fan_in), dtype=x.dtype, role="bias")
        return (weight, bias) if self.bias else (weight,)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """A window along each spatial axis; all channels."""
        axes = (w.reach(a) for a, w in enumerate(self._windows(inputs[0]), start=2))
        return (Reach(((Same(0), All(1), *axes),)),)

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> Size:
        """Every weight is used once for each example."""
        return outputs[0].shape[0] * product(self.params(inputs)[0].shape)

    def torch(self, site: Site) -> Torch:
        """A module that the generated file carries."""
        found = self._windows(site.input)
        named: dict[str, Any] = {} if self.bias else {"bias": False}
        size = site.weight().shape[: len(found)]
        sides = tuple((w.before, w.after) for w in found)
        lists = (tuple(getattr(w, name) for w in found) for name in ("kernel", "stride"))
        dilation = tuple(w.dilation for w in found)
        built = module(LOCAL_CONV, site.input.channels, self.channels, size, *lists, sides, dilation, **named)
        return Torch(built, supports=(LOCAL_CONV,))

    def onnx(self, site: Site) -> OnnxTerm:
        """Each spatial axis is gathered into two, position and tap, which `Einsum` multiplies with the weights."""
        found = self._windows(site.input)
        x = padded(In(), found, site)
        for index, (window, count) in enumerate(zip(found, site.weight().shape)):
            assert isinstance(count, int)
            x = op("Gather", x, _table(window, count), axis=2 + 2 * index)
        places, taps = _PLACES[: len(found)], _TAPS[: len(found)]
        gathered = "".join(p + t for p, t in zip(places, taps))
        y = op("Einsum", x, Own("weight"), equation=f"nc{gathered},{places}oc{taps}->no{places}")
        return op("Add", y, Own("bias")) if self.bias else y


def _table(window: Window, count: int) -> Const:
    """Which elements of the padded axis each position takes: `[count, kernel]`."""
    indices = tuple(o * window.stride + j * window.dilation for o in range(count) for j in range(window.kernel))
    return Const("int64", (count, window.kernel), indices)
