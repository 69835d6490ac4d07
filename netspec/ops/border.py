"""The border of a tensor: adding to it, taking it away."""

from typing import ClassVar, Literal, final

from netspec.op import Accepts, Needs, Operator, Reject, Rejects, Site
from netspec.ops._axes import axes_of
from netspec.ops._inputs import FLOATS, require_rank
from netspec.ops._layout import END, size_vector, sliced
from netspec.reach import All, AxisReach, Reach, Same, Shift
from netspec.sizes.dim import Size, SizeField
from netspec.sizes.tensor import TensorType
from netspec.terms import In, Item, OnnxTerm, Torch, call, op, scalar, vector

#: how much at the beginning and at the end of an axis
Sides = tuple[Size, Size]
#: one size for every side; or an entry an axis, each a size for both sides or a pair (before, after)
Amount = SizeField | tuple[SizeField | tuple[SizeField, SizeField], ...]


def _sides(amount: Amount, axes: tuple[int, ...], name: str) -> dict[int, Sides]:
    """What is written as `amount`, for each axis. For a single axis a flat pair is (before, after)."""
    if not isinstance(amount, tuple):
        return {axis: (amount, amount) for axis in axes}
    if len(axes) == 1 and len(amount) == 2 and not any(isinstance(entry, tuple) for entry in amount):
        amount = ((amount[0], amount[1]),)
    if len(amount) != len(axes):
        message = f"{len(amount)} amounts for {len(axes)} {'axis' if len(axes) == 1 else 'axes'}"
        example = f"one number for all sides, or an entry an axis, each a number or (before, after): {name}((1, (0, 2)))"
        raise Reject("NS310", message, argument="amount", help=example)
    return {axis: entry if isinstance(entry, tuple) else (entry, entry) for axis, entry in zip(axes, amount)}


def _spatial(tensor: TensorType, name: str) -> tuple[int, ...]:
    """The axes behind the channels; rejects (NS401) a tensor without."""
    require_rank(name, tensor, 3, help="name the axis: axis = 1" if name == "pad" else "slice(start, stop) cuts any axis")
    return tuple(range(2, tensor.rank))


def _shifted(rank: int, offsets: dict[int, Size], mode: str = "zeros") -> tuple[AxisReach | None, ...]:
    """Position o sees o + offset along the axes that have one, and itself along the others."""
    looks: list[AxisReach | None] = [Same(a) for a in range(rank)]
    for axis, offset in offsets.items():
        looks[axis] = Shift(axis, offset, mode=mode) if isinstance(offset, int) else All(axis)
    return tuple(looks)


@final
class Pad(Operator):
    """Puts a border around a tensor; in `zeros` and `constant` a negative amount cuts off that much instead.

    amount: `pad(1)` is one on every side of every spatial axis. A tuple has an entry an axis: `pad((1, 2))` is one above
        and below, two left and right; an entry may itself be a pair (before, after): `pad(((0, 1), (0, 1)))` is one below
        and one right. For a single axis a flat pair is (before, after). Open sizes may be used in `zeros` and `constant`:
        `pad(((0, -H % 32), (0, -W % 32)))` completes a picture to multiples of 32.
    mode: `zeros`, `constant`, `reflect` (mirrored, the edge once), `replicate` (the edge repeated) or `circular`. What
        `reflect` and `circular` take from inside must be there: a condition (NS402).
    value: what `constant` puts there.
    axis: the axes to pad where they are not the spatial ones: `pad((16, 16), axis = 1)` puts 16 channels of zeros before
        and behind (the shortcut of CIFAR ResNets, option A of He et al., arXiv:1512.03385).

    PyTorch: `F.pad`, whose amounts run from the last axis to the first. ONNX: Pad with its axes named (from opset 18;
    below, a Pad that is one too long, and a Slice): a plain Pad before MaxPool is fused into it by onnxruntime as if the
    zeros were -inf. Cutting is a Slice before; `circular` below opset 19 is made of Slice and Concat.
    """

    NAME: ClassVar[str] = "pad"
    FAMILY: ClassVar[str] = "reshape"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("pad(1)", ("[N, 3, H, W]",), "[N, 3, H + 2, W + 2]", torch="F.pad(x, (1, 1, 1, 1))"),
        Accepts("pad((1, (0, 2)))", ("[N, 3, H, W]",), "[N, 3, H + 2, W + 2]", torch="F.pad(x, (0, 2, 1, 1))"),
        Accepts("pad((3, 0))", ("[N, 8, L]",), "[N, 8, L + 3]", torch="F.pad(x, (3, 0))"),
        Accepts("pad((2, 3), axis = 1)", ("[N, 4, H, W]",), "[N, 9, H, W]", torch="F.pad(x, (0, 0, 0, 0, 2, 3))"),
        Accepts("pad(((0, -H % 4), (0, -W % 4)))", ("[N, 1, H, W]",), "[N, 1, H + -H % 4, W + -W % 4]"),
        Accepts("pad((2, (1, 0)), reflect)", ("[N, 2, H = 4, W]",), "[N, 2, H + 4, W + 1]"),
        Accepts("pad(((-1, 2), (1, -2)))", ("[N, 2, H = 4, W]",), "[N, 2, H + 1, W - 1]"),
        Accepts("pad(2, replicate)", ("[N, 2, L]",), "[N, 2, L + 4]"),
        Accepts("pad(((1, 2), 3), circular)", ("[N, 2, H, W]",), "[N, 2, H + 3, W + 6]"),
        Accepts("pad((1, 0, (0, 1)), circular)", ("[N, 2, D = 3, H = 4, W = 5]",), "[N, 2, D + 2, H, W + 1]"),
        Accepts("pad(1, constant, value = -2.5)", ("[N, 3, H, W]",), "[N, 3, H + 2, W + 2]"),
        Accepts("pad(-1)", ("[N, 3, H, W]",), "[N, 3, H - 2, W - 2]"),
        Accepts("pad((0, 1), constant, value = 7, axis = -1)", ("int64 [N, T]",), "int64 [N, T + 1]"),
        Accepts("pad(0)", ("[N, 3, H, W]",), "[N, 3, H, W]"),
        Rejects("pad((1, 2, 3))", ("[N, 3, H, W]",), "NS310"),
        Rejects("pad(1)", ("[N, 3]",), "NS401"),
        Rejects("pad(-4)", ("[N, 3, 8, 8]",), "NS402"),
        Rejects("pad(4, reflect)", ("[N, 3, 4, 4]",), "NS402"),
        Rejects("pad(5, circular)", ("[N, 3, 4, 4]",), "NS402"),
        Rejects("pad(1, value = 2)", ("[N, 3, H, W]",), "NS310"),
        Rejects("pad((-1, 1), reflect)", ("[N, 3, H, W]",), "NS310"),
        Rejects("pad(H, replicate)", ("[N, 3, H, W]",), "NS310"),
        Rejects("pad(1, reflect, axis = 1)", ("[N, 3, H, W]",), "NS310"),
        Rejects("pad(1, constant, value = 0.5)", ("int64 [N, 3, L]",), "NS310"),
        Rejects("pad(1, axis = 4)", ("[N, 3, H, W]",), "NS406"),
        Rejects("pad(1, mirror)", ("[N, 3, H, W]",), "NS310"),
    )

    amount: Amount
    mode: Literal["zeros", "constant", "reflect", "replicate", "circular"] = "zeros"
    value: int | float = 0
    axis: int | tuple[int, ...] | None = None

    def _border(self, tensor: TensorType) -> dict[int, Sides]:
        """(before, after) of every axis that has a border."""
        axes = _spatial(tensor, self.NAME) if self.axis is None else axes_of(self.axis, tensor.rank)
        return dict(sorted((a, s) for a, s in _sides(self.amount, axes, self.NAME).items() if s != (0, 0)))

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """Each axis grows by both of its sides."""
        tensor, border = inputs[0], self._border(inputs[0])
        if self.value != 0 and self.mode != "constant":
            raise Reject("NS310", f"`{self.mode}` takes no value", argument="value", help="mode = constant")
        if isinstance(self.value, float) and tensor.dtype not in FLOATS:
            raise Reject("NS310", f"a border of {self.value} around elements of {tensor.dtype}", argument="value")
        if self.mode not in ("zeros", "constant"):
            self._check_inside(tensor, border, need)
        shape = list(tensor.shape)
        for axis, (before, after) in border.items():
            shape[axis] = shape[axis] + before + after
            need.at_least(shape[axis], 1, f"`pad` leaves nothing of axis {axis}")
        return tensor.with_shape(tuple(shape))

    def _check_inside(self, tensor: TensorType, border: dict[int, Sides], need: Needs) -> None:
        """The modes that look back inside: spatial axes, written amounts, and enough to look at."""
        require_rank(f"pad(mode = {self.mode})", tensor, 3, 5)
        for axis, (before, after) in border.items():
            if axis < 2:
                raise Reject("NS310", f"`{self.mode}` pads spatial axes only", argument="axis")
            if not (isinstance(before, int) and isinstance(after, int)):
                raise Reject("NS310", f"`{self.mode}` pads by written numbers only", argument="amount")
            if min(before, after) < 0:
                raise Reject("NS310", f"`{self.mode}` cuts nothing off", argument="amount", help="crop first")
            least = {"reflect": max(before, after) + 1, "circular": max(before, after), "replicate": 1}[self.mode]
            need.at_least(tensor.shape[axis], least, f"axis {axis} is too short for this {self.mode} padding")

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Position o sees `o - before`."""
        mode = "zeros" if self.mode == "constant" else self.mode
        return (Reach((_shifted(inputs[0].rank, {a: -before for a, (before, _) in self._border(inputs[0]).items()}, mode),)),)

    def torch(self, site: Site) -> Torch:
        """`F.pad(x, (left, right, top, bottom))`."""
        border = self._border(site.input)
        inside = self.mode not in ("zeros", "constant")
        first = 2 if inside else min(border, default=site.input.rank - 1)
        flat = tuple(size for axis in reversed(range(first, site.input.rank)) for size in border.get(axis, (0, 0)))
        if inside:
            return Torch(forward=call("F.pad", In(), flat, mode=self.mode))
        return Torch(forward=call("F.pad", In(), flat, value=self.value) if self.value != 0 else call("F.pad", In(), flat))

    def onnx(self, site: Site) -> OnnxTerm:
        """Slice for what is cut, Pad for what is added."""
        border = self._border(site.input)
        cut = {a: (_negative(b), _negative(e)) for a, (b, e) in border.items()}
        cut = {a: s for a, s in cut.items() if s != (0, 0)}
        x = sliced(In(), tuple(cut), [-b for b, _ in cut.values()], [e if e else END for _, e in cut.values()])
        added = {a: (b - _negative(b), e - _negative(e)) for a, (b, e) in border.items()}
        added = {a: s for a, s in added.items() if s != (0, 0)}
        if not added:
            return x
        if self.mode == "circular" and site.opset < 19:
            return _wrapped(x, added)
        mode = {"zeros": "constant", "replicate": "edge", "circular": "wrap"}.get(self.mode, self.mode)
        value = self.value if site.input.dtype not in FLOATS else float(self.value)
        return _padded(x, added, mode, scalar(value, site.input.dtype), site)


def _negative(size: Size) -> int:
    """The part of a written amount that cuts; an open size, whose sign is not known, is left to Pad."""
    return min(size, 0) if isinstance(size, int) else 0


def _padded(x: OnnxTerm, border: dict[int, Sides], mode: str, value: OnnxTerm, site: Site) -> OnnxTerm:
    """ONNX Pad in a form that onnxruntime does not fuse into a following MaxPool."""
    fill = value if mode == "constant" else None
    if site.opset >= 18:
        pads = size_vector([b for b, _ in border.values()] + [e for _, e in border.values()])
        return op("Pad", x, pads, fill, vector(tuple(border)), mode=mode)
    last = max(border)
    ends = {a: e + 1 if a == last and mode == "constant" else e for a, (_, e) in border.items()}
    rank = site.input.rank
    sizes = [border.get(a, (0, 0))[0] for a in range(rank)] + [ends.get(a, 0) for a in range(rank)]
    padded = op("Pad", x, size_vector(sizes), fill, mode=mode) if fill else op("Pad", x, size_vector(sizes), mode=mode)
    return sliced(padded, (last,), (0,), (-1,)) if mode == "constant" else padded


def _wrapped(x: OnnxTerm, border: dict[int, Sides]) -> OnnxTerm:
    """Circular padding, axis by axis: the end before the beginning, the beginning behind the end."""
    for axis, (before, after) in border.items():
        head = (sliced(x, (axis,), (-before,), (END,)),) if before else ()
        tail = (sliced(x, (axis,), (0,), (after,)),) if after else ()
        x = op("Concat", *head, x, *tail, axis=axis)
    return x


@final
class Crop(Operator):
    """Cuts the border of the spatial axes away: by an amount, to a size, or to the size of another tensor.

    Exactly one of the first three says how much. The window stands in the centre: it begins at `(n - m) // 2`, so that of
    an odd rest the larger part is cut at the end. That the tensor is at least as large as the window is a condition (NS402).

    amount: what to cut, as in `pad`: `crop(8)`, `crop((1, 2))`, `crop(((0, 1), (0, 1)))`.
    size: the size that stays, one number or one an axis.
    offset: where the window begins instead, one number or one an axis (0 is the top left corner); with `size` or `like`.
    like: a tensor of the same rank, whose spatial size is taken: `skip -> crop(like = x)` joins the paths of the first
        U-Net (Ronneberger et al., arXiv:1505.04597).

    PyTorch: slicing. ONNX: Slice.
    """

    NAME: ClassVar[str] = "crop"
    FAMILY: ClassVar[str] = "reshape"
    ARITY: ClassVar[int | tuple[int, int | None]] = 1
    TENSOR_ARGUMENTS: ClassVar[tuple[str, ...]] = ("like",)
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("crop(2)", ("[N, 3, H, W]",), "[N, 3, H - 4, W - 4]", torch="x[:, :, 2:-2, 2:-2]"),
        Accepts("crop((0, (1, 2)))", ("[N, 3, H, W]",), "[N, 3, H, W - 3]", torch="x[:, :, :, 1:-2]"),
        Accepts("crop((0, 1))", ("[N, 3, L]",), "[N, 3, L - 1]", torch="x[:, :, :-1]"),
        Accepts("crop(size = 4)", ("[N, 3, H, W]",), "[N, 3, 4, 4]"),
        Accepts("crop(size = (4, W - 2), offset = (0, 1))", ("[N, 3, H, W]",), "[N, 3, 4, W - 2]"),
        Accepts("crop(like = y)", ("[N, 8, H = 9, W = 8]", "[N, 4, A = 4, B = 7]"), "[N, 8, A, B]"),
        Accepts("crop(like = y)", ("[N, 8, H, W]", "[N, 4, H - 3, W]"), "[N, 8, H - 3, W]"),
        Accepts("crop(like = y, offset = 0)", ("[N, 8, 9, 9]", "[N, 4, 4, 6]"), "[N, 8, 4, 6]", torch="x[:, :, :4, :6]"),
        Rejects("crop", ("[N, 3, 8, 8]",), "NS310"),
        Rejects("crop(2, size = 4)", ("[N, 3, 8, 8]",), "NS310"),
        Rejects("crop(2, offset = 1)", ("[N, 3, 8, 8]",), "NS310"),
        Rejects("crop(-1)", ("[N, 3, 8, 8]",), "NS310"),
        Rejects("crop(4)", ("[N, 3, 8, 8]",), "NS402"),
        Rejects("crop(size = 9)", ("[N, 3, 8, 8]",), "NS402"),
        Rejects("crop(size = 6, offset = 3)", ("[N, 3, 8, 8]",), "NS402"),
        Rejects("crop(size = (4, 4, 4))", ("[N, 3, 8, 8]",), "NS310"),
        Rejects("crop(size = 0)", ("[N, 3, 8, 8]",), "NS402"),
        Rejects("crop(like = y)", ("[N, 3, 8, 8]", "[N, 3, 9, 8]"), "NS402"),
        Rejects("crop(like = y)", ("[N, 3, 8, 8]", "[N, 3, 8]"), "NS401"),
        Rejects("crop(1)", ("[N, 3]",), "NS401"),
    )

    amount: Amount | None = None
    size: SizeField | tuple[SizeField, ...] | None = None
    offset: SizeField | tuple[SizeField, ...] | None = None
    like: bool = False

    def _windows(self, inputs: tuple[TensorType, ...]) -> dict[int, Sides]:
        """(start, length) of what stays of every spatial axis."""
        if (self.amount is not None) + (self.size is not None) + self.like != 1:
            raise Reject("NS310", "`crop` takes one of amount, size and like", help="crop(2), crop(size = 32), crop(like = x)")
        tensor, axes = inputs[0], _spatial(inputs[0], self.NAME)
        if self.amount is not None:
            if self.offset is not None:
                raise Reject("NS310", "an amount says where the window begins", argument="offset")
            sides = _sides(self.amount, axes, self.NAME)
            if any(isinstance(s, int) and s < 0 for pair in sides.values() for s in pair):
                raise Reject("NS310", "`crop` cuts away: its amounts are not negative", argument="amount", help="pad")
            return {a: (before, tensor.shape[a] - before - after) for a, (before, after) in sides.items()}
        if self.like and inputs[1].rank != tensor.rank:
            raise Reject("NS401", f"a tensor of {tensor.rank} axes cannot be like one of {inputs[1].rank}", input=1)
        lengths = inputs[1].spatial if self.like else _each(self.size, axes, "size")
        starts = _each(self.offset, axes, "offset")
        return {a: ((tensor.shape[a] - m) // 2 if s is None else s, m) for a, s, m in zip(axes, starts, lengths)}

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The sizes of the window."""
        tensor, shape = inputs[0], list(inputs[0].shape)
        for axis, (start, length) in self._windows(inputs).items():
            need.at_least(length, 1, f"`crop` leaves nothing of axis {axis}")
            if self.offset is None:
                need.at_least(shape[axis], length, f"`crop` cannot make axis {axis} larger")
            else:
                need.at_least(start, 0, f"`crop` begins before axis {axis}")
                need.at_least(shape[axis], start + length, f"`crop` reaches past the end of axis {axis}")
            shape[axis] = length
        return tensor.with_shape(tuple(shape))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Position o sees `o + start`; of the tensor to be like only the size matters."""
        starts = {a: start for a, (start, _) in self._windows(inputs).items()}
        return (Reach((_shifted(inputs[0].rank, starts),) + ((),) * (len(inputs) - 1)),)

    def torch(self, site: Site) -> Torch:
        """`x[:, :, 2:-2, 2:-2]`."""
        cuts = [slice(None)] * site.input.rank
        for axis, (start, length) in self._windows(site.inputs).items():
            start, stop = _bounds(start, length, site.input.shape[axis])
            cuts[axis] = slice(None if start == 0 else start, None if stop == END else stop)
        return Torch(forward=Item(In(), tuple(cuts)))

    def onnx(self, site: Site) -> OnnxTerm:
        """Slice."""
        bounds = {a: _bounds(s, m, site.input.shape[a]) for a, (s, m) in self._windows(site.inputs).items()}
        bounds = {a: b for a, b in bounds.items() if b != (0, END)}
        return sliced(In(), tuple(bounds), [b for b, _ in bounds.values()], [e for _, e in bounds.values()])


def _each(size: SizeField | tuple[SizeField, ...] | None, axes: tuple[int, ...], argument: str) -> tuple[Size | None, ...]:
    """One entry an axis of what is written once for all, or an axis."""
    if not isinstance(size, tuple):
        return (size,) * len(axes)
    if len(size) != len(axes):
        raise Reject("NS310", f"{len(size)} sizes for {len(axes)} spatial axes", argument=argument)
    return size


def _bounds(start: Size, length: Size, whole: Size) -> Sides:
    """Start and stop of a window in an axis: from the end, in numbers, where that spares looking up the size."""
    rest = start + length - whole
    return start, END if rest == 0 else rest if isinstance(rest, int) else start + length
