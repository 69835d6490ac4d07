"""Pooling over windows that slide: the largest, the mean, the p-norm."""

from math import prod
from typing import Any, ClassVar, final

from pydantic import Field

from netspec.op import Accepts, Limitation, Needs, Operator, Reject, Rejects, Site
from netspec.ops._inputs import require_floats
from netspec.ops._padding import Padding, numbers, padded, padded_torch, windows
from netspec.ops._window import DROPS_NAN, PerAxis, Window, plain, spatial
from netspec.reach import Reach, Same
from netspec.sizes.dim import ceil_div
from netspec.sizes.tensor import TensorType
from netspec.terms import Const, In, Infix, Module, OnnxTerm, Op, Self, SizeVec, Torch, TorchTerm, call, module, op, scalar

_WORDS = ("same", "same_upper")


class _Pool(Operator):
    """What the three pools share: a window along each spatial axis."""

    def _windows(self, x: TensorType) -> tuple[Window, ...]:
        raise NotImplementedError

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """A window along each spatial axis, of the same channel."""
        found = self._windows(inputs[0])
        return (Reach(((Same(0), Same(1), *(w.reach(a) for a, w in enumerate(found, start=2))),)),)


def _output(x: TensorType, found: tuple[Window, ...], need: Needs, ceil_mode: bool, padding: Padding = 0, whole: bool = True) -> TensorType:
    """The batch, the channels, and the number of windows along each axis. `whole`: torch wants room for the kernel without padding."""
    for window, n in zip(found, x.spatial):
        _check_padding(window)
        if x.rank == 5 and whole and _even(found):
            need.at_least(n, window.kernel, "torch takes no kernel larger than the input itself over three axes")
        if window.dilation > 1 and window.before != 0:
            need.at_least(n, window.dilation, "a dilated window would see nothing but padding")
    if ceil_mode and padding in _WORDS:
        raise Reject("NS310", f"`{padding}` keeps every window that starts inside already", argument="ceil_mode")
    if padding in _WORDS:
        return x.with_shape((*x.shape[:2], *(ceil_div(n, w.stride) for w, n in zip(found, x.spatial))))
    if ceil_mode and any(w.before != w.after for w in found):
        raise Reject("NS310", "`ceil_mode` goes with the same padding before and after", argument="ceil_mode")
    lengths = []
    for window, n in zip(found, x.spatial):
        if ceil_mode:
            lengths.append(_rounded_up(window).output(n))
            need.at_least(lengths[-1], 1, "no window starts inside the input")
        else:
            window.check(n, need)
            lengths.append(window.output(n))
    return x.with_shape((*x.shape[:2], *lengths))


def _arguments(found: tuple[Window, ...], ceil_mode: bool) -> dict[str, Any]:
    """The arguments of torch's module, as one would write them. Padding that differs before and after is not among them."""
    named: dict[str, Any] = {}
    if any(w.stride != w.kernel for w in found):
        named["stride"] = plain([w.stride for w in found])
    if _even(found) and any(w.before for w in found):
        named["padding"] = plain([w.before for w in found])
    if any(w.dilation != 1 for w in found):
        named["dilation"] = plain([w.dilation for w in found])
    if ceil_mode:
        named["ceil_mode"] = True
    return named


def _even(found: tuple[Window, ...]) -> bool:
    """Whether torch's own padding can say it: a number, the same before and after."""
    return all(isinstance(w.before, int) and w.before == w.after for w in found)


def _built(name: str, found: tuple[Window, ...], *first: Any, **named: Any) -> Module:
    return module(f"nn.{name}{len(found)}d", *first, plain([w.kernel for w in found]), **named)


def _check_padding(window: Window) -> None:
    """torch's rule, which keeps a window from standing on nothing but padding."""
    for side in (window.before, window.after):
        if isinstance(side, int) and 2 * side > window.extent:
            message = f"a padding of {side} is more than half of the window of {window.extent}"
            raise Reject("NS310", message, argument="padding")


def _rounded_up(window: Window) -> Window:
    """The window whose padding after, in plain arithmetic, gives the positions of `ceil_mode`.

    Rounding up asks for `stride - 1` more elements; but torch drops a last window that would start in the padding after,
    so that no more than `extent - 1` elements can stand behind the last start. With `a' = min(a + stride - 1, extent - 1)`
    the number of positions is `floor((n + b + a' - e) / stride) + 1` for every n.
    """
    assert isinstance(window.after, int)
    after = min(window.after + window.stride - 1, window.extent - 1)
    return Window(window.kernel, window.stride, window.dilation, window.before, after)


def _pooled(op_type: str, x: OnnxTerm, found: tuple[Window, ...], pads: tuple[int, ...], **more: Any) -> Op:
    shape = {"kernel_shape": tuple(w.kernel for w in found), "strides": tuple(w.stride for w in found), "pads": pads}
    return op(op_type, x, **shape, **more)


@final
class MaxPool(_Pool):
    """The largest element of each window.

    Input `[N, C, L]`, `[N, C, H, W]` or `[N, C, D, H, W]`; output `[N, C, …]` with
    `floor((n + before + after - dilation (kernel - 1) - 1) / stride) + 1` positions an axis. With `ceil_mode` the
    division is rounded up, and a last window that would start in the padding after is dropped.

    kernel, stride, dilation: one number, or one an axis; `stride = none` is the kernel.
    padding: what stands around counts as minus infinity; a number, an entry an axis, pairs `(before, after)`, `same` or
        `same_upper` as for `conv`; at most half of the window.

    PyTorch: `nn.MaxPool1d`, `2d`, `3d`. ONNX: `MaxPool` with explicit pads and without `ceil_mode`, whose rule for the last
    window the engines disagree on: a larger padding at the end says the same.
    """

    NAME: ClassVar[str] = "max_pool"
    FAMILY: ClassVar[str] = "pool"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("max_pool(2)", ("[N, 3, H = 8, W = 7]",), "[N, 3, H // 2, W // 2]", "nn.MaxPool2d(2)"),
        Accepts("max_pool(3, stride = 2, padding = 1)", ("[N, 3, H = 8, W = 7]",), "[N, 3, (H - 1) // 2 + 1, (W - 1) // 2 + 1]"),
        Accepts(
            "max_pool(3, 2, ceil_mode = true)", ("[N, 3, H = 8, W = 7]",), "[N, 3, H // 2, W // 2]", "nn.MaxPool2d(3, 2, ceil_mode=True)"
        ),
        Accepts("max_pool(2, 2, padding = 1, ceil_mode = true)", ("[N, 3, H = 8, W = 7]",), "[N, 3, H // 2 + 1, W // 2 + 1]"),
        Accepts("max_pool((3, 2), stride = (1, 2), dilation = 2)", ("[N, 3, H = 8, W = 7]",), "[N, 3, H - 4, (W - 1) // 2]"),
        Accepts("max_pool(2, 5, dilation = 3, ceil_mode = true)", ("[N, 2, T = 11]",), "[N, 2, (T - 1) // 5 + 1]"),
        Accepts("max_pool(2, 2, same)", ("[N, 3, T = 7]",), "[N, 3, (T + 1) // 2]"),
        Accepts("max_pool(3, 2, same_upper)", ("[N, 3, H = 8, W = 7]",), "[N, 3, (H + 1) // 2, (W + 1) // 2]"),
        Accepts("max_pool(3, 2, same_upper)", ("[N, 3, 8, 9]",), "[N, 3, 4, 5]"),
        Accepts("max_pool(4, 4, same_upper)", ("[N, T = 5, 2 * T]",), "[N, T, (T + 1) // 2]"),
        Accepts("max_pool(3, 1, ((1, 0), (0, 1)))", ("[N, 3, H = 8, W = 7]",), "[N, 3, H - 1, W - 1]"),
        Accepts("max_pool(3, 2, padding = 2, dilation = 2, ceil_mode = true)", ("[N, 3, T = 8]",), "[N, 3, T // 2 + 1]"),
        Accepts("max_pool((1, 2, 2))", ("[N, 2, 3, H = 4, W = 5]",), "[N, 2, 3, H // 2, W // 2]"),
        Rejects("max_pool(2)", ("[N, 3]",), "NS401"),
        Rejects("max_pool(3)", ("[N, 3, 2, 9]",), "NS402"),
        Rejects("max_pool(3)", ("[N, 3, H = 2, 9]",), "NS402"),
        Rejects("max_pool(2)", ("int64 [N, 3, 8]",), "NS403"),
        Rejects("max_pool(3, padding = 2)", ("[N, 3, 8]",), "NS310"),
        Rejects("max_pool(3, padding = (0, 1), ceil_mode = true)", ("[N, 3, 8]",), "NS310"),
        Rejects("max_pool(3, padding = same, ceil_mode = true)", ("[N, 3, 8]",), "NS310"),
        Rejects("max_pool(2, padding = 1, dilation = 3)", ("[N, 3, 2]",), "NS402"),
        Rejects("max_pool((2, 2))", ("[N, 3, 8]",), "NS310"),
        Rejects("max_pool(0)", ("[N, 3, 8]",), "NS310"),
    )

    LIMITATIONS: ClassVar[tuple[Limitation, ...]] = (DROPS_NAN,)

    kernel: PerAxis = Field(description="size of the window, one number or one an axis")
    stride: PerAxis | None = Field(None, description="step between windows; the kernel where it is not given")
    padding: Padding = Field(0, description="numbers, pairs (before, after), `same`, `same_upper` or `valid`")
    dilation: PerAxis = Field(1, description="step between the elements of a window")
    ceil_mode: bool = Field(False, description="a last window may reach over the end")

    def _windows(self, x: TensorType) -> tuple[Window, ...]:
        return windows(self.padding, self.kernel, self.stride or self.kernel, self.dilation, x.spatial)

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The batch, the channels, and the number of windows along each axis."""
        (x,) = inputs
        require_floats(self.NAME, x)
        spatial(self.NAME, x)
        return _output(x, self._windows(x), need, self.ceil_mode, self.padding, whole=False)

    def torch(self, site: Site) -> Torch:
        """The module; where before and after differ, `F.pad` with minus infinity first."""
        found = self._windows(site.input)
        if _even(found) and all(2 * w.before <= w.kernel for w in found):  # torch goes by the kernel, however dilated
            return Torch(_built("MaxPool", found, **_arguments(found, self.ceil_mode)))
        around = tuple(map(_rounded_up, found)) if self.ceil_mode else found
        named = {name: value for name, value in _arguments(found, False).items() if name != "padding"}
        return Torch(_built("MaxPool", found, **named), call(Self(), padded_torch(In(), around, value=float("-inf"))))

    def onnx(self, site: Site) -> OnnxTerm:
        """`MaxPool`; after `Pad` where an open size decides, and where a dilated window is padded by more than its taps."""
        found = self._windows(site.input)
        found = tuple(map(_rounded_up, found)) if self.ceil_mode else found
        x: OnnxTerm = In()
        pads = numbers(found)
        if pads is None or any(max(sides) >= w.kernel for w, *sides in zip(found, pads, pads[len(found) :])):
            x, pads = padded(x, found, site, value=float("-inf")), (0,) * (2 * len(found))
        return _pooled("MaxPool", x, found, pads, dilations=tuple(w.dilation for w in found))


@final
class AvgPool(_Pool):
    """The mean of each window.

    Input `[N, C, L]`, `[N, C, H, W]` or `[N, C, D, H, W]`; output `[N, C, …]`, sized as for `max_pool`.

    kernel, stride: one number, or one an axis; `stride = none` is the kernel.
    padding: zeros stand around; written as for `max_pool`.
    ceil_mode: a last window may reach over the end, unless it would start in the padding after.
    count_include_pad: whether the padding counts in the divisor. What `ceil_mode` adds beyond it never does.
    divisor_override: what the sum of the window is divided by, instead.

    PyTorch: `nn.AvgPool1d`, `2d`, `3d`. ONNX: `AveragePool` without `ceil_mode`. Where padding counts and a last window
    reaches over it, zeros are put around by `Pad`, and the rest is padding that does not count.
    """

    NAME: ClassVar[str] = "avg_pool"
    FAMILY: ClassVar[str] = "pool"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("avg_pool(2)", ("[N, 3, H = 8, W = 7]",), "[N, 3, H // 2, W // 2]", "nn.AvgPool2d(2)"),
        Accepts("avg_pool(3, 2, 1)", ("[N, 3, H = 8, W = 7]",), "[N, 3, (H - 1) // 2 + 1, (W - 1) // 2 + 1]", "nn.AvgPool2d(3, 2, 1)"),
        Accepts("avg_pool(3, 2, 1, count_include_pad = false)", ("[N, 3, T = 8]",), "[N, 3, (T - 1) // 2 + 1]"),
        Accepts("avg_pool(4, 4, 2, ceil_mode = true)", ("[N, 2, H = 9, W = 8]",), "[N, 2, (H + 1) // 4 + 1, (W + 1) // 4 + 1]"),
        Accepts("avg_pool(7, 3, 3, ceil_mode = true)", ("[N, 2, T = 9]",), "[N, 2, (T + 1) // 3 + 1]"),
        Accepts(
            "avg_pool(3, 2, 1, ceil_mode = true, count_include_pad = false)",
            ("[N, 2, D = 5, H = 4, W = 6]",),
            "[N, 2, D // 2 + 1, H // 2 + 1, W // 2 + 1]",
        ),
        Accepts("avg_pool(3, 2, ceil_mode = true)", ("[N, 2, H = 6, W = 7]",), "[N, 2, H // 2, W // 2]"),
        Accepts(
            "avg_pool((3, 2), 2, (1, 0), ceil_mode = true, divisor_override = 5)",
            ("[N, 2, H = 6, W = 7]",),
            "[N, 2, H // 2 + 1, (W + 1) // 2]",
        ),
        Accepts("avg_pool(3, 2, same_upper, count_include_pad = false)", ("[N, 2, H = 6, W = 7]",), "[N, 2, (H + 1) // 2, (W + 1) // 2]"),
        Accepts("avg_pool(3, 2, same_upper)", ("[N, 2, T = 6]",), "[N, 2, (T + 1) // 2]"),
        Accepts("avg_pool(4, 1, same, count_include_pad = false)", ("[N, 2, H = 6, W = 7]",), "[N, 2, H, W]"),
        Rejects("avg_pool(2)", ("[N, 3]",), "NS401"),
        Rejects("avg_pool(3)", ("[N, 3, 2, 9]",), "NS402"),
        Rejects("avg_pool(4, 2, ceil_mode = true)", ("[N, 3, 1, 9]",), "NS402"),
        Rejects("avg_pool(2)", ("int64 [N, 3, 8]",), "NS403"),
        Rejects("avg_pool(3, padding = 2)", ("[N, 3, 8]",), "NS310"),
        Rejects("avg_pool(2, divisor_override = 0)", ("[N, 3, 8, 8]",), "NS310"),
        Rejects("avg_pool(2, divisor_override = 3)", ("[N, 3, 8]",), "NS310"),
    )

    kernel: PerAxis = Field(description="size of the window, one number or one an axis")
    stride: PerAxis | None = Field(None, description="step between windows; the kernel where it is not given")
    padding: Padding = Field(0, description="numbers, pairs (before, after), `same`, `same_upper` or `valid`")
    ceil_mode: bool = Field(False, description="a last window may reach over the end")
    count_include_pad: bool = Field(True, description="the padding counts in the divisor")
    divisor_override: int | None = Field(None, gt=0, description="what sums are divided by, instead")

    def _windows(self, x: TensorType) -> tuple[Window, ...]:
        return windows(self.padding, self.kernel, self.stride or self.kernel, 1, x.spatial)

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The batch, the channels, and the number of windows along each axis."""
        (x,) = inputs
        require_floats(self.NAME, x)
        spatial(self.NAME, x)
        if self.divisor_override is not None and x.rank == 3:
            raise Reject("NS310", "`divisor_override` is for two or three spatial axes", argument="divisor_override")
        return _output(x, self._windows(x), need, self.ceil_mode, self.padding)

    def torch(self, site: Site) -> Torch:
        """The module; where before and after differ, after `F.pad`, and divided by the mean of padded ones if those do not count."""
        found = self._windows(site.input)
        named = _arguments(found, self.ceil_mode)
        if self.divisor_override is not None:
            named["divisor_override"] = self.divisor_override
        elif not self.count_include_pad and _even(found):
            named["count_include_pad"] = False
        built = _built("AvgPool", found, **named)
        if _even(found):
            return Torch(built)
        mean: TorchTerm = call(Self(), padded_torch(In(), found))
        if self.count_include_pad or self.divisor_override is not None:
            return Torch(built, mean)
        return Torch(built, Infix("/", mean, call(Self(), padded_torch(call("torch.ones_like", In()), found))))

    def onnx(self, site: Site) -> OnnxTerm:
        """`AveragePool`, after `Pad` where its attributes cannot say it."""
        found = self._windows(site.input)
        if self.divisor_override is not None:
            factor = prod(w.kernel for w in found) / self.divisor_override
            return op("Mul", self._mean(found, site, fixed=True), scalar(factor, site.input.dtype))
        return self._mean(found, site)

    def _mean(self, found: tuple[Window, ...], site: Site, fixed: bool = False) -> OnnxTerm:
        """The mean; `fixed` says that the divisor is the size of the kernel everywhere."""
        pads = numbers(found)
        if pads is None:
            return self._mean_of_open(found, site, fixed)
        longer = numbers(tuple(map(_rounded_up, found))) if self.ceil_mode else pads
        assert longer is not None
        if fixed or (self.count_include_pad and longer == pads):
            return _pooled("AveragePool", In(), found, longer, count_include_pad=1)
        if not self.count_include_pad or not any(pads):
            return _pooled("AveragePool", In(), found, longer, count_include_pad=0)
        beyond = tuple(long - short for long, short in zip(longer, pads))
        return _pooled("AveragePool", padded(In(), found, site), found, beyond, count_include_pad=0)

    def _mean_of_open(self, found: tuple[Window, ...], site: Site, fixed: bool) -> OnnxTerm:
        """The same where an open size decides the padding."""
        nothing = (0,) * (2 * len(found))
        mean = _pooled("AveragePool", padded(In(), found, site), found, nothing)
        if self.count_include_pad or fixed:
            return mean
        one = Const(site.input.dtype, (1,), (1.0,))
        ones = op("ConstantOfShape", SizeVec((1, 1, *site.input.spatial)), value=one)
        return op("Div", mean, _pooled("AveragePool", padded(ones, found, site), found, nothing))


@final
class LpPool(_Pool):
    """The p-norm of each window: `(Σ xᵖ)^(1/p)`, the powers with their sign, as torch has it.

    Input `[N, C, L]`, `[N, C, H, W]` or `[N, C, D, H, W]`; output `[N, C, …]`, sized as for `max_pool` without padding.
    For odd p a negative sum has no root: NaN. With `ceil_mode` the sum of a last window that reaches over the end is the
    mean of what it has, times the size of the kernel.

    PyTorch: `nn.LPPool1d`, `2d`, `3d`. ONNX: powers around an `AveragePool`; `LpPool` sums absolute values, and its engines
    disagree on `ceil_mode`.
    """

    NAME: ClassVar[str] = "lp_pool"
    FAMILY: ClassVar[str] = "pool"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("lp_pool(2, 3)", ("[N, 3, H = 8, W = 7]",), "[N, 3, H // 3, W // 3]", "nn.LPPool2d(2, 3)"),
        Accepts("lp_pool(3, 2, stride = 1)", ("[N, 3, T = 8]",), "[N, 3, T - 1]", "nn.LPPool1d(3, 2, stride=1)"),
        Accepts("lp_pool(1.5, (3, 2), 2, ceil_mode = true)", ("[N, 3, H = 8, W = 7]",), "[N, 3, H // 2, (W + 1) // 2]"),
        Accepts("lp_pool(4, 2)", ("[N, 2, D = 4, H = 5, W = 2]",), "[N, 2, D // 2, H // 2, W // 2]", "nn.LPPool3d(4, 2)"),
        Rejects("lp_pool(2, 2)", ("[N, 3]",), "NS401"),
        Rejects("lp_pool(2, 3)", ("[N, 3, 2, 9]",), "NS402"),
        Rejects("lp_pool(2, 2)", ("int64 [N, 3, 8]",), "NS403"),
        Rejects("lp_pool(0, 2)", ("[N, 3, 8]",), "NS310"),
        Rejects("lp_pool(2, (2, 2))", ("[N, 3, 8]",), "NS310"),
    )

    p: int | float = Field(gt=0, allow_inf_nan=False, description="the exponent of the norm")
    kernel: PerAxis = Field(description="size of the window, one number or one an axis")
    stride: PerAxis | None = Field(None, description="step between windows; the kernel where it is not given")
    ceil_mode: bool = Field(False, description="a last window may reach over the end")

    def _windows(self, x: TensorType) -> tuple[Window, ...]:
        return windows(0, self.kernel, self.stride or self.kernel, 1, x.spatial)

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The batch, the channels, and the number of windows along each axis."""
        (x,) = inputs
        require_floats(self.NAME, x)
        spatial(self.NAME, x)
        return _output(x, self._windows(x), need, self.ceil_mode)

    def torch(self, site: Site) -> Torch:
        """The module of torch."""
        found = self._windows(site.input)
        return Torch(_built("LPPool", found, self.p, **_arguments(found, self.ceil_mode)))

    def onnx(self, site: Site) -> OnnxTerm:
        """`Pow`, the mean, `Mul`, `Pow`."""
        found = self._windows(site.input)
        dtype = site.input.dtype
        longer = tuple(map(_rounded_up, found)) if self.ceil_mode else found
        powers = op("Mul", In(), In()) if self.p == 2 else op("Pow", In(), scalar(float(self.p), dtype))
        mean = _pooled("AveragePool", powers, found, numbers(longer) or (), count_include_pad=0)
        sums = op("Mul", mean, scalar(float(prod(w.kernel for w in found)), dtype))
        return op("Sqrt", sums) if self.p == 2 else op("Pow", sums, scalar(1.0 / self.p, dtype))
