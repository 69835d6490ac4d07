"""Convolution, its transpose, and convolution whose weights are not shared."""

from math import prod
from typing import Any, ClassVar, final

from pydantic import Field

from netspec.op import Accepts, Needs, Operator, Reject, Rejects, Site, Weight, torch_default
from netspec.ops._channels import channels_of
from netspec.ops._inputs import require_floats
from netspec.ops._padding import Amount, Mode, Padding, check_inside, numbers, padded, padded_torch, windows
from netspec.ops._window import PerAxis, Window, per_axis, plain, spatial
from netspec.reach import All, Reach, Same, Transposed
from netspec.sizes.dim import Size, ceil_div, product
from netspec.sizes.tensor import TensorType
from netspec.terms import In, OnnxTerm, Own, Self, Torch, call, module, op


def _check_groups(groups: int, into: int, out: int, need: Needs) -> None:
    need.divides(groups, into, "the groups do not divide the input's channels")
    need.divides(groups, out, "the groups do not divide the output's channels")


def _bias(channels: tuple[Size, ...], fan: Size, dtype: str) -> Weight:
    return Weight("bias", channels, torch_default(fan), dtype=dtype, role="bias")


def _sliding(found: tuple[Window, ...], mode: str = "zeros") -> tuple[Reach, ...]:
    return (Reach(((Same(0), All(1), *(w.reach(a, mode) for a, w in enumerate(found, start=2))),)),)


@final
class Conv(Operator):
    """Convolution (cross-correlation, as everywhere in deep learning) over one, two or three spatial axes.

    Input `[N, C, L]`, `[N, C, H, W]` or `[N, C, D, H, W]`; output `[N, channels, …]` with
    `floor((n + before + after - dilation (kernel - 1) - 1) / stride) + 1` positions an axis. `weight` is
    `[channels, C / groups, kernel…]`, `bias` `[channels]`.

    kernel, stride, dilation: one number, or one an axis.
    padding: a number; an entry an axis, each a number or `(before, after)`; `valid` (none); `same`, torch's (`e - 1` in
        all for a dilated kernel of extent `e`, an odd rest after, at any stride); `same_upper`, TensorFlow's (as little
        as `ceil(n / stride)` outputs take, an odd rest after). Both give `ceil(n / stride)`; they differ where stride > 1.
    padding_mode: what stands there: `zeros`, `reflect`, `replicate` or `circular`.
    groups: channels are split into so many groups that do not see each other; `groups = x.channels` is depthwise.

    PyTorch: `nn.Conv1d`, `nn.Conv2d`, `nn.Conv3d`, after an `F.pad` where their padding cannot say it. ONNX: `Conv` with
    explicit pads, after a `Pad` for the other modes and for pads that depend on an open size.
    """

    NAME: ClassVar[str] = "conv"
    FAMILY: ClassVar[str] = "conv"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("conv(8, 3, padding = 1)", ("[N, 3, H = 9, W = 7]",), "[N, 8, H, W]", "nn.Conv2d(3, 8, 3, padding=1)"),
        Accepts("conv(8, 7, stride = 2, padding = 3)", ("[N, 3, H = 12, W = 9]",), "[N, 8, (H - 1) // 2 + 1, (W - 1) // 2 + 1]"),
        Accepts(
            "conv(6, 3, dilation = 2, bias = false)", ("[N, 4, T = 11]",), "[N, 6, T - 4]", "nn.Conv1d(4, 6, 3, dilation=2, bias=False)"
        ),
        Accepts("conv(4, (1, 3, 2), stride = (1, 2, 1))", ("[2, 2, 3, 7, W = 5]",), "[2, 4, 3, 3, W - 1]"),
        Accepts("conv(8, 3, padding = 1, groups = 4)", ("[N, 4, 6, W = 5]",), "[N, 8, 6, W]", "nn.Conv2d(4, 8, 3, padding=1, groups=4)"),
        Accepts("conv(4, (3, 4), padding = same)", ("[N, 2, H = 6, W = 7]",), "[N, 4, H, W]", "nn.Conv2d(2, 4, (3, 4), padding='same')"),
        Accepts("conv(4, 4, stride = 2, padding = same)", ("[N, 2, H = 6, W = 7]",), "[N, 4, (H - 1) // 2 + 1, (W - 1) // 2 + 1]"),
        Accepts("conv(4, 3, stride = 2, padding = same_upper)", ("[N, 2, H = 6, W = 7]",), "[N, 4, (H + 1) // 2, (W + 1) // 2]"),
        Accepts("conv(4, 2, stride = 3, padding = same_upper, dilation = 2)", ("[N, 2, T = 7]",), "[N, 4, (T + 2) // 3]"),
        Accepts("conv(4, 3, padding = ((1, 2), (0, 1)))", ("[N, 2, H = 5, W = 6]",), "[N, 4, H + 1, W - 1]"),
        Accepts("conv(4, 2, padding = (1, 0), dilation = 1)", ("[N, 2, T = 5]",), "[N, 4, T]"),
        Accepts("conv(4, 3, padding = (2, 1), padding_mode = reflect)", ("[N, 2, H = 5, W = 4]",), "[N, 4, H + 2, W]"),
        Accepts("conv(4, 3, padding = ((2, 1), 3), padding_mode = replicate)", ("[N, 2, H = 5, W = 4]",), "[N, 4, H + 1, W + 4]"),
        Accepts("conv(4, 4, padding = same, padding_mode = circular)", ("[N, 2, H = 5, W = 4]",), "[N, 4, H, W]"),
        Accepts("conv(4, 3, 2, same_upper, padding_mode = circular)", ("[N, 2, T = 6]",), "[N, 4, (T + 1) // 2]"),
        Accepts("conv(2, 3, padding = 1, padding_mode = reflect)", ("[N, 2, D = 3, H = 4, W = 5]",), "[N, 2, D, H, W]"),
        Rejects("conv(8, 3)", ("[N, 3]",), "NS401"),
        Rejects("conv(8, 3)", ("[N, 3, 2, 9]",), "NS402"),
        Rejects("conv(8, 3)", ("[N, 3, H = 2, 9]",), "NS402"),
        Rejects("conv(8, 3, dilation = 4, padding = 1)", ("[N, 3, 6]",), "NS402"),
        Rejects("conv(8, 3)", ("int64 [N, 3, 9, 9]",), "NS403"),
        Rejects("conv(8, 3, groups = 2)", ("[N, 3, 9, 9]",), "NS404"),
        Rejects("conv(9, 3, groups = 2)", ("[N, 4, 9, 9]",), "NS404"),
        Rejects("conv(8, 3)", ("[N, C = 3, 9, 9]",), "NS405"),
        Rejects("conv(8, 3, padding = 4, padding_mode = reflect)", ("[N, 3, 4, 9]",), "NS402"),
        Rejects("conv(8, (3, 3))", ("[N, 3, 9]",), "NS310"),
        Rejects("conv(0, 3)", ("[N, 3, 9]",), "NS310"),
        Rejects("conv(8, 3, padding = half)", ("[N, 3, 9]",), "NS310"),
        Rejects("conv(8, 3, padding = -1)", ("[N, 3, 9]",), "NS310"),
    )

    channels: int = Field(gt=0, description="number of output channels")
    kernel: PerAxis = Field(description="size of the kernel, one number or one an axis")
    stride: PerAxis = Field(1, description="step between outputs")
    padding: Padding = Field(0, description="numbers, pairs (before, after), `same`, `same_upper` or `valid`")
    dilation: PerAxis = Field(1, description="step between the taps of the kernel")
    groups: int = Field(1, gt=0, description="groups of channels that do not see each other")
    bias: bool = Field(True, description="add a learned number a channel")
    padding_mode: Mode = Field("zeros", description="what the padding holds")

    def _windows(self, x: TensorType) -> tuple[Window, ...]:
        return windows(self.padding, self.kernel, self.stride, self.dilation, x.spatial)

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The batch, `channels`, and an output length an axis."""
        (x,) = inputs
        require_floats(self.NAME, x)
        sizes = spatial(self.NAME, x)
        _check_groups(self.groups, channels_of(self.NAME, x), self.channels, need)
        found = self._windows(x)
        check_inside(found, sizes, self.padding_mode, need)
        if self.padding in ("same", "same_upper"):
            return x.with_shape((x.shape[0], self.channels, *(ceil_div(n, w.stride) for w, n in zip(found, sizes))))
        for window, n in zip(found, sizes):
            window.check(n, need)
        return x.with_shape((x.shape[0], self.channels, *(w.output(n) for w, n in zip(found, sizes))))

    def params(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        """`weight`, and `bias` unless it is left out."""
        (x,) = inputs
        found = self._windows(x)
        taps = tuple(w.kernel for w in found)
        into = channels_of(self.NAME, x) // self.groups
        fan_in = into * prod(taps)
        fan_out = self.channels / self.groups * prod(taps)
        weight = Weight("weight", (self.channels, into, *taps), torch_default(fan_in), fan_in, fan_out, x.dtype)
        return (weight, _bias((self.channels,), fan_in, x.dtype)) if self.bias else (weight,)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """A window along each spatial axis; all channels."""
        return _sliding(self._windows(inputs[0]), self.padding_mode)

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> Size:
        """Every output sums `C / groups · taps` products."""
        return product(outputs[0].shape) * product(self.params(inputs)[0].shape[1:])

    def torch(self, site: Site) -> Torch:
        """The module of torch, with `F.pad` around it where it needs help."""
        found = self._windows(site.input)
        named: dict[str, Any] = {}
        if any(w.stride != 1 for w in found):
            named["stride"] = plain([w.stride for w in found])
        inside = self._torch_padding(found)
        if inside:
            named["padding"] = inside
        if any(w.dilation != 1 for w in found):
            named["dilation"] = plain([w.dilation for w in found])
        if self.groups != 1:
            named["groups"] = self.groups
        if not self.bias:
            named["bias"] = False
        if inside and self.padding_mode != "zeros":
            named["padding_mode"] = self.padding_mode
        kernel = plain([w.kernel for w in found])
        built = module(f"nn.Conv{len(found)}d", site.input.channels, self.channels, kernel, **named)
        return Torch(built, None if inside is not None else call(Self(), padded_torch(In(), found, self.padding_mode)))

    def _torch_padding(self, found: tuple[Window, ...]) -> Any:
        """What the torch module takes as `padding`; None where it must be put around the input before."""
        if self.padding in ("same", "same_upper") and all(w.stride == 1 for w in found):
            return "same"
        if all(isinstance(w.before, int) and w.before == w.after for w in found):
            return plain([w.before for w in found])
        return None

    def onnx(self, site: Site) -> OnnxTerm:
        """One node, its pads written out."""
        found = self._windows(site.input)
        pads = numbers(found) if self.padding_mode == "zeros" else None
        x = In() if pads else padded(In(), found, site, self.padding_mode)
        return op(
            "Conv",
            x,
            Own("weight"),
            *((Own("bias"),) if self.bias else ()),
            kernel_shape=tuple(w.kernel for w in found),
            strides=tuple(w.stride for w in found),
            dilations=tuple(w.dilation for w in found),
            pads=pads or (0,) * (2 * len(found)),
            group=self.groups,
        )


@final
class ConvTranspose(Operator):
    """Transposed convolution: every input writes a kernel into the output, `stride` apart, and overlaps add up.

    Input `[N, C, L]`, `[N, C, H, W]` or `[N, C, D, H, W]`; output `[N, channels, …]` with
    `(n - 1) stride - before - after + dilation (kernel - 1) + 1 + output_padding` positions an axis. `weight` is
    `[C, channels / groups, kernel…]` (inputs first, unlike `conv`), `bias` `[channels]`.

    padding: what is cut off the border, a number or an entry an axis, each a number or `(before, after)`.
    output_padding: so much less is cut at the end, to choose among the sizes that a strided `conv` maps to one; smaller
        than the stride or the dilation.

    PyTorch: `nn.ConvTranspose1d`, `2d`, `3d`; cut on after it where before and after differ. ONNX: `ConvTranspose`.
    """

    NAME: ClassVar[str] = "conv_transpose"
    FAMILY: ClassVar[str] = "conv"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts(
            "conv_transpose(4, 2, stride = 2)", ("[N, 3, H = 5, W = 4]",), "[N, 4, 2 * H, 2 * W]", "nn.ConvTranspose2d(3, 4, 2, stride=2)"
        ),
        Accepts("conv_transpose(4, 4, stride = 2, padding = 1)", ("[N, 6, T = 5]",), "[N, 4, 2 * T]"),
        Accepts("conv_transpose(4, 3, 2, 1, 1)", ("[N, 3, H = 5, W = 4]",), "[N, 4, 2 * H, 2 * W]"),
        Accepts("conv_transpose(6, 3, (2, 3), groups = 2, bias = false)", ("[N, 4, H = 5, W = 4]",), "[N, 6, 2 * H + 1, 3 * W]"),
        Accepts("conv_transpose(3, 3, dilation = 2, output_padding = 1)", ("[N, 2, H = 5, W = 4]",), "[N, 3, H + 5, W + 5]"),
        Accepts("conv_transpose(3, 3, stride = 2, padding = 1, dilation = 4, output_padding = 3)", ("[N, 2, T = 4]",), "[N, 3, 2 * T + 8]"),
        Accepts(
            "conv_transpose(3, 4, stride = 3, padding = (1, 2), output_padding = (2, 1))", ("[N, 2, 5, W = 4]",), "[N, 3, 16, 3 * W - 2]"
        ),
        Accepts("conv_transpose(3, 3, stride = 2, padding = ((0, 1), (1, 0)))", ("[N, 2, H = 5, W = 4]",), "[N, 3, 2 * H, 2 * W]"),
        Accepts(
            "conv_transpose(3, 3, stride = 2, padding = ((2, 1), 0), output_padding = 1)", ("[N, 2, H = 5, 4]",), "[N, 3, 2 * H - 1, 10]"
        ),
        Accepts("conv_transpose(2, (2, 3, 2), stride = 2)", ("[N, 2, 2, H = 3, W = 4]",), "[N, 2, 4, 2 * H + 1, 2 * W]"),
        Rejects("conv_transpose(4, 2)", ("[N, 3]",), "NS401"),
        Rejects("conv_transpose(4, 2, padding = 2)", ("[N, 3, 3, 9]",), "NS402"),
        Rejects("conv_transpose(4, 2, padding = 2)", ("[N, 3, H = 3, 9]",), "NS402"),
        Rejects("conv_transpose(4, 2)", ("bool [N, 3, 9]",), "NS403"),
        Rejects("conv_transpose(4, 2, groups = 2)", ("[N, 3, 9]",), "NS404"),
        Rejects("conv_transpose(4, 2)", ("[N, C = 3, 9]",), "NS405"),
        Rejects("conv_transpose(4, 3, stride = 2, output_padding = 2)", ("[N, 3, 9]",), "NS310"),
        Rejects("conv_transpose(4, 3, padding = same)", ("[N, 3, 9]",), "NS310"),
    )

    channels: int = Field(gt=0, description="number of output channels")
    kernel: PerAxis = Field(description="size of the kernel, one number or one an axis")
    stride: PerAxis = Field(1, description="step between the places where inputs write")
    padding: Amount | tuple[Amount | tuple[Amount, Amount], ...] = Field(0, description="what is cut off the border")
    output_padding: Amount | tuple[Amount, ...] = Field(0, description="so much less is cut at the end")
    groups: int = Field(1, gt=0, description="groups of channels that do not see each other")
    bias: bool = Field(True, description="add a learned number a channel")
    dilation: PerAxis = Field(1, description="step between the taps of the kernel")

    def _windows(self, x: TensorType) -> tuple[Window, ...]:
        return windows(self.padding, self.kernel, self.stride, self.dilation, x.spatial)

    def _longer(self, x: TensorType) -> tuple[int, ...]:
        return per_axis(self.output_padding, x.rank - 2, "output_padding")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The batch, `channels`, and an output length an axis."""
        (x,) = inputs
        require_floats(self.NAME, x)
        sizes = spatial(self.NAME, x)
        _check_groups(self.groups, channels_of(self.NAME, x), self.channels, need)
        lengths = []
        for window, n, longer in zip(self._windows(x), sizes, self._longer(x)):
            if longer >= max(window.stride, window.dilation):
                message = f"an output_padding of {longer} is not smaller than the stride or the dilation"
                raise Reject("NS310", message, argument="output_padding")
            lengths.append((n - 1) * window.stride + window.extent + longer - window.before - window.after)
            need.at_least(lengths[-1], 1, "the padding cuts off the whole output")
        return x.with_shape((x.shape[0], self.channels, *lengths))

    def params(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        """`weight`, and `bias` unless it is left out."""
        (x,) = inputs
        found = self._windows(x)
        taps = tuple(w.kernel for w in found)
        into, out = channels_of(self.NAME, x), self.channels // self.groups
        fan_in = into / self.groups * prod(taps) / prod(w.stride for w in found)
        fan_out = out * prod(taps)
        weight = Weight("weight", (into, out, *taps), torch_default(fan_out), fan_in, fan_out, x.dtype)
        return (weight, _bias((self.channels,), fan_out, x.dtype)) if self.bias else (weight,)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """A window along each spatial axis; all channels."""
        found = enumerate(self._windows(inputs[0]), start=2)
        axes = (Transposed(a, w.kernel, w.stride, _fixed(w.before), w.dilation) for a, w in found)
        return (Reach(((Same(0), All(1), *axes),)),)

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> Size:
        """Every input is multiplied by `channels / groups · taps` weights."""
        return product(inputs[0].shape) * product(self.params(inputs)[0].shape[1:])

    def torch(self, site: Site) -> Torch:
        """The module of torch, with `F.pad` around it where it needs help."""
        x = site.input
        found, longer = self._windows(x), self._longer(x)
        named: dict[str, Any] = {}
        if any(w.stride != 1 for w in found):
            named["stride"] = plain([w.stride for w in found])
        even = all(w.before == w.after for w in found)
        if even and any(w.before for w in found):
            named["padding"] = plain([w.before for w in found])
        if any(longer):
            named["output_padding"] = plain(longer)
        if self.groups != 1:
            named["groups"] = self.groups
        if not self.bias:
            named["bias"] = False
        if any(w.dilation != 1 for w in found):
            named["dilation"] = plain([w.dilation for w in found])
        kernel = plain([w.kernel for w in found])
        built = module(f"nn.ConvTranspose{len(found)}d", x.channels, self.channels, kernel, **named)
        cut = tuple(-_fixed(side) for w in reversed(found) for side in (w.before, w.after))
        return Torch(built) if even else Torch(built, call("F.pad", call(Self(), In()), cut))

    def onnx(self, site: Site) -> OnnxTerm:
        """One node, its pads written out."""
        found, longer = self._windows(site.input), self._longer(site.input)
        if any(longer[i] >= w.stride for i, w in enumerate(found)):
            return self._lengthened(found, longer, site)
        return self._node(In(), found, longer)

    def _lengthened(self, found: tuple[Window, ...], longer: tuple[int, ...], site: Site) -> OnnxTerm:
        """onnxruntime refuses an output_padding that is not smaller than the stride. Zeros behind the input lengthen the
        output by the stride each and add nothing to it; what is then too long is cut."""
        zeros = [max(0, -(-(more - _fixed(w.after)) // w.stride)) for w, more in zip(found, longer)]
        ends = [_fixed(w.after) - more + z * w.stride for w, more, z in zip(found, longer, zeros)]
        x = padded(In(), [Window(1, after=z) for z in zeros], site)
        cut = tuple(Window(w.kernel, w.stride, w.dilation, w.before, end) for w, end in zip(found, ends))
        return self._node(x, cut, (0,) * len(cut))

    def _node(self, x: OnnxTerm, found: tuple[Window, ...], longer: tuple[int, ...]) -> OnnxTerm:
        return op(
            "ConvTranspose",
            x,
            Own("weight"),
            *((Own("bias"),) if self.bias else ()),
            kernel_shape=tuple(w.kernel for w in found),
            strides=tuple(w.stride for w in found),
            dilations=tuple(w.dilation for w in found),
            pads=numbers(found),
            output_padding=longer,
            group=self.groups,
        )


def _fixed(side: Size) -> int:
    """Padding that is written is never symbolic."""
    assert isinstance(side, int)
    return side
